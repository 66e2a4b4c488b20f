//! A full peer that has imported mainnet's first era, and a light node that learns it from there.

use alloy_primitives::{Address, U256};
use serde_json::json;

use crate::{
    mainnet::{Full, GENESIS_ACCOUNTS, HEAD, HEAD_HASH, HEAD_TD, Mainnet, light_flags},
    process::Process,
    rpc::Rpc,
};

/// 5 ether, the reward of a block before Byzantium.
const REWARD: u64 = 5_000_000_000_000_000_000;

#[test]
fn headers_and_proved_balances() {
    let Some(mainnet) = Mainnet::get() else { return };
    let full = Full::start();
    let datadir = tempfile::tempdir().unwrap();
    let mut light = Process::start(light_flags(datadir.path(), &[full.enode]));
    let rpc = Rpc::of(&mut light);
    rpc.reach(HEAD, &light);

    head_and_node_info(&rpc);
    seals_are_counted(&mut light);
    balances(&rpc, &mainnet);
    blocks_and_uncles(&rpc, &mainnet);

    assert_eq!(rpc.call("net_version", json!([])), "1");
    assert_eq!(rpc.call("eth_chainId", json!([])), "0x1");
    assert_eq!(rpc.call("eth_syncing", json!([])), false);
    assert_eq!(rpc.number("net_peerCount", json!([])), 1);
    light.stop("INT");
    full.process.stop("TERM");
}

fn head_and_node_info(rpc: &Rpc) {
    let head = rpc.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!((&head["number"], &head["hash"]), (&json!("0x1fff"), &json!(HEAD_HASH)));
    assert_eq!(head["totalDifficulty"], json!(format!("{HEAD_TD:#x}")));
    let eth = rpc.call("admin_nodeInfo", json!([]))["protocols"]["eth"].clone();
    assert_eq!(eth["network"], 1);
    assert_eq!(eth["genesis"], "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
    assert_eq!(eth["head"], HEAD_HASH);
    assert_eq!(eth["difficulty"], HEAD_TD, "a number, as in geth");
    let peers = rpc.call("admin_peers", json!([]));
    assert_eq!(peers[0]["protocols"]["eth"]["version"], 28);
    assert_eq!(peers[0]["caps"], json!(["eth/28"]));
}

/// The last 2,048, and at least one of each hundred before.
fn seals_are_counted(light: &mut Process) {
    let counted: u64 = light.log_line("the end of the sync", |line| {
        line.contains("sync of headers ended").then_some(())?;
        line.split_once("seals_checked=")?.1.split(' ').next()?.parse().ok()
    });
    assert!((2_048 + 61..HEAD).contains(&counted), "{counted} seals");
}

fn balances(rpc: &Rpc, mainnet: &Mainnet) {
    let absent = Address::repeat_byte(0xfe);
    for block in [0, 1, 4000, HEAD] {
        for account in GENESIS_ACCOUNTS {
            let balance = mainnet.proved_balance(rpc, account.parse().unwrap(), block);
            // Nobody could send anything yet, and neither of them mined.
            assert_eq!(balance, mainnet.genesis_balance(account), "{account} at {block}");
        }
        assert_eq!(mainnet.proved_balance(rpc, absent, block), U256::ZERO);
        let miner = mainnet.headers[usize::try_from(block).unwrap()].beneficiary;
        mainnet.proved_balance(rpc, miner, block);
    }
    let first_miner = mainnet.headers[1].beneficiary;
    assert_eq!(mainnet.proved_balance(rpc, first_miner, 0), U256::ZERO);
    assert_eq!(mainnet.proved_balance(rpc, first_miner, 1), U256::from(REWARD));
    assert_eq!(rpc.call("eth_getTransactionCount", json!([first_miner, "latest"])), "0x0");
    assert_eq!(rpc.call("eth_getCode", json!([first_miner, "latest"])), "0x");
}

fn blocks_and_uncles(rpc: &Rpc, mainnet: &Mainnet) {
    let with_uncles = mainnet.blocks.iter().zip(&mainnet.headers).find(|(block, _)| block.body().uncles.len() == 2);
    let (block, header) = with_uncles.expect("a block with two uncles");
    let answer = rpc.call("eth_getBlockByHash", json!([header.hash(), true]));
    assert_eq!(answer["uncles"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer["size"], json!(format!("{:#x}", block.encode().len())));
    let uncle = rpc.call("eth_getUncleByBlockHashAndIndex", json!([header.hash(), "0x1"]));
    assert_eq!(uncle["hash"], answer["uncles"][1]);
    assert_eq!(rpc.call("eth_getUncleCountByBlockNumber", json!([format!("{:#x}", header.number)])), "0x2");
}

#[test]
fn every_seal_where_that_is_asked_for() {
    let Some(_) = Mainnet::get() else { return };
    let full = Full::start();
    let datadir = tempfile::tempdir().unwrap();
    let mut flags = light_flags(datadir.path(), &[full.enode]);
    flags.extend(["--verify-seals".to_owned(), "all".to_owned(), "--log.format".to_owned(), "json".to_owned()]);
    let mut light = Process::start(flags);
    let line = light.log_line("the end of the sync", |line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        line["message"].as_str()?.contains("sync of headers ended").then_some(line)
    });
    assert_eq!((&line["seals_checked"], &line["head"]), (&json!(HEAD), &json!(HEAD)), "{:#?}", light.log());
    light.stop("TERM");
}
