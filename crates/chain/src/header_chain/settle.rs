//! Settling a provisional stretch: its last seals, then its acceptance.

use std::sync::Arc;

use alloy_primitives::B256;

use super::change::Change;
use super::commit::{drop_stretch, tail};
use super::view::{Entry, Place};
use super::{Extended, Head, HeaderChain, Refusal, SettleError, snapshots};
use crate::clique::{Snapshot, recover_signers};
use crate::header::SealedHeader;
use crate::seal::SealError;
use crate::spec::Consensus;
use crate::store::{Batch, StoreError};

/// Seals checked between two records of progress: about a second's work for two cores. So much is checked again after
/// a kill -9, and so long a stretch that fails holds up its end.
const CHUNK: usize = 256;

pub(super) fn settle(chain: &HeaderChain, tip: &B256) -> Result<Extended, SettleError> {
    let mut seals_checked = 0;
    loop {
        let unsealed = match next_step(chain, tip, seals_checked)? {
            Step::Done(extended) => return Ok(extended),
            Step::Check(unsealed) => unsealed,
        };
        // Seals take long; the chain is free for others meanwhile.
        let result = match chain.spec.consensus {
            Consensus::Ethash => chain.check_seals(&unsealed),
            Consensus::Clique { .. } => check_clique(chain, &unsealed).map_err(|error| local(tip, error))?,
        };
        let _writer = chain.lock_writer();
        let good = result.as_ref().map_or_else(|(index, _)| *index, |()| unsealed.len());
        seals_checked += good as u64;
        record(chain, &unsealed[..good.min(unsealed.len())]).map_err(|error| local(tip, error))?;
        if let Err((index, error)) = result {
            let header = &unsealed[index.min(unsealed.len() - 1)];
            let error = SettleError { hash: header.hash(), number: header.number, error: error.into() };
            refuse(chain, tip, &error).map_err(|error| local(tip, error))?;
            return Err(error);
        }
    }
}

enum Step {
    Done(Extended),
    /// Headers whose seals are to be checked, at least one.
    Check(Vec<SealedHeader>),
}

/// Finds the seals to check next, or accepts the stretch where none is left.
fn next_step(chain: &HeaderChain, tip: &B256, seals_checked: u64) -> Result<Step, SettleError> {
    let _writer = chain.lock_writer();
    let step = || -> Result<Option<Step>, StoreError> {
        let mut change = Change::new(chain);
        let Some(entry) = chain.entry(tip)? else { return Ok(None) };
        let number = entry.header.number;
        let Some(place) = change.view().locate(tip, number)? else { return Ok(None) };
        let accepted = match place {
            Place::Trunk => true,
            Place::Branch(index) => change.state.branches[index].accepted,
        };
        if accepted {
            return Ok(Some(Step::Done(outcome(&entry, 0, false, seals_checked))));
        }
        let pieces = change.view().pieces(place, number)?;
        let clique = matches!(chain.spec.consensus, Consensus::Clique { .. });
        let snapshot = if clique { Some(snapshots::stored(chain, tip)?) } else { None };
        let tail = tail(snapshot.as_deref());
        let unsealed = match clique {
            true => change.view().first_unsealed_on(&pieces, number, tail)?,
            false => change.view().unsealed(&pieces, number, &chain.secret, CHUNK)?,
        };
        // So far below the stretch's end that its seals are no longer held: it settles by its end, or not at all.
        let Some(unsealed) = unsealed else { return Ok(None) };
        if !unsealed.is_empty() {
            let headers = unsealed.iter().map(|(_, hash)| stored(chain, hash));
            return Ok(Some(Step::Check(headers.collect::<Result<_, _>>()?)));
        }

        let base = match place {
            Place::Branch(index) => change.view().accepted_base(&change.state.branches[index])?,
            Place::Trunk => number,
        };
        // All of them are checked, the drawn ones too: from here on the spans say so without the draws.
        let from = number.saturating_sub(tail - 1).max(1);
        for piece in pieces.iter().filter(|piece| piece.run.last >= from) {
            change.mark_sealed(piece.place, piece.run.first.max(from), piece.run.last);
        }
        change.accept(place, number)?;
        let mut kept = place;
        let heavier = chain.leads(entry.td, change.state.head.td);
        if heavier && let Place::Branch(index) = place {
            change.adopt(index, Head { header: entry.header.clone(), td: entry.td })?;
            if number - base > tail {
                change.state.sampled_to = change.state.sampled_to.max(number - tail);
            }
            kept = Place::Trunk;
        }
        change.enforce_bounds(kept)?;
        change.finish(Batch::new())?;
        Ok(Some(Step::Done(outcome(&entry, number - base, heavier, seals_checked))))
    };
    match step() {
        Ok(Some(step)) => Ok(step),
        Ok(None) => Err(SettleError { hash: *tip, number: 0, error: Refusal::Unknown }),
        Err(error) => Err(local(tip, error)),
    }
}

/// Checks clique headers that follow each other, the last of a stretch, by all rules on signers.
fn check_clique(chain: &HeaderChain, headers: &[SealedHeader]) -> Result<Result<(), (usize, SealError)>, StoreError> {
    let Some(first) = headers.first() else { return Ok(Ok(())) };
    let parent = chain.entry(&first.parent_hash)?;
    // A header whose parent is no longer retained was accepted long ago, with the snapshot after it.
    let skip = usize::from(parent.is_none());
    let start = parent.as_ref().map_or(first, |parent| &parent.header);
    let base = snapshots::complete(chain, start).map_err(snapshots::as_damage)?;
    let mut snapshot = Snapshot::clone(&base);
    for (part, headers) in headers.chunks(CHUNK).enumerate() {
        let signers = recover_signers(headers);
        for (index, (header, signer)) in headers.iter().zip(signers).enumerate().skip(if part == 0 { skip } else { 0 })
        {
            if let Err(error) = snapshot.apply_recovered(header, signer) {
                chain.count_seals(index + 1);
                return Ok(Err((part * CHUNK + index, error.into())));
            }
        }
        chain.count_seals(headers.len());
    }
    snapshots::remember(chain, snapshot.hash(), Arc::new(snapshot));
    Ok(Ok(()))
}

/// Records that these headers' seals are checked, where they still belong somewhere.
fn record(chain: &HeaderChain, headers: &[SealedHeader]) -> Result<(), StoreError> {
    let mut change = Change::new(chain);
    for header in headers {
        if let Some(place) = change.view().locate(header.hash_ref(), header.number)? {
            change.mark_sealed(place, header.number, header.number);
        }
    }
    change.finish(Batch::new())
}

/// Drops the stretch that ends in `tip`, one of whose seals does not hold. The caller holds the writer's lock.
fn refuse(chain: &HeaderChain, tip: &B256, why: &SettleError) -> Result<(), StoreError> {
    match chain.entry(tip)? {
        Some(entry) => drop_stretch(chain, tip, entry.header.number, why),
        None => Ok(()),
    }
}

fn stored(chain: &HeaderChain, hash: &B256) -> Result<SealedHeader, StoreError> {
    let entry = chain.entry(hash)?;
    entry
        .map(|entry| entry.header.clone())
        .ok_or_else(|| StoreError::Damaged { what: format!("header {hash} is in the index but not there") })
}

fn outcome(entry: &Entry, added: u64, head_changed: bool, seals_checked: u64) -> Extended {
    let (tip, number, td) = (entry.header.hash(), entry.header.number, entry.td);
    Extended { added, tip, number, td, head_changed, seals_checked }
}

fn local(tip: &B256, error: StoreError) -> SettleError {
    SettleError { hash: *tip, number: 0, error: error.into() }
}
