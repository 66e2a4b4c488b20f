//! Walks of random tries: what is there is found, what is not is proved absent, and no altered node makes a wrong value.

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{Nibbles, proof::verify_proof};
use futures::executor::block_on;
use proptest::{collection::vec, prelude::*};
use rushlight_odr::trie::{self, WalkError};

use crate::common::{MapSource, account_node, trie_of};

/// Keys hashed, as in state and storage; values from one byte (whole subtries embedded) to more than an account.
fn entries() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    vec((any::<u16>(), vec(1u8.., 1..80)), 0..60).prop_map(|entries| {
        entries.into_iter().map(|(seed, value)| (keccak256(seed.to_be_bytes()).to_vec(), value)).collect()
    })
}

/// Unhashed short keys of one length: deep tries with long extensions and embedded nodes.
fn crowded() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    vec((vec(0u8..4, 4..=4), vec(1u8.., 1..6)), 0..40)
}

fn value_of(entries: &[(Vec<u8>, Vec<u8>)], key: &[u8]) -> Option<Vec<u8>> {
    entries.iter().rev().find(|(other, _)| other == key).map(|(_, value)| value.clone())
}

proptest! {
    #[test]
    fn present_and_absent_keys_are_proved(entries in prop_oneof![entries(), crowded()], absent in vec(any::<u16>(), 10)) {
        let (root, nodes) = trie_of(&entries);
        let source = MapSource::new(nodes);
        let length = entries.first().map_or(32, |(key, _)| key.len());
        let others = absent.iter().map(|seed| keccak256(seed.to_le_bytes())[..length].to_vec());
        for key in entries.iter().map(|(key, _)| key.clone()).chain(others) {
            let expected = value_of(&entries, &key);
            let found = block_on(trie::get(&source, root, &key, account_node(root))).unwrap();
            prop_assert_eq!(found.value.as_ref().map(|value| value.to_vec()), expected.clone());
            // An independent check of the proof. alloy-trie takes no root node that is shorter than a hash.
            if found.proof.first().is_none_or(|raw| raw.len() >= 32) {
                verify_proof(root, Nibbles::unpack(&key), expected, &found.proof).unwrap();
            }
        }
    }

    #[test]
    fn an_altered_trie_gives_no_wrong_value(
        entries in prop_oneof![entries(), crowded()],
        pick in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        xor in 1u8..,
        cut in any::<bool>(),
    ) {
        // The store checks hashes; a walk must be safe even over a source that does not, as hostile headers may point
        // anywhere: it may then end in an error or follow the altered node, but never panic.
        let (root, mut nodes) = trie_of(&entries);
        if nodes.is_empty() {
            return Ok(());
        }
        let mut hashes: Vec<_> = nodes.keys().copied().collect();
        hashes.sort_unstable();
        let hash = *pick.get(&hashes);
        let mut raw = nodes[&hash].to_vec();
        let place = at.index(raw.len());
        if cut { raw.truncate(place) } else { raw[place] ^= xor }
        nodes.insert(hash, raw.clone().into());
        let altered = MapSource::new(nodes.clone());
        nodes.remove(&hash);
        let missing = MapSource::new(nodes);
        for (key, _) in &entries {
            let _ = block_on(trie::get(&altered, root, key, account_node(root)));
            let _ = block_on(trie::all(&altered, root, account_node(root)));
            // What the store makes of a false node: it is missing. The value is right, or there is none.
            match block_on(trie::get(&missing, root, key, account_node(root))) {
                Ok(found) => prop_assert_eq!(found.value.map(|value| value.to_vec()), value_of(&entries, key)),
                Err(WalkError::Unavailable(error)) => prop_assert_eq!(error.missing[0].hash, hash),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

    #[test]
    fn all_entries_of_an_indexed_trie(values in vec(vec(1u8.., 1..60), 0..200)) {
        let entries: Vec<_> =
            (0u64..).zip(&values).map(|(index, value)| (alloy_rlp::encode(index), value.clone())).collect();
        let (root, nodes) = trie_of(&entries);
        let found = block_on(trie::all(&MapSource::new(nodes), root, account_node(root))).unwrap();
        let mut expected: Vec<_> =
            entries.into_iter().map(|(key, value)| (Bytes::from(key), Bytes::from(value))).collect();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn hostile_nodes_never_panic(raw in vec(any::<u8>(), 0..300), key in vec(any::<u8>(), 0..33)) {
        let root = B256::repeat_byte(1);
        let source = MapSource::new([(root, raw.into())].into());
        let _ = block_on(trie::get(&source, root, &key, account_node(root)));
        let _ = block_on(trie::all(&source, root, account_node(root)));
    }
}

#[test]
fn the_empty_trie_is_asked_of_nobody() {
    let source = MapSource::default();
    let root = alloy_trie::EMPTY_ROOT_HASH;
    let found = block_on(trie::get(&source, root, &[1; 32], account_node(root))).unwrap();
    assert_eq!(found, trie::Lookup::default());
    assert_eq!(block_on(trie::all(&source, root, account_node(root))).unwrap(), []);
    assert!(source.asked.lock().unwrap().is_empty());
}

#[test]
fn one_turn_a_level() {
    let entries: Vec<_> = (0u32..500).map(|seed| (keccak256(seed.to_be_bytes()).to_vec(), vec![1; 40])).collect();
    let (root, nodes) = trie_of(&entries);
    let source = MapSource::new(nodes);
    let found = block_on(trie::get(&source, root, &entries[7].0, account_node(root))).unwrap();
    let asked = source.asked.lock().unwrap();
    assert_eq!(asked.len(), found.proof.len());
    assert_eq!(asked[0], root);
    assert!(found.proof.iter().zip(asked.iter()).all(|(raw, hash)| keccak256(raw) == *hash));
}

/// A node that embeds nodes within nodes, and a branch that ends a key: both legal, both rare.
#[test]
fn values_in_branches_and_nested_embedded_nodes() {
    let entries: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (vec![0x12], vec![1]),
        (vec![0x12, 0x34], vec![2]),
        (vec![0x12, 0x35], vec![3]),
        (vec![0x12, 0x34, 0x56], vec![4]),
    ];
    let (root, nodes) = trie_of(&entries);
    let source = MapSource::new(nodes);
    for (key, value) in &entries {
        let found = block_on(trie::get(&source, root, key, account_node(root))).unwrap();
        assert_eq!(found.value.unwrap(), *value, "{key:x?}");
    }
    for key in [&[][..], &[0x12, 0x36], &[0x12, 0x34, 0x57], &[0x12, 0x34, 0x56, 0x78], &[0x10]] {
        assert_eq!(block_on(trie::get(&source, root, key, account_node(root))).unwrap().value, None);
    }
    let mut all = block_on(trie::all(&source, root, account_node(root))).unwrap();
    all.sort();
    assert_eq!(all.len(), 4);
    assert_eq!(all[3], (Bytes::from(vec![0x12, 0x35]), Bytes::from(vec![3])));
}
