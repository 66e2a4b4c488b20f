//! The wall clock, passed in.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A wall clock: unix time in whole seconds. Passed in, so that tests run on a time of their own.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's clock. A clock set before 1970 reads 0, which refuses every header as from the future.
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()))
}
