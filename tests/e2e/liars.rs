//! One peer of three lies: no answer changes, and the log names it.

use std::time::Instant;

use alloy_primitives::{Address, U256, keccak256};
use serde_json::json;

use crate::{
    liar::{Liar, Lie},
    mainnet::{Full, GENESIS_ACCOUNTS, HEAD, HEAD_HASH, Mainnet, light_flags},
    process::{PATIENCE, Process},
    rpc::Rpc,
};

#[test]
fn headers() {
    one_of_three(Lie::Headers);
}

#[test]
fn difficulty() {
    one_of_three(Lie::Difficulty);
}

#[test]
fn hashes_without_end() {
    one_of_three(Lie::Hashes);
}

#[test]
fn look_ups() {
    one_of_three(Lie::LookUps);
}

#[test]
fn silence() {
    one_of_three(Lie::Silence);
}

fn one_of_three(lie: Lie) {
    let Some(mainnet) = Mainnet::get() else { return };
    let honest = [Full::start(), Full::start()];
    let liar = Liar::start(lie, &mainnet);
    let datadir = tempfile::tempdir().unwrap();
    // The liar first, so that it is not the last to be asked.
    let peers = [liar.enode.clone(), honest[0].enode.clone(), honest[1].enode.clone()];
    let mut light = Process::start(light_flags(datadir.path(), &peers));
    let rpc = Rpc::of(&mut light);
    rpc.reach(HEAD, &light);

    let started = Instant::now();
    let mut asked = 0_u64;
    // Reads go on until the liar has shown itself: which peer is asked first is the node's own choice.
    while asked < 8 || !named(&light, &liar) {
        assert!(started.elapsed() < PATIENCE, "{lie:?}: {} is not named: {:#?}", liar.name(), light.log());
        let block = [HEAD, 1, 4000, 0][usize::try_from(asked % 4).unwrap()];
        let absent = Address::from_slice(&keccak256(asked.to_be_bytes())[..20]);
        assert_eq!(mainnet.proved_balance(&rpc, absent, block), U256::ZERO, "{lie:?}");
        let account = GENESIS_ACCOUNTS[usize::try_from(asked % 2).unwrap()];
        let balance = mainnet.proved_balance(&rpc, account.parse().unwrap(), block);
        assert_eq!(balance, mainnet.genesis_balance(account), "{lie:?}");
        asked += 1;
    }
    let head = rpc.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!((&head["number"], &head["hash"]), (&json!("0x1fff"), &json!(HEAD_HASH)), "{lie:?}");
    for full in &honest {
        let name = full.enode.id.to_string();
        let blamed = light.log().into_iter().find(|line| line.contains("penalised") && line.contains(&name));
        assert_eq!(blamed, None, "{lie:?}: an honest peer is blamed");
    }
    light.stop("TERM");
}

/// A warning with the liar's name in it.
fn named(light: &Process, liar: &Liar) -> bool {
    let name = liar.name();
    light.log().iter().any(|line| line.contains("WARN") && line.contains(&name))
}
