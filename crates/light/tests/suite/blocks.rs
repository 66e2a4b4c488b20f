//! Blocks with their bodies: transactions of every type with their senders, uncles, sizes.

use alloy_consensus::{
    EthereumTxEnvelope, SignableTransaction, Transaction, TxEip1559, TxEip2930, TxEip4844Variant, TxLegacy,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, keccak256};
use rushlight_chain::{SealedHeader, block::Body, header, testing::ToyMiner};
use rushlight_light::ClientError;
use secp256k1::{Message, PublicKey, SecretKey};

use crate::common::{MapSource, client_over, extend, mine, open_chain, spec};

fn key() -> SecretKey {
    SecretKey::from_byte_array([7; 32]).unwrap()
}

fn sender() -> Address {
    let public = PublicKey::from_secret_key_global(&key()).serialize_uncompressed();
    Address::from_slice(&keccak256(&public[1..])[12..])
}

fn signed<T: SignableTransaction<Signature>>(tx: T) -> alloy_consensus::Signed<T> {
    let message = Message::from_digest(tx.signature_hash().0);
    let (id, compact) = secp256k1::global::SECP256K1.sign_ecdsa_recoverable(message, &key()).serialize_compact();
    let parity = i32::from(id) & 1 == 1;
    tx.into_signed(Signature::from_bytes_and_parity(&compact, parity))
}

fn transactions() -> Vec<Bytes> {
    let to = TxKind::Call(Address::repeat_byte(3));
    let legacy =
        |chain_id, nonce| TxLegacy { chain_id, nonce, gas_price: 5, gas_limit: 21_000, to, ..Default::default() };
    let envelopes: Vec<EthereumTxEnvelope<TxEip4844Variant>> = vec![
        signed(legacy(None, 0)).into(),
        signed(legacy(Some(1337), 1)).into(),
        signed(TxEip2930 { chain_id: 1337, nonce: 2, to, ..Default::default() }).into(),
        signed(TxEip1559 { chain_id: 1337, nonce: 3, to, value: U256::from(9), ..Default::default() }).into(),
    ];
    envelopes.iter().map(|tx| tx.encoded_2718().into()).collect()
}

fn block_with(body: Body) -> (rushlight_light::LightClient, SealedHeader, usize) {
    let chain = open_chain();
    let miner = ToyMiner::new((*spec()).clone());
    let (header, block) = mine(&miner, &spec().genesis, spec().genesis.state_root, &body);
    extend(&chain, &[&header]);
    let source = MapSource { bodies: [(header.hash(), body)].into(), ..Default::default() };
    (client_over(chain, source), header, block.encode().len())
}

#[tokio::test]
async fn every_type_with_its_sender() {
    let uncle = ToyMiner::new((*spec()).clone()).for_beneficiary(sender()).header(&spec().genesis);
    let body = Body { transactions: transactions(), uncles: vec![header::encode(&uncle)], withdrawals: None };
    let (client, header, size) = block_with(body);
    let block = client.block(&header).await.unwrap();
    assert_eq!(block.transactions.len(), 4);
    for (nonce, tx) in (0u64..).zip(&block.transactions) {
        assert_eq!((tx.signer(), tx.nonce()), (sender(), nonce));
        assert_eq!(*tx.tx_hash(), keccak256(&transactions()[nonce as usize]));
    }
    assert_eq!(block.uncles, [uncle]);
    assert_eq!(block.size, size as u64);
    assert_eq!(block.td, Some(header.difficulty + spec().genesis.difficulty));
    assert_eq!(block.header, header);
}

/// Before EIP-2 a signature with a high `s` counted, and such transactions stand in the chain.
#[tokio::test]
async fn a_high_s_has_a_sender_too() {
    let tx = TxLegacy { gas_limit: 21_000, to: TxKind::Call(Address::ZERO), ..Default::default() };
    let low = *signed(tx.clone()).signature();
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
    let high = Signature::new(low.r(), order - low.s(), !low.v());
    let envelope: EthereumTxEnvelope<TxEip4844Variant> = tx.into_signed(high).into();
    let body = Body { transactions: vec![envelope.encoded_2718().into()], ..Body::default() };
    let (client, header, _) = block_with(body);
    assert_eq!(client.block(&header).await.unwrap().transactions[0].signer(), sender());
}

#[tokio::test]
async fn nonsense_under_a_true_root_is_an_error() {
    let body = Body { transactions: vec![Bytes::from_static(&[0xc0])], ..Body::default() };
    let (client, header, _) = block_with(body);
    let error = client.block(&header).await.unwrap_err();
    assert!(matches!(&error, ClientError::Malformed { what, .. } if what == "a transaction of block 1"), "{error}");
}
