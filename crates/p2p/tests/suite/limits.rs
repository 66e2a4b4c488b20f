//! Who is refused, and what for.

use std::{net::IpAddr, sync::Arc, time::Duration};

use rushlight_p2p::{
    DisconnectReason, Enode, Server, ServerConfig, StartError, memory::Network, session::SessionError,
};
use tokio::time::{Instant, sleep};

use super::util::*;

#[tokio::test(start_paused = true)]
async fn no_more_peers_than_wanted_but_for_trusted_ones() {
    let network = Network::new(1);
    let mut config = ServerConfig { max_peers: 3, ..config(&network, 1, vec![Arc::new(Echo)]) };
    config.trusted_peers = vec![enode(9)];
    assert_eq!((config.inbound_limit(), config.outbound_limit()), (2, 3));
    let one = Server::start(config).await.unwrap();
    let mut connected = Vec::new();
    for n in [2, 3] {
        let mut ready = raw(&network, n).connect(1).await.unwrap();
        echoed(&mut ready, b"x").await;
        connected.push(ready);
    }
    assert_eq!(raw(&network, 4).refusal(1).await, DisconnectReason::TooManyPeers);
    let mut trusted = raw(&network, 9).connect(1).await.unwrap();
    echoed(&mut trusted, b"x").await;
    // The third place is for one that we dial.
    let (two, three) = (echo_server(&network, 5).await, echo_server(&network, 6).await);
    one.add_peer(two.enode()).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(one.peer_count(), 4);
    one.add_peer(three.enode()).await;
    // Raw peers do not answer Ping: their sessions last half a minute.
    sleep(Duration::from_secs(15)).await;
    assert_eq!(three.peer_count(), 0);
    // A place that is given up is taken.
    one.remove_peer(id(5)).await;
    let peer = added(&mut three.subscribe()).await;
    assert_eq!(peer.id(), id(1));
}

#[tokio::test(start_paused = true)]
async fn trust_given_to_a_connected_peer_frees_its_place() {
    let network = Network::new(1);
    let config = ServerConfig { max_peers: 1, ..config(&network, 1, vec![Arc::new(Echo)]) };
    let one = Server::start(config).await.unwrap();
    let mut first = raw(&network, 2).connect(1).await.unwrap();
    echoed(&mut first, b"x").await;
    assert_eq!(raw(&network, 3).refusal(1).await, DisconnectReason::TooManyPeers);
    assert!(one.add_trusted_peer(enode(2)).await);
    let mut second = raw(&network, 3).connect(1).await.unwrap();
    echoed(&mut second, b"x").await;
    assert_eq!(one.peers().await.iter().filter(|peer| peer.network.trusted).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_a_few_connections_unless_it_is_ones_own() {
    let network = Network::new(1);
    let _one = echo_server(&network, 1).await;
    let public: IpAddr = [8, 8, 8, 8].into();
    let (own, friend): (IpAddr, IpAddr) = ([192, 168, 0, 7].into(), [9, 9, 9, 9].into());
    _one.add_peer(Enode::new(id(200), (friend, 1).into())).await;
    for (host, expected) in [(public, 3), (own, 6), (friend, 6)] {
        let mut kept = Vec::new();
        for n in 0..6 {
            let peer = raw(&network, 20 + n + host.is_loopback() as u8);
            let stream = network.transport(host).dial(addr(1)).await.unwrap();
            if let Ok(encrypted) = peer.encrypt_over(stream, 1).await {
                kept.push(encrypted.hello(&peer.hello).await.unwrap());
            }
        }
        assert_eq!(kept.len(), expected, "{host}");
        drop(kept);
        sleep(Duration::from_secs(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn handshakes_under_way_are_bounded() {
    let network = Network::new(1);
    let config = ServerConfig { max_pending: 2, ..config(&network, 1, vec![Arc::new(Echo)]) };
    let _one = Server::start(config).await.unwrap();
    // Two say nothing; the third gets its turn when they have been let go.
    let _silent = (raw(&network, 2).dial(1).await, raw(&network, 3).dial(1).await);
    let start = Instant::now();
    let peer = raw(&network, 4);
    let stream = peer.dial(1).await;
    match peer.encrypt_over(stream, 1).await {
        Ok(_) | Err(SessionError::Timeout(_)) => {}
        Err(error) => panic!("{error}"),
    }
    assert!(start.elapsed() >= Duration::from_secs(4));
    let mut ready = peer.connect(1).await.unwrap();
    echoed(&mut ready, b"x").await;
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn the_same_node_twice() {
    let network = Network::new(1);
    let one = echo_server(&network, 1).await;
    let mut first = raw(&network, 2).connect(1).await.unwrap();
    echoed(&mut first, b"x").await;
    // Past the time in which two nodes may have dialled each other at once.
    sleep(Duration::from_secs(6)).await;
    assert_eq!(raw(&network, 2).refusal(1).await, DisconnectReason::AlreadyConnected);
    echoed(&mut first, b"still here").await;
    assert_eq!(one.peer_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_node_itself() {
    let network = Network::new(1);
    let _one = echo_server(&network, 1).await;
    assert_eq!(raw(&network, 1).refusal(1).await, DisconnectReason::SelfConnect);
}

#[tokio::test(start_paused = true)]
async fn another_identity_in_hello() {
    let network = Network::new(1);
    let _one = echo_server(&network, 1).await;
    let mut liar = raw(&network, 2);
    liar.hello.id = id(3);
    assert_eq!(liar.refusal(1).await, DisconnectReason::UnexpectedIdentity);
    liar.hello.id = rushlight_p2p::PeerId([0; 64]);
    assert_eq!(liar.refusal(1).await, DisconnectReason::InvalidIdentity);
}

#[tokio::test(start_paused = true)]
async fn versions_of_the_base_protocol() {
    let network = Network::new(1);
    let _one = echo_server(&network, 1).await;
    let mut peer = raw(&network, 2);
    for version in [0, 3] {
        peer.hello.version = version;
        assert_eq!(peer.refusal(1).await, DisconnectReason::IncompatibleVersion);
    }
    // 4 is not compressed, later ones are; the raw peer goes by both Hellos as well.
    for version in [4, 5, 55] {
        peer.hello.version = version;
        let mut ready = peer.connect(1).await.unwrap();
        echoed(&mut ready, &[7; 3000]).await;
        ready.refuse(DisconnectReason::Requested).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_cannot_be_told() {
    let network = Network::new(1);
    let start = |config: ServerConfig| async { Server::start(config).await.err().unwrap() };
    let echo: Arc<dyn rushlight_p2p::Protocol> = Arc::new(Echo);
    let good = config(&network, 1, vec![echo.clone()]);
    assert!(matches!(
        start(ServerConfig { protocols: vec![], ..good.clone() }).await,
        StartError::Protocols { got: 0 }
    ));
    let twice = ServerConfig { protocols: vec![echo.clone(), echo], ..good.clone() };
    assert!(matches!(start(twice).await, StartError::TwiceOffered { .. }));
    let (long, _) = Given::pair("ninechars", 1);
    assert!(matches!(start(config(&network, 1, vec![long])).await, StartError::BadProtocol { .. }));
    let nameless = ServerConfig { client_name: String::new(), ..good.clone() };
    assert!(matches!(start(nameless).await, StartError::ClientName { got: 0 }));
    assert!(matches!(start(ServerConfig { max_dials: 0, ..good.clone() }).await, StartError::NoHandshakes));
    let _one = Server::start(good.clone()).await.unwrap();
    assert_eq!(start(good).await.to_string(), "cannot listen on 10.0.0.1:30303: the port is in use");
}
