//! The thin task that drives the machine, and the handle on it.

mod log;
mod task;

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256};
use rushlight_chain::{Clock, RawBlock};
use rushlight_eth::SessionEvent;
use rushlight_odr::PeerSet;
use rushlight_p2p::PeerId;
use tokio::sync::{mpsc, watch};

use crate::{ChainSink, SyncStatus};

/// Blocks of our own that wait to be announced: a sealer makes one in seconds, so a few are many.
const MAX_COMMANDS: usize = 16;

/// What synchronisation needs.
pub struct SyncConfig {
    /// What grows.
    pub sink: Arc<dyn ChainSink>,
    /// The set of sessions, kept up by the service.
    pub peers: PeerSet,
    /// What the sessions tell. Nobody else reads it.
    pub events: mpsc::Receiver<SessionEvent>,
    /// Where transactions that peers send go, if anybody wants them. What finds no room is dropped: peers send more, and
    /// ours are sent again.
    pub transactions: Option<mpsc::Sender<PeerTransactions>>,
    /// The wall clock, against which claims' timestamps are checked.
    pub clock: Clock,
    /// Seed of the choices that chance makes.
    pub seed: u64,
}

/// Transactions that a peer had not sent before in its session: well formed, and nothing else of them checked.
#[derive(Debug, Clone)]
pub struct PeerTransactions {
    /// Who sent them.
    pub peer: PeerId,
    /// Hash, and bytes in their network form.
    pub transactions: Vec<(B256, Bytes)>,
}

/// Starts synchronisation.
#[derive(Debug)]
pub struct SyncService;

/// What a handle asks of the task.
#[derive(Debug)]
enum Command {
    Announce(RawBlock, U256),
    Stop,
}

impl SyncService {
    /// Starts the task on the current runtime. It ends with [`SyncHandle::shutdown`], or when no more events can come.
    pub fn spawn(config: SyncConfig) -> SyncHandle {
        let (commands, inbox) = mpsc::channel(MAX_COMMANDS);
        let (publish, status) = watch::channel(SyncStatus::default());
        let task = task::Task::new(config, publish);
        tokio::spawn(task.run(inbox));
        SyncHandle { status, commands }
    }
}

/// A cheap handle on the running task.
#[derive(Clone, Debug)]
pub struct SyncHandle {
    status: watch::Receiver<SyncStatus>,
    commands: mpsc::Sender<Command>,
}

impl SyncHandle {
    /// The state now.
    pub fn status(&self) -> SyncStatus {
        self.status.borrow().clone()
    }

    /// The state, to be watched.
    pub fn watch(&self) -> watch::Receiver<SyncStatus> {
        self.status.clone()
    }

    /// No session has a higher claim that is still being followed, and nothing unsupported stands in the way.
    pub fn synced(&self) -> bool {
        self.status.borrow().synced
    }

    /// Sends a block of our own to every session that is not known to have it. `td`: its total difficulty, its own
    /// included.
    pub async fn announce(&self, block: RawBlock, td: U256) {
        // After a shutdown there is nobody to tell.
        let _ = self.commands.send(Command::Announce(block, td)).await;
    }

    /// Ends the task, and waits for it: for what the sink is doing, three seconds at most.
    pub async fn shutdown(&self) {
        let _ = self.commands.send(Command::Stop).await;
        self.commands.closed().await;
    }
}
