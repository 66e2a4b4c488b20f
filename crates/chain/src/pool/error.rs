//! Why a transaction is refused. The texts are go-ethereum's (`core/error.go`, `core/txpool/errors.go`), as wallets look
//! for them.

use alloy_primitives::{B256, U256};

use crate::store::StoreError;

/// Why no pool takes a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The bytes are no transaction.
    #[error("{0}")]
    Malformed(String),
    /// A type that is unknown, or not in force yet.
    #[error("transaction type not supported{0}")]
    TypeNotSupported(String),
    /// The signature recovers to nobody, or s is too high (EIP-2).
    #[error("invalid sender: {0}")]
    InvalidSender(String),
    /// Signed for another chain (EIP-155).
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// The transaction's.
        have: u64,
        /// The chain's.
        want: u64,
    },
    /// A legacy transaction without chain id, which the operator does not let in.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// The pool has it.
    #[error("already known")]
    AlreadyKnown,
    /// Larger than the pool takes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes that it has.
        size: usize,
        /// The most.
        limit: usize,
    },
    /// Init code over the limit (EIP-3860).
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCode {
        /// Bytes that it has.
        size: usize,
        /// The most.
        limit: usize,
    },
    /// Gas over the limit of a transaction (EIP-7825).
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh {
        /// The most.
        cap: u64,
        /// The transaction's.
        gas: u64,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    BlockGasLimit,
    /// The tip is above the cap.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    /// No nonce can follow (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// Less gas than the transaction costs before it runs.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGas {
        /// The transaction's.
        gas: u64,
        /// The least.
        needed: u64,
    },
    /// Less gas than its data costs at the least (EIP-7623).
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {needed}")]
    FloorDataGas {
        /// The transaction's.
        gas: u64,
        /// The least.
        needed: u64,
    },
    /// The tip is below what the pool takes.
    #[error("transaction gas price below minimum: gas tip cap {tip}, minimum needed {needed}")]
    TipTooLow {
        /// The transaction's.
        tip: u128,
        /// The least.
        needed: u128,
    },
    /// The blob fee is below the protocol's least.
    #[error("transaction gas price below minimum: blob fee cap {fee}, minimum needed {needed}")]
    BlobFeeTooLow {
        /// The transaction's.
        fee: u128,
        /// The least.
        needed: u128,
    },
    /// The account has used the nonce.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// A gap that may not be.
    #[error("nonce too high: tx nonce {nonce}, gapped nonce {next}")]
    NonceTooHigh {
        /// The first that is free.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// The account cannot pay for it.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {overshot}")]
    InsufficientFunds {
        /// The account's.
        balance: U256,
        /// What the transaction may cost.
        cost: U256,
        /// What is missing.
        overshot: U256,
    },
    /// The account cannot pay for it beside those that wait.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, overshot {overshot}"
    )]
    Overdraft {
        /// The account's.
        balance: U256,
        /// What those that wait may cost.
        queued: U256,
        /// What the transaction may cost.
        cost: U256,
        /// What is missing.
        overshot: U256,
    },
    /// As [`PoolError::Overdraft`], in the place of another one.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx bumped {bump}, overshot {overshot}"
    )]
    OverdraftBump {
        /// The account's.
        balance: U256,
        /// What those that wait may cost, with the one whose place it takes.
        queued: U256,
        /// What it costs more than that one.
        bump: U256,
        /// What is missing.
        overshot: U256,
    },
    /// Pays less than what it would take the place of, and a tenth (blobs: as much again).
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// Pays less than everything in a full pool.
    #[error("transaction underpriced")]
    Underpriced,
    /// The pool is full.
    #[error("txpool is full")]
    Full,
    /// The sender has as many as it may.
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountLimit {
        /// So many.
        pooled: usize,
    },
    /// The sender has transactions of the other kind (blobs, no blobs).
    #[error("address already reserved")]
    AlreadyReserved,
    /// A transaction that waits for others would push out one that does not.
    #[error("future transaction tries to replace pending")]
    FutureReplacePending,
    /// As [`PoolError::InflightLimit`], and the one has to be the next.
    #[error("gapped-nonce tx from delegated accounts")]
    GappedDelegated,
    /// An authorization (EIP-7702) by an account that has transactions of its own under way.
    #[error("authority already reserved")]
    AuthorityReserved,
    /// A sender with a delegation (EIP-7702), or authority over one, has one transaction at a time.
    #[error("in-flight transaction limit reached for delegated accounts")]
    InflightLimit,
    /// More blobs than a transaction may have.
    #[error("transaction blob limit exceeded: blob count {blobs}, limit {limit}")]
    TooManyBlobs {
        /// So many.
        blobs: usize,
        /// The most.
        limit: usize,
    },
    /// A blob transaction without blobs.
    #[error("blobless blob transaction")]
    Blobless,
    /// A blob transaction as it stands in a block.
    #[error("missing sidecar in blob transaction")]
    NoSidecar,
    /// A sidecar of another version than the fork in force has (EIP-7594).
    #[error("Wrong sidecar format: unexpected sidecar version, want: {want}, got: {got}")]
    SidecarVersion {
        /// The fork's.
        want: u8,
        /// The transaction's.
        got: u8,
    },
    /// Not so many proofs as the sidecar's version has.
    #[error("Wrong sidecar format: invalid number of {got} blob proofs expected {expected}")]
    SidecarProofs {
        /// So many.
        got: usize,
        /// As many as there should be.
        expected: usize,
    },
    /// Not one blob for each commitment.
    #[error("invalid number of {blobs} blobs compared to {commitments} commitments")]
    SidecarBlobs {
        /// Blobs.
        blobs: usize,
        /// Commitments.
        commitments: usize,
    },
    /// Not one commitment for each hash.
    #[error("invalid number of {commitments} blob commitments compared to {hashes} blob hashes")]
    SidecarCommitments {
        /// Commitments.
        commitments: usize,
        /// Hashes in the transaction.
        hashes: usize,
    },
    /// A commitment that is not the one whose hash the transaction names.
    #[error("blob {index}: computed hash {computed:#x} mismatches transaction one {hash:#x}")]
    BlobHash {
        /// Which blob.
        index: usize,
        /// The commitment's hash.
        computed: B256,
        /// The transaction's.
        hash: B256,
    },
    /// The blobs are not what the commitments say (EIP-4844, EIP-7594).
    #[error("KZG verification error: {0}")]
    Kzg(String),
    /// EIP-7702.
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorizations,
    /// Over the operator's limit.
    #[error("tx fee ({fee} ether) exceeds the configured cap ({cap} ether)")]
    FeeCap {
        /// What the transaction may cost, in ether.
        fee: String,
        /// The most, in ether.
        cap: String,
    },
}

/// Why a transaction was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// It breaks a rule.
    #[error(transparent)]
    Refused(#[from] PoolError),
    /// Nobody can prove what decides on it.
    #[error("{message}")]
    Unproven {
        /// Why.
        message: String,
        /// What is missing, as the `data` of a JSON-RPC error.
        data: Option<serde_json::Value>,
    },
    /// It could not be brought to disk, and was not taken.
    #[error(transparent)]
    Store(#[from] StoreError),
}
