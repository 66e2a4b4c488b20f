use alloy_consensus::{
    BlobTransactionSidecar, Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip4844WithSidecar,
    TxEip7702, TxEnvelope, TxLegacy,
};
use alloy_eips::{Encodable2718, eip4844::Blob};
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256, keccak256};
use proptest::prelude::*;
use rlp::RlpStream;
use rushlight_chain::block::RawBlock;

use super::*;

fn hash(n: u8) -> B256 {
    B256::repeat_byte(n)
}

fn header(number: u64) -> Bytes {
    alloy_rlp::encode(Header { number, ..Header::default() }).into()
}

fn signature() -> Signature {
    Signature::new(U256::from(7), U256::from(8), false)
}

fn raw(transaction: impl Into<TxEnvelope>) -> Bytes {
    transaction.into().encoded_2718().into()
}

fn legacy(nonce: u64) -> Bytes {
    raw(TxLegacy { nonce, gas_limit: 21_000, ..TxLegacy::default() }.into_signed(signature()))
}

fn blob_transaction() -> TxEip4844 {
    TxEip4844 { chain_id: 1, blob_versioned_hashes: vec![hash(1)], ..TxEip4844::default() }
}

fn with_sidecar(blobs: usize) -> Bytes {
    let sidecar = BlobTransactionSidecar {
        blobs: vec![Blob::repeat_byte(3); blobs],
        commitments: vec![Default::default(); blobs],
        proofs: vec![Default::default(); blobs],
    };
    raw(TxEip4844WithSidecar::from_tx_and_sidecar(blob_transaction(), sidecar).into_signed(signature()))
}

/// One of every type that there is.
fn every_type() -> Vec<Bytes> {
    vec![
        legacy(0),
        raw(TxEip2930 { chain_id: 1, to: TxKind::Create, ..TxEip2930::default() }.into_signed(signature())),
        raw(TxEip1559 { chain_id: 1, ..TxEip1559::default() }.into_signed(signature())),
        with_sidecar(1),
        raw(TxEip7702 { chain_id: 1, ..TxEip7702::default() }.into_signed(signature())),
    ]
}

fn block() -> RawBlock {
    RawBlock { header: header(3), transactions: every_type(), uncles: vec![header(1), header(2)], withdrawals: None }
}

fn round_trip(message: Message28) -> Bytes {
    let (id, payload) = message.encode();
    assert_eq!(decode(id, &payload).unwrap(), message);
    payload.into()
}

fn hashes_payload(count: usize) -> Vec<u8> {
    let mut out = RlpStream::new();
    wire::write_hashes(&mut out, &vec![hash(9); count]);
    out.out().to_vec()
}

/// Every message, and its id on the wire as the table has it.
fn messages() -> Vec<(u64, Message28)> {
    vec![
        (0x00, Message28::Status(Status::new(0, U256::from(17_179_869_184u64), hash(1), hash(2)))),
        (0x02, Message28::Transactions(Transactions(every_type()))),
        (0x03, Message28::GetBlockHashes(GetBlockHashes { hash: hash(1), max_blocks: 2_048 })),
        (0x04, Message28::BlockHashes(BlockHashes(vec![hash(1), hash(2)]))),
        (0x05, Message28::GetBlocks(GetBlocks(vec![hash(3)]))),
        (0x06, Message28::Blocks(Blocks(vec![block(), block()]))),
        (0x07, Message28::NewBlock(NewBlock { block: block(), td: U256::MAX })),
        (0x08, Message28::GetBlockHeaders(GetBlockHeaders(vec![hash(1), hash(1)]))),
        (0x09, Message28::BlockHeaders(BlockHeaders(vec![header(0), header(1)]))),
        (0x10, Message28::HashLookup(HashLookup(vec![hash(1), hash(2)]))),
        (0x11, Message28::HashLookupResponse(HashLookupResponse(vec![Bytes::new(), Bytes::from_static(&[1, 2])]))),
    ]
}

#[test]
fn every_message_round_trips_under_its_id() {
    for (id, message) in messages() {
        assert_eq!(message.id(), id);
        assert!(is_assigned(id));
        round_trip(message);
    }
}

#[test]
fn empty_lists_round_trip() {
    for message in [
        Message28::BlockHashes(BlockHashes::default()),
        Message28::GetBlocks(GetBlocks::default()),
        Message28::Blocks(Blocks::default()),
        Message28::GetBlockHeaders(GetBlockHeaders::default()),
        Message28::BlockHeaders(BlockHeaders::default()),
        Message28::HashLookup(HashLookup::default()),
        Message28::HashLookupResponse(HashLookupResponse::default()),
    ] {
        round_trip(message);
    }
}

#[test]
fn decision_1_unassigned_ids_are_refused() {
    for id in (0..0x30).filter(|id| !messages().iter().any(|(assigned, _)| assigned == id)) {
        assert_eq!(decode(id, &[0xc0]).unwrap_err(), DecodeError::UnknownId { id });
    }
    assert_eq!(ID_COUNT, 18);
}

#[test]
fn decision_2_status_is_the_bytes_of_the_specification() {
    let status = Status::new(0, U256::from(0x0102), hash(0xaa), hash(0xbb));
    let payload = round_trip(Message28::Status(status));
    // A list of 71 bytes: 0x1c, 0, 0x0102, two hashes.
    let mut expected = vec![0xf8, 0x47, 0x1c, 0x80, 0x82, 0x01, 0x02, 0xa0];
    expected.extend([0xaa; 32]);
    expected.push(0xa0);
    expected.extend([0xbb; 32]);
    assert_eq!(payload, expected);
}

#[test]
fn decision_2_each_mismatch_names_which_and_both_values() {
    let ours = Status::new(0, U256::from(1), hash(1), hash(2));
    assert_eq!(ours.agrees(&Status { td: U256::ZERO, best: hash(9), ..ours }), Ok(()));
    let text = |theirs: Status| ours.agrees(&theirs).unwrap_err().to_string();
    assert_eq!(
        text(Status { protocol_version: 27, network_id: 1, genesis: hash(3), ..ours }),
        "protocol version: ours is 28, the peer's is 27"
    );
    assert_eq!(text(Status { network_id: 5, genesis: hash(3), ..ours }), "network id: ours is 0, the peer's is 5");
    assert_eq!(
        text(Status { genesis: hash(3), ..ours }),
        format!("genesis: ours is {}, the peer's is {}", hash(2), hash(3))
    );
}

#[test]
fn decision_3_max_blocks_of_any_size_is_lawful() {
    let mut out = RlpStream::new_list(2);
    out.append(&hash(1).as_slice()).append(&vec![0xff; 40]);
    let message = decode(id::GET_BLOCK_HASHES, &out.out()).unwrap();
    assert_eq!(message, Message28::GetBlockHashes(GetBlockHashes { hash: hash(1), max_blocks: u64::MAX }));
}

#[test]
fn edges_a_third_field_in_get_block_hashes_is_refused() {
    let mut out = RlpStream::new_list(3);
    out.append(&hash(1).as_slice()).append(&1u64).append(&1u64);
    let error = decode(id::GET_BLOCK_HASHES, &out.out()).unwrap_err();
    assert_eq!(error, DecodeError::Fields { what: "GetBlockHashes", expected: 2, got: 3 });
}

#[test]
fn decision_4_a_whole_block_among_headers_gives_its_header() {
    let mut out = RlpStream::new_list(3);
    out.append_raw(&header(5), 1);
    out.append_raw(&block().encode(), 1);
    out.append_raw(&header(6), 1);
    let message = decode(id::BLOCK_HEADERS, &out.out()).unwrap();
    assert_eq!(message, Message28::BlockHeaders(BlockHeaders(vec![header(5), header(3), header(6)])));

    let mut two = RlpStream::new_list(1);
    two.begin_list(2).append_raw(&header(5), 1).begin_list(0);
    assert_eq!(
        decode(id::BLOCK_HEADERS, &two.out()).unwrap_err(),
        DecodeError::Fields { what: "block", expected: 3, got: 2 }
    );
}

#[test]
fn decision_5_elements_after_the_first_are_ignored_but_must_be_rlp() {
    let mut out = RlpStream::new_list(3);
    wire::write_hashes(&mut out, &[hash(1)]);
    out.begin_list(1).append(&1u64);
    out.append(&2u64);
    let payload = out.out();
    assert_eq!(decode(id::HASH_LOOKUP, &payload).unwrap(), Message28::HashLookup(HashLookup(vec![hash(1)])));

    let mut out = RlpStream::new_list(2);
    out.begin_list(1).append(&1u64);
    out.append_raw(&[0x81, 0x01], 1);
    assert!(decode(id::HASH_LOOKUP_RESPONSE, &out.out()).is_err());
    for id in [id::HASH_LOOKUP, id::HASH_LOOKUP_RESPONSE] {
        assert!(matches!(decode(id, &[0xc0]), Err(DecodeError::Fields { got: 0, .. })), "no list at all");
    }
}

#[test]
fn decision_8_typed_transactions_are_strings_and_legacy_ones_lists() {
    let (_, payload) = Message28::Transactions(Transactions(every_type())).encode();
    let items: Vec<_> = wire::Item::only(&payload).unwrap().items("").unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(items.iter().map(|item| item.list).collect::<Vec<_>>(), [true, false, false, false, false]);
    assert_eq!(items[2].payload[0], 2);
}

#[test]
fn decision_8_at_least_one_transaction() {
    assert_eq!(decode(id::TRANSACTIONS, &[0xc0]).unwrap_err(), DecodeError::Empty { what: "transactions" });
}

#[test]
fn decision_8_transactions_have_the_hashes_of_eip_2718() {
    for raw in every_type() {
        let got = transaction_hash(&raw).unwrap();
        if raw[0] == 3 {
            let inner: TxEnvelope = blob_transaction().into_signed(signature()).into();
            assert_eq!(got, keccak256(inner.encoded_2718()), "the form without sidecar is hashed");
        } else {
            assert_eq!(got, keccak256(&raw));
        }
    }
}

#[test]
fn decision_8_blob_transactions_need_their_sidecar_within_2_mib() {
    let bare = raw(blob_transaction().into_signed(signature()));
    assert_eq!(transaction_hash(&bare), Err(TransactionError::NoSidecar));
    assert!(transaction_hash(&with_sidecar(15)).is_ok());
    assert!(matches!(transaction_hash(&with_sidecar(16)), Err(TransactionError::TooLarge { .. })));
}

#[test]
fn decision_8_what_is_no_transaction_is_refused() {
    for mut raw in every_type() {
        raw = [&raw[..], &[0]].concat().into();
        assert!(transaction_hash(&raw).is_err(), "a trailing byte");
        assert!(transaction_hash(&raw[..raw.len() - 2]).is_err(), "a byte too few");
    }
    assert!(matches!(
        transaction_hash(&[0x7e; 20]),
        Err(TransactionError::Malformed(_) | TransactionError::UnknownType(_))
    ));
    assert!(transaction_hash(&[]).is_err());
    let mut out = RlpStream::new_list(1);
    out.append(&vec![0x80; 20]);
    assert_eq!(decode(id::TRANSACTIONS, &out.out()).unwrap_err(), DecodeError::TransactionType { got: 0x80 });
}

#[test]
fn decision_9_counts_up_to_twice_the_limit_are_borne_with() {
    for (id, limit) in
        [(id::BLOCK_HASHES, MAX_HASHES), (id::GET_BLOCKS, MAX_BLOCKS), (id::GET_BLOCK_HEADERS, MAX_HEADERS)]
    {
        assert!(decode(id, &hashes_payload(2 * limit)).is_ok());
        let refused = decode(id, &hashes_payload(2 * limit + 1));
        assert!(matches!(refused, Err(DecodeError::TooMany { limit: most, .. }) if most == 2 * limit), "{refused:?}");
    }
    for id in [id::HASH_LOOKUP, id::HASH_LOOKUP_RESPONSE] {
        let wrapped = |count| {
            let mut out = RlpStream::new_list(1);
            out.append_raw(&hashes_payload(count), 1);
            out.out()
        };
        assert!(decode(id, &wrapped(768)).is_ok());
        assert_eq!(decode(id, &wrapped(769)).unwrap_err().to_string().split(' ').nth(2), Some("768"));
    }
    let headers = |count| Message28::BlockHeaders(BlockHeaders(vec![header(1); count])).encode();
    assert!(decode(id::BLOCK_HEADERS, &headers(384).1).is_ok());
    assert!(matches!(decode(id::BLOCK_HEADERS, &headers(385).1), Err(DecodeError::TooMany { limit: 384, .. })));
    let small = RawBlock { header: header(1), ..RawBlock::default() };
    let blocks = |count| Message28::Blocks(Blocks(vec![small.clone(); count])).encode();
    assert!(decode(id::BLOCKS, &blocks(256).1).is_ok());
    assert!(matches!(decode(id::BLOCKS, &blocks(257).1), Err(DecodeError::TooMany { limit: 256, .. })));
}

#[test]
fn decision_9_a_message_over_10_mib_is_refused() {
    let of_size = |size: usize| {
        let mut out = RlpStream::new_list(1);
        out.begin_list(1).append(&vec![7; size]);
        out.out()
    };
    let at = MAX_MESSAGE_BYTES - 12;
    assert_eq!(of_size(at).len(), MAX_MESSAGE_BYTES);
    assert!(decode(id::HASH_LOOKUP_RESPONSE, &of_size(at)).is_ok());
    assert_eq!(
        decode(id::HASH_LOOKUP_RESPONSE, &of_size(at + 1)).unwrap_err(),
        DecodeError::TooLarge { limit: MAX_MESSAGE_BYTES, got: MAX_MESSAGE_BYTES + 1 }
    );
}

#[test]
fn tiny_items_are_refused_before_memory_is_taken_for_them() {
    // Ten million transactions of one byte would take 32 bytes each.
    let mut payload = vec![0xfa, 0x98, 0x96, 0x80];
    payload.resize(4 + 10_000_000, 0x01);
    assert!(matches!(decode(id::TRANSACTIONS, &payload), Err(DecodeError::TooMany { what: "transactions", .. })));
    let block = RawBlock { header: Bytes::from_static(&[0xc1, 0x80]), ..RawBlock::default() };
    let (id, payload) = Message28::Blocks(Blocks(vec![block])).encode();
    assert!(matches!(decode(id, &payload), Err(DecodeError::TooShort { what: "header", .. })));
}

#[test]
fn every_field_has_one_type_and_length() {
    let mut short = RlpStream::new_list(1);
    short.append(&vec![1; 31]);
    let short = short.out();
    let mut string = RlpStream::new();
    string.append(&vec![1; 40]);
    let string = string.out();
    for id in [id::BLOCK_HASHES, id::GET_BLOCKS, id::GET_BLOCK_HEADERS] {
        assert!(matches!(decode(id, &short), Err(DecodeError::Length { expected: 32, got: 31, .. })));
        assert!(matches!(decode(id, &string), Err(DecodeError::ExpectedList { .. })));
    }
    for (id, _) in messages() {
        assert!(decode(id, &string).is_err(), "{id:#04x}: a string for the payload");
        assert!(decode(id, &[]).is_err(), "{id:#04x}: nothing at all");
    }
}

#[test]
fn no_message_decodes_with_a_byte_more_or_less() {
    for (id, message) in messages() {
        let (_, payload) = message.encode();
        assert!(decode(id, &payload[..payload.len() - 1]).is_err());
        let trailing = [&payload[..], &[0]].concat();
        assert_eq!(decode(id, &trailing).unwrap_err(), DecodeError::Trailing { bytes: 1 });
    }
}

fn any_hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

/// `[index, validator, address, amount]`
fn withdrawal(seed: u64) -> Bytes {
    let byte = (seed % 0x7f) as u8 + 1;
    [&[0xd8, byte, byte, 0x94][..], &[byte; 20], &[byte]].concat().into()
}

fn any_block() -> impl Strategy<Value = RawBlock> {
    let numbers = |most| prop::collection::vec(any::<u64>(), 0..most);
    let withdrawals = prop::option::of(numbers(4));
    (any::<u64>(), numbers(4), numbers(3), withdrawals).prop_map(|(number, nonces, uncles, withdrawals)| RawBlock {
        header: header(number),
        transactions: nonces.into_iter().map(legacy).collect(),
        uncles: uncles.into_iter().map(header).collect(),
        withdrawals: withdrawals.map(|list| list.into_iter().map(withdrawal).collect()),
    })
}

fn any_message() -> impl Strategy<Value = Message28> {
    let hashes = || prop::collection::vec(any_hash(), 0..20);
    prop_oneof![
        (any::<u64>(), any::<u64>(), any::<[u8; 32]>(), any_hash(), any_hash()).prop_map(
            |(protocol_version, network_id, td, best, genesis)| Message28::Status(Status {
                protocol_version,
                network_id,
                td: U256::from_be_bytes(td),
                best,
                genesis,
            })
        ),
        prop::collection::vec(any::<u64>(), 1..8)
            .prop_map(|nonces| Message28::Transactions(Transactions(nonces.into_iter().map(legacy).collect()))),
        (any_hash(), any::<u64>())
            .prop_map(|(hash, max_blocks)| Message28::GetBlockHashes(GetBlockHashes { hash, max_blocks })),
        hashes().prop_map(|hashes| Message28::BlockHashes(BlockHashes(hashes))),
        hashes().prop_map(|hashes| Message28::GetBlocks(GetBlocks(hashes))),
        hashes().prop_map(|hashes| Message28::GetBlockHeaders(GetBlockHeaders(hashes))),
        hashes().prop_map(|hashes| Message28::HashLookup(HashLookup(hashes))),
        prop::collection::vec(any_block(), 0..4).prop_map(|blocks| Message28::Blocks(Blocks(blocks))),
        (any_block(), any::<[u8; 32]>())
            .prop_map(|(block, td)| Message28::NewBlock(NewBlock { block, td: U256::from_be_bytes(td) })),
        prop::collection::vec(any::<u64>(), 0..8)
            .prop_map(|numbers| Message28::BlockHeaders(BlockHeaders(numbers.into_iter().map(header).collect()))),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8).prop_map(|values| {
            Message28::HashLookupResponse(HashLookupResponse(values.into_iter().map(Bytes::from).collect()))
        }),
    ]
}

proptest! {
    #[test]
    fn any_message_round_trips(message in any_message()) {
        let (id, payload) = message.encode();
        prop_assert_eq!(decode(id, &payload).unwrap(), message);
    }

    /// What decodes has one spelling: it encodes to the bytes that came. (Ignored elements of look-ups, whole blocks among
    /// headers and capped integers apart, which no encoder of ours writes.)
    #[test]
    fn a_changed_byte_is_refused_or_read_as_what_it_says(message in any_message(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let (id, payload) = message.encode();
        let mut changed = payload.to_vec();
        changed[at.index(payload.len())] = to;
        if let Ok(read) = decode(id, &changed)
            && !matches!(id, id::HASH_LOOKUP | id::HASH_LOOKUP_RESPONSE | id::BLOCK_HEADERS | id::GET_BLOCK_HASHES) {
            prop_assert_eq!(read.encode(), (id, changed.into()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(id in 0u64..0x20, payload in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(id, &payload);
        let _ = transaction_hash(&payload);
    }

    /// Bytes that are RLP get further than arbitrary ones.
    #[test]
    fn arbitrary_lists_never_panic(id in 0u64..0x20, items in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..12)) {
        let mut out = RlpStream::new_list(items.len());
        for (list, bytes) in &items {
            if *list {
                out.begin_list(bytes.len());
                for byte in bytes {
                    out.append(byte);
                }
            } else {
                out.append(bytes);
            }
        }
        let _ = decode(id, &out.out());
    }

    #[test]
    fn changed_transactions_never_panic(which in 0usize..5, at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let raw = every_type()[which].to_vec();
        let mut changed = raw.clone();
        changed[at.index(raw.len())] = to;
        let _ = transaction_hash(&changed);
        let _ = transaction_hash(&raw[..cut.index(raw.len())]);
    }
}
