//! One session: the handle that the floors above hold. Its state belongs to its task.
//!
//! ```text
//! handshake  the exchange of Status
//! task       one session from Status to its end: router, server and writer side by side
//! router     reads the peer; owns the queues of open requests (`queue`)
//! request    questions, and what counts as an answer to one: pure
//! inbound    what one incoming message says: pure
//! known      what the peer is known to have
//! breach     what a peer did wrong; `end`: what follows from it; `leaving`: that the floors above hear of it
//! ```

mod breach;
mod end;
mod handshake;
mod inbound;
mod known;
mod leaving;
mod queue;
mod request;
mod router;
mod task;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{B256, Bytes, U256};
use rushlight_chain::block::RawBlock;
use rushlight_p2p::{DisconnectReason, Peer, PeerId};
use tokio::sync::{Notify, mpsc, oneshot};

pub use request::RequestError;

use crate::{
    serve::{MOST_ITEM_BYTES, block_bytes},
    v28::{Message28, NewBlock, SOFT_RESPONSE_BYTES, Status, Transactions, transaction_hash},
};
use known::Known;
use queue::Open;
use request::{Answer, KINDS, Question};

pub(crate) use task::{run, serving_turns};

/// A session with one peer, past Status. Cheap to clone; every clone speaks of the same session.
///
/// Requests of one type are answered in their order. Dropping a request's future gives up the answer, but the request
/// keeps its place on the wire, as one that timed out does.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    /// One queue for each type of request, so that one type does not hold up another.
    commands: [mpsc::Sender<Open>; KINDS],
    /// Messages that nobody waits for.
    gossip: mpsc::Sender<Message28>,
}

/// What handles and task share.
struct Shared {
    peer: Peer,
    status: Status,
    /// A lock and not the task's own, because "is this new to the peer" is answered at once, to callers that are not
    /// async. Held for a few look-ups, never across an await.
    known: Mutex<Known>,
    /// The best block that the peer claims: hash and total difficulty. Only NewBlock changes it.
    claim: Mutex<(B256, U256)>,
    accept_transactions: Arc<AtomicBool>,
    /// The floors above have ended the session.
    let_go: AtomicBool,
    /// Wakes the task when somebody gave up waiting, so that places are counted anew.
    abandoned: Notify,
}

impl Session {
    /// The connection below.
    pub fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    /// The peer's identity.
    pub fn id(&self) -> PeerId {
        self.shared.peer.id()
    }

    /// What the peer said in its Status. A claim, not a fact.
    pub fn status(&self) -> &Status {
        &self.shared.status
    }

    /// The hash and the total difficulty of the best block that the peer has claimed, in Status or NewBlock since.
    pub fn claimed_head(&self) -> (B256, U256) {
        *lock(&self.shared.claim)
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.gossip.is_closed()
    }

    /// Asks for the hashes of `from`'s ancestors, parent first. The request and so the answer is capped at
    /// [`MAX_HASHES`](crate::v28::MAX_HASHES); it is empty where the peer does not know `from`.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; likewise for the other requests.
    pub async fn block_hashes(&self, from: B256, max: u64, timeout: Duration) -> Result<Vec<B256>, RequestError> {
        match self.ask(Question::Hashes { from, max }, timeout).await? {
            Answer::Hashes(hashes) => Ok(hashes),
            _ => Err(RequestError::Closed),
        }
    }

    /// Asks for headers, at most [`MAX_HEADERS`](crate::v28::MAX_HEADERS). The answer holds only what was asked for, each
    /// once, with its hash; what the peer does not hold is missing.
    pub async fn headers(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<(B256, Bytes)>, RequestError> {
        match self.ask(Question::Headers(hashes), timeout).await? {
            Answer::Headers(headers) => Ok(headers),
            _ => Err(RequestError::Closed),
        }
    }

    /// Asks for blocks, at most [`MAX_BLOCKS`](crate::v28::MAX_BLOCKS). The answer holds only blocks whose header was asked
    /// for, each once; their bodies are *not* verified against it.
    pub async fn blocks(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<RawBlock>, RequestError> {
        match self.ask(Question::Blocks(hashes), timeout).await? {
            Answer::Blocks(blocks) => Ok(blocks),
            _ => Err(RequestError::Closed),
        }
    }

    /// Asks for the values whose Keccak-256 the hashes are, at most [`MAX_LOOKUPS`](crate::v28::MAX_LOOKUPS). Each value
    /// stands at its question's position and is verified; `None` means not held there. The answer may be shorter than
    /// the question: the rest is to be asked again. The empty string and the empty trie's root are answered without asking.
    pub async fn lookup(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<Option<Bytes>>, RequestError> {
        match self.ask(Question::Lookup(hashes), timeout).await? {
            Answer::Lookup(values) => Ok(values),
            _ => Err(RequestError::Closed),
        }
    }

    /// Sends those of the transactions (EIP-2718 bytes; blob transactions with sidecar) that the peer is not known to
    /// have, and says how many that are. They count as known from then on. Nothing is sent while the node takes no part
    /// in transactions; what does not fit the queue to a slow peer is not sent and stays unknown.
    pub fn send_transactions(&self, transactions: &[Bytes]) -> usize {
        if !self.shared.accept_transactions.load(Ordering::Relaxed) {
            return 0;
        }
        // Hashed before the lock is taken: a blob transaction takes a while.
        let hashed = transactions.iter().filter_map(|raw| match transaction_hash(raw) {
            Ok(hash) => Some((hash, raw)),
            Err(error) => {
                tracing::warn!(%error, "a transaction of our own is not sent");
                None
            }
        });
        let hashed: Vec<_> = hashed.collect();
        let mut known = lock(&self.shared.known);
        let mut batches = Vec::new();
        let mut room = 0;
        let mut chosen = HashSet::new();
        for (hash, raw) in hashed {
            if known.has_transaction(&hash) || !chosen.insert(hash) {
                continue;
            }
            if batches.is_empty() || raw.len() > room {
                batches.push((Vec::new(), Vec::new()));
                room = SOFT_RESPONSE_BYTES;
            }
            if let Some((hashes, batch)) = batches.last_mut() {
                hashes.push(hash);
                batch.push(raw.clone());
                room = room.saturating_sub(raw.len());
            }
        }
        let mut sent = 0;
        for (hashes, batch) in batches {
            if self.gossip.try_send(Message28::Transactions(Transactions(batch))).is_err() {
                break;
            }
            sent += hashes.len();
            hashes.into_iter().for_each(|hash| known.sent_transaction(hash));
        }
        sent
    }

    /// Sends NewBlock unless the peer is known to have the block, and says whether it did. The block counts as known
    /// from then on. Nothing is sent where the queue to a slow peer is full.
    pub fn announce_block(&self, block: &RawBlock, td: U256) -> bool {
        let hash = block.hash();
        let mut known = lock(&self.shared.known);
        // A peer treats a message over the limit as a breach: better that it asks for this block.
        if known.has_block(&hash) || block_bytes(block) > MOST_ITEM_BYTES {
            return false;
        }
        let sends = self.gossip.try_send(Message28::NewBlock(NewBlock { block: block.clone(), td })).is_ok();
        if sends {
            known.add_block(hash);
        }
        sends
    }

    /// Whether the peer is known to have the block.
    pub fn knows_block(&self, hash: &B256) -> bool {
        lock(&self.shared.known).has_block(hash)
    }

    /// Whether the peer is known to have the transaction.
    pub fn knows_transaction(&self, hash: &B256) -> bool {
        lock(&self.shared.known).has_transaction(hash)
    }

    /// The peer has the block, as something other than this session tells.
    pub fn mark_block_known(&self, hash: B256) {
        lock(&self.shared.known).add_block(hash);
    }

    /// Ends the session, at once and without waiting.
    pub fn disconnect(&self, reason: DisconnectReason) {
        self.shared.let_go.store(true, Ordering::Relaxed);
        self.shared.peer.disconnect(reason);
    }

    /// Whether both handles are of one session.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Sends a question to the task and waits for its answer. All waiting, for a place too, counts into `timeout`.
    async fn ask(&self, question: Question, timeout: Duration) -> Result<Answer, RequestError> {
        let question = question.within_limits()?;
        if let Some(answer) = question.answered_here() {
            return Ok(answer);
        }
        // Declared before the receiver, so that the task looks after the receiver is gone.
        let _wakes = WakesOnDrop(&self.shared.abandoned);
        let (reply, answer) = oneshot::channel();
        let commands = &self.commands[question.kind() as usize];
        let asking = async {
            commands.send(Open { question, reply }).await.map_err(|_| RequestError::Closed)?;
            answer.await.unwrap_or(Err(RequestError::Closed))
        };
        tokio::time::timeout(timeout, asking).await.unwrap_or(Err(RequestError::Timeout))
    }
}

impl Shared {
    /// Takes note of a block that the peer has, and of its claim where that is the higher one.
    fn claims(&self, hash: B256, td: U256) {
        lock(&self.known).add_block(hash);
        let mut claim = lock(&self.claim);
        if td > claim.1 {
            *claim = (hash, td);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.id())
    }
}

/// Tells the task that a request's future is gone, answered or not.
struct WakesOnDrop<'a>(&'a Notify);

impl Drop for WakesOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// What these locks guard is whole after every statement, so a panic elsewhere does not spoil it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
