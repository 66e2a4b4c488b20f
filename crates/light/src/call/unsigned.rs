//! The transaction that a request describes, unsigned: a simulated block has it, and geth names it by its hash in an error.

use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEip4844, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::Encodable;

use super::message::CallRequest;

/// A transaction without a signature, and its bytes.
pub(crate) struct Unsigned {
    pub(crate) envelope: TxEnvelope,
    /// As EIP-2718 has them. Of a legacy one they are not the envelope's own: its `v` is 0, which no signature has.
    pub(crate) raw: Bytes,
}

impl CallRequest {
    /// Whether any price is named.
    pub(crate) const fn names_price(&self) -> bool {
        self.gas_price.is_some()
            || self.max_fee_per_gas.is_some()
            || self.max_priority_fee_per_gas.is_some()
            || self.max_fee_per_blob_gas.is_some()
    }

    /// The unsigned transaction that this describes, with `gas_limit` and `nonce` (geth's `ToTransaction`). `base_fee`:
    /// whether its block has one.
    pub(crate) fn unsigned(&self, gas_limit: u64, nonce: u64, base_fee: bool, chain_id: u64) -> Unsigned {
        // Nobody can pay what does not fit.
        let low = |number: Option<U256>| number.unwrap_or_default().saturating_to::<u128>();
        let (to, value) = (self.to.map_or(TxKind::Create, TxKind::Call), self.value.unwrap_or_default());
        let input = self.input.clone().unwrap_or_default();
        if self.gas_price.is_some() || !base_fee {
            let gas_price = low(self.gas_price);
            return legacy(TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input });
        }
        let access_list = self.access_list.clone().unwrap_or_default();
        let (max_fee_per_gas, max_priority_fee_per_gas) =
            (low(self.max_fee_per_gas), low(self.max_priority_fee_per_gas));
        if let Some(authorization_list) = self.authorization_list.clone() {
            return typed(TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: self.to.unwrap_or_default(),
                value,
                access_list,
                authorization_list,
                input,
            });
        }
        if let Some(blob_versioned_hashes) = self.blob_versioned_hashes.clone() {
            return typed(TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: self.to.unwrap_or_default(),
                value,
                access_list,
                blob_versioned_hashes,
                max_fee_per_blob_gas: low(self.max_fee_per_blob_gas),
                input,
            });
        }
        typed(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        })
    }

    /// The hash of that transaction, as geth names it in an error.
    pub(crate) fn transaction_hash(&self, gas_limit: u64, nonce: u64, base_fee: bool, chain_id: u64) -> B256 {
        *self.unsigned(gas_limit, nonce, base_fee, chain_id).envelope.hash()
    }
}

fn nobody() -> Signature {
    Signature::new(U256::ZERO, U256::ZERO, false)
}

fn typed<T>(transaction: T) -> Unsigned
where
    T: SignableTransaction<Signature>,
    TxEnvelope: From<Signed<T>>,
{
    let envelope = TxEnvelope::from(transaction.into_signed(nobody()));
    Unsigned { raw: envelope.encoded_2718().into(), envelope }
}

fn legacy(transaction: TxLegacy) -> Unsigned {
    let mut fields = Vec::new();
    transaction.nonce.encode(&mut fields);
    transaction.gas_price.encode(&mut fields);
    transaction.gas_limit.encode(&mut fields);
    transaction.to.encode(&mut fields);
    transaction.value.encode(&mut fields);
    transaction.input.encode(&mut fields);
    // v, r and s
    fields.extend([alloy_rlp::EMPTY_STRING_CODE; 3]);
    let mut raw = Vec::with_capacity(fields.len() + 9);
    alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut raw);
    raw.extend(fields);
    let envelope = Signed::new_unchecked(transaction, nobody(), keccak256(&raw)).into();
    Unsigned { envelope, raw: raw.into() }
}
