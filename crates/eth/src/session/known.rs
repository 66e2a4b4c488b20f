//! What a peer is known to have, so that nothing is sent to it twice or back to where it came from.

use std::num::NonZeroUsize;

use alloy_primitives::B256;
use lru::LruCache;

/// Transactions remembered per session; the longest unused is forgotten first. As many as geth remembers; about 3 MB
/// where a peer fills it.
pub(crate) const MAX_KNOWN_TRANSACTIONS: usize = 32_768;
/// Blocks remembered per session: hours of a chain's head.
pub(crate) const MAX_KNOWN_BLOCKS: usize = 1_024;

/// Who said it first is not enough: one that we sent may come back because both sides sent it at once, and is then no
/// repetition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// We sent it, and the peer has not.
    Us,
    /// The peer sent it.
    Peer,
}

/// Bounded sets of what one peer has.
pub(crate) struct Known {
    transactions: LruCache<B256, Origin>,
    blocks: LruCache<B256, ()>,
}

impl Known {
    pub(crate) fn new() -> Self {
        // `sparse`: most sessions see few of either, and take no memory for the rest.
        let sparse = |most: usize| NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Self {
            transactions: LruCache::sparse(sparse(MAX_KNOWN_TRANSACTIONS)),
            blocks: LruCache::sparse(sparse(MAX_KNOWN_BLOCKS)),
        }
    }

    /// Whether the peer has the transaction.
    pub(crate) fn has_transaction(&self, hash: &B256) -> bool {
        self.transactions.contains(hash)
    }

    /// The transaction goes out to the peer.
    pub(crate) fn sent_transaction(&mut self, hash: B256) {
        if self.transactions.get(&hash).is_none() {
            self.transactions.put(hash, Origin::Us);
        }
    }

    /// The peer sent the transaction. Whether it had done so before.
    pub(crate) fn received_transaction(&mut self, hash: B256) -> bool {
        self.transactions.put(hash, Origin::Peer) == Some(Origin::Peer)
    }

    /// Whether the peer has the block.
    pub(crate) fn has_block(&self, hash: &B256) -> bool {
        self.blocks.contains(hash)
    }

    /// The peer has the block.
    pub(crate) fn add_block(&mut self, hash: B256) {
        self.blocks.put(hash, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: usize) -> B256 {
        B256::from(alloy_primitives::U256::from(n))
    }

    #[test]
    fn decision_8_known_transactions_are_bounded_and_the_oldest_goes_first() {
        let mut known = Known::new();
        for n in 0..=MAX_KNOWN_TRANSACTIONS {
            known.sent_transaction(hash(n));
        }
        assert_eq!(known.transactions.len(), MAX_KNOWN_TRANSACTIONS);
        assert!(!known.has_transaction(&hash(0)));
        assert!(known.has_transaction(&hash(1)) && known.has_transaction(&hash(MAX_KNOWN_TRANSACTIONS)));
    }

    #[test]
    fn known_blocks_are_bounded() {
        let mut known = Known::new();
        (0..=MAX_KNOWN_BLOCKS).for_each(|n| known.add_block(hash(n)));
        assert_eq!(known.blocks.len(), MAX_KNOWN_BLOCKS);
        assert!(!known.has_block(&hash(0)) && known.has_block(&hash(1)));
    }

    #[test]
    fn edges_a_transaction_that_crosses_ours_is_no_repetition() {
        let mut known = Known::new();
        known.sent_transaction(hash(1));
        assert!(!known.received_transaction(hash(1)), "both sides may send it at once");
        assert!(known.received_transaction(hash(1)));
        known.sent_transaction(hash(1));
        assert!(known.received_transaction(hash(1)), "sending does not wash it clean");
    }
}
