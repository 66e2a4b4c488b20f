//! Whole servers over a network in memory: RLPx, Hello, Disconnect and all.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rushlight_eth::SessionEvent;
use rushlight_p2p::{
    BoxFuture, DisconnectReason, Peer, Protocol, ProtocolError, ProtocolStream, Server, ServerConfig, ServerHandle,
    memory::{LinkConfig, Network},
    secp256k1::SecretKey,
};

use super::support::{LONG, Node, TestChain};

async fn serve(network: &Network, host: u8, protocol: Arc<dyn Protocol>) -> ServerHandle {
    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, host));
    let mut config = ServerConfig::new(SecretKey::from_byte_array([host; 32]).unwrap(), network.transport(ip));
    config.listen = Some(SocketAddr::new(ip, 30303));
    config.protocols = vec![protocol];
    Server::start(config).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_servers_exchange_everything_over_a_slow_line() {
    let network = Network::new(1);
    network.set_link(LinkConfig { latency: Duration::from_millis(80), bandwidth: Some(100_000), ..Default::default() });
    let mut first = Node::new(TestChain::new(300));
    let mut second = Node::new(TestChain::new(300));
    let one = serve(&network, 1, Arc::new(first.protocol.clone())).await;
    let two = serve(&network, 2, Arc::new(second.protocol.clone())).await;
    one.add_peer(two.enode()).await;
    let session = first.joined().await;
    second.joined().await;
    let chain = second.chain.clone();
    let hashes = session.block_hashes(chain.head_hash(), 2_048, LONG).await.unwrap();
    let (headers, blocks, values) = tokio::join!(
        session.headers(hashes[..192].to_vec(), LONG),
        session.blocks(hashes[..128].to_vec(), LONG),
        session.lookup(chain.values.keys().take(384).copied().collect(), LONG),
    );
    assert_eq!((headers.unwrap().len(), blocks.unwrap().len(), values.unwrap().len()), (192, 128, 384));

    let peers = one.peers().await;
    let shown = serde_json::to_value(&peers).unwrap();
    assert_eq!(shown[0]["protocols"]["eth"]["version"], 28);
    let shown = serde_json::to_value(one.node_info().await).unwrap();
    assert_eq!(shown["protocols"]["eth"]["difficulty"], 300);

    two.shutdown().await;
    assert_eq!(first.left(session.id()).await, None);
    one.shutdown().await;
}

/// Speaks version 28 with more ids than it has: after its Status it says one past the last.
struct PastTheLast(Bytes, AtomicBool);

impl Protocol for PastTheLast {
    fn name(&self) -> &'static str {
        "eth"
    }

    fn version(&self) -> u32 {
        28
    }

    fn length(&self) -> u64 {
        64
    }

    fn run(&self, _: Peer, mut stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>> {
        let status = self.0.clone();
        let wild = !self.1.swap(true, Ordering::Relaxed);
        Box::pin(async move {
            let _ = stream.send(0, status).await;
            let _ = stream.recv().await;
            if wild {
                let _ = stream.send(18, Bytes::from_static(&[0xc0])).await;
            }
            while stream.recv().await.is_some() {}
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn edges_an_id_past_the_last_is_a_breach_that_is_told() {
    let network = Network::new(2);
    let mut node = Node::new(TestChain::new(3));
    let (_, status) = rushlight_eth::v28::Message28::Status(node.status()).encode();
    let honest = serve(&network, 1, Arc::new(node.protocol.clone())).await;
    let wild = serve(&network, 2, Arc::new(PastTheLast(status, AtomicBool::new(false)))).await;
    let mut drops = wild.subscribe();
    wild.add_peer(honest.enode()).await;
    let session = node.joined().await;
    let event = node.events.recv().await;
    assert!(matches!(&event, Some(SessionEvent::Left { id, breach: Some(_) }) if *id == session.id()), "{event:?}");
    loop {
        if let rushlight_p2p::PeerEvent::Dropped { reason, .. } = drops.recv().await.unwrap() {
            assert_eq!(reason, DisconnectReason::BreachOfProtocol);
            break;
        }
    }
    wild.shutdown().await;
    honest.shutdown().await;
}
