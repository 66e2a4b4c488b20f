//! An extended clique chain at Osaka, sealed here: system contracts, and blocks changed in one of the newer fields.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::Genesis;
use alloy_primitives::{B256, U256};
use rushlight_chain::{ChainSpec, MemoryStore, RawBlock, clique, header};
use rushlight_full::{CliqueSealer, FullChain, InsertError, Offer, Rule, Turn, system_contracts};

use super::common::{AnySeal, address, export, import, key, open};

fn spec() -> (ChainSpec, Genesis) {
    let signer = address(&key(1));
    let mut alloc = serde_json::Map::new();
    for (address, code) in system_contracts() {
        alloc.insert(address.to_string(), serde_json::json!({ "balance": "0x0", "nonce": "0x1", "code": code }));
    }
    let json = serde_json::json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0, "bpo1Time": 0,
            "bpo2Time": 0, "clique": { "period": 2, "epoch": 30_000 }
        },
        "timestamp": "0x65000000", "gasLimit": "0x1c9c380", "difficulty": "0x1",
        "extraData": format!("0x{}{}{}", "00".repeat(32), signer.to_string().trim_start_matches("0x"), "00".repeat(65)),
        "alloc": alloc
    });
    ChainSpec::from_genesis(json.to_string().as_bytes()).unwrap()
}

pub(super) fn chain(spec: &ChainSpec, genesis: &Genesis) -> FullChain {
    open(spec, genesis, Arc::new(MemoryStore::new()), Arc::new(AnySeal))
}

/// The next block's header, complete but for its seal.
pub(super) fn draft(chain: &FullChain) -> Header {
    let sealer = CliqueSealer::new(key(1), 2);
    let now = chain.headers().head().header.timestamp;
    let Turn::Seal { draft, .. } = sealer.turn(&chain.headers(), now, 0) else { panic!("not our turn") };
    chain.fill(draft.header, address(&key(1)), Offer::default()).unwrap().header
}

/// Sealed, without transactions and withdrawals.
pub(super) fn block(header: Header) -> RawBlock {
    let sealed = clique::seal(header, &key(1)).unwrap();
    RawBlock { header: header::encode(&sealed), withdrawals: Some(Vec::new()), ..RawBlock::default() }
}

#[test]
fn an_extended_clique_chain_keeps_roots_and_hashes_and_imports() {
    let (spec, genesis) = spec();
    let first = chain(&spec, &genesis);
    let mut root = spec.genesis.state_root;
    for _ in 0..5 {
        let header = draft(&first);
        assert_ne!(header.state_root, root, "the history contract has another hash");
        assert_eq!((header.withdrawals_root, header.requests_hash), (Some(EMPTY_ROOT_HASH), Some(EMPTY_REQUESTS_HASH)));
        root = header.state_root;
        first.insert(vec![block(header)]).unwrap();
    }
    assert_eq!(first.headers().head().td, U256::from(11));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("osaka.rlp");
    export(&first, &file);
    assert_eq!(import(&chain(&spec, &genesis), &file).unwrap().head, first.headers().head().header.hash());
}

#[test]
fn the_newer_fields_are_held_to_their_rules() {
    let (spec, genesis) = spec();
    let chain = chain(&spec, &genesis);
    let good = draft(&chain);
    let other = B256::repeat_byte(1);
    type Change = fn(&mut Header, B256);
    let cases: &[(Rule, Change)] = &[
        // The body is looked at first, and its list is empty.
        (Rule::WithdrawalsRoot, |header, other| header.withdrawals_root = Some(other)),
        (Rule::RequestsHash, |header, other| header.requests_hash = Some(other)),
        (Rule::BlobGasUsed, |header, _| header.blob_gas_used = Some(131_072)),
        (Rule::Header("blob gas used"), |header, _| header.blob_gas_used = Some(1)),
        (Rule::Header("excess blob gas"), |header, _| header.excess_blob_gas = Some(1)),
        (Rule::Header("parent beacon block root"), |header, other| header.parent_beacon_block_root = Some(other)),
        (Rule::StateRoot, |header, other| header.state_root = other),
    ];
    for (rule, change) in cases {
        let mut header = good.clone();
        change(&mut header, other);
        match chain.insert(vec![block(header)]) {
            Err(InsertError::Bad(bad)) => assert_eq!(bad.rule, *rule, "{bad}"),
            other => panic!("expected {rule}, got {other:?}"),
        }
    }
    // A body without the list, and one with bytes that are no withdrawal.
    let without = RawBlock { withdrawals: None, ..block(good.clone()) };
    let Err(InsertError::Bad(bad)) = chain.insert(vec![without]) else { panic!("taken") };
    assert_eq!(bad.rule, Rule::WithdrawalsRoot);
    chain.insert(vec![block(good)]).unwrap();
}
