//! Provisional stretches: sampled, settled, dropped whole.

use std::collections::BTreeSet;

use super::*;
use crate::sampling::{TAIL, WINDOW};

/// The numbers of the seals that were checked; none twice.
fn checked(chain: &[SealedHeader], seen: &[B256]) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for hash in seen {
        let header = chain.iter().find(|header| header.hash() == *hash).expect("a seal of the chain");
        assert!(numbers.insert(header.number), "the seal of {} was checked twice", header.number);
    }
    numbers
}

/// The last 2,048 and one in each window.
fn assert_sampled(numbers: &BTreeSet<u64>, last: u64) {
    for number in (last + 1).saturating_sub(TAIL).max(1)..=last {
        assert!(numbers.contains(&number), "seal {number} of the last 2,048");
    }
    let mut start = 0;
    while start + WINDOW <= last {
        assert!(numbers.range(start.max(1)..start + WINDOW).next().is_some(), "window {start}");
        start += WINDOW;
    }
}

#[test]
fn the_old_chain_stands_until_the_stretch_is_settled() {
    let rig = Rig::new(SealPolicy::Sampled);
    let mut events = rig.chain.subscribe();
    let headers = miner(1).headers(&genesis(), 5000);
    for (index, batch) in headers.chunks(192).enumerate() {
        let extended = rig.chain.extend(&raw(batch)).unwrap();
        assert_eq!((extended.added, extended.head_changed), (batch.len() as u64, false));
        let progress = rig.chain.provisional().unwrap();
        let current = batch.last().unwrap().number;
        assert_eq!((progress.start, progress.current, progress.headers), (0, current, current), "batch {index}");
    }
    audit(&rig.chain);
    assert_eq!(rig.seals.checked(), 50, "one for each window");
    let tip = headers[4999].hash_ref();
    assert_eq!(rig.chain.head().header, genesis());
    assert_eq!(rig.chain.known(tip), Known::Provisional);
    assert_eq!(rig.chain.header(tip), None);
    assert_eq!(rig.chain.raw_header(tip), None);
    assert_eq!(rig.chain.td(tip), None);
    assert_eq!(rig.chain.canonical_hash(1), None);
    assert!(rig.chain.hashes_before(tip, 10).is_empty());
    assert_eq!(rig.chain.any_header(tip), Some((headers[4999].clone(), Known::Provisional)));
    assert!(events.try_recv().is_err());

    let settled = rig.settle(&headers[4999]).unwrap();
    assert_eq!((settled.added, settled.head_changed, settled.number), (5000, true, 5000));
    assert_eq!(rig.chain.head().header, headers[4999]);
    assert_eq!(rig.chain.provisional(), None);
    assert!(matches!(events.try_recv(), Ok(ChainEvent::NewHead { reorg: None, .. })));
    let numbers = checked(&headers, &rig.seals.seen());
    assert_sampled(&numbers, 5000);
    assert!(numbers.len() < 2048 + 50);
    // Settling again does nothing.
    assert_eq!(rig.settle(&headers[4999]).unwrap().added, 0);
    assert_eq!(rig.settle(&headers[99]).unwrap().added, 0);
    assert_eq!(rig.seals.checked(), numbers.len() as u64);
}

#[test]
fn one_header_on_an_accepted_one_is_checked_at_once() {
    let rig = Rig::new(SealPolicy::Sampled);
    let headers = miner(1).headers(&genesis(), 3);
    for header in &headers {
        let extended = rig.extend(std::slice::from_ref(header)).unwrap();
        assert_eq!((extended.head_changed, extended.seals_checked), (true, 1));
    }
    let sibling = miner(2).headers(&headers[1], 2);
    assert!(!rig.extend(&sibling[..1]).unwrap().head_changed);
    assert_eq!(rig.chain.known(sibling[0].hash_ref()), Known::Accepted);
    assert!(rig.extend(&sibling).unwrap().head_changed);
    let bad = chain_with_bad_seal(&miner(3), &sibling[1], 1, 0);
    assert!(matches!(rig.extend(&bad).unwrap_err().error, Refusal::Seal(_)));
    assert_eq!(rig.chain.head().header, sibling[1]);
}

#[test]
fn a_bad_seal_among_the_last_drops_the_stretch() {
    let rig = Rig::new(SealPolicy::Sampled);
    let ours = miner(1).headers(&genesis(), 10);
    rig.extend(&ours).unwrap();
    rig.settle(&ours[9]).unwrap();
    let mut events = rig.chain.subscribe();
    // In a window that is not complete, so that no sample finds it before.
    let theirs = chain_with_bad_seal(&miner(2), &ours[4], 3010, 2998);
    rig.extend(&theirs).unwrap();
    let fork = miner(3).headers(&theirs[1000], 5);
    rig.extend(&fork).unwrap();

    let error = rig.settle(&theirs[3009]).unwrap_err();
    assert_eq!((error.hash, error.number), (theirs[2998].hash(), theirs[2998].number));
    assert!(matches!(error.error, Refusal::Seal(_)));
    for header in theirs.iter().step_by(97).chain(&fork) {
        assert_eq!(rig.chain.known(header.hash_ref()), Known::Unknown);
    }
    assert_eq!(rig.chain.head().header, ours[9]);
    assert_eq!(rig.chain.provisional(), None);
    assert!(events.try_recv().is_err());
    let error = rig.settle(&theirs[3009]).unwrap_err();
    assert_eq!((error.hash, error.error), (theirs[3009].hash(), Refusal::Unknown));
}

#[test]
fn bad_seals_in_a_window_drop_the_stretch_on_the_way() {
    let rig = Rig::new(SealPolicy::Sampled);
    let good = miner(1).headers(&genesis(), 400);
    // From 400 on no seal is good: the first complete window of them gives it away.
    let miner = miner(1);
    let mut bad = vec![good[399].clone()];
    for _ in 0..200 {
        bad.push(header::seal(miner.template(bad.last().unwrap())));
    }
    rig.extend(&good).unwrap();
    rig.extend(&bad[1..50]).unwrap();
    let error = rig.extend(&bad[50..]).unwrap_err();
    assert!(matches!(error.error, Refusal::Seal(_)), "{error}");
    assert!((400..500).contains(&error.number));
    assert_eq!(rig.chain.known(good[0].hash_ref()), Known::Unknown);
    assert_eq!(rig.chain.head().header, genesis());
    // The good part may come again from somebody else.
    rig.extend(&good).unwrap();
    assert!(rig.settle(&good[399]).unwrap().head_changed);
}

#[test]
fn a_restart_goes_on_and_checks_nothing_twice() {
    let mut rig = Rig::new(SealPolicy::Sampled);
    let headers = miner(1).headers(&genesis(), 4321);
    let mut seen = Vec::new();
    for batch in headers.chunks(777) {
        rig.extend(batch).unwrap();
        seen.extend(rig.seals.seen());
        let before = rig.chain.provisional().unwrap();
        rig = rig.reopen();
        assert_eq!(rig.chain.provisional(), Some(before));
    }
    rig.settle(&headers[4320]).unwrap();
    seen.extend(rig.seals.seen());
    assert_sampled(&checked(&headers, &seen), 4321);
    let rig = rig.reopen();
    assert_eq!(rig.chain.head().header, headers[4320]);
}

#[test]
fn settling_goes_on_where_it_was_interrupted() {
    let store = Arc::new(MemoryStore::new());
    let rig = Rig::with(SealPolicy::Sampled, Limits::default(), store.clone());
    let headers = miner(1).headers(&genesis(), 3000);
    rig.extend(&headers).unwrap();
    // What the disk holds, and what was checked, at the fifth check of the settlement.
    let kept: Arc<Mutex<Option<MemoryStore>>> = Arc::default();
    let slot = kept.clone();
    let mut calls = 0;
    *rig.seals.before.lock().unwrap() = Some(Box::new(move || {
        calls += 1;
        if calls == 5 {
            *slot.lock().unwrap() = Some(store.snapshot());
        }
    }));
    let early = rig.seals.seen().len();
    rig.settle(&headers[2999]).unwrap();
    let mut seen = rig.seals.seen();
    seen.truncate(early + 4 * 256);

    let kept = kept.lock().unwrap().take().unwrap();
    let rig = Rig::with(SealPolicy::Sampled, Limits::default(), Arc::new(kept));
    assert_eq!(rig.chain.head().header, genesis());
    rig.settle(&headers[2999]).unwrap();
    seen.extend(rig.seals.seen());
    assert_sampled(&checked(&headers, &seen), 3000);
}

#[test]
fn a_part_can_be_settled_and_the_rest_goes_on() {
    let rig = Rig::new(SealPolicy::Sampled);
    let headers = miner(1).headers(&genesis(), 2650);
    rig.extend(&headers[..2450]).unwrap();
    let settled = rig.settle(&headers[2329]).unwrap();
    assert_eq!((settled.added, settled.number), (2330, 2330));
    assert_eq!(rig.chain.head().header, headers[2329]);
    let progress = rig.chain.provisional().unwrap();
    assert_eq!((progress.start, progress.current, progress.headers), (2330, 2450, 120));
    let rig = rig.reopen();
    // One header on the new head while the rest is still open.
    let other = miner(2).headers(&headers[2329], 1);
    assert!(rig.extend(&other).unwrap().head_changed);
    rig.extend(&headers[2450..]).unwrap();
    assert!(rig.settle(&headers[2649]).unwrap().head_changed);
    assert_eq!(rig.chain.canonical_hash(2331), Some(headers[2330].hash()));
}

#[test]
fn stretches_stand_side_by_side() {
    let rig = Rig::new(SealPolicy::Sampled);
    let shared = miner(1).headers(&genesis(), 250);
    let one = miner(2).headers(&shared[149], 220);
    let two = miner(3).headers(&one[59], 400);
    rig.extend(&shared).unwrap();
    rig.extend(&one).unwrap();
    rig.extend(&two).unwrap();
    assert_eq!(rig.chain.provisional().unwrap().current, 610);
    // The first accepted takes its part of the shared headers with it.
    assert!(rig.settle(&one[219]).unwrap().head_changed);
    assert_eq!(rig.chain.known(shared[149].hash_ref()), Known::Accepted);
    assert_eq!(rig.chain.known(shared[150].hash_ref()), Known::Provisional);
    assert_eq!(rig.chain.known(two[0].hash_ref()), Known::Provisional);
    let rig = rig.reopen();
    let settled = rig.settle(&shared[249]).unwrap();
    assert_eq!((settled.added, settled.head_changed), (100, false));
    assert!(rig.settle(&two[399]).unwrap().head_changed);
    assert_eq!(rig.chain.head().header, two[399]);
    // And a stretch on an accepted side branch.
    let late = fast_miner(4).headers(&shared[249], 800);
    for batch in late.chunks(130) {
        rig.extend(batch).unwrap();
    }
    assert_eq!(rig.chain.provisional().unwrap().start, 250);
    assert!(rig.settle(&late[799]).unwrap().head_changed);
}

#[test]
fn a_fork_from_the_sampled_part_is_settled_with_the_seals_below_it() {
    let rig = Rig::new(SealPolicy::Sampled);
    let ours = miner(1).headers(&genesis(), 5000);
    for batch in ours.chunks(500) {
        rig.chain.extend(&raw(batch)).unwrap();
    }
    rig.settle(&ours[4999]).unwrap();
    let before = rig.seals.checked();
    // Even one header: the 2,047 before it were only sampled.
    let theirs = fast_miner(2).headers(&ours[1999], 2950);
    rig.extend(&theirs[..1]).unwrap();
    assert_eq!(rig.chain.known(theirs[0].hash_ref()), Known::Provisional);
    let settled = rig.settle(&theirs[0]).unwrap();
    assert!(!settled.head_changed);
    assert_eq!(settled.seals_checked, 2000, "all below it; its own was checked when it came");
    assert_eq!(rig.chain.known(theirs[0].hash_ref()), Known::Accepted);
    for batch in theirs[1..].chunks(300) {
        rig.chain.extend(&raw(batch)).unwrap();
    }
    assert!(rig.settle(&theirs[2949]).unwrap().head_changed);
    assert!(rig.seals.checked() > before);
    // Near the head one header is accepted at once again.
    let more = fast_miner(3).headers(&theirs[2949], 1);
    assert!(rig.extend(&more).unwrap().head_changed);
}

#[test]
fn the_policy_can_be_switched() {
    let rig = Rig::new(SealPolicy::Sampled);
    let headers = miner(1).headers(&genesis(), 2600);
    rig.extend(&headers[..2300]).unwrap();
    rig.settle(&headers[2299]).unwrap();
    rig.extend(&headers[2300..2500]).unwrap();
    let fork = miner(2).headers(&headers[2400], 10);
    rig.extend(&fork).unwrap();
    // To all: what is not settled goes, and is checked when it comes again.
    let rig = rig.reopen_with(SealPolicy::All);
    audit(&rig.chain);
    assert_eq!(rig.chain.head().header, headers[2299]);
    assert_eq!(rig.chain.known(headers[2400].hash_ref()), Known::Unknown);
    assert_eq!(rig.chain.known(fork[9].hash_ref()), Known::Unknown);
    assert_eq!(rig.chain.provisional(), None);
    assert_eq!(rig.extend(&headers[2300..2400]).unwrap().seals_checked, 100);
    // And back.
    let rig = rig.reopen_with(SealPolicy::Sampled);
    rig.extend(&headers[2400..]).unwrap();
    assert_eq!(rig.chain.head().header, headers[2399]);
    rig.settle(&headers[2599]).unwrap();
    assert_eq!(rig.chain.head().header, headers[2599]);
}

#[test]
fn the_sample_of_a_kept_stretch_is_drawn_once() {
    let store = Arc::new(MemoryStore::new());
    let rig = Rig::with(SealPolicy::Sampled, Limits::default(), store.clone());
    let headers = miner(1).headers(&genesis(), 1000);
    let before = store.snapshot();
    rig.extend(&headers).unwrap();
    let first = rig.seals.seen();
    let rig = Rig::with(SealPolicy::Sampled, Limits::default(), Arc::new(before));
    rig.extend(&headers).unwrap();
    assert_eq!(rig.seals.seen(), first, "the same secret, the same draw");
    let other = Rig::new(SealPolicy::Sampled);
    other.extend(&headers).unwrap();
    assert_ne!(other.seals.seen(), first, "another secret, another draw");
}
