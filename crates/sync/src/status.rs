//! What synchronisation tells others.

use std::time::Duration;

/// How far a sync has come, as in `eth_syncing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of the block where this sync began; kept across a restart.
    pub starting: u64,
    /// Number of the last block that is verified and stored. Below the head's successor nothing of it is answered from
    /// yet while seals are sampled.
    pub current: u64,
    /// Number of the best block of the chain that is being followed, as its peer claims it.
    pub highest: u64,
}

/// Why the chain cannot be followed further by this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Number of the first block that cannot be taken.
    pub number: u64,
    /// What is not supported.
    pub reason: String,
}

/// The state of synchronisation, for JSON-RPC, logs and the progress bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncStatus {
    /// Set while a chain is being followed.
    pub syncing: Option<Progress>,
    /// No session has a higher claim that is still being followed, and nothing unsupported stands in the way.
    pub synced: bool,
    /// Headers (or blocks) a second over the last seconds; 0 while there are none.
    pub rate: f64,
    /// Time to the end at that rate, once there is one.
    pub remaining: Option<Duration>,
    /// Hashes walked back in the longest open walk, and the claimed length of its chain: shown before anything is linked.
    pub walking: Option<(u64, u64)>,
    /// Sessions.
    pub peers: usize,
    /// Seals checked since the start of the process.
    pub seals_checked: u64,
    /// Set once the chain has reached something that this version does not support.
    pub stopped: Option<Stopped>,
}
