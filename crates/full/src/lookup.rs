//! Transactions and uncle lists by hash: where in which body they stand.
//!
//! What the disk pays for serving every look-up of a block: the nodes of its transaction and receipt tries are stored
//! whole, since a light node walks them one by one and making the trie again for each would cost a block's size per
//! node; so transactions and receipts are there twice, in the lists and in the tries' leaves. Transactions and uncle
//! lists by their own hash are not stored a third time: 37 bytes say where they are.

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, Bytes, keccak256};
use rushlight_chain::Body;
use rushlight_chain::store::{Batch, Column};

const TRANSACTION: u8 = 0;
const UNCLES: u8 = 1;

/// Where a preimage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The block.
    pub(crate) block: B256,
    /// The transaction's position, or nothing for the uncle list.
    pub(crate) transaction: Option<usize>,
}

/// Notes where the transactions and the uncle list of a block stand.
pub(crate) fn record(hash: &B256, header: &Header, body: &Body, batch: &mut Batch) {
    for (index, transaction) in body.transactions.iter().enumerate() {
        let place = encode(TRANSACTION, hash, index);
        batch.put(Column::Lookups, keccak256(transaction), place);
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        batch.put(Column::Lookups, header.ommers_hash, encode(UNCLES, hash, 0));
    }
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
}
