//! Paths on their own: what of an answer is taken, and where it ends.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use proptest::prelude::*;

use super::super::path::{Anchor, Path, Step};
use super::super::pool::Pool;
use super::super::{PeerKey, View, limits::*};
use super::peers::{SPEC, TRUNK};
use super::sink::TestSink;
use crate::Item;

fn walk_from(number: u64, hash: B256) -> Path {
    Path::walk(PeerKey(1), U256::from(1), Anchor { hash, number }, Duration::ZERO)
}

fn trunk_walk(number: u64) -> Path {
    walk_from(number, TRUNK[number as usize - 1].hash())
}

/// The trunk's hashes below `number` down to `to`, youngest first.
fn below(number: usize, to: usize) -> Vec<B256> {
    let hash = |number: usize| if number == 0 { SPEC.genesis.hash() } else { TRUNK[number - 1].hash() };
    (to..number).rev().map(hash).collect()
}

fn sink_with(length: usize) -> TestSink {
    let mut sink = TestSink::new(&SPEC.genesis);
    if length > 0 {
        let headers = TRUNK[..length].iter();
        let items: Vec<Item> =
            headers.map(|header| Item::Header(header.hash(), rushlight_chain::header::encode(header))).collect();
        sink.extend(&items).expect("the trunk is good");
    }
    sink
}

#[test]
fn every_2048th_hash_is_kept_and_each_segment_loads_in_its_turn() {
    let sink = sink_with(0);
    let mut pool = Pool::default();
    let mut path = trunk_walk(5_000);
    let mut at = 5_000;
    loop {
        let (from, max) = path.next_hashes(WINDOW).expect("a walk goes on");
        assert_eq!(from, TRUNK[at - 1].hash());
        let to = at.saturating_sub((max as usize).min(700));
        let step = path.step(&below(at, to), false, |_| false, &mut pool, &sink);
        at = to;
        if step == Step::Linked {
            break;
        }
        assert_eq!(step, Step::Further);
    }
    let kept: Vec<u64> = path.anchors.iter().map(|anchor| anchor.number).collect();
    assert_eq!(kept, [5_000, 4_096, 2_048]);
    assert_eq!(path.window().map(|window| (window.hashes.len(), window.first)), Some((2_048, 1)));
    // The next segment in two answers, the second longer than it needs to be.
    assert_eq!(path.next_hashes(WINDOW), Some((TRUNK[4_095].hash(), 2_048)));
    path.load(&below(4_096, 3_000), &mut pool).expect("true so far");
    assert_eq!(path.next_hashes(WINDOW), Some((TRUNK[2_999].hash(), 952)));
    path.load(&below(3_000, 100), &mut pool).expect("true");
    assert_eq!(path.window().map(|window| window.hashes.len()), Some(4_096));
    assert_eq!(path.next_hashes(4_096), None, "the window is full");
    path.load(&below(5_000, 4_096), &mut pool).expect("true");
    assert_eq!((path.anchors.len(), pool.len()), (1, 5_000));
    let hashes: Vec<B256> = path.window().map(|window| window.hashes.iter().copied().collect()).unwrap_or_default();
    assert!(hashes.iter().eq(TRUNK[..5_000].iter().map(|header| header.hash_ref())));
    // What becomes known leaves window and pool.
    assert!(path.skip_known(&mut pool, &sink_with(4_999)) && !path.is_done());
    assert_eq!(pool.len(), 1);
    assert!(path.skip_known(&mut pool, &sink_with(5_000)) && path.is_done());
    assert_eq!(pool.len(), 0);
}

#[test]
fn known_segments_are_passed_over_without_asking() {
    let mut pool = Pool::default();
    let mut path = trunk_walk(9_000);
    let sink = sink_with(0);
    for from in (0..5).map(|nth| 9_000 - nth * 2_000) {
        path.step(&below(from, from.saturating_sub(2_000)), false, |_| false, &mut pool, &sink);
    }
    assert!(path.is_linked());
    assert!(path.skip_known(&mut pool, &sink_with(6_500)));
    assert_eq!(path.anchors.iter().map(|anchor| anchor.number).collect::<Vec<_>>(), [9_000, 8_192, 6_144]);
    assert_eq!(pool.len(), 0);
}

#[test]
fn a_chain_that_is_told_differently_the_second_time_contradicts_itself() {
    let mut pool = Pool::default();
    let mut path = trunk_walk(3_000);
    path.step(&below(3_000, 0), false, |_| false, &mut pool, &sink_with(0));
    let mut false_list = below(3_000, 2_048);
    *false_list.last_mut().expect("not empty") = B256::repeat_byte(1);
    let why = path.load(&false_list, &mut pool).expect_err("another hash than before");
    assert!(why.contains("block 2048"), "{why}");
}

#[test]
fn what_cannot_be_a_chain_is_found_out() {
    let sink = sink_with(0);
    let mut pool = Pool::default();
    let mut step =
        |path: &mut Path, hashes: &[B256], unbounded| path.step(hashes, unbounded, |_| false, &mut pool, &sink);
    let twice = [B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(1)];
    assert!(matches!(step(&mut walk_from(9, B256::ZERO), &twice, false), Step::Flood(_)));
    assert!(matches!(step(&mut walk_from(9, B256::ZERO), &[B256::ZERO], false), Step::Flood(_)));
    assert!(matches!(step(&mut walk_from(1, B256::ZERO), &twice[..2], false), Step::Flood(_)), "below block 0");
    assert_eq!(step(&mut walk_from(2, B256::ZERO), &twice[..2], false), Step::Foreign(twice[1]));
    assert_eq!(step(&mut walk_from(9, B256::ZERO), &[], false), Step::Ended);
    // With a period of 0 nothing bounds the number, so the walk itself is bounded.
    let mut path = walk_from(u64::MAX, B256::ZERO);
    let mut walked = 0u64;
    loop {
        let hashes: Vec<B256> = (1..=SEGMENT).map(|n| B256::from(U256::from(walked + n))).collect();
        walked += SEGMENT;
        match step(&mut path, &hashes, true) {
            Step::Further => assert!(walked < MAX_UNBOUNDED_WALK),
            end => break assert_eq!((end, walked), (Step::Ended, MAX_UNBOUNDED_WALK)),
        }
    }
}

proptest! {
    #[test]
    fn a_walk_links_at_the_highest_known_hash(top in 2usize..5_000, held in 0usize..5_000, length in 1usize..2_048) {
        let held = held % top;
        let sink = sink_with(held);
        let mut pool = Pool::default();
        let mut path = trunk_walk(top as u64);
        let mut at = top;
        while !path.is_linked() {
            let to = at.saturating_sub(length);
            path.step(&below(at, to), false, |_| false, &mut pool, &sink);
            at = to;
        }
        let window = path.window().expect("is linked");
        prop_assert_eq!(window.first, held as u64 + 1);
        prop_assert!(sink.is_known(&window.previous));
        let count = if top / 2_048 == held / 2_048 { top - held } else { (held / 2_048 + 1) * 2_048 - held };
        prop_assert_eq!(window.hashes.len(), count);
    }
}
