//! Two full peers and a light node in memory, on virtual time: a transaction of the light node is passed on, sealed,
//! reorganised away, and sealed again.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use alloy_consensus::TxEip1559;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, U256};
use rushlight_chain::{
    ChainSpec, Clock, MemoryStore, NoSeals,
    clique::signer_address,
    pool::{Included, PoolTransaction, TransactionPool},
    testing::signed,
};
use rushlight_full::{CliqueSealer, FullChain, FullConfig, FullNode, FullNodeConfig, PoolConfig};
use rushlight_light::{LightConfig, LightNode};
use rushlight_p2p::{Enode, ServerConfig, memory::Network, secp256k1::SecretKey};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

const START: u64 = 1_700_000_000;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_byte_array([byte; 32]).unwrap()
}

fn spec() -> (ChainSpec, Genesis) {
    let signer = signer_address(&key(1)).to_string();
    let json = json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "clique": { "period": 2, "epoch": 30_000 }
        },
        "timestamp": format!("{START:#x}"), "gasLimit": "0x1c9c380", "difficulty": "0x1",
        "extraData": format!("0x{}{}{}", "00".repeat(32), signer.trim_start_matches("0x"), "00".repeat(65)),
        "alloc": { signer_address(&key(2)).to_string(): { "balance": "0x21e19e0c9bab2400000" } }
    });
    ChainSpec::from_genesis(json.to_string().as_bytes()).unwrap()
}

struct World {
    network: Network,
    clock: Clock,
}

impl World {
    fn server(&self, number: u8, peers: Vec<Enode>) -> ServerConfig {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let mut server = ServerConfig::new(key(100 + number), self.network.transport(ip));
        server.listen = Some(SocketAddr::new(ip, 30_303));
        server.static_peers = peers;
        server
    }

    async fn full(&self, number: u8, store: &Arc<MemoryStore>, seals: bool, peers: Vec<Enode>) -> FullNode {
        let (spec, genesis) = spec();
        let config = FullConfig { seals: Arc::new(NoSeals), clock: self.clock.clone() };
        let chain = FullChain::open(Arc::new(spec), genesis, store.clone(), config).unwrap();
        let config = FullNodeConfig {
            chain: Arc::new(chain),
            server: self.server(number, peers),
            network_id: None,
            info_config: None,
            pool: PoolConfig::default(),
            sealer: seals.then(|| CliqueSealer::new(key(1), 0)),
            seed: u64::from(number),
        };
        FullNode::start(config).await.unwrap()
    }

    async fn light(&self, number: u8, peers: Vec<Enode>) -> LightNode {
        let (spec, _) = spec();
        let server = self.server(number, peers);
        let config = LightConfig {
            clock: self.clock.clone(),
            seed: 3,
            ..LightConfig::new(Arc::new(spec), Arc::new(MemoryStore::new()), server)
        };
        LightNode::start(config).await.unwrap()
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let reached = timeout(Duration::from_secs(600), async {
        while !done() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("{what}"));
}

fn number(node: &FullNode) -> u64 {
    node.chain().headers().head().header.number
}

fn included(pool: &dyn TransactionPool, tx: &PoolTransaction) -> Option<Included> {
    pool.tracked(&tx.hash())?.included
}

#[tokio::test(start_paused = true)]
async fn sealed_reorganised_away_and_sealed_again() {
    let origin = Instant::now();
    let clock: Clock = Arc::new(move || START + origin.elapsed().as_secs());
    let world = World { network: Network::new(1), clock };
    let (first_store, second_store) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let first = world.full(1, &first_store, true, vec![]).await;
    let second = world.full(2, &second_store, false, vec![first.server().enode()]).await;
    let first_enode = first.server().enode();
    until("both at block 3", || number(&second) >= 3).await;
    second.shutdown().await.unwrap();
    let parted = number(&first);

    // Through the light node to the first, and into a block that the second never sees as its head.
    let light = world.light(3, vec![first_enode.clone()]).await;
    until("synced", || light.sync().synced() && light.client().chain().head().header.number > parted).await;
    let tx = TxEip1559 {
        chain_id: 1337,
        gas_limit: 21_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: Address::repeat_byte(7).into(),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let tx = signed(&key(2), tx);
    assert_eq!(light.pool().submit(tx.raw().clone()).await.unwrap(), tx.hash());
    until("sealed by the first", || included(&**light.pool(), &tx).is_some()).await;
    let before = included(&**light.pool(), &tx).unwrap();
    assert_eq!(Some(before), included(first.pool(), &tx));

    // The first seals no more; the second goes on by itself from where it was, has the longer chain after a while, and shows it.
    first.shutdown().await.unwrap();
    let first = world.full(1, &first_store, false, vec![]).await;
    assert!(first.pool().is_empty() && included(first.pool(), &tx) == Some(before));
    let second = world.full(2, &second_store, true, vec![]).await;
    until("the second is ahead", || number(&second) > number(&first) + 2).await;
    assert_eq!(included(second.pool(), &tx), None);
    second.server().add_peer(first_enode).await;
    let again = |pool: &dyn TransactionPool| included(pool, &tx).filter(|place| place.block != before.block);
    until("sealed again, by the second", || again(second.pool()).is_some()).await;
    until("known to the first", || again(first.pool()).is_some()).await;
    until("known to the light node", || again(&**light.pool()).is_some()).await;
    let after = again(second.pool()).unwrap();
    assert_eq!((again(first.pool()), again(&**light.pool())), (Some(after), Some(after)));
    assert!(!first.chain().headers().is_canonical(&before.block));
    assert!(first.pool().is_empty() && second.pool().is_empty());
    light.shutdown().await;
    for node in [first, second] {
        node.shutdown().await.unwrap();
    }
}
