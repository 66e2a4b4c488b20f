//! Claims: what can be checked of a best block before its chain is linked to ours.

use alloy_primitives::B256;
use rushlight_chain::{ChainSpec, Consensus, DecodeError, MAINNET_GENESIS_HASH, MAX_FUTURE_SECONDS, header};

/// When mainnet began; its genesis header says 0.
pub const MAINNET_START: u64 = 1_438_269_987;

/// What bounds the number of a header before its ancestry is known: every block is at least a second (clique: a period)
/// younger than its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    genesis: B256,
    start: u64,
    spacing: u64,
}

/// The fields of a header that decisions rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Top {
    pub(super) parent: B256,
    pub(super) number: u64,
    pub(super) timestamp: u64,
}

/// Why a claim is refuted from its header alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClaimError {
    #[error("its best header cannot be read: {0}")]
    Unreadable(DecodeError),
    #[error("its best header's timestamp: expected at most {expected}, got {got}")]
    Future { expected: u64, got: u64 },
    #[error("its best header's number: expected at most {expected} by its timestamp, got {got}")]
    Number { expected: u64, got: u64 },
}

impl ClaimRule {
    /// The rule of a chain.
    pub fn of(spec: &ChainSpec) -> Self {
        let mainnet = spec.genesis_hash() == MAINNET_GENESIS_HASH;
        let start = if mainnet { MAINNET_START } else { spec.genesis.timestamp };
        let spacing = match spec.consensus {
            Consensus::Ethash => 1,
            Consensus::Clique { period, .. } => period,
        };
        Self { genesis: spec.genesis_hash(), start, spacing }
    }

    pub(super) fn genesis(&self) -> B256 {
        self.genesis
    }

    /// Whether nothing bounds the number (clique with period 0).
    pub(super) fn is_unbounded(&self) -> bool {
        self.spacing == 0
    }

    /// Checks what can be checked of a header whose ancestry is unknown. `now` in unix seconds.
    pub(super) fn check(&self, top: &Top, now: u64) -> Result<(), ClaimError> {
        let latest = now.saturating_add(MAX_FUTURE_SECONDS);
        if top.timestamp > latest {
            return Err(ClaimError::Future { expected: latest, got: top.timestamp });
        }
        if let Some(most) = top.timestamp.saturating_sub(self.start).checked_div(self.spacing)
            && top.number > most
        {
            return Err(ClaimError::Number { expected: most, got: top.number });
        }
        Ok(())
    }
}

impl Top {
    pub(super) fn read(raw: &[u8]) -> Result<Self, ClaimError> {
        let outline = header::outline(raw).map_err(ClaimError::Unreadable)?;
        Ok(Self { parent: outline.parent_hash, number: outline.number, timestamp: outline.timestamp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top(number: u64, timestamp: u64) -> Top {
        Top { parent: B256::ZERO, number, timestamp }
    }

    #[test]
    fn mainnet_counts_from_its_launch() {
        let rule = ClaimRule::of(&ChainSpec::mainnet());
        let now = MAINNET_START + 100;
        assert_eq!(rule.check(&top(100, now), now), Ok(()));
        assert_eq!(rule.check(&top(101, now), now), Err(ClaimError::Number { expected: 100, got: 101 }));
        assert_eq!(rule.check(&top(115, now + 15), now), Ok(()));
        assert_eq!(rule.check(&top(1, now + 16), now), Err(ClaimError::Future { expected: now + 15, got: now + 16 }));
        assert_eq!(rule.check(&top(1, 5), now), Err(ClaimError::Number { expected: 0, got: 1 }));
    }

    #[test]
    fn clique_counts_in_periods_and_period_0_has_no_bound() {
        let rule = ClaimRule { genesis: B256::ZERO, start: 1000, spacing: 15 };
        assert_eq!(rule.check(&top(4, 1060), 2000), Ok(()));
        assert_eq!(rule.check(&top(5, 1060), 2000), Err(ClaimError::Number { expected: 4, got: 5 }));
        let rule = ClaimRule { genesis: B256::ZERO, start: 1000, spacing: 0 };
        assert!(rule.is_unbounded());
        assert_eq!(rule.check(&top(u64::MAX, 1000), 2000), Ok(()));
        assert!(rule.check(&top(1, 2016), 2000).is_err());
    }
}
