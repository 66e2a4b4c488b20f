//! The header chain over mainnet's first 8,192 headers.

#[cfg(feature = "rocksdb")]
mod kill;
mod mainnet;
