//! How the chain grows: a work pool shared by all sessions, header-first (or whole-block) synchronisation over PoC-6,
//! new blocks, blocks on demand.
//!
//! ```text
//! machine   every decision, without I/O: events and `now` in, actions out
//! sink      what takes headers or blocks in: `ChainSink`, and `HeaderSink` over `chain::HeaderChain`
//! service   the thin task: session events and answers to the machine, its actions to sessions and sink
//! status    what is told to others: `SyncStatus`
//! blocks    whole blocks on demand
//! ```
//!
//! The way of a chain: a session claims a best block and a total difficulty above ours ([`machine`], claims); the header
//! of that block is fetched and bounds the length of the chain; hashes are asked for, backwards, until one is known
//! (walks), of which every 2,048th is kept; then the segments between are asked for again from the bottom, their hashes
//! go into the pool, headers are fetched from every session at once, and each run that is complete goes to the sink.
//! What the headers add up to settles the claim.
//!
//! Follows the PoC-6 page of the Ethereum wire protocol ("Basic Chain Syncing", "Parallel Block Downloads"), with the
//! decisions of `docs/protocols.md`.

pub mod blocks;
pub mod machine;
mod service;
mod sink;
mod status;

pub use service::{PeerTransactions, SyncConfig, SyncHandle, SyncService};
pub use sink::{ChainSink, Fault, HeaderSink, Item, Refused, Want};
pub use status::{Progress, Stopped, SyncStatus};
