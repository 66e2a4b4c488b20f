//! Wallets' libraries against the light node of a development network: ethers v6, viem, web3.py, alloy. Each of the programs
//! sends every type of transaction, deploys a contract, calls it, estimates, reads fees and verifies proofs.

use std::process::Command;

use super::tools::{alloy, javascript, output, python, script, source};
use crate::{process::Process, rpc::Rpc};

/// As many of them at least each program has.
const LEAST: usize = 11;

/// A development network of its own for one program, and where its light node listens.
fn dev() -> (Process, String) {
    let mut dev = Process::start(["dev", "--dev.period", "1", "--http.port", "0"]);
    let rpc = Rpc::of(&mut dev);
    rpc.reach(1, &dev);
    (dev, format!("http://{}", rpc.0))
}

fn token() -> String {
    source("contract").join("token.json").to_str().unwrap().to_owned()
}

/// Runs the program, which says one line a step.
fn check(program: &mut Command) {
    let said = output(program);
    assert!(said.lines().all(|line| line.contains(": ok")), "{said}");
    assert!(said.lines().count() >= LEAST, "{said}");
}

#[test]
fn ethers_is_a_wallet_over_the_light_node() {
    let Some(folder) = javascript() else { return };
    let (_dev, url) = dev();
    check(&mut script(folder, ["ethers.mjs", &url, &token()]));
}

#[test]
fn viem_is_a_wallet_over_the_light_node() {
    let Some(folder) = javascript() else { return };
    let (_dev, url) = dev();
    check(&mut script(folder, ["viem.mjs", &url, &token()]));
}

#[test]
fn web3py_is_a_wallet_over_the_light_node() {
    let token = token();
    let Some(mut program) = python("wallet.py", [&token; 0]) else { return };
    let (_dev, url) = dev();
    check(program.args([&url, &token]));
}

#[test]
fn alloy_is_a_wallet_over_the_light_node() {
    let program = alloy();
    let (_dev, url) = dev();
    check(Command::new(program).args([&url, &token()]));
}
