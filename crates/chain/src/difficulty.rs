//! The difficulty rules of proof of work, pure.

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::U256;

use crate::spec::{ChainSpec, Fork, Forks};

/// No block is easier than this.
pub const MINIMUM: u64 = 131_072;
/// A step is the parent's difficulty divided by this.
const BOUND_DIVISOR: u64 = 2048;
/// Frontier: a block faster than this many seconds raises the difficulty, a slower one lowers it.
const FRONTIER_DURATION: u64 = 13;
/// Homestead: each full span of so many seconds lowers the difficulty by a step (EIP-2).
const HOMESTEAD_SPAN: u64 = 10;
/// Byzantium: the same for each full span of so many seconds (EIP-100).
const BYZANTIUM_SPAN: u64 = 9;
/// Homestead and later: the difficulty falls by at most so many steps.
const MAX_STEPS: u64 = 99;
/// By how many blocks the bomb is put off, from the latest fork to the first.
const BOMB_DELAYS: [(Fork, u64); 6] = [
    (Fork::GrayGlacier, 11_400_000),   // EIP-5133
    (Fork::ArrowGlacier, 10_700_000),  // EIP-4345
    (Fork::London, 9_700_000),         // EIP-3554
    (Fork::MuirGlacier, 9_000_000),    // EIP-2384
    (Fork::Constantinople, 5_000_000), // EIP-1234
    (Fork::Byzantium, 3_000_000),      // EIP-649
];
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
    /// Whether the parent has uncles.
    pub has_uncles: bool,
}

impl From<&Header> for Parent {
    fn from(header: &Header) -> Parent {
        Parent {
            difficulty: header.difficulty,
            timestamp: header.timestamp,
            number: header.number,
            has_uncles: header.ommers_hash != EMPTY_OMMER_ROOT_HASH,
        }
    }
}

/// The difficulty of a block on `parent` at `timestamp`, by the rules in force at its number.
pub fn expected(spec: &ChainSpec, parent: &Header, timestamp: u64) -> U256 {
    by_forks(&spec.forks, parent.into(), timestamp)
}

/// The difficulty of a block on `parent` at `timestamp`, by the rules that `forks` puts in force at its number.
pub fn by_forks(forks: &Forks, parent: Parent, timestamp: u64) -> U256 {
    let number = parent.number.saturating_add(1);
    let active = forks.set(number, timestamp);
    let adjusted = if active.contains(Fork::Byzantium) {
        byzantium(parent, timestamp)
    } else if active.contains(Fork::Homestead) {
        homestead(parent, timestamp)
    } else {
        frontier(parent, timestamp)
    };
    let base = adjusted.max(U256::from(MINIMUM));
    let bomb_number = match &forks.classic {
        Some(classic) => classic.bomb_number(number),
        None => {
            let delay = BOMB_DELAYS.iter().find(|(fork, _)| active.contains(*fork)).map_or(0, |(_, delay)| *delay);
            Some(number.saturating_sub(delay))
        }
    };
    base.saturating_add(bomb_number.map_or(U256::ZERO, bomb))
}

/// Frontier: one step up after a fast block, one step down after a slow one.
fn frontier(parent: Parent, timestamp: u64) -> U256 {
    let step = parent.difficulty / U256::from(BOUND_DIVISOR);
    let fast = timestamp.saturating_sub(parent.timestamp) < FRONTIER_DURATION;
    if fast { parent.difficulty.saturating_add(step) } else { parent.difficulty.saturating_sub(step) }
}

/// Homestead (EIP-2): one step up within 10 seconds, then one step down for each further 10, at most 99.
fn homestead(parent: Parent, timestamp: u64) -> U256 {
    steps(parent.difficulty, 1, timestamp.saturating_sub(parent.timestamp) / HOMESTEAD_SPAN)
}

/// Byzantium (EIP-100): the same by 9 seconds, and one step more after a parent with uncles.
fn byzantium(parent: Parent, timestamp: u64) -> U256 {
    let up = if parent.has_uncles { 2 } else { 1 };
    steps(parent.difficulty, up, timestamp.saturating_sub(parent.timestamp) / BYZANTIUM_SPAN)
}

/// `up` steps up and `down` steps down, in sum at most 99 down.
fn steps(difficulty: U256, up: u64, down: u64) -> U256 {
    let step = difficulty / U256::from(BOUND_DIVISOR);
    if down <= up {
        difficulty.saturating_add(step * U256::from(up - down))
    } else {
        // 2048 > 99, so this cannot underflow
        difficulty - step * U256::from((down - up).min(MAX_STEPS))
    }
}

/// The bomb at a number: 2^(period - 2) from the third period on.
fn bomb(number: u64) -> U256 {
    let period = number / BOMB_PERIOD;
    if period < 2 {
        return U256::ZERO;
    }
    let exponent = usize::try_from(period - 2).unwrap_or(usize::MAX);
    U256::from(1).checked_shl(exponent).unwrap_or(U256::MAX)
}
