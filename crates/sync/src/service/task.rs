//! The task: events and answers in, requests and sink calls out. It decides nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rushlight_chain::{Clock, RawBlock};
use rushlight_eth::{RequestError, Session, SessionEvent};
use rushlight_odr::{PeerSet, Penalty};
use rushlight_p2p::{DisconnectReason, PeerId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::{Command, PeerTransactions, SyncConfig, log};
use crate::machine::{
    Action, Answer, Ask, ClaimRule, Event, Failure, Machine, MachineConfig, Now, Offence, PeerKey, Report, RequestId,
    TICK, View, limits::SETTLE_EVERY,
};
use crate::{ChainSink, Fault, Item, Refused, SyncStatus, Want};

/// Ticks while there is nothing to do: a claim that rests is looked at again soon enough.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// How long a shutdown waits for the sink. What it is doing then is broken off by the end of the process, which the
/// store survives.
const SINK_GRACE: Duration = Duration::from_secs(3);
/// Session events taken in a row before answers get their turn, so that nobody's chatter holds up the sync.
const EVENT_BURST: usize = 64;
/// Repeated transactions in one message that are charged for: a hundred are already the whole score.
const MAX_REPEATS: usize = 128;

pub(super) struct Task {
    machine: Machine,
    sink: Arc<dyn ChainSink>,
    want: Want,
    peers: PeerSet,
    events: mpsc::Receiver<SessionEvent>,
    transactions: Option<mpsc::Sender<PeerTransactions>>,
    clock: Clock,
    began: Instant,
    sessions: HashMap<PeerKey, Session>,
    live: HashMap<PeerId, Live>,
    keys: u64,
    /// As many as the machine has on their way: a few a session.
    requests: FuturesUnordered<BoxFuture<'static, (RequestId, Result<Answer, Failure>)>>,
    job: Option<JoinHandle<Event>>,
    publish: watch::Sender<SyncStatus>,
    head: alloy_primitives::B256,
}

/// The session of one peer.
struct Live {
    key: PeerKey,
    /// Sessions before this one whose end has not been told yet.
    stale: usize,
}

enum Input {
    Session(Option<SessionEvent>),
    Answered(RequestId, Result<Answer, Failure>),
    Sink(Event),
    Command(Option<Command>),
    Tick,
}

impl Task {
    pub(super) fn new(config: SyncConfig, publish: watch::Sender<SyncStatus>) -> Self {
        let SyncConfig { sink, peers, events, transactions, clock, seed } = config;
        let want = sink.want();
        let machine =
            Machine::new(MachineConfig { want, rule: ClaimRule::of(&sink.spec()), seed, settle_every: SETTLE_EVERY });
        let head = sink.head().header.hash();
        Self {
            machine,
            sink,
            want,
            peers,
            events,
            transactions,
            clock,
            began: Instant::now(),
            sessions: HashMap::new(),
            live: HashMap::new(),
            keys: 0,
            requests: FuturesUnordered::new(),
            job: None,
            publish,
            head,
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut ticked = Instant::now();
        let mut handles = true;
        let mut burst = 0;
        self.publish_status();
        loop {
            let tick = if self.machine.is_active(&self.sink) { TICK } else { IDLE_TICK };
            let input = tokio::select! {
                biased;
                command = commands.recv(), if handles => Input::Command(command),
                event = self.events.recv(), if burst < EVENT_BURST => Input::Session(event),
                event = finished(&mut self.job) => Input::Sink(event),
                Some((id, answer)) = self.requests.next(), if !self.requests.is_empty() => Input::Answered(id, answer),
                () = sleep_until(ticked + tick) => Input::Tick,
                // Nothing else is ready: the burst is over.
                () = std::future::ready(()), if burst >= EVENT_BURST => { burst = 0; continue }
            };
            burst = if matches!(input, Input::Session(_)) { burst + 1 } else { 0 };
            match input {
                Input::Session(Some(event)) => self.session(event),
                Input::Answered(id, answer) => self.handle(Event::Answered { id, answer }),
                Input::Sink(event) => {
                    self.job = None;
                    self.handle(event);
                }
                Input::Tick => {
                    ticked = Instant::now();
                    self.handle(Event::Tick);
                }
                Input::Command(Some(Command::Announce(block, td))) => {
                    self.announce(&block, td);
                    self.handle(Event::Tick);
                }
                Input::Command(None) => handles = false,
                Input::Command(Some(Command::Stop)) | Input::Session(None) => break,
            }
        }
        if let Some(job) = self.job.take()
            && timeout(SINK_GRACE, job).await.is_err()
        {
            info!("what the sync was storing is broken off");
        }
        // Dropping the inbox tells those who wait for the end.
        drop(commands);
    }

    fn now(&self) -> Now {
        Now { elapsed: self.began.elapsed(), unix: (self.clock)() }
    }

    fn session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Joined(session) => self.joined(session),
            SessionEvent::Left { id, breach } => self.left(&id, breach),
            SessionEvent::NewBlock { session, block, td } => {
                let Some(live) = self.live.get(&session.id()) else { return };
                let item = match self.want {
                    Want::Headers => Item::Header(block.hash(), block.header),
                    Want::Blocks => Item::Block(block),
                };
                self.handle(Event::NewBlock { peer: live.key, item, td });
            }
            SessionEvent::Transactions { session, transactions, repeated } => {
                for _ in 0..repeated.min(MAX_REPEATS) {
                    self.peers.penalise(&session.id(), Penalty::RepeatedTransaction, "sent a transaction twice");
                }
                if let Some(pool) = self.transactions.as_ref().filter(|_| !transactions.is_empty()) {
                    // A pool that is behind misses some.
                    let _ = pool.try_send(PeerTransactions { peer: session.id(), transactions });
                }
            }
        }
    }

    fn joined(&mut self, session: Session) {
        let id = session.id();
        if !self.peers.insert(session.clone()) {
            return; // Banned; its end follows.
        }
        self.keys += 1;
        let key = PeerKey(self.keys);
        // The end of the session before may be told after the beginning of the next.
        let stale = match self.live.remove(&id) {
            Some(before) => {
                self.sessions.remove(&before.key);
                self.handle(Event::Left { peer: before.key });
                before.stale + 1
            }
            None => 0,
        };
        self.live.insert(id, Live { key, stale });
        let (td, best) = (session.status().td, session.status().best);
        debug!(peer = %id, %td, %best, "session began");
        self.sessions.insert(key, session);
        self.handle(Event::Joined { peer: key, td, best });
    }

    fn left(&mut self, id: &PeerId, breach: Option<String>) {
        if let Some(why) = breach {
            self.peers.penalise(id, Penalty::Breach, &why);
        }
        let Some(live) = self.live.get_mut(id) else { return };
        if live.stale > 0 {
            live.stale -= 1;
            return;
        }
        let key = live.key;
        self.peers.remove(id);
        self.live.remove(id);
        self.sessions.remove(&key);
        self.handle(Event::Left { peer: key });
    }

    /// Gives an event to the machine, and does what it says.
    fn handle(&mut self, event: Event) {
        let actions = self.machine.handle(event, self.now(), &self.sink);
        for action in actions {
            self.carry_out(action);
        }
        self.publish_status();
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Request { id, peer, ask, timeout } => {
                let session = self.sessions.get(&peer).cloned();
                let asking = async move {
                    match session {
                        Some(session) => (id, request(&session, ask, timeout).await),
                        None => (id, Err(Failure::Closed)),
                    }
                };
                self.requests.push(asking.boxed());
            }
            Action::Extend(items) => {
                let sink = self.sink.clone();
                let first = items.first().map(Item::hash).unwrap_or_default();
                self.start(first, Event::Extended, move || sink.extend(items));
            }
            Action::Settle(tip) => {
                let sink = self.sink.clone();
                self.start(tip, Event::Settled, move || sink.settle(&tip));
            }
            Action::Descend(items) => {
                let sink = self.sink.clone();
                let first = items.first().map(Item::hash).unwrap_or_default();
                self.start(first, Event::Descended, move || sink.descend(items));
            }
            Action::Penalise { peer, offence, why } => {
                if let Some(session) = self.sessions.get(&peer) {
                    self.peers.penalise(&session.id(), penalty(offence), &why);
                }
            }
            Action::LetGo { peer, why } => {
                if let Some(session) = self.sessions.get(&peer) {
                    info!(peer = %session.id(), why, "peer let go");
                    session.disconnect(DisconnectReason::PingTimeout);
                }
            }
            Action::Announce { block, td } => self.announce(&block, td),
            Action::Report(report) => {
                let peer = match &report {
                    Report::SetAside { peer, .. } => self.sessions.get(peer).map(Session::id),
                    _ => None,
                };
                log::write(&report, self.want, &self.sink.head(), peer);
                if let Report::Finished(_) = report {
                    let sink = self.sink.clone();
                    tokio::task::spawn_blocking(move || sink.ended());
                }
            }
        }
    }

    /// Has the sink do something off the async threads. The machine asks for one thing at a time.
    fn start<T: Send + 'static>(
        &mut self,
        hash: alloy_primitives::B256,
        event: fn(Result<T, Refused>) -> Event,
        work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
    ) {
        let blocking = tokio::task::spawn_blocking(work);
        self.job = Some(tokio::spawn(async move {
            event(blocking.await.unwrap_or_else(|panic| {
                Err(Refused { hash, number: 0, reason: panic.to_string(), fault: Fault::Local })
            }))
        }));
    }

    fn announce(&self, block: &RawBlock, td: alloy_primitives::U256) {
        for session in self.sessions.values() {
            session.announce_block(block, td);
        }
    }

    fn publish_status(&mut self) {
        let head = self.sink.head();
        if head.header.hash() != self.head {
            self.head = head.header.hash();
            debug!(number = head.header.number, hash = %self.head, td = %head.td, "new head");
        }
        let summary = self.machine.summary(self.now(), &self.sink);
        let status = SyncStatus {
            syncing: self.machine.progress(&self.sink),
            synced: self.machine.is_synced(&self.sink),
            rate: summary.as_ref().map_or(0.0, |summary| summary.rate),
            remaining: summary.and_then(|summary| summary.remaining),
            walking: self.machine.walking_back(),
            peers: self.sessions.len(),
            seals_checked: self.machine.seals_checked(),
            stopped: self.machine.stopped().cloned(),
        };
        self.publish.send_if_modified(|published| {
            let changed = *published != status;
            *published = status;
            changed
        });
    }
}

/// Waits for the sink; for ever while it has nothing to do.
async fn finished(job: &mut Option<JoinHandle<Event>>) -> Event {
    match job {
        Some(job) => match job.await {
            Ok(event) => event,
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

async fn request(session: &Session, ask: Ask, timeout: Duration) -> Result<Answer, Failure> {
    let answer = match ask {
        Ask::Hashes { from, max } => session.block_hashes(from, max, timeout).await.map(Answer::Hashes),
        Ask::Headers(hashes) => session
            .headers(hashes, timeout)
            .await
            .map(|headers| Answer::Items(headers.into_iter().map(|(hash, raw)| Item::Header(hash, raw)).collect())),
        Ask::Blocks(hashes) => session
            .blocks(hashes, timeout)
            .await
            .map(|blocks| Answer::Items(blocks.into_iter().map(Item::Block).collect())),
    };
    answer.map_err(|error| match error {
        RequestError::Timeout => Failure::Timeout,
        RequestError::Closed => Failure::Closed,
        _ => Failure::Busy,
    })
}

fn penalty(offence: Offence) -> Penalty {
    match offence {
        Offence::FalseClaim => Penalty::FalseClaim,
        Offence::BadHeader => Penalty::BadHeader,
        Offence::BadBlock => Penalty::BadBlock,
        Offence::BadTotalDifficulty => Penalty::BadTotalDifficulty,
        Offence::FloodedHashes => Penalty::FloodedHashes,
        Offence::Stalled => Penalty::Stalled,
    }
}
