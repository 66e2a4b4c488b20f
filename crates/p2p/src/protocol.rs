//! What a sub-protocol is, and what it is given.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tracing::error;

use crate::{
    id::PeerId,
    wire::{Capability, DisconnectReason, MAX_MESSAGE_SIZE},
};

/// A boxed future that can be sent between threads.
pub type BoxFuture<'a, T> = futures::future::BoxFuture<'a, T>;

/// One version of a sub-protocol. Offer several versions as several values.
pub trait Protocol: Send + Sync + 'static {
    /// Its name in Hello: at most eight ASCII characters.
    fn name(&self) -> &'static str;

    /// Its version in Hello.
    fn version(&self) -> u32;

    /// How many message ids it takes.
    fn length(&self) -> u64;

    /// Speaks with one peer. Runs as a task of its own; the connection ends when it returns, with
    /// [`DisconnectReason::Requested`] for `Ok`. When the connection ends first, [`ProtocolStream::recv`] gives
    /// `None`, and the future has two seconds to return before it is dropped.
    fn run(&self, peer: Peer, stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>>;

    /// What `admin_nodeInfo` says about this protocol. Must not block.
    fn node_info(&self) -> Option<serde_json::Value> {
        None
    }

    /// What `admin_peers` says about this protocol with that peer; `None` while its own handshake runs, which is
    /// shown as `"handshake"`. Must not block.
    fn peer_info(&self, id: &PeerId) -> Option<serde_json::Value> {
        let _ = id;
        None
    }
}

/// A message of one sub-protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Relative to the capability's offset; always below the protocol's length.
    pub id: u64,
    /// RLP, uncompressed, at most [`MAX_MESSAGE_SIZE`] bytes.
    pub payload: Bytes,
}

/// Why a sub-protocol ends the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct ProtocolError {
    /// What the peer is told.
    pub reason: DisconnectReason,
    /// What the log says.
    pub message: String,
}

/// The session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct Closed;

/// Why a message was not queued at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError {
    /// The peer does not take what is queued already.
    #[error("the peer's send queue is full")]
    Full,
    /// The session has ended.
    #[error("the session has ended")]
    Closed,
}

/// A connected peer. Cheap to clone; the connection itself belongs to its task.
#[derive(Clone)]
pub struct Peer(Arc<PeerState>);

pub(crate) struct PeerState {
    pub(crate) id: PeerId,
    pub(crate) client: String,
    pub(crate) remote_addr: SocketAddr,
    pub(crate) local_addr: Option<SocketAddr>,
    pub(crate) inbound: bool,
    pub(crate) is_static: AtomicBool,
    pub(crate) trusted: AtomicBool,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) protocols: Vec<Arc<dyn Protocol>>,
    /// The first reason given wins; the session's task waits for it.
    pub(crate) disconnect: watch::Sender<Option<DisconnectReason>>,
}

impl Peer {
    pub(crate) fn new(state: PeerState) -> Peer {
        Peer(Arc::new(state))
    }

    pub(crate) fn state(&self) -> &PeerState {
        &self.0
    }

    /// Its identity.
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// What it calls itself in Hello, without control characters.
    pub fn client(&self) -> &str {
        &self.0.client
    }

    /// Where it is. The port of one that dialled us is not the one that it listens on.
    pub fn remote_addr(&self) -> SocketAddr {
        self.0.remote_addr
    }

    /// Whether it dialled us.
    pub fn inbound(&self) -> bool {
        self.0.inbound
    }

    /// Whether it is one of the static peers.
    pub fn is_static(&self) -> bool {
        self.0.is_static.load(Ordering::Relaxed)
    }

    /// Whether it is one of the trusted peers.
    pub fn is_trusted(&self) -> bool {
        self.0.trusted.load(Ordering::Relaxed)
    }

    /// Every capability that it offered.
    pub fn capabilities(&self) -> &[Capability] {
        &self.0.capabilities
    }

    /// Why this node ends the session, once it does: what [`Peer::disconnect`] was given first, or what this crate found.
    /// `None` where the peer ends it. Known before [`ProtocolStream::recv`] gives `None`.
    pub fn disconnect_reason(&self) -> Option<DisconnectReason> {
        *self.0.disconnect.borrow()
    }

    /// Asks for the end of the session and returns at once. What is queued goes out first, then Disconnect.
    pub fn disconnect(&self, reason: DisconnectReason) {
        self.0.disconnect.send_if_modified(|given| {
            let first = given.is_none();
            if first {
                *given = Some(reason);
            }
            first
        });
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({} at {})", self.id(), self.remote_addr())
    }
}

/// Messages that may wait in one protocol's receive queue, and in a session's send queue. Small, as
/// [`QUEUE_BYTES`] is what bounds memory: this one bounds the queue's own slots.
pub(crate) const QUEUE_MESSAGES: usize = 128;

/// Bytes that may wait in a session's queues, per direction: one message of the greatest size and some small ones.
/// A peer that goes past it is not read from until its protocols have caught up.
pub(crate) const QUEUE_BYTES: usize = MAX_MESSAGE_SIZE + 2 * 1024 * 1024;

/// Counted for each queued message on top of its payload, so that empty ones are not free.
const MESSAGE_OVERHEAD: usize = 64;

pub(crate) fn cost(payload: &Bytes) -> u32 {
    // At most QUEUE_BYTES, as payloads are at most MAX_MESSAGE_SIZE: always fits.
    u32::try_from(payload.len() + MESSAGE_OVERHEAD).unwrap_or(QUEUE_BYTES as u32)
}

/// A message on its way to a protocol; its share of the budget is given back when it is taken out.
pub(crate) struct Incoming {
    pub(crate) message: Message,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// A message on its way to the peer. The id is absolute.
pub(crate) struct Outgoing {
    pub(crate) id: u64,
    pub(crate) payload: Bytes,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// A protocol's end of a session.
pub struct ProtocolStream {
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    pub(crate) sender: MessageSender,
}

impl ProtocolStream {
    /// The peer's next message, or `None` once the session has ended and everything has been taken.
    /// While messages wait here the peer is soon not read from any more: a slow protocol slows its own peer only.
    pub async fn recv(&mut self) -> Option<Message> {
        self.incoming.recv().await.map(|incoming| incoming.message)
    }

    /// Queues a message, waiting while the peer takes no more.
    pub async fn send(&self, id: u64, payload: Bytes) -> Result<(), Closed> {
        self.sender.send(id, payload).await
    }

    /// A sender that can go to other tasks.
    pub fn sender(&self) -> MessageSender {
        self.sender.clone()
    }
}

/// Queues messages of one protocol to one peer. Messages of one task keep their order.
#[derive(Clone)]
pub struct MessageSender {
    pub(crate) outgoing: mpsc::Sender<Outgoing>,
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) protocol: &'static str,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) peer: Peer,
}

impl MessageSender {
    /// Queues a message, waiting while the peer takes no more. `id` is relative to the protocol.
    ///
    /// An id that the protocol does not have, or a payload over [`MAX_MESSAGE_SIZE`], is a defect of the protocol's
    /// own code: it is logged and ends the session.
    pub async fn send(&self, id: u64, payload: Bytes) -> Result<(), Closed> {
        self.check(id, &payload)?;
        let permit = self.budget.clone().acquire_many_owned(cost(&payload)).await.map_err(|_| Closed)?;
        let message = Outgoing { id: self.offset + id, payload, _permit: permit };
        self.outgoing.send(message).await.map_err(|_| Closed)
    }

    /// Queues a message if there is room now. Otherwise as [`MessageSender::send`].
    pub fn try_send(&self, id: u64, payload: Bytes) -> Result<(), TrySendError> {
        self.check(id, &payload).map_err(|Closed| TrySendError::Closed)?;
        let permit = self.budget.clone().try_acquire_many_owned(cost(&payload)).map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => TrySendError::Closed,
            tokio::sync::TryAcquireError::NoPermits => TrySendError::Full,
        })?;
        let message = Outgoing { id: self.offset + id, payload, _permit: permit };
        self.outgoing.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => TrySendError::Full,
            mpsc::error::TrySendError::Closed(_) => TrySendError::Closed,
        })
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }

    fn check(&self, id: u64, payload: &Bytes) -> Result<(), Closed> {
        if id < self.length && payload.len() <= MAX_MESSAGE_SIZE {
            return Ok(());
        }
        let (peer, protocol, length, size) = (self.peer.id(), self.protocol, self.length, payload.len());
        error!(%peer, protocol, id, length, size, "the protocol made a message that cannot be sent");
        self.peer.disconnect(DisconnectReason::SubprotocolError);
        Err(Closed)
    }
}
