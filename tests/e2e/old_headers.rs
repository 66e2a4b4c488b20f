//! Headers below those that a light node retains: answers are the full peer's, fetched and proved.

use std::{thread, time::Instant};

use serde_json::{Value, json};

use crate::{
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
