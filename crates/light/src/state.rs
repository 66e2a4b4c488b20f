//! Accounts, code and storage below one state root.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::TrieAccount;
use futures::future::try_join_all;
use rushlight_odr::{
    Source, Unavailable, Wanted, What,
    trie::{self, Lookup},
};

use crate::ClientError;

/// What `eth_getProof` tells of an account (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The account; all empty where it is proved to be absent.
    pub account: TrieAccount,
    /// The nodes from the state root down.
    pub account_proof: Vec<Bytes>,
    /// One for each slot asked for, in that order.
    pub storage: Vec<StorageProof>,
}

/// A slot's value with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// The slot, as asked for.
    pub key: B256,
    /// Its value; 0 where it is proved to be absent.
    pub value: U256,
    /// The nodes from the account's storage root down; empty for an empty storage.
    pub proof: Vec<Bytes>,
}

/// Walks that one proof runs side by side, so that one call takes no more than its share of the peers' time; walks of
/// one level share a message.
const MAX_WALKS: usize = 128;

pub(crate) async fn account(
    source: &dyn Source,
    root: B256,
    address: Address,
) -> Result<(Option<TrieAccount>, Vec<Bytes>), ClientError> {
    let what = What::AccountNode { root, address };
    let Lookup { value, proof } = trie::get(source, root, keccak256(address).as_slice(), what).await?;
    let account = value
        .map(|raw| {
            alloy_rlp::decode_exact::<TrieAccount>(&raw)
                .map_err(|error| ClientError::malformed(format!("account {address}"), error))
        })
        .transpose()?;
    Ok((account, proof))
}

/// The nodes on the path that `what` names, from its root down; none of an empty trie.
pub(crate) async fn path(source: &dyn Source, what: What) -> Result<Vec<Bytes>, ClientError> {
    let (root, key) = match what {
        What::AccountNode { root, address } => (root, keccak256(address)),
        What::StorageNode { root, slot, .. } => (root, keccak256(slot)),
        // Nothing else is a path.
        _ => return Ok(Vec::new()),
    };
    Ok(trie::get(source, root, key.as_slice(), what).await?.proof)
}

pub(crate) async fn code(source: &dyn Source, address: Address, hash: B256) -> Result<Bytes, ClientError> {
    // Nobody is asked for the hash of the empty string.
    if hash == KECCAK256_EMPTY {
        return Ok(Bytes::new());
    }
    let wanted = Wanted::new(hash, What::Code { address });
    let answer = source.preimages(vec![wanted.clone()]).await?;
    let nothing = || Unavailable { missing: vec![wanted], asked: Vec::new(), waited: std::time::Duration::ZERO };
    answer.into_iter().next().ok_or_else(|| nothing().into())
}

pub(crate) async fn storage(
    source: &dyn Source,
    root: B256,
    address: Address,
    slot: B256,
) -> Result<StorageProof, ClientError> {
    let what = What::StorageNode { root, address, slot };
    let Lookup { value, proof } = trie::get(source, root, keccak256(slot).as_slice(), what).await?;
    let value = match value {
        None => U256::ZERO,
        Some(raw) => alloy_rlp::decode_exact::<U256>(&raw)
            .map_err(|error| ClientError::malformed(format!("slot {slot} of {address}"), error))?,
    };
    Ok(StorageProof { key: slot, value, proof })
}

pub(crate) async fn proof(
    source: &dyn Source,
    root: B256,
    address: Address,
    slots: &[B256],
) -> Result<Proof, ClientError> {
    let (account, account_proof) = account(source, root, address).await?;
    let account = account.unwrap_or_default();
    let mut proofs = Vec::with_capacity(slots.len());
    for some in slots.chunks(MAX_WALKS) {
        let walks = some.iter().map(|slot| storage(source, account.storage_root, address, *slot));
        proofs.extend(try_join_all(walks).await?);
    }
    Ok(Proof { account, account_proof, storage: proofs })
}
