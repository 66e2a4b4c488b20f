//! What the light node knows: headers that it has verified, and of everything else what peers prove against them.
//!
//! ```text
//! client   LightClient: one API for JSON-RPC and whatever else stands above
//! state    accounts, code, storage, proofs: walks from a header's state root
//! call     the EVM over a state that is fetched as it is needed: calls, estimates, access lists
//! simulate whole blocks of calls, with their roots and hashes
//! block    bodies, decoded: transactions with senders, uncles
//! receipts, transaction   receipts out of their trie; one transaction, where its block is known, and the proof of it
//! fees     what a transaction should pay: suggestions, and the fee history
//! pool     the node's own transactions, until they are deep in the chain
//! access   what the node serves to its peers, from what it happens to hold
//! node     LightNode: store, header chain, peers, retriever, protocol, server and sync, put together and taken down
//! ```
//!
//! The client reads headers from [`rushlight_chain::HeaderChain`] and everything else through [`rushlight_odr::Source`],
//! so it runs as well over a full node's disk. A query names its block once: that is resolved to one header, and all of
//! the query is read below that header's roots. A reorganisation meanwhile changes nothing about it.
//!
//! `examples/balance.rs` opens a node in another program, waits for its head and reads a balance; the project's tests
//! run it against a full peer.

mod access;
mod block;
pub mod call;
mod client;
mod error;
mod fees;
mod node;
mod old_headers;
pub mod pool;
mod receipts;
pub mod simulate;
mod state;
mod transaction;

pub use access::Access;
pub use block::Block;
pub use client::LightClient;
pub use error::ClientError;
pub use fees::{FeeError, FeeHistory};
pub use node::{LightConfig, LightNode, StartError};
pub use receipts::Receipts;
pub use rushlight_odr::Location;
pub use state::{Proof, StorageProof};
pub use transaction::{InclusionProof, Mined, MinedReceipt};
