//! Chains, and those who serve them, truly or not.

use std::collections::HashMap;
use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, U256};
use rand::{Rng, rngs::StdRng};
use rushlight_chain::testing::{ToyMiner, toy_seal, toy_spec};
use rushlight_chain::{ChainSpec, SealedHeader, header};

use super::super::{Answer, Ask, Failure};
use crate::Item;

pub(super) static SPEC: LazyLock<ChainSpec> = LazyLock::new(|| toy_spec(0));
/// A chain of 10,000, from which the others branch off.
pub(super) static TRUNK: LazyLock<Vec<SealedHeader>> = LazyLock::new(|| miner(0).headers(&SPEC.genesis, 10_000));

fn miner(of: u8) -> ToyMiner {
    ToyMiner::new(SPEC.clone()).for_beneficiary(Address::repeat_byte(of))
}

/// Headers by number from 1.
#[derive(Clone)]
pub(super) struct Chain {
    headers: Vec<SealedHeader>,
    places: HashMap<B256, usize>,
    pub(super) td: U256,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shared = self.headers.iter().zip(&*TRUNK).take_while(|(own, trunk)| own == trunk).count();
        write!(f, "Chain({shared} of the trunk, {} of its own)", self.headers.len() - shared)
    }
}

impl Chain {
    /// The trunk's first `length` headers.
    pub(super) fn trunk(length: usize) -> Self {
        Self::of(TRUNK[..length].to_vec())
    }

    /// A branch of `length` headers above the trunk's first `shared`.
    pub(super) fn branch(shared: usize, length: usize, of: u8) -> Self {
        let mut headers = TRUNK[..shared].to_vec();
        headers.extend(miner(of).headers(headers.last().unwrap_or(&SPEC.genesis), length));
        Self::of(headers)
    }

    pub(super) fn of(headers: Vec<SealedHeader>) -> Self {
        let places = headers.iter().enumerate().map(|(place, header)| (header.hash(), place)).collect();
        let td = headers.iter().fold(SPEC.genesis.difficulty, |td, header| td + header.difficulty);
        Self { headers, places, td }
    }

    pub(super) fn len(&self) -> usize {
        self.headers.len()
    }

    pub(super) fn best(&self) -> B256 {
        self.headers.last().map_or(SPEC.genesis.hash(), |header| header.hash())
    }

    pub(super) fn at(&self, number: usize) -> &SealedHeader {
        &self.headers[number - 1]
    }

    fn before(&self, from: &B256, max: u64) -> Vec<B256> {
        let Some(place) = self.places.get(from) else { return Vec::new() };
        let below = self.headers[..*place].iter().rev().map(|header| header.hash());
        below.chain([SPEC.genesis.hash()]).take(max as usize).collect()
    }

    fn items(&self, hashes: &[B256]) -> Vec<Item> {
        let known = hashes.iter().filter_map(|hash| self.places.get(hash));
        known.map(|place| Item::Header(self.headers[*place].hash(), header::encode(&self.headers[*place]))).collect()
    }
}

/// How a peer behaves.
#[derive(Clone, Debug)]
pub(super) enum Manner {
    Honest,
    /// Gives only so many items an answer.
    Drip(usize),
    /// Holds no headers below a number, though their hashes.
    Above(usize),
    /// Answers nothing.
    Silent,
    /// Answers nothing but for hashes and its best header.
    Stalling,
    /// Claims more than its chain adds up to.
    Boasting,
    /// Invents hashes without end, and a best header with a number to match.
    Endless(Bytes),
    /// Gives the same hashes over and over.
    Looping,
    /// Invents hashes below a number of its true chain, down to our genesis, and serves no header there.
    Forging(usize),
    /// Leaves after so many answers, for good.
    Vanishing(usize),
}

impl Manner {
    pub(super) fn is_honest(&self) -> bool {
        matches!(self, Manner::Honest | Manner::Drip(_) | Manner::Above(_))
    }

    /// A header that the rules of time allow, with nothing below it.
    pub(super) fn endless(number: u64) -> Self {
        let mut template = miner(99).template(&SPEC.genesis);
        template.number = number;
        template.timestamp = SPEC.genesis.timestamp + number;
        template.parent_hash = B256::repeat_byte(9);
        Manner::Endless(header::encode(&toy_seal(template)))
    }
}

#[derive(Clone, Debug)]
pub(super) struct TestPeer {
    pub(super) manner: Manner,
    pub(super) chain: Chain,
    pub(super) answers: usize,
}

impl TestPeer {
    pub(super) fn new(manner: Manner, chain: Chain) -> Self {
        Self { manner, chain, answers: 0 }
    }

    /// What its Status claims.
    pub(super) fn status(&self) -> (U256, B256) {
        match &self.manner {
            Manner::Boasting => (self.chain.td * U256::from(3), self.chain.best()),
            Manner::Endless(raw) => (U256::from(1u64 << 60), alloy_primitives::keccak256(raw)),
            Manner::Forging(_) | Manner::Looping => (self.chain.td + U256::from(1), self.chain.best()),
            _ => (self.chain.td, self.chain.best()),
        }
    }

    /// Its answer; `None`: silence.
    pub(super) fn answer(&mut self, ask: &Ask, rng: &mut StdRng) -> Option<Result<Answer, Failure>> {
        self.answers += 1;
        let answer = match ask {
            Ask::Hashes { from, max } => Answer::Hashes(self.hashes(from, *max, rng)),
            Ask::Headers(hashes) => Answer::Items(self.headers(hashes)),
            Ask::Blocks(_) => Answer::Items(Vec::new()),
        };
        match &self.manner {
            Manner::Silent => None,
            Manner::Stalling => match ask {
                Ask::Headers(hashes) if *hashes != [self.chain.best()] => None,
                _ => Some(Ok(answer)),
            },
            Manner::Vanishing(after) if self.answers > *after => Some(Err(Failure::Closed)),
            _ => Some(Ok(answer)),
        }
    }

    fn hashes(&self, from: &B256, max: u64, rng: &mut StdRng) -> Vec<B256> {
        let mut random = |count: u64| (0..count).map(|_| B256::from(rng.random::<[u8; 32]>())).collect::<Vec<_>>();
        match &self.manner {
            Manner::Endless(_) => random(max),
            Manner::Looping => {
                let mut hashes = self.chain.before(&self.chain.best(), max.min(100));
                hashes.push(self.chain.best());
                hashes
            }
            Manner::Forging(below) => {
                let true_part = self.chain.before(from, max);
                if true_part.is_empty() {
                    // Somewhere in its invention: it ends it at our genesis.
                    let mut hashes = random(max.min(500));
                    hashes.push(SPEC.genesis.hash());
                    return hashes;
                }
                let keep = true_part.iter().position(|hash| self.chain.places.get(hash).is_none_or(|at| at < below));
                let mut hashes = true_part[..keep.unwrap_or(true_part.len())].to_vec();
                if keep.is_some() {
                    hashes.extend(random(10));
                }
                hashes
            }
            _ => self.chain.before(from, max),
        }
    }

    fn headers(&self, hashes: &[B256]) -> Vec<Item> {
        match &self.manner {
            Manner::Endless(raw) => {
                let best = alloy_primitives::keccak256(raw);
                hashes.iter().filter(|hash| **hash == best).map(|_| Item::Header(best, raw.clone())).collect()
            }
            Manner::Drip(count) => self.chain.items(&hashes[..hashes.len().min(*count)]),
            Manner::Above(number) => {
                let held = |hash: &&B256| self.chain.places.get(*hash).is_some_and(|place| place + 1 >= *number);
                self.chain.items(&hashes.iter().filter(held).copied().collect::<Vec<_>>())
            }
            _ => self.chain.items(hashes),
        }
    }
}
