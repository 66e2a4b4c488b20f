//! Questions of our own: matching, time-outs, places.

use std::time::Duration;

use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, keccak256};
use rushlight_eth::{
    RequestError, Session,
    v28::{BlockHashes, BlockHeaders, Blocks, HashLookupResponse, Message28},
};
use tokio::task::JoinHandle;

use super::support::{LONG, Node, Raw, TestChain, hash, join_nodes};

const SOON: Duration = Duration::from_secs(3);

fn value(n: u8) -> (B256, Bytes) {
    let value = Bytes::from(vec![n; 9]);
    (keccak256(&value), value)
}

fn look(session: &Session, hash: B256, timeout: Duration) -> JoinHandle<Result<Vec<Option<Bytes>>, RequestError>> {
    let session = session.clone();
    tokio::spawn(async move { session.lookup(vec![hash], timeout).await })
}

async fn asked(raw: &mut Raw) -> Vec<B256> {
    match raw.hear().await {
        Message28::HashLookup(asked) => asked.0,
        other => panic!("expected HashLookup, got {other:?}"),
    }
}

async fn answer(raw: &Raw, value: Bytes) {
    raw.say(Message28::HashLookupResponse(HashLookupResponse(vec![value]))).await;
}

#[tokio::test(start_paused = true)]
async fn two_nodes_ask_each_other_everything() {
    let (mut first, mut second) = (Node::new(TestChain::new(300)), Node::new(TestChain::new(300)));
    let (one, two) = join_nodes(&mut first, &mut second).await;
    let chain = second.chain.clone();
    for session in [&one, &two] {
        let hashes = session.block_hashes(chain.head_hash(), 5_000, LONG).await.unwrap();
        assert_eq!(hashes.len(), 299, "from the parent to genesis");
        assert_eq!(hashes[0], chain.hashes[298]);
        let headers = session.headers(hashes[..192].to_vec(), LONG).await.unwrap();
        assert!(headers.iter().map(|(hash, _)| hash).eq(&hashes[..192]));
        let blocks = session.blocks(hashes[..128].to_vec(), LONG).await.unwrap();
        assert_eq!(blocks[0], chain.blocks[298]);
        let wanted: Vec<_> = chain.values.keys().take(384).copied().collect();
        let values = session.lookup(wanted.clone(), LONG).await.unwrap();
        assert!(wanted.iter().zip(values).all(|(hash, value)| value.as_ref() == chain.values.get(hash)));
    }
}

#[tokio::test(start_paused = true)]
async fn decision_7_answers_of_one_type_come_in_order() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let asking: Vec<_> = (0..5).map(|n| look(&session, value(n).0, LONG)).collect();
    for _ in 0..5 {
        let wanted = asked(&mut raw).await[0];
        let (_, value) = (0..5).map(value).find(|(hash, _)| *hash == wanted).unwrap();
        answer(&raw, value).await;
    }
    for (n, asking) in (0..5).zip(asking) {
        assert_eq!(asking.await.unwrap().unwrap(), [Some(value(n).1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn decision_7_types_do_not_wait_for_each_other() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let first = look(&session, value(1).0, LONG);
    asked(&mut raw).await;
    let other = {
        let session = session.clone();
        tokio::spawn(async move { session.block_hashes(hash(1), 9, LONG).await })
    };
    assert!(matches!(raw.hear().await, Message28::GetBlockHashes(_)));
    raw.say(Message28::BlockHashes(BlockHashes::default())).await;
    assert_eq!(other.await.unwrap(), Ok(vec![]));
    answer(&raw, value(1).1).await;
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn decision_7_a_timed_out_request_keeps_its_place() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let start = tokio::time::Instant::now();
    assert_eq!(look(&session, value(1).0, SOON).await.unwrap(), Err(RequestError::Timeout));
    assert_eq!(start.elapsed(), SOON);
    let second = look(&session, value(2).0, LONG);
    asked(&mut raw).await;
    asked(&mut raw).await;
    // The slow honest answer belongs to the first request, and is no breach.
    answer(&raw, value(1).1).await;
    answer(&raw, value(2).1).await;
    assert_eq!(second.await.unwrap().unwrap(), [Some(value(2).1)]);
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn decision_7_a_late_lie_is_a_breach_all_the_same() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    assert_eq!(look(&session, value(1).0, SOON).await.unwrap(), Err(RequestError::Timeout));
    asked(&mut raw).await;
    answer(&raw, value(2).1).await;
    raw.breached(&mut node, 0x11, "hashes to").await;
}

#[tokio::test(start_paused = true)]
async fn decision_7_few_places_are_kept_for_late_answers() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    for n in 0..4 {
        assert_eq!(look(&session, value(n).0, SOON).await.unwrap(), Err(RequestError::Timeout));
    }
    assert_eq!(look(&session, value(4).0, LONG).await.unwrap(), Err(RequestError::Busy));
    // Another type has places of its own.
    let other = {
        let session = session.clone();
        tokio::spawn(async move { session.blocks(vec![hash(1)], LONG).await })
    };
    for n in 0..4 {
        assert_eq!(asked(&mut raw).await, [value(n).0], "what was refused was not sent");
    }
    assert!(matches!(raw.hear().await, Message28::GetBlocks(_)));
    raw.say(Message28::Blocks(Blocks::default())).await;
    assert_eq!(other.await.unwrap(), Ok(vec![]));
    // One late answer gives one place back.
    answer(&raw, value(0).1).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let next = look(&session, value(5).0, LONG);
    assert_eq!(asked(&mut raw).await, [value(5).0]);
    for n in [1, 2, 3, 5] {
        answer(&raw, value(n).1).await;
    }
    assert_eq!(next.await.unwrap().unwrap(), [Some(value(5).1)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_keeps_its_place() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let first = look(&session, value(1).0, LONG);
    asked(&mut raw).await;
    first.abort();
    let _ = first.await;
    let second = look(&session, value(2).0, LONG);
    asked(&mut raw).await;
    answer(&raw, value(1).1).await;
    answer(&raw, value(2).1).await;
    assert_eq!(second.await.unwrap().unwrap(), [Some(value(2).1)]);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_places_wait_and_are_all_answered() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let asking: Vec<_> = (0..40).map(|n| look(&session, value(n).0, LONG)).collect();
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(asked(&mut raw).await[0]);
    }
    raw.hears_nothing().await;
    let mut answered = 0;
    while answered < 40 {
        let wanted = open.remove(0);
        answer(&raw, (0..40).map(value).find(|(hash, _)| *hash == wanted).unwrap().1).await;
        answered += 1;
        if answered <= 24 {
            open.push(asked(&mut raw).await[0]);
        }
    }
    for (n, asking) in (0..40).zip(asking) {
        assert_eq!(asking.await.unwrap().unwrap(), [Some(value(n).1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_are_refused_once_too_many_are_late() {
    let mut node = Node::new(TestChain::new(3));
    let (_raw, session) = node.join().await;
    let all: Vec<_> = (0..16).map(|n| look(&session, value(n).0, SOON)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // No place is free, and nobody is late yet: this one waits.
    let waiting = look(&session, value(90).0, LONG);
    for asking in all {
        assert_eq!(asking.await.unwrap(), Err(RequestError::Timeout));
    }
    assert_eq!(waiting.await.unwrap(), Err(RequestError::Busy), "woken by those that gave up");
}

#[tokio::test(start_paused = true)]
async fn decision_6_short_and_empty_answers_are_lawful() {
    let mut node = Node::new(TestChain::new(3));
    let (chain, (mut raw, session)) = (node.chain.clone(), node.join().await);
    let ask = |hashes: Vec<B256>| {
        let session = session.clone();
        tokio::spawn(async move { session.headers(hashes, LONG).await })
    };
    let asking = ask(chain.hashes.clone());
    raw.hear().await;
    // In another order than asked, one missing: matched by hash, never by position.
    let headers = vec![chain.blocks[2].header.clone(), chain.blocks[0].header.clone()];
    raw.say(Message28::BlockHeaders(BlockHeaders(headers.clone()))).await;
    let got = asking.await.unwrap().unwrap();
    assert_eq!(got, [(chain.hashes[2], headers[0].clone()), (chain.hashes[0], headers[1].clone())]);
    let asking = ask(chain.hashes.clone());
    raw.hear().await;
    raw.say(Message28::BlockHeaders(BlockHeaders::default())).await;
    assert_eq!(asking.await.unwrap(), Ok(vec![]));
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn decision_5_a_short_response_leaves_the_rest_unasked() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let hashes: Vec<_> = [1, 2, 2, 3].map(|n| value(n).0).to_vec();
    let asking = tokio::spawn(async move { session.lookup(hashes, LONG).await });
    asked(&mut raw).await;
    let values = vec![Bytes::new(), value(2).1, value(2).1];
    raw.say(Message28::HashLookupResponse(HashLookupResponse(values))).await;
    assert_eq!(asking.await.unwrap().unwrap(), [None, Some(value(2).1), Some(value(2).1)]);
}

#[tokio::test(start_paused = true)]
async fn decision_5_nobody_asks_for_the_empty_string_or_the_empty_trie() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let empty_trie = keccak256([0x80]);
    let both = session.lookup(vec![KECCAK256_EMPTY, empty_trie], LONG).await.unwrap();
    assert_eq!(both, [Some(Bytes::new()), Some(Bytes::from_static(&[0x80]))]);
    let hashes = vec![KECCAK256_EMPTY, value(1).0, empty_trie, value(2).0, empty_trie];
    let asking = tokio::spawn(async move { session.lookup(hashes, LONG).await });
    assert_eq!(asked(&mut raw).await, [value(1).0, value(2).0]);
    answer(&raw, value(1).1).await;
    let got = asking.await.unwrap().unwrap();
    assert_eq!(got, [Some(Bytes::new()), Some(value(1).1), Some(Bytes::from_static(&[0x80]))]);
}

#[tokio::test(start_paused = true)]
async fn edges_an_empty_request_has_an_empty_answer_without_asking() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    assert_eq!(session.headers(vec![], LONG).await, Ok(vec![]));
    assert_eq!(session.blocks(vec![], LONG).await, Ok(vec![]));
    assert_eq!(session.lookup(vec![], LONG).await, Ok(vec![]));
    assert_eq!(session.block_hashes(hash(1), 0, LONG).await, Ok(vec![]));
    raw.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn decision_9_more_than_a_message_may_ask_is_not_sent() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let too_large = |asked, limit| Err(RequestError::TooLarge { asked, limit });
    assert_eq!(session.headers(vec![hash(1); 193], LONG).await.map(drop), too_large(193, 192));
    assert_eq!(session.blocks(vec![hash(1); 129], LONG).await.map(drop), too_large(129, 128));
    assert_eq!(session.lookup(vec![hash(1); 385], LONG).await.map(drop), too_large(385, 384));
    raw.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn requests_fail_when_the_session_ends() {
    let mut node = Node::new(TestChain::new(3));
    let (raw, session) = node.join().await;
    let asking = look(&session, hash(1), LONG);
    tokio::time::sleep(Duration::from_secs(1)).await;
    raw.peer.disconnect(rushlight_p2p::DisconnectReason::Requested);
    assert_eq!(asking.await.unwrap(), Err(RequestError::Closed));
    assert_eq!(look(&session, hash(1), LONG).await.unwrap(), Err(RequestError::Closed));
}
