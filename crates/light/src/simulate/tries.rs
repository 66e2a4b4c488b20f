//! Tries that change over a state of which only the paths are held: nodes that were looked up, and those that are new.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use eth_trie::{DB, EthTrie, Trie, TrieError};

use crate::call::Known;

/// Nodes by their hashes.
pub(super) struct Nodes<'a> {
    known: &'a Known,
    new: Mutex<HashMap<B256, Vec<u8>>>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(known: &'a Known) -> Self {
        Self { known, new: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<B256, Vec<u8>>> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DB for Nodes<'_> {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        let Ok(hash) = B256::try_from(key) else { return Ok(None) };
        if let Some(node) = self.lock().get(&hash) {
            return Ok(Some(node.clone()));
        }
        Ok(self.known.node(&hash).map(|node| node.to_vec()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), Infallible> {
        if let Ok(hash) = B256::try_from(key) {
            self.lock().insert(hash, value);
        }
        Ok(())
    }

    fn remove(&self, _: &[u8]) -> Result<(), Infallible> {
        // A later block may come back to an earlier root.
        Ok(())
    }

    fn flush(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What came of a change to a trie.
pub(super) enum Changed<T> {
    Done(T),
    /// It needs a node that is not held.
    Missing(B256),
}

/// Sorts missing nodes from what is wrong with a trie.
pub(super) fn changed<T>(result: Result<T, TrieError>, root: B256) -> Result<Changed<T>, String> {
    match result {
        Ok(done) => Ok(Changed::Done(done)),
        Err(TrieError::MissingTrieNode { node_hash, .. }) => Ok(Changed::Missing(node_hash)),
        Err(TrieError::InvalidStateRoot) => Ok(Changed::Missing(root)),
        Err(error) => Err(error.to_string()),
    }
}

/// The trie of `root`.
pub(super) fn open<'a>(nodes: &Arc<Nodes<'a>>, root: B256) -> Result<EthTrie<Nodes<'a>>, TrieError> {
    if root == EMPTY_ROOT_HASH { Ok(EthTrie::new(nodes.clone())) } else { EthTrie::from(nodes.clone(), root) }
}

/// Writes a slot into a storage trie. Zero is absence.
pub(super) fn put_slot(trie: &mut EthTrie<Nodes<'_>>, slot: U256, value: U256) -> Result<(), TrieError> {
    let key = keccak256(slot.to_be_bytes::<32>());
    if value.is_zero() {
        return trie.remove(key.as_slice()).map(drop);
    }
    trie.insert(key.as_slice(), &alloy_rlp::encode(value))
}
