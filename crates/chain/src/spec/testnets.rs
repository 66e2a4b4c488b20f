//! Ethereum's test networks, built in: their genesis headers and schedules, not their allocations.

use alloy_consensus::Header;
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_primitives::{B64, B256, Bytes, U256, address, b256};

use super::{Activation, ChainSpec, Consensus, Fork, Forks};
use crate::header;
use crate::rules::INITIAL_BASE_FEE;

/// The hash of Sepolia's genesis header.
pub(super) const SEPOLIA_GENESIS_HASH: B256 = b256!("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9");
/// The hash of Hoodi's genesis header.
pub(super) const HOODI_GENESIS_HASH: B256 = b256!("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b");

/// Forks in force from genesis in both.
const FROM_GENESIS: [Fork; 10] = [
    Fork::Homestead,
    Fork::TangerineWhistle,
    Fork::SpuriousDragon,
    Fork::Byzantium,
    Fork::Constantinople,
    Fork::Petersburg,
    Fork::Istanbul,
    Fork::MuirGlacier,
    Fork::Berlin,
    Fork::London,
];

pub(super) fn sepolia() -> ChainSpec {
    let mut forks = forks(
        U256::from(17_000_000_000_000_000_u64),
        [1_677_557_088, 1_706_655_072, 1_741_159_776, 1_760_427_360, 1_761_017_184, 1_761_607_008],
    );
    // the merge's network split
    forks.other_blocks = vec![1_735_371];
    let genesis = Header {
        state_root: b256!("5eb6e371a698b8d68f665192350ffcecbbbf322916f4b51bd79bb6887da3f494"),
        difficulty: U256::from(0x2_0000),
        gas_limit: 30_000_000,
        timestamp: 1_633_267_481,
        extra_data: Bytes::from_static(b"Sepolia, Athens, Attica, Greece!"),
        ..empty()
    };
    ChainSpec {
        deposit_contract: Some(address!("7f02c3e3c98b133055b8b348b2ac625669ed295d")),
        ..ChainSpec::new("sepolia", 11_155_111, header::seal(genesis), forks, Consensus::Ethash)
    }
}

pub(super) fn hoodi() -> ChainSpec {
    let forks = forks(U256::ZERO, [0, 0, 1_742_999_832, 1_761_677_592, 1_762_365_720, 1_762_955_544]);
    let genesis = Header {
        state_root: b256!("da87d7f5f91c51508791bbcbd4aa5baf04917830b86985eeb9ad3d5bfb657576"),
        difficulty: U256::from(1),
        gas_limit: 0x225_5100,
        timestamp: 1_742_212_800,
        nonce: B64::new([0, 0, 0, 0, 0, 0, 0x12, 0x34]),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..empty()
    };
    ChainSpec {
        deposit_contract: Some(address!("00000000219ab540356cbb839cbe05303d7705fa")),
        ..ChainSpec::new("hoodi", 560_048, header::seal(genesis), forks, Consensus::Ethash)
    }
}

fn empty() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        base_fee_per_gas: Some(INITIAL_BASE_FEE),
        ..Header::default()
    }
}

/// Everything to London from genesis, then the forks by time from Shanghai to BPO2.
fn forks(terminal: U256, times: [u64; 6]) -> Forks {
    let by_time = [Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Osaka, Fork::Bpo1, Fork::Bpo2];
    let from_genesis = FROM_GENESIS.into_iter().map(|fork| (fork, Activation::Block(0)));
    let later = by_time.into_iter().zip(times).map(|(fork, time)| (fork, Activation::Time(time)));
    let merge = (Fork::Paris, Activation::TotalDifficulty(terminal));
    Forks::new(from_genesis.chain([merge]).chain(later).collect())
}
