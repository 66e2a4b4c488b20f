//! `rushlight full`: the full peer.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rushlight_chain::{SealCheck, store::Budget, system_clock};
use rushlight_full::{FullChain, FullConfig, FullNode, FullNodeConfig, ImportProgress, PoolConfig};
use rushlight_light::LightClient;
use rushlight_p2p::{Enode, ServerHandle};
use rushlight_rpc::Services;
use tracing::{info, warn};

use crate::{
    cli::FullArgs,
    fatal::Fatal,
    logging::Console,
    progress::Progress,
    run_light::{accounts, follow, serve},
    runtime, settings,
    signals::Signals,
    unlock,
};

/// TCP ports of the full peer's JSON-RPC where none are given: beside a light node's.
const HTTP_PORT: u16 = 8555;
const WS_PORT: u16 = 8556;

/// Imports what is to be imported, then serves until a signal ends it.
pub(crate) fn run(args: &FullArgs, console: &Console) -> Result<(), Fatal> {
    let chain = settings::full_chain(&args.chain)?;
    args.mine.check(&chain.spec)?;
    let peers = settings::Peers::read(&args.node)?;
    check_files(&args.import)?;
    let listen = settings::listen(&args.node, settings::FULL_PORT);
    check_port(listen)?;
    let datadir = settings::datadir(&args.node, &args.chain)?;
    let folder = settings::folder(&datadir, "full")?;
    let mut endpoints = settings::endpoints(&args.rpc)?;
    endpoints.ipc = settings::ipc(&args.rpc, &datadir, None);
    settings::warn_of_idle_flags(&args.rpc, (HTTP_PORT, WS_PORT));
    let unlocked = unlock::unlock(&args.unlock, &args.rpc, &datadir)?;
    let sealer = args.mine.sealer(unlocked.as_ref())?;
    let server = settings::server(&args.node, settings::FULL_PORT, peers, &folder)?;

    runtime::run(async {
        let mut signals = Signals::listen().map_err(|error| Fatal::from_error(&error))?;
        let full = open(chain.clone(), &folder, settings::seals(&args.chain)).await?;
        for path in &args.import {
            let stop = Arc::new(AtomicBool::new(false));
            let import = import(full.clone(), path, console.clone(), stop.clone());
            let mut import = std::pin::pin!(import);
            tokio::select! {
                ended = import.as_mut() => ended?,
                signal = signals.next() => {
                    stop.store(true, Ordering::Relaxed);
                    signals.orderly(signal, async { import.await.unwrap_or_else(warn_of) }).await;
                    return Ok(());
                }
            }
        }
        let head = full.headers().head();
        if full.spec().is_proof_of_stake_after(head.td) {
            if sealer.is_some() {
                return Err(Fatal::failed(format!(
                    "--mine: only clique chains are sealed here, and {} goes by proof of stake from block {} on",
                    chain.spec.name,
                    head.header.number.saturating_add(1)
                )));
            }
            warn!(
                head = head.header.number,
                "From here on the chain goes by proof of stake: this peer serves what it has, and takes further blocks from --import only"
            );
        }
        let config = FullNodeConfig {
            chain: full.clone(),
            server,
            network_id: args.node.networkid,
            info_config: chain.config,
            pool: PoolConfig::default(),
            sealer,
            seed: rand::random(),
        };
        let node = FullNode::start(config).await.map_err(|error| Fatal::from_error(&error))?;
        // Nothing is missing in a full peer's store, so that the same reads ask nobody.
        let network = args.node.networkid.unwrap_or(chain.spec.chain_id);
        let client = Arc::new(LightClient::new(full.headers(), full, node.sync().watch(), network));
        let services = Services {
            accounts: accounts(unlocked),
            pool: Some(Arc::new(node.pool().clone())),
            calls: settings::calls(&args.rpc),
            ..Services::new(client, node.server().clone(), settings::client_name())
        };
        let rpc = match serve(services, endpoints).await {
            Ok(rpc) => rpc,
            Err(fatal) => {
                stop(node).await;
                return Err(fatal);
            }
        };
        announce(node.server())?;
        let progress = follow(node.sync().watch(), "Syncing blocks", "blocks", console.clone());
        let signal = signals.next().await;
        drop(progress);
        signals
            .orderly(signal, async {
                rpc.shutdown().await;
                stop(node).await;
            })
            .await;
        Ok(())
    })
}

/// Ends a full peer; a store that fails at the last moment is told of, and has lost nothing that was acknowledged.
pub(crate) async fn stop(node: FullNode) {
    if let Err(error) = node.shutdown().await {
        warn!(%error, "The full peer's store was not synced");
    }
}

/// Opens or begins the chain in `folder`.
pub(crate) async fn open(
    chain: settings::FullChainFile,
    folder: &Path,
    seals: Arc<dyn SealCheck>,
) -> Result<Arc<FullChain>, Fatal> {
    let store = settings::store(folder, &Budget::default())?;
    let config = FullConfig { seals, clock: system_clock() };
    let opened = tokio::task::spawn_blocking(move || FullChain::open(chain.spec, chain.genesis, store, config)).await;
    match opened {
        Ok(Ok(full)) => Ok(Arc::new(full)),
        Ok(Err(error)) => Err(Fatal::from_error(&error)),
        Err(error) => Err(Fatal::from_error(&error)),
    }
}

/// The node's URL for others on this machine.
pub(crate) fn local_enode(server: &ServerHandle) -> Enode {
    let mut enode = server.enode();
    enode.addr.set_ip(Ipv4Addr::LOCALHOST.into());
    // The URL says nothing of discovery, which the node does not take part in yet.
    enode.udp = enode.addr.port();
    enode
}

fn announce(server: &ServerHandle) -> Result<(), Fatal> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", local_enode(server))
        .and_then(|()| stdout.flush())
        .map_err(|error| Fatal::failed(format!("cannot write to stdout: {error}")))
}

/// A mistyped name should not show after an hour of importing the files before it.
fn check_files(paths: &[PathBuf]) -> Result<(), Fatal> {
    for path in paths {
        std::fs::File::open(path)
            .map_err(|error| Fatal::failed(format!("--import: cannot read {}: {error}", path.display())))?;
    }
    Ok(())
}

/// Neither should a port that another process has: the server opens it only after the import.
fn check_port(listen: SocketAddr) -> Result<(), Fatal> {
    TcpListener::bind(listen).map(drop).map_err(|error| Fatal::failed(format!("cannot listen on {listen}: {error}")))
}

async fn import(full: Arc<FullChain>, path: &Path, console: Console, stop: Arc<AtomicBool>) -> Result<(), Fatal> {
    let path = path.to_path_buf();
    let file = path.display().to_string();
    let done = tokio::task::spawn_blocking(move || {
        let mut shown = Progress::start(&console, "Importing blocks", "bytes", 0);
        full.import(&path, &mut |progress: &ImportProgress| {
            shown.update(progress.read, progress.size, &format_args!("block {}", progress.number));
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    let summary = match done.await {
        Ok(Ok(summary)) => summary,
        Ok(Err(error)) => return Err(Fatal::failed(format!("--import {error}"))),
        Err(error) => return Err(Fatal::from_error(&error)),
    };
    let said = if summary.complete { "Imported blocks" } else { "Import broken off, what is imported stays" };
    info!(
        file,
        blocks = summary.blocks,
        new = summary.added,
        head = summary.number,
        hash = %summary.head,
        td = %summary.td,
        elapsed = ?summary.elapsed,
        "{said}"
    );
    Ok(())
}

fn warn_of(fatal: Fatal) {
    warn!(?fatal, "The import ended with an error");
}
