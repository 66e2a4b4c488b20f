//! Nodes on a network in memory.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rand::{SeedableRng, rngs::StdRng};
use rushlight_chain::store::{MemoryStore, Store};
use rushlight_chain::testing::ToySeal;
use rushlight_chain::{
    ChainAccess, ChainSpec, Head, HeaderChain, HeaderChainConfig, RawBlock, Retain, SealPolicy, SealedHeader,
};
use rushlight_eth::v28::{self, BlockHashes, Message28, Status};
use rushlight_eth::{EthConfig, EthProtocol, Session, SessionEvent};
use rushlight_odr::PeerSet;
use rushlight_p2p::memory::{LinkConfig, Network};
use rushlight_p2p::{
    BoxFuture, DisconnectReason, Peer, PeerEvent, PeerId, Protocol, ProtocolError, ProtocolStream, Server,
    ServerConfig, ServerHandle,
};
use rushlight_sync::{ChainSink, HeaderSink, SyncConfig, SyncHandle, SyncService};
use secp256k1::SecretKey;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{sleep, timeout};

use super::chains::{SPEC, Served};

/// Two years after genesis: every chain of these tests lies before it.
pub(crate) const UNIX: u64 = 1_563_000_000;

pub(crate) fn ip(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_byte_array([number; 32]).unwrap()
}

pub(crate) fn id(number: u8) -> PeerId {
    PeerId::of(&key(number))
}

/// A network with real distances.
pub(crate) fn network(seed: u64) -> Network {
    let network = Network::new(seed);
    network.set_link(LinkConfig {
        latency: Duration::from_millis(30),
        jitter: Duration::from_millis(10),
        ..LinkConfig::default()
    });
    network
}

fn server(network: &Network, number: u8) -> ServerConfig {
    let mut config = ServerConfig::new(key(number), network.transport(ip(number)));
    config.client_name = format!("peer/{number}");
    config.listen = Some(SocketAddr::new(ip(number), 30303));
    config.rng = StdRng::seed_from_u64(number.into());
    config
}

/// One that serves.
pub(crate) struct Serving {
    pub(crate) server: ServerHandle,
    pub(crate) news: broadcast::Receiver<PeerEvent>,
    events: Option<mpsc::Receiver<SessionEvent>>,
}

impl Serving {
    pub(crate) async fn start(network: &Network, number: u8, chain: Arc<dyn ChainAccess>) -> Self {
        let (events_in, events) = mpsc::channel(1024);
        let protocol = EthProtocol::new(EthConfig::new(chain, events_in));
        Self::with(network, number, Arc::new(protocol), Some(events)).await
    }

    /// One that says its Status, and then only what `manner` lets through.
    pub(crate) async fn mute(network: &Network, number: u8, chain: Arc<Served>, manner: Manner) -> Self {
        Self::with(network, number, Arc::new(Mute { chain, manner }), None).await
    }

    async fn with(
        network: &Network,
        number: u8,
        protocol: Arc<dyn Protocol>,
        events: Option<mpsc::Receiver<SessionEvent>>,
    ) -> Self {
        let mut config = server(network, number);
        config.protocols = vec![protocol];
        let server = Server::start(config).await.unwrap();
        let news = server.subscribe();
        Self { server, news, events }
    }

    /// The next session that somebody opens with it.
    pub(crate) async fn session(&mut self) -> Session {
        let events = self.events.as_mut().expect("only those with real sessions");
        let joined = async {
            loop {
                if let SessionEvent::Joined(session) = events.recv().await.expect("it runs") {
                    return session;
                }
            }
        };
        timeout(Duration::from_secs(120), joined).await.expect("a session within two minutes")
    }

    /// Why it was left.
    pub(crate) async fn dropped(&mut self) -> DisconnectReason {
        let dropped = async {
            loop {
                if let PeerEvent::Dropped { reason, .. } = self.news.recv().await.expect("it runs") {
                    return reason;
                }
            }
        };
        timeout(Duration::from_secs(300), dropped).await.expect("it is let go within five minutes")
    }
}

/// What a mute peer answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// Nothing.
    Silent,
    /// Hashes and its best header.
    Stalling,
}

struct Mute {
    chain: Arc<Served>,
    manner: Manner,
}

impl Protocol for Mute {
    fn name(&self) -> &'static str {
        v28::NAME
    }

    fn version(&self) -> u32 {
        v28::VERSION
    }

    fn length(&self) -> u64 {
        v28::ID_COUNT
    }

    fn run(&self, _: Peer, mut stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>> {
        let (chain, manner) = (self.chain.clone(), self.manner);
        async move {
            let best = chain.best().hash();
            let (protocol_version, network_id, td) = (u64::from(v28::VERSION), 0, chain.head().td);
            let status = Status { protocol_version, network_id, td, best, genesis: chain.genesis_hash() };
            let mut answers = vec![Message28::Status(status)];
            loop {
                for answer in answers.drain(..) {
                    let (id, payload) = answer.encode();
                    if stream.send(id, payload).await.is_err() {
                        return Ok(());
                    }
                }
                let Some(message) = stream.recv().await else { return Ok(()) };
                if manner == Manner::Silent {
                    continue;
                }
                match v28::decode(message.id, &message.payload).expect("ours is well formed") {
                    Message28::GetBlockHashes(asked) => {
                        let hashes = chain.hashes_before(&asked.hash, asked.max_blocks as usize);
                        answers.push(Message28::BlockHashes(BlockHashes(hashes)));
                    }
                    Message28::GetBlockHeaders(asked) if asked.0 == [best] => {
                        let header = chain.header(&best).into_iter().collect();
                        answers.push(Message28::BlockHeaders(v28::BlockHeaders(header)));
                    }
                    _ => {}
                }
            }
        }
        .boxed()
    }
}

/// The one that syncs.
pub(crate) struct Node {
    pub(crate) chain: Arc<HeaderChain>,
    pub(crate) peers: PeerSet,
    pub(crate) sync: SyncHandle,
    pub(crate) server: ServerHandle,
}

/// Serves a header chain, as a light node does.
struct Own(Arc<HeaderChain>);

impl ChainAccess for Own {
    fn head(&self) -> Head {
        self.0.linked_head()
    }
    fn genesis_hash(&self) -> alloy_primitives::B256 {
        self.0.genesis_hash()
    }
    fn hashes_before(&self, hash: &alloy_primitives::B256, max: usize) -> Vec<alloy_primitives::B256> {
        self.0.hashes_before(hash, max)
    }
    fn header(&self, hash: &alloy_primitives::B256) -> Option<alloy_primitives::Bytes> {
        self.0.raw_header(hash)
    }
    fn block(&self, _: &alloy_primitives::B256) -> Option<RawBlock> {
        None
    }
    fn preimage(&self, _: &alloy_primitives::B256) -> Option<alloy_primitives::Bytes> {
        None
    }
}

/// What a node starts with.
pub(crate) struct Setup {
    pub(crate) number: u8,
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policy: SealPolicy,
    pub(crate) trusted: Option<alloy_primitives::B256>,
    pub(crate) retain: Retain,
    /// Makes a sink of the chain of headers.
    pub(crate) sink: fn(Arc<HeaderChain>) -> Arc<dyn ChainSink>,
}

impl Default for Setup {
    fn default() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self {
            number: 100,
            spec: SPEC.clone(),
            store,
            policy: SealPolicy::All,
            trusted: None,
            retain: Retain::All,
            sink: |chain| Arc::new(HeaderSink(chain)),
        }
    }
}

impl Node {
    pub(crate) async fn start(network: &Network, setup: Setup, peers: &[&Serving]) -> Self {
        let Setup { number, spec, store, policy, trusted, retain, sink } = setup;
        let clock: rushlight_chain::Clock = Arc::new(|| UNIX);
        let mut config = HeaderChainConfig::new(policy, Arc::new(ToySeal::default()), clock.clone());
        config.retain = retain;
        let chain = Arc::new(HeaderChain::open(spec, store, config).unwrap());
        trusted.into_iter().for_each(|head| chain.trust(head).unwrap());
        let set = PeerSet::new();
        let (events_in, events) = mpsc::channel(256);
        let sync = SyncService::spawn(SyncConfig {
            sink: sink(chain.clone()),
            peers: set.clone(),
            events,
            transactions: None,
            clock,
            seed: 1,
        });
        let mut config = server(network, number);
        config.protocols = vec![Arc::new(EthProtocol::new(EthConfig::new(Arc::new(Own(chain.clone())), events_in)))];
        config.static_peers = peers.iter().map(|peer| peer.server.enode()).collect();
        let server = Server::start(config).await.unwrap();
        Self { chain, peers: set, sync, server }
    }

    pub(crate) async fn add(&self, peer: &Serving) {
        assert!(self.server.add_peer(peer.server.enode()).await);
    }

    /// Waits for a head.
    pub(crate) async fn reaches(&self, head: &SealedHeader) {
        self.until(&format!("head {} ({})", head.number, head.hash()), || self.chain.head().header == *head).await;
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let waiting = async {
            while !done() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(Duration::from_secs(600), waiting).await.is_err() {
            let head = self.chain.head().header;
            panic!("no {what} in ten minutes; head is {} ({}), {:?}", head.number, head.hash(), self.sync.status());
        }
    }

    /// As a process that is killed: nothing is said, nothing is finished.
    pub(crate) async fn kill(self, network: &Network, number: u8) {
        network.reset(ip(number));
        self.server.shutdown().await;
        self.sync.shutdown().await;
    }
}
