//! The work pool: every hash that some linked chain wants next, once, whoever claims it.

use std::collections::HashMap;

use alloy_primitives::B256;

use super::{PeerKey, RequestId};
use crate::Item;

/// A header or block that has come.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) item: Item,
    pub(super) parent: B256,
    pub(super) number: u64,
    pub(super) sender: PeerKey,
}

#[derive(Debug)]
enum State {
    Wanted,
    Flying(RequestId),
    Here(Fetched),
}

#[derive(Debug)]
struct Entry {
    /// How many chains have the hash in their window.
    wanted_by: usize,
    state: State,
}

/// Bounded by the windows of the linked chains.
#[derive(Debug, Default)]
pub(super) struct Pool {
    entries: HashMap<B256, Entry>,
    bytes: usize,
}

impl Pool {
    /// A chain's window now holds `hash`.
    pub(super) fn want(&mut self, hash: B256) {
        self.entries.entry(hash).or_insert(Entry { wanted_by: 0, state: State::Wanted }).wanted_by += 1;
    }

    /// A chain's window no longer holds `hash`.
    pub(super) fn release(&mut self, hash: &B256) {
        let Some(entry) = self.entries.get_mut(hash) else { return };
        entry.wanted_by -= 1;
        if entry.wanted_by == 0
            && let Some(Entry { state: State::Here(fetched), .. }) = self.entries.remove(hash)
        {
            self.bytes -= fetched.item.size();
        }
    }

    /// Whether the hash is wanted and nobody has been asked for it.
    pub(super) fn is_open(&self, hash: &B256) -> bool {
        matches!(self.entries.get(hash), Some(Entry { state: State::Wanted, .. }))
    }

    /// Marks a hash as on its way.
    pub(super) fn mark(&mut self, hash: &B256, request: RequestId) {
        if let Some(entry) = self.entries.get_mut(hash) {
            entry.state = State::Flying(request);
        }
    }

    /// The request came back without it.
    pub(super) fn unmark(&mut self, hash: &B256, request: RequestId) {
        if let Some(entry) = self.entries.get_mut(hash)
            && matches!(entry.state, State::Flying(id) if id == request)
        {
            entry.state = State::Wanted;
        }
    }

    /// Takes what has come, unless nobody wants it any more or it is here already.
    pub(super) fn put(&mut self, hash: B256, fetched: Fetched) {
        if let Some(entry) = self.entries.get_mut(&hash)
            && !matches!(entry.state, State::Here(_))
        {
            self.bytes += fetched.item.size();
            entry.state = State::Here(fetched);
        }
    }

    /// Throws away what came for a hash, as it was not true; it is wanted again.
    pub(super) fn discard(&mut self, hash: &B256) {
        if let Some(entry) = self.entries.get_mut(hash)
            && let State::Here(fetched) = std::mem::replace(&mut entry.state, State::Wanted)
        {
            self.bytes -= fetched.item.size();
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<&Fetched> {
        match &self.entries.get(hash)?.state {
            State::Here(fetched) => Some(fetched),
            _ => None,
        }
    }

    /// Bytes of what is here.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;

    use super::*;

    fn fetched(hash: B256) -> Fetched {
        let item = Item::Header(hash, Bytes::from(vec![0; 10]));
        Fetched { item, parent: B256::ZERO, number: 1, sender: PeerKey(1) }
    }

    #[test]
    fn a_hash_of_two_chains_is_fetched_once_and_goes_with_the_last() {
        let hash = B256::repeat_byte(1);
        let mut pool = Pool::default();
        pool.want(hash);
        pool.want(hash);
        assert!(pool.is_open(&hash));
        pool.mark(&hash, RequestId(7));
        assert!(!pool.is_open(&hash));
        pool.unmark(&hash, RequestId(6));
        assert!(!pool.is_open(&hash));
        pool.put(hash, fetched(hash));
        pool.put(hash, fetched(hash));
        assert_eq!((pool.bytes(), pool.len()), (10, 1));
        pool.unmark(&hash, RequestId(7));
        pool.release(&hash);
        assert!(pool.get(&hash).is_some());
        pool.release(&hash);
        assert_eq!((pool.bytes(), pool.len()), (0, 0));
        pool.put(hash, fetched(hash));
        assert_eq!((pool.bytes(), pool.len()), (0, 0));
    }

    #[test]
    fn what_was_not_true_is_wanted_again() {
        let hash = B256::repeat_byte(1);
        let mut pool = Pool::default();
        pool.want(hash);
        pool.mark(&hash, RequestId(1));
        pool.put(hash, fetched(hash));
        pool.discard(&hash);
        assert!(pool.is_open(&hash));
        assert_eq!(pool.bytes(), 0);
    }
}
