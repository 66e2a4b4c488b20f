//! The least gas that a transaction needs: what it costs before it runs (Yellow Paper section 6.2; EIP-2, EIP-2028,
//! EIP-2930, EIP-3860, EIP-7702), and what its data costs at the least (EIP-7623).

use alloy_consensus::Transaction;

use crate::spec::Fork;

/// Any transaction.
const TRANSACTION: u64 = 21_000;
/// On top of that for one that makes a contract, from Homestead on (EIP-2).
const CREATION: u64 = 32_000;
/// A zero byte of data.
const ZERO_BYTE: u64 = 4;
/// Another byte of data, and from Istanbul on (EIP-2028).
const NON_ZERO_BYTE: u64 = 68;
const NON_ZERO_BYTE_ISTANBUL: u64 = 16;
/// Each 32 bytes of init code, from Shanghai on (EIP-3860).
const INIT_CODE_WORD: u64 = 2;
/// Each address and each slot of an access list (EIP-2930).
const ACCESS_LIST_ADDRESS: u64 = 2_400;
const ACCESS_LIST_SLOT: u64 = 1_900;
/// Each authorization (EIP-7702).
const AUTHORIZATION: u64 = 25_000;
/// EIP-7623: a byte other than zero is as many tokens, and a token costs so much at the least.
const TOKENS_NON_ZERO_BYTE: u64 = 4;
const TOKEN: u64 = 10;

/// The gas that a transaction costs before it runs. `active`: whether a fork is in force.
pub fn intrinsic_gas(tx: &impl Transaction, active: impl Fn(Fork) -> bool) -> u64 {
    let (zeros, others) = bytes(tx);
    let other_byte = if active(Fork::Istanbul) { NON_ZERO_BYTE_ISTANBUL } else { NON_ZERO_BYTE };
    let mut gas = TRANSACTION + zeros * ZERO_BYTE + others * other_byte;
    if tx.is_create() {
        if active(Fork::Homestead) {
            gas += CREATION;
        }
        if active(Fork::Shanghai) {
            gas += (zeros + others).div_ceil(32) * INIT_CODE_WORD;
        }
    }
    if let Some(list) = tx.access_list() {
        let slots: usize = list.iter().map(|item| item.storage_keys.len()).sum();
        gas += list.len() as u64 * ACCESS_LIST_ADDRESS + slots as u64 * ACCESS_LIST_SLOT;
    }
    gas + tx.authorization_list().map_or(0, |list| list.len() as u64) * AUTHORIZATION
}

/// The gas that a transaction's data costs at the least, from Prague on.
pub fn floor_data_gas(tx: &impl Transaction) -> u64 {
    let (zeros, others) = bytes(tx);
    TRANSACTION + (zeros + others * TOKENS_NON_ZERO_BYTE) * TOKEN
}

/// How many bytes of the data are zero, and how many are not. Data is bounded by what was read from somewhere, so the
/// sums above stay far from the word's end.
fn bytes(tx: &impl Transaction) -> (u64, u64) {
    let data = tx.input();
    let zeros = data.iter().filter(|byte| **byte == 0).count();
    (zeros as u64, (data.len() - zeros) as u64)
}
