//! Static and trusted peers: dialled, dialled again, and not twice.

use std::{sync::Arc, time::Duration};

use rushlight_p2p::{DisconnectReason, Enode, PeerEvent, Server, ServerConfig, memory::Network};
use tokio::time::{Instant, sleep};

use super::util::*;

#[tokio::test(start_paused = true)]
async fn pauses_between_dials_double() {
    let network = Network::new(1);
    let one = echo_server(&network, 1).await;
    let mut events = one.subscribe();
    one.add_peer(enode(2)).await;
    let mut last = Instant::now();
    for failure in 0..12u32 {
        let (reason, error) = failed(&mut events).await;
        assert_eq!(reason, DisconnectReason::TcpError);
        assert!(error.contains("refused"), "{error}");
        if failure > 0 {
            let whole = Duration::from_secs(1 << (failure - 1).min(6)).min(Duration::from_secs(60));
            let took = last.elapsed();
            assert!(took >= whole / 2 && took <= whole + Duration::from_millis(10), "{took:?} of {whole:?}");
        }
        last = Instant::now();
    }
    // Added again it is dialled at once; and once it is there it is found.
    let two = echo_server(&network, 2).await;
    let start = Instant::now();
    one.add_peer(two.enode()).await;
    added(&mut events).await;
    assert!(start.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_restarts_is_found_again() {
    let network = Network::new(1);
    let mut one = config(&network, 1, vec![Arc::new(Echo)]);
    one.static_peers = vec![enode(2), enode(1)];
    let one = Server::start(one).await.unwrap();
    let mut events = one.subscribe();
    for _ in 0..3 {
        let two = echo_server(&network, 2).await;
        assert_eq!(added(&mut events).await.id(), id(2));
        sleep(Duration::from_secs(60)).await;
        two.shutdown().await;
        assert_eq!(dropped(&mut events).await, (DisconnectReason::ClientQuitting, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_is_never_answered_times_out() {
    let network = Network::new(1);
    let one = echo_server(&network, 1).await;
    let mut events = one.subscribe();
    network.cut(ip(2));
    let start = Instant::now();
    one.add_peer(enode(2)).await;
    let (_, error) = failed(&mut events).await;
    assert_eq!((start.elapsed().as_secs(), error.as_str()), (15, "no connection in time"));
    // Removed while it is dialled, it is forgotten.
    sleep(Duration::from_secs(2)).await;
    assert!(one.remove_peer(id(2)).await);
    failed(&mut events).await;
    network.heal(ip(2));
    let _two = echo_server(&network, 2).await;
    sleep(LONG).await;
    assert_eq!(one.peer_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_nodes_that_dial_each_other_at_once_agree() {
    for (first, second) in [(1, 2), (2, 1), (3, 4), (5, 6)] {
        let network = Network::new(1);
        let start = |n, other| {
            let mut config = config(&network, n, vec![Arc::new(Echo)]);
            config.static_peers = vec![enode(other)];
            Server::start(config)
        };
        let (one, two) = (start(first, second).await.unwrap(), start(second, first).await.unwrap());
        sleep(Duration::from_secs(3)).await;
        assert_eq!((one.peer_count(), two.peer_count()), (1, 1));
        let (ones, twos) = (one.peers().await, two.peers().await);
        assert_ne!(ones[0].network.inbound, twos[0].network.inbound, "the same connection");
        let mut events = one.subscribe();
        sleep(LONG).await;
        assert!(events.try_recv().is_err(), "and it stays");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_does_not_dial_itself() {
    let network = Network::new(1);
    let one = echo_server(&network, 1).await;
    let mut events = one.subscribe();
    assert!(!one.add_peer(one.enode()).await);
    assert!(!one.add_trusted_peer(one.enode()).await);
    // Not even when another listens on the address.
    sleep(LONG).await;
    assert!(events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn another_node_at_the_address_is_not_spoken_to() {
    let network = Network::new(1);
    let (one, _two) = (echo_server(&network, 1).await, echo_server(&network, 2).await);
    let mut events = one.subscribe();
    one.add_peer(Enode::new(id(3), addr(2))).await;
    // It cannot read what is meant for another, and hangs up.
    failed(&mut events).await;
    assert_eq!(one.peer_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_anything_in_common_is_left_for_long() {
    let network = Network::new(1);
    let (given, _sessions) = Given::pair("chat", 1);
    let one = Server::start(config(&network, 1, vec![given])).await.unwrap();
    let two = echo_server(&network, 2).await;
    let mut events = one.subscribe();
    one.add_peer(two.enode()).await;
    let (reason, error) = failed(&mut events).await;
    assert_eq!(reason, DisconnectReason::UselessPeer);
    let start = Instant::now();
    assert!(error.contains("echo/1") || error.contains("useless"), "{error}");
    failed(&mut events).await;
    assert!(start.elapsed() > Duration::from_secs(29), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn trusted_peers_are_dialled_too() {
    let network = Network::new(1);
    let two = echo_server(&network, 2).await;
    let mut one = config(&network, 1, vec![Arc::new(Echo)]);
    one.trusted_peers = vec![two.enode()];
    let one = Server::start(one).await.unwrap();
    let peer = added(&mut one.subscribe()).await;
    assert!(peer.is_trusted() && !peer.is_static());
    assert!(one.remove_trusted_peer(id(2)).await);
    assert!(!peer.is_trusted());
    assert!(!one.remove_trusted_peer(id(2)).await);
    assert_eq!(one.peer_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_static_peers_are_not_dialled_all_at_once() {
    let network = Network::new(1);
    let mut one = ServerConfig { max_dials: 4, ..config(&network, 1, vec![Arc::new(Echo)]) };
    for n in 2..22 {
        network.cut(ip(n));
        one.static_peers.push(enode(n));
    }
    let one = Server::start(one).await.unwrap();
    let (mut events, start) = (one.subscribe(), Instant::now());
    // Four each fifteen seconds.
    for n in 0..20u64 {
        failed(&mut events).await;
        assert_eq!(start.elapsed().as_secs() / 15, n / 4 + 1);
    }
    // All are reached in the end.
    for n in 2..22 {
        network.heal(ip(n));
        drop(tokio::spawn({
            let network = network.clone();
            async move {
                let _server = echo_server(&network, n).await;
                std::future::pending::<()>().await
            }
        }));
    }
    while one.peer_count() < 20 {
        event(&mut events, |event| matches!(event, PeerEvent::Added(_)).then_some(())).await;
    }
}
