//! Every decision of synchronisation, as a state machine without I/O, clock or randomness of its own.
//!
//! ```text
//! claim     what can be checked of a best block on its own
//! peer      one session: its claim and what is being done about it, its pace
//! path      one session's chain of hashes: a walk back, then a window that moves up
//! pool      the hashes that are wanted next, each fetched once
//! claims    decides what is done about each session's claim
//! walks     opens walks, asks for hashes, takes them in
//! fetch     spreads the pool over the sessions, takes headers and blocks in
//! adopt     gives complete runs and new blocks to the sink, and draws conclusions from what it says
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
mod episode;
mod fetch;
pub mod limits;
mod path;
mod peer;
mod pool;
#[cfg(test)]
mod tests;
mod walks;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, U256};
use lru::LruCache;
use rand::{SeedableRng, rngs::StdRng};
use rushlight_chain::{Extended, Head, Known, RawBlock};

pub use claim::{ClaimRule, MAINNET_START};
pub use episode::Summary;

use crate::{ChainSink, Item, Refused, Stopped, Want};
use adopt::{Direct, Job, Settle};
use episode::Episode;
use fetch::Batch;
use limits::*;
use path::Path;
use peer::{Peer, Phase};
use pool::Pool;

/// The longest time between two ticks while there is work.
pub const TICK: Duration = Duration::from_millis(250);

/// One session. A peer that comes back is another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u64);

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One path, for as long as it is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PathId(u64);

/// The time.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since some moment before the machine began; never goes back.
    pub elapsed: Duration,
    /// The wall clock, in unix seconds: what timestamps are compared to.
    pub unix: u64,
}

/// What the machine reads of the chain.
pub trait View {
    /// The best header.
    fn head(&self) -> Head;
    /// Whether a hash is held.
    fn known(&self, hash: &B256) -> Known;
    /// Total difficulty of a held hash, where it is kept.
    fn td(&self, hash: &B256) -> Option<U256>;
    /// Start and current number of a sync that was broken off.
    fn resumed(&self) -> Option<(u64, u64)>;

    /// Whether a hash is held, settled or not.
    fn is_known(&self, hash: &B256) -> bool {
        self.known(hash) != Known::Unknown
    }
}

impl View for Arc<dyn ChainSink> {
    fn head(&self) -> Head {
        self.as_ref().head()
    }
    fn known(&self, hash: &B256) -> Known {
        self.as_ref().known(hash)
    }
    fn td(&self, hash: &B256) -> Option<U256> {
        self.as_ref().td(hash)
    }
    fn resumed(&self) -> Option<(u64, u64)> {
        self.as_ref().resumed()
    }
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session has begun.
    Joined {
        /// The session.
        peer: PeerKey,
        /// The total difficulty that its Status claims.
        td: U256,
        /// The best block that its Status claims.
        best: B256,
    },
    /// A session has ended.
    Left {
        /// The session.
        peer: PeerKey,
    },
    /// A session sent a new block.
    NewBlock {
        /// The session.
        peer: PeerKey,
        /// The block, or its header if that is what is wanted.
        item: Item,
        /// The total difficulty that it is claimed to have, its own included.
        td: U256,
    },
    /// A request came to its end.
    Answered {
        /// The request.
        id: RequestId,
        /// What came of it.
        answer: Result<Answer, Failure>,
    },
    /// [`Action::Extend`] came to its end.
    Extended(Result<Extended, Refused>),
    /// [`Action::Settle`] came to its end.
    Settled(Result<Extended, Refused>),
    /// Time has passed.
    Tick,
}

/// An answer, of the kind that was asked for. Its items are among those asked for; there may be fewer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Ancestors of the hash that was asked for, its parent first.
    Hashes(Vec<B256>),
    /// Headers or blocks, each with a hash that was asked for.
    Items(Vec<Item>),
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It did not come in time.
    Timeout,
    /// The session takes no more requests just now.
    Busy,
    /// The session is over.
    Closed,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Ask a session.
    Request {
        /// To be named in the answer.
        id: RequestId,
        /// Whom to ask.
        peer: PeerKey,
        /// What for.
        ask: Ask,
        /// How long to wait.
        timeout: Duration,
    },
    /// Give a linked run to the sink.
    Extend(Vec<Item>),
    /// Let the sink adopt the chain up to this hash.
    Settle(B256),
    /// Take score from a session.
    Penalise {
        /// The session.
        peer: PeerKey,
        /// What it did.
        offence: Offence,
        /// In words, with what was expected and what came.
        why: String,
    },
    /// End a session for silence or slowness (reason 0x0b).
    LetGo {
        /// The session.
        peer: PeerKey,
        /// In words.
        why: String,
    },
    /// Tell the other sessions of a block that is the head now.
    Announce {
        /// The block.
        block: RawBlock,
        /// Its total difficulty.
        td: U256,
    },
    /// Say something in the log.
    Report(Report),
}

/// A question to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Up to `max` ancestors of `from`.
    Hashes {
        /// The hash whose parent comes first.
        from: B256,
        /// How many.
        max: u64,
    },
    /// Headers.
    Headers(Vec<B256>),
    /// Blocks.
    Blocks(Vec<B256>),
}

/// What costs a session score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A claim that its own chain does not bear out.
    FalseClaim,
    /// A chain with a header that breaks a rule.
    BadHeader,
    /// A block that breaks a rule.
    BadBlock,
    /// A true block under a false total difficulty.
    BadTotalDifficulty,
    /// Hashes that are no chain.
    FloodedHashes,
    /// A chain that is claimed and then not given.
    Stalled,
}

/// What is worth a line in the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A chain is linked to ours, and will be fetched.
    Started(Summary),
    /// It has come further.
    Advanced(Summary),
    /// Nothing more is followed.
    Finished(Summary),
    /// This version cannot follow the chain further.
    Stopped(Stopped),
    /// A session's claim is not followed for now.
    SetAside {
        /// The session.
        peer: PeerKey,
        /// Why.
        why: String,
    },
    /// The sink failed for a reason of our own.
    Failed {
        /// In its words.
        why: String,
        /// Time until it is tried again.
        pause: Duration,
    },
}

/// What the machine is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct MachineConfig {
    /// What the sink takes.
    pub want: Want,
    /// The bound on claims.
    pub rule: ClaimRule,
    /// Seed of its choices among equals.
    pub seed: u64,
    /// Blocks after which what is provisional is settled; [`SETTLE_EVERY`].
    pub settle_every: u64,
}

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
            Event::Tick => self.tick(now),
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
        let head = view.head().td;
        self.job.is_some()
            || self.peers.values().any(|peer| peer.td > head && !matches!(peer.phase, Phase::Refuted | Phase::Beyond))
    }

    /// No session has a higher claim that is still being followed, and nothing unsupported stands in the way.
    pub fn is_synced(&self, view: &dyn View) -> bool {
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
        if matches!(purpose, Purpose::Items(_)) {
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
