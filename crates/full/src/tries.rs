//! Tries made in one go: a block's transactions and receipts, and the genesis state.

use std::sync::Arc;

use alloy_genesis::Genesis;
use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use eth_trie::{EthTrie, Trie, TrieError};

use crate::nodes::Nodes;
use crate::state::put_slot;

/// The trie of a list under the RLP of its indices (YP section 4.3.2); its nodes go to `nodes`.
pub(crate) fn list_root(nodes: &Arc<Nodes>, items: &[impl AsRef<[u8]>]) -> Result<B256, TrieError> {
    if items.is_empty() {
        return Ok(EMPTY_ROOT_HASH);
    }
    let mut trie = EthTrie::new(nodes.clone());
    for (index, item) in items.iter().enumerate() {
        trie.insert(&alloy_rlp::encode(index), item.as_ref())?;
    }
    trie.root_hash()
}

/// The state of a genesis allocation; its nodes and code go to `nodes`. Every account of the file has a leaf, an empty
/// one too.
pub(crate) fn genesis_root(nodes: &Arc<Nodes>, genesis: &Genesis) -> Result<B256, TrieError> {
    let mut state = EthTrie::new(nodes.clone());
    for (address, account) in &genesis.alloc {
        let mut storage = EthTrie::new(nodes.clone());
        let mut storage_root = EMPTY_ROOT_HASH;
        if let Some(slots) = &account.storage {
            for (slot, value) in slots {
                put_slot(&mut storage, U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0))?;
            }
            storage_root = storage.root_hash()?;
        }
        let code_hash = match account.non_empty_code() {
            Some(code) => nodes.put(code.to_vec()),
            None => KECCAK_EMPTY,
        };
        let account =
            TrieAccount { nonce: account.nonce.unwrap_or_default(), balance: account.balance, storage_root, code_hash };
        state.insert(keccak256(address).as_slice(), &alloy_rlp::encode(account))?;
    }
    if genesis.alloc.is_empty() { Ok(EMPTY_ROOT_HASH) } else { state.root_hash() }
}
