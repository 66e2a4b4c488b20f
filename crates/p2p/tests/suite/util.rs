//! Servers, protocols and raw peers to test with.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rand::{SeedableRng as _, rngs::StdRng};
use rushlight_p2p::{
    BoxFuture, BoxedStream, Capability, DisconnectReason, Enode, Message, Peer, PeerEvent, PeerId, Protocol,
    ProtocolError, ProtocolStream, Server, ServerConfig, ServerHandle,
    memory::Network,
    secp256k1::SecretKey,
    session::{Connected, Encrypted, Introduced, Ready, SessionError},
    wire::{Hello, Offered},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::timeout,
};

/// Longer than anything here may take, on virtual time.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn key(n: u8) -> SecretKey {
    SecretKey::from_byte_array([n; 32]).unwrap()
}

pub(crate) fn id(n: u8) -> PeerId {
    PeerId::of(&key(n))
}

pub(crate) fn ip(n: u8) -> IpAddr {
    [10, 0, 0, n].into()
}

pub(crate) fn addr(n: u8) -> SocketAddr {
    (ip(n), 30303).into()
}

pub(crate) fn enode(n: u8) -> Enode {
    Enode::new(id(n), addr(n))
}

/// What a test gets of each session of a [`Given`] protocol.
pub(crate) struct Session {
    pub(crate) peer: Peer,
    pub(crate) stream: ProtocolStream,
    /// Ends the protocol; dropped, it ends with `Ok`.
    pub(crate) end: oneshot::Sender<Result<(), ProtocolError>>,
}

impl Session {
    pub(crate) async fn recv(&mut self) -> Option<Message> {
        timeout(LONG, self.stream.recv()).await.expect("neither a message nor an end")
    }
}

/// A protocol whose sessions are given to the test. The queue is unbounded: a test opens a handful of sessions.
pub(crate) struct Given {
    name: &'static str,
    version: u32,
    sessions: mpsc::UnboundedSender<Session>,
}

impl Given {
    pub(crate) fn pair(name: &'static str, version: u32) -> (Arc<dyn Protocol>, mpsc::UnboundedReceiver<Session>) {
        let (sessions, receiver) = mpsc::unbounded_channel();
        (Arc::new(Given { name, version, sessions }), receiver)
    }
}

pub(crate) async fn next(sessions: &mut mpsc::UnboundedReceiver<Session>) -> Session {
    timeout(LONG, sessions.recv()).await.expect("no session").unwrap()
}

impl Protocol for Given {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn length(&self) -> u64 {
        8
    }

    fn run(&self, peer: Peer, stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>> {
        let (end, ended) = oneshot::channel();
        let _ = self.sessions.send(Session { peer, stream, end });
        Box::pin(async move { ended.await.unwrap_or(Ok(())) })
    }
}

/// A protocol that answers each message with the same one, and tells the last session's length.
pub(crate) struct Echo;

impl Protocol for Echo {
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
            while let Some(message) = stream.recv().await {
                if stream.send(message.id, message.payload).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn node_info(&self) -> Option<serde_json::Value> {
        Some("an echo".into())
    }
}

/// Of node `n`, listening, offering `protocols`, its chances fixed.
pub(crate) fn config(network: &Network, n: u8, protocols: Vec<Arc<dyn Protocol>>) -> ServerConfig {
    ServerConfig {
        protocols,
        listen: Some(addr(n)),
        rng: StdRng::seed_from_u64(n.into()),
        ..ServerConfig::new(key(n), network.transport(ip(n)))
    }
}

pub(crate) async fn echo_server(network: &Network, n: u8) -> ServerHandle {
    Server::start(config(network, n, vec![Arc::new(Echo)])).await.unwrap()
}

/// The next event that `wanted` takes.
pub(crate) async fn event<T>(
    events: &mut broadcast::Receiver<PeerEvent>,
    mut wanted: impl FnMut(PeerEvent) -> Option<T>,
) -> T {
    timeout(LONG, async {
        loop {
            if let Some(found) = wanted(events.recv().await.unwrap()) {
                return found;
            }
        }
    })
    .await
    .expect("the event does not come")
}

pub(crate) async fn added(events: &mut broadcast::Receiver<PeerEvent>) -> Peer {
    event(events, |event| if let PeerEvent::Added(peer) = event { Some(peer) } else { None }).await
}

pub(crate) async fn dropped(events: &mut broadcast::Receiver<PeerEvent>) -> (DisconnectReason, bool) {
    event(events, |event| match event {
        PeerEvent::Dropped { reason, by_peer, .. } => Some((reason, by_peer)),
        _ => None,
    })
    .await
}

pub(crate) async fn failed(events: &mut broadcast::Receiver<PeerEvent>) -> (DisconnectReason, String) {
    event(events, |event| match event {
        PeerEvent::Failed { reason, error, .. } => Some((reason, error)),
        _ => None,
    })
    .await
}

/// A peer without a server: it says what a test wants.
pub(crate) struct Raw {
    pub(crate) network: Network,
    pub(crate) n: u8,
    pub(crate) hello: Hello,
}

pub(crate) fn raw(network: &Network, n: u8) -> Raw {
    let hello = Hello {
        version: 5,
        client_id: "raw".to_owned(),
        capabilities: vec![Capability { name: "echo".to_owned(), version: 1 }],
        listen_port: 0,
        id: id(n),
    };
    Raw { network: network.clone(), n, hello }
}

/// What [`Echo`] offers.
pub(crate) fn echo_offer() -> Vec<Offered> {
    vec![Offered { capability: Capability { name: "echo".to_owned(), version: 1 }, length: 8 }]
}

impl Raw {
    pub(crate) async fn dial(&self, to: u8) -> BoxedStream {
        self.network.transport(ip(self.n)).dial(addr(to)).await.unwrap()
    }

    pub(crate) async fn encrypt_over(&self, stream: BoxedStream, to: u8) -> Result<Encrypted, SessionError> {
        Connected::new(stream).initiate(&key(self.n), id(to), &mut StdRng::seed_from_u64(99)).await
    }

    pub(crate) async fn encrypt(&self, to: u8) -> Encrypted {
        self.encrypt_over(self.dial(to).await, to).await.unwrap()
    }

    pub(crate) async fn introduce(&self, to: u8) -> Result<Introduced, SessionError> {
        self.encrypt(to).await.hello(&self.hello).await
    }

    pub(crate) async fn connect(&self, to: u8) -> Result<Ready, SessionError> {
        self.introduce(to).await?.share(&echo_offer()).await
    }

    /// The reason for which the server refuses this peer.
    pub(crate) async fn refusal(&self, to: u8) -> DisconnectReason {
        let mut ready = match self.connect(to).await {
            Ok(ready) => ready,
            Err(SessionError::Disconnected(reason)) => return reason,
            Err(error) => panic!("{error}"),
        };
        goodbye(&mut ready).await
    }
}

/// The reason that the server gives in the end.
pub(crate) async fn goodbye(ready: &mut Ready) -> DisconnectReason {
    timeout(LONG, async {
        loop {
            match ready.read().await {
                Ok((1, payload)) => return DisconnectReason::decode(&payload).unwrap(),
                Ok(_) => {}
                Err(error) => panic!("no goodbye: {error}"),
            }
        }
    })
    .await
    .expect("no goodbye")
}

/// Sends a message on the first shared capability and waits for its echo.
pub(crate) async fn echoed(ready: &mut Ready, payload: &[u8]) {
    ready.write(16, payload).await.unwrap();
    loop {
        let (id, got) = ready.read().await.unwrap();
        if id >= 16 {
            assert_eq!((id, &got[..]), (16, payload));
            return;
        }
    }
}

pub(crate) fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
