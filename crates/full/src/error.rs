//! How blocks are refused, and how their own node can fail them.

use std::fmt;

use alloy_primitives::B256;
use rushlight_chain::store::StoreError;
use rushlight_chain::{BodyError, ChainError, DecodeError, HeaderError, SealError, SealedHeader, UncleError};

use crate::state::StateError;

/// The rule that a block breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The bytes are the canonical encoding of a block.
    Encoding,
    /// A rule of headers, by its name in `rushlight_chain`.
    Header(&'static str),
    /// The seal: proof of work or signature, by its name in `rushlight_chain`.
    Seal(&'static str),
    /// The body's transactions are the header's.
    TransactionsRoot,
    /// The body's uncles are the header's.
    UnclesHash,
    /// The body's withdrawals are the header's (EIP-4895).
    WithdrawalsRoot,
    /// A rule of uncles, by its name in `rushlight_chain`.
    Uncle(&'static str),
    /// An uncle's seal, by its name in `rushlight_chain`.
    UncleSeal(&'static str),
    /// From Osaka on a block is at most 8 MiB long (EIP-7934).
    BlockSize,
    /// The blob gas of the transactions is the header's (EIP-4844).
    BlobGasUsed,
    /// The requests to the beacon chain are the header's (EIP-7685).
    RequestsHash,
    /// A system contract answers as it has to, by what it is for.
    SystemContract(&'static str),
    /// A transaction is valid where it stands.
    Transaction {
        /// Its position in the block.
        index: usize,
    },
    /// The gas that the transactions used is the header's.
    GasUsed,
    /// The bloom filter of all logs is the header's.
    LogsBloom,
    /// The receipts are the header's.
    ReceiptsRoot,
    /// The state after the block is the header's.
    StateRoot,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Encoding => f.write_str("encoding"),
            Rule::Header(name) | Rule::Seal(name) => f.write_str(name),
            Rule::TransactionsRoot => f.write_str("transactions root"),
            Rule::UnclesHash => f.write_str("uncles hash"),
            Rule::WithdrawalsRoot => f.write_str("withdrawals root"),
            Rule::Uncle(name) => f.write_str(name),
            Rule::UncleSeal(name) => write!(f, "uncle's {name}"),
            Rule::Transaction { index } => write!(f, "transaction {index}"),
            Rule::BlockSize => f.write_str("block size"),
            Rule::BlobGasUsed => f.write_str("blob gas used"),
            Rule::RequestsHash => f.write_str("requests hash"),
            Rule::SystemContract(name) => write!(f, "{name} contract"),
            Rule::GasUsed => f.write_str("gas used"),
            Rule::LogsBloom => f.write_str("logs bloom"),
            Rule::ReceiptsRoot => f.write_str("receipts root"),
            Rule::StateRoot => f.write_str("state root"),
        }
    }
}

/// A broken rule, before it is known whose block it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) rule: Rule,
    pub(crate) expected: String,
    pub(crate) got: String,
}

impl Refusal {
    pub(crate) fn new(rule: Rule, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Refusal { rule, expected: expected.to_string(), got: got.to_string() }
    }

    pub(crate) fn of(self, header: &SealedHeader) -> InsertError {
        self.at(header.hash(), header.number)
    }

    pub(crate) fn at(self, hash: B256, number: u64) -> InsertError {
        let Refusal { rule, expected, got } = self;
        InsertError::Bad(BadBlock { hash, number, rule, expected, got })
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TransactionsRoot { expected, got } => Refusal::new(Rule::TransactionsRoot, expected, got),
            BodyError::UnclesHash { expected, got } => Refusal::new(Rule::UnclesHash, expected, got),
            BodyError::WithdrawalsRoot { expected, got } => {
                Refusal::new(Rule::WithdrawalsRoot, optional(expected), optional(got))
            }
        }
    }
}

/// Of what need not be there.
pub(crate) fn optional(root: Option<B256>) -> String {
    root.map_or("none".to_owned(), |root| root.to_string())
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Refusal::new(Rule::Encoding, "the canonical encoding", error)
    }
}

impl From<UncleError> for Refusal {
    fn from(error: UncleError) -> Self {
        let rule = Rule::Uncle(error.rule());
        match error {
            UncleError::Header { hash, error: HeaderError::Broken { expected, got, .. } } => {
                Refusal::new(rule, expected, format!("{got} (uncle {hash})"))
            }
            error => Refusal::new(rule, "valid uncles", error),
        }
    }
}

impl Refusal {
    pub(crate) fn seal(error: &SealError, rule: fn(&'static str) -> Rule) -> Self {
        let rule = rule(error.rule());
        match error {
            SealError::MixHash { expected, got } => Refusal::new(rule, expected, got),
            SealError::Work { target, got } => Refusal::new(rule, format_args!("at most {target}"), got),
            SealError::Epoch { epoch, max } => Refusal::new(rule, format_args!("at most {max}"), epoch),
            SealError::Clique(error) => Refusal::new(rule, "a valid seal", error),
        }
    }
}

/// A block that breaks a rule. Nothing of it was kept; the blocks before it were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {number} ({hash}): {rule}: expected {expected}, got {got}")]
pub struct BadBlock {
    /// Its hash.
    pub hash: B256,
    /// Its number, as its header says.
    pub number: u64,
    /// The first rule that it breaks.
    pub rule: Rule,
    /// What the rule asks for.
    pub expected: String,
    /// What the block holds.
    pub got: String,
}

/// Why blocks were not inserted. The good ones before the trouble were.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// A block breaks a rule.
    #[error(transparent)]
    Bad(#[from] BadBlock),
    /// A block of a fork whose rules are not built yet. Says nothing against the block.
    #[error("block {number} ({hash}): {fork} is not supported yet")]
    NotSupported {
        /// Its hash.
        hash: B256,
        /// Its number.
        number: u64,
        /// What would have to be supported: a fork's name.
        fork: String,
    },
    /// A block whose parent is not held.
    #[error("block {number} ({hash}): its parent {parent} is unknown")]
    UnknownParent {
        /// Its hash.
        hash: B256,
        /// Its number.
        number: u64,
        /// The parent that its header names.
        parent: B256,
    },
    /// Our header chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Our disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a chain cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The allocation gives another state than the genesis header's.
    #[error("genesis state root: expected {expected} by the header, got {got} from the allocation")]
    GenesisState {
        /// The header's.
        expected: B256,
        /// Computed from the accounts.
        got: B256,
    },
    /// The header chain cannot be opened.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The genesis state could not be made.
    #[error(transparent)]
    State(#[from] StateError),
}
