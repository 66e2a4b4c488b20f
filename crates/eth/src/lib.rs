//! The `eth` protocol, version 28 (PoC-6, 0x1c): what is said between Ethereum nodes.
//!
//! ```text
//! v28       messages: bytes ⇄ structs, pure; limits
//! session   one session: handle ⇄ task; Status, requests and answers, breaches, what the peer knows
//! serve     answers to a peer's requests, read through `chain::ChainAccess`
//! protocol  `EthProtocol`: the sub-protocol that `p2p` runs, node and peer info
//! ```
//!
//! A connection's `p2p` task calls [`EthProtocol`], which runs one session to its end: `session::handshake` exchanges
//! Status, then `session::task` owns the session's state. Above, a cheap [`Session`] asks questions and sends
//! transactions and blocks; what the peer does unasked comes out as [`SessionEvent`]s.
//!
//! Answers carry no request id on this wire, so each type of request has a queue per session, and an answer belongs to
//! the oldest open request of its type. Blocks are not verified against their headers here, nor headers against rules;
//! what is verified is that an answer holds only what was asked for.
//!
//! Follows the PoC-6 page of the Ethereum wire protocol, with the decisions of `docs/protocols.md` on what it leaves open.

mod config;
mod event;
mod protocol;
mod serve;
mod session;
pub mod v28;

pub use config::EthConfig;
pub use event::SessionEvent;
pub use protocol::EthProtocol;
pub use session::{RequestError, Session};
