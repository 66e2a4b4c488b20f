//! What is known, in a few hundred bytes: the trunk, the branches and what is checked of them.

use alloy_primitives::{B256, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpDecodableWrapper, RlpEncodable, RlpEncodableWrapper};

use super::Head;
use super::descent::Trusted;
use crate::store::{Batch, Column, Store, StoreError};

const HEAD_KEY: &[u8] = b"head";
const TRUNK_KEY: &[u8] = b"trunk";
const BRANCHES_KEY: &[u8] = b"branches";
const GARBAGE_KEY: &[u8] = b"garbage";
const TRUSTED_KEY: &[u8] = b"trusted";
const PINS_KEY: &[u8] = b"pins";

/// Spans that [`Spans`] remembers. One is added by each long sync; of more, the lowest is forgotten, and would be
/// checked again if a chain ever forked off there.
const MAX_SPANS: usize = 64;

/// Consecutive numbers whose hashes stand in the index under one id. Two runs may share an id where their numbers
/// differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Of the numbers below, only anchors and [`Pin`]s are held; 0 where all are.
    pub(super) pruned: u64,
}

/// A header below the retained ones that is no anchor and stays nevertheless: another run is built on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct Pin {
    /// The id of the run that it belongs to.
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) hash: B256,
}

impl Run {
    pub(super) fn contains(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }

    pub(super) fn len(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// Ends the run at `last`.
    pub(super) fn cut(&mut self, last: u64) {
        self.last = last;
        self.pruned = self.pruned.min(last + 1);
    }

    /// Whether numbers of the run may be missing.
    pub(super) fn has_gaps(&self) -> bool {
        self.pruned > self.first
    }

    /// The first number from which on none is missing; one past the end where any may be.
    pub(super) fn whole_from(&self) -> u64 {
        self.pruned.clamp(self.first, self.last + 1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Span {
    first: u64,
    last: u64,
}

/// A set of numbers as ascending spans that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq, RlpEncodableWrapper, RlpDecodableWrapper)]
pub(super) struct Spans(Vec<Span>);

impl Spans {
    /// Whether all of `first..=last` is in the set.
    pub(super) fn covers(&self, first: u64, last: u64) -> bool {
        first > last || self.0.iter().any(|span| span.first <= first && last <= span.last)
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.covers(number, number)
    }

    pub(super) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let mut joined = Span { first, last };
        self.0.retain(|span| {
            let apart = span.last.saturating_add(1) < joined.first || joined.last.saturating_add(1) < span.first;
            if !apart {
                joined = Span { first: span.first.min(joined.first), last: span.last.max(joined.last) };
            }
            apart
        });
        let place = self.0.partition_point(|span| span.first < joined.first);
        self.0.insert(place, joined);
        if self.0.len() > MAX_SPANS {
            self.0.remove(0);
        }
    }

    pub(super) fn join(&mut self, other: &Spans) {
        for span in &other.0 {
            self.insert(span.first, span.last);
        }
    }

    /// The part within `first..=last`.
    pub(super) fn within(&self, first: u64, last: u64) -> Spans {
        let clip = |span: &Span| Span { first: span.first.max(first), last: span.last.min(last) };
        Spans(self.0.iter().map(clip).filter(|span| span.first <= span.last).collect())
    }
}

/// A run of headers beside the trunk.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct Branch {
    pub(super) run: Run,
    /// The parent of its first header, in the trunk or in another branch.
    pub(super) parent: B256,
    /// Its last header.
    pub(super) tip: B256,
    /// Total difficulty of its last header.
    pub(super) td: U256,
    /// Whether its headers are accepted, or still provisional.
    pub(super) accepted: bool,
    /// The state's tick when it grew last.
    pub(super) touched: u64,
    /// The first number of its chain that was not accepted when its stretch began: draws are made from there on.
    pub(super) floor: u64,
    /// The drawn header is checked of every window that ends at this number or before. Every complete window is, at
    /// all times: a commit checks the windows that it completes before it writes.
    pub(super) windows_to: u64,
    /// Numbers of headers whose seals are checked, without those drawn.
    pub(super) sealed: Spans,
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) head: Head,
    /// The canonical chain: runs that follow each other from 0 to the head, but for the gaps below a trusted head that is
    /// not linked yet.
    pub(super) trunk: Vec<Run>,
    /// Numbers of the trunk whose seals are checked, without those drawn.
    pub(super) sealed: Spans,
    /// The highest number of the trunk below which seals were sampled; 0 where all were checked.
    pub(super) sampled_to: u64,
    pub(super) branches: Vec<Branch>,
    /// Runs that belong to nothing any more and are still to be deleted.
    pub(super) garbage: Vec<Run>,
    pub(super) pins: Vec<Pin>,
    pub(super) next_id: u64,
    pub(super) ticks: u64,
    /// The head that the operator trusts.
    pub(super) trusted: Option<Trusted>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct HeadRecord {
    hash: B256,
    next_id: u64,
    ticks: u64,
    sampled_to: u64,
    sealed: Spans,
}

impl State {
    /// A chain that has only its genesis.
    pub(super) fn genesis(head: Head) -> State {
        let mut sealed = Spans::default();
        sealed.insert(0, 0);
        State {
            head,
            trunk: vec![Run { id: 0, first: 0, last: 0, pruned: 0 }],
            sealed,
            sampled_to: 0,
            branches: Vec::new(),
            garbage: Vec::new(),
            pins: Vec::new(),
            next_id: 1,
            ticks: 0,
            trusted: None,
        }
    }

    /// The hash of the stored head, if a chain is stored.
    pub(super) fn stored_head(store: &dyn Store) -> Result<Option<B256>, StoreError> {
        let Some(raw) = store.get(Column::Meta, HEAD_KEY)? else { return Ok(None) };
        Ok(Some(decode::<HeadRecord>("head", &raw)?.hash))
    }

    /// The stored state; `head` is the header that [`stored_head`](Self::stored_head) names.
    pub(super) fn load(store: &dyn Store, head: Head) -> Result<State, StoreError> {
        let damaged = |what: &str| StoreError::Damaged { what: what.to_owned() };
        let raw = store.get(Column::Meta, HEAD_KEY)?.ok_or_else(|| damaged("there is no head"))?;
        let record: HeadRecord = decode("head", &raw)?;
        let raw = store.get(Column::Meta, TRUNK_KEY)?.ok_or_else(|| damaged("there is no trunk"))?;
        let mut trunk: Vec<Run> = decode("trunk", &raw)?;
        trunk.last_mut().ok_or_else(|| damaged("the trunk is empty"))?.last = head.header.number;
        let trusted: Option<Trusted> =
            store.get(Column::Meta, TRUSTED_KEY)?.map(|raw| decode("trusted head", &raw)).transpose()?;
        let gaps = trusted.as_ref().is_some_and(|trusted| trusted.summed_to != u64::MAX);
        let joined = trunk.windows(2).all(|pair| {
            let next = pair[0].last.checked_add(1);
            next == Some(pair[1].first) || (gaps && next.is_some_and(|next| next < pair[1].first))
        });
        if trunk[0].first != 0 || !joined || trunk.iter().any(|run| run.first > run.last) {
            return Err(damaged("the trunk has gaps"));
        }
        let list = |key: &[u8]| store.get(Column::Meta, key);
        let branches: Vec<Branch> =
            list(BRANCHES_KEY)?.map_or_else(|| Ok(Vec::new()), |raw| decode("branches", &raw))?;
        if branches.iter().any(|branch| branch.run.first == 0 || branch.run.first > branch.run.last) {
            return Err(damaged("a branch is empty"));
        }
        let garbage = list(GARBAGE_KEY)?.map_or_else(|| Ok(Vec::new()), |raw| decode("garbage", &raw))?;
        let pins = list(PINS_KEY)?.map_or_else(|| Ok(Vec::new()), |raw| decode("pins", &raw))?;
        Ok(State {
            head,
            trunk,
            sealed: record.sealed,
            sampled_to: record.sampled_to,
            branches,
            garbage,
            pins,
            next_id: record.next_id,
            ticks: record.ticks,
            trusted,
        })
    }

    /// Puts into `batch` what differs from `old` (everything where there is none).
    pub(super) fn store(&self, old: Option<&State>, batch: &mut Batch) {
        let record = HeadRecord {
            hash: self.head.header.hash(),
            next_id: self.next_id,
            ticks: self.ticks,
            sampled_to: self.sampled_to,
            sealed: self.sealed.clone(),
        };
        batch.put(Column::Meta, HEAD_KEY, alloy_rlp::encode(record));
        // The last run ends at the head, so that growing by a header leaves the record of the trunk as it is.
        let open_ended = |state: &State| {
            let mut trunk = state.trunk.clone();
            if let Some(run) = trunk.last_mut() {
                run.last = u64::MAX;
            }
            trunk
        };
        let trunk = open_ended(self);
        if old.is_none_or(|old| open_ended(old) != trunk) {
            batch.put(Column::Meta, TRUNK_KEY, encode_list(&trunk));
        }
        if old.is_none_or(|old| old.branches != self.branches) {
            batch.put(Column::Meta, BRANCHES_KEY, encode_list(&self.branches));
        }
        if let Some(trusted) = &self.trusted
            && old.is_none_or(|old| old.trusted != self.trusted)
        {
            batch.put(Column::Meta, TRUSTED_KEY, alloy_rlp::encode(trusted));
        }
        if old.is_none_or(|old| old.garbage != self.garbage) {
            batch.put(Column::Meta, GARBAGE_KEY, encode_list(&self.garbage));
        }
        if old.is_none_or(|old| old.pins != self.pins) {
            batch.put(Column::Meta, PINS_KEY, encode_list(&self.pins));
        }
    }

    /// The trunk's run that has `number`.
    pub(super) fn trunk_run(&self, number: u64) -> Option<usize> {
        let place = self.trunk.partition_point(|run| run.last < number);
        self.trunk.get(place).is_some_and(|run| run.contains(number)).then_some(place)
    }

    /// Whether nothing stands in the index under `id` from `number` on.
    pub(super) fn is_free(&self, id: u64, number: u64) -> bool {
        let branches = self.branches.iter().map(|branch| &branch.run);
        let mut runs = self.trunk.iter().chain(branches).chain(&self.garbage);
        !runs.any(|run| run.id == id && run.last >= number)
    }

    /// The first number from which on no run has gaps.
    pub(super) fn whole_from(&self) -> u64 {
        let runs = self.trunk.iter().chain(self.branches.iter().map(|branch| &branch.run));
        runs.filter(|run| run.has_gaps()).map(Run::whole_from).max().unwrap_or(0)
    }

    /// Lets go of pins that nothing is built on any more. It is to be called in the very change in which a run ends, so
    /// that no later one under the same id is taken for it.
    pub(super) fn release_pins(&mut self) {
        let (runs, branches, garbage) = (&self.trunk, &self.branches, &mut self.garbage);
        self.pins.retain(|pin| {
            let mut all = runs.iter().chain(branches.iter().map(|branch| &branch.run));
            // Without its run it is among the garbage already.
            let Some(run) = all.find(|run| run.id == pin.id && run.contains(pin.number)) else { return false };
            let used = run.last == pin.number || branches.iter().any(|branch| branch.parent == pin.hash);
            if !used {
                garbage.push(Run { id: pin.id, first: pin.number, last: pin.number, pruned: 0 });
            }
            used
        });
    }

    /// An id that has never been used.
    pub(super) fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// The next tick: later ones are greater.
    pub(super) fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }
}

fn encode_list<T: Encodable>(items: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    alloy_rlp::encode_list(items, &mut out);
    out
}

fn decode<T: Decodable>(what: &str, raw: &[u8]) -> Result<T, StoreError> {
    alloy_rlp::decode_exact(raw).map_err(|error| StoreError::Damaged { what: format!("{what}: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_join_and_split() {
        let mut spans = Spans::default();
        spans.insert(5, 9);
        spans.insert(20, 29);
        assert!(spans.covers(5, 9) && !spans.covers(5, 10) && !spans.contains(4));
        spans.insert(10, 19);
        assert_eq!(spans.0, [Span { first: 5, last: 29 }]);
        spans.insert(7, 8);
        assert_eq!(spans.0, [Span { first: 5, last: 29 }]);
        assert_eq!(spans.within(8, 12).0, [Span { first: 8, last: 12 }]);
        assert!(spans.within(40, 50).0.is_empty());
        spans.insert(3, 2);
        assert_eq!(spans.0.len(), 1);
        spans.insert(0, 0);
        assert!(spans.contains(0) && !spans.contains(1));
    }

    #[test]
    fn spans_stay_few() {
        let mut spans = Spans::default();
        for index in 0..1000 {
            spans.insert(index * 10, index * 10 + 3);
        }
        assert_eq!(spans.0.len(), MAX_SPANS);
        assert!(spans.contains(9990) && !spans.contains(0));
    }
}
