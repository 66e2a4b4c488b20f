//! Who may stay: the loop's answers to its connections.

use std::sync::atomic::Ordering;

use tokio::{sync::oneshot, task::Id, time::Instant};
use tracing::debug;

use super::{
    connection::{Question, Verdict},
    handle::PeerEvent,
    peers::{Entry, Peers},
};
use crate::{id::PeerId, protocol::Peer, session::HANDSHAKE_TIMEOUT, wire::DisconnectReason};

impl Peers {
    pub(super) fn on_question(&mut self, question: Question) {
        match question {
            Question::Check { conn, id, reply } => {
                let Some(state) = self.conns.get_mut(&conn) else { return };
                state.id = Some(id);
                let inbound = state.inbound;
                let verdict = match self.peers.get(&id) {
                    Some(entry) if self.gives_way(entry, inbound) => Ok(()),
                    Some(_) => Err(DisconnectReason::AlreadyConnected),
                    None => self.has_room(&id, inbound),
                };
                if let Some(state) = self.conns.get_mut(&conn) {
                    state.checked = verdict.is_ok();
                }
                let _ = reply.send(verdict);
            }
            Question::Admit { conn, peer, reply } => {
                let (id, inbound) = (peer.id(), peer.inbound());
                if let Some(entry) = self.peers.get(&id) {
                    let gives_way = self.gives_way(entry, inbound);
                    match self.peers.get_mut(&id) {
                        Some(entry) if gives_way => {
                            entry.peer.disconnect(DisconnectReason::AlreadyConnected);
                            entry.next = Some((conn, peer, reply));
                        }
                        _ => {
                            let _ = reply.send(Err(DisconnectReason::AlreadyConnected));
                        }
                    }
                    return;
                }
                if !self.preferred(&id, inbound)
                    && self
                        .conns
                        .values()
                        .any(|conn| conn.id == Some(id) && conn.checked && !conn.admitted && conn.inbound != inbound)
                {
                    let _ = reply.send(Err(DisconnectReason::AlreadyConnected));
                    return;
                }
                self.admit(conn, peer, reply);
            }
        }
    }

    pub(super) fn admit(&mut self, conn: Id, peer: Peer, reply: oneshot::Sender<Verdict>) {
        let (id, inbound) = (peer.id(), peer.inbound());
        if let Err(reason) = self.has_room(&id, inbound) {
            let _ = reply.send(Err(reason));
            return;
        }
        // Gone in the meantime.
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.admitted = true;
        let since = Instant::now();
        debug!(peer = %id, addr = %peer.remote_addr(), inbound, client = peer.client(), "peer connected");
        self.peers.insert(id, Entry { peer: peer.clone(), since, next: None });
        self.count.store(self.peers.len(), Ordering::Relaxed);
        self.dialer.connected(&id, since);
        self.update_flags(&id);
        let _ = self.events.send(PeerEvent::Added(peer));
        let _ = reply.send(Ok(()));
    }

    /// Two nodes that dial each other at once would each refuse the other's connection in favour of its own. So of two
    /// such connections both keep the one that the greater identity opened.
    fn preferred(&self, id: &PeerId, inbound: bool) -> bool {
        inbound == (*id > self.id)
    }

    /// Whether a session is so young that its peer may not have known of it when it dialled, and is not the one to keep.
    fn gives_way(&self, entry: &Entry, new_inbound: bool) -> bool {
        let id = entry.peer.id();
        self.preferred(&id, new_inbound)
            && !self.preferred(&id, entry.peer.inbound())
            && entry.next.is_none()
            && entry.since.elapsed() <= HANDSHAKE_TIMEOUT
    }

    fn has_room(&self, id: &PeerId, inbound: bool) -> Verdict {
        if *id == self.id {
            return Err(DisconnectReason::SelfConnect);
        }
        if self.dialer.wanted(id).trusted {
            return Ok(());
        }
        let limit = if inbound { self.limits.inbound } else { self.limits.outbound };
        if self.taken(None) >= self.limits.peers || self.taken(Some(inbound)) >= limit {
            return Err(DisconnectReason::TooManyPeers);
        }
        Ok(())
    }

    /// Slots in use; trusted peers take none.
    pub(super) fn taken(&self, inbound: Option<bool>) -> usize {
        let counts =
            |entry: &&Entry| !entry.peer.is_trusted() && inbound.is_none_or(|inbound| inbound == entry.peer.inbound());
        self.peers.values().filter(counts).count()
    }
}
