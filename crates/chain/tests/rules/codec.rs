//! Headers, blocks and bodies to bytes and back, strictly.

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use proptest::collection::vec;
use proptest::prelude::*;
use rushlight_chain::{Body, DecodeError, RawBlock, header, seal_hash};

use super::mainnet;

fn headers() -> impl Strategy<Value = Header> {
    let hashes = any::<([u8; 32], [u8; 32], [u8; 20], [u8; 32], [u8; 8])>();
    let numbers = any::<(u64, u64, u64, u64, [u64; 4])>();
    (hashes, numbers, vec(any::<u8>(), 0..120), proptest::option::of(any::<u64>())).prop_map(
        |((parent, root, beneficiary, mix, nonce), (number, limit, used, time, difficulty), extra, fee)| Header {
            parent_hash: parent.into(),
            state_root: root.into(),
            beneficiary: beneficiary.into(),
            mix_hash: mix.into(),
            nonce: nonce.into(),
            number,
            gas_limit: limit,
            gas_used: used,
            timestamp: time,
            difficulty: U256::from_limbs(difficulty),
            extra_data: extra.into(),
            base_fee_per_gas: fee,
            ..Header::default()
        },
    )
}

fn transactions() -> impl Strategy<Value = Bytes> {
    let fields = (any::<bool>(), any::<u64>(), any::<[u8; 20]>(), vec(any::<u8>(), 0..80));
    fields.prop_map(|(typed, nonce, to, input)| {
        let to = Address::from(to).into();
        let signature = Signature::new(U256::from(7), U256::from(9), false);
        let encoded = if typed {
            let transaction = TxEip1559 { chain_id: 1, nonce, to, input: input.into(), ..Default::default() };
            transaction.into_signed(signature).encoded_2718()
        } else {
            let transaction = TxLegacy { chain_id: Some(1), nonce, to, input: input.into(), ..Default::default() };
            transaction.into_signed(signature).encoded_2718()
        };
        encoded.into()
    })
}

fn blocks() -> impl Strategy<Value = RawBlock> {
    let withdrawal = any::<[u64; 3]>().prop_map(|[index, validator_index, amount]| {
        let withdrawal = Withdrawal { index, validator_index, address: Address::repeat_byte(1), amount };
        Bytes::from(alloy_rlp::encode(withdrawal))
    });
    let withdrawals = proptest::option::of(vec(withdrawal, 0..4));
    (headers(), vec(transactions(), 0..5), vec(headers(), 0..3), withdrawals).prop_map(
        |(header, transactions, uncles, withdrawals)| RawBlock {
            header: header::encode(&header),
            transactions,
            uncles: uncles.iter().map(header::encode).collect(),
            withdrawals,
        },
    )
}

proptest! {
    #[test]
    fn headers_come_back(header in headers()) {
        let raw = header::encode(&header);
        let decoded = header::decode(&raw).unwrap();
        prop_assert_eq!(decoded.inner(), &header);
        prop_assert_eq!(decoded.hash(), keccak256(&raw));
        prop_assert_eq!(decoded.hash(), header.hash_slow());
        prop_assert_eq!(&header::decode_hashed(decoded.hash(), &raw).unwrap(), &decoded);
        let outline = header::outline(&raw).unwrap();
        prop_assert_eq!(outline.parent_hash, header.parent_hash);
        prop_assert_eq!((outline.number, outline.timestamp), (header.number, header.timestamp));
        prop_assert_eq!(outline.gas_used, header.gas_used);
        prop_assert_eq!(&header::seal(header), &decoded);
    }

    #[test]
    fn an_outline_of_anything_is_an_error_or_nothing_worse(raw in vec(any::<u8>(), 0..600)) {
        let _ = header::outline(&raw);
    }

    #[test]
    fn a_seal_is_over_all_but_itself(header in headers(), mix in any::<[u8; 32]>(), nonce in any::<[u8; 8]>()) {
        let other = Header { mix_hash: mix.into(), nonce: nonce.into(), ..header.clone() };
        prop_assert_eq!(seal_hash(&header), seal_hash(&other));
        let other = Header { number: header.number ^ 1, ..header.clone() };
        prop_assert_ne!(seal_hash(&header), seal_hash(&other));
    }

    #[test]
    fn blocks_come_back(block in blocks()) {
        let raw = block.encode();
        let decoded = RawBlock::decode(&raw).unwrap();
        prop_assert_eq!(&decoded, &block);
        prop_assert_eq!(decoded.hash(), keccak256(&block.header));
        let body = block.body();
        prop_assert_eq!(&Body::decode(&body.encode()).unwrap(), &body);
        prop_assert_eq!(&Body::decode_uncles(&body.uncles_rlp()).unwrap(), &body.uncles);
        let decoded: Vec<Bytes> =
            body.decode_transactions().unwrap().iter().map(|transaction| transaction.encoded_2718().into()).collect();
        prop_assert_eq!(decoded, body.transactions);
    }

    /// Cut, lengthened or with any byte changed: either refused, or the one encoding of what it decodes to.
    #[test]
    fn only_canonical_blocks_are_taken(block in blocks(), place in any::<prop::sample::Index>(), to in any::<u8>()) {
        let raw = block.encode();
        let place = place.index(raw.len());
        prop_assert!(RawBlock::decode(&raw[..place]).is_err());
        let longer = [&raw[..], &[to]].concat();
        prop_assert!(RawBlock::decode(&longer).is_err());
        let mut changed = raw.to_vec();
        changed[place] = to;
        if let Ok(decoded) = RawBlock::decode(&changed) {
            prop_assert_eq!(&decoded.encode()[..], &changed[..]);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..600)) {
        let _ = RawBlock::decode(&bytes);
        let _ = Body::decode(&bytes);
        let _ = Body::decode_uncles(&bytes);
        let _ = header::decode(&bytes);
        let body = Body { transactions: vec![bytes.clone().into()], uncles: vec![bytes.into()], withdrawals: None };
        let _ = body.decode_transactions();
        let _ = body.decode_uncle_headers();
        body.transactions_root();
    }
}

#[test]
fn mainnets_headers_and_bodies_come_back() {
    let Some(blocks) = mainnet::blocks() else { return };
    for block in blocks.iter() {
        assert_eq!(header::encode(&block.header), block.raw.header);
        assert_eq!(block.body.encode(), block.raw.body);
        let whole = RawBlock::from_parts(block.raw.header.clone(), block.body.clone());
        assert_eq!(RawBlock::decode(&whole.encode()).unwrap(), whole);
    }
}

fn list(items: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    RlpHeader { list: true, payload_length: items.iter().map(|item| item.len()).sum() }.encode(&mut out);
    items.iter().for_each(|item| out.extend_from_slice(item));
    out
}

#[test]
fn shapes_that_are_no_block() {
    let header = header::encode(&Header::default());
    let empty = list(&[]);
    let decode = |raw: &[u8]| RawBlock::decode(raw).unwrap_err();
    assert!(matches!(decode(&list(&[&header, &empty])), DecodeError::Items { expected: 3, got: 2, .. }));
    let five = list(&[&header, &empty, &empty, &empty, &empty]);
    assert!(matches!(decode(&five), DecodeError::Items { expected: 3, got: 5, .. }));
    // The fourth item of Shanghai: a list of lists.
    let with = |withdrawals: &[u8]| list(&[&header, &empty, &empty, withdrawals]);
    assert_eq!(RawBlock::decode(&with(&empty)).unwrap().withdrawals, Some(vec![]));
    assert!(matches!(decode(&with(&[0x80])), DecodeError::Rlp { what: "withdrawals", .. }));
    assert!(matches!(decode(&with(&list(&[&[1]]))), DecodeError::Rlp { what: "withdrawal", .. }));
    assert!(matches!(decode(&list(&[&[0x80], &empty, &empty])), DecodeError::Rlp { what: "header", .. }));
    assert!(matches!(decode(&list(&[&header, &[0x80], &empty])), DecodeError::Rlp { what: "transactions", .. }));
    assert!(matches!(decode(&list(&[&header, &empty, &list(&[&[1]])])), DecodeError::Rlp { what: "uncle", .. }));
    for transaction in [&[0x80][..], &[0x81, 0x80], &[0x82, 0xc0, 0x01]] {
        let block = list(&[&header, &list(&[transaction]), &empty]);
        assert!(matches!(decode(&block), DecodeError::Transaction { index: 0, .. }), "{transaction:?}");
    }
    // a typed transaction written without its string wrapper is two or more items, none of them a transaction's
    let bare = list(&[&header, &list(&[&[0x02], &[0xc0]]), &empty]);
    let decoded = RawBlock::decode(&bare).unwrap();
    assert!(decoded.body().decode_transactions().is_err());
}

#[test]
fn header_bytes_are_taken_strictly() {
    let raw = header::encode(&Header { number: 5, ..Header::default() }).to_vec();
    assert!(matches!(header::decode(&[&raw[..], &[0]].concat()), Err(DecodeError::TrailingBytes { count: 1, .. })));
    // 5 written with a leading zero
    let place = raw.iter().position(|byte| *byte == 5).unwrap();
    let mut padded = raw.clone();
    padded.splice(place..=place, [0x82, 0, 5]);
    padded[2] += 2;
    assert!(header::decode(&padded).is_err());
    // a field more than any fork knows
    let all = Header {
        base_fee_per_gas: Some(1),
        withdrawals_root: Some(B256::ZERO),
        blob_gas_used: Some(1),
        excess_blob_gas: Some(1),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(B256::ZERO),
        block_access_list_hash: Some(B256::ZERO),
        slot_number: Some(1),
        ..Header::default()
    };
    let mut more = header::encode(&all).to_vec();
    header::decode(&more).unwrap();
    more.push(1);
    more[2] += 1;
    assert!(header::decode(&more).is_err());
}

#[test]
fn transaction_bytes_are_taken_strictly() {
    let signature = Signature::new(U256::from(7), U256::from(9), false);
    let transaction = TxEip1559 { chain_id: 1, ..Default::default() }.into_signed(signature).encoded_2718();
    let decode = |raw: Vec<u8>| Body { transactions: vec![raw.into()], ..Body::default() }.decode_transactions();
    assert!(decode(transaction.clone()).is_ok());
    assert!(decode([&transaction[..], &[0]].concat()).is_err());
    assert!(decode(transaction[..transaction.len() - 1].to_vec()).is_err());
    assert!(decode([&[0x7f][..], &transaction[1..]].concat()).is_err());
    assert!(decode(Vec::new()).is_err());
    let mut wrapped = Vec::new();
    transaction.as_slice().encode(&mut wrapped);
    assert!(decode(wrapped).is_err());
}
