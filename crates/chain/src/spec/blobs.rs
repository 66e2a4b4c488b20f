//! How many blobs a block may have, by fork (EIP-7840, EIP-7892).

use alloy_eips::eip4844::BLOB_TX_MIN_BLOB_GASPRICE;
use alloy_eips::eip7594::MAX_BLOBS_PER_TX_FUSAKA;
use alloy_eips::eip7840::{BLOB_BASE_COST, BlobParams};

use super::forks::{Fork, ForkSet};

/// Blob parameters by the forks that set them, in order.
pub type BlobSchedule = Vec<(Fork, BlobParams)>;

/// The forks that can set blob parameters, with their names in `blobSchedule` of geth's genesis.json. Those of Osaka are
/// Prague's unless the file has an entry for it.
pub(super) const FORKS: [(Fork, &str); 8] = [
    (Fork::Cancun, "cancun"),
    (Fork::Prague, "prague"),
    (Fork::Osaka, "osaka"),
    (Fork::Bpo1, "bpo1"),
    (Fork::Bpo2, "bpo2"),
    (Fork::Bpo3, "bpo3"),
    (Fork::Bpo4, "bpo4"),
    (Fork::Bpo5, "bpo5"),
];

/// Target, maximum and update fraction of each fork, as Ethereum's networks and geth have them.
const DEFAULTS: [(Fork, u64, u64, u128); 6] = [
    (Fork::Cancun, 3, 6, 3_338_477),
    (Fork::Prague, 6, 9, 5_007_716),
    (Fork::Bpo1, 10, 15, 8_346_193),
    (Fork::Bpo2, 14, 21, 11_684_671),
    (Fork::Bpo3, 21, 32, 20_609_697),
    (Fork::Bpo4, 14, 21, 13_739_630),
];

/// What a file without a schedule gets.
pub(super) fn defaults() -> BlobSchedule {
    DEFAULTS.iter().map(|(fork, target, max, fraction)| (*fork, entry(*target, *max, *fraction))).collect()
}

/// An entry of a schedule.
pub(super) fn entry(target: u64, max: u64, update_fraction: u128) -> BlobParams {
    BlobParams {
        target_blob_count: target,
        max_blob_count: max,
        update_fraction,
        min_blob_fee: BLOB_TX_MIN_BLOB_GASPRICE,
        max_blobs_per_tx: max,
        blob_base_cost: 0,
    }
}

/// The parameters of a block in which these forks are in force: those of the last that sets any.
pub(super) fn params(schedule: &BlobSchedule, active: ForkSet) -> Option<BlobParams> {
    if !active.contains(Fork::Cancun) {
        return None;
    }
    let last = schedule.iter().filter(|(fork, _)| active.contains(*fork)).max_by_key(|(fork, _)| *fork);
    let mut params = last.map_or_else(BlobParams::cancun, |(_, params)| *params);
    if active.contains(Fork::Osaka) {
        // EIP-7594 bounds the blobs of a transaction, EIP-7918 their price from below.
        params.max_blobs_per_tx = MAX_BLOBS_PER_TX_FUSAKA;
        params.blob_base_cost = BLOB_BASE_COST;
    }
    Some(params)
}
