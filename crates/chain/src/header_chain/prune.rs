//! Thinning runs below the retained headers to their anchors.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use alloy_primitives::B256;

use super::state::{Pin, Run, State};
use super::view::{Place, decode_hash, decode_number, number_key};
use super::{Descent, HeaderChain, Retain, snapshots};
use crate::sampling::TAIL;
use crate::spec::Consensus;
use crate::store::{Batch, Column, Direction, StoreError};

/// Spacings that one batch goes through: about 4,000 headers where they are 512.
const STEP: u64 = 8;
/// Batches after which the operator is told why it takes a while: an older folder, or the way down from a trusted head.
const LONG: u64 = 16;
/// Deleted headers after which the store is tidied at the next occasion: they take more room by then than what is kept.
const TIDY: u64 = 1 << 13;

/// Deletes what is not to be retained, in batches of bounded size. Each records how far it has come, so that a restart
/// goes on where this was interrupted. The caller holds the writer's lock, or has the chain to itself.
///
/// Growth by a few headers mostly finds nothing to do: numbers go by whole spacings, so that between two anchors either
/// all headers are held or none.
pub(super) fn prune(chain: &HeaderChain) -> Result<(), StoreError> {
    let Retain::Last(keep) = chain.config.retain else { return Ok(()) };
    // The way down from a trusted head is kept whole until it has arrived and all is summed; of one that is refused
    // nothing is answered, and all of it goes when another head is trusted.
    if !matches!(chain.descent(), None | Some(Descent::Linked { .. })) {
        return Ok(());
    }
    for steps in 0_u64.. {
        let next = next(&chain.state(), keep, chain.limits.spacing);
        let Some((place, position, to)) = next else { break };
        if steps == LONG {
            tracing::info!(keep, "deleting headers that are not to be kept");
        }
        step(chain, place, position, to)?;
    }
    Ok(())
}

/// Gives the disk back what many deletions have freed: after a long sync, and after the first start with fewer headers.
pub(super) fn tidy(chain: &HeaderChain) {
    if chain.thinned.load(Ordering::Relaxed) < TIDY {
        return;
    }
    chain.thinned.store(0, Ordering::Relaxed);
    if let Err(error) = chain.store.tidy(&[Column::Headers, Column::Numbers, Column::Snapshots]) {
        // The room comes back later, by itself.
        tracing::warn!(%error, "the store could not be tidied");
    }
}

/// The run to thin next, by its position, and up to which number.
fn next(state: &State, keep: u64, spacing: u64) -> Option<(Place, usize, u64)> {
    let limit = |tip: u64, keep: u64| {
        let limit = tip.saturating_add(1).saturating_sub(keep);
        limit - limit % spacing
    };
    let bound = |run: &Run, limit: u64| {
        let from = run.first.max(run.pruned);
        let end = limit.min(run.last + 1);
        let reach = (from - from % spacing).saturating_add(STEP * spacing);
        (from < end).then(|| end.min(reach))
    };
    let below = limit(state.head.header.number, keep);
    for (position, run) in state.trunk.iter().enumerate().take_while(|(_, run)| run.first < below) {
        if let Some(to) = bound(run, below) {
            return Some((Place::Trunk, position, to));
        }
    }
    // Settling checks the last 2,048 of what it settles; as many again, as it may grow before that.
    let keep = keep.saturating_add(TAIL).max(2 * TAIL);
    state.branches.iter().enumerate().find_map(|(position, branch)| {
        let to = bound(&branch.run, limit(branch.run.last, keep))?;
        Some((Place::Branch(position), position, to))
    })
}

fn step(chain: &HeaderChain, place: Place, position: usize, to: u64) -> Result<(), StoreError> {
    let mut state = chain.state().clone();
    let run = match place {
        Place::Trunk => &mut state.trunk[position],
        Place::Branch(_) => &mut state.branches[position].run,
    };
    let from = run.first.max(run.pruned);
    run.pruned = to;
    let id = run.id;
    let parents: HashSet<B256> = state.branches.iter().map(|branch| branch.parent).collect();
    let clique = matches!(chain.spec.consensus, Consensus::Clique { .. });
    let mut batch = Batch::new();
    let most = usize::try_from(to - from).unwrap_or(usize::MAX);
    let end = number_key(id, to);
    let held = chain.store.scan(Column::Numbers, &number_key(id, from), Direction::Forward, most)?;
    for (key, hash) in held.into_iter().take_while(|(key, _)| key[..] < end[..]) {
        let number = decode_number(&key)?;
        if number.is_multiple_of(chain.limits.spacing) {
            continue;
        }
        let hash = decode_hash(&hash)?;
        if parents.contains(&hash) {
            state.pins.push(Pin { id, number, hash });
            if clique {
                keep_signers(chain, &hash, &mut batch)?;
            }
        } else {
            chain.header_cache().pop(&hash);
            batch.delete(Column::Headers, hash);
            batch.delete(Column::Numbers, key);
        }
    }
    chain.thinned.fetch_add(to - from, Ordering::Relaxed);
    let mut current = chain.state.write().unwrap_or_else(PoisonError::into_inner);
    state.store(Some(&current), &mut batch);
    chain.store.write(batch)?;
    *current = state;
    Ok(())
}

/// Stores the clique snapshot after a header that is kept while those before it go.
fn keep_signers(chain: &HeaderChain, hash: &B256, batch: &mut Batch) -> Result<(), StoreError> {
    let Some(entry) = chain.entry(hash)? else { return Ok(()) };
    match snapshots::at(chain, &entry.header) {
        Ok(snapshot) => snapshots::put(&snapshot, batch),
        // What is built on it will be refused; the chain itself goes on.
        Err(error) => {
            tracing::error!(%hash, %error, "the chain's own clique snapshot cannot be rebuilt");
            Ok(())
        }
    }
}
