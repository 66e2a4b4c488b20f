//! What serving reads of a chain: one small trait, filled by light and by full nodes.

use alloy_primitives::{B256, Bytes};

use crate::block::RawBlock;
use crate::header_chain::Head;

/// Read access for those that serve peers. A node gives what it happens to hold: `None` means not held here, never
/// that there is no such thing. Calls may read from disk, so they block for as long as a few look-ups take.
pub trait ChainAccess: Send + Sync + 'static {
    /// The best header with its total difficulty.
    fn head(&self) -> Head;

    /// The hash of block 0.
    fn genesis_hash(&self) -> B256;

    /// Hashes of up to `max` ancestors of `hash`, parent first, ending at genesis. Empty for an unknown hash.
    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256>;

    /// A header's RLP.
    fn header(&self, hash: &B256) -> Option<Bytes>;

    /// The RLP of each of these headers, at its place.
    fn headers(&self, hashes: &[B256]) -> Vec<Option<Bytes>> {
        hashes.iter().map(|hash| self.header(hash)).collect()
    }

    /// A whole block by its header's hash.
    fn block(&self, hash: &B256) -> Option<RawBlock>;

    /// The bytes whose Keccak-256 is `hash`: trie nodes, code, transactions, uncle lists.
    fn preimage(&self, hash: &B256) -> Option<Bytes>;
}
