//! Transactions by their hash, and receipts, in geth's shapes.

use alloy_consensus::TxReceipt;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use serde_json::{Value, json};

use crate::{
    fixture::{CONTRACT, Fixture, RICH, address_of, beside, key, receipts, transactions},
    http::{error, result},
};

/// What every log of block 2 has, whichever it is.
fn log(fixture: &Fixture, transaction: usize, index: u64, byte: u8) -> Value {
    let header = &fixture.headers[2];
    json!({
        "address": CONTRACT,
        "topics": [B256::repeat_byte(byte)],
        "data": Bytes::from(vec![byte]),
        "blockHash": header.hash(),
        "blockNumber": "0x2",
        "blockTimestamp": format!("{:#x}", header.timestamp),
        "transactionHash": transactions()[transaction].tx_hash(),
        "transactionIndex": format!("{transaction:#x}"),
        "logIndex": format!("{index:#x}"),
        "removed": false,
    })
}

fn expected(fixture: &Fixture) -> Vec<Value> {
    let (first, second) = (address_of(&key(1)), address_of(&key(2)));
    let more = [
        json!({
            "type": "0x0", "root": B256::repeat_byte(6), "gasUsed": "0xcf08", "effectiveGasPrice": "0x32", "from": first,
            "to": null, "contractAddress": first.create(0), "logs": [],
        }),
        json!({
            "type": "0x0", "status": "0x0", "gasUsed": "0x5208", "effectiveGasPrice": "0x33", "from": first, "to": RICH,
            "contractAddress": null, "logs": [],
        }),
        json!({
            "type": "0x1", "status": "0x1", "gasUsed": "0x6590", "effectiveGasPrice": "0x34", "from": first, "to": RICH,
            "contractAddress": null, "logs": [log(fixture, 2, 0, 1), log(fixture, 2, 1, 2)],
        }),
        json!({
            "type": "0x2", "status": "0x1", "gasUsed": "0x61a8", "effectiveGasPrice": "0x64", "from": second, "to": RICH,
            "contractAddress": null, "logs": [log(fixture, 3, 2, 3)],
        }),
    ];
    let all = more.into_iter().zip(transactions()).zip(receipts()).enumerate();
    all.map(|(index, ((mut fields, tx), receipt))| {
        let common = json!({
            "blockHash": fixture.headers[2].hash(),
            "blockNumber": "0x2",
            "transactionHash": tx.tx_hash(),
            "transactionIndex": format!("{index:#x}"),
            "cumulativeGasUsed": format!("{:#x}", receipt.cumulative_gas_used()),
            "logsBloom": receipt.bloom(),
        });
        fields.as_object_mut().unwrap().extend(common.as_object().unwrap().clone());
        fields
    })
    .collect()
}

#[tokio::test]
async fn every_field_of_every_kind() {
    let fixture = Fixture::start().await;
    let expected = expected(&fixture);
    for (tx, expected) in transactions().iter().zip(&expected) {
        let receipt = result(fixture.addr, "eth_getTransactionReceipt", json!([tx.tx_hash()])).await;
        assert_eq!(receipt, *expected);
    }
    let hash = fixture.headers[2].hash();
    for block in [json!("0x2"), json!(hash), json!({ "blockHash": hash, "requireCanonical": true })] {
        assert_eq!(result(fixture.addr, "eth_getBlockReceipts", json!([block])).await, json!(expected), "{block}");
    }
}

#[tokio::test]
async fn transactions_by_hash_are_those_of_their_block() {
    let fixture = Fixture::start().await;
    for (index, tx) in transactions().iter().enumerate() {
        let at = json!(["0x2", format!("{index:#x}")]);
        let of_block = result(fixture.addr, "eth_getTransactionByBlockNumberAndIndex", at).await;
        assert_eq!(result(fixture.addr, "eth_getTransactionByHash", json!([tx.tx_hash()])).await, of_block);
        let raw = result(fixture.addr, "eth_getRawTransactionByHash", json!([tx.tx_hash()])).await;
        assert_eq!(raw, json!(Bytes::from(tx.encoded_2718())));
    }
}

#[tokio::test]
async fn what_is_not_known_here_is_null() {
    let fixture = Fixture::start().await;
    // Held is a block with it, but that one is not on the chain.
    for hash in [B256::repeat_byte(5), *beside().tx_hash()] {
        for method in ["eth_getTransactionByHash", "eth_getRawTransactionByHash", "eth_getTransactionReceipt"] {
            assert_eq!(result(fixture.addr, method, json!([hash])).await, Value::Null, "{method} {hash}");
        }
    }
    for block in [json!("0x99"), json!(B256::repeat_byte(5))] {
        assert_eq!(result(fixture.addr, "eth_getBlockReceipts", json!([block])).await, Value::Null, "{block}");
    }
    for empty in ["0x0", "0x1"] {
        assert_eq!(result(fixture.addr, "eth_getBlockReceipts", json!([empty])).await, json!([]));
    }
    let refused = error(fixture.addr, "eth_getTransactionReceipt", json!(["0x12"])).await;
    assert_eq!(refused, (-32602, "invalid argument 0: hex string has length 2, want 64".to_owned()));
}

/// The block beside the chain says that it has a transaction and no receipts.
#[tokio::test]
async fn receipts_that_do_not_fit_their_block_are_an_error() {
    let fixture = Fixture::start().await;
    let (code, message) = error(fixture.addr, "eth_getBlockReceipts", json!([fixture.branch.hash()])).await;
    assert_eq!(code, -32000);
    assert_eq!(message, "the receipt trie of block 1 is malformed: it has 0 entries for 1 transactions");
}
