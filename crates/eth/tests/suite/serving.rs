//! Answers to a peer's questions.

use std::{sync::atomic::Ordering, time::Duration};

use alloy_primitives::{B256, Bytes};
use rushlight_chain::RawBlock;
use rushlight_eth::v28::{
    GetBlockHashes, GetBlockHeaders, GetBlocks, HashLookup, MAX_MESSAGE_BYTES, Message28, SOFT_RESPONSE_BYTES,
};

use super::support::{LONG, Node, Raw, TestChain, hash, join_nodes};

async fn hashes(raw: &mut Raw, hash: B256, max_blocks: u64) -> Vec<B256> {
    raw.say(Message28::GetBlockHashes(GetBlockHashes { hash, max_blocks })).await;
    let Message28::BlockHashes(hashes) = raw.hear().await else { panic!() };
    hashes.0
}

async fn headers(raw: &mut Raw, hashes: Vec<B256>) -> Vec<Bytes> {
    raw.say(Message28::GetBlockHeaders(GetBlockHeaders(hashes))).await;
    let Message28::BlockHeaders(headers) = raw.hear().await else { panic!() };
    headers.0
}

async fn blocks(raw: &mut Raw, hashes: Vec<B256>) -> Vec<RawBlock> {
    raw.say(Message28::GetBlocks(GetBlocks(hashes))).await;
    let Message28::Blocks(blocks) = raw.hear().await else { panic!() };
    blocks.0
}

async fn look(raw: &mut Raw, hashes: Vec<B256>) -> Vec<Bytes> {
    raw.say(Message28::HashLookup(HashLookup(hashes))).await;
    let Message28::HashLookupResponse(values) = raw.hear().await else { panic!() };
    values.0
}

#[tokio::test(start_paused = true)]
async fn decision_3_hashes_start_at_the_parent_and_end_at_genesis() {
    let mut node = Node::new(TestChain::new(2_100));
    let (mut raw, _session) = node.join().await;
    let chain = node.chain.clone();
    let reversed = |to: usize, count: usize| chain.hashes[..to].iter().rev().take(count).copied().collect::<Vec<_>>();
    assert_eq!(hashes(&mut raw, chain.head_hash(), 3).await, reversed(2_099, 3));
    assert_eq!(hashes(&mut raw, chain.hashes[2], 3).await, [chain.hashes[1], chain.hashes[0]]);
    assert!(hashes(&mut raw, chain.hashes[0], 3).await.is_empty());
    assert!(hashes(&mut raw, hash(0xee), 3).await.is_empty(), "unknown");
    assert!(hashes(&mut raw, chain.head_hash(), 0).await.is_empty());
    // Decisions 3 and 9: capped, never a breach.
    assert_eq!(hashes(&mut raw, chain.head_hash(), u64::MAX).await, reversed(2_099, 2_048));
}

#[tokio::test(start_paused = true)]
async fn decision_6_what_is_not_held_is_left_out_and_repeats_come_once() {
    let mut node = Node::new(TestChain::new(5));
    let (mut raw, session) = node.join().await;
    let chain = node.chain.clone();
    let asked = vec![chain.hashes[3], hash(0xee), chain.hashes[1], chain.hashes[3]];
    assert_eq!(headers(&mut raw, asked.clone()).await, [3, 1].map(|n| chain.blocks[n].header.clone()));
    assert_eq!(blocks(&mut raw, asked).await, [3, 1].map(|n| chain.blocks[n].clone()));
    assert!(session.knows_block(&chain.hashes[3]), "it was given the block");
}

#[tokio::test(start_paused = true)]
async fn decision_9_headers_and_blocks_stop_at_their_limits() {
    let mut node = Node::new(TestChain::new(400));
    let (mut raw, _session) = node.join().await;
    let chain = node.chain.clone();
    let got = headers(&mut raw, chain.hashes[..384].to_vec()).await;
    assert_eq!(got.len(), 192);
    assert!(got.iter().eq(chain.blocks[..192].iter().map(|block| &block.header)), "from the first on");
    assert_eq!(blocks(&mut raw, chain.hashes[..256].to_vec()).await, chain.blocks[..128]);
}

#[tokio::test(start_paused = true)]
async fn decision_5_and_edges_look_ups_keep_their_positions() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, _session) = node.join().await;
    let (known, value) = node.chain.values.iter().next().map(|(hash, value)| (*hash, value.clone())).unwrap();
    let got = look(&mut raw, vec![hash(1), known, hash(2), known]).await;
    assert_eq!(got, [Bytes::new(), value.clone(), Bytes::new(), value]);
}

#[tokio::test(start_paused = true)]
async fn decision_5_the_empty_uncle_list_is_held_by_everyone() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, _session) = node.join().await;
    let got = look(&mut raw, vec![alloy_consensus::EMPTY_OMMER_ROOT_HASH]).await;
    assert_eq!(got, [Bytes::from_static(&[0xc0])]);
}

#[tokio::test(start_paused = true)]
async fn edges_of_385_to_768_look_ups_the_first_384_are_answered() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, _session) = node.join().await;
    let keys: Vec<_> = node.chain.values.keys().take(768).copied().collect();
    for count in [385, 768] {
        let got = look(&mut raw, keys[..count].to_vec()).await;
        assert_eq!(got.len(), 384);
        assert!(got.iter().zip(&keys).all(|(value, hash)| node.chain.values.get(hash) == Some(value)));
    }
}

#[tokio::test(start_paused = true)]
async fn edges_empty_requests_get_empty_answers() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, _session) = node.join().await;
    assert!(headers(&mut raw, vec![]).await.is_empty());
    assert!(blocks(&mut raw, vec![]).await.is_empty());
    assert!(look(&mut raw, vec![]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn decision_9_a_response_stops_growing_past_2_mib() {
    let mut chain = TestChain::new(3);
    let large: Vec<_> = (0..5).map(|n| chain.add(vec![n; 700_000])).collect();
    let huge = chain.add(vec![9; 3 << 20]);
    let impossible = chain.add(vec![9; MAX_MESSAGE_BYTES]);
    for block in &mut chain.blocks {
        block.transactions = vec![vec![0xc0; 900_000].into()];
    }
    let mut node = Node::new(chain);
    let (mut raw, _session) = node.join().await;
    let values = look(&mut raw, large).await;
    assert_eq!(values.len(), 2);
    assert!(values.iter().map(|value| value.len()).sum::<usize>() <= SOFT_RESPONSE_BYTES);
    // One item is always there, behind any number that is not held.
    let values = look(&mut raw, vec![hash(1), hash(2), huge, huge]).await;
    assert_eq!(values.iter().map(|value| value.len()).collect::<Vec<_>>(), [0, 0, 3 << 20]);
    // What no message can carry is not held.
    assert_eq!(look(&mut raw, vec![impossible]).await, [Bytes::new()]);
    let asked = node.chain.hashes.clone();
    raw.say(Message28::GetBlocks(GetBlocks(asked))).await;
    let message = raw.stream.recv().await.unwrap();
    assert!(message.payload.len() <= SOFT_RESPONSE_BYTES && message.payload.len() > 1_800_000);
}

#[tokio::test(start_paused = true)]
async fn decision_9_a_block_over_2_mib_is_served_alone() {
    let mut chain = TestChain::new(3);
    chain.blocks[1].transactions = vec![super::support::transaction(0); 250_000];
    let mut node = Node::new(chain);
    let (mut raw, _session) = node.join().await;
    let asked = vec![node.chain.hashes[1], node.chain.hashes[2]];
    let got = blocks(&mut raw, asked).await;
    assert_eq!(got.len(), 1);
    assert_eq!(got[0], node.chain.blocks[1]);
}

#[tokio::test(start_paused = true)]
async fn one_peer_is_served_one_request_at_a_time_and_in_order() {
    let mut node = Node::new(TestChain::new(30));
    let (mut raw, _session) = node.join().await;
    let chain = node.chain.clone();
    let keys: Vec<_> = chain.values.keys().take(40).copied().collect();
    for key in &keys {
        raw.say(Message28::HashLookup(HashLookup(vec![*key]))).await;
    }
    for key in &keys {
        let Message28::HashLookupResponse(values) = raw.hear().await else { panic!() };
        assert_eq!(values.0, [chain.values[key].clone()]);
    }
    assert_eq!(chain.most_reading.load(Ordering::SeqCst), 1);
}

/// Real time: the point is a thread that blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_peers_slow_request_blocks_nobody_else() {
    let mut node = Node::new(TestChain::new(30));
    let (slow, slow_session) = node.join().await;
    let (mut other, _session) = node.join().await;
    let chain = node.chain.clone();
    chain.close();
    let key = *chain.values.keys().next().unwrap();
    slow.say(Message28::HashLookup(HashLookup(vec![key]))).await;
    while chain.reading.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Another peer's requests, and the slow peer's own answers, go on.
    assert_eq!(headers(&mut other, chain.hashes[..2].to_vec()).await.len(), 2);
    let mut slow = slow;
    let asking = tokio::spawn(async move { slow_session.block_hashes(hash(1), 1, LONG).await });
    assert!(matches!(slow.hear().await, Message28::GetBlockHashes(_)));
    slow.say(Message28::BlockHashes(Default::default())).await;
    assert_eq!(asking.await.unwrap(), Ok(vec![]));
    chain.open();
    let Message28::HashLookupResponse(values) = slow.hear().await else { panic!() };
    assert_eq!(values.0, [chain.values[&key].clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_served_at_once_are_bounded() {
    let mut node = Node::new(TestChain::new(3));
    let chain = node.chain.clone();
    chain.close();
    let key = *chain.values.keys().next().unwrap();
    let mut peers = Vec::new();
    for _ in 0..20 {
        let (raw, session) = node.join().await;
        raw.say(Message28::HashLookup(HashLookup(vec![key]))).await;
        peers.push((raw, session));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(chain.reading.load(Ordering::SeqCst), 8);
    chain.open();
    for (raw, _session) in &mut peers {
        assert!(matches!(raw.hear().await, Message28::HashLookupResponse(_)));
    }
    assert!(chain.most_reading.load(Ordering::SeqCst) <= 8);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_let_go_with_0x0b() {
    let mut chain = TestChain::new(3);
    let huge = chain.add(vec![9; 2 << 20]);
    let mut node = Node::new(chain);
    let (raw, _session) = node.join().await;
    // It asks and asks, and never reads.
    for _ in 0..60 {
        raw.say(Message28::HashLookup(HashLookup(vec![huge]))).await;
    }
    let start = tokio::time::Instant::now();
    let error = raw.run.await.unwrap().unwrap_err();
    assert_eq!(error.reason, rushlight_p2p::DisconnectReason::PingTimeout);
    assert!(start.elapsed() >= Duration::from_secs(29) && start.elapsed() < Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn two_nodes_that_ask_each_other_for_all_they_may_do_not_lock_up() {
    let mut chains = [TestChain::new(3), TestChain::new(3)];
    let huge = chains.each_mut().map(|chain| chain.add(vec![9; 2 << 20]))[0];
    let [first, second] = chains;
    let (mut first, mut second) = (Node::new(first), Node::new(second));
    let (one, two) = join_nodes(&mut first, &mut second).await;
    let asking = (0..100).map(|n| {
        let session = if n % 2 == 0 { one.clone() } else { two.clone() };
        tokio::spawn(async move { session.lookup(vec![huge], LONG).await })
    });
    for asking in asking.collect::<Vec<_>>() {
        assert_eq!(asking.await.unwrap().unwrap()[0].as_ref().unwrap().len(), 2 << 20);
    }
}
