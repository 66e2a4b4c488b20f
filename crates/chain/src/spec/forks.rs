//! The schedule of forks.

use std::fmt;

use alloy_eips::eip7840::BlobParams;
use alloy_primitives::U256;

use super::blobs::{self, BlobSchedule};
use super::classic::Classic;

/// A change of the rules, in the order in which they come. The names are those of the execution specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names say all
pub enum Fork {
    Frontier,
    Homestead,
    Dao,
    TangerineWhistle,
    SpuriousDragon,
    Byzantium,
    Constantinople,
    Petersburg,
    Istanbul,
    MuirGlacier,
    Berlin,
    London,
    ArrowGlacier,
    GrayGlacier,
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
    Bpo1,
    Bpo2,
    Bpo3,
    Bpo4,
    Bpo5,
    Amsterdam,
    Bogota,
}

impl Fork {
    /// The field of geth's genesis.json that schedules the fork.
    pub fn field(self) -> &'static str {
        match self {
            Fork::Frontier => "number",
            Fork::Homestead => "homesteadBlock",
            Fork::Dao => "daoForkBlock",
            Fork::TangerineWhistle => "eip150Block",
            Fork::SpuriousDragon => "eip158Block",
            Fork::Byzantium => "byzantiumBlock",
            Fork::Constantinople => "constantinopleBlock",
            Fork::Petersburg => "petersburgBlock",
            Fork::Istanbul => "istanbulBlock",
            Fork::MuirGlacier => "muirGlacierBlock",
            Fork::Berlin => "berlinBlock",
            Fork::London => "londonBlock",
            Fork::ArrowGlacier => "arrowGlacierBlock",
            Fork::GrayGlacier => "grayGlacierBlock",
            Fork::Paris => "terminalTotalDifficulty",
            Fork::Shanghai => "shanghaiTime",
            Fork::Cancun => "cancunTime",
            Fork::Prague => "pragueTime",
            Fork::Osaka => "osakaTime",
            Fork::Bpo1 => "bpo1Time",
            Fork::Bpo2 => "bpo2Time",
            Fork::Bpo3 => "bpo3Time",
            Fork::Bpo4 => "bpo4Time",
            Fork::Bpo5 => "bpo5Time",
            Fork::Amsterdam => "amsterdamTime",
            Fork::Bogota => "bogotaTime",
        }
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fork::Dao => "DAO",
            Fork::TangerineWhistle => "Tangerine Whistle",
            Fork::SpuriousDragon => "Spurious Dragon",
            Fork::MuirGlacier => "Muir Glacier",
            Fork::ArrowGlacier => "Arrow Glacier",
            Fork::GrayGlacier => "Gray Glacier",
            Fork::Bpo1 => "BPO1",
            Fork::Bpo2 => "BPO2",
            Fork::Bpo3 => "BPO3",
            Fork::Bpo4 => "BPO4",
            Fork::Bpo5 => "BPO5",
            other => return fmt::Debug::fmt(other, f),
        })
    }
}

/// When a fork takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// From the block with this number on.
    Block(u64),
    /// From the first block with this unix time or a later one, once London is in force. A block before London can bear
    /// any time that its miner liked, and is judged by the rules of its number.
    Time(u64),
    /// From the block after the one that brings the chain to this total difficulty.
    TotalDifficulty(U256),
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::Block(block) => write!(f, "at block {block}"),
            Activation::Time(time) => write!(f, "at time {time}"),
            Activation::TotalDifficulty(td) => write!(f, "at total difficulty {td}"),
        }
    }
}

/// The schedule of a chain's forks: sorted by fork, each at most once, Frontier always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forks {
    schedule: Vec<(Fork, Activation)>,
    /// The block from which transactions may carry a chain id (EIP-155). Where it is given it is Spurious Dragon's.
    pub eip155_block: Option<u64>,
    /// Whether the chain moved the DAO's ether at [`Fork::Dao`] (or stayed as it was, and says so in extra data).
    pub dao_fork_support: bool,
    /// The blob parameters by the forks that set them; Ethereum's own unless the chain's file has others.
    pub blobs: BlobSchedule,
    /// Blocks that count as forks in the fork id although they change no rule that is kept here.
    pub other_blocks: Vec<u64>,
    /// What is Ethereum Classic's own.
    pub classic: Option<Classic>,
}

/// The forks in force in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForkSet(u32);

impl ForkSet {
    /// Whether a fork is in force.
    pub fn contains(self, fork: Fork) -> bool {
        self.0 & (1 << fork as u32) != 0
    }
}

impl Forks {
    /// A schedule. Of a fork given twice the first stands.
    pub fn new(mut schedule: Vec<(Fork, Activation)>) -> Forks {
        schedule.push((Fork::Frontier, Activation::Block(0)));
        schedule.sort_by_key(|(fork, _)| *fork);
        schedule.dedup_by_key(|(fork, _)| *fork);
        let mut forks = Forks {
            schedule,
            eip155_block: None,
            dao_fork_support: true,
            blobs: blobs::defaults(),
            other_blocks: Vec::new(),
            classic: None,
        };
        forks.eip155_block = match forks.activation(Fork::SpuriousDragon) {
            Some(Activation::Block(block)) => Some(block),
            _ => None,
        };
        forks
    }

    /// The forks with their places, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Fork, Activation)> + '_ {
        self.schedule.iter().copied()
    }

    /// When a fork takes place, if it does.
    pub fn activation(&self, fork: Fork) -> Option<Activation> {
        self.schedule.iter().find(|(other, _)| *other == fork).map(|(_, activation)| *activation)
    }

    /// The number of a fork's first block, where it is scheduled by number.
    pub fn block(&self, fork: Fork) -> Option<u64> {
        match self.activation(fork) {
            Some(Activation::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// The forks in force in a block with this number and time, in order. Of total difficulty these tell nothing: see
    /// [`Forks::terminal_total_difficulty`].
    pub fn active(&self, number: u64, timestamp: u64) -> impl Iterator<Item = Fork> + '_ {
        let london = self.block(Fork::London).is_some_and(|block| block <= number);
        let is_reached = move |activation| match activation {
            Activation::Block(block) => block <= number,
            Activation::Time(time) => london && time <= timestamp,
            Activation::TotalDifficulty(_) => false,
        };
        self.iter().filter(move |(_, activation)| is_reached(*activation)).map(|(fork, _)| fork)
    }

    /// Whether a fork is in force in a block with this number and time.
    pub fn is_active(&self, fork: Fork, number: u64, timestamp: u64) -> bool {
        self.active(number, timestamp).any(|active| active == fork)
    }

    /// The forks in force in a block with this number and time, all at once.
    pub fn set(&self, number: u64, timestamp: u64) -> ForkSet {
        ForkSet(self.active(number, timestamp).fold(0, |set, fork| set | 1 << fork as u32))
    }

    /// The blob parameters of a block with this number and time (EIP-7840); nothing before Cancun.
    pub fn blob_params(&self, number: u64, timestamp: u64) -> Option<BlobParams> {
        blobs::params(&self.blobs, self.set(number, timestamp))
    }

    /// The time of the first fork that is scheduled by time, if there is one.
    pub fn first_time(&self) -> Option<u64> {
        self.times().min()
    }

    /// Whether a fork scheduled by time is in force in a block with this number and time.
    pub fn is_time_reached(&self, number: u64, timestamp: u64) -> bool {
        self.block(Fork::London).is_some_and(|block| block <= number) && self.times().any(|time| time <= timestamp)
    }

    /// The times of the forks that are scheduled by time.
    pub fn times(&self) -> impl Iterator<Item = u64> + '_ {
        self.iter().filter_map(|(_, activation)| match activation {
            Activation::Time(time) => Some(time),
            _ => None,
        })
    }

    /// The last fork in force in a block with this number and time.
    pub fn at(&self, number: u64, timestamp: u64) -> Fork {
        self.active(number, timestamp).last().unwrap_or(Fork::Frontier)
    }

    /// The total difficulty after which blocks are sealed by proof of stake (EIP-3675), if that is scheduled.
    pub fn terminal_total_difficulty(&self) -> Option<U256> {
        match self.activation(Fork::Paris) {
            Some(Activation::TotalDifficulty(td)) => Some(td),
            _ => None,
        }
    }
}
