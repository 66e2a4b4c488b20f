//! Transactions into the pool and what it tells of them, in geth's shapes; before a pool that takes what it is given.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use alloy_consensus::{Transaction, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use rushlight_chain::{
    pool::{BoxFuture, ByNonce, Content, Included, PoolError, PoolTransaction, SubmitError, Tracked, TransactionPool},
    testing::signed,
};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, RICH, address_of, key, transactions},
    http::{call, error, result},
};

/// Takes everything but a nonce of 99, which it refuses, and of 98, whose account it cannot prove. What has a nonce from 10
/// on is queued.
#[derive(Default)]
pub(crate) struct TestPool {
    held: Mutex<BTreeMap<Address, ByNonce>>,
    /// Where a transaction was found.
    pub(crate) places: Mutex<BTreeMap<B256, Included>>,
}

impl TransactionPool for TestPool {
    fn submit(&self, raw: Bytes) -> BoxFuture<'_, Result<B256, SubmitError>> {
        Box::pin(async move {
            let tx = PoolTransaction::decode(raw)?;
            match tx.tx().nonce() {
                99 => Err(PoolError::ReplacementUnderpriced.into()),
                98 => {
                    let data = Some(json!({ "missing": [] }));
                    Err(SubmitError::Unproven { message: "no peer can prove it".to_owned(), data })
                }
                nonce => {
                    let hash = tx.hash();
                    self.held.lock().unwrap().entry(tx.sender()).or_default().insert(nonce, Arc::new(tx));
                    Ok(hash)
                }
            }
        })
    }

    fn get(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        let held = self.held.lock().unwrap();
        held.values().flat_map(BTreeMap::values).find(|tx| tx.hash() == *hash).cloned()
    }

    fn tracked(&self, hash: &B256) -> Option<Tracked> {
        let included = self.places.lock().unwrap().get(hash).copied();
        let queued = self.get(hash).is_some_and(|tx| tx.tx().nonce() >= 10);
        let known = included.is_some() || self.get(hash).is_some();
        known.then_some(Tracked { sent: 3, heard: 2, included, queued })
    }

    fn content(&self) -> Content {
        let mut content = Content::default();
        for (sender, of_sender) in &*self.held.lock().unwrap() {
            let mut pending = of_sender.clone();
            let queued = pending.split_off(&10);
            let parts = [(pending, &mut content.pending), (queued, &mut content.queued)];
            parts.into_iter().filter(|(of, _)| !of.is_empty()).for_each(|(of, into)| drop(into.insert(*sender, of)));
        }
        content
    }

    fn next_nonce(&self, sender: &Address) -> Option<u64> {
        let content = self.content();
        content.pending.get(sender)?.last_key_value().map(|(nonce, _)| nonce + 1)
    }
}

fn legacy(nonce: u64, gas_price: u128, chain_id: Option<u64>) -> PoolTransaction {
    let to = TxKind::Call(RICH);
    signed(
        &key(1),
        TxLegacy { chain_id, nonce, gas_price, gas_limit: 21_000, to, value: U256::from(5), ..TxLegacy::default() },
    )
}

fn raw(tx: &PoolTransaction) -> Value {
    json!([tx.raw()])
}

#[tokio::test]
async fn what_is_sent_is_pending_in_every_view() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let first = legacy(3, 100, Some(1337));
    let creation = signed(
        &key(1),
        TxEip1559 {
            chain_id: 1337,
            nonce: 10,
            gas_limit: 60_000,
            max_fee_per_gas: 70,
            max_priority_fee_per_gas: 3,
            to: TxKind::Create,
            input: Bytes::from_static(&[1]),
            ..TxEip1559::default()
        },
    );
    for tx in [&first, &creation] {
        assert_eq!(result(addr, "eth_sendRawTransaction", raw(tx)).await, json!(tx.hash()));
    }
    let sender = address_of(&key(1));
    let signature = first.tx().signature();
    let shape = json!({
        "blockHash": null, "blockNumber": null, "blockTimestamp": null, "transactionIndex": null,
        "type": "0x0", "chainId": "0x539", "nonce": "0x3", "gasPrice": "0x64", "gas": "0x5208", "to": RICH, "value": "0x5",
        "input": "0x", "from": sender, "hash": first.hash(),
        "v": format!("{:#x}", 35 + 2 * 1337 + u64::from(signature.v())),
        "r": format!("{:#x}", signature.r()), "s": format!("{:#x}", signature.s()),
    });
    assert_eq!(result(addr, "eth_getTransactionByHash", json!([first.hash()])).await, shape);
    assert_eq!(result(addr, "eth_getRawTransactionByHash", json!([first.hash()])).await, json!(first.raw()));
    assert_eq!(result(addr, "eth_getTransactionReceipt", json!([first.hash()])).await, Value::Null);
    assert_eq!(result(addr, "eth_pendingTransactions", json!([])).await, json!([shape]));
    let dynamic = result(addr, "eth_getTransactionByHash", json!([creation.hash()])).await;
    assert_eq!((&dynamic["gasPrice"], &dynamic["to"]), (&json!("0x46"), &Value::Null), "the most that it would pay");

    let of = sender.to_checksum(None);
    assert_eq!(result(addr, "txpool_status", json!([])).await, json!({ "pending": "0x1", "queued": "0x1" }));
    let content = json!({ "pending": { &of: { "3": shape } }, "queued": { &of: { "10": dynamic } } });
    assert_eq!(result(addr, "txpool_content", json!([])).await, content);
    let from = json!({ "pending": { "3": shape }, "queued": { "10": dynamic } });
    assert_eq!(result(addr, "txpool_contentFrom", json!([sender])).await, from);
    assert_eq!(result(addr, "txpool_contentFrom", json!([RICH])).await, json!({ "pending": {}, "queued": {} }));
    let lines = json!({
        "pending": { &of: { "3": format!("{}: 5 wei + 21000 gas × 100 wei", RICH.to_checksum(None)) } },
        "queued": { &of: { "10": "contract creation: 0 wei + 60000 gas × 70 wei" } },
    });
    assert_eq!(result(addr, "txpool_inspect", json!([])).await, lines);

    let count = |tag: &'static str| result(addr, "eth_getTransactionCount", json!([sender, tag]));
    assert_eq!((count("latest").await, count("pending").await), (json!("0x0"), json!("0x4")));
    let status = |hash: B256| result(addr, "rushlight_transactionStatus", json!([hash]));
    let expected = json!({ "hash": first.hash(), "status": "pending", "sent": "0x3", "heard": "0x2", "block": null });
    assert_eq!(status(first.hash()).await, expected);
    assert_eq!(status(creation.hash()).await["status"], "queued");
    assert_eq!(status(B256::ZERO).await, Value::Null);
}

/// The pool's word for the place is not proof: the block is read.
#[tokio::test]
async fn where_a_transaction_stands_with_what_proves_it() {
    let fixture = Fixture::start().await;
    let (addr, header) = (fixture.addr, &fixture.headers[2]);
    let hash = *transactions()[1].tx_hash();
    let status = result(addr, "rushlight_transactionStatus", json!([hash])).await;
    assert_eq!(
        (&status["status"], &status["sent"], &status["heard"]),
        (&json!("included"), &json!("0x0"), &json!("0x0"))
    );
    let block = &status["block"];
    assert_eq!((&block["hash"], &block["number"]), (&json!(header.hash()), &json!("0x2")));
    assert_eq!((&block["index"], &block["depth"], &block["key"]), (&json!("0x1"), &json!("0x1"), &json!("0x01")));
    for (root, proof, leaf) in [
        (header.transactions_root, "transactionProof", transactions()[1].encoded_2718()),
        (header.receipts_root, "receiptProof", crate::fixture::receipts()[1].encoded_2718()),
    ] {
        let nodes: Vec<Bytes> = serde_json::from_value(block[proof].clone()).unwrap();
        let path = alloy_trie::Nibbles::unpack(alloy_rlp::encode(1_u64));
        alloy_trie::proof::verify_proof(root, path, Some(leaf), &nodes).unwrap();
    }
    // What the pool says of a block that does not hold it, or is not on the chain, changes nothing.
    let ours = legacy(0, 100, Some(1337));
    result(addr, "eth_sendRawTransaction", raw(&ours)).await;
    for (block, number) in [(header.hash(), 2), (fixture.branch.hash(), 1), (B256::repeat_byte(1), 2)] {
        fixture.pool.places.lock().unwrap().insert(ours.hash(), Included { block, number, index: 0 });
        let shown = result(addr, "eth_getTransactionByHash", json!([ours.hash()])).await;
        assert_eq!(shown["blockHash"], Value::Null);
        assert_eq!(result(addr, "eth_getTransactionReceipt", json!([ours.hash()])).await, Value::Null);
    }
}

#[tokio::test]
async fn refusals_have_geths_words_and_its_one_code() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    for (tx, why) in [
        (legacy(99, 100, Some(1337)), "replacement transaction underpriced"),
        (legacy(0, 100, None), "only replay-protected (EIP-155) transactions allowed over RPC"),
        (legacy(0, 50_000_000_000_000, Some(1337)), "tx fee (1.05 ether) exceeds the configured cap (1.00 ether)"),
    ] {
        assert_eq!(error(addr, "eth_sendRawTransaction", raw(&tx)).await, (-32000, why.to_owned()));
    }
    let unproven = call(addr, "eth_sendRawTransaction", raw(&legacy(98, 100, Some(1337)))).await;
    let expected = json!({ "code": -32000, "message": "no peer can prove it", "data": { "missing": [] } });
    assert_eq!(unproven["error"], expected);
    let (code, _) = error(addr, "eth_sendRawTransaction", json!(["0xc0"])).await;
    assert_eq!(code, -32000);
    let (code, _) = error(addr, "eth_sendRawTransaction", json!(["c0"])).await;
    assert_eq!(code, -32602);
    assert_eq!(result(addr, "txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
}
