//! One situation each.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use rushlight_chain::testing::ToyMiner;

use super::super::*;
use super::peers::{Chain, Manner, SPEC, TRUNK, TestPeer};
use super::sim::{START, Sim};

const HOUR: Duration = Duration::from_secs(3600);

fn honest(chain: &Chain) -> TestPeer {
    TestPeer::new(Manner::Honest, chain.clone())
}

fn synced_to(chain: &Chain) -> impl Fn(&Sim) -> bool + use<> {
    let best = chain.best();
    move |sim| sim.sink.head().header.hash() == best && sim.machine.is_synced(&sim.sink)
}

#[test]
fn three_peers_share_the_work() {
    for length in [1, 5, 2047, 2048, 2049, 4096, 9000] {
        for sampled in [false, true] {
            let chain = Chain::trunk(length);
            let mut sim = Sim::new(vec![honest(&chain), honest(&chain), honest(&chain)], 1);
            sim.sink.sampled = sampled;
            assert!(sim.run(HOUR, synced_to(&chain)), "length {length}");
            assert!(sim.penalties.is_empty() && sim.let_go.is_empty());
            // Every header once, and for each of three claims the best one and now and then a probe.
            assert!(sim.fetched <= length as u64 + 6, "{} of {length}", sim.fetched);
            let each = sim.peers.iter().map(|peer| peer.answers).min();
            assert!(length < 1000 || each > Some(5), "{each:?}");
            assert_eq!(sim.machine.pool.len(), 0);
            assert!(matches!(sim.reports.first(), Some(Report::Started(_))));
            let Some(Report::Finished(summary)) = sim.reports.last() else { panic!("{:?}", sim.reports) };
            assert_eq!((summary.headers, summary.progress.starting), (length as u64, 0));
        }
    }
}

#[test]
fn several_peers_are_faster_than_one() {
    let chain = Chain::trunk(9000);
    let mut alone = Sim::new(vec![honest(&chain)], 1);
    let mut four = Sim::new(vec![honest(&chain); 4], 1);
    for sim in [&mut alone, &mut four] {
        sim.latency = (200, 200);
        assert!(sim.run(HOUR, synced_to(&chain)));
    }
    assert!(four.elapsed() * 2 < alone.elapsed(), "{:?} {:?}", four.elapsed(), alone.elapsed());
}

#[test]
fn the_heaviest_of_several_heads_wins_and_a_heavier_one_reorganises() {
    let chains = [Chain::trunk(3000), Chain::branch(2500, 700, 1), Chain::branch(2900, 400, 2)];
    let heaviest = chains.iter().max_by_key(|chain| chain.td).expect("three");
    let mut sim = Sim::new(chains.iter().map(honest).collect(), 7);
    assert!(sim.run(HOUR, synced_to(heaviest)));
    let heavier = Chain::branch(1000, 4000, 3);
    sim.join(honest(&heavier));
    assert!(sim.run(HOUR, synced_to(&heavier)));
    assert!(sim.penalties.is_empty());
}

#[test]
fn a_silent_peer_does_not_count_and_is_let_go() {
    let chain = Chain::trunk(3000);
    let mut more = TestPeer::new(Manner::Silent, Chain::trunk(4000));
    more.chain.td = U256::from(u64::MAX);
    let mut sim = Sim::new(vec![more, honest(&chain)], 3);
    assert!(sim.run(Duration::from_secs(20), synced_to(&chain)));
    assert!(sim.elapsed() >= Duration::from_secs(10), "its claim counts for as long as its header may come");
    assert!(sim.run(HOUR, |sim| sim.let_go == [0]));
}

#[test]
fn one_liar_of_three_changes_nothing_and_is_named() {
    let chain = Chain::trunk(6000);
    let length = chain.len();
    let mut longer = chain.clone();
    longer.td += U256::from(1);
    let liars = [
        (Manner::Boasting, vec![Offence::FalseClaim]),
        (Manner::endless(50_000_000), vec![Offence::FloodedHashes]),
        (Manner::endless(20_000), vec![Offence::FloodedHashes, Offence::FalseClaim]),
        (Manner::Looping, vec![Offence::FloodedHashes, Offence::FalseClaim]),
        (Manner::Forging(3000), vec![Offence::Stalled, Offence::FalseClaim, Offence::FloodedHashes]),
        (Manner::Forging(length), vec![Offence::Stalled, Offence::FalseClaim, Offence::FloodedHashes]),
        (Manner::Stalling, vec![Offence::Stalled, Offence::FalseClaim]),
        (Manner::Silent, vec![Offence::Stalled]),
    ];
    for (manner, offences) in liars {
        for seed in 0..3 {
            let what = format!("{manner:?}, seed {seed}");
            let liar = TestPeer::new(manner.clone(), longer.clone());
            let mut sim = Sim::new(vec![liar, honest(&chain), honest(&chain)], seed);
            assert!(sim.run(HOUR, synced_to(&chain)), "{what}");
            assert!(sim.run(HOUR, |sim| sim.penalties.iter().any(|(of, ..)| *of == 0)), "not named: {what}");
            for (of, offence, why) in &sim.penalties {
                assert!(*of == 0 && offences.contains(offence), "{what}: {of} {offence:?} {why}");
            }
            assert!(sim.fetched < 2 * length as u64, "{what}: {}", sim.fetched);
        }
    }
}

#[test]
fn a_bad_header_costs_only_those_who_claim_it() {
    for sampled in [false, true] {
        for at in [2501, 3000, 3900] {
            let honest_chain = Chain::trunk(4000);
            let bad = Chain::branch(2500, 2500, 5);
            assert!(bad.td > honest_chain.td);
            let mut sim = Sim::new(vec![honest(&bad), honest(&honest_chain), honest(&honest_chain)], 11);
            sim.sink.sampled = sampled;
            let hash = bad.at(at).hash();
            if sampled { &mut sim.sink.bad_seals } else { &mut sim.sink.bad }.insert(hash);
            assert!(sim.run(HOUR, synced_to(&honest_chain)), "{sampled} {at}");
            let named = sim.penalties.iter().all(|(of, offence, _)| *of == 0 && *offence == Offence::BadHeader);
            assert!(named && !sim.penalties.is_empty(), "{:?}", sim.penalties);
        }
    }
}

#[test]
fn vanishing_peers_leave_no_gap() {
    let chain = Chain::trunk(6000);
    let vanishing = |after| TestPeer::new(Manner::Vanishing(after), chain.clone());
    let mut sim = Sim::new(vec![vanishing(3), vanishing(9), vanishing(20), honest(&chain)], 2);
    assert!(sim.run(HOUR, synced_to(&chain)));
    assert!(sim.penalties.is_empty(), "{:?}", sim.penalties);
}

#[test]
fn small_answers_and_gaps_lower_only_an_estimate() {
    let chain = Chain::trunk(5000);
    let peers = vec![
        TestPeer::new(Manner::Drip(3), chain.clone()),
        TestPeer::new(Manner::Above(4000), chain.clone()),
        honest(&chain),
    ];
    let mut sim = Sim::new(peers, 5);
    assert!(sim.run(HOUR, synced_to(&chain)));
    assert!(sim.penalties.is_empty(), "{:?}", sim.penalties);
    assert!(sim.elapsed() < Duration::from_secs(30), "{:?}", sim.elapsed());
}

#[test]
fn walks_beyond_four_share_or_make_the_longest_give_way() {
    let chain = Chain::trunk(9000);
    let mut peers = vec![honest(&chain); 8];
    peers.extend((0..6).map(|n| TestPeer::new(Manner::endless(40_000_000 + n), chain.clone())));
    let mut sim = Sim::new(peers, 4);
    assert!(sim.run(HOUR, |sim| sim.sink.head().header.hash() == TRUNK[8999].hash()));
    assert_eq!(sim.most_open, limits::MAX_OPEN_WALKS);
    assert!(sim.run(HOUR, synced_to(&chain)));
    assert!(sim.penalties.iter().all(|(of, offence, _)| *of >= 8 && *offence == Offence::FloodedHashes));
}

#[test]
fn claims_that_their_header_refutes_are_not_walked() {
    let chain = Chain::trunk(10);
    for number in [200_000_000, 2_000_000_000] {
        let mut sim = Sim::new(vec![TestPeer::new(Manner::endless(number), chain.clone()), honest(&chain)], 4);
        assert!(sim.run(HOUR, synced_to(&chain)));
        assert!(sim.penalties.iter().any(|(of, offence, _)| *of == 0 && *offence == Offence::FalseClaim));
        assert!(sim.hashes < 100, "{}", sim.hashes);
    }
}

#[test]
fn a_fork_that_is_not_supported_stops_it_once_without_blame() {
    for sampled in [false, true] {
        let chain = Chain::trunk(5000);
        let mut sim = Sim::new(vec![honest(&chain), honest(&chain)], 9);
        sim.sink.sampled = sampled;
        sim.sink.limit = Some(3001);
        assert!(sim.run(HOUR, |sim| sim.machine.stopped().is_some()));
        assert_eq!(sim.sink.head().header.number, 3000);
        sim.join(honest(&Chain::trunk(5001)));
        assert!(!sim.run(Duration::from_secs(60), |_| false));
        let calls = sim.sink.calls;
        assert!(!sim.run(HOUR, |_| false));
        assert_eq!(sim.sink.calls, calls, "it does not try again and again");
        let stops = sim.reports.iter().filter(|report| matches!(report, Report::Stopped(_))).count();
        assert_eq!((stops, sim.penalties.len()), (1, 0));
        assert_eq!(sim.machine.stopped().map(|stopped| stopped.number), Some(3001));
        assert!(!sim.machine.is_synced(&sim.sink));
    }
}

#[test]
fn failures_of_our_own_blame_nobody_and_are_tried_again() {
    let chain = Chain::trunk(2500);
    let mut sim = Sim::new(vec![honest(&chain)], 9);
    sim.sink.failures = 3;
    assert!(sim.run(HOUR, synced_to(&chain)));
    assert!(sim.penalties.is_empty());
    assert_eq!(sim.reports.iter().filter(|report| matches!(report, Report::Failed { .. })).count(), 3);
    assert!(sim.elapsed() >= Duration::from_secs(35));
}

#[test]
fn what_is_held_is_not_fetched_again_after_a_restart() {
    let chain = Chain::trunk(8000);
    let mut first = Sim::new(vec![honest(&chain), honest(&chain)], 1);
    first.sink.sampled = true;
    assert!(first.run(HOUR, |sim| sim.sink.is_known(&TRUNK[4999].hash())));
    let mut second = Sim::new(vec![honest(&chain), honest(&chain)], 2);
    second.sink = first.sink;
    assert!(second.run(HOUR, synced_to(&chain)));
    assert!(second.fetched <= 3002, "{}", second.fetched);
    assert!(second.hashes < 20_000);
}

/// A node that has the first `length`, with two sessions.
fn at_head(length: usize, seed: u64) -> Sim {
    let chain = Chain::trunk(length);
    let mut sim = Sim::new(vec![honest(&chain), honest(&chain)], seed);
    assert!(sim.run(HOUR, synced_to(&chain)));
    sim
}

fn announce(sim: &mut Sim, peer: usize, header: &rushlight_chain::SealedHeader, td: U256) {
    let item = Item::Header(header.hash(), rushlight_chain::header::encode(header));
    let peer = sim.session(peer).expect("is there");
    sim.event(Event::NewBlock { peer, item, td });
}

#[test]
fn new_blocks_extend_the_chain() {
    let mut sim = at_head(100, 1);
    for length in 101..110 {
        let chain = Chain::trunk(length);
        announce(&mut sim, 0, chain.at(length), chain.td);
        announce(&mut sim, 1, chain.at(length), chain.td);
        assert!(sim.machine.is_synced(&sim.sink), "a new block is no reason to be out of sync");
        if length % 2 == 0 {
            continue; // The next one comes before this one is stored.
        }
        assert!(sim.run(HOUR, |sim| sim.sink.head().header.number == length as u64));
    }
    assert!(sim.penalties.is_empty());
}

#[test]
fn a_true_block_with_a_false_total_difficulty_counts_and_costs() {
    for off in [1u64, 1 << 40] {
        let mut sim = at_head(100, 1);
        let chain = Chain::trunk(101);
        announce(&mut sim, 1, chain.at(101), chain.td + U256::from(off));
        assert!(sim.run(HOUR, |sim| sim.sink.head().header.number == 101));
        assert_eq!(sim.penalties.len(), 1);
        assert_eq!((sim.penalties[0].0, sim.penalties[0].1), (1, Offence::BadTotalDifficulty));
        assert!(sim.machine.is_synced(&sim.sink));
        // The same of a block that is held already.
        announce(&mut sim, 0, chain.at(101), chain.td - U256::from(off));
        assert_eq!((sim.penalties[1].0, sim.penalties[1].1), (0, Offence::BadTotalDifficulty));
    }
}

#[test]
fn a_new_block_with_an_unknown_parent_is_walked_to() {
    let mut sim = at_head(100, 1);
    let chain = Chain::branch(90, 3000, 4);
    sim.peers[1].chain = chain.clone();
    announce(&mut sim, 1, chain.at(3090), chain.td);
    assert!(!sim.machine.is_synced(&sim.sink));
    assert!(sim.run(HOUR, synced_to(&chain)));
    assert!(sim.penalties.is_empty());
}

#[test]
fn bad_new_blocks_cost_their_sender() {
    let mut sim = at_head(100, 1);
    let chain = Chain::trunk(101);
    sim.sink.bad.insert(chain.at(101).hash());
    announce(&mut sim, 0, chain.at(101), chain.td);
    assert!(sim.run(HOUR, |sim| sim.penalties.len() == 1));
    assert_eq!((sim.penalties[0].0, sim.penalties[0].1), (0, Offence::BadBlock));
    let peer = sim.session(1).expect("is there");
    let item = Item::Header(B256::ZERO, alloy_primitives::Bytes::from_static(b"no header"));
    sim.event(Event::NewBlock { peer, item, td: U256::MAX });
    assert_eq!((sim.penalties[1].0, sim.penalties[1].1), (1, Offence::BadBlock));
}

#[test]
fn a_foreign_genesis_is_a_false_claim() {
    let mut spec = SPEC.clone();
    spec.genesis = rushlight_chain::testing::toy_seal(alloy_consensus::Header {
        extra_data: alloy_primitives::Bytes::from_static(b"other"),
        ..spec.genesis.inner().clone()
    });
    let headers = rushlight_chain::testing::ToyMiner::new(spec.clone()).headers(&spec.genesis, 50);
    let mut all = vec![spec.genesis.clone()];
    all.extend(headers);
    let foreign = Chain::of(all);
    let chain = Chain::trunk(40);
    let mut sim = Sim::new(vec![honest(&foreign), honest(&chain)], 1);
    assert!(sim.run(HOUR, synced_to(&chain)));
    assert!(sim.penalties.iter().all(|(of, ..)| *of == 0) && !sim.penalties.is_empty());
}

#[test]
fn the_claim_of_a_session_follows_its_new_blocks_during_a_sync() {
    let chain = Chain::trunk(6000);
    let mut sim = Sim::new(vec![honest(&chain), honest(&chain)], 1);
    assert!(sim.run(HOUR, |sim| sim.sink.head().header.number > 1000));
    let longer = Chain::trunk(6020);
    sim.peers[0].chain = longer.clone();
    announce(&mut sim, 0, longer.at(6020), longer.td);
    assert!(sim.run(HOUR, synced_to(&longer)));
    assert!(sim.penalties.is_empty());
}

#[test]
fn a_bad_seal_on_top_of_a_true_chain_costs_little_of_it() {
    let chain = Chain::trunk(7000);
    let bad = Chain::branch(6900, 1000, 5);
    let mut sim = Sim::with(vec![honest(&bad), honest(&chain)], 3, 1000);
    sim.sink.sampled = true;
    sim.sink.bad_seals.insert(bad.at(6901).hash());
    assert!(sim.run(HOUR, |sim| sim.sink.head().header.number >= 1000));
    assert!(sim.run(HOUR, synced_to(&chain)));
    assert!(sim.penalties.iter().all(|(of, offence, _)| (*of, *offence) == (0, Offence::BadHeader)));
    assert_eq!(sim.penalties.len(), 1);
    assert!(sim.fetched < 7000 + 1000 + 2000, "{}", sim.fetched);
}

#[test]
fn a_clock_that_is_a_minute_wrong_is_no_lie() {
    let mut miner = ToyMiner::new(SPEC.clone());
    miner.interval = START + 60 - SPEC.genesis.timestamp;
    let ahead = Chain::of(miner.headers(&SPEC.genesis, 1));
    let mut sim = Sim::new(vec![honest(&ahead)], 3);
    assert!(!sim.run(Duration::from_secs(25), synced_to(&ahead)));
    assert!(sim.machine.is_synced(&sim.sink));
    assert!(sim.run(Duration::from_secs(300), synced_to(&ahead)));
    assert!(sim.penalties.is_empty());

    miner.interval = START + 1000 - SPEC.genesis.timestamp;
    let mut sim = Sim::new(vec![honest(&Chain::of(miner.headers(&SPEC.genesis, 1)))], 3);
    assert!(sim.run(HOUR, |sim| sim.penalties.len() == 1));
}
