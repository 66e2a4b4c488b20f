//! The rules by name, and what refuses a header.

use std::fmt;

use alloy_primitives::{Address, B64, B256, U256, hex};

use crate::spec::Fork;

/// A rule about headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The number is the parent's and one.
    Number,
    /// The parent hash is the parent's hash.
    ParentHash,
    /// The time is after the parent's (clique: not before the parent's and the period).
    Timestamp,
    /// The time is at most [`MAX_FUTURE_SECONDS`](super::MAX_FUTURE_SECONDS) ahead of the clock.
    FutureTimestamp,
    /// The gas limit is near the parent's and within the bounds of all blocks.
    GasLimit,
    /// The gas used is within the gas limit.
    GasUsed,
    /// The extra data is of its right length.
    ExtraData,
    /// The extra data of the DAO fork's first blocks says which side the chain took (EIP-779).
    DaoExtraData,
    /// The difficulty is the one that the rule gives.
    Difficulty,
    /// The base fee of EIP-1559: absent before London, then as the rule gives it.
    BaseFee,
    /// A withdrawals root (EIP-4895) is there from Shanghai on; of an extended clique chain, that of the empty list.
    WithdrawalsRoot,
    /// Blob gas used (EIP-4844) is there from Cancun on: whole blobs, as many as the fork's schedule allows at most.
    BlobGasUsed,
    /// Excess blob gas (EIP-4844) is there from Cancun on, as the parent and the fork's schedule give it (EIP-7918).
    ExcessBlobGas,
    /// A beacon block root (EIP-4788) is there from Cancun on; of an extended clique chain, zero.
    ParentBeaconBlockRoot,
    /// A requests hash (EIP-7685) is there from Prague on.
    RequestsHash,
    /// A block access list hash (EIP-7928) is not there before Amsterdam.
    BlockAccessListHash,
    /// A slot number (EIP-7843) is not there before Amsterdam.
    SlotNumber,
    /// Clique: the beneficiary of a checkpoint is zero.
    CheckpointBeneficiary,
    /// Clique: the nonce is one of the two votes, and the one to drop in a checkpoint.
    VoteNonce,
    /// Proof of stake: the nonce is zero (EIP-3675).
    Nonce,
    /// Clique: the mix hash is zero.
    MixHash,
    /// Clique and proof of stake: there are no uncles.
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
            Rule::DaoExtraData => "extra data of the DAO fork",
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
            Rule::Nonce => "nonce",
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
    /// These bytes, 32 at most.
    Data(Short),
    /// Anything but these bytes.
    OtherThan(Short),
    /// A multiple of the first that is at most the second.
    MultipleUpTo(u64, u64),
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
            Value::Data(bytes) => write!(f, "{bytes}"),
            Value::OtherThan(bytes) => write!(f, "anything but {bytes}"),
            Value::MultipleUpTo(unit, most) => write!(f, "a multiple of {unit}, at most {most}"),
            Value::Absent => f.write_str("none"),
            Value::Present => f.write_str("one"),
        }
    }
}

/// The first 32 bytes of something, in hexadecimal when shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    bytes: [u8; 32],
    length: usize,
}

impl Short {
    /// Of these bytes; those after the 32nd are left out.
    pub fn new(data: &[u8]) -> Short {
        let mut bytes = [0; 32];
        let length = data.len().min(32);
        bytes[..length].copy_from_slice(&data[..length]);
        Short { bytes, length }
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_prefixed(&self.bytes[..self.length]))
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
    /// The header follows on a chain that has reached its terminal total difficulty, and who checks it takes none that
    /// are not sealed. This says nothing against the header.
    #[error(
        "block {block}: the chain goes on by proof of stake after total difficulty {terminal}: start with --trusted-head"
    )]
    Merged {
        /// The header's number.
        block: u64,
        /// The terminal total difficulty.
        terminal: U256,
    },
}

impl HeaderError {
    /// The name of the broken rule.
    pub fn rule(&self) -> &'static str {
        match self {
            HeaderError::Broken { rule, .. } => rule.name(),
            HeaderError::NotSupported { .. } => "not supported yet",
            HeaderError::Merged { .. } => "proof of stake",
        }
    }
}

pub(crate) fn broken(rule: Rule, expected: Value, got: Value) -> HeaderError {
    HeaderError::Broken { rule, expected: Box::new(expected), got: Box::new(got) }
}
