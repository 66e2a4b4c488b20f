//! Uncle rules on real mainnet blocks with uncles, broken one at a time.

use alloy_consensus::Header;
use alloy_primitives::{B64, B256, U256};
use rushlight_chain::testing::{ToyMiner, toy_seal, toy_spec};
use rushlight_chain::{
    Body, ChainSpec, SealCheck, SealedHeader, UncleError, header, verify_body, verify_header, verify_uncles,
};

use super::mainnet::{self, Block, NOW};

/// A block's ancestors, parent first, and their uncles.
fn family(blocks: &[Block], number: usize) -> (Vec<SealedHeader>, Vec<B256>) {
    let ancestors = blocks[number.saturating_sub(7)..number].iter().rev();
    let headers = ancestors.clone().map(|block| block.header.clone()).collect();
    let uncles = ancestors.flat_map(|block| block.body.decode_uncle_headers().unwrap());
    (headers, uncles.map(|uncle| uncle.hash()).collect())
}

/// Verifies `uncles` as those of block `number`.
fn verify(blocks: &[Block], number: usize, uncles: &[SealedHeader]) -> Result<(), UncleError> {
    let (ancestors, ancestor_uncles) = family(blocks, number);
    verify_uncles(&ChainSpec::mainnet(), &blocks[number].header, uncles, &ancestors, &ancestor_uncles)
}

fn uncles(block: &Block) -> Vec<SealedHeader> {
    block.body.decode_uncle_headers().unwrap()
}

/// The numbers of blocks with uncles, after the first hundred blocks.
fn with_uncles(blocks: &[Block]) -> Vec<usize> {
    (100..blocks.len() - 10).filter(|number| !blocks[*number].body.uncles.is_empty()).collect()
}

#[test]
fn all_of_mainnets_uncles_are_valid() {
    let Some(blocks) = mainnet::blocks() else { return };
    let mut all = Vec::new();
    for number in 1..blocks.len() {
        let uncles = uncles(&blocks[number]);
        verify(&blocks, number, &uncles).unwrap();
        all.extend(uncles);
    }
    assert_eq!(all.len(), 1410);
    mainnet::ethash().check(&all.into_iter().step_by(7).collect::<Vec<_>>()).unwrap();
}

#[test]
fn too_many() {
    let Some(blocks) = mainnet::blocks() else { return };
    let number = with_uncles(&blocks)[0];
    let uncle = uncles(&blocks[number])[0].clone();
    let error = verify(&blocks, number, &[uncle.clone(), uncle.clone(), uncle]).unwrap_err();
    assert_eq!(error, UncleError::TooMany { got: 3 });
}

#[test]
fn twice_in_one_block() {
    let Some(blocks) = mainnet::blocks() else { return };
    for number in with_uncles(&blocks).into_iter().step_by(20) {
        let uncle = uncles(&blocks[number])[0].clone();
        let error = verify(&blocks, number, &[uncle.clone(), uncle.clone()]).unwrap_err();
        assert_eq!(error, UncleError::Twice { hash: uncle.hash() });
    }
}

#[test]
fn an_ancestor() {
    let Some(blocks) = mainnet::blocks() else { return };
    for depth in 1..=7 {
        let ancestor = blocks[1000 - depth].header.clone();
        let error = verify(&blocks, 1000, std::slice::from_ref(&ancestor)).unwrap_err();
        assert_eq!(error, UncleError::Ancestor { hash: ancestor.hash() });
    }
    let own = blocks[1000].header.clone();
    assert_eq!(verify(&blocks, 1000, std::slice::from_ref(&own)), Err(UncleError::Ancestor { hash: own.hash() }));
}

#[test]
fn included_before() {
    let Some(blocks) = mainnet::blocks() else { return };
    for number in with_uncles(&blocks).into_iter().step_by(20) {
        let uncle = uncles(&blocks[number])[0].clone();
        let error = verify(&blocks, number + 1, std::slice::from_ref(&uncle)).unwrap_err();
        assert_eq!(error, UncleError::Included { hash: uncle.hash() });
    }
}

/// A real uncle in every later block: valid up to six generations on, where it was not included before.
#[test]
fn generations() {
    let Some(blocks) = mainnet::blocks() else { return };
    let included = with_uncles(&blocks)[3];
    let uncle = uncles(&blocks[included])[0].clone();
    let hash = uncle.hash();
    let first = uncle.number as usize + 1;
    for number in first..first + 9 {
        let (ancestors, _) = family(&blocks, number);
        let block = &blocks[number].header;
        let got = verify_uncles(&ChainSpec::mainnet(), block, std::slice::from_ref(&uncle), &ancestors, &[]);
        let (low, high) = (block.number - 6, block.number - 1);
        let expected = match number - first {
            0..6 => Ok(()),
            _ => Err(UncleError::Generation { hash, low, high, got: uncle.number }),
        };
        assert_eq!(got, expected, "{} generations", number + 1 - first);
    }
    // one of the block's own generation: its sibling
    let sibling = verify(&blocks, uncle.number as usize, std::slice::from_ref(&uncle)).unwrap_err();
    assert_eq!(
        sibling,
        UncleError::Generation { hash, low: uncle.number - 6, high: uncle.number - 1, got: uncle.number }
    );
}

#[test]
fn a_stranger() {
    let Some(blocks) = mainnet::blocks() else { return };
    let number = with_uncles(&blocks)[0];
    let mut uncle = uncles(&blocks[number])[0].clone_inner();
    uncle.parent_hash = B256::repeat_byte(7);
    let uncle = header::seal(uncle);
    let error = verify(&blocks, number, std::slice::from_ref(&uncle)).unwrap_err();
    assert_eq!(error, UncleError::Parent { hash: uncle.hash(), parent: B256::repeat_byte(7) });
}

type Change = fn(&mut Header, &SealedHeader);

#[test]
fn every_field_of_an_uncle_changed_is_refused_for_the_right_reason() {
    let Some(blocks) = mainnet::blocks() else { return };
    let changes: &[(Change, &str)] = &[
        (|h, _| h.parent_hash.0[0] ^= 1, "uncle parent"),
        (|h, _| h.ommers_hash.0[0] ^= 1, "mix hash"),
        (|h, _| h.beneficiary.0.0[0] ^= 1, "mix hash"),
        (|h, _| h.state_root.0[0] ^= 1, "mix hash"),
        (|h, _| h.transactions_root.0[0] ^= 1, "mix hash"),
        (|h, _| h.receipts_root.0[0] ^= 1, "mix hash"),
        (|h, _| h.logs_bloom.0[0] ^= 1, "mix hash"),
        (|h, _| h.difficulty += U256::from(1), "difficulty"),
        (|h, _| h.number += 10, "uncle generation"),
        (|h, _| h.number -= 1, "number"),
        (|h, _| h.gas_limit = 4999, "gas limit"),
        (|h, _| h.gas_used = h.gas_limit + 1, "gas used"),
        (|h, p| h.timestamp = p.timestamp, "timestamp"),
        (|h, _| h.extra_data = vec![0; 33].into(), "extra data"),
        (|h, _| h.mix_hash.0[0] ^= 1, "mix hash"),
        (|h, _| h.nonce = B64::from(u64::from(h.nonce) ^ 1), "mix hash"),
        (|h, _| h.base_fee_per_gas = Some(1), "base fee"),
        (|h, _| h.withdrawals_root = Some(B256::ZERO), "withdrawals root"),
    ];
    for number in with_uncles(&blocks).into_iter().step_by(300) {
        let uncle = &uncles(&blocks[number])[0];
        let parent = &blocks[uncle.number as usize - 1].header;
        for (place, (change, expected)) in changes.iter().enumerate() {
            let mut changed = uncle.clone_inner();
            change(&mut changed, parent);
            let changed = header::seal(changed);
            let got = match verify(&blocks, number, std::slice::from_ref(&changed)) {
                Err(error) => error.rule(),
                Ok(()) => mainnet::ethash().check(&[changed]).unwrap_err().1.rule(),
            };
            assert_eq!(got, *expected, "block {number}, change {place}");
        }
    }
}

#[test]
fn uncles_that_are_not_the_headers() {
    let Some(blocks) = mainnet::blocks() else { return };
    let number = with_uncles(&blocks)[0];
    let block = &blocks[number];
    let body = Body { uncles: Vec::new(), ..block.body.clone() };
    let error = verify_body(&block.header, &body).unwrap_err().to_string();
    assert!(error.starts_with("uncles hash: expected 0x"), "{error}");
    verify_body(&block.header, &block.body).unwrap();
}

#[test]
fn ancestors_of_another_block_are_told_apart() {
    let Some(blocks) = mainnet::blocks() else { return };
    let number = with_uncles(&blocks)[0];
    let (mut ancestors, _) = family(&blocks, number);
    ancestors.remove(0);
    let uncles = uncles(&blocks[number]);
    let error = verify_uncles(&ChainSpec::mainnet(), &blocks[number].header, &uncles, &ancestors, &[]).unwrap_err();
    assert!(matches!(error, UncleError::Ancestry { index: 0, .. }), "{error}");
}

/// Near genesis there are fewer ancestors; genesis itself is nobody's uncle.
#[test]
fn near_genesis() {
    let miner = ToyMiner::new(toy_spec(0));
    let genesis = miner.spec().genesis.clone();
    let main = miner.headers(&genesis, 3);
    let uncle = miner.for_beneficiary([1; 20].into()).header(&genesis);
    let ancestors = [main[1].clone(), main[0].clone(), genesis.clone()];
    verify_uncles(miner.spec(), &main[2], std::slice::from_ref(&uncle), &ancestors, &[]).unwrap();
    let error = verify_uncles(miner.spec(), &main[2], std::slice::from_ref(&genesis), &ancestors, &[]).unwrap_err();
    assert_eq!(error.rule(), "uncle is ancestor");
    let mut other = genesis.clone_inner();
    other.nonce = B64::from(1_u64);
    let error = verify_uncles(miner.spec(), &main[2], &[header::seal(other)], &ancestors, &[]).unwrap_err();
    assert_eq!(error.rule(), "uncle generation");
}

/// An uncle may be from after the clock's time: only its block may not.
#[test]
fn an_uncles_time_is_bounded_by_no_clock() {
    let miner = ToyMiner::new(toy_spec(0));
    let genesis = miner.spec().genesis.clone();
    let main = miner.headers(&genesis, 2);
    let mut late = miner.template(&genesis);
    late.timestamp = NOW + 1_000_000;
    late.difficulty = rushlight_chain::difficulty::expected(miner.spec(), &genesis, late.timestamp);
    let late = toy_seal(late);
    assert!(verify_header(miner.spec(), &late, &genesis, U256::ZERO, NOW).is_err());
    verify_uncles(miner.spec(), &main[1], &[late], &[main[0].clone(), genesis], &[]).unwrap();
}
