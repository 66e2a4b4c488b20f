//! A header against its parent: every rule but the seal.

use std::fmt;

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B64, B256, U256};

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
/// The base fee moves by at most one part in this many (EIP-1559).
const BASE_FEE_CHANGE_DENOMINATOR: u128 = 8;

/// A rule about headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The number is the parent's and one.
    Number,
    /// The parent hash is the parent's hash.
    ParentHash,
    /// The time is after the parent's (clique: not before the parent's and the period).
    Timestamp,
    /// The time is at most [`MAX_FUTURE_SECONDS`] ahead of the clock.
    FutureTimestamp,
    /// The gas limit is near the parent's and within the bounds of all blocks.
    GasLimit,
    /// The gas used is within the gas limit.
    GasUsed,
    /// The extra data is of its right length.
    ExtraData,
    /// The difficulty is the one that the rule gives.
    Difficulty,
    /// The base fee of EIP-1559: absent before London, then as the rule gives it.
    BaseFee,
    /// A withdrawals root (EIP-4895) is not there before Shanghai.
    WithdrawalsRoot,
    /// Blob gas used (EIP-4844) is not there before Cancun.
    BlobGasUsed,
    /// Excess blob gas (EIP-4844) is not there before Cancun.
    ExcessBlobGas,
    /// A beacon block root (EIP-4788) is not there before Cancun.
    ParentBeaconBlockRoot,
    /// A requests hash (EIP-7685) is not there before Prague.
    RequestsHash,
    /// A block access list hash (EIP-7928) is not there before Amsterdam.
    BlockAccessListHash,
    /// A slot number (EIP-7843) is not there before Amsterdam.
    SlotNumber,
    /// Clique: the beneficiary of a checkpoint is zero.
    CheckpointBeneficiary,
    /// Clique: the nonce is one of the two votes, and the one to drop in a checkpoint.
    VoteNonce,
    /// Clique: the mix hash is zero.
    MixHash,
    /// Clique: there are no uncles.
    Uncles,
}

impl Rule {
    /// The rule's name in logs and errors.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Number => "number",
            Rule::ParentHash => "parent hash",
            Rule::Timestamp => "timestamp",
            Rule::FutureTimestamp => "timestamp in the future",
            Rule::GasLimit => "gas limit",
            Rule::GasUsed => "gas used",
            Rule::ExtraData => "extra data",
            Rule::Difficulty => "difficulty",
            Rule::BaseFee => "base fee",
            Rule::WithdrawalsRoot => "withdrawals root",
            Rule::BlobGasUsed => "blob gas used",
            Rule::ExcessBlobGas => "excess blob gas",
            Rule::ParentBeaconBlockRoot => "parent beacon block root",
            Rule::RequestsHash => "requests hash",
            Rule::BlockAccessListHash => "block access list hash",
            Rule::SlotNumber => "slot number",
            Rule::CheckpointBeneficiary => "checkpoint beneficiary",
            Rule::VoteNonce => "vote nonce",
            Rule::MixHash => "mix hash",
            Rule::Uncles => "uncles",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule asks for, or what a header holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the payloads are the bounds that the names say
pub enum Value {
    Number(u64),
    Quantity(U256),
    Hash(B256),
    Address(Address),
    Nonce(B64),
    /// So many bytes.
    Bytes(usize),
    /// At most so many bytes.
    AtMostBytes(usize),
    /// At least so many bytes.
    AtLeastBytes(usize),
    AtMost(u64),
    AtLeast(u64),
    /// From the first to the second, both included.
    Within(u64, u64),
    /// One of two nonces.
    OneOf(B64, B64),
    /// The field is not there.
    Absent,
    /// The field is there.
    Present,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(value) => write!(f, "{value}"),
            Value::Quantity(value) => write!(f, "{value}"),
            Value::Hash(value) => write!(f, "{value}"),
            Value::Address(value) => write!(f, "{value}"),
            Value::Nonce(value) => write!(f, "{value}"),
            Value::Bytes(count) => write!(f, "{count} bytes"),
            Value::AtMostBytes(count) => write!(f, "at most {count} bytes"),
            Value::AtLeastBytes(count) => write!(f, "at least {count} bytes"),
            Value::AtMost(value) => write!(f, "at most {value}"),
            Value::AtLeast(value) => write!(f, "at least {value}"),
            Value::Within(low, high) => write!(f, "{low} to {high}"),
            Value::OneOf(first, second) => write!(f, "{first} or {second}"),
            Value::Absent => f.write_str("none"),
            Value::Present => f.write_str("one"),
        }
    }
}

/// A header that the rules refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A rule is broken.
    #[error("{rule}: expected {expected}, got {got}")]
    Broken {
        /// The rule.
        rule: Rule,
        /// What it asks for.
        expected: Box<Value>,
        /// What the header holds.
        got: Box<Value>,
    },
    /// The header's fork is known but its rules are not built yet. This says nothing against the header.
    #[error("block {block}: {fork} is not supported yet")]
    NotSupported {
        /// The fork.
        fork: Fork,
        /// The header's number.
        block: u64,
    },
}

impl HeaderError {
    /// The name of the broken rule.
    pub fn rule(&self) -> &'static str {
        match self {
            HeaderError::Broken { rule, .. } => rule.name(),
            HeaderError::NotSupported { .. } => "not supported yet",
        }
    }
}

pub(crate) fn broken(rule: Rule, expected: Value, got: Value) -> HeaderError {
    HeaderError::Broken { rule, expected: Box::new(expected), got: Box::new(got) }
}

/// Verifies a header against its parent by every rule but the seal. `now` is the clock's unix time.
///
/// Ethash: Frontier and Homestead. Clique: up to London; who signed is a matter of the seal
/// ([`clique::Snapshot::apply`]).
pub fn verify_header(
    spec: &ChainSpec,
    header: &SealedHeader,
    parent: &SealedHeader,
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
    verify_absent_fields(header)?;
    match spec.consensus {
        Consensus::Ethash => verify_ethash(spec, header, parent)?,
        Consensus::Clique { period, epoch } => clique::verify_fields(header, parent, period, epoch)?,
    }
    verify_gas_limit(header.gas_limit, bound_parent_gas_limit(spec, header, parent))?;
    if header.gas_used > header.gas_limit {
        return Err(broken(Rule::GasUsed, Value::AtMost(header.gas_limit), Value::Number(header.gas_used)));
    }
    verify_base_fee(spec, header, parent)
}

/// Refuses a header on a parent whose chain has reached the terminal total difficulty: from there on blocks are sealed by
/// proof of stake (EIP-3675), which is not built yet. `parent_td` is the total difficulty up to and with the parent.
pub fn verify_not_merged(spec: &ChainSpec, number: u64, parent_td: U256) -> Result<(), HeaderError> {
    match spec.forks.terminal_total_difficulty() {
        Some(terminal) if parent_td >= terminal => Err(HeaderError::NotSupported { fork: Fork::Paris, block: number }),
        _ => Ok(()),
    }
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
    if header.timestamp <= parent.timestamp {
        let earliest = parent.timestamp.saturating_add(1);
        return Err(broken(Rule::Timestamp, Value::AtLeast(earliest), Value::Number(header.timestamp)));
    }
    let extra = header.extra_data.len();
    if extra > MAX_EXTRA_DATA {
        return Err(broken(Rule::ExtraData, Value::AtMostBytes(MAX_EXTRA_DATA), Value::Bytes(extra)));
    }
    let expected = difficulty::expected(spec, parent, header.timestamp);
    if header.difficulty != expected {
        return Err(broken(Rule::Difficulty, Value::Quantity(expected), Value::Quantity(header.difficulty)));
    }
    Ok(())
}

/// Fields of forks later than any that is built.
fn verify_absent_fields(header: &Header) -> Result<(), HeaderError> {
    let number = Value::Number;
    let fields = [
        (Rule::WithdrawalsRoot, header.withdrawals_root.map(Value::Hash)),
        (Rule::BlobGasUsed, header.blob_gas_used.map(number)),
        (Rule::ExcessBlobGas, header.excess_blob_gas.map(number)),
        (Rule::ParentBeaconBlockRoot, header.parent_beacon_block_root.map(Value::Hash)),
        (Rule::RequestsHash, header.requests_hash.map(Value::Hash)),
        (Rule::BlockAccessListHash, header.block_access_list_hash.map(Value::Hash)),
        (Rule::SlotNumber, header.slot_number.map(number)),
    ];
    match fields.into_iter().find_map(|(rule, value)| Some((rule, value?))) {
        Some((rule, got)) => Err(broken(rule, Value::Absent, got)),
        None => Ok(()),
    }
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

fn verify_base_fee(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
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

pub(crate) fn verify_no_uncles(header: &Header) -> Result<(), HeaderError> {
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(broken(Rule::Uncles, Value::Hash(EMPTY_OMMER_ROOT_HASH), Value::Hash(header.ommers_hash)));
    }
    Ok(())
}
