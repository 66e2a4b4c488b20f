//! A network of simulated sessions around one machine, with latency and loss, and what must hold at every step.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::time::Duration;

use alloy_primitives::B256;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::super::{limits::*, *};
use super::peers::{SPEC, TestPeer};
use super::sink::TestSink;
use crate::Want;

/// Wall clock of the simulation: late enough for every chain in it.
pub(super) const START: u64 = 1_600_000_000;

pub(super) struct Sim {
    pub(super) machine: Machine,
    pub(super) sink: TestSink,
    pub(super) peers: Vec<TestPeer>,
    /// Sessions in being, and whose they are.
    sessions: BTreeMap<PeerKey, usize>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    waiting: BTreeMap<u64, Happening>,
    counter: u64,
    now: Duration,
    rng: StdRng,
    pub(super) latency: (u64, u64),
    /// Share of answers that never come.
    pub(super) loss: f64,
    /// Milliseconds that the sink takes.
    pub(super) sink_time: u64,
    busy: bool,
    /// Items that were answered, counted.
    pub(super) fetched: u64,
    pub(super) hashes: u64,
    pub(super) penalties: Vec<(usize, Offence, String)>,
    pub(super) let_go: Vec<usize>,
    pub(super) reports: Vec<Report>,
    pub(super) most_open: usize,
    /// Whether peers that are let go, or that were lost, come back.
    pub(super) rejoin: bool,
}

#[derive(Debug)]
enum Happening {
    Event(Event),
    Join(usize),
    Sink(Job),
}

#[derive(Debug)]
enum Job {
    Extend(Vec<Item>),
    Settle(B256),
}

impl Sim {
    pub(super) fn new(peers: Vec<TestPeer>, seed: u64) -> Self {
        Self::with(peers, seed, SETTLE_EVERY)
    }

    pub(super) fn with(peers: Vec<TestPeer>, seed: u64, settle_every: u64) -> Self {
        let config = MachineConfig { want: Want::Headers, rule: ClaimRule::of(&SPEC), seed, settle_every };
        let mut sim = Self {
            machine: Machine::new(config),
            sink: TestSink::new(&SPEC.genesis),
            peers,
            sessions: BTreeMap::new(),
            queue: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            counter: 0,
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            latency: (20, 80),
            loss: 0.0,
            sink_time: 5,
            busy: false,
            fetched: 0,
            hashes: 0,
            penalties: Vec::new(),
            let_go: Vec::new(),
            reports: Vec::new(),
            most_open: 0,
            rejoin: false,
        };
        for peer in 0..sim.peers.len() {
            sim.at(Duration::from_millis(peer as u64 * 10), Happening::Join(peer));
        }
        sim
    }

    fn at(&mut self, time: Duration, what: Happening) {
        self.counter += 1;
        self.queue.push(Reverse((time, self.counter)));
        self.waiting.insert(self.counter, what);
    }

    fn after(&mut self, what: Happening) {
        let delay = self.rng.random_range(self.latency.0..=self.latency.1);
        self.at(self.now + Duration::from_millis(delay), what);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now
    }

    pub(super) fn clock(&self) -> Now {
        Now { elapsed: self.now, unix: START + self.now.as_secs() }
    }

    /// The session of a peer.
    pub(super) fn session(&self, peer: usize) -> Option<PeerKey> {
        self.sessions.iter().find(|(_, of)| **of == peer).map(|(key, _)| *key)
    }

    pub(super) fn join(&mut self, peer: TestPeer) -> usize {
        self.peers.push(peer);
        let index = self.peers.len() - 1;
        self.at(self.now, Happening::Join(index));
        index
    }

    /// Runs until `done`, for at most `limit` of simulated time; false if that was not enough.
    pub(super) fn run(&mut self, limit: Duration, done: impl Fn(&Sim) -> bool) -> bool {
        let end = self.now + limit;
        let mut ticked = self.now;
        while !done(self) {
            let next = self.queue.peek().map(|Reverse((time, _))| *time);
            let tick = ticked + TICK;
            if self.now >= end {
                return false;
            }
            match next.filter(|time| *time <= tick) {
                Some(time) => {
                    self.now = self.now.max(time);
                    let Some(Reverse((_, id))) = self.queue.pop() else { continue };
                    let Some(what) = self.waiting.remove(&id) else { continue };
                    self.happen(what);
                }
                None => {
                    self.now = tick;
                    ticked = tick;
                    self.event(Event::Tick);
                }
            }
        }
        true
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Event(event) => self.event(event),
            Happening::Join(index) => {
                self.counter += 1;
                let key = PeerKey(self.counter);
                self.sessions.insert(key, index);
                let (td, best) = self.peers[index].status();
                self.event(Event::Joined { peer: key, td, best });
            }
            Happening::Sink(job) => {
                self.busy = false;
                let event = match job {
                    Job::Extend(items) => Event::Extended(self.sink.extend(&items)),
                    Job::Settle(tip) => Event::Settled(self.sink.settle(&tip)),
                };
                self.event(event);
            }
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        let actions = self.machine.handle(event, self.clock(), &self.sink);
        for action in actions {
            self.carry_out(action);
        }
        self.check();
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Request { id, peer, ask, timeout } => {
                assert!(timeout <= CHECK_TIMEOUT.max(MAX_TIMEOUT));
                match &ask {
                    Ask::Hashes { max, .. } => assert!((1..=SEGMENT).contains(max)),
                    Ask::Headers(hashes) => assert!((1..=MAX_HEADERS).contains(&hashes.len())),
                    Ask::Blocks(hashes) => assert!((1..=MAX_BLOCKS).contains(&hashes.len())),
                }
                let index = *self.sessions.get(&peer).expect("only sessions in being are asked");
                let lost = self.rng.random_bool(self.loss);
                let answer = self.peers[index].answer(&ask, &mut self.rng).filter(|_| !lost);
                match answer {
                    Some(answer) => {
                        match &answer {
                            Ok(Answer::Items(items)) => self.fetched += items.len() as u64,
                            Ok(Answer::Hashes(hashes)) => self.hashes += hashes.len() as u64,
                            Err(_) => self.leave(peer),
                        }
                        self.after(Happening::Event(Event::Answered { id, answer }));
                    }
                    None => {
                        let event = Event::Answered { id, answer: Err(Failure::Timeout) };
                        self.at(self.now + timeout, Happening::Event(event));
                    }
                }
            }
            Action::Extend(items) => self.start(Job::Extend(items)),
            Action::Settle(tip) => self.start(Job::Settle(tip)),
            Action::Penalise { peer, offence, why } => {
                let index = self.sessions[&peer];
                self.penalties.push((index, offence, why));
                // As the set of peers does: two false claims, or a bad header, and it is gone.
                let weight: u32 = (self.penalties.iter().filter(|(of, ..)| *of == index))
                    .map(|(_, offence, _)| match offence {
                        Offence::BadHeader | Offence::BadBlock => 101,
                        Offence::FalseClaim | Offence::FloodedHashes => 51,
                        Offence::BadTotalDifficulty => 25,
                        Offence::Stalled => 15,
                    })
                    .sum();
                if weight > 100 {
                    self.leave(peer);
                }
            }
            Action::LetGo { peer, .. } => {
                let index = self.sessions[&peer];
                self.let_go.push(index);
                self.leave(peer);
                if self.rejoin {
                    self.at(self.now + Duration::from_secs(5), Happening::Join(index));
                }
            }
            Action::Descend(_) => panic!("no head is trusted"),
            Action::Announce { .. } => panic!("a light node announces nothing"),
            Action::Report(report) => self.reports.push(report),
        }
    }

    fn leave(&mut self, peer: PeerKey) {
        self.after(Happening::Event(Event::Left { peer }));
    }

    fn start(&mut self, job: Job) {
        assert!(!std::mem::replace(&mut self.busy, true), "the sink does one thing at a time");
        self.at(self.now + Duration::from_millis(self.sink_time), Happening::Sink(job));
    }

    /// What must hold at any time.
    fn check(&mut self) {
        let machine = &self.machine;
        let mut flying = HashSet::new();
        let mut of_peer: BTreeMap<PeerKey, [usize; 3]> = BTreeMap::new();
        for request in machine.requests.values() {
            let counts = of_peer.entry(request.peer).or_default();
            match &request.purpose {
                Purpose::Items(Batch { asked: hashes, .. }) => {
                    counts[0] += 1;
                    // The pool has changed its mind only where a hash left it and came back.
                    hashes.iter().for_each(|hash| {
                        flying.insert(*hash);
                    });
                }
                Purpose::Hashes { .. } => counts[1] += 1,
                Purpose::Check(_) | Purpose::Probe { .. } => counts[2] += 1,
                Purpose::Hints { .. } | Purpose::Below(_) => panic!("no head is trusted"),
            }
        }
        for (key, [items, hashes, checks]) in of_peer {
            assert!(items <= REQUESTS_PER_PEER && hashes <= 2 && checks <= 2, "{items} {hashes} {checks}");
            assert_eq!(machine.peers[&key].flying, items);
        }
        assert!(machine.open_walks() <= MAX_OPEN_WALKS);
        self.most_open = self.most_open.max(machine.open_walks());
        let linked = machine.paths.values().filter(|path| path.is_linked()).count();
        assert!(linked <= MAX_LINKED);
        assert!(machine.pool.len() <= MAX_LINKED * (WINDOW + SEGMENT as usize), "{}", machine.pool.len());
        assert!(machine.paths.len() <= machine.peers.len());
        for path in machine.paths.values() {
            assert!(path.anchors.len() as u64 <= path.best().number / SEGMENT + 2);
            let leads = machine.peers.get(&path.leader).map(|peer| peer.phase);
            assert!(matches!(leads, Some(Phase::Leading(id)) if machine.paths[&id].best() == path.best()), "{leads:?}");
        }
        for peer in machine.peers.values() {
            if let Phase::Backing { path, .. } = peer.phase {
                assert!(machine.paths.contains_key(&path));
            }
        }
        if let Some(left) = self.sessions.keys().find(|key| !machine.peers.contains_key(key)).copied() {
            self.sessions.remove(&left);
        }
    }
}
