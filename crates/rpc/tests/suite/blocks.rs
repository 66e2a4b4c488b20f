//! Blocks, transactions and uncles: every field, in the specification's shape.

use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{B256, Bytes, U256};
use serde_json::{Value, json};

use crate::{
    fixture::{CONTRACT, Fixture, RICH, address_of, key, transactions},
    http::{error, result},
};

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> =
        object.as_object().unwrap_or_else(|| panic!("{object}")).keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

const HEADER: [&str; 17] = [
    "difficulty",
    "extraData",
    "gasLimit",
    "gasUsed",
    "hash",
    "logsBloom",
    "miner",
    "mixHash",
    "nonce",
    "number",
    "parentHash",
    "receiptsRoot",
    "sha3Uncles",
    "size",
    "stateRoot",
    "timestamp",
    "transactionsRoot",
];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    let mut keys = [HEADER.as_slice(), more].concat();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_block_without_transactions_in_full() {
    let fixture = Fixture::start().await;
    let block = result(fixture.addr, "eth_getBlockByNumber", json!(["0x1", false])).await;
    let header = &fixture.headers[1];
    let td = fixture.headers[..2].iter().map(|header| header.difficulty).sum::<U256>();
    assert_eq!(
        block,
        json!({
            "number": "0x1",
            "hash": header.hash(),
            "parentHash": fixture.headers[0].hash(),
            "nonce": "0x0000000000000000",
            "mixHash": header.mix_hash,
            "sha3Uncles": EMPTY_OMMER_ROOT_HASH,
            "logsBloom": format!("0x{}", "00".repeat(256)),
            "transactionsRoot": EMPTY_ROOT_HASH,
            "stateRoot": header.state_root,
            "receiptsRoot": EMPTY_ROOT_HASH,
            "miner": "0x0000000000000000000000000000000000000000",
            "difficulty": format!("{:#x}", header.difficulty),
            "totalDifficulty": format!("{td:#x}"),
            "extraData": "0x",
            "size": format!("{:#x}", alloy_rlp::encode(header.inner()).len() + 5),
            "gasLimit": format!("{:#x}", header.gas_limit),
            "gasUsed": "0x0",
            "timestamp": format!("{:#x}", header.timestamp),
            "transactions": [],
            "uncles": [],
        })
    );
    assert_eq!(result(fixture.addr, "eth_getBlockByHash", json!([header.hash(), true])).await, block);
}

#[tokio::test]
async fn transactions_as_hashes_and_in_full() {
    let fixture = Fixture::start().await;
    let hashes = result(fixture.addr, "eth_getBlockByNumber", json!(["0x2", false])).await;
    let expected: Vec<_> = transactions().iter().map(|tx| json!(tx.tx_hash())).collect();
    assert_eq!(hashes["transactions"], json!(expected));
    let full = result(fixture.addr, "eth_getBlockByNumber", json!(["0x2", true])).await;
    assert_eq!(full["hash"], hashes["hash"]);
    assert_eq!(full["size"], hashes["size"]);
    let full = full["transactions"].as_array().unwrap();
    assert_eq!(full.len(), 4);
    for (index, tx) in full.iter().enumerate() {
        let at = format!("{index:#x}");
        let by_number = json!(["0x2", at]);
        assert_eq!(result(fixture.addr, "eth_getTransactionByBlockNumberAndIndex", by_number).await, *tx);
        let by_hash = json!([fixture.headers[2].hash(), at]);
        assert_eq!(result(fixture.addr, "eth_getTransactionByBlockHashAndIndex", by_hash.clone()).await, *tx);
        let raw = json!(Bytes::from(transactions()[index].encoded_2718()));
        assert_eq!(result(fixture.addr, "eth_getRawTransactionByBlockHashAndIndex", by_hash).await, raw);
    }
}

/// What a header says stands in its block too; nothing is downloaded for it.
#[tokio::test]
async fn headers_by_themselves() {
    let fixture = Fixture::start().await;
    let hash = fixture.headers[2].hash();
    let header = result(fixture.addr, "eth_getHeaderByNumber", json!(["0x2"])).await;
    assert_eq!(header["hash"], json!(hash));
    assert_eq!(result(fixture.addr, "eth_getHeaderByHash", json!([hash])).await, header);
    let mut block = result(fixture.addr, "eth_getBlockByHash", json!([hash, false])).await;
    let block = block.as_object_mut().unwrap();
    for more in ["size", "totalDifficulty", "transactions", "uncles"] {
        block.remove(more);
    }
    assert_eq!(header, json!(block));
    assert_eq!(result(fixture.addr, "eth_getHeaderByNumber", json!(["0x9"])).await, json!(null));
    assert_eq!(result(fixture.addr, "eth_getHeaderByHash", json!([B256::ZERO])).await, json!(null));
    for place in [json!(["0x2", "0x9"]), json!(["0x9", "0x0"])] {
        assert_eq!(result(fixture.addr, "eth_getRawTransactionByBlockNumberAndIndex", place).await, json!("0x"));
    }
}

#[tokio::test]
async fn every_kind_of_transaction() {
    let fixture = Fixture::start().await;
    let header = &fixture.headers[2];
    let txs = transactions();
    let mut expected: Vec<Value> = Vec::new();
    for (index, tx) in txs.iter().enumerate() {
        let signature = tx.signature();
        expected.push(json!({
            "blockHash": header.hash(),
            "blockNumber": "0x2",
            "blockTimestamp": format!("{:#x}", header.timestamp),
            "transactionIndex": format!("{index:#x}"),
            "hash": tx.tx_hash(),
            "r": format!("{:#x}", signature.r()),
            "s": format!("{:#x}", signature.s()),
        }));
    }
    let parity = |index: usize| u64::from(txs[index].signature().v());
    let list = json!([{ "address": CONTRACT, "storageKeys": [B256::with_last_byte(1)] }]);
    let (first, second) = (address_of(&key(1)), address_of(&key(2)));
    let more = [
        json!({
            "type": "0x0", "nonce": "0x0", "gasPrice": "0x32", "gas": "0xea60", "to": null, "value": "0x0",
            "input": "0x60006000f3", "from": first, "v": format!("{:#x}", 27 + parity(0)),
        }),
        json!({
            "type": "0x0", "chainId": "0x539", "nonce": "0x1", "gasPrice": "0x33", "gas": "0x5208", "to": RICH,
            "value": "0x9", "input": "0x", "from": first, "v": format!("{:#x}", 35 + 2 * 1337 + parity(1)),
        }),
        json!({
            "type": "0x1", "chainId": "0x539", "nonce": "0x2", "gasPrice": "0x34", "gas": "0x7530", "to": RICH,
            "value": "0x1", "input": "0x0102", "from": first, "accessList": list,
            "v": format!("{:#x}", parity(2)), "yParity": format!("{:#x}", parity(2)),
        }),
        json!({
            "type": "0x2", "chainId": "0x539", "nonce": "0x0", "gas": "0x7530", "to": RICH, "value": "0x0",
            "input": "0x0102", "from": second, "accessList": list, "maxFeePerGas": "0x64",
            // The toy chain has no base fee; then the price is what is offered at most.
            "maxPriorityFeePerGas": "0x3", "gasPrice": "0x64",
            "v": format!("{:#x}", parity(3)), "yParity": format!("{:#x}", parity(3)),
        }),
    ];
    for (index, more) in more.into_iter().enumerate() {
        let mut expected = expected[index].as_object().unwrap().clone();
        expected.extend(more.as_object().unwrap().clone());
        let at = json!(["0x2", format!("{index:#x}")]);
        let tx = result(fixture.addr, "eth_getTransactionByBlockNumberAndIndex", at).await;
        assert_eq!(tx, Value::Object(expected), "transaction {index}");
    }
}

#[tokio::test]
async fn uncles() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let block = result(addr, "eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["uncles"], json!([fixture.uncle.hash()]));
    assert_eq!(keys(&block), with(&["totalDifficulty", "transactions", "uncles"]));
    let uncle = result(addr, "eth_getUncleByBlockNumberAndIndex", json!(["0x3", "0x0"])).await;
    assert_eq!(keys(&uncle), with(&["uncles"]), "neither transactions nor a total difficulty");
    assert_eq!(uncle["hash"], json!(fixture.uncle.hash()));
    assert_eq!(uncle["miner"], json!(fixture.uncle.beneficiary));
    assert_eq!(uncle["uncles"], json!([]));
    let hash = fixture.headers[3].hash();
    assert_eq!(result(addr, "eth_getUncleByBlockHashAndIndex", json!([hash, "0x0"])).await, uncle);
    assert_eq!(result(addr, "eth_getUncleByBlockHashAndIndex", json!([hash, "0x1"])).await, Value::Null);
    assert_eq!(result(addr, "eth_getUncleCountByBlockHash", json!([hash])).await, json!("0x1"));
    assert_eq!(result(addr, "eth_getUncleCountByBlockNumber", json!(["0x1"])).await, json!("0x0"));
}

#[tokio::test]
async fn counts_indexes_and_blocks_that_are_not_there() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let (hash, unknown) = (fixture.headers[2].hash(), B256::repeat_byte(5));
    assert_eq!(result(addr, "eth_getBlockTransactionCountByNumber", json!(["0x2"])).await, json!("0x4"));
    assert_eq!(result(addr, "eth_getBlockTransactionCountByHash", json!([hash])).await, json!("0x4"));
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x4", false])),
        ("eth_getBlockByHash", json!([unknown, false])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x99"])),
        ("eth_getBlockTransactionCountByHash", json!([unknown])),
        ("eth_getUncleCountByBlockNumber", json!(["0x99"])),
        ("eth_getUncleCountByBlockHash", json!([unknown])),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x99", "0x0"])),
        ("eth_getUncleByBlockHashAndIndex", json!([unknown, "0x0"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x2", "0x4"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x2", "0xffffffffffffffff"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([unknown, "0x0"])),
    ] {
        assert_eq!(result(addr, method, params.clone()).await, Value::Null, "{method} {params}");
    }
}

#[tokio::test]
async fn tags() {
    let fixture = Fixture::start().await;
    let number = |tag: &'static str| {
        let addr = fixture.addr;
        async move { result(addr, "eth_getBlockByNumber", json!([tag, false])).await["number"].clone() }
    };
    assert_eq!(number("latest").await, "0x3");
    assert_eq!(number("pending").await, "0x3");
    assert_eq!(number("earliest").await, "0x0");
    for tag in ["safe", "finalized"] {
        let (code, message) = error(fixture.addr, "eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!((code, message), (-32000, format!("{tag} block not found")));
    }
    let branch = result(fixture.addr, "eth_getBlockByHash", json!([fixture.branch.hash(), false])).await;
    assert_eq!(branch["number"], "0x1", "a block beside the chain is known by its hash");
}
