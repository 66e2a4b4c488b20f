//! The fee history of a range of blocks.

use alloy_consensus::{ReceiptEnvelope, Transaction, constants::EMPTY_ROOT_HASH};
use alloy_eips::{BlockNumberOrTag, eip4844::DATA_GAS_PER_BLOB};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use rushlight_chain::{ChainSpec, SealedHeader, blob_base_fee, next_base_fee, next_excess_blob_gas};

use super::{
    error::{FeeError, MAX_PERCENTILES},
    lock,
};
use crate::{ClientError, LightClient};

/// Most blocks that one answer covers; of a longer range the newest. geth's bound for headers and for blocks alike.
const MAX_BLOCKS: u64 = 1024;
/// Blocks whose bodies and receipts are read side by side, as in geth: a wide range is not to take all of a peer's time.
const WIDTH: usize = 4;
/// How often a range is read again that a reorganisation changed meanwhile.
const ATTEMPTS: usize = 3;

/// Fees of a range of blocks, oldest first. All fees are in wei for a unit of gas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeeHistory {
    /// The number of the first block; 0 where there is none.
    pub oldest: u64,
    /// The base fee of each block and of the one after the last; 0 before London.
    pub base_fees: Vec<u64>,
    /// Of each block, which part of its gas limit was used.
    pub gas_used_ratios: Vec<f64>,
    /// The blob base fee of each block and of the one after the last; 0 before Cancun.
    pub blob_base_fees: Vec<u128>,
    /// Of each block, which part of the blobs that it may have it has.
    pub blob_gas_used_ratios: Vec<f64>,
    /// Of each block the percentiles of its tips, weighed by the gas used; `None` where none were asked for.
    pub rewards: Option<Vec<Vec<u128>>>,
}

/// One block of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BlockFees {
    base_fee: u64,
    next_base_fee: u64,
    gas_used_ratio: f64,
    blob_base_fee: u128,
    next_blob_base_fee: u128,
    blob_gas_used_ratio: f64,
    rewards: Vec<u128>,
}

impl LightClient {
    /// The fees of `blocks` blocks up to `last`, at most 1,024 of them, with the tip below which each of `percentiles` of a
    /// block's gas was bought. `pending` is the latest block and does not count towards `blocks`, as in geth where it has
    /// no pending block.
    ///
    /// Without percentiles only headers are read; with them bodies and receipts as well.
    pub async fn fee_history(
        &self,
        blocks: u64,
        last: BlockNumberOrTag,
        percentiles: &[f64],
    ) -> Result<FeeHistory, FeeError> {
        self.ready()?;
        if blocks == 0 {
            return Ok(FeeHistory::default());
        }
        check(percentiles)?;
        let head = self.head().header.number;
        let requested = match last {
            BlockNumberOrTag::Number(number) if number > head => {
                return Err(FeeError::BeyondHead { requested: number, head });
            }
            BlockNumberOrTag::Number(number) => number,
            tag => self.resolve(tag).await?.number,
        };
        let pending = u64::from(last == BlockNumberOrTag::Pending);
        let blocks = (blocks.min(MAX_BLOCKS) - pending).min(requested.saturating_add(1));
        if blocks == 0 {
            return Ok(FeeHistory::default());
        }
        let headers = self.range(requested + 1 - blocks, requested).await?;
        let oldest = headers.first().map_or(0, |header| header.number);
        let rows = stream::iter(headers)
            .map(|header| self.row(header, percentiles).boxed())
            .buffered(WIDTH)
            .try_collect::<Vec<BlockFees>>();
        Ok(FeeHistory::of(oldest, rows.await?, !percentiles.is_empty()))
    }

    /// The canonical headers from `first` to `last`, each the child of the one before. Ascending, as the headers below the
    /// retained ones come in spans that end in the anchor above.
    async fn range(&self, first: u64, last: u64) -> Result<Vec<SealedHeader>, ClientError> {
        let mut attempts = 0;
        loop {
            let mut headers: Vec<SealedHeader> = Vec::new();
            for number in first..=last {
                let header = self.resolve(number).await?;
                if headers.last().is_some_and(|parent| parent.hash() != header.parent_hash) {
                    break;
                }
                headers.push(header);
            }
            attempts += 1;
            if headers.last().is_some_and(|header| header.number == last) {
                return Ok(headers);
            }
            if attempts == ATTEMPTS {
                return Err(ClientError::UnknownNumber(last));
            }
        }
    }

    async fn row(&self, header: SealedHeader, percentiles: &[f64]) -> Result<BlockFees, ClientError> {
        let mut row = BlockFees::of(self.spec(), &header);
        if percentiles.is_empty() {
            return Ok(row);
        }
        let key = (header.hash(), percentiles.iter().map(|percentile| percentile.to_bits()).collect());
        if let Some(row) = lock(&self.fees().rows).get(&key).cloned() {
            return Ok(row);
        }
        row.rewards = rewards(&self.gas_and_tips(&header).await?, header.gas_used, percentiles);
        lock(&self.fees().rows).put(key, row.clone());
        Ok(row)
    }

    /// Of each transaction the gas that it used and its tip.
    async fn gas_and_tips(&self, header: &SealedHeader) -> Result<Vec<(u64, u128)>, ClientError> {
        // Whatever uncles it has.
        if header.transactions_root == EMPTY_ROOT_HASH {
            return Ok(Vec::new());
        }
        let block = self.block(header).await?;
        let base_fee = header.base_fee_per_gas.unwrap_or(0);
        let tips = block.transactions.iter().map(|tx| tx.effective_tip_per_gas(base_fee).unwrap_or(0));
        let cumulative = match block.transactions.len() {
            // All of the block's gas is its.
            1 => vec![header.gas_used],
            _ => self.receipts(header).await?.iter().map(ReceiptEnvelope::cumulative_gas_used).collect(),
        };
        let before = std::iter::once(&0).chain(&cumulative);
        let used = cumulative.iter().zip(before).map(|(after, before)| after.saturating_sub(*before));
        Ok(used.zip(tips).collect())
    }
}

fn check(percentiles: &[f64]) -> Result<(), FeeError> {
    if percentiles.len() > MAX_PERCENTILES {
        return Err(FeeError::TooManyPercentiles);
    }
    let mut before = None;
    for (index, percentile) in percentiles.iter().copied().enumerate() {
        if !(0.0..=100.0).contains(&percentile) {
            return Err(FeeError::PercentileOutOfRange(percentile));
        }
        if let Some(before) = before.filter(|before| percentile <= *before) {
            return Err(FeeError::PercentilesOutOfOrder { index, before, percentile });
        }
        before = Some(percentile);
    }
    Ok(())
}

impl BlockFees {
    /// What the header alone tells.
    fn of(spec: &ChainSpec, header: &SealedHeader) -> Self {
        // geth takes the block's own time for the next one's, too: a change of the schedule shows a block later.
        let params = spec.forks.blob_params(header.number, header.timestamp).zip(header.excess_blob_gas);
        let next = next_excess_blob_gas(spec, header, header.timestamp);
        let blobs_most = params.map_or(0, |(params, _)| params.max_blob_count.saturating_mul(DATA_GAS_PER_BLOB));
        Self {
            base_fee: header.base_fee_per_gas.unwrap_or(0),
            next_base_fee: next_base_fee(spec, header, header.timestamp).unwrap_or(0),
            gas_used_ratio: ratio(header.gas_used, header.gas_limit),
            blob_base_fee: params.map_or(0, |(params, excess)| blob_base_fee(&params, excess)),
            next_blob_base_fee: params.zip(next).map_or(0, |((params, _), excess)| blob_base_fee(&params, excess)),
            blob_gas_used_ratio: ratio(header.blob_gas_used.unwrap_or(0), blobs_most),
            rewards: Vec::new(),
        }
    }
}

fn ratio(used: u64, most: u64) -> f64 {
    if most == 0 { 0.0 } else { used as f64 / most as f64 }
}

/// For each percentile of the block's gas, the tip of the transaction that bought it, the lowest tips first; 0 in a block
/// without transactions.
fn rewards(transactions: &[(u64, u128)], gas_used: u64, percentiles: &[f64]) -> Vec<u128> {
    let mut sorted = transactions.to_vec();
    sorted.sort_by_key(|(_, tip)| *tip);
    let mut rest = sorted.iter().copied();
    let Some((mut sum, mut tip)) = rest.next() else { return vec![0; percentiles.len()] };
    let reward = |percentile: &f64| {
        let threshold = (gas_used as f64 * percentile / 100.0) as u64;
        while sum < threshold
            && let Some((used, next)) = rest.next()
        {
            sum = sum.saturating_add(used);
            tip = next;
        }
        tip
    };
    percentiles.iter().map(reward).collect()
}

impl FeeHistory {
    fn of(oldest: u64, rows: Vec<BlockFees>, rewards: bool) -> Self {
        let last = rows.last().map(|row| (row.next_base_fee, row.next_blob_base_fee));
        Self {
            oldest,
            base_fees: rows.iter().map(|row| row.base_fee).chain(last.map(|last| last.0)).collect(),
            gas_used_ratios: rows.iter().map(|row| row.gas_used_ratio).collect(),
            blob_base_fees: rows.iter().map(|row| row.blob_base_fee).chain(last.map(|last| last.1)).collect(),
            blob_gas_used_ratios: rows.iter().map(|row| row.blob_gas_used_ratio).collect(),
            rewards: rewards.then(|| rows.into_iter().map(|row| row.rewards).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;

    use super::*;

    /// mainnet's header at that time, between London and the last blob schedule.
    fn row(timestamp: u64, excess: u64, blobs: u64, base_fee: u64) -> BlockFees {
        let header = Header {
            number: 24_000_000,
            timestamp,
            gas_limit: 60_000_000,
            gas_used: 30_000_000,
            base_fee_per_gas: Some(base_fee),
            excess_blob_gas: Some(excess),
            blob_gas_used: Some(blobs * DATA_GAS_PER_BLOB),
            ..Header::default()
        };
        BlockFees::of(&ChainSpec::mainnet(), &rushlight_chain::header::seal(header))
    }

    /// Cancun, Prague, Osaka's floor and the second blob schedule of mainnet.
    #[test]
    fn blob_fees_by_the_schedule_of_the_block() {
        let (cancun, prague, osaka, bpo2) = (1_710_338_135, 1_746_612_311, 1_764_798_551, 1_767_747_671);
        let fees = |row: BlockFees| (row.blob_base_fee, row.next_blob_base_fee, row.blob_gas_used_ratio);
        // Where the excess is its fraction the fee is e, cut to a wei.
        assert_eq!(fees(row(cancun, 3_338_477, 3, 1)), (2, 2, 0.5));
        // Above the target the excess grows, here past twice the fraction: e^2 = 7.3, e^2.02.
        assert_eq!(fees(row(cancun, 2 * 3_338_477 - 300_000, 6, 1)), (6, 7, 1.0));
        assert_eq!(fees(row(prague, 5_007_716, 9, 1)), (2, 2, 1.0));
        // EIP-7918: with a base fee so high the excess grows although nothing was above the target.
        let (high, low) = (row(osaka, 14_000_000, 6, 1_000_000_000), row(osaka, 14_000_000, 6, 1));
        assert!(high.next_blob_base_fee > high.blob_base_fee, "{high:?}");
        assert_eq!(low.next_blob_base_fee, low.blob_base_fee);
        assert_eq!(fees(row(bpo2, 0, 21, 1)), (1, 1, 1.0));
    }

    #[test]
    fn before_the_forks_all_is_zero() {
        let header = Header { number: 5, gas_limit: 5000, gas_used: 5000, ..Header::default() };
        let row = BlockFees::of(&ChainSpec::mainnet(), &rushlight_chain::header::seal(header));
        let expected = BlockFees {
            base_fee: 0,
            next_base_fee: 0,
            gas_used_ratio: 1.0,
            blob_base_fee: 0,
            next_blob_base_fee: 0,
            blob_gas_used_ratio: 0.0,
            rewards: vec![],
        };
        assert_eq!(row, expected);
    }

    #[test]
    fn rewards_are_weighed_by_gas() {
        let transactions = [(50, 9), (30, 1), (20, 4)];
        assert_eq!(rewards(&transactions, 100, &[0.0, 30.0, 30.9, 31.0, 50.0, 51.0, 100.0]), [1, 1, 1, 4, 4, 9, 9]);
        assert_eq!(rewards(&[], 0, &[0.0, 100.0]), [0, 0]);
        assert_eq!(rewards(&[(1, 3)], 50, &[100.0]), [3], "more gas than transactions account for");
    }
}
