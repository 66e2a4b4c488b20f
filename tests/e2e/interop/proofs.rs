//! `eth_getProof` as a light node answers it, checked by go-ethereum's `trie.VerifyProof`.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    foreign,
    tools::{geth, last_line, try_output},
};
use crate::{
    mainnet::{Full, GENESIS_ACCOUNTS, HEAD, Mainnet, light_flags},
    process::Process,
    rpc::Rpc,
    testchain::{self, TestChain},
};

/// An address that no chain here has.
pub(super) const ABSENT: &str = "0x00000000000000000000000000000000ab5e4711";

/// A node's answer, with the state root that it is to be checked against.
pub(super) fn proof(rpc: &Rpc, root: &Value, address: &str, slots: &[&str], block: u64) -> Value {
    let mut answer = rpc.call("eth_getProof", json!([address, slots, format!("{block:#x}")]));
    answer["stateRoot"] = root.clone();
    answer
}

/// What go-ethereum's verifier counts: accounts, absent ones among them, slots, those that are 0 among them.
pub(super) fn verified(answers: &[Value]) -> [u64; 4] {
    let input: String = answers.iter().map(Value::to_string).collect();
    let counted = try_output(Command::new(geth().unwrap()).arg("verify"), &input).unwrap_or_else(|why| panic!("{why}"));
    let counted = last_line(&counted);
    ["accounts", "absent", "slots", "zero"].map(|name| counted[name].as_u64().unwrap())
}

/// go-ethereum's verifier refuses the answer with another balance, without the last node, and under another root.
pub(super) fn check_refusals(answer: &Value) {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut wrong = answer.clone();
        change(&mut wrong);
        assert_ne!(&wrong, answer);
        let made_of_it = try_output(Command::new(geth().unwrap()).arg("verify"), &wrong.to_string());
        assert!(made_of_it.is_err(), "{answer}: {made_of_it:?}");
    };
    refused(&|answer| answer["balance"] = json!("0x123456789abcdef"));
    refused(&|answer| {
        answer["accountProof"].as_array_mut().unwrap().pop();
    });
    refused(&|answer| answer["stateRoot"] = json!(format!("0x{}", "11".repeat(32))));
}

#[test]
fn go_ethereum_verifies_proofs_of_its_london_chain() {
    let (Some(foreign), Some(_)) = (foreign(), geth()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_full, enode) = foreign.full(&folder.path().join("full"));
    let (_light, rpc) = foreign.light(&folder.path().join("light"), &enode);
    let contract = "0x000000000000000000000000000000000000c0de";
    let slots = ["0x1", "0x2", "0x7", "0xffff", &format!("0x{}", "f".repeat(64))];
    let mut answers = Vec::new();
    for block in [1, 250, 500] {
        let header = rpc.call("eth_getBlockByNumber", json!([format!("{block:#x}"), false]));
        if block == 500 {
            assert_eq!(header["stateRoot"], foreign.head["root"]);
        }
        for address in [contract, ABSENT] {
            answers.push(proof(&rpc, &header["stateRoot"], address, &slots, block));
        }
        let sent = rpc.call("eth_getTransactionByBlockNumberAndIndex", json!([format!("{block:#x}"), "0x0"]));
        if let Some(from) = sent["from"].as_str() {
            answers.push(proof(&rpc, &header["stateRoot"], from, &[], block));
        }
    }
    let [accounts, absent, slots, zero] = verified(&answers);
    assert_eq!((accounts as usize, absent, slots), (answers.len(), 3, 30));
    // Slots below 50 were written before block 250, none in block 1's state but its own.
    assert!((15..30).contains(&zero), "{zero}");
    check_refusals(answers.last().unwrap());
}

#[test]
fn go_ethereum_verifies_proofs_of_early_mainnet() {
    let (Some(mainnet), Some(_)) = (Mainnet::get(), geth()) else { return };
    let full = Full::start();
    let folder = tempfile::tempdir().unwrap();
    let mut light = Process::start(light_flags(folder.path(), std::slice::from_ref(&full.enode)));
    let rpc = Rpc::of(&mut light);
    rpc.reach(HEAD, &light);
    let miner = mainnet.headers[8191].beneficiary.to_string();
    let mut answers = Vec::new();
    for block in [0, 1, 4000, HEAD] {
        let root = json!(mainnet.state_root(block));
        for address in GENESIS_ACCOUNTS.into_iter().chain([miner.as_str(), ABSENT]) {
            answers.push(proof(&rpc, &root, address, &["0x0"], block));
        }
    }
    let [accounts, absent, slots, zero] = verified(&answers);
    assert_eq!((accounts, slots, zero), (16, 16, 16), "no contract yet");
    assert!((4..8).contains(&absent), "{absent}: one never there, the miner not at first");
    check_refusals(&answers[0]);
}

#[test]
fn go_ethereum_verifies_proofs_of_a_chain_by_proof_of_stake() {
    let (Some(_), Some(chain)) = (geth(), TestChain::start()) else { return };
    // No account has this slot: numbers that are counted up, and hashes.
    let nothing = format!("0x{}", "ab".repeat(32));
    let mut answers = Vec::new();
    let mut ask = |address: &str, slots: &[&str]| {
        answers.push(proof(&chain.light.rpc, &chain.root, address, slots, testchain::HEAD));
    };
    for held in &chain.accounts {
        let slots: Vec<String> = held.storage.iter().map(|(slot, _)| slot.to_string()).collect();
        let slots: Vec<&str> = slots.iter().map(String::as_str).chain([nothing.as_str()]).collect();
        // So many keys are answered at once.
        slots.chunks(1024).for_each(|slots| ask(&held.address.to_string(), slots));
    }
    ask(ABSENT, &[&nothing]);
    for byte in 0x80..0xa0 {
        ask(&format!("0x{byte:x}{}", "5a".repeat(19)), &[]);
    }
    let split = chain.accounts.iter().filter(|held| held.storage.len() >= 1024).count() as u64;
    assert_eq!(verified(&answers), [194 + split + 33, 33, 2_164 + 194 + 1, 194 + 1]);
    check_refusals(&answers[1]);
}
