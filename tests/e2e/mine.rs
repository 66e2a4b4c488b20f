//! `rushlight full --mine`: a full peer that seals with a key of the keystore, and a chain that seals what arrives.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    account,
    process::{PATIENCE, Process},
    rpc::Rpc,
};

/// The first development account, which seals; and a transfer of one ether from the second to the third, nonce 0.
const SIGNER: &str = "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const SENDER: &str = "70997970C51812dc3A010C7d01b50e0d17dc79C8";
const RECEIVER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const TRANSFER: &str = "0x02f87582053980843b9aca008502540be400825208943c44cdddb6a900fa2b585dd299e03d12fa4293bc880de0b6b3a764000080c080a03426463c4e3d215f76426c556b6d1cdf50b79cca6b28fe7a81c3895b2c043b87a0304ac258a9979e572721083b47e0104e063e184d296a78768e8c749119600eef";
const HASH: &str = "0x265914ca533c653e3e8cb5992262665ff8eff9ea5a675fe356d12274f5b4ef9e";

fn genesis(path: &Path, period: u64) {
    let json = json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "clique": { "period": period, "epoch": 30_000 }
        },
        "gasLimit": "0x1c9c380", "difficulty": "0x1",
        "extraData": format!("0x{}{SIGNER}{}", "00".repeat(32), "00".repeat(65)),
        "alloc": { SENDER: { "balance": "0x21e19e0c9bab2400000" } }
    });
    fs::write(path, json.to_string()).unwrap();
}

/// A folder with a genesis, the signer's key file and its password.
fn place(period: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    genesis(&path("genesis.json"), period);
    fs::write(path("key"), KEY).unwrap();
    fs::write(path("password"), "a password").unwrap();
    let (datadir, key, password) = (path("data"), path("key"), path("password"));
    let args = [
        "account",
        "import",
        "--lightkdf",
        "--datadir",
        datadir.to_str().unwrap(),
        "--password",
        password.to_str().unwrap(),
        key.to_str().unwrap(),
    ];
    let (code, _, log) = account::run(&args, "");
    assert_eq!((code, log.as_str()), (Some(0), ""));
    folder
}

fn start(folder: &Path, more: &[&str]) -> Process {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (genesis, datadir, password) = (path("genesis.json"), path("data"), path("password"));
    let args = [
        "full",
        "--genesis",
        &genesis,
        "--datadir",
        &datadir,
        "--port",
        "0",
        "--http",
        "--http.port",
        "0",
        "--allow-insecure-unlock",
        "--password",
        &password,
        "--mine",
    ];
    Process::start(args.iter().chain(more))
}

/// Sends the transfer and waits for its receipt.
fn transfer(rpc: &Rpc, process: &Process) -> Value {
    assert_eq!(rpc.call("eth_sendRawTransaction", json!([TRANSFER])), HASH);
    let started = Instant::now();
    loop {
        let receipt = rpc.call("eth_getTransactionReceipt", json!([HASH]));
        if !receipt.is_null() {
            assert_eq!((&receipt["status"], &receipt["gasUsed"]), (&json!("0x1"), &json!("0x5208")));
            return receipt;
        }
        assert!(started.elapsed() < PATIENCE, "no receipt: {:#?}", process.log());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn seals_with_an_unlocked_key() {
    let folder = place(1);
    let signer = format!("0x{SIGNER}");
    let mut full =
        start(folder.path(), &["--miner.etherbase", &signer, "--unlock", &signer, "--miner.gaslimit", "40000000"]);
    let rpc = Rpc::of(&mut full);
    rpc.reach(2, &full);
    let receipt = transfer(&rpc, &full);
    // What the transfer leaves over the base fee is the signer's, who had nothing.
    let block = rpc.call("eth_getBlockByNumber", json!([receipt["blockNumber"], false]));
    let tip = crate::rpc::number(&receipt["effectiveGasPrice"]) - crate::rpc::number(&block["baseFeePerGas"]);
    assert_eq!(rpc.number("eth_getBalance", json!([signer, "latest"])), tip * 21_000);
    assert_eq!(rpc.call("eth_getBalance", json!([RECEIVER, "latest"])), "0xde0b6b3a7640000");
    let limit =
        |number: &str| crate::rpc::number(&rpc.call("eth_getBlockByNumber", json!([number, false]))["gasLimit"]);
    assert!(limit("0x2") > limit("0x0"), "moves to its target");
    full.stop("TERM");
}

#[test]
fn without_a_period_what_arrives_is_sealed_and_nothing_else() {
    let folder = place(0);
    let mut full = start(folder.path(), &["--unlock", SIGNER]);
    let rpc = Rpc::of(&mut full);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(rpc.number("eth_blockNumber", json!([])), 0);
    assert_eq!(transfer(&rpc, &full)["blockNumber"], "0x1");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(rpc.number("eth_blockNumber", json!([])), 1);
    full.stop("TERM");
}

#[test]
fn a_development_chain_without_a_period() {
    let mut dev = Process::start(["dev", "--http.port", "0", "--dev.period", "0"]);
    dev.out_line("the end of the introduction", |line| line.contains("Ctrl-C").then_some(()));
    assert!(dev.out_lines().iter().any(|line| line.ends_with("a block for each transaction.")));
    let rpc = Rpc::of(&mut dev);
    assert_eq!(rpc.number("eth_blockNumber", json!([])), 0);
    // Through the light node to the full peer, into a block, and back.
    assert_eq!(transfer(&rpc, &dev)["blockNumber"], "0x1");
    dev.stop("TERM");
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let folder = place(1);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (genesis, datadir, password) = (path("genesis.json"), path("data"), path("password"));
    let fatal = |genesis: &str, more: &[&str]| {
        let args = ["full", "--genesis", genesis, "--datadir", &datadir, "--port", "0", "--password", &password];
        let ended = Process::run(args.iter().chain(more));
        assert!(!ended.status.success());
        ended.log.last().cloned().unwrap_or_default()
    };
    let line = fatal(&genesis, &["--mine"]);
    assert!(line.contains("--mine needs --unlock ADDRESS and --password FILE"), "{line}");
    let line = fatal(&genesis, &["--mine", "--unlock", SIGNER, "--miner.etherbase", RECEIVER]);
    assert!(line.contains("it is not unlocked"), "{line}");
    let line = fatal(&genesis, &["--mine", "--unlock", SIGNER, "--miner.etherbase", "me"]);
    assert!(line.contains("--miner.etherbase: expected an address, got \"me\""), "{line}");
    let other = |name: &str, config: Value| {
        let json = json!({ "config": config, "gasLimit": "0x1c9c380", "difficulty": "0x20000", "alloc": {} });
        fs::write(path(name), json.to_string()).unwrap();
        path(name)
    };
    let ethash = other("ethash.json", json!({ "chainId": 9, "homesteadBlock": 0, "ethash": {} }));
    let line = fatal(&ethash, &["--mine"]);
    assert!(line.contains("--mine: only clique chains are sealed here, and chain 9 goes by ethash"), "{line}");
    let stake =
        other("stake.json", json!({ "chainId": 9, "homesteadBlock": 0, "terminalTotalDifficulty": 0, "ethash": {} }));
    let line = fatal(&stake, &["--mine"]);
    assert!(line.contains("chain 9 goes by proof of stake"), "{line}");
}
