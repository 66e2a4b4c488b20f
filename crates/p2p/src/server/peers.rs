//! The loop that owns the peers. It never waits for a peer, a protocol or a subscriber.

use std::{
    collections::{BTreeMap, HashMap},
    future::pending,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info, warn};

use super::{
    config::{SHUTDOWN_TIMEOUT, ServerConfig},
    connection::{Common, Origin, Outcome, Question, Verdict, connection},
    dial::Dialer,
    handle::PeerEvent,
    limits::{Limits, is_local},
};
use crate::{
    enode::Enode,
    id::PeerId,
    protocol::Peer,
    session::offered,
    transport::{BoxedStream, Listener},
    wire::{DisconnectReason, Hello, P2P_VERSION},
};

/// What a handle asks for.
pub(super) enum Command {
    AddStatic { enode: Enode, reply: oneshot::Sender<bool> },
    RemoveStatic { id: PeerId, reply: oneshot::Sender<bool> },
    AddTrusted { enode: Enode, reply: oneshot::Sender<bool> },
    RemoveTrusted { id: PeerId, reply: oneshot::Sender<bool> },
    Peers { reply: oneshot::Sender<Vec<Peer>> },
    Shutdown,
}

/// Questions that may wait; each connection has at most one.
const QUESTION_QUEUE: usize = 64;

/// After a failed accept, such as one for want of file descriptors, how long to leave the listener alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A connection's task, whatever its state.
pub(super) struct Conn {
    pub(super) remote: SocketAddr,
    pub(super) inbound: bool,
    /// Who it is: dialled, or said so in its handshake.
    pub(super) id: Option<PeerId>,
    /// Its handshake is done and Hello under way.
    pub(super) checked: bool,
    pub(super) admitted: bool,
    pub(super) task: AbortHandle,
}

/// A connected peer.
pub(super) struct Entry {
    pub(super) peer: Peer,
    pub(super) since: Instant,
    /// A connection of the same peer that takes this one's place once it has ended.
    pub(super) next: Option<(Id, Peer, oneshot::Sender<Verdict>)>,
}

pub(super) struct Peers {
    pub(super) id: PeerId,
    pub(super) limits: Limits,
    pub(super) common: Arc<Common>,
    pub(super) rng: StdRng,
    pub(super) listener: Option<Box<dyn Listener>>,
    pub(super) accept_from: Instant,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) events: broadcast::Sender<PeerEvent>,
    pub(super) count: Arc<AtomicUsize>,
    pub(super) dialer: Dialer,
    pub(super) tasks: JoinSet<Outcome>,
    pub(super) conns: HashMap<Id, Conn>,
    pub(super) peers: BTreeMap<PeerId, Entry>,
}

impl Peers {
    pub(super) fn new(
        config: ServerConfig,
        listener: Option<(Box<dyn Listener>, SocketAddr)>,
        commands: mpsc::Receiver<Command>,
        events: broadcast::Sender<PeerEvent>,
        count: Arc<AtomicUsize>,
    ) -> Peers {
        let id = PeerId::of(&config.key);
        let limits = Limits::of(&config);
        let offered = offered(&config.protocols);
        let mut capabilities: Vec<_> = offered.iter().map(|offered| offered.capability.clone()).collect();
        capabilities.sort();
        let hello = Hello {
            version: P2P_VERSION,
            client_id: config.client_name,
            capabilities,
            listen_port: listener.as_ref().map_or(0, |(_, addr)| addr.port().into()),
            id,
        };
        let (ask, questions) = mpsc::channel(QUESTION_QUEUE);
        let common = Common {
            key: config.key,
            hello,
            protocols: config.protocols,
            offered,
            transport: config.transport,
            questions: ask,
        };
        let mut peers = Peers {
            id,
            limits,
            common: Arc::new(common),
            rng: config.rng,
            listener: listener.map(|(listener, _)| listener),
            accept_from: Instant::now(),
            commands,
            questions,
            events,
            count,
            dialer: Dialer::default(),
            tasks: JoinSet::new(),
            conns: HashMap::new(),
            peers: BTreeMap::new(),
        };
        for enode in config.static_peers {
            peers.add_static(enode);
        }
        for enode in config.trusted_peers {
            peers.add_trusted(enode);
        }
        peers
    }

    pub(super) async fn run(mut self) {
        loop {
            self.start_dials();
            let due = self.dialer.next_due(Instant::now());
            let accepting = self.pending_inbound() < self.limits.pending;
            tokio::select! {
                // In a fixed order, so that a simulation can be repeated. Nobody is starved: what stands first is bounded
                // by what stands below it, and commands come from this process.
                biased;
                Some(joined) = self.tasks.join_next_with_id() => self.on_joined(joined),
                Some(question) = self.questions.recv() => self.on_question(question),
                command = self.commands.recv() => match command {
                    None | Some(Command::Shutdown) => break,
                    Some(command) => self.on_command(command),
                },
                accepted = accept(&mut self.listener, self.accept_from), if accepting => self.on_accepted(accepted),
                () = at(due) => {}
            }
        }
        self.shut_down().await;
    }

    /// Says goodbye to the peers, drops who is not one yet, and waits for all.
    async fn shut_down(mut self) {
        self.listener = None;
        // Whoever asks from here on is told that the client quits.
        self.questions.close();
        for entry in self.peers.values_mut() {
            entry.next = None;
            entry.peer.disconnect(DisconnectReason::ClientQuitting);
        }
        self.conns.values().filter(|conn| !conn.admitted).for_each(|conn| conn.task.abort());
        let all = async {
            while let Some(joined) = self.tasks.join_next_with_id().await {
                self.on_joined(joined);
            }
        };
        if timeout(SHUTDOWN_TIMEOUT, all).await.is_err() {
            warn!(sessions = self.tasks.len(), "sessions did not end in time and are dropped");
            self.tasks.shutdown().await;
        }
        self.count.store(0, Ordering::Relaxed);
        debug!("the server has ended");
    }

    fn on_command(&mut self, command: Command) {
        // A caller that does not wait for its answer any longer is no error.
        match command {
            Command::AddStatic { enode, reply } => {
                let _ = reply.send(self.add_static(enode));
            }
            Command::RemoveStatic { id, reply } => {
                let _ = reply.send(self.remove_static(&id));
            }
            Command::AddTrusted { enode, reply } => {
                let _ = reply.send(self.add_trusted(enode));
            }
            Command::RemoveTrusted { id, reply } => {
                let was = self.dialer.remove(&id, |wanted| &mut wanted.trusted);
                self.update_flags(&id);
                let _ = reply.send(was);
            }
            Command::Peers { reply } => {
                let _ = reply.send(self.peers.values().map(|entry| entry.peer.clone()).collect());
            }
            Command::Shutdown => {}
        }
    }

    fn add_static(&mut self, enode: Enode) -> bool {
        let id = enode.id;
        if id == self.id {
            debug!("the node itself is on the list of static peers; it is left out");
            return false;
        }
        self.dialer.add(enode, |wanted| wanted.is_static = true, Instant::now(), self.peers.contains_key(&id));
        self.update_flags(&id);
        true
    }

    fn add_trusted(&mut self, enode: Enode) -> bool {
        let id = enode.id;
        if id == self.id {
            debug!("the node itself is on the list of trusted peers; it is left out");
            return false;
        }
        self.dialer.add(enode, |wanted| wanted.trusted = true, Instant::now(), self.peers.contains_key(&id));
        self.update_flags(&id);
        true
    }

    fn remove_static(&mut self, id: &PeerId) -> bool {
        let was = self.dialer.remove(id, |wanted| &mut wanted.is_static);
        self.update_flags(id);
        for conn in self.conns.values().filter(|conn| conn.id == Some(*id) && !conn.inbound && !conn.admitted) {
            conn.task.abort();
        }
        match self.peers.get(id) {
            Some(entry) => {
                entry.peer.disconnect(DisconnectReason::Requested);
                true
            }
            None => was,
        }
    }

    pub(super) fn update_flags(&self, id: &PeerId) {
        if let Some(entry) = self.peers.get(id) {
            let wanted = self.dialer.wanted(id);
            entry.peer.state().is_static.store(wanted.is_static, Ordering::Relaxed);
            entry.peer.state().trusted.store(wanted.trusted, Ordering::Relaxed);
        }
    }

    fn start_dials(&mut self) {
        let now = Instant::now();
        loop {
            let dials = self.conns.values().filter(|conn| !conn.inbound && !conn.admitted).count();
            if dials >= self.limits.dials {
                return;
            }
            let outbound = self.taken(Some(false)) + dials;
            let room = outbound < self.limits.outbound && self.taken(None) + dials < self.limits.peers;
            let peers = &self.peers;
            let allowed =
                |id: &PeerId, wanted: super::dial::Wanted| (wanted.trusted || room) && !peers.contains_key(id);
            let Some(enode) = self.dialer.next(now, allowed) else { return };
            debug!(%enode, "dialling");
            self.spawn(Origin::Dial(enode));
        }
    }

    fn on_accepted(&mut self, accepted: io::Result<(BoxedStream, SocketAddr)>) {
        match accepted {
            Ok((stream, mut addr)) => {
                // A listener for both families gives IPv4 addresses in IPv6 form.
                addr.set_ip(addr.ip().to_canonical());
                let ip = addr.ip();
                let others = |conn: &&Conn| conn.inbound && conn.remote.ip() == ip;
                if self.conns.values().filter(others).count() >= self.limits.per_ip
                    && !is_local(ip)
                    && !self.dialer.has_addr(ip)
                {
                    debug!(%addr, max = self.limits.per_ip, "too many connections from this address");
                    return;
                }
                self.spawn(Origin::Accepted(stream, addr));
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                self.accept_from = Instant::now() + ACCEPT_PAUSE;
            }
        }
    }

    fn spawn(&mut self, origin: Origin) {
        let (remote, id, inbound) = match &origin {
            Origin::Dial(enode) => (enode.addr, Some(enode.id), false),
            Origin::Accepted(_, addr) => (*addr, None, true),
        };
        let rng = StdRng::from_rng(&mut self.rng);
        let task = self.tasks.spawn(connection(self.common.clone(), origin, rng));
        self.conns.insert(task.id(), Conn { remote, inbound, id, checked: false, admitted: false, task });
    }

    fn pending_inbound(&self) -> usize {
        self.conns.values().filter(|conn| conn.inbound && !conn.admitted).count()
    }

    fn on_joined(&mut self, joined: Result<(Id, Outcome), JoinError>) {
        let (task, reason, by_peer, error) = match joined {
            Ok((task, Outcome::Failed(error))) => (task, error.reason(), error.by_peer(), error.to_string()),
            Ok((task, Outcome::Ended(ended))) => (task, ended.reason, ended.by_peer, ended.error.to_string()),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a connection's task failed");
                }
                (error.id(), DisconnectReason::Requested, false, "given up".to_owned())
            }
        };
        let Some(conn) = self.conns.remove(&task) else { return };
        let (addr, now) = (conn.remote, Instant::now());
        let wanted = conn.id.map(|id| self.dialer.wanted(&id)).unwrap_or_default();
        let mut next = None;
        match conn.id {
            Some(id) if conn.admitted => {
                debug!(peer = %id, %addr, %reason, by_peer, error, "peer disconnected");
                next = self.peers.remove(&id).and_then(|entry| entry.next);
                self.count.store(self.peers.len(), Ordering::Relaxed);
                let _ = self.events.send(PeerEvent::Dropped { id, reason, by_peer, error: error.clone() });
            }
            id => {
                debug!(peer = id.map(tracing::field::display), %addr, inbound = conn.inbound, %reason, error, "no session");
                let _ = self.events.send(PeerEvent::Failed { id, addr, reason, error: error.clone() });
            }
        }
        // A connection that came in and failed says nothing about when to dial.
        if let Some(id) = conn.id
            && (conn.admitted || !conn.inbound)
        {
            match self.peers.get(&id) {
                Some(entry) => self.dialer.connected(&id, entry.since),
                None => {
                    let pause = self.dialer.ended(&id, reason, now, &mut self.rng);
                    if let Some(pause) =
                        pause.filter(|_| next.is_none() && reason != DisconnectReason::AlreadyConnected)
                    {
                        let list = if wanted.is_static { "static" } else { "trusted" };
                        info!(peer = %id, %addr, error, again_in = ?pause, "no connection to a {list} peer");
                    }
                }
            }
        }
        if let Some((conn, peer, reply)) = next {
            self.admit(conn, peer, reply);
        }
    }
}

async fn accept(listener: &mut Option<Box<dyn Listener>>, from: Instant) -> io::Result<(BoxedStream, SocketAddr)> {
    match listener {
        Some(listener) => {
            sleep_until(from).await;
            listener.accept().await
        }
        None => pending().await,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
