//! Queues, and what fills them.

use std::time::Duration;

use rushlight_p2p::{DisconnectReason, Server, TrySendError, memory::Network, wire::MAX_MESSAGE_SIZE};
use tokio::time::{sleep, timeout};

use super::util::*;

#[tokio::test(start_paused = true)]
async fn a_slow_protocol_slows_its_own_peer_only() {
    let network = Network::new(1);
    let (given, mut sessions) = Given::pair("echo", 1);
    let _one = Server::start(config(&network, 1, vec![given])).await.unwrap();
    let mut pushy = raw(&network, 2).connect(1).await.unwrap();
    let mut slow = next(&mut sessions).await;
    let mut quick_peer = raw(&network, 3).connect(1).await.unwrap();
    let mut quick = next(&mut sessions).await;
    // A megabyte each that does not compress: the queue's budget, the buffers on the way, and no more.
    let mut payload = vec![0; 1 << 20];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut payload);
    let mut sent = 0;
    while timeout(Duration::from_secs(5), pushy.write(16, &payload)).await.is_ok_and(|written| written.is_ok()) {
        sent += 1;
        assert!(sent < 20, "the queue is bounded");
    }
    assert!(sent >= 11);
    quick_peer.write(17, b"x").await.unwrap();
    assert_eq!(quick.recv().await.unwrap().id, 1);
    // Stalled for minutes by our own side, the peer is still there, as what it sent has only not been looked at.
    sleep(Duration::from_secs(600)).await;
    for _ in 0..sent {
        assert_eq!(slow.recv().await.unwrap().payload, payload);
    }
}

#[tokio::test(start_paused = true)]
async fn empty_messages_fill_a_queue_too() {
    let network = Network::new(1);
    let (given, mut sessions) = Given::pair("echo", 1);
    let _one = Server::start(config(&network, 1, vec![given])).await.unwrap();
    let _peer = raw(&network, 2).connect(1).await.unwrap();
    let session = next(&mut sessions).await;
    let sender = session.stream.sender();
    // Nothing is awaited in between, so nothing is written.
    let mut queued = 0;
    let full = loop {
        match sender.try_send(0, bytes("")) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((full, queued), (TrySendError::Full, 128));
    sleep(Duration::from_secs(1)).await;
    sender.try_send(0, bytes("")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_let_go() {
    let network = Network::new(1);
    let (given, mut sessions) = Given::pair("echo", 1);
    let one = Server::start(config(&network, 1, vec![given])).await.unwrap();
    let mut events = one.subscribe();
    let mut peer = raw(&network, 2).connect(1).await.unwrap();
    let session = next(&mut sessions).await;
    let sender = session.stream.sender();
    let filling = tokio::spawn(async move {
        let mut payload = vec![0; 1 << 20];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut payload);
        while sender.send(0, payload.clone().into()).await.is_ok() {}
    });
    // It goes on pinging and never reads.
    let pinging = tokio::spawn(async move {
        while peer.write(2, &[0xc0]).await.is_ok() {
            sleep(Duration::from_secs(5)).await;
        }
    });
    assert_eq!(dropped(&mut events).await, (DisconnectReason::PingTimeout, false));
    drop(session);
    timeout(LONG, filling).await.expect("the sender is told").unwrap();
    pinging.abort();
}

#[tokio::test(start_paused = true)]
async fn the_largest_message_passes_both_ways() {
    let network = Network::new(1);
    let _one = echo_server(&network, 1).await;
    let mut peer = raw(&network, 2).connect(1).await.unwrap();
    let mut payload = vec![0; MAX_MESSAGE_SIZE];
    echoed(&mut peer, &payload).await;
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut payload);
    echoed(&mut peer, &payload).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_message_on_a_slow_link_has_its_time() {
    let network = Network::new(1);
    let one = echo_server(&network, 1).await;
    let link = rushlight_p2p::memory::LinkConfig { bandwidth: Some(32 * 1024), ..Default::default() };
    network.set_link(link);
    let (given, mut sessions) = Given::pair("echo", 1);
    let two = Server::start(config(&network, 2, vec![given])).await.unwrap();
    two.add_peer(one.enode()).await;
    let mut session = next(&mut sessions).await;
    let mut payload = vec![0; 4 << 20];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut payload);
    // Two minutes each way.
    session.stream.send(0, payload.clone().into()).await.unwrap();
    assert_eq!(session.recv().await.unwrap().payload, payload);
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_that_is_not_compressed_is_understood() {
    let network = Network::new(1);
    let one = echo_server(&network, 1).await;
    let mut events = one.subscribe();
    let ready = raw(&network, 2).connect(1).await.unwrap();
    added(&mut events).await;
    ready.refuse_uncompressed(DisconnectReason::TooManyPeers).await;
    assert_eq!(dropped(&mut events).await, (DisconnectReason::TooManyPeers, true));
}
