//! Another chain becomes the trunk.

use alloy_primitives::{B256, U256};

use super::change::Change;
use super::state::{Branch, Run, Spans};
use super::view::{Piece, Place};
use super::{Head, MAX_REORG_HASHES, Reorg};
use crate::store::StoreError;

impl Change<'_> {
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
        let deep = self.state.trunk.iter().any(|run| run.pruned > fork + 1);
        if deep {
            self.drop_what_hangs_above(fork)?;
            // Nothing that happens to an honest network: the operator is to know of it.
            let (old, depth) = (&self.state.head.header, self.state.head.header.number - fork);
            tracing::warn!(
                fork,
                depth,
                old = %old.hash(),
                new = %head.header.hash(),
                "a heavier chain that forks off below the retained headers replaces ours"
            );
        }
        self.state.branches.retain(|branch| !path.iter().any(|taken| taken.run == branch.run));

        let mut removed = self.cut_trunk(fork);
        if deep {
            self.state.garbage.append(&mut removed);
        }
        let old = std::mem::replace(&mut self.state.head, head);
        let removed_sealed = self.state.sealed.within(fork + 1, u64::MAX);
        self.state.sealed = self.state.sealed.within(0, fork);
        for branch in &path {
            self.state.sealed.join(&branch.sealed);
        }

        let length = path.iter().map(|branch| branch.run.len()).chain(removed.iter().map(Run::len)).sum::<u64>();
        let top = self.state.trunk.last().map_or(0, |run| run.id);
        let taken = |run: &Run| run.id == top && run.last > fork && run.first <= self.state.head.header.number;
        let whole = !deep && !path.iter().any(|branch| branch.run.has_gaps());
        if whole && length <= self.chain.limits.rewrite && !self.state.branches.iter().any(|branch| taken(&branch.run))
        {
            self.rewrite(fork, &removed, &path, &old, &removed_sealed)
        } else {
            self.hand_over(&removed, path, &old, &removed_sealed)
        }
    }

    /// What leaves a trunk of which only anchors are held cannot stay as a branch: it goes, with all that is built on
    /// it above `fork`.
    fn drop_what_hangs_above(&mut self, fork: u64) -> Result<(), StoreError> {
        let mut doomed = Vec::new();
        for (index, branch) in self.state.branches.iter().enumerate() {
            if branch.run.first > fork + 1 && self.view().parent_place(branch)? == Place::Trunk {
                doomed.push(index);
            }
        }
        self.drop_branches(doomed)?;
        Ok(())
    }

    /// Shortens the trunk to end at `fork`. Gives the runs cut off, in ascending order.
    pub(super) fn cut_trunk(&mut self, fork: u64) -> Vec<Run> {
        let mut removed = Vec::new();
        while let Some(run) = self.state.trunk.last_mut() {
            if run.last <= fork {
                break;
            }
            if run.first <= fork {
                removed.push(Run { first: fork + 1, ..*run });
                run.cut(fork);
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
            let run = Run { id, first: fork + 1, last: old.header.number, pruned: 0 };
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
                Some(top)
                    if top.id == branch.run.id
                        && top.last + 1 == branch.run.first
                        && top.pruned <= branch.run.first
                        && !branch.run.has_gaps() =>
                {
                    top.last = branch.run.last;
                }
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
        let gaps = self.state.trunk.iter().filter(|run| run.has_gaps());
        let whole_from = gaps.map(Run::whole_from).max().unwrap_or(0);
        let removed = ((fork + 1).max(whole_from)..=self.state.head.header.number).rev().take(MAX_REORG_HASHES);
        Ok(Some(Reorg {
            common_ancestor: canonical(fork)?,
            common_number: fork,
            removed: removed.map(canonical).collect::<Result<_, _>>()?,
            depth,
        }))
    }
}
