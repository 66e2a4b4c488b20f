//! Look-ups through state and store: where a header belongs, and what comes before it.

use std::collections::HashMap;

use alloy_primitives::{B256, Bytes, U256};

use super::state::{Branch, Run, State};
use crate::header::{self, SealedHeader};
use crate::sampling::{self, Secret, TAIL};
use crate::store::{Column, Direction, Store, StoreError};

/// A stored header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) header: SealedHeader,
    /// Total difficulty, its own included.
    pub(super) td: U256,
}

/// Where a header belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Trunk,
    /// Position in the list of branches.
    Branch(usize),
}

/// Consecutive headers of one chain that stand in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) place: Place,
    pub(super) run: Run,
}

/// Index entries that are not in the store yet.
pub(super) type Fresh = HashMap<(u64, u64), Option<B256>>;

/// State and store together.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    store: &'a dyn Store,
    pub(super) state: &'a State,
    fresh: Option<&'a Fresh>,
}

impl<'a> View<'a> {
    pub(super) fn new(store: &'a dyn Store, state: &'a State) -> View<'a> {
        View { store, state, fresh: None }
    }

    /// A view in which `fresh` index entries stand before those of the store.
    pub(super) fn over(store: &'a dyn Store, state: &'a State, fresh: &'a Fresh) -> View<'a> {
        View { store, state, fresh: Some(fresh) }
    }

    /// The hash at a number, by the index of one id.
    pub(super) fn number(&self, id: u64, number: u64) -> Result<Option<B256>, StoreError> {
        if let Some(entry) = self.fresh.and_then(|fresh| fresh.get(&(id, number))) {
            return Ok(*entry);
        }
        let Some(value) = self.store.get(Column::Numbers, &number_key(id, number))? else { return Ok(None) };
        decode_hash(&value).map(Some)
    }

    /// The same where state says that there is one.
    pub(super) fn number_in(&self, run: &Run, number: u64) -> Result<B256, StoreError> {
        self.number(run.id, number)?.ok_or_else(|| missing(run.id, number))
    }

    /// The canonical hash at a number.
    pub(super) fn canonical(&self, number: u64) -> Result<Option<B256>, StoreError> {
        match self.state.trunk_run(number) {
            Some(run) => self.number(self.state.trunk[run].id, number),
            None => Ok(None),
        }
    }

    /// The canonical hashes from `first` on, `count` at most, as far as they stand in one run.
    pub(super) fn canonical_from(&self, first: u64, count: usize) -> Result<Vec<B256>, StoreError> {
        let Some(run) = self.state.trunk_run(first) else { return Ok(Vec::new()) };
        let run = self.state.trunk[run];
        let held = usize::try_from(run.last - first).unwrap_or(usize::MAX).saturating_add(1);
        let key = number_key(run.id, first);
        let entries = self.store.scan(Column::Numbers, &key, Direction::Forward, count.min(held))?;
        let entries = entries.iter().zip(first..);
        let entries = entries.take_while(|((key, _), number)| key[..] == number_key(run.id, *number));
        entries.map(|((_, value), _)| decode_hash(value)).collect()
    }

    /// Where a header belongs; `None` for one that belongs nowhere (any more).
    pub(super) fn locate(&self, hash: &B256, number: u64) -> Result<Option<Place>, StoreError> {
        if self.canonical(number)? == Some(*hash) {
            return Ok(Some(Place::Trunk));
        }
        for (place, branch) in self.state.branches.iter().enumerate() {
            if branch.run.contains(number) && self.number(branch.run.id, number)? == Some(*hash) {
                return Ok(Some(Place::Branch(place)));
            }
        }
        Ok(None)
    }

    /// Where the parent of a branch's first header belongs.
    pub(super) fn parent_place(&self, branch: &Branch) -> Result<Place, StoreError> {
        self.locate(&branch.parent, branch.run.first - 1)?.ok_or_else(|| StoreError::Damaged {
            what: format!("the branch of {} is built on {}, which is not there", branch.tip, branch.parent),
        })
    }

    /// The chain that ends at `number` in `place`, last piece first, down to genesis.
    pub(super) fn pieces(&self, mut place: Place, mut number: u64) -> Result<Vec<Piece>, StoreError> {
        let mut pieces = Vec::new();
        while let Place::Branch(branch) = place {
            let branch = &self.state.branches[branch];
            pieces.push(Piece { place, run: Run { last: number, ..branch.run } });
            place = self.parent_place(branch)?;
            number = branch.run.first - 1;
        }
        let trunk = self.state.trunk.iter().rev().skip_while(|run| run.first > number);
        pieces.extend(trunk.map(|run| Piece { place, run: Run { last: run.last.min(number), ..*run } }));
        Ok(pieces)
    }

    /// The hash at `number` on the chain of these pieces.
    pub(super) fn hash_at(&self, pieces: &[Piece], number: u64) -> Result<B256, StoreError> {
        let piece = pieces.iter().find(|piece| piece.run.contains(number));
        let piece = piece.ok_or_else(|| StoreError::Damaged { what: format!("no header {number} on its chain") })?;
        self.number_in(&piece.run, number)
    }

    /// Ancestors of an accepted header, parent first.
    pub(super) fn hashes_before(&self, hash: &B256, number: u64, max: usize) -> Result<Vec<B256>, StoreError> {
        let mut hashes = Vec::new();
        let Some(place) = self.locate(hash, number)? else { return Ok(hashes) };
        if matches!(place, Place::Branch(branch) if !self.state.branches[branch].accepted) {
            return Ok(hashes);
        }
        let Some(mut next) = number.checked_sub(1) else { return Ok(hashes) };
        for piece in self.pieces(place, number)? {
            if hashes.len() >= max {
                break;
            }
            if piece.run.last < next {
                break; // A gap: so far the way down from a trusted head has come.
            }
            // The first piece may hold nothing but the header itself.
            let Some(above) = next.checked_sub(piece.run.first) else { continue };
            let count = usize::try_from(above).unwrap_or(usize::MAX).saturating_add(1).min(max - hashes.len());
            let key = number_key(piece.run.id, next);
            let entries = self.store.scan(Column::Numbers, &key, Direction::Reverse, count)?;
            for offset in 0..count {
                let expected = next - offset as u64;
                match entries.get(offset) {
                    Some((key, value)) if key[..] == number_key(piece.run.id, expected) => {
                        hashes.push(decode_hash(value)?);
                    }
                    // Further down only anchors are held.
                    _ if expected < piece.run.pruned => return Ok(hashes),
                    _ => return Err(missing(piece.run.id, expected)),
                }
            }
            let Some(below) = piece.run.first.checked_sub(1) else { break };
            next = below;
        }
        Ok(hashes)
    }

    /// The number of the last accepted header on a branch's chain.
    pub(super) fn accepted_base(&self, branch: &Branch) -> Result<u64, StoreError> {
        let mut branch = branch;
        while !branch.accepted {
            match self.parent_place(branch)? {
                Place::Branch(parent) if !self.state.branches[parent].accepted => {
                    branch = &self.state.branches[parent];
                }
                _ => return Ok(branch.run.first - 1),
            }
        }
        Ok(branch.run.last)
    }

    /// The numbers among the last 2,048 of the chain of `pieces`, which ends at `tip`, whose seals are not checked yet;
    /// `limit` at most, in ascending order, each with its hash. Accepted headers that are not retained are passed over;
    /// `None` where one of a provisional stretch is not.
    pub(super) fn unsealed(
        &self,
        pieces: &[Piece],
        tip: u64,
        secret: &Secret,
        limit: usize,
    ) -> Result<Option<Vec<(u64, B256)>>, StoreError> {
        let from = tip.saturating_sub(TAIL - 1).max(1);
        let mut found = Vec::new();
        for piece in pieces.iter().rev().filter(|piece| piece.run.last >= from) {
            let accepted = match piece.place {
                Place::Trunk => true,
                Place::Branch(branch) => self.state.branches[branch].accepted,
            };
            for number in piece.run.first.max(from)..=piece.run.last {
                if found.len() == limit {
                    return Ok(Some(found));
                }
                if number < piece.run.pruned {
                    match accepted {
                        true => continue,
                        false => return Ok(None),
                    }
                }
                if !self.is_sealed(piece.place, number, secret)? {
                    found.push((number, self.number_in(&piece.run, number)?));
                }
            }
        }
        Ok(Some(found))
    }

    /// Clique: all of the last `tail` numbers from the first on whose seal is not checked by every rule, each with its
    /// hash and the child of the one before; nothing where all are. Accepted headers that are not retained are passed
    /// over, with what is below them; `None` where one of a provisional stretch is not.
    pub(super) fn first_unsealed_on(
        &self,
        pieces: &[Piece],
        tip: u64,
        tail: u64,
    ) -> Result<Option<Vec<(u64, B256)>>, StoreError> {
        let from = tip.saturating_sub(tail - 1).max(1);
        let mut found = Vec::new();
        for piece in pieces.iter().rev().filter(|piece| piece.run.last >= from) {
            let (sealed, accepted) = match piece.place {
                Place::Trunk => (&self.state.sealed, true),
                Place::Branch(branch) => (&self.state.branches[branch].sealed, self.state.branches[branch].accepted),
            };
            let mut first = piece.run.first.max(from);
            if first < piece.run.pruned {
                if !accepted {
                    return Ok(None);
                }
                found.clear();
                first = piece.run.pruned;
            }
            for number in first..=piece.run.last {
                if !found.is_empty() || !sealed.contains(number) {
                    found.push((number, self.number_in(&piece.run, number)?));
                }
            }
        }
        Ok(Some(found))
    }

    /// Whether the seal of the header at `number` in `place` is checked.
    fn is_sealed(&self, place: Place, number: u64, secret: &Secret) -> Result<bool, StoreError> {
        let Place::Branch(branch) = place else { return Ok(self.state.sealed.contains(number)) };
        let branch = &self.state.branches[branch];
        if branch.sealed.contains(number) {
            return Ok(true);
        }
        let end = sampling::window_end(number);
        if branch.accepted || end > branch.windows_to || !branch.run.contains(end) {
            return Ok(false);
        }
        let first = sampling::window_start(number).max(branch.floor);
        Ok(secret.draw(first, end, &self.number_in(&branch.run, end)?) == number)
    }
}

/// Reads a stored header.
pub(super) fn read_entry(store: &dyn Store, hash: &B256) -> Result<Option<Entry>, StoreError> {
    let Some(record) = store.get(Column::Headers, hash.as_slice())? else { return Ok(None) };
    let damaged = |what: String| StoreError::Damaged { what: format!("header {hash}: {what}") };
    let (td, raw) = split_record(hash, &record)?;
    let header = header::decode(raw).map_err(|error| damaged(error.to_string()))?;
    if header.hash() != *hash {
        return Err(damaged(format!("its bytes hash to {}", header.hash())));
    }
    Ok(Some(Entry { header, td }))
}

/// The total difficulty and the RLP in a header's record.
pub(super) fn split_record<'r>(hash: &B256, record: &'r [u8]) -> Result<(U256, &'r [u8]), StoreError> {
    let damaged = |what: &str| StoreError::Damaged { what: format!("header {hash}: {what}") };
    let length = usize::from(*record.first().ok_or_else(|| damaged("an empty record"))?);
    if length > 32 || record.len() < 1 + length {
        return Err(damaged("a record cut short"));
    }
    Ok((U256::from_be_slice(&record[1..1 + length]), &record[1 + length..]))
}

/// A header's record: the length of its total difficulty, that big endian, its RLP.
pub(super) fn header_record(td: U256, raw: &[u8]) -> Bytes {
    let td = td.to_be_bytes_trimmed_vec();
    let mut record = Vec::with_capacity(1 + td.len() + raw.len());
    record.push(td.len() as u8);
    record.extend_from_slice(&td);
    record.extend_from_slice(raw);
    record.into()
}

/// The key of an index entry: id and number, big endian, so that a run's entries follow each other.
pub(super) fn number_key(id: u64, number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&id.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The number in the key of an index entry.
pub(super) fn decode_number(key: &[u8]) -> Result<u64, StoreError> {
    let number = key.get(8..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
    number.ok_or_else(|| StoreError::Damaged { what: format!("a key of {} bytes in the index", key.len()) })
}

pub(super) fn decode_hash(value: &[u8]) -> Result<B256, StoreError> {
    B256::try_from(value).map_err(|_| StoreError::Damaged { what: format!("an index entry of {} bytes", value.len()) })
}

fn missing(id: u64, number: u64) -> StoreError {
    StoreError::Damaged { what: format!("the index of branch {id} has no block {number}") }
}
