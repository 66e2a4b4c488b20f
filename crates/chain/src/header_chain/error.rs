//! What can go wrong with headers that come in, and with the chain that is kept.

use alloy_primitives::B256;

use crate::header::DecodeError;
use crate::rules::HeaderError;
use crate::seal::SealError;
use crate::store::StoreError;

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its bytes are no header.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It does not follow the header before it in the batch.
    #[error("parent hash: expected {expected}, got {got}")]
    NotLinked {
        /// The hash of the header before it.
        expected: B256,
        /// Its parent hash.
        got: B256,
    },
    /// Nothing is known of its parent.
    #[error("unknown parent {parent}")]
    UnknownParent {
        /// Its parent hash.
        parent: B256,
    },
    /// The header itself is unknown, so there is nothing to settle. Its stretch may have been dropped before.
    #[error("unknown header")]
    Unknown,
    /// The chain has a trusted head that is not linked to genesis yet, and grows when it is.
    #[error("the trusted head is not linked to genesis yet")]
    Descending,
    /// It breaks a rule.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its seal does not hold.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Nothing is wrong with the header: the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    /// Whether the fault is on our side (the disk), so that nothing can be said about the header.
    pub fn is_local(&self) -> bool {
        matches!(self, Refusal::Store(_))
    }

    /// Whether the header belongs to a fork whose rules are not built yet, or to proof of stake, which this chain refuses.
    pub fn is_not_supported(&self) -> bool {
        matches!(self, Refusal::Header(HeaderError::NotSupported { .. } | HeaderError::Merged { .. }))
    }
}

/// A batch refused because of one of its headers. Nothing of the batch was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {number} ({hash}): {error}")]
pub struct ExtendError {
    /// Position of the header in the batch. Where an earlier header's seal made the stretch fall, the last position.
    pub index: usize,
    /// The header's hash: Keccak-256 of its bytes, also where they do not decode.
    pub hash: B256,
    /// Its number, 0 where it does not decode.
    pub number: u64,
    /// What is wrong with it.
    pub error: Refusal,
}

/// A stretch refused because of one of its headers. The stretch was dropped whole, down to the accepted header that it
/// was built on, unless the error [is local](Refusal::is_local).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {number} ({hash}): {error}")]
pub struct SettleError {
    /// The header's hash.
    pub hash: B256,
    /// Its number, 0 where it is unknown.
    pub number: u64,
    /// What is wrong with it.
    pub error: Refusal,
}

/// Why the chain cannot be opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The store failed, or holds another chain.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The headers were verified on top of one that is no longer there: its stretch was dropped in the meantime.
    #[error("header {hash} is no longer known")]
    Gone {
        /// The missing parent.
        hash: B256,
    },
    /// A seal of the stretch that the headers belong to does not hold.
    #[error("the stretch was dropped: {0}")]
    Dropped(SettleError),
}

impl ChainError {
    /// As an error about a batch: `index` is the position to report where the failing header is not in the batch.
    pub(super) fn in_batch(self, hashes: &[(B256, u64)]) -> ExtendError {
        let last = hashes.len().saturating_sub(1);
        let (last_hash, last_number) = hashes.last().copied().unwrap_or_default();
        match self {
            ChainError::Store(error) => {
                ExtendError { index: last, hash: last_hash, number: last_number, error: error.into() }
            }
            ChainError::Gone { hash } => {
                let (first_hash, first_number) = hashes.first().copied().unwrap_or_default();
                let error = Refusal::UnknownParent { parent: hash };
                ExtendError { index: 0, hash: first_hash, number: first_number, error }
            }
            ChainError::Dropped(SettleError { hash, number, error }) => {
                let index = hashes.iter().position(|(other, _)| *other == hash).unwrap_or(last);
                ExtendError { index, hash, number, error }
            }
        }
    }
}
