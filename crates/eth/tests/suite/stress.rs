//! Slow consumers and wild peers.

use std::time::Duration;

use alloy_primitives::U256;
use proptest::prelude::*;
use rushlight_eth::{
    SessionEvent,
    v28::{HashLookup, HashLookupResponse, Message28, NewBlock},
};

use super::support::{LONG, Node, TestChain, hash};

#[tokio::test(start_paused = true)]
async fn a_slow_event_consumer_stalls_only_the_session_that_tells() {
    let mut node = Node::with_room(TestChain::new(3), 1);
    let (loud, loud_session) = node.join().await;
    let (mut quiet, quiet_session) = node.join().await;
    let block = node.chain.blocks[1].clone();
    for td in 0..20 {
        loud.say(Message28::NewBlock(NewBlock { block: block.clone(), td: U256::from(td) })).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Nobody has taken an event, and yet the other session asks and answers.
    quiet.say(Message28::HashLookup(HashLookup(vec![hash(1)]))).await;
    assert!(matches!(quiet.hear().await, Message28::HashLookupResponse(_)));
    let asking = tokio::spawn(async move { quiet_session.lookup(vec![hash(1)], LONG).await });
    assert!(matches!(quiet.hear().await, Message28::HashLookup(_)));
    quiet.say(Message28::HashLookupResponse(HashLookupResponse(vec![Default::default()]))).await;
    assert_eq!(asking.await.unwrap(), Ok(vec![None]));
    // Nothing of the loud one is lost.
    for expected in 0..20 {
        let Some(SessionEvent::NewBlock { session, td, .. }) = node.events.recv().await else { panic!() };
        assert_eq!((session.id(), td), (loud_session.id(), U256::from(expected)));
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_go_on_where_nobody_listens_to_events() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, _session) = node.join().await;
    node.events.close();
    while node.events.recv().await.is_some() {}
    let block = node.chain.blocks[1].clone();
    raw.say(Message28::NewBlock(NewBlock { block, td: U256::from(1) })).await;
    raw.say(Message28::HashLookup(HashLookup(vec![hash(1)]))).await;
    assert!(matches!(raw.hear().await, Message28::HashLookupResponse(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a peer says, the session ends in order or goes on, and another one goes on.
    #[test]
    fn a_wild_peer_ends_at_most_its_own_session(
        messages in prop::collection::vec((0u64..0x14, prop::collection::vec(any::<u8>(), 0..64)), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut node = Node::new(TestChain::new(3));
            let (mut bystander, other) = node.join().await;
            let (raw, session) = node.join().await;
            for (id, payload) in messages {
                raw.say_bytes(id, payload).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if session.is_closed() {
                assert!(node.left(raw.id).await.is_some());
                assert!(raw.run.await.unwrap().is_err());
            }
            bystander.say(Message28::HashLookup(HashLookup(vec![hash(1)]))).await;
            assert!(matches!(bystander.hear().await, Message28::HashLookupResponse(_)));
            assert!(!other.is_closed());
        });
    }
}
