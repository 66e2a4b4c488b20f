//! Headers at their forks: the DAO's extra data, blob gas, and extended clique.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use proptest::prelude::*;
use rushlight_chain::clique::{Snapshot, draft, seal, seal_hash, signer_address};
use rushlight_chain::store::MemoryStore;
use rushlight_chain::testing::{ToyMiner, toy_seal, toy_spec};
use rushlight_chain::{
    Activation, BlobParams, ChainSpec, Fork, Forks, HeaderChain, HeaderChainConfig, INITIAL_BASE_FEE, NoSeals,
    SealPolicy, SealedHeader, blob_base_fee, header, next_excess_blob_gas, verify_header,
};
use secp256k1::SecretKey;
use serde_json::json;

const NOW: u64 = 2_000_000_000;

/// A proof-of-work chain whose forks come one after the other, a block apart.
fn by_block(support: bool) -> ChainSpec {
    let forks = [
        Fork::Homestead,
        Fork::Dao,
        Fork::TangerineWhistle,
        Fork::SpuriousDragon,
        Fork::Byzantium,
        Fork::Constantinople,
        Fork::Petersburg,
        Fork::Istanbul,
        Fork::MuirGlacier,
        Fork::Berlin,
        Fork::London,
        Fork::ArrowGlacier,
        Fork::GrayGlacier,
    ];
    let mut forks = Forks::new(forks.into_iter().zip(1..).map(|(fork, at)| (fork, Activation::Block(at))).collect());
    forks.dao_fork_support = support;
    ChainSpec { forks, ..toy_spec(0) }
}

/// EIP-779: ten blocks say on which side they are, the one after need not.
#[test]
fn the_daos_extra_data() {
    for support in [true, false] {
        let miner = ToyMiner::new(by_block(support));
        let mut parent = miner.spec().genesis.clone();
        for number in 1..=14 {
            let mut template = miner.template(&parent);
            let mut verify = |extra: &'static [u8]| {
                template.extra_data = Bytes::from_static(extra);
                verify_header(miner.spec(), &toy_seal(template.clone()), &parent, U256::ZERO, NOW)
            };
            let (marked, unmarked) = (verify(b"dao-hard-fork"), verify(b"no"));
            let (good, bad) = if support { (marked, unmarked) } else { (unmarked, marked) };
            assert_eq!(good, Ok(()), "block {number}");
            if (2..12).contains(&number) {
                let expected = if support {
                    "extra data of the DAO fork: expected 0x64616f2d686172642d666f726b, got 0x6e6f"
                } else {
                    "extra data of the DAO fork: expected anything but 0x64616f2d686172642d666f726b, got \
                     0x64616f2d686172642d666f726b"
                };
                assert_eq!(bad.unwrap_err().to_string(), expected, "block {number}");
            } else {
                assert_eq!(bad, Ok(()), "block {number}");
            }
            template.extra_data = if support { b"dao-hard-fork".into() } else { Bytes::new() };
            parent = toy_seal(template);
        }
        assert_eq!(parent.base_fee_per_gas.is_some(), parent.number >= 11);
    }
}

fn osaka() -> BlobParams {
    BlobParams::osaka()
}

/// Values of EIP-4844's own tests, and the bounds of what a peer may send.
#[test]
fn blob_fees() {
    let cancun = BlobParams::cancun();
    let fees =
        [(0, 1), (2_314_057, 1), (2_314_058, 2), (10 * 1024 * 1024, 23), (148_099_578, 18_446_739_238_971_471_609)];
    for (excess, fee) in fees {
        assert_eq!(blob_base_fee(&cancun, excess), fee, "{excess}");
    }
    assert_eq!(blob_base_fee(&cancun, u64::MAX), u128::MAX);
    assert_eq!(blob_base_fee(&BlobParams { update_fraction: 0, ..cancun }, u64::MAX), u128::MAX);
}

fn merged(times: &[(Fork, u64)]) -> ChainSpec {
    let blocks = [Fork::London].map(|fork| (fork, Activation::Block(0)));
    let times = times.iter().map(|(fork, time)| (*fork, Activation::Time(*time)));
    let forks = Forks::new(blocks.into_iter().chain(times).collect());
    ChainSpec { forks, ..toy_spec(0) }
}

/// EIP-7918: from Osaka on the excess falls only while a blob costs at least what its proof would.
#[test]
fn excess_blob_gas_has_a_reserve_price_from_osaka_on() {
    const BLOB: u64 = 131_072;
    let prague = merged(&[(Fork::Cancun, 0), (Fork::Prague, 0)]);
    let spec = merged(&[(Fork::Cancun, 0), (Fork::Prague, 0), (Fork::Osaka, 0)]);
    let next = |spec: &ChainSpec, excess: u64, blobs: u64, fee: u64| {
        let parent = Header {
            excess_blob_gas: Some(excess),
            blob_gas_used: Some(blobs * BLOB),
            base_fee_per_gas: Some(fee),
            ..Header::default()
        };
        next_excess_blob_gas(spec, &parent, 0).unwrap()
    };
    // a blob's gas at 1 wei costs 131,072, its proof 8,192 a wei of base fee: the bound is a base fee of 16
    assert_eq!(next(&spec, 0, 9, 16), 3 * BLOB);
    assert_eq!(next(&spec, 0, 9, 17), 9 * BLOB * 3 / 9);
    assert_eq!(next(&spec, 6 * BLOB, 3, 16), 3 * BLOB);
    assert_eq!(next(&spec, 6 * BLOB, 3, 17), 7 * BLOB);
    assert_eq!(next(&prague, 6 * BLOB, 3, 17), 3 * BLOB);
    assert_eq!(next(&spec, 0, 5, 1_000_000_000), 0, "below the target there is no excess");
    assert_eq!(next(&spec, u64::MAX, 9, u64::MAX), u64::MAX - 6 * BLOB);
    // the first block of Cancun: its parent has neither field
    assert_eq!(next_excess_blob_gas(&merged(&[(Fork::Cancun, 9)]), &Header::default(), 9), Some(0));
    assert_eq!(next_excess_blob_gas(&merged(&[(Fork::Cancun, 9)]), &Header::default(), 8), None);
}

proptest! {
    /// Ours against alloy's, where alloy's does not overflow.
    #[test]
    fn excess_as_alloy_has_it(excess in 0..200_000_000_u64, blobs in 0..=9_u64, fee in 0..10_000_000_000_u64) {
        let spec = merged(&[(Fork::Cancun, 0), (Fork::Prague, 0), (Fork::Osaka, 0)]);
        let parent = Header {
            excess_blob_gas: Some(excess),
            blob_gas_used: Some(blobs * 131_072),
            base_fee_per_gas: Some(fee),
            ..Header::default()
        };
        let expected = osaka().next_block_excess_blob_gas_osaka(excess, blobs * 131_072, fee);
        prop_assert_eq!(next_excess_blob_gas(&spec, &parent, 0), Some(expected));
        prop_assert_eq!(blob_base_fee(&osaka(), excess), osaka().calc_blob_fee(excess));
    }
}

/// An extended clique chain that passes Shanghai, Cancun, Prague and Osaka, one block apart, with one signer.
fn extended() -> (ChainSpec, SecretKey) {
    let key = SecretKey::from_byte_array([7; 32]).unwrap();
    let file = json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "berlinBlock": 0, "londonBlock": 0, "shanghaiTime": 10, "cancunTime": 15, "pragueTime": 20,
            "osakaTime": 25, "clique": {"period": 5, "epoch": 100}
        },
        "gasLimit": "0x1c9c380", "difficulty": "0x1", "alloc": {},
        "extraData": format!("0x{}{}{}", "00".repeat(32), hex::encode(signer_address(&key)), "00".repeat(65)),
    });
    (ChainSpec::from_genesis(file.to_string().as_bytes()).unwrap().0, key)
}

fn extended_headers(count: u64) -> (ChainSpec, SecretKey, Vec<SealedHeader>) {
    let (spec, key) = extended();
    let mut snapshot = Snapshot::genesis(&spec.genesis, 100).unwrap();
    let mut headers = vec![spec.genesis.clone()];
    for _ in 0..count {
        let parent = headers.last().unwrap();
        let made = draft(&spec, &snapshot, parent, signer_address(&key), 0, 30_000_000, None).unwrap();
        let sealed = seal(made.header, &key).unwrap();
        snapshot.apply(&sealed).unwrap();
        headers.push(sealed);
    }
    (spec, key, headers)
}

#[test]
fn extended_clique_passes_every_fork() {
    let (spec, _, headers) = extended_headers(8);
    assert!(spec.is_extended_clique() && !spec.is_proof_of_stake_after(U256::MAX));
    let config = HeaderChainConfig::new(SealPolicy::All, Arc::new(NoSeals), Arc::new(|| NOW));
    let chain = HeaderChain::open(Arc::new(spec), Arc::new(MemoryStore::new()), config).unwrap();
    let raw: Vec<Bytes> = headers[1..].iter().map(|header| header::encode(header)).collect();
    chain.extend(&raw).unwrap();
    assert_eq!(chain.head().header.hash(), headers[8].hash());
    for header in &headers {
        let from = |time: u64| header.timestamp >= time;
        assert!(header.base_fee_per_gas.is_some_and(|fee| fee <= INITIAL_BASE_FEE));
        assert_eq!(header.withdrawals_root, from(10).then_some(EMPTY_ROOT_HASH));
        assert_eq!((header.blob_gas_used, header.excess_blob_gas), (from(15).then_some(0), from(15).then_some(0)));
        assert_eq!(header.parent_beacon_block_root, from(15).then_some(B256::ZERO));
        assert_eq!(header.requests_hash, from(20).then_some(EMPTY_REQUESTS_HASH));
    }
}

/// The seal is made over the whole header but the last 65 bytes of its extra data: over its own encoding, that is.
#[test]
fn extended_cliques_seal_covers_every_field() {
    let (_, _, headers) = extended_headers(8);
    for header in &headers[1..] {
        let mut unsealed = header.clone_inner();
        unsealed.extra_data = header.extra_data.slice(..header.extra_data.len() - 65);
        let mut encoded = Vec::new();
        unsealed.encode(&mut encoded);
        assert_eq!(seal_hash(header).unwrap(), keccak256(encoded), "block {}", header.number);
    }
}

#[test]
fn extended_clique_refuses_what_it_cannot_have() {
    let (spec, key, headers) = extended_headers(8);
    let refusal = |change: &dyn Fn(&mut Header)| {
        let mut changed = headers[8].clone_inner();
        change(&mut changed);
        let sealed = seal(changed, &key).unwrap();
        verify_header(&spec, &sealed, &headers[7], U256::ZERO, NOW).map_err(|error| error.rule()).err()
    };
    assert_eq!(refusal(&|_| ()), None);
    assert_eq!(refusal(&|h| h.withdrawals_root = Some(B256::ZERO)), Some("withdrawals root"));
    assert_eq!(refusal(&|h| h.withdrawals_root = None), Some("withdrawals root"));
    assert_eq!(refusal(&|h| h.parent_beacon_block_root = Some(B256::repeat_byte(1))), Some("parent beacon block root"));
    assert_eq!(refusal(&|h| h.blob_gas_used = Some(131_072)), None);
    assert_eq!(refusal(&|h| h.blob_gas_used = Some(10 * 131_072)), Some("blob gas used"));
    assert_eq!(refusal(&|h| h.excess_blob_gas = Some(1)), Some("excess blob gas"));
    assert_eq!(refusal(&|h| h.requests_hash = None), Some("requests hash"));
    assert_eq!(refusal(&|h| h.slot_number = Some(1)), Some("slot number"));
}

/// Stock clique ends before Shanghai, as in geth.
#[test]
fn stock_clique_has_no_shanghai() {
    let (mut spec, key, headers) = extended_headers(2);
    let terminal = Activation::TotalDifficulty(U256::from(1000));
    spec.forks = Forks::new(spec.forks.iter().chain([(Fork::Paris, terminal)]).collect());
    assert!(!spec.is_extended_clique());
    let mut plain = headers[2].clone_inner();
    plain.withdrawals_root = None;
    let sealed = seal(plain, &key).unwrap();
    let error = verify_header(&spec, &sealed, &headers[1], U256::ZERO, NOW).unwrap_err();
    assert_eq!(error.to_string(), "timestamp: expected at most 9, got 10");
}
