//! `rushlight dev`, as its newcomer meets it.

use std::{
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    process::{PATIENCE, Process},
    rpc::Rpc,
};

const ACCOUNT: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const BALANCE: &str = "0x21e19e0c9bab2400000";

/// Runs a line as a shell does when it is pasted.
fn paste(line: &str) -> Value {
    let output = Command::new("sh").arg("-c").arg(line).output().expect("sh runs");
    assert!(output.status.success(), "{line}: {output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(answer.get("error").is_none(), "{line}: {answer}");
    answer["result"].clone()
}

#[test]
fn the_printed_lines_work_as_they_stand() {
    let temporary = tempfile::tempdir().unwrap();
    // The node makes its folder where the system says that temporary ones belong.
    let mut dev = Process::start_in(temporary.path(), ["dev", "--http.port", "0"]);
    dev.out_line("the end of the introduction", |line| line.contains("Ctrl-C").then_some(()));
    let lines = dev.out_lines();
    assert!(lines.iter().any(|line| line.contains(ACCOUNT) && line.contains("0xac0974bec39a17e3")), "{lines:#?}");
    let curls: Vec<_> = lines.iter().map(|line| line.trim()).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(curls.len(), 5, "{lines:#?}");
    if Command::new("curl").arg("--version").output().is_ok() {
        assert_eq!(paste(curls[0]), BALANCE);
        let proof = paste(curls[1]);
        assert_eq!(
            (&proof["balance"], proof["accountProof"].as_array().map(Vec::is_empty)),
            (&json!(BALANCE), Some(false))
        );
        assert!(paste(curls[2])["hash"].is_string());
        let hash = paste(curls[3]);
        let started = Instant::now();
        let receipt = loop {
            let receipt = paste(curls[4]);
            if !receipt.is_null() {
                break receipt;
            }
            assert!(started.elapsed() < PATIENCE, "no receipt: {:#?}", dev.log());
            thread::sleep(Duration::from_millis(200));
        };
        assert_eq!((&receipt["transactionHash"], &receipt["status"]), (&hash, &json!("0x1")));
    } else {
        eprintln!("skipped: curl is not installed (the lines of `rushlight dev`)");
    }

    let rpc = Rpc::of(&mut dev);
    let modules = rpc.call("rpc_modules", json!([]));
    assert_eq!(modules.as_object().map(serde_json::Map::len), Some(8), "every module: {modules}");
    assert_eq!(rpc.call("eth_chainId", json!([])), "0x539");
    assert_eq!(rpc.number("net_peerCount", json!([])), 1);
    let first = rpc.number("eth_blockNumber", json!([]));
    rpc.reach(first + 2, &dev);
    let times = [first + 1, first + 2].map(|number| {
        let block = rpc.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]));
        crate::rpc::number(&block["timestamp"])
    });
    assert_eq!(times[1] - times[0], 2, "a block every two seconds");
    let peers = rpc.call("admin_peers", json!([]));
    assert_eq!(peers[0]["protocols"]["eth"]["version"], 28, "over RLPx: {peers}");

    let made = folders(temporary.path());
    assert_eq!(made.len(), 1, "{made:?}");
    dev.stop("INT");
    assert_eq!(folders(temporary.path()), Vec::<PathBuf>::new(), "nothing is left behind");
}

#[test]
fn a_kept_folder_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path().to_str().unwrap();
    let start = || Process::start(["dev", "--http.port", "0", "--datadir", datadir]);
    let mut dev = start();
    let rpc = Rpc::of(&mut dev);
    rpc.reach(2, &dev);
    let block = rpc.call("eth_getBlockByNumber", json!(["0x2", false]));
    dev.stop("TERM");

    let mut dev = start();
    let rpc = Rpc::of(&mut dev);
    assert_eq!(rpc.call("eth_getBlockByNumber", json!(["0x2", false])), block);
    rpc.reach(3, &dev);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(rpc.call("eth_getBalance", json!([ACCOUNT, "latest"])), BALANCE);
    dev.stop("TERM");
    assert!(folder.path().join("light").is_dir() && folder.path().join("full").is_dir());
}

fn folders(path: &std::path::Path) -> Vec<PathBuf> {
    std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
}
