//! The accumulator of an era1 file: the root that proves which blocks are in it.
//!
//! `hash_tree_root` of SSZ's `List[HeaderRecord, 8192]`, where a record is a block's hash and its total difficulty
//! (<https://github.com/ethereum/portal-network-specs/blob/master/legacy/history/history-network.md#algorithms>).

use alloy_primitives::{B256, U256};
use sha2::{Digest, Sha256};

/// The list's limit, 8,192 records: a tree of this depth.
const DEPTH: usize = 13;

/// Collects records, 32 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Accumulator {
    records: Vec<[u8; 32]>,
}

impl Accumulator {
    /// Adds the next block. `td`: its total difficulty, its own difficulty included.
    pub(crate) fn push(&mut self, hash: B256, td: U256) {
        self.records.push(pair(hash.0, td.to_le_bytes()));
    }

    /// The root over the blocks so far. Past 8,192 of them it is nobody's root; era1's reader ends there.
    pub(crate) fn root(&self) -> B256 {
        let mut level = self.records.clone();
        let mut empty = [0; 32];
        for _ in 0..DEPTH {
            if level.len() % 2 == 1 {
                level.push(empty);
            }
            level = level.chunks_exact(2).map(|two| pair(two[0], two[1])).collect();
            empty = pair(empty, empty);
        }
        let root = level.first().copied().unwrap_or(empty);
        let mut count = [0; 32];
        count[..8].copy_from_slice(&(self.records.len() as u64).to_le_bytes());
        B256::from(pair(root, count))
    }
}

fn pair(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_list_and_order() {
        // Thirteen levels of zero hashes, then the length 0.
        let zero = (0..DEPTH).fold([0; 32], |node, _| pair(node, node));
        assert_eq!(Accumulator::default().root(), B256::from(pair(zero, [0; 32])));
        let root = |records: &[(u8, u64)]| {
            let mut accumulator = Accumulator::default();
            records.iter().for_each(|(hash, td)| accumulator.push(B256::repeat_byte(*hash), U256::from(*td)));
            accumulator.root()
        };
        let three = root(&[(1, 1), (2, 2), (3, 3)]);
        for other in [root(&[(1, 1), (3, 3), (2, 2)]), root(&[(1, 1), (2, 2)]), root(&[(1, 1), (2, 2), (3, 4)])] {
            assert_ne!(three, other);
        }
    }
}
