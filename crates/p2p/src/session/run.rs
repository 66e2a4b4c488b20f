//! A running session: one task reads, writes, pings and watches its protocols.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tracing::{debug, error, warn};

use super::{
    error::SessionError,
    link::{GOODBYE_TIMEOUT, Link, LinkReader, LinkWriter, PING_INTERVAL},
    steps::Ready,
};
use crate::{
    protocol::{
        Incoming, Message, MessageSender, Outgoing, Peer, ProtocolError, ProtocolStream, QUEUE_BYTES, QUEUE_MESSAGES,
        cost,
    },
    wire::{self, Capability, DisconnectReason, EMPTY_LIST, MAX_BASE_MESSAGE_SIZE},
};

/// How long a protocol may go on after its session has ended, before it is dropped.
pub const PROTOCOL_GRACE: Duration = Duration::from_secs(2);

/// Pongs that may wait to be written. A peer that sends more Pings than it reads Pongs is read from no longer.
const QUEUED_PONGS: usize = 16;

/// After a failed write, how long to look for the Disconnect that may explain it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a session ended.
#[derive(Debug)]
pub struct Ended {
    /// What the peer was told, or told us.
    pub reason: DisconnectReason,
    /// Whether the peer ended it.
    pub by_peer: bool,
    /// The whole story.
    pub error: SessionError,
}

/// A shared capability of a running session.
struct Lane {
    offset: u64,
    length: u64,
    incoming: mpsc::Sender<Incoming>,
}

type ProtocolTasks = JoinSet<(Capability, Result<(), ProtocolError>)>;

/// Runs a session to its end, which has been said to the peer when this returns.
pub(crate) async fn run(ready: Ready, peer: Peer) -> Ended {
    let mut link = ready.link;
    let (outgoing, mut queue) = mpsc::channel(QUEUE_MESSAGES);
    let send_budget = Arc::new(Semaphore::new(QUEUE_BYTES));
    let mut lanes = Vec::new();
    let mut tasks = ProtocolTasks::new();
    for (shared, protocol) in ready.shared.iter().zip(&peer.state().protocols) {
        let (incoming, receiver) = mpsc::channel(QUEUE_MESSAGES);
        lanes.push(Lane { offset: shared.offset, length: shared.length, incoming });
        let sender = MessageSender {
            outgoing: outgoing.clone(),
            budget: send_budget.clone(),
            protocol: protocol.name(),
            offset: shared.offset,
            length: shared.length,
            peer: peer.clone(),
        };
        let capability = Capability { name: protocol.name().to_owned(), version: protocol.version().into() };
        let running = protocol.run(peer.clone(), ProtocolStream { incoming: receiver, sender });
        tasks.spawn(async move { (capability, running.await) });
    }
    // The protocols hold the senders from here on.
    drop(outgoing);

    let mut disconnect = peer.state().disconnect.subscribe();
    let error = {
        let (pong, mut pongs) = mpsc::channel(QUEUED_PONGS);
        let reading = read(&mut link.reader, lanes, pong);
        let writing = write(&mut link.writer, &mut queue, &mut pongs);
        tokio::pin!(reading, writing);
        let error = tokio::select! {
            biased;
            reason = requested(&mut disconnect) => SessionError::Local(reason),
            error = &mut reading => error,
            error = &mut writing => match error {
                SessionError::Io(_) => timeout(LAST_WORDS, reading.as_mut()).await.unwrap_or(error),
                error => error,
            },
            error = finished(&mut tasks, &peer) => error,
        };
        // While the protocols' streams still stand: one that ends then tells a breach from a peer that hung up.
        if !error.by_peer() {
            peer.disconnect(error.reason());
        }
        error
    };
    let ours = !matches!(error, SessionError::Local(_) | SessionError::Protocol { .. }) && !error.by_peer();
    if ours && error.reason() == DisconnectReason::BreachOfProtocol {
        warn!(peer = %peer.id(), addr = %peer.remote_addr(), client = peer.client(), %error, "breach of protocol");
    }
    // Wakes the senders that wait for room; the receivers have ended with the lanes.
    send_budget.close();
    tokio::join!(part(link, queue, &error), async {
        if timeout(PROTOCOL_GRACE, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            error!(peer = %peer.id(), "a protocol did not end with its session and is dropped");
            tasks.shutdown().await;
        }
    });
    debug!(peer = %peer.id(), addr = %peer.remote_addr(), %error, "session ended");
    Ended { reason: error.reason(), by_peer: error.by_peer(), error }
}

/// The reason that somebody gave to [`Peer::disconnect`].
async fn requested(disconnect: &mut watch::Receiver<Option<DisconnectReason>>) -> DisconnectReason {
    match disconnect.wait_for(Option::is_some).await {
        Ok(reason) => reason.unwrap_or(DisconnectReason::Requested),
        Err(_) => DisconnectReason::Requested,
    }
}

/// The end of the first protocol that ends.
async fn finished(tasks: &mut ProtocolTasks, peer: &Peer) -> SessionError {
    match tasks.join_next().await {
        Some(Ok((protocol, Ok(())))) => {
            let message = "the protocol has ended the session".to_owned();
            SessionError::Protocol { protocol, reason: DisconnectReason::Requested, message }
        }
        Some(Ok((protocol, Err(ProtocolError { reason, message })))) => {
            SessionError::Protocol { protocol, reason, message }
        }
        Some(Err(panicked)) => {
            error!(peer = %peer.id(), %panicked, "a protocol's task failed");
            SessionError::Local(DisconnectReason::SubprotocolError)
        }
        // Not reached: a session has at least one protocol, and ends with the first.
        None => std::future::pending().await,
    }
}

/// Reads until the session ends. While a protocol's queue is full nothing more is read from its peer.
async fn read(reader: &mut LinkReader, lanes: Vec<Lane>, pong: mpsc::Sender<()>) -> SessionError {
    let budget = Arc::new(Semaphore::new(QUEUE_BYTES));
    loop {
        if let Err(error) = read_one(reader, &lanes, &budget, &pong).await {
            return error;
        }
    }
}

async fn read_one(
    reader: &mut LinkReader,
    lanes: &[Lane],
    budget: &Arc<Semaphore>,
    pong: &mpsc::Sender<()>,
) -> Result<(), SessionError> {
    let (id, payload) = reader.read().await?;
    if id < wire::BASE_LENGTH {
        return base_message(id, &payload, pong).await;
    }
    let Some(lane) = lanes.iter().find(|lane| (lane.offset..lane.offset + lane.length).contains(&id)) else {
        let end = lanes.iter().map(|lane| lane.offset + lane.length).max().unwrap_or(wire::BASE_LENGTH);
        return Err(SessionError::UnknownId { got: id, end });
    };
    // Fails only once the session ends, and then nobody waits for the message.
    if let Ok(permit) = budget.clone().acquire_many_owned(cost(&payload)).await {
        let message = Message { id: id - lane.offset, payload };
        let _ = lane.incoming.send(Incoming { message, _permit: permit }).await;
    }
    Ok(())
}

async fn base_message(id: u64, payload: &Bytes, pong: &mpsc::Sender<()>) -> Result<(), SessionError> {
    if payload.len() > MAX_BASE_MESSAGE_SIZE {
        return Err(SessionError::BaseMessageTooLarge { id, got: payload.len() });
    }
    match id {
        wire::id::HELLO => Err(SessionError::SecondHello),
        wire::id::DISCONNECT => {
            let reason = DisconnectReason::decode(payload).unwrap_or(DisconnectReason::Requested);
            Err(SessionError::Disconnected(reason))
        }
        wire::id::PING => {
            let _ = pong.send(()).await;
            Ok(())
        }
        // That a frame came is all that Pong says. The other ids are for later versions.
        _ => Ok(()),
    }
}

/// Writes until the session ends.
async fn write(
    writer: &mut LinkWriter,
    queue: &mut mpsc::Receiver<Outgoing>,
    pongs: &mut mpsc::Receiver<()>,
) -> SessionError {
    let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let written = tokio::select! {
            biased;
            Some(()) = pongs.recv() => writer.write(wire::id::PONG, EMPTY_LIST).await,
            _ = ping.tick() => writer.write(wire::id::PING, EMPTY_LIST).await,
            Some(message) = queue.recv() => writer.write(message.id, &message.payload).await,
        };
        if let Err(error) = written {
            return error;
        }
    }
}

/// Ends the connection: unless the peer has done so already, or does not listen, with what is still queued (an answer, a
/// Status that tells why) and Disconnect.
async fn part(mut link: Link, mut queue: mpsc::Receiver<Outgoing>, error: &SessionError) {
    queue.close();
    if error.by_peer() {
        return;
    }
    let flush_queue = matches!(error, SessionError::Local(_) | SessionError::Protocol { .. });
    let _ = timeout(GOODBYE_TIMEOUT, async {
        link.writer.flush().await?;
        while flush_queue && let Ok(message) = queue.try_recv() {
            link.writer.write(message.id, &message.payload).await?;
        }
        link.writer.write(wire::id::DISCONNECT, &error.reason().encode()).await?;
        link.hang_up().await;
        Ok::<_, SessionError>(())
    })
    .await;
}
