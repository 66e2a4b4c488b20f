//! Clique blocks of one's own (EIP-225): decided here without I/O, made and announced by the node's task.

use std::time::Duration;

use alloy_primitives::{Address, Bytes};
use rushlight_chain::clique::{Draft, SealingError, draft, seal, signer_address, turn_delay};
use rushlight_chain::{Consensus, HeaderChain, RawBlock, SealedHeader, header};
use secp256k1::SecretKey;

/// The gas limit that blocks move towards, if not told otherwise: geth's default of the London era.
pub const DEFAULT_GAS_TARGET: u64 = 30_000_000;

/// What a transaction leaves at the least to whoever seals, in wei per gas, if not told otherwise: geth's 0.001 gwei.
pub const DEFAULT_MIN_TIP: u128 = 1_000_000;

/// Seals clique blocks with a key.
#[derive(Clone)]
pub struct CliqueSealer {
    /// The signer's key.
    pub key: SecretKey,
    /// Seconds between our blocks and their parents; where the chain's own period is longer, that holds. Where both are 0,
    /// each transaction is sealed as it comes, and nothing is sealed where there is none.
    pub period: u64,
    /// The gas limit to move to; default [`DEFAULT_GAS_TARGET`].
    pub gas_target: u64,
    /// What a transaction leaves us at the least, in wei per gas; default [`DEFAULT_MIN_TIP`].
    pub min_tip: u128,
}

impl std::fmt::Debug for CliqueSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CliqueSealer").field("signer", &self.address()).field("period", &self.period).finish()
    }
}

/// A sealer that cannot work on this chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealerError {
    /// The chain is not a clique chain.
    #[error("sealing: expected a clique chain, got {chain}, which is ethash")]
    NotClique {
        /// The chain's name.
        chain: String,
    },
}

/// What a sealer does on a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Seal this once the delay is over, unless another head comes first.
    Seal {
        /// What is to be sealed.
        draft: Box<Draft>,
        /// Until its time has come, and others whose turn it is have had theirs.
        delay: Duration,
    },
    /// Not on this head: wait for another one.
    Wait(SealingError),
}

impl CliqueSealer {
    /// A sealer with the default gas target and least tip.
    pub fn new(key: SecretKey, period: u64) -> Self {
        CliqueSealer { key, period, gas_target: DEFAULT_GAS_TARGET, min_tip: DEFAULT_MIN_TIP }
    }

    /// The signer's account.
    pub fn address(&self) -> Address {
        signer_address(&self.key)
    }

    /// Whether it can work on this chain at all. Whether the account is a signer is not asked: it may be voted in.
    pub(crate) fn check(&self, headers: &HeaderChain) -> Result<(), SealerError> {
        match headers.spec().consensus {
            Consensus::Ethash => Err(SealerError::NotClique { chain: headers.spec().name.clone() }),
            Consensus::Clique { .. } => Ok(()),
        }
    }

    /// Whether blocks are sealed as transactions come, instead of by the clock.
    pub(crate) fn on_demand(&self, headers: &HeaderChain) -> bool {
        matches!(headers.spec().consensus, Consensus::Clique { period, .. } if period.max(self.period) == 0)
    }

    /// What to do on the present head. `now`: unix seconds; `roll`: any random number, which decides how long a signer
    /// whose turn it is not holds back.
    pub fn turn(&self, headers: &HeaderChain, now: u64, roll: u64) -> Turn {
        let parent = headers.head().header;
        let snapshot = headers.snapshot_at(&parent.hash());
        let Some(snapshot) = snapshot else {
            return Turn::Wait(SealingError::NotClique { chain: headers.spec().name.clone() });
        };
        let earliest = now.max(parent.timestamp.saturating_add(self.period));
        match draft(headers.spec(), &snapshot, &parent, self.address(), earliest, self.gas_target, None) {
            Ok(draft) => {
                let wait = Duration::from_secs(draft.header.timestamp.saturating_sub(now));
                let delay = wait + turn_delay(draft.in_turn, snapshot.signers().len(), roll);
                Turn::Seal { draft: Box::new(draft), delay }
            }
            Err(error) => Turn::Wait(error),
        }
    }

    /// Signs a draft whose header is complete ([`crate::FullChain::fill`]), with its transactions.
    pub fn seal(&self, draft: Draft, transactions: Vec<Bytes>) -> Result<(SealedHeader, RawBlock), SealingError> {
        let sealed = seal(draft.header, &self.key)?;
        // From Shanghai on a block has a list of withdrawals; clique's is empty.
        let withdrawals = sealed.withdrawals_root.map(|_| Vec::new());
        let block = RawBlock { header: header::encode(&sealed), transactions, withdrawals, ..RawBlock::default() };
        Ok((sealed, block))
    }
}
