//! Foreign implementations: go-ethereum's chain maker, its p2p package as dialler and as listener.
//!
//! ```text
//! tools       the foreign programs, built and started
//! clients     of JSON-RPC: over WebSocket and IPC
//! ethereumjs  its devp2p, as dialler and as listener
//! forks       a chain that crosses all of them
//! keys        key files and signatures, of others and ours
//! proofs      eth_getProof, checked by go-ethereum's verifier
//! wallets     wallets' libraries, as they send, call, estimate and verify
//! yardstick   go-ethereum's JSON-RPC, at random, against that of both kinds of node
//! ```

mod clients;
mod ethereumjs;
mod forks;
mod keys;
mod proofs;
pub(crate) mod tools;
mod wallets;
mod yardstick;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use self::tools::{go, go_build};
use crate::{process::Process, rpc::Rpc};

/// What the foreign suites need: the two programs, and the chain that one of them made.
struct Foreign {
    poc6: PathBuf,
    chain: PathBuf,
    head: Value,
    _folder: tempfile::TempDir,
}

/// Builds the programs and makes the chain, once; nothing where there is no Go.
fn foreign() -> Option<&'static Foreign> {
    static FOREIGN: OnceLock<Foreign> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let (maker, poc6) = (go_build("chainmaker", folder.path()), go_build("poc6", folder.path()));
        let chain = folder.path().join("chain");
        std::fs::create_dir(&chain).unwrap();
        let made = Command::new(maker).args(["-blocks", "500", "-out"]).arg(&chain).output().unwrap();
        assert!(made.status.success(), "chainmaker: {}", String::from_utf8_lossy(&made.stderr));
        let head = serde_json::from_slice(&made.stdout).unwrap();
        Foreign { poc6, chain, head, _folder: folder }
    };
    go().then(|| FOREIGN.get_or_init(make))
}

impl Foreign {
    fn file(&self, name: &str) -> String {
        self.chain.join(name).to_str().unwrap().to_owned()
    }

    /// A full peer that has imported the chain, and its enode URL.
    fn full(&self, datadir: &Path) -> (Process, String) {
        let (genesis, chain) = (self.file("genesis.json"), self.file("chain.rlp"));
        let datadir = datadir.to_str().unwrap();
        let mut full =
            Process::start(["full", "--genesis", &genesis, "--import", &chain, "--datadir", datadir, "--port", "0"]);
        let enode = full.out_line("enode URL", |line| line.starts_with("enode://").then(|| line.to_owned()));
        (full, enode)
    }

    /// A light node with one peer, once it has the whole chain.
    fn light(&self, datadir: &Path, peer: &str) -> (Process, Rpc) {
        let (node, rpc) = self.light_without_chain(datadir, peer);
        rpc.reach(500, &node);
        (node, rpc)
    }

    fn light_without_chain(&self, datadir: &Path, peer: &str) -> (Process, Rpc) {
        let genesis = self.file("genesis.json");
        let mut node = Process::start([
            "--genesis",
            &genesis,
            "--nodiscover",
            "--staticpeers",
            peer,
            "--datadir",
            datadir.to_str().unwrap(),
            "--port",
            "0",
            "--http",
            "--http.port",
            "0",
            "--http.api",
            "eth,net,web3,admin",
        ]);
        let rpc = Rpc::of(&mut node);
        (node, rpc)
    }

    /// The foreign peer as listener, getting wrong what `lie` says, and its enode URL.
    fn listener(&self, lie: &str) -> (Listener, String) {
        let mut child = Command::new(&self.poc6)
            .args(["listen", "-lie", lie, "-chain"])
            .arg(&self.chain)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        lines.read_line(&mut url).unwrap();
        assert!(url.starts_with("enode://"), "{url:?}");
        (Listener { child }, url.trim().to_owned())
    }
}

struct Listener {
    child: Child,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every transaction that go-ethereum put into the chain, as a light node reads it.
fn check_transactions(foreign: &Foreign, rpc: &Rpc) {
    let made: Vec<Value> = serde_json::from_slice(&std::fs::read(foreign.file("transactions.json")).unwrap()).unwrap();
    assert_eq!(made.len(), foreign.head["transactions"]);
    let mut types = [0; 3];
    for entry in &made {
        let number = format!("{:#x}", entry["block"].as_u64().unwrap());
        let index = format!("{:#x}", entry["index"].as_u64().unwrap());
        let read = rpc.call("eth_getTransactionByBlockNumberAndIndex", json!([number, index]));
        assert_eq!(read["blockHash"], entry["blockHash"]);
        assert_eq!(read["blockNumber"], number.as_str());
        assert_eq!(read["transactionIndex"], index.as_str());
        assert_eq!(read["from"], entry["from"], "the sender of {}", read["hash"]);
        let want = entry["transaction"].as_object().unwrap();
        for (field, value) in want {
            // go-ethereum's own form prints null for the fields of other types, and a gas price for every type but 2.
            if !value.is_null() {
                assert_eq!(&read[field], value, "{field} of {} at {number}/{index}", read["hash"]);
            }
        }
        types[usize::from_str_radix(want["type"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()] += 1;
    }
    assert!(types.iter().all(|&n| n > 50), "transactions by type: {types:?}");
}

#[test]
fn go_ethereum_dials_a_full_peer() {
    let Some(foreign) = foreign() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (full, enode) = foreign.full(folder.path());
    let checked =
        Command::new(&foreign.poc6).args(["dial", "-enode", &enode, "-chain"]).arg(&foreign.chain).output().unwrap();
    let report = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{report}\nour log:\n{}", full.log().join("\n"));
    // Breaches stand in the log with the message's id; one past the capability (0x12) with its id on the connection.
    let log = full.log().join("\n");
    for id in ["0x00", "0x01", "0x0a", "0x22"] {
        assert!(log.contains(id), "no breach with message {id} in the log:\n{log}");
    }
}

#[test]
fn a_light_node_reads_every_transaction_of_go_ethereums_chain() {
    let Some(foreign) = foreign() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_full, enode) = foreign.full(&folder.path().join("full"));
    let (_light, rpc) = foreign.light(&folder.path().join("light"), &enode);
    let head = rpc.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!((&head["hash"], &head["stateRoot"]), (&foreign.head["hash"], &foreign.head["root"]));
    check_transactions(foreign, &rpc);
}

#[test]
fn a_light_node_follows_a_listener_of_go_ethereums() {
    let Some(foreign) = foreign() else { return };
    // The second one gives no blocks: bodies are put together by look-ups.
    for lie in ["", "nobodies"] {
        let folder = tempfile::tempdir().unwrap();
        let (_listener, enode) = foreign.listener(lie);
        let (_light, rpc) = foreign.light(folder.path(), &enode);
        check_transactions(foreign, &rpc);
        let address = "0x000000000000000000000000000000000000c0de";
        let code = rpc.call("eth_getCode", json!([address, "latest"]));
        assert_eq!(code, "0x60203560003555602035600052600060206000a1");
        // Slot 1 was last written by the last call with number % 50 = 1.
        let slot = rpc.call("eth_getStorageAt", json!([address, "0x1", "latest"]));
        assert_ne!(slot, format!("0x{}", "0".repeat(64)));
    }
}

#[test]
fn a_listener_of_go_ethereums_that_lies_is_let_go_and_named() {
    let Some(foreign) = foreign() else { return };
    for (lie, words) in [("headers", "breach"), ("unasked", "breach"), ("unopened", "breach")] {
        let folder = tempfile::tempdir().unwrap();
        let (_listener, enode) = foreign.listener(lie);
        let (mut light, rpc) = foreign.light_without_chain(folder.path(), &enode);
        let named = &enode["enode://".len()..][..16];
        light.log_line("the liar's name", |line| (line.contains(named) && line.contains(words)).then_some(()));
        assert_eq!(rpc.call("eth_blockNumber", json!([])), "0x0", "{lie}: nothing of it was believed");
    }
    // Look-ups with false values: the chain is followed, and the read fails and says whom it asked.
    let folder = tempfile::tempdir().unwrap();
    let (_listener, enode) = foreign.listener("lookups");
    let (_light, rpc) = foreign.light(folder.path(), &enode);
    let response = rpc.response("eth_getBalance", &json!(["0x000000000000000000000000000000000000c0de", "latest"]));
    assert_eq!(response["error"]["code"], -32000, "{response}");
    assert!(response["error"]["data"]["missing"].is_array(), "{response}");
}
