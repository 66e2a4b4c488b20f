//! Any schedule of latency, loss and lies: the heaviest honest chain, and blame only where it belongs.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::peers::{Chain, Manner, TestPeer};
use super::sim::Sim;

/// Simulated networks; some seconds of them, unless more are asked for.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

fn any_chain() -> impl Strategy<Value = Chain> {
    prop_oneof![
        (1usize..7000).prop_map(Chain::trunk),
        (0usize..6000, 1usize..1500, 1u8..200).prop_map(|(shared, length, of)| Chain::branch(shared, length, of)),
    ]
}

fn any_manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        3 => Just(Manner::Honest),
        1 => (1usize..50).prop_map(Manner::Drip),
        1 => Just(Manner::Silent),
        1 => Just(Manner::Stalling),
        1 => Just(Manner::Boasting),
        1 => (1u64..90_000_000).prop_map(Manner::endless),
        1 => Just(Manner::Looping),
        1 => (1usize..6000).prop_map(Manner::Forging),
        1 => (1usize..60).prop_map(Manner::Vanishing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn it_converges_to_the_heaviest_honest_chain(
        first in any_chain(),
        others in prop::collection::vec((any_manner(), any_chain()), 0..9),
        bad in prop::collection::vec((0usize..6000, 1usize..3000, 0usize..3000), 0..3),
        settle_every in prop_oneof![Just(1u64 << 20), 500u64..3000],
        seed: u64,
        sampled: bool,
        retain in prop_oneof![Just(None), (256u64..2048).prop_map(Some)],
        latency in 1u64..1500,
        loss in prop_oneof![Just(0.0), 0.0..0.15f64],
        sink_time in 0u64..500,
    ) {
        let mut peers = vec![TestPeer::new(Manner::Honest, first)];
        peers.extend(others.into_iter().map(|(manner, chain)| TestPeer::new(manner, chain)));
        let honest = |peer: &&TestPeer| peer.manner.is_honest();
        let heaviest = peers.iter().filter(honest).map(|peer| peer.chain.td).max().expect("the first is honest");
        // And some who serve, truly, a chain with a header or a seal that does not hold.
        let honest_and_lying = peers.len();
        let mut spoiled = Vec::new();
        for (of, (shared, length, at)) in (201..).zip(bad) {
            let chain = Chain::branch(shared, length, of);
            spoiled.push(chain.at(shared + 1 + at % length).hash());
            peers.push(TestPeer::new(Manner::Honest, chain));
        }
        let mut sim = Sim::with(peers, seed, settle_every);
        sim.sink.sampled = sampled;
        sim.sink.retain = retain;
        if sampled { &mut sim.sink.bad_seals } else { &mut sim.sink.bad }.extend(spoiled);
        sim.latency = (1, latency);
        sim.loss = loss;
        sim.sink_time = sink_time;
        sim.rejoin = true;
        // Liars lie about true chains, which count as far as they are true.
        prop_assert!(sim.run(Duration::from_secs(4 * 3600), |sim| sim.sink.head().td >= heaviest));
        for (of, offence, why) in &sim.penalties {
            if *of >= honest_and_lying {
                continue;
            }
            let manner = &sim.peers[*of].manner;
            let vanishes = matches!(manner, Manner::Vanishing(_));
            prop_assert!(
                !(manner.is_honest() || vanishes) || (*offence == Offence::Stalled && loss > 0.0),
                "{manner:?}: {offence:?} {why}"
            );
        }
    }
}
