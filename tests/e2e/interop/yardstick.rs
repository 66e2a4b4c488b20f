//! go-ethereum's JSON-RPC as the yardstick: its node, a full peer and a light node hold one chain and are asked the same
//! at random. Light and full must always agree, and both with go-ethereum but for what docs/json-rpc.md lists.

use std::{path::Path, process::Command, sync::OnceLock};

use serde_json::Value;

use super::tools::{geth, last_line, output};
use crate::files::Files;

/// What is compared, each method by the weight that the program gives it.
const METHODS: [&str; 16] = [
    "eth_getBlockReceipts",
    "eth_call",
    "eth_estimateGas",
    "eth_createAccessList",
    "eth_simulateV1",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_blobBaseFee",
    "eth_baseFee",
    "eth_feeHistory",
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getCode",
    "eth_getProof",
];

/// How many queries, and how many where time is no matter.
const QUERIES: u64 = 3_000;
const QUERIES_LONG: u64 = 100_000;

/// The folder with the chain, made once, and what its maker says of it; nothing where there is no Go.
fn made() -> Option<&'static (tempfile::TempDir, Value)> {
    static MADE: OnceLock<(tempfile::TempDir, Value)> = OnceLock::new();
    let geth = geth()?;
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let said = output(Command::new(geth).args(["yard", "-out"]).arg(folder.path()));
        (folder, last_line(&said))
    };
    Some(MADE.get_or_init(make))
}

fn compare(chain: &Path, full: &str, light: &str, seed: u64, count: u64) -> Value {
    let mut program = Command::new(geth().unwrap());
    program.args(["compare", "-chain"]).arg(chain).args(["-full", full, "-light", light]);
    program.args(["-methods", &METHODS.join(","), "-seed", &seed.to_string(), "-count", &count.to_string()]);
    last_line(&output(&mut program))
}

#[test]
fn light_full_and_go_ethereum_answer_alike() {
    let Some((chain, said)) = made() else { return };
    let files = Files { genesis: chain.path().join("genesis.json"), blocks: chain.path().join("chain.rlp") };
    let nodes = tempfile::tempdir().unwrap();
    let (full, enode) = files.full(&nodes.path().join("full"));
    let (head, number) = (said["hash"].as_str().unwrap(), said["head"].as_u64().unwrap());
    let light = files.trusting(&nodes.path().join("light"), &enode, head, number);
    let [full, light] = [&full.rpc, &light.rpc].map(|rpc| format!("http://{}", rpc.0));
    let long = std::env::var_os("RUSHLIGHT_LONG").is_some();
    let compared = compare(chain.path(), &full, &light, 1, if long { QUERIES_LONG } else { QUERIES });
    for method in METHODS {
        let counts = &compared["methods"][method];
        let [asked, results] = ["Asked", "Results"].map(|name| counts[name].as_u64().unwrap());
        assert!(asked > 0 && results > 0, "{method}: {compared}");
    }
}
