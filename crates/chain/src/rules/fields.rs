//! The fields that forks from London on added to headers.

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{B256, U256};

use super::{ELASTICITY, HeaderError, INITIAL_BASE_FEE, Rule, Value, broken};
use crate::spec::{ChainSpec, Fork};

/// The base fee moves by at most one part in this many (EIP-1559).
const BASE_FEE_CHANGE_DENOMINATOR: u128 = 8;
/// From this quotient of excess and update fraction on the blob fee is past 128 bits: e^89 > 2^128.
const MAX_BLOB_FEE_EXPONENT: u128 = 89;

/// Verifies the fields of Shanghai and later: there from their fork on, absent before, and as the parent gives them. The
/// base fee is [`verify_base_fee`]'s.
pub(super) fn verify(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let forks = spec.forks.set(header.number, header.timestamp);
    let (number, hash) = (|value: &u64| Value::Number(*value), |value: &B256| Value::Hash(*value));
    let fields = [
        (Rule::WithdrawalsRoot, Fork::Shanghai, header.withdrawals_root.as_ref().map(hash)),
        (Rule::BlobGasUsed, Fork::Cancun, header.blob_gas_used.as_ref().map(number)),
        (Rule::ExcessBlobGas, Fork::Cancun, header.excess_blob_gas.as_ref().map(number)),
        (Rule::ParentBeaconBlockRoot, Fork::Cancun, header.parent_beacon_block_root.as_ref().map(hash)),
        (Rule::RequestsHash, Fork::Prague, header.requests_hash.as_ref().map(hash)),
        (Rule::BlockAccessListHash, Fork::Amsterdam, header.block_access_list_hash.as_ref().map(hash)),
        (Rule::SlotNumber, Fork::Amsterdam, header.slot_number.as_ref().map(number)),
    ];
    for (rule, fork, value) in fields {
        match (forks.contains(fork), value) {
            (true, None) => return Err(broken(rule, Value::Present, Value::Absent)),
            (false, Some(got)) => return Err(broken(rule, Value::Absent, got)),
            _ => {}
        }
    }
    verify_blobs(spec, header, parent)?;
    if spec.is_extended_clique() { verify_extended_clique(header) } else { Ok(()) }
}

fn verify_blobs(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let (Some(params), Some(used)) = (blob_params(spec, header), header.blob_gas_used) else { return Ok(()) };
    let most = params.max_blob_count.saturating_mul(DATA_GAS_PER_BLOB);
    if used > most || !used.is_multiple_of(DATA_GAS_PER_BLOB) {
        let expected = Value::MultipleUpTo(DATA_GAS_PER_BLOB, most);
        return Err(broken(Rule::BlobGasUsed, expected, Value::Number(used)));
    }
    let expected = excess_blob_gas(&params, parent);
    match header.excess_blob_gas {
        Some(got) if got != expected => Err(broken(Rule::ExcessBlobGas, Value::Number(expected), Value::Number(got))),
        _ => Ok(()),
    }
}

/// An extended clique chain has neither withdrawals nor a beacon chain.
fn verify_extended_clique(header: &Header) -> Result<(), HeaderError> {
    let constants = [
        (Rule::WithdrawalsRoot, header.withdrawals_root, EMPTY_ROOT_HASH),
        (Rule::ParentBeaconBlockRoot, header.parent_beacon_block_root, B256::ZERO),
    ];
    for (rule, got, expected) in constants {
        if let Some(got) = got.filter(|got| *got != expected) {
            return Err(broken(rule, Value::Hash(expected), Value::Hash(got)));
        }
    }
    Ok(())
}

/// Gives a header the fields of the forks in force in it, as those of an empty block on `parent`: no withdrawals, no
/// blobs, no requests, a zero beacon root. Number and time are to be there.
pub fn set_fork_fields(spec: &ChainSpec, parent: &Header, header: &mut Header) {
    let forks = spec.forks.set(header.number, header.timestamp);
    let cancun = forks.contains(Fork::Cancun);
    header.base_fee_per_gas = next_base_fee(spec, parent, header.timestamp);
    header.withdrawals_root = forks.contains(Fork::Shanghai).then_some(EMPTY_ROOT_HASH);
    header.blob_gas_used = cancun.then_some(0);
    header.excess_blob_gas = next_excess_blob_gas(spec, parent, header.timestamp);
    header.parent_beacon_block_root = cancun.then_some(B256::ZERO);
    header.requests_hash = forks.contains(Fork::Prague).then_some(EMPTY_REQUESTS_HASH);
}

fn blob_params(spec: &ChainSpec, header: &Header) -> Option<BlobParams> {
    spec.forks.blob_params(header.number, header.timestamp)
}

/// The excess blob gas of the block after `parent` at `timestamp`; nothing before Cancun (EIP-4844).
pub fn next_excess_blob_gas(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    let params = spec.forks.blob_params(parent.number.saturating_add(1), timestamp)?;
    Some(excess_blob_gas(&params, parent))
}

fn excess_blob_gas(params: &BlobParams, parent: &Header) -> u64 {
    // The first block of Cancun: its parent counts as having neither.
    let (excess, used) = (parent.excess_blob_gas.unwrap_or(0), parent.blob_gas_used.unwrap_or(0));
    let target = params.target_blob_count.saturating_mul(DATA_GAS_PER_BLOB);
    let sum = excess.saturating_add(used);
    if sum < target {
        return 0;
    }
    // EIP-7918: where a blob costs less than executing its proof would, the excess does not fall.
    let reserve = U256::from(params.blob_base_cost) * U256::from(parent.base_fee_per_gas.unwrap_or(0));
    let price = U256::from(DATA_GAS_PER_BLOB) * U256::from(blob_base_fee(params, excess));
    if reserve > price {
        let room = params.max_blob_count.saturating_sub(params.target_blob_count);
        let scaled = u128::from(used) * u128::from(room) / u128::from(params.max_blob_count.max(1));
        return excess.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX));
    }
    sum - target
}

/// The price of a unit of blob gas in wei: the schedule's least times e to the excess by its fraction (EIP-4844), 2^128-1
/// where it is more.
pub fn blob_base_fee(params: &BlobParams, excess_blob_gas: u64) -> u128 {
    let fraction = params.update_fraction.max(1);
    let excess = u128::from(excess_blob_gas);
    if excess / fraction >= MAX_BLOB_FEE_EXPONENT {
        return u128::MAX;
    }
    let (excess, fraction) = (U256::from(excess), U256::from(fraction));
    let mut term = U256::from(params.min_blob_fee).saturating_mul(fraction);
    let mut sum = U256::ZERO;
    let mut step = 1_u64;
    while !term.is_zero() {
        sum = sum.saturating_add(term);
        term = term.saturating_mul(excess) / fraction.saturating_mul(U256::from(step));
        step += 1;
    }
    u128::try_from(sum / fraction).unwrap_or(u128::MAX)
}

pub(super) fn verify_base_fee(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let expected = next_base_fee(spec, parent, header.timestamp);
    if header.base_fee_per_gas == expected {
        return Ok(());
    }
    let value = |fee: Option<u64>| fee.map_or(Value::Absent, Value::Number);
    Err(broken(Rule::BaseFee, value(expected), value(header.base_fee_per_gas)))
}

/// The base fee of the block after `parent` at `timestamp`, in wei; nothing before London (EIP-1559).
pub fn next_base_fee(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    if !spec.forks.is_active(Fork::London, parent.number.saturating_add(1), timestamp) {
        return None;
    }
    // A parent before London has no fee; only the first block of London is so.
    let Some(fee) = parent.base_fee_per_gas else { return Some(INITIAL_BASE_FEE) };
    let target = parent.gas_limit / ELASTICITY;
    if parent.gas_used == target || target == 0 {
        return Some(fee);
    }
    let delta = |gas: u64| u128::from(fee) * u128::from(gas) / u128::from(target) / BASE_FEE_CHANGE_DENOMINATOR;
    let next = if parent.gas_used > target {
        u128::from(fee) + delta(parent.gas_used - target).max(1)
    } else {
        u128::from(fee) - delta(target - parent.gas_used)
    };
    Some(u64::try_from(next).unwrap_or(u64::MAX))
}
