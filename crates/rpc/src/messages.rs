//! Objects in parameter lists: messages, overrides, access lists, authorizations.
//!
//! Read field by field, so that each value is as strict as where it stands alone, and an error names its field. As in
//! geth unknown fields are passed over, and a field may be written in any case.

use std::collections::{BTreeMap, HashMap};

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use rushlight_light::call::{AccountOverride, BlockOverrides, CallRequest, StateOverrides};
use serde_json::value::RawValue;

use crate::params::{Argument, Number, Quantity};

/// The fields of an object, their names in lower case.
pub(crate) struct Object<'a>(HashMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    pub(crate) fn read(json: &'a str) -> Result<Self, String> {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(json).map_err(|_| "expected an object".to_owned())?;
        Ok(Self(fields.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()))
    }

    /// A field, or `None` where it is absent or `null`.
    pub(crate) fn get<T: Argument>(&self, name: &str) -> Result<Option<T>, String> {
        match self.0.get(&name.to_lowercase()).map(|raw| raw.get()) {
            None | Some("null") => Ok(None),
            Some(json) => T::read(json).map(Some).map_err(|why| format!("{name}: {why}")),
        }
    }

    /// A field that has to be there.
    fn required<T: Argument>(&self, name: &str) -> Result<T, String> {
        self.get(name)?.ok_or_else(|| format!("missing required field '{name}'"))
    }

    fn quantity(&self, name: &str) -> Result<Option<u64>, String> {
        Ok(self.get::<Quantity>(name)?.map(|Quantity(number)| number))
    }

    fn number(&self, name: &str) -> Result<Option<U256>, String> {
        Ok(self.get::<Number>(name)?.map(|Number(number)| number))
    }
}

impl Argument for CallRequest {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        // "data" is the older name of "input", which is preferred.
        let (input, data) = (object.get::<Bytes>("input")?, object.get::<Bytes>("data")?);
        Ok(Self {
            from: object.get("from")?,
            to: object.get("to")?,
            gas: object.quantity("gas")?,
            gas_price: object.number("gasPrice")?,
            max_fee_per_gas: object.number("maxFeePerGas")?,
            max_priority_fee_per_gas: object.number("maxPriorityFeePerGas")?,
            value: object.number("value")?,
            nonce: object.quantity("nonce")?,
            input: input.or(data),
            access_list: object.get("accessList")?,
            chain_id: object.number("chainId")?,
            max_fee_per_blob_gas: object.number("maxFeePerBlobGas")?,
            blob_versioned_hashes: object.get("blobVersionedHashes")?,
            authorization_list: object.get("authorizationList")?,
        })
    }
}

/// A list of what can stand alone. An error names the place.
pub(crate) fn list<T: Argument>(json: &str) -> Result<Vec<T>, String> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| "expected an array".to_owned())?;
    let read = |(index, raw): (usize, &&RawValue)| T::read(raw.get()).map_err(|why| format!("[{index}]: {why}"));
    items.iter().enumerate().map(read).collect()
}

impl Argument for Vec<B256> {
    fn read(json: &str) -> Result<Self, String> {
        list(json)
    }
}

impl Argument for AccessList {
    fn read(json: &str) -> Result<Self, String> {
        list(json).map(Self)
    }
}

impl Argument for AccessListItem {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        Ok(Self { address: object.required("address")?, storage_keys: object.required("storageKeys")? })
    }
}

impl Argument for Vec<SignedAuthorization> {
    fn read(json: &str) -> Result<Self, String> {
        list(json)
    }
}

impl Argument for SignedAuthorization {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        let Quantity(parity) = object.required("yParity")?;
        let parity = u8::try_from(parity).map_err(|_| "yParity: hex number > 8 bits".to_owned())?;
        let Quantity(nonce) = object.required("nonce")?;
        let number = |name| object.required::<Number>(name).map(|Number(number)| number);
        let chain_id = number("chainId")?;
        let inner = Authorization { chain_id, address: object.required("address")?, nonce };
        Ok(Self::new_unchecked(inner, parity, number("r")?, number("s")?))
    }
}

impl Argument for StateOverrides {
    fn read(json: &str) -> Result<Self, String> {
        map(json)
    }
}

impl Argument for AccountOverride {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        Ok(Self {
            balance: object.number("balance")?,
            nonce: object.quantity("nonce")?,
            code: object.get("code")?,
            state: object.get("state")?,
            state_diff: object.get("stateDiff")?,
            move_precompile_to: object.get("movePrecompileToAddress")?,
        })
    }
}

impl Argument for BTreeMap<B256, B256> {
    fn read(json: &str) -> Result<Self, String> {
        map(json)
    }
}

/// An object whose names are values themselves.
fn map<K: Argument + Ord, V: Argument>(json: &str) -> Result<BTreeMap<K, V>, String> {
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(json).map_err(|_| "expected an object".to_owned())?;
    let read = |(name, raw): (String, &RawValue)| {
        let key = K::read(&serde_json::Value::String(name.clone()).to_string())?;
        let value = V::read(raw.get()).map_err(|why| format!("{name}: {why}"))?;
        Ok((key, value))
    };
    fields.into_iter().map(read).collect()
}

impl Argument for BlockOverrides {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        Ok(Self {
            number: object.number("number")?,
            difficulty: object.number("difficulty")?,
            time: object.quantity("time")?,
            gas_limit: object.quantity("gasLimit")?,
            fee_recipient: object.get::<Address>("feeRecipient")?,
            prev_randao: object.get("prevRandao")?,
            base_fee_per_gas: object.number("baseFeePerGas")?,
            blob_base_fee: object.number("blobBaseFee")?,
            beacon_root: object.get("beaconRoot")?,
            withdrawals: object.0.get("withdrawals").is_some_and(|raw| raw.get() != "null"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages() {
        let read = CallRequest::read;
        let to = "0x00000000000000000000000000000000000000c0";
        let request = read(&format!(
            r#"{{"to":"{to}","data":"0x01","INPUT":"0x02","gas":"0x5208","value":"0x{}","unknown":[1],"from":null}}"#,
            "f".repeat(64)
        ))
        .unwrap();
        assert_eq!(request.to, Some(to.parse().unwrap()));
        assert_eq!(request.input, Some(Bytes::from_static(&[2])), "input goes before data");
        assert_eq!((request.gas, request.value, request.from), (Some(21_000), Some(U256::MAX), None));
        for (json, why) in [
            ("[]", "expected an object"),
            (r#"{"from":"0x12"}"#, "from: hex string has length 2, want 40"),
            (r#"{"gas":"0x01"}"#, "gas: hex number with leading zero digits"),
            (r#"{"gas":21000}"#, "gas: expected a string"),
            (
                r#"{"value":"0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}"#,
                "value: hex number > 256 bits",
            ),
            (r#"{"accessList":[{"storageKeys":[]}]}"#, "accessList: [0]: missing required field 'address'"),
            (r#"{"authorizationList":[{}]}"#, "authorizationList: [0]: missing required field 'yParity'"),
        ] {
            assert_eq!(read(json), Err(why.to_owned()), "{json}");
        }
    }

    #[test]
    fn overrides() {
        let key = B256::with_last_byte(1);
        let address = Address::with_last_byte(0xc0);
        let json = format!(
            r#"{{"{address}":{{"balance":"0x1","nonce":"0x2","code":"0x60","stateDiff":{{"{key}":"{key}"}}}}}}"#
        );
        let overrides = StateOverrides::read(&json).unwrap();
        let account = &overrides[&address];
        assert_eq!((account.balance, account.nonce), (Some(U256::from(1)), Some(2)));
        assert_eq!(account.state_diff.as_ref().unwrap()[&key], key);
        assert!(StateOverrides::read(r#"{"0x1":{}}"#).is_err());
        assert!(StateOverrides::read(&format!(r#"{{"{address}":{{"state":{{"0x1":"{key}"}}}}}}"#)).is_err());

        let block = BlockOverrides::read(r#"{"number":"0x10","Time":"0x20","withdrawals":[]}"#).unwrap();
        assert_eq!((block.number, block.time, block.withdrawals), (Some(U256::from(16)), Some(32), true));
    }

    proptest! {
        #[test]
        fn nothing_panics(json in ".{0,90}") {
            let _ = CallRequest::read(&json);
            let _ = StateOverrides::read(&json);
            let _ = BlockOverrides::read(&json);
        }
    }
}
