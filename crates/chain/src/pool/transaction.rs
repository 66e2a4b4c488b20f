//! One transaction as a pool holds it.

use alloy_consensus::transaction::{PooledTransaction, SignerRecoverable};
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, U256};

use super::PoolError;

/// A transaction in its network form, with its sender. A blob transaction has its sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolTransaction {
    inner: PooledTransaction,
    sender: Address,
    raw: Bytes,
}

impl PoolTransaction {
    /// Decodes exactly `raw` and recovers the sender. What is not the one encoding of what it says is refused.
    pub fn decode(raw: Bytes) -> Result<Self, PoolError> {
        let inner = PooledTransaction::decode_2718_exact(&raw).map_err(|error| match error {
            Eip2718Error::UnexpectedType(_) => PoolError::TypeNotSupported(String::new()),
            // Blob transactions have two forms; where the other one decodes, that is what was given.
            _ if TxEnvelope::decode_2718_exact(&raw).is_ok_and(|tx| tx.is_eip4844()) => PoolError::NoSidecar,
            other => PoolError::Malformed(other.to_string()),
        })?;
        if inner.encoded_2718() != raw {
            return Err(PoolError::Malformed("transaction is not in its canonical form".to_owned()));
        }
        let sender = inner.recover_signer().map_err(|error| PoolError::InvalidSender(error.to_string()))?;
        Ok(Self { inner, sender, raw })
    }

    /// The transaction, decoded.
    pub fn tx(&self) -> &PooledTransaction {
        &self.inner
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.sender
    }

    /// Its hash: of a blob transaction, of the form without sidecar.
    pub fn hash(&self) -> B256 {
        *self.inner.tx_hash()
    }

    /// The bytes that peers are sent.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// As it stands in a block: blobs stay behind.
    pub fn to_block(&self) -> TxEnvelope {
        match &self.inner {
            PooledTransaction::Legacy(tx) => TxEnvelope::Legacy(tx.clone()),
            PooledTransaction::Eip2930(tx) => TxEnvelope::Eip2930(tx.clone()),
            PooledTransaction::Eip1559(tx) => TxEnvelope::Eip1559(tx.clone()),
            PooledTransaction::Eip7702(tx) => TxEnvelope::Eip7702(tx.clone()),
            PooledTransaction::Eip4844(tx) => {
                let (tx, signature, hash) = tx.clone().into_parts();
                let tx = alloy_consensus::TxEip4844Variant::TxEip4844(tx.tx);
                TxEnvelope::Eip4844(alloy_consensus::Signed::new_unchecked(tx, signature, hash))
            }
        }
    }

    /// The most that it can take from its sender: gas and blob gas at their highest price, and the value.
    pub fn cost(&self) -> U256 {
        let gas = U256::from(self.inner.gas_limit()).saturating_mul(U256::from(self.inner.max_fee_per_gas()));
        let blobs = U256::from(self.inner.blob_gas_used().unwrap_or_default())
            .saturating_mul(U256::from(self.inner.max_fee_per_blob_gas().unwrap_or_default()));
        gas.saturating_add(blobs).saturating_add(self.inner.value())
    }
}
