use std::{future::poll_fn, sync::atomic::Ordering, task::Poll};

use alloy_primitives::{B256, Bytes};
use rushlight_p2p::{Message, ProtocolStream};
use tokio::sync::mpsc;

use super::{
    Session,
    breach::{Breach, Why},
    end::End,
    inbound::{self, Inbound},
    known::Known,
    lock,
    queue::{Open, Queues},
    request::{Answer, KINDS, Kind, RequestError},
    task::off_thread,
};
use crate::{
    SessionEvent,
    serve::Asked,
    v28::{Message28, message_name},
};

/// Messages up to this size are decoded and checked where they arrive, which takes a fraction of a millisecond; larger
/// ones off the async threads.
const INLINE_BYTES: usize = 64 * 1024;
/// Reads the peer, and routes.
pub(super) struct Router {
    pub(super) session: Session,
    pub(super) stream: ProtocolStream,
    pub(super) commands: [mpsc::Receiver<Open>; KINDS],
    pub(super) queues: Queues,
    pub(super) requests: mpsc::Sender<Message28>,
    pub(super) events: mpsc::Sender<SessionEvent>,
    pub(super) serve: mpsc::Sender<Asked>,
    /// While an event or a request finds no room, nothing more is read: the peer is held up, and nobody else.
    pub(super) pending_event: Option<SessionEvent>,
    pub(super) pending_asked: Option<Asked>,
}

impl Router {
    /// Reads and routes until the session ends.
    pub(super) async fn route(mut self) -> End {
        // Room is reserved through clones, so that `self` is free where it is filled.
        let (events, serve) = (self.events.clone(), self.serve.clone());
        loop {
            let reads = self.pending_event.is_none() && self.pending_asked.is_none();
            let ready = self.queues.ready();
            tokio::select! {
                room = events.reserve(), if self.pending_event.is_some() => {
                    // Where nobody listens any more the event is dropped.
                    if let (Some(event), Ok(room)) = (self.pending_event.take(), room) {
                        room.send(event);
                    }
                }
                room = serve.reserve(), if self.pending_asked.is_some() => match (self.pending_asked.take(), room) {
                    (Some(asked), Ok(room)) => room.send(asked),
                    _ => return End::Closed,
                },
                message = self.stream.recv(), if reads => match message {
                    None => return End::Closed,
                    Some(message) => if let Err(end) = self.receive(message).await {
                        return end;
                    },
                },
                open = next_command(&mut self.commands, ready) => self.ask(open),
                () = self.session.shared.abandoned.notified() => {}
            }
        }
    }

    /// Sends a request that somebody still waits for, or refuses it.
    fn ask(&mut self, open: Open) {
        if open.reply.is_closed() {
            return;
        }
        match self.requests.try_reserve() {
            Ok(room) if !self.queues.is_busy(open.question.kind()) => {
                room.send(open.question.message());
                self.queues.push(open);
            }
            // A receiver that is gone meanwhile wants no answer.
            _ => drop(open.reply.send(Err(RequestError::Busy))),
        }
    }

    /// Checks a message and acts on it.
    async fn receive(&mut self, Message { id, payload }: Message) -> Result<(), End> {
        let mut open = None;
        if let Some(kind) = Kind::answered_by(id) {
            // Looked at before the answer is decoded: what nobody asked for costs no work.
            open = Some(self.queues.oldest(kind).ok_or_else(|| Breach::new(id, Why::NothingOpen))?);
        }
        let (question, reply) = open.map(|open| (open.question, open.reply)).unzip();
        let inbound = if payload.len() <= INLINE_BYTES {
            inbound::read(id, &payload, question.as_ref())?
        } else {
            let read = off_thread(move || inbound::read(id, &payload, question.as_ref()));
            read.await.ok_or(End::Internal)??
        };
        let shared = &self.session.shared;
        match inbound {
            Inbound::Asked(asked) => match self.serve.try_send(asked) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(asked)) => self.pending_asked = Some(asked),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(End::Closed),
            },
            Inbound::Answer(answer) => {
                if let Answer::Blocks(blocks) = &answer {
                    let mut known = lock(&shared.known);
                    blocks.iter().for_each(|block| known.add_block(block.hash()));
                }
                if reply.is_some_and(|reply| reply.send(Ok(answer)).is_err()) {
                    tracing::debug!(peer = %self.session.id(), message = message_name(id), "answer comes too late");
                }
            }
            Inbound::NewBlock { hash, block, td } => {
                shared.claims(hash, td);
                self.tell(SessionEvent::NewBlock { session: self.session.clone(), block, td });
            }
            Inbound::Transactions(received) => {
                let (mut transactions, repeated) = note_transactions(&mut lock(&shared.known), received);
                if !shared.accept_transactions.load(Ordering::Relaxed) {
                    transactions.clear();
                }
                if !transactions.is_empty() || repeated > 0 {
                    self.tell(SessionEvent::Transactions { session: self.session.clone(), transactions, repeated });
                }
            }
        }
        Ok(())
    }

    /// Sends an event, now or as soon as there is room.
    fn tell(&mut self, event: SessionEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.pending_event = Some(event);
        }
    }
}

/// Remembers what the peer sent: what it had not sent before, and how many it had.
fn note_transactions(known: &mut Known, received: Vec<(B256, Bytes)>) -> (Vec<(B256, Bytes)>, usize) {
    let count = received.len();
    let mut new = received;
    new.retain(|(hash, _)| !known.received_transaction(*hash));
    let repeated = count - new.len();
    (new, repeated)
}

/// The next request of any type that has a place. Never ends: the session itself holds a sender of each.
async fn next_command(commands: &mut [mpsc::Receiver<Open>; KINDS], ready: [bool; KINDS]) -> Open {
    poll_fn(|context| {
        for (commands, _) in commands.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            if let Poll::Ready(Some(open)) = commands.poll_recv(context) {
                return Poll::Ready(open);
            }
        }
        Poll::Pending
    })
    .await
}
