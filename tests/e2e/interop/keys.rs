//! Key files of go-ethereum's `accounts/keystore`, of Python's eth-account and ours, each read by the others; and what they
//! sign, which is the same.

use std::{fs, path::Path, process::Command};

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy, TypedTransaction};
use alloy_eips::{
    eip2718::Encodable2718 as _,
    eip2930::{AccessList, AccessListItem},
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, TxKind, U256, hex, keccak256};
use rushlight_keystore::{Keystore, TypedData, UnlockedKey};
use serde_json::{Value, json};

use super::tools::{geth, last_line, python, try_output};
use crate::account::run;

/// A private key for tests, and its address.
fn key(seed: u64) -> (String, String) {
    let secret = keccak256(seed.to_be_bytes());
    (hex::encode(secret), hex::encode(UnlockedKey::from_bytes(&secret.0).unwrap().address()))
}

/// One of go-ethereum's programs with JSON on stdin; the JSON that it prints.
fn asked(geth: &Path, args: &[&str], input: &Value) -> Value {
    told(Command::new(geth).args(args), input)
}

fn told(command: &mut Command, input: &Value) -> Value {
    let out = try_output(command, &input.to_string()).unwrap_or_else(|why| panic!("{why}"));
    if out.is_empty() { Value::Null } else { last_line(&out) }
}

/// Private keys by address, as another program read them.
fn same_keys(read: &Value, want: &[(String, String)]) {
    let read = read.as_object().unwrap();
    assert_eq!(read.len(), want.len());
    for (secret, address) in want {
        let found = read.iter().find(|(name, _)| name.to_lowercase().ends_with(address.as_str()));
        assert_eq!(found.unwrap().1.as_str().unwrap().trim_start_matches("0x"), secret);
    }
}

/// The other program has written `keys` into `folder` under `old`; the binary lists them and locks them up under `new`.
fn read_and_updated(folder: &Path, keys: &[(String, String)], old: &str, new: &str) {
    let keystore = folder.to_str().unwrap();
    let (code, out, log) = run(&["account", "list", "--keystore", keystore], "");
    assert_eq!((code, out.lines().count(), log.as_str()), (Some(0), keys.len(), ""), "{out}");
    let passwords = tempfile::NamedTempFile::new().unwrap();
    fs::write(passwords.path(), format!("{old}\n{new}\n")).unwrap();
    for (secret, address) in keys {
        assert!(out.contains(&format!("{{{address}}}")), "{address}: {out}");
        let unlocked = Keystore::open(folder).unlock(address.parse().unwrap(), &old.into()).unwrap();
        assert_eq!(hex::encode(unlocked.secret().secret_bytes()), *secret);
        let passwords = passwords.path().to_str().unwrap();
        let args = ["account", "update", "--lightkdf", "--keystore", keystore, "--password", passwords, address];
        assert_eq!(run(&args, ""), (Some(0), String::new(), String::new()));
    }
}

/// The binary writes `keys` into `folder`, the first at the standard cost.
fn written(folder: &Path, keys: &[(String, String)], password: &str) {
    let inputs = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(inputs.path().join(name), text).unwrap();
        inputs.path().join(name).to_str().unwrap().to_owned()
    };
    let (keystore, password) = (folder.to_str().unwrap(), file("password", password));
    for (index, (secret, address)) in keys.iter().enumerate() {
        let secret = file("key", secret);
        let mut args = vec!["account", "import", "--keystore", keystore, "--password", &password, &secret];
        if index > 0 {
            args.push("--lightkdf");
        }
        assert_eq!(run(&args, ""), (Some(0), format!("Address: {{{address}}}\n"), String::new()));
    }
}

/// The passwords of accounts, as the other programs want them.
fn passwords(keys: &[(String, String)], password: &str) -> Value {
    keys.iter().map(|(_, address)| (format!("0x{address}"), json!(password))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn key_files_of_go_ethereum_and_back() {
    let Some(geth) = geth() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (theirs, ours) = (folder.path().join("theirs"), folder.path().join("ours"));
    let keys = [key(1), key(2), key(3)];
    let wanted: Vec<_> = keys.iter().map(|(key, _)| json!({"key": key, "password": "old pässword"})).collect();
    asked(geth, &["keys-make", "-out", theirs.to_str().unwrap()], &json!(wanted));
    read_and_updated(&theirs, &keys, "old pässword", "new");
    same_keys(&asked(geth, &["keys-read", "-out", theirs.to_str().unwrap()], &passwords(&keys, "new")), &keys);
    written(&ours, &keys, "pässword");
    same_keys(&asked(geth, &["keys-read", "-out", ours.to_str().unwrap()], &passwords(&keys, "pässword")), &keys);
}

#[test]
fn key_files_of_eth_account_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, ours) = (folder.path().join("theirs"), folder.path().join("ours"));
    let program = |what: &str, folder: &Path| python("keys.py", [what.as_ref(), folder.as_os_str()]);
    let Some(mut make) = program("make", &theirs) else { return };
    let keys = [key(1), key(2), key(3)];
    let wanted: Vec<_> = keys.iter().map(|(key, _)| json!({"key": key, "password": "old pässword"})).collect();
    told(&mut make, &json!(wanted));
    read_and_updated(&theirs, &keys, "old pässword", "new");
    same_keys(&told(&mut program("read", &theirs).unwrap(), &passwords(&keys, "new")), &keys);
    written(&ours, &keys, "pässword");
    same_keys(&told(&mut program("read", &ours).unwrap(), &passwords(&keys, "pässword")), &keys);
}

/// Typed data with every kind of member.
fn typed_data(seed: u64) -> Value {
    let bytes = keccak256(seed.to_le_bytes());
    let person = |name: &str| json!({"name": name, "wallets": [format!("0x{}", hex::encode(&bytes[..20]))]});
    json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
                {"name": "salt", "type": "bytes32"}
            ],
            "Person": [{"name": "name", "type": "string"}, {"name": "wallets", "type": "address[]"}],
            "Group": [{"name": "members", "type": "Person[]"}, {"name": "open", "type": "bool"}],
            "Mail": [
                {"name": "from", "type": "Person"},
                {"name": "to", "type": "Group"},
                {"name": "contents", "type": "string"},
                {"name": "data", "type": "bytes"},
                {"name": "tag", "type": "bytes4"},
                {"name": "value", "type": "uint256"},
                {"name": "change", "type": "int64"},
                {"name": "sizes", "type": "uint16[]"}
            ]
        },
        "primaryType": "Mail",
        "domain": {
            "name": format!("Mail {seed}"),
            "version": "1",
            "chainId": format!("{:#x}", seed + 1),
            "verifyingContract": format!("0x{}", hex::encode(&bytes[12..])),
            "salt": bytes
        },
        "message": {
            "from": person("Cow"),
            "to": {"members": [person("Bob"), person("Zoë")], "open": seed.is_multiple_of(2)},
            "contents": format!("Hello, {seed}!"),
            "data": format!("0x{}", hex::encode(&bytes[..(seed % 32) as usize])),
            "tag": format!("0x{}", hex::encode(&bytes[..4])),
            "value": U256::from_be_bytes(bytes.0).to_string(),
            "change": -(seed as i64),
            "sizes": [seed % 65_536, 7]
        }
    })
}

/// A transaction of every type that a key file signs without blobs.
fn transactions(seed: u64, chain_id: u64, key: &UnlockedKey) -> Vec<TypedTransaction> {
    let word = keccak256(seed.to_be_bytes());
    let (to, value) = (Address::from_slice(&word[..20]), U256::from_be_bytes(word.0) >> 150);
    let input: alloy_primitives::Bytes = word[..(seed % 32) as usize].to_vec().into();
    let (nonce, gas_limit) = (seed, 21_000 + seed);
    let (max_fee_per_gas, max_priority_fee_per_gas) = (u128::from(seed) + 100, u128::from(seed));
    let access_list = AccessList(vec![AccessListItem { address: to, storage_keys: vec![word, B256::ZERO] }]);
    let authorization = Authorization { chain_id: U256::from(chain_id), address: to, nonce };
    let authority = key.sign_hash(&authorization.signature_hash());
    let kind = if seed.is_multiple_of(3) { TxKind::Create } else { TxKind::Call(to) };
    vec![
        TxLegacy {
            chain_id: Some(chain_id),
            nonce,
            gas_price: max_fee_per_gas,
            gas_limit,
            to: kind,
            value,
            input: input.clone(),
        }
        .into(),
        TxEip2930 {
            chain_id,
            nonce,
            gas_price: max_fee_per_gas,
            gas_limit,
            to: kind,
            value,
            access_list: access_list.clone(),
            input: input.clone(),
        }
        .into(),
        TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: kind,
            value,
            access_list: access_list.clone(),
            input: input.clone(),
        }
        .into(),
        TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list: vec![authorization.into_signed(authority)],
            input,
        }
        .into(),
    ]
}

/// What is signed with one key: as the other programs want it, and as we do it.
fn signed() -> (Value, Value) {
    let (secret, _) = key(7);
    let key = UnlockedKey::from_bytes(&hex::decode(&secret).unwrap().try_into().unwrap()).unwrap();
    let chain_id = 1337;
    let messages: Vec<Vec<u8>> = (0..50_u64).map(|n| keccak256(n.to_be_bytes()).repeat(n as usize)).collect();
    let data: Vec<_> = (0..50).map(typed_data).collect();
    let transactions: Vec<_> = (0..25).flat_map(|seed| transactions(seed, chain_id, &key)).collect();
    let transactions: Vec<_> = transactions
        .into_iter()
        .map(|unsigned| hex::encode_prefixed(key.sign_transaction(unsigned).encoded_2718()))
        .collect();
    let of_messages: Vec<_> =
        messages.iter().map(|text| hex::encode_prefixed(key.sign_message(text).as_bytes())).collect();
    let of_data: Vec<_> = data
        .iter()
        .map(|data| TypedData::parse(&data.to_string()).unwrap().signing_hash().unwrap())
        .map(|hash| hex::encode_prefixed(key.sign_hash(&hash).as_bytes()))
        .collect();
    let asked = json!({
        "key": secret,
        "chainId": format!("{chain_id:#x}"),
        "messages": messages.iter().map(hex::encode_prefixed).collect::<Vec<_>>(),
        "typedData": data,
        "transactions": transactions,
    });
    (asked, json!({"messages": of_messages, "typedData": of_data, "transactions": transactions}))
}

#[test]
fn signatures_are_go_ethereums() {
    let Some(geth) = geth() else { return };
    let (input, ours) = signed();
    // Transactions signed by us, and again by go-ethereum: the same bytes.
    assert_eq!(asked(geth, &["sign"], &input), ours);
}

#[test]
fn signatures_are_eth_accounts() {
    let Some(mut sign) = python("keys.py", ["sign"]) else { return };
    let (input, ours) = signed();
    let theirs = told(&mut sign, &input);
    assert_eq!((&theirs["messages"], &theirs["typedData"]), (&ours["messages"], &ours["typedData"]));
    let senders = theirs["senders"].as_array().unwrap();
    assert_eq!(senders.len(), ours["transactions"].as_array().unwrap().len());
    assert!(senders.iter().all(|sender| *sender == format!("0x{}", key(7).1)), "{senders:?}");
}
