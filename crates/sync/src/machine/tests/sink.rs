//! A sink in memory that believes its headers but for those it is told not to.

use std::collections::{HashMap, HashSet};

use alloy_primitives::{B256, U256};
use rushlight_chain::{ANCHOR_SPACING, Extended, Head, Known, SealedHeader, header};

use super::super::View;
use crate::{Fault, Item, Refused};

#[derive(Debug)]
pub(super) struct TestSink {
    headers: HashMap<B256, (SealedHeader, U256, Known)>,
    head: Head,
    /// Whether runs are provisional until they are settled.
    pub(super) sampled: bool,
    /// Headers that break a rule.
    pub(super) bad: HashSet<B256>,
    /// Headers whose seals are found to be bad only on settling.
    pub(super) bad_seals: HashSet<B256>,
    /// How many of the last headers it keeps whole; of those below only anchors.
    pub(super) retain: Option<u64>,
    /// The first number that is not supported.
    pub(super) limit: Option<u64>,
    /// Calls that fail for reasons of our own before one succeeds.
    pub(super) failures: u32,
    pub(super) calls: u64,
}

impl TestSink {
    pub(super) fn new(genesis: &SealedHeader) -> Self {
        let td = genesis.difficulty;
        let head = Head { header: genesis.clone(), td };
        let headers = HashMap::from([(genesis.hash(), (genesis.clone(), td, Known::Accepted))]);
        let (bad, bad_seals) = (HashSet::new(), HashSet::new());
        Self { headers, head, sampled: false, bad, bad_seals, retain: None, limit: None, failures: 0, calls: 0 }
    }

    pub(super) fn extend(&mut self, items: &[Item]) -> Result<Extended, Refused> {
        self.calls += 1;
        let mut added = 0;
        let mut last: Option<B256> = None;
        for item in items {
            let header = header::decode(item.header()).expect("headers of the simulation decode");
            let (hash, number) = (header.hash(), header.number);
            // What came before a refused one is taken.
            let before = last.filter(|hash| self.headers[hash].2 == Known::Accepted);
            let refuse = |sink: &mut Self, reason: &str, fault| {
                if let Some(tip) = before {
                    sink.adopt(&tip);
                }
                Err(Refused { hash, number, reason: reason.to_owned(), fault })
            };
            if self.failures > 0 {
                self.failures -= 1;
                return refuse(self, "disk full", Fault::Local);
            }
            let Some((parent, td, parent_known)) = self.headers.get(&header.parent_hash).cloned() else {
                return refuse(self, "unknown parent", Fault::Unlinked);
            };
            if self.bad.contains(&hash) || parent.number + 1 != number {
                return refuse(self, "breaks a rule", Fault::Chain);
            }
            if self.limit.is_some_and(|limit| number >= limit) {
                return refuse(self, "a later fork", Fault::NotSupported);
            }
            let td = td + header.difficulty;
            let known =
                if self.sampled || parent_known == Known::Provisional { Known::Provisional } else { Known::Accepted };
            self.headers.entry(hash).or_insert_with(|| {
                added += 1;
                (header, td, known)
            });
            last = Some(hash);
        }
        let tip = last.expect("runs are not empty");
        let head_changed = self.headers[&tip].2 == Known::Accepted && self.adopt(&tip);
        Ok(self.result(&tip, added, head_changed))
    }

    pub(super) fn settle(&mut self, tip: &B256) -> Result<Extended, Refused> {
        self.calls += 1;
        let mut stretch = Vec::new();
        let mut at = *tip;
        while let Some((header, _, Known::Provisional)) = self.headers.get(&at) {
            stretch.push(at);
            at = header.parent_hash;
        }
        if let Some(bad) = stretch.iter().find(|hash| self.bad_seals.contains(*hash)) {
            let (hash, number) = (*bad, self.headers[bad].0.number);
            let reason = "bad seal".to_owned();
            // With the stretch goes all that stands on it.
            self.headers.retain(|_, (_, _, known)| *known == Known::Accepted);
            return Err(Refused { hash, number, reason, fault: Fault::Chain });
        }
        for hash in &stretch {
            self.headers.get_mut(hash).expect("was just seen").2 = Known::Accepted;
        }
        let head_changed = self.adopt(tip);
        Ok(self.result(tip, stretch.len() as u64, head_changed))
    }

    fn adopt(&mut self, tip: &B256) -> bool {
        let (header, td, _) = &self.headers[tip];
        let heavier = *td > self.head.td;
        if heavier {
            self.head = Head { header: header.clone(), td: *td };
            self.thin();
        }
        heavier
    }

    /// Forgets what lies below the retained headers of the chain, but for anchors and what another chain stands on.
    fn thin(&mut self) {
        let Some(retain) = self.retain else { return };
        let below = (self.head.header.number + 1).saturating_sub(retain);
        let mut chain = Vec::new();
        let mut at = self.head.header.hash();
        while let Some((header, _, _)) = self.headers.get(&at) {
            chain.push((at, header.number));
            at = header.parent_hash;
        }
        let own: HashSet<B256> = chain.iter().map(|(hash, _)| *hash).collect();
        let others = self.headers.iter().filter(|(hash, _)| !own.contains(*hash));
        let stood_on: HashSet<B256> = others.map(|(_, (header, _, _))| header.parent_hash).collect();
        for (hash, number) in chain {
            if number < below && !number.is_multiple_of(ANCHOR_SPACING) && !stood_on.contains(&hash) {
                self.headers.remove(&hash);
            }
        }
    }

    fn result(&self, tip: &B256, added: u64, head_changed: bool) -> Extended {
        let (header, td, _) = &self.headers[tip];
        Extended { added, tip: *tip, number: header.number, td: *td, head_changed, seals_checked: added }
    }
}

impl View for TestSink {
    fn head(&self) -> Head {
        self.head.clone()
    }
    fn known(&self, hash: &B256) -> Known {
        self.headers.get(hash).map_or(Known::Unknown, |(_, _, known)| *known)
    }
    fn td(&self, hash: &B256) -> Option<U256> {
        self.headers.get(hash).map(|(_, td, _)| *td)
    }
    fn resumed(&self) -> Option<(u64, u64)> {
        None
    }
}
