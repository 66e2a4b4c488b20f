//! The official blockchain vectors, all of them, through [`FullChain`].
//!
//! Their chains have no seals (`NoProof`). Each block is inserted as one from a file would be: a good one has to come in, a
//! bad one has to be refused by the rule that its `expectException` names. At the end the head's hash and state have to be
//! the case's.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_consensus::Header;
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use eth_trie::{EthTrie, Trie};
use rushlight_chain::store::MemoryStore;
use rushlight_chain::{Activation, ChainSpec, Consensus, Fork, Forks, NoSeals, RawBlock, testdata};
use serde_json::Value;

use crate::error::{InsertError, Rule};
use rushlight_sync::{ChainSink, Fault, Item};

use crate::nodes::Nodes;
use crate::state::put_slot;
use crate::tries::genesis_root;
use crate::{FullChain, FullConfig};

/// The forks of a network of the vectors.
fn forks(network: &str) -> Forks {
    let all = [
        ("Frontier", Fork::Frontier),
        ("Homestead", Fork::Homestead),
        ("Dao", Fork::Dao),
        ("EIP150", Fork::TangerineWhistle),
        ("EIP158", Fork::SpuriousDragon),
        ("Byzantium", Fork::Byzantium),
        ("ConstantinopleFix", Fork::Petersburg),
        ("Istanbul", Fork::Istanbul),
        ("MuirGlacier", Fork::MuirGlacier),
        ("Berlin", Fork::Berlin),
        ("London", Fork::London),
        ("ArrowGlacier", Fork::ArrowGlacier),
        ("GrayGlacier", Fork::GrayGlacier),
        ("Paris", Fork::Paris),
        ("Shanghai", Fork::Shanghai),
        ("Cancun", Fork::Cancun),
    ];
    let place = |name: &str| all.iter().position(|(known, _)| *known == name).unwrap();
    let (from, to, at) = match network.split_once("To") {
        Some((from, to)) => {
            let (to, at) = to.split_once("At").unwrap();
            (place(from), place(to), at)
        }
        None => (place(network), place(network), ""),
    };
    let at = match (at.strip_prefix("Diff"), at.strip_prefix("Time")) {
        (Some(td), _) => Activation::TotalDifficulty(U256::from_str_radix(td, 16).unwrap()),
        (_, Some(time)) => Activation::Time(time.replace('k', "000").parse().unwrap()),
        _ => Activation::Block(at.parse().unwrap_or(0)),
    };
    let mut schedule = Vec::new();
    for (index, (_, fork)) in all.iter().enumerate().take(to + 1) {
        // The DAO's fork is of the one network that is named after it; of two names the glaciers between are left out.
        if *fork == Fork::Dao && !network.contains("Dao") || index > from && index < to {
            continue;
        }
        let activation = match *fork {
            _ if index > from => at,
            Fork::Paris => Activation::TotalDifficulty(U256::ZERO),
            fork if fork > Fork::Paris => Activation::Time(0),
            _ => Activation::Block(0),
        };
        if *fork == Fork::Petersburg {
            schedule.push((Fork::Constantinople, activation));
        }
        schedule.push((*fork, activation));
    }
    Forks::new(schedule)
}

/// The chain of a case. None of the networks has Constantinople before Petersburg.
fn open(case: &Value) -> FullChain {
    let genesis = RawBlock::decode(&bytes(&case["genesisRLP"])).unwrap().decode_header().unwrap();
    let forks = forks(case["network"].as_str().unwrap());
    let spec = ChainSpec::new("vectors", 1, genesis, forks, Consensus::Ethash);
    let alloc = Genesis { alloc: alloc(&case["pre"]), ..Genesis::default() };
    let config = FullConfig { seals: Arc::new(NoSeals), clock: Arc::new(|| u64::MAX) };
    FullChain::open(Arc::new(spec), alloc, Arc::new(MemoryStore::new()), config).unwrap()
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

fn number(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn alloc(pre: &Value) -> BTreeMap<Address, GenesisAccount> {
    let account = |(address, account): (&String, &Value)| {
        let slots = account["storage"].as_object().unwrap();
        let word = |text: &str| B256::from(U256::from_str_radix(text.trim_start_matches("0x"), 16).unwrap());
        let account = GenesisAccount {
            nonce: Some(number(&account["nonce"]).to()),
            balance: number(&account["balance"]),
            code: Some(bytes(&account["code"])),
            storage: Some(slots.iter().map(|(slot, value)| (word(slot), word(value.as_str().unwrap()))).collect()),
            ..GenesisAccount::default()
        };
        (address.parse().unwrap(), account)
    };
    pre.as_object().unwrap().iter().map(account).collect()
}

/// The rules by which a block may be refused, by the vectors' name of the exception. Rules of uncles are the header's with
/// `uncle` before them. Some blocks break two: the roots of the body, with which a block is first compared, were left as
/// they were when a transaction or an uncle was put in or taken out.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    ("1559BlockImportImpossible_HeaderIsLegacy", &["base fee", "uncle base fee"]),
    ("3675PoSBlockRejected", &["difficulty"]),
    ("3675PoWBlockRejected", &["difficulty"]),
    ("3675PreParis1559BlockRejected", &["difficulty", "uncles", "uncles hash"]),
    ("BlockException.EXTRA_DATA_TOO_BIG", &["extra data"]),
    ("BlockException.GASLIMIT_TOO_BIG", &["gas limit"]),
    ("BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS", &["difficulty"]),
    ("BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS", &["uncles", "uncles hash"]),
    ("BlockException.INVALID_BLOCK_NUMBER", &["number"]),
    ("BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT", &["timestamp"]),
    ("BlockException.INVALID_GASLIMIT", &["gas limit"]),
    ("BlockException.INVALID_GAS_USED", &["gas used"]),
    ("BlockException.INVALID_LOG_BLOOM", &["logs bloom"]),
    ("BlockException.INVALID_RECEIPTS_ROOT", &["receipts root"]),
    ("BlockException.INVALID_STATE_ROOT", &["state root"]),
    ("BlockException.INVALID_TRANSACTIONS_ROOT", &["transactions root"]),
    ("BlockException.UNKNOWN_PARENT", &["unknown parent"]),
    ("BlockException.UNKNOWN_PARENT_ZERO", &["unknown parent"]),
    ("ExtraDataIncorrectDAO", &["extra data of the DAO fork", "uncle extra data of the DAO fork", "transactions root"]),
    ("ExtraDataTooBig", &["extra data", "uncle extra data"]),
    ("IntrinsicGas", &["transaction"]),
    ("InvalidDifficulty", &["difficulty", "uncle difficulty"]),
    ("InvalidGasLimit", &["gas limit"]),
    ("InvalidGasLimit2", &["gas limit", "uncle gas limit"]),
    ("InvalidGasUsed", &["gas used", "uncle gas used"]),
    ("InvalidLogBloom", &["logs bloom"]),
    ("InvalidNumber", &["number", "uncle uncle generation", "uncle number"]),
    ("InvalidReceiptsStateRoot", &["receipts root"]),
    ("InvalidStateRoot", &["state root"]),
    ("InvalidTimestampOlderParent", &["timestamp", "uncle timestamp"]),
    ("InvalidTransactionsRoot", &["transactions root"]),
    ("InvalidUncleParentHash", &["uncle uncle parent"]),
    ("InvalidUnclesHash", &["uncles hash"]),
    ("LegacyBlockImportImpossible", &["base fee"]),
    ("LegacyBlockImportImpossible2", &["base fee", "uncle base fee"]),
    ("ParisBlockImportImpossible", &["withdrawals root"]),
    ("PostParisDifficultyIsNot0", &["difficulty"]),
    ("PostParisUncleHashIsNotEmpty", &["uncles", "uncles hash"]),
    ("ShanghaiBlockImportImpossible", &["withdrawals root"]),
    ("TR_FeeCapLessThanBlocks", &["transaction", "transactions root"]),
    ("TR_GasLimitReached", &["transaction", "transactions root"]),
    ("TR_IntrinsicGas", &["transaction", "transactions root"]),
    ("TR_NoFunds", &["transaction", "transactions root"]),
    ("TR_TypeNotSupported", &["transaction", "transactions root"]),
    ("TooManyUncles", &["uncle uncle count"]),
    ("TooMuchGasUsed", &["gas used", "uncle gas used"]),
    ("UncleInChain", &["uncle uncle included before"]),
    ("UncleIsAncestor", &["uncle uncle is ancestor"]),
    ("UncleIsBrother", &["uncle uncle parent", "uncle uncle generation", "uncle uncle twice"]),
    ("UncleParentIsNotAncestor", &["uncle uncle parent", "uncle uncle generation"]),
    ("UnknownParent", &["unknown parent"]),
    ("UnknownParent2", &["unknown parent"]),
];

/// By which rule a block is refused; nothing where it is not.
fn refusal(chain: &FullChain, raw: &[u8]) -> Option<String> {
    let Ok(block) = RawBlock::decode(raw) else { return Some("encoding".to_owned()) };
    match chain.insert(vec![block]) {
        Ok(_) => None,
        Err(InsertError::Bad(bad)) => Some(match bad.rule {
            Rule::Uncle(name) => format!("uncle {name}"),
            Rule::Transaction { .. } => "transaction".to_owned(),
            rule => rule.to_string(),
        }),
        Err(InsertError::UnknownParent { .. }) => Some("unknown parent".to_owned()),
        Err(error) => panic!("{error}"),
    }
}

#[derive(Debug, Default)]
struct Count {
    cases: usize,
    taken: usize,
    refused: usize,
    /// What is not as the vectors have it.
    wrong: BTreeMap<String, Vec<String>>,
}

fn run(file: &Path, count: &mut Count) {
    let cases: HashMap<String, Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for (name, case) in &cases {
        count.cases += 1;
        let chain = open(case);
        let mut wrong = |what: String| count.wrong.entry(what).or_default().push(name.clone());
        for block in case["blocks"].as_array().unwrap() {
            let exception = block.get("expectException").and_then(Value::as_str);
            let got = refusal(&chain, &bytes(&block["rlp"]));
            let fits = match (exception, &got) {
                (None, None) => true,
                (Some(exception), Some(got)) => {
                    let (_, rules) = EXCEPTIONS.iter().find(|(known, _)| *known == exception).unwrap();
                    rules.contains(&got.as_str())
                }
                _ => false,
            };
            if !fits {
                wrong(format!("expected {exception:?}, got {got:?}"));
            }
            if got.is_some() { count.refused += 1 } else { count.taken += 1 }
        }
        let head = chain.headers().head().header;
        if head.hash().to_string() != case["lastblockhash"].as_str().unwrap() {
            wrong("another head".to_owned());
        }
        let root = match case.get("postState").filter(|state| !state.is_null()) {
            Some(state) => {
                let nodes = Arc::new(Nodes::new(Arc::new(MemoryStore::new())));
                genesis_root(&nodes, &Genesis { alloc: alloc(state), ..Genesis::default() }).unwrap()
            }
            None => case["postStateHash"].as_str().unwrap().parse().unwrap(),
        };
        if head.state_root != root {
            wrong("another state".to_owned());
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

/// Runs every case below a folder; gives how many there were, blocks taken and blocks refused.
fn run_all(folder: &str) -> Option<(usize, usize, usize)> {
    let folder = testdata::path(folder)?;
    let mut found = Vec::new();
    files(&folder, &mut found);
    let mut count = Count::default();
    found.iter().for_each(|file| run(file, &mut count));
    assert!(count.wrong.is_empty(), "{:#?}", count.wrong);
    Some((count.cases, count.taken, count.refused))
}

#[test]
fn every_legacy_blockchain_vector() {
    let Some((cases, taken, refused)) = run_all("legacy-tests/BlockchainTests") else { return };
    assert_eq!(cases, 523, "{taken} taken, {refused} refused");
}

#[test]
fn every_blockchain_vector() {
    let Some((cases, taken, refused)) = run_all("ethereum-tests/BlockchainTests") else { return };
    assert_eq!(cases, 69, "{taken} taken, {refused} refused");
}

/// 600 blocks of proof of stake from Shanghai to Prague, with transactions of every type, from go-ethereum's tests.
#[test]
fn the_test_chain_imports() {
    let Some(folder) = testdata::path("testchain") else { return };
    let json = std::fs::read(folder.join("genesis.json")).unwrap();
    let (spec, genesis) = ChainSpec::from_genesis(&json).unwrap();
    let config = FullConfig { seals: Arc::new(NoSeals), clock: Arc::new(|| u64::MAX) };
    let chain = FullChain::open(Arc::new(spec), genesis, Arc::new(MemoryStore::new()), config).unwrap();
    let go_on = &mut |_: &crate::ImportProgress| std::ops::ControlFlow::Continue(());
    let summary = chain.import(&folder.join("chain.rlp"), go_on).unwrap();
    assert_eq!(summary.head.to_string(), "0x44e3809c9a3cda717f00aea3a9da336d149612c8d5657fbc0028176ef8d94d2a");
    assert_eq!((summary.number, summary.td), (600, U256::from(0x20000)));
    let state: Value = serde_json::from_slice(&std::fs::read(folder.join("headstate.json")).unwrap()).unwrap();
    // The whole state from its dump: every slot, code and account below the root in the header.
    let nodes = Arc::new(Nodes::new(Arc::new(MemoryStore::new())));
    let mut accounts = EthTrie::new(nodes.clone());
    for (address, account) in state["accounts"].as_object().unwrap() {
        let mut slots = EthTrie::new(nodes.clone());
        for (slot, value) in account.get("storage").and_then(Value::as_object).into_iter().flatten() {
            let slot = U256::from_str_radix(slot.trim_start_matches("0x"), 16).unwrap();
            put_slot(&mut slots, slot, number(value)).unwrap();
        }
        let storage_root = if account.get("storage").is_some() { slots.root_hash().unwrap() } else { EMPTY_ROOT_HASH };
        assert_eq!(storage_root.to_string(), account["root"].as_str().unwrap());
        let code_hash = keccak256(account.get("code").map(bytes).unwrap_or_default());
        let balance = account["balance"].as_str().unwrap().parse().unwrap();
        let leaf = TrieAccount { nonce: account["nonce"].as_u64().unwrap(), balance, storage_root, code_hash };
        let key = keccak256(address.parse::<Address>().unwrap());
        accounts.insert(key.as_slice(), &alloy_rlp::encode(leaf)).unwrap();
    }
    assert_eq!(accounts.root_hash().unwrap(), chain.headers().head().header.state_root);

    // What peers send of such a chain is not taken: nothing tells the right one.
    let next = Header { parent_hash: summary.head, number: 601, ..Header::default() };
    let block = RawBlock { header: rushlight_chain::header::encode(&next), ..RawBlock::default() };
    let refused = ChainSink::extend(&chain, vec![Item::Block(block)]).unwrap_err();
    assert_eq!(refused.fault, Fault::NotSupported);
}

#[test]
fn another_allocation_is_another_genesis_state() {
    // That the vectors' own states are their headers' is for `Chain::new` to check.
    let nodes = Arc::new(Nodes::new(Arc::new(MemoryStore::new())));
    let account = GenesisAccount { balance: U256::from(1), ..GenesisAccount::default() };
    let genesis = |balance: u64| Genesis {
        alloc: [(Address::ZERO, GenesisAccount { balance: U256::from(balance), ..account.clone() })].into(),
        ..Genesis::default()
    };
    let root = genesis_root(&nodes, &genesis(1)).unwrap();
    assert_ne!(root, genesis_root(&nodes, &genesis(2)).unwrap());
    assert_eq!(root, genesis_root(&nodes, &genesis(1)).unwrap());
}
