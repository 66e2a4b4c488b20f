//! Starting a server, and speaking to it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::{info, warn};

use super::{
    config::{EVENT_QUEUE, ServerConfig, StartError},
    info::{NodeInfo, PeerInfo, Ports},
    peers::{Command, Peers},
};
use crate::{
    enode::Enode,
    id::PeerId,
    protocol::{Peer, Protocol},
    wire::DisconnectReason,
};

/// Commands that may wait for the loop, which never waits for a peer and so is quick to take them.
const COMMAND_QUEUE: usize = 64;

/// A peer has come, gone, or could not be reached.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// The handshakes are done and the protocols start.
    Added(Peer),
    /// The session has ended.
    Dropped {
        /// Which peer.
        id: PeerId,
        /// What it was told, or told us.
        reason: DisconnectReason,
        /// Whether the peer ended it.
        by_peer: bool,
        /// The whole story, for a log.
        error: String,
    },
    /// A connection, either way, that did not become a session.
    Failed {
        /// Which peer: the one dialled, or who one that came in said to be, if it came to that.
        id: Option<PeerId>,
        /// Where it is.
        addr: SocketAddr,
        /// What it was told, or told us.
        reason: DisconnectReason,
        /// The whole story, for a log.
        error: String,
    },
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

/// Speaks to a running server. The server ends when it is told to, or when its last handle is gone.
#[derive(Clone)]
pub struct ServerHandle(Arc<Inner>);

struct Inner {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<PeerEvent>,
    count: Arc<AtomicUsize>,
    protocols: Vec<Arc<dyn Protocol>>,
    client_name: String,
    enode: Enode,
    listening: Option<SocketAddr>,
}

impl Server {
    /// Starts a server within the current tokio runtime. It listens when this returns.
    pub async fn start(config: ServerConfig) -> Result<ServerHandle, StartError> {
        config.check()?;
        let id = PeerId::of(&config.key);
        let listener = match config.listen {
            None => None,
            Some(addr) => {
                let failed = |source: io::Error| match source.kind() {
                    io::ErrorKind::AddrInUse => StartError::PortInUse { addr },
                    _ => StartError::Listen { addr, source },
                };
                let listener = config.transport.listen(addr).await.map_err(failed)?;
                let local = listener.local_addr().map_err(failed)?;
                Some((listener, local))
            }
        };
        let listening = listener.as_ref().map(|(_, local)| *local);
        let enode = Enode::new(id, listening.map_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), reachable));
        match listening {
            Some(addr) => info!(%addr, %enode, "listening for peers"),
            None => info!(%id, "not listening for peers"),
        }
        warn_without_peers(&config, listening.is_some());

        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let count = Arc::new(AtomicUsize::new(0));
        let handle = ServerHandle(Arc::new(Inner {
            commands,
            events: events.clone(),
            count: count.clone(),
            protocols: config.protocols.clone(),
            client_name: config.client_name.clone(),
            enode,
            listening,
        }));
        tokio::spawn(Peers::new(config, listener, receiver, events, count).run());
        Ok(handle)
    }
}

/// There is no discovery yet: without configured peers a node depends on being dialled.
fn warn_without_peers(config: &ServerConfig, listening: bool) {
    if !config.static_peers.is_empty() || !config.trusted_peers.is_empty() {
        return;
    }
    let discovery = if config.discovery { "discovery is not supported yet" } else { "discovery is off" };
    let then = if listening { "waiting to be dialled" } else { "and it does not listen: it stays alone" };
    warn!("no static or trusted peers, and {discovery}: this node has no way to find peers; {then}");
}

/// An address that a node on the same machine can dial, for a listener on all of them.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        // Such a listener takes IPv4 as well, and that is what everybody has.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addr.port()),
        _ => {}
    }
    addr
}

impl ServerHandle {
    /// Adds a static peer and dials it at once. `false` for the node itself, or once the server has ended.
    pub async fn add_peer(&self, enode: Enode) -> bool {
        self.ask(|reply| Command::AddStatic { enode, reply }).await.unwrap_or(false)
    }

    /// Removes a static peer and ends its session. `false` if it was neither static nor connected.
    pub async fn remove_peer(&self, id: PeerId) -> bool {
        self.ask(|reply| Command::RemoveStatic { id, reply }).await.unwrap_or(false)
    }

    /// Adds a trusted peer and dials it at once. `false` for the node itself, or once the server has ended.
    pub async fn add_trusted_peer(&self, enode: Enode) -> bool {
        self.ask(|reply| Command::AddTrusted { enode, reply }).await.unwrap_or(false)
    }

    /// Removes a trusted peer; a session with it goes on. `false` if it was not trusted.
    pub async fn remove_trusted_peer(&self, id: PeerId) -> bool {
        self.ask(|reply| Command::RemoveTrusted { id, reply }).await.unwrap_or(false)
    }

    /// The connected peers, by node id.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        let mut infos: Vec<PeerInfo> = self.connected().await.iter().map(PeerInfo::of).collect();
        infos.sort_by(|a, b| a.id.cmp(&b.id));
        infos
    }

    /// The connected peers' handles, in no order.
    pub async fn connected(&self) -> Vec<Peer> {
        self.ask(|reply| Command::Peers { reply }).await.unwrap_or_default()
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Events from now on. A subscriber more than [`EVENT_QUEUE`] behind loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<PeerEvent> {
        self.0.events.subscribe()
    }

    /// What the node says of itself.
    pub async fn node_info(&self) -> NodeInfo {
        let inner = &self.0;
        let mut protocols = std::collections::BTreeMap::new();
        for protocol in &inner.protocols {
            // Of several versions the first speaks for all, as in geth.
            protocols
                .entry(protocol.name().to_owned())
                .or_insert_with(|| protocol.node_info().unwrap_or_else(|| "unknown".into()));
        }
        NodeInfo {
            id: hex::encode(inner.enode.id.node_id()),
            name: inner.client_name.clone(),
            enode: inner.enode.to_string(),
            ip: inner.enode.addr.ip().to_string(),
            ports: Ports { discovery: 0, listener: inner.enode.addr.port() },
            listen_addr: inner.listening.map(|addr| addr.to_string()).unwrap_or_default(),
            protocols,
        }
    }

    /// The node's own URL. Where it listens on every address it names loopback; where it does not listen the port is 0.
    pub fn enode(&self) -> Enode {
        self.0.enode.clone()
    }

    /// Whether the node takes connections.
    pub fn is_listening(&self) -> bool {
        self.0.listening.is_some() && !self.0.commands.is_closed()
    }

    /// Says goodbye to every peer and waits until every session and the server's own task have ended: at most
    /// [`SHUTDOWN_TIMEOUT`](super::SHUTDOWN_TIMEOUT). May be called more than once.
    pub async fn shutdown(&self) {
        let _ = self.0.commands.send(Command::Shutdown).await;
        self.0.commands.closed().await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}
