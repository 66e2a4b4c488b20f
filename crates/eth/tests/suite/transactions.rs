//! Decision 8: transactions.

use std::sync::atomic::Ordering;

use alloy_primitives::{Bytes, keccak256};
use rushlight_eth::{
    SessionEvent,
    v28::{Message28, SOFT_RESPONSE_BYTES, Transactions},
};

use super::support::{Node, TestChain, join_nodes, transaction};

async fn received(node: &mut Node) -> (Vec<alloy_primitives::B256>, usize) {
    match node.events.recv().await.unwrap() {
        SessionEvent::Transactions { transactions, repeated, .. } => {
            assert!(transactions.iter().all(|(hash, raw)| *hash == keccak256(raw)));
            (transactions.into_iter().map(|(hash, _)| hash).collect(), repeated)
        }
        other => panic!("expected Transactions, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn decision_8_transactions_go_out_once() {
    let (mut first, mut second) = (Node::new(TestChain::new(3)), Node::new(TestChain::new(3)));
    let (one, _two) = join_nodes(&mut first, &mut second).await;
    let all: Vec<Bytes> = (0..3).map(transaction).collect();
    assert_eq!(one.send_transactions(&[all[0].clone(), all[1].clone(), all[0].clone()]), 2);
    let hashes: Vec<_> = all.iter().map(keccak256).collect();
    assert_eq!(received(&mut second).await, (hashes[..2].to_vec(), 0));
    assert_eq!(one.send_transactions(&all), 1, "must not resend");
    assert_eq!(received(&mut second).await, (hashes[2..].to_vec(), 0));
    assert_eq!(one.send_transactions(&all), 0);
}

#[tokio::test(start_paused = true)]
async fn decision_8_nothing_goes_back_to_where_it_came_from() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let all: Vec<Bytes> = (0..2).map(transaction).collect();
    raw.say(Message28::Transactions(Transactions(vec![all[0].clone()]))).await;
    received(&mut node).await;
    assert!(session.knows_transaction(&keccak256(&all[0])));
    assert_eq!(session.send_transactions(&all), 1);
    assert_eq!(raw.hear().await, Message28::Transactions(Transactions(vec![all[1].clone()])));
    raw.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn edges_a_repeated_transaction_is_told_and_one_that_crosses_ours_is_not() {
    let mut node = Node::new(TestChain::new(3));
    let (raw, session) = node.join().await;
    let all: Vec<Bytes> = (0..2).map(transaction).collect();
    let hashes: Vec<_> = all.iter().map(keccak256).collect();
    session.send_transactions(&all[..1]);
    raw.say(Message28::Transactions(Transactions(all.clone()))).await;
    assert_eq!(received(&mut node).await, (hashes.clone(), 0), "both sides may send one at once");
    raw.say(Message28::Transactions(Transactions(vec![all[1].clone(), all[1].clone(), all[0].clone()]))).await;
    assert_eq!(received(&mut node).await, (vec![], 3));
    assert!(!session.is_closed(), "it costs score, not the session");
}

#[tokio::test(start_paused = true)]
async fn decision_8_a_node_takes_part_only_once_it_has_synced() {
    let mut node = Node::new(TestChain::new(3));
    node.accept.store(false, Ordering::Relaxed);
    let (mut raw, session) = node.join().await;
    let all: Vec<Bytes> = (0..2).map(transaction).collect();
    assert_eq!(session.send_transactions(&all), 0);
    raw.say(Message28::Transactions(Transactions(vec![all[0].clone()]))).await;
    raw.hears_nothing().await;
    assert!(node.events.try_recv().is_err());
    node.accept.store(true, Ordering::Relaxed);
    assert_eq!(session.send_transactions(&all), 1, "what came in meanwhile is remembered");
    assert_eq!(raw.hear().await, Message28::Transactions(Transactions(vec![all[1].clone()])));
}

#[tokio::test(start_paused = true)]
async fn decision_8_batches_stay_within_2_mib() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let large = |nonce| {
        use alloy_consensus::{SignableTransaction, TxEnvelope, TxLegacy};
        use alloy_eips::Encodable2718;
        let transaction = TxLegacy { nonce, input: vec![1; 900_000].into(), ..TxLegacy::default() };
        let signature = alloy_primitives::Signature::new(Default::default(), Default::default(), false);
        Bytes::from(TxEnvelope::from(transaction.into_signed(signature)).encoded_2718())
    };
    let all: Vec<_> = (0..5).map(large).collect();
    assert_eq!(session.send_transactions(&all), 5);
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 5 {
        let message = raw.stream.recv().await.unwrap();
        assert!(message.payload.len() <= SOFT_RESPONSE_BYTES + 16);
        let Ok(Message28::Transactions(got)) = rushlight_eth::v28::decode(message.id, &message.payload) else {
            panic!()
        };
        counts.push(got.0.len());
    }
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_peer_has_no_room_for_stays_unknown() {
    let mut node = Node::new(TestChain::new(3));
    let (_raw, session) = node.join().await;
    // The peer reads nothing, and the task gets no turn to send: the queue holds eight messages.
    let sent: usize = (0..20).map(|nonce| session.send_transactions(&[transaction(nonce)])).sum();
    assert_eq!(sent, 8);
    assert!(session.knows_transaction(&keccak256(transaction(7))));
    assert!(!session.knows_transaction(&keccak256(transaction(8))));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_transaction_is_not_sent() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    assert_eq!(session.send_transactions(&[Bytes::from_static(b"no"), transaction(1)]), 1);
    assert_eq!(raw.hear().await, Message28::Transactions(Transactions(vec![transaction(1)])));
}
