//! Many headers at once, as they are stored: what serving a peer reads.

use alloy_primitives::{B256, Bytes};

use super::HeaderChain;
use super::view::{Place, View, split_record};
use crate::header;
use crate::store::{Column, StoreError};

/// The RLP of those of these headers that are accepted, each at its place.
///
/// Nothing is hashed or decoded: the store's own checksums guard what it holds, and whoever asked hashes what comes. As
/// those that are asked for mostly follow each other, one scan of the index tells of all that they are canonical.
pub(super) fn raw_headers(chain: &HeaderChain, hashes: &[B256]) -> Result<Vec<Option<Bytes>>, StoreError> {
    let keys: Vec<&[u8]> = hashes.iter().map(B256::as_slice).collect();
    let records = chain.store.multi_get(Column::Headers, &keys)?;
    let mut held = Vec::with_capacity(hashes.len());
    for (hash, record) in hashes.iter().zip(records) {
        held.push(record.map(|record| read(hash, &record)).transpose()?);
    }
    let numbers = || held.iter().flatten().map(|(number, _)| *number);
    let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else { return Ok(vec![None; hashes.len()]) };

    let state = chain.state();
    let view = View::new(chain.store.as_ref(), &state);
    // Twice as many entries as headers at most: scattered ones are looked up one by one.
    let count = usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
    let canonical = if count <= 2 * hashes.len() { view.canonical_from(first, count)? } else { Vec::new() };
    let mut headers = Vec::with_capacity(hashes.len());
    for (hash, held) in hashes.iter().zip(held) {
        let Some((number, raw)) = held else {
            headers.push(None);
            continue;
        };
        let listed = usize::try_from(number - first).ok().and_then(|offset| canonical.get(offset)) == Some(hash);
        let accepted = listed
            || match view.locate(hash, number)? {
                Some(Place::Trunk) => true,
                Some(Place::Branch(branch)) => state.branches[branch].accepted,
                None => false,
            };
        headers.push(accepted.then_some(raw));
    }
    Ok(headers)
}

/// A record's number and RLP.
fn read(hash: &B256, record: &Bytes) -> Result<(u64, Bytes), StoreError> {
    let (_, raw) = split_record(hash, record)?;
    let outline =
        header::outline(raw).map_err(|error| StoreError::Damaged { what: format!("header {hash}: {error}") })?;
    Ok((outline.number, record.slice_ref(raw)))
}
