//! Which chain: its genesis header, its schedule of forks and its kind of consensus.

mod forks;
mod genesis;
mod mainnet;

use alloy_genesis::Genesis;
use alloy_primitives::B256;

pub use forks::{Activation, Fork, Forks};
pub use mainnet::GENESIS_HASH as MAINNET_GENESIS_HASH;

use crate::SealedHeader;

/// How blocks of a chain are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consensus {
    /// Proof of work (Yellow Paper, appendix J).
    Ethash,
    /// Proof of authority (EIP-225).
    Clique {
        /// The least number of seconds between blocks; 0: no bound.
        period: u64,
        /// Every block whose number is a multiple of this lists the signers and drops open votes.
        epoch: u64,
    },
}

/// A chain, as far as its consensus goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec {
    /// `mainnet`, or `chain <id>` where the chain came in a file.
    pub name: String,
    /// The chain id of EIP-155.
    pub chain_id: u64,
    /// The genesis header.
    pub genesis: SealedHeader,
    /// When forks take place.
    pub forks: Forks,
    /// How blocks are sealed.
    pub consensus: Consensus,
}

impl ChainSpec {
    /// Ethereum's main network.
    pub fn mainnet() -> ChainSpec {
        mainnet::spec()
    }

    /// Reads geth's genesis.json. The genesis state root is computed from the allocation, so this takes a moment for a
    /// large one. A genesis that is a built-in network's takes that network's schedule, whatever the file says of forks.
    pub fn from_genesis(json: &[u8]) -> Result<(ChainSpec, Genesis), SpecError> {
        genesis::read(json)
    }

    /// The hash of the genesis header.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis.hash()
    }

    /// The fork that stands in the way of a block with this number and time: the first one in force whose header rules
    /// are not built yet.
    pub fn unsupported_fork(&self, number: u64, timestamp: u64) -> Option<Fork> {
        let last_supported = match self.consensus {
            Consensus::Ethash => Fork::Homestead,
            // The bomb delays behind London change no rule of clique's.
            Consensus::Clique { .. } => Fork::GrayGlacier,
        };
        self.forks.active(number, timestamp).find(|fork| *fork > last_supported)
    }
}

/// A genesis file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not JSON at all.
    #[error("genesis file: not JSON: {0}")]
    Json(String),
    /// A field that has to be there is not.
    #[error("genesis file: field `{field}` is missing")]
    Missing {
        /// Path of the field, with dots between.
        field: String,
    },
    /// A field that does not read.
    #[error("genesis file: field `{field}`: {why}")]
    Field {
        /// Path of the field, with dots between.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// A fork before the one that precedes it.
    #[error("genesis file: fork order: `{later}` is {later_at}, before `{earlier}`, which is {earlier_at}")]
    ForkOrder {
        /// The field of the fork that has to come first.
        earlier: &'static str,
        /// When it is scheduled.
        earlier_at: String,
        /// The field of the fork that has to come second.
        later: &'static str,
        /// When it is scheduled.
        later_at: String,
    },
    /// A fork in force at genesis that is not built yet.
    #[error("genesis file: {fork} (field `{field}`) is in force at genesis, and is not supported yet")]
    NotSupported {
        /// The fork.
        fork: Fork,
        /// The field that schedules it.
        field: &'static str,
    },
}
