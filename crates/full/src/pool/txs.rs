//! The transactions that the pool holds, by sender and nonce: which it takes, which one makes room for another, what is left
//! of them at a new head. Pure: accounts' states are passed in.
//!
//! A sender's transactions are executable from the account's nonce on as far as there is no gap; those after a gap wait. A
//! sender has either transactions with blobs or transactions without.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, U256};
use rushlight_chain::pool::{ByNonce, Content, PoolError, PoolTransaction, check_account, replaces};

use super::config::PoolConfig;
use super::room::{self, Load, Newcomer};
use crate::build::Waiting;

/// What an account's state says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AccountState {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    /// Code of its own: since EIP-3607 a sender's can only be a delegation (EIP-7702).
    pub(crate) has_code: bool,
}

/// A transaction in the pool.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) tx: Arc<PoolTransaction>,
    /// Whose accounts it delegates (EIP-7702).
    authorities: Vec<Address>,
    pub(crate) arrived: u64,
    /// Unix seconds.
    pub(crate) since: u64,
    pub(crate) sent: u64,
    pub(crate) heard: u64,
}

/// A sender. There is none without transactions.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) state: AccountState,
    pub(crate) txs: BTreeMap<u64, Entry>,
}

impl Account {
    /// The executable ones.
    pub(crate) fn executable(&self) -> impl Iterator<Item = &Entry> {
        // A nonce of 2^64-1 is never taken, so the count does not overflow.
        let nonces = self.state.nonce..;
        self.txs.iter().zip(nonces).take_while(|((have, _), want)| *have == want).map(|((_, entry), _)| entry)
    }

    /// The first nonce that is free.
    pub(crate) fn next_nonce(&self) -> u64 {
        self.state.nonce + self.executable().count() as u64
    }

    fn has_blobs(&self) -> bool {
        self.txs.values().next().is_some_and(|entry| entry.tx.tx().is_eip4844())
    }
}

/// What became of one that was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    /// Whose place it took.
    pub(crate) replaced: Option<B256>,
    /// What had to go to make room.
    pub(crate) evicted: Vec<B256>,
}

/// The transactions.
#[derive(Debug)]
pub(crate) struct Txs {
    config: PoolConfig,
    pub(crate) accounts: HashMap<Address, Account>,
    places: HashMap<B256, (Address, u64)>,
    /// How many transactions here carry an authorization (EIP-7702) of an account.
    authorities: HashMap<Address, usize>,
    pub(crate) plain: Load,
    pub(crate) blobs: Load,
    arrivals: u64,
}

impl Txs {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Txs {
            config,
            accounts: HashMap::new(),
            places: HashMap::new(),
            authorities: HashMap::new(),
            plain: Load::default(),
            blobs: Load::default(),
            arrivals: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn entry(&self, hash: &B256) -> Option<&Entry> {
        let (sender, nonce) = self.places.get(hash)?;
        self.accounts.get(sender)?.txs.get(nonce)
    }

    pub(crate) fn entry_mut(&mut self, hash: &B256) -> Option<&mut Entry> {
        let (sender, nonce) = self.places.get(hash)?;
        self.accounts.get_mut(sender)?.txs.get_mut(nonce)
    }

    /// Whether one waits for a lower nonce.
    pub(crate) fn is_queued(&self, hash: &B256) -> bool {
        let Some((sender, nonce)) = self.places.get(hash) else { return false };
        self.accounts.get(sender).is_some_and(|account| *nonce >= account.next_nonce())
    }

    /// Takes one that passed every check that needs no account; `authorities` are whose accounts it delegates, which takes
    /// its time to find out; `state` is its sender's at the head, `base_fee` that of the head, `now` in unix seconds.
    pub(crate) fn add(
        &mut self,
        tx: Arc<PoolTransaction>,
        authorities: &[Address],
        state: AccountState,
        base_fee: u64,
        now: u64,
    ) -> Result<Added, PoolError> {
        if self.places.contains_key(&tx.hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let (sender, nonce, with_blobs) = (tx.sender(), tx.tx().nonce(), tx.tx().is_eip4844());
        // Nobody looks at an account without transactions: one that is new here goes again where it gets none.
        let fresh = Account { state, ..Account::default() };
        let account = self.accounts.get(&sender).unwrap_or(&fresh);
        let old = account.txs.get(&nonce);
        self.check_sender(account, &tx, authorities, state)?;
        if let Some(old) = old
            && !replaces(&old.tx, &tx)
        {
            return Err(PoolError::ReplacementUnderpriced);
        }
        let freed = old.map(|old| old.tx.raw().len());
        let load = if with_blobs { self.blobs } else { self.plain };
        let most = self.most(with_blobs);
        let new = Newcomer { tx: &tx, executable: nonce <= account.next_nonce(), freed };
        let evicted = room::make(&self.accounts, load, most, new, base_fee)?;
        for hash in &evicted {
            self.remove(hash);
        }
        let replaced = freed.and_then(|_| {
            let old = self.accounts.get(&sender)?.txs.get(&nonce)?.tx.hash();
            self.remove(&old);
            Some(old)
        });
        self.insert(tx, authorities.to_vec(), state, now);
        Ok(Added { replaced, evicted })
    }

    fn most(&self, blobs: bool) -> Load {
        if blobs {
            Load { count: self.config.max_blob_count, bytes: self.config.max_blob_bytes }
        } else {
            Load { count: self.config.max_count, bytes: self.config.max_bytes }
        }
    }

    /// What the sender's account and its other transactions say, in geth's order.
    fn check_sender(
        &self,
        account: &Account,
        tx: &PoolTransaction,
        authorities: &[Address],
        state: AccountState,
    ) -> Result<(), PoolError> {
        let nonce = tx.tx().nonce();
        let old = account.txs.get(&nonce);
        let queued = account.executable().fold(U256::ZERO, |sum, entry| sum.saturating_add(entry.tx.cost()));
        let next = account.next_nonce();
        let replaced = old.filter(|_| nonce < next).map(|old| old.tx.cost());
        check_account(tx, state.nonce, state.balance, queued, replaced)?;
        let with_blobs = tx.tx().is_eip4844();
        if with_blobs && nonce > next {
            return Err(PoolError::NonceTooHigh { next, nonce });
        }
        if with_blobs && old.is_none() && account.has_blobs() && account.txs.len() >= self.config.max_sender_blobs {
            return Err(PoolError::AccountLimit { pooled: account.txs.len() });
        }
        self.check_delegation(account, tx, authorities, state)?;
        if !account.txs.is_empty() && account.has_blobs() != with_blobs {
            return Err(PoolError::AlreadyReserved);
        }
        if old.is_none() && !with_blobs {
            // By the account as the pool has it, which may be behind a head that has only just come.
            let executable = account.executable().count();
            let (pooled, most) = if nonce > next {
                (account.txs.len() - executable, self.config.max_queued)
            } else {
                (executable, self.config.max_executable)
            };
            if pooled >= most {
                return Err(PoolError::AccountLimit { pooled: account.txs.len() });
            }
        }
        Ok(())
    }

    /// A delegated account's transactions may be made void by anybody's, so it has one at a time; nor may an account be
    /// delegated that has several under way.
    fn check_delegation(
        &self,
        account: &Account,
        tx: &PoolTransaction,
        authorities: &[Address],
        state: AccountState,
    ) -> Result<(), PoolError> {
        let nonce = tx.tx().nonce();
        if state.has_code || self.authorities.contains_key(&tx.sender()) {
            let mut executable = account.executable().peekable();
            if executable.peek().is_none() {
                if nonce != state.nonce {
                    return Err(PoolError::GappedDelegated);
                }
            } else if !executable.any(|entry| entry.tx.tx().nonce() == nonce) {
                return Err(PoolError::InflightLimit);
            }
        }
        for authority in authorities {
            let reserved = |account: &Account| account.txs.len() > 1 || account.has_blobs();
            if self.accounts.get(authority).is_some_and(reserved) {
                return Err(PoolError::AuthorityReserved);
            }
        }
        Ok(())
    }

    fn insert(&mut self, tx: Arc<PoolTransaction>, authorities: Vec<Address>, state: AccountState, now: u64) {
        self.load(&tx).add(tx.raw().len());
        for authority in &authorities {
            *self.authorities.entry(*authority).or_default() += 1;
        }
        self.arrivals += 1;
        let (sender, nonce) = (tx.sender(), tx.tx().nonce());
        self.places.insert(tx.hash(), (sender, nonce));
        let account = self.accounts.entry(sender).or_default();
        account.state = state;
        account.txs.insert(nonce, Entry { tx, authorities, arrived: self.arrivals, since: now, sent: 0, heard: 0 });
    }

    fn load(&mut self, tx: &PoolTransaction) -> &mut Load {
        if tx.tx().is_eip4844() { &mut self.blobs } else { &mut self.plain }
    }

    /// Lets one go.
    pub(crate) fn remove(&mut self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        let (sender, nonce) = self.places.remove(hash)?;
        let account = self.accounts.get_mut(&sender)?;
        let Entry { tx, authorities, .. } = account.txs.remove(&nonce)?;
        if account.txs.is_empty() {
            self.accounts.remove(&sender);
        }
        self.load(&tx).remove(tx.raw().len());
        for authority in &authorities {
            if let Some(count) = self.authorities.get_mut(authority) {
                *count -= 1;
                if *count == 0 {
                    self.authorities.remove(authority);
                }
            }
        }
        Some(tx)
    }

    /// Goes over to a new head, at which the senders' accounts have these states. Those that are mined or no longer valid go;
    /// they are given back. A sender whose state is not given is given instead, and nothing is changed.
    pub(crate) fn reset(
        &mut self,
        states: &HashMap<Address, AccountState>,
        valid: impl Fn(&PoolTransaction) -> bool,
        now: u64,
    ) -> Result<Vec<Arc<PoolTransaction>>, Vec<Address>> {
        let missing: Vec<_> = self.accounts.keys().filter(|sender| !states.contains_key(*sender)).copied().collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut gone = Vec::new();
        for (sender, account) in &mut self.accounts {
            let Some(state) = states.get(sender) else { continue };
            account.state = *state;
            let next = account.next_nonce();
            let latest = now.saturating_sub(self.config.queued_lifetime);
            let stays = |nonce: &u64, entry: &Entry| {
                *nonce >= state.nonce
                    && entry.tx.cost() <= state.balance
                    && (*nonce < next || entry.since >= latest)
                    && valid(&entry.tx)
            };
            gone.extend(account.txs.iter().filter(|(nonce, entry)| !stays(nonce, entry)).map(|(_, e)| e.tx.hash()));
        }
        Ok(gone.iter().filter_map(|hash| self.remove(hash)).collect())
    }

    /// Each sender's executable transactions.
    pub(crate) fn executable(&self) -> Vec<Vec<Waiting>> {
        let waiting = |entry: &Entry| Waiting { tx: entry.tx.clone(), arrived: entry.arrived };
        let all = self.accounts.values().map(|account| account.executable().map(waiting).collect::<Vec<_>>());
        all.filter(|list| !list.is_empty()).collect()
    }

    /// What waits for a block.
    pub(crate) fn content(&self) -> Content {
        let mut content = Content::default();
        for (sender, account) in &self.accounts {
            let next = account.next_nonce();
            let all = account.txs.iter().map(|(nonce, entry)| (*nonce, entry.tx.clone()));
            let (pending, queued): (ByNonce, ByNonce) = all.partition(|(nonce, _)| *nonce < next);
            if !pending.is_empty() {
                content.pending.insert(*sender, pending);
            }
            if !queued.is_empty() {
                content.queued.insert(*sender, queued);
            }
        }
        content
    }

    /// The nonce after a sender's executable transactions, where it has any.
    pub(crate) fn next_nonce(&self, sender: &Address) -> Option<u64> {
        let account = self.accounts.get(sender)?;
        Some(account.next_nonce()).filter(|next| *next > account.state.nonce)
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::TxLegacy;
    use alloy_primitives::TxKind;
    use rushlight_chain::testing::signed;
    use secp256k1::SecretKey;

    use super::*;

    #[test]
    fn a_head_that_came_before_the_pool_looked_at_it() {
        let key = SecretKey::from_byte_array([7; 32]).unwrap();
        let tx = |nonce| {
            let to = TxKind::Call(Address::ZERO);
            Arc::new(signed(&key, TxLegacy { nonce, gas_price: 10, gas_limit: 21_000, to, ..TxLegacy::default() }))
        };
        let state = |nonce| AccountState { nonce, balance: U256::from(1_000_000_000), has_code: false };
        let mut txs = Txs::new(PoolConfig::default());
        txs.add(tx(0), &[], state(0), 0, 0).unwrap();
        // The account at the new head is past what the pool holds of it, by more than one.
        txs.add(tx(5), &[], state(3), 0, 0).unwrap();
        assert!(txs.is_queued(&tx(5).hash()));
        let error = txs.add(tx(2), &[], state(3), 0, 0).unwrap_err();
        assert_eq!(error, PoolError::NonceTooLow { next: 3, nonce: 2 });
    }
}
