//! Transactions from sessions, and to them.
//!
//! To each session go the executable transactions that its peer is not known to have, once a session (the session keeps
//! that rule): new ones at once, all of them to a session that begins, and now and then again what a slow peer had no room
//! for.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use rushlight_chain::ChainEvent;
use rushlight_chain::pool::{PoolError, SubmitError};
use rushlight_eth::Session;
use rushlight_odr::PeerSet;
use rushlight_odr::peers::Penalty;
use rushlight_p2p::PeerId;
use rushlight_sync::{PeerTransactions, SyncStatus};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::FullPool;
use crate::build::Waiting;

/// How often peers are offered again what they are not known to have.
const AGAIN: Duration = Duration::from_secs(15);
/// So many of the oldest then: each costs every session a hash.
const MOST_AGAIN: usize = 512;

/// The task that takes what sessions give.
pub(crate) struct Intake {
    pub(crate) pool: FullPool,
    pub(crate) peers: PeerSet,
    pub(crate) from_peers: mpsc::Receiver<PeerTransactions>,
}

impl Intake {
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let batch = tokio::select! {
                batch = self.from_peers.recv() => batch,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Some(PeerTransactions { peer, transactions }) = batch else { return };
            let pool = self.pool.clone();
            // What panicked was reported, and the next batch has nothing to do with it.
            let bad = tokio::task::spawn_blocking(move || pool.take(transactions)).await.unwrap_or_default();
            for why in bad {
                if self.peers.penalise(&peer, Penalty::BadTransaction, &why) {
                    break;
                }
            }
        }
    }
}

impl FullPool {
    /// Takes what a peer sent, and gives what of it only malice explains.
    fn take(&self, transactions: Vec<(B256, Bytes)>) -> Vec<String> {
        let mut bad = Vec::new();
        for (hash, raw) in transactions {
            if let Some(entry) = self.inner().txs.entry_mut(&hash) {
                entry.heard += 1;
                continue;
            }
            match self.add(raw, false) {
                Ok(_) => {
                    if let Some(entry) = self.inner().txs.entry_mut(&hash) {
                        entry.heard += 1;
                    }
                }
                Err(SubmitError::Refused(error)) if is_malice(&error) => bad.push(error.to_string()),
                Err(SubmitError::Refused(why)) => tracing::trace!(%hash, %why, "a peer's transaction is not taken"),
                Err(error) => tracing::error!(%error, "cannot take a peer's transaction"),
            }
        }
        bad
    }
}

/// Whether nobody can have thought it valid, whatever head and fork they are at.
fn is_malice(error: &PoolError) -> bool {
    match error {
        PoolError::Malformed(_)
        | PoolError::InvalidSender(_)
        | PoolError::NoSidecar
        | PoolError::Blobless
        | PoolError::SidecarProofs { .. }
        | PoolError::SidecarBlobs { .. }
        | PoolError::SidecarCommitments { .. }
        | PoolError::BlobHash { .. }
        | PoolError::Kzg(_) => true,
        // Heads differ, forks come, pools are full, and prices are a matter of taste.
        _ => false,
    }
}

/// The task that gives to sessions, and goes over to new heads.
pub(crate) struct Gossip {
    pub(crate) pool: FullPool,
    pub(crate) peers: PeerSet,
    pub(crate) status: watch::Receiver<SyncStatus>,
    /// Whether sessions take part in transactions.
    pub(crate) accept: Arc<AtomicBool>,
}

impl Gossip {
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut heads = self.pool.shared.chain.headers.subscribe();
        let (mut changed, mut sessions) = (self.pool.changed(), self.peers.changed());
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = Sent::default();
        self.follow_sync();
        loop {
            let mut new_head = false;
            tokio::select! {
                event = heads.recv() => match event {
                    // Having missed some is as good as having seen one.
                    Ok(ChainEvent::NewHead { .. }) | Err(broadcast::error::RecvError::Lagged(_)) => new_head = true,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Ok(()) = changed.changed() => self.give(&mut sent),
                Ok(()) = sessions.changed() => self.give(&mut sent),
                told = self.status.changed() => {
                    if told.is_err() {
                        return;
                    }
                    if self.follow_sync() {
                        sent = Sent::default();
                        self.give(&mut sent);
                    }
                }
                _ = again.tick() => self.give_again(),
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if new_head {
                self.refresh().await;
            }
        }
    }

    /// A node takes part in transactions only while it is synced. Gives whether it begins to.
    fn follow_sync(&mut self) -> bool {
        let synced = self.status.borrow_and_update().synced;
        !self.accept.swap(synced, Ordering::Relaxed) && synced
    }

    async fn refresh(&self) {
        let pool = self.pool.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || pool.refresh()).await {
            tracing::error!(%error, "the transaction pool cannot follow the chain");
        }
    }

    /// What is new to all, and all to who is new.
    fn give(&self, sent: &mut Sent) {
        if !self.accept.load(Ordering::Relaxed) {
            return;
        }
        let all = self.executable();
        let (new, sessions) = (sent.take_new(&all), self.peers.sessions());
        sent.sessions.retain(|id| self.peers.get(id).is_some());
        for session in sessions {
            if sent.sessions.insert(session.id()) {
                self.send(&session, &all);
            } else {
                self.send(&session, &new);
            }
        }
    }

    fn give_again(&self) {
        let sessions = self.peers.sessions();
        if sessions.is_empty() || !self.accept.load(Ordering::Relaxed) {
            return;
        }
        let mut all = self.executable();
        all.truncate(MOST_AGAIN);
        sessions.iter().for_each(|session| self.send(session, &all));
    }

    /// In the order in which they came, so that a sender's are in that of their nonces but for replacements.
    fn executable(&self) -> Vec<Waiting> {
        let mut all: Vec<_> = self.pool.inner().txs.executable().into_iter().flatten().collect();
        all.sort_unstable_by_key(|waiting| waiting.arrived);
        all
    }

    fn send(&self, session: &Session, list: &[Waiting]) {
        if list.is_empty() {
            return;
        }
        let raw: Vec<_> = list.iter().map(|waiting| waiting.tx.raw().clone()).collect();
        // Which of them went out the session does not say; all is the usual case.
        if session.send_transactions(&raw) == list.len() {
            let mut inner = self.pool.inner();
            for waiting in list {
                if let Some(entry) = inner.txs.entry_mut(&waiting.tx.hash()) {
                    entry.sent += 1;
                }
            }
        }
    }
}

/// What was given, to whom.
#[derive(Default)]
struct Sent {
    /// Sessions that were given everything. A session that ended and came again between two looks has none of it until it is
    /// offered again.
    sessions: HashSet<PeerId>,
    transactions: HashSet<B256>,
}

impl Sent {
    /// Those that were not given before. What is no longer in the pool is forgotten.
    fn take_new(&mut self, all: &[Waiting]) -> Vec<Waiting> {
        let before = std::mem::take(&mut self.transactions);
        self.transactions = all.iter().map(|waiting| waiting.tx.hash()).collect();
        all.iter().filter(|waiting| !before.contains(&waiting.tx.hash())).cloned().collect()
    }
}
