//! What goes into the machine and what comes out: the whole contract with its driver.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, U256};
use rushlight_chain::{Descent, Extended, Head, Known, RawBlock};

use super::{ClaimRule, Summary};
use crate::{ChainSink, Item, Refused, Stopped, Want};

/// One session. A peer that comes back is another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u64);

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

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
    /// How far the way down from a trusted head has come, where there is one.
    fn descent(&self) -> Option<Descent> {
        None
    }

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
    fn descent(&self) -> Option<Descent> {
        self.as_ref().descent()
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
    /// [`Action::Descend`] came to its end.
    Descended(Result<(), Refused>),
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
    /// Give the sink headers below its trusted head, youngest first; without any, it is to sum total difficulties.
    Descend(Vec<Item>),
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
    /// The trusted head cannot be followed: why.
    Distrusted(String),
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
    /// Blocks after which what is provisional is settled; [`SETTLE_EVERY`](super::limits::SETTLE_EVERY).
    pub settle_every: u64,
}
