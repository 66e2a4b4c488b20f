//! What every pool asks of a transaction. Order and words are go-ethereum's (`core/txpool/validation.go`), the rules those
//! of the head.

use alloy_consensus::{Header, Transaction};
use alloy_eips::eip7594::MAX_BLOBS_PER_TX_FUSAKA;
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_primitives::U256;

use super::{PoolError, PoolTransaction, blobs, floor_data_gas, intrinsic_gas};
use crate::SealedHeader;
use crate::spec::{ChainSpec, Fork};

/// The most bytes of init code (EIP-3860).
const MAX_INIT_CODE: usize = 2 * 24_576;
/// In percent: what a transaction pays that takes the place of another one, and what one with blobs does.
const REPLACEMENT: u128 = 110;
const BLOB_REPLACEMENT: u128 = 200;

/// What a pool takes beyond what the chain's rules say. The default is geth's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// The least that a transaction leaves to whoever makes the block, in wei per gas; default 1.
    pub min_tip: u128,
    /// The most bytes of a transaction without blobs; default 128 KiB.
    pub max_bytes: usize,
    /// The most bytes of a blob transaction with its sidecar; default 1 MiB.
    pub max_blob_bytes: usize,
    /// The most blobs of a transaction, where the chain's schedule does not say less; default 6, which is also what
    /// EIP-7594 allows.
    pub max_blobs: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits {
            min_tip: 1,
            max_bytes: 128 * 1024,
            max_blob_bytes: 1024 * 1024,
            max_blobs: MAX_BLOBS_PER_TX_FUSAKA as usize,
        }
    }
}

/// The forks in force at a header, by the kind of chain.
pub(super) struct InForce<'a> {
    spec: &'a ChainSpec,
    head: &'a Header,
    by_time: bool,
}

impl<'a> InForce<'a> {
    pub(super) fn at(spec: &'a ChainSpec, head: &'a Header) -> Self {
        // By the header rules no other block has no difficulty.
        let merged = spec.forks.terminal_total_difficulty().is_some() && head.difficulty.is_zero();
        InForce { spec, head, by_time: merged || spec.is_extended_clique() }
    }

    pub(super) fn has(&self, fork: Fork) -> bool {
        // Work and stock clique have none of the forks that are scheduled by time.
        (self.by_time || fork < Fork::Shanghai)
            && self.spec.forks.is_active(fork, self.head.number, self.head.timestamp)
    }
}

/// Everything about a transaction that needs no state, but for the proofs of its blobs ([`super::verify_blobs`]).
pub fn check(
    tx: &PoolTransaction,
    spec: &ChainSpec,
    head: &SealedHeader,
    limits: &PoolLimits,
) -> Result<(), PoolError> {
    let inner = tx.tx();
    let forks = InForce::at(spec, head);
    let (size, limit) = (tx.raw().len(), if inner.is_eip4844() { limits.max_blob_bytes } else { limits.max_bytes });
    if size > limit {
        return Err(PoolError::Oversized { size, limit });
    }
    check_type(tx, &forks)?;
    if inner.is_create() && forks.has(Fork::Shanghai) && inner.input().len() > MAX_INIT_CODE {
        return Err(PoolError::InitCode { size: inner.input().len(), limit: MAX_INIT_CODE });
    }
    let gas = inner.gas_limit();
    if forks.has(Fork::Osaka) && gas > MAX_TX_GAS_LIMIT_OSAKA {
        return Err(PoolError::GasLimitTooHigh { cap: MAX_TX_GAS_LIMIT_OSAKA, gas });
    }
    if gas > head.gas_limit {
        return Err(PoolError::BlockGasLimit);
    }
    if tx.tip_cap() > tx.fee_cap() {
        return Err(PoolError::TipAboveFeeCap);
    }
    if let Some(have) = inner.chain_id().filter(|have| *have != spec.chain_id) {
        return Err(PoolError::ChainId { have, want: spec.chain_id });
    }
    if inner.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    let needed = intrinsic_gas(inner, |fork| forks.has(fork));
    if gas < needed {
        return Err(PoolError::IntrinsicGas { gas, needed });
    }
    let needed = floor_data_gas(inner);
    if forks.has(Fork::Prague) && gas < needed {
        return Err(PoolError::FloorDataGas { gas, needed });
    }
    if tx.tip_cap() < limits.min_tip {
        return Err(PoolError::TipTooLow { tip: tx.tip_cap(), needed: limits.min_tip });
    }
    if inner.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err(PoolError::NoAuthorizations);
    }
    blobs::check(tx, spec, &forks, head, limits)
}

/// Whether the type is in force.
fn check_type(tx: &PoolTransaction, forks: &InForce<'_>) -> Result<(), PoolError> {
    let kind = tx.tx().tx_type() as u8;
    // Each type came with its fork, and with the types before it.
    let needed = [(1, Fork::Berlin), (2, Fork::London), (3, Fork::Cancun), (4, Fork::Prague)];
    // geth asks for Berlin first, whatever the type.
    let missing =
        needed.into_iter().find(|(from, fork)| (kind == *from || (kind > 0 && *from == 1)) && !forks.has(*fork));
    match missing {
        Some((_, fork)) => Err(PoolError::TypeNotSupported(format!(": type {kind} rejected, pool not yet in {fork}"))),
        None => Ok(()),
    }
}

/// What an account's state says of a transaction. `nonce` and `balance`: the account's at the head; `queued`: what its
/// transactions in the pool may cost; `replaced`: what of that is the cost of the one with the same nonce, where there is one.
///
/// Whether a gap in the nonces is let in is the pool's to say.
pub fn check_account(
    tx: &PoolTransaction,
    nonce: u64,
    balance: U256,
    queued: U256,
    replaced: Option<U256>,
) -> Result<(), PoolError> {
    if tx.tx().nonce() < nonce {
        return Err(PoolError::NonceTooLow { next: nonce, nonce: tx.tx().nonce() });
    }
    let cost = tx.cost();
    if balance < cost {
        return Err(PoolError::InsufficientFunds { balance, cost, overshot: cost - balance });
    }
    match replaced {
        None => {
            let need = queued.saturating_add(cost);
            if balance < need {
                return Err(PoolError::Overdraft { balance, queued, cost, overshot: need - balance });
            }
        }
        // One that costs no more than the one before it cannot overdraw what that one did not.
        Some(before) => {
            let bump = cost.saturating_sub(before);
            let need = queued.saturating_add(cost).saturating_sub(before);
            if balance < need {
                return Err(PoolError::OverdraftBump { balance, queued, bump, overshot: need - balance });
            }
        }
    }
    Ok(())
}

/// Whether `new` pays enough to take the place of `old`, which has the same sender and nonce: more of each price, and a tenth
/// more; with blobs twice as much.
pub fn replaces(old: &PoolTransaction, new: &PoolTransaction) -> bool {
    let blob_fee = |tx: &PoolTransaction| tx.tx().max_fee_per_blob_gas();
    let percent = if old.tx().is_eip4844() || new.tx().is_eip4844() { BLOB_REPLACEMENT } else { REPLACEMENT };
    let enough = |old: u128, new: u128| {
        let least = U256::from(old) * U256::from(percent) / U256::from(100);
        new > old && U256::from(new) >= least
    };
    enough(old.fee_cap(), new.fee_cap())
        && enough(old.tip_cap(), new.tip_cap())
        && blob_fee(old).is_none_or(|old| blob_fee(new).is_some_and(|new| enough(old, new)))
}
