//! The built-in networks: their published genesis hashes and fork ids.

use alloy_primitives::{B256, U256, b256};
use rushlight_chain::{ChainSpec, ForkId, ForkIdError, difficulty};

/// A head and the fork id at it.
type Case = (u64, u64, u32, u64);

fn check(spec: &ChainSpec, id: u64, genesis: B256, cases: &[Case]) {
    assert_eq!((spec.chain_id, spec.genesis_hash()), (id, genesis), "{}", spec.name);
    for (number, time, hash, next) in cases {
        let expected = ForkId { hash: hash.to_be_bytes(), next: *next };
        assert_eq!(spec.fork_id(*number, *time), expected, "{} at {number}, {time}", spec.name);
    }
}

/// go-ethereum, core/forkid/forkid_test.go.
#[test]
fn ethereums_networks() {
    let genesis = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
    check(
        &ChainSpec::mainnet(),
        1,
        genesis,
        &[
            (0, 0, 0xfc64ec04, 1_150_000),
            (1_149_999, 0, 0xfc64ec04, 1_150_000),
            (1_150_000, 0, 0x97c2c34c, 1_920_000),
            (1_919_999, 0, 0x97c2c34c, 1_920_000),
            (1_920_000, 0, 0x91d1f948, 2_463_000),
            (2_463_000, 0, 0x7a64da13, 2_675_000),
            (2_675_000, 0, 0x3edd5b10, 4_370_000),
            (4_370_000, 0, 0xa00bc324, 7_280_000),
            (7_280_000, 0, 0x668db0af, 9_069_000),
            (9_069_000, 0, 0x879d6e30, 9_200_000),
            (9_200_000, 0, 0xe029e991, 12_244_000),
            (12_244_000, 0, 0x0eb440f6, 12_965_000),
            (12_965_000, 0, 0xb715077d, 13_773_000),
            (13_773_000, 0, 0x20c327fc, 15_050_000),
            (15_050_000, 0, 0xf0afd0e3, 1_681_338_455),
            (20_000_000, 1_681_338_454, 0xf0afd0e3, 1_681_338_455),
            (20_000_000, 1_681_338_455, 0xdce96c2d, 1_710_338_135),
            (30_000_000, 1_710_338_135, 0x9f3d2254, 1_746_612_311),
            (30_000_000, 1_746_612_311, 0xc376cf8b, 1_764_798_551),
            (30_000_000, 1_764_798_551, 0x5167e2a6, 1_765_290_071),
            (30_000_000, 1_765_290_071, 0xcba2a1c0, 1_767_747_671),
            (30_000_000, 1_767_747_671, 0x07c9462e, 0),
            (50_000_000, 2_000_000_000, 0x07c9462e, 0),
        ],
    );
    let genesis = b256!("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9");
    check(
        &ChainSpec::sepolia(),
        11_155_111,
        genesis,
        &[
            (0, 0, 0xfe3366e7, 1_735_371),
            (1_735_370, 0, 0xfe3366e7, 1_735_371),
            (1_735_371, 0, 0xb96cbd13, 1_677_557_088),
            (1_735_372, 1_677_557_088, 0xf7f9bc08, 1_706_655_072),
            (1_735_372, 1_706_655_072, 0x88cf81d9, 1_741_159_776),
            (1_735_372, 1_741_159_776, 0xed88b5fd, 1_760_427_360),
            (1_735_372, 1_760_427_360, 0xe2ae4999, 1_761_017_184),
            (1_735_372, 1_761_017_184, 0x56078a1e, 1_761_607_008),
            (1_735_372, 1_761_607_008, 0x268956b6, 0),
        ],
    );
    let genesis = b256!("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b");
    check(
        &ChainSpec::hoodi(),
        560_048,
        genesis,
        &[
            (0, 0, 0xbef71d30, 1_742_999_832),
            (123, 1_742_999_832, 0x0929e24e, 1_761_677_592),
            (123, 1_761_677_592, 0xe7e0e7ff, 1_762_365_720),
            (123, 1_762_365_720, 0x3893353e, 1_762_955_544),
            (123, 1_762_955_544, 0x23aa1351, 0),
        ],
    );
}

/// core-geth, core/forkid/forkid_test.go.
#[test]
fn ethereum_classics_networks() {
    let genesis = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
    check(
        &ChainSpec::classic(),
        61,
        genesis,
        &[
            (0, 0, 0xfc64ec04, 1_150_000),
            (1_150_000, 0, 0x97c2c34c, 2_500_000),
            (2_500_000, 0, 0xdb06803f, 3_000_000),
            (3_000_000, 0, 0xaff4bed4, 5_000_000),
            (5_000_000, 0, 0xf79a63c0, 5_900_000),
            (5_900_000, 0, 0x744899d6, 8_772_000),
            (8_772_000, 0, 0x518b59c6, 9_573_000),
            (9_573_000, 0, 0x7ba22882, 10_500_839),
            (10_500_839, 0, 0x9007bfcc, 11_700_000),
            (11_700_000, 0, 0xdb63a1ca, 13_189_133),
            (13_189_133, 0, 0x0f6bf187, 14_525_000),
            (14_525_000, 0, 0x7fd1bb25, 19_250_000),
            (19_250_000, 0, 0xbe46d57c, 0),
        ],
    );
    let genesis = b256!("a68ebde7932eccb177d38d55dcc6461a019dd795a681e59b5a3e4f3a7259a3f1");
    check(
        &ChainSpec::mordor(),
        63,
        genesis,
        &[
            (0, 0, 0x175782aa, 301_243),
            (301_243, 0, 0x604f6ee1, 999_983),
            (999_983, 0, 0xf42f5539, 2_520_000),
            (2_520_000, 0, 0x66b5c286, 3_985_893),
            (3_985_893, 0, 0x92b323e0, 5_520_000),
            (5_520_000, 0, 0x8c9b1797, 9_957_000),
            (9_957_000, 0, 0x3a6b00d7, 0),
        ],
    );
    assert!(!ChainSpec::classic().executes() && !ChainSpec::mordor().executes() && ChainSpec::mainnet().executes());
}

/// The rules of EIP-2124 by its own examples, and those of go-ethereum's that are about times.
#[test]
fn peers_on_other_chains_are_told() {
    let spec = ChainSpec::mainnet();
    let check = |number, time, hash: u32, next| {
        spec.check_fork_id(ForkId { hash: hash.to_be_bytes(), next }, number, time).map_err(|error| match error {
            ForkIdError::RemoteStale { .. } => "stale",
            ForkIdError::Incompatible { .. } => "other",
        })
    };
    // the same forks passed; one that we do not know of yet; one that we have gone past without it
    assert_eq!(check(7_987_396, 0, 0x668db0af, 0), Ok(()));
    assert_eq!(check(7_987_396, 0, 0x668db0af, u64::MAX), Ok(()));
    assert_eq!(check(7_279_999, 0, 0xa00bc324, 7_280_000), Ok(()));
    assert_eq!(check(7_279_999, 0, 0xa00bc324, 7_279_999), Err("other"));
    assert_eq!(check(7_987_396, 0, 0x668db0af, 7_987_396), Err("other"));
    // the peer is behind, and knows what comes; or does not
    assert_eq!(check(7_987_396, 0, 0xa00bc324, 7_280_000), Ok(()));
    assert_eq!(check(7_987_396, 0, 0x3edd5b10, 4_370_000), Ok(()));
    assert_eq!(check(7_987_396, 0, 0xa00bc324, 0), Err("stale"));
    // the peer is ahead
    assert_eq!(check(7_279_999, 0, 0x668db0af, 0), Ok(()));
    assert_eq!(check(4_369_999, 0, 0xa00bc324, 0), Ok(()));
    // another chain: Rinkeby's
    assert_eq!(check(7_987_396, 0, 0xafec6b27, 0), Err("other"));
    // by time: Shanghai passed, Cancun announced; its time gone past without it
    assert_eq!(check(20_000_000, 1_681_338_455, 0xdce96c2d, 1_710_338_135), Ok(()));
    assert_eq!(check(20_000_000, 1_668_000_000, 0xf0afd0e3, 1_668_000_001), Ok(()));
    assert_eq!(check(20_000_000, 1_668_000_001, 0xf0afd0e3, 1_668_000_001), Err("other"));
    assert_eq!(check(20_000_000, 1_681_338_455, 0xf0afd0e3, 1_681_338_455), Ok(()));
    assert_eq!(check(20_000_000, 1_681_338_455, 0xf0afd0e3, 0), Err("stale"));
    assert_eq!(check(20_000_000, 1_681_338_455, 0x9f3d2254, 0), Ok(()));
}

/// Ethereum Classic's bomb: as it was, held at block 3,000,000, two million blocks late, gone.
#[test]
fn classics_bomb() {
    let forks = ChainSpec::classic().forks;
    let bomb = |number: u64| {
        let difficulty = U256::from(1_u64 << 40);
        let parent = difficulty::Parent { difficulty, timestamp: 1000, number: number - 1, has_uncles: false };
        // 10 to 17 seconds after its parent a block's difficulty stays, by Homestead's rule and by Byzantium's
        difficulty::by_forks(&forks, parent, 1010) - difficulty
    };
    let power = |exponent: usize| U256::from(1) << exponent;
    assert_eq!(bomb(1_150_000), power(9));
    assert_eq!(bomb(2_999_999), power(27));
    assert_eq!(bomb(3_000_000), power(28));
    assert_eq!(bomb(4_999_999), power(28));
    assert_eq!(bomb(5_000_000), power(28));
    assert_eq!(bomb(5_099_999), power(28));
    assert_eq!(bomb(5_100_000), power(29));
    assert_eq!(bomb(5_899_999), power(36));
    assert_eq!(bomb(5_900_000), U256::ZERO);
    assert_eq!(bomb(20_000_000), U256::ZERO);
}
