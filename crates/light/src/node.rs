//! The light node put together, and taken down in order.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{B256, U256};
use rushlight_chain::{
    ChainError, ChainSpec, Clock, Ethash, HeaderChain, HeaderChainConfig, Retain, SealCheck, SealPolicy,
    pool::PoolLimits,
    store::{Store, StoreError},
    system_clock,
};
use rushlight_eth::{EthConfig, EthProtocol};
use rushlight_odr::{PeerSet, Retriever, RetrieverConfig, VerifiedStore, VerifiedStoreConfig};
use rushlight_p2p::{Server, ServerConfig, ServerHandle};
use rushlight_sync::{HeaderSink, SyncConfig, SyncHandle, SyncService};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tracing::warn;

use crate::{
    Access, LightClient,
    pool::{self, LightPool, PoolParts},
};

/// Events of all sessions that sync has not taken yet. A session waits when it is full; so much smooths a burst of
/// NewBlock from every peer at once.
const EVENTS: usize = 256;
/// What saying goodbye to all peers and ending sync may take together, of the 5 seconds that a shutdown may. The server
/// gives its sessions 4 seconds; sync may be in the midst of a batch of headers.
const GOODBYE: Duration = Duration::from_millis(4200);
/// What bringing the last writes to disk may take. A crash loses nothing either, so it is no loss if this runs out.
const LAST_WRITES: Duration = Duration::from_millis(700);

/// What a light node needs.
pub struct LightConfig {
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// Where headers and verified look-ups are kept.
    pub store: Arc<dyn Store>,
    /// Which seals are checked.
    pub policy: SealPolicy,
    /// How many headers are kept whole.
    pub retain: Retain,
    /// Checks proof-of-work seals.
    pub seals: Arc<dyn SealCheck>,
    /// The wall clock.
    pub clock: Clock,
    /// The operator's network id, in Status and in `net_version`. Without one: 0 in Status, the chain id in `net_version`.
    pub network_id: Option<u64>,
    /// The chain's configuration as `admin_nodeInfo` tells it (geth's `config`), where there is one.
    pub info_config: Option<serde_json::Value>,
    /// The header to start from: the head as soon as it is held, and what is below it proved by hash links. Kept in the
    /// store, so that it need not be given again.
    pub trusted_head: Option<B256>,
    /// The server: key, name, addresses, peers, transport. The light node adds its protocol.
    pub server: ServerConfig,
    /// Bounds of the verified store.
    pub verified: VerifiedStoreConfig,
    /// Times of the retriever.
    pub retriever: RetrieverConfig,
    /// What the transaction pool takes.
    pub pool: PoolLimits,
    /// Seed of the choices that sync makes by chance.
    pub seed: u64,
}

impl LightConfig {
    /// The defaults: all seals checked, the last 2,048 headers kept whole, the system's clock, network ids as they follow from the chain.
    pub fn new(spec: Arc<ChainSpec>, store: Arc<dyn Store>, server: ServerConfig) -> Self {
        Self {
            spec,
            store,
            policy: SealPolicy::All,
            retain: Retain::LIGHT,
            seals: Arc::new(Ethash::new()),
            clock: system_clock(),
            network_id: None,
            info_config: None,
            trusted_head: None,
            server,
            verified: VerifiedStoreConfig::default(),
            retriever: RetrieverConfig::default(),
            pool: PoolLimits::default(),
            // Seeded by the operating system.
            seed: RandomState::new().build_hasher().finish(),
        }
    }
}

/// Why a light node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The header chain cannot be opened: another genesis, another schema, or a damaged store.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The verified store or the transaction pool cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain has no difficulty to tell a better head from a worse one, and nobody said which head to trust.
    #[error(
        "genesis meets the terminal total difficulty {terminal}: blocks of this chain carry no difficulty, so nothing \
         says which head is the best; give one with --trusted-head HASH"
    )]
    NoTrustedHead {
        /// The terminal total difficulty.
        terminal: U256,
    },
    /// The server cannot start; names the port in use.
    #[error(transparent)]
    Server(#[from] rushlight_p2p::StartError),
    /// A blocking step was torn down, as the runtime is shutting down.
    #[error("interrupted while starting")]
    Interrupted,
}

/// A running light node.
pub struct LightNode {
    client: Arc<LightClient>,
    server: ServerHandle,
    sync: SyncHandle,
    peers: PeerSet,
    retriever: Retriever,
    pool: Arc<LightPool>,
    store: Arc<dyn Store>,
    /// Lets transactions in once the node has synced.
    gate: JoinHandle<()>,
}

impl LightNode {
    /// Opens the chain, starts sync, and then the server, so that no session finds nobody to tell.
    pub async fn start(config: LightConfig) -> Result<Self, StartError> {
        let LightConfig { spec, store, policy, retain, seals, clock, network_id, info_config, trusted_head, .. } =
            config;
        let mut chain_config = HeaderChainConfig::new(policy, seals, clock.clone());
        chain_config.retain = retain;
        let opening = (spec.clone(), store.clone(), config.verified);
        let opened = tokio::task::spawn_blocking(move || {
            let (spec, store, verified) = opening;
            let chain = HeaderChain::open(spec, store.clone(), chain_config)?;
            if let Some(head) = trusted_head {
                chain.trust(head)?;
            }
            let spec = chain.spec();
            if let Some(terminal) = spec.forks.terminal_total_difficulty()
                && spec.genesis.difficulty >= terminal
                && chain.trusted_head().is_none()
            {
                return Err(StartError::NoTrustedHead { terminal });
            }
            Ok::<_, StartError>((chain, VerifiedStore::open(store, verified)?))
        });
        let (chain, verified) = opened.await.map_err(|_| StartError::Interrupted)??;
        let chain = Arc::new(chain);

        let peers = PeerSet::new();
        let retriever = Retriever::new(peers.clone(), verified, config.retriever);
        let (events, inbox) = mpsc::channel(EVENTS);
        let (transactions, heard) = mpsc::channel(pool::HEARD);
        let sync = SyncService::spawn(SyncConfig {
            sink: Arc::new(HeaderSink(chain.clone())),
            peers: peers.clone(),
            events: inbox,
            transactions: Some(transactions),
            clock,
            seed: config.seed,
        });

        let known_network = network_id.unwrap_or(spec.chain_id);
        let source = Arc::new(retriever.clone());
        let client = Arc::new(LightClient::new(chain.clone(), source, sync.watch(), known_network));
        let pool = LightPool::open(PoolParts {
            client: client.clone(),
            store: store.clone(),
            peers: peers.clone(),
            heard,
            status: sync.watch(),
            limits: config.pool,
        });
        let pool = match pool.await {
            Ok(pool) => Arc::new(pool),
            Err(error) => {
                sync.shutdown().await;
                return Err(error.into());
            }
        };
        let access = Arc::new(Access::new(chain.clone(), retriever.clone()));
        let mut eth = EthConfig::new(access, events);
        eth.network_id = network_id.unwrap_or(0);
        eth.info_network = Some(known_network);
        eth.info_config = info_config;
        let accept_transactions = eth.accept_transactions.clone();
        let mut server = config.server;
        server.protocols.push(Arc::new(EthProtocol::new(eth)));
        let server = match Server::start(server).await {
            Ok(server) => server,
            Err(error) => {
                pool.shutdown().await;
                sync.shutdown().await;
                return Err(error.into());
            }
        };

        let gate = tokio::spawn(open_once_synced(sync.watch(), accept_transactions));
        Ok(Self { client, server, sync, peers, retriever, pool, store, gate })
    }

    /// The API for everything above.
    pub fn client(&self) -> &Arc<LightClient> {
        &self.client
    }

    /// The server.
    pub fn server(&self) -> &ServerHandle {
        &self.server
    }

    /// Synchronisation.
    pub fn sync(&self) -> &SyncHandle {
        &self.sync
    }

    /// The sessions and their scores.
    pub fn peers(&self) -> &PeerSet {
        &self.peers
    }

    /// The node's own transactions.
    pub fn pool(&self) -> &Arc<LightPool> {
        &self.pool
    }

    /// On-demand retrieval.
    pub fn retriever(&self) -> &Retriever {
        &self.retriever
    }

    /// Says goodbye to all peers, ends sync and brings the last writes to disk; within 5 seconds, whoever hangs.
    pub async fn shutdown(self) {
        // Side by side: a session that waits for sync to take its event goes on once sync is gone.
        let ended = timeout(GOODBYE, async {
            tokio::join!(self.server.shutdown(), self.sync.shutdown(), self.pool.shutdown())
        });
        if ended.await.is_err() {
            warn!("shutdown: server, sync or the transaction pool did not end in time");
        }
        self.gate.abort();
        let store = self.store;
        match timeout(LAST_WRITES, tokio::task::spawn_blocking(move || store.sync())).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(%error, "shutdown: the store could not be synced"),
            Ok(Err(_)) | Err(_) => warn!("shutdown: the store was not synced in time"),
        }
    }
}

/// A node takes part in transactions only while it is synced.
async fn open_once_synced(mut status: watch::Receiver<rushlight_sync::SyncStatus>, gate: Arc<AtomicBool>) {
    loop {
        gate.store(status.borrow_and_update().synced, Ordering::Relaxed);
        if status.changed().await.is_err() {
            return;
        }
    }
}
