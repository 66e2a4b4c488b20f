//! What is expected of one session, and what it would cost to ask it: pure bookkeeping.

use std::time::Duration;

use tokio::time::Instant;

/// Questions of ours that may be out at one peer. More would only queue up behind each other at its side, and the
/// session itself refuses more when answers stay out.
pub const MAX_IN_FLIGHT: usize = 4;

/// Assumed of a peer that has not answered anything yet; a usual round trip across an ocean.
const UNKNOWN_LATENCY: f64 = 0.2;
/// Weight of the newest measurement in the moving average of latencies.
const NEWEST_LATENCY: f64 = 0.25;
/// … and in the estimates of what is served: a peer that does not hold a kind of thing is known after a few answers.
const NEWEST_SERVED: f64 = 0.5;
/// The estimate never falls below this, so that a peer that begins to serve is found out again.
const LEAST_SERVED: f64 = 0.02;

/// Questions to others after which a peer that was asked nothing meanwhile is asked once. What a peer can do is found out
/// only by asking; without this the first one that was quick would be asked for ever, and a better one, or a liar,
/// never be known. One in 32 costs a wallet nothing that it could feel.
pub const OVERDUE: u64 = 32;

/// Kinds of things that peers serve or not: many hold recent state but not old, or bodies but no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nodes of state and storage tries.
    State,
    /// Contract code.
    Code,
    /// Nodes of transaction and receipt tries, uncle lists.
    BlockPart,
    /// Whole blocks.
    Block,
    /// Headers below those that everyone keeps.
    Header,
}

const KINDS: usize = 5;

/// The record of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Seconds; moving average.
    latency: Option<f64>,
    /// The share of questions answered, by kind; moving averages in 0..=1.
    serves: [f64; KINDS],
    in_flight: usize,
    resting_until: Option<Instant>,
    /// How many questions had gone out, to whomever, when this peer was asked last, or joined.
    asked_at: u64,
}

impl Default for Record {
    fn default() -> Self {
        Self { latency: None, serves: [1.0; KINDS], in_flight: 0, resting_until: None, asked_at: 0 }
    }
}

impl Record {
    pub(super) fn joined(asked: u64) -> Self {
        Self { asked_at: asked, ..Self::default() }
    }

    /// Questions that went to others since this peer had its turn; `asked` have gone out in all.
    pub(super) fn waited(&self, asked: u64) -> u64 {
        asked.saturating_sub(self.asked_at)
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.in_flight < MAX_IN_FLIGHT && self.resting_until.is_none_or(|until| until <= now)
    }

    pub(super) fn began(&mut self, asked: u64) {
        self.in_flight += 1;
        self.asked_at = asked;
    }

    pub(super) fn ended(&mut self, took: Option<Duration>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(took) = took {
            let took = took.as_secs_f64();
            self.latency = Some(self.latency.map_or(took, |old| old + NEWEST_LATENCY * (took - old)));
        }
    }

    pub(super) fn served(&mut self, kind: Kind, held: usize, asked: usize) {
        if asked > 0 {
            let share = held.min(asked) as f64 / asked as f64;
            let estimate = &mut self.serves[kind as usize];
            *estimate = (*estimate + NEWEST_SERVED * (share - *estimate)).max(LEAST_SERVED);
        }
    }

    pub(super) fn rest(&mut self, until: Instant) {
        self.resting_until = Some(until);
    }

    /// Expected seconds until this peer has answered truly: its latency, longer with every question already out,
    /// divided by the chance that it holds the answer, and up to three times as much at the worst score.
    pub(super) fn cost(&self, kind: Kind, score: f64) -> f64 {
        let latency = self.latency.unwrap_or(UNKNOWN_LATENCY).max(0.001);
        latency * (1 + self.in_flight) as f64 / self.serves[kind as usize] * (1.0 - score / 50.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_the_able_and_the_honest_come_first() {
        let mut quick = Record::default();
        quick.began(0);
        quick.ended(Some(Duration::from_millis(20)));
        let mut slow = Record::default();
        slow.began(0);
        slow.ended(Some(Duration::from_millis(400)));
        assert!(quick.cost(Kind::State, 0.0) < slow.cost(Kind::State, 0.0));
        assert!(quick.cost(Kind::State, 0.0) < quick.cost(Kind::State, -50.0));

        for _ in 0..20 {
            quick.served(Kind::State, 0, 1);
        }
        assert!(slow.cost(Kind::State, 0.0) < quick.cost(Kind::State, 0.0));
        assert!(quick.cost(Kind::Code, 0.0) < slow.cost(Kind::Code, 0.0));
        assert!(quick.cost(Kind::State, 0.0).is_finite());
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let now = Instant::now();
        let mut record = Record::default();
        for _ in 0..MAX_IN_FLIGHT {
            assert!(record.has_room(now));
            record.began(0);
        }
        assert!(!record.has_room(now));
        record.ended(None);
        assert!(record.has_room(now));
        record.rest(now + Duration::from_secs(1));
        assert!(!record.has_room(now));
        assert!(record.has_room(now + Duration::from_secs(1)));
    }

    #[test]
    fn whoever_is_passed_over_becomes_overdue() {
        let mut asked = Record::joined(10);
        let unasked = Record::joined(10);
        for number in 11..=10 + OVERDUE {
            asked.began(number);
        }
        assert_eq!(asked.waited(10 + OVERDUE), 0);
        assert_eq!(unasked.waited(10 + OVERDUE), OVERDUE);
        assert_eq!(Record::joined(10 + OVERDUE).waited(10 + OVERDUE), 0, "who joins now has waited for nothing");
    }
}
