//! A block's uncles against its ancestors (Yellow Paper, 11.1).

use alloy_primitives::B256;

use crate::SealedHeader;
use crate::rules::{HeaderError, verify_uncle_header};
use crate::spec::{ChainSpec, Consensus};

/// The most uncles of a block.
pub const MAX_UNCLES: usize = 2;
/// An uncle is of one of this many generations before its block.
pub const MAX_UNCLE_DEPTH: u64 = 6;
/// So many ancestors decide on a block's uncles: the oldest uncle's parent is one generation further back.
pub const UNCLE_ANCESTORS: usize = MAX_UNCLE_DEPTH as usize + 1;

/// Uncles that the rules refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UncleError {
    /// The chain's consensus has no uncles.
    #[error("uncles: expected none, got {got}")]
    NotAllowed {
        /// How many came.
        got: usize,
    },
    /// More uncles than a block may have.
    #[error("uncles: expected at most {MAX_UNCLES}, got {got}")]
    TooMany {
        /// How many came.
        got: usize,
    },
    /// The ancestors given are not this block's. The caller's mistake, not the block's.
    #[error("ancestor {index}: expected {expected}, got {got}")]
    Ancestry {
        /// Its place, the parent being 0.
        index: usize,
        /// The parent hash of the block after it.
        expected: B256,
        /// The hash of what was given.
        got: B256,
    },
    /// The same uncle twice in the block.
    #[error("uncle {hash}: twice in one block")]
    Twice {
        /// The uncle.
        hash: B256,
    },
    /// An ancestor, or the block itself, as an uncle.
    #[error("uncle {hash}: an ancestor of its block")]
    Ancestor {
        /// The uncle.
        hash: B256,
    },
    /// An ancestor had it as an uncle already.
    #[error("uncle {hash}: included before")]
    Included {
        /// The uncle.
        hash: B256,
    },
    /// Not of one of the generations whose blocks can be uncles.
    #[error("uncle {hash}: expected a number from {low} to {high}, got {got}")]
    Generation {
        /// The uncle.
        hash: B256,
        /// The least number.
        low: u64,
        /// The greatest number.
        high: u64,
        /// The uncle's.
        got: u64,
    },
    /// Its parent is not among the block's ancestors.
    #[error("uncle {hash}: expected its parent among the ancestors, got {parent}")]
    Parent {
        /// The uncle.
        hash: B256,
        /// Its parent hash.
        parent: B256,
    },
    /// Not a valid header on its parent.
    #[error("uncle {hash}: {error}")]
    Header {
        /// The uncle.
        hash: B256,
        /// The header rule.
        error: HeaderError,
    },
}

impl UncleError {
    /// The name of the broken rule.
    pub fn rule(&self) -> &'static str {
        match self {
            UncleError::NotAllowed { .. } => "no uncles",
            UncleError::TooMany { .. } => "uncle count",
            UncleError::Ancestry { .. } => "ancestry",
            UncleError::Twice { .. } => "uncle twice",
            UncleError::Ancestor { .. } => "uncle is ancestor",
            UncleError::Included { .. } => "uncle included before",
            UncleError::Generation { .. } => "uncle generation",
            UncleError::Parent { .. } => "uncle parent",
            UncleError::Header { error, .. } => error.rule(),
        }
    }
}

/// Verifies a block's uncles by every rule but their seals, which go to a [`crate::SealCheck`].
///
/// `ancestors` are the block's, its parent first, [`UNCLE_ANCESTORS`] of them or as many as there are down to genesis;
/// `ancestor_uncles` are the hashes of the uncles of these ancestors' blocks. That the uncles are those of the header
/// is [`crate::verify_body`]'s to check.
pub fn verify_uncles(
    spec: &ChainSpec,
    block: &SealedHeader,
    uncles: &[SealedHeader],
    ancestors: &[SealedHeader],
    ancestor_uncles: &[B256],
) -> Result<(), UncleError> {
    if uncles.is_empty() {
        return Ok(());
    }
    if spec.consensus != Consensus::Ethash {
        return Err(UncleError::NotAllowed { got: uncles.len() });
    }
    if uncles.len() > MAX_UNCLES {
        return Err(UncleError::TooMany { got: uncles.len() });
    }
    let ancestors = &ancestors[..ancestors.len().min(UNCLE_ANCESTORS)];
    verify_ancestry(block, ancestors)?;
    for (index, uncle) in uncles.iter().enumerate() {
        let hash = uncle.hash();
        if uncles[..index].iter().any(|other| other.hash() == hash) {
            return Err(UncleError::Twice { hash });
        }
        if ancestor_uncles.contains(&hash) {
            return Err(UncleError::Included { hash });
        }
        verify_uncle(spec, block, uncle, ancestors)?;
    }
    Ok(())
}

fn verify_ancestry(block: &SealedHeader, ancestors: &[SealedHeader]) -> Result<(), UncleError> {
    let mut expected = block.parent_hash;
    for (index, ancestor) in ancestors.iter().enumerate() {
        if ancestor.hash() != expected {
            return Err(UncleError::Ancestry { index, expected, got: ancestor.hash() });
        }
        expected = ancestor.parent_hash;
    }
    Ok(())
}

fn verify_uncle(
    spec: &ChainSpec,
    block: &SealedHeader,
    uncle: &SealedHeader,
    ancestors: &[SealedHeader],
) -> Result<(), UncleError> {
    let hash = uncle.hash();
    if hash == block.hash() || ancestors.iter().any(|ancestor| ancestor.hash() == hash) {
        return Err(UncleError::Ancestor { hash });
    }
    let (low, high) = (block.number.saturating_sub(MAX_UNCLE_DEPTH).max(1), block.number.saturating_sub(1));
    if uncle.number < low || uncle.number > high {
        return Err(UncleError::Generation { hash, low, high, got: uncle.number });
    }
    // The block's own parent is no parent of an uncle: that uncle would be of the block's own generation.
    let parent = ancestors.iter().skip(1).find(|ancestor| ancestor.hash() == uncle.parent_hash);
    let Some(parent) = parent else {
        return Err(UncleError::Parent { hash, parent: uncle.parent_hash });
    };
    verify_uncle_header(spec, uncle, parent).map_err(|error| UncleError::Header { hash, error })
}
