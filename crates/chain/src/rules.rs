//! A header against its parent: every rule but the seal.

mod error;
mod fields;

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B64, U256};

pub(crate) use error::broken;
pub use error::{HeaderError, Rule, Short, Value};
pub use fields::{blob_base_fee, next_base_fee, next_excess_blob_gas, set_fork_fields};

use crate::spec::{ChainSpec, Consensus, Fork};
use crate::{SealedHeader, clique, difficulty};

/// How far a header's time may be ahead of the clock, in seconds.
pub const MAX_FUTURE_SECONDS: u64 = 15;
/// The least gas limit of a block (Yellow Paper, 4.4.4).
pub const MIN_GAS_LIMIT: u64 = 5000;
/// The greatest gas limit of a block: 2^63-1, so that it stands in a signed word (EIP-1985).
pub const MAX_GAS_LIMIT: u64 = i64::MAX as u64;
/// The gas limit moves by less than the parent's divided by this.
const GAS_LIMIT_DIVISOR: u64 = 1024;
/// The most bytes of extra data of a proof-of-work header.
pub const MAX_EXTRA_DATA: usize = 32;
/// A block may use this many times its gas target (EIP-1559).
const ELASTICITY: u64 = 2;
/// The base fee of the first block of London, in wei (EIP-1559).
pub const INITIAL_BASE_FEE: u64 = 1_000_000_000;
/// The extra data of the DAO fork's first blocks, where the chain supports it (EIP-779).
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
/// So many blocks from the DAO fork on bear that extra data, or must not (EIP-779).
const DAO_EXTRA_BLOCKS: u64 = 10;

/// Verifies a header against its parent by every rule but the seal. `parent_td` is the total difficulty up to and with the
/// parent, `now` the clock's unix time.
///
/// All forks to Osaka and its blob schedules. From the terminal total difficulty on headers are those of proof of stake
/// (EIP-3675), which bear no seal: whether such are taken is the caller's decision. Who signed a clique header is a matter
/// of the seal ([`clique::Snapshot::apply`]).
pub fn verify_header(
    spec: &ChainSpec,
    header: &SealedHeader,
    parent: &SealedHeader,
    parent_td: U256,
    now: u64,
) -> Result<(), HeaderError> {
    verify_sealed_by(spec, header, parent, spec.is_proof_of_stake_after(parent_td), now)
}

/// As [`verify_header`], for headers that are sealed by the chain's consensus whatever comes before them: uncles.
pub(crate) fn verify_uncle_header(
    spec: &ChainSpec,
    uncle: &SealedHeader,
    parent: &SealedHeader,
) -> Result<(), HeaderError> {
    // An uncle's time is bounded by no clock: what counts is that its block is not from the future.
    verify_sealed_by(spec, uncle, parent, false, u64::MAX)
}

fn verify_sealed_by(
    spec: &ChainSpec,
    header: &SealedHeader,
    parent: &SealedHeader,
    proof_of_stake: bool,
    now: u64,
) -> Result<(), HeaderError> {
    verify_link(header, parent)?;
    let latest = now.saturating_add(MAX_FUTURE_SECONDS);
    if header.timestamp > latest {
        return Err(broken(Rule::FutureTimestamp, Value::AtMost(latest), Value::Number(header.timestamp)));
    }
    if let Some(fork) = spec.unsupported_fork(header.number, header.timestamp) {
        return Err(HeaderError::NotSupported { fork, block: header.number });
    }
    if !proof_of_stake && !spec.is_extended_clique() {
        verify_before_shanghai(spec, header)?;
    }
    match spec.consensus {
        _ if proof_of_stake => verify_proof_of_stake(header, parent)?,
        Consensus::Ethash => verify_ethash(spec, header, parent)?,
        Consensus::Clique { period, epoch } => clique::verify_fields(header, parent, period, epoch)?,
    }
    fields::verify(spec, header, parent)?;
    verify_gas_limit(header.gas_limit, bound_parent_gas_limit(spec, header, parent))?;
    if header.gas_used > header.gas_limit {
        return Err(broken(Rule::GasUsed, Value::AtMost(header.gas_limit), Value::Number(header.gas_used)));
    }
    fields::verify_base_fee(spec, header, parent)
}

fn verify_link(header: &SealedHeader, parent: &SealedHeader) -> Result<(), HeaderError> {
    let number = parent.number.saturating_add(1);
    if header.number != number || parent.number == u64::MAX {
        return Err(broken(Rule::Number, Value::Number(number), Value::Number(header.number)));
    }
    if header.parent_hash != parent.hash() {
        return Err(broken(Rule::ParentHash, Value::Hash(parent.hash()), Value::Hash(header.parent_hash)));
    }
    Ok(())
}

fn verify_ethash(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    verify_time_and_extra(header, parent)?;
    verify_dao_extra_data(spec, header)?;
    let expected = difficulty::expected(spec, parent, header.timestamp);
    if header.difficulty != expected {
        return Err(broken(Rule::Difficulty, Value::Quantity(expected), Value::Quantity(header.difficulty)));
    }
    Ok(())
}

/// Blocks of proof of work and stock clique end before Shanghai: the forks by time come after the merge.
fn verify_before_shanghai(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    match spec.forks.first_time() {
        Some(first) if spec.forks.is_time_reached(header.number, header.timestamp) => {
            let latest = Value::AtMost(first.saturating_sub(1));
            Err(broken(Rule::Timestamp, latest, Value::Number(header.timestamp)))
        }
        _ => Ok(()),
    }
}

fn verify_time_and_extra(header: &Header, parent: &Header) -> Result<(), HeaderError> {
    if header.timestamp <= parent.timestamp {
        let earliest = parent.timestamp.saturating_add(1);
        return Err(broken(Rule::Timestamp, Value::AtLeast(earliest), Value::Number(header.timestamp)));
    }
    let extra = header.extra_data.len();
    if extra > MAX_EXTRA_DATA {
        return Err(broken(Rule::ExtraData, Value::AtMostBytes(MAX_EXTRA_DATA), Value::Bytes(extra)));
    }
    Ok(())
}

/// The extra data that tells the two sides of the DAO fork apart for light clients (EIP-779).
fn verify_dao_extra_data(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    let Some(first) = spec.forks.block(Fork::Dao) else { return Ok(()) };
    if header.number < first || header.number - first >= DAO_EXTRA_BLOCKS {
        return Ok(());
    }
    let (marked, supported) = (header.extra_data.as_ref() == DAO_EXTRA_DATA, spec.forks.dao_fork_support);
    if marked == supported {
        return Ok(());
    }
    let marker = Short::new(DAO_EXTRA_DATA);
    let expected = if supported { Value::Data(marker) } else { Value::OtherThan(marker) };
    Err(broken(Rule::DaoExtraData, expected, Value::Data(Short::new(&header.extra_data))))
}

/// The constants that proof of stake puts into the fields of proof of work (EIP-3675).
fn verify_proof_of_stake(header: &Header, parent: &Header) -> Result<(), HeaderError> {
    if !header.difficulty.is_zero() {
        return Err(broken(Rule::Difficulty, Value::Number(0), Value::Quantity(header.difficulty)));
    }
    verify_time_and_extra(header, parent)?;
    if header.nonce != B64::ZERO {
        return Err(broken(Rule::Nonce, Value::Nonce(B64::ZERO), Value::Nonce(header.nonce)));
    }
    verify_no_uncles(header)
}

/// The parent's gas limit as the bound sees it: doubled at London's first block, where the limit becomes twice the
/// target (EIP-1559).
fn bound_parent_gas_limit(spec: &ChainSpec, header: &Header, parent: &Header) -> u64 {
    let london = |header: &Header| spec.forks.is_active(Fork::London, header.number, header.timestamp);
    if london(header) && !london(parent) { parent.gas_limit.saturating_mul(ELASTICITY) } else { parent.gas_limit }
}

/// The least and the greatest gas limit that may follow `parent`.
fn gas_limit_bounds(parent: u64) -> (u64, u64) {
    // "less than" the fraction: a parent limit under 1024 leaves no limit at all, an empty range.
    let room = parent / GAS_LIMIT_DIVISOR;
    let low = (parent - room).saturating_add(1).max(MIN_GAS_LIMIT);
    let high = parent.saturating_add(room).saturating_sub(1).min(MAX_GAS_LIMIT);
    (low, high)
}

fn verify_gas_limit(gas_limit: u64, parent: u64) -> Result<(), HeaderError> {
    let (low, high) = gas_limit_bounds(parent);
    if gas_limit < low || gas_limit > high {
        return Err(broken(Rule::GasLimit, Value::Within(low, high), Value::Number(gas_limit)));
    }
    Ok(())
}

/// The gas limit of a block on `parent` that comes as near to `target` as the rule allows.
pub fn next_gas_limit(spec: &ChainSpec, parent: &Header, timestamp: u64, target: u64) -> u64 {
    let child = Header { number: parent.number.saturating_add(1), timestamp, ..Header::default() };
    let (low, high) = gas_limit_bounds(bound_parent_gas_limit(spec, &child, parent));
    target.min(high).max(low)
}

pub(crate) fn verify_no_uncles(header: &Header) -> Result<(), HeaderError> {
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(broken(Rule::Uncles, Value::Hash(EMPTY_OMMER_ROOT_HASH), Value::Hash(header.ommers_hash)));
    }
    Ok(())
}
