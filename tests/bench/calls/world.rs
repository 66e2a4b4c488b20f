//! A full peer with a large genesis state, and light nodes a simulated link away from it.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use futures::future::BoxFuture;
use rushlight_chain::{ChainSpec, MemoryStore, NoSeals, SealedHeader, block::Body, system_clock};
use rushlight_full::{FullChain, FullConfig, FullNode, FullNodeConfig};
use rushlight_light::{LightClient, LightConfig, LightNode, call::CallRequest};
use rushlight_odr::{Source, Unavailable, Wanted};
use rushlight_p2p::{
    ServerConfig,
    memory::{LinkConfig, Network},
    secp256k1::SecretKey,
};
use serde_json::{Map, Value, json};

/// A token of ERC-20 as far as `balanceOf` goes: balances are the mapping in slot 0.
pub(crate) const TOKEN: Address = Address::repeat_byte(0x70);
const TOKEN_CODE: &str = "0x600435600052600060205260406000205460005260206000f3";
/// Calls 200 contracts one after the other and adds up what they return.
pub(crate) const CALLER_OF_200: Address = Address::repeat_byte(0x71);
const CALLER_CODE: &str =
    "0x600060005b60206000600060006000856301000000015af1509060005101906001018060c8116004575060005260206000f3";
/// Adds up its slots 0 to 199.
pub(crate) const READER_OF_200: Address = Address::repeat_byte(0x72);
const READER_CODE: &str = "0x600060005b81540190600101908160c81160045760005260206000f3";
/// Who holds tokens.
pub(crate) const HOLDERS: u64 = 10_000;

pub(crate) fn holder(number: u64) -> Address {
    Address::from_slice(&keccak256(number.to_be_bytes())[12..])
}

pub(crate) fn contract(number: u64) -> Address {
    Address::left_padding_from(&(0x0100_0000 + number).to_be_bytes())
}

/// A genesis with every fork to Osaka, the token with its holders, the 200 contracts, and `more`.
pub(crate) fn genesis(more: Map<String, Value>) -> Vec<u8> {
    let word = |number: u64| B256::from(U256::from(number));
    let mut alloc = more;
    let mut balances = Map::new();
    for number in 0..HOLDERS {
        let place = keccak256([holder(number).into_word().as_slice(), B256::ZERO.as_slice()].concat());
        balances.insert(place.to_string(), json!(word(number + 1)));
        alloc.insert(holder(number).to_string(), json!({ "balance": "0xde0b6b3a7640000" }));
    }
    alloc.insert(TOKEN.to_string(), json!({ "balance": "0x0", "code": TOKEN_CODE, "storage": balances }));
    alloc.insert(CALLER_OF_200.to_string(), json!({ "balance": "0x0", "code": CALLER_CODE }));
    let slots: Map<String, Value> = (0..300).map(|slot| (word(slot).to_string(), json!(word(slot + 1)))).collect();
    alloc.insert(READER_OF_200.to_string(), json!({ "balance": "0x0", "code": READER_CODE, "storage": slots }));
    for number in 0..200 {
        // Reads its slot 0; every code is another one.
        let code = format!("0x60005460005260206000f3{number:08x}");
        let storage = json!({ B256::ZERO.to_string(): word(number + 1) });
        alloc.insert(contract(number).to_string(), json!({ "balance": "0x0", "code": code, "storage": storage }));
    }
    let blobs = json!({ "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 });
    json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
            "blobSchedule": { "cancun": blobs, "prague": blobs, "osaka": blobs },
            "clique": { "period": 2, "epoch": 30_000 },
        },
        "nonce": "0x0", "timestamp": "0x0", "gasLimit": "0x1c9c380", "difficulty": "0x1",
        "extraData": format!("0x{}{}{}", "00".repeat(32), "11".repeat(20), "00".repeat(65)),
        "mixHash": B256::ZERO, "coinbase": Address::ZERO, "baseFeePerGas": "0x3b9aca00",
        "alloc": alloc,
    })
    .to_string()
    .into_bytes()
}

/// The full peer, in a network of its own.
pub(crate) struct World {
    network: Network,
    spec: Arc<ChainSpec>,
    full: FullNode,
    /// The full peer's own answers.
    pub(crate) local: LightClient,
}

/// A light node, and a client that counts what it looks up.
pub(crate) struct Light {
    node: LightNode,
    pub(crate) client: LightClient,
    pub(crate) looked_up: Arc<Counter>,
}

/// What was looked up, each thing once.
#[derive(Default)]
pub(crate) struct Counter {
    held: Mutex<HashMap<B256, usize>>,
    bytes: AtomicUsize,
}

impl Counter {
    /// Things and their bytes since the last time.
    pub(crate) fn take(&self) -> (usize, usize) {
        let things = std::mem::take(&mut *self.held.lock().unwrap()).len();
        (things, self.bytes.swap(0, Ordering::Relaxed))
    }
}

struct Counting {
    inner: Arc<dyn Source>,
    counter: Arc<Counter>,
}

impl Source for Counting {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        Box::pin(async move {
            let hashes: Vec<_> = wanted.iter().map(|one| one.hash).collect();
            let found = self.inner.preimages(wanted).await?;
            let mut held = self.counter.held.lock().unwrap();
            for (hash, bytes) in hashes.into_iter().zip(&found) {
                if held.insert(hash, bytes.len()).is_none() {
                    self.counter.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
                }
            }
            drop(held);
            Ok(found)
        })
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        self.inner.body(header)
    }
}

fn ip(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_byte_array([number; 32]).unwrap()
}

impl World {
    /// `round_trip`: what every turn over the network takes.
    pub(crate) async fn new(genesis: &[u8], round_trip: Duration) -> Self {
        let (spec, genesis) = ChainSpec::from_genesis(genesis).unwrap();
        let spec = Arc::new(spec);
        let config = FullConfig { seals: Arc::new(NoSeals), clock: system_clock() };
        let chain = FullChain::open(spec.clone(), genesis, Arc::new(MemoryStore::new()), config).unwrap();
        let chain = Arc::new(chain);
        let network = Network::new(1);
        network.set_link(LinkConfig { latency: round_trip / 2, ..LinkConfig::default() });
        let mut server = ServerConfig::new(key(1), network.transport(ip(1)));
        server.listen = Some(SocketAddr::new(ip(1), 30303));
        let full = FullNode::start(FullNodeConfig {
            chain: chain.clone(),
            server,
            network_id: None,
            info_config: None,
            pool: Default::default(),
            sealer: None,
            seed: 1,
        })
        .await
        .unwrap();
        let local = LightClient::new(chain.headers(), chain, full.sync().watch(), 1337);
        Self { network, spec, full, local }
    }

    /// A light node that holds nothing yet, connected.
    pub(crate) async fn light(&self, number: u8) -> Light {
        let mut server = ServerConfig::new(key(number), self.network.transport(ip(number)));
        server.static_peers = vec![self.full.server().enode()];
        let config = LightConfig {
            seals: Arc::new(NoSeals),
            seed: 1,
            ..LightConfig::new(self.spec.clone(), Arc::new(MemoryStore::new()), server)
        };
        let node = LightNode::start(config).await.unwrap();
        while node.peers().sessions().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let looked_up = Arc::new(Counter::default());
        let inner = node.client().source().clone();
        let source = Arc::new(Counting { inner, counter: looked_up.clone() });
        let client = LightClient::new(node.client().chain().clone(), source, node.sync().watch(), 1337);
        Light { node, client, looked_up }
    }

    pub(crate) async fn end(self) {
        self.full.shutdown().await.unwrap();
    }
}

impl Light {
    pub(crate) async fn end(self) {
        self.node.shutdown().await;
    }
}

/// `balanceOf` of a holder.
pub(crate) fn balance_of(who: Address) -> CallRequest {
    let input = [&hex!("70a08231")[..], who.into_word().as_slice()].concat();
    CallRequest { to: Some(TOKEN), input: Some(input.into()), ..Default::default() }
}

/// A call without data.
pub(crate) fn ask(to: Address) -> CallRequest {
    CallRequest { to: Some(to), ..Default::default() }
}
