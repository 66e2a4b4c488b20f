//! The store as it is after each single write: what a kill at that moment leaves.

use super::*;
use crate::store::{Batch, Direction};

/// Keeps what the store holds after each write.
pub(super) struct Recording {
    pub(super) inner: MemoryStore,
    pub(super) after: Mutex<Vec<MemoryStore>>,
}

impl Store for Recording {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(column, key)
    }

    fn scan(
        &self,
        column: Column,
        from: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.inner.scan(column, from, direction, limit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.inner.write(batch)?;
        self.after.lock().unwrap().push(self.inner.snapshot());
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.inner.size_bytes()
    }
}

/// Everything that happens to a chain: growth, forks, settling, a refused stretch, eviction.
fn live(chain: &HeaderChain) {
    let ours = miner(1).headers(&genesis(), 40);
    let theirs = miner(2).headers(&ours[9], 45);
    let third = miner(3).headers(&ours[29], 30);
    let bad = chain_with_bad_seal(&miner(4), &ours[19], 60, 30);
    let late = miner(5).headers(&theirs[20], 60);
    let _ = chain.extend(&raw(&ours));
    let _ = chain.extend(&raw(&bad));
    let _ = chain.settle(ours[24].hash_ref());
    let _ = chain.extend(&raw(&theirs));
    let _ = chain.settle(bad[59].hash_ref());
    let _ = chain.settle(theirs[44].hash_ref());
    for header in &third {
        let _ = chain.extend(&raw(std::slice::from_ref(header)));
    }
    let _ = chain.settle(third[29].hash_ref());
    let _ = chain.extend(&raw(&late));
    let _ = chain.settle(late[59].hash_ref());
    for tag in 10..20 {
        let _ = chain.extend(&raw(&miner(tag).headers(&late[usize::from(tag)], 1)));
    }
}

#[test]
fn a_kill_after_any_write_leaves_a_whole_chain() {
    for (rewrite, policy) in
        [(1024, SealPolicy::Sampled), (0, SealPolicy::Sampled), (1024, SealPolicy::All), (5, SealPolicy::All)]
    {
        let limits = Limits { rewrite, side_branches: 4, provisional: 4, ..Limits::default() };
        let store = Arc::new(Recording { inner: MemoryStore::new(), after: Mutex::default() });
        let rig = Rig::with(policy, limits, store.clone());
        live(&rig.chain);
        audit(&rig.chain);
        let head = rig.chain.head();
        let kept = std::mem::take(&mut *store.after.lock().unwrap());
        assert!(kept.len() > 20, "{} writes", kept.len());
        let mut last_td = U256::ZERO;
        for store in kept {
            let rig = Rig::with(policy, limits, Arc::new(store));
            audit(&rig.chain);
            assert!(rig.chain.head().td >= last_td, "the head never falls back");
            last_td = rig.chain.head().td;
            // Living through it all again comes to the same end.
            live(&rig.chain);
            audit(&rig.chain);
            assert_eq!(rig.chain.head().td, head.td);
        }
    }
}

#[test]
fn a_kill_while_headers_are_thinned_leaves_a_whole_chain() {
    for policy in [SealPolicy::Sampled, SealPolicy::All] {
        let limits = Limits { rewrite: 5, side_branches: 4, provisional: 4, spacing: 4 };
        let store = Arc::new(Recording { inner: MemoryStore::new(), after: Mutex::default() });
        let retain = Retain::Last(10);
        let rig = Rig::retaining(retain, policy, limits, store.clone());
        live(&rig.chain);
        audit(&rig.chain);
        let kept = std::mem::take(&mut *store.after.lock().unwrap());
        let mut last_td = U256::ZERO;
        for store in kept {
            let rig = Rig::retaining(retain, policy, limits, Arc::new(store));
            audit(&rig.chain);
            assert!(rig.chain.head().td >= last_td, "the head never falls back");
            last_td = rig.chain.head().td;
            live(&rig.chain);
            audit(&rig.chain);
        }
    }
}

#[test]
fn a_failing_store_changes_nothing() {
    struct Failing(MemoryStore, std::sync::atomic::AtomicBool);
    impl Store for Failing {
        fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
            self.0.get(column, key)
        }
        fn scan(
            &self,
            column: Column,
            from: &[u8],
            direction: Direction,
            limit: usize,
        ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
            self.0.scan(column, from, direction, limit)
        }
        fn write(&self, batch: Batch) -> Result<(), StoreError> {
            if self.1.load(Ordering::Relaxed) {
                return Err(StoreError::Io { action: "writing", error: "the disk is full".to_owned() });
            }
            self.0.write(batch)
        }
        fn sync(&self) -> Result<(), StoreError> {
            Ok(())
        }
        fn size_bytes(&self) -> Result<u64, StoreError> {
            self.0.size_bytes()
        }
    }
    let store = Arc::new(Failing(MemoryStore::new(), false.into()));
    let rig = Rig::with(SealPolicy::All, Limits::default(), store.clone());
    let headers = miner(1).headers(&genesis(), 5);
    rig.extend(&headers[..2]).unwrap();
    store.1.store(true, Ordering::Relaxed);
    let error = rig.extend(&headers).unwrap_err();
    assert!(error.error.is_local(), "{error}");
    assert_eq!(rig.chain.head().header, headers[1]);
    store.1.store(false, Ordering::Relaxed);
    assert_eq!(rig.extend(&headers).unwrap().added, 3);
}

#[test]
fn a_damaged_chain_is_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let rig = Rig::with(SealPolicy::All, Limits::default(), store.clone());
    let headers = miner(1).headers(&genesis(), 20);
    rig.extend(&headers).unwrap();
    let Rig { seals, now, .. } = rig;
    let reopened = || open(Retain::All, SealPolicy::All, Limits::default(), &store, &seals, &now);

    let key = headers[15].hash();
    let record = store.get(Column::Headers, key.as_slice()).unwrap().unwrap();
    let mut batch = Batch::new();
    batch.delete(Column::Headers, key);
    store.write(batch).unwrap();
    let error = reopened().unwrap_err();
    assert!(error.to_string().contains("block 16") && error.to_string().contains("not there"), "{error}");

    let mut bent = record.to_vec();
    bent[100] ^= 1;
    let mut batch = Batch::new();
    batch.put(Column::Headers, key, bent);
    store.write(batch).unwrap();
    assert!(matches!(reopened(), Err(ChainError::Store(StoreError::Damaged { .. }))));

    let mut batch = Batch::new();
    batch.put(Column::Headers, key, record);
    batch.put(Column::Meta, b"head", b"\xc0");
    store.write(batch).unwrap();
    assert!(matches!(reopened(), Err(ChainError::Store(StoreError::Damaged { .. }))));
}
