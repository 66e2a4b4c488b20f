//! One connection, from its first byte to its last, as a chain of types: each step consumes the one before it.
//!
//! [`Connected`] (a stream of bytes) → [`Encrypted`] (both identities are known) → [`Introduced`] (Hello was exchanged)
//! → [`Ready`] (capabilities and their ids are agreed on) → running, until it ends.

mod error;
mod link;
mod run;
mod steps;

pub use error::{Phase, SessionError};
pub use link::{
    GOODBYE_TIMEOUT, HANDSHAKE_TIMEOUT, Link, MIN_TRANSFER_RATE, PING_INTERVAL, READ_TIMEOUT, WRITE_TIMEOUT,
};
pub(crate) use run::run;
pub use run::{Ended, PROTOCOL_GRACE};
pub use steps::{Connected, Encrypted, Introduced, Ready, offered};
