//! The store in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use alloy_primitives::Bytes;

use super::{Batch, Column, Direction, Op, Store, StoreError};

type Map = BTreeMap<Bytes, Bytes>;

/// A store in memory, for tests, simulations and fuzzing. It ends with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    columns: RwLock<BTreeMap<Column, Map>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// A second store with what this one holds now: what a restart after kill -9 would find.
    pub fn snapshot(&self) -> MemoryStore {
        MemoryStore { columns: RwLock::new(self.columns().clone()) }
    }

    /// Writing cannot stop half-way, so a panic elsewhere leaves the maps whole and the lock's poison means nothing.
    fn columns(&self) -> RwLockReadGuard<'_, BTreeMap<Column, Map>> {
        self.columns.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.columns().get(&column).and_then(|map| map.get(key)).cloned())
    }

    fn scan(
        &self,
        column: Column,
        from: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let columns = self.columns();
        let Some(map) = columns.get(&column) else { return Ok(Vec::new()) };
        let own = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Forward => {
                map.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)).take(limit).map(own).collect()
            }
            Direction::Reverse => {
                map.range::<[u8], _>((Bound::Unbounded, Bound::Included(from))).rev().take(limit).map(own).collect()
            }
        })
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut columns = self.columns.write().unwrap_or_else(PoisonError::into_inner);
        for op in batch.into_ops() {
            match op {
                Op::Put { column, key, value } => {
                    columns.entry(column).or_default().insert(key, value);
                }
                Op::Delete { column, key } => {
                    if let Some(map) = columns.get_mut(&column) {
                        map.remove(&key);
                    }
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        let entry = |(key, value): (&Bytes, &Bytes)| (key.len() + value.len()) as u64;
        Ok(self.columns().values().flat_map(|map| map.iter().map(entry)).sum())
    }
}
