//! Down from a trusted head.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

/// A chain whose blocks carry no difficulty.
fn staked(parent: &SealedHeader, count: usize, tag: u8) -> Vec<SealedHeader> {
    let miner = miner(tag);
    let mut headers: Vec<SealedHeader> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut template = miner.template(headers.last().unwrap_or(parent));
        template.difficulty = U256::ZERO;
        headers.push(header::seal(template));
    }
    headers
}

fn hash(headers: &[SealedHeader]) -> B256 {
    headers.last().unwrap().hash()
}

/// What is wanted, and whether anything still is.
fn wanted(chain: &HeaderChain) -> Option<(B256, Option<u64>)> {
    match chain.descent() {
        Some(Descent::Wanted { hash, number, .. }) => Some((hash, number)),
        _ => None,
    }
}

/// Gives `count` headers of `headers` (genesis's child first) that are wanted.
fn step(chain: &HeaderChain, headers: &[SealedHeader], count: usize) -> Descent {
    let Some((hash, _)) = wanted(chain) else { return chain.descend(&[]).unwrap() };
    let top = headers.iter().position(|header| header.hash() == hash).expect("it is of this chain");
    let bytes: Vec<Bytes> = headers[..=top].iter().rev().take(count).map(|header| header::encode(header)).collect();
    chain.descend(&bytes).unwrap()
}

fn finish(chain: &HeaderChain, headers: &[SealedHeader], count: usize) -> Descent {
    for _ in 0..10_000 {
        let descent = step(chain, headers, count);
        if !descent.is_under_way() {
            return descent;
        }
    }
    panic!("it does not end: {:?}", chain.descent());
}

#[test]
fn the_trusted_head_is_the_head_at_once_and_links_down_to_genesis() {
    for count in [1, 2, 3, 700, 5000] {
        let rig = Rig::new(SealPolicy::All);
        let headers = staked(&genesis(), count, 1);
        rig.chain.trust(hash(&headers)).unwrap();
        assert_eq!(wanted(&rig.chain), Some((hash(&headers), None)));
        assert_eq!(rig.chain.head().header, genesis());
        let mut news = rig.chain.subscribe();
        step(&rig.chain, &headers, 1);
        assert_eq!(rig.chain.head().header, headers[count - 1]);
        assert!(matches!(news.try_recv(), Ok(ChainEvent::NewHead { reorg: None, .. })));
        assert_eq!(rig.chain.header_by_number(count as u64), headers.last().cloned());
        assert_eq!(finish(&rig.chain, &headers, 192), Descent::Linked { fixed: true });
        audit(&rig.chain);
        assert_eq!(rig.seals.checked(), 0, "hash links need no seal");
        let descent = rig.chain.descent();
        let rig = rig.reopen();
        assert_eq!(rig.chain.descent(), descent);
        audit(&rig.chain);
    }
}

#[test]
fn half_way_what_is_held_is_read_and_served() {
    let rig = Rig::new(SealPolicy::All);
    let headers = staked(&genesis(), 300, 1);
    rig.chain.trust(hash(&headers)).unwrap();
    step(&rig.chain, &headers, 100);
    let Some(Descent::Wanted { hash: next, number, highest, held }) = rig.chain.descent() else { panic!("half way") };
    assert_eq!((next, number, highest, held), (headers[199].hash(), Some(200), 300, 100));
    assert_eq!(rig.chain.canonical_hash(201), Some(headers[200].hash()));
    assert_eq!((rig.chain.canonical_hash(200), rig.chain.canonical_hash(1)), (None, None));
    assert_eq!(rig.chain.canonical_hash(0), Some(genesis().hash()));
    assert_eq!(rig.chain.hashes_before(&hash(&headers), 1000).len(), 99);
    assert_eq!(rig.chain.td(&hash(&headers)), None);
    assert_eq!(rig.chain.linked_head().header, genesis());
    let refused = rig.chain.extend(&raw(&miner(2).headers(&genesis(), 1))).unwrap_err();
    assert_eq!(refused.error, Refusal::Descending);
    finish(&rig.chain, &headers, 50);
    assert_eq!(rig.chain.td(&hash(&headers)), Some(genesis().difficulty));
    assert_eq!(rig.chain.linked_head(), rig.chain.head());
}

#[test]
fn what_its_hash_does_not_prove_is_not_taken() {
    let rig = Rig::new(SealPolicy::All);
    let (headers, others) = (staked(&genesis(), 50, 1), staked(&genesis(), 50, 2));
    rig.chain.trust(hash(&headers)).unwrap();
    let not_wanted = DescentError::NotWanted { expected: hash(&headers), got: hash(&others) };
    assert_eq!(rig.chain.descend(&[header::encode(&others[49])]), Err(not_wanted));
    // The good ones before a wrong one are kept.
    let mut bytes: Vec<Bytes> = headers.iter().rev().take(10).map(|header| header::encode(header)).collect();
    bytes.push(header::encode(&others[39]));
    let not_wanted = DescentError::NotWanted { expected: headers[39].hash(), got: others[39].hash() };
    assert_eq!(rig.chain.descend(&bytes), Err(not_wanted));
    assert_eq!(wanted(&rig.chain), Some((headers[39].hash(), Some(40))));
    finish(&rig.chain, &headers, 7);
    audit(&rig.chain);
    assert_eq!(rig.chain.descend(&[]), Ok(Descent::Linked { fixed: true }));
}

#[test]
fn another_genesis_ends_it_for_good_until_another_head_is_trusted() {
    let mut foreign = toy_spec(0).genesis.into_inner();
    foreign.extra_data = Bytes::from_static(b"foreign");
    let foreign = header::seal(foreign);
    let headers = staked(&foreign, 30, 1);
    let rig = Rig::new(SealPolicy::All);
    rig.chain.trust(hash(&headers)).unwrap();
    let Descent::Failed(why) = finish(&rig.chain, &headers, 8) else { panic!("another genesis") };
    for part in [hash(&headers), genesis().hash(), foreign.hash()] {
        assert!(why.contains(&part.to_string()), "{why}");
    }
    let rig = rig.reopen();
    assert_eq!(rig.chain.descent(), Some(Descent::Failed(why)));
    rig.chain.trust(hash(&headers)).unwrap();
    assert!(matches!(rig.chain.descent(), Some(Descent::Failed(_))), "the same head is no other chain now");
    let good = staked(&genesis(), 40, 2);
    rig.chain.trust(hash(&good)).unwrap();
    assert_eq!(rig.chain.head().header, genesis());
    finish(&rig.chain, &good, 8);
    audit(&rig.chain);
}

#[test]
fn headers_that_no_chain_has_are_refused_for_good() {
    let parent = staked(&genesis(), 5, 1);
    let mut wrong_number = miner(1).template(&parent[4]).clone();
    wrong_number.number += 1;
    let mut late_parent = miner(1).template(&parent[4]).clone();
    late_parent.timestamp = parent[4].timestamp - 1;
    let mut far = miner(1).template(&parent[4]);
    far.number = u64::MAX;
    let mut zero = miner(1).template(&parent[4]);
    zero.number = 0;
    for (header, part) in
        [(wrong_number, "number of block"), (late_parent, "timestamp"), (far, "no chain"), (zero, "another chain's")]
    {
        let rig = Rig::new(SealPolicy::All);
        let mut headers = parent.clone();
        headers.push(header::seal(header));
        rig.chain.trust(hash(&headers)).unwrap();
        let Descent::Failed(why) = finish(&rig.chain, &headers, 2) else { panic!("{part}") };
        assert!(why.contains(part), "{why}");
    }
    let rig = Rig::new(SealPolicy::All);
    let junk = Bytes::from_static(b"\xc3\x01\x02\x03");
    rig.chain.trust(alloy_primitives::keccak256(&junk)).unwrap();
    assert!(matches!(rig.chain.descend(&[junk]), Ok(Descent::Failed(why)) if why.contains("no header")));
}

#[test]
fn on_a_chain_with_difficulty_the_chain_grows_on() {
    let rig = Rig::new(SealPolicy::Sampled);
    let headers = miner(1).headers(&genesis(), 3000);
    let side = miner(3).headers(&genesis(), 20);
    rig.extend(&side).unwrap();
    rig.chain.settle(&hash(&side)).unwrap();
    rig.chain.trust(headers[2499].hash()).unwrap();
    assert_eq!(finish(&rig.chain, &headers, 192), Descent::Linked { fixed: false });
    audit(&rig.chain);
    assert_eq!(rig.chain.known(&hash(&side)), Known::Unknown, "what it passed by is gone");
    let before = rig.seals.checked();
    let rig = rig.reopen();
    rig.extend(&headers[2500..2501]).unwrap();
    assert_eq!(rig.chain.head().header, headers[2500]);
    rig.extend(&headers[2501..]).unwrap();
    rig.chain.settle(&hash(&headers)).unwrap();
    assert_eq!(rig.chain.head().header, headers[2999]);
    assert!(before <= 20 && rig.seals.checked() <= 500, "seals below the trusted head are not checked");
    audit(&rig.chain);
}

#[test]
fn a_later_head_of_the_same_chain_is_linked_to_what_is_held() {
    let headers = staked(&genesis(), 900, 1);
    let rig = Rig::new(SealPolicy::All);
    rig.chain.trust(headers[299].hash()).unwrap();
    finish(&rig.chain, &headers, 100);
    rig.chain.trust(headers[599].hash()).unwrap();
    assert_eq!(wanted(&rig.chain), Some((headers[599].hash(), None)));
    step(&rig.chain, &headers, 100);
    let rig = rig.reopen();
    // A third one while the second is half way: two gaps, the upper one is closed first.
    rig.chain.trust(headers[899].hash()).unwrap();
    let mut given = 0;
    while let Some((hash, _)) = wanted(&rig.chain) {
        let header = headers.iter().find(|header| header.hash() == hash).unwrap();
        rig.chain.descend(&[header::encode(header)]).unwrap();
        given += 1;
    }
    assert_eq!(given, 300 + 200, "nothing is fetched twice");
    finish(&rig.chain, &headers, 1);
    audit(&rig.chain);
    // Back to an earlier one: what is above it goes.
    rig.chain.trust(headers[399].hash()).unwrap();
    assert_eq!(rig.chain.descent(), Some(Descent::Linked { fixed: true }));
    assert_eq!(rig.chain.head().header, headers[399]);
    audit(&rig.chain);
}

/// Heads of random chains are trusted one after the other, in whatever state the one before was, with restarts between.
#[test]
fn random_heads_and_restarts() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (retain, spacing) = match seed % 2 {
            0 => (Retain::All, 512),
            _ => (Retain::Last(rng.random_range(1..20)), rng.random_range(2..9)),
        };
        let trunk = staked(&genesis(), 60, 1);
        let chains: Vec<Vec<SealedHeader>> = (2..6)
            .map(|tag| {
                let fork = rng.random_range(0..60);
                let length = rng.random_range(1..50);
                let parent = if fork == 0 { genesis() } else { trunk[fork - 1].clone() };
                let branch =
                    if rng.random() { staked(&parent, length, tag) } else { miner(tag).headers(&parent, length) };
                trunk[..fork].iter().cloned().chain(branch).collect()
            })
            .chain([trunk.clone()])
            .collect();
        let limits = Limits { spacing, ..Limits::default() };
        let mut rig = Rig::retaining(retain, SealPolicy::All, limits, Arc::new(MemoryStore::new()));
        for _ in 0..8 {
            let chain = &chains[rng.random_range(0..chains.len())];
            let chain = &chain[..rng.random_range(1..=chain.len())];
            rig.chain.trust(hash(chain)).unwrap();
            for _ in 0..rng.random_range(0..12) {
                if !rig.chain.descent().unwrap().is_under_way() {
                    break;
                }
                step(&rig.chain, chain, rng.random_range(1..9));
                if rng.random_bool(0.3) {
                    rig = rig.reopen();
                }
            }
            if rng.random() {
                let descent = finish(&rig.chain, chain, 5);
                assert!(matches!(descent, Descent::Linked { .. }), "seed {seed}: {descent:?}");
                let head = rig.chain.head().header;
                assert!(head == *chain.last().unwrap() || !head.difficulty.is_zero(), "seed {seed}");
                // The trusted head itself may lie below what is retained, where a later one was the head before.
                let whole = retain == Retain::All || head == *chain.last().unwrap();
                assert!(!whole || rig.chain.is_canonical(&hash(chain)));
                for header in chain {
                    let held = rig.chain.canonical_hash(header.number);
                    assert!(held.is_none_or(|held| held == header.hash()), "seed {seed}: {}", header.number);
                }
                audit(&rig.chain);
            }
        }
    }
}

#[test]
fn once_linked_it_is_thinned_and_a_later_head_is_linked_to_what_is_kept() {
    let rig = Rig::retaining(Retain::Last(20), SealPolicy::All, Limits::default(), Arc::new(MemoryStore::new()));
    let headers = staked(&genesis(), 3000, 1);
    rig.chain.trust(headers[1999].hash()).unwrap();
    for _ in 0..8 {
        step(&rig.chain, &headers, 192);
    }
    assert_eq!(rig.chain.canonical_hash(1000), Some(headers[999].hash()), "all is kept on the way");
    assert_eq!(finish(&rig.chain, &headers, 192), Descent::Linked { fixed: true });
    audit(&rig.chain);
    assert_eq!((rig.chain.canonical_hash(512), rig.chain.canonical_hash(1000)), (Some(headers[511].hash()), None));
    let rig = rig.reopen();
    rig.chain.trust(hash(&headers)).unwrap();
    step(&rig.chain, &headers, 2);
    let held = rig.chain.canonical_hash(1536);
    finish(&rig.chain, &headers, 192);
    audit(&rig.chain);
    assert_eq!((held, rig.chain.canonical_hash(1990)), (Some(headers[1535].hash()), None));
    // One that leaves it far below meets it at an anchor.
    let other: Vec<_> = headers[..700].iter().cloned().chain(staked(&headers[699], 500, 2)).collect();
    rig.chain.trust(hash(&other)).unwrap();
    finish(&rig.chain, &other, 192);
    audit(&rig.chain);
    assert_eq!(
        (rig.chain.head().header, rig.chain.canonical_hash(512)),
        (other[1199].clone(), Some(headers[511].hash()))
    );
}
