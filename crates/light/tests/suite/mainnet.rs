//! Mainnet's genesis state: every account of the presale, read by walks from the root that everybody knows.

use alloy_genesis::Genesis;
use alloy_primitives::{Address, b256, keccak256};
use alloy_trie::{Nibbles, proof::verify_proof};
use futures::executor::block_on;
use rushlight_chain::{ChainSpec, HeaderChain, store::MemoryStore, testdata};

use crate::common::{MapSource, Model, Nodes, State, account_of, chain_config, client_over, root_of};

#[test]
fn accounts_of_the_genesis() {
    let Some(path) = testdata::path("mainnet/genesis.json") else { return };
    let (spec, genesis): (ChainSpec, Genesis) = ChainSpec::from_genesis(&std::fs::read(path).unwrap()).unwrap();
    let model = |balance| Model { balance, ..Default::default() };
    let state: State = genesis.alloc.iter().map(|(address, own)| (*address, model(own.balance))).collect();
    let mut nodes = Nodes::new();
    let root = root_of(&state, &mut nodes);
    assert_eq!(root, b256!("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544"));
    let store = std::sync::Arc::new(MemoryStore::new());
    let chain = HeaderChain::open(std::sync::Arc::new(spec), store, chain_config()).unwrap();
    let client = client_over(chain.into(), MapSource { nodes, ..Default::default() });
    let header = client.head().header;
    assert_eq!(header.state_root, root);
    assert_eq!(state.len(), 8893);
    for (address, model) in &state {
        let account = block_on(client.account(&header, *address)).unwrap();
        assert_eq!(account, Some(account_of(model, &mut Nodes::new())));
    }
    let absent = Address::repeat_byte(0xfe);
    let proof = block_on(client.proof(&header, absent, &[])).unwrap();
    verify_proof(root, Nibbles::unpack(keccak256(absent)), None, &proof.account_proof).unwrap();
}
