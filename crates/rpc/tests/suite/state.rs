//! Accounts, code, storage and proofs, at every way to name a block.

use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount, proof::verify_proof};
use serde_json::{Value, json};

use crate::{
    fixture::{ABSENT, CODE, CONTRACT, Fixture, HIDDEN, RICH, SLOT, VALUE},
    http::{call, error, result},
};

#[tokio::test]
async fn balances_nonces_code_and_storage() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    for (method, params, expected) in [
        ("eth_getBalance", json!([RICH, "latest"]), json!("0xf4240")),
        ("eth_getBalance", json!([RICH]), json!("0xf4240")),
        ("eth_getBalance", json!([RICH, null]), json!("0xf4240")),
        ("eth_getBalance", json!([RICH, "pending"]), json!("0xf4240")),
        ("eth_getBalance", json!([RICH, "0x0"]), json!("0x0")),
        ("eth_getBalance", json!([RICH, "earliest"]), json!("0x0")),
        ("eth_getBalance", json!([ABSENT, "latest"]), json!("0x0")),
        ("eth_getTransactionCount", json!([CONTRACT, "0x3"]), json!("0x1")),
        ("eth_getTransactionCount", json!([ABSENT]), json!("0x0")),
        ("eth_getCode", json!([CONTRACT, "0x1"]), json!(Bytes::from_static(CODE))),
        ("eth_getCode", json!([RICH]), json!("0x")),
        ("eth_getCode", json!([ABSENT]), json!("0x")),
        ("eth_getStorageAt", json!([CONTRACT, "0x1", "latest"]), json!(B256::from(U256::from(VALUE)))),
        ("eth_getStorageAt", json!([CONTRACT, B256::with_last_byte(1)]), json!(B256::from(U256::from(VALUE)))),
        ("eth_getStorageAt", json!([CONTRACT, "0x2"]), json!(B256::ZERO)),
        ("eth_getStorageAt", json!([ABSENT, "0x1"]), json!(B256::ZERO)),
    ] {
        assert_eq!(result(addr, method, params.clone()).await, expected, "{method} {params}");
    }
}

#[tokio::test]
async fn blocks_by_object() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let balance = |block: Value| async move { call(addr, "eth_getBalance", json!([RICH, block])).await };
    let canonical = fixture.headers[3].hash();
    let branch = fixture.branch.hash();
    assert_eq!(balance(json!({ "blockNumber": "0x3" })).await["result"], "0xf4240");
    assert_eq!(balance(json!({ "blockHash": canonical })).await["result"], "0xf4240");
    assert_eq!(balance(json!({ "blockHash": canonical, "requireCanonical": true })).await["result"], "0xf4240");
    assert_eq!(balance(json!(canonical)).await["result"], "0xf4240");
    // The branch's state is the empty one of genesis.
    assert_eq!(balance(json!({ "blockHash": branch })).await["result"], "0x0");
    let refused = balance(json!({ "blockHash": branch, "requireCanonical": true })).await;
    assert_eq!(refused["error"], json!({ "code": -32000, "message": "hash is not currently canonical" }));
    for (block, code, message) in [
        (json!("0x4"), -32000, "header not found"),
        (json!({ "blockHash": B256::repeat_byte(1) }), -32000, "header for hash not found"),
        (json!("safe"), -32000, "safe block not found"),
        (json!({ "blockNumber": "finalized" }), -32000, "finalized block not found"),
        (json!({}), -32602, "invalid argument 1: must specify either BlockHash or BlockNumber"),
        (json!("0x03"), -32602, "invalid argument 1: hex number with leading zero digits"),
        (json!(3), -32602, "invalid argument 1: expected a string"),
    ] {
        let refused = balance(block.clone()).await;
        assert_eq!(refused["error"], json!({ "code": code, "message": message }), "{block}");
    }
}

fn proof_of(value: &Value) -> Vec<Bytes> {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test]
async fn proofs_prove_presence_and_absence() {
    let fixture = Fixture::start().await;
    let root = fixture.headers[1].state_root;
    let unset = B256::repeat_byte(0x77);
    let proof = result(fixture.addr, "eth_getProof", json!([CONTRACT, ["0x1", unset], "0x1"])).await;
    let account: TrieAccount = TrieAccount {
        nonce: 1,
        balance: U256::from(5),
        storage_root: serde_json::from_value(proof["storageHash"].clone()).unwrap(),
        code_hash: keccak256(CODE),
    };
    assert_eq!(proof["address"], json!(CONTRACT));
    assert_eq!((&proof["nonce"], &proof["balance"]), (&json!("0x1"), &json!("0x5")));
    assert_eq!(proof["codeHash"], json!(keccak256(CODE)));
    let key = Nibbles::unpack(keccak256(CONTRACT));
    verify_proof(root, key, Some(alloy_rlp::encode(account)), &proof_of(&proof["accountProof"])).unwrap();

    let slots = proof["storageProof"].as_array().unwrap();
    assert_eq!((&slots[0]["key"], &slots[0]["value"]), (&json!("0x1"), &json!("0x2a")), "short keys as numbers");
    assert_eq!((&slots[1]["key"], &slots[1]["value"]), (&json!(unset), &json!("0x0")), "full keys as they came");
    let slot = Nibbles::unpack(keccak256(B256::from(U256::from(SLOT))));
    let value = Some(alloy_rlp::encode(U256::from(VALUE)));
    verify_proof(account.storage_root, slot, value, &proof_of(&slots[0]["proof"])).unwrap();
    let slot = Nibbles::unpack(keccak256(unset));
    verify_proof(account.storage_root, slot, None, &proof_of(&slots[1]["proof"])).unwrap();

    let absent = result(fixture.addr, "eth_getProof", json!([ABSENT, ["0x0"], "0x1"])).await;
    assert_eq!(absent["storageHash"], json!(EMPTY_ROOT_HASH));
    assert_eq!(absent["codeHash"], json!(KECCAK256_EMPTY));
    assert_eq!(absent["storageProof"], json!([{ "key": "0x0", "value": "0x0", "proof": [] }]));
    let key = Nibbles::unpack(keccak256(ABSENT));
    verify_proof(root, key, None, &proof_of(&absent["accountProof"])).unwrap();
}

#[tokio::test]
async fn what_nobody_can_prove_is_an_error_that_says_what_is_missing() {
    let fixture = Fixture::start().await;
    let response = call(fixture.addr, "eth_getBalance", json!([HIDDEN, "latest"])).await;
    let error = &response["error"];
    assert_eq!(error["code"], -32000, "{response}");
    let missing = &error["data"]["missing"][0];
    assert_eq!(missing["what"], "accountNode", "{response}");
    assert_eq!(missing["address"], json!(HIDDEN));
    assert_eq!(missing["root"], json!(fixture.headers[3].state_root));
    assert_eq!(error["data"]["asked"], json!([]));
    assert!(error["message"].as_str().unwrap().starts_with("no peer can prove the state trie node of account"));
}

#[tokio::test]
async fn storage_keys_that_are_none() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let (code, message) = error(addr, "eth_getStorageAt", json!([CONTRACT, "0xasdf", "latest"])).await;
    assert_eq!((code, message.as_str()), (-32602, "invalid argument 1: invalid hex in storage key: \"0xasdf\""));
    let (code, message) = error(addr, "eth_getProof", json!([CONTRACT, [format!("0x{}", "0".repeat(65))]])).await;
    assert_eq!(code, -32602);
    assert!(message.starts_with("invalid argument 1: storage key too long (want at most 32 bytes)"), "{message}");
    let many: Vec<_> = (0..1025).map(|slot| format!("{slot:#x}")).collect();
    let (code, message) = error(addr, "eth_getProof", json!([CONTRACT, many])).await;
    assert_eq!((code, message.as_str()), (-32602, "too many storage keys requested (max 1024, got 1025)"));
}
