//! Whole bodies that were asked for lately, in memory and bounded in bytes: `eth_getBlockByHash` and what follows on the
//! same block cost one download.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{B256, Bytes, keccak256};
use lru::LruCache;
use rushlight_chain::block::Body;

use crate::Location;

/// Counted for an entry beside its bytes: key, links and map slot.
const OVERHEAD: usize = 192;
/// Counted for a transaction beside its bytes: its hash, and its place in the index.
const OVERHEAD_TRANSACTION: usize = 160;

#[derive(Debug)]
pub(super) struct Bodies {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    held: LruCache<B256, Held>,
    /// Where the transactions of what is held stand; more than one place where blocks of two chains have one in common.
    places: BTreeSet<(B256, Location)>,
    size: usize,
}

/// Bodies are held as RLP: what peers gave are slices of whole messages, which they would keep alive.
#[derive(Debug)]
struct Held {
    raw: Bytes,
    transactions: Vec<B256>,
}

impl Held {
    fn size(&self) -> usize {
        self.raw.len() + OVERHEAD + self.transactions.len() * OVERHEAD_TRANSACTION
    }

    fn places(&self, block: B256) -> impl Iterator<Item = (B256, Location)> {
        (0..).zip(&self.transactions).map(move |(index, hash)| (*hash, Location { block, index }))
    }
}

impl Bodies {
    pub(super) fn new(limit: usize) -> Self {
        let state = State { held: LruCache::unbounded(), places: BTreeSet::new(), size: 0 };
        Self { limit, state: Mutex::new(state) }
    }

    pub(super) fn get(&self, block: &B256) -> Option<Body> {
        let raw = self.lock().held.get(block).map(|held| held.raw.clone())?;
        Body::decode(&raw).ok()
    }

    pub(super) fn insert(&self, block: B256, body: &Body) {
        let held = Held { raw: body.encode(), transactions: body.transactions.iter().map(keccak256).collect() };
        if held.size() > self.limit {
            return;
        }
        let mut state = self.lock();
        state.size += held.size();
        state.places.extend(held.places(block));
        // A block has one body, so that its places are the same.
        if let Some(old) = state.held.put(block, held) {
            state.size -= old.size();
        }
        while state.size > self.limit {
            let Some((block, oldest)) = state.held.pop_lru() else { break };
            state.size -= oldest.size();
            for place in oldest.places(block) {
                state.places.remove(&place);
            }
        }
    }

    pub(super) fn locate(&self, transaction: &B256) -> Vec<Location> {
        let first = (*transaction, Location { block: B256::ZERO, index: 0 });
        let state = self.lock();
        let from = state.places.range(first..);
        from.take_while(|(hash, _)| hash == transaction).map(|(_, place)| *place).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(length: usize) -> Body {
        Body { transactions: vec![Bytes::from([&[2u8][..], &vec![0; length]].concat())], ..Body::default() }
    }

    #[test]
    fn bounded_in_bytes_and_the_oldest_goes_first() {
        // Three of these with what is counted beside their bytes.
        let bodies = Bodies::new(4200);
        for index in 0..10 {
            bodies.insert(B256::repeat_byte(index), &body(1000));
            bodies.insert(B256::repeat_byte(index), &body(1000));
        }
        let held = (0..10).filter(|index| bodies.get(&B256::repeat_byte(*index)).is_some()).collect::<Vec<_>>();
        assert_eq!(held, [7, 8, 9]);
        bodies.insert(B256::ZERO, &body(5000));
        assert!(bodies.get(&B256::ZERO).is_none());
        assert_eq!(bodies.get(&B256::repeat_byte(9)), Some(body(1000)));
    }

    #[test]
    fn transactions_are_located_as_long_as_their_body_is_held() {
        let bodies = Bodies::new(4000);
        let (one, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let transaction = keccak256(&body(1000).transactions[0]);
        bodies.insert(one, &body(1000));
        bodies.insert(other, &body(1000));
        let at = |block| Location { block, index: 0 };
        assert_eq!(bodies.locate(&transaction), [at(one), at(other)]);
        assert!(bodies.locate(&B256::ZERO).is_empty());
        (0..3).for_each(|length| bodies.insert(B256::repeat_byte(9 - length), &body(1001 + usize::from(length))));
        assert!(bodies.locate(&transaction).is_empty());
        let state = bodies.lock();
        assert_eq!(state.places.len(), state.held.len());
    }
}
