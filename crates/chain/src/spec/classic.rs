//! Ethereum Classic and its test network: headers and their rules, not execution.
//!
//! The schedule names the forks of Ethereum whose header rules Classic took over. Of Mystique that is none: it left out
//! the base fee (ECIP-1104).

use alloy_consensus::Header;
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_primitives::{B256, U256, b256, bytes};

use super::{Activation, ChainSpec, Consensus, Fork, Forks, mainnet};
use crate::header;

/// The chain id of Ethereum Classic, whose genesis is mainnet's.
pub(super) const CHAIN_ID: u64 = 61;
/// The hash of Mordor's genesis header.
pub(super) const MORDOR_GENESIS_HASH: B256 = b256!("a68ebde7932eccb177d38d55dcc6461a019dd795a681e59b5a3e4f3a7259a3f1");

/// What is Ethereum Classic's own among the rules of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classic {
    /// The bomb stands still from the first number on for so many blocks, and lags as many behind after (ECIP-1010).
    pub bomb_pause: Option<(u64, u64)>,
    /// The bomb is gone from this block on (ECIP-1041).
    pub bomb_removed: u64,
    /// An epoch of ethash has twice its blocks from this block on (ECIP-1099).
    pub long_epochs: u64,
}

impl Classic {
    /// The number by which the bomb of block `number` counts; none where there is no bomb.
    pub(crate) fn bomb_number(&self, number: u64) -> Option<u64> {
        if number >= self.bomb_removed {
            return None;
        }
        Some(match self.bomb_pause {
            Some((from, length)) if number >= from => from.max(number.saturating_sub(length)),
            _ => number,
        })
    }
}

pub(super) fn classic() -> ChainSpec {
    use Activation::Block;
    let mut forks = Forks::new(vec![
        (Fork::Homestead, Block(1_150_000)),
        (Fork::TangerineWhistle, Block(2_500_000)), // ECIP-1015
        (Fork::SpuriousDragon, Block(8_772_000)),   // Atlantis, ECIP-1054
        (Fork::Byzantium, Block(8_772_000)),
        (Fork::Constantinople, Block(9_573_000)), // Agharta, ECIP-1056
        (Fork::Petersburg, Block(9_573_000)),
        (Fork::Istanbul, Block(10_500_839)), // Phoenix, ECIP-1088
        (Fork::Berlin, Block(13_189_133)),   // Magneto, ECIP-1103
    ]);
    forks.eip155_block = Some(3_000_000);
    // Die Hard (ECIP-1010), the first era's end (ECIP-1017), Gotham (ECIP-1041), Thanos (ECIP-1099), Mystique
    // (ECIP-1104), Spiral (ECIP-1109)
    forks.other_blocks = vec![3_000_000, 5_000_000, 5_900_000, 11_700_000, 14_525_000, 19_250_000];
    forks.classic =
        Some(Classic { bomb_pause: Some((3_000_000, 2_000_000)), bomb_removed: 5_900_000, long_epochs: 11_700_000 });
    ChainSpec::new("classic", CHAIN_ID, header::seal(mainnet::genesis()), forks, Consensus::Ethash)
}

pub(super) fn mordor() -> ChainSpec {
    use Activation::Block;
    let mut forks = Forks::new(vec![
        (Fork::Homestead, Block(0)),
        (Fork::TangerineWhistle, Block(0)),
        (Fork::SpuriousDragon, Block(0)),
        (Fork::Byzantium, Block(0)),
        (Fork::Constantinople, Block(301_243)), // Agharta
        (Fork::Petersburg, Block(301_243)),
        (Fork::Istanbul, Block(999_983)), // Phoenix
        (Fork::Berlin, Block(3_985_893)), // Magneto
    ]);
    // Thanos, Mystique, Spiral
    forks.other_blocks = vec![2_520_000, 5_520_000, 9_957_000];
    forks.classic = Some(Classic { bomb_pause: None, bomb_removed: 0, long_epochs: 2_520_000 });
    let genesis = Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root: EMPTY_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: U256::from(0x2_0000),
        gas_limit: 0x2f_efd8,
        timestamp: 0x5d96_76db,
        extra_data: bytes!("70686f656e697820636869636b656e206162737572642062616e616e61"),
        ..Header::default()
    };
    ChainSpec::new("mordor", 63, header::seal(genesis), forks, Consensus::Ethash)
}
