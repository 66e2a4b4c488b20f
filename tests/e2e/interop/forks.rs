//! A chain that crosses every fork from Frontier to the last blob schedule, made by go-ethereum's chain maker.

use std::{path::Path, process::Command, sync::OnceLock};

use alloy_primitives::U256;
use alloy_rlp::Header;
use rushlight_chain::{ChainSpec, header, system_clock, verify_header};
use serde_json::Value;

use super::tools::{geth, output};

/// The folder with the chain, made once; nothing where there is no Go.
fn made() -> Option<&'static Path> {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let geth = geth()?;
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        output(Command::new(geth).args(["forks", "-out"]).arg(folder.path()));
        folder
    };
    Some(MADE.get_or_init(make).path())
}

#[test]
fn every_header_of_every_fork_is_in_order_and_has_go_ethereums_fork_id() {
    let Some(folder) = made() else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (spec, _) = ChainSpec::from_genesis(&read("genesis.json")).unwrap();
    let expected: Value = serde_json::from_slice(&read("expected.json")).unwrap();
    let expected = expected["blocks"].as_array().unwrap();
    let now = system_clock()();
    let mut parent = spec.genesis.clone();
    let mut td = parent.difficulty;
    let file = read("chain.rlp");
    let mut rest = file.as_slice();
    for want in expected {
        if want["number"] != 0 {
            let mut block = Header::decode_bytes(&mut rest, true).unwrap();
            let raw = block;
            let _ = Header::decode_bytes(&mut block, true).unwrap();
            let sealed = header::decode(&raw[..raw.len() - block.len()]).unwrap();
            verify_header(&spec, &sealed, &parent, td, now)
                .unwrap_or_else(|error| panic!("{}: {error}", want["number"]));
            td += sealed.difficulty;
            parent = sealed;
        }
        assert_eq!(want["hash"], parent.hash().to_string(), "block {}", want["number"]);
        let id = spec.fork_id(parent.number, parent.timestamp);
        let hash = format!("{:#010x}", u32::from_be_bytes(id.hash));
        assert_eq!((&want["forkHash"], want["forkNext"].as_u64()), (&Value::from(hash), Some(id.next)));
    }
    assert_eq!((rest.len(), expected.len(), parent.difficulty), (0, 89, U256::ZERO));
}
