//! A change of the chain: worked out on a copy of the state, then written as one atomic batch.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use alloy_primitives::{B256, Bytes, U256};

use super::state::{Branch, Run, Spans, State};
use super::view::{Entry, Fresh, Piece, Place, View, header_record, number_key};
use super::{ChainEvent, Head, HeaderChain, MAX_REORG_HASHES, Reorg};
use crate::header::SealedHeader;
use crate::store::{Batch, Column, StoreError};

/// How far over its limit the number of branches may go where each is built on the other, so that none can be spared.
/// Then the whole stretch goes: nobody honest makes such a thing.
const MAX_NESTED: usize = 4;
/// Entries deleted in one batch.
const SWEEP: u64 = 2048;

/// A header with its bytes.
pub(super) type Verified<'a> = (&'a SealedHeader, &'a Bytes);

/// A change under way. Dropping it leaves everything as it was.
pub(super) struct Change<'a> {
    chain: &'a HeaderChain,
    pub(super) state: State,
    pub(super) batch: Batch,
    fresh: Fresh,
    reorg: Option<Reorg>,
}

impl<'a> Change<'a> {
    /// Begins a change. The caller holds the writer's lock from here to `finish`.
    pub(super) fn new(chain: &'a HeaderChain) -> Change<'a> {
        let state = chain.state().clone();
        Change { chain, state, batch: Batch::new(), fresh: HashMap::new(), reorg: None }
    }

    pub(super) fn view(&self) -> View<'_> {
        View::over(self.chain.store.as_ref(), &self.state, &self.fresh)
    }

    /// Adds headers that follow `parent`, which stands in `place`. Gives the place of the last one. Accepted headers on
    /// the head move the head.
    pub(super) fn append(
        &mut self,
        place: Place,
        parent: &Entry,
        headers: &[Verified<'_>],
        accepted: bool,
    ) -> Result<Place, StoreError> {
        let (Some((first, _)), Some((last, _))) = (headers.first(), headers.last()) else { return Ok(place) };
        let (first, last, tip) = (first.number, last.number, last.hash());
        let mut td = parent.td;
        for (header, raw) in headers {
            td = td.saturating_add(header.difficulty);
            let key = Bytes::copy_from_slice(header.hash_ref().as_slice());
            self.batch.put_bytes(Column::Headers, key, header_record(td, raw));
        }
        let (place, id) = self.make_room(place, parent, accepted, Run { id: 0, first, last });
        for (header, _) in headers {
            self.put_number(id, header.number, header.hash());
        }
        match place {
            Place::Trunk => {
                let (header, _) = headers[headers.len() - 1];
                self.state.head = Head { header: header.clone(), td };
            }
            Place::Branch(index) => {
                let tick = self.state.tick();
                let branch = &mut self.state.branches[index];
                (branch.run.last, branch.tip, branch.td) = (last, tip, td);
                for piece in self.view().pieces(place, last)? {
                    if let Place::Branch(ancestor) = piece.place {
                        self.state.branches[ancestor].touched = tick;
                    }
                }
            }
        }
        Ok(place)
    }

    /// Finds or makes the run that headers after `parent` go to.
    fn make_room(&mut self, place: Place, parent: &Entry, accepted: bool, new: Run) -> (Place, u64) {
        if accepted && parent.header.hash() == self.state.head.header.hash() {
            let end = self.state.trunk.last().map_or(0, |run| run.id);
            if self.state.is_free(end, new.first) {
                if let Some(run) = self.state.trunk.last_mut() {
                    run.last = new.last;
                }
                return (Place::Trunk, end);
            }
            let id = self.state.fresh_id();
            self.state.trunk.push(Run { id, ..new });
            return (Place::Trunk, id);
        }
        let (mut floor, mut windows_to) = (new.first, new.first - 1);
        if let Place::Branch(index) = place {
            let branch = &self.state.branches[index];
            let id = branch.run.id;
            if branch.tip == parent.header.hash() && branch.accepted == accepted && self.state.is_free(id, new.first) {
                return (place, id);
            }
            if !branch.accepted {
                // The new branch shares the stretch below it, and the windows of it that are complete and checked.
                let shared = new.first - new.first % crate::sampling::WINDOW;
                floor = branch.floor;
                windows_to = branch.windows_to.min(shared.saturating_sub(1)).max(floor - 1);
            }
        }
        let id = self.state.fresh_id();
        self.state.branches.push(Branch {
            run: Run { id, ..new },
            parent: parent.header.hash(),
            tip: parent.header.hash(),
            td: parent.td,
            accepted,
            touched: 0,
            floor,
            windows_to,
            sealed: Spans::default(),
        });
        (Place::Branch(self.state.branches.len() - 1), id)
    }

    /// Records that the seals of `first..=last` in `place` are checked.
    pub(super) fn mark_sealed(&mut self, place: Place, first: u64, last: u64) {
        match place {
            Place::Trunk => self.state.sealed.insert(first, last),
            Place::Branch(index) => self.state.branches[index].sealed.insert(first, last),
        }
    }

    /// Accepts the provisional part of the chain that ends at `number` in `place`. What follows it stays provisional.
    pub(super) fn accept(&mut self, place: Place, number: u64) -> Result<(), StoreError> {
        for piece in self.view().pieces(place, number)? {
            if let Place::Branch(index) = piece.place
                && !self.state.branches[index].accepted
            {
                self.split(index, piece.run.last)?;
                self.state.branches[index].accepted = true;
            }
        }
        Ok(())
    }

    /// Cuts a branch after `last`: what follows becomes a branch of its own, with the same standing.
    fn split(&mut self, index: usize, last: u64) -> Result<(), StoreError> {
        let branch = self.state.branches[index].clone();
        if branch.run.last == last {
            return Ok(());
        }
        let tip = self.view().number_in(&branch.run, last)?;
        let entry = self.entry(&tip)?;
        let rest = Branch {
            run: Run { first: last + 1, ..branch.run },
            parent: tip,
            sealed: branch.sealed.within(last + 1, u64::MAX),
            ..branch
        };
        self.state.branches.push(rest);
        let branch = &mut self.state.branches[index];
        branch.run.last = last;
        branch.tip = tip;
        branch.td = entry.td;
        branch.sealed = branch.sealed.within(0, last);
        Ok(())
    }

    /// Makes the accepted chain that ends with the tip of branch `index` the trunk. What leaves the trunk stays as an
    /// accepted branch.
    pub(super) fn adopt(&mut self, index: usize, head: Head) -> Result<(), StoreError> {
        let pieces = self.view().pieces(Place::Branch(index), head.header.number)?;
        let branches: Vec<Piece> =
            pieces.into_iter().rev().filter(|piece| matches!(piece.place, Place::Branch(_))).collect();
        let mut path = Vec::with_capacity(branches.len());
        for piece in &branches {
            if let Place::Branch(index) = piece.place {
                self.split(index, piece.run.last)?;
                path.push(self.state.branches[index].clone());
            }
        }
        let Some(fork) = path.first().map(|branch| branch.run.first - 1) else { return Ok(()) };
        self.reorg = self.describe_reorg(fork)?;
        self.state.branches.retain(|branch| !path.iter().any(|taken| taken.run == branch.run));

        let removed = self.cut_trunk(fork);
        let old = std::mem::replace(&mut self.state.head, head);
        let removed_sealed = self.state.sealed.within(fork + 1, u64::MAX);
        self.state.sealed = self.state.sealed.within(0, fork);
        for branch in &path {
            self.state.sealed.join(&branch.sealed);
        }

        let length = path.iter().map(|branch| branch.run.len()).chain(removed.iter().map(Run::len)).sum::<u64>();
        let top = self.state.trunk.last().map_or(0, |run| run.id);
        let taken = |run: &Run| run.id == top && run.last > fork && run.first <= self.state.head.header.number;
        if length <= self.chain.limits.rewrite && !self.state.branches.iter().any(|branch| taken(&branch.run)) {
            self.rewrite(fork, &removed, &path, &old, &removed_sealed)
        } else {
            self.hand_over(&removed, path, &old, &removed_sealed)
        }
    }

    /// Shortens the trunk to end at `fork`. Gives the runs cut off, in ascending order.
    fn cut_trunk(&mut self, fork: u64) -> Vec<Run> {
        let mut removed = Vec::new();
        while let Some(run) = self.state.trunk.last_mut() {
            if run.last <= fork {
                break;
            }
            if run.first <= fork {
                removed.push(Run { first: fork + 1, ..*run });
                run.last = fork;
                break;
            }
            removed.push(*run);
            self.state.trunk.pop();
        }
        removed.reverse();
        removed
    }

    /// Puts the new chain's hashes under the id of the trunk, and the old one's under a fresh id.
    fn rewrite(
        &mut self,
        fork: u64,
        removed: &[Run],
        path: &[Branch],
        old: &Head,
        sealed: &Spans,
    ) -> Result<(), StoreError> {
        let gone = self.hashes(removed.iter())?;
        let come = self.hashes(path.iter().map(|branch| &branch.run))?;
        for run in removed.iter().chain(path.iter().map(|branch| &branch.run)) {
            for number in run.first..=run.last {
                self.delete_number(run.id, number);
            }
        }
        let Some(top) = self.state.trunk.last_mut() else { return Ok(()) };
        let id = top.id;
        top.last = fork + come.len() as u64;
        for (number, hash) in (fork + 1..).zip(come) {
            self.put_number(id, number, hash);
        }
        if !gone.is_empty() {
            let parent = path.first().map_or(B256::ZERO, |branch| branch.parent);
            let id = self.state.fresh_id();
            let run = Run { id, first: fork + 1, last: old.header.number };
            self.push_side(run, parent, old.header.hash(), old.td, sealed);
            for (number, hash) in (fork + 1..).zip(gone) {
                self.put_number(id, number, hash);
            }
        }
        Ok(())
    }

    /// Lets the runs change hands as they are.
    fn hand_over(&mut self, removed: &[Run], path: Vec<Branch>, old: &Head, sealed: &Spans) -> Result<(), StoreError> {
        let mut parent = path.first().map_or(B256::ZERO, |branch| branch.parent);
        for run in removed {
            let tip = self.view().number_in(run, run.last)?;
            let td = if tip == old.header.hash() { old.td } else { self.entry(&tip)?.td };
            self.push_side(*run, parent, tip, td, sealed);
            parent = tip;
        }
        for branch in path {
            match self.state.trunk.last_mut() {
                Some(top) if top.id == branch.run.id && top.last + 1 == branch.run.first => top.last = branch.run.last,
                _ => self.state.trunk.push(branch.run),
            }
        }
        Ok(())
    }

    fn push_side(&mut self, run: Run, parent: B256, tip: B256, td: U256, sealed: &Spans) {
        let touched = self.state.tick();
        let sealed = sealed.within(run.first, run.last);
        let (floor, windows_to) = (run.first, run.last);
        let branch = Branch { run, parent, tip, td, accepted: true, touched, floor, windows_to, sealed };
        self.state.branches.push(branch);
    }

    fn hashes<'r>(&self, runs: impl Iterator<Item = &'r Run>) -> Result<Vec<B256>, StoreError> {
        let view = self.view();
        runs.flat_map(|run| (run.first..=run.last).map(move |number| view.number_in(run, number))).collect()
    }

    fn describe_reorg(&self, fork: u64) -> Result<Option<Reorg>, StoreError> {
        let depth = self.state.head.header.number - fork;
        if depth == 0 {
            return Ok(None);
        }
        let view = self.view();
        let canonical = |number| {
            view.canonical(number)?
                .ok_or_else(|| StoreError::Damaged { what: format!("the index has no block {number}") })
        };
        let removed = (fork + 1..=self.state.head.header.number).rev().take(MAX_REORG_HASHES);
        Ok(Some(Reorg {
            common_ancestor: canonical(fork)?,
            common_number: fork,
            removed: removed.map(canonical).collect::<Result<_, _>>()?,
            depth,
        }))
    }

    /// Keeps the numbers of branches within their bounds; `kept` and what it is built on stay while anything else can
    /// go.
    pub(super) fn enforce_bounds(&mut self, kept: Place) -> Result<(), StoreError> {
        self.enforce(kept, false, self.chain.limits.provisional, |branch| (branch.run.len(), branch.touched))?;
        // The place of `kept` may have moved; what is accepted is bounded by the same rule without it.
        self.enforce(Place::Trunk, true, self.chain.limits.side_branches, |branch| (branch.touched, 0))
    }

    fn enforce<K: Ord>(
        &mut self,
        kept: Place,
        accepted: bool,
        limit: usize,
        rank: impl Fn(&Branch) -> K,
    ) -> Result<(), StoreError> {
        let kept = match kept {
            Place::Branch(index) => self.state.branches.get(index).map(|branch| (branch.run, branch.tip)),
            Place::Trunk => None,
        };
        loop {
            let count = self.state.branches.iter().filter(|branch| branch.accepted == accepted).count();
            if count <= limit {
                return Ok(());
            }
            let mut lineage = Vec::new();
            if let Some((run, _)) = kept
                && let Some(index) = self.state.branches.iter().position(|branch| branch.run == run)
            {
                lineage = self.view().pieces(Place::Branch(index), run.last)?;
            }
            let spared = |index: usize| lineage.iter().any(|piece| piece.place == Place::Branch(index));
            let candidates =
                || self.state.branches.iter().enumerate().filter(|(_, branch)| branch.accepted == accepted);
            let mut chosen = candidates().filter(|(index, _)| !spared(*index)).min_by_key(|(_, branch)| rank(branch));
            if chosen.is_none() && count > limit * MAX_NESTED {
                chosen = candidates().min_by_key(|(_, branch)| branch.run.first);
            }
            let Some((index, branch)) = chosen else { return Ok(()) };
            tracing::debug!(tip = %branch.tip, number = branch.run.last, accepted, "dropping a branch: there are too many");
            self.drop_branches(vec![index])?;
        }
    }

    /// Drops the provisional stretch that the branch `index` is part of: from its accepted base on, with all that is
    /// built on it. Gives the number of headers dropped.
    pub(super) fn drop_stretch(&mut self, index: usize) -> Result<u64, StoreError> {
        let mut root = index;
        while let Place::Branch(parent) = self.view().parent_place(&self.state.branches[root])? {
            if self.state.branches[parent].accepted {
                break;
            }
            root = parent;
        }
        self.drop_branches(vec![root])
    }

    /// Drops branches with all that is built on them. Gives the number of headers dropped.
    pub(super) fn drop_branches(&mut self, mut doomed: Vec<usize>) -> Result<u64, StoreError> {
        let mut next = 0;
        while next < doomed.len() {
            for index in 0..self.state.branches.len() {
                let parent = self.view().parent_place(&self.state.branches[index])?;
                if parent == Place::Branch(doomed[next]) && !doomed.contains(&index) {
                    doomed.push(index);
                }
            }
            next += 1;
        }
        let runs: Vec<Run> = doomed.iter().map(|index| self.state.branches[*index].run).collect();
        self.state.branches.retain(|branch| !runs.contains(&branch.run));
        self.state.garbage.extend(&runs);
        Ok(runs.iter().map(Run::len).sum())
    }

    /// Writes the change, with what `more` writes, and makes it seen.
    pub(super) fn finish(mut self, more: Batch) -> Result<(), StoreError> {
        let chain = self.chain;
        let head_changed;
        {
            // Readers look at state and index together: they wait while both move on.
            let mut state = chain.state.write().unwrap_or_else(PoisonError::into_inner);
            self.state.store(Some(&state), &mut self.batch);
            self.batch.append(more);
            chain.store.write(self.batch)?;
            head_changed = state.head.header.hash() != self.state.head.header.hash();
            *state = self.state;
        }
        if head_changed {
            // No subscriber is no error.
            let _ = chain.events.send(ChainEvent::NewHead { head: chain.head(), reorg: self.reorg });
        }
        sweep(chain)
    }

    /// A header that is stored already.
    fn entry(&self, hash: &B256) -> Result<Arc<Entry>, StoreError> {
        self.chain
            .entry(hash)?
            .ok_or_else(|| StoreError::Damaged { what: format!("header {hash} is in the index but not there") })
    }

    fn put_number(&mut self, id: u64, number: u64, hash: B256) {
        self.batch.put(Column::Numbers, number_key(id, number), hash);
        self.fresh.insert((id, number), Some(hash));
    }

    fn delete_number(&mut self, id: u64, number: u64) {
        self.batch.delete(Column::Numbers, number_key(id, number));
        self.fresh.insert((id, number), None);
    }
}

/// Deletes what belongs to nothing any more, in batches of bounded size: the list of it is shortened together with
/// what it names, so that a restart goes on where this was interrupted. The caller holds the writer's lock, so that no
/// header comes back while its old record is being deleted.
pub(super) fn sweep(chain: &HeaderChain) -> Result<(), StoreError> {
    loop {
        let mut state = chain.state().clone();
        let Some(run) = state.garbage.last_mut() else { return Ok(()) };
        let run_now = *run;
        let first = run_now.first.max((run_now.last + 1).saturating_sub(SWEEP));
        let mut batch = Batch::new();
        for number in first..=run_now.last {
            let key = number_key(run_now.id, number);
            if let Some(hash) = chain.store.get(Column::Numbers, &key)? {
                chain.header_cache().pop(&super::view::decode_hash(&hash)?);
                batch.delete(Column::Headers, &hash);
            }
            batch.delete(Column::Numbers, key);
        }
        if first == run_now.first {
            state.garbage.pop();
        } else {
            run.last = first - 1;
        }
        let mut current = chain.state.write().unwrap_or_else(PoisonError::into_inner);
        state.store(Some(&current), &mut batch);
        chain.store.write(batch)?;
        *current = state;
    }
}
