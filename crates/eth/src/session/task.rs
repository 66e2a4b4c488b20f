//! The task of one session. Three loops run side by side in it, joined by channels, so that none waits for another:
//!
//! ```text
//!   peer ──► router ──► whoever asked, events      router: reads, owns the queues of open requests
//!              │  └───► server ─┐                  server: answers the peer, one request at a time
//!   handle ────┴──► writer ◄────┴──► peer          writer: sends; a peer that takes nothing is let go
//! ```

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use rushlight_p2p::{DisconnectReason, MessageSender, Peer, ProtocolError, ProtocolStream};
use tokio::sync::{Notify, Semaphore, mpsc};

use super::{
    Session, Shared,
    end::{End, SEND_TIMEOUT, broke_below, result},
    handshake::{self, HandshakeError, STATUS_TIMEOUT},
    known::Known,
    leaving::Leaving,
    queue::{MAX_OPEN, Queues},
    request::KINDS,
    router::Router,
};
use crate::{
    SessionEvent,
    protocol::Inner,
    serve::{self, Asked},
    v28::{Message28, Status},
};

/// A peer's requests that wait to be served. A peer like this node never has more under way, so two of them that ask each
/// other for all they may still read each other's answers. Of the greatest size they take 1.6 MB.
const SERVE_QUEUE: usize = KINDS * MAX_OPEN;
/// Transactions and NewBlock that wait to go out: a peer that is slower than this misses some. At 2 MiB at most a message
/// of transactions it bounds what a slow peer costs.
const GOSSIP_QUEUE: usize = 8;
/// Speaks with one peer from Status to the end.
pub(crate) async fn run(inner: Arc<Inner>, peer: Peer, mut stream: ProtocolStream) -> Result<(), ProtocolError> {
    let ours = off_thread({
        let inner = Arc::clone(&inner);
        move || inner.status()
    });
    let Some(ours) = ours.await else { return result(&peer, End::Internal) };
    let theirs = match handshake::exchange(&mut stream, &ours).await {
        Ok(theirs) => theirs,
        Err(error) => return refused(&inner, &peer, error).await,
    };
    let (end, mut leaving) = session(&inner, &peer, stream, theirs).await;
    leaving.event = Some(SessionEvent::Left { id: peer.id(), breach: end.breach() });
    // First the peer and the log, then those who may be slow to listen.
    let ended = result(&peer, end);
    leaving.tell().await;
    ended
}

/// A peer that does not get as far as a session.
async fn refused(inner: &Inner, peer: &Peer, error: HandshakeError) -> Result<(), ProtocolError> {
    match error {
        HandshakeError::Closed if broke_below(peer) => {
            let left = SessionEvent::Left { id: peer.id(), breach: End::BreachBelow.breach() };
            Leaving::new(inner, left).tell().await;
            result(peer, End::BreachBelow)
        }
        HandshakeError::Closed => Ok(()),
        HandshakeError::Silent => {
            let message = format!("no Status within {} s", STATUS_TIMEOUT.as_secs());
            tracing::info!(peer = %peer.id(), address = %peer.remote_addr(), "peer let go: {message}");
            Err(ProtocolError { reason: DisconnectReason::PingTimeout, message })
        }
        HandshakeError::Mismatch(mismatch) => {
            tracing::warn!(
                peer = %peer.id(), address = %peer.remote_addr(), client = peer.client(), %mismatch,
                "peer is of another chain"
            );
            Err(ProtocolError { reason: DisconnectReason::SubprotocolError, message: mismatch.to_string() })
        }
        HandshakeError::Breach(breach) => {
            let left = SessionEvent::Left { id: peer.id(), breach: Some(breach.to_string()) };
            let ended = result(peer, End::Breach(breach));
            Leaving::new(inner, left).tell().await;
            ended
        }
    }
}

/// Runs the session proper.
async fn session(inner: &Arc<Inner>, peer: &Peer, stream: ProtocolStream, status: Status) -> (End, Leaving) {
    let (gossip, gossip_queue) = mpsc::channel(GOSSIP_QUEUE);
    let channels: [_; KINDS] = std::array::from_fn(|_| mpsc::channel(1));
    let mut senders = Vec::with_capacity(KINDS);
    let commands = channels.map(|(sender, receiver)| {
        senders.push(sender);
        receiver
    });
    let mut known = Known::new();
    known.add_block(status.best);
    let session = Session {
        shared: Arc::new(Shared {
            peer: peer.clone(),
            claim: Mutex::new((status.best, status.td)),
            status,
            known: Mutex::new(known),
            accept_transactions: Arc::clone(&inner.config.accept_transactions),
            let_go: AtomicBool::new(false),
            abandoned: Notify::new(),
        }),
        commands: std::array::from_fn(|kind| senders[kind].clone()),
        gossip,
    };
    let leaving = Leaving::new(inner, SessionEvent::Left { id: peer.id(), breach: None });
    let _member = inner.join(&session);

    // Each open request is one message, so requests always find room.
    let (requests, request_queue) = mpsc::channel(KINDS * MAX_OPEN);
    // One answer goes out while the next is read.
    let (answers, answer_queue) = mpsc::channel(1);
    let (serve, serve_queue) = mpsc::channel(SERVE_QUEUE);
    let shared = Arc::clone(&session.shared);
    let writer = write(stream.sender(), request_queue, answer_queue, gossip_queue);
    let server = answer(Arc::clone(inner), session.clone(), serve_queue, answers);
    let router = Router {
        events: inner.config.events.clone(),
        pending_event: Some(SessionEvent::Joined(session.clone())),
        session,
        stream,
        commands,
        queues: Queues::default(),
        requests,
        serve,
        pending_asked: None,
    };
    let end = tokio::select! {
        end = router.route() => end,
        end = server => end,
        end = writer => end,
    };
    // Where the floors above ended it for a breach, they know.
    let end = match end {
        End::Closed if broke_below(peer) && !shared.let_go.load(Ordering::Relaxed) => End::BreachBelow,
        end => end,
    };
    (end, leaving)
}

/// Answers the peer's requests, one at a time: so its own reading of answers is what limits how fast it is served.
async fn answer(
    inner: Arc<Inner>,
    session: Session,
    mut queue: mpsc::Receiver<Asked>,
    answers: mpsc::Sender<Message28>,
) -> End {
    while let Some(asked) = queue.recv().await {
        // Fair and first come, first served: a session waits behind each other one at most once.
        let Ok(turn) = inner.serving.acquire().await else { return End::Closed };
        let access = Arc::clone(&inner.config.access);
        let Some(answer) = off_thread(move || serve::answer(&*access, &asked)).await else { return End::Internal };
        if let Message28::Blocks(blocks) = &answer {
            blocks.0.iter().for_each(|block| session.mark_block_known(block.hash()));
        }
        drop(turn);
        if answers.send(answer).await.is_err() {
            return End::Closed;
        }
    }
    End::Closed
}

/// Sends what the others have to say: questions first, as somebody waits for each; news last.
async fn write(
    sender: MessageSender,
    mut requests: mpsc::Receiver<Message28>,
    mut answers: mpsc::Receiver<Message28>,
    mut gossip: mpsc::Receiver<Message28>,
) -> End {
    loop {
        let message = tokio::select! {
            biased;
            Some(message) = requests.recv() => message,
            Some(message) = answers.recv() => message,
            Some(message) = gossip.recv() => message,
            else => return End::Closed,
        };
        let (id, payload) = message.encode();
        match tokio::time::timeout(SEND_TIMEOUT, sender.send(id, payload)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Closed,
            Err(_) => return End::Stalled,
        }
    }
}

/// Runs what blocks, or takes long, on a thread for that. `None` where it panicked, which is logged.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => Some(value),
        Err(error) => {
            if error.is_panic() {
                tracing::error!(%error, "a session's work off the async threads failed");
            }
            None
        }
    }
}

/// Requests of all sessions together that are read from disk at the same time: more threads would only queue there.
pub(crate) const SERVING_AT_ONCE: usize = 8;

/// Whose turn it is to read.
pub(crate) fn serving_turns() -> Semaphore {
    Semaphore::new(SERVING_AT_ONCE)
}
