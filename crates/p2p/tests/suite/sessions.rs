//! Two servers: meeting, speaking, parting.

use std::{sync::Arc, time::Duration};

use rushlight_p2p::{DisconnectReason, ProtocolError, Server, memory::Network};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::util::*;

#[tokio::test(start_paused = true)]
async fn two_servers_meet_and_speak() {
    let network = Network::new(1);
    let (given, mut ours) = Given::pair("chat", 3);
    let (theirs_given, mut theirs) = Given::pair("chat", 3);
    let one = Server::start(config(&network, 1, vec![given])).await.unwrap();
    let two = Server::start(config(&network, 2, vec![theirs_given])).await.unwrap();
    let mut events = two.subscribe();
    assert!(one.add_peer(two.enode()).await);
    let (mut ours, mut theirs) = (next(&mut ours).await, next(&mut theirs).await);
    assert_eq!((ours.peer.id(), theirs.peer.id()), (id(2), id(1)));
    assert_eq!((ours.peer.inbound(), theirs.peer.inbound()), (false, true));
    assert_eq!((ours.peer.is_static(), theirs.peer.is_static()), (true, false));
    assert_eq!(added(&mut events).await.id(), id(1));
    for n in 0..8 {
        ours.stream.send(n, vec![n as u8; 1000 * n as usize].into()).await.unwrap();
    }
    for n in 0..8 {
        let message = theirs.recv().await.unwrap();
        assert_eq!((message.id, message.payload), (n, vec![n as u8; 1000 * n as usize].into()));
    }
    theirs.stream.sender().try_send(7, bytes("x")).unwrap();
    assert_eq!(ours.recv().await.unwrap().payload, bytes("x"));
    assert_eq!((one.peer_count(), two.peer_count()), (1, 1));
    one.shutdown().await;
    assert!(theirs.recv().await.is_none());
    assert_eq!(dropped(&mut events).await, (DisconnectReason::ClientQuitting, true));
    assert!(ours.stream.send(0, bytes("x")).await.is_err());
    assert_eq!((one.peer_count(), two.peer_count()), (0, 0));
    assert!(!one.is_listening() && !one.add_peer(two.enode()).await && one.peers().await.is_empty());
    one.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn infos_have_geths_shapes() {
    let network = Network::new(1);
    let (given, mut sessions) = Given::pair("chat", 3);
    let one = Server::start(config(&network, 1, vec![Arc::new(Echo), given.clone()])).await.unwrap();
    let two = Server::start(config(&network, 2, vec![given])).await.unwrap();
    one.add_peer(two.enode()).await;
    let sessions = [next(&mut sessions).await, next(&mut sessions).await];
    let info = serde_json::to_value(one.node_info().await).unwrap();
    let hash = |n| hex::encode(id(n).node_id());
    assert_eq!(
        info,
        json!({
            "id": hash(1),
            "name": concat!("Rushlight/v", env!("CARGO_PKG_VERSION")),
            "enode": format!("enode://{}@10.0.0.1:30303", id(1).to_hex()),
            "ip": "10.0.0.1",
            "ports": {"discovery": 0, "listener": 30303},
            "listenAddr": "10.0.0.1:30303",
            "protocols": {"echo": "an echo", "chat": "unknown"},
        })
    );
    let peers = serde_json::to_value(two.peers().await).unwrap();
    let from = sessions.iter().find(|session| session.peer.inbound()).unwrap().peer.remote_addr();
    assert_eq!(
        peers,
        json!([{
            "enode": format!("enode://{}@{from}", id(1).to_hex()),
            "id": hash(1),
            "name": concat!("Rushlight/v", env!("CARGO_PKG_VERSION")),
            "caps": ["chat/3", "echo/1"],
            "network": {
                "localAddress": "10.0.0.2:30303", "remoteAddress": from.to_string(),
                "inbound": true, "trusted": false, "static": false,
            },
            "protocols": {"chat": "handshake"},
        }])
    );
}

#[tokio::test(start_paused = true)]
async fn a_removed_peer_is_told_and_not_dialled_again() {
    let network = Network::new(1);
    let (one, two) = (echo_server(&network, 1).await, echo_server(&network, 2).await);
    let (mut events, mut theirs) = (one.subscribe(), two.subscribe());
    one.add_peer(two.enode()).await;
    added(&mut theirs).await;
    assert!(one.remove_peer(id(2)).await);
    assert_eq!(dropped(&mut theirs).await, (DisconnectReason::Requested, true));
    assert_eq!(dropped(&mut events).await, (DisconnectReason::Requested, false));
    sleep(LONG).await;
    assert_eq!((one.peer_count(), two.peer_count()), (0, 0));
    assert!(!one.remove_peer(id(2)).await);
    // And back.
    assert!(one.add_peer(two.enode()).await);
    added(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_last() {
    let network = Network::new(1);
    let (one, two) = (echo_server(&network, 1).await, echo_server(&network, 2).await);
    let mut events = one.subscribe();
    one.add_peer(two.enode()).await;
    added(&mut events).await;
    assert!(timeout(LONG, events.recv()).await.is_err(), "nothing happens for an hour");
    assert_eq!(one.peer_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_let_go_and_found_again() {
    let network = Network::new(1);
    let (one, two) = (echo_server(&network, 1).await, echo_server(&network, 2).await);
    let (mut events, mut theirs) = (one.subscribe(), two.subscribe());
    one.add_peer(two.enode()).await;
    added(&mut events).await;
    added(&mut theirs).await;
    let cut = Instant::now();
    network.cut(ip(2));
    assert_eq!(dropped(&mut events).await, (DisconnectReason::PingTimeout, false));
    assert_eq!(dropped(&mut theirs).await, (DisconnectReason::PingTimeout, false));
    let took = cut.elapsed();
    assert!(took > Duration::from_secs(29) && took < Duration::from_secs(35), "{took:?}");
    sleep(Duration::from_secs(600)).await;
    network.heal(ip(2));
    let healed = Instant::now();
    added(&mut events).await;
    assert!(healed.elapsed() < Duration::from_secs(62), "{:?}", healed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_protocols_last_words_and_reason_arrive() {
    let network = Network::new(1);
    let (given, mut ours) = Given::pair("chat", 1);
    let (theirs_given, mut theirs) = Given::pair("chat", 1);
    let one = Server::start(config(&network, 1, vec![given])).await.unwrap();
    let two = Server::start(config(&network, 2, vec![theirs_given])).await.unwrap();
    let mut events = two.subscribe();
    one.add_peer(two.enode()).await;
    let (ours, mut theirs) = (next(&mut ours).await, next(&mut theirs).await);
    for n in 0..50u8 {
        ours.stream.send(1, vec![n; 5000].into()).await.unwrap();
    }
    let error = ProtocolError { reason: DisconnectReason::SubprotocolError, message: "another genesis".to_owned() };
    ours.end.send(Err(error)).unwrap();
    for n in 0..50u8 {
        assert_eq!(theirs.recv().await.unwrap().payload, vec![n; 5000]);
    }
    assert!(theirs.recv().await.is_none());
    drop(theirs);
    assert_eq!(dropped(&mut events).await, (DisconnectReason::SubprotocolError, true));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_one_protocol_ends_the_session() {
    let network = Network::new(1);
    let (a, mut a_sessions) = Given::pair("a", 1);
    let (b, mut b_sessions) = Given::pair("b", 1);
    let one = Server::start(config(&network, 1, vec![a, b])).await.unwrap();
    let (c, mut c_sessions) = Given::pair("b", 1);
    let (d, _d_sessions) = Given::pair("a", 1);
    let two = Server::start(config(&network, 2, vec![c, d])).await.unwrap();
    let mut events = one.subscribe();
    one.add_peer(two.enode()).await;
    let (a, mut b, mut c) = (next(&mut a_sessions).await, next(&mut b_sessions).await, next(&mut c_sessions).await);
    b.stream.send(0, bytes("to b")).await.unwrap();
    assert_eq!(c.recv().await.unwrap().payload, bytes("to b"));
    drop(a.end);
    assert!(b.recv().await.is_none());
    assert_eq!(dropped(&mut events).await, (DisconnectReason::Requested, false));
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_does_not_end_does_not_hold_the_server_up() {
    let network = Network::new(1);
    let (given, mut sessions) = Given::pair("chat", 1);
    let one = Server::start(config(&network, 1, vec![given.clone()])).await.unwrap();
    let two = Server::start(config(&network, 2, vec![given])).await.unwrap();
    one.add_peer(two.enode()).await;
    // Held, and so neither ends with its session.
    let _held = (next(&mut sessions).await, next(&mut sessions).await);
    network.cut(ip(1));
    let start = Instant::now();
    one.shutdown().await;
    assert!(start.elapsed() <= Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_ends_with_its_last_handle() {
    let network = Network::new(1);
    let (one, two) = (echo_server(&network, 1).await, echo_server(&network, 2).await);
    let (mut events, mut theirs) = (one.subscribe(), two.subscribe());
    one.add_peer(two.enode()).await;
    added(&mut events).await;
    added(&mut theirs).await;
    drop(two);
    assert_eq!(dropped(&mut events).await, (DisconnectReason::ClientQuitting, true));
}

#[tokio::test(start_paused = true)]
async fn the_highest_shared_version_runs() {
    let network = Network::new(1);
    let (v1, mut v1_sessions) = Given::pair("chat", 1);
    let (v2, mut v2_sessions) = Given::pair("chat", 2);
    let (v3, mut v3_sessions) = Given::pair("chat", 3);
    let (other, mut other_sessions) = Given::pair("alpha", 1);
    let one = Server::start(config(&network, 1, vec![v1, v3, v2, other.clone()])).await.unwrap();
    let (v1, _keep) = Given::pair("chat", 1);
    let (v2, mut theirs) = Given::pair("chat", 2);
    let two = Server::start(config(&network, 2, vec![v2, v1, other])).await.unwrap();
    two.add_peer(one.enode()).await;
    let (ours, mut theirs) = (next(&mut v2_sessions).await, next(&mut theirs).await);
    let (_a, _b) = (next(&mut other_sessions).await, next(&mut other_sessions).await);
    ours.stream.send(0, bytes("two")).await.unwrap();
    assert_eq!(theirs.recv().await.unwrap().payload, bytes("two"));
    assert!(v1_sessions.try_recv().is_err() && v3_sessions.try_recv().is_err());
}
