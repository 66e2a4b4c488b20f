//! Proof of stake and the fields to Prague, on the 600 blocks of a real chain, and every field of them changed.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::{B64, B256, Bytes, U256};
use rushlight_chain::store::MemoryStore;
use rushlight_chain::{
    ChainSpec, HeaderChain, HeaderChainConfig, HeaderError, MAX_FUTURE_SECONDS, NoSeals, ProofOfStake, Refusal,
    SealPolicy, SealedHeader, header, testdata, verify_header,
};

const NOW: u64 = 2_000_000_000;

/// The header in a block's encoding, whatever follows it.
pub(super) fn header_of(block: &[u8]) -> SealedHeader {
    let mut rest = block;
    alloy_rlp::Header::decode(&mut rest).unwrap();
    let mut inner = rest;
    let head = alloy_rlp::Header::decode(&mut inner).unwrap();
    header::decode(&rest[..head.length_with_payload()]).unwrap()
}

/// The chain and its headers, genesis first.
fn chain() -> Option<(ChainSpec, Vec<SealedHeader>)> {
    let (spec, _) = ChainSpec::from_genesis(&testdata::read("testchain/genesis.json")?).unwrap();
    let file = testdata::read("testchain/chain.rlp")?;
    let mut headers = vec![spec.genesis.clone()];
    let mut rest = file.as_slice();
    while !rest.is_empty() {
        let mut inner = rest;
        let head = alloy_rlp::Header::decode(&mut inner).unwrap();
        headers.push(header_of(rest));
        rest = &rest[head.length_with_payload()..];
    }
    assert_eq!(headers.len(), 601);
    Some((spec, headers))
}

/// The total difficulty after the merge, which stays as it is.
fn td(spec: &ChainSpec) -> U256 {
    spec.genesis.difficulty
}

type Change = fn(&mut Header, &Header);

/// A change of one field, and the rule that it breaks; none for a field that only execution checks.
const CHANGES: &[(&str, Change, Option<&str>)] = &[
    ("parent hash", |h, _| h.parent_hash.0[31] ^= 1, Some("parent hash")),
    ("ommers hash", |h, _| h.ommers_hash.0[0] ^= 1, Some("uncles")),
    ("beneficiary", |h, _| h.beneficiary.0.0[5] ^= 1, None),
    ("state root", |h, _| h.state_root.0[9] ^= 1, None),
    ("transactions root", |h, _| h.transactions_root.0[3] ^= 1, None),
    ("receipts root", |h, _| h.receipts_root.0[3] ^= 1, None),
    ("logs bloom", |h, _| h.logs_bloom.0[100] ^= 1, None),
    ("difficulty", |h, _| h.difficulty = U256::from(1), Some("difficulty")),
    ("number", |h, _| h.number += 1, Some("number")),
    ("gas limit", |h, p| h.gas_limit = p.gas_limit + p.gas_limit / 1024, Some("gas limit")),
    ("gas used", |h, _| h.gas_used = h.gas_limit + 1, Some("gas used")),
    ("timestamp as the parent's", |h, p| h.timestamp = p.timestamp, Some("timestamp")),
    ("timestamp in the future", |h, _| h.timestamp = NOW + MAX_FUTURE_SECONDS + 1, Some("timestamp in the future")),
    ("extra data", |h, _| h.extra_data = Bytes::from_static(b"rushlight"), None),
    ("extra data too long", |h, _| h.extra_data = vec![0; 33].into(), Some("extra data")),
    ("mix hash: what the beacon chain drew", |h, _| h.mix_hash.0[31] ^= 0x80, None),
    ("nonce", |h, _| h.nonce = B64::with_last_byte(1), Some("nonce")),
    ("base fee up", |h, _| h.base_fee_per_gas = h.base_fee_per_gas.map(|fee| fee + 1), Some("base fee")),
    ("no base fee", |h, _| h.base_fee_per_gas = None, Some("base fee")),
    ("withdrawals root", |h, _| h.withdrawals_root = Some(B256::ZERO), None),
    ("no withdrawals root", |h, _| h.withdrawals_root = None, Some("withdrawals root")),
    ("access list hash", |h, _| h.block_access_list_hash = Some(B256::ZERO), Some("block access list hash")),
    ("slot number", |h, _| h.slot_number = Some(0), Some("slot number")),
];

/// The same of Cancun's fields, where they are.
const CANCUN: &[(&str, Change, Option<&str>)] = &[
    ("part of a blob", |h, _| h.blob_gas_used = h.blob_gas_used.map(|gas| gas + 1), Some("blob gas used")),
    ("too many blobs", |h, _| h.blob_gas_used = Some(131_072 * 10), Some("blob gas used")),
    ("no blob gas used", |h, _| h.blob_gas_used = None, Some("blob gas used")),
    ("excess blob gas", |h, _| h.excess_blob_gas = h.excess_blob_gas.map(|gas| gas + 1), Some("excess blob gas")),
    ("no excess blob gas", |h, _| h.excess_blob_gas = None, Some("excess blob gas")),
    ("beacon root", |h, _| h.parent_beacon_block_root = Some(B256::repeat_byte(1)), None),
    ("no beacon root", |h, _| h.parent_beacon_block_root = None, Some("parent beacon block root")),
];

const PRAGUE: &[(&str, Change, Option<&str>)] = &[
    ("requests hash", |h, _| h.requests_hash = Some(B256::repeat_byte(1)), None),
    ("no requests hash", |h, _| h.requests_hash = None, Some("requests hash")),
];

/// Fields before their fork.
const EARLY: &[(&str, Change, Option<&str>)] = &[
    ("early blob gas used", |h, _| h.blob_gas_used = Some(0), Some("blob gas used")),
    ("early excess blob gas", |h, _| h.excess_blob_gas = Some(0), Some("excess blob gas")),
    ("early beacon root", |h, _| h.parent_beacon_block_root = Some(B256::ZERO), Some("parent beacon block root")),
    ("early requests hash", |h, _| h.requests_hash = Some(B256::ZERO), Some("requests hash")),
];

#[test]
fn every_field_changed_is_refused_for_the_right_reason() {
    let Some((spec, headers)) = chain() else { return };
    let mut blobs = 0;
    for pair in headers.windows(2) {
        let (parent, block) = (&pair[0], &pair[1]);
        verify_header(&spec, block, parent, td(&spec), NOW).unwrap();
        let (cancun, prague) = (block.timestamp >= 60, block.timestamp >= 120);
        let later: &[&[_]] = match (cancun, prague) {
            (false, _) => &[CHANGES, EARLY],
            (true, false) => &[CHANGES, CANCUN, &EARLY[3..]],
            (true, true) => &[CHANGES, CANCUN, PRAGUE],
        };
        for (name, change, expected) in later.iter().copied().flatten() {
            let mut changed = block.clone_inner();
            change(&mut changed, parent);
            let got = verify_header(&spec, &header::seal(changed), parent, td(&spec), NOW);
            assert_eq!(got.map_err(|error| error.rule()).err(), *expected, "block {}: {name}", block.number);
        }
        blobs += u32::from(block.blob_gas_used.is_some_and(|gas| gas != 0));
    }
    assert!(blobs > 0, "no block with blobs");
}

/// A header without work on a chain that is not merged yet is refused by its difficulty, one with work after by the same.
#[test]
fn the_merge_is_where_the_total_difficulty_says() {
    let Some((spec, headers)) = chain() else { return };
    let before = td(&spec) - U256::from(1);
    let error = verify_header(&spec, &headers[1], &headers[0], before, NOW).unwrap_err();
    // Shanghai is in force from genesis on, and no proof of work after it
    assert_eq!(error.rule(), "timestamp");
}

#[test]
fn a_chain_takes_headers_without_seals_only_where_it_is_told_to() {
    let Some((spec, headers)) = chain() else { return };
    let raw: Vec<Bytes> = headers[1..].iter().map(|header| header::encode(header)).collect();
    let open = |proof_of_stake| {
        let config = HeaderChainConfig::new(SealPolicy::All, Arc::new(NoSeals), Arc::new(|| NOW));
        let config = HeaderChainConfig { proof_of_stake, ..config };
        HeaderChain::open(Arc::new(spec.clone()), Arc::new(MemoryStore::new()), config).unwrap()
    };
    let refused = open(ProofOfStake::Refuse).extend(&raw).unwrap_err();
    let merged = HeaderError::Merged { block: 1, terminal: U256::from(131_072) };
    assert_eq!(refused.error, Refusal::Header(merged));
    assert!(refused.to_string().ends_with("start with --trusted-head"), "{refused}");

    let chain = open(ProofOfStake::Import);
    chain.extend(&raw).unwrap();
    assert_eq!(chain.head().header.hash(), headers[600].hash());
    // a sibling that comes later is the head, though not heavier, and so is one that is shorter
    for number in [600, 590, 595] {
        let mut sibling = headers[number].clone_inner();
        sibling.extra_data = Bytes::copy_from_slice(format!("{number}").as_bytes());
        let sibling = header::seal(sibling);
        chain.extend(&[header::encode(&sibling)]).unwrap();
        let head = chain.head();
        assert_eq!((head.header.hash(), head.td), (sibling.hash(), td(&spec)), "{number}");
    }
}
