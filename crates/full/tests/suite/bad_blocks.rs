//! Blocks changed in one place each: refused by the right rule, and what was good stays.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, TxKind, U256, keccak256};
use rushlight_chain::testing::{toy_mix, toy_seal};
use rushlight_chain::{Body, ChainAccess, MemoryStore, RawBlock, SealedHeader, header};
use rushlight_full::{BadBlock, FullChain, FullConfig, InsertError, OpenError, Rule};
use rushlight_sync::{ChainSink, Fault, Item};

use super::common::{AnySeal, Toy, body, late_clock, toy_chain, transaction};

/// A fresh chain up to block 1, and block 2, which has a transaction and an uncle.
fn before_second() -> (Toy, FullChain, RawBlock) {
    let (toy, chain, marks) = toy_chain();
    let second = chain.block(&marks["second"]).unwrap();
    let first = chain.block(&second.decode_header().unwrap().parent_hash).unwrap();
    let fresh = toy.memory();
    fresh.insert(vec![first]).unwrap();
    (toy, fresh, second)
}

fn refused(chain: &FullChain, block: RawBlock) -> BadBlock {
    let head = chain.headers().head();
    let (hash, number) = (block.hash(), block.decode_header().map_or(0, |header| header.number));
    let bad = match chain.insert(vec![block]) {
        Err(InsertError::Bad(bad)) => bad,
        other => panic!("expected a refusal, got {other:?}"),
    };
    assert_eq!((bad.hash, bad.number), (hash, number));
    assert_eq!(chain.headers().head(), head, "{bad}");
    assert!(chain.block(&hash).is_none());
    bad
}

#[test]
fn every_header_field_is_held_to_its_rule() {
    let (_, chain, second) = before_second();
    let good = second.decode_header().unwrap().inner().clone();
    type Change = fn(&mut Header);
    let cases: &[(&str, Rule, Change)] = &[
        ("uncles hash", Rule::UnclesHash, |header| header.ommers_hash = B256::repeat_byte(1)),
        ("beneficiary", Rule::ReceiptsRoot, |header| header.beneficiary = Address::repeat_byte(9)),
        ("state root", Rule::StateRoot, |header| header.state_root = B256::repeat_byte(1)),
        ("transactions root", Rule::TransactionsRoot, |header| header.transactions_root = B256::repeat_byte(1)),
        ("receipts root", Rule::ReceiptsRoot, |header| header.receipts_root = B256::repeat_byte(1)),
        ("bloom", Rule::LogsBloom, |header| header.logs_bloom = Bloom::repeat_byte(1)),
        ("difficulty", Rule::Header("difficulty"), |header| header.difficulty += U256::from(1)),
        ("number", Rule::Header("number"), |header| header.number += 1),
        ("gas limit", Rule::Header("gas limit"), |header| header.gas_limit *= 2),
        ("gas used over the limit", Rule::Header("gas used"), |header| header.gas_used = header.gas_limit + 1),
        ("gas used", Rule::GasUsed, |header| header.gas_used += 1),
        ("timestamp", Rule::Header("timestamp"), |header| header.timestamp -= 100),
        ("timestamp in the future", Rule::Header("timestamp in the future"), |header| header.timestamp = 1 << 40),
        ("extra data", Rule::Header("extra data"), |header| header.extra_data = vec![0; 33].into()),
        ("base fee", Rule::Header("base fee"), |header| header.base_fee_per_gas = Some(7)),
    ];
    for (name, rule, change) in cases {
        let mut header = good.clone();
        change(&mut header);
        let block = RawBlock { header: header::encode(&toy_seal(header)), ..second.clone() };
        let bad = refused(&chain, block);
        assert_eq!(bad.rule, *rule, "{name}: {bad}");
        assert_ne!(bad.expected, bad.got, "{name}");
    }
    // The seal's own fields, left as they are.
    for (name, header) in [
        ("mix hash", Header { mix_hash: B256::repeat_byte(1), ..good.clone() }),
        ("extra data without a new seal", Header { extra_data: Bytes::from_static(b"x"), ..good.clone() }),
    ] {
        let bad = refused(&chain, RawBlock { header: header::encode(&header), ..second.clone() });
        assert_eq!(bad.rule, Rule::Seal("mix hash"), "{name}: {bad}");
        assert_eq!(bad.expected, toy_mix(&header).to_string());
    }
    // A nonce belongs to the seal alone: with one of its own, and sealed anew, the block is another good one.
    let other = toy_seal(Header { nonce: B64::repeat_byte(1), ..good.clone() });
    chain.insert(vec![RawBlock { header: header::encode(&other), ..second.clone() }]).unwrap();
    // Another parent: of an unknown block nothing can be said.
    let orphan = toy_seal(Header { parent_hash: B256::repeat_byte(1), ..good });
    let block = RawBlock { header: header::encode(&orphan), ..second.clone() };
    assert!(matches!(chain.insert(vec![block]), Err(InsertError::UnknownParent { .. })));
    chain.insert(vec![second]).unwrap();
}

#[test]
fn every_body_part_is_held_to_its_header() {
    let (_, chain, second) = before_second();
    let mut more = second.clone();
    more.transactions.push(more.transactions[0].clone());
    let mut fewer = second.clone();
    fewer.transactions.clear();
    let mut uncle = second.clone();
    uncle.uncles.clear();
    let mut flipped = second.clone();
    let mut bytes = flipped.transactions[0].to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    flipped.transactions[0] = bytes.into();
    for (block, rule) in [
        (more, Rule::TransactionsRoot),
        (fewer, Rule::TransactionsRoot),
        (flipped, Rule::TransactionsRoot),
        (uncle, Rule::UnclesHash),
    ] {
        assert_eq!(refused(&chain, block.clone()).rule, rule);
        // Such a block is the doing of whoever sent it: the header may be good with another body.
        let refused = ChainSink::extend(&chain, vec![Item::Block(block)]).unwrap_err();
        assert_eq!(refused.fault, Fault::Item);
    }
    let garbage = RawBlock { header: Bytes::from_static(&[0xc1, 0x80]), ..second.clone() };
    assert_eq!(refused(&chain, garbage).rule, Rule::Encoding);
    chain.insert(vec![second]).unwrap();
}

/// A block on the head with this body, its roots those of the body, everything else as of an empty one.
fn dressed(toy: &Toy, parent: &SealedHeader, body: &Body) -> RawBlock {
    let mut header = toy.miner.template(parent);
    header.transactions_root = body.transactions_root();
    header.ommers_hash = body.uncles_hash();
    RawBlock::from_parts(header::encode(&toy_seal(header)), body.clone())
}

#[test]
fn transactions_are_held_to_the_state_before_them() {
    let (toy, chain, _) = toy_chain();
    let head = chain.headers().head().header;
    let to = TxKind::Call(Address::repeat_byte(3));
    let send = |nonce, value| transaction(&toy.key, nonce, to, value, Bytes::new());
    let stranger = transaction(&super::common::key(9), 0, to, 1, Bytes::new());
    let cases = [
        ("nonce too low", body(&[send(5, 1)], &[]), 0),
        ("nonce too high", body(&[send(6, 1), send(8, 1)], &[]), 1),
        ("same nonce twice", body(&[send(6, 1), send(6, 2)], &[]), 1),
        ("no funds", body(&[stranger], &[]), 0),
    ];
    for (name, body, index) in cases {
        let bad = refused(&chain, dressed(&toy, &head, &body));
        assert_eq!(bad.rule, Rule::Transaction { index }, "{name}: {bad}");
    }
    // Past the gas of the block: each uses 157,000 of its 200,000, so the 51st no longer fits into 8 million.
    let many: Vec<_> = (6..66).map(|nonce| transaction(&toy.key, nonce, to, 1, Bytes::from(vec![1; 2_000]))).collect();
    let bad = refused(&chain, dressed(&toy, &head, &body(&many, &[])));
    assert_eq!(bad.rule, Rule::Transaction { index: 50 }, "{bad}");
    // Bytes that are no transaction, under their true root.
    let odd = Body { transactions: vec![Bytes::from_static(&[0xc0])], ..Body::default() };
    assert_eq!(refused(&chain, dressed(&toy, &head, &odd)).rule, Rule::Encoding);
}

#[test]
fn uncles_are_held_to_their_rules_and_seals() {
    let (toy, chain, marks) = toy_chain();
    let head = chain.headers().head().header;
    let hash = |number| chain.headers().canonical_hash(number).unwrap();
    let at = |number| chain.headers().header(&hash(number)).unwrap();
    let other = toy.miner.for_beneficiary(Address::repeat_byte(0xbb));
    let uncle = |parent: &SealedHeader| other.header(parent);
    let second = chain.block(&marks["second"]).unwrap();
    let included = second.body().decode_uncle_headers().unwrap().remove(0);
    let mut unsealed = uncle(&at(3)).inner().clone();
    unsealed.mix_hash = B256::ZERO;
    let mut future = uncle(&at(3)).inner().clone();
    future.difficulty += U256::from(1);
    let cases = [
        ("twice", body(&[], &[uncle(&at(3)), uncle(&at(3))]), Rule::Uncle("uncle twice")),
        ("an ancestor", body(&[], &[at(3)]), Rule::Uncle("uncle is ancestor")),
        ("included before", body(&[], &[included]), Rule::Uncle("uncle included before")),
        ("a brother", body(&[], &[uncle(&head)]), Rule::Uncle("uncle generation")),
        ("three", body(&[], &[uncle(&at(1)), uncle(&at(2)), uncle(&at(3))]), Rule::Uncle("uncle count")),
        ("a bad header", body(&[], &[toy_seal(future)]), Rule::Uncle("difficulty")),
        ("a bad seal", body(&[], &[header::seal(unsealed)]), Rule::UncleSeal("mix hash")),
    ];
    for (name, body, rule) in cases {
        let bad = refused(&chain, dressed(&toy, &head, &body));
        assert_eq!(bad.rule, rule, "{name}: {bad}");
    }
    toy.mine(&chain, &toy.miner, &head, &body(&[], &[uncle(&at(3)), uncle(&at(1))]));
}

#[test]
fn of_a_run_the_good_blocks_stay() {
    let (toy, chain, _) = toy_chain();
    let blocks = super::common::blocks(&chain);
    for bad in 0..blocks.len() {
        let fresh = toy.memory();
        let mut run = blocks.clone();
        let mut header = run[bad].decode_header().unwrap().inner().clone();
        header.state_root = B256::repeat_byte(1);
        run[bad].header = header::encode(&toy_seal(header));
        let error = fresh.insert(run).unwrap_err();
        assert!(matches!(&error, InsertError::Bad(block) if block.rule == Rule::StateRoot), "{error}");
        assert_eq!(fresh.headers().head().header.number, bad as u64);
        fresh.insert(blocks.clone()).unwrap();
        assert_eq!(fresh.headers().head(), chain.headers().head());
    }
}

#[test]
fn a_refused_block_leaves_nothing_on_disk() {
    let (toy, chain, second) = {
        let (toy, chain, marks) = toy_chain();
        let second = chain.block(&marks["second"]).unwrap();
        (toy, chain, second)
    };
    let store = Arc::new(MemoryStore::new());
    let fresh = toy.open(store.clone());
    fresh.insert(super::common::blocks(&chain)[..1].to_vec()).unwrap();
    let before = rushlight_chain::Store::size_bytes(&*store).unwrap();
    let mut header = second.decode_header().unwrap().inner().clone();
    header.state_root = keccak256("wrong");
    refused(&fresh, RawBlock { header: header::encode(&toy_seal(header)), ..second });
    assert_eq!(rushlight_chain::Store::size_bytes(&*store).unwrap(), before);
}

#[test]
fn an_allocation_that_is_not_the_headers_is_refused() {
    let toy = Toy::new();
    let config = FullConfig { seals: Arc::new(AnySeal), clock: late_clock() };
    let genesis = Genesis { alloc: Default::default(), ..toy.genesis.clone() };
    let opened = FullChain::open(Arc::new(toy.spec.clone()), genesis, Arc::new(MemoryStore::new()), config);
    match opened {
        Err(OpenError::GenesisState { expected, got }) => {
            assert_eq!(expected, toy.spec.genesis.state_root);
            assert_ne!(expected, got);
        }
        other => panic!("{other:?}"),
    }
}
