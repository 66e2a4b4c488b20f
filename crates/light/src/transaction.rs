//! One transaction of a block, and its receipt. Where it stands is looked up, or told by whoever keeps it; that it does
//! stand there is proved by the block's body.

use alloy_consensus::{
    ReceiptEnvelope, Transaction as _, TxEnvelope, TxReceipt,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::{BlockId, RpcBlockHash, eip2718::Decodable2718};
use alloy_primitives::{B256, Bytes, keccak256};
use rushlight_chain::{SealedHeader, blob_base_fee};
use rushlight_odr::{Location, What, trie, trie::Lookup};

use crate::{ClientError, LightClient};

/// A transaction in its canonical block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mined {
    /// The block's verified header.
    pub header: SealedHeader,
    /// The index among the block's transactions.
    pub index: u64,
    /// The transaction, with the sender recovered from its signature.
    pub transaction: Recovered<TxEnvelope>,
    /// The transaction as it stands in the block (EIP-2718).
    pub raw: Bytes,
}

/// A receipt with what is derived from its neighbours and its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedReceipt {
    /// The receipt as the receipt trie has it.
    pub receipt: ReceiptEnvelope,
    /// Gas of this transaction alone.
    pub gas_used: u64,
    /// What a unit of gas cost.
    pub effective_gas_price: u128,
    /// What a unit of blob gas cost; `None` where the transaction has no blobs.
    pub blob_gas_price: Option<u128>,
    /// The index of its first log among those of the block.
    pub first_log: u64,
}

/// The nodes that prove a transaction and its receipt, each from its root down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The key in both tries: the RLP of the transaction's index.
    pub key: Bytes,
    /// The path in the transaction trie.
    pub transaction: Vec<Bytes>,
    /// The path in the receipt trie.
    pub receipt: Vec<Bytes>,
}

impl LightClient {
    /// The transaction of that hash in its canonical block, where it is known in which one it stands: its body is held, or
    /// `told` says so. `None` means "not known here": only a walk through every block could tell that there is none.
    pub async fn transaction(&self, hash: &B256, told: Option<Location>) -> Result<Option<Mined>, ClientError> {
        let mut places = self.source().locate(hash);
        places.extend(told.filter(|told| !places.contains(told)));
        for place in places {
            let named = RpcBlockHash { block_hash: place.block, require_canonical: Some(true) };
            let header = match self.resolve(BlockId::Hash(named)).await {
                Ok(header) => header,
                Err(ClientError::NotCanonical(_) | ClientError::UnknownHash(_)) => continue,
                Err(error) => return Err(error),
            };
            if let Some(found) = self.transaction_at(header, place.index, hash).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn transaction_at(
        &self,
        header: SealedHeader,
        index: u64,
        hash: &B256,
    ) -> Result<Option<Mined>, ClientError> {
        let body = self.source().body(&header).await?;
        let raw = usize::try_from(index).ok().and_then(|index| body.transactions.get(index));
        let Some(raw) = raw.filter(|raw| keccak256(raw) == *hash).cloned() else { return Ok(None) };
        let what = || format!("transaction {index} of block {}", header.number);
        let transaction = TxEnvelope::decode_2718_exact(&raw)
            .map_err(|error| ClientError::malformed(what(), error))?
            .try_into_recovered_unchecked()
            .map_err(|error| ClientError::malformed(what(), error))?;
        Ok(Some(Mined { header, index, transaction, raw }))
    }

    /// The receipt of a transaction. All receipts of its block are read: what one transaction used is the difference to
    /// the one before it, and its logs count on from those before.
    pub async fn receipt(&self, mined: &Mined) -> Result<MinedReceipt, ClientError> {
        let receipts = self.receipts(&mined.header).await?;
        self.derive(&mined.header, &receipts, mined.index, &mined.transaction)
    }

    /// The receipts of a block's transactions, which must be all that it has, in their order.
    pub async fn block_receipts(
        &self,
        header: &SealedHeader,
        transactions: &[Recovered<TxEnvelope>],
    ) -> Result<Vec<MinedReceipt>, ClientError> {
        let receipts = self.receipts(header).await?;
        if receipts.len() != transactions.len() {
            return Err(mismatch(header, transactions.len(), receipts.len()));
        }
        (0..).zip(transactions).map(|(index, tx)| self.derive(header, &receipts, index, tx)).collect()
    }

    fn derive(
        &self,
        header: &SealedHeader,
        receipts: &[ReceiptEnvelope],
        index: u64,
        transaction: &Recovered<TxEnvelope>,
    ) -> Result<MinedReceipt, ClientError> {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let Some((receipt, before)) = receipts.get(place).map(|receipt| (receipt, &receipts[..place])) else {
            return Err(mismatch(header, place.saturating_add(1), receipts.len()));
        };
        let used_before = before.last().map_or(0, TxReceipt::cumulative_gas_used);
        let blob_gas_price = transaction.is_eip4844().then(|| self.blob_gas_price(header));
        Ok(MinedReceipt {
            receipt: receipt.clone(),
            gas_used: receipt.cumulative_gas_used().saturating_sub(used_before),
            effective_gas_price: transaction.effective_gas_price(header.base_fee_per_gas),
            blob_gas_price: blob_gas_price.flatten(),
            first_log: before.iter().map(|receipt| receipt.logs().len() as u64).sum(),
        })
    }

    fn blob_gas_price(&self, header: &SealedHeader) -> Option<u128> {
        let params = self.spec().forks.blob_params(header.number, header.timestamp)?;
        Some(blob_base_fee(&params, header.excess_blob_gas?))
    }

    /// The paths that prove a transaction and its receipt against the roots in its header.
    pub async fn inclusion_proof(&self, header: &SealedHeader, index: u64) -> Result<InclusionProof, ClientError> {
        let (block, key) = (header.hash(), Bytes::from(alloy_rlp::encode(index)));
        let (source, path) = (&**self.source(), |found: Result<Lookup, _>| found.map(|found: Lookup| found.proof));
        let (transaction, receipt) = futures::join!(
            trie::get(source, header.transactions_root, &key, What::TransactionNode { block }),
            trie::get(source, header.receipts_root, &key, What::ReceiptNode { block }),
        );
        Ok(InclusionProof { key, transaction: path(transaction)?, receipt: path(receipt)? })
    }
}

fn mismatch(header: &SealedHeader, transactions: usize, receipts: usize) -> ClientError {
    let reason = format!("it has {receipts} entries for {transactions} transactions");
    ClientError::malformed(format!("the receipt trie of block {}", header.number), reason)
}
