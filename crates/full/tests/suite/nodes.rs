//! Two full peers in memory, on virtual time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use alloy_genesis::Genesis;
use alloy_primitives::{Address, Bytes, TxKind};
use rushlight_chain::{ChainSpec, Clock, MemoryStore, Store};
use rushlight_full::{
    CliqueSealer, FullChain, FullConfig, FullNode, FullNodeConfig, PoolConfig, SealerError, StartError,
};
use rushlight_p2p::memory::Network;
use rushlight_p2p::{Enode, ServerConfig};
use tokio::time::{Instant, sleep, timeout};

use super::common::{AnySeal, Toy, blocks, body, key, transaction};

/// Unix time that goes with tokio's clock.
fn clock(start: u64) -> Clock {
    let origin = Instant::now();
    Arc::new(move || start + origin.elapsed().as_secs())
}

struct World {
    network: Network,
    spec: ChainSpec,
    genesis: Genesis,
    clock: Clock,
}

impl World {
    fn new(signers: u8) -> World {
        let (spec, genesis) = super::clique::spec(2, signers);
        let clock = clock(genesis.timestamp);
        World { network: Network::new(1), spec, genesis, clock }
    }

    async fn node(&self, number: u8, store: Arc<dyn Store>, sealer: Option<u8>, peers: Vec<Enode>) -> FullNode {
        let config = FullConfig { seals: Arc::new(AnySeal), clock: self.clock.clone() };
        let chain = FullChain::open(Arc::new(self.spec.clone()), self.genesis.clone(), store, config).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let mut server = ServerConfig::new(key(100 + number), self.network.transport(ip));
        server.listen = Some(SocketAddr::new(ip, 30_303));
        server.static_peers = peers;
        FullNode::start(FullNodeConfig {
            chain: Arc::new(chain),
            server,
            network_id: None,
            info_config: None,
            pool: PoolConfig::default(),
            sealer: sealer.map(|byte| CliqueSealer::new(key(byte), 2)),
            seed: u64::from(number),
        })
        .await
        .unwrap()
    }
}

fn number(node: &FullNode) -> u64 {
    node.chain().headers().head().header.number
}

async fn reach(node: &FullNode, wanted: u64) {
    let reached = timeout(Duration::from_secs(300), async {
        while number(node) < wanted {
            sleep(Duration::from_millis(100)).await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("expected block {wanted}, got {}", number(node)));
}

#[tokio::test(start_paused = true)]
async fn one_seals_and_the_other_follows_by_whole_blocks() {
    let world = World::new(1);
    let sealing = world.node(1, Arc::new(MemoryStore::new()), Some(1), vec![]).await;
    reach(&sealing, 40).await;
    // Joins late: what is there is synchronised, what is new is announced.
    let store = Arc::new(MemoryStore::new());
    let following = world.node(2, store.clone(), None, vec![sealing.server().enode()]).await;
    reach(&following, 60).await;
    assert!(number(&sealing) - number(&following) <= 1);
    let head = following.chain().headers().head();
    assert!(sealing.chain().headers().is_canonical(&head.header.hash()));
    assert!(following.chain().lookup(&head.header.state_root).unwrap().is_some());
    // A block every two seconds.
    assert_eq!(head.header.timestamp, world.genesis.timestamp + 2 * head.header.number);

    // The follower is killed, and goes on from its disk.
    let left = number(&following);
    let disk = Arc::new(store.snapshot());
    following.shutdown().await.unwrap();
    let following = world.node(2, disk, None, vec![sealing.server().enode()]).await;
    assert!(number(&following) >= left);
    reach(&following, 80).await;
    sealing.shutdown().await.unwrap();
    following.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_signers_cut_off_from_each_other_end_on_one_chain() {
    let world = World::new(2);
    let first = world.node(1, Arc::new(MemoryStore::new()), Some(1), vec![]).await;
    let second = world.node(2, Arc::new(MemoryStore::new()), Some(2), vec![first.server().enode()]).await;
    // Of two signers each may sign every other block: neither gets on without the other.
    reach(&first, 20).await;
    reach(&second, 20).await;
    let one = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    world.network.cut(one);
    sleep(Duration::from_secs(60)).await;
    let apart = number(&first).max(number(&second));
    assert!(apart <= 24, "{apart}");
    world.network.heal(one);
    reach(&first, apart + 10).await;
    reach(&second, apart + 10).await;
    let common = first.chain().headers().canonical_hash(apart + 8);
    assert_eq!(common, second.chain().headers().canonical_hash(apart + 8));
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_lighter_chain_gives_way_with_its_bodies() {
    let (toy, heavy, _) = super::common::toy_chain();
    // Another chain of the same genesis, shorter, with a body of its own.
    let light = toy.memory();
    let other = toy.miner.for_beneficiary(Address::repeat_byte(0xee));
    let send = transaction(&toy.key, 0, TxKind::Call(Address::repeat_byte(2)), 5, Bytes::new());
    toy.mine(&light, &other, &toy.spec.genesis, &body(&[send], &[]));
    let expected = heavy.headers().head();
    let network = Network::new(1);
    let start = |number: u8, chain: FullChain, peers| {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let mut server = ServerConfig::new(key(100 + number), network.transport(ip));
        server.listen = Some(SocketAddr::new(ip, 30_303));
        server.static_peers = peers;
        let chain = Arc::new(chain);
        FullNode::start(FullNodeConfig {
            chain,
            server,
            network_id: None,
            info_config: None,
            pool: PoolConfig::default(),
            sealer: None,
            seed: 1,
        })
    };
    let heavy = start(1, heavy, vec![]).await.unwrap();
    let light = start(2, light, vec![heavy.server().enode()]).await.unwrap();
    reach(&light, expected.header.number).await;
    assert_eq!(light.chain().headers().head(), expected);
    assert_eq!(blocks(light.chain()), blocks(heavy.chain()));
    assert_eq!(heavy.chain().headers().head(), expected);
    light.shutdown().await.unwrap();
    heavy.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sealer_is_for_clique_chains() {
    let toy = Toy::new();
    let network = Network::new(1);
    let start = |chain: FullChain, sealer| {
        let server = ServerConfig::new(key(1), network.transport(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let chain = Arc::new(chain);
        FullNode::start(FullNodeConfig {
            chain,
            server,
            network_id: None,
            info_config: None,
            pool: PoolConfig::default(),
            sealer,
            seed: 1,
        })
    };
    let error = start(toy.memory(), Some(CliqueSealer::new(key(1), 1))).await.unwrap_err();
    assert!(matches!(error, StartError::Sealer(SealerError::NotClique { .. })), "{error}");
}
