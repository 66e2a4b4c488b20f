//! Headers below those that a light node retains: answers are the full peer's, fetched and proved.

use std::{path::Path, thread, time::Instant};

use rushlight_full::{ChainPlan, GeneratedChain};
use serde_json::{Value, json};

use crate::{
    files::Files,
    mainnet::{Full, HEAD, Mainnet, light_flags},
    process::{PATIENCE, Process},
    rpc::Rpc,
};

const UNKNOWN: &str = "0x0909090909090909090909090909090909090909090909090909090909090909";

#[test]
fn old_blocks_are_the_full_peers() {
    let Some(mainnet) = Mainnet::get() else { return };
    let mut full = Full::start_with(&["--http", "--http.port", "0"]);
    let theirs = Rpc::of(&mut full.process);
    let datadir = tempfile::tempdir().unwrap();
    let mut flags = light_flags(datadir.path(), &[full.enode]);
    flags.extend(["--retain-headers", "256"].map(str::to_owned));
    let mut light = Process::start(&flags);
    let rpc = Rpc::of(&mut light);
    rpc.reach(HEAD, &light);

    // Between anchors, at them, next to them, at the edge of what is retained (7,680), and above.
    for number in [1_usize, 2, 511, 512, 513, 4_000, 3_999, 6_001, 7_679, 7_680, 8_000] {
        let quantity = format!("{number:#x}");
        let hash = mainnet.headers[number].hash();
        for (method, params) in [
            ("eth_getBlockByNumber", json!([quantity, true])),
            ("eth_getBlockByHash", json!([hash, true])),
            ("eth_getUncleCountByBlockNumber", json!([quantity])),
            ("eth_getUncleByBlockHashAndIndex", json!([hash, "0x0"])),
        ] {
            assert_eq!(rpc.call(method, params.clone()), theirs.call(method, params), "{method} of {number}");
        }
    }
    let hash = mainnet.headers[1_234].hash();
    let block = rpc.call("eth_getBlockByHash", json!([hash, false]));
    assert_eq!((block["hash"].clone(), &block["number"]), (json!(hash), &json!("0x4d2")));
    mainnet.proved_balance(&rpc, mainnet.headers[2_000].beneficiary, 2_000);
    // That nobody knows it is an answer.
    assert_eq!(rpc.call("eth_getBlockByHash", json!([UNKNOWN, false])), Value::Null);
    assert_eq!(rpc.call("eth_getBlockByNumber", json!(["0x2000", false])), Value::Null);

    // That nobody is there is none.
    full.process.stop("TERM");
    let started = Instant::now();
    while rpc.number("net_peerCount", json!([])) > 0 {
        assert!(started.elapsed() < PATIENCE, "{:#?}", light.log());
        thread::sleep(std::time::Duration::from_millis(50));
    }
    unavailable(&rpc);
    light.signal("KILL");
    light.wait();
    let mut light = Process::start(&flags);
    let rpc = Rpc::of(&mut light);
    assert_eq!(rpc.number("eth_blockNumber", json!([])), HEAD);
    unavailable(&rpc);
    light.stop("TERM");
}

fn unavailable(rpc: &Rpc) {
    for (method, block, named) in [
        ("eth_getBlockByNumber", "0xbb9", "headers from block 2944 up to"),
        ("eth_getBlockByHash", UNKNOWN, "header 0x0909"),
    ] {
        let answer = rpc.response(method, &json!([block, false]));
        let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{method}: {answer}"));
        assert!(message.starts_with("no peer can prove") && message.contains(named), "{message}");
    }
}

/// A clique chain of so many blocks. With transactions it is another one from the first of them on.
fn generated(folder: &Path, blocks: u64, tx_every: u64) -> Files {
    let plan = ChainPlan { blocks, tx_every, signers: 3, epoch: 1_000, ..ChainPlan::default() };
    GeneratedChain::new(plan).unwrap().write(folder).unwrap();
    Files { genesis: folder.join("genesis.json"), blocks: folder.join("chain.rlp") }
}

#[test]
fn a_heavier_chain_from_below_what_is_retained_replaces_ours() {
    let folder = tempfile::tempdir().unwrap();
    let below = |name: &str| folder.path().join(name);
    // They part between the anchors 512 and 1,024.
    let (ours, theirs) = (generated(&below("ours"), 4_000, 0), generated(&below("theirs"), 4_400, 700));
    let (first, first_url) = ours.full(&below("first"));
    let mut light = ours.light(&below("light"), &first_url, &["--retain-headers", "256"]);
    light.rpc.reach(4_000, &light.process);
    let same = |light: &Rpc, full: &Rpc, number: u64| {
        let params = json!([format!("{number:#x}"), true]);
        let expected = full.call("eth_getBlockByNumber", params.clone());
        assert_eq!(light.call("eth_getBlockByNumber", params), expected, "{number}");
        expected["hash"].clone()
    };
    let replaced = [600, 1_000, 3_000].map(|number| same(&light.rpc, &first.rpc, number));

    let (second, second_url) = theirs.full(&below("second"));
    assert_eq!(light.rpc.call("admin_addPeer", json!([second_url])), true);
    let warning = light
        .process
        .log_line("a warning", |line| line.contains("forks off below the retained headers").then(|| line.to_owned()));
    assert!(warning.contains("WARN") && warning.contains("fork=512") && warning.contains("depth=3488"), "{warning}");
    light.rpc.reach(4_400, &light.process);
    for number in [600, 699, 700, 1_000, 3_000, 4_100, 4_400] {
        same(&light.rpc, &second.rpc, number);
    }
    // The first is on both chains; the others are known to a peer, and on no chain of ours.
    for (hash, found) in replaced.iter().zip([true, false, false]) {
        let block = light.rpc.call("eth_getBlockByHash", json!([hash, false]));
        assert_eq!(!block.is_null(), found, "{hash}: {block}");
    }
    light.process.signal("KILL");
    light.process.wait();
    let light = ours.light(&below("light"), &second_url, &["--retain-headers", "256"]);
    assert_eq!(light.rpc.number("eth_blockNumber", json!([])), 4_400);
    same(&light.rpc, &second.rpc, 2_000);
    light.process.stop("TERM");
}
