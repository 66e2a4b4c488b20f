//! The light crate's example, as another program would have it, against a full peer of the binary.

use alloy_primitives::U256;
use serde_json::json;

use crate::{mainnet, process::Process};

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
