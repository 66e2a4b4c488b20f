//! What goes in and comes out.

use std::sync::Arc;

use alloy_primitives::{B256, U256};

use crate::clock::Clock;
use crate::header::SealedHeader;
use crate::seal::SealCheck;

/// Which seals are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SealPolicy {
    /// Every one, as it arrives.
    All,
    /// Ethash: the last 2,048 of the chain and one in 100 of the others. Clique: every one with a vote or a list of
    /// signers, the last max(1,024, 2 × signers) with the recency rule, and one in 100 of the others.
    #[default]
    Sampled,
}

/// What becomes of headers on a chain that has reached its terminal total difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProofOfStake {
    /// They are refused: nothing here proves them.
    #[default]
    Refuse,
    /// They are taken without a seal, and the last that came in is the head, whatever the total difficulty: who hands
    /// them in has chosen them.
    Import,
}

/// How many headers of the canonical chain are kept whole. Of those below only every
/// [`ANCHOR_SPACING`](super::ANCHOR_SPACING)th stays, as an anchor: hash links prove any other header from the anchor
/// above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// Every one.
    All,
    /// At least so many of the last ones; at most [`ANCHOR_SPACING`](super::ANCHOR_SPACING) more.
    Last(u64),
}

impl Retain {
    /// What light nodes keep unless told otherwise: as many headers as have their seals checked at the end of a sync.
    pub const LIGHT: Retain = Retain::Last(2048);
}

/// How a [`HeaderChain`] works.
#[derive(Clone)]
pub struct HeaderChainConfig {
    /// Which seals are checked.
    pub policy: SealPolicy,
    /// Checks proof-of-work seals. Not used on clique chains.
    pub seals: Arc<dyn SealCheck>,
    /// The time, against which headers from the future are refused.
    pub clock: Clock,
    /// Whether headers of proof of stake are taken.
    pub proof_of_stake: ProofOfStake,
    /// How many headers are kept.
    pub retain: Retain,
}

impl HeaderChainConfig {
    /// Refuses proof of stake and keeps every header.
    pub fn new(policy: SealPolicy, seals: Arc<dyn SealCheck>, clock: Clock) -> HeaderChainConfig {
        HeaderChainConfig { policy, seals, clock, proof_of_stake: ProofOfStake::default(), retain: Retain::All }
    }
}

/// The best header of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The header.
    pub header: SealedHeader,
    /// Total difficulty, the header's own included.
    pub td: U256,
}

/// What is known of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Unknown,
    /// It follows the rules, but its stretch is not settled yet.
    Provisional,
    /// It is verified, on the canonical chain or beside it.
    Accepted,
}

/// What a batch or a settlement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended {
    /// Headers that were not known before (commit), or not accepted before (settle).
    pub added: u64,
    /// The last header.
    pub tip: B256,
    /// Its number.
    pub number: u64,
    /// Its total difficulty.
    pub td: U256,
    /// Whether the head of the chain is another one now.
    pub head_changed: bool,
    /// Seals checked for it.
    pub seals_checked: u64,
}

/// The heaviest stretch that is not settled yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionalProgress {
    /// The number of the accepted header that the stretch is built on.
    pub start: u64,
    /// The number of its last header.
    pub current: u64,
    /// Its last header.
    pub tip: B256,
    /// Total difficulty of its last header, as claimed.
    pub td: U256,
    /// Provisional headers in it.
    pub headers: u64,
}

/// News of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// Another header is the best one.
    NewHead {
        /// The new head.
        head: Head,
        /// What left the canonical chain, if anything did.
        reorg: Option<Reorg>,
    },
}

/// Headers that left the canonical chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reorg {
    /// The last header that the old and the new chain share.
    pub common_ancestor: B256,
    /// Its number.
    pub common_number: u64,
    /// The headers that left, the old head first, [`MAX_REORG_HASHES`](super::MAX_REORG_HASHES) at most, and no further
    /// than they were retained.
    pub removed: Vec<B256>,
    /// How many left.
    pub depth: u64,
}
