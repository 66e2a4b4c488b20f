//! Ethereum's main network, built in.

use alloy_consensus::Header;
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_primitives::{B64, B256, U256, address, b256, bytes};

use super::{Activation, ChainSpec, Consensus, Fork, Forks};
use crate::header;

/// The hash of mainnet's genesis header.
pub const GENESIS_HASH: B256 = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");

pub(super) fn spec() -> ChainSpec {
    ChainSpec {
        deposit_contract: Some(address!("00000000219ab540356cbb839cbe05303d7705fa")),
        ..ChainSpec::new("mainnet", 1, header::seal(genesis()), forks(), Consensus::Ethash)
    }
}

pub(super) fn genesis() -> Header {
    Header {
        parent_hash: B256::ZERO,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root: b256!("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544"),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: U256::from(0x4_0000_0000_u64),
        gas_limit: 5000,
        extra_data: bytes!("11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"),
        nonce: B64::with_last_byte(0x42),
        ..Header::default()
    }
}

/// The schedule up to BPO2 (EIP-7642 and the meta EIPs of each fork).
fn forks() -> Forks {
    use Activation::{Block, Time, TotalDifficulty};
    Forks::new(vec![
        (Fork::Homestead, Block(1_150_000)),
        (Fork::Dao, Block(1_920_000)),
        (Fork::TangerineWhistle, Block(2_463_000)),
        (Fork::SpuriousDragon, Block(2_675_000)),
        (Fork::Byzantium, Block(4_370_000)),
        (Fork::Constantinople, Block(7_280_000)),
        (Fork::Petersburg, Block(7_280_000)),
        (Fork::Istanbul, Block(9_069_000)),
        (Fork::MuirGlacier, Block(9_200_000)),
        (Fork::Berlin, Block(12_244_000)),
        (Fork::London, Block(12_965_000)),
        (Fork::ArrowGlacier, Block(13_773_000)),
        (Fork::GrayGlacier, Block(15_050_000)),
        (Fork::Paris, TotalDifficulty(U256::from(58_750_000_000_000_000_000_000_u128))),
        (Fork::Shanghai, Time(1_681_338_455)),
        (Fork::Cancun, Time(1_710_338_135)),
        (Fork::Prague, Time(1_746_612_311)),
        (Fork::Osaka, Time(1_764_798_551)),
        (Fork::Bpo1, Time(1_765_290_071)),
        (Fork::Bpo2, Time(1_767_747_671)),
    ])
}
