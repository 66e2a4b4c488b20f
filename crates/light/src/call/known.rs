//! What a call knows of one state, and what it found missing.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::TrieAccount;
use revm::{
    DatabaseRef,
    context::DBErrorMarker,
    database::CacheDB,
    primitives::KECCAK_EMPTY,
    state::{AccountInfo, Bytecode},
};
use rushlight_odr::What;

use super::{
    limits::MOST_MISSING,
    watch::{Halted, Watch},
};

/// Rough bytes that an entry of a map takes beside what it holds.
const ENTRY: usize = 160;

/// One thing that a run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    /// An account; `code`: and its code right after it.
    Account { address: Address, code: bool },
    /// The code of an account that is known.
    Code { address: Address, hash: B256 },
    /// A slot, with the account where that is not known.
    Slot { address: Address, slot: U256 },
    /// The hash of an ancestor.
    BlockHash(u64),
    /// All nodes on a path of a trie, from its root down.
    Path(What),
    /// One node of a trie, off the paths that are held.
    Node { hash: B256, what: What },
}

impl Item {
    /// An account that is going to be called.
    pub(crate) const fn callee(address: Address) -> Self {
        Self::Account { address, code: true }
    }

    /// An account whose code nobody asks for.
    pub(crate) const fn account(address: Address) -> Self {
        Self::Account { address, code: false }
    }
}

/// What a look-up gave.
#[derive(Debug)]
pub(crate) enum Found {
    Account {
        address: Address,
        account: Option<TrieAccount>,
        code: Option<Bytes>,
    },
    Code {
        hash: B256,
        code: Bytes,
    },
    Slot {
        address: Address,
        slot: U256,
        account: Option<TrieAccount>,
        value: U256,
    },
    BlockHash(u64, B256),
    /// Nodes of a trie; `path`: all of that one.
    Nodes {
        path: Option<What>,
        nodes: Vec<Bytes>,
    },
}

/// The part of a state that was looked up so far.
#[derive(Debug, Default)]
pub(crate) struct Known {
    accounts: HashMap<Address, Option<TrieAccount>>,
    codes: HashMap<B256, Bytecode>,
    /// An account that has this code: look-ups are named by it.
    owners: HashMap<B256, Address>,
    slots: HashMap<(Address, U256), U256>,
    hashes: HashMap<u64, B256>,
    /// Nodes of tries that are going to be changed, and the paths that are held whole.
    nodes: HashMap<B256, Bytes>,
    paths: HashSet<What>,
    size: usize,
}

impl Known {
    /// Bytes that this takes, roughly.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// A node of a trie.
    pub(crate) fn node(&self, hash: &B256) -> Option<&Bytes> {
        self.nodes.get(hash)
    }

    /// The account, where it was looked up; `None` within where it is proved to be absent.
    pub(crate) fn account(&self, address: &Address) -> Option<Option<TrieAccount>> {
        self.accounts.get(address).copied()
    }

    /// Whether code may be a delegation (EIP-7702). Before Prague the same bytes were code like any other.
    pub(crate) fn insert(&mut self, found: Found, delegations: bool) {
        match found {
            Found::Account { address, account, code } => {
                self.insert_account(address, account);
                if let (Some(account), Some(code)) = (account, code) {
                    self.insert_code(account.code_hash, code, delegations);
                }
            }
            Found::Code { hash, code } => self.insert_code(hash, code, delegations),
            Found::Slot { address, slot, account, value } => {
                self.insert_account(address, account);
                self.size += ENTRY;
                self.slots.insert((address, slot), value);
            }
            Found::BlockHash(number, hash) => {
                self.size += ENTRY;
                self.hashes.insert(number, hash);
            }
            Found::Nodes { path, nodes } => {
                for node in nodes {
                    self.size += ENTRY + node.len();
                    self.nodes.insert(keccak256(&node), node);
                }
                self.size += ENTRY;
                self.paths.extend(path);
            }
        }
    }

    fn insert_account(&mut self, address: Address, account: Option<TrieAccount>) {
        if let Some(account) = account.filter(|account| account.code_hash != KECCAK_EMPTY) {
            self.owners.entry(account.code_hash).or_insert(address);
        }
        if self.accounts.insert(address, account).is_none() {
            self.size += ENTRY;
        }
    }

    fn insert_code(&mut self, hash: B256, code: Bytes, delegations: bool) {
        self.size += ENTRY + code.len();
        self.codes.insert(hash, bytecode(code, delegations));
    }
}

/// Code as the EVM takes it. What begins like a delegation and is none is code that fails at its first byte.
pub(crate) fn bytecode(code: Bytes, delegations: bool) -> Bytecode {
    match Bytecode::new_raw_checked(code.clone()) {
        Ok(code) if delegations => code,
        _ => Bytecode::new_legacy(code),
    }
}

/// Which ancestors BLOCKHASH knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ancestry {
    /// The number of the block in which the call runs. It and what is above it have no hash.
    pub(crate) number: u64,
    /// The hash of the block before.
    pub(crate) parent: B256,
    /// Whether that block is the one before by its number too, so that older ones can be looked up.
    pub(crate) linked: bool,
}

/// One state for one run: what is known of it, and a list of what was asked for and is not.
///
/// A run never waits. Where something is missing, it takes it for empty and goes on, so that it finds out what else it
/// will need; its outcome then counts for nothing ([`Ground::is_complete`]).
pub(crate) struct Ground {
    pub(crate) known: Known,
    pub(crate) ancestry: Ancestry,
    pub(crate) delegations: bool,
    pub(crate) watch: Watch,
    missing: RefCell<Missing>,
}

/// A run's own copy of the state, with overrides and what its transactions changed.
pub(crate) type State<'a> = CacheDB<&'a Ground>;

#[derive(Default)]
struct Missing {
    /// In the order in which they were asked for.
    items: Vec<Item>,
    seen: HashSet<Item>,
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("ancestry", &self.ancestry).finish_non_exhaustive()
    }
}

impl Ground {
    pub(crate) fn new(known: Known, ancestry: Ancestry, delegations: bool, watch: Watch) -> Self {
        Self { known, ancestry, delegations, watch, missing: RefCell::default() }
    }

    /// Whether nothing was missing so far, so that what was computed counts.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.borrow().items.is_empty()
    }

    /// A state to run on.
    pub(crate) fn state(&self) -> State<'_> {
        CacheDB::new(self)
    }

    /// What was missing, in the order in which it was asked for.
    pub(crate) fn into_parts(self) -> (Known, Vec<Item>, Watch) {
        (self.known, self.missing.into_inner().items, self.watch)
    }

    /// Whether the nodes of a path are held; asks for them where they are not.
    pub(crate) fn want_path(&self, what: What) -> Result<bool, Halted> {
        if self.known.paths.contains(&what) {
            return Ok(true);
        }
        self.miss(Item::Path(what))?;
        Ok(false)
    }

    /// Asks for a node that is not held.
    pub(crate) fn want_node(&self, hash: B256, what: What) -> Result<(), Halted> {
        self.miss(Item::Node { hash, what })
    }

    fn miss(&self, item: Item) -> Result<(), Halted> {
        self.watch.speculate();
        let mut missing = self.missing.borrow_mut();
        if missing.seen.insert(item) {
            missing.items.push(item);
        }
        if missing.items.len() >= MOST_MISSING { Err(self.watch.halt(Halted::Enough)) } else { Ok(()) }
    }

    fn miss_code(&self, address: Address) -> Result<(), Halted> {
        {
            let mut missing = self.missing.borrow_mut();
            if let Some(item) = missing.items.iter_mut().find(|item| **item == Item::account(address)) {
                *item = Item::callee(address);
                missing.seen.insert(Item::callee(address));
                return Ok(());
            }
        }
        self.miss(Item::callee(address))
    }
}

impl DBErrorMarker for Halted {}

impl DatabaseRef for Ground {
    type Error = Halted;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Halted> {
        self.watch.look()?;
        match self.known.accounts.get(&address) {
            Some(account) => Ok(account.as_ref().map(info)),
            None => {
                self.miss(Item::account(address))?;
                // With this for the hash of its code, the account's code is asked for as soon as it matters.
                Ok(Some(AccountInfo { code_hash: unknown_code(address), code: None, ..AccountInfo::default() }))
            }
        }
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Halted> {
        self.watch.look()?;
        if hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.known.codes.get(&hash) {
            return Ok(code.clone());
        }
        match self.known.owners.get(&hash) {
            Some(address) => self.miss(Item::Code { address: *address, hash })?,
            None => self.miss_code(Address::from_word(hash))?,
        }
        Ok(Bytecode::default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Halted> {
        self.watch.look()?;
        if let Some(value) = self.known.slots.get(&(address, slot)) {
            return Ok(*value);
        }
        // An account without storage has no slot that would have to be looked up.
        if let Some(account) = self.known.accounts.get(&address)
            && account.is_none_or(|account| account.storage_root == alloy_trie::EMPTY_ROOT_HASH)
        {
            return Ok(U256::ZERO);
        }
        self.miss(Item::Slot { address, slot })?;
        Ok(U256::ZERO)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Halted> {
        self.watch.look()?;
        let Ancestry { number: here, parent, linked } = self.ancestry;
        if number >= here {
            return Ok(B256::ZERO);
        }
        if number == here - 1 {
            return Ok(parent);
        }
        if !linked {
            return Ok(B256::ZERO);
        }
        match self.known.hashes.get(&number) {
            Some(hash) => Ok(*hash),
            None => {
                self.miss(Item::BlockHash(number))?;
                Ok(B256::ZERO)
            }
        }
    }
}

fn info(account: &TrieAccount) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        code: None,
        ..AccountInfo::default()
    }
}

/// Stands for the hash of the code of an account that was not looked up yet. No code is known to hash to 12 bytes of ones
/// with an address after them.
fn unknown_code(address: Address) -> B256 {
    let mut hash = B256::repeat_byte(0xff);
    hash[12..].copy_from_slice(address.as_slice());
    hash
}
