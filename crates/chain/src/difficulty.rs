//! The difficulty rules of proof of work, pure.

use alloy_consensus::Header;
use alloy_primitives::U256;

use crate::spec::{ChainSpec, Fork};

/// No block is easier than this.
pub const MINIMUM: u64 = 131_072;
/// A step is the parent's difficulty divided by this.
const BOUND_DIVISOR: u64 = 2048;
/// Frontier: a block faster than this many seconds raises the difficulty, a slower one lowers it.
const FRONTIER_DURATION: u64 = 13;
/// Homestead: each full span of so many seconds lowers the difficulty by a step (EIP-2).
const HOMESTEAD_SPAN: u64 = 10;
/// Homestead: by at most so many steps.
const HOMESTEAD_MAX_STEPS: u64 = 99;
/// The bomb doubles every so many blocks (Yellow Paper, 4.4.4).
const BOMB_PERIOD: u64 = 100_000;

/// What the block after a parent has to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The parent's difficulty.
    pub difficulty: U256,
    /// The parent's unix time.
    pub timestamp: u64,
    /// The parent's number.
    pub number: u64,
}

impl From<&Header> for Parent {
    fn from(header: &Header) -> Parent {
        Parent { difficulty: header.difficulty, timestamp: header.timestamp, number: header.number }
    }
}

/// The difficulty of a block on `parent` at `timestamp`, by the rule in force at its number. Only forks up to Homestead
/// are known; for later ones [`ChainSpec::unsupported_fork`] says so first.
pub fn expected(spec: &ChainSpec, parent: &Header, timestamp: u64) -> U256 {
    let number = parent.number.saturating_add(1);
    if spec.forks.is_active(Fork::Homestead, number, timestamp) {
        homestead(parent.into(), timestamp)
    } else {
        frontier(parent.into(), timestamp)
    }
}

/// Frontier's rule: one step up after a fast block, one step down after a slow one, then the bomb.
pub fn frontier(parent: Parent, timestamp: u64) -> U256 {
    let step = parent.difficulty / U256::from(BOUND_DIVISOR);
    let fast = timestamp.saturating_sub(parent.timestamp) < FRONTIER_DURATION;
    let base = if fast { parent.difficulty.saturating_add(step) } else { parent.difficulty.saturating_sub(step) };
    with_bomb(base.max(U256::from(MINIMUM)), parent.number)
}

/// Homestead's rule (EIP-2): one step up within 10 seconds, then one step down for each further 10, at most 99.
pub fn homestead(parent: Parent, timestamp: u64) -> U256 {
    let step = parent.difficulty / U256::from(BOUND_DIVISOR);
    let spans = timestamp.saturating_sub(parent.timestamp) / HOMESTEAD_SPAN;
    let base = match spans {
        0 => parent.difficulty.saturating_add(step),
        // 2048 > 99, so this cannot underflow
        spans => parent.difficulty - step * U256::from((spans - 1).min(HOMESTEAD_MAX_STEPS)),
    };
    with_bomb(base.max(U256::from(MINIMUM)), parent.number)
}

/// Adds 2^(period - 2) from the third period on.
fn with_bomb(base: U256, parent_number: u64) -> U256 {
    let period = parent_number.saturating_add(1) / BOMB_PERIOD;
    if period < 2 {
        return base;
    }
    let exponent = usize::try_from(period - 2).unwrap_or(usize::MAX);
    let bomb = U256::from(1).checked_shl(exponent).unwrap_or(U256::MAX);
    base.saturating_add(bomb)
}
