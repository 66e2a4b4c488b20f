//! One question under way: who waits for it, who was asked, and what is still out.

use std::time::Duration;

use rushlight_p2p::PeerId;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    request::{Answer, Question},
    source::{Asked, Unavailable, Why},
};

/// The end of a question for one caller.
pub(super) type Reply = Result<Answer, Unavailable>;

/// A caller. A dropped one shows as a closed channel.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) reply: oneshot::Sender<Reply>,
    pub(super) since: Instant,
    pub(super) deadline: Instant,
}

/// A question that has been sent and not been answered yet.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) peer: PeerId,
    pub(super) client: String,
    /// After this the next peer is asked too.
    pub(super) patient_until: Instant,
    /// Whether that has happened.
    pub(super) late: bool,
}

/// A question with all its callers.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) question: Question,
    pub(super) waiters: Vec<Waiter>,
    pub(super) out: Vec<Attempt>,
    failed: Vec<(PeerId, Asked)>,
    /// Whether it waits in the distributor's queue.
    pub(super) queued: bool,
}

impl Item {
    pub(super) fn new(question: Question) -> Self {
        Self { question, waiters: Vec::new(), out: Vec::new(), failed: Vec::new(), queued: false }
    }

    /// Lets go of callers that have given up; true if nobody is left.
    pub(super) fn abandoned(&mut self) -> bool {
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        self.waiters.is_empty()
    }

    /// Whether this read has not gone to the peer yet.
    pub(super) fn may_ask(&self, peer: &PeerId) -> bool {
        self.out.iter().all(|attempt| attempt.peer != *peer) && self.failed.iter().all(|(id, _)| id != peer)
    }

    /// Whether someone was asked and nobody's answer is out.
    pub(super) fn asked_in_vain(&self) -> bool {
        self.out.is_empty() && !self.failed.is_empty()
    }

    /// Whether an answer can be waited for a little longer before the next peer is asked.
    pub(super) fn patient(&self) -> bool {
        self.out.iter().any(|attempt| !attempt.late)
    }

    /// The attempt at `peer` has ended; `why` is `None` where it never counted as asked.
    pub(super) fn ended(&mut self, peer: &PeerId, why: Option<Why>) {
        let Some(index) = self.out.iter().position(|attempt| attempt.peer == *peer) else { return };
        let attempt = self.out.swap_remove(index);
        if let Some(why) = why {
            self.failed.push((attempt.peer, asked(&attempt.peer, &attempt.client, why)));
        }
    }

    /// A new caller's read asks each peer once, also those that earlier callers' reads have asked in vain: they may hold
    /// it by now. Callers of a question that is still out share its fate.
    pub(super) fn begin_anew(&mut self) {
        if self.out.is_empty() {
            self.failed.clear();
        }
    }

    /// A peer that went away before it answered has come back: it may be asked again.
    pub(super) fn welcome_back(&mut self, peer: &PeerId) {
        self.failed.retain(|(id, asked)| id != peer || asked.why != Why::Gone);
    }

    /// What a caller who has waited for `waited` is told; `unasked` are peers that had no room to be asked.
    pub(super) fn unavailable(&self, waited: Duration, unasked: impl IntoIterator<Item = Asked>) -> Unavailable {
        let out = self.out.iter().map(|attempt| asked(&attempt.peer, &attempt.client, Why::TimedOut));
        Unavailable {
            missing: vec![self.question.wanted()],
            asked: self.failed.iter().map(|(_, asked)| asked.clone()).chain(out).chain(unasked).collect(),
            waited,
        }
    }
}

pub(super) fn asked(peer: &PeerId, client: &str, why: Why) -> Asked {
    Asked { peer: alloy_primitives::hex::encode(peer.node_id()), client: client.to_owned(), why }
}
