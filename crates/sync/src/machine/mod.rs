//! Every decision of synchronisation, as a state machine without I/O, clock or randomness of its own.
//!
//! ```text
//! events    what goes in and what comes out
//! claim     what can be checked of a best block on its own
//! peer      one session: its claim and what is being done about it, its pace
//! path      one session's chain of hashes: a walk back, then a window that moves up
//! pool      the hashes that are wanted next, each fetched once
//! claims    decides what is done about each session's claim
//! walks     opens walks, asks for hashes, takes them in
//! fetch     spreads the pool over the sessions, takes headers and blocks in
//! adopt     gives complete runs to the sink, and draws conclusions from what it says
//! news      new blocks
//! descent   the way down from a trusted head, in place of claims
//! episode   how far it has come, how fast
//! ```
//!
//! The driver feeds [`Machine::handle`] with events and carries out the actions that come back. It answers each request
//! exactly once, at the latest when the request's time-out has passed; it answers [`Action::Extend`] and
//! [`Action::Settle`] with one event each, of which at most one is due at a time; and it sends [`Event::Tick`] at least
//! every [`TICK`].
//!
//! Memory is bounded whatever is claimed: sessions × a constant, at most four open walks and four linked chains with one
//! hash kept in 2,048, and the pool, which holds no more than the windows of the linked chains.

mod adopt;
mod claim;
mod claims;
mod descent;
mod episode;
mod events;
mod fetch;
pub mod limits;
mod news;
mod path;
mod peer;
mod pool;
#[cfg(test)]
mod tests;
mod walks;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use alloy_primitives::{B256, U256};
use lru::LruCache;
use rand::{SeedableRng, rngs::StdRng};
use rushlight_chain::{Extended, RawBlock};

pub use claim::{ClaimRule, MAINNET_START};
pub use episode::Summary;
pub use events::{Action, Answer, Ask, Event, Failure, MachineConfig, Now, Offence, PeerKey, Report, RequestId, View};

use crate::{Item, Refused, Stopped, Want};
use adopt::{Job, Settle};
use descent::Way;
use episode::Episode;
use fetch::Batch;
use limits::*;
use news::Direct;
use path::Path;
use peer::{Peer, Phase};
use pool::Pool;

/// The longest time between two ticks while there is work.
pub const TICK: Duration = Duration::from_millis(250);

/// One path, for as long as it is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PathId(u64);

/// What a request is for.
#[derive(Debug)]
enum Purpose {
    /// The header of a session's best block.
    Check(B256),
    /// A walk's next stretch, or a linked path's next segment.
    Hashes { path: PathId, from: B256 },
    /// The header of a kept hash of a walk.
    Probe { path: PathId, hash: B256, number: u64 },
    /// Headers or blocks, marked in the pool.
    Items(Batch),
    /// Hints at what stands below a trusted head.
    Hints { from: B256 },
    /// Headers below a trusted head.
    Below(Vec<B256>),
}

#[derive(Debug)]
struct Request {
    peer: PeerKey,
    purpose: Purpose,
    sent: Duration,
}

/// The state machine.
#[derive(Debug)]
pub struct Machine {
    config: MachineConfig,
    rng: StdRng,
    peers: BTreeMap<PeerKey, Peer>,
    paths: BTreeMap<PathId, Path>,
    pool: Pool,
    requests: HashMap<RequestId, Request>,
    ids: u64,
    /// Refused hashes.
    bad: LruCache<B256, ()>,
    /// First hashes beyond what this version supports.
    beyond: LruCache<B256, ()>,
    job: Option<Job>,
    /// The path whose run was given to the sink last: they take turns.
    served: PathId,
    direct: VecDeque<Direct>,
    settles: VecDeque<Settle>,
    sink_rests_until: Duration,
    local_failures: u32,
    /// The last good block before something unsupported, and what that is, until the head is there.
    limit: Option<(B256, Stopped)>,
    stopped: Option<Stopped>,
    episode: Option<Episode>,
    seals_checked: u64,
    way: Way,
    actions: Vec<Action>,
}

const BAD: NonZeroUsize = match NonZeroUsize::new(MAX_BAD) {
    Some(size) => size,
    None => NonZeroUsize::MIN,
};

impl Machine {
    /// A machine without sessions.
    pub fn new(config: MachineConfig) -> Self {
        Self {
            config,
            rng: StdRng::seed_from_u64(config.seed),
            peers: BTreeMap::new(),
            paths: BTreeMap::new(),
            pool: Pool::default(),
            requests: HashMap::new(),
            ids: 0,
            bad: LruCache::new(BAD),
            beyond: LruCache::new(BAD),
            job: None,
            served: PathId(0),
            direct: VecDeque::new(),
            settles: VecDeque::new(),
            sink_rests_until: Duration::ZERO,
            local_failures: 0,
            limit: None,
            stopped: None,
            episode: None,
            seals_checked: 0,
            way: Way::default(),
            actions: Vec::new(),
        }
    }

    /// Takes an event in, and says what is to be done.
    pub fn handle(&mut self, event: Event, now: Now, view: &dyn View) -> Vec<Action> {
        match event {
            Event::Joined { peer, td, best } => self.joined(peer, td, best, now),
            Event::Left { peer } => self.left(peer),
            Event::NewBlock { peer, item, td } => self.new_block(peer, item, td, now, view),
            Event::Answered { id, answer } => self.answered(id, answer, now, view),
            Event::Extended(result) => self.extended(result, now, view),
            Event::Settled(result) => self.settled(result, now, view),
            Event::Descended(result) => self.descended(result, now),
            Event::Tick => self.tick(now),
        }
        self.go_down(now, view);
        if !Self::heeds_claims(view) {
            self.track(now, view);
            return std::mem::take(&mut self.actions);
        }
        // One decision may make room for another (a refuted path frees a place); each pass ends at least one thing.
        self.evaluate_claims(now, view);
        self.advance_paths(now, view);
        self.evaluate_claims(now, view);
        self.ask_for_hashes(now);
        self.ask_for_items(now);
        self.feed_sink(now, view);
        self.track(now, view);
        std::mem::take(&mut self.actions)
    }

    /// Whether there is anything to do, so that ticks are due.
    pub fn is_active(&self, view: &dyn View) -> bool {
        if !Self::heeds_claims(view) {
            return self.job.is_some() || view.descent().is_some_and(|descent| descent.is_under_way());
        }
        let head = view.head().td;
        self.job.is_some()
            || self.peers.values().any(|peer| peer.td > head && !matches!(peer.phase, Phase::Refuted | Phase::Beyond))
    }

    /// No session has a higher claim that is still being followed, and nothing unsupported stands in the way.
    pub fn is_synced(&self, view: &dyn View) -> bool {
        if !Self::heeds_claims(view) {
            return matches!(view.descent(), Some(rushlight_chain::Descent::Linked { .. }));
        }
        let head = view.head().td;
        self.stopped.is_none() && !self.peers.values().any(|peer| peer.td > head && peer.is_followed())
    }

    /// What cannot be passed.
    pub fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// Seals that the sink said it checked.
    pub fn seals_checked(&self) -> u64 {
        self.seals_checked
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn penalise(&mut self, peer: PeerKey, offence: Offence, why: String) {
        if self.peers.contains_key(&peer) {
            self.actions.push(Action::Penalise { peer, offence, why });
        }
    }

    fn request(&mut self, peer: PeerKey, purpose: Purpose, ask: Ask, timeout: Duration, now: Now) -> RequestId {
        let id = RequestId(self.next_id());
        self.requests.insert(id, Request { peer, purpose, sent: now.elapsed });
        self.actions.push(Action::Request { id, peer, ask, timeout });
        id
    }

    fn answered(&mut self, id: RequestId, answer: Result<Answer, Failure>, now: Now, view: &dyn View) {
        // Of a session that has left, nothing is waited for.
        let Some(Request { peer: key, purpose, sent }) = self.requests.remove(&id) else { return };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let took = now.elapsed.saturating_sub(sent);
        if matches!(purpose, Purpose::Items(_) | Purpose::Below(_)) {
            peer.flying = peer.flying.saturating_sub(1);
        }
        match &answer {
            Ok(_) => {
                peer.strikes = 0;
                peer.pace.answered(took);
            }
            Err(Failure::Timeout) => {
                peer.strikes += 1;
                peer.pace.timed_out();
                peer.rest_until = now.elapsed + REST;
            }
            Err(Failure::Busy) => peer.rest_until = now.elapsed + MIN_TIMEOUT,
            Err(Failure::Closed) => peer.gone = true,
        }
        let (strikes, gone) = (peer.strikes, peer.gone);
        match purpose {
            Purpose::Check(best) => self.checked(key, id, best, items(answer), now),
            Purpose::Hashes { path, from } => self.hashes(key, path, from, hashes(answer), now, view),
            Purpose::Probe { path, hash, number } => self.probed(path, hash, number, items(answer), now),
            Purpose::Items(batch) => self.items(key, id, batch, items(answer), took, now),
            Purpose::Hints { from } => self.hinted(key, id, from, hashes(answer)),
            Purpose::Below(asked) => self.below(key, id, asked, items(answer), took),
        }
        if gone {
            self.forsake(key);
        } else if strikes >= MAX_STRIKES {
            self.let_go(key, format!("left {strikes} requests in a row unanswered"));
        }
    }

    /// Ends a session for silence; its end comes back as [`Event::Left`].
    fn let_go(&mut self, key: PeerKey, why: String) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.gone = true;
        self.actions.push(Action::LetGo { peer: key, why: why.clone() });
        self.penalise(key, Offence::Stalled, why);
        self.forsake(key);
    }
}

fn hashes(answer: Result<Answer, Failure>) -> Option<Vec<B256>> {
    match answer {
        Ok(Answer::Hashes(hashes)) => Some(hashes),
        _ => None,
    }
}

fn items(answer: Result<Answer, Failure>) -> Option<Vec<Item>> {
    match answer {
        Ok(Answer::Items(items)) => Some(items),
        _ => None,
    }
}
