//! Whose keys: key files as go-ethereum keeps them, and what they sign.
//!
//! ```text
//! kdf      a password to the key of a cipher: scrypt, PBKDF2, their bounds (pure)
//! v3       one key file: Web3 Secret Storage, version 3 (pure)
//! key      a private key in memory, erased when it is dropped
//! keyfile  a private key in a plain file, to be imported
//! store    the folder of key files: names, modes, who is in it
//! sign     messages and transactions
//! typed    EIP-712: typed data and its hash (pure)
//! wallet   which accounts are unlocked
//! ```
//!
//! Files follow the [Web3 Secret Storage](https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/)
//! definition, version 3, in the layout of geth: what it writes is read here, and the other way round. Nothing here
//! logs a key or a password, and no `Debug` shows one.

mod error;
mod kdf;
mod key;
mod keyfile;
mod sign;
mod store;
mod typed;
mod v3;
mod wallet;

pub use error::{FieldError, FileError, KeystoreError, OpenError, PlainKeyError};
pub use kdf::Scrypt;
pub use key::{Password, UnlockedKey};
pub use keyfile::read_plain_key;
pub use store::{Account, Keystore};
pub use typed::{TypedData, TypedDataError};
pub use v3::KeyFile;
pub use wallet::{Wallet, WalletError};
