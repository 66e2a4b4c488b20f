//! The light node's transaction pool: the node's own transactions, from their submission until they are deep in the chain.
//!
//! ```text
//! submit   one transaction on its way in: decoded, checked, its blobs too, its sender's account proved
//! judge    … and whether the pool takes it over that account
//! machine  every decision without I/O: what is relayed, which blocks are searched, what a reorganisation gives back
//! disk     what survives the process
//! task     the thin task that drives the machine
//! limits   what is held at the most, and why
//! ```
//!
//! A transaction is on disk before its submission is answered. It is relayed to every session by the session's own rules,
//! once the node has synced, and until a peer tells of it. New blocks are downloaded while anything waits, and those that
//! were missed meanwhile, until a canonical one is found that holds it.

mod disk;
mod judge;
pub mod limits;
mod machine;
mod submit;
mod task;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, B256, Bytes};
use rushlight_chain::{
    Store, StoreError,
    pool::{BoxFuture, Content, PoolLimits, PoolTransaction, SubmitError, Tracked, TransactionPool},
};
use rushlight_odr::PeerSet;
use rushlight_sync::{PeerTransactions, SyncStatus};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::LightClient;
use machine::Machine;
use task::{ChainView, Command};

/// Submissions that wait for the task; callers wait beyond this.
const COMMANDS: usize = 64;
/// Messages of transactions from peers that wait for the task. What finds no room is heard another time, or not needed.
pub(crate) const HEARD: usize = 64;

/// A handle on the pool, which ends with [`shutdown`](Self::shutdown), or when the last handle is dropped.
pub struct LightPool {
    client: Arc<LightClient>,
    machine: Shared,
    commands: mpsc::Sender<Command>,
    limits: PoolLimits,
    /// One at a time: checking blobs, and making the proofs of their cells, takes a whole core for a while.
    blobs: Semaphore,
}

/// The machine, which the task alone changes and JSON-RPC reads.
#[derive(Clone)]
struct Shared(Arc<Mutex<Machine>>);

impl Shared {
    /// Never held across an await. The machine's maps may be half changed where a panic broke off an event; what is read
    /// then is stale, and nothing acknowledged is lost on disk.
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the pool lives among.
pub(crate) struct PoolParts {
    pub(crate) client: Arc<LightClient>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) peers: PeerSet,
    pub(crate) heard: mpsc::Receiver<PeerTransactions>,
    pub(crate) status: watch::Receiver<SyncStatus>,
    pub(crate) limits: PoolLimits,
}

impl LightPool {
    /// Takes up the pool as `parts.store` has it, and spawns its task on the current tokio runtime.
    pub(crate) async fn open(parts: PoolParts) -> Result<Self, StoreError> {
        let PoolParts { client, store, peers, heard, status, limits } = parts;
        // Every sender is recovered anew.
        let loading = store.clone();
        let loaded = tokio::task::spawn_blocking(move || disk::load(&*loading)).await;
        let interrupted = |error: tokio::task::JoinError| StoreError::Io {
            action: "reading the transaction pool",
            error: error.to_string(),
        };
        let stored = loaded.map_err(interrupted)??;
        let waiting = stored.transactions.len();
        if waiting > 0 {
            tracing::info!(transactions = waiting, "Transactions of an earlier run are taken up");
        }
        let machine = Shared(Arc::new(Mutex::new(Machine::new(stored, &ChainView(client.chain())))));
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let task = task::Task::new(client.clone(), machine.clone(), store, peers);
        tokio::spawn(task.run(inbox, heard, status));
        Ok(Self { client, machine, commands, limits, blobs: Semaphore::new(1) })
    }

    /// Ends the task, and waits for what it is writing.
    pub async fn shutdown(&self) {
        let _ = self.commands.send(Command::Stop).await;
        self.commands.closed().await;
    }
}

impl std::fmt::Debug for LightPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LightPool").field("transactions", &self.machine.lock().entries.len()).finish_non_exhaustive()
    }
}

impl TransactionPool for LightPool {
    fn submit(&self, raw: Bytes) -> BoxFuture<'_, Result<B256, SubmitError>> {
        Box::pin(self.take(raw))
    }

    fn get(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        self.machine.lock().get(hash)
    }

    fn tracked(&self, hash: &B256) -> Option<Tracked> {
        self.machine.lock().tracked(hash)
    }

    fn content(&self) -> Content {
        self.machine.lock().content()
    }

    fn next_nonce(&self, sender: &Address) -> Option<u64> {
        self.machine.lock().next_nonce(sender)
    }
}
