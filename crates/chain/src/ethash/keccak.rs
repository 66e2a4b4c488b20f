//! The Keccak hashes of ethash on whole 64-bit words: all its inputs have one of three lengths.

use tiny_keccak::keccakf as permute;

/// 64 bytes as little-endian words of 32 bits: a row of the cache or an item of the dataset, as they are mixed.
pub(super) type Item = [u32; 16];
/// 64 bytes as little-endian words of 64 bits, as they are hashed.
pub(super) type Row = [u64; 8];

/// A row's words, halved.
#[inline(always)]
pub(super) fn to_words(row: &Row) -> Item {
    std::array::from_fn(|word| (row[word / 2] >> (32 * (word % 2))) as u32)
}

/// An item's words, in pairs.
#[inline(always)]
pub(super) fn from_words(item: &Item) -> Row {
    std::array::from_fn(|word| u64::from(item[2 * word]) | u64::from(item[2 * word + 1]) << 32)
}

/// The first bit of the padding, right behind the input.
const PAD_START: u64 = 1;
/// The last bit of the padding, at the end of the last word of the rate.
const PAD_END: u64 = 1 << 63;
/// Words of Keccak-512's rate (72 bytes) and Keccak-256's (136 bytes).
const RATE_512: usize = 9;
const RATE_256: usize = 17;

/// Keccak-512 of at most 64 bytes.
#[inline(always)]
pub(super) fn keccak512<const WORDS: usize>(input: &[u64; WORDS]) -> Row {
    const { assert!(WORDS < RATE_512) }
    let mut state = [0; 25];
    state[..WORDS].copy_from_slice(input);
    state[WORDS] = PAD_START;
    state[RATE_512 - 1] |= PAD_END;
    permute(&mut state);
    let mut row = [0; 8];
    row.copy_from_slice(&state[..8]);
    row
}

/// Keccak-256 of 96 bytes: a seed and a mix hash.
pub(super) fn keccak256_result(seed: &Row, mix: &[u64; 4]) -> [u64; 4] {
    let mut state = [0; 25];
    state[..8].copy_from_slice(seed);
    state[8..12].copy_from_slice(mix);
    state[12] = PAD_START;
    state[RATE_256 - 1] = PAD_END;
    permute(&mut state);
    [state[0], state[1], state[2], state[3]]
}
