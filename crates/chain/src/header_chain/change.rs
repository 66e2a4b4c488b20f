//! A change of the chain: worked out on a copy of the state, then written as one atomic batch.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use alloy_primitives::{B256, Bytes};

use super::state::{Branch, Run, Spans, State};
use super::view::{Entry, Fresh, Place, View, header_record, number_key};
use super::{ChainEvent, Head, HeaderChain, Reorg};
use crate::header::SealedHeader;
use crate::store::{Batch, Column, StoreError};

/// A header with its bytes.
pub(super) type Verified<'a> = (&'a SealedHeader, &'a Bytes);

/// A change under way. Dropping it leaves everything as it was.
pub(super) struct Change<'a> {
    pub(super) chain: &'a HeaderChain,
    pub(super) state: State,
    pub(super) batch: Batch,
    fresh: Fresh,
    pub(super) reorg: Option<Reorg>,
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
        let (place, id) = self.make_room(place, parent, accepted, Run { id: 0, first, last, pruned: 0 });
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
                // Of what is not retained no header can be drawn any more; all its windows are checked.
                let shared = new.first - new.first % crate::sampling::WINDOW;
                floor = branch.floor.max(branch.run.pruned).min(new.first);
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
    pub(super) fn split(&mut self, index: usize, last: u64) -> Result<(), StoreError> {
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
        branch.run.cut(last);
        branch.tip = tip;
        branch.td = entry.td;
        branch.sealed = branch.sealed.within(0, last);
        Ok(())
    }

    /// Writes the change, with what `more` writes, and makes it seen.
    pub(super) fn finish(mut self, more: Batch) -> Result<(), StoreError> {
        let chain = self.chain;
        self.state.release_pins();
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
        super::prune::prune(chain)?;
        super::bounds::sweep(chain)
    }

    /// A header that is stored already.
    pub(super) fn entry(&self, hash: &B256) -> Result<Arc<Entry>, StoreError> {
        self.chain
            .entry(hash)?
            .ok_or_else(|| StoreError::Damaged { what: format!("header {hash} is in the index but not there") })
    }

    pub(super) fn put_number(&mut self, id: u64, number: u64, hash: B256) {
        self.batch.put(Column::Numbers, number_key(id, number), hash);
        self.fresh.insert((id, number), Some(hash));
    }

    pub(super) fn delete_number(&mut self, id: u64, number: u64) {
        self.batch.delete(Column::Numbers, number_key(id, number));
        self.fresh.insert((id, number), None);
    }
}
