//! The state that simulated blocks are executed on: reads through what was looked up, keeps what changes, and writes the
//! changes into tries for the roots.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::{Address, B256, U256, keccak256, map::AddressMap};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use eth_trie::Trie;
use revm::{
    Database, DatabaseCommit,
    database::AccountState,
    state::{Account, AccountInfo, Bytecode},
};
use rushlight_odr::What;

use super::tries::{self, Changed, Nodes, changed};
use crate::call::{CallError, Ground, Halted, RunError, State, StateOverrides};

/// What the changes since the last root did to an account.
#[derive(Debug, Default)]
struct Change {
    /// It is no more.
    gone: bool,
    /// Nothing of its storage from before stays.
    cleared: bool,
    slots: BTreeMap<U256, U256>,
}

impl Change {
    fn clear(&mut self) {
        self.cleared = true;
        self.slots.clear();
    }
}

/// An account's storage as of the last root.
#[derive(Clone, Copy, Debug)]
struct Storage {
    root: B256,
    /// Whether paths of its trie can be looked up below `base`.
    base: Option<B256>,
}

/// The state after a block of the chain, and what simulated blocks make of it.
pub(super) struct Working<'a> {
    pub(super) state: State<'a>,
    changes: BTreeMap<Address, Change>,
    /// The storages that are no longer what the chain has.
    storages: HashMap<Address, Storage>,
    nodes: Arc<Nodes<'a>>,
    base: B256,
    root: B256,
}

impl std::fmt::Debug for Working<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Working").field("base", &self.base).finish_non_exhaustive()
    }
}

impl<'a> Working<'a> {
    /// The state of `root`.
    pub(super) fn new(ground: &'a Ground, root: B256) -> Self {
        Self {
            state: ground.state(),
            changes: BTreeMap::new(),
            storages: HashMap::new(),
            nodes: Arc::new(Nodes::new(&ground.known)),
            base: root,
            root,
        }
    }

    /// What was looked up so far.
    pub(super) fn ground(&self) -> &'a Ground {
        self.state.db
    }

    /// What BLOCKHASH answers for `number` from now on.
    pub(super) fn set_block_hash(&mut self, number: u64, hash: B256) {
        self.state.cache.block_hashes.insert(U256::from(number), hash);
    }

    /// Adds wei to a balance, making the account if need be: withdrawals and rewards.
    pub(super) fn add_balance(&mut self, address: Address, amount: U256) -> Result<(), Halted> {
        let mut info = self.state.basic(address)?.unwrap_or_default();
        info.balance = info.balance.saturating_add(amount);
        self.state.insert_account_info(address, info);
        self.changes.entry(address).or_default().gone = false;
        Ok(())
    }

    /// Notes what overrides changed, which have been written into the state.
    pub(super) fn overridden(&mut self, overrides: &StateOverrides) {
        for (address, account) in overrides {
            let touched = account.balance.is_some() || account.nonce.is_some() || account.code.is_some();
            let slots = account.state.as_ref().or(account.state_diff.as_ref());
            if !touched && account.state.is_none() && slots.is_none_or(BTreeMap::is_empty) {
                continue;
            }
            let change = self.changes.entry(*address).or_default();
            change.gone = false;
            if account.state.is_some() {
                change.clear();
            }
            let number = |word: &B256| U256::from_be_bytes(word.0);
            let slots = slots.into_iter().flatten();
            change.slots.extend(slots.map(|(slot, value)| (number(slot), number(value))));
        }
    }

    fn note(&mut self, address: Address, account: &Account) {
        if !account.is_touched() {
            return;
        }
        let change = self.changes.entry(address).or_default();
        // EIP-161: an account that a transaction touched and left empty is no more. Before that fork the EVM marks an
        // empty account that comes to be as created, and leaves the flag of touch off one that was there before.
        change.gone = account.is_selfdestructed() || (account.is_empty() && !account.is_created());
        if change.gone || account.is_created() {
            change.clear();
        }
        if !change.gone {
            let slots = account.changed_storage_slots();
            change.slots.extend(slots.map(|(slot, value)| (*slot, value.present_value())));
        }
    }

    /// The root of the state as it is now; `None` while something is missing that it takes.
    pub(super) fn root(&mut self) -> Result<Option<B256>, RunError> {
        if !self.paths_are_held()? {
            return Ok(None);
        }
        let ground = self.ground();
        let mut complete = true;
        let mut accounts = match changed(tries::open(&self.nodes, self.root), self.root).map_err(broken)? {
            Changed::Done(trie) => trie,
            Changed::Missing(hash) => {
                let address = self.changes.keys().next().copied().unwrap_or_default();
                ground.want_node(hash, What::AccountNode { root: self.base, address })?;
                return Ok(None);
            }
        };
        let mut storages = Vec::new();
        for (address, change) in &self.changes {
            let key = keccak256(address);
            let what = What::AccountNode { root: self.base, address: *address };
            if change.gone {
                match changed(accounts.remove(key.as_slice()), self.root).map_err(broken)? {
                    Changed::Done(_) => {}
                    Changed::Missing(hash) => {
                        ground.want_node(hash, what)?;
                        complete = false;
                    }
                }
                storages.push((*address, Storage { root: EMPTY_ROOT_HASH, base: None }));
                continue;
            }
            let storage = match self.storage_of(*address, change) {
                storage if change.slots.is_empty() => storage,
                storage => match self.write_slots(*address, change, storage)? {
                    Some(root) => Storage { root, ..storage },
                    None => {
                        complete = false;
                        continue;
                    }
                },
            };
            storages.push((*address, storage));
            let info = self.state.basic(*address)?.unwrap_or_default();
            let account = TrieAccount {
                nonce: info.nonce,
                balance: info.balance,
                storage_root: storage.root,
                code_hash: info.code_hash,
            };
            let written = accounts.insert(key.as_slice(), &alloy_rlp::encode(account));
            match changed(written, self.root).map_err(broken)? {
                Changed::Done(()) => {}
                Changed::Missing(hash) => {
                    ground.want_node(hash, what)?;
                    complete = false;
                }
            }
        }
        if !complete {
            return Ok(None);
        }
        self.root = accounts.root_hash().map_err(|error| broken(error.to_string()))?;
        self.storages.extend(storages);
        self.changes.clear();
        Ok(Some(self.root))
    }

    /// Whether the paths to all that changed are held; asks for those that are not, all at once.
    fn paths_are_held(&self) -> Result<bool, Halted> {
        let ground = self.ground();
        let mut held = ground.is_complete();
        for (address, change) in &self.changes {
            held &= ground.want_path(What::AccountNode { root: self.base, address: *address })?;
            let Some(root) = self.storage_of(*address, change).base else { continue };
            for slot in change.slots.keys() {
                let slot = B256::from(*slot);
                held &= ground.want_path(What::StorageNode { root, address: *address, slot })?;
            }
        }
        Ok(held)
    }

    /// The storage that a change goes into.
    fn storage_of(&self, address: Address, change: &Change) -> Storage {
        if change.cleared {
            return Storage { root: EMPTY_ROOT_HASH, base: None };
        }
        if let Some(storage) = self.storages.get(&address) {
            return *storage;
        }
        let root = match self.ground().known.account(&address) {
            Some(Some(account)) => account.storage_root,
            _ => EMPTY_ROOT_HASH,
        };
        Storage { root, base: (root != EMPTY_ROOT_HASH).then_some(root) }
    }

    fn write_slots(&self, address: Address, change: &Change, storage: Storage) -> Result<Option<B256>, RunError> {
        let ground = self.ground();
        let mut complete = true;
        let base = storage.base.unwrap_or(storage.root);
        let node = |slot: U256| What::StorageNode { root: base, address, slot: slot.into() };
        let mut trie = match changed(tries::open(&self.nodes, storage.root), storage.root).map_err(broken)? {
            Changed::Done(trie) => trie,
            Changed::Missing(hash) => {
                ground.want_node(hash, node(U256::ZERO))?;
                return Ok(None);
            }
        };
        for (slot, value) in &change.slots {
            match changed(tries::put_slot(&mut trie, *slot, *value), storage.root).map_err(broken)? {
                Changed::Done(()) => {}
                Changed::Missing(hash) => {
                    ground.want_node(hash, node(*slot))?;
                    complete = false;
                }
            }
        }
        if !complete {
            return Ok(None);
        }
        trie.root_hash().map(Some).map_err(|error| broken(error.to_string()))
    }
}

fn broken(why: String) -> RunError {
    RunError::Call(CallError::Internal(format!("state trie: {why}")))
}

impl Database for Working<'_> {
    type Error = Halted;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Halted> {
        self.state.basic(address)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Halted> {
        self.state.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Halted> {
        self.state.storage(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Halted> {
        self.state.block_hash(number)
    }
}

impl DatabaseCommit for Working<'_> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, account) in &changes {
            self.note(*address, account);
        }
        let gone: Vec<_> = changes.keys().filter(|address| self.is_gone(address)).copied().collect();
        self.state.commit(changes);
        for address in gone {
            // revm keeps an empty account as one that is there.
            if let Some(account) = self.state.cache.accounts.get_mut(&address) {
                account.storage.clear();
                account.account_state = AccountState::NotExisting;
                account.info = AccountInfo::default();
            }
        }
    }
}

impl Working<'_> {
    fn is_gone(&self, address: &Address) -> bool {
        self.changes.get(address).is_some_and(|change| change.gone)
    }
}
