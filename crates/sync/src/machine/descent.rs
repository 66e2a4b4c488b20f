//! The way down from a trusted head.
//!
//! Each header proves the hash of the next one below it, so nothing has to be believed; but one at a time would cost a
//! round trip each. So one session's BlockHashes are taken as hints at what to ask for, of every session. Each header
//! that comes confirms or refutes the hint behind it: a false one costs the session that gave it, and what is held is
//! never more than the line of hints. Only what links prove goes to the sink.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rand::seq::SliceRandom;
use rushlight_chain::Descent;

use super::{adopt::Job, claim::Top, pool::Fetched, *};

/// Hints that are held at once: the next stretch is asked for while the one before is fetched.
const LINE: usize = 2 * SEGMENT as usize;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Hashes wanted, each the parent of the one before it as far as we know, the next one first.
    line: VecDeque<B256>,
    /// How many at the front of `line` are proved.
    proved: usize,
    /// Whoever said the others. Only it adds to them, so that a false one is surely its.
    hinter: Option<PeerKey>,
    asking: Option<RequestId>,
    slots: HashMap<B256, Slot>,
    bytes: usize,
    /// Everything in `line` before this is on its way or here.
    scan: usize,
    /// Whether the failure has been told.
    told: bool,
}

#[derive(Debug)]
enum Slot {
    Flying(RequestId),
    Held(Fetched),
}

impl Way {
    fn release(&mut self, hash: &B256) {
        if let Some(Slot::Held(fetched)) = self.slots.remove(hash) {
            self.bytes -= fetched.item.size().min(self.bytes);
        }
    }

    /// Makes `next` the first in line.
    fn align(&mut self, next: B256) {
        match self.line.iter().position(|hash| *hash == next) {
            Some(place) => {
                for _ in 0..place {
                    if let Some(hash) = self.line.pop_front() {
                        self.release(&hash);
                    }
                }
                self.proved = self.proved.saturating_sub(place).max(1);
                self.scan = self.scan.saturating_sub(place);
            }
            None => {
                (self.line, self.slots) = (VecDeque::from([next]), HashMap::new());
                (self.proved, self.bytes, self.scan, self.hinter) = (1, 0, 0, None);
            }
        }
    }

    /// Drops the hints behind what is proved.
    fn drop_hints(&mut self) {
        while self.line.len() > self.proved {
            if let Some(hash) = self.line.pop_back() {
                self.release(&hash);
            }
        }
        self.scan = self.scan.min(self.proved);
        self.hinter = None;
    }

    fn held(&self, place: usize) -> Option<&Fetched> {
        match self.slots.get(self.line.get(place)?) {
            Some(Slot::Held(fetched)) => Some(fetched),
            _ => None,
        }
    }

    /// Follows the links as far as headers have come; at most `length` headers are wanted in all. Gives the place of a
    /// false hint, with the hash that should stand there.
    fn follow(&mut self, length: usize) -> Option<(usize, B256)> {
        while self.proved < length
            && let Some(parent) = self.proved.checked_sub(1).and_then(|last| self.held(last)).map(|held| held.parent)
        {
            match self.line.get(self.proved) {
                None => self.line.push_back(parent),
                Some(hint) if *hint == parent => {}
                Some(_) => return Some((self.proved, parent)),
            }
            self.proved += 1;
        }
        None
    }

    /// Marks what was on its way as open again.
    pub(super) fn unmark(&mut self, hashes: &[B256], id: RequestId) {
        for hash in hashes {
            if matches!(self.slots.get(hash), Some(Slot::Flying(by)) if *by == id) {
                self.slots.remove(hash);
            }
        }
        self.scan = 0;
    }

    /// The request for hints has come to nothing.
    pub(super) fn forget_asking(&mut self, id: RequestId) {
        if self.asking == Some(id) {
            self.asking = None;
        }
    }
}

impl Machine {
    /// Whether sessions' claims decide nothing: a trusted head does, for now or for good.
    pub(super) fn heeds_claims(view: &dyn View) -> bool {
        matches!(view.descent(), None | Some(Descent::Linked { fixed: false }))
    }

    /// Goes on down.
    pub(super) fn go_down(&mut self, now: Now, view: &dyn View) {
        match view.descent() {
            None | Some(Descent::Linked { .. }) => self.way = Way::default(),
            Some(Descent::Failed(why)) => {
                if !std::mem::replace(&mut self.way.told, true) {
                    self.actions.push(Action::Report(Report::Distrusted(why.clone())));
                    self.stopped = Some(Stopped { number: view.head().header.number, reason: why });
                }
            }
            Some(Descent::Summing { .. }) => {
                if self.job.is_none() && self.sink_rests_until <= now.elapsed {
                    self.actions.push(Action::Descend(Vec::new()));
                    self.job = Some(Job::Descend(0));
                }
            }
            Some(Descent::Wanted { hash, number, .. }) => {
                self.stopped = None;
                self.way.align(hash);
                // Until the head's own header is here nothing bounds what hints may claim.
                let length = number.map_or(1, |number| usize::try_from(number).unwrap_or(usize::MAX));
                self.way.line.truncate(length.max(1));
                while let Some((place, expected)) = self.way.follow(length) {
                    self.false_hint(place, expected);
                }
                self.ask_for_hints(length, now);
                self.ask_below(now);
                self.feed_descent(now);
            }
        }
    }

    fn false_hint(&mut self, place: usize, expected: B256) {
        let got = self.way.line.get(place).copied().unwrap_or_default();
        if let Some(hinter) = self.way.hinter {
            if let Some(peer) = self.peers.get_mut(&hinter) {
                peer.misled = true;
            }
            let why = format!("block hashes below the trusted head: expected {expected}, got {got}");
            self.penalise(hinter, Offence::FalseClaim, why);
        }
        self.way.drop_hints();
    }

    fn ask_for_hints(&mut self, length: usize, now: Now) {
        let way = &self.way;
        let (wanted, Some(from)) = (LINE.min(length), way.line.back().copied()) else { return };
        if way.asking.is_some() || way.line.len() >= wanted || way.line.len() + SEGMENT as usize > LINE {
            return;
        }
        let hinter = if way.line.len() > way.proved { way.hinter } else { None };
        let free = |key: &PeerKey, peer: &Peer| {
            peer.is_free(now.elapsed) && !peer.misled && !peer.lacks(&from) && hinter.is_none_or(|only| only == *key)
        };
        let mut keys: Vec<PeerKey> =
            self.peers.iter().filter(|(key, peer)| free(key, peer)).map(|(key, _)| *key).collect();
        keys.shuffle(&mut self.rng);
        keys.sort_by_key(|key| self.peers[key].strikes);
        let Some(key) = keys.first().copied() else { return };
        let max = SEGMENT.min((length - self.way.line.len()) as u64);
        let timeout = self.peers[&key].pace.timeout();
        let id = self.request(key, Purpose::Hints { from }, Ask::Hashes { from, max }, timeout, now);
        self.way.asking = Some(id);
    }

    /// Hints came; `None`: they did not.
    pub(super) fn hinted(&mut self, key: PeerKey, id: RequestId, from: B256, hashes: Option<Vec<B256>>) {
        self.way.forget_asking(id);
        let Some(hashes) = hashes else { return };
        if hashes.is_empty() {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.note_lack(from);
            }
            return;
        }
        // Links may have gone on past it meanwhile.
        let way = &mut self.way;
        let others = way.line.len() > way.proved && way.hinter != Some(key);
        if way.line.back() != Some(&from) || others {
            return;
        }
        way.hinter = Some(key);
        way.line.extend(hashes.into_iter().take(SEGMENT as usize));
    }

    /// Spreads what is in line over the sessions.
    fn ask_below(&mut self, now: Now) {
        let keys = self.fastest_first(now);
        for round in 1..=REQUESTS_PER_PEER {
            for key in &keys {
                let Some(peer) = self.peers.get(key) else { continue };
                if peer.flying >= round || !peer.has_room(now.elapsed) {
                    continue;
                }
                let (batch, timeout) = (peer.pace.batch(), peer.pace.timeout());
                let way = &mut self.way;
                while way.line.get(way.scan).is_some_and(|hash| way.slots.contains_key(hash)) {
                    way.scan += 1;
                }
                // With too many bytes held, only what the sink waits for is fetched.
                let ahead = if way.bytes > MAX_POOL_BYTES { batch } else { LINE };
                let open = way.line.iter().take(ahead).skip(way.scan);
                let open = open.filter(|hash| !way.slots.contains_key(*hash) && !peer.lacks(hash));
                let wanted: Vec<B256> = open.take(batch).copied().collect();
                if wanted.is_empty() {
                    continue;
                }
                let ask = Ask::Headers(wanted.clone());
                let id = self.request(*key, Purpose::Below(wanted.clone()), ask, timeout, now);
                wanted.into_iter().for_each(|hash| {
                    self.way.slots.insert(hash, Slot::Flying(id));
                });
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.flying += 1;
                }
            }
        }
    }

    /// Headers came; `None`: they did not.
    pub(super) fn below(
        &mut self,
        key: PeerKey,
        id: RequestId,
        asked: Vec<B256>,
        items: Option<Vec<Item>>,
        took: Duration,
    ) {
        if let Some(items) = items
            && let Some(peer) = self.peers.get_mut(&key)
        {
            if items.is_empty() {
                asked.iter().for_each(|hash| peer.note_lack(*hash));
            } else {
                peer.pace.served(asked.len(), items.len(), took);
            }
            let mut last = 0;
            for item in items {
                let hash = item.hash();
                let Some(place) = asked.iter().position(|wanted| *wanted == hash) else { continue };
                last = last.max(place);
                // What came too late, or twice, is not kept.
                if !matches!(self.way.slots.get(&hash), Some(Slot::Flying(by)) if *by == id) {
                    continue;
                }
                // What hashes to what links prove and is no header is for the sink to refuse.
                let (parent, number) = Top::read(item.header()).map_or((B256::ZERO, 0), |top| (top.parent, top.number));
                self.way.bytes += item.size();
                self.way.slots.insert(hash, Slot::Held(Fetched { item, parent, number, sender: key }));
            }
            let slots = &self.way.slots;
            let missing = |hash: &&B256| matches!(slots.get(*hash), Some(Slot::Flying(by)) if *by == id);
            asked[..last].iter().filter(missing).for_each(|hash| peer.note_lack(*hash));
        }
        self.way.unmark(&asked, id);
    }

    /// Gives the sink what is proved and here.
    fn feed_descent(&mut self, now: Now) {
        if self.job.is_some() || self.sink_rests_until > now.elapsed {
            return;
        }
        let most = self.way.proved.min(RUN_HEADERS);
        let run: Vec<Item> = (0..most).map_while(|place| self.way.held(place)).map(|held| held.item.clone()).collect();
        if !run.is_empty() {
            self.job = Some(Job::Descend(run.len() as u64));
            self.actions.push(Action::Descend(run));
        }
    }

    /// The sink is done with a stretch of the way.
    pub(super) fn descended(&mut self, result: Result<(), Refused>, now: Now) {
        let Some(Job::Descend(count)) = self.job.take_if(|job| matches!(job, Job::Descend(_))) else { return };
        match result {
            Ok(()) => {
                self.local_failures = 0;
                if let Some(episode) = &mut self.episode {
                    episode.count(count, 0);
                }
            }
            Err(refused) if refused.fault == crate::Fault::Local => self.fail(refused.to_string(), now),
            // Something else is wanted by now.
            Err(_) => self.way.align(B256::ZERO),
        }
    }
}
