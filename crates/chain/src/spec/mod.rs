//! Which chain: its genesis header, its schedule of forks and its kind of consensus.

mod blobs;
mod classic;
mod fork_id;
mod forks;
mod genesis;
mod mainnet;
mod testnets;

use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, U256};

pub use blobs::BlobSchedule;
pub use classic::Classic;
pub use fork_id::{ForkId, ForkIdError};
pub use forks::{Activation, Fork, ForkSet, Forks};
pub use mainnet::GENESIS_HASH as MAINNET_GENESIS_HASH;

use crate::SealedHeader;

/// The last fork whose header rules are built.
const LAST_SUPPORTED: Fork = Fork::Bpo5;

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
    /// The built-in network's name, or `chain <id>` where the chain came in a file.
    pub name: String,
    /// The chain id of EIP-155.
    pub chain_id: u64,
    /// The genesis header.
    pub genesis: SealedHeader,
    /// When forks take place.
    pub forks: Forks,
    /// How blocks are sealed.
    pub consensus: Consensus,
    /// The contract whose logs are the deposits among a block's requests (EIP-6110), where the chain names one.
    pub deposit_contract: Option<Address>,
}

impl ChainSpec {
    /// A chain without a deposit contract.
    pub fn new(
        name: impl Into<String>,
        chain_id: u64,
        genesis: SealedHeader,
        forks: Forks,
        consensus: Consensus,
    ) -> ChainSpec {
        ChainSpec { name: name.into(), chain_id, genesis, forks, consensus, deposit_contract: None }
    }

    /// Ethereum's main network.
    pub fn mainnet() -> ChainSpec {
        mainnet::spec()
    }

    /// The test network Sepolia.
    pub fn sepolia() -> ChainSpec {
        testnets::sepolia()
    }

    /// The test network Hoodi.
    pub fn hoodi() -> ChainSpec {
        testnets::hoodi()
    }

    /// Ethereum Classic: headers only, see [`ChainSpec::executes`].
    pub fn classic() -> ChainSpec {
        classic::classic()
    }

    /// Ethereum Classic's test network: headers only, see [`ChainSpec::executes`].
    pub fn mordor() -> ChainSpec {
        classic::mordor()
    }

    /// Whether the schedule says by which rules blocks are executed. Of Ethereum Classic and its test network only the
    /// header rules are known.
    pub fn executes(&self) -> bool {
        self.forks.classic.is_none()
    }

    /// Whether a block on a parent with this total difficulty is sealed by proof of stake (EIP-3675).
    pub fn is_proof_of_stake_after(&self, parent_td: U256) -> bool {
        self.forks.terminal_total_difficulty().is_some_and(|terminal| parent_td >= terminal)
    }

    /// Whether the chain is clique with the forks that are scheduled by time, which no other client knows: headers carry
    /// every field of the forks in force, and the seal is made over all of them. Clique that is to go over to proof of
    /// stake is not.
    pub fn is_extended_clique(&self) -> bool {
        matches!(self.consensus, Consensus::Clique { .. })
            && self.forks.activation(Fork::Paris).is_none()
            && self.forks.first_time().is_some()
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
        self.forks.active(number, timestamp).find(|fork| *fork > LAST_SUPPORTED)
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
