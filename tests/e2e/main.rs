//! End to end: the real binary, over real sockets, on mainnet's first 8,192 blocks.
//!
//! What reads the chain needs `RUSHLIGHT_TEST_DATA`; without it those tests say that they were skipped.
//!
//! ```text
//! process   a run of the binary: its lines, its signals, its end
//! rpc       a JSON-RPC client over HTTP
//! files     a chain in files: a full peer that has imported it, a light node that trusts its head
//! mainnet   the blocks themselves, read by the test, and a full peer that has imported them
//! proxy     a TCP proxy that stops passing on after so many bytes
//! liar      peers that lie, in this process
//! over_full the same JSON-RPC over a full peer's store, in this process
//! calls     a light node's calls beside the full peer's own, in this process on virtual time
//! library   the light crate's example, run as it stands
//! ```

#![allow(clippy::unwrap_used)] // All of it is test code, which the lint does not see in helpers.

mod files;
mod liar;
mod mainnet;
mod process;
mod proxy;
mod rpc;

mod account;
mod calls;
mod config;
mod dev;
mod endpoints;
mod interop;
mod liars;
mod library;
mod mine;
mod mistakes;
mod old_headers;
mod over_full;
mod pools;
mod resume;
mod sync;
mod testchain;
mod transactions;
