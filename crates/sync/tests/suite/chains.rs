//! Chains, and how they are served, truly or not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rushlight_chain::testing::{ToyMiner, toy_seal, toy_spec};
use rushlight_chain::{ChainAccess, ChainSpec, Head, RawBlock, SealedHeader, header};

pub(crate) static SPEC: LazyLock<Arc<ChainSpec>> = LazyLock::new(|| Arc::new(toy_spec(0)));
/// The longest chain of these tests: its boundaries of segments are at 2,048, 4,096, …
pub(crate) static TRUNK: LazyLock<Vec<SealedHeader>> = LazyLock::new(|| miner(0).headers(&SPEC.genesis, 30_000));

pub(crate) fn miner(of: u8) -> ToyMiner {
    ToyMiner::new((**SPEC).clone()).for_beneficiary(Address::repeat_byte(of))
}

/// The trunk's first `length`.
pub(crate) fn trunk(length: usize) -> Vec<SealedHeader> {
    TRUNK[..length].to_vec()
}

/// `length` headers above the trunk's first `shared`.
pub(crate) fn branch(shared: usize, length: usize, of: u8) -> Vec<SealedHeader> {
    let mut headers = trunk(shared);
    headers.extend(miner(of).headers(headers.last().unwrap_or(&SPEC.genesis), length));
    headers
}

/// As `branch`, but the first header of its own is changed before it is sealed.
pub(crate) fn bad_branch(
    shared: usize,
    length: usize,
    of: u8,
    spoil: impl FnOnce(SealedHeader) -> SealedHeader,
) -> Vec<SealedHeader> {
    let miner = miner(of);
    let mut headers = trunk(shared);
    headers.push(spoil(miner.header(headers.last().unwrap_or(&SPEC.genesis))));
    headers.extend(miner.headers(&headers[shared].clone(), length - 1));
    headers
}

/// What a peer makes of its chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lie {
    None,
    /// Claims more than its chain adds up to.
    Boasts,
    /// Invents hashes without end below its best header.
    Endless,
    /// Invents hashes below this number, down to our genesis.
    Forges(u64),
}

/// A chain as it is served. Blocks are empty.
pub(crate) struct Served {
    headers: Vec<SealedHeader>,
    places: HashMap<B256, usize>,
    lie: Lie,
    pub(crate) td: U256,
    /// Headers and blocks given.
    pub(crate) given: AtomicU64,
    /// Hashes given.
    pub(crate) hashes: AtomicU64,
}

impl Served {
    pub(crate) fn new(headers: Vec<SealedHeader>, lie: Lie) -> Arc<Self> {
        let places = headers.iter().enumerate().map(|(place, header)| (header.hash(), place)).collect();
        let td = headers.iter().fold(SPEC.genesis.difficulty, |td, header| td + header.difficulty);
        Arc::new(Self { headers, places, lie, td, given: AtomicU64::new(0), hashes: AtomicU64::new(0) })
    }

    pub(crate) fn best(&self) -> &SealedHeader {
        self.headers.last().expect("chains here are not empty")
    }

    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }
}

/// A best header that the rules of time allow, whatever lies below.
pub(crate) fn invented(number: u64) -> Vec<SealedHeader> {
    let mut template = miner(99).template(&SPEC.genesis);
    (template.number, template.parent_hash) = (number, B256::repeat_byte(9));
    template.timestamp = SPEC.genesis.timestamp + number;
    vec![toy_seal(template)]
}

impl ChainAccess for Served {
    fn head(&self) -> Head {
        let td = match self.lie {
            Lie::None => self.td,
            Lie::Boasts => self.td * U256::from(2),
            Lie::Endless => U256::from(1u64 << 60),
            Lie::Forges(_) => self.td + U256::from(1),
        };
        Head { header: self.best().clone(), td }
    }

    fn genesis_hash(&self) -> B256 {
        SPEC.genesis.hash()
    }

    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        self.hashes.fetch_add(max as u64, Ordering::Relaxed);
        let invent = |from: &B256, count: usize| {
            std::iter::successors(Some(keccak256(from)), |hash| Some(keccak256(hash))).take(count).collect::<Vec<_>>()
        };
        let place = self.places.get(hash).copied();
        match (self.lie, place) {
            (Lie::Endless, _) => invent(hash, max),
            (Lie::Forges(below), _) if place.is_none_or(|place| (place as u64) < below) => {
                let mut hashes = invent(hash, max.min(100));
                hashes.push(SPEC.genesis.hash());
                hashes
            }
            (_, None) => Vec::new(),
            (_, Some(place)) => {
                let below = self.headers[..place].iter().rev().map(|header| header.hash());
                below.chain([SPEC.genesis.hash()]).take(max).collect()
            }
        }
    }

    fn header(&self, hash: &B256) -> Option<Bytes> {
        let place = *self.places.get(hash)?;
        self.given.fetch_add(1, Ordering::Relaxed);
        Some(header::encode(&self.headers[place]))
    }

    fn block(&self, hash: &B256) -> Option<RawBlock> {
        let header = self.header(hash)?;
        Some(RawBlock { header, ..RawBlock::default() })
    }

    fn preimage(&self, _: &B256) -> Option<Bytes> {
        None
    }
}
