//! States, chains and sources to test with.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::TrieAccount;
use eth_trie::{DB, EthTrie, Trie};
use futures::future::BoxFuture;
use rushlight_chain::{
    ChainSpec, Clock, HeaderChain, HeaderChainConfig, SealPolicy, SealedHeader,
    block::{Body, RawBlock},
    header,
    store::MemoryStore,
    testing::{ToyMiner, ToySeal, toy_seal, toy_spec},
};
use rushlight_light::LightClient;
use rushlight_odr::{Source, Unavailable, Wanted, What};
use rushlight_sync::SyncStatus;
use tokio::sync::watch;

pub(crate) type Nodes = HashMap<B256, Bytes>;

#[derive(Default)]
struct NodeDb(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl DB for NodeDb {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), Infallible> {
        self.0.lock().unwrap().insert(key.to_vec(), value);
        Ok(())
    }

    fn remove(&self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn flush(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The root of the trie with these entries, made by `eth_trie`; its nodes go into `nodes`.
pub(crate) fn trie_of(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>, nodes: &mut Nodes) -> B256 {
    let db = Arc::new(NodeDb::default());
    let mut trie = EthTrie::new(db.clone());
    for (key, value) in entries {
        trie.insert(&key, &value).unwrap();
    }
    let root = trie.root_hash().unwrap();
    nodes.extend(db.0.lock().unwrap().values().map(|raw| (keccak256(raw), Bytes::copy_from_slice(raw))));
    root
}

/// An account as a test describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code: Vec<u8>,
    pub(crate) storage: BTreeMap<B256, U256>,
}

pub(crate) type State = BTreeMap<Address, Model>;

/// The account in its trie, with the nodes of its storage and its code in `nodes`.
pub(crate) fn account_of(model: &Model, nodes: &mut Nodes) -> TrieAccount {
    let slots = model.storage.iter().filter(|(_, value)| !value.is_zero());
    let entries: Vec<_> = slots.map(|(slot, value)| (keccak256(slot).to_vec(), alloy_rlp::encode(value))).collect();
    let storage_root = if entries.is_empty() { EMPTY_ROOT_HASH } else { trie_of(entries, nodes) };
    let mut code_hash = KECCAK_EMPTY;
    if !model.code.is_empty() {
        code_hash = keccak256(&model.code);
        nodes.insert(code_hash, model.code.clone().into());
    }
    TrieAccount { nonce: model.nonce, balance: model.balance, storage_root, code_hash }
}

/// The state's root; everything below it goes into `nodes`.
pub(crate) fn root_of(state: &State, nodes: &mut Nodes) -> B256 {
    let entries: Vec<_> = state
        .iter()
        .map(|(address, model)| (keccak256(address).to_vec(), alloy_rlp::encode(account_of(model, nodes))))
        .collect();
    if entries.is_empty() { EMPTY_ROOT_HASH } else { trie_of(entries, nodes) }
}

/// A source over maps: what is not in them is unavailable.
#[derive(Default)]
pub(crate) struct MapSource {
    pub(crate) nodes: Nodes,
    pub(crate) bodies: HashMap<B256, Body>,
}

fn unavailable(missing: Vec<Wanted>) -> Unavailable {
    Unavailable { missing, asked: vec![], waited: Duration::ZERO }
}

impl Source for MapSource {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        Box::pin(async move {
            let found: Option<Vec<_>> = wanted.iter().map(|one| self.nodes.get(&one.hash).cloned()).collect();
            let missing = || wanted.iter().filter(|one| !self.nodes.contains_key(&one.hash)).cloned().collect();
            found.ok_or_else(|| unavailable(missing()))
        })
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        let body = self.bodies.get(&header.hash()).cloned();
        let wanted = Wanted::new(header.hash(), What::Body { number: header.number });
        Box::pin(async move { body.ok_or_else(|| unavailable(vec![wanted])) })
    }
}

pub(crate) fn spec() -> Arc<ChainSpec> {
    Arc::new(toy_spec(5))
}

/// A clock that stands a little after the toy chain's blocks.
pub(crate) fn clock() -> Clock {
    Arc::new(|| 1_600_000_000)
}

pub(crate) fn chain_config() -> HeaderChainConfig {
    HeaderChainConfig::new(SealPolicy::All, Arc::new(ToySeal::default()), clock())
}

pub(crate) fn open_chain() -> Arc<HeaderChain> {
    Arc::new(HeaderChain::open(spec(), Arc::new(MemoryStore::new()), chain_config()).unwrap())
}

/// A block on `parent` with this state and body.
pub(crate) fn mine(miner: &ToyMiner, parent: &SealedHeader, state_root: B256, body: &Body) -> (SealedHeader, RawBlock) {
    let mut template = miner.template(parent);
    template.state_root = state_root;
    template.ommers_hash = body.uncles_hash();
    template.transactions_root = body.transactions_root();
    let sealed = toy_seal(template);
    let block = RawBlock::from_parts(header::encode(&sealed), body.clone());
    (sealed, block)
}

pub(crate) fn extend(chain: &HeaderChain, headers: &[&SealedHeader]) {
    let raw: Vec<_> = headers.iter().map(|sealed| header::encode(sealed)).collect();
    chain.extend(&raw).unwrap();
}

pub(crate) fn client_over(chain: Arc<HeaderChain>, source: impl Source) -> LightClient {
    let (_, status) = watch::channel(SyncStatus::default());
    LightClient::new(chain, Arc::new(source), status, 1337)
}
