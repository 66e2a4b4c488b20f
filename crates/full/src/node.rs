//! A running full peer: the chain, its sessions, their synchronisation, and the sealer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rushlight_chain::StoreError;
use rushlight_eth::{EthConfig, EthProtocol};
use rushlight_odr::PeerSet;
use rushlight_p2p::{Server, ServerConfig, ServerHandle};
use rushlight_sync::{SyncConfig, SyncHandle, SyncService, SyncStatus};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::FullChain;
use crate::error::InsertError;
use crate::sealer::{CliqueSealer, SealerError, Turn};

/// Session events that wait for sync. A session whose event finds no room reads nothing more until it does, so this
/// bounds what peers can pile up; 256 is some events for each of the peers that a node has.
const SESSION_EVENTS: usize = 256;

/// What a full peer is made of. Files are imported into the chain before this.
pub struct FullNodeConfig {
    /// The chain that it serves and grows.
    pub chain: Arc<FullChain>,
    /// Keys, addresses, transport, limits and peers. `eth` is added to its protocols.
    pub server: ServerConfig,
    /// The operator's `--networkid`. Default none: Status says 0, and the chain's id stands for it elsewhere.
    pub network_id: Option<u64>,
    /// The chain's configuration as `admin_nodeInfo` tells it (geth's `config`). Default none.
    pub info_config: Option<serde_json::Value>,
    /// Seals blocks with this, if given.
    pub sealer: Option<CliqueSealer>,
    /// Seed of the choices that chance makes.
    pub seed: u64,
}

/// Why a full peer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sealer cannot work on this chain.
    #[error(transparent)]
    Sealer(#[from] SealerError),
    /// The server did not start.
    #[error(transparent)]
    Server(#[from] rushlight_p2p::StartError),
}

/// A running full peer. Dropping it leaves its tasks to the runtime; [`FullNode::shutdown`] ends them in order.
pub struct FullNode {
    chain: Arc<FullChain>,
    server: ServerHandle,
    sync: SyncHandle,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for FullNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FullNode").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl FullNode {
    /// Starts serving, synchronising and, if told so, sealing.
    pub async fn start(config: FullNodeConfig) -> Result<FullNode, StartError> {
        let FullNodeConfig { chain, mut server, network_id, info_config, sealer, seed } = config;
        if let Some(sealer) = &sealer {
            sealer.check(&chain.headers)?;
        }
        let (events_in, events) = mpsc::channel(SESSION_EVENTS);
        let mut eth = EthConfig::new(chain.clone(), events_in);
        eth.network_id = network_id.unwrap_or(0);
        eth.info_network = Some(network_id.unwrap_or(chain.spec.chain_id));
        eth.info_config = info_config;
        let transactions = eth.accept_transactions.clone();
        server.protocols.push(Arc::new(EthProtocol::new(eth)));
        let server = Server::start(server).await?;
        let sync = SyncService::spawn(SyncConfig {
            sink: chain.clone(),
            peers: PeerSet::new(),
            events,
            transactions: None,
            clock: chain.clock.clone(),
            seed,
        });
        let stop = watch::Sender::new(false);
        let mut tasks = vec![tokio::spawn(follow_sync(sync.watch(), transactions, stop.subscribe()))];
        if let Some(sealer) = sealer {
            let sealing = Sealing { chain: chain.clone(), sync: sync.clone(), sealer, stop: stop.subscribe() };
            tasks.push(tokio::spawn(sealing.run(StdRng::seed_from_u64(seed))));
        }
        Ok(FullNode { chain, server, sync, stop, tasks })
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<FullChain> {
        &self.chain
    }

    /// The server: peers, addresses, node info.
    pub fn server(&self) -> &ServerHandle {
        &self.server
    }

    /// Synchronisation: its state, and a way to announce blocks.
    pub fn sync(&self) -> &SyncHandle {
        &self.sync
    }

    /// Ends in order: no more blocks of our own, a goodbye to every peer, synchronisation, and what is written is on
    /// disk.
    pub async fn shutdown(self) -> Result<(), StoreError> {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A task that panicked has nothing left to end; the panic was reported where it happened.
            let _ = task.await;
        }
        self.server.shutdown().await;
        self.sync.shutdown().await;
        let store = self.chain.store.clone();
        tokio::task::spawn_blocking(move || store.sync())
            .await
            .unwrap_or_else(|error| Err(StoreError::Io { action: "syncing the store", error: error.to_string() }))
    }
}

/// A node takes part in transactions only while it is synced.
async fn follow_sync(
    mut status: watch::Receiver<SyncStatus>,
    accept: Arc<AtomicBool>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        accept.store(status.borrow_and_update().synced, Ordering::Relaxed);
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// The task that seals: waits as the sealer decides, makes the block, takes it in, announces it.
struct Sealing {
    chain: Arc<FullChain>,
    sync: SyncHandle,
    sealer: CliqueSealer,
    stop: watch::Receiver<bool>,
}

impl Sealing {
    async fn run(mut self, mut random: StdRng) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.seal_blocks(&mut random) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn seal_blocks(&mut self, random: &mut StdRng) {
        let mut heads = self.chain.headers.subscribe();
        let mut status = self.sync.watch();
        loop {
            // While a longer chain is on its way, blocks on ours would only be thrown away.
            if status.wait_for(|status| status.syncing.is_none()).await.is_err() {
                return;
            }
            // Events up to here are behind the head that is looked at next.
            heads = heads.resubscribe();
            let turn = self.sealer.turn(&self.chain.headers, (self.chain.clock)(), random.random());
            let (draft, delay) = match turn {
                Turn::Seal { draft, delay } => (draft, delay),
                Turn::Wait(why) => {
                    tracing::debug!(%why, "not sealing on this head");
                    if ended(heads.recv().await) {
                        return;
                    }
                    continue;
                }
            };
            tokio::select! {
                () = sleep(delay) => {}
                event = heads.recv() => {
                    if ended(event) {
                        return;
                    }
                    continue;
                }
            }
            if status.borrow().syncing.is_some() {
                continue;
            }
            if let Err(error) = self.seal(*draft).await {
                // Our own block cannot break a rule unless our disk or our rules are at fault; either is for the operator.
                tracing::error!(%error, "cannot seal a block");
                sleep(std::time::Duration::from_secs(self.sealer.period.max(1))).await;
            }
        }
    }

    async fn seal(&self, mut draft: rushlight_chain::clique::Draft) -> Result<(), InsertError> {
        let chain = self.chain.clone();
        let filled = tokio::task::spawn_blocking(move || chain.fill(draft.header)).await;
        let Ok(filled) = filled else { return Ok(()) };
        draft.header = filled?;
        let (header, block) = match self.sealer.seal(draft) {
            Ok(sealed) => sealed,
            Err(error) => {
                tracing::error!(%error, "cannot sign a block");
                return Ok(());
            }
        };
        let (chain, own) = (self.chain.clone(), block.clone());
        let inserted = tokio::task::spawn_blocking(move || chain.insert(vec![own])).await;
        let Ok(inserted) = inserted else { return Ok(()) };
        let extended = inserted?;
        tracing::info!(number = header.number, hash = %header.hash(), "sealed a block");
        self.sync.announce(block, extended.td).await;
        Ok(())
    }
}

/// Whether the channel of events is closed. Having missed some is as good as having seen one.
fn ended<T>(event: Result<T, broadcast::error::RecvError>) -> bool {
    matches!(event, Err(broadcast::error::RecvError::Closed))
}
