//! One suite for both stores, and what only a folder can do wrong.

#[cfg(feature = "rocksdb")]
mod folder;
#[cfg(feature = "rocksdb")]
mod kill;
mod suite;
