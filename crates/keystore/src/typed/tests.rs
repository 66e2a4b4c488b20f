use alloy_primitives::{address, b256};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::UnlockedKey;

/// The example of EIP-712 itself.
fn mail() -> Value {
    json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"}
            ],
            "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
            "Mail": [
                {"name": "from", "type": "Person"},
                {"name": "to", "type": "Person"},
                {"name": "contents", "type": "string"}
            ]
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail",
            "version": "1",
            "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
        },
        "message": {
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!"
        }
    })
}

fn hash(data: &Value) -> Result<B256, TypedDataError> {
    TypedData::parse(&data.to_string())?.signing_hash()
}

fn oracle(data: &Value) -> Option<B256> {
    serde_json::from_value::<alloy_dyn_abi::TypedData>(data.clone()).ok()?.eip712_signing_hash().ok()
}

#[test]
fn mail_of_the_eip() {
    let want = b256!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
    assert_eq!(hash(&mail()).unwrap(), want);
    // The string that ethers and viem send.
    let text = Value::String(mail().to_string()).to_string();
    assert_eq!(TypedData::parse(&text).unwrap().signing_hash().unwrap(), want);
    // The EIP's key is the hash of "cow", its signature v = 28, r, s.
    let key = UnlockedKey::from_bytes(&keccak256("cow").0).unwrap();
    assert_eq!(key.address(), address!("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"));
    assert_eq!(
        hex::encode(key.sign_hash(&want).as_bytes()),
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d\
         07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
    );
}

#[test]
fn a_domain_alone() {
    let mut data = mail();
    data["primaryType"] = json!("EIP712Domain");
    data["message"] = json!({});
    assert_eq!(hash(&data).unwrap(), oracle(&data).unwrap());
}

#[test]
fn what_does_not_match_is_refused() {
    let refusal = |change: &dyn Fn(&mut Value)| {
        let mut data = mail();
        change(&mut data);
        hash(&data).unwrap_err().to_string()
    };
    for (change, why) in [
        (
            &(|data: &mut Value| data["message"]["more"] = json!(1)) as &dyn Fn(&mut Value),
            "there is extra data provided in the message (3 < 4)",
        ),
        (&|data| data["message"]["contents"] = json!(1), "provided data '1' doesn't match type 'string'"),
        (&|data| data["message"]["to"] = json!(null), "provided data '<nil>' doesn't match type 'Person'"),
        (&|data| data["message"]["to"]["wallet"] = json!("0x12"), "provided data '0x12' doesn't match type 'address'"),
        (
            &|data| data["types"]["Mail"][0]["type"] = json!("Person[2]"),
            "provided data 'an object' doesn't match type 'Person[2]'",
        ),
        (&|data| data["types"]["Mail"][0]["type"] = json!("Nobody"), "reference type \"Nobody\" is undefined"),
        (&|data| data["types"]["Mail"][0]["type"] = json!("uint7"), "reference type \"uint7\" is undefined"),
        (&|data| data["types"]["Mail"][0]["type"] = json!("Person["), "reference type \"Person[\" is undefined"),
        (&|data| data["types"]["Mail"][0]["type"] = json!("Mail"), "type \"Mail\" cannot reference itself"),
        (
            &|data| data["types"]["Mail"][0]["name"] = json!("a,uint256 b"),
            "type \"Mail\": expected a name without brackets, commas and blanks, got \"a,uint256 b\"",
        ),
        (&|data| data["primaryType"] = json!("Letter"), "reference type \"Letter\" is undefined"),
        (&|data| data["domain"] = json!({}), "domain is undefined"),
        (&|data| data["domain"] = json!({"name": ""}), "domain is undefined"),
        (&|data| data["domain"]["chainId"] = json!(-1), "provided data '-1' doesn't match type 'uint256'"),
        (&|data| data["domain"]["chainId"] = json!(1.5), "provided data '1.5' doesn't match type 'uint256'"),
        // 2^53 + 1: read as 2^53 by whoever reads numbers as doubles.
        (
            &|data| data["domain"]["chainId"] = json!(9_007_199_254_740_993_u64),
            "provided data '9007199254740993' doesn't match type 'uint256'",
        ),
    ] {
        assert_eq!(refusal(change), why);
    }
    assert!(TypedData::parse("{").unwrap_err().to_string().starts_with("invalid typed data: "));
    assert!(TypedData::parse("\"{\"").unwrap_err().to_string().starts_with("invalid typed data: "));
    assert!(TypedData::parse("{\"types\":{}}").unwrap_err().to_string().contains("missing field"));
}

/// Two of the next at every step: expanded, these types would be larger than any memory.
#[test]
fn types_are_not_expanded() {
    let mut types = serde_json::Map::new();
    types.insert("EIP712Domain".to_owned(), json!([{"name": "name", "type": "string"}]));
    for step in 0..100 {
        let next = format!("T{}[]", step + 1);
        types.insert(format!("T{step}"), json!([{"name": "a", "type": next}, {"name": "b", "type": next}]));
    }
    types.insert("T100".to_owned(), json!([{"name": "a", "type": "bool"}]));
    let data = json!({
        "types": types, "primaryType": "T0", "domain": {"name": "d"}, "message": {"a": [], "b": []}
    });
    hash(&data).unwrap();
}

/// One field of a type, encoded.
fn one(kind: &str, value: &Value) -> Value {
    json!({
        "types": {
            "EIP712Domain": [{"name": "name", "type": "string"}],
            "Inner": [{"name": "x", "type": "uint8"}],
            "One": [{"name": "value", "type": kind}]
        },
        "primaryType": "One", "domain": {"name": "d"}, "message": {"value": value}
    })
}

#[test]
fn integers_at_their_bounds() {
    for (kind, value, fits) in [
        ("int8", json!(127), true),
        ("int8", json!(128), false),
        ("int8", json!(-128), true),
        ("int8", json!("-129"), false),
        ("uint8", json!(255), true),
        ("uint8", json!("0xff"), true),
        ("uint8", json!(256), false),
        ("uint8", json!("-0"), true),
        ("uint256", json!(format!("{}", U256::MAX)), true),
        ("uint256", json!(format!("{}0", U256::MAX)), false),
        ("int256", json!(format!("{:#x}", U256::MAX)), false),
        ("int256", json!(format!("{}", I256::MIN)), true),
        ("int", json!("1"), true),
        ("uint", json!(1_000_000_000_000_000_000_u64), true),
        ("uint256", json!("ff"), false),
        ("uint256", json!(""), false),
        ("uint256", json!(true), false),
        ("bytes4", json!("0x01020304"), true),
        ("bytes4", json!("0x010203"), false),
        ("bytes4", json!("01020304"), false),
        ("bytes", json!("0x"), true),
        ("bool", json!("true"), false),
        ("Inner[2][]", json!([[{"x": 1}, {"x": 2}]]), true),
        ("Inner[2][]", json!([[{"x": 1}]]), false),
        ("Inner[][2]", json!([[{"x": 1}], []]), true),
        ("Inner[][2]", json!([[{"x": 1}]]), false),
        ("string[]", json!([]), true),
    ] {
        let data = one(kind, &value);
        let hashed = hash(&data);
        assert_eq!(hashed.is_ok(), fits, "{kind} {value}: {hashed:?}");
        // The other implementation has no `int` and `uint`, and refuses no less but for what it reads leniently.
        if let (Ok(ours), Some(theirs)) = (hashed, oracle(&data)) {
            assert_eq!(ours, theirs, "{kind} {value}");
        }
    }
}

fn atoms() -> impl Strategy<Value = (String, Value)> {
    prop_oneof![
        any::<[u8; 20]>().prop_map(|bytes| ("address".to_owned(), json!(format!("0x{}", hex::encode(bytes))))),
        any::<bool>().prop_map(|value| ("bool".to_owned(), json!(value))),
        ".{0,20}".prop_map(|text| ("string".to_owned(), json!(text))),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| ("bytes".to_owned(), json!(format!("0x{}", hex::encode(bytes))))),
        prop::collection::vec(any::<u8>(), 1..=32)
            .prop_map(|bytes| (format!("bytes{}", bytes.len()), json!(format!("0x{}", hex::encode(bytes))))),
        (1_u32..=32, any::<u128>()).prop_map(|(bytes, value)| {
            let value = if bytes < 16 { value >> (128 - 8 * bytes) } else { value };
            (format!("uint{}", 8 * bytes), json!(value.to_string()))
        }),
        (2_u32..=32, any::<i16>()).prop_map(|(bytes, value)| (format!("int{}", 8 * bytes), json!(value))),
    ]
}

proptest! {
    /// Random structs in structs and arrays, against another implementation.
    #[test]
    fn as_another_implementation_hashes(atoms in prop::collection::vec(atoms(), 1..6), deep in 1_usize..4, many in 0_usize..3) {
        let fields = |atoms: &[(String, Value)]| -> Vec<Value> {
            atoms.iter().enumerate().map(|(i, (kind, _))| json!({"name": format!("f{i}"), "type": kind})).collect()
        };
        let mut value: Map<String, Value> =
            atoms.iter().enumerate().map(|(i, (_, value))| (format!("f{i}"), value.clone())).collect();
        let mut types = serde_json::Map::new();
        types.insert("EIP712Domain".to_owned(), json!([{"name": "name", "type": "string"}]));
        types.insert("T0".to_owned(), json!(fields(&atoms)));
        for step in 1..=deep {
            let inner = format!("T{}", step - 1);
            types.insert(format!("T{step}"), json!([
                {"name": "one", "type": inner}, {"name": "all", "type": format!("{inner}[]")},
                {"name": "two", "type": format!("{inner}[2][]")},
            ]));
            let one = Value::Object(value);
            let outer = json!({"one": one, "all": vec![one.clone(); many], "two": vec![vec![one.clone(); 2]; many]});
            value = outer.as_object().unwrap().clone();
        }
        let data = json!({
            "types": types, "primaryType": format!("T{deep}"), "domain": {"name": "d"}, "message": value
        });
        prop_assert_eq!(Some(hash(&data).unwrap()), oracle(&data));
    }

    #[test]
    fn any_text_is_an_answer(text in ".{0,200}") {
        let _ = TypedData::parse(&text);
    }
}
