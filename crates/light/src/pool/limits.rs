//! What the pool holds at the most, and what it does how often. It holds the node's own transactions only: all of it is
//! there for mistakes of whoever may submit, and for a program that runs away.

use std::time::Duration;

/// Transactions of one sender that wait. geth guarantees an account 16 that can be executed and 64 that cannot yet.
pub const MAX_OF_SENDER: usize = 64;
/// Transactions with blobs of one sender that wait, as in geth: each is up to a megabyte.
pub const MAX_BLOBS_OF_SENDER: usize = 16;
/// Transactions in all, those that are watched included: geth's guarantee for 16 senders.
pub const MAX_TRANSACTIONS: usize = 1024;
/// Bytes of transactions in all, with their blobs; they are held in memory. 40 transactions of six blobs.
pub const MAX_BYTES: usize = 32 << 20;
/// Blocks upon a transaction's block after which it is let go: two epochs of Ethereum, and many times deeper than
/// reorganisations of chains that are looked after.
pub const DEEP: u64 = 64;
/// Places of transactions that were let go, which are remembered so that their receipts can still be found; 80 bytes each.
pub const MAX_SETTLED: usize = 4096;
/// Transactions that were replaced and are still looked for, so that whoever asks by the old hash has an answer.
pub const MAX_REPLACED: usize = 256;
/// Blocks that are searched after a long absence, at the most: those above are more likely to hold a transaction that was
/// waiting, and a light node retains no more headers unless told to.
pub const MAX_SEARCH: u64 = 2048;
/// Blocks that are downloaded at the same time to be searched.
pub const SEARCHES: usize = 4;
/// Accounts that are read at the same time.
pub const READS: usize = 8;
/// Points of the searched chain that are remembered to find where a reorganisation begins.
pub const MAX_PATH: usize = 128;
/// Peers that are remembered to have told of one transaction.
pub const MAX_HEARD: usize = 64;
/// How often what was in vain is tried again: peers that took nothing, blocks and accounts that nobody gave.
pub const TICK: Duration = Duration::from_secs(2);
