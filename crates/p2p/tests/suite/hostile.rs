//! Peers that break the rules. Each loses its own session and nothing else.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rushlight_p2p::{
    AsyncReadWrite, BoxFuture, BoxedStream, DisconnectReason, Peer, Protocol, ProtocolError, ProtocolStream, Server,
    ServerHandle, memory::Network, wire,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, sleep, timeout},
};

use super::util::*;

/// A server with one honest peer, which must not notice anything.
struct Scene {
    network: Network,
    server: ServerHandle,
    honest: ServerHandle,
    session: Session,
}

async fn scene() -> Scene {
    let network = Network::new(1);
    let server = echo_server(&network, 1).await;
    let (given, mut sessions) = Given::pair("echo", 1);
    let mut config = config(&network, 2, vec![given]);
    config.static_peers.push(enode(1));
    let honest = Server::start(config).await.unwrap();
    let session = next(&mut sessions).await;
    Scene { network, server, honest, session }
}

impl Scene {
    async fn unharmed(mut self) {
        self.session.stream.send(5, bytes("still here")).await.unwrap();
        assert_eq!(self.session.recv().await.unwrap().payload, bytes("still here"));
        assert_eq!((self.server.peer_count(), self.honest.peer_count()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn ids_that_were_not_agreed_on() {
    let scene = scene().await;
    for id in [24, 25, 1000, u64::MAX] {
        let mut peer = raw(&scene.network, 3).connect(1).await.unwrap();
        peer.write(23, b"the last one").await.unwrap();
        peer.write(id, &[0xc0]).await.unwrap();
        assert_eq!(goodbye(&mut peer).await, DisconnectReason::BreachOfProtocol);
        drop(peer);
        sleep(Duration::from_secs(3)).await;
    }
    scene.unharmed().await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_base_protocol() {
    let scene = scene().await;
    let peer = raw(&scene.network, 3);
    // Hello again.
    let mut ready = peer.connect(1).await.unwrap();
    ready.write(0, &peer.hello.encode()).await.unwrap();
    assert_eq!(goodbye(&mut ready).await, DisconnectReason::BreachOfProtocol);
    drop(ready);
    sleep(Duration::from_secs(3)).await;
    // A Ping too large.
    let mut ready = peer.connect(1).await.unwrap();
    ready.write(2, &[0; 4096]).await.unwrap();
    assert_eq!(goodbye(&mut ready).await, DisconnectReason::BreachOfProtocol);
    drop(ready);
    sleep(Duration::from_secs(3)).await;
    // Reserved ids are for later versions. A Ping is answered.
    let mut ready = peer.connect(1).await.unwrap();
    ready.write(4, &[0xc0]).await.unwrap();
    ready.write(15, &[]).await.unwrap();
    ready.write(2, &[0xc0]).await.unwrap();
    assert_eq!(ready.read().await.unwrap(), (3, vec![0xc0].into()));
    echoed(&mut ready, b"x").await;
    ready.refuse(DisconnectReason::Requested).await;
    sleep(Duration::from_secs(3)).await;
    scene.unharmed().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_is_answered_in_measure() {
    let scene = scene().await;
    let mut flood = raw(&scene.network, 3).connect(1).await.unwrap();
    // Never reading the Pongs, it is soon not read from itself, and let go.
    let flooding = async { while flood.write(2, &[0xc0]).await.is_ok() {} };
    timeout(LONG, flooding).await.expect("the flood ends");
    drop(flood);
    sleep(Duration::from_secs(3)).await;
    scene.unharmed().await;
}

#[tokio::test(start_paused = true)]
async fn silence_at_each_step() {
    let scene = scene().await;
    // A connection, and not a byte.
    let start = Instant::now();
    let mut stream = raw(&scene.network, 3).dial(1).await;
    let mut byte = [0];
    assert_eq!(stream.read(&mut byte).await.unwrap_or(0), 0);
    assert_eq!(start.elapsed().as_secs(), 5);
    // A packet that never ends, one byte a second.
    let start = Instant::now();
    let mut stream = raw(&scene.network, 3).dial(1).await;
    while stream.write_all(&[1]).await.is_ok() {
        sleep(Duration::from_secs(1)).await;
    }
    assert!(start.elapsed() <= Duration::from_secs(7));
    // The handshake, and no Hello: told so.
    let start = Instant::now();
    let mut peer = raw(&scene.network, 3);
    let encrypted = peer.encrypt(1).await;
    sleep(Duration::from_secs(6)).await;
    match encrypted.hello(&peer.hello).await {
        Err(error) => assert!(start.elapsed() < Duration::from_secs(8), "{error}"),
        Ok(introduced) => {
            // The server's Hello was on its way; its goodbye follows.
            let mut ready = introduced.share(&echo_offer()).await.unwrap();
            match ready.read().await {
                Ok((wire::id::DISCONNECT, payload)) => {
                    assert_eq!(DisconnectReason::decode(&payload), Ok(DisconnectReason::PingTimeout));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    // Everything, and then nothing, not even Pong.
    peer.hello.client_id = "asleep".to_owned();
    let start = Instant::now();
    let mut ready = peer.connect(1).await.unwrap();
    assert_eq!(goodbye(&mut ready).await, DisconnectReason::PingTimeout);
    assert_eq!(start.elapsed().as_secs(), 30);
    drop(ready);
    sleep(Duration::from_secs(3)).await;
    scene.unharmed().await;
}

#[tokio::test(start_paused = true)]
async fn garbage_in_place_of_a_handshake() {
    let scene = scene().await;
    for garbage in
        [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0; 400], &[0xff; 5000], &[4; 307], &[4; 1200], &[1, 0xb3]]
    {
        let mut stream = raw(&scene.network, 3).dial(1).await;
        let _ = stream.write_all(garbage).await;
        let mut rest = Vec::new();
        // Nothing comes back: neither a hint at what was wrong nor anything else.
        assert_eq!(timeout(LONG, stream.read_to_end(&mut rest)).await.unwrap().unwrap_or(0), 0);
    }
    scene.unharmed().await;
}

/// Flips a bit of one byte that it writes.
struct Tampering {
    inner: BoxedStream,
    left: usize,
}

impl AsyncRead for Tampering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tampering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut data = data.to_vec();
        let at = self.left;
        if let Some(byte) = data.get_mut(at) {
            *byte ^= 1;
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, &data);
        if let Poll::Ready(Ok(n)) = written {
            self.left = at.checked_sub(n).unwrap_or(usize::MAX);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncReadWrite for Tampering {}

#[tokio::test(start_paused = true)]
async fn a_bit_that_flips_anywhere() {
    let scene = scene().await;
    let mut events = scene.server.subscribe();
    for at in (0..1200).step_by(61) {
        let peer = raw(&scene.network, 3);
        let stream = Tampering { inner: peer.dial(1).await, left: at };
        let outcome = async {
            let encrypted = peer.encrypt_over(Box::new(stream), 1).await.ok()?;
            let mut ready = encrypted.hello(&peer.hello).await.ok()?.share(&echo_offer()).await.ok()?;
            loop {
                ready.write(16, &[7; 40]).await.ok()?;
                while ready.read().await.ok()?.0 < 16 {}
            }
        };
        let outcome: Option<()> = timeout(LONG, outcome).await.expect("it ends");
        assert!(outcome.is_none());
        let ended = event(&mut events, |event| match event {
            rushlight_p2p::PeerEvent::Dropped { reason, .. } | rushlight_p2p::PeerEvent::Failed { reason, .. } => {
                Some(reason)
            }
            _ => None,
        });
        let reason = ended.await;
        assert!(
            // The last where the size before the handshake's packet says that more is to come.
            matches!(
                reason,
                DisconnectReason::BreachOfProtocol | DisconnectReason::TcpError | DisconnectReason::PingTimeout
            ),
            "byte {at}: {reason}"
        );
    }
    scene.unharmed().await;
}

#[tokio::test(start_paused = true)]
async fn hello_that_is_none() {
    let scene = scene().await;
    let mut peer = raw(&scene.network, 3);
    // Larger than any Hello may be, known from the frame's header.
    peer.hello.client_id = "x".repeat(3000);
    assert_eq!(peer.refusal(1).await, DisconnectReason::BreachOfProtocol);
    // More capabilities than anybody has.
    peer.hello.client_id = "x".to_owned();
    peer.hello.capabilities = vec![peer.hello.capabilities[0].clone(); 17];
    assert_eq!(peer.refusal(1).await, DisconnectReason::BreachOfProtocol);
    // Nothing in common.
    peer.hello.capabilities.clear();
    assert_eq!(peer.refusal(1).await, DisconnectReason::UselessPeer);
    sleep(Duration::from_secs(3)).await;
    scene.unharmed().await;
}

#[tokio::test(start_paused = true)]
async fn messages_too_large() {
    let scene = scene().await;
    // Fifteen megabytes of nothing take a frame of 700 kB.
    let mut peer = raw(&scene.network, 3).connect(1).await.unwrap();
    peer.write(16, &vec![0; 15 << 20]).await.unwrap();
    assert_eq!(goodbye(&mut peer).await, DisconnectReason::BreachOfProtocol);
    drop(peer);
    sleep(Duration::from_secs(3)).await;
    // Without compression the frame's header tells.
    let mut peer = raw(&scene.network, 3);
    peer.hello.version = 4;
    let mut ready = peer.connect(1).await.unwrap();
    let big = vec![1; 15 << 20];
    // The server stops reading in the middle: whether the write comes to an end does not matter.
    let _ = timeout(Duration::from_secs(1), ready.write(16, &big)).await;
    assert_eq!(goodbye(&mut ready).await, DisconnectReason::BreachOfProtocol);
    drop(ready);
    sleep(Duration::from_secs(3)).await;
    scene.unharmed().await;
}

/// Panics on the first message.
struct Fragile;

impl Protocol for Fragile {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn version(&self) -> u32 {
        1
    }

    fn length(&self) -> u64 {
        8
    }

    fn run(&self, _: Peer, mut stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>> {
        Box::pin(async move {
            let message = stream.recv().await;
            assert!(message.is_none(), "a defect of the protocol (this panic is part of the test)");
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_defect_in_a_protocol_costs_one_session() {
    let network = Network::new(1);
    let server = Server::start(config(&network, 1, vec![Arc::new(Fragile)])).await.unwrap();
    let mut events = server.subscribe();
    let _other = raw(&network, 2).connect(1).await.unwrap();
    added(&mut events).await;
    let mut peer = raw(&network, 3).connect(1).await.unwrap();
    peer.write(16, b"boom").await.unwrap();
    assert_eq!(goodbye(&mut peer).await, DisconnectReason::SubprotocolError);
    drop(peer);
    assert_eq!(dropped(&mut events).await, (DisconnectReason::SubprotocolError, false));
    assert_eq!(server.peer_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_ends_the_session() {
    let network = Network::new(1);
    let (given, mut sessions) = Given::pair("echo", 1);
    let _server = Server::start(config(&network, 1, vec![given])).await.unwrap();
    for n in 0..2 {
        let mut peer = raw(&network, 2).connect(1).await.unwrap();
        let session = next(&mut sessions).await;
        let sent = match n {
            0 => session.stream.send(8, bytes("x")).await,
            _ => session.stream.send(0, vec![0; wire::MAX_MESSAGE_SIZE + 1].into()).await,
        };
        assert!(sent.is_err());
        assert_eq!(goodbye(&mut peer).await, DisconnectReason::SubprotocolError);
        drop((peer, session));
        sleep(Duration::from_secs(3)).await;
    }
}
