//! `rushlight`: the light node.

use std::sync::Arc;

use rushlight_chain::{SealPolicy, store::Budget, system_clock};
use rushlight_keystore::Wallet;
use rushlight_light::{LightConfig, LightNode};
use rushlight_rpc::{
    Accounts, Endpoints, RpcHandles, Services,
    config::{DEFAULT_IPC_NAME, DEFAULT_PORT, DEFAULT_WS_PORT},
};
use rushlight_sync::SyncStatus;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    cli::{LightArgs, VerifySeals},
    fatal::Fatal,
    logging::Console,
    progress::Progress,
    runtime, settings,
    signals::Signals,
    unlock::{self, Unlocked},
};

/// Runs the light node until a signal ends it.
pub(crate) fn run(args: &LightArgs, console: &Console) -> Result<(), Fatal> {
    let chain = settings::light_chain(&args.chain)?;
    let mut endpoints = settings::endpoints(&args.rpc)?;
    let peers = settings::Peers::read(&args.node)?;
    let datadir = settings::datadir(&args.node, &args.chain)?;
    let folder = settings::folder(&datadir, "light")?;
    endpoints.ipc = settings::ipc(&args.rpc, &datadir, Some(DEFAULT_IPC_NAME));
    let unlocked = unlock::unlock(&args.unlock, &args.rpc, &datadir)?;
    let server = settings::server(&args.node, settings::LIGHT_PORT, peers, &folder)?;
    settings::warn_of_idle_flags(&args.rpc, (DEFAULT_PORT, DEFAULT_WS_PORT));
    let submission = settings::submission(&args.pool)?;

    runtime::run(async {
        let mut signals = Signals::listen().map_err(|error| Fatal::from_error(&error))?;
        let config = LightConfig {
            spec: chain.spec,
            store: settings::store(&folder, &Budget::light())?,
            policy: policy(args.verify_seals),
            retain: args.retain_headers,
            seals: settings::seals(&args.chain),
            clock: system_clock(),
            network_id: args.node.networkid,
            info_config: chain.config,
            trusted_head: args.trusted_head,
            server,
            verified: Default::default(),
            retriever: Default::default(),
            pool: settings::pool_limits(&args.pool),
            seed: rand::random(),
        };
        let node = LightNode::start(config).await.map_err(|error| Fatal::from_error(&error))?;
        let (accounts, calls) = (accounts(unlocked), settings::calls(&args.rpc));
        let services = Services { accounts, calls, submission, ..services(&node) };
        let rpc = match serve(services, endpoints).await {
            Ok(rpc) => rpc,
            Err(fatal) => {
                node.shutdown().await;
                return Err(fatal);
            }
        };
        let progress = follow(node.sync().watch(), "Syncing headers", "headers", console.clone());
        let signal = signals.next().await;
        drop(progress);
        signals
            .orderly(signal, async {
                rpc.shutdown().await;
                node.shutdown().await;
            })
            .await;
        Ok(())
    })
}

/// What JSON-RPC answers from.
pub(crate) fn services(node: &LightNode) -> Services {
    let services = Services::new(node.client().clone(), node.server().clone(), settings::client_name());
    Services { pool: Some(node.pool().clone()), ..services }
}

/// What JSON-RPC signs with.
pub(crate) fn accounts(unlocked: Option<Unlocked>) -> Option<Arc<Accounts>> {
    unlocked.map(|Unlocked { keystore, keys }| Arc::new(Accounts::new(Wallet::new(keystore, keys))))
}

/// JSON-RPC before a node of either kind.
pub(crate) async fn serve(services: Services, endpoints: Endpoints) -> Result<RpcHandles, Fatal> {
    rushlight_rpc::serve_all(endpoints, services).await.map_err(|error| Fatal::from_error(&error))
}

/// Shows how far sync has come, for as long as it goes on, where a bar can be shown; elsewhere sync's own log lines
/// tell. `what` is under way, counted in `unit`s.
pub(crate) fn follow(
    mut status: watch::Receiver<SyncStatus>,
    what: &'static str,
    unit: &'static str,
    console: Console,
) -> Option<AbortOnDrop> {
    console.bars()?;
    let task = tokio::spawn(async move {
        let mut shown: Option<Progress> = None;
        loop {
            let syncing = status.borrow_and_update().syncing;
            match syncing {
                Some(progress) => shown
                    .get_or_insert_with(|| Progress::start(&console, what, unit, progress.current))
                    .update(progress.current, progress.highest, &""),
                None => shown = None,
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    });
    Some(AbortOnDrop(task))
}

/// A task that ends with whoever started it.
pub(crate) struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const fn policy(which: VerifySeals) -> SealPolicy {
    match which {
        VerifySeals::All => SealPolicy::All,
        VerifySeals::Sampled => SealPolicy::Sampled,
    }
}
