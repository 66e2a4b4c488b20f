//! Bytes by their Keccak-256: an LRU in memory in front of a column on disk, both bounded in bytes.
//!
//! Nothing goes in that does not hash to its key, and what comes back from disk is hashed again: a damaged disk costs a
//! look-up, never a wrong answer. On disk the oldest entry goes first; what is read often stays in memory meanwhile.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{B256, Bytes, keccak256};
use lru::LruCache;
use rushlight_chain::store::{Batch, Column, Direction, Store, StoreError};
use tracing::warn;

/// Counted for an entry in memory beside its bytes: key, links and map slot.
const MEMORY_OVERHEAD: usize = 160;
/// Counted for an entry on disk beside its bytes: the key and the sequence number in both columns, and the length.
const DISK_OVERHEAD: u64 = 32 + 8 + 8 + 32 + 4;
/// Entries looked at in one step of eviction.
const EVICTION_STEP: usize = 256;
/// Entries evicted in one batch, so that a budget that has shrunk makes no batch of gigabytes.
const EVICTION_BATCH: usize = 16_384;
/// The bytes on disk, as counted here: kept in the same batches as the entries.
const SIZE_KEY: &[u8] = b"odr/verified-size";

/// The bounds of a [`VerifiedStore`].
#[derive(Clone, Debug)]
pub struct VerifiedStoreConfig {
    /// Bytes in memory, entries' overhead included. Default 16 MiB: the upper levels of a few states.
    pub memory: usize,
    /// Bytes on disk, keys included, before compression. Default 256 MiB.
    pub disk: u64,
}

impl Default for VerifiedStoreConfig {
    fn default() -> Self {
        Self { memory: 16 << 20, disk: 256 << 20 }
    }
}

/// Bytes that do not hash to the key they were offered under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected bytes that hash to {expected}, got some that hash to {got}")]
pub struct NotItsPreimage {
    /// The key.
    pub expected: B256,
    /// The hash of what was offered.
    pub got: B256,
}

/// The verified store; a cheap handle. Calls block for as long as a read or write of the store below, microseconds
/// mostly: they may be made from async code.
#[derive(Clone)]
pub struct VerifiedStore {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    config: VerifiedStoreConfig,
    memory: Mutex<Memory>,
    disk: Mutex<Disk>,
}

struct Memory {
    entries: LruCache<B256, Bytes>,
    size: usize,
}

/// Where the column on disk begins and ends.
struct Disk {
    oldest: u64,
    next: u64,
    size: u64,
}

impl fmt::Debug for VerifiedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedStore").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl VerifiedStore {
    /// Goes on with what the columns hold, and evicts down to a disk budget that has shrunk since.
    pub fn open(store: Arc<dyn Store>, config: VerifiedStoreConfig) -> Result<Self, StoreError> {
        let oldest = store.scan(Column::VerifiedOrder, &[], Direction::Forward, 1)?;
        let newest = store.scan(Column::VerifiedOrder, &u64::MAX.to_be_bytes(), Direction::Reverse, 1)?;
        let oldest = oldest.first().map(|(key, _)| number(key)).transpose()?.unwrap_or(0);
        let next = newest.first().map(|(key, _)| number(key)).transpose()?.map_or(0, |last| last.saturating_add(1));
        let size = store.get(Column::Meta, SIZE_KEY)?.map(|value| number(&value)).transpose()?.unwrap_or(0);
        let disk = Disk { oldest, next, size };
        let memory = Memory { entries: LruCache::unbounded(), size: 0 };
        let shared = Shared { store, config, memory: Mutex::new(memory), disk: Mutex::new(disk) };
        let this = Self { shared: Arc::new(shared) };
        while this.size().1 > this.shared.config.disk {
            let before = this.size().1;
            this.write(&[])?;
            if this.size().1 == before {
                // Nothing left to evict, and still bytes counted: the count was wrong, as after damage.
                lock(&this.shared.disk).size = 0;
            }
        }
        Ok(this)
    }

    /// The bytes that hash to `hash`, if held.
    pub fn get(&self, hash: &B256) -> Option<Bytes> {
        if let Some(bytes) = lock(&self.shared.memory).entries.get(hash) {
            return Some(bytes.clone());
        }
        let value = self.shared.store.get(Column::Verified, hash.as_slice());
        self.checked(hash, value)
    }

    /// As [`Self::get`] for many, with one read of the disk.
    pub fn get_many(&self, hashes: &[B256]) -> Vec<Option<Bytes>> {
        let mut memory = lock(&self.shared.memory);
        let mut found: Vec<_> = hashes.iter().map(|hash| memory.entries.get(hash).cloned()).collect();
        drop(memory);
        let missing: Vec<_> = (0..found.len()).filter(|index| found[*index].is_none()).collect();
        if missing.is_empty() {
            return found;
        }
        let keys: Vec<_> = missing.iter().map(|index| hashes[*index].as_slice()).collect();
        match self.shared.store.multi_get(Column::Verified, &keys) {
            Ok(values) => {
                for (index, value) in missing.into_iter().zip(values) {
                    found[index] = self.checked(&hashes[index], Ok(value));
                }
            }
            Err(error) => warn!(%error, "verified store: reading failed; asking peers instead"),
        }
        found
    }

    /// Takes `bytes` in, if they hash to `hash`.
    pub fn insert(&self, hash: B256, bytes: &[u8]) -> Result<(), NotItsPreimage> {
        self.insert_many(&[(hash, bytes)])
    }

    /// Takes all entries in with one write, or none of them if one does not hash to its key. A disk that cannot be
    /// written to is logged; the entries are then held in memory only.
    pub fn insert_many(&self, entries: &[(B256, &[u8])]) -> Result<(), NotItsPreimage> {
        for (expected, bytes) in entries {
            let got = keccak256(bytes);
            if got != *expected {
                return Err(NotItsPreimage { expected: *expected, got });
            }
        }
        for (hash, bytes) in entries {
            self.remember(*hash, Bytes::copy_from_slice(bytes));
        }
        if let Err(error) = self.write(entries) {
            warn!(%error, "verified store: writing failed; kept in memory only");
        }
        Ok(())
    }

    /// The bytes counted in memory and on disk.
    pub fn size(&self) -> (usize, u64) {
        (lock(&self.shared.memory).size, lock(&self.shared.disk).size)
    }

    fn checked(&self, hash: &B256, value: Result<Option<Bytes>, StoreError>) -> Option<Bytes> {
        match value {
            Ok(Some(value)) => {
                let bytes = value.get(8..).unwrap_or_default();
                if keccak256(bytes) != *hash {
                    warn!(%hash, "verified store: an entry on disk is damaged; asking peers instead");
                    // So that a good one can take its place. Its order is left to eviction.
                    let mut batch = Batch::new();
                    batch.delete(Column::Verified, hash);
                    if let Err(error) = self.shared.store.write(batch) {
                        warn!(%error, "verified store: writing failed");
                    }
                    return None;
                }
                let bytes = Bytes::copy_from_slice(bytes);
                self.remember(*hash, bytes.clone());
                Some(bytes)
            }
            Ok(None) => None,
            Err(error) => {
                warn!(%error, "verified store: reading failed; asking peers instead");
                None
            }
        }
    }

    /// Puts into memory. `bytes` must be an allocation of their own: a slice of a message would hold all of it.
    fn remember(&self, hash: B256, bytes: Bytes) {
        let size = bytes.len() + MEMORY_OVERHEAD;
        if size > self.shared.config.memory {
            return;
        }
        let mut memory = lock(&self.shared.memory);
        memory.size += size;
        if let Some(old) = memory.entries.put(hash, bytes) {
            memory.size -= old.len() + MEMORY_OVERHEAD;
        }
        while memory.size > self.shared.config.memory {
            let Some((_, oldest)) = memory.entries.pop_lru() else { break };
            memory.size -= oldest.len() + MEMORY_OVERHEAD;
        }
    }

    /// Appends what is not there yet, evicts the oldest beyond the budget, and counts: all in one batch.
    fn write(&self, entries: &[(B256, &[u8])]) -> Result<(), StoreError> {
        let Shared { store, config, .. } = &*self.shared;
        let mut disk = lock(&self.shared.disk);
        let (mut next, mut oldest, mut size) = (disk.next, disk.oldest, disk.size);
        let mut batch = Batch::new();
        for (index, (hash, bytes)) in entries.iter().enumerate() {
            let cost = bytes.len() as u64 + DISK_OVERHEAD;
            let repeated = entries[..index].iter().any(|(earlier, _)| earlier == hash);
            if repeated || cost > config.disk || store.contains(Column::Verified, hash.as_slice())? {
                continue;
            }
            let sequence = next.to_be_bytes();
            batch.put(Column::Verified, hash, [&sequence[..], bytes].concat());
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
            batch.put(Column::VerifiedOrder, sequence, [hash.as_slice(), &length].concat());
            next += 1;
            size += cost;
        }
        // Entries of this very batch are not on disk yet, so eviction stops at the last one written before.
        while size > config.disk && oldest < disk.next && batch.len() < 2 * EVICTION_BATCH {
            let step = store.scan(Column::VerifiedOrder, &oldest.to_be_bytes(), Direction::Forward, EVICTION_STEP)?;
            if step.is_empty() {
                oldest = disk.next;
            }
            for (key, value) in step {
                if size <= config.disk {
                    break;
                }
                let (hash, length) = value
                    .split_at_checked(32)
                    .and_then(|(hash, length)| Some((hash, u32::from_be_bytes(length.try_into().ok()?))))
                    .ok_or_else(|| StoreError::Damaged { what: "order of the verified store".into() })?;
                batch.delete(Column::Verified, hash);
                batch.delete(Column::VerifiedOrder, &key);
                size = size.saturating_sub(u64::from(length) + DISK_OVERHEAD);
                oldest = number(&key)?.saturating_add(1);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.put(Column::Meta, SIZE_KEY, size.to_be_bytes());
        store.write(batch)?;
        *disk = Disk { oldest, next, size };
        Ok(())
    }
}

fn number(bytes: &[u8]) -> Result<u64, StoreError> {
    let damaged = |_| StoreError::Damaged { what: format!("a number of {} bytes in the verified store", bytes.len()) };
    bytes.try_into().map(u64::from_be_bytes).map_err(damaged)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rushlight_chain::store::MemoryStore;

    use super::*;

    fn entry(seed: u32, length: usize) -> (B256, Vec<u8>) {
        let bytes: Vec<u8> = seed.to_be_bytes().into_iter().cycle().take(length.max(4)).collect();
        (keccak256(&bytes), bytes)
    }

    fn open(store: &Arc<MemoryStore>, memory: usize, disk: u64) -> VerifiedStore {
        VerifiedStore::open(store.clone(), VerifiedStoreConfig { memory, disk }).unwrap()
    }

    #[test]
    fn takes_only_what_hashes_to_its_key() {
        let store = open(&Arc::default(), 1 << 20, 1 << 20);
        let (hash, bytes) = entry(1, 100);
        let error = store.insert(hash, &bytes[1..]).unwrap_err();
        assert_eq!(error, NotItsPreimage { expected: hash, got: keccak256(&bytes[1..]) });
        assert_eq!(store.get(&hash), None);
        store.insert(hash, &bytes).unwrap();
        assert_eq!(store.get(&hash).unwrap(), bytes);
    }

    #[test]
    fn the_oldest_goes_first_across_restarts() {
        let below = Arc::new(MemoryStore::new());
        let entries: Vec<_> = (0..30).map(|seed| entry(seed, 100)).collect();
        let budget = 10 * (100 + DISK_OVERHEAD);
        for chunk in entries.chunks(3) {
            let store = open(&below, 0, budget);
            for (hash, bytes) in chunk {
                store.insert(*hash, bytes).unwrap();
            }
        }
        let store = open(&below, 0, budget);
        let held: Vec<_> = entries.iter().map(|(hash, _)| store.get(hash).is_some()).collect();
        assert_eq!(held, (0..30).map(|index| index >= 20).collect::<Vec<_>>());
        // A smaller budget takes effect at once.
        let store = open(&below, 0, budget / 2);
        assert_eq!(store.size().1, budget / 2);
        assert!(store.get(&entries[24].0).is_none() && store.get(&entries[25].0).is_some());
    }

    #[test]
    fn damage_on_disk_is_no_answer() {
        let below = Arc::new(MemoryStore::new());
        let (hash, bytes) = entry(1, 50);
        open(&below, 0, 1 << 20).insert(hash, &bytes).unwrap();
        for damaged in [vec![], vec![1; 5], vec![0; 58]] {
            let mut batch = Batch::new();
            batch.put(Column::Verified, hash, damaged);
            below.write(batch).unwrap();
            let store = open(&below, 0, 1 << 20);
            assert_eq!(store.get(&hash), None);
            assert_eq!(store.get_many(&[hash]), [None]);
            // What a peer gives anew takes its place.
            store.insert(hash, &bytes).unwrap();
            assert_eq!(store.get(&hash).unwrap(), bytes);
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_and_nothing_is_miscounted(
            memory in 0usize..4000,
            disk in 0u64..4000,
            inserts in proptest::collection::vec(proptest::collection::vec((0u32..40, 0usize..600), 0..5), 0..30),
        ) {
            let below = Arc::new(MemoryStore::new());
            let store = open(&below, memory, disk);
            for batch in &inserts {
                let entries: Vec<_> = batch.iter().map(|(seed, length)| entry(*seed, *length)).collect();
                let borrowed: Vec<_> = entries.iter().map(|(hash, bytes)| (*hash, bytes.as_slice())).collect();
                store.insert_many(&borrowed).unwrap();
                for (hash, bytes) in &entries {
                    prop_assert!(store.get(hash).is_none_or(|held| held == *bytes));
                }
                let hashes: Vec<_> = entries.iter().map(|(hash, _)| *hash).collect();
                prop_assert_eq!(store.get_many(&hashes), hashes.iter().map(|hash| store.get(hash)).collect::<Vec<_>>());
                let (in_memory, on_disk) = store.size();
                prop_assert!(in_memory <= memory);
                // One batch may stand above the budget until the next: its own entries are evicted then.
                let own: u64 = entries.iter().map(|(_, bytes)| bytes.len() as u64 + DISK_OVERHEAD).sum();
                prop_assert!(on_disk <= disk + own);
                let values = below.scan(Column::Verified, &[], Direction::Forward, 1000).unwrap();
                let order = below.scan(Column::VerifiedOrder, &[], Direction::Forward, 1000).unwrap();
                let counted: u64 = values.iter().map(|(_, value)| value.len() as u64 - 8 + DISK_OVERHEAD).sum();
                prop_assert_eq!(counted, on_disk);
                prop_assert_eq!(values.len(), order.len());
            }
            let size = store.size().1;
            prop_assert_eq!(open(&below, memory, u64::MAX).size().1, size);
            prop_assert!(open(&below, memory, disk).size().1 <= disk);
        }
    }
}
