//! Real sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rushlight_p2p::{DisconnectReason, Server, ServerConfig, TcpTransport};
use tokio::time::timeout;

use super::util::*;

fn tcp(n: u8, protocols: Vec<Arc<dyn rushlight_p2p::Protocol>>, listen: Option<SocketAddr>) -> ServerConfig {
    ServerConfig { protocols, listen, ..ServerConfig::new(key(n), Arc::new(TcpTransport)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_loopback() {
    timeout(Duration::from_secs(30), async {
        let (given, mut sessions) = Given::pair("echo", 1);
        let one = Server::start(tcp(1, vec![Arc::new(Echo)], Some("0.0.0.0:0".parse().unwrap()))).await.unwrap();
        assert!(one.enode().addr.ip().is_loopback() && one.enode().addr.port() != 0);
        let two = Server::start(tcp(2, vec![given], None)).await.unwrap();
        let mut events = two.subscribe();
        assert_eq!((one.is_listening(), two.is_listening()), (true, false));
        two.add_peer(one.enode().to_string().parse().unwrap()).await;
        let mut session = next(&mut sessions).await;
        for size in [0, 1, 100_000, 10 << 20] {
            let payload = vec![size as u8; size];
            session.stream.send(3, payload.clone().into()).await.unwrap();
            assert_eq!(session.recv().await.unwrap().payload, payload);
        }
        assert!(!one.peers().await[0].network.local_address.is_empty());
        one.shutdown().await;
        assert!(session.recv().await.is_none());
        drop(session);
        assert_eq!(dropped(&mut events).await, (DisconnectReason::ClientQuitting, true));
        two.shutdown().await;
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_port_in_use() {
    let one = Server::start(tcp(1, vec![Arc::new(Echo)], Some("127.0.0.1:0".parse().unwrap()))).await.unwrap();
    let addr = one.enode().addr;
    let error = Server::start(tcp(2, vec![Arc::new(Echo)], Some(addr))).await.err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen on {addr}: the port is in use"));
    one.shutdown().await;
    // And free again.
    Server::start(tcp(2, vec![Arc::new(Echo)], Some(addr))).await.unwrap().shutdown().await;
}
