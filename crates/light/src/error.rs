//! Why the light node cannot answer.

use alloy_primitives::B256;
use rushlight_odr::{
    Unavailable, Wanted,
    trie::{NodeError, WalkError},
};

/// Why a query has no answer. The texts of the first five are geth's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No block of that number is on the chain (yet).
    #[error("header not found")]
    UnknownNumber(u64),
    /// No block of that hash is known.
    #[error("header for hash not found")]
    UnknownHash(B256),
    /// The block is known, but not on the canonical chain, which the caller asked for (EIP-1898).
    #[error("hash is not currently canonical")]
    NotCanonical(B256),
    /// `safe` without a source that says what is safe.
    #[error("safe block not found")]
    SafeNotFound,
    /// `finalized` without a source that says what is final.
    #[error("finalized block not found")]
    FinalizedNotFound,
    /// The header of the trusted head has not come yet, so there is nothing to answer from.
    #[error("the header of the trusted head {0} is not held yet: no peer has given it")]
    TrustedHeadNotHeld(B256),
    /// The trusted head is on no chain of ours; says why. Nothing is answered.
    #[error("{0}")]
    TrustedHeadRefused(String),
    /// Nobody can prove the answer; says what is missing, whom it asked and why that failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// What a verified hash points to is malformed: the chain itself holds nonsense there.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    pub(crate) fn malformed(what: impl ToString, reason: impl ToString) -> Self {
        Self::Malformed { what: what.to_string(), reason: reason.to_string() }
    }
}

impl From<WalkError> for ClientError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            WalkError::Malformed { wanted, error } => malformed_node(&wanted, error),
            error @ WalkError::TooLarge { root, .. } => Self::malformed(format!("trie {root}"), error),
        }
    }
}

fn malformed_node(wanted: &Wanted, error: NodeError) -> ClientError {
    ClientError::malformed(wanted, error)
}
