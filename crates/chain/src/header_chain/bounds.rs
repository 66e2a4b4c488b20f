//! Branches that go: of a bad stretch, and where there are too many.

use std::sync::PoisonError;

use super::HeaderChain;
use super::change::Change;
use super::state::{Branch, Run};
use super::view::{Place, decode_hash, number_key};
use crate::spec::Consensus;
use crate::store::{Batch, Column, StoreError};

/// How far over its limit the number of branches may go where each is built on the other, so that none can be spared.
/// Then the whole stretch goes: nobody honest makes such a thing.
const MAX_NESTED: usize = 4;
/// Entries deleted in one batch.
const SWEEP: u64 = 2048;

impl Change<'_> {
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
}

/// Deletes what belongs to nothing any more, in batches of bounded size: the list of it is shortened together with
/// what it names, so that a restart goes on where this was interrupted. The caller holds the writer's lock, so that no
/// header comes back while its old record is being deleted.
pub(super) fn sweep(chain: &HeaderChain) -> Result<(), StoreError> {
    let clique = matches!(chain.spec.consensus, Consensus::Clique { .. });
    loop {
        let mut state = chain.state().clone();
        let Some(run) = state.garbage.last_mut() else { return Ok(()) };
        let run_now = *run;
        let first = run_now.first.max((run_now.last + 1).saturating_sub(SWEEP));
        let mut batch = Batch::new();
        for number in first..=run_now.last {
            let key = number_key(run_now.id, number);
            if let Some(hash) = chain.store.get(Column::Numbers, &key)? {
                chain.header_cache().pop(&decode_hash(&hash)?);
                batch.delete(Column::Headers, &hash);
                if clique {
                    batch.delete(Column::Snapshots, &hash);
                }
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
