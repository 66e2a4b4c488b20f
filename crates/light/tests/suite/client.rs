//! Reads of random states are right or fail; blocks are named as geth names them; one query is one block.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag, eip1898::RpcBlockHash};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use futures::{executor::block_on, future::BoxFuture};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};
use rushlight_chain::{HeaderChain, SealedHeader, block::Body, testing::ToyMiner};
use rushlight_light::{ClientError, LightClient};
use rushlight_odr::{Source, Unavailable, Wanted};

use crate::common::{MapSource, Model, Nodes, State, account_of, client_over, extend, mine, open_chain, root_of, spec};

fn models() -> impl Strategy<Value = Model> {
    let storage = btree_map(any::<u8>(), any::<u64>(), 0..12);
    (any::<u64>(), any::<u128>(), vec(any::<u8>(), 0..60), storage).prop_map(|(nonce, balance, code, storage)| Model {
        nonce,
        balance: U256::from(balance),
        code,
        storage: storage.into_iter().map(|(slot, value)| (slot_of(slot), U256::from(value))).collect(),
    })
}

fn slot_of(number: u8) -> B256 {
    B256::from(U256::from(number))
}

fn address_of(number: u16) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn states() -> impl Strategy<Value = State> {
    btree_map((0u16..500).prop_map(address_of), models(), 0..40)
}

/// A client whose chain has one block with this state.
fn client_of(state: &State) -> (LightClient, SealedHeader, Nodes) {
    let mut nodes = Nodes::new();
    let root = root_of(state, &mut nodes);
    let chain = open_chain();
    let miner = ToyMiner::new((*spec()).clone());
    let (header, _) = mine(&miner, &spec().genesis, root, &Body::default());
    extend(&chain, &[&header]);
    let source = MapSource { nodes: nodes.clone(), ..Default::default() };
    (client_over(chain, source), header, nodes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_account_slot_and_code_is_right_and_proved(state in states(), others in vec(0u16..1000, 5)) {
        let (client, header, _) = client_of(&state);
        let addresses: Vec<_> = state.keys().copied().chain(others.into_iter().map(address_of)).collect();
        for address in addresses {
            let model = state.get(&address);
            let expected = model.map(|model| account_of(model, &mut Nodes::new()));
            prop_assert_eq!(block_on(client.account(&header, address)).unwrap(), expected);
            let code = model.map(|model| model.code.clone()).unwrap_or_default();
            prop_assert_eq!(block_on(client.code(&header, address)).unwrap(), code);

            let slots: Vec<_> = (0..8).map(|number| slot_of(number * 31)).collect();
            let proof = block_on(client.proof(&header, address, &slots)).unwrap();
            prop_assert_eq!(proof.account, expected.unwrap_or_default());
            let in_trie = expected.map(alloy_rlp::encode);
            verify_proof(header.state_root, Nibbles::unpack(keccak256(address)), in_trie, &proof.account_proof).unwrap();
            for (slot, proved) in slots.iter().zip(&proof.storage) {
                let value = model.and_then(|model| model.storage.get(slot).copied()).unwrap_or_default();
                prop_assert_eq!((proved.key, proved.value), (*slot, value));
                prop_assert_eq!(block_on(client.storage(&header, address, *slot)).unwrap(), value);
                let in_trie = (!value.is_zero()).then(|| alloy_rlp::encode(value));
                let root = proof.account.storage_root;
                verify_proof(root, Nibbles::unpack(keccak256(slot)), in_trie, &proved.proof).unwrap();
            }
        }
    }

    #[test]
    fn what_cannot_be_proved_is_an_error_and_never_a_zero(state in states(), gone in vec(any::<prop::sample::Index>(), 1..4)) {
        let (client, header, mut nodes) = client_of(&state);
        let mut hashes: Vec<_> = nodes.keys().copied().collect();
        hashes.sort_unstable();
        let chain = client.chain().clone();
        for index in gone {
            if !hashes.is_empty() {
                nodes.remove(index.get(&hashes));
            }
        }
        let client = client_over(chain, MapSource { nodes, ..Default::default() });
        for (address, model) in &state {
            for slot in model.storage.keys() {
                match block_on(client.storage(&header, *address, *slot)) {
                    Ok(value) => prop_assert_eq!(value, model.storage[slot]),
                    Err(ClientError::Unavailable(error)) => prop_assert!(!error.missing.is_empty()),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
            match block_on(client.account(&header, *address)) {
                Ok(account) => prop_assert_eq!(account, Some(account_of(model, &mut Nodes::new()))),
                Err(ClientError::Unavailable(_)) => {}
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}

#[test]
fn blocks_by_tag_number_and_hash() {
    let chain = open_chain();
    let miner = ToyMiner::new((*spec()).clone());
    let main = miner.headers(&spec().genesis, 6);
    let side = miner.for_beneficiary(Address::repeat_byte(9)).headers(&main[1], 2);
    extend(&chain, &main.iter().collect::<Vec<_>>());
    extend(&chain, &side.iter().collect::<Vec<_>>());
    let client = client_over(chain, MapSource::default());
    let resolve = |block: BlockId| block_on(client.resolve(block));

    assert_eq!(resolve(BlockId::latest()).unwrap(), main[5]);
    assert_eq!(resolve(BlockId::pending()).unwrap(), main[5]);
    assert_eq!(resolve(BlockId::earliest()).unwrap(), spec().genesis);
    assert_eq!(resolve(BlockId::number(0)).unwrap(), spec().genesis);
    assert_eq!(resolve(BlockId::number(3)).unwrap(), main[2]);
    assert_eq!(block_on(client.resolve(BlockNumberOrTag::Number(3))).unwrap(), main[2]);
    let error = |block| resolve(block).unwrap_err().to_string();
    assert_eq!(resolve(BlockId::number(7)), Err(ClientError::UnknownNumber(7)));
    assert_eq!(error(BlockId::number(7)), "header not found");
    assert_eq!(error(BlockId::safe()), "safe block not found");
    assert_eq!(error(BlockId::finalized()), "finalized block not found");
    assert_eq!(error(BlockId::hash(B256::ZERO)), "header for hash not found");

    // EIP-1898: a known block beside the chain is an answer, unless it must be canonical.
    let beside = side[0].hash();
    assert_eq!(resolve(BlockId::hash(beside)).unwrap(), side[0]);
    let canonical = |hash| resolve(BlockId::Hash(RpcBlockHash::from_hash(hash, Some(true))));
    assert_eq!(canonical(beside), Err(ClientError::NotCanonical(beside)));
    assert_eq!(canonical(beside).unwrap_err().to_string(), "hash is not currently canonical");
    assert_eq!(canonical(main[2].hash()).unwrap(), main[2]);
    assert_eq!(client.chain_id(), 1337);
    assert_eq!(client.td(&main[5].hash()), Some(client.head().td));
}

/// A source whose first answer makes the chain take another branch.
struct Reorganising {
    inner: MapSource,
    chain: Arc<HeaderChain>,
    heavier: Vec<SealedHeader>,
}

impl Source for Reorganising {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        extend(&self.chain, &self.heavier.iter().collect::<Vec<_>>());
        self.inner.preimages(wanted)
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        self.inner.body(header)
    }
}

#[test]
fn a_reorganisation_during_a_query_mixes_nothing() {
    let address = address_of(7);
    let states: Vec<State> = (1u64..=2)
        .map(|amount| {
            let storage = [(slot_of(1), U256::from(amount))].into();
            let own = Model { nonce: amount, balance: U256::from(amount), storage, ..Default::default() };
            (0..100u16).map(|number| (address_of(number), own.clone())).collect()
        })
        .collect();
    let mut nodes = Nodes::new();
    let roots: Vec<_> = states.iter().map(|state| root_of(state, &mut nodes)).collect();
    let chain = open_chain();
    let miner = ToyMiner::new((*spec()).clone());
    let (old, _) = mine(&miner, &spec().genesis, roots[0], &Body::default());
    let other = miner.for_beneficiary(Address::repeat_byte(1));
    let (first, _) = mine(&other, &spec().genesis, roots[1], &Body::default());
    let (second, _) = mine(&other, &first, roots[1], &Body::default());
    extend(&chain, &[&old]);
    let source = Reorganising {
        inner: MapSource { nodes, ..Default::default() },
        chain: chain.clone(),
        heavier: vec![first, second.clone()],
    };
    let client = client_over(chain, source);

    let header = block_on(client.resolve(BlockId::latest())).unwrap();
    assert_eq!(header, old);
    let proof = block_on(client.proof(&header, address, &[slot_of(1)])).unwrap();
    assert_eq!(client.head().header, second, "the chain is another one by now");
    let expected = account_of(&states[0][&address], &mut Nodes::new());
    assert_eq!((proof.account, proof.storage[0].value), (expected, U256::from(1)));
    // By its hash the old block can still be asked for, by its number the new one is.
    assert_eq!(block_on(client.resolve(BlockId::hash(old.hash()))).unwrap(), old);
    assert_ne!(block_on(client.resolve(BlockId::number(1))).unwrap(), old);
}

#[test]
fn an_absent_account_of_an_empty_state() {
    let (client, header, _) = client_of(&State::new());
    let proof = block_on(client.proof(&header, Address::ZERO, &[B256::ZERO])).unwrap();
    assert_eq!(proof.account, TrieAccount::default());
    assert!(proof.account_proof.is_empty() && proof.storage[0].proof.is_empty());
    assert_eq!(block_on(client.account(&header, Address::ZERO)).unwrap(), None);
    assert_eq!(block_on(client.code(&header, Address::ZERO)).unwrap(), Bytes::new());
}
