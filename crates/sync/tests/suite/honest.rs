//! Among honest peers.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::U256;
use rushlight_chain::testing::ToySeal;
use rushlight_chain::{
    Activation, ChainSpec, Fork, Forks, HeaderChain, HeaderChainConfig, RawBlock, Retain, SealPolicy, header,
};
use rushlight_p2p::memory::LinkConfig;
use tokio::time::{Instant, sleep};

use super::chains::{Lie, SPEC, Served, TRUNK, branch, trunk};
use super::net::{Node, Serving, Setup, UNIX, id, ip, network};

#[tokio::test(start_paused = true)]
async fn thirty_thousand_headers_from_three_at_once() {
    for policy in [SealPolicy::All, SealPolicy::Sampled] {
        let network = network(1);
        let chains: Vec<_> = (0..3).map(|_| Served::new(trunk(30_000), Lie::None)).collect();
        let mut serving = Vec::new();
        for (number, chain) in (1..).zip(&chains) {
            serving.push(Serving::start(&network, number, chain.clone()).await);
        }
        let began = Instant::now();
        let node =
            Node::start(&network, Setup { policy, ..Setup::default() }, &serving.iter().collect::<Vec<_>>()).await;
        node.until("progress", || {
            let progress = node.sync.status().syncing;
            progress.is_some_and(|progress| {
                progress.current > 10_000 && progress.highest == 30_000 && progress.starting == 0
            })
        })
        .await;
        let status = node.sync.status();
        assert!(status.rate > 100.0 && status.remaining.is_some() && !status.synced && status.peers == 3, "{status:?}");
        if policy == SealPolicy::Sampled {
            assert_eq!(node.chain.head().header.number, 0, "the old chain stands until the new one is settled");
        }
        node.reaches(&TRUNK[29_999]).await;
        node.until("end of the sync", || node.sync.synced()).await;
        assert_eq!(node.sync.status().syncing, None);
        let given: Vec<u64> = chains.iter().map(|chain| chain.given()).collect();
        assert!(given.iter().all(|given| *given > 3_000), "everyone has a share: {given:?}");
        assert!(given.iter().sum::<u64>() < 30_050, "nothing is fetched twice: {given:?}");
        assert_eq!(node.sync.status().seals_checked, node.chain.seals_checked());
        assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
        for number in 1..=3 {
            assert_eq!(node.peers.score(&id(number)), 0.0);
        }

        // A light node serves the next one what it holds.
        let next = Serving::start(&network, 9, Served::new(trunk(1), Lie::None)).await;
        drop(next);
        let second = Node::start(&network, Setup { number: 101, ..Setup::default() }, &[]).await;
        assert!(second.server.add_peer(node.server.enode()).await);
        second.reaches(&TRUNK[29_999]).await;
        let began = Instant::now();
        node.sync.shutdown().await;
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test(start_paused = true)]
async fn segments_end_where_they_should() {
    for length in [1, 2_047, 2_048, 2_049, 4_096, 6_145] {
        let network = network(length as u64);
        let peer = Serving::start(&network, 1, Served::new(trunk(length), Lie::None)).await;
        let node = Node::start(&network, Setup::default(), &[&peer]).await;
        node.reaches(&TRUNK[length - 1]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_heaviest_of_different_heads_and_a_heavier_one_later() {
    let network = network(3);
    let chains = [trunk(3_000), branch(2_500, 800, 1), branch(2_000, 600, 2)];
    let mut serving = Vec::new();
    for (number, chain) in (1..).zip(&chains) {
        serving.push(Serving::start(&network, number, Served::new(chain.clone(), Lie::None)).await);
    }
    for policy in [SealPolicy::All, SealPolicy::Sampled] {
        let peers: Vec<&Serving> = serving.iter().collect();
        let node = Node::start(&network, Setup { policy, ..Setup::default() }, &peers).await;
        node.reaches(&chains[1][3_299]).await;
        let heavier = branch(1_000, 5_000, 3);
        let later = Serving::start(&network, 7, Served::new(heavier.clone(), Lie::None)).await;
        node.add(&later).await;
        node.reaches(&heavier[5_999]).await;
        assert!(!node.chain.is_canonical(&chains[1][3_299].hash()));
        node.until("end of the sync", || node.sync.synced()).await;
        node.kill(&network, 100).await;
        later.server.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn slow_links_and_breaking_ones() {
    let network = network(4);
    let mut serving = Vec::new();
    for number in 1..=3 {
        serving.push(Serving::start(&network, number, Served::new(trunk(8_000), Lie::None)).await);
    }
    let link = |latency, bandwidth, reset_probability| LinkConfig {
        latency: Duration::from_millis(latency),
        jitter: Duration::from_millis(latency / 2),
        bandwidth,
        reset_probability,
    };
    network.set_link_between(ip(100), ip(1), link(400, Some(60_000), 0.0));
    network.set_link_between(ip(100), ip(2), link(50, None, 0.05));
    network.set_link_between(ip(100), ip(3), link(900, Some(200_000), 0.01));
    let node = Node::start(&network, Setup::default(), &serving.iter().collect::<Vec<_>>()).await;
    node.reaches(&TRUNK[7_999]).await;
    for number in 1..=3 {
        assert!(node.peers.score(&id(number)) > -50.0, "slow is no lie");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_leaves_no_gap() {
    let network = network(5);
    let mut serving = Vec::new();
    for number in 1..=4 {
        serving.push(Serving::start(&network, number, Served::new(trunk(20_000), Lie::None)).await);
    }
    let node = Node::start(&network, Setup::default(), &serving.iter().collect::<Vec<_>>()).await;
    let past = |number: u64| move |node: &Node| node.chain.head().header.number > number;
    node.until("2,000", || past(2_000)(&node)).await;
    serving[0].server.shutdown().await; // Says goodbye,
    network.reset(ip(2)); // hangs up,
    node.until("6,000", || past(6_000)(&node)).await;
    network.cut(ip(3)); // and is not heard of again.
    node.reaches(&TRUNK[19_999]).await;
    assert_eq!(node.peers.score(&id(4)), 0.0);
}

#[tokio::test(start_paused = true)]
async fn new_blocks_are_followed_and_false_total_difficulties_cost() {
    let network = network(6);
    let chain = Served::new(trunk(1_000), Lie::None);
    let mut first = Serving::start(&network, 1, chain.clone()).await;
    let mut second = Serving::start(&network, 2, chain.clone()).await;
    let node = Node::start(&network, Setup::default(), &[&first, &second]).await;
    let (one, two) = (first.session().await, second.session().await);
    node.reaches(&TRUNK[999]).await;
    let block = |number: usize| {
        let td = TRUNK[..number].iter().fold(SPEC.genesis.difficulty, |td, header| td + header.difficulty);
        (RawBlock { header: header::encode(&TRUNK[number - 1]), ..RawBlock::default() }, td)
    };
    for number in 1_001..=1_010 {
        let (raw, td) = block(number);
        assert!(one.announce_block(&raw, td) && two.announce_block(&raw, td));
        node.reaches(&TRUNK[number - 1]).await;
        assert!(node.sync.synced() && !two.knows_block(&TRUNK[number].hash()));
    }
    let (raw, td) = block(1_011);
    two.announce_block(&raw, td + U256::from(1));
    node.reaches(&TRUNK[1_010]).await;
    assert_eq!(node.peers.score(&id(1)), 0.0);
    assert!(node.peers.score(&id(2)) < -20.0);
    assert!(node.sync.synced());
    // A block whose parent is not known: its chain is asked for. This peer does not hold it.
    let (raw, td) = block(1_020);
    one.announce_block(&raw, td);
    sleep(Duration::from_secs(5)).await;
    assert!(node.sync.synced());
    assert_eq!((node.chain.head().header.number, node.peers.score(&id(1))), (1_011, 0.0));
}

#[tokio::test(start_paused = true)]
async fn proof_of_stake_is_the_end_and_nobodys_fault() {
    let terminal = SPEC.genesis.difficulty + TRUNK[..2_499].iter().map(|header| header.difficulty).sum::<U256>();
    let forks =
        Forks::new(vec![(Fork::Homestead, Activation::Block(0)), (Fork::Paris, Activation::TotalDifficulty(terminal))]);
    let spec = Arc::new(ChainSpec { forks, ..(**SPEC).clone() });
    for policy in [SealPolicy::All, SealPolicy::Sampled] {
        let network = network(7);
        let chain = Served::new(trunk(4_000), Lie::None);
        let peer = Serving::start(&network, 1, chain.clone()).await;
        let node = Node::start(&network, Setup { spec: spec.clone(), policy, ..Setup::default() }, &[&peer]).await;
        node.until("stop", || node.sync.status().stopped.is_some()).await;
        assert_eq!(node.chain.head().header, TRUNK[2_498]);
        let stopped = node.sync.status().stopped.unwrap();
        assert_eq!(stopped.number, 2_500);
        assert!(stopped.reason.contains("--trusted-head"), "{}", stopped.reason);
        sleep(Duration::from_secs(10)).await; // What was on its way comes.
        let given = chain.given();
        sleep(Duration::from_secs(1_800)).await;
        assert_eq!(chain.given(), given, "it does not ask again and again");
        assert_eq!((node.peers.len(), node.peers.score(&id(1))), (1, 0.0));
        assert_eq!(node.sync.status().syncing, None);
    }
}

/// Light nodes serve what they retain: less than a first sync takes, and all that one which was away for a while lacks.
#[tokio::test(start_paused = true)]
async fn a_peer_that_keeps_only_anchors_is_one_that_does_not_have_it() {
    let network = network(22);
    let full = Serving::start(&network, 1, Served::new(trunk(3_000), Lie::None)).await;
    let retain = Retain::Last(512);
    let thinned = Node::start(&network, Setup { number: 101, retain, ..Setup::default() }, &[&full]).await;
    thinned.reaches(&TRUNK[2_999]).await;
    thinned.until("end of the sync", || thinned.sync.synced()).await;
    assert_eq!(thinned.chain.canonical_hash(2_000), None);

    let new = Node::start(&network, Setup { number: 102, retain, ..Setup::default() }, &[]).await;
    assert!(new.server.add_peer(thinned.server.enode()).await);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(new.chain.head().header.number, 0);
    assert_eq!((new.peers.len(), new.sync.status().syncing), (1, None));
    new.add(&full).await;
    new.reaches(&TRUNK[2_999]).await;

    let away = Setup { number: 103, retain, ..Setup::default() };
    let config = HeaderChainConfig::new(SealPolicy::All, Arc::new(ToySeal::default()), Arc::new(|| UNIX));
    let chain = HeaderChain::open(away.spec.clone(), away.store.clone(), config).unwrap();
    chain.extend(&TRUNK[..2_700].iter().map(|one| header::encode(one)).collect::<Vec<_>>()).unwrap();
    drop(chain);
    let away = Node::start(&network, away, &[]).await;
    assert!(away.server.add_peer(thinned.server.enode()).await);
    away.reaches(&TRUNK[2_999]).await;
    for node in [&thinned, &new, &away] {
        assert!([1, 101, 102, 103].iter().all(|number| node.peers.score(&id(*number)) == 0.0));
        node.sync.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_heavier_chain_from_far_below_what_is_retained() {
    for policy in [SealPolicy::All, SealPolicy::Sampled] {
        let network = network(21);
        let ours = Serving::start(&network, 1, Served::new(trunk(4_000), Lie::None)).await;
        let setup = Setup { policy, retain: Retain::Last(256), ..Setup::default() };
        let node = Node::start(&network, setup, &[&ours]).await;
        node.reaches(&TRUNK[3_999]).await;
        node.until("end of the sync", || node.sync.synced()).await;
        assert_eq!(node.chain.canonical_hash(512), Some(TRUNK[511].hash()));
        assert_eq!(node.chain.canonical_hash(600), None);
        // It leaves our chain between two anchors, so that what both share is fetched again from the lower one.
        let chain = branch(700, 3_500, 7);
        let theirs = Serving::start(&network, 2, Served::new(chain.clone(), Lie::None)).await;
        node.add(&theirs).await;
        node.reaches(&chain[4_199]).await;
        assert_eq!(node.chain.canonical_hash(512), Some(TRUNK[511].hash()));
        assert_eq!(node.chain.canonical_hash(1_024), Some(chain[1_023].hash()));
        assert_eq!(node.chain.anchor_above(1_030), Some((1_536, chain[1_535].hash())));
        assert_eq!(node.peers.score(&id(2)), 0.0);
        node.sync.shutdown().await;
    }
}
