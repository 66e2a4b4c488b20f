//! Whole bodies that were asked for lately, in memory and bounded in bytes: `eth_getBlockByHash` and what follows on the
//! same block cost one download.

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{B256, Bytes};
use lru::LruCache;
use rushlight_chain::block::Body;

/// Counted for an entry beside its bytes: key, links and map slot.
const OVERHEAD: usize = 160;

#[derive(Debug)]
pub(super) struct Bodies {
    limit: usize,
    state: Mutex<State>,
}

/// Bodies are held as RLP: what peers gave are slices of whole messages, which they would keep alive.
#[derive(Debug)]
struct State {
    held: LruCache<B256, Bytes>,
    size: usize,
}

impl Bodies {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::new(State { held: LruCache::unbounded(), size: 0 }) }
    }

    pub(super) fn get(&self, block: &B256) -> Option<Body> {
        let raw = self.lock().held.get(block).cloned()?;
        Body::decode(&raw).ok()
    }

    pub(super) fn insert(&self, block: B256, body: &Body) {
        let raw = body.encode();
        let size = raw.len() + OVERHEAD;
        if size > self.limit {
            return;
        }
        let mut state = self.lock();
        state.size += size;
        if let Some(old) = state.held.put(block, raw) {
            state.size -= old.len() + OVERHEAD;
        }
        while state.size > self.limit {
            let Some((_, oldest)) = state.held.pop_lru() else { break };
            state.size -= oldest.len() + OVERHEAD;
        }
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
        let bodies = Bodies::new(4000);
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
}
