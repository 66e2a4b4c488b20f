//! The async runtime, and its end.

use std::{future::Future, time::Duration};

use crate::fatal::Fatal;

/// How long threads that cannot be interrupted, such as one that checks a batch of seals, may still take at the end.
/// Whatever they write is atomic.
const LAST_THREADS: Duration = Duration::from_millis(500);

/// Runs `main` to its end on a runtime of its own.
pub(crate) fn run(main: impl Future<Output = Result<(), Fatal>>) -> Result<(), Fatal> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::failed(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(main);
    runtime.shutdown_timeout(LAST_THREADS);
    ended
}
