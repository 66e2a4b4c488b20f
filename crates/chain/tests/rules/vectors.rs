//! The official vectors for RLP, tries and difficulty.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use alloy_trie::root::ordered_trie_root_encoded;
use alloy_trie::{HashBuilder, Nibbles};
use eth_trie::{EthTrie, MemoryDB, Trie};
use rushlight_chain::{Activation, Fork, Forks, difficulty, testdata};
use serde_json::Value;

type Cases = BTreeMap<String, Value>;

fn cases(name: &str) -> Option<Cases> {
    Some(serde_json::from_slice(&testdata::read(name)?).unwrap())
}

fn bytes(text: &str) -> Vec<u8> {
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).unwrap(),
        None => text.as_bytes().to_vec(),
    }
}

/// An RLP item.
#[derive(Debug, PartialEq)]
enum Item {
    String(Vec<u8>),
    List(Vec<Item>),
}

/// Decodes an item from the front, as the crate's decoders do: by alloy-rlp's item heads.
fn decode(buf: &mut &[u8]) -> Result<Item, alloy_rlp::Error> {
    let head = RlpHeader::decode(buf)?;
    let (mut payload, rest) = buf.split_at_checked(head.payload_length).ok_or(alloy_rlp::Error::InputTooShort)?;
    *buf = rest;
    if !head.list {
        return Ok(Item::String(payload.to_vec()));
    }
    let mut items = Vec::new();
    while !payload.is_empty() {
        items.push(decode(&mut payload)?);
    }
    Ok(Item::List(items))
}

fn decode_exact(mut bytes: &[u8]) -> Result<Item, String> {
    let item = decode(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.is_empty() { Ok(item) } else { Err("trailing bytes".to_owned()) }
}

fn encode(item: &Item, out: &mut Vec<u8>) {
    match item {
        Item::String(bytes) => bytes.as_slice().encode(out),
        Item::List(items) => {
            let mut payload = Vec::new();
            items.iter().for_each(|item| encode(item, &mut payload));
            RlpHeader { list: true, payload_length: payload.len() }.encode(out);
            out.extend_from_slice(&payload);
        }
    }
}

/// The item that a vector describes: text, a number, `#` and a large number, or a list of these.
fn described(value: &Value) -> Item {
    match value {
        Value::String(text) => match text.strip_prefix('#') {
            // the only one past 256 bits is 2^256
            Some("115792089237316195423570985008687907853269984665640564039457584007913129639936") => {
                Item::String([&[1][..], &[0; 32]].concat())
            }
            Some(number) => Item::String(number.parse::<U256>().unwrap().to_be_bytes_trimmed_vec()),
            None => Item::String(text.as_bytes().to_vec()),
        },
        Value::Number(number) => Item::String(U256::from(number.as_u64().unwrap()).to_be_bytes_trimmed_vec()),
        Value::Array(items) => Item::List(items.iter().map(described).collect()),
        other => panic!("{other}"),
    }
}

#[test]
fn rlp() {
    let Some(cases) = cases("ethereum-tests/RLPTests/rlptest.json") else { return };
    for (name, case) in cases {
        let (item, encoded) = (described(&case["in"]), bytes(case["out"].as_str().unwrap()));
        let mut out = Vec::new();
        encode(&item, &mut out);
        assert_eq!(out, encoded, "{name}");
        assert_eq!(decode_exact(&encoded).unwrap(), item, "{name}");
    }
}

#[test]
fn rlp_invalid_and_random() {
    for file in ["invalidRLPTest.json", "RandomRLPTests/example.json"] {
        let Some(cases) = cases(&format!("ethereum-tests/RLPTests/{file}")) else { return };
        for (name, case) in cases {
            let decoded = decode_exact(&bytes(case["out"].as_str().unwrap()));
            match case["in"].as_str().unwrap() {
                "INVALID" => assert!(decoded.is_err(), "{name}: {decoded:?}"),
                "VALID" => assert!(decoded.is_ok(), "{name}: {decoded:?}"),
                other => panic!("{name}: {other}"),
            }
        }
    }
}

/// A trie vector's writes, in order. A null is a removal.
fn writes(case: &Value) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let text = |value: &Value| value.as_str().map(bytes);
    match &case["in"] {
        Value::Array(pairs) => pairs.iter().map(|pair| (text(&pair[0]).unwrap(), text(&pair[1]))).collect(),
        Value::Object(pairs) => pairs.iter().map(|(key, value)| (bytes(key), text(value))).collect(),
        other => panic!("{other}"),
    }
}

fn trie_root(writes: &[(Vec<u8>, Option<Vec<u8>>)]) -> B256 {
    let mut trie = EthTrie::new(Arc::new(MemoryDB::new(true)));
    for (key, value) in writes {
        match value {
            Some(value) => trie.insert(key, value).unwrap(),
            None => drop(trie.remove(key).unwrap()),
        }
    }
    B256::from(trie.root_hash().unwrap().0)
}

fn builder_root(writes: &[(Vec<u8>, Option<Vec<u8>>)]) -> B256 {
    let mut last = BTreeMap::new();
    for (key, value) in writes {
        match value {
            Some(value) => drop(last.insert(key, value)),
            None => drop(last.remove(key)),
        }
    }
    let mut builder = HashBuilder::default();
    last.into_iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
    builder.root()
}

#[test]
fn tries() {
    for file in ["trietest.json", "trieanyorder.json"] {
        let Some(cases) = cases(&format!("ethereum-tests/TrieTests/{file}")) else { return };
        for (name, case) in cases {
            let root: B256 = case["root"].as_str().unwrap().parse().unwrap();
            assert_eq!(trie_root(&writes(&case)), root, "{name}");
        }
    }
}

#[test]
fn secure_tries() {
    for file in ["trietest_secureTrie.json", "trieanyorder_secureTrie.json", "hex_encoded_securetrie_test.json"] {
        let Some(cases) = cases(&format!("ethereum-tests/TrieTests/{file}")) else { return };
        for (name, case) in cases {
            let root: B256 = case["root"].as_str().unwrap().parse().unwrap();
            let hashed = |(key, value): (Vec<u8>, _)| (keccak256(key).to_vec(), value);
            let writes: Vec<_> = writes(&case).into_iter().map(hashed).collect();
            assert_eq!(trie_root(&writes), root, "{name} through eth_trie");
            assert_eq!(builder_root(&writes), root, "{name} through alloy-trie");
        }
    }
}

/// The two libraries on the tries of lists, which bodies and receipts are checked with.
#[test]
fn list_tries_agree() {
    for count in [0, 1, 2, 127, 128, 129, 300] {
        let items: Vec<Vec<u8>> = (0..count).map(|n: usize| vec![n as u8; n % 70 + 1]).collect();
        let keyed: Vec<_> =
            items.iter().enumerate().map(|(n, item)| (alloy_rlp::encode(n), Some(item.clone()))).collect();
        assert_eq!(ordered_trie_root_encoded(&items), trie_root(&keyed), "{count} items");
    }
}

/// The vectors of every folder: with the forks before the one that they are of in force from genesis, and this one too.
#[test]
fn difficulties() {
    use Fork::*;
    let folders = [
        ("dfFrontier", Frontier, 2254),
        ("dfHomestead", Homestead, 2254),
        ("dfByzantium", Byzantium, 2254),
        ("dfConstantinople", Constantinople, 2254),
        ("dfEIP2384", MuirGlacier, 4254),
        ("dfArrowGlacier", ArrowGlacier, 2664),
        ("dfGrayGlacier", GrayGlacier, 2664),
    ];
    let mut total = 0;
    for (folder, last, count) in folders {
        let Some(path) = testdata::path(&format!("ethereum-tests/DifficultyTests/{folder}")) else { return };
        let forks = [Homestead, Byzantium, Constantinople, MuirGlacier, London, ArrowGlacier, GrayGlacier];
        let in_force = forks.into_iter().filter(|fork| *fork <= last);
        let forks = Forks::new(in_force.map(|fork| (fork, Activation::Block(0))).collect());
        let mut seen = 0;
        for file in std::fs::read_dir(path).unwrap() {
            let text = std::fs::read(file.unwrap().path()).unwrap();
            let file: Value = serde_json::from_slice(&text).unwrap();
            let tests = file.as_object().unwrap().values().flat_map(|test| test.as_object().unwrap());
            for (_, cases) in tests.filter(|(name, _)| *name != "_info") {
                for (name, case) in cases.as_object().unwrap() {
                    check_difficulty(&forks, case, &format!("{folder} {name}"));
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, count, "{folder}");
        total += seen;
    }
    assert_eq!(total, 18_598);
}

fn check_difficulty(forks: &Forks, case: &Value, name: &str) {
    let number = |field: &str| case[field].as_str().unwrap().parse::<U256>().unwrap();
    let parent = difficulty::Parent {
        difficulty: number("parentDifficulty"),
        timestamp: number("parentTimestamp").to(),
        number: number("currentBlockNumber").to::<u64>() - 1,
        has_uncles: !number("parentUncles").is_zero(),
    };
    let got = difficulty::by_forks(forks, parent, number("currentTimestamp").to());
    assert_eq!(got, number("currentDifficulty"), "{name}");
}
