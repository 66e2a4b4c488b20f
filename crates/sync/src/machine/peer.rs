//! What is known of a session: its claim, what is being done about it, and how fast it is.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_primitives::{B256, U256};
use lru::LruCache;

use super::{PathId, RequestId, claim::Top, limits::*};
use crate::Want;

/// What is being done about a session's claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: it is no higher than our head, or is to be looked at now.
    Idle,
    /// The header of its best block is on its way. A claim that is tried again does not count until that has come.
    Checking { request: RequestId, counted: bool },
    /// Checked; its walk gave way and waits for a place.
    Waiting { since: Duration },
    /// Shares hashes with another session's open walk, and counts on that.
    Backing { path: PathId, since: Duration },
    /// Has a walk or a linked chain of its own.
    Leading(PathId),
    /// Cannot be followed for now: its header did not come, or nobody gave its blocks.
    Aside { until: Duration },
    /// False. Only a new claim is looked at.
    Refuted,
    /// Goes beyond what this version supports.
    Beyond,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) td: U256,
    pub(super) best: B256,
    /// The header of `best`, once it has come and passed.
    pub(super) top: Option<Top>,
    pub(super) phase: Phase,
    pub(super) asides: u32,
    pub(super) pace: Pace,
    /// Requests for headers or blocks on their way.
    pub(super) flying: usize,
    /// Unanswered requests in a row.
    pub(super) strikes: u32,
    /// Nothing is asked of it before this.
    pub(super) rest_until: Duration,
    /// Counted on another's walk for too long: it makes its own now.
    pub(super) impatient: bool,
    /// Told to go; its end has not come through yet.
    pub(super) gone: bool,
    /// Gave false hints at what stands below a trusted head.
    pub(super) misled: bool,
    lacks: LruCache<B256, ()>,
    lacks_since: Duration,
    /// Paths of which it gave nothing: how often in a row, and until when it is not asked again. It has one entry for
    /// a path that is followed, at most.
    avoids: BTreeMap<PathId, (u32, Duration)>,
}

impl Peer {
    pub(super) fn new(td: U256, best: B256, want: Want, now: Duration) -> Self {
        Self {
            td,
            best,
            top: None,
            phase: Phase::Idle,
            asides: 0,
            pace: Pace::new(want),
            flying: 0,
            strikes: 0,
            rest_until: Duration::ZERO,
            impatient: false,
            gone: false,
            misled: false,
            lacks: LruCache::unbounded(),
            lacks_since: now,
            avoids: BTreeMap::new(),
        }
    }

    /// Whether its claim, if higher than our head, is being followed (decision 8 of eth-28).
    pub(super) fn is_followed(&self) -> bool {
        match self.phase {
            Phase::Checking { counted, .. } => counted,
            Phase::Idle | Phase::Waiting { .. } | Phase::Backing { .. } | Phase::Leading(_) => true,
            Phase::Aside { .. } | Phase::Refuted | Phase::Beyond => false,
        }
    }

    pub(super) fn set_aside(&mut self, now: Duration) {
        let pause = ASIDE * 2u32.pow(self.asides.min(5));
        self.asides += 1;
        self.phase = Phase::Aside { until: now + pause };
    }

    pub(super) fn is_free(&self, now: Duration) -> bool {
        !self.gone && self.rest_until <= now
    }

    /// Whether it can be asked for headers or blocks. One that left something unanswered gets one request at a time.
    pub(super) fn has_room(&self, now: Duration) -> bool {
        self.is_free(now) && self.flying < if self.strikes > 0 { 1 } else { REQUESTS_PER_PEER }
    }

    pub(super) fn lacks(&self, hash: &B256) -> bool {
        self.lacks.contains(hash)
    }

    /// Notes that it did not have `hash`.
    pub(super) fn note_lack(&mut self, hash: B256) {
        while self.lacks.len() >= MAX_LACKS {
            self.lacks.pop_lru();
        }
        self.lacks.put(hash, ());
    }

    pub(super) fn forget_lacks(&mut self, now: Duration) {
        if now.saturating_sub(self.lacks_since) >= FORGET_LACKS {
            self.lacks.clear();
            self.lacks_since = now;
        }
    }

    /// Notes an answer with nothing of a path in it. Only that path suffers: whoever invents one must not keep the
    /// others from being fetched.
    pub(super) fn note_empty(&mut self, path: PathId, now: Duration) {
        let (times, until) = self.avoids.entry(path).or_default();
        *until = now + (REST * 2u32.pow((*times).min(7))).min(MAX_REST);
        *times += 1;
    }

    /// Notes that it holds something of a path, or that the path is gone.
    pub(super) fn forget_empty(&mut self, path: PathId) {
        self.avoids.remove(&path);
    }

    pub(super) fn avoids(&self, path: PathId, now: Duration) -> bool {
        self.avoids.get(&path).is_some_and(|(_, until)| *until > now)
    }
}

/// The estimate of how much a session serves how fast.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    size: f64,
    /// Items a second.
    pub(super) rate: Option<f64>,
    round_trip: Option<Duration>,
}

/// Weight of a new measurement: a handful of answers settle it.
const NEW: f64 = 0.5;

impl Pace {
    fn new(want: Want) -> Self {
        let (first, most) = match want {
            Want::Headers => (FIRST_HEADERS, MAX_HEADERS),
            Want::Blocks => (FIRST_BLOCKS, MAX_BLOCKS),
        };
        Self { most, size: first as f64, rate: None, round_trip: None }
    }

    /// How much to ask for at once.
    pub(super) fn batch(&self) -> usize {
        (self.size as usize).clamp(1, self.most)
    }

    /// When to give up on an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.round_trip.map_or(FIRST_TIMEOUT, |time| (time * 4 + BATCH_TIME).clamp(MIN_TIMEOUT, MAX_TIMEOUT))
    }

    /// Any answer came after `took`.
    pub(super) fn answered(&mut self, took: Duration) {
        self.round_trip = Some(match self.round_trip {
            Some(old) => old.mul_f64(1.0 - NEW) + took.mul_f64(NEW),
            None => took,
        });
    }

    /// Of `asked` items `got` came after `took`.
    pub(super) fn served(&mut self, asked: usize, got: usize, took: Duration) {
        if got == asked && asked < self.batch() / 2 {
            return; // The round trip outweighs so few: they say nothing about pace.
        }
        let sample = got as f64 / took.as_secs_f64().max(0.001);
        let rate = self.rate.map_or(sample, |old| old * (1.0 - NEW) + sample * NEW);
        self.rate = Some(rate);
        let fitting = rate * BATCH_TIME.as_secs_f64();
        // A short answer says how much the peer gives; a full one, that it may have given more.
        self.size = if got < asked { got as f64 } else { fitting.clamp(self.size / 2.0, self.size * 2.0) };
        self.size = self.size.clamp(1.0, self.most as f64);
    }

    /// Nothing came in time.
    pub(super) fn timed_out(&mut self) {
        self.size = (self.size / 2.0).max(1.0);
        self.rate = self.rate.map(|rate| rate / 2.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_for_fast_peers_and_shrink_for_slow_ones() {
        let mut pace = Pace::new(Want::Headers);
        assert_eq!(pace.batch(), FIRST_HEADERS);
        for _ in 0..10 {
            let asked = pace.batch();
            pace.served(asked, asked, Duration::from_millis(50));
        }
        assert_eq!(pace.batch(), MAX_HEADERS);
        for _ in 0..10 {
            let asked = pace.batch();
            pace.served(asked, asked, Duration::from_secs(5));
        }
        assert!(pace.batch() < FIRST_HEADERS);
        pace.timed_out();
        pace.served(10, 3, Duration::from_millis(10));
        assert_eq!(pace.batch(), 3);
        for _ in 0..20 {
            pace.timed_out();
        }
        assert_eq!(pace.batch(), 1);
    }

    #[test]
    fn timeouts_follow_the_round_trip_within_bounds() {
        let mut pace = Pace::new(Want::Blocks);
        assert_eq!(pace.timeout(), FIRST_TIMEOUT);
        pace.answered(Duration::from_millis(10));
        assert_eq!(pace.timeout(), MIN_TIMEOUT);
        for _ in 0..50 {
            pace.answered(Duration::from_secs(9));
        }
        assert_eq!(pace.timeout(), MAX_TIMEOUT);
    }

    #[test]
    fn lacks_are_bounded_and_forgotten() {
        let mut peer = Peer::new(U256::ZERO, B256::ZERO, Want::Headers, Duration::ZERO);
        for i in 0..2 * MAX_LACKS {
            peer.note_lack(B256::from(U256::from(i)));
        }
        assert_eq!(peer.lacks.len(), MAX_LACKS);
        peer.forget_lacks(FORGET_LACKS);
        assert_eq!(peer.lacks.len(), 0);
    }
}
