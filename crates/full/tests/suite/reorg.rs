//! Reorganisations, restarts, look-ups.

use std::sync::Arc;

use alloy_consensus::TxLegacy;
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{Address, B256, Bytes, TxKind, keccak256};
use rushlight_chain::{Body, ChainAccess, ChainEvent, Known, MemoryStore, header};
use rushlight_odr::{Source, Wanted, What, trie};
use rushlight_sync::ChainSink;

use super::common::{CONTRACT, Toy, blocks, body, check_lookups, export, import, sign, toy_chain};

#[test]
fn the_heavier_chain_wins_and_both_states_stay() {
    let (toy, chain, marks) = toy_chain();
    let old = chain.headers().head();
    let mut events = chain.headers().subscribe();
    let other = toy.miner.for_beneficiary(Address::repeat_byte(0xdd));
    let fork = chain.headers().header(&marks["second"]).unwrap();
    let mut tip = fork.clone();
    for _ in 0..3 {
        tip = toy.mine(&chain, &other, &tip, &Body::default());
    }
    let head = chain.headers().head();
    assert_eq!(head.header.hash(), tip.hash());
    assert!(head.td > old.td);
    let ChainEvent::NewHead { reorg, .. } = std::iter::from_fn(|| events.try_recv().ok()).last().unwrap();
    let reorg = reorg.unwrap();
    assert_eq!((reorg.common_ancestor, reorg.removed.len()), (fork.hash(), 2));
    for header in [&old.header, &tip] {
        assert!(chain.preimage(&header.state_root).is_some());
        assert!(chain.block(&header.hash()).is_some());
    }
    // Blocks on the chain that lost, too, are built on its own state.
    let longer = toy.mine(&chain, &toy.miner, &old.header, &Body::default());
    assert_eq!(chain.known(&longer.hash()), Known::Accepted);
}

#[test]
fn a_restart_at_any_batch_goes_on() {
    let (toy, chain, _) = toy_chain();
    let all = blocks(&chain);
    let store = Arc::new(MemoryStore::new());
    let live = toy.open(store.clone());
    for (count, block) in all.iter().enumerate() {
        let after_kill = toy.open(Arc::new(store.snapshot()));
        assert_eq!(after_kill.headers().head().header.number, count as u64);
        after_kill.insert(all.clone()).unwrap();
        assert_eq!(after_kill.headers().head(), chain.headers().head());
        live.insert(vec![block.clone()]).unwrap();
    }
}

#[test]
fn a_run_of_more_gas_than_is_written_at_once_goes_in_whole() {
    let toy = Toy::new();
    let (chain, mut tip) = (toy.memory(), toy.spec.genesis.clone());
    // Init code that is an invalid instruction burns all of a transaction's gas: 14 blocks of 7.9 million.
    let (to, input) = (TxKind::Create, Bytes::from_static(&[0xfe]));
    for nonce in 0..14 {
        let burn =
            TxLegacy { nonce, gas_price: 1, gas_limit: 7_900_000, to, input: input.clone(), ..TxLegacy::default() };
        tip = toy.mine(&chain, &toy.miner, &tip, &body(&[sign(&toy.key, burn)], &[]));
        assert_eq!(tip.gas_used, 7_900_000);
    }
    let other = toy.memory();
    let extended = other.insert(blocks(&chain)).unwrap();
    assert_eq!((extended.added, extended.number, extended.tip), (14, 14, tip.hash()));
    assert!(extended.head_changed && extended.seals_checked == 14);
    assert_eq!(other.headers().head(), chain.headers().head());
    let again = other.insert(blocks(&chain)).unwrap();
    assert_eq!((again.added, again.tip, again.td, again.head_changed), (0, tip.hash(), extended.td, false));
}

#[test]
fn every_lookup_of_a_block_is_served() {
    let (toy, chain, marks) = toy_chain();
    let store = Arc::new(MemoryStore::new());
    let copy = toy.open(store.clone());
    copy.insert(blocks(&chain)).unwrap();
    assert!(check_lookups(&copy, &*store) > 20);
    for block in blocks(&copy) {
        let header = block.decode_header().unwrap();
        for transaction in &block.transactions {
            assert_eq!(copy.preimage(&keccak256(transaction)).unwrap(), *transaction);
        }
        if !block.uncles.is_empty() {
            assert_eq!(copy.preimage(&header.ommers_hash).unwrap(), block.body().uncles_rlp());
        }
        for root in [header.transactions_root, header.receipts_root] {
            assert!(root == EMPTY_ROOT_HASH || copy.preimage(&root).is_some());
        }
    }
    assert!(copy.preimage(&keccak256("nothing")).is_none());
    let third = copy.headers().header(&marks["third"]).unwrap();
    assert!(copy.receipts(&third.hash()).unwrap().unwrap().len() > 500);
    assert_eq!(copy.receipts(&B256::ZERO).unwrap(), None);
}

#[tokio::test]
async fn it_is_a_source_that_reads_prove_from() {
    let (toy, chain, marks) = toy_chain();
    let header = chain.headers().header(&marks["third"]).unwrap();
    let held = chain.body(&header).await.unwrap();
    assert_eq!(held.transactions_root(), header.transactions_root);
    let key = keccak256(CONTRACT);
    let what = What::AccountNode { root: header.state_root, address: CONTRACT };
    let account = trie::get(&chain, header.state_root, key.as_slice(), what).await.unwrap();
    let account: alloy_trie::TrieAccount = alloy_rlp::decode_exact(account.value.unwrap()).unwrap();
    let slot = B256::ZERO;
    let what = What::StorageNode { root: account.storage_root, address: CONTRACT, slot };
    let value = trie::get(&chain, account.storage_root, keccak256(slot).as_slice(), what).await.unwrap();
    assert_eq!(value.value.unwrap().as_ref(), [3]);
    let code = Wanted::new(account.code_hash, What::Code { address: CONTRACT });
    assert_eq!(chain.preimages(vec![code.clone()]).await.unwrap().len(), 1);

    // What is missing is missing at once, and everything that is missing is named.
    let lost = Wanted::new(B256::repeat_byte(5), What::Code { address: CONTRACT });
    let error = chain.preimages(vec![code, lost.clone()]).await.unwrap_err();
    assert_eq!((error.missing, error.asked.len(), error.waited.as_secs()), (vec![lost], 0, 0));
    let strange = toy.miner.block(&header, body(&[], std::slice::from_ref(&header)));
    let strange = header::decode(&strange.header).unwrap();
    assert_eq!(chain.body(&strange).await.unwrap_err().missing[0].hash, strange.hash());
}

#[test]
fn block_rlp_round_trip() {
    let (toy, chain, _) = toy_chain();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain.rlp");
    export(&chain, &file);
    let other = toy.memory();
    let summary = import(&other, &file).unwrap();
    assert_eq!((summary.blocks, summary.added, summary.number), (5, 4, 4));
    assert_eq!(other.headers().head(), chain.headers().head());
    assert_eq!(blocks(&other), blocks(&chain));
    // Another chain's file is told by its genesis.
    let (spec, genesis) = super::clique::spec(1, 1);
    let stranger = super::common::open(&spec, &genesis, Arc::new(MemoryStore::new()), Arc::new(super::common::AnySeal));
    let error = import(&stranger, &file).unwrap_err();
    assert!(error.to_string().contains("another chain"), "{error}");
    // Without its genesis the file is refused for want of a parent.
    let bytes: Vec<u8> = blocks(&chain)[1..].iter().flat_map(|block| block.encode().to_vec()).collect();
    std::fs::write(&file, bytes).unwrap();
    let error = import(&toy.memory(), &file).unwrap_err();
    assert!(error.to_string().contains("is unknown"), "{error}");
}
