//! The receipts of a block: all of them, out of its receipt trie.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::ReceiptEnvelope;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{B256, Bytes};
use lru::LruCache;
use rushlight_chain::SealedHeader;
use rushlight_odr::{Source, What, body::by_index, trie};

use crate::ClientError;

/// Blocks whose receipts are kept decoded: a wallet that waits for several transactions asks for those of the last few
/// blocks again and again.
const BLOCKS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Bytes of receipts, encoded, that are kept decoded. A full block of mainnet has some 300 kB; what goes is still in the
/// verified store.
const BYTES: usize = 8 << 20;

/// A block's receipts in the order of its transactions.
pub type Receipts = Arc<Vec<ReceiptEnvelope>>;

/// Reads the trie below the header's receipts root, whole: each node was checked by its hash up to that root, so nobody
/// can leave one out or put one in. One turn a level.
pub(crate) async fn fetch(
    source: &dyn Source,
    header: &SealedHeader,
) -> Result<(Vec<ReceiptEnvelope>, usize), ClientError> {
    let what = || format!("a receipt of block {}", header.number);
    let entries = trie::all(source, header.receipts_root, What::ReceiptNode { block: header.hash() }).await?;
    let encoded = by_index("receipt", entries).map_err(|why| ClientError::malformed(what(), why))?;
    let size = encoded.iter().map(|raw| raw.len()).sum();
    let receipts = encoded.iter().map(decode).collect::<Result<_, _>>();
    Ok((receipts.map_err(|why| ClientError::malformed(what(), why))?, size))
}

/// Decodes exactly `raw`: what is not the one encoding of what it says is refused.
fn decode(raw: &Bytes) -> Result<ReceiptEnvelope, String> {
    let receipt = ReceiptEnvelope::decode_2718_exact(raw).map_err(|error| error.to_string())?;
    if receipt.encoded_2718() != *raw {
        return Err("it is not in its canonical form".to_owned());
    }
    Ok(receipt)
}

/// Receipts that were asked for lately, by their block's hash.
pub(crate) struct ReceiptCache(Mutex<State>);

struct State {
    held: LruCache<B256, (Receipts, usize)>,
    size: usize,
}

impl Default for ReceiptCache {
    fn default() -> Self {
        Self(Mutex::new(State { held: LruCache::new(BLOCKS), size: 0 }))
    }
}

impl ReceiptCache {
    pub(crate) fn get(&self, block: &B256) -> Option<Receipts> {
        self.lock().held.get(block).map(|(receipts, _)| receipts.clone())
    }

    pub(crate) fn keep(&self, block: B256, receipts: Vec<ReceiptEnvelope>, size: usize) -> Receipts {
        let receipts = Arc::new(receipts);
        if size <= BYTES {
            let mut state = self.lock();
            state.size += size;
            if let Some((_, (_, gone))) = state.held.push(block, (receipts.clone(), size)) {
                state.size -= gone;
            }
            while state.size > BYTES {
                let Some((_, (_, gone))) = state.held.pop_lru() else { break };
                state.size -= gone;
            }
        }
        receipts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_in_blocks_and_in_bytes() {
        let cache = ReceiptCache::default();
        let block = |n: usize| B256::from(alloy_primitives::U256::from(n));
        (0..100).for_each(|n| drop(cache.keep(block(n), Vec::new(), 10)));
        let held = || {
            let state = cache.lock();
            (state.held.len(), state.size)
        };
        assert_eq!(held(), (64, 640));
        cache.keep(block(99), Vec::new(), 10);
        assert_eq!(held(), (64, 640));
        cache.keep(block(1000), Vec::new(), BYTES);
        assert_eq!(held(), (1, BYTES));
        cache.keep(block(1001), Vec::new(), BYTES + 1);
        assert!(cache.get(&block(1001)).is_none() && cache.get(&block(1000)).is_some());
    }
}
