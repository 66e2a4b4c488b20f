//! Seals: the official vectors, mainnet's, and the caches' bounds.

use std::collections::BTreeMap;

use alloy_primitives::{B64, B256, U256, keccak256};
use rushlight_chain::ethash::{
    Cache, Ethash, MAX_EPOCHS, cache_rows, dataset_pages, hashimoto, hashimoto_many, seed, target,
};
use rushlight_chain::{SealCheck, SealError, header, seal_hash, testdata};
use serde::Deserialize;

use super::mainnet;

#[derive(Deserialize)]
struct Vector {
    nonce: B64,
    #[serde(rename = "mixHash")]
    mix_hash: B256,
    header: String,
    seed: B256,
    result: B256,
    cache_size: u64,
    full_size: u64,
    header_hash: B256,
    cache_hash: B256,
}

#[test]
fn official_vectors() {
    let Some(json) = testdata::read("ethereum-tests/PoWTests/ethash_tests.json") else { return };
    let vectors: BTreeMap<String, Vector> = serde_json::from_slice(&json).unwrap();
    let cache = Cache::generate(0);
    for (name, vector) in vectors {
        let header = header::decode(&hex::decode(&vector.header).unwrap()).unwrap();
        assert_eq!(seal_hash(&header), vector.header_hash, "{name}");
        assert_eq!(seed(0), vector.seed, "{name}");
        assert_eq!(u64::from(cache_rows(0)) * 64, vector.cache_size, "{name}");
        assert_eq!(u64::from(dataset_pages(0)) * 128, vector.full_size, "{name}");
        assert_eq!(keccak256(cache.to_bytes()), vector.cache_hash, "{name}");
        let work = hashimoto(&cache, vector.header_hash, vector.nonce);
        assert_eq!((work.mix, work.result), (vector.mix_hash, vector.result), "{name}");
        assert_eq!(header.mix_hash, vector.mix_hash, "{name}");
    }
}

/// Sizes of the Yellow Paper's tables (geth's and cpp-ethereum's published lists).
#[test]
fn sizes_of_later_epochs() {
    let bytes = |epoch| (u64::from(cache_rows(epoch)) * 64, u64::from(dataset_pages(epoch)) * 128);
    assert_eq!(bytes(0), (16_776_896, 1_073_739_904));
    assert_eq!(bytes(1), (16_907_456, 1_082_130_304));
    assert_eq!(bytes(2), (17_039_296, 1_090_514_816));
    assert_eq!(bytes(3), (17_170_112, 1_098_906_752));
    assert_eq!(bytes(2047), (285_081_536, 18_245_220_736));
}

#[test]
fn mainnet_seals_hold() {
    let Some(blocks) = mainnet::blocks() else { return };
    let headers: Vec<_> = blocks[1..].iter().step_by(16).map(|block| block.header.clone()).collect();
    mainnet::ethash().check(&headers).unwrap();
}

#[test]
fn the_first_bad_seal_is_named() {
    let Some(blocks) = mainnet::blocks() else { return };
    let mut headers: Vec<_> = blocks[1..40].iter().map(|block| block.header.clone()).collect();
    for bad in [38, 23, 7] {
        let mut changed = headers[bad].clone_inner();
        changed.nonce = B64::from(u64::from(changed.nonce) + 1);
        headers[bad] = header::seal(changed);
        let (index, error) = mainnet::ethash().check(&headers).unwrap_err();
        assert_eq!(index, bad);
        assert_eq!(error.rule(), "mix hash");
    }
}

/// A true mix but too great a result: as a header with its difficulty raised after the work.
#[test]
fn work_has_to_meet_the_difficulty() {
    let Some(blocks) = mainnet::blocks() else { return };
    let header = &blocks[100].header;
    let cache = Cache::generate(0);
    for nonce in 0..4_u64 {
        let nonce = B64::from(nonce);
        let work = hashimoto(&cache, seal_hash(header), nonce);
        let mut changed = header.clone_inner();
        (changed.nonce, changed.mix_hash) = (nonce, work.mix);
        let (_, error) = mainnet::ethash().check(&[header::seal(changed)]).unwrap_err();
        let target = target(header.difficulty).into();
        assert_eq!(error, SealError::Work { target, got: work.result.into() });
    }
}

#[test]
fn seals_together_are_seals_apart() {
    let cache = Cache::generate(0);
    let seals: [_; 5] = std::array::from_fn(|n| (keccak256([n as u8]), B64::from(n as u64 * 77)));
    let apart = seals.map(|(hash, nonce)| hashimoto(&cache, hash, nonce));
    assert_eq!(hashimoto_many(&cache, seals), apart);
}

#[test]
fn targets() {
    let target = |difficulty: U256| U256::from_be_bytes(target(difficulty).0);
    assert_eq!(target(U256::ZERO), U256::ZERO);
    assert_eq!(target(U256::from(1)), U256::MAX);
    assert_eq!(target(U256::from(2)), U256::from(1) << 255);
    assert_eq!(target(U256::from(3)), U256::MAX / U256::from(3));
    assert_eq!(target(U256::from(1) << 128), U256::from(1) << 128);
    assert_eq!(target(U256::MAX), U256::from(1));
}

#[test]
fn caches_are_bounded_and_far_epochs_refused() {
    let Some(blocks) = mainnet::blocks() else { return };
    let mut far = blocks[1].header.clone_inner();
    far.number = 30_000 * MAX_EPOCHS;
    let ethash = Ethash::with_caches(2);
    let error = ethash.check(&[header::seal(far.clone())]).unwrap_err();
    assert_eq!(error, (0, SealError::Epoch { epoch: MAX_EPOCHS, max: MAX_EPOCHS - 1 }));
    ethash.prepare(far.number);
    assert_eq!(ethash.epochs(), Vec::<u64>::new());
    // asking for a block's seal makes its own epoch's cache, and keeps no more than the bound
    for number in [2, 30_000, 60_000] {
        far.number = number;
        ethash.check(&[header::seal(far.clone())]).unwrap_err();
    }
    assert_eq!(ethash.epochs(), vec![1, 2]);
}

#[test]
fn the_next_epoch_is_made_ready_before_it_begins() {
    let Some(blocks) = mainnet::blocks() else { return };
    let ethash = Ethash::new();
    ethash.prepare(29_999);
    assert_eq!(ethash.epochs(), vec![0]);
    ethash.check(&[blocks[1].header.clone()]).unwrap();
    assert_eq!(ethash.epochs(), vec![0]);
}
