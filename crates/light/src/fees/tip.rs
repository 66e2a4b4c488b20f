//! The suggested tip: a percentile of the lowest tips that recent blocks took.

use alloy_consensus::{Transaction, constants::EMPTY_ROOT_HASH};
use alloy_primitives::B256;
use futures::{FutureExt, StreamExt, stream::FuturesOrdered};
use rushlight_chain::SealedHeader;

use super::lock;
use crate::{Block, ClientError, LightClient};

/// Blocks in a sample. Where blocks tell little, up to twice as many tips are collected.
const BLOCKS: usize = 20;
/// Tips taken from a block.
const PER_BLOCK: usize = 3;
/// Which of the sorted tips is suggested.
const PERCENTILE: usize = 60;
/// Tips below this are no offer, in wei.
const IGNORE_BELOW: u128 = 2;
/// No more is ever suggested: 500 gwei.
const MOST: u128 = 500_000_000_000;
/// What is suggested before any block has told: the least tip that geth's miners take, 0.001 gwei.
const DEFAULT: u128 = 1_000_000;

/// The last suggestion and the head that it was made for.
pub(super) struct Suggestion {
    head: B256,
    price: u128,
}

impl Default for Suggestion {
    fn default() -> Self {
        Self { head: B256::ZERO, price: DEFAULT }
    }
}

impl LightClient {
    /// The tip to offer above the base fee, in wei, so that a transaction is likely to be among the next blocks'. Blocks
    /// that tell nothing count as the last suggestion.
    ///
    /// Made once a head: bodies of 20 to 40 blocks are read, those of blocks sampled before not again.
    pub async fn suggested_tip(&self) -> Result<u128, ClientError> {
        self.ready()?;
        let mut last = self.fees().last.lock().await;
        // Looked up only now, as whoever held the lock may have worked for long.
        let head = self.head().header;
        if last.head != head.hash() {
            let price = self.sampled_tip(head.clone(), last.price).await?;
            *last = Suggestion { head: head.hash(), price };
        }
        Ok(last.price)
    }

    /// Reads blocks from `head` down, all that are sure to be needed at once. geth counts them as they come in; here they
    /// count from the newest down, so that the same chain always gives the same.
    async fn sampled_tip(&self, head: SealedHeader, last: u128) -> Result<u128, ClientError> {
        let mut next = Some(head).filter(|head| head.number > 0);
        let mut reading = FuturesOrdered::new();
        let mut tips: Vec<u128> = Vec::new();
        while reading.len() < BLOCKS
            && let Some(header) = next.take()
        {
            next = self.parent(&header).await?;
            reading.push_back(self.lowest_tips(header).boxed());
        }
        while let Some(lowest) = reading.next().await {
            let mut lowest = lowest?;
            if lowest.is_empty() {
                lowest.push(last);
            }
            let few = lowest.len() == 1 && tips.len() + 1 + reading.len() < 2 * BLOCKS;
            if few && let Some(header) = next.take() {
                next = self.parent(&header).await?;
                reading.push_back(self.lowest_tips(header).boxed());
            }
            tips.extend(lowest);
        }
        tips.sort_unstable();
        let place = tips.len().saturating_sub(1) * PERCENTILE / 100;
        Ok(tips.get(place).copied().unwrap_or(last).min(MOST))
    }

    /// The header before, unless that is genesis, which has no transactions.
    async fn parent(&self, header: &SealedHeader) -> Result<Option<SealedHeader>, ClientError> {
        match header.number {
            0 | 1 => Ok(None),
            _ => match self.chain().header(&header.parent_hash) {
                Some(parent) => Ok(Some(parent)),
                None => self.resolve(header.parent_hash).await.map(Some),
            },
        }
    }

    async fn lowest_tips(&self, header: SealedHeader) -> Result<Vec<u128>, ClientError> {
        if header.transactions_root == EMPTY_ROOT_HASH {
            return Ok(Vec::new());
        }
        let hash = header.hash();
        if let Some(tips) = lock(&self.fees().samples).get(&hash).cloned() {
            return Ok(tips);
        }
        let tips = lowest(&self.block(&header).await?);
        lock(&self.fees().samples).put(hash, tips.clone());
        Ok(tips)
    }
}

/// The lowest tips in a block, ascending; without those of whoever made the block, who pays them to itself.
fn lowest(block: &Block) -> Vec<u128> {
    let (base_fee, maker) = (block.header.base_fee_per_gas.unwrap_or(0), block.header.beneficiary);
    let others = block.transactions.iter().filter(|tx| tx.signer() != maker);
    let mut tips: Vec<u128> =
        others.filter_map(|tx| tx.effective_tip_per_gas(base_fee)).filter(|tip| *tip >= IGNORE_BELOW).collect();
    tips.sort_unstable();
    tips.truncate(PER_BLOCK);
    tips
}
