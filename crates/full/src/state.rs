//! The state that a block is executed on: what the EVM reads and writes, over the tries of one state root.
//!
//! Reads walk the account trie and storage tries of the root; what they find, and what transactions change, stays in
//! memory until [`State::root`] applies the changes to the tries and gives the new root. Before Byzantium that happens
//! after each transaction (its receipt carries the root), after it once a block.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alloy_primitives::map::AddressMap;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use eth_trie::{EthTrie, Trie, TrieError};
use revm::context::DBErrorMarker;
use revm::state::{Account, AccountInfo, Bytecode};
use revm::{Database, DatabaseCommit};
use rushlight_chain::store::StoreError;

use crate::nodes::Nodes;

/// The local state could not be read or changed. Never a block's fault.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A trie node that must be there is missing or damaged.
    #[error("state trie: {0}")]
    Trie(#[from] TrieError),
    /// An account's leaf is not the RLP of an account.
    #[error("account {address} in the state trie cannot be decoded: {error}")]
    Account {
        /// Whose leaf.
        address: Address,
        /// What is wrong with it.
        error: alloy_rlp::Error,
    },
    /// A storage leaf is not the RLP of a number.
    #[error("slot {slot} of {address} in its storage trie cannot be decoded: {error}")]
    Slot {
        /// Whose storage.
        address: Address,
        /// Which slot.
        slot: U256,
        /// What is wrong with its leaf.
        error: alloy_rlp::Error,
    },
    /// Code that an account refers to is not in the store.
    #[error("code {0} is missing from the store")]
    MissingCode(B256),
    /// A block hash that BLOCKHASH may ask for is not in the store.
    #[error("the hash of block {0} is missing from the store")]
    MissingBlockHash(u64),
}

impl DBErrorMarker for StateError {}

/// What is known of one account in this block.
#[derive(Debug, Default)]
struct Entry {
    /// As of now. Its storage root is that of the last [`State::root`].
    account: Option<TrieAccount>,
    /// Slots read or written.
    storage: HashMap<U256, U256>,
    /// Slots to write into the storage trie.
    changed_slots: HashSet<U256>,
    /// Whether the account's leaf is to be written.
    changed: bool,
}

/// Finds the hash of the block of a number among a block's ancestors.
pub(crate) type Ancestors<'a> = dyn Fn(u64) -> Option<B256> + 'a;

/// The state of one root, with the changes that a block makes to it.
pub(crate) struct State<'a> {
    nodes: Arc<Nodes>,
    root: B256,
    accounts: HashMap<Address, Entry>,
    codes: HashMap<B256, Bytecode>,
    /// Whether code may be a delegation (EIP-7702). Before Prague the same bytes were code like any other.
    delegations: bool,
    ancestors: &'a Ancestors<'a>,
    /// The first failure of a commit, which has no way to report it; [`State::root`] does.
    failed: Option<StateError>,
}

impl std::fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<'a> State<'a> {
    /// The state of `root`. `delegations`: whether EIP-7702 is in force. `ancestors` answers the BLOCKHASH instruction.
    pub(crate) fn new(nodes: Arc<Nodes>, root: B256, delegations: bool, ancestors: &'a Ancestors<'a>) -> Self {
        let (accounts, codes) = (HashMap::new(), HashMap::new());
        State { nodes, root, accounts, codes, delegations, ancestors, failed: None }
    }

    /// Adds `amount` to a balance, making the account if need be: block rewards and the DAO's refund.
    pub(crate) fn add_balance(&mut self, address: Address, amount: U256) -> Result<(), StateError> {
        let entry = self.entry(address)?;
        let account = entry.account.get_or_insert_default();
        account.balance = account.balance.saturating_add(amount);
        entry.changed = true;
        Ok(())
    }

    /// Takes an account's whole balance, making the account if need be: the DAO's fork, before empty accounts were
    /// cleared.
    pub(crate) fn drain_balance(&mut self, address: Address) -> Result<U256, StateError> {
        let entry = self.entry(address)?;
        entry.changed = true;
        Ok(std::mem::take(&mut entry.account.get_or_insert_default().balance))
    }

    /// Writes the changes so far into the tries and gives the root of the state after them.
    pub(crate) fn root(&mut self) -> Result<B256, StateError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if !self.accounts.values().any(|entry| entry.changed) {
            return Ok(self.root);
        }
        let mut trie = open(&self.nodes, self.root)?;
        for (address, entry) in self.accounts.iter_mut().filter(|(_, entry)| entry.changed) {
            entry.changed = false;
            let key = keccak256(address);
            let Some(account) = &mut entry.account else {
                trie.remove(key.as_slice())?;
                continue;
            };
            if !entry.changed_slots.is_empty() {
                let mut storage = open(&self.nodes, account.storage_root)?;
                for slot in entry.changed_slots.drain() {
                    let value = entry.storage.get(&slot).copied().unwrap_or_default();
                    put_slot(&mut storage, slot, value)?;
                }
                account.storage_root = storage.root_hash()?;
            }
            trie.insert(key.as_slice(), &alloy_rlp::encode(*account))?;
        }
        self.root = trie.root_hash()?;
        Ok(self.root)
    }

    fn entry(&mut self, address: Address) -> Result<&mut Entry, StateError> {
        match self.accounts.entry(address) {
            MapEntry::Occupied(entry) => Ok(entry.into_mut()),
            MapEntry::Vacant(place) => {
                let leaf = open(&self.nodes, self.root)?.get(keccak256(address).as_slice())?;
                let account = leaf
                    .map(|leaf| alloy_rlp::decode_exact(leaf.as_slice()))
                    .transpose()
                    .map_err(|error| StateError::Account { address, error })?;
                Ok(place.insert(Entry { account, ..Entry::default() }))
            }
        }
    }

    fn apply(&mut self, address: Address, change: Account) -> Result<(), StateError> {
        if !change.is_touched() {
            return Ok(());
        }
        let nodes = self.nodes.clone();
        let entry = self.entry(address)?;
        entry.changed = true;
        // EIP-161: an account that a transaction touched and left empty is no more. Before that fork the EVM marks an
        // empty account that comes to be as created, and leaves the flag of touch off one that was there before.
        if change.is_selfdestructed() || (change.is_empty() && !change.is_created()) {
            *entry = Entry { changed: true, ..Entry::default() };
            return Ok(());
        }
        if change.is_created() {
            // Nothing of what was at this address before stays.
            entry.storage.clear();
            entry.changed_slots.clear();
            entry.account = None;
        }
        let account = entry.account.get_or_insert_default();
        account.nonce = change.info.nonce;
        account.balance = change.info.balance;
        let new_code = account.code_hash != change.info.code_hash;
        account.code_hash = change.info.code_hash;
        for (slot, value) in change.changed_storage_slots() {
            entry.storage.insert(*slot, value.present_value());
            entry.changed_slots.insert(*slot);
        }
        if let Some(code) = change.info.code.filter(|_| new_code && change.info.code_hash != KECCAK_EMPTY) {
            nodes.put_hashed(change.info.code_hash, code.original_bytes().to_vec());
            self.codes.insert(change.info.code_hash, code);
        }
        Ok(())
    }
}

impl Database for State<'_> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.entry(address)?.account.as_ref().map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        if hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.codes.get(&hash) {
            return Ok(code.clone());
        }
        let code = self.nodes.preimage(&hash)?.ok_or(StateError::MissingCode(hash))?;
        let code = Bytes::from(code);
        let code = match Bytecode::new_raw_checked(code.clone()) {
            Ok(code) if self.delegations => code,
            // What begins like a delegation and is none is code that fails at its first byte.
            _ => Bytecode::new_legacy(code),
        };
        self.codes.insert(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let nodes = self.nodes.clone();
        let entry = self.entry(address)?;
        if let Some(value) = entry.storage.get(&slot) {
            return Ok(*value);
        }
        let Some(account) = &entry.account else { return Ok(U256::ZERO) };
        let value = match open(&nodes, account.storage_root)?.get(storage_key(slot).as_slice())? {
            Some(leaf) => {
                U256::decode(&mut leaf.as_slice()).map_err(|error| StateError::Slot { address, slot, error })?
            }
            None => U256::ZERO,
        };
        entry.storage.insert(slot, value);
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        (self.ancestors)(number).ok_or(StateError::MissingBlockHash(number))
    }
}

impl DatabaseCommit for State<'_> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, change) in changes {
            if let Err(error) = self.apply(address, change) {
                self.failed.get_or_insert(error);
            }
        }
    }
}

/// The trie of `root` over the nodes column; changes to it go there.
pub(crate) fn open(nodes: &Arc<Nodes>, root: B256) -> Result<EthTrie<Nodes>, TrieError> {
    if root == EMPTY_ROOT_HASH { Ok(EthTrie::new(nodes.clone())) } else { EthTrie::from(nodes.clone(), root) }
}

/// Writes a slot into a storage trie. Zero is absence (YP section 4.1).
pub(crate) fn put_slot(trie: &mut EthTrie<Nodes>, slot: U256, value: U256) -> Result<(), TrieError> {
    let key = storage_key(slot);
    if value.is_zero() {
        trie.remove(key.as_slice())?;
        return Ok(());
    }
    trie.insert(key.as_slice(), &alloy_rlp::encode(value))
}

fn storage_key(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

#[cfg(test)]
mod tests;
