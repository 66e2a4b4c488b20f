//! What an unlocked account signs and sends, before a pool that takes what it is given.

use alloy_consensus::{Transaction as _, TxType};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, eip191_hash_message, hex};
use futures::future::join_all;
use rushlight_chain::pool::{PoolTransaction, TransactionPool as _};
use serde_json::{Value, json};

use crate::{
    fixture::{ABSENT, CONTRACT, Fixture, RICH, address_of, key, unlocked},
    http::{call, error, result},
};

/// What the pool was given.
fn sent(fixture: &Fixture, hash: &Value) -> std::sync::Arc<PoolTransaction> {
    fixture.pool.get(&hash.as_str().unwrap().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_left_out_is_filled_in() {
    let fixture = Fixture::start().await;
    let from = address_of(&unlocked());
    let hash = result(fixture.addr, "eth_sendTransaction", json!([{"from": from, "to": RICH, "value": "0x7"}])).await;
    let tx = sent(&fixture, &hash);
    // The chain has no base fee; the price is that of eth_gasPrice.
    assert_eq!((tx.sender(), tx.tx().tx_type()), (from, TxType::Legacy));
    assert_eq!((tx.tx().nonce(), tx.tx().gas_limit(), tx.tx().gas_price()), (0, 21_000, Some(0x33)));
    assert_eq!((tx.tx().chain_id(), tx.tx().value(), tx.tx().to()), (Some(1337), U256::from(7), Some(RICH)));

    let all = json!([{
        "from": from, "to": CONTRACT, "gas": "0x9999", "gasPrice": "0x64", "nonce": "0x5", "data": "0x01", "input": "0x01",
        "chainId": "0x539", "accessList": [{"address": CONTRACT, "storageKeys": [B256::ZERO]}]
    }]);
    let hash = result(fixture.addr, "eth_sendTransaction", all).await;
    let tx = sent(&fixture, &hash);
    assert_eq!((tx.tx().nonce(), tx.tx().gas_limit(), tx.tx().gas_price()), (5, 0x9999, Some(0x64)));
    assert_eq!((tx.tx().tx_type(), tx.tx().input().as_ref()), (TxType::Eip2930, &[1][..]));
}

#[tokio::test]
async fn sends_at_the_same_time_take_different_nonces() {
    let fixture = Fixture::start().await;
    let send = |value: u64| {
        let transaction = json!([{"from": address_of(&unlocked()), "to": RICH, "value": format!("{value:#x}")}]);
        result(fixture.addr, "eth_sendTransaction", transaction)
    };
    let hashes = join_all((1..=8).map(send)).await;
    let mut nonces: Vec<_> = hashes.iter().map(|hash| sent(&fixture, hash).tx().nonce()).collect();
    nonces.sort_unstable();
    assert_eq!(nonces, (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn refusals_in_geths_words() {
    let fixture = Fixture::start().await;
    let from = address_of(&unlocked());
    for (transaction, message) in [
        (json!({"from": ABSENT, "to": RICH}), "unknown account"),
        (json!({"to": RICH}), "unknown account"),
        (json!({"from": from}), "contract creation without any data provided"),
        (
            json!({"from": from, "to": RICH, "gasPrice": "0x1", "maxFeePerGas": "0x1"}),
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ),
        (
            json!({"from": from, "to": RICH, "maxFeePerGas": "0x1"}),
            "maxFeePerGas and maxPriorityFeePerGas are not valid before London is active",
        ),
        (json!({"from": from, "to": RICH, "chainId": "0x1"}), "chainId does not match node's (have=1, want=1337)"),
        (json!({"from": from, "to": RICH, "blobs": []}), "\"blobs\" is not supported for this RPC method"),
        (
            json!({"from": from, "to": RICH, "blobVersionedHashes": [B256::ZERO]}),
            "signing blob transactions not supported",
        ),
        (json!({"from": from, "to": RICH, "nonce": "0x63"}), "replacement transaction underpriced"),
        (
            json!({"from": from, "to": RICH, "gas": "0x5208", "gasPrice": "0x38d7ea4c68000"}),
            "tx fee (21.00 ether) exceeds the configured cap (1.00 ether)",
        ),
    ] {
        let refused = error(fixture.addr, "eth_sendTransaction", json!([transaction])).await;
        assert_eq!(refused, (-32000, message.to_owned()), "{transaction}");
    }
    let refused = error(fixture.addr, "eth_sendTransaction", json!([{"from": from, "gas": "21000"}])).await;
    assert_eq!(refused, (-32602, "invalid argument 0: gas: hex string without 0x prefix".to_owned()));
    // Nothing that was refused has taken a nonce.
    let hash = result(fixture.addr, "eth_sendTransaction", json!([{"from": from, "to": RICH}])).await;
    assert_eq!(sent(&fixture, &hash).tx().nonce(), 0);
}

#[tokio::test]
async fn signed_and_not_sent() {
    let fixture = Fixture::start().await;
    let from = address_of(&unlocked());
    let transaction = json!({"from": from, "to": RICH, "gas": "0x5208", "nonce": "0x3", "gasPrice": "0x9"});
    let signed = result(fixture.addr, "eth_signTransaction", json!([transaction])).await;
    let raw: Bytes = hex::decode(signed["raw"].as_str().unwrap()).unwrap().into();
    let tx = PoolTransaction::decode(raw).unwrap();
    assert_eq!((tx.sender(), tx.tx().nonce(), json!(tx.hash())), (from, 3, signed["tx"]["hash"].clone()));
    assert!(fixture.pool.get(&tx.hash()).is_none());
    for (left_out, message) in [
        ("gas", "gas not specified"),
        ("gasPrice", "missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"),
        ("nonce", "nonce not specified"),
        ("from", "unknown account"),
    ] {
        let mut transaction = transaction.clone();
        transaction.as_object_mut().unwrap().remove(left_out);
        let refused = error(fixture.addr, "eth_signTransaction", json!([transaction])).await;
        assert_eq!(refused, (-32000, message.to_owned()), "{left_out}");
    }
}

#[tokio::test]
async fn messages_and_typed_data() {
    let fixture = Fixture::start().await;
    let from = address_of(&unlocked());
    let signer = |signature: &Value, hash: &B256| {
        let signature = Signature::from_raw(&hex::decode(signature.as_str().unwrap()).unwrap()).unwrap();
        signature.recover_address_from_prehash(hash).unwrap()
    };
    let text = eip191_hash_message(b"hello");
    let signature = result(fixture.addr, "eth_sign", json!([from, "0x68656c6c6f"])).await;
    assert_eq!(signer(&signature, &text), from);
    assert_eq!(result(fixture.addr, "personal_sign", json!(["0x68656c6c6f", from])).await, signature);
    assert_eq!(result(fixture.addr, "personal_ecRecover", json!(["0x68656c6c6f", signature])).await, json!(from));

    let data = json!({
        "types": {"EIP712Domain": [{"name": "name", "type": "string"}], "Yes": [{"name": "yes", "type": "bool"}]},
        "primaryType": "Yes", "domain": {"name": "test"}, "message": {"yes": true}
    });
    let signature = result(fixture.addr, "eth_signTypedData_v4", json!([from, data])).await;
    let in_a_string = result(fixture.addr, "eth_signTypedData_v4", json!([from, data.to_string()])).await;
    assert_eq!(signature, in_a_string);
    let hash = rushlight_keystore::TypedData::parse(&data.to_string()).unwrap().signing_hash().unwrap();
    assert_eq!(signer(&signature, &hash), from);

    for (method, params, code, message) in [
        ("eth_sign", json!([ABSENT, "0x"]), -32000, "unknown account"),
        ("eth_sign", json!([from]), -32602, "missing value for required argument 1"),
        ("eth_signTypedData_v4", json!([ABSENT, data]), -32000, "unknown account"),
        (
            "eth_signTypedData_v4",
            json!([from, {"types": {}, "primaryType": "Yes", "domain": {}, "message": {}}]),
            -32602,
            "invalid argument 1: domain is undefined",
        ),
        (
            "personal_ecRecover",
            json!(["0x", "0x12"]),
            -32602,
            "invalid argument 1: signature must be 65 bytes long, got 1",
        ),
        (
            "personal_ecRecover",
            json!(["0x", Bytes::from(vec![1; 65])]),
            -32000,
            "invalid Ethereum signature (V is not 27 or 28)",
        ),
    ] {
        let refused = error(fixture.addr, method, params.clone()).await;
        assert_eq!(refused, (code, message.to_owned()), "{method} {params}");
    }
    // No key file has this address: only its key is here.
    assert_eq!(call(fixture.addr, "eth_accounts", json!([])).await["result"], json!(Vec::<Address>::new()));
    assert_ne!(address_of(&key(1)), from);
}
