//! The task: events in, what the machine says out. It decides nothing.

use std::sync::Arc;

use alloy_primitives::{Address, B256, keccak256};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rushlight_chain::{
    Batch, HeaderChain, Store,
    pool::{PoolTransaction, SubmitError},
};
use rushlight_odr::PeerSet;
use rushlight_sync::{PeerTransactions, SyncStatus};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, error, info, warn};

use super::{
    Shared,
    limits::TICK,
    machine::{Account, Action, Event, Point, Report, View},
    submit::account,
};
use crate::LightClient;

/// What a handle asks of the task.
pub(super) enum Command {
    /// Take a transaction, over its sender's account.
    Admit(Arc<PoolTransaction>, Account, oneshot::Sender<Result<B256, SubmitError>>),
    Stop,
}

/// The header chain as the machine looks at it.
pub(super) struct ChainView<'a>(pub(super) &'a HeaderChain);

impl View for ChainView<'_> {
    fn head(&self) -> Point {
        let head = self.0.head().header;
        Point { number: head.number, hash: head.hash() }
    }

    fn canonical(&self, number: u64) -> Option<B256> {
        self.0.canonical_hash(number)
    }
}

pub(super) struct Task {
    client: Arc<LightClient>,
    machine: Shared,
    store: Arc<dyn Store>,
    peers: PeerSet,
    /// Blocks and accounts on their way: as many as the machine asks for at the same time.
    questions: FuturesUnordered<BoxFuture<'static, Event>>,
}

impl Task {
    pub(super) fn new(client: Arc<LightClient>, machine: Shared, store: Arc<dyn Store>, peers: PeerSet) -> Self {
        Self { client, machine, store, peers, questions: FuturesUnordered::new() }
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut heard: mpsc::Receiver<PeerTransactions>,
        mut status: watch::Receiver<SyncStatus>,
    ) {
        let mut chain = self.client.chain().subscribe();
        let mut sessions = self.peers.changed();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut synced = status.borrow_and_update().synced;
        // What the chain came to while nobody looked.
        self.handle(Event::Head).await;
        self.handle(Event::Synced(synced)).await;
        loop {
            let event = tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Admit(tx, account, reply)) => {
                        // Whoever submitted may have given up; the transaction is taken all the same.
                        let _ = reply.send(self.admit(tx, account).await);
                        continue;
                    }
                    Some(Command::Stop) | None => break,
                },
                news = chain.recv() => match news {
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => Event::Head,
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                changed = status.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let now = status.borrow_and_update().synced;
                    if std::mem::replace(&mut synced, now) == now {
                        continue;
                    }
                    Event::Synced(now)
                }
                Some(PeerTransactions { peer, transactions }) = heard.recv() => {
                    Event::Heard(peer, transactions.into_iter().map(|(hash, _)| hash).collect())
                }
                Ok(()) = sessions.changed() => Event::Peers,
                Some(event) = self.questions.next(), if !self.questions.is_empty() => event,
                _ = tick.tick() => Event::Tick,
            };
            self.handle(event).await;
        }
    }

    /// Nothing else changes the machine between its judgement and the insertion: this task is the only one that does.
    async fn admit(&mut self, tx: Arc<PoolTransaction>, account: Account) -> Result<B256, SubmitError> {
        let batch = {
            let machine = self.machine.lock();
            machine.judge(&tx, &account)?;
            machine.record(&tx, &account)
        };
        write(self.store.clone(), batch).await?;
        let hash = tx.hash();
        self.handle(Event::Admitted(tx, account)).await;
        Ok(hash)
    }

    async fn handle(&mut self, event: Event) {
        let actions = self.machine.lock().handle(event, &ChainView(self.client.chain()));
        for action in actions {
            match action {
                Action::Relay(transactions) => self.relay(&transactions),
                Action::Search(point) => self.questions.push(Box::pin(search(self.client.clone(), point))),
                Action::Read(sender) => self.questions.push(Box::pin(read(self.client.clone(), sender))),
                Action::Write(batch) => {
                    // What is not written is found out again after a restart.
                    if let Err(error) = write(self.store.clone(), batch).await {
                        error!(%error, "The transaction pool could not be written");
                    }
                }
                Action::Report(report) => log(report),
            }
        }
    }

    /// Offers transactions to every session; each takes what its peer is not known to have.
    fn relay(&self, transactions: &[Arc<PoolTransaction>]) {
        let mut sent: Vec<u64> = vec![0; transactions.len()];
        for session in self.peers.sessions() {
            let unknown: Vec<_> =
                (0..).zip(transactions).filter(|(_, tx)| !session.knows_transaction(&tx.hash())).collect();
            let raw: Vec<_> = unknown.iter().map(|(_, tx)| tx.raw().clone()).collect();
            if raw.is_empty() || session.send_transactions(&raw) == 0 {
                continue;
            }
            for (index, tx) in unknown {
                sent[index] += u64::from(session.knows_transaction(&tx.hash()));
            }
        }
        let mut machine = self.machine.lock();
        for (tx, sessions) in transactions.iter().zip(sent).filter(|(_, sessions)| *sessions > 0) {
            debug!(hash = %tx.hash(), sessions, "transaction sent");
            machine.sent(&tx.hash(), sessions);
        }
    }
}

async fn write(store: Arc<dyn Store>, batch: Batch) -> Result<(), SubmitError> {
    match tokio::task::spawn_blocking(move || store.write(batch)).await {
        Ok(written) => Ok(written?),
        Err(error) => Err(SubmitError::Unproven { message: error.to_string(), data: None }),
    }
}

/// The hashes of a block's transactions, out of its proved body.
async fn search(client: Arc<LightClient>, point: Point) -> Event {
    let Some(header) = client.chain().header(&point.hash) else { return Event::NotSearched(point) };
    let body = match client.source().body(&header).await {
        Ok(body) => body,
        Err(error) => {
            debug!(block = point.number, %error, "a block cannot be searched for transactions");
            return Event::NotSearched(point);
        }
    };
    let hashes = move || body.transactions.iter().map(keccak256).collect();
    match tokio::task::spawn_blocking(hashes).await {
        Ok(hashes) => Event::Searched(point, hashes),
        Err(_) => Event::NotSearched(point),
    }
}

async fn read(client: Arc<LightClient>, sender: Address) -> Event {
    let head = client.head().header;
    match account(&client, &head, sender).await {
        Ok(account) => Event::Read(sender, account),
        Err(error) => {
            debug!(%sender, %error, "an account cannot be read for its transactions");
            Event::NotRead(sender)
        }
    }
}

fn log(report: Report) {
    match report {
        Report::Included(hash, place) => {
            info!(%hash, block = place.number, index = place.index, "Transaction included");
        }
        Report::PutBack(hash, place) => {
            warn!(%hash, block = place.number, "Transaction waits again: its block has left the chain");
        }
        Report::Settled(hash, place) => debug!(%hash, block = place.number, "transaction is deep enough"),
        Report::Superseded(hash, nonce) => {
            warn!(%hash, nonce, "Transaction is not relayed any more: another one has used its nonce");
        }
        Report::Dropped(hash, nonce) => info!(%hash, nonce, "Transaction dropped: its nonce stays used"),
    }
}
