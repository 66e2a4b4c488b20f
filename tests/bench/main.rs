//! Whole-process figures: mainnet's first 8,192 headers from a full peer over loopback, with every seal checked and with
//! sampled seals; memory, disk and bytes on the wire; what a balance costs, cold and warm.
//!
//! Every figure that depends on the machine stands beside one that the same run measured without the node: a bare loop that
//! decodes, hashes and writes the same headers, and bare seal checks.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod calls;
mod chart;
mod clique;
mod node;
mod relay;
mod work;

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy_primitives::{B256, Bytes, U256};
use node::{Node, Rpc, disk, free_port};
use relay::Relay;
use rushlight_chain::{
    Batch, ChainSpec, Column, Ethash, RocksStore, SealCheck, SealedHeader, Store, era1::Era1Reader, header,
    store::Budget,
};
use serde_json::json;

const HEAD: u64 = 8191;
const HEAD_HASH: &str = "0xa6860fefa339c963e1bb622526cc8dd4344eedd2a9b969e74de5cccc445fbed4";
const HTTP: &str = "127.0.0.1";

fn main() {
    // `cargo test --benches` passes --test: there is nothing to test here.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    match std::env::var("BENCH").as_deref() {
        Ok("calls") => calls::run(),
        Ok("clique") => clique::run(),
        Ok("mainnet") => mainnet(),
        _ => {
            mainnet();
            calls::run();
            clique::run();
        }
    }
}

fn mainnet() {
    let data = PathBuf::from(std::env::var("RUSHLIGHT_TEST_DATA").expect("RUSHLIGHT_TEST_DATA names the real chains"));
    let era1 = data.join("mainnet/mainnet-00000-5ec1ffb8.era1");
    let work = tempfile::tempdir().unwrap();

    let raw = headers(&era1);
    let bare = bare_loop(&raw, &work.path().join("bare"));
    row("bare loop: decode, hash, write", &format!("{bare:.0} headers/s"));
    let (alone, together) = seals(&raw);
    row("one seal alone", &format!("{:.2} ms", alone * 1e3));
    row("seals in batches of 512, all cores", &format!("{together:.0} seals/s"));

    let genesis = data.join("mainnet/genesis.json");
    let full_dir = work.path().join("full");
    let full_args =
        ["full", "--genesis", text(&genesis), "--import", text(&era1), "--datadir", text(&full_dir), "--port", "0"];
    let (full, enode) = Node::start(&full_args, true);
    row("full: import, 8,192 state roots and every seal", &format!("{:.1} s", full.started.elapsed().as_secs_f64()));
    row("full: peak memory", &format!("{:.0} MB", full.memory("VmHWM")));
    row("full: disk", &format!("{:.1} MB", disk(&full_dir) as f64 / 1e6));
    let (id, address) = enode.split_once('@').unwrap();
    let (relay, port) = Relay::start(address.split('?').next().unwrap().parse().unwrap());
    let peer = format!("{id}@127.0.0.1:{port}");

    for policy in ["all", "sampled"] {
        println!("\n--verify-seals {policy}");
        let dir = work.path().join(policy);
        sync(policy, &dir, &peer, &relay, bare);
        queries(&dir, &peer, &relay, &genesis);
    }
    full.stop();
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn row(what: &str, figure: &str) {
    println!("{what:<58} {figure:>24}");
}

fn headers(era1: &Path) -> Vec<Bytes> {
    let file = BufReader::new(File::open(era1).unwrap());
    Era1Reader::new(file).unwrap().map(|block| block.unwrap().header).collect()
}

/// What no node can do without: headers a second of decoding, hashing and writing in batches as large as a message's.
fn bare_loop(raw: &[Bytes], folder: &Path) -> f64 {
    let store = RocksStore::open(folder, &Budget::default()).unwrap();
    let start = Instant::now();
    for part in raw.chunks(192) {
        let mut batch = Batch::new();
        for bytes in part {
            let decoded = header::decode(bytes).unwrap();
            batch.put(Column::Headers, decoded.hash(), bytes);
            batch.put(Column::Numbers, decoded.number.to_be_bytes(), decoded.hash());
        }
        store.write(batch).unwrap();
    }
    raw.len() as f64 / start.elapsed().as_secs_f64()
}

/// Seconds for one seal checked by itself, and seals a second in batches as large as sync's, the cache's making not counted.
fn seals(raw: &[Bytes]) -> (f64, f64) {
    let decoded: Vec<SealedHeader> = raw[1..2049].iter().map(|bytes| header::decode(bytes).unwrap()).collect();
    let ethash = Ethash::new();
    ethash.check(&decoded[..1]).unwrap();
    let start = Instant::now();
    for one in &decoded[..128] {
        ethash.check(std::slice::from_ref(one)).unwrap();
    }
    let alone = start.elapsed().as_secs_f64() / 128.0;
    let start = Instant::now();
    for part in decoded.chunks(512) {
        ethash.check(part).unwrap();
    }
    (alone, decoded.len() as f64 / start.elapsed().as_secs_f64())
}

fn light_args<'a>(dir: &'a str, peer: &'a str, policy: &'a str, http: &'a str) -> Vec<&'a str> {
    vec![
        "--mainnet",
        "--nodiscover",
        "--staticpeers",
        peer,
        "--datadir",
        dir,
        "--port",
        "0",
        "--verify-seals",
        policy,
        "--http",
        "--http.addr",
        HTTP,
        "--http.port",
        http,
        "--http.api",
        "eth,net,web3,admin",
    ]
}

/// A new node to the head: headers a second, memory, disk, the wire.
fn sync(policy: &str, dir: &Path, peer: &str, relay: &Relay, bare: f64) {
    let http = free_port();
    let port = http.to_string();
    let before = relay.bytes();
    let (mut node, _) = Node::start(&light_args(text(dir), peer, policy, &port), false);
    let mut rpc = Rpc::connect(http, Duration::from_secs(20));
    rpc.wait_for_head(HEAD, Duration::from_secs(300));
    let took = node.started.elapsed().as_secs_f64();
    let block = rpc.result("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["hash"], HEAD_HASH);
    let after = relay.bytes();
    rpc.result("eth_getBalance", json!(["0x0000000000000000000000000000000000000001", "latest"]));
    let answered = node.started.elapsed().as_secs_f64();
    let rate = HEAD as f64 / took;
    row("process start to head 8191", &format!("{took:.2} s"));
    row("process start to first verified balance, new folder", &format!("{answered:.2} s"));
    row("headers a second (start of the process to head)", &format!("{rate:.0}"));
    row("  as a share of the bare loop", &format!("{:.1} %", 100.0 * rate / bare));
    row("processor time, light node", &format!("{:.2} s", node.cpu()));
    let seals = node.log().iter().rev().find(|line| line.contains("seals")).cloned();
    row("peak memory", &format!("{:.1} MB", node.memory("VmHWM")));
    row("bytes from the peer, a header", &format!("{:.0}", (after.1 - before.1) as f64 / HEAD as f64));
    std::thread::sleep(Duration::from_secs(10));
    row("memory after 10 s idle", &format!("{:.1} MB", node.memory("VmRSS")));
    let (cpu, wire) = (node.cpu(), relay.bytes());
    std::thread::sleep(Duration::from_secs(20));
    row("idle: processor time in 20 s", &format!("{:.2} s", node.cpu() - cpu));
    let idle = relay.bytes();
    row("idle: bytes on the wire in 20 s", &format!("{}", idle.0 - wire.0 + idle.1 - wire.1));
    node.stop();
    row("disk after", &format!("{:.2} MB", disk(dir) as f64 / 1e6));
    println!("  log: {}", seals.as_deref().unwrap_or("no line counts the seals"));
}

/// A node that starts again on what it holds: the first balance, then balances that share ever more of the trie.
fn queries(dir: &Path, peer: &str, relay: &Relay, genesis: &Path) {
    let (_, genesis) = ChainSpec::from_genesis(&std::fs::read(genesis).unwrap()).unwrap();
    // Genesis accounts far from every miner: block 8191 still has them as they were.
    let accounts: Vec<_> = genesis.alloc.iter().step_by(genesis.alloc.len() / 200).collect();
    let http = free_port();
    let port = http.to_string();
    let (node, _) = Node::start(&light_args(text(dir), peer, "sampled", &port), false);
    let mut rpc = Rpc::connect(http, Duration::from_secs(20));
    let mut cold = Vec::new();
    let mut warm = Vec::new();
    for (i, (address, account)) in accounts.iter().enumerate() {
        let params = json!([address, "latest"]);
        let before = relay.bytes();
        let start = Instant::now();
        let balance: U256 = serde_json::from_value(rpc.result("eth_getBalance", params.clone())).unwrap();
        let took = start.elapsed();
        assert_eq!(balance, account.balance, "balance of {address}");
        let wire = relay.bytes();
        if i == 0 {
            row("restart to first verified balance", &format!("{:.0} ms", node.started.elapsed().as_secs_f64() * 1e3));
        }
        let proof = rpc.result("eth_getProof", json!([address, Vec::<B256>::new(), "latest"]));
        cold.push((took, wire.0 - before.0 + wire.1 - before.1, proof["accountProof"].as_array().unwrap().len()));
        let start = Instant::now();
        rpc.result("eth_getBalance", params);
        warm.push(start.elapsed());
        if i == 0 {
            let (_, bytes, nodes) = cold[0];
            row("  cold, nothing held: look-ups (nodes of the path)", &format!("{nodes}"));
            row("  cold, nothing held: bytes both ways", &format!("{bytes}"));
        }
    }
    let others = &mut cold[1..];
    others.sort();
    let mean = |f: fn(&(Duration, u64, usize)) -> u64| others.iter().map(f).sum::<u64>() as f64 / others.len() as f64;
    let (bytes, nodes) = (mean(|c| c.1), mean(|c| c.2 as u64));
    row("another account: p50, p99", &format!("{:.2} ms, {:.2} ms", ms(others, 50), ms(others, 99)));
    row("another account: nodes of its path, bytes both ways", &format!("{nodes:.1}, {bytes:.0}"));
    warm.sort();
    row("the same account again (no look-up): p50", &format!("{:.2} ms", warm[warm.len() / 2].as_secs_f64() * 1e3));
    row("memory after the queries", &format!("{:.1} MB", node.memory("VmRSS")));
    node.stop();
}

fn ms(sorted: &[(Duration, u64, usize)], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100].0.as_secs_f64() * 1e3
}
