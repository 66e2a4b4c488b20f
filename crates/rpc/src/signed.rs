//! A signed transaction as `eth_signTransaction` gives it: its bytes, and its fields in geth's form, which differs from
//! that of a transaction in a block.

use alloy_consensus::{Transaction as _, TxEnvelope, Typed2718 as _};
use alloy_eips::{eip2718::Encodable2718 as _, eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use serde::Serialize;

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignedTransaction {
    raw: Bytes,
    tx: Fields,
}

/// Prices that a type does not have are `null`, other fields are left out.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    r#type: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<U64>,
    nonce: U64,
    to: Option<Address>,
    gas: U64,
    gas_price: Option<U128>,
    max_priority_fee_per_gas: Option<U128>,
    max_fee_per_gas: Option<U128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_blob_gas: Option<U128>,
    value: U256,
    input: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_list: Option<AccessList>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_versioned_hashes: Option<Vec<B256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_list: Option<Vec<SignedAuthorization>>,
    v: U256,
    r: U256,
    s: U256,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_parity: Option<U64>,
    hash: B256,
}

impl From<&TxEnvelope> for SignedTransaction {
    fn from(tx: &TxEnvelope) -> Self {
        let signature = tx.signature();
        let parity = u64::from(signature.v());
        let typed = !tx.is_legacy();
        let v = match tx.chain_id() {
            _ if typed => U256::from(parity),
            // EIP-155.
            Some(id) => U256::from(id) * U256::from(2) + U256::from(35 + parity),
            None => U256::from(27 + parity),
        };
        let fields = Fields {
            r#type: U64::from(tx.ty()),
            chain_id: tx.chain_id().map(U64::from),
            nonce: U64::from(tx.nonce()),
            to: tx.to(),
            gas: U64::from(tx.gas_limit()),
            gas_price: tx.gas_price().map(U128::from),
            max_priority_fee_per_gas: tx.max_priority_fee_per_gas().map(U128::from),
            max_fee_per_gas: tx.gas_price().is_none().then(|| U128::from(tx.max_fee_per_gas())),
            max_fee_per_blob_gas: tx.max_fee_per_blob_gas().map(U128::from),
            value: tx.value(),
            input: tx.input().clone(),
            access_list: tx.access_list().cloned(),
            blob_versioned_hashes: tx.blob_versioned_hashes().map(<[_]>::to_vec),
            authorization_list: tx.authorization_list().map(<[_]>::to_vec),
            v,
            r: signature.r(),
            s: signature.s(),
            y_parity: typed.then(|| U64::from(parity)),
            hash: *tx.tx_hash(),
        };
        Self { raw: tx.encoded_2718().into(), tx: fields }
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{TxEip1559, TxLegacy};
    use alloy_primitives::{TxKind, address, hex};
    use rushlight_keystore::UnlockedKey;
    use serde_json::json;

    use super::*;

    /// The example of EIP-155, in the fields that geth gives it.
    #[test]
    fn as_geth_has_it() {
        let key = UnlockedKey::from_bytes(&[0x46; 32]).unwrap();
        let legacy = TxLegacy {
            chain_id: Some(1),
            nonce: 9,
            gas_price: 20_000_000_000,
            gas_limit: 21_000,
            to: TxKind::Call(address!("3535353535353535353535353535353535353535")),
            value: U256::from(10_u64.pow(18)),
            input: Bytes::new(),
        };
        let signed = key.sign_transaction(legacy.into());
        assert_eq!(
            serde_json::to_value(SignedTransaction::from(&signed)).unwrap(),
            json!({
                "raw": "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
                "tx": {
                    "type": "0x0", "chainId": "0x1", "nonce": "0x9", "gas": "0x5208", "gasPrice": "0x4a817c800",
                    "to": "0x3535353535353535353535353535353535353535",
                    "maxPriorityFeePerGas": null, "maxFeePerGas": null, "value": "0xde0b6b3a7640000", "input": "0x",
                    "v": "0x25",
                    "r": "0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276",
                    "s": "0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
                    "hash": "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788"
                }
            })
        );
        let signed = key.sign_transaction(TxEip1559 { chain_id: 1, max_fee_per_gas: 2, ..Default::default() }.into());
        let json = serde_json::to_value(SignedTransaction::from(&signed)).unwrap();
        assert_eq!((&json["tx"]["gasPrice"], &json["tx"]["maxFeePerGas"]), (&json!(null), &json!("0x2")));
        assert_eq!((&json["tx"]["accessList"], &json["tx"]["to"]), (&json!([]), &json!(null)));
        assert_eq!(json["tx"]["v"], json["tx"]["yParity"]);
        assert_eq!(json["raw"], hex::encode_prefixed(signed.encoded_2718()));
    }
}
