//! Headers below the retained ones that were asked for lately, so that what follows on the same block costs no second
//! download.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{B256, U256};
use lru::LruCache;
use rushlight_chain::SealedHeader;

/// Headers kept: two spans between anchors, about 0.8 MB.
const HEADERS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// A header with what it was proved by.
#[derive(Clone, Debug)]
pub(crate) struct Old {
    pub(crate) header: SealedHeader,
    /// Total difficulty, its own included.
    pub(crate) td: U256,
    /// The header of our chain that it is an ancestor of. It is on our chain as long as that one is.
    pub(crate) anchor: B256,
}

pub(crate) struct OldHeaders(Mutex<LruCache<B256, Old>>);

impl Default for OldHeaders {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(HEADERS)))
    }
}

impl OldHeaders {
    /// Keeps the ancestors of `from`, parent first, each linked to the one before.
    pub(crate) fn keep(&self, from: Old, headers: Vec<SealedHeader>) {
        let mut cache = self.lock();
        let Old { header: mut child, mut td, anchor } = from;
        for header in headers {
            td = td.saturating_sub(child.difficulty);
            cache.put(header.hash(), Old { header: header.clone(), td, anchor });
            child = header;
        }
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<Old> {
        self.lock().get(hash).cloned()
    }

    /// The ancestor of `anchor` with that number.
    pub(crate) fn at(&self, number: u64, anchor: &B256) -> Option<SealedHeader> {
        let mut cache = self.lock();
        let found = cache.iter().find(|(_, old)| old.header.number == number && old.anchor == *anchor);
        let hash = found.map(|(hash, _)| *hash)?;
        cache.get(&hash).map(|old| old.header.clone())
    }

    /// The lowest ancestor of `anchor` above that number: what is fetched from there on links as well as from the anchor.
    pub(crate) fn lowest_above(&self, number: u64, anchor: &B256) -> Option<Old> {
        let cache = self.lock();
        let above = cache.iter().map(|(_, old)| old).filter(|old| old.header.number > number && old.anchor == *anchor);
        above.min_by_key(|old| old.header.number).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<B256, Old>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
