//! Why a question about fees has no answer.

use crate::ClientError;

/// Most percentiles that one question may have, as in geth.
pub(super) const MAX_PERCENTILES: usize = 100;

/// Why there is no fee history. The texts are geth's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FeeError {
    /// More percentiles than are answered.
    #[error("invalid reward percentile: over the query limit {MAX_PERCENTILES}")]
    TooManyPercentiles,
    /// A percentile below 0 or above 100.
    #[error("invalid reward percentile: {0:.6}")]
    PercentileOutOfRange(f64),
    /// A percentile that is not above the one before it.
    #[error("invalid reward percentile: #{}:{before:.6} >= #{index}:{percentile:.6}", index - 1)]
    PercentilesOutOfOrder {
        /// Its place.
        index: usize,
        /// The one before it.
        before: f64,
        /// The percentile.
        percentile: f64,
    },
    /// The last block asked for does not exist yet.
    #[error("request beyond head block: requested {requested}, head {head}")]
    BeyondHead {
        /// Its number.
        requested: u64,
        /// The head's number.
        head: u64,
    },
    /// A header, a body or the receipts cannot be had.
    #[error(transparent)]
    Client(#[from] ClientError),
}
