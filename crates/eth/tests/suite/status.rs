use std::time::Duration;

use rushlight_eth::{
    SessionEvent,
    v28::{GetBlockHashes, Message28, Status},
};
use rushlight_p2p::DisconnectReason;

use super::support::{Node, TestChain, hash, join_nodes};

#[tokio::test(start_paused = true)]
async fn decision_2_both_say_status_once_and_join() {
    let (mut first, mut second) = (Node::new(TestChain::new(5)), Node::new(TestChain::new(9)));
    let (one, two) = join_nodes(&mut first, &mut second).await;
    assert_eq!(*one.status(), second.status());
    assert_eq!(*two.status(), first.status());
    assert_eq!(one.status().td.to::<u64>(), 9, "the head's own difficulty included");
    assert!(one.knows_block(&one.status().best), "a peer has its own head");
}

#[tokio::test(start_paused = true)]
async fn decision_2_network_id_is_0_unless_told_otherwise() {
    let mut node = Node::new(TestChain::new(2));
    let mut raw = node.connect();
    let Message28::Status(status) = raw.hear().await else { panic!() };
    assert_eq!((status.protocol_version, status.network_id), (0x1c, 0));
}

#[tokio::test(start_paused = true)]
async fn decision_2_each_mismatch_ends_with_0x10() {
    let mut node = Node::new(TestChain::new(2));
    let good = node.status();
    for (theirs, says) in [
        (Status { protocol_version: 27, ..good }, "protocol version: ours is 28, the peer's is 27".to_owned()),
        (Status { network_id: 5, ..good }, "network id: ours is 0, the peer's is 5".to_owned()),
        (Status { genesis: hash(7), ..good }, format!("genesis: ours is {}, the peer's is {}", good.genesis, hash(7))),
    ] {
        let raw = node.connect();
        raw.say(Message28::Status(theirs)).await;
        let error = raw.ended().await;
        assert_eq!((error.reason, error.message), (DisconnectReason::SubprotocolError, says));
    }
    assert!(node.events.try_recv().is_err(), "another chain is no breach, and no session either");
}

#[tokio::test(start_paused = true)]
async fn decision_2_anything_before_status_is_a_breach() {
    let mut node = Node::new(TestChain::new(2));
    let raw = node.connect();
    raw.say(Message28::GetBlockHashes(GetBlockHashes { hash: hash(1), max_blocks: 1 })).await;
    raw.breached(&mut node, 0x03, "before Status").await;
}

#[tokio::test(start_paused = true)]
async fn decision_2_a_malformed_status_is_a_breach() {
    let mut node = Node::new(TestChain::new(2));
    let raw = node.connect();
    raw.say_bytes(0, vec![0xc0]).await;
    raw.breached(&mut node, 0x00, "expected 5 fields, got 0").await;
}

#[tokio::test(start_paused = true)]
async fn decision_2_a_second_status_is_a_breach() {
    let mut node = Node::new(TestChain::new(2));
    let (raw, _) = node.join().await;
    raw.say(Message28::Status(node.status())).await;
    raw.breached(&mut node, 0x00, "a second Status").await;
}

#[tokio::test(start_paused = true)]
async fn decision_2_and_edges_silence_for_5_seconds_is_let_go_with_0x0b() {
    let mut node = Node::new(TestChain::new(2));
    let start = tokio::time::Instant::now();
    let raw = node.connect();
    let error = raw.ended().await;
    assert_eq!(error.reason, DisconnectReason::PingTimeout);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn decision_2_a_status_after_4_seconds_is_in_time() {
    let mut node = Node::new(TestChain::new(2));
    let raw = node.connect();
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    raw.say(Message28::Status(node.status())).await;
    node.joined().await;
}

#[tokio::test(start_paused = true)]
async fn decision_2_nothing_is_sent_before_both_have_said_status() {
    let mut node = Node::new(TestChain::new(2));
    let mut raw = node.connect();
    assert!(matches!(raw.hear().await, Message28::Status(_)));
    raw.hears_nothing().await;
    assert!(node.events.try_recv().is_err());
    raw.say(Message28::Status(node.status())).await;
    node.joined().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_away_ends_the_session_quietly() {
    let mut node = Node::new(TestChain::new(2));
    let (raw, session) = node.join().await;
    raw.peer.disconnect(DisconnectReason::ClientQuitting);
    assert_eq!(raw.run.await.unwrap(), Ok(()));
    assert_eq!(node.left(raw.id).await, None);
    assert!(session.is_closed());

    let raw = node.connect();
    raw.peer.disconnect(DisconnectReason::ClientQuitting);
    assert_eq!(raw.run.await.unwrap(), Ok(()));
    assert!(node.events.try_recv().is_err(), "there was no session to leave");
}

#[tokio::test(start_paused = true)]
async fn left_is_told_though_the_session_is_dropped_and_the_queue_full() {
    let mut node = Node::with_room(TestChain::new(2), 1);
    let (raw, session) = node.join().await;
    let (other, _) = {
        let mut raw = node.connect();
        raw.hear().await;
        raw.say(Message28::Status(node.status())).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        (raw, ())
    };
    // The second session's Joined fills the queue; the first session's task is dropped where it stands.
    raw.run.abort();
    let _ = raw.run.await;
    assert!(session.is_closed());
    assert_eq!(node.joined().await.id(), other.id);
    assert!(matches!(node.events.recv().await, Some(SessionEvent::Left { id, .. }) if id == raw.id));
}
