//! One transaction as a pool holds it.

use alloy_consensus::crypto::secp256k1::recover_signer;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{EthereumTxEnvelope, Signed, Transaction, TxEip4844WithSidecar, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error, Encodable2718};
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_primitives::{Address, B256, Bytes, U256};

use super::PoolError;

/// The network form of every type; sidecars of both versions.
pub type PooledTransaction = EthereumTxEnvelope<TxEip4844WithSidecar<BlobTransactionSidecarVariant>>;

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
        // Of what can be wrong with a signature geth names all but the curve's own failure like this.
        let invalid = |_| PoolError::InvalidSender("invalid transaction v, r, s values".to_owned());
        let sender = inner.recover_signer().map_err(invalid)?;
        Ok(Self { inner, sender, raw })
    }

    /// The same blob transaction with another sidecar. Hash and sender do not depend on it.
    pub(super) fn with_sidecar(self, sidecar: BlobTransactionSidecarVariant) -> Self {
        let PooledTransaction::Eip4844(signed) = self.inner else { return self };
        let (mut tx, signature, hash) = signed.into_parts();
        tx.sidecar = sidecar;
        let inner = PooledTransaction::Eip4844(Signed::new_unchecked(tx, signature, hash));
        let raw = inner.encoded_2718().into();
        Self { inner, sender: self.sender, raw }
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
                TxEnvelope::Eip4844(Signed::new_unchecked(tx, signature, hash))
            }
        }
    }

    /// The blobs and what proves them, of a blob transaction.
    pub fn sidecar(&self) -> Option<&BlobTransactionSidecarVariant> {
        self.inner.as_eip4844().map(|signed| &signed.tx().sidecar)
    }

    /// The most that it pays for gas, in wei.
    pub fn fee_cap(&self) -> u128 {
        self.inner.max_fee_per_gas()
    }

    /// The most that it leaves to whoever makes the block, in wei per gas; before EIP-1559 that is the whole price.
    pub fn tip_cap(&self) -> u128 {
        self.inner.max_priority_fee_per_gas().unwrap_or_else(|| self.inner.max_fee_per_gas())
    }

    /// What it leaves to whoever makes a block with this base fee, in wei per gas; nothing where it cannot pay that fee.
    pub fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        Some(self.fee_cap().checked_sub(base_fee.into())?.min(self.tip_cap()))
    }

    /// Who lets their account be delegated by it (EIP-7702). A signature that recovers to nobody delegates nothing.
    pub fn authorities(&self) -> impl Iterator<Item = Address> + '_ {
        let list = self.inner.authorization_list().into_iter().flatten();
        list.filter_map(|signed| recover_signer(&signed.signature().ok()?, signed.signature_hash()).ok())
    }

    /// The most that it can take from its sender: gas and blob gas at their highest price, and the value.
    pub fn cost(&self) -> U256 {
        let gas = U256::from(self.inner.gas_limit()).saturating_mul(U256::from(self.inner.max_fee_per_gas()));
        let blobs = U256::from(self.inner.blob_gas_used().unwrap_or_default())
            .saturating_mul(U256::from(self.inner.max_fee_per_blob_gas().unwrap_or_default()));
        gas.saturating_add(blobs).saturating_add(self.inner.value())
    }
}
