//! Clique chains whose seals are sampled: what comes to the same as with all checked, and what is refused.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::clique::{EPOCH, in_turn, key, open_retaining, open_with, sign, spec};
use super::crash::Recording;
use super::*;
use crate::clique::{self, CliqueError, Snapshot, VOTE_ADD};
use crate::sampling::{CLIQUE_TAIL, clique_tail, window_end, window_start};

const TAGS: [u8; 3] = [1, 2, 3];

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn address(tag: u8) -> Address {
    clique::signer_address(&key(tag))
}

/// An honest chain of random signers with a vote in about every 30th block, and the snapshot after it.
fn voting_chain(spec: &ChainSpec, count: usize, rng: &mut StdRng) -> (Vec<SealedHeader>, Snapshot) {
    let mut snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let mut headers: Vec<SealedHeader> = Vec::new();
    for _ in 0..count {
        let parent = headers.last().unwrap_or(&spec.genesis).clone();
        let may = |tag: &u8| {
            snapshot.is_signer(&address(*tag)) && snapshot.may_sign_from(&address(*tag)) <= parent.number + 1
        };
        let may: Vec<u8> = (1..=6).filter(may).collect();
        let tag = may[rng.random_range(0..may.len())];
        let subject = address(rng.random_range(1..=6));
        let add = !snapshot.is_signer(&subject);
        let vote = (rng.random_ratio(1, 30) && (add || snapshot.signers().len() > 2)).then_some((subject, add));
        headers.push(clique_sign(spec, &mut snapshot, &parent, tag, vote));
    }
    (headers, snapshot)
}

fn clique_sign(
    spec: &ChainSpec,
    snapshot: &mut Snapshot,
    parent: &SealedHeader,
    tag: u8,
    vote: Option<(Address, bool)>,
) -> SealedHeader {
    let draft = clique::draft(spec, snapshot, parent, address(tag), 0, parent.gas_limit, vote).unwrap();
    let header = clique::seal(draft.header, &key(tag)).unwrap();
    snapshot.advance(&header, Some(address(tag)));
    header
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn all_and_sampled_come_to_the_same(seed in any::<u64>(), count in 1usize..2300, signers in 1u8..=4, batch in 1usize..400) {
        let mut rng = StdRng::seed_from_u64(seed);
        let spec = spec(&(1..=signers).collect::<Vec<_>>());
        let (headers, snapshot) = voting_chain(&spec, count, &mut rng);
        let store = memory();
        let all = open_with(&spec, &memory(), SealPolicy::All);
        let mut sampled = open_with(&spec, &store, SealPolicy::Sampled);
        for batch in headers.chunks(batch) {
            all.extend(&raw(batch)).unwrap();
            sampled.extend(&raw(batch)).unwrap();
            if rng.random_ratio(1, 8) {
                drop(sampled);
                sampled = open_with(&spec, &store, SealPolicy::Sampled);
            }
            if rng.random_ratio(1, 8) {
                sampled.settle(batch[batch.len() - 1].hash_ref()).unwrap();
            }
        }
        let tip = headers[count - 1].hash_ref();
        sampled.settle(tip).unwrap();
        audit(&sampled);
        prop_assert_eq!(sampled.head(), all.head());
        prop_assert_eq!(&*all.snapshot_at(tip).unwrap(), &snapshot);
        prop_assert_eq!(&*sampled.snapshot_at(tip).unwrap(), &snapshot);
        // After a restart as well, from what is stored.
        drop(sampled);
        let sampled = open_with(&spec, &store, SealPolicy::Sampled);
        let rebuilt = sampled.snapshot_at(tip).unwrap();
        prop_assert_eq!(rebuilt.signers(), snapshot.signers());
        for signer in snapshot.signers() {
            prop_assert_eq!(rebuilt.may_sign_from(signer), snapshot.may_sign_from(signer));
        }
    }
}

#[test]
fn the_last_are_checked_and_one_of_each_window() {
    let spec = spec(&TAGS);
    let chain = open_with(&spec, &memory(), SealPolicy::Sampled);
    assert_eq!(chain.policy(), SealPolicy::Sampled);
    let mut snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let headers = in_turn(&spec, &mut snapshot, &spec.genesis, 3000, &TAGS);
    for batch in headers.chunks(192) {
        let extended = chain.extend(&raw(batch)).unwrap();
        assert!(!extended.head_changed);
    }
    // Four checkpoints and a header of each of 30 windows.
    assert_eq!(chain.seals_checked(), 4 + 30);
    assert_eq!(chain.head().header.number, 0);
    assert_eq!(clique_tail(3), CLIQUE_TAIL + 2);
    assert!(chain.settle(headers[2999].hash_ref()).unwrap().head_changed);
    assert_eq!(chain.seals_checked(), 34 + CLIQUE_TAIL + 2);
    audit(&chain);

    // One on an accepted one is checked at once, by every rule.
    let twice = headers[2999].number + 1;
    let last = clique::recover_signer(&headers[2999]).unwrap();
    let tag = TAGS.into_iter().find(|tag| address(*tag) == last).unwrap();
    let hasty = hasty(&spec, &snapshot, &headers[2999], tag);
    assert_eq!(hasty.number, twice);
    let error = chain.extend(&raw(&[hasty])).unwrap_err();
    assert!(matches!(error.error, Refusal::Seal(SealError::Clique(CliqueError::RecentlySigned { .. }))), "{error}");
    let next = in_turn(&spec, &mut snapshot, &headers[2999], 1, &TAGS);
    let extended = chain.extend(&raw(&next)).unwrap();
    assert_eq!((extended.head_changed, extended.seals_checked), (true, 1));

    // A few more at once are settled for the price of those few.
    let more = in_turn(&spec, &mut snapshot, &next[0], 5, &TAGS);
    assert!(!chain.extend(&raw(&more)).unwrap().head_changed);
    let settled = chain.settle(more[4].hash_ref()).unwrap();
    assert_eq!((settled.head_changed, settled.added, settled.seals_checked), (true, 5, 5));
    audit(&chain);
}

const KEEP: Retain = Retain::Last(300);

/// A chain of which only anchors are held grows, is opened again, and gives way to a heavier one that leaves it between
/// two of them.
#[test]
fn anchors_keep_the_signers() {
    let spec = spec(&TAGS);
    let mut snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let shared = in_turn(&spec, &mut snapshot, &spec.genesis, 1500, &TAGS);
    let vote = |snapshot: &mut Snapshot, parent: &SealedHeader| {
        let next = parent.number + 1;
        let tag = TAGS.into_iter().find(|tag| snapshot.may_sign_from(&address(*tag)) <= next).unwrap();
        sign(&spec, snapshot, parent, tag, Some((address(4), true)))
    };
    // On our side two signers let a fourth in, which costs some turns.
    let (mut ours, mut here) = (shared.clone(), snapshot.clone());
    for _ in 0..2 {
        ours.push(vote(&mut here, &ours[ours.len() - 1]));
    }
    assert_eq!(here.signers().len(), 4);
    let rest = in_turn(&spec, &mut here, &ours[ours.len() - 1], 4000 - ours.len(), &[1, 2, 3, 4]);
    ours.extend(rest);
    let theirs = in_turn(&spec, &mut snapshot, &shared[1499], 3300, &TAGS);
    for policy in [SealPolicy::All, SealPolicy::Sampled] {
        let store = memory();
        let chain = open_retaining(&spec, &store, policy, KEEP);
        for batch in ours.chunks(192) {
            chain.extend(&raw(batch)).unwrap();
        }
        chain.settle(ours[3999].hash_ref()).unwrap();
        audit(&chain);
        assert_eq!((chain.canonical_hash(2048), chain.canonical_hash(2049)), (Some(ours[2047].hash()), None));
        drop(chain);
        let chain = open_retaining(&spec, &store, policy, KEEP);
        assert_eq!(chain.snapshot_at(ours[3999].hash_ref()).unwrap().signers(), here.signers());
        assert_eq!(chain.snapshot_at(ours[1535].hash_ref()).unwrap().signers(), here.signers());
        let mut grown = here.clone();
        let next = in_turn(&spec, &mut grown, &ours[3999], 700, &[1, 2, 3, 4]);
        for batch in next.chunks(100) {
            chain.extend(&raw(batch)).unwrap();
        }
        chain.settle(next[699].hash_ref()).unwrap();
        assert_eq!(chain.head().header, next[699]);

        // What both share is not held any more; it comes with the fork, from the anchor on.
        let heavier: Vec<_> = shared[1024..].iter().chain(&theirs).cloned().collect();
        let tip = &theirs[3299];
        for (part, batch) in heavier.chunks(192).enumerate() {
            chain.extend(&raw(batch)).unwrap();
            if part == 2 {
                // A short piece of it settles by what is held of the chain below.
                chain.settle(batch[0].hash_ref()).unwrap();
                audit(&chain);
            }
        }
        chain.settle(tip.hash_ref()).unwrap();
        audit(&chain);
        assert_eq!(chain.head().header, *tip);
        assert_eq!(chain.canonical_hash(2048), Some(theirs[547].hash()));
        assert_eq!(chain.known(next[699].hash_ref()), Known::Unknown);
        assert_eq!(chain.snapshot_at(tip.hash_ref()).unwrap().signers().len(), 3);
        drop(chain);
        audit(&open_retaining(&spec, &store, policy, KEEP));
    }
}

/// The next header by a signer who may not sign yet.
fn hasty(spec: &ChainSpec, snapshot: &Snapshot, parent: &SealedHeader, tag: u8) -> SealedHeader {
    forge(spec, snapshot, parent, tag, |header| {
        header.difficulty = U256::from(snapshot.difficulty(header.number, &address(tag)));
    })
}

/// A header as the next signer would make it, changed and signed by `tag`.
fn forge(
    spec: &ChainSpec,
    snapshot: &Snapshot,
    parent: &SealedHeader,
    tag: u8,
    change: impl FnOnce(&mut alloy_consensus::Header),
) -> SealedHeader {
    let next = parent.number + 1;
    let signer = TAGS.into_iter().find(|tag| snapshot.may_sign_from(&address(*tag)) <= next).unwrap();
    let draft = clique::draft(spec, snapshot, parent, address(signer), 0, parent.gas_limit, None).unwrap();
    let mut header = draft.header;
    header.difficulty = U256::from(clique::IN_TURN);
    change(&mut header);
    clique::seal(header, &key(tag)).unwrap()
}

#[derive(Debug, Clone, Copy)]
enum Lie {
    /// Signed by a stranger.
    Stranger,
    /// A stranger's vote for themselves.
    Vote,
    /// A list of signers with a stranger in it, signed by a signer.
    List,
    /// Signed by who signed the block before.
    Hasty,
}

/// `count` headers that are right but for those at `bad`.
fn lying(spec: &ChainSpec, count: u64, bad: &[u64], lie: Lie) -> Vec<SealedHeader> {
    let mut snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let mut headers: Vec<SealedHeader> = vec![spec.genesis.clone()];
    for number in 1..=count {
        let parent = headers[headers.len() - 1].clone();
        if !bad.contains(&number) {
            let header = in_turn(spec, &mut snapshot.clone(), &parent, 1, &TAGS).remove(0);
            let signer = clique::recover_signer(&header).unwrap();
            snapshot.advance(&header, Some(signer));
            headers.push(header);
            continue;
        }
        let header = match lie {
            Lie::Stranger => forge(spec, &snapshot, &parent, 9, |_| {}),
            Lie::Vote => forge(spec, &snapshot, &parent, 9, |header| {
                (header.beneficiary, header.nonce) = (address(9), VOTE_ADD);
            }),
            Lie::List => forge(spec, &snapshot, &parent, 1, |header| {
                let mut extra = header.extra_data.to_vec();
                extra[clique::VANITY_LENGTH] ^= 1;
                header.extra_data = extra.into();
            }),
            Lie::Hasty => {
                let last = clique::recover_signer(&parent).unwrap();
                let tag = TAGS.into_iter().find(|tag| address(*tag) == last).unwrap();
                hasty(spec, &snapshot, &parent, tag)
            }
        };
        snapshot.advance(&header, None);
        headers.push(header);
    }
    headers.remove(0);
    headers
}

/// Feeds a chain, in batches and then to be settled.
fn feed(chain: &HeaderChain, headers: &[SealedHeader]) -> Result<(), Refusal> {
    for batch in headers.chunks(192) {
        chain.extend(&raw(batch)).map_err(|error| error.error)?;
    }
    chain.settle(headers[headers.len() - 1].hash_ref()).map(|_| ()).map_err(|error| error.error)
}

#[test]
fn a_lie_that_is_always_found() {
    let spec = spec(&TAGS);
    let last = 1400;
    // 370 is left to chance for strangers and hasty signers; 377 is the first of the tail.
    let from = last - clique_tail(3) + 1;
    let cases = [
        (Lie::Stranger, vec![from, last - 1, last]),
        (Lie::Hasty, vec![from + 2, last - 1, last]),
        (Lie::Vote, vec![1, 370, last - 1]),
        (Lie::List, vec![EPOCH, 2 * EPOCH]),
    ];
    for (lie, places) in cases {
        for place in places {
            let headers = lying(&spec, last, &[place], lie);
            let chain = open_with(&spec, &memory(), SealPolicy::Sampled);
            let refused = feed(&chain, &headers).unwrap_err();
            let Refusal::Seal(SealError::Clique(why)) = &refused else { panic!("{lie:?} at {place}: {refused}") };
            let right = match lie {
                Lie::Stranger | Lie::Vote => matches!(why, CliqueError::Unauthorized { .. }),
                Lie::List => matches!(why, CliqueError::CheckpointSigners { .. }),
                Lie::Hasty => matches!(why, CliqueError::RecentlySigned { .. }),
            };
            assert!(right, "{lie:?} at {place}: {why}");
            assert_eq!(chain.head().header.number, 0, "{lie:?} at {place}");
            audit(&chain);
        }
    }
}

#[test]
fn a_lie_that_is_left_to_chance() {
    let spec = spec(&TAGS);
    // 40 of the 100 headers of one window, by a stranger.
    let bad: Vec<u64> = (230..270).collect();
    let headers = lying(&spec, 1400, &bad, Lie::Stranger);
    let mut found = 0;
    for _ in 0..24 {
        let chain = open_with(&spec, &memory(), SealPolicy::Sampled);
        let (first, end) = (window_start(230), window_end(230));
        let drawn = chain.secret.draw(first, end, headers[end as usize - 1].hash_ref());
        let refused = feed(&chain, &headers).is_err();
        assert_eq!(refused, bad.contains(&drawn), "{drawn} was drawn");
        assert_eq!(chain.head().header.number, if refused { 0 } else { 1400 });
        found += u32::from(refused);
    }
    // 24 draws, 40 in 100 each: none has a chance of 5 in a million.
    assert!(found > 0 && found < 24, "{found} of 24 found");
    // With every seal checked nothing is left to chance.
    assert!(feed(&open_with(&spec, &memory(), SealPolicy::All), &headers).is_err());

    // The recency rule below the tail is not checked, as docs/security.md says.
    let headers = lying(&spec, 1400, &[300], Lie::Hasty);
    assert!(feed(&open_with(&spec, &memory(), SealPolicy::Sampled), &headers).is_ok());
    assert!(feed(&open_with(&spec, &memory(), SealPolicy::All), &headers).is_err());
}

#[test]
fn a_minority_settles_nothing() {
    // One of three signers signs every block, each in the turn that the difficulty claims.
    let spec = spec(&TAGS);
    let mut snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let mut headers = vec![spec.genesis.clone()];
    for _ in 0..1400 {
        let parent = headers[headers.len() - 1].clone();
        let header = hasty(&spec, &snapshot, &parent, 1);
        snapshot.advance(&header, None);
        headers.push(header);
    }
    let chain = open_with(&spec, &memory(), SealPolicy::Sampled);
    let refused = feed(&chain, &headers[1..]).unwrap_err();
    let recently = matches!(refused, Refusal::Seal(SealError::Clique(CliqueError::RecentlySigned { .. })));
    assert!(recently, "{refused}");
    assert_eq!(chain.head().header.number, 0);
}

#[test]
fn part_of_what_was_prepared() {
    let spec = spec(&TAGS);
    let (headers, _) = voting_chain(&spec, 600, &mut StdRng::seed_from_u64(7));
    let chain = open_with(&spec, &memory(), SealPolicy::Sampled);
    for length in [1, 150, 377] {
        let mut prepared = chain.prepare(&raw(&headers)).unwrap();
        prepared.truncate(length);
        chain.commit(prepared).unwrap();
        audit(&chain);
    }
    feed(&chain, &headers).unwrap();
    assert_eq!(chain.head().header, headers[599]);
}

#[test]
fn a_kill_after_any_write_leaves_a_whole_chain() {
    let spec = spec(&TAGS);
    let (headers, snapshot) = voting_chain(&spec, 1700, &mut StdRng::seed_from_u64(11));
    let bad = lying(&spec, 450, &(150..400).collect::<Vec<_>>(), Lie::Stranger);
    let live = |chain: &HeaderChain| {
        let _ = feed(chain, &headers[..400]);
        let _ = feed(chain, &bad);
        let _ = feed(chain, &headers);
    };
    let store = Arc::new(Recording { inner: MemoryStore::new(), after: Mutex::default() });
    let recorded: Arc<dyn Store> = store.clone();
    live(&open_with(&spec, &recorded, SealPolicy::Sampled));
    let kept = std::mem::take(&mut *store.after.lock().unwrap());
    assert!(kept.len() > 15, "{} writes", kept.len());
    for store in kept {
        let store: Arc<dyn Store> = Arc::new(store);
        let chain = open_with(&spec, &store, SealPolicy::Sampled);
        audit(&chain);
        live(&chain);
        audit(&chain);
        assert_eq!(chain.head().header, headers[1699]);
        assert_eq!(chain.snapshot_at(headers[1699].hash_ref()).unwrap().signers(), snapshot.signers());
    }
}
