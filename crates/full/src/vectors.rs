//! The official blockchain vectors, as far as they execute: Frontier to London.
//!
//! Their chains have no seals (`NoProof`) and are of forks whose header rules come later, so they run below
//! [`crate::FullChain`]: each block's parts and its execution on its parent's state, every root compared. Blocks that
//! are bad for a header's or an uncle's sake are no matter of execution and are passed over.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256};
use rushlight_chain::store::MemoryStore;
use rushlight_chain::{Activation, ChainSpec, Consensus, Fork, Forks, RawBlock, SealedHeader, testdata};
use serde_json::Value;

use crate::block::{Checked, verify};
use crate::error::{InsertError, Rule};
use crate::nodes::Nodes;
use crate::tries::genesis_root;

/// The forks of a network of the vectors, or nothing where it goes past London.
fn forks(network: &str) -> Option<Forks> {
    let all = [
        ("Frontier", Fork::Frontier),
        ("Homestead", Fork::Homestead),
        ("Dao", Fork::Dao),
        ("EIP150", Fork::TangerineWhistle),
        ("EIP158", Fork::SpuriousDragon),
        ("Byzantium", Fork::Byzantium),
        ("ConstantinopleFix", Fork::Petersburg),
        ("Istanbul", Fork::Istanbul),
        ("Berlin", Fork::Berlin),
        ("London", Fork::London),
    ];
    let place = |name: &str| all.iter().position(|(known, _)| *known == name);
    let (from, to, at) = match network.split_once("To") {
        Some((from, to)) => {
            let (to, at) = to.split_once("At")?;
            (place(from)?, place(to)?, at.parse().ok()?)
        }
        None => (place(network)?, place(network)?, 0),
    };
    let mut schedule = Vec::new();
    for (index, (_, fork)) in all.iter().enumerate().take(to + 1) {
        // The DAO's fork is of the one network that is named after it.
        if *fork == Fork::Dao && !network.contains("Dao") {
            continue;
        }
        let block = Activation::Block(if index > from { at } else { 0 });
        if *fork == Fork::Petersburg {
            schedule.push((Fork::Constantinople, block));
        }
        schedule.push((*fork, block));
    }
    Some(Forks::new(schedule))
}

struct Chain {
    spec: ChainSpec,
    nodes: Arc<Nodes>,
    headers: HashMap<B256, SealedHeader>,
}

impl Chain {
    fn new(case: &Value) -> Option<Chain> {
        let forks = forks(case["network"].as_str()?)?;
        let genesis = RawBlock::decode(&bytes(&case["genesisRLP"])).unwrap().decode_header().unwrap();
        let nodes = Arc::new(Nodes::new(Arc::new(MemoryStore::new())));
        let root = genesis_root(&nodes, &Genesis { alloc: alloc(&case["pre"]), ..Genesis::default() }).unwrap();
        assert_eq!(root, genesis.state_root);
        nodes.keep_block();
        let spec = ChainSpec::new("vectors", 1, genesis.clone(), forks, Consensus::Ethash);
        Some(Chain { spec, nodes, headers: HashMap::from([(genesis.hash(), genesis)]) })
    }

    fn insert(&mut self, raw: RawBlock) -> Result<(), Option<InsertError>> {
        let block = Checked::new(raw)?;
        let parent = self.headers.get(&block.header.parent_hash).ok_or(None)?;
        let ancestors = |number: u64| {
            let mut hash = block.header.parent_hash;
            loop {
                let header = self.headers.get(&hash)?;
                if header.number == number {
                    return Some(hash);
                }
                hash = header.parent_hash;
            }
        };
        let verified = verify(&self.spec, &self.nodes, &block, parent.state_root, &ancestors);
        if verified.is_ok() {
            self.nodes.keep_block();
        } else {
            self.nodes.drop_block();
        }
        verified?;
        self.headers.insert(block.header.hash(), block.header);
        Ok(())
    }
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

fn number(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn alloc(pre: &Value) -> std::collections::BTreeMap<Address, GenesisAccount> {
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

/// What execution has to say to a bad block, by the vectors' name of the exception; nothing where headers or uncles are bad.
fn expected_rule(exception: &str) -> Option<fn(Rule) -> bool> {
    Some(match exception {
        "InvalidTransactionsRoot" => |rule| rule == Rule::TransactionsRoot,
        "InvalidUnclesHash" => |rule| rule == Rule::UnclesHash,
        "InvalidReceiptsStateRoot" => |rule| rule == Rule::ReceiptsRoot,
        "InvalidStateRoot" => |rule| rule == Rule::StateRoot,
        "InvalidGasUsed" => |rule| rule == Rule::GasUsed,
        "InvalidLogBloom" => |rule| rule == Rule::LogsBloom,
        "IntrinsicGas" | "ShanghaiBlockImportImpossible" | "ParisBlockImportImpossible" => |_| true,
        // Some of these blocks were made by adding the transaction to the body alone.
        name if name.starts_with("TR_") => |rule| matches!(rule, Rule::Transaction { .. } | Rule::TransactionsRoot),
        _ => return None,
    })
}

#[derive(Debug, Default)]
struct Count {
    cases: usize,
    executed: usize,
    refused: usize,
}

fn run(file: &Path, count: &mut Count) {
    let cases: HashMap<String, Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for (name, case) in &cases {
        let Some(mut chain) = Chain::new(case) else { continue };
        count.cases += 1;
        for (index, block) in case["blocks"].as_array().unwrap().iter().enumerate() {
            let place = format!("{}: {name}: block {index}", file.display());
            let exception = block.get("expectException").and_then(Value::as_str);
            let raw = RawBlock::decode(&bytes(&block["rlp"]));
            match (exception, raw) {
                (None, raw) => {
                    if let Err(error) = chain.insert(raw.unwrap()) {
                        panic!("{place}: {error:?}");
                    }
                    count.executed += 1;
                }
                (Some(exception), Ok(raw)) => {
                    let Some(expected) = expected_rule(exception) else { continue };
                    match chain.insert(raw) {
                        Err(Some(InsertError::Bad(bad))) if expected(bad.rule) => count.refused += 1,
                        other => panic!("{place}: expected {exception}, got {other:?}"),
                    }
                }
                // Not even the shape of a block.
                (Some(_), Err(_)) => {}
            }
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

#[test]
fn blockchain_vectors_execute() {
    let Some(folder) = testdata::path("") else { return };
    let mut found = Vec::new();
    files(&folder.join("legacy-tests/BlockchainTests"), &mut found);
    files(&folder.join("ethereum-tests/BlockchainTests"), &mut found);
    let mut count = Count::default();
    for file in &found {
        run(file, &mut count);
    }
    println!("{count:?}");
    assert!(count.cases > 250 && count.executed > 1_000 && count.refused > 20, "{count:?}");
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
