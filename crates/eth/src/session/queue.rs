//! Open requests: a queue for each type, as answers carry no id and come in the order of their requests.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::request::{Answer, KINDS, Kind, Question, RequestError};

/// Requests of one type that may be open on a session at once, overdue ones included. Enough to hide a round trip;
/// a further request waits for a place.
pub(crate) const MAX_OPEN: usize = 16;
/// Overdue requests of one type beyond which the session takes no new one: a peer that is this far behind is not asked
/// for more until it answers.
pub(crate) const MAX_LATE: usize = 4;

/// A request that waits for its answer.
pub(crate) struct Open {
    /// What was asked: also an answer that comes too late must be one.
    pub(crate) question: Question,
    /// Closed where whoever asked waits no longer.
    pub(crate) reply: oneshot::Sender<Result<Answer, RequestError>>,
}

/// The open requests of one session.
#[derive(Default)]
pub(crate) struct Queues([VecDeque<Open>; KINDS]);

impl Queues {
    /// Whether the session has something to say to a new request of each type: it has a place, or it refuses.
    pub(crate) fn ready(&self) -> [bool; KINDS] {
        std::array::from_fn(|kind| self.0[kind].len() < MAX_OPEN || late(&self.0[kind]) >= MAX_LATE)
    }

    /// Whether a request of this type would be refused.
    pub(crate) fn is_busy(&self, kind: Kind) -> bool {
        let queue = &self.0[kind as usize];
        queue.len() >= MAX_OPEN || late(queue) >= MAX_LATE
    }

    /// Adds a request that goes out.
    pub(crate) fn push(&mut self, open: Open) {
        self.0[open.question.kind() as usize].push_back(open);
    }

    /// Takes the request that an answer of this type belongs to.
    pub(crate) fn oldest(&mut self, kind: Kind) -> Option<Open> {
        self.0[kind as usize].pop_front()
    }
}

/// How many overdue requests keep their place.
fn late(queue: &VecDeque<Open>) -> usize {
    queue.iter().filter(|open| open.reply.is_closed()).count()
}
