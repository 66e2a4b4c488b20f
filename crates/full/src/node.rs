//! A running full peer: the chain, its sessions, their synchronisation, the transaction pool, and the sealer.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rushlight_chain::StoreError;
use rushlight_eth::{EthConfig, EthProtocol};
use rushlight_odr::PeerSet;
use rushlight_p2p::{Server, ServerConfig, ServerHandle};
use rushlight_sync::{SyncConfig, SyncHandle, SyncService};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::FullChain;
use crate::pool::{FullPool, Gossip, Intake, PoolConfig};
use crate::sealer::{CliqueSealer, SealerError};
use crate::sealing::Sealing;

/// Session events that wait for sync. A session whose event finds no room reads nothing more until it does, so this
/// bounds what peers can pile up; 256 is some events for each of the peers that a node has.
const SESSION_EVENTS: usize = 256;

/// Batches of transactions that wait for the pool's checks; what finds no room is dropped. A batch is a message's, of some
/// MB at the most.
const TRANSACTION_BATCHES: usize = 16;

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
    /// How much the transaction pool holds.
    pub pool: PoolConfig,
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
    pool: FullPool,
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
        let FullNodeConfig { chain, mut server, network_id, info_config, pool, sealer, seed } = config;
        if let Some(sealer) = &sealer {
            sealer.check(&chain.headers)?;
        }
        let (events_in, events) = mpsc::channel(SESSION_EVENTS);
        let mut eth = EthConfig::new(chain.clone(), events_in);
        eth.network_id = network_id.unwrap_or(0);
        eth.info_network = Some(network_id.unwrap_or(chain.spec.chain_id));
        eth.info_config = info_config;
        let accept = eth.accept_transactions.clone();
        server.protocols.push(Arc::new(EthProtocol::new(eth)));
        let server = Server::start(server).await?;
        let (peers, pool) = (PeerSet::new(), FullPool::new(chain.clone(), pool));
        let (transactions, from_peers) = mpsc::channel(TRANSACTION_BATCHES);
        let sync = SyncService::spawn(SyncConfig {
            sink: chain.clone(),
            peers: peers.clone(),
            events,
            transactions: Some(transactions),
            clock: chain.clock.clone(),
            seed,
        });
        let stop = watch::Sender::new(false);
        let intake = Intake { pool: pool.clone(), peers: peers.clone(), from_peers };
        let gossip = Gossip { pool: pool.clone(), peers, status: sync.watch(), accept };
        let mut tasks = vec![tokio::spawn(intake.run(stop.subscribe())), tokio::spawn(gossip.run(stop.subscribe()))];
        if let Some(sealer) = sealer {
            let (chain, sync, pool) = (chain.clone(), sync.clone(), pool.clone());
            let sealing = Sealing { chain, sync, pool, sealer, stop: stop.subscribe() };
            tasks.push(tokio::spawn(sealing.run(StdRng::seed_from_u64(seed))));
        }
        Ok(FullNode { chain, server, sync, pool, stop, tasks })
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

    /// The transaction pool.
    pub fn pool(&self) -> &FullPool {
        &self.pool
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
