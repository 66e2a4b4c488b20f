//! A new head: what is mined or no longer valid goes, what stood in blocks that left the chain comes back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use alloy_primitives::{Address, keccak256};
use rushlight_chain::SealedHeader;
use rushlight_chain::pool::{PoolError, PoolTransaction, check};

use super::FullPool;
use super::txs::AccountState;
use crate::StateError;

/// The deepest reorganisation whose transactions come back, as in geth. Over deeper ones their senders send again.
const MAX_DEPTH: usize = 64;

impl FullPool {
    /// Goes over to the chain's head, if that is another one.
    ///
    /// Blocks; call it off the async threads.
    pub fn refresh(&self) -> Result<(), StateError> {
        let _one = self.shared.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.shared.chain.headers.head().header;
        let before = self.inner().head.clone();
        if before.hash() == head.hash() {
            return Ok(());
        }
        let back = self.left_chain(&before, &head)?;
        let mut states: HashMap<Address, AccountState> = HashMap::new();
        let mut missing: Vec<_> = self.inner().txs.accounts.keys().copied().collect();
        loop {
            for sender in missing {
                states.insert(sender, self.account_state(&head, sender)?);
            }
            let now = (self.shared.chain.clock)();
            let valid = |tx: &PoolTransaction| self.check_at(tx, &head).is_ok();
            let inner = &mut *self.inner();
            match inner.txs.reset(&states, valid, now) {
                // Senders that came meanwhile.
                Err(more) => missing = more,
                Ok(gone) => {
                    for tx in gone.into_iter().filter(|tx| tx.tx().is_eip4844()) {
                        inner.limbo.put(tx.hash(), tx);
                    }
                    inner.head = head;
                    break;
                }
            }
        }
        self.take_back(back);
        self.tell_changed();
        Ok(())
    }

    fn check_at(&self, tx: &PoolTransaction, head: &SealedHeader) -> Result<(), PoolError> {
        check(tx, &self.shared.chain.spec, head, &self.shared.config.limits)
    }

    /// The transactions of the blocks that are no longer canonical and stand in none of those that now are, oldest first.
    fn left_chain(&self, old: &SealedHeader, new: &SealedHeader) -> Result<Vec<Arc<PoolTransaction>>, StateError> {
        let chain = &self.shared.chain;
        if chain.headers.is_canonical(&old.hash()) {
            return Ok(Vec::new());
        }
        let (mut left, mut joined) = (Vec::new(), Vec::new());
        let (mut old, mut new) = (old.clone(), new.clone());
        while old.hash() != new.hash() {
            if left.len() > MAX_DEPTH || joined.len() > 2 * MAX_DEPTH {
                tracing::warn!(depth = MAX_DEPTH, "a deep reorganisation: its transactions are not taken back");
                return Ok(Vec::new());
            }
            let (back, passed) = if old.number >= new.number { (&mut old, &mut left) } else { (&mut new, &mut joined) };
            let Some(parent) = chain.headers.header(&back.parent_hash) else { return Ok(Vec::new()) };
            passed.push(std::mem::replace(back, parent));
        }
        let mut stays = HashSet::new();
        for header in joined {
            let body = chain.stored_body(&header)?.unwrap_or_default();
            stays.extend(body.transactions.iter().map(keccak256));
        }
        let mut back = Vec::new();
        for header in left.iter().rev() {
            for raw in chain.stored_body(header)?.unwrap_or_default().transactions {
                let hash = keccak256(&raw);
                if stays.contains(&hash) {
                    continue;
                }
                // Of a blob transaction the block has no sidecar.
                let tx = self.inner().limbo.pop(&hash);
                back.extend(tx.or_else(|| PoolTransaction::decode(raw).ok().map(Arc::new)));
            }
        }
        Ok(back)
    }

    fn take_back(&self, back: Vec<Arc<PoolTransaction>>) {
        let count = back.len();
        let taken = back.into_iter().filter(|tx| {
            let put = self.put(tx.clone());
            put.inspect_err(|why| tracing::debug!(hash = %tx.hash(), %why, "transaction not taken back")).is_ok()
        });
        let taken = taken.count();
        if count > 0 {
            tracing::info!(count, taken, "took back transactions of blocks that left the chain");
        }
    }
}
