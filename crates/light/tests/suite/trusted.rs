//! From a trusted head: the state of a chain that blocks without difficulty make, proved by the head's hash alone.

use std::sync::Arc;

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy_rlp::Header as RlpHeader;
use alloy_trie::TrieAccount;
use futures::executor::block_on;
use rushlight_chain::{ChainSpec, Descent, HeaderChain, store::MemoryStore, testdata};
use rushlight_light::{ClientError, LightClient};
use serde_json::Value;

use crate::common::{MapSource, Nodes, chain_config, client_over, trie_of};

const HEAD: B256 = b256!("44e3809c9a3cda717f00aea3a9da336d149612c8d5657fbc0028176ef8d94d2a");

fn data(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(testdata::path(&format!("testchain/{name}"))?).unwrap())
}

/// The headers of a file of blocks, in its order.
fn headers(mut file: &[u8]) -> Vec<Bytes> {
    let mut headers = Vec::new();
    while !file.is_empty() {
        let mut block = RlpHeader::decode_bytes(&mut file, true).unwrap();
        let whole = block;
        let header = RlpHeader::decode(&mut block).unwrap();
        headers.push(Bytes::copy_from_slice(&whole[..whole.len() - block.len() + header.payload_length]));
    }
    headers
}

fn bytes(value: &Value) -> Vec<u8> {
    alloy_primitives::hex::decode(value.as_str().unwrap()).unwrap()
}

/// The state that `headstate.json` describes, with every node of its tries.
fn head_state(accounts: &Value, nodes: &mut Nodes) -> (B256, Vec<(Address, TrieAccount, Bytes)>) {
    let mut state = Vec::new();
    for (address, account) in accounts.as_object().unwrap() {
        let code = account.get("code").map(bytes).unwrap_or_default();
        let slots = account.get("storage").and_then(Value::as_object).into_iter().flatten();
        let slots: Vec<_> = slots
            .map(|(key, value)| {
                let key = alloy_primitives::hex::decode(key).unwrap();
                (keccak256(key).to_vec(), alloy_rlp::encode(U256::from_be_slice(&bytes(value))))
            })
            .collect();
        let root = if slots.is_empty() { EMPTY_ROOT_HASH } else { trie_of(slots, nodes) };
        let in_trie = TrieAccount {
            nonce: account["nonce"].as_u64().unwrap(),
            balance: account["balance"].as_str().unwrap().parse().unwrap(),
            storage_root: root,
            code_hash: keccak256(&code),
        };
        assert_eq!(root, account["root"].as_str().unwrap().parse::<B256>().unwrap());
        nodes.insert(in_trie.code_hash, code.clone().into());
        state.push((address.parse().unwrap(), in_trie, code.into()));
    }
    let entries = state.iter().map(|(address, account, _)| (keccak256(address).to_vec(), alloy_rlp::encode(account)));
    (trie_of(entries.collect::<Vec<_>>(), nodes), state)
}

fn check(client: &LightClient, state: &[(Address, TrieAccount, Bytes)]) {
    for tag in [BlockNumberOrTag::Latest, BlockNumberOrTag::Safe, BlockNumberOrTag::Finalized] {
        assert_eq!(block_on(client.resolve(tag)).unwrap().hash(), HEAD);
    }
    let header = block_on(client.resolve(BlockNumberOrTag::Latest)).unwrap();
    for (address, account, code) in state {
        assert_eq!(block_on(client.account(&header, *address)).unwrap(), Some(*account));
        assert_eq!(block_on(client.code(&header, *address)).unwrap(), *code);
    }
    assert_eq!(block_on(client.account(&header, Address::repeat_byte(0xfe))).unwrap(), None);
}

#[test]
fn every_account_at_the_head_of_a_chain_by_proof_of_stake() {
    let (Some(genesis), Some(blocks), Some(accounts)) =
        (data("genesis.json"), data("chain.rlp"), data("headstate.json"))
    else {
        return;
    };
    let spec = Arc::new(ChainSpec::from_genesis(&genesis).unwrap().0);
    let accounts: Value = serde_json::from_slice(&accounts).unwrap();
    let mut nodes = Nodes::new();
    let (root, state) = head_state(&accounts["accounts"], &mut nodes);
    assert_eq!(state.len(), 194);

    let store = Arc::new(MemoryStore::new());
    let chain = Arc::new(HeaderChain::open(spec.clone(), store.clone(), chain_config()).unwrap());
    chain.trust(HEAD).unwrap();
    let client = client_over(chain.clone(), MapSource { nodes, ..Default::default() });
    for tag in [BlockNumberOrTag::Latest, BlockNumberOrTag::Earliest, BlockNumberOrTag::Finalized] {
        assert_eq!(block_on(client.resolve(tag)), Err(ClientError::TrustedHeadNotHeld(HEAD)));
    }

    let headers: Vec<Bytes> = headers(&blocks).into_iter().rev().collect();
    assert_eq!(headers.len(), 600);
    chain.descend(&headers[..1]).unwrap();
    assert_eq!(client.head().header.state_root, root);
    check(&client, &state);
    assert_eq!(block_on(client.resolve(599)), Err(ClientError::UnknownNumber(599)));
    for run in headers[1..].chunks(192) {
        chain.descend(run).unwrap();
    }
    while chain.descend(&[]).unwrap().is_under_way() {}
    assert_eq!(chain.descent(), Some(Descent::Linked { fixed: true }));
    check(&client, &state);
    assert_eq!(block_on(client.resolve(1)).unwrap().parent_hash, spec.genesis_hash());
}
