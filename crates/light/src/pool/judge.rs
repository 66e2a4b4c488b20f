//! Whether the pool takes a transaction: what go-ethereum's pools ask beyond the rules that need no state.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};
use rushlight_chain::pool::{PoolError, PoolTransaction, check_account, replaces};

use super::{
    limits::{MAX_BLOBS_OF_SENDER, MAX_BYTES, MAX_OF_SENDER, MAX_TRANSACTIONS},
    machine::{Account, Entry, Machine},
};

impl Machine {
    /// Whether `tx` is taken over `account`, its sender's at the head. Changes nothing.
    pub(super) fn judge(&self, tx: &PoolTransaction, account: &Account) -> Result<(), PoolError> {
        let (sender, nonce) = (tx.sender(), tx.tx().nonce());
        if self.entries.get(&tx.hash()).is_some_and(Entry::waits) {
            return Err(PoolError::AlreadyKnown);
        }
        let waiting: Vec<&Entry> = self.waiting(&sender).collect();
        let old = self.at_nonce(tx).and_then(|hash| self.entries.get(&hash)).filter(|old| old.waits());
        // Those that follow the nonce that is proved now; the machine may not have heard of it yet.
        let follows = |(expected, entry): &(u64, &&Entry)| entry.tx.tx().nonce() == *expected;
        let from = waiting.iter().filter(|entry| entry.tx.tx().nonce() >= account.nonce);
        let executable: Vec<&Entry> =
            (account.nonce..).zip(from).take_while(follows).map(|(_, entry)| *entry).collect();
        let gap = account.nonce + executable.len() as u64;
        let blobs = tx.tx().is_eip4844();
        // As geth's pool of blobs, which keeps them on disk: nothing of it may wait for what may never come.
        if blobs && nonce > gap {
            return Err(PoolError::NonceTooHigh { next: gap, nonce });
        }
        let queued = executable.iter().fold(U256::ZERO, |sum, entry| sum.saturating_add(entry.tx.cost()));
        let replaced = old.filter(|_| nonce < gap).map(|old| old.tx.cost());
        check_account(tx, account.nonce, account.balance, queued, replaced)?;
        if waiting.iter().any(|entry| entry.tx.tx().is_eip4844() != blobs) {
            return Err(PoolError::AlreadyReserved);
        }
        self.check_delegations(tx, account, &waiting, gap)?;
        match old {
            Some(old) if !replaces(&old.tx, tx) => return Err(PoolError::ReplacementUnderpriced),
            Some(_) => {}
            None => {
                let limit = if blobs { MAX_BLOBS_OF_SENDER } else { MAX_OF_SENDER };
                if waiting.len() >= limit {
                    return Err(PoolError::AccountLimit { pooled: waiting.len() });
                }
                if self.entries.len() >= MAX_TRANSACTIONS {
                    return Err(PoolError::Full);
                }
            }
        }
        let freed = old.map_or(0, |old| old.tx.raw().len());
        if (self.bytes - freed).saturating_add(tx.raw().len()) > MAX_BYTES {
            return Err(PoolError::Full);
        }
        Ok(())
    }

    /// An account that others can spend from (EIP-7702) has one transaction under way at a time: any of theirs may make its
    /// later ones worthless.
    fn check_delegations(
        &self,
        tx: &PoolTransaction,
        account: &Account,
        waiting: &[&Entry],
        gap: u64,
    ) -> Result<(), PoolError> {
        let nonce = tx.tx().nonce();
        if account.delegated || self.is_authority(&tx.sender()) {
            match waiting {
                [] if nonce != gap => return Err(PoolError::GappedDelegated),
                [] => {}
                waiting if waiting.iter().any(|entry| entry.tx.tx().nonce() == nonce) => {}
                _ => return Err(PoolError::InflightLimit),
            }
        }
        // Whose account is to be delegated has at most one on its way.
        let reserved = |authority: Address| self.waiting(&authority).nth(1).is_some();
        if tx.authorities().any(reserved) { Err(PoolError::AuthorityReserved) } else { Ok(()) }
    }

    fn is_authority(&self, address: &Address) -> bool {
        let delegating = self.entries.values().filter(|entry| entry.waits() && entry.tx.tx().is_eip7702());
        delegating.flat_map(|entry| entry.tx.authorities()).any(|authority| authority == *address)
    }

    /// A sender's transactions that wait, by nonce.
    fn waiting(&self, sender: &Address) -> impl Iterator<Item = &Entry> {
        let slots = self.senders.get(sender).map(|sender| sender.slots.values());
        slots.into_iter().flatten().filter_map(|hash| self.entries.get(hash)).filter(|entry| entry.waits())
    }
}
