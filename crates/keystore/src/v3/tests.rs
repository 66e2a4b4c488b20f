use alloy_primitives::{address, hex};
use proptest::prelude::*;

use super::*;

/// The vectors of the Web3 Secret Storage page and of go-ethereum's `accounts/keystore/testdata`.
const VECTORS: [(&str, &str, &str); 4] = [
    (
        r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"r":1,"p":8,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#,
        "testpassword",
        "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d",
    ),
    (
        r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#,
        "testpassword",
        "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d",
    ),
    (
        r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"e0c41130a323adc1446fc82f724bca2f"},"ciphertext":"9517cd5bdbe69076f9bf5057248c6c050141e970efa36ce53692d5d59a3984","kdf":"scrypt","kdfparams":{"dklen":32,"n":2,"r":8,"p":1,"salt":"711f816911c92d649fb4c84b047915679933555030b3552c1212609b38208c63"},"mac":"d5e116151c6aa71470e67a7d42c9620c75c4d23229847dcc127794f0732b0db5"},"id":"fecfc4ce-e956-48fd-953b-30f8b52ed66c","version":3}"#,
        "foo",
        "fa7b3db73dc7dfdf8c5fbdb796d741e4488628c41fc4febd9160a866ba0f35",
    ),
    (
        r#"{"address":"45dea0fb0bba44f4fcf290bba71fd57d7117cbb8","crypto":{"cipher":"aes-128-ctr","ciphertext":"b87781948a1befd247bff51ef4063f716cf6c2d3481163e9a8f42e1f9bb74145","cipherparams":{"iv":"dc4926b48a105133d2f16b96833abf1e"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":2,"p":1,"r":8,"salt":"004244bbdc51cadda545b1cfa43cff9ed2ae88e08c61f1479dbb45410722f8f0"},"mac":"39990c1684557447940d4c69e06b1b82b2aceacb43f284df65c956daf3046b85"},"id":"ce541d8d-c79b-40f8-9f8c-20f59616faba","version":3}"#,
        "",
        "",
    ),
];

/// Cheap: what is tested is not scrypt.
const CHEAP: fn() -> Scrypt = || Scrypt::checked(2, 8, 1).unwrap();

#[test]
fn published_vectors() {
    for (json, password, want) in VECTORS {
        let file = KeyFile::parse(json.as_bytes()).unwrap();
        let plain = file.decrypt(&password.into()).unwrap();
        if !want.is_empty() {
            assert_eq!(hex::encode(&*plain), want);
        }
        assert!(matches!(file.decrypt(&"other".into()), Err(OpenError::Decrypt)));
        assert_eq!(KeyFile::parse(&file.to_json()).unwrap(), file, "written as it was read");
    }
}

#[test]
fn keys_of_fewer_bytes_are_refused_as_geth_refuses_them() {
    let (json, password, _) = VECTORS[2];
    let error = KeyFile::parse(json.as_bytes()).unwrap().open(&password.into()).unwrap_err();
    assert_eq!(error.to_string(), "crypto.ciphertext: expected a private key of 32 bytes, got 31 bytes");
}

#[test]
fn the_empty_password_of_geths_very_light_file() {
    let file = KeyFile::parse(VECTORS[3].0.as_bytes()).unwrap();
    let key = file.open(&"".into()).unwrap();
    assert_eq!(key.address(), address!("45dea0fb0bba44f4fcf290bba71fd57d7117cbb8"));
}

#[test]
fn an_address_that_is_not_the_keys() {
    let json = VECTORS[3].0.replace("45dea0fb", "45dea0fc");
    let error = KeyFile::parse(json.as_bytes()).unwrap().open(&"".into()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key content mismatch: have account 45dea0fb0bba44f4fcf290bba71fd57d7117cbb8, \
         want 45dea0fc0bba44f4fcf290bba71fd57d7117cbb8"
    );
}

#[test]
fn names_as_other_writers_spell_them() {
    let json = VECTORS[3].0.replace("\"crypto\"", "\"Crypto\"").replace("\"45dea0fb", "\"0x45dea0fb");
    assert_eq!(KeyFile::parse(json.as_bytes()).unwrap(), KeyFile::parse(VECTORS[3].0.as_bytes()).unwrap());
}

#[test]
fn hostile_files() {
    let refusal = |from: &str, to: &str| {
        let json = VECTORS[3].0.replacen(from, to, 1);
        assert_ne!(json, VECTORS[3].0);
        KeyFile::parse(json.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(refusal("\"version\":3", "\"version\":\"1\""), "version not supported: \"1\", expected 3");
    assert_eq!(refusal("\"version\":3", "\"version\":4"), "version not supported: 4, expected 3");
    assert_eq!(refusal("aes-128-ctr", "aes-256-gcm"), "cipher not supported: aes-256-gcm, expected aes-128-ctr");
    assert_eq!(refusal("\"scrypt\"", "\"argon2\""), "unsupported KDF: argon2, expected scrypt or pbkdf2");
    assert_eq!(refusal("\"scrypt\"", "\"pbkdf2\""), "crypto.kdfparams.prf: expected hmac-sha256, got ");
    assert_eq!(refusal("\"n\":2,", ""), "crypto.kdfparams.n: expected a number, got nothing");
    assert_eq!(refusal("\"dklen\":32", "\"dklen\":16"), "crypto.kdfparams.dklen: expected 32 to 1024, got 16");
    assert!(refusal("\"n\":2", "\"n\":4294967296").starts_with("crypto.kdfparams: expected 128·r·(n + p) of at most"));
    assert!(refusal("\"n\":2", "\"n\":-2").starts_with("not a key file: invalid value: integer `-2`"));
    assert_eq!(refusal("\"iv\":\"dc", "\"iv\":\""), "crypto.cipherparams.iv: expected 16 bytes in hex, got 15 bytes");
    assert!(refusal("\"mac\":\"39", "\"mac\":\"3x").starts_with("crypto.mac: expected hex digits, got "));
    assert!(refusal("ce541d8d-", "zz541d8d-").starts_with("id: expected a UUID, got zz541d8d-"));
    assert!(refusal("\"id\"", "\"ie\"").starts_with("not a key file: missing field `id`"));
    let long = format!("{}{}", VECTORS[3].0, " ".repeat(MAX_FILE));
    assert!(KeyFile::parse(long.as_bytes()).unwrap_err().to_string().ends_with("expected at most 65536"));
    let many = refusal("ce541d8d-", &"x".repeat(1000));
    assert!(many.chars().count() < 100, "{many}");
}

proptest! {
    #[test]
    fn sealed_and_opened(secret in any::<[u8; 32]>(), password in ".{0,40}", other in ".{0,40}") {
        let Some(key) = UnlockedKey::from_bytes(&secret) else { return Ok(()) };
        let file = KeyFile::seal(&key, &password.as_str().into(), CHEAP()).unwrap();
        let read = KeyFile::parse(&file.to_json()).unwrap();
        prop_assert_eq!(&read, &file);
        prop_assert_eq!(read.open(&password.as_str().into()).unwrap().to_bytes(), key.to_bytes());
        if other != password {
            prop_assert!(matches!(read.open(&other.as_str().into()), Err(OpenError::Decrypt)));
        }
        let again = KeyFile::seal(&key, &password.as_str().into(), CHEAP()).unwrap();
        prop_assert_ne!(again.mac, file.mac, "salted");
    }

    #[test]
    fn a_changed_file_opens_to_the_same_key_or_not_at_all(at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut json = VECTORS[3].0.as_bytes().to_vec();
        let at = at.index(json.len());
        json[at] ^= 1_u8 << bit;
        if let Ok(file) = KeyFile::parse(&json) && file.kdf == KeyFile::parse(VECTORS[3].0.as_bytes()).unwrap().kdf
            && let Ok(key) = file.open(&"".into()) {
            prop_assert_eq!(key.address(), address!("45dea0fb0bba44f4fcf290bba71fd57d7117cbb8"));
        }
    }
}
