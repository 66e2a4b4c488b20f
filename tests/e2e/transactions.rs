//! Transactions of a light node with real processes: taken, killed, included, reorganised away, included again.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_trie::{Nibbles, proof::verify_proof};
use rushlight_chain::{pool::PoolTransaction, testing::signed};
use rushlight_p2p::secp256k1::SecretKey;
use serde_json::{Value, json};

use crate::{
    account::run,
    mainnet::enode,
    process::{PATIENCE, Process},
    rpc::{Rpc, number},
};

/// Who signs the blocks, and has all the money.
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SIGNER: &str = "fcad0b19bb29d4674531d6f115237e16afce377c";

/// A clique chain with a block a second, as stock geth would take it.
fn genesis() -> Value {
    json!({
        "config": {
            "chainId": 7331, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "berlinBlock": 0, "londonBlock": 0, "clique": { "period": 1, "epoch": 30_000 },
        },
        "extraData": format!("0x{}{SIGNER}{}", "00".repeat(32), "00".repeat(65)),
        "difficulty": "0x1", "gasLimit": "0x1c9c380", "timestamp": "0x60000000",
        "alloc": { SIGNER: { "balance": "0x21e19e0c9bab2400000" } },
    })
}

fn transfer(nonce: u64) -> PoolTransaction {
    let key: SecretKey = KEY.parse().unwrap();
    signed(
        &key,
        TxEip1559 {
            chain_id: 7331,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 20_000_000_000,
            max_priority_fee_per_gas: 2_000_000_000,
            to: TxKind::Call(Address::repeat_byte(7)),
            value: U256::from(5),
            ..TxEip1559::default()
        },
    )
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path("genesis.json"), genesis().to_string()).unwrap();
        std::fs::write(place.path("key"), KEY).unwrap();
        std::fs::write(place.path("password"), "a password").unwrap();
        let (keystore, password, key) = (place.path("keystore"), place.path("password"), place.path("key"));
        let args = ["account", "import", "--lightkdf", "--keystore", &keystore, "--password", &password, &key];
        assert_eq!(run(&args, "").0, Some(0));
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A full peer, and where light nodes find it.
    fn full(&self, name: &str, mines: bool) -> (Process, String) {
        let (genesis, folder) = (self.path("genesis.json"), self.path(name));
        let mut flags =
            ["full", "--genesis", &genesis, "--datadir", &folder, "--port", "0"].map(str::to_owned).to_vec();
        if mines {
            let (keystore, password) = (self.path("keystore"), self.path("password"));
            let more = ["--mine", "--unlock", SIGNER, "--keystore", &keystore, "--password", &password];
            flags.extend(more.map(str::to_owned));
        }
        let mut process = Process::start(flags);
        let enode = enode(&mut process).to_string();
        (process, enode)
    }

    fn light(&self, peer: &str) -> (Process, Rpc) {
        let (genesis, folder) = (self.path("genesis.json"), self.path("light"));
        assert!(Path::new(&genesis).exists());
        let api = "eth,net,txpool,rushlight";
        let flags = ["--genesis", &genesis, "--datadir", &folder, "--port", "0", "--staticpeers", peer];
        let mut process =
            Process::start(flags.into_iter().chain(["--http", "--http.port", "0", "--http.api", api, "--ipcdisable"]));
        let rpc = Rpc::of(&mut process);
        (process, rpc)
    }
}

/// Waits for an answer that is as it is wanted.
fn until(what: &str, process: &Process, ask: impl Fn() -> Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: still {answer}: {:#?}", process.log());
        thread::sleep(Duration::from_millis(100));
    }
}

fn receipt(rpc: &Rpc, tx: &PoolTransaction) -> Value {
    rpc.call("eth_getTransactionReceipt", json!([tx.hash()]))
}

/// The path that proves it, against the root in the block's header.
fn check_proof(rpc: &Rpc, tx: &PoolTransaction) {
    let status = rpc.call("rushlight_transactionStatus", json!([tx.hash()]));
    assert_eq!(status["status"], "included", "{status}");
    let block = &status["block"];
    let header = rpc.call("eth_getBlockByHash", json!([block["hash"], false]));
    let root: B256 = serde_json::from_value(header["transactionsRoot"].clone()).unwrap();
    let nodes: Vec<Bytes> = serde_json::from_value(block["transactionProof"].clone()).unwrap();
    let key: Bytes = serde_json::from_value(block["key"].clone()).unwrap();
    verify_proof(root, Nibbles::unpack(&key), Some(tx.raw().to_vec()), &nodes).unwrap();
}

#[test]
fn killed_included_reorganised_away_and_included_again() {
    let place = Place::new();
    // Nobody seals yet: what is submitted waits.
    let (full, peer) = place.full("one", false);
    let (light, rpc) = place.light(&peer);
    until("a peer", &light, || rpc.call("net_peerCount", json!([])), |count| count != "0x0");
    let (first, second, gapped) = (transfer(0), transfer(1), transfer(3));
    for tx in [&second, &first, &gapped] {
        assert_eq!(rpc.call("eth_sendRawTransaction", json!([tx.raw()])), json!(tx.hash()));
    }
    light.signal("KILL");
    light.wait();
    full.stop("TERM");

    let (full, peer) = place.full("one", true);
    let (light, rpc) = place.light(&peer);
    let waits = rpc.call("eth_getTransactionByHash", json!([gapped.hash()]));
    assert_eq!(waits["blockHash"], Value::Null, "it is there right after the start");
    let mined = until("a receipt", &light, || receipt(&rpc, &second), |receipt| !receipt.is_null());
    assert_eq!((&mined["status"], &mined["gasUsed"]), (&json!("0x1"), &json!("0x5208")));
    assert!(number(&receipt(&rpc, &first)["blockNumber"]) <= number(&mined["blockNumber"]));
    [&first, &second].into_iter().for_each(|tx| check_proof(&rpc, tx));
    assert_eq!(rpc.call("txpool_status", json!([])), json!({ "pending": "0x0", "queued": "0x1" }));
    let again = rpc.response("eth_sendRawTransaction", &json!([first.raw()]));
    assert_eq!(again["error"]["message"], "nonce too low: next nonce 2, tx nonce 0");
    full.stop("TERM");

    // Another full peer seals another chain, from genesis on, until it is the heavier one.
    light.signal("KILL");
    light.wait();
    let (full, peer) = place.full("two", true);
    let (mut light, rpc) = place.light(&peer);
    light.log_line("it waits again", |line| line.contains("Transaction waits again").then_some(()));
    let other = |receipt: &Value| !receipt.is_null() && receipt["blockHash"] != mined["blockHash"];
    let anew = until("another receipt", &light, || receipt(&rpc, &second), other);
    [&first, &second].into_iter().for_each(|tx| check_proof(&rpc, tx));
    assert_ne!(anew["blockHash"], mined["blockHash"]);

    // The gap is filled, and what waited behind it goes out too.
    let third = transfer(2);
    rpc.call("eth_sendRawTransaction", json!([third.raw()]));
    until("the last receipt", &light, || receipt(&rpc, &gapped), |receipt| !receipt.is_null());
    light.signal("KILL");
    light.wait();

    // Where they stand survives too: without a search, and proved.
    let (light, rpc) = place.light(&peer);
    until("a peer", &light, || rpc.call("net_peerCount", json!([])), |count| count != "0x0");
    assert!(!receipt(&rpc, &third).is_null());
    check_proof(&rpc, &gapped);
    light.stop("TERM");
    full.stop("TERM");
}
