//! Decision 10: each breach ends its own session with reason 0x02 and an event that says why, and nothing else.

use alloy_primitives::{Bytes, U256};
use rlp::RlpStream;
use rushlight_chain::RawBlock;
use rushlight_eth::v28::{BlockHashes, BlockHeaders, Blocks, HashLookupResponse, Message28, NewBlock, Transactions};

use rushlight_p2p::{DisconnectReason, ProtocolEnd};

use super::support::{LONG, Node, TestChain, hash, header, transaction};

async fn breach(id: u64, payload: impl Into<bytes::Bytes>, why: &str) {
    let mut node = Node::new(TestChain::new(3));
    let (_bystander, other) = node.join().await;
    let (raw, session) = node.join().await;
    raw.say_bytes(id, payload).await;
    raw.breached(&mut node, id, why).await;
    assert!(session.is_closed());
    assert!(!other.is_closed(), "a breach takes nothing else down with it");
}

async fn breach_by(message: Message28, why: &str) {
    let (id, payload) = message.encode();
    breach(id, payload, why).await;
}

fn list_of(count: usize) -> Vec<u8> {
    let mut out = RlpStream::new_list(count);
    for _ in 0..count {
        out.append(&hash(1).as_slice());
    }
    out.out().to_vec()
}

fn wrapped(list: Vec<u8>) -> Vec<u8> {
    let mut out = RlpStream::new_list(1);
    out.append_raw(&list, 1);
    out.out().to_vec()
}

#[tokio::test(start_paused = true)]
async fn decision_1_and_edges_unassigned_ids_and_ids_past_the_last() {
    for id in [0x01, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x12, 0x3f] {
        breach(id, vec![0xc0], "unassigned").await;
    }
}

#[tokio::test(start_paused = true)]
async fn decision_7_an_answer_with_no_open_request() {
    let why = "no such request is open";
    breach_by(Message28::BlockHashes(BlockHashes(vec![hash(1)])), why).await;
    breach_by(Message28::BlockHashes(BlockHashes::default()), why).await;
    breach_by(Message28::BlockHeaders(BlockHeaders(vec![header(1)])), why).await;
    breach_by(Message28::Blocks(Blocks::default()), why).await;
    breach_by(Message28::HashLookupResponse(HashLookupResponse::default()), why).await;
}

#[tokio::test(start_paused = true)]
async fn decision_7_an_open_request_of_another_type_does_not_help() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let asking = tokio::spawn(async move { session.headers(vec![hash(1)], LONG).await });
    raw.hear().await;
    raw.say(Message28::Blocks(Blocks::default())).await;
    raw.breached(&mut node, 0x06, "no such request is open").await;
    assert_eq!(asking.await.unwrap(), Err(rushlight_eth::RequestError::Closed));
}

#[tokio::test(start_paused = true)]
async fn decision_8_transactions_without_any_or_that_are_none() {
    breach(0x02, vec![0xc0], "is empty").await;
    let mut out = RlpStream::new_list(1);
    out.append(&vec![1u8; 30]);
    breach(0x02, out.out(), "transaction 0").await;
    let cut = Bytes::copy_from_slice(&[&[0x02], &transaction(1)[..], &[0x80]].concat());
    breach_by(Message28::Transactions(Transactions(vec![transaction(0), cut])), "transaction 1").await;
}

#[tokio::test(start_paused = true)]
async fn decision_9_counts_over_twice_the_limit() {
    breach(0x04, list_of(4_097), "no such request is open").await;
    breach(0x05, list_of(257), "more than 256").await;
    breach(0x08, list_of(385), "more than 384").await;
    breach(0x10, wrapped(list_of(769)), "more than 768").await;
}

#[tokio::test(start_paused = true)]
async fn decision_9_an_answer_over_twice_the_limit() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let asking = tokio::spawn(async move { session.block_hashes(hash(1), u64::MAX, LONG).await });
    let Message28::GetBlockHashes(asked) = raw.hear().await else { panic!() };
    assert_eq!(asked.max_blocks, 2_048, "the limits hold in both directions");
    raw.say_bytes(0x04, list_of(4_097)).await;
    raw.breached(&mut node, 0x04, "more than 4096").await;
    assert!(asking.await.unwrap().is_err());
}

/// A message over 10 MiB and an id past the connection's last are found by `p2p`, which then disconnects.
#[tokio::test(start_paused = true)]
async fn decision_9_and_edges_what_p2p_finds_is_told_as_a_breach_too() {
    let mut node = Node::new(TestChain::new(3));
    let (raw, _session) = node.join().await;
    raw.node_peer.disconnect(DisconnectReason::BreachOfProtocol);
    assert!(node.left(raw.id).await.unwrap().contains("devp2p"));
    assert_eq!(raw.ended().await.reason, DisconnectReason::BreachOfProtocol);

    let raw = node.connect();
    raw.node_peer.disconnect(DisconnectReason::BreachOfProtocol);
    assert!(node.left(raw.id).await.unwrap().contains("devp2p"));

    let (raw, session) = node.join().await;
    session.disconnect(DisconnectReason::BreachOfProtocol);
    assert_eq!(node.left(raw.id).await, None, "whoever ended it knows why");
}

#[tokio::test(start_paused = true)]
async fn edges_a_third_field_in_get_block_hashes() {
    let mut out = RlpStream::new_list(3);
    out.append(&hash(1).as_slice()).append(&1u8).append(&1u8);
    breach(0x03, out.out(), "expected 2 fields, got 3").await;
}

#[tokio::test(start_paused = true)]
async fn malformed_messages_of_every_kind() {
    let mut zero = RlpStream::new_list(2);
    zero.append(&hash(1).as_slice()).append(&vec![0u8, 1]);
    for (id, payload, why) in [
        (0x03, zero.out().to_vec(), "leading zero"),
        (0x05, vec![0xc0, 0xc0], "1 bytes after the message"),
        (0x05, vec![0xe1, 0xa0, 0x01], "malformed RLP"),
        (0x05, vec![0xc2, 0x81, 0xff], "expected 32 bytes, got 1"),
        (0x10, vec![0x84, 1, 2, 3, 4], "expected a list"),
        (0x10, vec![0xc0], "expected 1 fields, got 0"),
        (0x07, vec![0xc2, 0x01, 0x01], "expected a list"),
        (0x08, vec![], "malformed RLP"),
    ] {
        breach(id, payload, why).await;
    }
    let short = RawBlock { header: Bytes::from_static(&[0xc1, 0x80]), ..RawBlock::default() };
    breach_by(Message28::NewBlock(NewBlock { block: short, td: U256::from(1) }), "none has fewer than").await;
}

#[tokio::test(start_paused = true)]
async fn decision_6_answers_that_hold_what_was_not_asked_for() {
    let mut node = Node::new(TestChain::new(3));
    let asked = node.chain.hashes.clone();
    let blocks = node.chain.blocks.clone();

    let (mut raw, session) = node.join().await;
    let question = asked[..2].to_vec();
    tokio::spawn(async move { session.headers(question, LONG).await });
    raw.hear().await;
    raw.say(Message28::BlockHeaders(BlockHeaders(vec![blocks[0].header.clone(), blocks[2].header.clone()]))).await;
    raw.breached(&mut node, 0x09, "was not asked for").await;

    let (mut raw, session) = node.join().await;
    let question = asked[..2].to_vec();
    tokio::spawn(async move { session.headers(question, LONG).await });
    raw.hear().await;
    raw.say(Message28::BlockHeaders(BlockHeaders(vec![blocks[0].header.clone(); 2]))).await;
    raw.breached(&mut node, 0x09, "twice").await;

    let (mut raw, session) = node.join().await;
    let question = asked[..1].to_vec();
    tokio::spawn(async move { session.blocks(question, LONG).await });
    raw.hear().await;
    raw.say(Message28::Blocks(Blocks(vec![blocks[1].clone()]))).await;
    raw.breached(&mut node, 0x06, "was not asked for").await;

    let (mut raw, session) = node.join().await;
    tokio::spawn(async move { session.block_hashes(hash(1), 2, LONG).await });
    raw.hear().await;
    raw.say(Message28::BlockHashes(BlockHashes(vec![hash(1); 3]))).await;
    raw.breached(&mut node, 0x04, "3 items in answer to a request for 2").await;
}

#[tokio::test(start_paused = true)]
async fn edges_a_value_that_does_not_hash_to_its_question() {
    for (values, why) in [
        (vec![Bytes::new(), Bytes::from_static(b"lie")], "hashes to"),
        (vec![Bytes::new(); 3], "3 items in answer to a request for 2"),
    ] {
        let mut node = Node::new(TestChain::new(3));
        let (mut raw, session) = node.join().await;
        let asking = tokio::spawn(async move { session.lookup(vec![hash(1), hash(2)], LONG).await });
        raw.hear().await;
        raw.say(Message28::HashLookupResponse(HashLookupResponse(values))).await;
        raw.breached(&mut node, 0x11, why).await;
        assert_eq!(asking.await.unwrap(), Err(rushlight_eth::RequestError::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_breach_in_a_large_message_is_found_off_the_async_threads() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    tokio::spawn(async move { session.lookup(vec![hash(1)], LONG).await });
    raw.hear().await;
    raw.say(Message28::HashLookupResponse(HashLookupResponse(vec![vec![7; 1 << 20].into()]))).await;
    raw.breached(&mut node, 0x11, "hashes to").await;
}

#[tokio::test(start_paused = true)]
async fn decision_10_the_peer_is_let_go_though_nobody_listens_to_events() {
    let mut node = Node::with_room(TestChain::new(3), 1);
    let (raw, _session) = node.join().await;
    // The one place in the queue is taken.
    raw.say(Message28::Transactions(Transactions(vec![transaction(1)]))).await;
    raw.say_bytes(0x01, vec![0xc0]).await;
    let told = ProtocolEnd::disconnected(&raw.node_peer).await;
    assert_eq!(told, DisconnectReason::BreachOfProtocol);
    node.events.recv().await.unwrap();
    assert!(node.left(raw.id).await.is_some());
}
