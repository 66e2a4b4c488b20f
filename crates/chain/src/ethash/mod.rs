//! Proof of work (Yellow Paper, appendix J), checked without the dataset.
//!
//! A seal is checked from its epoch's cache: 16 MiB and growing, made once in 30,000 blocks. [`Ethash`] keeps the caches
//! of the epochs in use.

mod cache;
mod fnv;
mod hashimoto;
mod keccak;
mod manager;
mod params;

pub use cache::{Cache, seed};
pub use hashimoto::{Work, hashimoto, hashimoto_many, target};
pub use manager::{DEFAULT_CACHES, Ethash};
pub use params::{EPOCH_LENGTH, MAX_EPOCHS, cache_rows, dataset_pages, epoch};
