//! A chain that crosses every fork from Frontier to the last blob schedule, made by go-ethereum's chain maker.

use std::{path::Path, process::Command, sync::OnceLock};

use alloy_rlp::Header;
use rushlight_chain::{ChainSpec, header, system_clock, verify_header};
use serde_json::{Value, json};

use super::{
    proofs::{proof, verified},
    tools::{geth, output},
};
use crate::{
    files::{Files, Held, Node, check_accounts},
    rpc::Rpc,
};

/// The last block, and the first by proof of stake.
const HEAD: u64 = 88;
const MERGE: u64 = 56;

/// The folder with the chain, made once; nothing where there is no Go.
fn made() -> Option<&'static Path> {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let geth = geth()?;
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        output(Command::new(geth).args(["forks", "-out"]).arg(folder.path()));
        folder
    };
    Some(MADE.get_or_init(make).path())
}

/// What go-ethereum holds of the chain, by block.
fn expected(folder: &Path) -> Vec<Value> {
    let mut expected: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let Value::Array(blocks) = expected["blocks"].take() else { panic!("{expected}") };
    assert_eq!(expected["head"], blocks.last().unwrap()["hash"]);
    blocks
}

fn files(folder: &Path) -> Files {
    Files { genesis: folder.join("genesis.json"), blocks: folder.join("chain.rlp") }
}

fn held(block: &Value) -> Vec<Held> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let held = |(address, account): (&String, &Value)| Held {
        address: address.parse().unwrap(),
        balance: text(&account["balance"]).parse().unwrap(),
        nonce: crate::rpc::number(&account["nonce"]),
        code: text(&account["code"]).parse().unwrap(),
        storage: (account["storage"].as_object().unwrap().iter())
            .map(|(slot, value)| (slot.parse().unwrap(), text(value).parse().unwrap()))
            .collect(),
    };
    block["accounts"].as_object().unwrap().iter().map(held).collect()
}

/// Every field that go-ethereum prints, where it prints one.
fn check_fields(got: &Value, want: &Value, what: &str) {
    for (field, value) in want.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
        assert_eq!(&got[field], value, "{field} of {what}");
    }
}

/// Every block, with its transactions of all types, its uncles and withdrawals, by number and by hash.
fn check_blocks(rpc: &Rpc, expected: &[Value]) {
    let by = |method, key: &str| -> Vec<_> {
        let key = |want: &Value| if key == "hash" { want[key].clone() } else { want["header"][key].clone() };
        rpc.batch(&expected.iter().map(|want| (method, json!([key(want), true]))).collect::<Vec<_>>())
    };
    let blocks = by("eth_getBlockByNumber", "number");
    assert_eq!(blocks, by("eth_getBlockByHash", "hash"));
    let mut types = [0; 5];
    for (got, want) in blocks.iter().zip(expected) {
        let block = format!("block {}", want["number"]);
        check_fields(got, &want["header"], &block);
        for field in ["size", "uncles"] {
            assert_eq!(got[field], want[field], "{field} of {block}");
        }
        assert_eq!(got.get("withdrawals").unwrap_or(&Value::Null), &want["withdrawals"], "{block}");
        let (sent, want) = (got["transactions"].as_array().unwrap(), want["transactions"].as_array().unwrap());
        assert_eq!(sent.len(), want.len(), "{block}");
        for (got, want) in sent.iter().zip(want) {
            let what = format!("transaction {} in {block}", want["hash"]);
            check_fields(got, &want["signed"], &what);
            assert_eq!(got["from"], want["from"], "{what}");
            types[usize::try_from(crate::rpc::number(&want["type"])).unwrap()] += 1;
        }
    }
    assert!(types.iter().all(|&count| count > 20), "transactions by type: {types:?}");
    for want in expected {
        for (index, hash) in want["uncles"].as_array().unwrap().iter().enumerate() {
            let of = json!([want["header"]["number"], format!("{index:#x}")]);
            assert_eq!(&rpc.call("eth_getUncleByBlockNumberAndIndex", of)["hash"], hash);
        }
    }
}

/// Balances, nonces, code and storage after every block.
fn check_states(rpc: &Rpc, expected: &[Value]) {
    let slots: usize = (0..).zip(expected).map(|(number, block)| check_accounts(rpc, number, &held(block))).sum();
    assert!(slots > 10_000, "{slots}");
}

/// go-ethereum's verifier takes the proofs of every account at the last block of each fork.
fn check_proofs(rpc: &Rpc, expected: &[Value]) {
    let mut answers = Vec::new();
    for block in expected.iter().skip(3).step_by(4) {
        for (address, account) in block["accounts"].as_object().unwrap() {
            let slots: Vec<&str> = account["storage"].as_object().unwrap().keys().map(String::as_str).collect();
            answers.push(proof(rpc, &block["stateRoot"], address, &slots, block["number"].as_u64().unwrap()));
        }
    }
    let [accounts, absent, slots, zero] = verified(&answers);
    assert_eq!(accounts as usize, answers.len());
    assert!(
        absent > 22 && absent < accounts / 2 && zero > 0 && zero < slots,
        "{absent} of {accounts}, {zero} of {slots}"
    );
}

#[test]
fn a_chain_of_every_fork_is_imported_and_followed_from_its_trusted_head() {
    let Some(folder) = made() else { return };
    let (files, expected) = (files(folder), expected(folder));
    let nodes = tempfile::tempdir().unwrap();
    let (full, enode) = files.full(&nodes.path().join("full"));
    assert_eq!(full.rpc.number("eth_blockNumber", json!([])), HEAD);
    check_blocks(&full.rpc, &expected);
    check_states(&full.rpc, &expected);
    let head = expected.last().unwrap()["hash"].as_str().unwrap();
    let light = files.trusting(&nodes.path().join("light"), &enode, head, HEAD);
    check_blocks(&light.rpc, &expected);
    check_states(&light.rpc, &expected);
    check_proofs(&light.rpc, &expected);
}

#[test]
fn the_merge_needs_a_trusted_head_and_is_nobodys_fault() {
    let Some(folder) = made() else { return };
    let (files, expected) = (files(folder), expected(folder));
    let nodes = tempfile::tempdir().unwrap();
    let (_full, enode) = files.full(&nodes.path().join("full"));
    let datadir = nodes.path().join("light");
    let Node { mut process, rpc } = files.light(&datadir, &enode, &["--fakepow"]);
    let said = process.log_line("its end", |line| line.contains("--trusted-head").then(|| line.to_owned()));
    assert!(said.contains(&format!("block {MERGE}")) && said.contains("proof of stake"), "{said}");
    assert_eq!(rpc.number("eth_blockNumber", json!([])), MERGE - 1);
    assert_eq!(
        rpc.call("eth_getBlockByNumber", json!(["latest", false]))["hash"],
        expected[MERGE as usize - 1]["hash"]
    );
    // Whoever served the chain stays, and nothing is held against it.
    assert_eq!(rpc.call("net_peerCount", json!([])), "0x1");
    let log = process.log().join("\n");
    assert!(!log.contains("breach") && !log.contains("penal"), "{log}");
    process.stop("TERM");
    // With a head to trust the same folder goes on.
    let head = expected.last().unwrap()["hash"].as_str().unwrap();
    let light = files.trusting(&datadir, &enode, head, HEAD);
    check_blocks(&light.rpc, &expected);
}

#[test]
fn every_header_of_every_fork_is_in_order_and_has_go_ethereums_fork_id() {
    let Some(folder) = made() else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (spec, _) = ChainSpec::from_genesis(&read("genesis.json")).unwrap();
    let expected = expected(folder);
    let now = system_clock()();
    let mut parent = spec.genesis.clone();
    let mut td = parent.difficulty;
    let file = read("chain.rlp");
    let mut rest = file.as_slice();
    for want in &expected {
        if want["number"] != 0 {
            let mut block = Header::decode_bytes(&mut rest, true).unwrap();
            let raw = block;
            let _ = Header::decode_bytes(&mut block, true).unwrap();
            let sealed = header::decode(&raw[..raw.len() - block.len()]).unwrap();
            verify_header(&spec, &sealed, &parent, td, now)
                .unwrap_or_else(|error| panic!("{}: {error}", want["number"]));
            td += sealed.difficulty;
            parent = sealed;
        }
        assert_eq!(want["hash"], parent.hash().to_string(), "block {}", want["number"]);
        // The block whose parent reaches the terminal total difficulty is the first without a seal.
        if want["number"] == MERGE {
            assert_eq!(Some(td), spec.forks.terminal_total_difficulty());
        }
        assert_eq!(parent.difficulty.is_zero(), want["number"].as_u64().unwrap() >= MERGE);
        let id = spec.fork_id(parent.number, parent.timestamp);
        let hash = format!("{:#010x}", u32::from_be_bytes(id.hash));
        assert_eq!((&want["forkHash"], want["forkNext"].as_u64()), (&Value::from(hash), Some(id.next)));
    }
    assert_eq!((rest.len(), parent.number), (0, HEAD));
}
