//! Transactions and uncle lists by hash: where in which body they stand.
//!
//! What the disk pays for serving every look-up of a block: the nodes of its transaction and receipt tries are stored
//! whole, since a light node walks them one by one and making the trie again for each would cost a block's size per
//! node; so transactions and receipts are there twice, in the lists and in the tries' leaves. Transactions and uncle
//! lists by their own hash are not stored a third time: 37 bytes say where they are.

use std::collections::BTreeSet;

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, Bytes, keccak256};
use rushlight_chain::Body;
use rushlight_chain::store::{Batch, Column, Direction, Store, StoreError};
use rushlight_odr::Location;

const TRANSACTION: u8 = 0;
const UNCLES: u8 = 1;
/// Places of a transaction that are looked at: branches that include the same one, of which few have ever been more than two.
const MAX_PLACES: usize = 256;

/// Where a preimage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The block.
    pub(crate) block: B256,
    /// The transaction's position, or nothing for the uncle list.
    pub(crate) transaction: Option<usize>,
}

/// Notes where the transactions and the uncle list of a block stand. A transaction that stands in another block already,
/// of another chain, keeps that place too, under its hash and that block's: which one counts shows when it is asked for.
pub(crate) fn record(
    hash: &B256,
    header: &Header,
    body: &Body,
    store: &dyn Store,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let hashes: Vec<_> = body.transactions.iter().map(keccak256).collect();
    let keys: Vec<_> = hashes.iter().map(|transaction| transaction.as_slice()).collect();
    let held = store.multi_get(Column::Lookups, &keys)?;
    for ((index, transaction), held) in hashes.iter().enumerate().zip(held) {
        if let Some(old) = held
            && let Some(place) = decode(&old).filter(|place| place.block != *hash)
        {
            batch.put(Column::Lookups, [transaction.as_slice(), place.block.as_slice()].concat(), old);
        }
        batch.put(Column::Lookups, transaction, encode(TRANSACTION, hash, index));
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        batch.put(Column::Lookups, header.ommers_hash, encode(UNCLES, hash, 0));
    }
    Ok(())
}

/// Every place that [`record`] noted for a transaction.
pub(crate) fn places(store: &dyn Store, transaction: &B256) -> Result<Vec<Location>, StoreError> {
    let entries = store.scan(Column::Lookups, transaction.as_slice(), Direction::Forward, MAX_PLACES)?;
    let own = entries.into_iter().take_while(|(key, _)| key.starts_with(transaction.as_slice()));
    let places = own.filter_map(|(_, value)| decode(&value));
    let location = |place: Place| Some(Location { block: place.block, index: place.transaction? as u64 });
    let places: BTreeSet<_> = places.filter_map(location).collect();
    Ok(places.into_iter().collect())
}

fn encode(kind: u8, block: &B256, index: usize) -> Vec<u8> {
    // A block of 2^32 transactions does not fit the 10 MiB of a block.
    [&[kind][..], block.as_slice(), &(index as u32).to_be_bytes()].concat()
}

/// Reads what [`record`] wrote.
pub(crate) fn decode(value: &[u8]) -> Option<Place> {
    let (kind, rest) = value.split_first()?;
    let (block, index) = rest.split_at_checked(32)?;
    let block = B256::try_from(block).ok()?;
    let index = u32::from_be_bytes(index.try_into().ok()?);
    match *kind {
        TRANSACTION => Some(Place { block, transaction: Some(index as usize) }),
        UNCLES => Some(Place { block, transaction: None }),
        _ => None,
    }
}

/// The preimage at a place of a body.
pub(crate) fn take(place: &Place, body: &Body) -> Option<Bytes> {
    match place.transaction {
        Some(index) => body.transactions.get(index).cloned(),
        None => Some(body.uncles_rlp()),
    }
}

#[cfg(test)]
mod tests {
    use rushlight_chain::store::MemoryStore;

    use super::*;

    #[test]
    fn places_come_back_and_other_bytes_do_not() {
        let block = B256::repeat_byte(3);
        for place in [Place { block, transaction: Some(70_000) }, Place { block, transaction: None }] {
            let kind = if place.transaction.is_some() { TRANSACTION } else { UNCLES };
            let bytes = encode(kind, &block, place.transaction.unwrap_or(0));
            assert_eq!((bytes.len(), decode(&bytes)), (37, Some(place)));
            assert_eq!(decode(&bytes[..36]), None);
            assert_eq!(decode(&[&bytes[..], &[0]].concat()), None);
        }
        assert_eq!(decode(&encode(2, &block, 0)), None);
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn a_transaction_of_two_chains_has_two_places() {
        let store = MemoryStore::new();
        let body = |index: u8| Body {
            transactions: (0..index).map(|n| Bytes::from(vec![n; 40])).chain([Bytes::from(vec![7; 40])]).collect(),
            ..Body::default()
        };
        let (transaction, header) =
            (keccak256([7; 40]), Header { ommers_hash: EMPTY_OMMER_ROOT_HASH, ..Header::default() });
        let blocks = [B256::repeat_byte(2), B256::repeat_byte(1), B256::repeat_byte(3), B256::repeat_byte(1)];
        for (block, index) in blocks.iter().zip([0, 1, 2, 1]) {
            let mut batch = Batch::new();
            record(block, &header, &body(index), &store, &mut batch).unwrap();
            store.write(batch).unwrap();
        }
        let at = |byte, index| Location { block: B256::repeat_byte(byte), index };
        assert_eq!(places(&store, &transaction).unwrap(), [at(1, 1), at(2, 0), at(3, 2)]);
        assert_eq!(places(&store, &B256::ZERO).unwrap(), []);
    }
}
