//! ethereumjs' devp2p, as dialler and as listener.

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use serde_json::json;

use super::tools::{last_line, node, output, script};
use crate::process::Process;

/// Any genesis does: these tests are about who shakes hands, and read its one header.
const GENESIS: &str = r#"{
    "config": { "chainId": 77, "homesteadBlock": 0, "ethash": {} },
    "difficulty": "0x20000", "gasLimit": "0x47b760", "alloc": { "00000000000000000000000000000000000000aa": { "balance": "0x1" } }
}"#;

/// A folder with a genesis file.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let genesis = folder.path().join("genesis.json");
    std::fs::write(&genesis, GENESIS).unwrap();
    let genesis = genesis.to_str().unwrap().to_owned();
    (folder, genesis)
}

/// What the peer said of us.
fn check(report: &serde_json::Value, enode: Option<&str>) {
    assert_eq!((&report["devp2p"], &report["capabilities"]), (&json!(5), &json!(["eth/28"])), "{report}");
    assert!(report["client"].as_str().unwrap().starts_with("Rushlight/"), "{report}");
    assert_eq!(report["best"], report["genesis"]);
    // Genesis' header came, and nothing is before it.
    assert_eq!((&report["td"], &report["number"], &report["hashes"]), (&json!("131072"), &json!(0), &json!(0)));
    if let Some(enode) = enode {
        let id = report["id"].as_str().unwrap().trim_start_matches("0x");
        assert!(enode.starts_with(&format!("enode://{id}@")), "{id} in {enode}");
    }
}

#[test]
fn ethereumjs_dials_a_full_peer_and_a_light_node() {
    let Some(scripts) = node() else { return };
    for kind in ["full", "light"] {
        let (folder, genesis) = folder();
        let datadir = folder.path().join("data");
        let datadir = datadir.to_str().unwrap();
        let flags = ["--genesis", &genesis, "--datadir", datadir, "--port", "0", "--nodiscover"];
        let full = (kind == "full").then_some("full");
        let mut ours = Process::start(full.into_iter().chain(flags));
        let enode = ours.logged("enode=");
        let report = last_line(&output(&mut script(scripts, ["peer.mjs", "dial", &enode])));
        check(&report, Some(&enode));
    }
}

#[test]
fn a_light_node_dials_ethereumjs() {
    let Some(scripts) = node() else { return };
    let (folder, genesis) = folder();
    let mut listener = script(scripts, ["peer.mjs", "listen"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap());
    let mut enode = String::new();
    lines.read_line(&mut enode).unwrap();
    let datadir = folder.path().join("data");
    let datadir = datadir.to_str().unwrap();
    let peer = enode.trim();
    let flags = ["--genesis", &genesis, "--datadir", datadir, "--port", "0", "--nodiscover", "--staticpeers", peer];
    let ours = Process::start(flags);
    let mut report = String::new();
    lines.read_to_string(&mut report).unwrap();
    let ended = listener.wait_with_output().unwrap();
    let why = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{why}\nour log:\n{}", ours.log().join("\n"));
    check(&last_line(&report), None);
}
