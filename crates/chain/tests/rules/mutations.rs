//! Every field of real headers, changed one at a time: each change is refused, for the right reason.

use alloy_consensus::Header;
use alloy_primitives::{B64, B256, Bytes, U256};
use proptest::prelude::*;
use rushlight_chain::{
    Body, ChainSpec, HeaderError, MAX_FUTURE_SECONDS, MAX_GAS_LIMIT, Rule, SealCheck, SealedHeader, Value, header,
    verify_body, verify_header,
};

use super::mainnet::{self, NOW};

/// The name of the rule that refuses a header, asked in the node's order: rules, body, seal.
fn refusal(header: Header, parent: &SealedHeader, body: &Body) -> Option<&'static str> {
    let header = header::seal(header);
    if let Err(error) = verify_header(&ChainSpec::mainnet(), &header, parent, U256::ZERO, NOW) {
        return Some(error.rule());
    }
    if let Err(error) = verify_body(&header, body) {
        return Some(error.to_string().split_once(':').map_or("", |(rule, _)| rule).to_owned().leak());
    }
    mainnet::ethash().check(&[header]).err().map(|(_, error)| error.rule())
}

type Change = fn(&mut Header, &SealedHeader);

/// A change of one field, and the rule that it breaks.
const CHANGES: &[(&str, Change, &str)] = &[
    ("parent hash", |h, _| h.parent_hash.0[31] ^= 1, "parent hash"),
    ("parent hash: grandparent", |h, p| h.parent_hash = p.parent_hash, "parent hash"),
    ("ommers hash", |h, _| h.ommers_hash.0[0] ^= 1, "uncles hash"),
    ("beneficiary", |h, _| h.beneficiary.0.0[5] ^= 1, "mix hash"),
    ("state root", |h, _| h.state_root.0[9] ^= 1, "mix hash"),
    ("transactions root", |h, _| h.transactions_root.0[3] ^= 1, "transactions root"),
    ("receipts root", |h, _| h.receipts_root.0[3] ^= 1, "mix hash"),
    ("logs bloom", |h, _| h.logs_bloom.0[100] ^= 1, "mix hash"),
    ("difficulty up", |h, _| h.difficulty += U256::from(1), "difficulty"),
    ("difficulty down", |h, _| h.difficulty -= U256::from(1), "difficulty"),
    ("difficulty zero", |h, _| h.difficulty = U256::ZERO, "difficulty"),
    ("difficulty huge", |h, _| h.difficulty = U256::MAX, "difficulty"),
    ("number up", |h, _| h.number += 1, "number"),
    ("number down", |h, _| h.number -= 1, "number"),
    ("number of a far epoch", |h, _| h.number = u64::MAX, "number"),
    ("gas limit down", |h, _| h.gas_limit = 4999, "gas limit"),
    ("gas limit up", |h, p| h.gas_limit = p.gas_limit + p.gas_limit / 1024, "gas limit"),
    ("gas limit past 63 bits", |h, _| h.gas_limit = MAX_GAS_LIMIT + 1, "gas limit"),
    ("gas limit within its bounds", |h, _| h.gas_limit += 1, "mix hash"),
    ("gas used", |h, _| h.gas_used = h.gas_limit + 1, "gas used"),
    ("gas used within the limit", |h, _| h.gas_used += 1, "mix hash"),
    ("timestamp as the parent's", |h, p| h.timestamp = p.timestamp, "timestamp"),
    ("timestamp before the parent's", |h, p| h.timestamp = p.timestamp - 1, "timestamp"),
    ("timestamp zero", |h, _| h.timestamp = 0, "timestamp"),
    ("timestamp in the future", |h, _| h.timestamp = NOW + MAX_FUTURE_SECONDS + 1, "timestamp in the future"),
    ("timestamp the greatest", |h, _| h.timestamp = u64::MAX, "timestamp in the future"),
    ("timestamp of another difficulty", |h, p| swap_pace(h, p), "difficulty"),
    ("timestamp of the same difficulty", |h, p| same_pace(h, p), "mix hash"),
    ("extra data changed", |h, _| h.extra_data = Bytes::from_static(b"rushlight"), "mix hash"),
    ("extra data too long", |h, _| h.extra_data = vec![0; 33].into(), "extra data"),
    ("mix hash", |h, _| h.mix_hash.0[31] ^= 0x80, "mix hash"),
    ("nonce", |h, _| h.nonce = B64::from(u64::from(h.nonce) ^ 1), "mix hash"),
    ("base fee", |h, _| h.base_fee_per_gas = Some(0), "base fee"),
    ("withdrawals root", |h, _| h.withdrawals_root = Some(B256::ZERO), "withdrawals root"),
    ("blob gas used", |h, _| h.blob_gas_used = Some(0), "blob gas used"),
    ("excess blob gas", |h, _| h.excess_blob_gas = Some(0), "excess blob gas"),
    ("beacon root", |h, _| h.parent_beacon_block_root = Some(B256::ZERO), "parent beacon block root"),
    ("requests hash", |h, _| h.requests_hash = Some(B256::ZERO), "requests hash"),
    ("access list hash", |h, _| h.block_access_list_hash = Some(B256::ZERO), "block access list hash"),
    ("slot number", |h, _| h.slot_number = Some(0), "slot number"),
];

/// To the other side of Frontier's 13 seconds.
fn swap_pace(header: &mut Header, parent: &SealedHeader) {
    let fast = header.timestamp - parent.timestamp < 13;
    header.timestamp = parent.timestamp + if fast { 13 } else { 12 };
}

/// To another second of the same side.
fn same_pace(header: &mut Header, parent: &SealedHeader) {
    let fast = header.timestamp - parent.timestamp < 13;
    let seconds = header.timestamp - parent.timestamp;
    header.timestamp = parent.timestamp + if fast { seconds % 12 + 1 } else { seconds + 1 };
}

#[test]
fn every_field_changed_is_refused_for_the_right_reason() {
    let Some(blocks) = mainnet::blocks() else { return };
    for number in [2, 50, 777, 2999, 4001, 5306, 8191] {
        let (block, parent) = (&blocks[number], &blocks[number - 1].header);
        assert_eq!(refusal(block.header.clone_inner(), parent, &block.body), None);
        for (name, change, expected) in CHANGES {
            let mut changed = block.header.clone_inner();
            change(&mut changed, parent);
            assert_ne!(&changed, block.header.inner(), "block {number}, {name}: changed nothing");
            assert_eq!(refusal(changed, parent, &block.body), Some(*expected), "block {number}, {name}");
        }
    }
}

/// All fields of the type are among the changes: a new one makes this fail to compile.
#[test]
fn the_changes_cover_every_field() {
    let Header {
        parent_hash: _,
        ommers_hash: _,
        beneficiary: _,
        state_root: _,
        transactions_root: _,
        receipts_root: _,
        logs_bloom: _,
        difficulty: _,
        number: _,
        gas_limit: _,
        gas_used: _,
        timestamp: _,
        extra_data: _,
        mix_hash: _,
        nonce: _,
        base_fee_per_gas: _,
        withdrawals_root: _,
        blob_gas_used: _,
        excess_blob_gas: _,
        parent_beacon_block_root: _,
        requests_hash: _,
        block_access_list_hash: _,
        slot_number: _,
    } = Header::default();
}

#[test]
fn errors_say_what_was_expected_and_what_came() {
    let Some(blocks) = mainnet::blocks() else { return };
    let (block, parent) = (&blocks[500].header, &blocks[499].header);
    let verify = |change: &dyn Fn(&mut Header)| {
        let mut changed = block.clone_inner();
        change(&mut changed);
        verify_header(&ChainSpec::mainnet(), &header::seal(changed), parent, U256::ZERO, NOW).unwrap_err()
    };
    let error = verify(&|header| header.number = 7);
    let (expected, got) = (Value::Number(500).into(), Value::Number(7).into());
    assert_eq!(error, HeaderError::Broken { rule: Rule::Number, expected, got });
    assert_eq!(error.to_string(), "number: expected 500, got 7");
    assert_eq!(verify(&|h| h.gas_limit = 1).to_string(), "gas limit: expected 5000 to 5003, got 1");
    assert_eq!(verify(&|h| h.gas_used = 5001).to_string(), "gas used: expected at most 5000, got 5001");
    assert_eq!(verify(&|h| h.base_fee_per_gas = Some(9)).to_string(), "base fee: expected none, got 9");
    let long = verify(&|h| h.extra_data = vec![1; 40].into()).to_string();
    assert_eq!(long, "extra data: expected at most 32 bytes, got 40 bytes");
    let late = verify_header(&ChainSpec::mainnet(), block, parent, U256::ZERO, block.timestamp - 16).unwrap_err();
    assert_eq!(late.rule(), "timestamp in the future");
    verify_header(&ChainSpec::mainnet(), block, parent, U256::ZERO, block.timestamp - 15).unwrap();
}

/// Forks by time come after London: a block before it is judged by the rules of its number, whatever time it bears.
#[test]
fn a_late_time_makes_no_later_fork() {
    let Some(blocks) = mainnet::blocks() else { return };
    for number in [2, 50, 4001] {
        let (block, parent) = (&blocks[number], &blocks[number - 1].header);
        let mut late = block.header.clone_inner();
        late.timestamp = 1_690_000_000;
        let got = refusal(late, parent, &block.body).unwrap();
        assert!(["difficulty", "mix hash"].contains(&got), "{got}");
    }
}

fn field() -> impl Strategy<Value = usize> {
    0..15_usize
}

proptest! {
    /// Any bits of any field of any real header flipped: something refuses it.
    #[test]
    fn any_change_is_refused(number in 1..8192_usize, field in field(), seed in 1..=u64::MAX, place in 0..256_usize) {
        let Some(blocks) = mainnet::blocks() else { return Ok(()) };
        let (block, parent) = (&blocks[number], &blocks[number - 1].header);
        let mut changed = block.header.clone_inner();
        let flip = |bytes: &mut [u8]| { let at = place % bytes.len(); bytes[at] ^= (seed % 255) as u8 + 1; };
        match field {
            0 => flip(&mut changed.parent_hash.0),
            1 => flip(&mut changed.ommers_hash.0),
            2 => flip(&mut changed.beneficiary.0.0),
            3 => flip(&mut changed.state_root.0),
            4 => flip(&mut changed.transactions_root.0),
            5 => flip(&mut changed.receipts_root.0),
            6 => flip(&mut changed.logs_bloom.0.0),
            7 => changed.difficulty ^= U256::from(seed) << (place % 192),
            8 => changed.number ^= seed,
            9 => changed.gas_limit ^= seed >> (place % 63),
            10 => changed.gas_used ^= seed >> (place % 63),
            11 => changed.timestamp ^= seed >> (place % 63),
            12 => changed.extra_data = changed.extra_data.iter().copied().chain([seed as u8]).collect(),
            13 => flip(&mut changed.mix_hash.0),
            _ => flip(&mut changed.nonce.0),
        }
        prop_assume!(&changed != block.header.inner());
        prop_assert!(refusal(changed, parent, &block.body).is_some());
    }
}
