//! The public test chain: 600 blocks by proof of stake, Shanghai to Prague, read by a light node that trusts its head.

use alloy_primitives::{Bytes, U256};
use rushlight_chain::testdata;
use serde_json::{Value, json};

use crate::files::{Files, Held, Node, check_accounts};

pub(crate) const HEAD: u64 = 600;
const HEAD_HASH: &str = "0x44e3809c9a3cda717f00aea3a9da336d149612c8d5657fbc0028176ef8d94d2a";

/// The chain's nodes and its state at the head.
pub(crate) struct TestChain {
    pub(crate) full: Node,
    pub(crate) light: Node,
    pub(crate) root: Value,
    pub(crate) accounts: Vec<Held>,
    files: Files,
    folder: tempfile::TempDir,
}

fn file(name: &str) -> Option<Value> {
    let bytes = testdata::read(&format!("testchain/{name}"))?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

fn bytes(text: &Value) -> Bytes {
    text.as_str().unwrap().parse().unwrap()
}

/// An account as go-ethereum dumps it: values without their leading zeros.
fn held((address, account): (&String, &Value)) -> Held {
    let slots = account.get("storage").and_then(Value::as_object).into_iter().flatten();
    Held {
        address: address.parse().unwrap(),
        balance: account["balance"].as_str().unwrap().parse().unwrap(),
        nonce: account["nonce"].as_u64().unwrap(),
        code: account.get("code").map(bytes).unwrap_or_default(),
        storage: slots
            .map(|(slot, value)| (slot.parse().unwrap(), U256::from_be_slice(&bytes(value)).into()))
            .collect(),
    }
}

impl TestChain {
    /// Starts the nodes; nothing where there is no data.
    pub(crate) fn start() -> Option<Self> {
        let (genesis, blocks) = (testdata::path("testchain/genesis.json")?, testdata::path("testchain/chain.rlp")?);
        let files = Files { genesis, blocks };
        let state = file("headstate.json")?;
        let folder = tempfile::tempdir().unwrap();
        let (full, enode) = files.full(&folder.path().join("full"));
        full.rpc.reach(HEAD, &full.process);
        let light = files.trusting(&folder.path().join("light"), &enode, HEAD_HASH, HEAD);
        let root = json!(format!("0x{}", state["root"].as_str().unwrap()));
        let accounts = state["accounts"].as_object().unwrap().iter().map(held).collect();
        Some(Self { full, light, root, accounts, files, folder })
    }
}

#[test]
fn the_state_at_a_trusted_head_is_go_ethereums() {
    let Some(chain) = TestChain::start() else { return };
    let want = file("headblock.json").unwrap();
    for node in [&chain.full, &chain.light] {
        let head = node.rpc.call("eth_getBlockByNumber", json!(["latest", false]));
        assert_eq!((&head["hash"], &head["stateRoot"]), (&json!(HEAD_HASH), &chain.root));
        for (field, value) in want.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
            assert_eq!(&head[field], value, "{field}");
        }
        let slots = check_accounts(&node.rpc, HEAD, &chain.accounts);
        assert_eq!((chain.accounts.len(), slots), (194, 2_164));
    }
    // Below the trusted head stands what hash links prove, down to genesis.
    let hashes = |node: &Node| {
        let calls: Vec<_> = (0..=HEAD).map(|n| ("eth_getBlockByNumber", json!([format!("{n:#x}"), false]))).collect();
        node.rpc.batch(&calls).into_iter().map(|block| block["hash"].clone()).collect::<Vec<_>>()
    };
    let by_light = hashes(&chain.light);
    assert!(by_light.iter().all(Value::is_string));
    assert_eq!(by_light, hashes(&chain.full));

    // The head that is trusted and what was read at it are kept: neither is asked for again.
    let TestChain { light, full, files, folder, accounts, .. } = chain;
    light.process.stop("TERM");
    full.process.stop("TERM");
    let light = files.light(&folder.path().join("light"), "", &[]);
    assert_eq!(light.rpc.number("eth_blockNumber", json!([])), HEAD);
    check_accounts(&light.rpc, HEAD, &accounts);
}
