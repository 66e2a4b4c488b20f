//! NewBlock, and what blocks a peer is known to have.

use alloy_primitives::U256;
use rushlight_eth::{
    SessionEvent,
    v28::{Blocks, Message28, NewBlock},
};

use super::support::{LONG, Node, TestChain, hash, join_nodes};

#[tokio::test(start_paused = true)]
async fn decision_8_new_blocks_go_to_sessions_not_known_to_have_them() {
    let (mut first, mut second) = (Node::new(TestChain::new(5)), Node::new(TestChain::new(3)));
    let (one, two) = join_nodes(&mut first, &mut second).await;
    let chain = first.chain.clone();
    assert!(one.announce_block(&chain.blocks[4], U256::from(5)));
    assert!(!one.announce_block(&chain.blocks[4], U256::from(5)), "once");
    let SessionEvent::NewBlock { session, block, td } = second.events.recv().await.unwrap() else { panic!() };
    assert_eq!((session.id(), &block, td), (two.id(), &chain.blocks[4], U256::from(5)));
    assert!(!two.announce_block(&block, td), "nothing goes back to where it came from");
    assert!(!two.announce_block(&chain.blocks[4], td), "its Status told of it too");

    two.mark_block_known(hash(1));
    assert!(two.knows_block(&hash(1)) && !two.knows_block(&hash(2)));
}

#[tokio::test(start_paused = true)]
async fn a_new_block_raises_the_claim_and_none_lowers_it() {
    let mut node = Node::new(TestChain::new(5));
    let (raw, session) = node.join().await;
    let chain = node.chain.clone();
    for (at, td, claimed) in [(1, 9, (1, 9)), (2, 7, (1, 9)), (3, 10, (3, 10))] {
        raw.say(Message28::NewBlock(NewBlock { block: chain.blocks[at].clone(), td: U256::from(td) })).await;
        node.events.recv().await.unwrap();
        assert_eq!(session.claimed_head(), (chain.hashes[claimed.0], U256::from(claimed.1)));
        assert!(session.knows_block(&chain.hashes[at]));
    }
    assert_eq!(session.status().td, U256::from(5), "Status is what was said in Status");
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_the_blocks_that_it_serves() {
    let mut node = Node::new(TestChain::new(5));
    let (mut raw, session) = node.join().await;
    let chain = node.chain.clone();
    let asking = {
        let (session, hashes) = (session.clone(), chain.hashes[1..3].to_vec());
        tokio::spawn(async move { session.blocks(hashes, LONG).await })
    };
    raw.hear().await;
    raw.say(Message28::Blocks(Blocks(vec![chain.blocks[2].clone()]))).await;
    assert_eq!(asking.await.unwrap().unwrap(), [chain.blocks[2].clone()]);
    assert!(session.knows_block(&chain.hashes[2]) && !session.knows_block(&chain.hashes[1]));
}

#[tokio::test(start_paused = true)]
async fn a_block_that_no_message_may_carry_is_not_announced() {
    let mut node = Node::new(TestChain::new(3));
    let (mut raw, session) = node.join().await;
    let mut block = node.chain.blocks[1].clone();
    block.transactions = vec![vec![0xc0; 10 << 20].into()];
    assert!(!session.announce_block(&block, U256::from(2)));
    raw.hears_nothing().await;
}
