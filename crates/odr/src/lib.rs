//! Whom to ask, and whether the answer is true: on-demand retrieval for a node that keeps only headers.
//!
//! Peers only fill a store; the node reads only from the store; the store takes only what proves itself. Three layers,
//! top down:
//!
//! - [`trie`] and [`body`] walk from a hash that a verified header gives and name what is missing ([`Wanted`]). They
//!   know no peers: they read through [`Source`], which a light node fills from the network and a full node from disk.
//! - [`Retriever`] is the light node's [`Source`]: equal questions under way are merged, small ones travel in one
//!   message, an answer that stays out or is empty is asked for elsewhere, and what nobody can prove ends as
//!   [`Unavailable`], which says what is missing, whom it asked and why that failed.
//! - [`PeerSet`] holds the sessions with their scores, latencies and the estimate of what each can serve;
//!   [`VerifiedStore`] holds bytes by their Keccak-256, bounded in memory and on disk.
//!
//! The only protocol so far is `eth` 28, where everything is content-addressed: a trie node, code, a transaction or an
//! uncle list is asked for by its hash (HashLookup), a body by its block's (GetBlocks) and checked against the header.

pub mod body;
pub mod peers;
mod request;
pub mod retriever;
pub mod source;
pub mod store;
pub mod trie;

pub use peers::{PeerSet, Penalty, Remote};
pub use retriever::{Retriever, RetrieverConfig};
pub use source::{Asked, Location, Source, Unavailable, Wanted, What, Why};
pub use store::{VerifiedStore, VerifiedStoreConfig};
