//! The light node's [`Source`]: reads what is held, and has peers asked for the rest.

mod bodies;
mod distributor;
mod item;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY};
use alloy_trie::EMPTY_ROOT_HASH;
use bodies::Bodies;
use distributor::{Command, Distributor};
use futures::future::{BoxFuture, join_all};
use item::Reply;
use rushlight_chain::{SealedHeader, block::Body};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::warn;

use crate::{
    Location, PeerSet, Remote, Source, Unavailable, VerifiedStore, Wanted, What, Why,
    body::{self, BodyLookupError},
    request::{Answer, Question},
    trie::WalkError,
};

/// Questions that wait for the distributor to take them; callers wait beyond this.
const COMMANDS: usize = 1024;

/// What look-ups for the parts of a body have at the least, when asking for it whole took nearly all of the time.
const LEAST_WAIT: Duration = Duration::from_secs(2);

/// How long things may take. The defaults are for a wallet that waits.
#[derive(Clone, Debug)]
pub struct RetrieverConfig {
    /// How long a read waits, for peers and for their answers, before it fails. Default 10 s.
    pub wait: Duration,
    /// How long one peer may take to answer before it loses score for it. Default 5 s.
    pub attempt: Duration,
    /// The longest time that a peer is waited for before the next one is asked beside it; less where the peer is known
    /// to be quick or many are left to ask. Default 2 s.
    pub patience: Duration,
    /// Memory for whole bodies, in bytes of their RLP. Default 16 MiB.
    pub bodies: usize,
}

impl Default for RetrieverConfig {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(10),
            attempt: Duration::from_secs(5),
            patience: Duration::from_secs(2),
            bodies: 16 << 20,
        }
    }
}

/// A cheap handle on the distributor, which ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Retriever {
    commands: mpsc::Sender<Command>,
    store: VerifiedStore,
    bodies: Arc<Bodies>,
    wait: Duration,
}

impl Retriever {
    /// Spawns the distributor on the current tokio runtime.
    pub fn new<R: Remote>(peers: PeerSet<R>, store: VerifiedStore, config: RetrieverConfig) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let bodies = Arc::new(Bodies::new(config.bodies));
        let wait = config.wait;
        tokio::spawn(Distributor::new(peers, store.clone(), config).run(inbox));
        Self { commands, store, bodies, wait }
    }

    /// The bytes held so far.
    pub fn store(&self) -> &VerifiedStore {
        &self.store
    }

    /// A body that was asked for lately, without asking anyone.
    pub fn held_body(&self, block: &B256) -> Option<Body> {
        self.bodies.get(block)
    }

    /// Asks for all of `questions` and waits for each for up to `wait`; the replies stand by position.
    async fn ask(&self, questions: Vec<Question>, wait: Duration) -> Vec<Reply> {
        let since = Instant::now();
        let wanted: Vec<_> = questions.iter().map(Question::wanted).collect();
        let (questions, answers): (Vec<_>, Vec<_>) = questions
            .into_iter()
            .map(|question| {
                let (reply, answer) = oneshot::channel();
                ((question, reply), answer)
            })
            .unzip();
        // If this fails the distributor has ended, as the runtime does; then the answers fail too.
        let _ = self.commands.send(Command { questions, since, deadline: since + wait }).await;
        let gone = |one| Err(Unavailable { missing: vec![one], asked: Vec::new(), waited: since.elapsed() });
        join_all(answers)
            .await
            .into_iter()
            .zip(wanted)
            .map(|(reply, one)| reply.unwrap_or_else(|_| gone(one)))
            .collect()
    }

    async fn ask_one(&self, question: Question) -> Reply {
        let wanted = question.wanted();
        let nothing = Unavailable { missing: vec![wanted], asked: Vec::new(), waited: Duration::ZERO };
        self.ask(vec![question], self.wait).await.pop().unwrap_or(Err(nothing))
    }

    async fn fetch_preimages(&self, wanted: Vec<Wanted>, wait: Duration) -> Result<Vec<Bytes>, Unavailable> {
        let since = Instant::now();
        let mut found: HashMap<B256, Bytes> = HashMap::with_capacity(wanted.len());
        let (mut missing, mut seen) = (Vec::new(), HashSet::new());
        let hashes: Vec<_> = wanted.iter().map(|one| one.hash).collect();
        for (one, held) in wanted.iter().zip(self.store.get_many(&hashes)) {
            match trivial(&one.hash).or(held) {
                Some(bytes) => _ = found.insert(one.hash, bytes),
                None if seen.insert(one.hash) => missing.push(one.clone()),
                None => {}
            }
        }
        let hashes: Vec<B256> = missing.iter().map(|one: &Wanted| one.hash).collect();
        let replies = match missing.is_empty() {
            true => Vec::new(),
            false => self.ask(missing.into_iter().map(Question::Preimage).collect(), wait).await,
        };
        let mut failure: Option<Unavailable> = None;
        for (hash, reply) in hashes.into_iter().zip(replies) {
            match reply {
                Ok(Answer::Preimage(bytes)) => _ = found.insert(hash, bytes),
                Ok(_) => {}
                Err(unavailable) => match &mut failure {
                    Some(failure) => merge(failure, unavailable),
                    None => failure = Some(unavailable),
                },
            }
        }
        if let Some(mut failure) = failure {
            failure.waited = since.elapsed();
            return Err(failure);
        }
        let answer: Option<Vec<_>> = wanted.iter().map(|one| found.get(&one.hash).cloned()).collect();
        answer.ok_or(Unavailable { missing: wanted, asked: Vec::new(), waited: since.elapsed() })
    }

    async fn fetch_body(&self, header: SealedHeader) -> Result<Body, Unavailable> {
        if let Some(body) = body::known_empty(&header).or_else(|| self.bodies.get(&header.hash())) {
            return Ok(body);
        }
        let since = Instant::now();
        let body = match self.ask_one(Question::Block(Arc::new(header.clone()))).await {
            Ok(Answer::Block(body)) => body,
            Ok(_) => return Err(self.no_body(&header, since, None)),
            // Nobody was there to be asked: look-ups would wait for just as long.
            Err(nobody) if nobody.asked.is_empty() => return Err(nobody),
            Err(whole) => match body::by_lookups(&self.rest_of_a_read(since), &header).await {
                Ok(body) => body,
                Err(BodyLookupError::Walk(WalkError::Unavailable(parts))) => {
                    let mut failure = whole;
                    failure.waited = since.elapsed();
                    failure.missing.extend(parts.missing);
                    return Err(failure);
                }
                Err(error) => return Err(self.no_body(&header, since, Some((whole, error)))),
            },
        };
        self.bodies.insert(header.hash(), &body);
        Ok(body)
    }

    async fn fetch_ancestors(&self, header: SealedHeader, count: u64) -> Result<Vec<SealedHeader>, Unavailable> {
        let question = Question::Ancestors(Arc::new(header), count);
        let missing = vec![question.wanted()];
        match self.ask_one(question).await? {
            Answer::Ancestors(headers) => Ok(Arc::unwrap_or_clone(headers)),
            _ => Err(Unavailable { missing, asked: Vec::new(), waited: Duration::ZERO }),
        }
    }

    async fn fetch_header(&self, hash: B256) -> Result<Option<SealedHeader>, Unavailable> {
        match self.ask_one(Question::Header(hash)).await {
            Ok(Answer::Header(header)) => Ok(Some(*header)),
            Ok(_) => Ok(None),
            // Who has answered does not know it. Whether the others do, nobody can tell.
            Err(nobody) if nobody.asked.iter().any(|asked| asked.why == Why::NotHeld) => Ok(None),
            Err(nobody) => Err(nobody),
        }
    }

    /// For the second half of a read that began at `since`: whole and in parts together, it waits for no longer.
    fn rest_of_a_read(&self, since: Instant) -> RestOfRead {
        RestOfRead { retriever: self.clone(), wait: self.wait.saturating_sub(since.elapsed()).max(LEAST_WAIT) }
    }

    fn no_body(
        &self,
        header: &SealedHeader,
        since: Instant,
        cause: Option<(Unavailable, BodyLookupError)>,
    ) -> Unavailable {
        let mut asked = Vec::new();
        if let Some((whole, error)) = cause {
            warn!(block = header.number, hash = %header.hash(), %error, "a body cannot be put together");
            asked = whole.asked;
        }
        let missing = vec![Wanted::new(header.hash(), What::Body { number: header.number })];
        Unavailable { missing, asked, waited: since.elapsed() }
    }
}

impl Source for Retriever {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        Box::pin(self.fetch_preimages(wanted, self.wait))
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        Box::pin(self.fetch_body(header.clone()))
    }

    fn ancestors(&self, header: &SealedHeader, count: u64) -> BoxFuture<'_, Result<Vec<SealedHeader>, Unavailable>> {
        Box::pin(self.fetch_ancestors(header.clone(), count))
    }

    fn header(&self, hash: B256) -> BoxFuture<'_, Result<Option<SealedHeader>, Unavailable>> {
        Box::pin(self.fetch_header(hash))
    }

    fn locate(&self, transaction: &B256) -> Vec<Location> {
        self.bodies.locate(transaction)
    }
}

/// A [`Retriever`] that waits for less. Each read below has the time to itself, so that a large body may take as many
/// turns as it needs.
struct RestOfRead {
    retriever: Retriever,
    wait: Duration,
}

impl Source for RestOfRead {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        Box::pin(self.retriever.fetch_preimages(wanted, self.wait))
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        self.retriever.body(header)
    }
}

/// What everyone knows and nobody is asked for: the empty string, the empty trie and the empty list of uncles.
fn trivial(hash: &B256) -> Option<Bytes> {
    match *hash {
        KECCAK256_EMPTY => Some(Bytes::new()),
        EMPTY_ROOT_HASH => Some(Bytes::from_static(&[0x80])),
        EMPTY_OMMER_ROOT_HASH => Some(Bytes::from_static(&[0xc0])),
        _ => None,
    }
}

/// Adds what else is missing; a peer stands in the list once.
fn merge(failure: &mut Unavailable, other: Unavailable) {
    failure.missing.extend(other.missing);
    for asked in other.asked {
        if failure.asked.iter().all(|known| known.peer != asked.peer) {
            failure.asked.push(asked);
        }
    }
}
