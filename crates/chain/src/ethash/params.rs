//! Sizes by epoch (Yellow Paper, appendix J).

/// Blocks of one epoch: they share a cache and a dataset.
pub const EPOCH_LENGTH: u64 = 30_000;
/// Epochs are taken up to and without this one, as in geth. Mainnet's proof of work ended in epoch 517; the cache of
/// the last in range has 272 MiB.
pub const MAX_EPOCHS: u64 = 2048;
/// Bytes of a row of the cache and of an item of the dataset.
pub(super) const HASH_BYTES: u64 = 64;
/// Bytes of a page, which is what one access reads: two items.
const PAGE_BYTES: u64 = 128;
const CACHE_BYTES_AT_START: u64 = 1 << 24;
const CACHE_BYTES_PER_EPOCH: u64 = 1 << 17;
const DATASET_BYTES_AT_START: u64 = 1 << 30;
const DATASET_BYTES_PER_EPOCH: u64 = 1 << 23;

/// The epoch of a block.
pub fn epoch(number: u64) -> u64 {
    number / EPOCH_LENGTH
}

/// How a chain counts epochs. Ethereum Classic doubled their length at a block (ECIP-1099), so that their datasets shrank
/// to half: sizes go by the epoch, seeds by blocks as ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epochs {
    /// The first block whose epoch has twice the length.
    pub(super) long_from: Option<u64>,
}

/// Which cache a block's seal is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CacheKey {
    /// Gives the sizes.
    pub(super) epoch: u64,
    /// Gives the seed: so many times hashed.
    pub(super) seed: u64,
}

impl Epochs {
    pub(super) fn length(self, number: u64) -> u64 {
        if self.long_from.is_some_and(|from| number >= from) { 2 * EPOCH_LENGTH } else { EPOCH_LENGTH }
    }

    pub(super) fn key(self, number: u64) -> CacheKey {
        let length = self.length(number);
        let epoch = number / length;
        CacheKey { epoch, seed: epoch.saturating_mul(length / EPOCH_LENGTH) }
    }
}

/// Rows of an epoch's cache: the greatest prime below what its size gives. `epoch` is below [`MAX_EPOCHS`].
pub fn cache_rows(epoch: u64) -> u32 {
    greatest_prime((CACHE_BYTES_AT_START + CACHE_BYTES_PER_EPOCH * epoch) / HASH_BYTES - 1)
}

/// Pages of an epoch's dataset: the greatest prime below what its size gives. `epoch` is below [`MAX_EPOCHS`].
pub fn dataset_pages(epoch: u64) -> u32 {
    greatest_prime((DATASET_BYTES_AT_START + DATASET_BYTES_PER_EPOCH * epoch) / PAGE_BYTES - 1)
}

/// The greatest prime that is at most `limit`. Limits here have at most 28 bits: trial division takes microseconds.
fn greatest_prime(limit: u64) -> u32 {
    let is_prime = |n: u64| (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    (2..=limit).rev().find(|n| is_prime(*n)).and_then(|n| u32::try_from(n).ok()).unwrap_or(2)
}
