//! Two ends of one sub-protocol joined without a connection, for tests of protocols: no handshake, no frames, no time.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::AtomicBool},
};

use tokio::sync::{Semaphore, mpsc, watch};

use crate::{
    id::PeerId,
    protocol::{
        Incoming, Message, MessageSender, Outgoing, Peer, PeerState, ProtocolStream, QUEUE_BYTES, QUEUE_MESSAGES,
    },
    wire::DisconnectReason,
};

/// One end: what [`Protocol::run`](crate::Protocol::run) is given.
pub struct ProtocolEnd {
    /// The other end, as this one sees it.
    pub peer: Peer,
    /// This end's stream.
    pub stream: ProtocolStream,
}

impl ProtocolEnd {
    /// Waits until this end calls [`Peer::disconnect`], and gives the reason.
    pub async fn disconnected(peer: &Peer) -> DisconnectReason {
        let mut given = peer.state().disconnect.subscribe();
        match given.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(DisconnectReason::Requested),
            Err(_) => DisconnectReason::Requested,
        }
    }
}

/// Joins two ends of a protocol with `length` message ids. `ids[0]` is who the first end is, as the second one sees it.
/// When either end disconnects, what it queued still arrives, and then both streams are over. Needs a tokio runtime.
pub fn protocol_pair(protocol: &'static str, length: u64, ids: [PeerId; 2]) -> (ProtocolEnd, ProtocolEnd) {
    let peers = [peer(ids[1], 2, false), peer(ids[0], 1, true)];
    let mut ends = Vec::with_capacity(2);
    let (first_in, first_incoming) = mpsc::channel(QUEUE_MESSAGES);
    let (second_in, second_incoming) = mpsc::channel(QUEUE_MESSAGES);
    for (at, (incoming, to)) in [(first_incoming, second_in), (second_incoming, first_in)].into_iter().enumerate() {
        let (outgoing, queue) = mpsc::channel(QUEUE_MESSAGES);
        let budget = Arc::new(Semaphore::new(QUEUE_BYTES));
        let peer = peers[at].clone();
        let sender = MessageSender { outgoing, budget, protocol, offset: 0, length, peer: peer.clone() };
        tokio::spawn(carry(queue, to, peer.clone(), peers[1 - at].clone()));
        ends.push(ProtocolEnd { peer, stream: ProtocolStream { incoming, sender } });
    }
    let second = ends.remove(1);
    (ends.remove(0), second)
}

/// Carries messages one way until either end disconnects.
async fn carry(mut from: mpsc::Receiver<Outgoing>, to: mpsc::Sender<Incoming>, sender: Peer, receiver: Peer) {
    let sender = ProtocolEnd::disconnected(&sender);
    let receiver = ProtocolEnd::disconnected(&receiver);
    tokio::pin!(sender, receiver);
    let pass = |Outgoing { id, payload, _permit }| Incoming { message: Message { id, payload }, _permit };
    loop {
        tokio::select! {
            biased;
            _ = &mut receiver => return,
            message = from.recv() => match message {
                Some(message) => {
                    tokio::select! {
                        _ = &mut receiver => return,
                        sent = to.send(pass(message)) => if sent.is_err() { return },
                    }
                }
                None => return,
            },
            _ = &mut sender => return,
        }
    }
}

fn peer(id: PeerId, host: u8, inbound: bool) -> Peer {
    Peer::new(PeerState {
        id,
        client: "pair".to_owned(),
        remote_addr: SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 30303)),
        local_addr: None,
        inbound,
        is_static: AtomicBool::new(false),
        trusted: AtomicBool::new(false),
        capabilities: Vec::new(),
        protocols: Vec::new(),
        disconnect: watch::Sender::new(None),
    })
}
