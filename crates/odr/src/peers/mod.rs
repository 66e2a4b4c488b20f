//! The peers that can be asked: sessions, scores, latencies, and what each can be expected to serve.

mod choice;
mod penalty;
mod remote;

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use rushlight_eth::Session;
use rushlight_p2p::{DisconnectReason, PeerId};
use tokio::{sync::watch, time::Instant};
use tracing::{debug, info, warn};

use choice::Record;
pub use choice::{Kind, MAX_IN_FLIGHT, OVERDUE};
use penalty::Standing;
pub use penalty::{AFTER_BAN, BAN_BELOW, BAN_TIME, HEAL_PER_SECOND, Penalty};
pub use remote::Remote;

/// Peers whose faults are remembered, connected or not: some hundred bytes each. The one whose last fault is the longest
/// ago is forgotten first.
const MAX_STANDINGS: NonZeroUsize = NonZeroUsize::new(4096).expect("not 0");

/// The set of sessions; a cheap handle. Every method is quick and may be called from async code.
pub struct PeerSet<R = Session> {
    shared: Arc<Shared<R>>,
}

struct Shared<R> {
    // One lock over plain maps, never held across an await: sync, the retriever and JSON-RPC all only look things up.
    state: Mutex<State<R>>,
    changed: watch::Sender<u64>,
}

struct State<R> {
    // Ordered, so that of equal peers the same one is chosen in every run of a simulation.
    sessions: BTreeMap<PeerId, Connected<R>>,
    standings: LruCache<PeerId, Standing>,
    /// Questions that have gone out in all.
    asked: u64,
}

struct Connected<R> {
    remote: R,
    record: Record,
}

impl<R> Clone for PeerSet<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<R: Remote> Default for PeerSet<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> std::fmt::Debug for PeerSet<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerSet").field("sessions", &self.lock().sessions.len()).finish_non_exhaustive()
    }
}

impl<R> PeerSet<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // The maps are whole between any two statements, so a panic elsewhere leaves nothing half done.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Remote> PeerSet<R> {
    /// An empty set.
    pub fn new() -> Self {
        let state = State { sessions: BTreeMap::new(), standings: LruCache::new(MAX_STANDINGS), asked: 0 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: watch::Sender::new(0) }) }
    }

    /// Takes a session in. A banned peer is sent away instead, and false returned.
    pub fn insert(&self, remote: R) -> bool {
        let id = remote.id();
        let now = Instant::now();
        let mut state = self.lock();
        if state.standings.peek(&id).is_some_and(|standing| standing.banned(now)) {
            drop(state);
            info!(peer = %id, client = remote.client(), address = %remote.address(), "sent away: still banned");
            remote.disconnect(DisconnectReason::UselessPeer);
            return false;
        }
        let record = Record::joined(state.asked);
        state.sessions.insert(id, Connected { remote, record });
        drop(state);
        self.tell_changed();
        true
    }

    /// Lets a session go; its score stays.
    pub fn remove(&self, id: &PeerId) -> Option<R> {
        let gone = self.lock().sessions.remove(id)?;
        self.tell_changed();
        Some(gone.remote)
    }

    /// All sessions, in no order.
    pub fn sessions(&self) -> Vec<R> {
        self.lock().sessions.values().map(|peer| peer.remote.clone()).collect()
    }

    /// The session of one peer.
    pub fn get(&self, id: &PeerId) -> Option<R> {
        self.lock().sessions.get(id).map(|peer| peer.remote.clone())
    }

    /// The peers with a session, in no order.
    pub fn ids(&self) -> Vec<PeerId> {
        self.lock().sessions.keys().copied().collect()
    }

    /// Whether any peer can take a question now.
    pub fn has_room(&self) -> bool {
        let now = Instant::now();
        self.lock().sessions.values().any(|peer| peer.record.has_room(now))
    }

    /// The number of sessions.
    pub fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes whenever a session comes or goes.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Takes `penalty` off the peer's score and names the peer in the log. At the last straw the peer is disconnected
    /// and banned for [`BAN_TIME`]; then, and only then, true.
    pub fn penalise(&self, id: &PeerId, penalty: Penalty, why: &str) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let standing = state.standings.get_or_insert_mut(*id, || Standing::new(now));
        let banned = standing.penalise(penalty, now);
        let score = standing.score(now);
        let remote = if banned {
            state.sessions.remove(id).map(|peer| peer.remote)
        } else {
            state.sessions.get(id).map(|peer| peer.remote.clone())
        };
        drop(state);

        // A repeated transaction is too common for the log of an operator; it says nothing about truth.
        let client = remote.as_ref().map(R::client).unwrap_or_default();
        let address = remote.as_ref().map(|remote| remote.address().to_string()).unwrap_or_default();
        let name = penalty.name();
        if penalty == Penalty::RepeatedTransaction {
            debug!(peer = %id, client, address, penalty = name, score, why, "peer penalised");
        } else {
            warn!(peer = %id, client, address, penalty = name, score, why, "peer penalised");
        }
        if banned {
            warn!(peer = %id, client, address, seconds = BAN_TIME.as_secs(), "peer banned");
            if let Some(remote) = remote {
                remote.disconnect(penalty.reason());
                self.tell_changed();
            }
        }
        banned
    }

    /// The peer's score, from 0 down; a peer without faults has 0.
    pub fn score(&self, id: &PeerId) -> f64 {
        let now = Instant::now();
        self.lock().standings.peek(id).map_or(0.0, |standing| standing.score(now))
    }

    /// Whether the peer would be sent away now.
    pub fn is_banned(&self, id: &PeerId) -> bool {
        let now = Instant::now();
        self.lock().standings.peek(id).is_some_and(|standing| standing.banned(now))
    }

    /// The estimate of the peer's time to answer, once something has been asked.
    pub fn latency(&self, id: &PeerId) -> Option<Duration> {
        self.lock().sessions.get(id).and_then(|peer| peer.record.latency())
    }

    /// The best peer to ask for `kind` now: among those that `allowed` lets through and that have room, the one with
    /// the least expected time, weighed by score and by the estimate of what it can serve; or the one that was asked
    /// nothing for the longest, once that is [`OVERDUE`].
    pub fn best_for(&self, kind: Kind, allowed: impl Fn(&PeerId) -> bool) -> Option<R> {
        let now = Instant::now();
        let state = self.lock();
        let mut best: Option<(f64, &R)> = None;
        let mut overdue: Option<(u64, &R)> = None;
        for (id, peer) in &state.sessions {
            if !peer.record.has_room(now) || !allowed(id) {
                continue;
            }
            let score = state.standings.peek(id).map_or(0.0, |standing| standing.score(now));
            let cost = peer.record.cost(kind, score);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, &peer.remote));
            }
            let waited = peer.record.waited(state.asked);
            if waited >= OVERDUE && overdue.is_none_or(|(longest, _)| waited > longest) {
                overdue = Some((waited, &peer.remote));
            }
        }
        overdue.map(|(_, remote)| remote).or(best.map(|(_, remote)| remote)).cloned()
    }

    /// Notes that a question went out.
    pub fn began(&self, id: &PeerId) {
        let mut state = self.lock();
        state.asked += 1;
        let asked = state.asked;
        if let Some(peer) = state.sessions.get_mut(id) {
            peer.record.began(asked);
        }
    }

    /// Notes that a question ended: answered after `took`, or given up (`None`, which says nothing about latency).
    pub fn ended(&self, id: &PeerId, took: Option<Duration>) {
        if let Some(peer) = self.lock().sessions.get_mut(id) {
            peer.record.ended(took);
        }
    }

    /// Notes how much of what was asked the peer had: `held` of `asked`. It moves only the estimate.
    pub fn served(&self, id: &PeerId, kind: Kind, held: usize, asked: usize) {
        if let Some(peer) = self.lock().sessions.get_mut(id) {
            peer.record.served(kind, held, asked);
        }
    }

    /// Asks nothing of the peer for a while, as too many of its answers are still out.
    pub fn rest(&self, id: &PeerId, time: Duration) {
        let until = Instant::now() + time;
        if let Some(peer) = self.lock().sessions.get_mut(id) {
            peer.record.rest(until);
        }
    }

    fn tell_changed(&self) {
        self.shared.changed.send_modify(|generation| *generation = generation.wrapping_add(1));
    }
}
