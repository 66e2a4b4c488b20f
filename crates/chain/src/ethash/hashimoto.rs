//! The work of a nonce, from a cache alone (Yellow Paper, appendix J.4).

use alloy_primitives::{B64, B256, U256};

use super::cache::Cache;
use super::fnv::{Modulus, fnv};
use super::keccak::{keccak256_result, keccak512, to_words};

/// Accesses to the dataset for one nonce.
const ACCESSES: u32 = 64;

/// What a nonce leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The mix hash that belongs in the header.
    pub mix: B256,
    /// The number that has to be within the target, big endian.
    pub result: B256,
}

/// The work of one seal hash and nonce.
pub fn hashimoto(cache: &Cache, seal_hash: B256, nonce: B64) -> Work {
    let [work] = hashimoto_many(cache, [(seal_hash, nonce)]);
    work
}

/// The work of several seals at once, which takes less time than one after the other.
pub fn hashimoto_many<const LANES: usize>(cache: &Cache, seals: [(B256, B64); LANES]) -> [Work; LANES] {
    let pages: Modulus = cache.pages();
    let seeds = seals.map(|(hash, nonce)| {
        let hash = le_words(hash);
        keccak512(&[hash[0], hash[1], hash[2], hash[3], u64::from_be_bytes(nonce.0)])
    });
    let first = seeds.map(|seed| seed[0] as u32);
    let mut mixes = seeds.map(|seed| [to_words(&seed); 2]);
    for access in 0..ACCESSES {
        let place = access as usize % 32;
        let wanted: [u32; LANES] =
            std::array::from_fn(|lane| pages.reduce(fnv(access ^ first[lane], mixes[lane][place / 16][place % 16])));
        let page = cache.page(wanted);
        for lane in 0..LANES {
            for side in 0..2 {
                for word in 0..16 {
                    mixes[lane][side][word] = fnv(mixes[lane][side][word], page[lane][side][word]);
                }
            }
        }
    }
    std::array::from_fn(|lane| {
        let words = mixes[lane].as_flattened();
        let folded =
            |place: usize| words[4 * place + 1..4 * place + 4].iter().fold(words[4 * place], |a, b| fnv(a, *b));
        let mix = std::array::from_fn(|pair| u64::from(folded(2 * pair)) | u64::from(folded(2 * pair + 1)) << 32);
        Work { mix: from_le_words(mix), result: from_le_words(keccak256_result(&seeds[lane], &mix)) }
    })
}

/// The greatest result that a difficulty allows: ⌊2^256 / difficulty⌋. For the two difficulties for which that is no number
/// of 256 bits (the rules give at least 131,072): 0 allows none but 0, 1 allows any.
pub fn target(difficulty: U256) -> B256 {
    if difficulty <= U256::from(1) {
        return if difficulty.is_zero() { B256::ZERO } else { B256::repeat_byte(0xff) };
    }
    // 2^256 = MAX + 1: where the remainder is all but full, the one more makes another whole.
    let (quotient, remainder) = U256::MAX.div_rem(difficulty);
    let whole = remainder + U256::from(1) == difficulty;
    B256::from(quotient + U256::from(u8::from(whole)))
}

fn le_words(hash: B256) -> [u64; 4] {
    let (words, _) = hash.as_chunks::<8>();
    std::array::from_fn(|word| u64::from_le_bytes(words[word]))
}

fn from_le_words(words: [u64; 4]) -> B256 {
    let mut bytes = B256::ZERO;
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
