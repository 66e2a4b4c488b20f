//! One session's chain of hashes: first a walk back from its best block, then, linked, a window that moves up.
//!
//! Whatever stands in a path is what its leader said, so whatever of it proves false is the leader's lie.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use alloy_primitives::{B256, U256};
use rushlight_chain::ANCHOR_SPACING;

use super::{PeerKey, RequestId, View, limits::*, pool::Pool};

/// A hash and its number, by the number that the best header gives itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) hash: B256,
    pub(super) number: u64,
}

#[derive(Debug)]
pub(super) struct Path {
    pub(super) leader: PeerKey,
    /// The claimed total difficulty of the best block.
    pub(super) td: U256,
    /// The best block first; then every hash whose number is a multiple of [`SEGMENT`], down to where the path is
    /// linked and loaded. The same chain is cut at the same places, whoever claims it.
    pub(super) anchors: Vec<Anchor>,
    pub(super) stage: Stage,
    /// The request for hashes that is on its way.
    pub(super) asking: Option<RequestId>,
    /// What its headers add up to, once all are held.
    pub(super) adds_up: Option<U256>,
    /// When it last came nearer to its end.
    pub(super) progressed: Duration,
}

#[derive(Debug)]
pub(super) enum Stage {
    Walking(Walk),
    Linked(Window),
    /// All of it is held; the sink is to adopt it.
    Settling,
}

/// A walk that has not reached anything known yet.
#[derive(Debug)]
pub(super) struct Walk {
    /// The lowest hash so far.
    pub(super) cursor: Anchor,
    /// Hashes below the last anchor, youngest first: fewer than a segment.
    pub(super) recent: Vec<B256>,
    pub(super) walked: u64,
    /// Whether the first answer has come.
    pub(super) looked: bool,
    pub(super) probe: Option<RequestId>,
    /// Anchors at which the next probe is due.
    pub(super) next_probe: usize,
    pub(super) unserved: u32,
    anchored: HashSet<B256>,
}

/// The hashes of a linked path that come next, oldest first.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) hashes: VecDeque<B256>,
    /// Number of the first of them.
    pub(super) first: u64,
    /// The hash below the first: known.
    pub(super) previous: B256,
    /// Below this index nothing is open in the pool.
    pub(super) scan: usize,
    /// Hashes of the next segment that have come so far, youngest first.
    pub(super) partial: Vec<B256>,
}

/// What an answer to a walk says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    Further,
    /// It has reached a known hash.
    Linked,
    /// It cannot be a chain.
    Flood(String),
    /// It ends in another genesis.
    Foreign(B256),
    /// It holds a hash that was refused before.
    Bad(B256),
    /// It has no more, though it has not reached genesis.
    Ended,
}

impl Path {
    /// A path from a best block that is not known.
    pub(super) fn walk(leader: PeerKey, td: U256, best: Anchor, now: Duration) -> Self {
        let walk = Walk {
            cursor: best,
            recent: Vec::new(),
            walked: 0,
            looked: false,
            probe: None,
            next_probe: PROBE_EVERY,
            unserved: 0,
            anchored: HashSet::from([best.hash]),
        };
        Self {
            leader,
            td,
            anchors: vec![best],
            stage: Stage::Walking(walk),
            asking: None,
            adds_up: None,
            progressed: now,
        }
    }

    /// The path to a best block that is held already.
    pub(super) fn settling(leader: PeerKey, td: U256, best: Anchor, now: Duration) -> Self {
        Self { leader, td, anchors: vec![best], stage: Stage::Settling, asking: None, adds_up: None, progressed: now }
    }

    pub(super) fn best(&self) -> Anchor {
        self.anchors[0]
    }

    /// Hashes walked, while it is unlinked.
    pub(super) fn walked(&self) -> Option<u64> {
        match &self.stage {
            Stage::Walking(walk) => Some(walk.walked),
            _ => None,
        }
    }

    pub(super) fn is_linked(&self) -> bool {
        matches!(self.stage, Stage::Linked(_))
    }

    pub(super) fn window(&self) -> Option<&Window> {
        match &self.stage {
            Stage::Linked(window) => Some(window),
            _ => None,
        }
    }

    pub(super) fn window_mut(&mut self) -> Option<&mut Window> {
        match &mut self.stage {
            Stage::Linked(window) => Some(window),
            _ => None,
        }
    }

    /// Whether the two chains are the same from some hash down, as far as they say so.
    pub(super) fn shares_with(&self, other: &Path) -> bool {
        self.anchors.iter().any(|anchor| other.anchors.contains(anchor))
    }

    /// Takes an answer to a walk. `unbounded`: the best header's number bounds nothing.
    pub(super) fn step(
        &mut self,
        hashes: &[B256],
        unbounded: bool,
        bad: impl Fn(&B256) -> bool,
        pool: &mut Pool,
        view: &dyn View,
    ) -> Step {
        let Stage::Walking(walk) = &mut self.stage else { return Step::Further };
        if hashes.is_empty() {
            return Step::Ended;
        }
        let mut seen = HashSet::with_capacity(hashes.len());
        if let Some(hash) = hashes.iter().find(|hash| walk.anchored.contains(*hash) || !seen.insert(**hash)) {
            return Step::Flood(format!("its chain of hashes comes back to {hash}"));
        }
        if let Some(hash) = hashes.iter().find(|hash| bad(hash)) {
            return Step::Bad(*hash);
        }
        let link = first_known(hashes, walk.cursor.number, view);
        for (index, hash) in hashes.iter().enumerate() {
            let Some(number) = walk.cursor.number.checked_sub(1) else {
                let claimed = self.anchors[0].number;
                return Step::Flood(format!("its best header is number {claimed}, and its hashes go on below block 0"));
            };
            walk.cursor = Anchor { hash: *hash, number };
            if link == Some(index) {
                self.link(pool);
                return Step::Linked;
            }
            walk.walked += 1;
            if number.is_multiple_of(SEGMENT) {
                walk.recent.clear();
                walk.anchored.insert(*hash);
                self.anchors.push(walk.cursor);
            } else {
                walk.recent.push(*hash);
            }
        }
        if walk.cursor.number == 0 {
            return Step::Foreign(walk.cursor.hash);
        }
        if unbounded && walk.walked >= MAX_UNBOUNDED_WALK {
            return Step::Ended;
        }
        Step::Further
    }

    /// The walk's cursor is known: what was just walked is the first to be fetched.
    fn link(&mut self, pool: &mut Pool) {
        let Stage::Walking(walk) = &mut self.stage else { return };
        let hashes: VecDeque<B256> =
            std::mem::take(&mut walk.recent).into_iter().rev().chain(self.anchors.last().map(|low| low.hash)).collect();
        hashes.iter().for_each(|hash| pool.want(*hash));
        let Anchor { hash: previous, number } = walk.cursor;
        self.stage = Stage::Linked(Window { hashes, first: number + 1, previous, scan: 0, partial: Vec::new() });
    }

    /// Takes out of the window what has become known meanwhile, and passes over segments that are. True if it moved.
    pub(super) fn skip_known(&mut self, pool: &mut Pool, view: &dyn View) -> bool {
        let Stage::Linked(window) = &mut self.stage else { return false };
        // Most often nothing has changed, so the first is looked up before any search.
        let mut moved = false;
        if window.hashes.front().is_some_and(|hash| view.is_known(hash)) {
            let known = window.hashes.partition_point(|hash| view.is_known(hash));
            moved = known > 0;
            for hash in window.hashes.drain(..known) {
                pool.release(&hash);
                window.previous = hash;
            }
            window.first += known as u64;
            window.scan = window.scan.saturating_sub(known);
        }
        while window.hashes.is_empty()
            && let [.., upper, _] = self.anchors[..]
            && view.is_known(&upper.hash)
        {
            self.anchors.pop();
            window.partial.clear();
            (window.previous, window.first) = (upper.hash, upper.number + 1);
            moved = true;
        }
        moved
    }

    /// Whether everything up to the best block is known.
    pub(super) fn is_done(&self) -> bool {
        self.anchors.len() == 1 && self.window().is_some_and(|window| window.hashes.is_empty())
    }

    /// What to ask hashes for, and how many: a walk's next stretch, or the next segment of a linked path while fewer
    /// than `room` hashes would be in its window.
    pub(super) fn next_hashes(&self, room: usize) -> Option<(B256, u64)> {
        match &self.stage {
            Stage::Walking(walk) => Some((walk.cursor.hash, SEGMENT)),
            Stage::Linked(window) => {
                let [.., upper, lower] = self.anchors[..] else { return None };
                let length = upper.number - lower.number;
                if window.hashes.len() + length as usize > room.max(length as usize) {
                    return None;
                }
                let from = window.partial.last().copied().unwrap_or(upper.hash);
                Some((from, length - window.partial.len() as u64))
            }
            Stage::Settling => None,
        }
    }

    /// Takes an answer to the question for the next segment. An error says why it contradicts the walk.
    pub(super) fn load(&mut self, hashes: &[B256], pool: &mut Pool) -> Result<(), String> {
        let Stage::Linked(window) = &mut self.stage else { return Ok(()) };
        let [.., upper, lower] = self.anchors[..] else { return Ok(()) };
        let length = (upper.number - lower.number) as usize;
        let missing = length - window.partial.len();
        window.partial.extend(hashes.iter().take(missing));
        if window.partial.len() < length {
            return Ok(());
        }
        let reached = window.partial.pop();
        let segment = std::mem::take(&mut window.partial);
        if reached != Some(lower.hash) {
            let Anchor { hash, number } = lower;
            return Err(format!(
                "block {number} of its chain was {hash} first, and is {} now",
                reached.unwrap_or_default()
            ));
        }
        for hash in segment.into_iter().rev().chain([upper.hash]) {
            pool.want(hash);
            window.hashes.push_back(hash);
        }
        self.anchors.pop();
        Ok(())
    }
}

/// Index of the first known hash, of a list that goes down from below `number`. Ancestors of what is known are known, so
/// after a few looks a search by halves finds it; in a list that is no chain it may find another border, whose link the
/// headers then refute. Far below the head only anchors are known: they are looked for where they can be.
fn first_known(hashes: &[B256], number: u64, view: &dyn View) -> Option<usize> {
    let highest = usize::try_from(number.checked_sub(1)? % ANCHOR_SPACING).ok()?;
    let mut anchors = (highest..hashes.len()).step_by(ANCHOR_SPACING as usize);
    let anchor = anchors.find(|index| view.is_known(&hashes[*index]));
    match first_whole(hashes, view) {
        Some(index) if anchor.is_none_or(|anchor| index < anchor) => Some(index),
        _ => anchor,
    }
}

/// The same where every ancestor of what is known is known.
fn first_whole(hashes: &[B256], view: &dyn View) -> Option<usize> {
    let mut unknown = 0; // All before this are taken as unknown.
    let mut look = 1;
    while look <= hashes.len() && !view.is_known(&hashes[look - 1]) {
        unknown = look;
        look *= 2;
    }
    let known = if look <= hashes.len() {
        look - 1
    } else if hashes.last().is_some_and(|last| view.is_known(last)) {
        hashes.len() - 1
    } else {
        return None;
    };
    Some(unknown + hashes[unknown..known].partition_point(|hash| !view.is_known(hash)))
}
