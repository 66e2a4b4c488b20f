//! A block's body put together by look-ups alone: its tries of transactions and of withdrawals, whose values they are, and
//! its list of uncles, all by the hashes in the header. For blocks that no peer gives whole.

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::Bytes;
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

/// The body where the header alone proves it: a block with neither transactions nor uncles nor withdrawals.
pub fn known_empty(header: &SealedHeader) -> Option<Body> {
    Body::known_empty(header)
}

/// Reads transactions, uncles and withdrawals of `header` by look-ups, and checks the whole against it.
pub async fn by_lookups(source: &(impl Source + ?Sized), header: &SealedHeader) -> Result<Body, BodyLookupError> {
    let block = header.hash();
    let withdrawals = async {
        match header.withdrawals_root {
            Some(root) => trie::all(source, root, What::WithdrawalNode { block }).await.map(Some),
            None => Ok(None),
        }
    };
    let (transactions, withdrawals, uncles) = futures::try_join!(
        trie::all(source, header.transactions_root, What::TransactionNode { block }),
        withdrawals,
        uncles(source, header),
    )?;
    let misfit = |reason: String| BodyLookupError::Misfit { number: header.number, reason };
    let transactions = by_index("transaction", transactions).map_err(misfit)?;
    let withdrawals = withdrawals.map(|entries| by_index("withdrawal", entries)).transpose().map_err(misfit)?;
    let uncles = uncles.ok_or_else(|| misfit("malformed uncle list".into()))?;
    let body = Body { transactions, uncles, withdrawals };
    verify_body(header, &body).map_err(|error| misfit(error.to_string()))?;
    Ok(body)
}

/// A list out of its trie. That orders 0 (0x80) between 127 (0x7f) and 128 (0x8180); its keys are the RLP of the index.
///
/// # Errors
/// A key that is no index below the number of entries, in words; `what` names an entry.
pub fn by_index(what: &str, entries: Vec<(Bytes, Bytes)>) -> Result<Vec<Bytes>, String> {
    let mut list = vec![Bytes::new(); entries.len()];
    for (key, value) in entries {
        let index = alloy_rlp::decode_exact::<u64>(&key).ok().and_then(|index| usize::try_from(index).ok());
        let count = list.len();
        let place = index.and_then(|index| list.get_mut(index));
        *place.ok_or_else(|| format!("{what} key {key} is no index of {count}"))? = value;
    }
    Ok(list)
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
