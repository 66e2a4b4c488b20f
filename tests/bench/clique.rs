//! Long clique chains: a full peer serves one, a light node follows it, both as processes of their own, for chains from
//! 10,000 to 1,000,000 headers. What grows with the chain and what does not ends in a table and `docs/growth.svg`.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rushlight_full::{ChainPlan, GeneratedChain};
use serde_json::json;

use crate::{
    chart::{self, Point},
    node::{Node, Rpc, disk, free_port},
    relay::Relay,
    row, text, work,
};

const HEADERS: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Transactions in every so many blocks, as in the chain that go-ethereum's LES was measured with.
const TX_EVERY: u64 = 20;
/// How often the head is asked for: seldom enough to cost nothing beside the sync.
const POLL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Every chain with every policy; then the chart, if all chains were run.
pub(crate) fn run() {
    let sizes = match std::env::var("BENCH_HEADERS") {
        Ok(sizes) => sizes.split_whitespace().map(|size| size.parse().expect("numbers of headers")).collect(),
        Err(_) => HEADERS.to_vec(),
    };
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var("BENCH_WORK").map_or_else(|_| temporary.path().to_owned(), PathBuf::from);
    let mut points = Vec::new();
    for headers in sizes {
        println!("\n{headers} clique headers, transactions in every {TX_EVERY}th");
        points.extend(chain(headers, &folder.join(headers.to_string())));
    }
    if points.iter().map(|point| point.headers).max() > Some(HEADERS[0]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/growth.svg");
        std::fs::write(&path, chart::svg(&points)).unwrap();
        println!("\nchart: {}", path.display());
    }
}

fn chain(headers: u64, folder: &Path) -> Vec<Point> {
    let plan = ChainPlan { blocks: headers, tx_every: TX_EVERY, ..ChainPlan::default() };
    let (genesis, blocks) = (folder.join("genesis.json"), folder.join("chain.rlp"));
    if !blocks.exists() {
        let started = Instant::now();
        GeneratedChain::new(plan).unwrap().write(folder).unwrap();
        row("generated", &format!("{:.1} s", started.elapsed().as_secs_f64()));
    }
    let server = folder.join("full");
    let args =
        ["full", "--genesis", text(&genesis), "--import", text(&blocks), "--datadir", text(&server), "--port", "0"];
    let (full, enode) = Node::start(&args, true);
    row("full: import, every block executed", &format!("{:.1} s", full.started.elapsed().as_secs_f64()));
    row("full: disk", &format!("{:.1} MB", disk(&server) as f64 / 1e6));
    let (id, address) = enode.split_once('@').unwrap();
    let (relay, port) = Relay::start(address.split('?').next().unwrap().parse().unwrap());
    let peer = format!("{id}@127.0.0.1:{port}");
    let mut points = Vec::new();
    for policy in ["all", "sampled"] {
        // Beside each other, so that both have the same machine: it is noisy.
        let bare = work::measure(&blocks, &folder.join("bare"));
        println!("--verify-seals {policy}");
        points.push(sync(headers, policy, folder, &genesis, &peer, &relay, &full, &bare));
    }
    full.stop();
    points
}

#[allow(clippy::too_many_arguments)]
fn sync(
    headers: u64,
    policy: &'static str,
    folder: &Path,
    genesis: &Path,
    peer: &str,
    relay: &Relay,
    full: &Node,
    bare: &work::Rates,
) -> Point {
    let dir = folder.join(policy);
    let _ = std::fs::remove_dir_all(&dir);
    let http = free_port();
    let port = http.to_string();
    let (wire, served) = (relay.bytes(), full.cpu());
    let args = [
        "--genesis",
        text(genesis),
        "--nodiscover",
        "--staticpeers",
        peer,
        "--datadir",
        text(&dir),
        "--port",
        "0",
        "--verify-seals",
        policy,
        "--retain-headers",
        "2048",
        "--http",
        "--http.port",
        &port,
    ];
    let (node, _) = Node::start(&args, false);
    let mut rpc = Rpc::connect(http, Duration::from_secs(20));
    let head = json!(format!("{headers:#x}"));
    while rpc.result("eth_blockNumber", json!([])) != head {
        assert!(node.started.elapsed() < PATIENCE, "block {headers} not reached");
        thread::sleep(POLL);
    }
    let seconds = node.started.elapsed().as_secs_f64();
    let rate = headers as f64 / seconds;
    let memory = node.memory("VmHWM");
    row("process start to head", &format!("{seconds:.2} s"));
    row("headers a second", &format!("{rate:.0}"));
    if policy == "all" {
        row("  as a share of the work with recovery as only check", &format!("{:.0} %", 100.0 * rate / bare.work));
        row("  as a share of bare recovery", &format!("{:.0} %", 100.0 * rate / bare.recovery));
    }
    row("beside it: bare recovery, all cores", &format!("{:.0} a second", bare.recovery));
    row("beside it: both processes' work, recovery only check", &format!("{:.0} a second", bare.work));
    let (light, full) = (node.cpu(), full.cpu() - served);
    row("processor time: light node, full peer", &format!("{light:.2} s, {full:.2} s"));
    row("  of both, a header", &format!("{:.0} µs", 1e6 * (light + full) / headers as f64));
    row("peak memory", &format!("{memory:.1} MB"));
    let bytes = (relay.bytes().1 - wire.1) as f64;
    row("bytes on the wire a header, server to client", &format!("{:.1}", bytes / headers as f64));
    node.stop();
    let disk = disk(&dir) as f64 / 1e6;
    row("disk after", &format!("{disk:.2} MB"));
    Point { policy, headers, seconds, memory, disk }
}
