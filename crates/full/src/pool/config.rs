//! How much a pool holds.

use rushlight_chain::pool::PoolLimits;

/// What the pool takes. The defaults are geth's where geth has the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// What it asks of a transaction beyond the chain's rules.
    pub limits: PoolLimits,
    /// The most transactions without blobs; default 6,144: geth's 5,120 that can stand in the next block and 1,024 that wait.
    pub max_count: usize,
    /// The most bytes of these; default 64 MiB. geth counts in slots of 32 KiB instead, three times as much at the worst.
    pub max_bytes: usize,
    /// The most blob transactions; default 512.
    pub max_blob_count: usize,
    /// The most bytes of these, with their sidecars; default 128 MiB. geth keeps them on disk, up to 2.5 GiB.
    pub max_blob_bytes: usize,
    /// The most transactions of a sender that can stand in the next block; default 1,024. More than a block has room for
    /// would only keep others out.
    pub max_executable: usize,
    /// The most transactions of a sender that wait for a lower nonce; default 64, as geth's.
    pub max_queued: usize,
    /// The most blob transactions of a sender; default 16, as geth's. None of them may wait for a lower nonce.
    pub max_sender_blobs: usize,
    /// Seconds after which a transaction that waits for a lower nonce is dropped; default 3 hours, as geth's.
    pub queued_lifetime: u64,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            limits: PoolLimits::default(),
            max_count: 5_120 + 1_024,
            max_bytes: 64 << 20,
            max_blob_count: 512,
            max_blob_bytes: 128 << 20,
            max_executable: 1_024,
            max_queued: 64,
            max_sender_blobs: 16,
            queued_lifetime: 3 * 3_600,
        }
    }
}
