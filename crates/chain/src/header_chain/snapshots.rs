//! Clique snapshots: kept in memory for the last headers, in the store for every anchor, and rebuilt between.

use std::sync::Arc;

use alloy_primitives::B256;

use super::{HeaderChain, Refusal};
use crate::clique::{Snapshot, recover_signer, recover_signers};
use crate::header::SealedHeader;
use crate::seal::SealError;
use crate::spec::Consensus;
use crate::store::{Batch, Column, StoreError};

/// Numbers between stored snapshots: every anchor has one, as the headers before it are not there to rebuild it.
const CHECKPOINT: u64 = super::ANCHOR_SPACING;
/// Snapshots in memory.
pub(super) const SNAPSHOT_CACHE: usize = 128;
/// Headers held at once to rebuild a snapshot. More are needed only where stored snapshots were lost.
const MAX_REPLAY: usize = 32 * CHECKPOINT as usize;

pub(super) fn is_checkpoint(number: u64) -> bool {
    number.is_multiple_of(CHECKPOINT)
}

/// The snapshot after a stored header. Who signed the last blocks it may not know: see [`complete`].
pub(super) fn at(chain: &HeaderChain, header: &SealedHeader) -> Result<Arc<Snapshot>, Refusal> {
    let mut replay: Vec<SealedHeader> = Vec::new();
    let mut current = header.clone();
    let mut snapshot = loop {
        if let Some(snapshot) = find(chain, &current)? {
            if replay.is_empty() {
                return Ok(snapshot);
            }
            break Snapshot::clone(&snapshot);
        }
        if replay.len() == MAX_REPLAY {
            let what = format!("no clique snapshot within {MAX_REPLAY} blocks before {}", header.hash());
            return Err(StoreError::Damaged { what }.into());
        }
        let parent = current.parent_hash;
        replay.push(current);
        let entry = chain.entry(&parent)?;
        current = entry.ok_or(Refusal::UnknownParent { parent })?.header.clone();
    };
    // They were verified before they were stored: what is wanted of them is their votes.
    for header in replay.iter().rev() {
        let signer = match snapshot.is_plain(header) {
            true => None,
            false => Some(recover_signer(header).map_err(SealError::from)?),
        };
        snapshot.advance(header, signer);
    }
    let snapshot = Arc::new(snapshot);
    remember(chain, header.hash(), snapshot.clone());
    Ok(snapshot)
}

/// The snapshot after a header that is in the store. What fails then is the store.
pub(super) fn stored(chain: &HeaderChain, hash: &B256) -> Result<Arc<Snapshot>, StoreError> {
    let entry =
        chain.entry(hash)?.ok_or_else(|| StoreError::Damaged { what: format!("header {hash} is not there") })?;
    at(chain, &entry.header).map_err(as_damage)
}

/// A snapshot that cannot be rebuilt from verified headers is a fault of the store.
pub(super) fn as_damage(error: Refusal) -> StoreError {
    match error {
        Refusal::Store(error) => error,
        error => StoreError::Damaged { what: format!("a clique snapshot cannot be rebuilt: {error}") },
    }
}

/// The snapshot after a stored header, with the signers of the blocks before it that the recency rule asks for, as far as
/// these blocks are held and were signed by somebody.
pub(super) fn complete(chain: &HeaderChain, header: &SealedHeader) -> Result<Arc<Snapshot>, Refusal> {
    let known = at(chain, header)?;
    if known.knows_recent() {
        return Ok(known);
    }
    let mut snapshot = Snapshot::clone(&known);
    let (mut wanted, mut unknown) = (Vec::new(), None);
    let mut current = header.clone();
    while current.number >= snapshot.recent_from() {
        let (parent, number) = (current.parent_hash, current.number);
        if snapshot.lacks(number) {
            wanted.push(current);
        }
        match chain.entry(&parent)? {
            Some(entry) => current = entry.header.clone(),
            None => {
                unknown = number.checked_sub(1).filter(|below| *below >= snapshot.recent_from());
                break;
            }
        }
    }
    let mut found = Vec::with_capacity(wanted.len());
    for (header, signer) in wanted.iter().zip(recover_signers(&wanted)) {
        match signer {
            Ok(signer) => found.push((header.number, signer)),
            Err(_) => unknown = unknown.max(Some(header.number)),
        }
    }
    snapshot.learn(found, unknown);
    let snapshot = Arc::new(snapshot);
    remember(chain, header.hash(), snapshot.clone());
    Ok(snapshot)
}

/// The snapshot after a header, where it is kept.
fn find(chain: &HeaderChain, header: &SealedHeader) -> Result<Option<Arc<Snapshot>>, Refusal> {
    if let Some(snapshot) = chain.snapshot_cache().get(header.hash_ref()) {
        return Ok(Some(snapshot.clone()));
    }
    if header.number == 0 {
        let epoch = match chain.spec.consensus {
            Consensus::Clique { epoch, .. } => epoch,
            Consensus::Ethash => 0,
        };
        let snapshot = Arc::new(Snapshot::genesis(header, epoch).map_err(SealError::from)?);
        remember(chain, header.hash(), snapshot.clone());
        return Ok(Some(snapshot));
    }
    let pinned = || chain.state().pins.iter().any(|pin| pin.hash == header.hash());
    if !is_checkpoint(header.number) && !pinned() {
        return Ok(None);
    }
    let Some(raw) = chain.store.get(Column::Snapshots, header.hash_ref().as_slice())? else { return Ok(None) };
    // One that cannot be read is as good as none: it is rebuilt from an earlier one.
    match serde_json::from_slice::<Snapshot>(&raw) {
        Ok(snapshot) if snapshot.hash() == header.hash() => {
            let snapshot = Arc::new(snapshot);
            remember(chain, header.hash(), snapshot.clone());
            Ok(Some(snapshot))
        }
        _ => {
            tracing::warn!(hash = %header.hash(), number = header.number, "a stored clique snapshot cannot be read");
            Ok(None)
        }
    }
}

pub(super) fn remember(chain: &HeaderChain, hash: B256, snapshot: Arc<Snapshot>) {
    chain.snapshot_cache().put(hash, snapshot);
}

/// Puts a snapshot into the batch if it is one to be stored.
pub(super) fn store(snapshot: &Snapshot, batch: &mut Batch) -> Result<(), StoreError> {
    if is_checkpoint(snapshot.number()) {
        put(snapshot, batch)?;
    }
    Ok(())
}

/// Puts a snapshot into the batch.
pub(super) fn put(snapshot: &Snapshot, batch: &mut Batch) -> Result<(), StoreError> {
    let raw = serde_json::to_vec(snapshot)
        .map_err(|error| StoreError::Io { action: "encoding a clique snapshot", error: error.to_string() })?;
    batch.put(Column::Snapshots, snapshot.hash(), raw);
    Ok(())
}
