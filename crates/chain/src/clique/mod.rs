//! Proof of authority (EIP-225): who may sign is decided by the signers' votes.
//!
//! The rules fall in two: those on a header's fields and its parent, which [`crate::verify_header`] applies with all
//! others, and those on who signed, which need the state of the votes at the parent: [`Snapshot::apply`] checks a seal
//! and moves the votes on in one step.

mod rules;
mod sealing;
mod signature;
mod snapshot;

use alloy_primitives::{Address, B64, B256, b64};

pub(crate) use rules::verify_fields;
pub use sealing::{Draft, SealingError, draft, seal, signer_address, turn_delay};
pub(crate) use signature::RECOVER_GRAIN;
pub use signature::{recover_signer, recover_signers, seal_hash};
pub(crate) use snapshot::is_plain;
pub use snapshot::{Snapshot, Vote};

/// Bytes of extra data before the signers: free for the signer's use.
pub const VANITY_LENGTH: usize = 32;
/// Bytes of signature at the end of the extra data: r, s and the recovery id.
pub const SEAL_LENGTH: usize = 65;
/// The nonce that votes to add a signer.
pub const VOTE_ADD: B64 = b64!("ffffffffffffffff");
/// The nonce that votes to drop a signer; with a zero beneficiary: no vote.
pub const VOTE_DROP: B64 = B64::ZERO;
/// The difficulty of a block signed in turn.
pub const IN_TURN: u64 = 2;
/// The difficulty of a block signed out of turn.
pub const NO_TURN: u64 = 1;

/// A clique header whose signature or signers do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CliqueError {
    /// The extra data has no room for vanity and seal.
    #[error("extra data: expected at least {expected} bytes, got {got}")]
    ExtraData {
        /// Vanity and seal.
        expected: usize,
        /// The header's.
        got: usize,
    },
    /// The last 65 bytes of the extra data are not a signature.
    #[error("signature: {why}")]
    Signature {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The header is not the next after the snapshot's.
    #[error("snapshot: expected a child of {expected}, got a child of {got}")]
    NotNext {
        /// The snapshot's block hash.
        expected: Box<B256>,
        /// The header's parent hash.
        got: Box<B256>,
    },
    /// Signed by someone who is no signer.
    #[error("signer: {signer} is not one of the {count} signers")]
    Unauthorized {
        /// Who signed.
        signer: Address,
        /// How many may.
        count: usize,
    },
    /// Signed by someone who signed one of the last blocks.
    #[error("signer: {signer} signed block {last} and may sign again from {from}, got {number}")]
    RecentlySigned {
        /// Who signed.
        signer: Address,
        /// The number of the block that they signed before.
        last: u64,
        /// The number of the first block that they may sign again.
        from: u64,
        /// The header's number.
        number: u64,
    },
    /// The difficulty is not that of the signer's turn.
    #[error("difficulty of the turn: expected {expected}, got {got}")]
    Turn {
        /// 2 in turn, 1 out of turn.
        expected: u64,
        /// The header's.
        got: alloy_primitives::U256,
    },
    /// A checkpoint's list of signers is not that of the votes.
    #[error("checkpoint signers: expected {expected:?}, got {got:?}")]
    CheckpointSigners {
        /// By the votes, in ascending order.
        expected: Vec<Address>,
        /// The header's.
        got: Vec<Address>,
    },
    /// A genesis without a list of signers in its extra data.
    #[error("genesis extra data: expected vanity, at least one signer and a seal, got {got} bytes")]
    GenesisSigners {
        /// The length of its extra data.
        got: usize,
    },
}

impl CliqueError {
    /// The name of the broken rule.
    pub fn rule(&self) -> &'static str {
        match self {
            CliqueError::ExtraData { .. } => "extra data",
            CliqueError::Signature { .. } => "signature",
            CliqueError::NotNext { .. } => "snapshot",
            CliqueError::Unauthorized { .. } => "unauthorized signer",
            CliqueError::RecentlySigned { .. } => "signer signed recently",
            CliqueError::Turn { .. } => "difficulty of the turn",
            CliqueError::CheckpointSigners { .. } => "checkpoint signers",
            CliqueError::GenesisSigners { .. } => "genesis signers",
        }
    }
}

/// The signers listed in extra data, or nothing where it is not vanity, whole addresses and a seal.
pub(crate) fn listed_signers(extra: &[u8]) -> Option<Vec<Address>> {
    let list = extra.get(VANITY_LENGTH..extra.len().checked_sub(SEAL_LENGTH)?)?;
    let (addresses, rest) = list.as_chunks::<20>();
    rest.is_empty().then(|| addresses.iter().map(Address::from).collect())
}
