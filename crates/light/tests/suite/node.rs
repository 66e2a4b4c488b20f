//! A whole light node over an in-memory network on virtual time: sync, proved answers, peers that hold nothing or lie, a
//! shutdown in order.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rushlight_chain::{
    ChainAccess, Head, HeaderChain, Retain, SealPolicy,
    block::{Body, RawBlock},
    store::{MemoryStore, Store},
    testing::{ToyMiner, ToySeal},
};
use rushlight_eth::{EthConfig, EthProtocol};
use rushlight_light::{ClientError, LightConfig, LightNode};
use rushlight_odr::{RetrieverConfig, VerifiedStoreConfig, Why};
use rushlight_p2p::{
    Enode, PeerId, Server, ServerConfig, ServerHandle,
    memory::{LinkConfig, Network},
};
use secp256k1::SecretKey;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::common::{Model, Nodes, State, clock, extend, mine, open_chain, root_of, spec};

/// What a serving peer makes of look-ups.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    HoldsNothing,
    Lies,
}

/// A full peer as far as serving goes.
struct FullAccess {
    chain: Arc<HeaderChain>,
    blocks: HashMap<B256, RawBlock>,
    nodes: Nodes,
    manner: Manner,
    served: Arc<AtomicUsize>,
}

impl ChainAccess for FullAccess {
    fn head(&self) -> Head {
        self.chain.head()
    }

    fn genesis_hash(&self) -> B256 {
        self.chain.genesis_hash()
    }

    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        self.chain.hashes_before(hash, max)
    }

    fn header(&self, hash: &B256) -> Option<Bytes> {
        self.chain.raw_header(hash)
    }

    fn block(&self, hash: &B256) -> Option<RawBlock> {
        self.blocks.get(hash).cloned().filter(|_| self.manner == Manner::Honest)
    }

    fn preimage(&self, hash: &B256) -> Option<Bytes> {
        self.served.fetch_add(1, Ordering::Relaxed);
        match self.manner {
            Manner::Honest => self.nodes.get(hash).cloned(),
            Manner::HoldsNothing => None,
            Manner::Lies => Some(Bytes::from_static(b"a lie")),
        }
    }
}

/// A chain of 40 blocks with a state that grows, and all that a full peer holds of it.
struct World {
    chain: Arc<HeaderChain>,
    blocks: HashMap<B256, RawBlock>,
    nodes: Nodes,
    states: Vec<State>,
}

fn address_of(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn slot() -> B256 {
    B256::with_last_byte(1)
}

fn world() -> World {
    let chain = open_chain();
    let miner = ToyMiner::new((*spec()).clone());
    let (mut nodes, mut blocks, mut states) = (Nodes::new(), HashMap::new(), Vec::new());
    let mut parent = spec().genesis.clone();
    let mut state: State = (0..300).map(|number| (address_of(number), Model::default())).collect();
    for number in 1..=40u64 {
        let model = Model {
            nonce: number,
            balance: U256::from(number * 1000),
            code: vec![number as u8; 40],
            storage: [(slot(), U256::from(number))].into(),
        };
        state.insert(address_of(number), model);
        let root = root_of(&state, &mut nodes);
        let uncles = if number == 3 {
            let uncle = miner.for_beneficiary(address_of(9)).header(&spec().genesis);
            vec![rushlight_chain::header::encode(&uncle)]
        } else {
            vec![]
        };
        let body = Body { uncles, ..Body::default() };
        let list = body.uncles_rlp();
        nodes.insert(keccak256(&list), list);
        let (header, block) = mine(&miner, &parent, root, &body);
        extend(&chain, &[&header]);
        blocks.insert(header.hash(), block);
        states.push(state.clone());
        parent = header;
    }
    World { chain, blocks, nodes, states }
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_byte_array([number; 32]).unwrap()
}

fn ip(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

struct FullPeer {
    server: ServerHandle,
    served: Arc<AtomicUsize>,
    _events: mpsc::Receiver<rushlight_eth::SessionEvent>,
}

async fn full_peer(network: &Network, number: u8, world: &World, manner: Manner) -> FullPeer {
    let served = Arc::new(AtomicUsize::new(0));
    let access = FullAccess {
        chain: world.chain.clone(),
        blocks: world.blocks.clone(),
        nodes: world.nodes.clone(),
        manner,
        served: served.clone(),
    };
    let (events, inbox) = mpsc::channel(1024);
    let mut config = ServerConfig::new(key(number), network.transport(ip(number)));
    config.client_name = format!("full/{number}");
    config.listen = Some(SocketAddr::new(ip(number), 30303));
    config.protocols = vec![Arc::new(EthProtocol::new(EthConfig::new(Arc::new(access), events)))];
    FullPeer { server: Server::start(config).await.unwrap(), served, _events: inbox }
}

async fn light_node(network: &Network, store: Arc<dyn Store>, peers: &[&FullPeer]) -> LightNode {
    let mut server = ServerConfig::new(key(100), network.transport(ip(100)));
    server.static_peers = peers.iter().map(|peer| peer.server.enode()).collect::<Vec<Enode>>();
    LightNode::start(LightConfig {
        spec: spec(),
        store,
        policy: SealPolicy::All,
        retain: Retain::LIGHT,
        seals: Arc::new(ToySeal::default()),
        clock: clock(),
        network_id: None,
        info_config: None,
        trusted_head: None,
        server,
        verified: VerifiedStoreConfig::default(),
        retriever: RetrieverConfig::default(),
        pool: Default::default(),
        seed: 1,
    })
    .await
    .unwrap()
}

async fn synced(node: &LightNode, world: &World) {
    let head = world.chain.head();
    let reached = async {
        while node.client().head() != head {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), reached).await.expect("the light node syncs within a minute");
}

async fn check_states(node: &LightNode, world: &World) {
    let client = node.client();
    for number in [1u64, 20, 40] {
        let header = client.resolve(BlockId::number(number)).await.unwrap();
        let state = &world.states[number as usize - 1];
        for who in [1u64, 20, 40, 299, 5000] {
            let model = state.get(&address_of(who));
            let account = client.account(&header, address_of(who)).await.unwrap();
            assert_eq!(account.map(|account| account.balance), model.map(|model| model.balance), "{who} at {number}");
            let code = client.code(&header, address_of(who)).await.unwrap();
            assert_eq!(code, model.map(|model| model.code.clone()).unwrap_or_default());
            let value = client.storage(&header, address_of(who), slot()).await.unwrap();
            let expected = model.and_then(|model| model.storage.get(&slot()).copied()).unwrap_or_default();
            assert_eq!(value, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn syncs_answers_and_says_goodbye() {
    let world = world();
    let network = Network::new(1);
    let peer = full_peer(&network, 1, &world, Manner::Honest).await;
    let store = Arc::new(MemoryStore::new());
    let node = light_node(&network, store.clone(), &[&peer]).await;
    synced(&node, &world).await;
    assert_eq!((node.client().network_id(), node.client().chain_id()), (1337, 1337));
    check_states(&node, &world).await;
    let third = node.client().resolve(BlockId::number(3)).await.unwrap();
    let block = node.client().block(&third).await.unwrap();
    assert_eq!((block.uncles.len(), block.transactions.len()), (1, 0));

    let start = Instant::now();
    node.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    sleep(Duration::from_secs(3)).await;
    assert_eq!(peer.server.peer_count(), 0);

    // What was verified is there after a restart, without any peer.
    let node = light_node(&network, store, &[]).await;
    assert_eq!(node.client().head(), world.chain.head());
    check_states(&node, &world).await;
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_liar_and_an_idler_change_no_answer() {
    let world = world();
    let network = Network::new(2);
    // The honest one is far away, so that the others are tried before it.
    let far = LinkConfig { latency: Duration::from_millis(200), ..Default::default() };
    network.set_link_between(ip(100), ip(3), far);
    let liar = full_peer(&network, 1, &world, Manner::Lies).await;
    let idler = full_peer(&network, 2, &world, Manner::HoldsNothing).await;
    let honest = full_peer(&network, 3, &world, Manner::Honest).await;
    let node = light_node(&network, Arc::new(MemoryStore::new()), &[&liar, &idler, &honest]).await;
    synced(&node, &world).await;
    timeout(Duration::from_secs(30), async {
        while node.peers().len() < 3 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("three sessions");
    check_states(&node, &world).await;
    // Ask until the liar's turn has come: every new header's state has nodes that are not held.
    for number in 1..=40u64 {
        let header = node.client().resolve(BlockId::number(number)).await.unwrap();
        let account = node.client().account(&header, address_of(number)).await.unwrap().unwrap();
        assert_eq!(account.nonce, number);
    }
    let score = |number| node.peers().score(&PeerId::of(&key(number)));
    assert!(liar.served.load(Ordering::Relaxed) > 0, "the liar was asked");
    assert!(score(1) < 0.0, "a lie is a breach, and costs");
    assert_eq!((score(2), score(3)), (0.0, 0.0));
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_peer_holds_is_an_error_that_says_so() {
    let world = world();
    let network = Network::new(3);
    let idler = full_peer(&network, 1, &world, Manner::HoldsNothing).await;
    let node = light_node(&network, Arc::new(MemoryStore::new()), &[&idler]).await;
    synced(&node, &world).await;
    let header = node.client().head().header;
    let start = Instant::now();
    let error = node.client().account(&header, address_of(1)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());
    let ClientError::Unavailable(error) = error else { panic!("{error}") };
    assert_eq!(error.missing.len(), 1);
    assert_eq!(error.missing[0].hash, header.state_root);
    assert_eq!(error.asked.len(), 1);
    assert_eq!((error.asked[0].client.as_str(), &error.asked[0].why), ("full/1", &Why::NotHeld));
    assert_eq!(node.peers().score(&PeerId::of(&key(1))), 0.0);
    assert_eq!(idler.served.load(Ordering::Relaxed), 1, "asked once");

    // A dapp that gives up costs nothing more.
    let given_up = timeout(Duration::from_secs(1), node.client().account(&header, address_of(2))).await;
    assert!(given_up.is_err());
    node.shutdown().await;
}

/// Light nodes serve each other what they hold, and never ask anyone on another's behalf.
#[tokio::test(start_paused = true)]
async fn serves_what_it_holds() {
    let world = world();
    let network = Network::new(4);
    let full = full_peer(&network, 1, &world, Manner::Honest).await;
    let node = light_node(&network, Arc::new(MemoryStore::new()), &[&full]).await;
    synced(&node, &world).await;
    let header = node.client().head().header;
    node.client().proof(&header, address_of(1), &[slot()]).await.unwrap();
    let asked = full.served.load(Ordering::Relaxed);

    let access = rushlight_light::Access::new(node.client().chain().clone(), node.retriever().clone());
    assert_eq!(access.head(), world.chain.head());
    assert_eq!(access.header(&header.hash()), world.chain.raw_header(&header.hash()));
    assert_eq!(access.preimage(&header.state_root), world.nodes.get(&header.state_root).cloned());
    assert_eq!(access.preimage(&B256::repeat_byte(1)), None);
    assert_eq!(access.block(&header.hash()), world.blocks.get(&header.hash()).cloned(), "an empty block is held");
    let third = node.client().resolve(BlockId::number(3)).await.unwrap();
    assert_eq!(access.block(&third.hash()), None);
    node.client().block(&third).await.unwrap();
    assert_eq!(access.block(&third.hash()), world.blocks.get(&third.hash()).cloned());
    assert_eq!(full.served.load(Ordering::Relaxed), asked);
    node.shutdown().await;
}
