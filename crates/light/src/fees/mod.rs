//! What a transaction should pay, worked out as go-ethereum's gas price oracle works it out with the settings of a full
//! node, so that both suggest the same on the same chain.
//!
//! ```text
//! tip      the suggested tip: a percentile of the lowest tips in a sample of recent blocks
//! history  eth_feeHistory: base fees, how full blocks were, percentiles of tips
//! error    why there is no answer
//! ```
//!
//! Base fees and blob fees stand in headers (EIP-1559, EIP-4844, EIP-7918). Tips need blocks: their bodies are downloaded
//! and checked against their headers, and of each block only its lowest tips are kept.

mod error;
mod history;
mod tip;

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use lru::LruCache;
use rushlight_chain::{blob_base_fee, next_base_fee};

pub use error::FeeError;
pub use history::FeeHistory;

use crate::{ClientError, LightClient};
use history::BlockFees;
use tip::Suggestion;

/// Samples kept: what one suggestion reads at most, and as many again for a reorganisation. Some 5 kB.
const SAMPLES: NonZeroUsize = NonZeroUsize::new(80).unwrap();
/// Rows of the fee history kept, as in geth: two requests of the longest kind. Some 5 MB where each has 100 percentiles.
const ROWS: NonZeroUsize = NonZeroUsize::new(2048).unwrap();

/// What has been worked out so far.
pub(crate) struct Fees {
    /// Held while a suggestion is worked out, so that whoever asks meanwhile waits for the same one.
    last: tokio::sync::Mutex<Suggestion>,
    /// The lowest tips of blocks, by hash.
    samples: Mutex<LruCache<B256, Vec<u128>>>,
    /// Rows with percentiles, by block hash and the percentiles' bits: the rest costs no download.
    rows: Mutex<LruCache<(B256, Vec<u64>), BlockFees>>,
}

impl Default for Fees {
    fn default() -> Self {
        Self {
            last: tokio::sync::Mutex::default(),
            samples: Mutex::new(LruCache::new(SAMPLES)),
            rows: Mutex::new(LruCache::new(ROWS)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LightClient {
    /// The price to offer for a unit of gas in a legacy transaction, in wei: the suggested tip and the head's base fee.
    pub async fn gas_price(&self) -> Result<u128, ClientError> {
        let tip = self.suggested_tip().await?;
        Ok(tip.saturating_add(self.head().header.base_fee_per_gas.unwrap_or(0).into()))
    }

    /// The base fee of the block after the head in wei; `None` before London.
    pub fn next_base_fee(&self) -> Result<Option<u64>, ClientError> {
        self.ready()?;
        let head = self.head().header;
        Ok(next_base_fee(self.spec(), &head, head.timestamp))
    }

    /// The price of a unit of blob gas at the head in wei; `None` before Cancun.
    pub fn blob_base_fee(&self) -> Result<Option<u128>, ClientError> {
        self.ready()?;
        let head = self.head().header;
        let params = self.spec().forks.blob_params(head.number, head.timestamp);
        Ok(params.zip(head.excess_blob_gas).map(|(params, excess)| blob_base_fee(&params, excess)))
    }
}
