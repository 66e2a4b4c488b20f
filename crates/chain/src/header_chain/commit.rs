//! Writing verified headers.

use std::sync::Arc;

use super::change::{Change, Verified};
use super::prepare::{Clique, Prepared};
use super::view::{Entry, Piece, Place};
use super::{ChainError, Extended, Head, HeaderChain, SealPolicy, SettleError, snapshots};
use crate::clique::{self, Snapshot};
use crate::header::SealedHeader;
use crate::sampling::{self, TAIL};
use crate::seal::SealError;
use crate::spec::Consensus;
use crate::store::{Batch, StoreError};

pub(super) fn commit(chain: &HeaderChain, prepared: Prepared, more: Batch) -> Result<Extended, ChainError> {
    let _writer = chain.lock_writer();
    let mut change = Change::new(chain);
    let old_head = change.state.head.header.hash();

    // What was unknown when the run was prepared may have come another way since.
    let mut start = prepared.headers.len();
    while let Some(header) = start.checked_sub(1).and_then(|index| prepared.headers.get(index)) {
        if change.view().locate(header.hash_ref(), header.number)?.is_some() {
            break;
        }
        start -= 1;
    }
    let new: Vec<Verified<'_>> = prepared.headers.iter().zip(&prepared.raw).skip(start).collect();
    let Some((first, _)) = new.first() else {
        change.finish(more)?;
        return unchanged(chain, &prepared);
    };
    let gone = ChainError::Gone { hash: first.parent_hash };
    let Some(parent) = chain.entry(&first.parent_hash)? else { return Err(gone) };
    let Some(place) = change.view().locate(parent.header.hash_ref(), parent.header.number)? else { return Err(gone) };

    let tail = tail(prepared.clique.as_ref().map(Clique::last));
    let accepted = prepared.sealed && may_accept(chain, &change, place, parent.header.number, tail)?;
    let mut seals_checked = prepared.seals_checked;
    let first_number = first.number;
    let mut place = change.append(place, &parent, &new, accepted)?;
    let (last, td) = totals(&parent, &new);
    if prepared.sealed {
        change.mark_sealed(place, first_number, last.number);
    }
    if accepted {
        if let Place::Branch(index) = place
            && chain.leads(td, change.state.head.td)
        {
            change.adopt(index, Head { header: last.clone(), td })?;
            place = Place::Trunk;
        }
    } else {
        let checked = check_windows(chain, &mut change, place, &new, &prepared);
        match checked {
            Ok(count) => seals_checked += count,
            Err(WindowError::Store(error)) => return Err(error.into()),
            Err(WindowError::Bad(error)) => {
                drop(change);
                drop_stretch(chain, parent.header.hash_ref(), parent.header.number, &error)?;
                return Err(ChainError::Dropped(error));
            }
        }
    }
    change.enforce_bounds(place)?;
    for (_, snapshot) in prepared.clique.iter().flat_map(|clique| &clique.snapshots) {
        snapshots::store(snapshot, &mut change.batch)?;
    }
    change.finish(more)?;

    remember(chain, &parent, &new);
    for (_, snapshot) in prepared.clique.iter().flat_map(|clique| &clique.snapshots) {
        snapshots::remember(chain, snapshot.hash(), snapshot.clone());
    }
    Ok(Extended {
        added: new.len() as u64,
        tip: last.hash(),
        number: last.number,
        td,
        head_changed: chain.head().header.hash() != old_head,
        seals_checked,
    })
}

/// Headers at the end of a chain that are all checked where seals are sampled; of clique chains by the snapshot there.
pub(super) fn tail(snapshot: Option<&Snapshot>) -> u64 {
    snapshot.map_or(TAIL, |snapshot| sampling::clique_tail(snapshot.signers().len()))
}

/// Whether headers with checked seals may be accepted on top of `number` in `place`. With sampled seals the last `tail`
/// of their chain must all be checked: a chain that forks off where they were only sampled has to be settled.
fn may_accept(
    chain: &HeaderChain,
    change: &Change<'_>,
    place: Place,
    number: u64,
    tail: u64,
) -> Result<bool, StoreError> {
    if matches!(place, Place::Branch(index) if !change.state.branches[index].accepted) {
        return Ok(false);
    }
    if chain.policy() == SealPolicy::All {
        return Ok(true);
    }
    let from = (number + 2).saturating_sub(tail);
    for piece in change.view().pieces(place, number)? {
        if piece.run.last < from {
            break;
        }
        let sealed = match piece.place {
            Place::Trunk => &change.state.sealed,
            Place::Branch(index) => &change.state.branches[index].sealed,
        };
        if !sealed.covers(piece.run.first.max(from), piece.run.last) {
            return Ok(false);
        }
    }
    Ok(true)
}

enum WindowError {
    Store(StoreError),
    Bad(SettleError),
}

impl From<StoreError> for WindowError {
    fn from(error: StoreError) -> WindowError {
        WindowError::Store(error)
    }
}

/// Checks the drawn header of each window that is complete now. `new` are the last headers of the branch, which are not
/// in the store yet.
fn check_windows(
    chain: &HeaderChain,
    change: &mut Change<'_>,
    place: Place,
    new: &[Verified<'_>],
    prepared: &Prepared,
) -> Result<u64, WindowError> {
    let Place::Branch(index) = place else { return Ok(0) };
    let branch = change.state.branches[index].clone();
    let pieces = change.view().pieces(place, branch.run.last)?;
    let mut drawn = Vec::new();
    let mut done = branch.windows_to;
    for end in sampling::complete_windows(branch.windows_to, branch.run.last) {
        let last_hash = change.view().hash_at(&pieces, end)?;
        let start = sampling::window_start(end).max(branch.floor);
        let number = chain.secret.draw(start, end, &last_hash);
        done = end;
        if let Consensus::Clique { epoch, .. } = chain.spec.consensus {
            // Votes and lists of signers are checked anyway: the next header that bears neither stands in for one.
            for number in (number..=end).chain(start..number) {
                let header = find(chain, change, &pieces, new, number)?;
                if clique::is_plain(&header, epoch) {
                    drawn.push(header);
                    break;
                }
            }
            continue;
        }
        let sealed = |piece: &Piece| match piece.place {
            Place::Trunk => change.state.sealed.contains(number),
            Place::Branch(index) => change.state.branches[index].sealed.contains(number),
        };
        if !pieces.iter().find(|piece| piece.run.contains(number)).is_some_and(sealed) {
            drawn.push(find(chain, change, &pieces, new, number)?);
        }
    }
    if !drawn.is_empty() {
        let checked = match &prepared.clique {
            Some(clique) => check_signers(chain, &drawn, clique, &prepared.headers)?,
            None => chain.check_seals(&drawn),
        };
        checked.map_err(|(index, error)| {
            let header = &drawn[index.min(drawn.len() - 1)];
            WindowError::Bad(SettleError { hash: header.hash(), number: header.number, error: error.into() })
        })?;
    }
    change.state.branches[index].windows_to = done;
    Ok(drawn.len() as u64)
}

/// Checks drawn clique headers, each by itself: that one of those who were signers then signed it, in the turn that its
/// difficulty claims. The headers are `run`'s, which `clique` is about, or stored.
fn check_signers(
    chain: &HeaderChain,
    drawn: &[SealedHeader],
    clique: &Clique,
    run: &[SealedHeader],
) -> Result<Result<(), (usize, SealError)>, StoreError> {
    chain.count_seals(drawn.len());
    for (index, (header, signer)) in drawn.iter().zip(clique::recover_signers(drawn)).enumerate() {
        let snapshot = match clique.signers_for(run, header.number) {
            Some(snapshot) => snapshot,
            None => snapshots::stored(chain, &header.parent_hash)?,
        };
        if let Err(error) = snapshot.verify_alone(header, signer) {
            return Ok(Err((index, error.into())));
        }
    }
    Ok(Ok(()))
}

/// The header at a number of the chain of `pieces`, whose end is `new`.
fn find(
    chain: &HeaderChain,
    change: &Change<'_>,
    pieces: &[Piece],
    new: &[Verified<'_>],
    number: u64,
) -> Result<SealedHeader, StoreError> {
    if let Some(offset) = new.first().and_then(|(first, _)| number.checked_sub(first.number))
        && let Some((header, _)) = usize::try_from(offset).ok().and_then(|offset| new.get(offset))
    {
        return Ok((*header).clone());
    }
    let hash = change.view().hash_at(pieces, number)?;
    let entry = chain.entry(&hash)?;
    entry
        .map(|entry| entry.header.clone())
        .ok_or_else(|| StoreError::Damaged { what: format!("header {hash} is in the index but not there") })
}

/// Drops the provisional stretch that holds a header, if it is in one. The caller holds the writer's lock.
pub(super) fn drop_stretch(
    chain: &HeaderChain,
    hash: &alloy_primitives::B256,
    number: u64,
    why: &SettleError,
) -> Result<(), StoreError> {
    let mut change = Change::new(chain);
    let dropped = match change.view().locate(hash, number)? {
        Some(Place::Branch(index)) if !change.state.branches[index].accepted => change.drop_stretch(index)?,
        _ => 0,
    };
    tracing::warn!(header = %why.hash, number = why.number, error = %why.error, dropped, "a stretch of headers is refused");
    change.finish(Batch::new())
}

fn totals<'h>(parent: &Entry, new: &[Verified<'h>]) -> (&'h SealedHeader, alloy_primitives::U256) {
    let td = new.iter().fold(parent.td, |td, (header, _)| td.saturating_add(header.difficulty));
    (new[new.len() - 1].0, td)
}

/// Keeps the new headers decoded: they are the ones asked for next.
fn remember(chain: &HeaderChain, parent: &Entry, new: &[Verified<'_>]) {
    let mut td = parent.td;
    let mut cache = chain.header_cache();
    let skip = new.len().saturating_sub(cache.cap().get());
    for (index, (header, _)) in new.iter().enumerate() {
        td = td.saturating_add(header.difficulty);
        if index >= skip {
            cache.put(header.hash(), Arc::new(Entry { header: (*header).clone(), td }));
        }
    }
}

/// The outcome of a run that held nothing new.
fn unchanged(chain: &HeaderChain, prepared: &Prepared) -> Result<Extended, ChainError> {
    let entry = match prepared.headers.last() {
        Some(last) => chain.entry(last.hash_ref())?,
        None => None,
    };
    let (header, td) = match entry {
        Some(entry) => (entry.header.clone(), entry.td),
        None => {
            let head = chain.head();
            (head.header, head.td)
        }
    };
    let (tip, number) = (header.hash(), header.number);
    Ok(Extended { added: 0, tip, number, td, head_changed: false, seals_checked: prepared.seals_checked })
}
