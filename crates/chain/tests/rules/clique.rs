//! Clique: EIP-225's voting scenarios, header rules one at a time, sealing.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::Header;
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_primitives::{Address, B64, B256, Bytes, U256};
use proptest::prelude::*;
use rushlight_chain::clique::{
    self, CliqueError, SealingError, Snapshot, VOTE_ADD, VOTE_DROP, draft, recover_signer, seal, signer_address,
};
use rushlight_chain::store::MemoryStore;
use rushlight_chain::{
    Activation, ChainSpec, Consensus, Ethash, Fork, Forks, HeaderChain, HeaderChainConfig, INITIAL_BASE_FEE,
    SealPolicy, SealedHeader, header, verify_header,
};
use secp256k1::SecretKey;

const NOW: u64 = 2_000_000_000;
const START: u64 = 1_700_000_000;

/// Test accounts by name. Whose turn it is depends on the order of the addresses, so the names are theirs in that order.
struct Accounts(BTreeMap<String, SecretKey>);

impl Accounts {
    fn new() -> Accounts {
        let mut keys: Vec<_> = (1..=8_u8).map(|n| SecretKey::from_byte_array([n; 32]).unwrap()).collect();
        keys.sort_by_key(signer_address);
        Accounts(('A'..='H').map(String::from).zip(keys).collect())
    }

    fn key(&self, name: &str) -> &SecretKey {
        &self.0[name]
    }

    fn address(&self, name: &str) -> Address {
        if name.is_empty() { Address::ZERO } else { signer_address(self.key(name)) }
    }

    fn addresses(&self, names: &str) -> Vec<Address> {
        names.chars().map(|name| self.address(&name.to_string())).collect()
    }
}

/// Vanity, signers and an empty seal.
fn extra(signers: &[Address]) -> Bytes {
    let mut extra = vec![0; 32];
    signers.iter().for_each(|signer| extra.extend_from_slice(signer.as_slice()));
    extra.resize(extra.len() + 65, 0);
    extra.into()
}

fn spec(signers: &[Address], period: u64, epoch: u64, london: u64) -> ChainSpec {
    let genesis = Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root: EMPTY_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: U256::from(1),
        gas_limit: 8_000_000,
        timestamp: START,
        extra_data: extra(signers),
        base_fee_per_gas: (london == 0).then_some(INITIAL_BASE_FEE),
        ..Header::default()
    };
    let forks = Forks::new(vec![
        (Fork::Homestead, Activation::Block(0)),
        (Fork::Berlin, Activation::Block(0)),
        (Fork::London, Activation::Block(london)),
    ]);
    let consensus = Consensus::Clique { period, epoch };
    ChainSpec::new("clique", 1337, header::seal(genesis), forks, consensus)
}

/// A block of a scenario: who signs, what they vote (`+X` to add, `-X` to drop), and whether it is a checkpoint's list.
struct Step {
    signer: &'static str,
    vote: &'static str,
    checkpoint: &'static str,
}

/// Reads `A`, `A+B`, `A-B` and `A!AB` (a checkpoint that lists A and B), with spaces between.
fn steps(script: &'static str) -> Vec<Step> {
    let step = |text: &'static str| {
        let (signer, rest) = text.split_at(1);
        match rest.strip_prefix('!') {
            Some(checkpoint) => Step { signer, vote: "", checkpoint },
            None => Step { signer, vote: rest, checkpoint: "" },
        }
    };
    script.split_whitespace().map(step).collect()
}

/// A header on `parent` as `signer` would make it, whether they may or not.
fn next(parent: &SealedHeader, snapshot: &Snapshot, accounts: &Accounts, step: &Step) -> SealedHeader {
    let number = parent.number + 1;
    let subject = step.vote.get(1..).unwrap_or_default();
    let header = Header {
        parent_hash: parent.hash(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: accounts.address(subject),
        difficulty: U256::from(snapshot.difficulty(number, &accounts.address(step.signer))),
        number,
        gas_limit: parent.gas_limit,
        timestamp: parent.timestamp + 1,
        extra_data: extra(&accounts.addresses(step.checkpoint)),
        nonce: if step.vote.starts_with('+') { VOTE_ADD } else { VOTE_DROP },
        base_fee_per_gas: Some(7),
        ..Header::default()
    };
    seal(header, accounts.key(step.signer)).unwrap()
}

/// Runs a scenario and gives the signers at its end, or the rule that its last block breaks.
fn run(epoch: u64, signers: &str, script: &'static str) -> Result<String, &'static str> {
    let accounts = Accounts::new();
    let genesis = spec(&accounts.addresses(signers), 1, epoch, 0).genesis;
    let mut snapshot = Snapshot::genesis(&genesis, epoch).unwrap();
    let mut parent = genesis;
    let steps = steps(script);
    for (place, step) in steps.iter().enumerate() {
        let header = next(&parent, &snapshot, &accounts, step);
        let before = snapshot.clone();
        match snapshot.apply(&header) {
            Ok(signer) => assert_eq!(signer, accounts.address(step.signer)),
            Err(error) => {
                assert_eq!(place + 1, steps.len(), "{script}: {error}");
                assert_eq!(snapshot, before, "a refused header changes nothing");
                return Err(error.rule());
            }
        }
        // what is kept between runs is all of it: EIP-225's "new batch"
        snapshot = serde_json::from_str(&serde_json::to_string(&snapshot).unwrap()).unwrap();
        parent = header;
    }
    let names = accounts.0.keys().filter(|name| snapshot.is_signer(&accounts.address(name)));
    Ok(names.map(String::as_str).collect())
}

/// The scenarios that EIP-225 publishes.
#[test]
fn published_scenarios() {
    const DEFAULT: u64 = 30_000;
    let ok = |signers: &str, script: &'static str, expected: &str| {
        assert_eq!(run(DEFAULT, signers, script), Ok(expected.to_owned()), "{signers}: {script}");
    };
    // Single signer, no votes cast
    ok("A", "A", "A");
    // Single signer, voting to add two others: only the first is accepted, the second needs two votes
    ok("A", "A+B B A+C", "AB");
    // Two signers, voting to add three others: the third needs three votes already
    ok("AB", "A+C B+C A+D B+D C A+E B+E", "ABCD");
    // Single signer, dropping itself
    ok("A", "A-A", "");
    // Two signers, mutual consent needed to drop either: not given, then given
    ok("AB", "A-B", "AB");
    ok("AB", "A-B B-B", "A");
    // Three signers, two of them dropping the third
    ok("ABC", "A-C B-C", "AB");
    // Four signers: two are not enough to drop anyone, three are
    ok("ABCD", "A-C B-C", "ABCD");
    ok("ABCD", "A-D B-D C-D", "ABC");
    // Authorizations are counted once per signer and subject
    ok("AB", "A+C B A+C B A+C", "AB");
    // Authorizing several accounts at once is permitted
    ok("AB", "A+C B A+D B A B+D A B+C", "ABCD");
    // Deauthorizations are counted once per signer and subject
    ok("AB", "A-B B A-B B A-B", "AB");
    // Deauthorizing several accounts at once is permitted
    ok("ABCD", "A-C B C A-D B C A B-D C-D A B-C", "AB");
    // Votes of deauthorized signers are discarded at once: to drop, to add
    ok("ABC", "C-B A-C B-C A-B", "AB");
    ok("ABC", "C+D A-C B-C A+D", "AB");
    // Cascading changes are not allowed: only the account voted on may change
    ok("ABCD", "A-C B C A-D B-C C A B-D C-D", "ABC");
    // Changes that reach consensus out of bounds (by a drop) take place on touch
    ok("ABCD", "A-C B C A-D B-C C A B-D C-D A C+C", "AB");
    // … and may go out of consensus on first touch
    ok("ABCD", "A-C B C A-D B-C C A B-D C-D A B+C", "ABC");
    // Pending votes do not survive a change of standing
    ok("ABCDE", "A+F B+F C+F D-F E-F B-F C-F D+F E+F B-A C-A D-A B+F", "BCDEF");
}

#[test]
fn published_scenarios_of_epochs_and_refusals() {
    // Epoch transitions drop all votes
    assert_eq!(run(3, "AB", "A+C B A!AB B+C"), Ok("AB".to_owned()));
    // An unauthorized signer cannot sign
    assert_eq!(run(30_000, "A", "B"), Err("unauthorized signer"));
    // A signer that signed recently cannot sign again
    assert_eq!(run(30_000, "AB", "A A"), Err("signer signed recently"));
    // Recent signatures are not forgotten at a checkpoint, in one batch or in two
    assert_eq!(run(3, "ABC", "A B A!ABC A"), Err("signer signed recently"));
}

#[test]
fn checkpoints_list_the_signers() {
    assert_eq!(run(3, "AB", "A B A!AB"), Ok("AB".to_owned()));
    for list in ["A!A", "A!ABC", "A!BA", "A!"] {
        let script: &'static str = format!("A B {list}").leak();
        assert_eq!(run(3, "AB", script), Err("checkpoint signers"), "{script}");
    }
    // a signer voted in is in the next checkpoint's list
    assert_eq!(run(3, "A", "A+B B A!AB"), Ok("AB".to_owned()));
}

/// A sealed chain of two signers under the rules of London, every header of it through every rule.
fn sealed_chain(london: u64, count: u64) -> (ChainSpec, Vec<SealedHeader>, Snapshot, Accounts) {
    let accounts = Accounts::new();
    let spec = spec(&accounts.addresses("AB"), 5, 4, london);
    let mut snapshot = Snapshot::genesis(&spec.genesis, 4).unwrap();
    let mut headers = vec![spec.genesis.clone()];
    for number in 1..=count {
        let parent = headers.last().unwrap();
        let signer = if number % 3 == 0 { "B" } else { "A" };
        let signers = [signer, if signer == "A" { "B" } else { "A" }];
        let (made, key) = signers
            .iter()
            .find_map(|name| {
                let made = draft(&spec, &snapshot, parent, accounts.address(name), 0, 9_000_000, None);
                Some((made.ok()?, accounts.key(name)))
            })
            .unwrap();
        let mut filled = made.header;
        filled.gas_used = filled.gas_limit / 3 * (number % 4).min(3);
        let sealed = seal(filled, key).unwrap();
        verify_header(&spec, &sealed, parent, U256::ZERO, NOW).unwrap();
        assert_eq!(snapshot.apply(&sealed).unwrap(), signer_address(key));
        headers.push(sealed);
    }
    (spec, headers, snapshot, accounts)
}

#[test]
fn sealed_chains_are_valid() {
    for london in [0, 1, 5, 9, u64::MAX] {
        let (_, headers, ..) = sealed_chain(london, 20);
        for header in &headers[1..] {
            assert_eq!(header.base_fee_per_gas.is_some(), header.number >= london, "block {}", header.number);
        }
        if let Some(first) = headers.iter().skip(1).find(|header| header.number == london) {
            assert_eq!(first.base_fee_per_gas, Some(INITIAL_BASE_FEE));
            assert_eq!(first.timestamp, START + 5 * london);
        }
    }
}

/// A chain that meets its terminal total difficulty goes on under rules that are not built yet: said, not guessed at.
#[test]
fn a_chain_stops_at_its_terminal_total_difficulty() {
    let accounts = Accounts::new();
    let mut spec = spec(&accounts.addresses("A"), 5, 100, 0);
    spec.forks = Forks::new(vec![
        (Fork::London, Activation::Block(0)),
        (Fork::Paris, Activation::TotalDifficulty(U256::from(5))),
    ]);
    let config = HeaderChainConfig::new(SealPolicy::All, Arc::new(Ethash::new()), Arc::new(|| NOW));
    let chain = HeaderChain::open(Arc::new(spec.clone()), Arc::new(MemoryStore::new()), config).unwrap();
    let mut snapshot = Snapshot::genesis(&spec.genesis, 100).unwrap();
    let mut parent = spec.genesis.clone();
    for number in 1.. {
        let made = draft(&spec, &snapshot, &parent, accounts.address("A"), 0, 8_000_000, None).unwrap();
        let sealed = seal(made.header, accounts.key("A")).unwrap();
        match chain.extend(&[header::encode(&sealed)]) {
            Ok(_) => assert!(number <= 2, "block {number}"),
            Err(error) => {
                assert_eq!(number, 3);
                assert!(error.to_string().ends_with("start with --trusted-head"), "{error}");
                return;
            }
        }
        snapshot.apply(&sealed).unwrap();
        parent = sealed;
    }
}

/// The limit is twice the target from London's first block on; on either side the bound is as ever.
#[test]
fn the_gas_limit_doubles_at_london() {
    let (spec, headers, _, accounts) = sealed_chain(5, 4);
    let parent = headers.last().unwrap();
    let verify = |gas_limit: u64| {
        let header = Header {
            gas_limit,
            parent_hash: parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            difficulty: U256::from(1),
            number: 5,
            timestamp: parent.timestamp + 5,
            extra_data: extra(&[]),
            base_fee_per_gas: Some(INITIAL_BASE_FEE),
            ..Header::default()
        };
        verify_header(&spec, &seal(header, accounts.key("A")).unwrap(), parent, U256::ZERO, NOW)
            .map_err(|error| error.rule())
    };
    let doubled = parent.gas_limit * 2;
    assert_eq!(verify(doubled), Ok(()));
    assert_eq!(verify(doubled + doubled / 1024 - 1), Ok(()));
    assert_eq!(verify(doubled + doubled / 1024), Err("gas limit"));
    assert_eq!(verify(doubled - doubled / 1024 + 1), Ok(()));
    assert_eq!(verify(doubled - doubled / 1024), Err("gas limit"));
    assert_eq!(verify(parent.gas_limit), Err("gas limit"));
}

/// Figures of EIP-1559: an eighth up over a full block, an eighth down over an empty one, at least one wei up.
#[test]
fn base_fees() {
    let (spec, headers, ..) = sealed_chain(0, 1);
    let fee = |fee: u64, gas_used: u64| {
        let parent =
            Header { base_fee_per_gas: Some(fee), gas_limit: 20_000_000, gas_used, ..headers[1].clone_inner() };
        rushlight_chain::next_base_fee(&spec, &parent, NOW).unwrap()
    };
    assert_eq!(fee(INITIAL_BASE_FEE, 10_000_000), 1_000_000_000);
    assert_eq!(fee(INITIAL_BASE_FEE, 20_000_000), 1_125_000_000);
    assert_eq!(fee(INITIAL_BASE_FEE, 0), 875_000_000);
    assert_eq!(fee(INITIAL_BASE_FEE, 11_000_000), 1_012_500_000);
    assert_eq!(fee(INITIAL_BASE_FEE, 9_000_000), 987_500_000);
    assert_eq!(fee(7, 10_000_001), 8);
    assert_eq!(fee(7, 0), 7);
    assert_eq!(fee(u64::MAX, 20_000_000), u64::MAX);
}

type Change = fn(&mut Header);

/// Where a changed header is refused: by its fields, or (signed anew by the same signer) by the snapshot.
fn refusal(change: Change, block: usize) -> Option<&'static str> {
    let (spec, headers, _, accounts) = sealed_chain(2, 8);
    let mut snapshot = Snapshot::genesis(&spec.genesis, 4).unwrap();
    for header in &headers[1..block] {
        snapshot.apply(header).unwrap();
    }
    let signer = recover_signer(&headers[block]).unwrap();
    let key = accounts.0.values().find(|key| signer_address(key) == signer).unwrap();
    let mut changed = headers[block].clone_inner();
    change(&mut changed);
    let changed = if changed.extra_data.len() >= 97 { seal(changed, key).unwrap() } else { header::seal(changed) };
    let fields = verify_header(&spec, &changed, &headers[block - 1], U256::ZERO, NOW).map_err(|error| error.rule());
    fields.and_then(|()| snapshot.apply(&changed).map_err(|error| error.rule())).err()
}

#[test]
fn every_field_changed_is_refused_for_the_right_reason() {
    let block = 6;
    let changes: &[(Change, Option<&str>)] = &[
        (|_| (), None),
        (|h| h.parent_hash.0[0] ^= 1, Some("parent hash")),
        (|h| h.ommers_hash.0[0] ^= 1, Some("uncles")),
        // a vote on whoever it names: valid
        (|h| h.beneficiary = [9; 20].into(), None),
        // checked by execution, which signers answer for
        (|h| h.state_root.0[0] ^= 1, None),
        (|h| h.difficulty = U256::from(3), Some("difficulty")),
        (|h| h.difficulty = U256::ZERO, Some("difficulty")),
        (|h| h.difficulty = U256::from(3) - h.difficulty, Some("difficulty of the turn")),
        (|h| h.number += 1, Some("number")),
        (|h| h.gas_limit = 4999, Some("gas limit")),
        (|h| h.gas_limit *= 2, Some("gas limit")),
        (|h| h.gas_used = h.gas_limit + 1, Some("gas used")),
        (|h| h.timestamp -= 1, Some("timestamp")),
        (|h| h.timestamp = NOW + 16, Some("timestamp in the future")),
        (|h| h.extra_data = extra(&[[3; 20].into()]), Some("extra data")),
        (|h| h.extra_data = vec![0; 98].into(), Some("extra data")),
        (|h| h.extra_data = vec![0; 96].into(), Some("extra data")),
        (|h| h.extra_data = Bytes::new(), Some("extra data")),
        (|h| h.mix_hash.0[0] = 1, Some("mix hash")),
        (|h| h.nonce = VOTE_ADD, None),
        (|h| h.nonce = B64::from(1_u64), Some("vote nonce")),
        (|h| h.base_fee_per_gas = None, Some("base fee")),
        (|h| h.base_fee_per_gas = h.base_fee_per_gas.map(|fee| fee + 1), Some("base fee")),
        (|h| h.withdrawals_root = Some(B256::ZERO), Some("withdrawals root")),
        (|h| h.blob_gas_used = Some(0), Some("blob gas used")),
        (|h| h.excess_blob_gas = Some(0), Some("excess blob gas")),
        (|h| h.parent_beacon_block_root = Some(B256::ZERO), Some("parent beacon block root")),
        (|h| h.requests_hash = Some(B256::ZERO), Some("requests hash")),
        (|h| h.block_access_list_hash = Some(B256::ZERO), Some("block access list hash")),
        (|h| h.slot_number = Some(0), Some("slot number")),
    ];
    for (place, (change, expected)) in changes.iter().enumerate() {
        assert_eq!(refusal(*change, block), *expected, "change {place}");
    }
    let checkpoint: &[(Change, Option<&str>)] = &[
        (|_| (), None),
        (|h| h.beneficiary = [9; 20].into(), Some("checkpoint beneficiary")),
        (|h| h.nonce = VOTE_ADD, Some("vote nonce")),
        (|h| h.extra_data = vec![0; 32 + 39 + 65].into(), Some("extra data")),
        (|h| h.extra_data = extra(&[]), Some("checkpoint signers")),
        (|h| h.extra_data = extra(&[[3; 20].into(), [4; 20].into()]), Some("checkpoint signers")),
    ];
    for (place, (change, expected)) in checkpoint.iter().enumerate() {
        assert_eq!(refusal(*change, 4), *expected, "checkpoint change {place}");
    }
    // base fee before London
    assert_eq!(refusal(|h| h.base_fee_per_gas = Some(0), 1), Some("base fee"));
}

#[test]
fn a_changed_header_has_another_signer() {
    let (_, headers, ..) = sealed_chain(0, 2);
    let mut changed = headers[2].clone_inner();
    changed.state_root.0[0] ^= 1;
    assert_ne!(recover_signer(&changed).ok(), recover_signer(&headers[2]).ok());
    let mut extra = headers[2].extra_data.to_vec();
    let last = extra.len() - 1;
    extra[last] = 4;
    let broken = Header { extra_data: extra.into(), ..headers[2].clone_inner() };
    assert_eq!(recover_signer(&broken).unwrap_err().rule(), "signature");
    let unsigned = Header { extra_data: vec![0; 97].into(), ..headers[2].clone_inner() };
    assert_eq!(recover_signer(&unsigned).unwrap_err().rule(), "signature");
}

#[test]
fn a_snapshot_takes_only_its_own_child() {
    let (spec, headers, ..) = sealed_chain(0, 3);
    let mut snapshot = Snapshot::genesis(&spec.genesis, 4).unwrap();
    assert!(matches!(snapshot.apply(&headers[2]), Err(CliqueError::NotNext { .. })));
    snapshot.apply(&headers[1]).unwrap();
    assert_eq!((snapshot.number(), snapshot.hash()), (1, headers[1].hash()));
}

#[test]
fn a_genesis_without_signers_is_refused() {
    let accounts = Accounts::new();
    let spec = spec(&accounts.addresses(""), 1, 10, 0);
    assert_eq!(Snapshot::genesis(&spec.genesis, 10), Err(CliqueError::GenesisSigners { got: 97 }));
}

#[test]
fn sealing_is_refused_where_the_block_would_be() {
    let accounts = Accounts::new();
    let spec = spec(&accounts.addresses("AB"), 5, 10, 0);
    let mut snapshot = Snapshot::genesis(&spec.genesis, 10).unwrap();
    let genesis = spec.genesis.clone();
    let draft = |snapshot: &Snapshot, parent: &SealedHeader, name: &str, vote| {
        draft(&spec, snapshot, parent, accounts.address(name), 0, 8_000_000, vote)
    };
    let stranger = draft(&snapshot, &genesis, "C", None).unwrap_err();
    assert_eq!(stranger, SealingError::Unauthorized { signer: accounts.address("C"), count: 2 });
    let first = draft(&snapshot, &genesis, "A", Some((accounts.address("C"), true))).unwrap();
    assert!(!first.in_turn && draft(&snapshot, &genesis, "B", None).unwrap().in_turn);
    let first = seal(first.header, accounts.key("A")).unwrap();
    assert!(matches!(draft(&snapshot, &first, "B", None), Err(SealingError::Snapshot { parent: 1, snapshot: 0 })));
    snapshot.apply(&first).unwrap();
    assert_eq!(snapshot.votes().len(), 1);
    let again = draft(&snapshot, &first, "A", None).unwrap_err();
    assert!(matches!(again, SealingError::RecentlySigned { from: 3, number: 2, .. }), "{again}");
    let second = draft(&snapshot, &first, "B", Some((accounts.address("C"), true))).unwrap();
    snapshot.apply(&seal(second.header, accounts.key("B")).unwrap()).unwrap();
    assert!(snapshot.is_signer(&accounts.address("C")));
}

#[test]
fn a_draft_waits_for_its_time() {
    let accounts = Accounts::new();
    let spec = spec(&accounts.addresses("A"), 5, 10, 0);
    let snapshot = Snapshot::genesis(&spec.genesis, 10).unwrap();
    let time = |now| {
        let made = draft(&spec, &snapshot, &spec.genesis, accounts.address("A"), now, 8_000_000, None).unwrap();
        made.header.timestamp
    };
    assert_eq!(time(START), START + 5);
    assert_eq!(time(START + 60), START + 60);
}

proptest! {
    #[test]
    fn delays(signers in 1..50_usize, roll in any::<u64>()) {
        prop_assert!(clique::turn_delay(true, signers, roll).is_zero());
        let span = 500 * (signers as u128 / 2 + 1);
        prop_assert!(clique::turn_delay(false, signers, roll).as_millis() < span);
    }

    /// Exactly one signer is in turn at any block.
    #[test]
    fn one_signer_is_in_turn(count in 1..8_usize, number in any::<u64>()) {
        let accounts = Accounts::new();
        let names: String = "ABCDEFGH".chars().take(count).collect();
        let signers = accounts.addresses(&names);
        let snapshot = Snapshot::genesis(&spec(&signers, 1, 10, 0).genesis, 10).unwrap();
        let in_turn = signers.iter().filter(|signer| snapshot.in_turn(number, signer)).count();
        prop_assert_eq!(in_turn, 1);
    }
}
