//! Many servers on a bad network.

use std::{sync::Arc, time::Duration};

use rushlight_p2p::{
    PeerEvent, Server, ServerConfig, ServerHandle,
    memory::{LinkConfig, Network},
};
use tokio::time::{Instant, sleep};

use super::util::*;

async fn mesh(network: &Network, size: u8) -> Vec<ServerHandle> {
    let mut servers = Vec::new();
    for n in 1..=size {
        let mut config = ServerConfig { max_inbound: Some(50), ..config(network, n, vec![Arc::new(Echo)]) };
        config.static_peers = (1..=size).map(enode).collect();
        servers.push(Server::start(config).await.unwrap());
    }
    servers
}

fn bad() -> LinkConfig {
    LinkConfig {
        latency: Duration::from_millis(80),
        jitter: Duration::from_millis(200),
        bandwidth: Some(100_000),
        reset_probability: 0.05,
    }
}

/// Whatever happened before: once the network is good, everybody has everybody.
#[tokio::test(start_paused = true)]
async fn a_mesh_recovers() {
    let network = Network::new(7);
    network.set_link(bad());
    let servers = mesh(&network, 6).await;
    sleep(Duration::from_secs(120)).await;
    network.partition(&[ip(1), ip(2)], &[ip(3), ip(4), ip(5), ip(6)]);
    sleep(Duration::from_secs(120)).await;
    network.heal_all();
    network.set_link(LinkConfig::default());
    for n in 1..=6 {
        network.reset(ip(n));
    }
    sleep(Duration::from_secs(300)).await;
    for server in &servers {
        assert_eq!(server.peer_count(), 5);
    }
    assert_eq!(network.connections(), 15);
    let start = Instant::now();
    futures::future::join_all(servers.iter().map(ServerHandle::shutdown)).await;
    assert!(start.elapsed() <= Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(network.connections(), 0);
}

/// The same seeds give the same run.
#[tokio::test(start_paused = true)]
async fn a_run_can_be_repeated() {
    async fn run(seed: u64) -> Vec<String> {
        let network = Network::new(seed);
        network.set_link(bad());
        let servers = mesh(&network, 4).await;
        let mut events = servers[0].subscribe();
        let start = Instant::now();
        let mut log = Vec::new();
        while start.elapsed() < Duration::from_secs(60) {
            tokio::select! {
                biased;
                event = events.recv() => log.push(match event.unwrap() {
                    PeerEvent::Added(peer) => format!("{:?} + {}", start.elapsed(), peer.id()),
                    PeerEvent::Dropped { id, reason, .. } => format!("{:?} - {id} {reason}", start.elapsed()),
                    PeerEvent::Failed { reason, .. } => format!("{:?} ! {reason}", start.elapsed()),
                }),
                () = sleep(Duration::from_secs(10)) => {}
            }
        }
        futures::future::join_all(servers.iter().map(ServerHandle::shutdown)).await;
        log
    }
    let first = run(3).await;
    assert!(first.len() > 3, "{first:?}");
    assert_eq!(run(3).await, first);
    assert_ne!(run(4).await, first);
}
