//! What of the pool is on disk, so that nothing is lost with the process: in a column of its own the transactions, the
//! places of those that were found in a block, and how far blocks have been searched.
//!
//! ```text
//! "t" ‖ hash     →  the transaction in its network form
//! "p" ‖ hash     →  its place: block number, block hash, index. Without the transaction: one that was let go
//! "a" ‖ address  →  the account's nonce, as it was known last
//! "s"            →  the last block that was searched: number, hash
//! ```

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes};
use rushlight_chain::{
    Batch, Column, Store, StoreError,
    pool::{Included, PoolTransaction},
    store::Direction,
};

use super::machine::Point;

const TRANSACTION: u8 = b't';
const PLACE: u8 = b'p';
const NONCE: u8 = b'a';
const SEARCHED: &[u8] = b"s";
/// Entries that are read at once.
const PAGE: usize = 256;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) transactions: Vec<PoolTransaction>,
    pub(super) places: Vec<(B256, Included)>,
    pub(super) nonces: HashMap<Address, u64>,
    pub(super) searched: Option<Point>,
}

pub(super) fn load(store: &dyn Store) -> Result<Stored, StoreError> {
    let mut stored = Stored::default();
    let mut from = Bytes::new();
    loop {
        let page = store.scan(Column::Transactions, &from, Direction::Forward, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(stored) };
        // The key after the last one.
        from = [&last[..], &[0]].concat().into();
        for (key, value) in page {
            take(&mut stored, &key, value).map_err(|what| StoreError::Damaged { what })?;
        }
    }
}

fn take(stored: &mut Stored, key: &[u8], value: Bytes) -> Result<(), String> {
    let hash = |rest: &[u8]| B256::try_from(rest).map_err(|_| format!("a key of {} bytes in the pool", key.len()));
    match key.split_first() {
        Some((&TRANSACTION, rest)) => {
            let hash = hash(rest)?;
            let tx = PoolTransaction::decode(value).map_err(|error| format!("transaction {hash}: {error}"))?;
            if tx.hash() != hash {
                return Err(format!("transaction {hash}: its bytes hash to {}", tx.hash()));
            }
            stored.transactions.push(tx);
        }
        Some((&PLACE, rest)) => {
            let hash = hash(rest)?;
            let place = decode_place(&value).ok_or_else(|| format!("the place of transaction {hash}"))?;
            stored.places.push((hash, place));
        }
        Some((&NONCE, rest)) => {
            let damaged = || format!("a nonce of {} bytes in the pool", value.len());
            let address = Address::try_from(rest).map_err(|_| damaged())?;
            let nonce = value[..].try_into().map(u64::from_be_bytes).map_err(|_| damaged())?;
            stored.nonces.insert(address, nonce);
        }
        _ if key == SEARCHED => {
            let point = decode_point(&value).ok_or("how far blocks have been searched")?;
            stored.searched = Some(point);
        }
        _ => return Err("an unknown key in the pool".to_owned()),
    }
    Ok(())
}

pub(super) fn put_transaction(batch: &mut Batch, tx: &PoolTransaction) {
    batch.put_bytes(Column::Transactions, key(TRANSACTION, &tx.hash()), tx.raw().clone());
}

pub(super) fn delete_transaction(batch: &mut Batch, hash: &B256) {
    batch.delete(Column::Transactions, key(TRANSACTION, hash));
}

pub(super) fn put_place(batch: &mut Batch, hash: &B256, place: &Included) {
    let point = Point { number: place.number, hash: place.block };
    let value = [&encode_point(&point)[..], &place.index.to_be_bytes()].concat();
    batch.put_bytes(Column::Transactions, key(PLACE, hash), value.into());
}

pub(super) fn delete_place(batch: &mut Batch, hash: &B256) {
    batch.delete(Column::Transactions, key(PLACE, hash));
}

pub(super) fn put_nonce(batch: &mut Batch, address: &Address, nonce: u64) {
    batch.put_bytes(Column::Transactions, nonce_key(address), nonce.to_be_bytes().to_vec().into());
}

pub(super) fn delete_nonce(batch: &mut Batch, address: &Address) {
    batch.delete(Column::Transactions, nonce_key(address));
}

fn nonce_key(address: &Address) -> Bytes {
    [&[NONCE][..], address.as_slice()].concat().into()
}

pub(super) fn put_searched(batch: &mut Batch, point: &Point) {
    batch.put(Column::Transactions, SEARCHED, encode_point(point));
}

fn key(kind: u8, hash: &B256) -> Bytes {
    [&[kind][..], hash.as_slice()].concat().into()
}

fn encode_point(point: &Point) -> Vec<u8> {
    [&point.number.to_be_bytes()[..], point.hash.as_slice()].concat()
}

fn decode_point(value: &[u8]) -> Option<Point> {
    let (number, hash) = value.split_at_checked(8)?;
    Some(Point { number: u64::from_be_bytes(number.try_into().ok()?), hash: B256::try_from(hash).ok()? })
}

fn decode_place(value: &[u8]) -> Option<Included> {
    let (point, index) = value.split_at_checked(40)?;
    let Point { number, hash } = decode_point(point)?;
    Some(Included { block: hash, number, index: u64::from_be_bytes(index.try_into().ok()?) })
}
