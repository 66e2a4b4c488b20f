//! Down from a trusted head.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256};
use rushlight_chain::store::MemoryStore;
use rushlight_chain::{Descent, RawBlock, Retain, SealPolicy, SealedHeader, header};
use rushlight_p2p::memory::LinkConfig;
use tokio::time::{Instant, sleep, timeout};

use super::chains::{Lie, SPEC, Served, TRUNK, miner, trunk};
use super::net::{Manner, Node, Serving, Setup, id, ip, network};

/// A chain without difficulty.
static STAKED: LazyLock<Vec<SealedHeader>> = LazyLock::new(|| staked(&SPEC.genesis, 12_000));

fn staked(genesis: &SealedHeader, count: usize) -> Vec<SealedHeader> {
    let miner = miner(0);
    let mut headers: Vec<SealedHeader> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut template = miner.template(headers.last().unwrap_or(genesis));
        template.difficulty = U256::ZERO;
        headers.push(header::seal(template));
    }
    headers
}

fn trusting(head: &SealedHeader) -> Setup {
    Setup { trusted: Some(head.hash()), ..Setup::default() }
}

async fn linked(node: &Node) {
    node.until("link to genesis", || matches!(node.chain.descent(), Some(Descent::Linked { .. }))).await;
    node.until("end of the sync", || node.sync.synced()).await;
    assert_eq!(node.sync.status().syncing, None);
}

#[tokio::test(start_paused = true)]
async fn the_head_comes_first_and_the_rest_from_everyone() {
    for length in [1, 2, 2_047, 2_049, 12_000] {
        let network = network(1);
        let head = &STAKED[length - 1];
        let chains: Vec<_> = (0..3).map(|_| Served::new(STAKED[..length].to_vec(), Lie::None)).collect();
        let mut serving = Vec::new();
        for (number, chain) in (1..).zip(&chains) {
            serving.push(Serving::start(&network, number, chain.clone()).await);
        }
        let began = Instant::now();
        let node = Node::start(&network, trusting(head), &serving.iter().collect::<Vec<_>>()).await;
        assert!(!node.sync.synced());
        node.reaches(head).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        if length == 12_000 {
            node.until("progress", || {
                node.sync.status().syncing.is_some_and(|progress| {
                    progress.current > 6_000 && progress.current < 12_000 && progress.highest == 12_000
                })
            })
            .await;
        }
        linked(&node).await;
        assert_eq!(node.chain.canonical_hash(1), Some(STAKED[0].hash()));
        assert_eq!(node.chain.seals_checked(), 0);
        let given: Vec<u64> = chains.iter().map(|chain| chain.given()).collect();
        assert!(given.iter().sum::<u64>() < length as u64 + 10, "nothing is fetched twice: {given:?}");
        assert!(length < 12_000 || given.iter().all(|given| *given > 1_000), "everyone has a share: {given:?}");
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        (1..=3).for_each(|number| assert_eq!(node.peers.score(&id(number)), 0.0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_keeps_only_anchors_helps_as_far_as_that_goes() {
    let network = network(9);
    let head = &STAKED[4_999];
    let full = Serving::start(&network, 1, Served::new(STAKED[..5_000].to_vec(), Lie::None)).await;
    let retain = Retain::Last(512);
    let thinned = Node::start(&network, Setup { number: 101, retain, ..trusting(head) }, &[&full]).await;
    linked(&thinned).await;
    assert_eq!(
        (thinned.chain.canonical_hash(4_096), thinned.chain.canonical_hash(4_095)),
        (Some(STAKED[4_095].hash()), None)
    );
    let node = Node::start(&network, Setup { number: 102, retain, ..trusting(head) }, &[]).await;
    assert!(node.server.add_peer(thinned.server.enode()).await);
    node.reaches(head).await;
    sleep(Duration::from_secs(300)).await;
    let Some(Descent::Wanted { number: Some(wanted), .. }) = node.chain.descent() else { panic!("not all is there") };
    assert_eq!((wanted, node.peers.len()), (4_095, 1));
    node.add(&full).await;
    linked(&node).await;
    for node in [&thinned, &node] {
        assert!([1, 101, 102].iter().all(|number| node.peers.score(&id(*number)) == 0.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_block_changes_nothing_where_there_is_no_difficulty() {
    let network = network(2);
    let mut peer = Serving::start(&network, 1, Served::new(STAKED[..100].to_vec(), Lie::None)).await;
    let node = Node::start(&network, trusting(&STAKED[79]), &[&peer]).await;
    let session = peer.session().await;
    linked(&node).await;
    let block = |header: &SealedHeader| RawBlock { header: header::encode(header), ..RawBlock::default() };
    session.announce_block(&block(&STAKED[80]), U256::MAX);
    session.announce_block(&block(&TRUNK[0]), U256::MAX >> 1);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(node.chain.head().header, STAKED[79]);
    assert!(node.sync.synced());
    assert_eq!(node.peers.score(&id(1)), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_chain_with_difficulty_grows_on_above_its_trusted_head() {
    let network = network(3);
    let peers = [
        Serving::start(&network, 1, Served::new(trunk(9_000), Lie::None)).await,
        Serving::start(&network, 2, Served::new(trunk(9_000), Lie::None)).await,
    ];
    let setup = Setup { policy: SealPolicy::All, ..trusting(&TRUNK[4_999]) };
    let node = Node::start(&network, setup, &[&peers[0], &peers[1]]).await;
    node.reaches(&TRUNK[4_999]).await;
    node.reaches(&TRUNK[8_999]).await;
    node.until("end of the sync", || node.sync.synced()).await;
    assert_eq!(node.chain.seals_checked(), 4_000, "those above the trusted head");
    assert_eq!(node.chain.head().td, Served::new(trunk(9_000), Lie::None).td);
    (1..=2).for_each(|number| assert_eq!(node.peers.score(&id(number)), 0.0));
}

#[tokio::test(start_paused = true)]
async fn false_hints_cost_their_giver_and_nobody_else() {
    for lie in [Lie::Endless, Lie::Forges(4_000)] {
        let network = network(4);
        let liar = Serving::start(&network, 1, Served::new(STAKED[..6_000].to_vec(), lie)).await;
        let honest = Served::new(STAKED[..6_000].to_vec(), Lie::None);
        let peers = [
            Serving::start(&network, 2, honest.clone()).await,
            Serving::mute(&network, 3, honest.clone(), Manner::Silent).await,
        ];
        // It is the only one that could be asked when the first hints are.
        let node = Node::start(&network, trusting(&STAKED[5_999]), &[&liar]).await;
        node.until("verdict", || node.peers.score(&id(1)) <= -25.0).await;
        node.add(&peers[0]).await;
        node.add(&peers[1]).await;
        linked(&node).await;
        assert_eq!(node.chain.canonical_hash(1), Some(STAKED[0].hash()));
        assert_eq!(node.peers.score(&id(2)), 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_and_breaking_links_and_who_does_not_have_the_head() {
    let network = network(5);
    let mut serving = Vec::new();
    for number in 1..=3 {
        serving.push(Serving::start(&network, number, Served::new(STAKED[..8_000].to_vec(), Lie::None)).await);
    }
    serving.push(Serving::start(&network, 4, Served::new(trunk(100), Lie::None)).await);
    let link = |latency, bandwidth, reset_probability| LinkConfig {
        latency: Duration::from_millis(latency),
        jitter: Duration::from_millis(latency / 2),
        bandwidth,
        reset_probability,
    };
    network.set_link_between(ip(100), ip(1), link(400, Some(60_000), 0.0));
    network.set_link_between(ip(100), ip(2), link(50, None, 0.05));
    network.set_link_between(ip(100), ip(3), link(900, Some(200_000), 0.01));
    let node = Node::start(&network, trusting(&STAKED[7_999]), &serving.iter().collect::<Vec<_>>()).await;
    linked(&node).await;
    assert_eq!(node.chain.canonical_hash(4_000), Some(STAKED[3_999].hash()));
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_goes_on_down_from_where_it_was() {
    let network = network(6);
    let chain = Served::new(STAKED.clone(), Lie::None);
    let peer = Serving::start(&network, 1, chain.clone()).await;
    let store = Arc::new(MemoryStore::new());
    let head = STAKED.last().unwrap();
    for stop in [1_000, 4_000, 9_000] {
        let node = Node::start(&network, Setup { store: store.clone(), ..trusting(head) }, &[&peer]).await;
        node.until("progress", || node.sync.status().syncing.is_some_and(|progress| progress.current >= stop)).await;
        node.kill(&network, 100).await;
    }
    // The flag is not needed again.
    let node = Node::start(&network, Setup { store, ..Setup::default() }, &[&peer]).await;
    assert_eq!(node.chain.head().header, *head);
    linked(&node).await;
    assert!(chain.given() < 12_000 + 3 * 4_500, "{}", chain.given());
}

#[tokio::test(start_paused = true)]
async fn another_genesis_at_the_end_stops_it() {
    let mut foreign = SPEC.genesis.inner().clone();
    foreign.extra_data = Bytes::from_static(b"foreign");
    let foreign = header::seal(foreign);
    let headers = staked(&foreign, 3_000);
    let network = network(7);
    let peer = Serving::start(&network, 1, Served::new(headers.clone(), Lie::None)).await;
    let node = Node::start(&network, trusting(&headers[2_999]), &[&peer]).await;
    node.until("refusal", || node.sync.status().stopped.is_some()).await;
    let why = node.sync.status().stopped.unwrap().reason;
    assert!(why.contains(&foreign.hash().to_string()) && why.contains(&SPEC.genesis.hash().to_string()), "{why}");
    assert!(!node.sync.synced() && matches!(node.chain.descent(), Some(Descent::Failed(_))));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_nobody_has_is_waited_for() {
    let network = network(8);
    let peer = Serving::start(&network, 1, Served::new(trunk(500), Lie::None)).await;
    let node = Node::start(&network, trusting(&STAKED[2_999]), &[&peer]).await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!((node.chain.head().header.number, node.peers.score(&id(1))), (0, 0.0));
    assert!(!node.sync.synced());
    let later = Serving::start(&network, 2, Served::new(STAKED[..3_000].to_vec(), Lie::None)).await;
    node.add(&later).await;
    timeout(Duration::from_secs(60), linked(&node)).await.unwrap();
    assert_ne!(node.chain.head().header.hash(), B256::ZERO);
}
