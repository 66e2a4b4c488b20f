//! Room in a full pool: what has to go for a transaction that pays more. Pure.
//!
//! What goes first is what waits for a lower nonce, then what pays least. A sender's transactions go from the last nonce
//! down, and each is worth no more than the least of those before it, as it cannot be mined without them: so nobody holds a
//! place for cheap ones by a dear one behind them.

use std::cmp::Reverse;
use std::collections::HashMap;

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256};
use rushlight_chain::pool::{PoolError, PoolTransaction};

use super::txs::Account;

/// How many transactions there are, and how many bytes they have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Load {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes;
    }

    fn fits(self, most: Load) -> bool {
        self.count <= most.count && self.bytes <= most.bytes
    }
}

/// What a transaction pays: what is left of it after the base fee, where anything is, then the most that it would pay.
type Worth = (Option<u128>, u128);

fn worth(tx: &PoolTransaction, base_fee: u64) -> Worth {
    (tx.effective_tip(base_fee), tx.fee_cap())
}

/// What is to be let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newcomer<'a> {
    pub(crate) tx: &'a PoolTransaction,
    /// Whether it can be mined, as it follows what its sender has.
    pub(crate) executable: bool,
    /// The bytes of the one whose place it takes, if it does.
    pub(crate) freed: Option<usize>,
}

/// What has to go so that it fits.
pub(crate) fn make(
    accounts: &HashMap<Address, Account>,
    mut load: Load,
    most: Load,
    new: Newcomer<'_>,
    base_fee: u64,
) -> Result<Vec<B256>, PoolError> {
    let Newcomer { tx, executable, freed } = new;
    if let Some(bytes) = freed {
        load.remove(bytes);
    }
    load.add(tx.raw().len());
    if load.fits(most) {
        return Ok(Vec::new());
    }
    let (sender, nonce) = (tx.sender(), tx.tx().nonce());
    let account = accounts.get(&sender);
    let before = account.into_iter().flat_map(|account| account.txs.range(..nonce)).map(|(_, entry)| &*entry.tx);
    let own = before.map(|tx| worth(tx, base_fee)).fold(worth(tx, base_fee), Ord::min);

    let mut evicted = Vec::new();
    for (rank, hash, bytes) in candidates(accounts, tx, base_fee) {
        if load.fits(most) {
            break;
        }
        if rank.0 && !executable {
            return Err(PoolError::FutureReplacePending);
        }
        // One that can be mined is worth more than any that waits.
        if rank.0 == executable && rank.1 >= own {
            return Err(PoolError::Underpriced);
        }
        load.remove(bytes);
        evicted.push(hash);
    }
    if load.fits(most) { Ok(evicted) } else { Err(PoolError::Full) }
}

/// Whether it can be mined, its worth, then the later first.
type Rank = (bool, Worth, Reverse<u64>, Reverse<u64>);

/// All of other senders that may go, in the order in which they do. Of the sender itself none goes: it would leave a gap.
fn candidates(
    accounts: &HashMap<Address, Account>,
    tx: &PoolTransaction,
    base_fee: u64,
) -> impl Iterator<Item = (Rank, B256, usize)> {
    let with_blobs = tx.tx().is_eip4844();
    let mut all = Vec::new();
    for (sender, account) in accounts {
        if *sender == tx.sender() || account.txs.values().next().is_some_and(|e| e.tx.tx().is_eip4844() != with_blobs) {
            continue;
        }
        let next = account.next_nonce();
        let mut least: Option<Worth> = None;
        for (nonce, entry) in &account.txs {
            let own = worth(&entry.tx, base_fee);
            let least = *least.insert(least.map_or(own, |least| least.min(own)));
            let rank = (*nonce < next, least, Reverse(*nonce), Reverse(entry.arrived));
            all.push((rank, entry.tx.hash(), entry.tx.raw().len()));
        }
    }
    all.sort_unstable_by_key(|(rank, ..)| *rank);
    all.into_iter()
}
