//! Anchors instead of history: what is kept, what goes, and what can still be built.

use super::*;

const KEEP: u64 = 20;

fn rig(policy: SealPolicy) -> Rig {
    let limits = Limits { spacing: 8, ..Limits::default() };
    Rig::retaining(Retain::Last(KEEP), policy, limits, Arc::new(MemoryStore::new()))
}

fn grow(rig: &Rig, headers: &[SealedHeader]) {
    for headers in headers.chunks(10) {
        rig.extend(headers).unwrap();
    }
}

fn stored(rig: &Rig, column: Column) -> usize {
    rig.store.scan(column, &[], Direction::Forward, usize::MAX).unwrap().len()
}

#[test]
fn the_last_headers_stay_whole_and_every_spacing_one_below() {
    let rig = rig(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 100);
    grow(&rig, &headers);
    // 80 is the highest multiple of 8 that leaves 20.
    for header in &headers {
        let held = header.number >= 80 || header.number % 8 == 0;
        assert_eq!(rig.chain.header(header.hash_ref()).is_some(), held, "{}", header.number);
        assert_eq!(rig.chain.canonical_hash(header.number), held.then(|| header.hash()));
        let above = header.number.next_multiple_of(8).min(if held { header.number } else { u64::MAX });
        assert_eq!(rig.chain.anchor_above(header.number), Some((above, headers[above as usize - 1].hash())));
    }
    assert_eq!(rig.chain.anchor_above(101), None);
    assert_eq!(rig.chain.hashes_before(headers[89].hash_ref(), 100).len(), 10);
    assert_eq!(stored(&rig, Column::Headers), 10 + 21);
    assert_eq!(stored(&rig, Column::Numbers), 10 + 21);
    let rig = rig.reopen();
    assert_eq!(rig.chain.head().header, headers[99]);
}

#[test]
fn an_old_store_is_thinned_when_it_is_opened() {
    let limits = Limits { spacing: 8, ..Limits::default() };
    let rig = Rig::with(SealPolicy::All, limits, Arc::new(MemoryStore::new()));
    let headers = miner(1).headers(&genesis(), 1000);
    rig.extend(&headers).unwrap();
    let rig = Rig::retaining(Retain::Last(KEEP), SealPolicy::All, limits, rig.store);
    audit(&rig.chain);
    assert_eq!(stored(&rig, Column::Headers), 122 + 25);
    // What is gone does not come back by keeping more from now on.
    let rig = Rig::with(SealPolicy::All, limits, rig.store);
    audit(&rig.chain);
    rig.extend(&miner(1).headers(&headers[999], 50)).unwrap();
    assert_eq!(stored(&rig, Column::Headers), 122 + 25 + 50);
}

#[test]
fn headers_that_have_gone_are_passed_over_where_they_lead_to_one_that_is_held() {
    let rig = rig(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 100);
    grow(&rig, &headers);
    let extended = rig.extend(&headers[70..95]).unwrap();
    assert_eq!((extended.added, extended.number), (0, 95));
    let extended = rig.extend(&headers[72..79]).unwrap();
    assert_eq!(extended.added, 7, "nothing says that they are ours");
    assert_eq!(rig.chain.head().header, headers[99]);
    // Both ends meet: nothing new.
    assert_eq!(rig.extend(&headers[72..82]).unwrap().added, 0);
    assert!(matches!(rig.extend(&headers[66..70]).unwrap_err().error, Refusal::UnknownParent { .. }));
}

#[test]
fn a_heavier_chain_from_an_anchor_replaces_ours() {
    for policy in [SealPolicy::All, SealPolicy::Sampled] {
        let rig = rig(policy);
        let ours = miner(1).headers(&genesis(), 100);
        grow(&rig, &ours);
        rig.settle(&ours[99]).unwrap();
        let side = miner(3).headers(&ours[94], 2);
        rig.extend(&side).unwrap();
        // It shares four headers with ours that ours no longer has.
        let theirs: Vec<_> = ours[40..44].iter().cloned().chain(fast_miner(2).headers(&ours[43], 90)).collect();
        let mut events = rig.chain.subscribe();
        for part in theirs.chunks(10) {
            rig.extend(part).unwrap();
        }
        let tip = theirs.last().unwrap();
        rig.settle(tip).unwrap();
        assert_eq!(rig.chain.head().header, *tip);
        let mut deepest = 0;
        while let Ok(ChainEvent::NewHead { reorg, .. }) = events.try_recv() {
            let Some(reorg) = reorg else { continue };
            deepest = deepest.max(reorg.depth);
            assert_eq!((reorg.common_number, reorg.common_ancestor), (40, ours[39].hash()));
            assert_eq!(reorg.removed.first(), Some(ours[99].hash_ref()));
            assert_eq!(reorg.removed.last(), Some(ours[79].hash_ref()));
        }
        assert_eq!(deepest, 60);
        assert_eq!(rig.chain.known(ours[99].hash_ref()), Known::Unknown);
        assert_eq!(rig.chain.known(side[1].hash_ref()), Known::Unknown);
        let rig = rig.reopen();
        audit(&rig.chain);
        assert_eq!(rig.chain.head().header, *tip);
        assert_eq!(rig.chain.canonical_hash(48), Some(theirs[7].hash()));
        // The old chain is as new as any other.
        rig.extend(&ours[40..100]).unwrap();
        assert_eq!(rig.chain.head().header, *tip);
    }
}

#[test]
fn what_a_branch_is_built_on_stays_while_the_branch_does() {
    let limits = Limits { spacing: 8, side_branches: 1, ..Limits::default() };
    let rig = Rig::retaining(Retain::Last(KEEP), SealPolicy::All, limits, Arc::new(MemoryStore::new()));
    let ours = miner(1).headers(&genesis(), 100);
    grow(&rig, &ours[..30]);
    let side = miner(2).headers(&ours[24], 3);
    rig.extend(&side).unwrap();
    grow(&rig, &ours[30..80]);
    assert_eq!(rig.chain.known(ours[24].hash_ref()), Known::Accepted);
    assert_eq!(rig.chain.known(ours[25].hash_ref()), Known::Unknown);
    let rig = rig.reopen();
    assert_eq!(rig.chain.known(side[2].hash_ref()), Known::Accepted);
    rig.extend(&miner(2).headers(&side[2], 1)).unwrap();
    rig.extend(&miner(4).headers(&ours[24], 1)).unwrap();
    // A second branch elsewhere pushes both out, and what they hung on goes with them.
    rig.extend(&miner(3).headers(&ours[77], 1)).unwrap();
    assert_eq!(rig.chain.known(side[2].hash_ref()), Known::Unknown);
    assert_eq!(rig.chain.known(ours[24].hash_ref()), Known::Unknown);
    assert!(rig.chain.state().pins.is_empty());
}

#[test]
fn a_long_provisional_stretch_is_thinned_before_it_settles() {
    let rig = rig(SealPolicy::Sampled);
    let headers = miner(1).headers(&genesis(), 6000);
    for part in headers.chunks(200) {
        rig.chain.extend(&raw(part)).unwrap();
    }
    audit(&rig.chain);
    assert!(stored(&rig, Column::Headers) < 4096 + 8 + 2000 / 8 + 10);
    // Forks that hang on its anchors are windowed and settled like any other.
    let fork = fast_miner(2).headers(&headers[2399], 300);
    rig.extend(&fork).unwrap();
    let rig = Rig::retaining(Retain::Last(KEEP), SealPolicy::Sampled, rig.limits, rig.store);
    assert!(matches!(rig.settle(&headers[1599]).unwrap_err().error, Refusal::Unknown));
    rig.settle(&headers[5999]).unwrap();
    assert_eq!(rig.chain.head().header, headers[5999]);
    assert_eq!(rig.chain.td(headers[5999].hash_ref()), Some(rig.chain.head().td));
    assert_eq!(rig.chain.canonical_hash(1000), Some(headers[999].hash()));
    assert_eq!(rig.chain.canonical_hash(1001), None);
    assert_eq!(rig.chain.canonical_hash(5980), Some(headers[5979].hash()));
}

/// What a long sync leaves on the disk: anchors, the last headers, and little else.
#[cfg(feature = "rocksdb")]
#[test]
fn the_folder_stays_small() {
    use crate::store::{Budget, RocksStore};

    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(RocksStore::open(folder.path(), &Budget::light()).unwrap());
    let rig = Rig::retaining(Retain::LIGHT, SealPolicy::Sampled, Limits::default(), store.clone());
    let miner = miner(1);
    let mut parent = genesis();
    let mut largest = 0;
    for _ in 0..200 {
        let headers = miner.headers(&parent, 200);
        rig.chain.extend(&raw(&headers)).unwrap();
        parent = headers[199].clone();
        largest = largest.max(store.size_bytes().unwrap());
    }
    // 40,000 headers are 20 MB.
    assert!(largest < 12 << 20, "{largest}");
    rig.chain.settle(parent.hash_ref()).unwrap();
    assert_eq!(rig.chain.head().header, parent);
    let settled = store.size_bytes().unwrap();
    assert!(settled < 4 << 20, "{settled}");
    drop(rig);
    drop(store);
    let store = RocksStore::open(folder.path(), &Budget::light()).unwrap();
    let opened = store.size_bytes().unwrap();
    assert!(opened < 2 << 20, "{opened}");
}
