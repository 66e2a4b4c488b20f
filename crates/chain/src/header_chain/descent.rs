//! A trusted head: one header that the operator vouches for, and below it whatever its hash links prove.
//!
//! ```text
//!   trust     which header it is                                     -> its header is wanted
//!   begin     that header comes, and is the head at once             -> its parent is wanted
//!   descend   each header's bytes hash to the parent hash above it   -> … down to a header that is held already
//!   sum       total difficulty, upwards, in batches                  -> linked
//! ```
//!
//! Hash links prove content, so nothing below a trusted head needs a seal. While the way down is not done the trunk has
//! a gap: genesis (or whatever chain was held before) below it, and above it the run that ends in the trusted head. Every
//! step is one atomic batch, and what is wanted next stands in the store, so that a restart goes on where it was broken
//! off. What was held before stays until the links pass it by: where they meet it, they are joined; where they differ, it
//! is dropped. A chain that ends in another genesis is refused for good, until another head is trusted.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

use super::change::Change;
use super::state::{Run, State};
use super::view::{self, Entry, View, header_record};
use super::{ChainError, Head, HeaderChain, prune, snapshots};
use crate::clique::Snapshot;
use crate::header::{self, SealedHeader};
use crate::spec::Consensus;
use crate::store::{Batch, Column, StoreError};

/// Headers whose total difficulty is summed in one batch: a megabyte or so.
const SUM_BATCH: u64 = 2048;
/// The highest number that a trusted head may have: far past any chain, far from the end of the numbers.
const MAX_NUMBER: u64 = 1 << 62;

/// The longest clique epoch whose headers are held at once; with longer ones every header's signature is recovered.
const MAX_EPOCH: u64 = 1 << 16;

/// How far the way down from a trusted head has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Descent {
    /// This header is wanted next.
    Wanted {
        /// Its hash, proved by the header above it; for the trusted head itself, the operator's word.
        hash: B256,
        /// Its number; `None` for the trusted head, whose number is not known yet.
        number: Option<u64>,
        /// The number of the head; 0 while that is not known.
        highest: u64,
        /// How many headers above genesis are held, some of them perhaps of another chain.
        held: u64,
    },
    /// Every header down to genesis is held; total difficulty is being summed.
    Summing {
        /// The number of the trusted head.
        highest: u64,
    },
    /// Everything is linked to genesis.
    Linked {
        /// Whether the head stays what it is: its chain goes on without difficulty, so nothing else can say which
        /// header is the best.
        fixed: bool,
    },
    /// The trusted head is on no chain of ours. Nothing is to be answered from it.
    Failed(String),
}

impl Descent {
    /// Whether headers are still to come, or to be summed.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Descent::Wanted { .. } | Descent::Summing { .. })
    }
}

/// Why headers were not taken on the way down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescentError {
    /// It is not the header that comes next. Those before it have been taken.
    #[error("expected header {expected}, got {got}")]
    NotWanted {
        /// The hash wanted.
        expected: B256,
        /// The hash of what came.
        got: B256,
    },
    /// Nothing is wanted.
    #[error("no header is wanted below a trusted head")]
    Done,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is kept of a trusted head.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct Trusted {
    pub(super) target: B256,
    /// Whether its header has come.
    pub(super) held: bool,
    /// The hash wanted next while the trunk has a gap.
    pub(super) next: B256,
    /// The highest number whose total difficulty is known; `u64::MAX` where all are.
    pub(super) summed_to: u64,
    /// Why it is refused; empty where it is not.
    pub(super) fault: String,
}

impl State {
    /// The run that stands above the highest gap of the trunk.
    pub(super) fn gap(&self) -> Option<usize> {
        (1..self.trunk.len()).rev().find(|run| self.trunk[run - 1].last + 1 != self.trunk[*run].first)
    }

    /// Whether total difficulty is known at a number of the trunk.
    pub(super) fn is_summed(&self, number: u64) -> bool {
        self.trusted.as_ref().is_none_or(|trusted| number <= trusted.summed_to)
    }

    pub(super) fn descent(&self) -> Option<Descent> {
        let trusted = self.trusted.as_ref()?;
        let highest = self.head.header.number;
        Some(if !trusted.fault.is_empty() {
            Descent::Failed(trusted.fault.clone())
        } else if !trusted.held {
            Descent::Wanted { hash: trusted.target, number: None, highest: 0, held: 0 }
        } else if let Some(gap) = self.gap() {
            let number = self.trunk[gap].first - 1;
            let held = self.trunk.iter().map(Run::len).sum::<u64>().saturating_sub(1);
            Descent::Wanted { hash: trusted.next, number: Some(number), highest, held }
        } else if trusted.summed_to < highest {
            Descent::Summing { highest }
        } else {
            Descent::Linked { fixed: self.head.header.difficulty.is_zero() }
        })
    }
}

impl HeaderChain {
    /// Trusts `head`: its header is the head as soon as it is held, whatever its difficulty, and what is below it is
    /// proved by hash links. Kept in the store: an opened chain goes on with the one it had.
    ///
    /// The one that is trusted already is gone on with. Another one above it on the same chain is linked to what is
    /// held. One that is held, on a chain without difficulty, cuts off what is above it. Any other replaces what
    /// differs. A head that was refused, and what was held of its chain, are forgotten.
    pub fn trust(&self, head: B256) -> Result<(), ChainError> {
        Ok(trust(self, head)?)
    }

    /// How far the way down from the trusted head has come; `None` where no head is trusted.
    pub fn descent(&self) -> Option<Descent> {
        self.state().descent()
    }

    /// The hash that is trusted, where one is.
    pub fn trusted_head(&self) -> Option<B256> {
        self.state().trusted.as_ref().map(|trusted| trusted.target)
    }

    /// Takes headers on the way down, youngest first: the trusted head, or the ones that [`descent`](Self::descent)
    /// wants. Without any, and with every header held, sums some of the total difficulties. A header that its hash
    /// proves and that cannot be, or another genesis, gives [`Descent::Failed`].
    pub fn descend(&self, headers: &[Bytes]) -> Result<Descent, DescentError> {
        let descent = descend(self, headers)?;
        if let Descent::Linked { .. } = descent {
            prune::tidy(self);
        }
        Ok(descent)
    }

    /// The best header whose total difficulty is known, for others: genesis while a trusted head is not linked.
    pub fn linked_head(&self) -> Head {
        let state = self.state();
        match state.descent() {
            None | Some(Descent::Linked { .. }) => state.head.clone(),
            Some(_) => Head { header: self.spec.genesis.clone(), td: self.spec.genesis.difficulty },
        }
    }
}

fn trust(chain: &HeaderChain, target: B256) -> Result<(), StoreError> {
    let _writer = chain.lock_writer();
    let mut change = Change::new(chain);
    let old = change.state.trusted.clone();
    if old.as_ref().is_some_and(|old| old.target == target) {
        return Ok(());
    }
    let mut trusted = Trusted { target, held: false, next: B256::ZERO, summed_to: u64::MAX, fault: String::new() };
    if let Some(old) = old {
        trusted.summed_to = old.summed_to;
        trusted.next = old.next;
        if !old.fault.is_empty() {
            change.cut_to(0)?;
            (trusted.summed_to, trusted.next) = (u64::MAX, B256::ZERO);
        }
    }
    let entry = chain.entry(&target)?;
    if let Some(entry) = entry
        && change.view().canonical(entry.header.number)? == Some(target)
    {
        trusted.held = true;
        let number = entry.header.number;
        let chosen_by_difficulty = !change.state.head.header.difficulty.is_zero() && change.state.gap().is_none();
        if !chosen_by_difficulty && number < change.state.head.header.number {
            change.cut_to(number)?;
            trusted.next = change.next_below_gap()?;
            if number <= trusted.summed_to {
                trusted.summed_to = u64::MAX;
            }
        }
    }
    change.state.trusted = Some(trusted);
    change.finish(Batch::new())
}

fn descend(chain: &HeaderChain, raw: &[Bytes]) -> Result<Descent, DescentError> {
    let _writer = chain.lock_writer();
    let mut rest = raw;
    let awaited = chain.state().trusted.as_ref().is_some_and(|trusted| !trusted.held && trusted.fault.is_empty());
    if awaited && let Some((first, others)) = raw.split_first() {
        begin(chain, first)?;
        rest = others;
    }
    if rest.is_empty() {
        if let Some(Descent::Summing { .. }) = chain.descent() {
            sum(chain)?;
        }
        return chain.descent().ok_or(DescentError::Done);
    }
    let mut change = Change::new(chain);
    let mut child = None;
    let mut outcome = Ok(());
    for raw in rest {
        match change.step(raw, child.take()) {
            Ok(Step::Taken(header)) => child = Some(header),
            Ok(Step::Held) => {}
            Ok(Step::Ended) => break,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    if let Err(DescentError::Store(error)) = outcome {
        return Err(error.into());
    }
    change.finish(Batch::new())?;
    outcome?;
    chain.descent().ok_or(DescentError::Done)
}

/// The trusted head's header has come.
fn begin(chain: &HeaderChain, raw: &Bytes) -> Result<(), DescentError> {
    let mut change = Change::new(chain);
    let Some(target) = change.state.trusted.as_ref().map(|trusted| trusted.target) else {
        return Err(DescentError::Done);
    };
    let got = keccak256(raw);
    if got != target {
        return Err(DescentError::NotWanted { expected: target, got });
    }
    let header = match header::decode(raw) {
        Ok(header) if header.number == 0 => {
            let expected = chain.genesis_hash();
            return Ok(change.fail(format!("it is another chain's genesis: expected {expected}, got {got}"))?);
        }
        Ok(header) if header.number <= MAX_NUMBER => header,
        Ok(header) => return Ok(change.fail(format!("no chain has a block {}", header.number))?),
        Err(error) => return Ok(change.fail(format!("it is no header: {error}"))?),
    };
    let number = header.number;
    // What is deleted below must not be what is written now, so branches go in a change of their own.
    if !change.state.branches.is_empty() {
        change.drop_branches((0..change.state.branches.len()).collect())?;
        change.finish(Batch::new())?;
        change = Change::new(chain);
    }
    let top = change.state.head.header.number;
    let removed = change.cut_trunk(number - 1);
    change.state.garbage.extend(removed);
    change.state.sealed = change.state.sealed.within(0, number - 1);
    let id = change.state.fresh_id();
    change.state.trunk.push(Run { id, first: number, last: number, pruned: 0 });
    change.put_linked(id, &header, raw);
    let parent = header.parent_hash;
    change.state.head = Head { header, td: U256::ZERO };
    if let Some(trusted) = &mut change.state.trusted {
        trusted.held = true;
        trusted.summed_to = trusted.summed_to.min(top).min(number - 1);
    }
    let run = change.state.trunk.len() - 1;
    change.close(run, parent)?;
    Ok(change.finish(Batch::new())?)
}

/// Short-lived, one at a time: its size costs nothing.
#[allow(clippy::large_enum_variant)]
enum Step {
    /// Taken; the header that comes next is its parent.
    Taken(SealedHeader),
    /// Passed over: it is held already.
    Held,
    /// Nothing more is wanted.
    Ended,
}

impl Change<'_> {
    /// Takes one header on the way down. `child`: the one above it, where that came in the same batch.
    fn step(&mut self, raw: &Bytes, child: Option<SealedHeader>) -> Result<Step, DescentError> {
        let Some(Descent::Wanted { hash: expected, number: Some(number), .. }) = self.state.descent() else {
            return Ok(Step::Ended);
        };
        let Some(gap) = self.state.gap() else { return Ok(Step::Ended) };
        let got = keccak256(raw);
        if got != expected {
            // What was held before may have been met in this very batch.
            let held = self.chain.entry(&got)?.map(|entry| entry.header.number);
            if held.is_some_and(|number| self.view().canonical(number).is_ok_and(|held| held == Some(got))) {
                return Ok(Step::Held);
            }
            return Err(DescentError::NotWanted { expected, got });
        }
        let above = self.state.trunk[gap];
        let child = match child {
            Some(child) if child.parent_hash == expected => child,
            _ => {
                let hash = self.view().number_in(&above, above.first)?;
                self.entry(&hash)?.header.clone()
            }
        };
        let header = match header::decode(raw) {
            Ok(header) => header,
            Err(error) => {
                self.note_fault(format!("block {number} ({got}) is no header: {error}"));
                return Ok(Step::Ended);
            }
        };
        // What the hash proves to be the parent and what no parent can be: then the trusted head is no block.
        if header.number != number {
            self.note_fault(format!("number of block {got}: expected {number}, got {}", header.number));
            return Ok(Step::Ended);
        }
        if header.timestamp > child.timestamp {
            let (expected, got) = (child.timestamp, header.timestamp);
            self.note_fault(format!("timestamp of block {number}: expected at most {expected}, got {got}"));
            return Ok(Step::Ended);
        }
        self.put_linked(above.id, &header, raw);
        self.state.trunk[gap].first = number;
        self.close(gap, header.parent_hash)?;
        Ok(Step::Taken(header))
    }

    /// Stores a header that hash links prove. Its total difficulty is not known yet.
    fn put_linked(&mut self, id: u64, header: &SealedHeader, raw: &Bytes) {
        let key = Bytes::copy_from_slice(header.hash_ref().as_slice());
        self.batch.put_bytes(Column::Headers, key, header_record(U256::ZERO, raw));
        self.put_number(id, header.number, header.hash());
    }

    /// The lowest header of `run` has this parent: joins the run to the one below it, or drops of that one what the
    /// links have passed by.
    fn close(&mut self, run: usize, parent: B256) -> Result<(), StoreError> {
        let (first, below) = (self.state.trunk[run].first, self.state.trunk[run - 1]);
        let mut next = parent;
        if below.last + 1 == first {
            let held = self.view().number(below.id, below.last)?;
            if held == Some(parent) {
                next = self.next_below_gap()?;
            } else if below.last == 0 {
                let expected = held.unwrap_or_default();
                self.note_fault(format!("its chain ends in another genesis: expected {expected}, got {parent}"));
            } else {
                self.drop_top_of(run - 1);
            }
        }
        if let Some(trusted) = &mut self.state.trusted {
            trusted.next = next;
        }
        Ok(())
    }

    /// The last header of a run is not on the trusted chain.
    fn drop_top_of(&mut self, run: usize) {
        let below = &mut self.state.trunk[run];
        let (id, last) = (below.id, below.last);
        if below.first == last {
            self.state.trunk.remove(run);
        } else {
            below.cut(last - 1);
        }
        if let Some(trusted) = &mut self.state.trusted {
            trusted.summed_to = trusted.summed_to.min(last - 1);
        }
        self.state.sealed = self.state.sealed.within(0, last - 1);
        match self.state.garbage.last_mut() {
            Some(garbage) if garbage.id == id && garbage.first == last + 1 => garbage.first = last,
            _ => self.state.garbage.push(Run { id, first: last, last, pruned: 0 }),
        }
    }

    /// The parent of the header above the highest gap; zero where there is none.
    fn next_below_gap(&self) -> Result<B256, StoreError> {
        let Some(gap) = self.state.gap() else { return Ok(B256::ZERO) };
        let run = &self.state.trunk[gap];
        Ok(self.entry(&self.view().number_in(run, run.first)?)?.header.parent_hash)
    }

    /// Makes the trunk's header at `number`, which is held, the head. Everything above goes, and every branch.
    fn cut_to(&mut self, number: u64) -> Result<(), StoreError> {
        self.drop_branches((0..self.state.branches.len()).collect())?;
        let hash = self.view().canonical(number)?;
        let hash = hash.ok_or_else(|| StoreError::Damaged { what: format!("the index has no block {number}") })?;
        let entry = self.entry(&hash)?;
        let removed = self.cut_trunk(number);
        self.state.garbage.extend(removed);
        self.state.sealed = self.state.sealed.within(0, number);
        self.state.head = Head { header: entry.header.clone(), td: entry.td };
        Ok(())
    }

    fn note_fault(&mut self, why: String) {
        if let Some(trusted) = &mut self.state.trusted {
            trusted.fault = format!("the trusted head {} cannot be followed: {why}", trusted.target);
            tracing::error!("{}", trusted.fault);
        }
    }

    fn fail(mut self, why: String) -> Result<(), StoreError> {
        self.note_fault(why);
        self.finish(Batch::new())
    }
}

/// Sums total difficulty for the next headers above those that have it.
fn sum(chain: &HeaderChain) -> Result<(), StoreError> {
    let mut change = Change::new(chain);
    let Some(summed_to) = change.state.trusted.as_ref().map(|trusted| trusted.summed_to) else { return Ok(()) };
    let top = change.state.head.header.number;
    let damaged = |number: u64| StoreError::Damaged { what: format!("no header {number} below the trusted head") };
    let read = |view: &View<'_>, number: u64| -> Result<Entry, StoreError> {
        let hash = view.canonical(number)?.ok_or_else(|| damaged(number))?;
        view::read_entry(chain.store.as_ref(), &hash)?.ok_or_else(|| damaged(number))
    };
    let mut to = top.min(summed_to.saturating_add(SUM_BATCH));
    let list = signers_from(chain, top);
    if list.is_some_and(|list| list > 0 && list <= to) {
        to = top; // The snapshot at a list of signers is not stored by itself.
    }
    let mut td = read(&change.view(), summed_to)?.td;
    let mut headers = Vec::new();
    for number in summed_to + 1..=to {
        let header = read(&change.view(), number)?.header;
        td = td.saturating_add(header.difficulty);
        let key = Bytes::copy_from_slice(header.hash_ref().as_slice());
        change.batch.put_bytes(Column::Headers, key, header_record(td, &header::encode(&header)));
        // Nobody is told a total difficulty above `summed_to`, so the cache may be ahead of the store.
        chain.header_cache().put(header.hash(), std::sync::Arc::new(Entry { header: header.clone(), td }));
        headers.push(header);
    }
    if let Some(list) = list {
        sign(chain, &mut change, &headers, list)?;
    }
    let done = to == top;
    if done {
        change.state.head.td = td;
        change.state.sealed.insert(0, top);
    }
    if let Some(trusted) = &mut change.state.trusted {
        trusted.summed_to = if done { u64::MAX } else { to };
    }
    change.finish(Batch::new())
}

/// On a clique chain, the number from which on the signers at `top` are worked out: that of the last list of signers with a
/// stored snapshot between.
fn signers_from(chain: &HeaderChain, top: u64) -> Option<u64> {
    let Consensus::Clique { epoch, .. } = chain.spec.consensus else { return None };
    let stored = (top.saturating_sub(MAX_EPOCH)..=top).rev().find(|number| snapshots::is_checkpoint(*number))?;
    Some(if epoch > MAX_EPOCH { 0 } else { stored - stored % epoch.max(1) })
}

/// Keeps the clique snapshots that the chain needs to grow above its trusted head: from the list of signers at `from` on,
/// which its hash proves.
fn sign(chain: &HeaderChain, change: &mut Change<'_>, headers: &[SealedHeader], from: u64) -> Result<(), StoreError> {
    let Consensus::Clique { epoch, .. } = chain.spec.consensus else { return Ok(()) };
    let Some(first) = headers.iter().position(|header| header.number >= from) else { return Ok(()) };
    let mut rest = &headers[first..];
    let mut snapshot = if rest[0].number == from && from > 0 {
        let list = Snapshot::genesis(&rest[0], epoch).map_err(|error| error.to_string());
        rest = &rest[1..];
        list
    } else {
        let parent = chain.entry(&rest[0].parent_hash)?;
        let parent = parent.ok_or_else(|| StoreError::Damaged { what: "a parent is not there".to_owned() })?;
        let snapshot = snapshots::at(chain, &parent.header);
        snapshot.map(|snapshot| Snapshot::clone(&snapshot)).map_err(|error| error.to_string())
    };
    for header in rest {
        snapshot = snapshot.and_then(|mut snapshot| {
            snapshot.apply(header).map_err(|error| format!("block {}: {error}", header.number))?;
            Ok(snapshot)
        });
        if let Ok(snapshot) = &snapshot {
            snapshots::store(snapshot, &mut change.batch)?;
        }
    }
    match snapshot {
        Ok(snapshot) => snapshots::remember(chain, snapshot.hash(), std::sync::Arc::new(snapshot)),
        // It is trusted, so it is read from; nothing will be found to grow on it.
        Err(error) => tracing::warn!(error, "the signers at the trusted head cannot be told"),
    }
    Ok(())
}
