//! The transaction that a request describes, unsigned: geth names one by its hash in an error.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxLegacy};
use alloy_primitives::{B256, Signature, TxKind, U256};
use alloy_rlp::Encodable;

use super::message::CallRequest;

impl CallRequest {
    /// Whether any price is named.
    pub(crate) const fn names_price(&self) -> bool {
        self.gas_price.is_some()
            || self.max_fee_per_gas.is_some()
            || self.max_priority_fee_per_gas.is_some()
            || self.max_fee_per_blob_gas.is_some()
    }

    /// The hash of the unsigned transaction that this describes, with `gas` and `nonce`, as geth names one in an error.
    pub(crate) fn transaction_hash(&self, gas_limit: u64, nonce: u64, base_fee: bool, chain_id: u64) -> B256 {
        let unsigned = Signature::new(U256::ZERO, U256::ZERO, false);
        let low = |number: Option<U256>| number.unwrap_or_default().saturating_to::<u128>();
        let (to, value) = (self.to.map_or(TxKind::Create, TxKind::Call), self.value.unwrap_or_default());
        let input = self.input.clone().unwrap_or_default();
        let access_list = self.access_list.clone().unwrap_or_default();
        let (max_fee_per_gas, max_priority_fee_per_gas) =
            (low(self.max_fee_per_gas), low(self.max_priority_fee_per_gas));
        let recipient = self.to.unwrap_or_default();
        if self.gas_price.is_some() || !base_fee {
            let gas_price = low(self.gas_price);
            let legacy = TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input };
            // An unsigned one has 0 for v too.
            return legacy_hash(&legacy);
        }
        if let Some(authorization_list) = self.authorization_list.clone() {
            let set_code = TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: recipient,
                value,
                access_list,
                authorization_list,
                input,
            };
            return *set_code.into_signed(unsigned).hash();
        }
        if let Some(blob_versioned_hashes) = self.blob_versioned_hashes.clone() {
            let blob = TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: recipient,
                value,
                access_list,
                blob_versioned_hashes,
                max_fee_per_blob_gas: low(self.max_fee_per_blob_gas),
                input,
            };
            return *blob.into_signed(unsigned).hash();
        }
        let dynamic = TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        };
        *dynamic.into_signed(unsigned).hash()
    }
}

/// The hash of an unsigned legacy transaction as geth has it: v, r and s are 0.
fn legacy_hash(transaction: &TxLegacy) -> B256 {
    let mut fields = Vec::new();
    transaction.nonce.encode(&mut fields);
    transaction.gas_price.encode(&mut fields);
    transaction.gas_limit.encode(&mut fields);
    transaction.to.encode(&mut fields);
    transaction.value.encode(&mut fields);
    transaction.input.encode(&mut fields);
    fields.extend([alloy_rlp::EMPTY_STRING_CODE; 3]);
    let mut raw = Vec::with_capacity(fields.len() + 9);
    alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut raw);
    raw.extend(fields);
    alloy_primitives::keccak256(raw)
}
