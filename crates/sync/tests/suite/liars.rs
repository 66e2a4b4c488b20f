//! One liar of three changes no answer, and pays for it.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, U256};
use rushlight_chain::testing::toy_seal;
use rushlight_chain::{SealPolicy, SealedHeader, header};
use rushlight_p2p::DisconnectReason;

use super::chains::{Lie, Served, TRUNK, bad_branch, invented, trunk};
use super::net::{Manner, Node, Serving, Setup, id, network};

/// A liar with number 1, and two honest peers.
async fn among_two(seed: u64, policy: SealPolicy, headers: Vec<SealedHeader>, lie: Lie) {
    let network = network(seed);
    let liar = Serving::start(&network, 1, Served::new(headers, lie)).await;
    let chain = Served::new(trunk(6_000), Lie::None);
    let honest = [Serving::start(&network, 2, chain.clone()).await, Serving::start(&network, 3, chain).await];
    let node = Node::start(&network, Setup { policy, ..Setup::default() }, &[&liar, &honest[0], &honest[1]]).await;
    node.until("verdict", || node.peers.score(&id(1)) <= -25.0).await;
    node.reaches(&TRUNK[5_999]).await;
    node.until("end of the sync", || node.sync.synced()).await;
    assert_eq!((node.peers.score(&id(2)), node.peers.score(&id(3))), (0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn about_difficulty() {
    among_two(1, SealPolicy::All, trunk(6_000), Lie::Boasts).await;
    among_two(2, SealPolicy::Sampled, trunk(5_000), Lie::Boasts).await;
}

#[tokio::test(start_paused = true)]
async fn with_hashes_without_end() {
    among_two(3, SealPolicy::All, invented(50_000_000), Lie::Endless).await;
    among_two(4, SealPolicy::Sampled, invented(20_000), Lie::Endless).await;
    // A number that its timestamp refutes, and a timestamp from the future.
    let mut template = TRUNK[0].inner().clone();
    (template.number, template.timestamp) = (100_000_000, TRUNK[0].timestamp + 1_000);
    among_two(5, SealPolicy::All, vec![toy_seal(template)], Lie::Endless).await;
    among_two(6, SealPolicy::All, invented(64_000_000), Lie::Endless).await;
}

#[tokio::test(start_paused = true)]
async fn with_invented_links() {
    let network = network(7);
    let liar = Serving::start(&network, 1, Served::new(trunk(6_000), Lie::Forges(4_000))).await;
    let chain = Served::new(trunk(6_000), Lie::None);
    let honest = Serving::start(&network, 2, chain).await;
    let node = Node::start(&network, Setup::default(), &[&liar, &honest]).await;
    node.reaches(&TRUNK[5_999]).await;
    node.until("verdict", || node.peers.score(&id(1)) < 0.0).await;
    assert_eq!(node.peers.score(&id(2)), 0.0);
}

#[tokio::test(start_paused = true)]
async fn with_headers_that_break_a_rule() {
    let spoil = |sealed: SealedHeader| {
        let mut header = sealed.into_inner();
        header.difficulty += U256::from(1_000_000_000u64);
        toy_seal(header)
    };
    for (seed, policy) in [(8, SealPolicy::All), (9, SealPolicy::Sampled)] {
        among_two(seed, policy, bad_branch(3_000, 3_500, 5, spoil), Lie::None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_seal_that_does_not_hold() {
    let spoil = |sealed: SealedHeader| {
        let mut header = sealed.into_inner();
        header.mix_hash = B256::ZERO;
        header::seal(header)
    };
    // Among the last 2,048, which are checked whatever the policy.
    for (seed, policy) in [(10, SealPolicy::All), (11, SealPolicy::Sampled)] {
        among_two(seed, policy, bad_branch(5_000, 1_500, 5, spoil), Lie::None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn by_silence() {
    for (seed, manner) in [(12, Manner::Silent), (13, Manner::Stalling)] {
        let network = network(seed);
        let mut liar = Serving::mute(&network, 1, Served::new(trunk(9_000), Lie::None), manner).await;
        let chain = Served::new(trunk(6_000), Lie::None);
        let honest = [Serving::start(&network, 2, chain.clone()).await, Serving::start(&network, 3, chain).await];
        let node = Node::start(&network, Setup::default(), &[&liar, &honest[0], &honest[1]]).await;
        node.until("6,000", || node.chain.head().header.number >= 6_000).await;
        // "A peer let go for silence or slowness gets reason 0x0b."
        assert_eq!(liar.dropped().await, DisconnectReason::PingTimeout, "{manner:?}");
        assert!(node.peers.score(&id(1)) < 0.0);
        node.until("end of the sync", || node.sync.synced()).await;
        assert_eq!((node.peers.score(&id(2)), node.peers.score(&id(3))), (0.0, 0.0));
    }
}

#[tokio::test(start_paused = true)]
async fn all_at_once_against_one_honest_peer() {
    let network = network(14);
    let spoil = |sealed: SealedHeader| {
        let mut header = sealed.into_inner();
        header.gas_limit += 1 << 30;
        toy_seal(header)
    };
    let served = |headers, lie| -> Arc<Served> { Served::new(headers, lie) };
    let peers = [
        Serving::start(&network, 1, served(trunk(7_000), Lie::Boasts)).await,
        Serving::start(&network, 2, served(invented(40_000_000), Lie::Endless)).await,
        Serving::start(&network, 3, served(invented(30_000_000), Lie::Endless)).await,
        Serving::start(&network, 4, served(bad_branch(2_000, 9_000, 5, spoil), Lie::None)).await,
        Serving::start(&network, 5, served(trunk(9_000), Lie::Forges(3_000))).await,
        Serving::mute(&network, 6, served(trunk(9_500), Lie::None), Manner::Stalling).await,
        Serving::mute(&network, 7, served(trunk(9_900), Lie::None), Manner::Silent).await,
        Serving::start(&network, 8, served(trunk(10_000), Lie::None)).await,
    ];
    let node = Node::start(&network, Setup::default(), &peers.iter().collect::<Vec<_>>()).await;
    node.reaches(&TRUNK[9_999]).await;
    // The others claim less than the honest one, and need not be found out.
    node.until("verdicts", || (1..=4).all(|number| node.peers.score(&id(number)) < 0.0)).await;
    assert_eq!(node.peers.score(&id(8)), 0.0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(node.chain.head().header, TRUNK[9_999]);
}
