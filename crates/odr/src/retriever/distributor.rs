//! The task that owns all questions under way: merges equal ones, puts small ones into one message, picks the peer, asks
//! elsewhere when an answer stays out, is empty or wrong, and tells each caller the end.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rushlight_eth::RequestError;
use rushlight_p2p::PeerId;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tracing::debug;

use super::{
    RetrieverConfig,
    item::{Attempt, Item, Reply, Waiter, asked},
};
use crate::{
    PeerSet, Penalty, Remote, VerifiedStore,
    peers::Kind,
    request::{self, Answer, Key, Question, Verdict},
    source::{Asked, Why},
};

/// Questions under way beyond which callers wait in the channel. An item takes some hundred bytes.
const MAX_ITEMS: usize = 16_384;
/// The shortest time that a peer is waited for before the next one is asked beside it.
const MIN_PATIENCE: Duration = Duration::from_millis(500);
/// Times its usual latency that a peer is waited for.
const LATENCIES: u32 = 4;
/// How long a peer is left alone that still owes answers, or whose session has ended.
const REST: Duration = Duration::from_millis(500);

/// A caller's questions. They come in one piece, so that they go out in as few messages as can be.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) questions: Vec<(Question, oneshot::Sender<Reply>)>,
    /// When the read began.
    pub(super) since: Instant,
    /// When it fails.
    pub(super) deadline: Instant,
}

/// A message that has come to its end.
struct Done {
    peer: PeerId,
    questions: Vec<Question>,
    took: Duration,
    result: Result<Vec<Verdict>, RequestError>,
}

pub(super) struct Distributor<R> {
    peers: PeerSet<R>,
    store: VerifiedStore,
    config: RetrieverConfig,
    items: HashMap<Key, Item>,
    /// Items to be sent as soon as a peer has room.
    queue: VecDeque<Key>,
    /// When an item is to be looked at again; may name items that have ended.
    timers: BinaryHeap<Reverse<(Instant, Key)>>,
    /// When peers that were left alone may be asked again.
    rested: Option<Instant>,
    /// The peers seen last: a new one can be asked what all others were asked in vain.
    seen: HashSet<PeerId>,
    messages: FuturesUnordered<BoxFuture<'static, Done>>,
}

impl<R: Remote> Distributor<R> {
    pub(super) fn new(peers: PeerSet<R>, store: VerifiedStore, config: RetrieverConfig) -> Self {
        Self {
            peers,
            store,
            config,
            items: HashMap::new(),
            queue: VecDeque::new(),
            timers: BinaryHeap::new(),
            rested: None,
            seen: HashSet::new(),
            messages: FuturesUnordered::new(),
        }
    }

    /// Runs until every handle on the retriever is gone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut changed = self.peers.changed();
        loop {
            self.look_for_new_peers();
            self.wake();
            self.send();
            let alarm = self.timers.peek().map(|Reverse((at, _))| *at).into_iter().chain(self.rested).min();
            tokio::select! {
                command = inbox.recv(), if self.items.len() < MAX_ITEMS => {
                    let Some(command) = command else { return };
                    self.accept(command);
                    // Whoever is about to ask in this turn of the scheduler shares the message.
                    tokio::task::yield_now().await;
                    while self.items.len() < MAX_ITEMS && let Ok(command) = inbox.try_recv() {
                        self.accept(command);
                    }
                }
                Some(done) = self.messages.next() => self.finish(done),
                // The sender lives in the peer set, which lives here.
                Ok(()) = changed.changed() => {}
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => {}
            }
        }
    }

    fn accept(&mut self, command: Command) {
        for (question, reply) in command.questions {
            self.accept_one(question, Waiter { reply, since: command.since, deadline: command.deadline });
        }
    }

    fn accept_one(&mut self, question: Question, waiter: Waiter) {
        let key = question.key();
        // Another caller's answer may have come since this one looked.
        if let Key::Preimage(hash) = key
            && !self.items.contains_key(&key)
            && let Some(bytes) = self.store.get(&hash)
        {
            let _ = waiter.reply.send(Ok(Answer::Preimage(bytes)));
            return;
        }
        self.timers.push(Reverse((waiter.deadline, key)));
        let item = self.items.entry(key).or_insert_with(|| Item::new(question));
        item.begin_anew();
        item.waiters.push(waiter);
        self.enqueue(key);
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(item) = self.items.get_mut(&key)
            && !item.queued
        {
            item.queued = true;
            self.queue.push_back(key);
        }
    }

    /// Someone new may hold what everyone else was asked in vain.
    fn look_for_new_peers(&mut self) {
        let now_here: HashSet<PeerId> = self.peers.ids().into_iter().collect();
        let new: Vec<_> = now_here.difference(&self.seen).collect();
        if !new.is_empty() {
            for item in self.items.values_mut() {
                new.iter().for_each(|id| item.welcome_back(id));
            }
            let keys: Vec<_> = self.items.iter().filter(|(_, item)| !item.patient()).map(|(key, _)| *key).collect();
            keys.into_iter().for_each(|key| self.enqueue(key));
        }
        self.seen = now_here;
    }

    /// Ends the reads whose time is up, and asks a second peer where the first keeps silent.
    fn wake(&mut self) {
        let now = Instant::now();
        self.rested = self.rested.filter(|at| *at > now);
        while let Some(Reverse((at, key))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            let Some(item) = self.items.get_mut(&key) else { continue };
            let (over, waiting) = std::mem::take(&mut item.waiters).into_iter().partition(|w| w.deadline <= now);
            item.waiters = waiting;
            if !Vec::is_empty(&over) {
                let unasked = unasked(&self.peers, item);
                let over: Vec<Waiter> = over;
                for waiter in over {
                    let error = item.unavailable(now - waiter.since, unasked.clone());
                    let _ = waiter.reply.send(Err(error));
                }
            }
            if item.abandoned() {
                self.items.remove(&key);
                continue;
            }
            let mut silent = false;
            for attempt in item.out.iter_mut().filter(|attempt| !attempt.late && attempt.patient_until <= now) {
                attempt.late = true;
                silent = true;
            }
            if silent && !item.patient() {
                self.enqueue(key);
            }
        }
    }

    /// Sends what is queued, as far as peers have room, in as few messages as can be.
    fn send(&mut self) {
        let mut kept = VecDeque::new();
        while let Some(key) = self.queue.pop_front() {
            let Some(item) = self.items.get_mut(&key) else { continue };
            if item.abandoned() {
                self.items.remove(&key);
                continue;
            }
            if item.patient() {
                item.queued = false;
                continue;
            }
            match self.peers.best_for(item.question.kind(), |id| item.may_ask(id)) {
                Some(remote) => self.send_to(remote, key),
                None if self.peers.ids().iter().any(|id| item.may_ask(id)) => {
                    kept.push_back(key);
                    if !self.peers.has_room() {
                        // Everybody is at work: the rest of the queue need not be looked at.
                        break;
                    }
                }
                None => {
                    item.queued = false;
                    // A whole block that nobody gives can still be put together, and that nobody knows a hash is an
                    // answer: the caller should not wait.
                    if item.question.fails_early() && item.asked_in_vain() {
                        self.fail(key);
                    }
                }
            }
        }
        kept.append(&mut self.queue);
        self.queue = kept;
    }

    /// Puts `first` and all that can go with it into one message.
    fn send_to(&mut self, remote: R, first: Key) {
        let (peer, client, now) = (remote.id(), remote.client(), Instant::now());
        let usual = self.peers.latency(&peer).map(|latency| latency * LATENCIES);
        let patience = usual.map_or(self.config.patience, |usual| usual.max(MIN_PATIENCE).min(self.config.patience));
        let here = self.peers.ids();

        let mut keys = vec![first];
        if let Some(lead) = self.items.get(&first).map(|item| item.question.clone()) {
            let room = lead.batch_limit() - 1;
            let fits = |key: &&Key| {
                self.items
                    .get(key)
                    .is_some_and(|item| lead.batches_with(&item.question) && item.may_ask(&peer) && !item.patient())
            };
            keys.extend(self.queue.iter().filter(fits).take(room));
        }
        let mut questions = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(item) = self.items.get_mut(&key) else { continue };
            item.queued = false;
            if item.abandoned() {
                self.items.remove(&key);
                continue;
            }
            // Every peer is to be asked once before the last caller's time is up.
            let left = item.waiters.iter().map(|waiter| waiter.deadline).max().unwrap_or(now) - now;
            let others = here.iter().filter(|id| item.may_ask(id)).count();
            let patient_until = now + patience.min(left / u32::try_from(others + 1).unwrap_or(u32::MAX));
            item.out.push(Attempt { peer, client: client.clone(), patient_until, late: false });
            self.timers.push(Reverse((patient_until, key)));
            questions.push(item.question.clone());
        }
        let sent: HashSet<Key> = questions.iter().map(Question::key).collect();
        self.queue.retain(|key| !sent.contains(key) && self.items.contains_key(key));
        if questions.is_empty() {
            return;
        }

        debug!(peer = %peer, questions = questions.len(), "asking");
        self.peers.began(&peer);
        let timeout = self.config.attempt;
        self.messages.push(Box::pin(async move {
            let result = request::ask(&remote, &questions, timeout).await;
            Done { peer, questions, took: now.elapsed(), result }
        }));
    }

    fn finish(&mut self, done: Done) {
        let Done { peer, questions, took, result } = done;
        let error = match result {
            Ok(verdicts) => {
                self.peers.ended(&peer, Some(took));
                self.answered(peer, &questions, verdicts);
                return;
            }
            Err(error) => error,
        };
        let why = match error {
            RequestError::Timeout => {
                self.peers.ended(&peer, Some(took));
                let first = questions.first().map(|question| question.wanted().to_string()).unwrap_or_default();
                let why = format!(
                    "no answer within {:.1} s to {} questions ({first}, …)",
                    took.as_secs_f64(),
                    questions.len()
                );
                self.peers.penalise(&peer, Penalty::LookupTimeout, &why);
                Some(Why::TimedOut)
            }
            // Its session may stand in the set for another moment.
            RequestError::Closed => {
                self.rest(&peer);
                Some(Why::Gone)
            }
            // It was not asked: it stays one that can be. (TooLarge cannot be: batches keep to the same limits.)
            RequestError::Busy | RequestError::TooLarge { .. } => {
                self.rest(&peer);
                None
            }
        };
        for question in &questions {
            self.ended(peer, question.key(), why.clone());
        }
    }

    /// A question ended without an answer from a peer that is to be left alone for a while.
    fn rest(&mut self, peer: &PeerId) {
        self.peers.ended(peer, None);
        self.peers.rest(peer, REST);
        let rested = Instant::now() + REST;
        self.rested = Some(self.rested.map_or(rested, |at| at.min(rested)));
    }

    fn answered(&mut self, peer: PeerId, questions: &[Question], verdicts: Vec<Verdict>) {
        let mut served: HashMap<Kind, (usize, usize)> = HashMap::new();
        let mut wrong = None;
        let proved: Vec<_> = questions
            .iter()
            .zip(&verdicts)
            .filter_map(|(question, verdict)| match (question, verdict) {
                (Question::Preimage(wanted), Verdict::Answered(Answer::Preimage(bytes))) => {
                    Some((wanted.hash, bytes.as_ref()))
                }
                _ => None,
            })
            .collect();
        if let Err(error) = self.store.insert_many(&proved) {
            // The session has checked this; should it ever not, nothing of the message counts.
            self.peers.penalise(&peer, Penalty::Breach, &error.to_string());
            for question in questions {
                self.ended(peer, question.key(), Some(Why::Wrong(error.to_string())));
            }
            return;
        }
        for (question, verdict) in questions.iter().zip(verdicts) {
            let (held, asked) = served.entry(question.kind()).or_default();
            *asked += 1;
            match verdict {
                Verdict::Answered(answer) => {
                    *held += 1;
                    self.succeed(question.key(), &answer);
                }
                Verdict::NotHeld => self.ended(peer, question.key(), Some(Why::NotHeld)),
                Verdict::Unanswered => {
                    *asked -= 1;
                    self.ended(peer, question.key(), None);
                }
                Verdict::Wrong(why) => {
                    self.ended(peer, question.key(), Some(Why::Wrong(why.clone())));
                    wrong.get_or_insert((question, why));
                }
            }
        }
        for (kind, (held, asked)) in served {
            self.peers.served(&peer, kind, held, asked);
        }
        if let Some((question, why)) = wrong {
            self.peers.penalise(&peer, question.penalty(), &format!("{}: {why}", question.wanted()));
        }
    }

    /// One attempt is over without an answer: the next peer's turn.
    fn ended(&mut self, peer: PeerId, key: Key, why: Option<Why>) {
        let Some(item) = self.items.get_mut(&key) else { return };
        item.ended(&peer, why);
        if !item.patient() {
            self.enqueue(key);
        }
    }

    fn succeed(&mut self, key: Key, answer: &Answer) {
        for waiter in self.items.remove(&key).into_iter().flat_map(|item| item.waiters) {
            let _ = waiter.reply.send(Ok(answer.clone()));
        }
    }

    fn fail(&mut self, key: Key) {
        let Some(item) = self.items.get_mut(&key) else { return };
        for waiter in std::mem::take(&mut item.waiters) {
            let error = item.unavailable(waiter.since.elapsed(), []);
            let _ = waiter.reply.send(Err(error));
        }
        self.items.remove(&key);
    }
}

/// Peers that could not be asked as they owed too many answers already.
fn unasked<R: Remote>(peers: &PeerSet<R>, item: &Item) -> Vec<Asked> {
    let sessions = peers.sessions().into_iter().filter(|remote| item.may_ask(&remote.id()));
    sessions.map(|remote| asked(&remote.id(), &remote.client(), Why::Busy)).collect()
}
