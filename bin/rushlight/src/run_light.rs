//! `rushlight`: the light node.

use rushlight_chain::{SealPolicy, system_clock};
use rushlight_light::{LightConfig, LightNode};
use rushlight_rpc::{RpcConfig, RpcHandle};
use rushlight_sync::SyncStatus;
use tokio::{sync::watch, task::JoinHandle};
use tracing::warn;

use crate::{
    cli::{HttpArgs, LightArgs, VerifySeals},
    fatal::Fatal,
    logging::Console,
    progress::Progress,
    runtime, settings,
    signals::Signals,
};

/// Runs the light node until a signal ends it.
pub(crate) fn run(args: &LightArgs, console: &Console) -> Result<(), Fatal> {
    let chain = settings::light_chain(&args.chain)?;
    let http = settings::http(&args.http)?;
    let peers = settings::Peers::read(&args.node)?;
    let folder = settings::folder(args.node.datadir.as_deref(), "light")?;
    let server = settings::server(&args.node, settings::LIGHT_PORT, peers, &folder)?;
    warn_of_idle_flags(&args.http);

    runtime::run(async {
        let mut signals = Signals::listen().map_err(|error| Fatal::from_error(&error))?;
        let config = LightConfig {
            spec: chain.spec,
            store: settings::store(&folder)?,
            policy: policy(args.verify_seals),
            seals: settings::seals(&args.chain),
            clock: system_clock(),
            network_id: args.node.networkid,
            info_config: chain.config,
            trusted_head: args.trusted_head,
            server,
            verified: Default::default(),
            retriever: Default::default(),
            seed: rand::random(),
        };
        let node = LightNode::start(config).await.map_err(|error| Fatal::from_error(&error))?;
        let rpc = match http {
            None => None,
            Some(http) => match serve(&node, http).await {
                Ok(rpc) => Some(rpc),
                Err(fatal) => {
                    node.shutdown().await;
                    return Err(fatal);
                }
            },
        };
        let progress = follow(node.sync().watch(), "Syncing headers", "headers", console.clone());
        let signal = signals.next().await;
        drop(progress);
        signals
            .orderly(signal, async {
                if let Some(rpc) = rpc {
                    rpc.shutdown().await;
                }
                node.shutdown().await;
            })
            .await;
        Ok(())
    })
}

/// The JSON-RPC server before a light node.
pub(crate) async fn serve(node: &LightNode, http: RpcConfig) -> Result<RpcHandle, Fatal> {
    let (client, server) = (node.client().clone(), node.server().clone());
    rushlight_rpc::serve(http, client, server, settings::client_name()).await.map_err(|error| Fatal::from_error(&error))
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

fn warn_of_idle_flags(http: &HttpArgs) {
    let defaults = (http.http_addr == "127.0.0.1", http.http_port == rushlight_rpc::config::DEFAULT_PORT);
    if !http.http && defaults != (true, true) {
        warn!("--http.addr and --http.port do nothing without --http");
    }
}
