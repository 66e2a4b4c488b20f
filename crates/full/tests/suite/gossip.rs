//! Transactions between full peers in memory, on virtual time: passed on, sealed, and sealed as they come.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rushlight_chain::pool::{PoolTransaction, TransactionPool};
use rushlight_chain::{Clock, Consensus, MemoryStore};
use rushlight_full::{CliqueSealer, FullChain, FullConfig, FullNode, FullNodeConfig, PoolConfig};
use rushlight_p2p::memory::Network;
use rushlight_p2p::{Enode, ServerConfig};
use tokio::time::{Instant, sleep, timeout};

use super::common::{AnySeal, key};
use super::wallet::{GENESIS_TIME, GWEI, blobs, spec, transfer};

fn clock(start: u64) -> Clock {
    let origin = Instant::now();
    Arc::new(move || start + origin.elapsed().as_secs())
}

struct World {
    network: Network,
    clock: Clock,
    period: u64,
}

impl World {
    fn new(period: u64) -> World {
        World { network: Network::new(1), clock: clock(GENESIS_TIME), period }
    }

    async fn node(&self, number: u8, sealer: bool, peers: Vec<Enode>) -> FullNode {
        let (mut spec, genesis) = spec("osakaTime", 30_000_000);
        spec.consensus = Consensus::Clique { period: self.period, epoch: 30_000 };
        let config = FullConfig { seals: Arc::new(AnySeal), clock: self.clock.clone() };
        let chain = FullChain::open(Arc::new(spec), genesis, Arc::new(MemoryStore::new()), config).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let mut server = ServerConfig::new(key(100 + number), self.network.transport(ip));
        server.listen = Some(SocketAddr::new(ip, 30_303));
        server.static_peers = peers;
        let config = FullNodeConfig {
            chain: Arc::new(chain),
            server,
            network_id: None,
            info_config: None,
            pool: PoolConfig::default(),
            sealer: sealer.then(|| CliqueSealer::new(key(1), self.period)),
            seed: u64::from(number),
        };
        FullNode::start(config).await.unwrap()
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let reached = timeout(Duration::from_secs(120), async {
        while !done() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("{what}"));
}

fn included(node: &FullNode, tx: &PoolTransaction) -> Option<u64> {
    node.pool().tracked(&tx.hash())?.included.map(|included| included.number)
}

#[tokio::test(start_paused = true)]
async fn sent_to_one_and_sealed_by_another() {
    let world = World::new(2);
    let sealing = world.node(1, true, vec![]).await;
    let middle = world.node(2, false, vec![sealing.server().enode()]).await;
    let last = world.node(3, false, vec![middle.server().enode()]).await;
    until("joined", || last.chain().headers().head().header.number > 2).await;
    let list = [transfer(&key(2), 0, 20 * GWEI, GWEI), blobs(&key(3), 0, 1, true)];
    for tx in &list {
        assert_eq!(last.pool().submit(tx.raw().clone()).await.unwrap(), tx.hash());
    }
    for tx in &list {
        for node in [&sealing, &middle, &last] {
            until("sealed, and known everywhere", || included(node, tx).is_some()).await;
        }
        assert_eq!(included(&sealing, tx), included(&last, tx));
    }
    for node in [sealing, middle, last] {
        assert!(node.pool().is_empty());
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_begins_is_given_what_waits() {
    let world = World::new(2);
    let first = world.node(2, false, vec![]).await;
    let (tx, waits) = (transfer(&key(2), 0, 20 * GWEI, GWEI), transfer(&key(2), 2, 20 * GWEI, GWEI));
    for tx in [&tx, &waits] {
        first.pool().submit(tx.raw().clone()).await.unwrap();
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(first.pool().len(), 2);
    let sealing = world.node(1, true, vec![first.server().enode()]).await;
    until("sealed", || included(&first, &tx).is_some()).await;
    // What waits for a nonce stays at home.
    assert_eq!((first.pool().len(), sealing.pool().len()), (1, 0));
    let missing = transfer(&key(2), 1, 20 * GWEI, GWEI);
    sealing.pool().submit(missing.raw().clone()).await.unwrap();
    until("both", || included(&sealing, &waits).is_some()).await;
    assert!(included(&sealing, &missing) <= included(&sealing, &waits));
    for node in [first, sealing] {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_period_each_arrival_is_sealed_at_once_and_nothing_else() {
    let world = World::new(0);
    let node = world.node(1, true, vec![]).await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!(node.chain().headers().head().header.number, 0, "no empty blocks");
    for nonce in 0..3 {
        let tx = transfer(&key(2), nonce, 20 * GWEI, GWEI);
        let before = Instant::now();
        node.pool().submit(tx.raw().clone()).await.unwrap();
        until("sealed", || included(&node, &tx) == Some(nonce + 1)).await;
        assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    }
    // One that no block takes yet does not keep it busy.
    let cheap = transfer(&key(3), 0, 1_000, 1_000);
    node.pool().submit(cheap.raw().clone()).await.unwrap();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(node.chain().headers().head().header.number, 3);
    let tx = transfer(&key(2), 3, 20 * GWEI, GWEI);
    node.pool().submit(tx.raw().clone()).await.unwrap();
    until("sealed", || included(&node, &tx) == Some(4)).await;
    assert_eq!(node.pool().len(), 1);
    node.shutdown().await.unwrap();
}
