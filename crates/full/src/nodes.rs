//! The nodes column: everything that a peer may look up by its Keccak-256, and the layer of it that is not written yet.
//!
//! One column holds state and storage trie nodes, code, the nodes of every block's transaction and receipt tries, the
//! transactions and the uncle lists, each under the hash of its bytes. Nothing is ever deleted: this is an archive.
//!
//! Blocks are executed in runs and a run is written in one batch, so new nodes wait here in two layers: those of the
//! block under way, and those of the blocks of the run that turned out good. A bad block's nodes are dropped, so that
//! nobody can fill the disk with blocks that are refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use rushlight_chain::store::{Batch, Column, Store, StoreError};

/// The RLP of the empty trie: the preimage of `EMPTY_ROOT_HASH`. It is known, so it is never stored.
const EMPTY_TRIE: [u8; 1] = [0x80];

#[derive(Default)]
struct Pending {
    /// Nodes of the blocks of this run that are good.
    run: HashMap<B256, Vec<u8>>,
    /// Nodes of the block that is being executed.
    block: HashMap<B256, Vec<u8>>,
}

/// The nodes column with the nodes of the run that is being executed in front of it. There is one writer at a time.
pub(crate) struct Nodes {
    store: Arc<dyn Store>,
    pending: Mutex<Pending>,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes").finish_non_exhaustive()
    }
}

impl Nodes {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Nodes { store, pending: Mutex::default() }
    }

    // The guard only ever covers map operations that leave the maps whole, so a panic elsewhere poisons nothing.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes whose Keccak-256 is `hash`, from the run under way or the store.
    pub(crate) fn preimage(&self, hash: &B256) -> Result<Option<Vec<u8>>, StoreError> {
        if *hash == EMPTY_ROOT_HASH {
            return Ok(Some(EMPTY_TRIE.to_vec()));
        }
        let pending = self.pending();
        if let Some(value) = pending.block.get(hash).or_else(|| pending.run.get(hash)) {
            return Ok(Some(value.clone()));
        }
        drop(pending);
        Ok(self.stored(hash)?.map(Vec::from))
    }

    /// As [`Nodes::preimage`], but only what has been written: what may be served.
    pub(crate) fn stored(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        self.store.get(Column::Nodes, hash.as_slice())
    }

    /// Adds `value` under its hash to the block under way, and gives the hash.
    pub(crate) fn put(&self, value: Vec<u8>) -> B256 {
        let hash = keccak256(&value);
        self.put_hashed(hash, value);
        hash
    }

    pub(crate) fn put_hashed(&self, hash: B256, value: Vec<u8>) {
        if hash != EMPTY_ROOT_HASH {
            self.pending().block.insert(hash, value);
        }
    }

    /// The block under way is good: its nodes join the run.
    pub(crate) fn keep_block(&self) {
        let pending = &mut *self.pending();
        pending.run.extend(pending.block.drain());
    }

    /// The block under way is bad: its nodes go.
    pub(crate) fn drop_block(&self) {
        self.pending().block.clear();
    }

    /// Puts the run's nodes into `batch`. They stay readable here until [`Nodes::clear`], which follows the write.
    pub(crate) fn write_to(&self, batch: &mut Batch) {
        for (hash, value) in &self.pending().run {
            batch.put(Column::Nodes, hash, value.clone());
        }
    }

    /// Forgets the run: it has been written, or given up.
    pub(crate) fn clear(&self) {
        *self.pending() = Pending::default();
    }
}

impl eth_trie::DB for Nodes {
    type Error = StoreError;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match B256::try_from(key) {
            Ok(hash) => self.preimage(&hash),
            Err(_) => Ok(None),
        }
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), StoreError> {
        if let Ok(hash) = B256::try_from(key) {
            self.put_hashed(hash, value);
        }
        Ok(())
    }

    /// Nothing: an archive keeps the nodes that a later state no longer uses.
    fn remove(&self, _key: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
