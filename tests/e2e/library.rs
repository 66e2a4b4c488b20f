//! The light crate's example, as another program would have it, against a full peer of the binary.

use alloy_primitives::{Address, U256};
use rushlight_full::{ChainPlan, GeneratedChain};
use serde_json::json;

use crate::{mainnet, process::Process, rpc::Rpc};

#[path = "../../crates/light/examples/balance.rs"]
#[allow(dead_code)] // Its `main` is for the command line.
mod balance;

const ACCOUNT: &str = "0x00000000000000000000000000000000000000aa";
const ABSENT: &str = "0x00000000000000000000000000000000000000bb";

fn read(genesis: &str, full: &mut Process, address: &str) -> (u64, U256) {
    let peer = mainnet::enode(full);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(balance::balance(genesis.as_bytes(), peer, address.parse().unwrap())).unwrap()
}

#[test]
fn a_program_reads_balances_with_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("genesis.json");
    let genesis = json!({
        "config": { "chainId": 78, "homesteadBlock": 0, "ethash": {} },
        "difficulty": "0x20000",
        "gasLimit": "0x47b760",
        "alloc": { ACCOUNT.trim_start_matches("0x"): { "balance": "0x1234" } },
    })
    .to_string();
    std::fs::write(&file, &genesis).unwrap();
    let datadir = folder.path().join("data");
    let flags = ["--genesis", file.to_str().unwrap(), "--datadir", datadir.to_str().unwrap(), "--port", "0"];
    let mut full = Process::start(["full"].into_iter().chain(flags));
    assert_eq!(read(&genesis, &mut full, ACCOUNT), (0, U256::from(0x1234)));
    assert_eq!(read(&genesis, &mut full, ABSENT), (0, U256::ZERO));
}

/// The head is that of the chain, not genesis, though a session begins long before the chain is synced.
#[test]
fn a_program_waits_for_the_head() {
    const BLOCKS: u64 = 1_500;
    let folder = tempfile::tempdir().unwrap();
    let chain = GeneratedChain::new(ChainPlan { blocks: BLOCKS, tx_every: 20, ..ChainPlan::default() }).unwrap();
    let accounts: Vec<_> = chain.genesis().alloc.keys().copied().collect();
    chain.write(folder.path()).unwrap();
    let file = folder.path().join("genesis.json").display().to_string();
    let blocks = folder.path().join("chain.rlp").display().to_string();
    let datadir = folder.path().join("data").display().to_string();
    let flags = ["--genesis", &file, "--import", &blocks, "--datadir", &datadir, "--port=0", "--http", "--http.port=0"];
    let mut full = Process::start(["full"].into_iter().chain(flags));
    let rpc = Rpc::of(&mut full);
    let balance = |block: &str, address: &Address| rpc.call("eth_getBalance", json!([address, block]));
    let moved = accounts.into_iter().find(|address| balance("latest", address) != balance("earliest", address));
    let moved = moved.expect("an account that sent something");
    let expected: U256 = balance("latest", &moved).as_str().unwrap().parse().unwrap();
    let genesis = std::fs::read_to_string(&file).unwrap();
    assert_eq!(read(&genesis, &mut full, &moved.to_string()), (BLOCKS, expected));
}
