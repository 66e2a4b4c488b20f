//! A chain in files: a full peer that has imported it, a light node that trusts its head, and what both are asked.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};

use crate::{
    process::{PATIENCE, Process},
    rpc::Rpc,
};

/// A genesis file, and the blocks after it as geth exports them.
pub(crate) struct Files {
    pub(crate) genesis: PathBuf,
    pub(crate) blocks: PathBuf,
}

/// A node, and its JSON-RPC.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) rpc: Rpc,
}

impl Node {
    fn start(first: Option<&str>, files: &Files, datadir: &Path, more: &[&str]) -> Self {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let flags = ["--genesis", &path(&files.genesis), "--datadir", &path(datadir), "--port", "0", "--nodiscover"];
        let http = ["--http", "--http.port", "0", "--http.api", "eth,net,web3,admin"];
        let mut process = Process::start(first.into_iter().chain(flags).chain(http).chain(more.iter().copied()));
        let rpc = Rpc::of(&mut process);
        Self { process, rpc }
    }
}

impl Files {
    /// A full peer that has imported the blocks without looking at seals, and its enode URL.
    pub(crate) fn full(&self, datadir: &Path) -> (Node, String) {
        let blocks = self.blocks.to_str().unwrap();
        let mut full = Node::start(Some("full"), self, datadir, &["--fakepow", "--import", blocks]);
        let line = |line: &str| line.starts_with("enode://").then(|| line.to_owned());
        let enode = full.process.out_line("enode URL", line);
        (full, enode)
    }

    /// A light node with one peer.
    pub(crate) fn light(&self, datadir: &Path, peer: &str, more: &[&str]) -> Node {
        Node::start(None, self, datadir, &[&["--staticpeers", peer][..], more].concat())
    }

    /// A light node with one peer, once it holds every header down from the one it trusts.
    pub(crate) fn trusting(&self, datadir: &Path, peer: &str, head: &str, number: u64) -> Node {
        let light = self.light(datadir, peer, &["--trusted-head", head]);
        let started = Instant::now();
        // Before the trusted header has come every answer is an error, and what is below it comes from above.
        while light.rpc.response("eth_syncing", &json!([]))["result"] != false
            || light.rpc.response("eth_getBlockByNumber", &json!(["0x1", false]))["result"]["number"] != "0x1"
        {
            assert!(started.elapsed() < PATIENCE, "not linked: {:#?}", light.process.log());
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(light.rpc.number("eth_blockNumber", json!([])), number);
        light
    }
}

/// What an account holds at a block, by whoever made the chain.
pub(crate) struct Held {
    pub(crate) address: Address,
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    pub(crate) code: Bytes,
    pub(crate) storage: Vec<(B256, B256)>,
}

/// Asks for balances, nonces, code and storage at that block, and counts the slots.
pub(crate) fn check_accounts(rpc: &Rpc, block: u64, accounts: &[Held]) -> usize {
    let block = format!("{block:#x}");
    let (mut calls, mut want) = (Vec::new(), Vec::new());
    let mut ask = |method, params: Value, value: Value| {
        calls.push((method, params));
        want.push(value);
    };
    for held in accounts {
        let address = held.address;
        ask("eth_getBalance", json!([address, block]), json!(held.balance));
        ask("eth_getTransactionCount", json!([address, block]), json!(format!("{:#x}", held.nonce)));
        ask("eth_getCode", json!([address, block]), json!(held.code));
        for (slot, value) in &held.storage {
            ask("eth_getStorageAt", json!([address, slot, block]), json!(value));
        }
    }
    for ((got, want), (method, params)) in rpc.batch(&calls).iter().zip(&want).zip(&calls) {
        assert_eq!(got, want, "{method} {params}");
    }
    calls.len() - 3 * accounts.len()
}
