//! Growth, reorganisations, events, side branches.

use super::*;

fn new_heads(events: &mut broadcast::Receiver<ChainEvent>) -> Vec<(u64, Option<Reorg>)> {
    let mut heads = Vec::new();
    while let Ok(ChainEvent::NewHead { head, reorg }) = events.try_recv() {
        heads.push((head.header.number, reorg));
    }
    heads
}

#[test]
fn starts_with_genesis() {
    let rig = Rig::new(SealPolicy::All);
    let head = rig.chain.head();
    assert_eq!(head.header, genesis());
    assert_eq!(head.td, genesis().difficulty);
    assert_eq!(rig.chain.known(genesis().hash_ref()), Known::Accepted);
    assert!(rig.chain.hashes_before(genesis().hash_ref(), 10).is_empty());
    assert!(rig.chain.hashes_before(&B256::repeat_byte(1), 10).is_empty());
    audit(&rig.chain);
    let rig = rig.reopen();
    assert_eq!(rig.chain.head(), head);
}

#[test]
fn grows_in_line() {
    let rig = Rig::new(SealPolicy::All);
    let mut events = rig.chain.subscribe();
    let headers = miner(1).headers(&genesis(), 300);
    let mut td = genesis().difficulty;
    for batch in headers.chunks(70) {
        let extended = rig.extend(batch).unwrap();
        td += batch.iter().map(|header| header.difficulty).sum::<U256>();
        let last = batch.last().unwrap();
        let expected = Extended {
            added: batch.len() as u64,
            tip: last.hash(),
            number: last.number,
            td,
            head_changed: true,
            seals_checked: batch.len() as u64,
        };
        assert_eq!(extended, expected);
    }
    assert_eq!(rig.seals.checked(), 300);
    assert_eq!(rig.chain.seals_checked(), 300);
    let heads: Vec<_> = [70, 140, 210, 280, 300].map(|number| (number, None)).into();
    assert_eq!(new_heads(&mut events), heads);
    for header in &headers {
        assert_eq!(rig.chain.canonical_hash(header.number), Some(header.hash()));
        assert_eq!(rig.chain.header_by_number(header.number).as_ref(), Some(header));
    }
    let before: Vec<B256> = headers[..250].iter().rev().take(100).map(|header| header.hash()).collect();
    assert_eq!(rig.chain.hashes_before(headers[250].hash_ref(), 100), before);
    assert_eq!(rig.chain.hashes_before(headers[0].hash_ref(), 100), [genesis().hash()]);

    let rig = rig.reopen();
    assert_eq!(rig.chain.head(), Head { header: headers[299].clone(), td });
    audit(&rig.chain);
    // What is known already is passed over.
    let again = rig.extend(&headers[100..]).unwrap();
    assert_eq!((again.added, again.head_changed, again.tip), (0, false, headers[299].hash()));
    assert_eq!(rig.seals.checked(), 0);
    let empty = rig.extend(&[]).unwrap();
    assert_eq!((empty.added, empty.tip), (0, headers[299].hash()));
}

#[test]
fn the_heavier_chain_wins_and_of_equals_the_first() {
    let rig = Rig::new(SealPolicy::All);
    let shared = miner(1).headers(&genesis(), 5);
    let ours = miner(1).headers(&shared[4], 3);
    let theirs = miner(2).headers(&shared[4], 4);
    rig.extend(&shared).unwrap();
    rig.extend(&ours).unwrap();
    let mut events = rig.chain.subscribe();

    let equal = rig.extend(&theirs[..3]).unwrap();
    assert!(!equal.head_changed);
    assert_eq!(equal.td, rig.chain.head().td);
    assert_eq!(rig.chain.head().header, ours[2]);
    assert_eq!(rig.chain.known(theirs[2].hash_ref()), Known::Accepted);
    assert!(!rig.chain.is_canonical(theirs[2].hash_ref()));
    assert_eq!(rig.chain.hashes_before(theirs[1].hash_ref(), 2), [theirs[0].hash(), shared[4].hash()]);

    let heavier = rig.extend(&theirs).unwrap();
    assert!(heavier.head_changed);
    assert_eq!(heavier.added, 1);
    let removed = ours.iter().rev().map(|header| header.hash()).collect();
    let reorg = Reorg { common_ancestor: shared[4].hash(), common_number: 5, removed, depth: 3 };
    assert_eq!(new_heads(&mut events), [(9, Some(reorg))]);
    assert_eq!(rig.chain.canonical_hash(6), Some(theirs[0].hash()));
    assert_eq!(rig.chain.td(ours[2].hash_ref()), Some(equal.td));

    // The old chain grows past it again.
    let back = miner(3).headers(&ours[2], 2);
    let back_again = rig.extend(&back).unwrap();
    assert!(back_again.head_changed);
    assert_eq!(rig.chain.canonical_hash(6), Some(ours[0].hash()));
    let rig = rig.reopen();
    assert_eq!(rig.chain.head().header, back[1]);
    assert_eq!(rig.chain.known(theirs[3].hash_ref()), Known::Accepted);
    audit(&rig.chain);
}

#[test]
fn everyday_reorganisations_leave_the_trunk_one_run() {
    let rig = Rig::new(SealPolicy::All);
    let mut tip = genesis();
    for round in 0..100u8 {
        let ours = miner(1).headers(&tip, 2);
        let theirs = miner(2 + round % 7).headers(&tip, 3);
        rig.extend(&ours).unwrap();
        assert!(rig.extend(&theirs).unwrap().head_changed);
        tip = theirs[2].clone();
    }
    assert_eq!(rig.chain.state().trunk.len(), 1);
    assert_eq!(rig.chain.state().branches.len(), MAX_SIDE_BRANCHES);
    assert_eq!(rig.chain.head().header.number, 300);
}

#[test]
fn deep_reorganisations_change_hands() {
    let rig = Rig::new(SealPolicy::All);
    let mut events = rig.chain.subscribe();
    let ours = miner(1).headers(&genesis(), 1500);
    let theirs = miner(2).headers(&ours[9], 1600);
    rig.extend(&ours).unwrap();
    for batch in theirs.chunks(192) {
        rig.extend(batch).unwrap();
    }
    assert_eq!(rig.chain.head().header, theirs[1599]);
    let reorg = new_heads(&mut events).into_iter().find_map(|(_, reorg)| reorg).unwrap();
    assert_eq!((reorg.common_ancestor, reorg.depth), (ours[9].hash(), 1490));
    assert_eq!(reorg.removed.first(), Some(&ours[1499].hash()));
    assert_eq!(rig.chain.state().trunk.len(), 2);
    assert_eq!(rig.chain.hashes_before(theirs[1599].hash_ref(), 2048).len(), 1610);
    assert_eq!(rig.chain.hashes_before(theirs[1599].hash_ref(), 1605)[1604], ours[4].hash());

    // And back.
    let rig = rig.reopen();
    let more = fast_miner(3).headers(&ours[1499], 200);
    assert!(rig.extend(&more).unwrap().head_changed);
    assert_eq!(rig.chain.canonical_hash(11), Some(ours[10].hash()));
    assert_eq!(rig.chain.known(theirs[1599].hash_ref()), Known::Accepted);
    let rig = rig.reopen();
    audit(&rig.chain);
}

#[test]
fn the_oldest_side_branch_goes() {
    let limits = Limits { side_branches: 3, ..Limits::default() };
    let rig = Rig::with(SealPolicy::All, limits, Arc::new(MemoryStore::new()));
    let ours = miner(1).headers(&genesis(), 20);
    rig.extend(&ours).unwrap();
    let sides: Vec<_> = (2..7u8).map(|tag| miner(tag).headers(&ours[usize::from(tag)], 2)).collect();
    for side in &sides[..3] {
        rig.extend(side).unwrap();
    }
    // The first grows, so the second is the one that has not for longest; what was built on it goes too.
    let grown = miner(2).headers(&sides[0][1], 1);
    rig.extend(&grown).unwrap();
    rig.extend(&sides[3]).unwrap();
    assert_eq!(rig.chain.known(sides[1][1].hash_ref()), Known::Unknown);
    assert_eq!(rig.chain.header(sides[1][0].hash_ref()), None);
    assert_eq!(rig.chain.raw_header(sides[1][0].hash_ref()), None);
    assert_eq!(rig.chain.td(sides[1][0].hash_ref()), None);
    assert_eq!(rig.chain.known(grown[0].hash_ref()), Known::Accepted);
    assert_eq!(rig.chain.known(sides[2][1].hash_ref()), Known::Accepted);
    // It may come again.
    assert_eq!(rig.extend(&sides[1]).unwrap().added, 2);
}

#[test]
fn many_headers_are_swept_in_steps() {
    let limits = Limits { side_branches: 1, ..Limits::default() };
    let rig = Rig::with(SealPolicy::All, limits, Arc::new(MemoryStore::new()));
    let old = miner(1).headers(&genesis(), 4500);
    let new = fast_miner(2).headers(&genesis(), 4400);
    rig.extend(&old).unwrap();
    assert!(rig.extend(&new).unwrap().head_changed);
    assert_eq!(rig.chain.known(old[4499].hash_ref()), Known::Accepted);
    rig.extend(&miner(3).headers(&genesis(), 2)).unwrap();
    assert_eq!(rig.chain.known(old[4499].hash_ref()), Known::Unknown);
    assert_eq!(rig.chain.known(old[0].hash_ref()), Known::Unknown);
}

#[test]
fn events_come_after_the_change() {
    let rig = Rig::new(SealPolicy::All);
    let mut events = rig.chain.subscribe();
    let headers = miner(1).headers(&genesis(), 1);
    rig.extend(&headers).unwrap();
    let ChainEvent::NewHead { head, reorg } = events.try_recv().unwrap();
    assert_eq!(head, rig.chain.head());
    assert_eq!(reorg, None);
    assert!(events.try_recv().is_err());
}

#[test]
fn more_is_written_in_the_same_batch() {
    let rig = Rig::new(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 3);
    let mut prepared = rig.chain.prepare(&raw(&headers)).unwrap();
    prepared.truncate(2);
    assert_eq!(prepared.headers(), &headers[..2]);
    let mut more = crate::store::Batch::new();
    more.put(Column::Bodies, headers[0].hash(), b"body");
    rig.chain.commit_with(prepared, more).unwrap();
    assert_eq!(rig.chain.head().header, headers[1]);
    assert!(rig.store.contains(Column::Bodies, headers[0].hash_ref().as_slice()).unwrap());
}

#[test]
fn another_chains_store_is_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let rig = Rig::with(SealPolicy::All, Limits::default(), store.clone());
    let spec = Arc::new(ChainSpec::mainnet());
    let error = HeaderChain::open(spec.clone(), store, rig.chain.config.clone()).unwrap_err();
    let (expected, found) = (spec.genesis.hash(), genesis().hash());
    assert_eq!(error, ChainError::Store(StoreError::Genesis { expected, found }));
}
