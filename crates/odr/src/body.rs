//! A block's body put together by look-ups alone: its transaction trie, whose values are the transactions, and its list
//! of uncles, both by the hashes in the header. For blocks that no peer gives whole.

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::Bytes;
use alloy_trie::EMPTY_ROOT_HASH;
use rushlight_chain::{
    SealedHeader,
    block::{Body, verify_body},
};

use crate::{
    Source, Wanted, What,
    trie::{self, WalkError},
};

/// Why a body could not be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyLookupError {
    /// A node of the transaction trie or the uncle list could not be had, or is malformed.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// All was there and does not make up a body that fits the header: whoever made the header put nonsense there.
    #[error("what the header of block {number} points to is no body: {reason}")]
    Misfit {
        /// The block's number.
        number: u64,
        /// What does not fit.
        reason: String,
    },
}

/// The body where the header alone proves it: a block with neither transactions nor uncles.
pub fn known_empty(header: &SealedHeader) -> Option<Body> {
    let empty = header.transactions_root == EMPTY_ROOT_HASH && header.ommers_hash == EMPTY_OMMER_ROOT_HASH;
    empty.then(|| Body { transactions: Vec::new(), uncles: Vec::new() })
}

/// Reads transactions and uncles of `header` by look-ups, and checks the whole against it.
pub async fn by_lookups(source: &(impl Source + ?Sized), header: &SealedHeader) -> Result<Body, BodyLookupError> {
    let (entries, uncles) = futures::try_join!(
        trie::all(source, header.transactions_root, What::TransactionNode { block: header.hash() }),
        uncles(source, header),
    )?;
    let misfit = |reason: String| BodyLookupError::Misfit { number: header.number, reason };
    // The trie orders 0 (0x80) between 127 (0x7f) and 128 (0x8180); its keys are the RLP of the index.
    let mut transactions = vec![Bytes::new(); entries.len()];
    for (key, value) in entries {
        let index = alloy_rlp::decode_exact::<u64>(&key).ok().and_then(|index| usize::try_from(index).ok());
        let Some(place) = index.and_then(|index| transactions.get_mut(index)) else {
            return Err(misfit(format!("transaction key {key} is no index of {}", transactions.len())));
        };
        *place = value;
    }
    let body = Body { transactions, uncles: uncles.ok_or_else(|| misfit("malformed uncle list".into()))? };
    verify_body(header, &body).map_err(|error| misfit(error.to_string()))?;
    Ok(body)
}

/// The raw headers of the uncles; `None` where the list is no list.
async fn uncles(source: &(impl Source + ?Sized), header: &SealedHeader) -> Result<Option<Vec<Bytes>>, WalkError> {
    if header.ommers_hash == EMPTY_OMMER_ROOT_HASH {
        return Ok(Some(Vec::new()));
    }
    let wanted = Wanted::new(header.ommers_hash, What::UncleList { block: header.hash() });
    let raw = source.preimages(vec![wanted]).await?;
    Ok(raw.first().and_then(|raw| Body::decode_uncles(raw).ok()))
}
