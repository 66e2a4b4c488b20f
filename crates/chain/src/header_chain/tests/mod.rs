//! Chains of toy headers, over the store in memory unless the test is about the disk.

mod clique;
mod clique_sampled;
mod crash;
mod descent;
mod growth;
mod hostile;
mod model;
mod pruning;
mod sampled;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, Bytes, U256};

use super::state::Run;
use super::view::{View, read_entry};
use super::*;
use crate::clock::Clock;
use crate::header;
use crate::seal::{SealCheck, SealError};
use crate::store::{Column, Direction, MemoryStore};
use crate::testing::{ToyMiner, ToySeal, toy_spec};

/// Checks toy seals and remembers of which blocks.
#[derive(Default)]
struct Recorder {
    toy: ToySeal,
    seen: Mutex<Vec<B256>>,
    /// Called before each check.
    before: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl Recorder {
    fn checked(&self) -> u64 {
        self.seen.lock().unwrap().len() as u64
    }

    fn seen(&self) -> Vec<B256> {
        self.seen.lock().unwrap().clone()
    }
}

impl SealCheck for Recorder {
    fn check(&self, headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        if let Some(before) = &mut *self.before.lock().unwrap() {
            before();
        }
        let result = self.toy.check(headers);
        let count = result.as_ref().map_or_else(|(index, _)| index + 1, |()| headers.len());
        self.seen.lock().unwrap().extend(headers[..count].iter().map(|header| header.hash()));
        result
    }
}

/// A chain with what it was opened with.
struct Rig {
    chain: HeaderChain,
    store: Arc<dyn Store>,
    seals: Arc<Recorder>,
    policy: SealPolicy,
    limits: Limits,
    retain: Retain,
    now: Arc<AtomicU64>,
}

impl Rig {
    fn new(policy: SealPolicy) -> Rig {
        Rig::with(policy, Limits::default(), Arc::new(MemoryStore::new()))
    }

    fn with(policy: SealPolicy, limits: Limits, store: Arc<dyn Store>) -> Rig {
        Rig::retaining(Retain::All, policy, limits, store)
    }

    fn retaining(retain: Retain, policy: SealPolicy, limits: Limits, store: Arc<dyn Store>) -> Rig {
        let now = Arc::new(AtomicU64::new(u64::from(u32::MAX)));
        let seals = Arc::new(Recorder::default());
        let chain = open(retain, policy, limits, &store, &seals, &now).unwrap();
        Rig { chain, store, seals, policy, limits, retain, now }
    }

    /// The same store opened again, as after an end of the process.
    fn reopen(self) -> Rig {
        let policy = self.policy;
        self.reopen_with(policy)
    }

    fn reopen_with(self, policy: SealPolicy) -> Rig {
        let Rig { chain, store, limits, retain, now, .. } = self;
        drop(chain);
        let seals = Arc::new(Recorder::default());
        let chain = open(retain, policy, limits, &store, &seals, &now).unwrap();
        Rig { chain, store, seals, policy, limits, retain, now }
    }

    fn extend(&self, headers: &[SealedHeader]) -> Result<Extended, ExtendError> {
        let extended = self.chain.extend(&raw(headers));
        audit(&self.chain);
        extended
    }

    fn settle(&self, tip: &SealedHeader) -> Result<Extended, SettleError> {
        let settled = self.chain.settle(tip.hash_ref());
        audit(&self.chain);
        settled
    }
}

fn open(
    retain: Retain,
    policy: SealPolicy,
    limits: Limits,
    store: &Arc<dyn Store>,
    seals: &Arc<Recorder>,
    now: &Arc<AtomicU64>,
) -> Result<HeaderChain, ChainError> {
    let now = now.clone();
    let clock: Clock = Arc::new(move || now.load(Ordering::Relaxed));
    let mut config = HeaderChainConfig::new(policy, seals.clone(), clock);
    config.retain = retain;
    open::open(Arc::new(toy_spec(0)), store.clone(), config, limits)
}

fn raw(headers: &[SealedHeader]) -> Vec<Bytes> {
    headers.iter().map(|header| header::encode(header)).collect()
}

/// A miner whose blocks differ from every other one's.
fn miner(tag: u8) -> ToyMiner {
    ToyMiner::new(toy_spec(0)).for_beneficiary(Address::repeat_byte(tag))
}

/// A miner whose blocks come so fast that the difficulty grows: its chains are heavier.
fn fast_miner(tag: u8) -> ToyMiner {
    let mut miner = miner(tag);
    miner.interval = 1;
    miner
}

fn genesis() -> SealedHeader {
    toy_spec(0).genesis
}

/// `count` headers on `parent`, the one at position `bad` with a seal that does not hold.
fn chain_with_bad_seal(miner: &ToyMiner, parent: &SealedHeader, count: usize, bad: usize) -> Vec<SealedHeader> {
    let mut headers = miner.headers(parent, bad);
    let last = headers.last().unwrap_or(parent);
    let mut template = miner.template(last);
    template.mix_hash = B256::repeat_byte(0xbd);
    headers.push(header::seal(template));
    let rest = miner.headers(headers.last().unwrap(), count - bad - 1);
    headers.extend(rest);
    headers
}

/// Looks over everything: the canonical chain is linked and its difficulties add up, branches hang on what is there,
/// nothing lies in the store that belongs nowhere.
fn audit(chain: &HeaderChain) {
    let head = chain.head();
    let state = chain.state();
    let view = View::new(chain.store.as_ref(), &state);
    let mut headers = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    let mut follow = |run: &Run, mut parent: Option<(B256, U256)>| {
        let id = run.id;
        for number in run.first..=run.last {
            let Some(hash) = view.number(id, number).unwrap() else {
                assert!(number < run.pruned && !number.is_multiple_of(chain.limits.spacing), "no {number} in {run:?}");
                parent = None;
                continue;
            };
            let entry = read_entry(chain.store.as_ref(), &hash).unwrap().expect("a header for an index entry");
            assert_eq!(entry.header.number, number);
            if let Some((parent_hash, parent_td)) = parent {
                assert_eq!(entry.header.parent_hash, parent_hash, "{number} in {id}");
                assert_eq!(entry.td, parent_td + entry.header.difficulty);
            }
            let pinned = state.pins.iter().any(|pin| (pin.id, pin.number, pin.hash) == (id, number, hash));
            assert_eq!(number < run.pruned && !number.is_multiple_of(chain.limits.spacing), pinned, "{number}");
            assert!(headers.insert(hash), "{number} in {id} stands elsewhere too");
            assert!(numbers.insert((id, number)));
            parent = Some((hash, entry.td));
        }
        parent
    };
    let mut last = Some((B256::ZERO, U256::ZERO));
    let mut next = 0;
    for run in &state.trunk {
        assert_eq!(run.first, next);
        last = follow(run, last);
        next = run.last + 1;
    }
    assert_eq!(last, Some((head.header.hash(), head.td)));
    for branch in &state.branches {
        assert!(!branch.run.contains(0));
        view.parent_place(branch).unwrap();
        let parent = read_entry(chain.store.as_ref(), &branch.parent).unwrap().unwrap();
        let end = follow(&branch.run, Some((branch.parent, parent.td)));
        assert_eq!(end, Some((branch.tip, branch.td)));
        if branch.accepted {
            assert!(branch.td <= head.td, "a heavier accepted branch");
        } else {
            assert!(branch.windows_to + 1 >= branch.floor);
            let ends = crate::sampling::complete_windows(branch.windows_to, branch.run.last);
            assert_eq!(ends.count(), 0, "an unchecked window");
        }
    }
    assert!(state.garbage.is_empty());
    assert!(state.branches.iter().filter(|branch| branch.accepted).count() <= chain.limits.side_branches);

    let all = |column| chain.store.scan(column, &[], Direction::Forward, usize::MAX).unwrap();
    let stored: BTreeSet<B256> = all(Column::Headers).into_iter().map(|(key, _)| B256::from_slice(&key)).collect();
    assert_eq!(stored, headers, "headers that belong nowhere");
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    let stored: BTreeSet<(u64, u64)> =
        all(Column::Numbers).into_iter().map(|(key, _)| (number(&key[..8]), number(&key[8..]))).collect();
    assert_eq!(stored, numbers, "index entries that belong nowhere");
    let whole_from = state.whole_from();
    drop(state);

    // Reading agrees with it.
    if whole_from > 0 {
        return;
    }
    for header_number in [0, head.header.number / 2, head.header.number] {
        let hash = chain.canonical_hash(header_number).unwrap();
        assert!(chain.is_canonical(&hash));
        assert_eq!(chain.known(&hash), Known::Accepted);
        assert_eq!(chain.hashes_before(&hash, usize::MAX).len() as u64, header_number);
        assert_eq!(alloy_primitives::keccak256(chain.raw_header(&hash).unwrap()), hash);
    }
    let trunk: Vec<_> = (0..=head.header.number).map(|number| chain.canonical_hash(number).unwrap()).collect();
    let served: Vec<_> =
        chain.raw_headers(&trunk).into_iter().map(|raw| raw.map(alloy_primitives::keccak256)).collect();
    assert_eq!(served, trunk.into_iter().map(Some).collect::<Vec<_>>());
    assert_eq!(chain.canonical_hash(head.header.number + 1), None);
}
