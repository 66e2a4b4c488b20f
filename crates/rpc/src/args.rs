//! A transaction as a caller describes it, to be filled in and signed: geth's `TransactionArgs`.

use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip7702, TxLegacy, TypedTransaction};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use rushlight_light::call::CallRequest;

use crate::{messages::Object, params::Argument};

/// Most blobs of a transaction that geth's JSON-RPC takes.
const MAX_BLOBS: usize = 6;

/// What a caller says; the rest is worked out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TransactionArgs {
    pub(crate) from: Option<Address>,
    pub(crate) to: Option<Address>,
    pub(crate) gas: Option<u64>,
    pub(crate) gas_price: Option<u128>,
    pub(crate) max_fee_per_gas: Option<u128>,
    pub(crate) max_priority_fee_per_gas: Option<u128>,
    pub(crate) value: Option<U256>,
    pub(crate) nonce: Option<u64>,
    pub(crate) data: Option<Bytes>,
    pub(crate) input: Option<Bytes>,
    pub(crate) access_list: Option<AccessList>,
    pub(crate) chain_id: Option<U256>,
    pub(crate) max_fee_per_blob_gas: Option<u128>,
    pub(crate) blob_versioned_hashes: Option<Vec<B256>>,
    pub(crate) authorization_list: Option<Vec<SignedAuthorization>>,
    /// Whether blobs themselves are given, which no method here takes.
    pub(crate) blobs: bool,
}

/// Why no transaction comes of it. geth's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("maxFeePerBlobGas, if specified, must be non-zero")]
    ZeroBlobFee,
    #[error("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")]
    BothPrices,
    #[error("both gasPrice and authorizationList specified")]
    PriceAndAuthorizations,
    #[error("both gasPrice and blobVersionedHashes specified")]
    PriceAndBlobs,
    #[error("maxFeePerGas must be non-zero")]
    ZeroFee,
    #[error("maxFeePerGas ({fee:#x}) < maxPriorityFeePerGas ({tip:#x})")]
    TipAboveFee { fee: u128, tip: u128 },
    #[error("gasPrice must be non-zero after london fork")]
    ZeroPrice,
    #[error("maxFeePerGas and maxPriorityFeePerGas are not valid before London is active")]
    BeforeLondon,
    #[error(r#"both "data" and "input" are set and not equal. Please use "input" to pass transaction call data"#)]
    DataAndInput,
    #[error("need at least 1 blob for a blob transaction")]
    NoBlobs,
    #[error("too many blobs in transaction (have={have}, max={max})")]
    TooManyBlobs { have: usize, max: usize },
    #[error(r#"missing "to" in blob transaction"#)]
    BlobCreate,
    #[error("contract creation without any data provided")]
    EmptyCreate,
    #[error(r#"authorizationList provided for contract creation, but "to" field is missing"#)]
    SetCodeCreate,
    #[error("chainId does not match node's (have={have}, want={want})")]
    ChainId { have: U256, want: u64 },
    #[error(r#""blobs" is not supported for this RPC method"#)]
    Blobs,
}

impl TransactionArgs {
    /// The sender; the zero address where none is named, as in geth.
    pub(crate) fn sender(&self) -> Address {
        self.from.unwrap_or_default()
    }

    /// The call data: `input`, or else `data`.
    pub(crate) fn input(&self) -> Bytes {
        self.input.clone().or_else(|| self.data.clone()).unwrap_or_default()
    }

    /// Whether it is a blob transaction's.
    pub(crate) fn is_blob(&self) -> bool {
        self.blob_versioned_hashes.is_some() || self.max_fee_per_blob_gas.is_some()
    }

    /// The message whose gas is to be estimated.
    pub(crate) fn call(&self) -> CallRequest {
        CallRequest {
            from: self.from,
            to: self.to,
            gas_price: self.gas_price.map(U256::from),
            max_fee_per_gas: self.max_fee_per_gas.map(U256::from),
            max_priority_fee_per_gas: self.max_priority_fee_per_gas.map(U256::from),
            value: self.value,
            input: Some(self.input()),
            access_list: self.access_list.clone(),
            max_fee_per_blob_gas: self.max_fee_per_blob_gas.map(U256::from),
            blob_versioned_hashes: self.blob_versioned_hashes.clone(),
            authorization_list: self.authorization_list.clone(),
            ..CallRequest::default()
        }
    }

    /// What is wrong with the fees that are given, and whether any are missing. `london`: whether blocks have a base fee.
    pub(crate) fn check_fees(&self, london: bool) -> Result<bool, ArgsError> {
        if self.max_fee_per_blob_gas == Some(0) {
            return Err(ArgsError::ZeroBlobFee);
        }
        let (price, fee, tip) = (self.gas_price, self.max_fee_per_gas, self.max_priority_fee_per_gas);
        if price.is_some() && (fee.is_some() || tip.is_some()) {
            return Err(ArgsError::BothPrices);
        }
        if price.is_some() && self.authorization_list.is_some() {
            return Err(ArgsError::PriceAndAuthorizations);
        }
        // geth forgets the blobs here and signs a transaction of another type.
        if price.is_some() && self.blob_versioned_hashes.is_some() {
            return Err(ArgsError::PriceAndBlobs);
        }
        match (price, fee, tip) {
            (_, Some(0), Some(_)) => Err(ArgsError::ZeroFee),
            (_, Some(fee), Some(tip)) if fee < tip => Err(ArgsError::TipAboveFee { fee, tip }),
            (_, Some(_), Some(_)) => Ok(false),
            (Some(0), _, _) if london => Err(ArgsError::ZeroPrice),
            (Some(_), _, _) => Ok(false),
            (None, None, None) => Ok(true),
            (None, _, _) if !london => Err(ArgsError::BeforeLondon),
            (None, _, _) => Ok(true),
        }
    }

    /// What is wrong with the rest of it, in geth's order.
    pub(crate) fn check_rest(&self) -> Result<(), ArgsError> {
        if let (Some(data), Some(input)) = (&self.data, &self.input)
            && data != input
        {
            return Err(ArgsError::DataAndInput);
        }
        if let Some(hashes) = &self.blob_versioned_hashes {
            if hashes.is_empty() {
                return Err(ArgsError::NoBlobs);
            }
            if hashes.len() > MAX_BLOBS {
                return Err(ArgsError::TooManyBlobs { have: hashes.len(), max: MAX_BLOBS });
            }
        }
        if self.to.is_some() {
            return Ok(());
        }
        if self.blob_versioned_hashes.is_some() {
            return Err(ArgsError::BlobCreate);
        }
        if self.input().is_empty() {
            return Err(ArgsError::EmptyCreate);
        }
        if self.authorization_list.is_some() {
            return Err(ArgsError::SetCodeCreate);
        }
        Ok(())
    }

    /// That it is for this chain, if it says for which.
    pub(crate) fn check_chain(&self, want: u64) -> Result<(), ArgsError> {
        match self.chain_id {
            Some(have) if have != U256::from(want) => Err(ArgsError::ChainId { have, want }),
            _ => Ok(()),
        }
    }

    /// The transaction, of the type that its fields call for. Everything is filled in by now; what is not, is 0.
    pub(crate) fn transaction(self, chain_id: u64) -> TypedTransaction {
        let input = self.input();
        let (nonce, gas_limit) = (self.nonce.unwrap_or_default(), self.gas.unwrap_or_default());
        let value = self.value.unwrap_or_default();
        let kind = self.to.map_or(TxKind::Create, TxKind::Call);
        let to = self.to.unwrap_or_default();
        if let Some(gas_price) = self.gas_price {
            // geth forgets the access list here.
            return match self.access_list {
                Some(access_list) => {
                    TxEip2930 { chain_id, nonce, gas_price, gas_limit, to: kind, value, access_list, input }.into()
                }
                None => {
                    TxLegacy { chain_id: Some(chain_id), nonce, gas_price, gas_limit, to: kind, value, input }.into()
                }
            };
        }
        let max_fee_per_gas = self.max_fee_per_gas.unwrap_or_default();
        let max_priority_fee_per_gas = self.max_priority_fee_per_gas.unwrap_or_default();
        let access_list = self.access_list.unwrap_or_default();
        if let Some(authorization_list) = self.authorization_list {
            return TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                authorization_list,
                input,
            }
            .into();
        }
        if let Some(blob_versioned_hashes) = self.blob_versioned_hashes {
            return TypedTransaction::Eip4844(TxEip4844Variant::TxEip4844(TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                blob_versioned_hashes,
                max_fee_per_blob_gas: self.max_fee_per_blob_gas.unwrap_or_default(),
                input,
            }));
        }
        TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: kind,
            value,
            access_list,
            input,
        }
        .into()
    }
}

impl Argument for TransactionArgs {
    fn read(json: &str) -> Result<Self, String> {
        let (call, object) = (CallRequest::read(json)?, Object::read(json)?);
        Ok(Self {
            from: call.from,
            to: call.to,
            gas: call.gas,
            gas_price: fee("gasPrice", call.gas_price)?,
            max_fee_per_gas: fee("maxFeePerGas", call.max_fee_per_gas)?,
            max_priority_fee_per_gas: fee("maxPriorityFeePerGas", call.max_priority_fee_per_gas)?,
            value: call.value,
            nonce: call.nonce,
            data: object.get("data")?,
            input: object.get("input")?,
            access_list: call.access_list,
            chain_id: call.chain_id,
            max_fee_per_blob_gas: fee("maxFeePerBlobGas", call.max_fee_per_blob_gas)?,
            blob_versioned_hashes: call.blob_versioned_hashes,
            authorization_list: call.authorization_list,
            blobs: object.get::<Something>("blobs")?.is_some(),
        })
    }
}

/// A price in wei. None that anybody could pay has more than 128 bits.
fn fee(name: &str, fee: Option<U256>) -> Result<Option<u128>, String> {
    fee.map(u128::try_from).transpose().map_err(|_| format!("{name}: hex number > 128 bits"))
}

/// Whatever stands there.
struct Something;

impl Argument for Something {
    fn read(_: &str) -> Result<Self, String> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::TxType;
    use serde_json::{Value, json};

    use super::*;

    const TO: &str = "0x00000000000000000000000000000000000000aa";

    fn read(json: Value) -> TransactionArgs {
        TransactionArgs::read(&json.to_string()).unwrap()
    }

    #[test]
    fn fields_are_read_as_strictly_as_geth_reads_them() {
        for (json, why) in [
            (json!({"gas": 21000}), "gas: expected a string"),
            (json!({"gas": "21000"}), "gas: hex string without 0x prefix"),
            (json!({"gas": "0x05"}), "gas: hex number with leading zero digits"),
            (json!({"gas": "0x10000000000000000"}), "gas: hex number > 64 bits"),
            (json!({"value": format!("0x1{}", "0".repeat(64))}), "value: hex number > 256 bits"),
            (json!({"maxFeePerGas": format!("0x1{}", "0".repeat(32))}), "maxFeePerGas: hex number > 128 bits"),
            (json!({"to": "0x12"}), "to: hex string has length 2, want 40"),
            (json!({"input": "0x1"}), "input: hex string of odd length"),
            (json!({"blobVersionedHashes": ["0x01"]}), "blobVersionedHashes: [0]: hex string has length 2, want 64"),
        ] {
            assert_eq!(TransactionArgs::read(&json.to_string()).unwrap_err(), why);
        }
        let value = U256::MAX;
        let args = read(json!({"from": TO, "to": null, "value": value, "data": "0x01", "unknown": 1}));
        assert_eq!((args.value, args.to, args.input()), (Some(value), None, Bytes::from_static(&[1])));
    }

    #[test]
    fn types() {
        let list = json!([{"address": TO, "storageKeys": []}]);
        let authorization =
            json!([{"chainId": "0x1", "address": TO, "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1"}]);
        let hash = format!("0x01{}", "0".repeat(62));
        for (json, want) in [
            (json!({"gasPrice": "0x1"}), TxType::Legacy),
            (json!({"gasPrice": "0x1", "accessList": list}), TxType::Eip2930),
            (json!({"maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1", "accessList": list}), TxType::Eip1559),
            (json!({"maxFeePerGas": "0x2", "to": TO, "blobVersionedHashes": [hash]}), TxType::Eip4844),
            (json!({"maxFeePerGas": "0x2", "to": TO, "authorizationList": authorization}), TxType::Eip7702),
        ] {
            assert_eq!(read(json).transaction(1).tx_type(), want);
        }
    }

    #[test]
    fn contradictions_in_geths_words() {
        let fees = |json: Value, london| read(json).check_fees(london).map_err(|error| error.to_string());
        let refused = |text: &str| Err(text.to_owned());
        assert_eq!(fees(json!({}), true), Ok(true));
        assert_eq!(fees(json!({}), false), Ok(true));
        assert_eq!(fees(json!({"gasPrice": "0x1"}), true), Ok(false));
        assert_eq!(fees(json!({"gasPrice": "0x0"}), false), Ok(false));
        assert_eq!(fees(json!({"gasPrice": "0x0"}), true), refused("gasPrice must be non-zero after london fork"));
        assert_eq!(fees(json!({"maxFeePerGas": "0x1"}), true), Ok(true));
        assert_eq!(
            fees(json!({"maxFeePerGas": "0x1"}), false),
            refused("maxFeePerGas and maxPriorityFeePerGas are not valid before London is active")
        );
        assert_eq!(fees(json!({"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x1"}), false), Ok(false));
        assert_eq!(
            fees(json!({"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}), true),
            refused("maxFeePerGas (0x1) < maxPriorityFeePerGas (0x2)")
        );
        assert_eq!(
            fees(json!({"maxFeePerGas": "0x0", "maxPriorityFeePerGas": "0x0"}), true),
            refused("maxFeePerGas must be non-zero")
        );
        assert_eq!(
            fees(json!({"gasPrice": "0x1", "maxFeePerGas": "0x1"}), true),
            refused("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
        );
        assert_eq!(
            fees(json!({"gasPrice": "0x1", "authorizationList": []}), true),
            refused("both gasPrice and authorizationList specified")
        );
        assert_eq!(
            fees(json!({"maxFeePerBlobGas": "0x0"}), true),
            refused("maxFeePerBlobGas, if specified, must be non-zero")
        );

        let rest = |json: Value| read(json).check_rest().unwrap_err().to_string();
        assert_eq!(rest(json!({})), "contract creation without any data provided");
        assert_eq!(
            rest(json!({"to": TO, "data": "0x01", "input": "0x02"})),
            r#"both "data" and "input" are set and not equal. Please use "input" to pass transaction call data"#
        );
        assert_eq!(rest(json!({"to": TO, "blobVersionedHashes": []})), "need at least 1 blob for a blob transaction");
        let hashes = vec![B256::ZERO; 7];
        assert_eq!(
            rest(json!({"to": TO, "blobVersionedHashes": hashes})),
            "too many blobs in transaction (have=7, max=6)"
        );
        assert_eq!(rest(json!({"blobVersionedHashes": [B256::ZERO]})), r#"missing "to" in blob transaction"#);
        assert_eq!(
            rest(json!({"input": "0x01", "authorizationList": []})),
            r#"authorizationList provided for contract creation, but "to" field is missing"#
        );
        assert_eq!(
            read(json!({"chainId": "0x5"})).check_chain(1).unwrap_err().to_string(),
            "chainId does not match node's (have=5, want=1)"
        );
    }
}
