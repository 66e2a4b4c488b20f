//! `rushlight dev`: a network of two on this machine.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rushlight_chain::{Ethash, Retain, SealPolicy, store::Budget, system_clock};
use rushlight_full::{CliqueSealer, FullNode, FullNodeConfig, PoolConfig};
use rushlight_light::{LightConfig, LightNode};
use rushlight_p2p::{Enode, ServerConfig, secp256k1::SecretKey};
use rushlight_rpc::{Endpoints, RpcConfig, RpcHandles};
use tempfile::TempDir;
use tracing::warn;

use crate::{
    cli::DevArgs,
    dev_chain::{self, ACCOUNTS, CHAIN_ID, TRANSFER, TRANSFER_HASH},
    fatal::Fatal,
    logging::Console,
    run_full, run_light, runtime, settings,
    signals::Signals,
};

/// How long the first block may take to reach the light node before the network is shown all the same.
const FIRST_BLOCK: Duration = Duration::from_secs(15);

/// Runs both nodes until a signal ends them.
pub(crate) fn run(args: &DevArgs, console: &Console) -> Result<(), Fatal> {
    let folder = Folder::open(args.datadir.as_deref())?;
    let ended = runtime::run(async {
        let mut signals = Signals::listen().map_err(|error| Fatal::from_error(&error))?;
        let network = tokio::select! {
            network = Network::start(folder.path(), args.http_port, args.period) => network?,
            signal = signals.next() => {
                warn!(signal, "Ended while starting");
                return Ok(());
            }
        };
        let progress = run_light::follow(network.light.sync().watch(), "Syncing headers", "headers", console.clone());
        let signal = tokio::select! {
            signal = signals.next() => signal,
            told = network.tell() => match told {
                Ok(()) => signals.next().await,
                Err(fatal) => {
                    network.stop().await;
                    return Err(fatal);
                }
            },
        };
        drop(progress);
        signals.orderly(signal, network.stop()).await;
        Ok(())
    });
    // The stores are closed by now.
    folder.close();
    ended
}

/// A full peer that seals, and a light node joined to it.
struct Network {
    full: FullNode,
    light: LightNode,
    rpc: RpcHandles,
    period: u64,
}

impl Network {
    async fn start(folder: &Path, http_port: u16, period: u64) -> Result<Self, Fatal> {
        let chain = settings::FullChainFile::read("the development chain", &dev_chain::genesis(period))?;
        let full = Self::start_full(chain.clone(), &subfolder(folder, "full")?, period).await?;
        let light = Self::start_light(chain, &subfolder(folder, "light")?, run_full::local_enode(full.server())).await;
        let light = match light {
            Ok(light) => light,
            Err(fatal) => {
                run_full::stop(full).await;
                return Err(fatal);
            }
        };
        let http = RpcConfig {
            addr: (Ipv4Addr::LOCALHOST, http_port).into(),
            modules: rushlight_rpc::modules().map(str::to_owned).collect(),
            ..RpcConfig::default()
        };
        let endpoints = Endpoints { http: Some(http), ..Endpoints::default() };
        match run_light::serve(run_light::services(&light), endpoints).await {
            Ok(rpc) => Ok(Self { full, light, rpc, period }),
            Err(fatal) => {
                light.shutdown().await;
                run_full::stop(full).await;
                Err(fatal)
            }
        }
    }

    async fn start_full(chain: settings::FullChainFile, folder: &Path, period: u64) -> Result<FullNode, Fatal> {
        let key: SecretKey = ACCOUNTS[0]
            .key
            .trim_start_matches("0x")
            .parse()
            .map_err(|error| Fatal::failed(format!("the development key: {error}")))?;
        let server = server(folder, Vec::new())?;
        let info_config = chain.config.clone();
        let config = FullNodeConfig {
            chain: run_full::open(chain, folder, Arc::new(Ethash::new())).await?,
            server,
            network_id: None,
            info_config,
            pool: PoolConfig::default(),
            // As geth's development chains: wallets that find blocks without tips offer the least.
            sealer: Some(CliqueSealer { min_tip: 1, ..CliqueSealer::new(key, period) }),
            seed: rand::random(),
        };
        FullNode::start(config).await.map_err(|error| Fatal::from_error(&error))
    }

    async fn start_light(chain: settings::FullChainFile, folder: &Path, full: Enode) -> Result<LightNode, Fatal> {
        let config = LightConfig {
            spec: chain.spec,
            store: settings::store(folder, &Budget::light())?,
            policy: SealPolicy::Sampled,
            retain: Retain::LIGHT,
            seals: Arc::new(Ethash::new()),
            clock: system_clock(),
            network_id: None,
            info_config: chain.config,
            trusted_head: None,
            server: server(folder, vec![full])?,
            verified: Default::default(),
            retriever: Default::default(),
            pool: Default::default(),
            seed: rand::random(),
        };
        LightNode::start(config).await.map_err(|error| Fatal::from_error(&error))
    }

    /// Says on stdout what there is, once there is something to ask for.
    async fn tell(&self) -> Result<(), Fatal> {
        let chain = self.light.client().chain().clone();
        let first_block = async {
            while chain.head().header.number == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // Without a period there is none before somebody sends a transaction.
        if self.period > 0 && tokio::time::timeout(FIRST_BLOCK, first_block).await.is_err() {
            warn!("The light node has no block yet");
        }
        let Some(http) = &self.rpc.http else { return Ok(()) };
        let text = introduction(&run_full::local_enode(self.full.server()), http.local_addr(), self.period);
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Fatal::failed(format!("cannot write to stdout: {error}")))
    }

    async fn stop(self) {
        self.rpc.shutdown().await;
        self.light.shutdown().await;
        run_full::stop(self.full).await;
    }
}

/// Peers are on this machine only; any free port will do.
fn server(folder: &Path, static_peers: Vec<Enode>) -> Result<ServerConfig, Fatal> {
    let key = settings::load_key(&folder.join(settings::KEY_FILE))?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(ServerConfig { listen: Some(listen), static_peers, ..settings::quiet_server(key) })
}

fn subfolder(folder: &Path, kind: &str) -> Result<PathBuf, Fatal> {
    settings::folder(folder, kind)
}

/// What a newcomer needs: where, who, and lines to paste.
fn introduction(full: &Enode, http: SocketAddr, period: u64) -> String {
    let call = |method: &str, params: &str| {
        format!(
            "  curl -s -H 'Content-Type: application/json' \
             -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}' http://{http}\n"
        )
    };
    let account = ACCOUNTS[0].address;
    let blocks = match period {
        0 => "a block for each transaction".to_owned(),
        1 => "a block every second".to_owned(),
        _ => format!("a block every {period} seconds"),
    };
    let mut text = format!(
        "\nA development network: chain id {CHAIN_ID}, {blocks}.\n\n\
         Light node, JSON-RPC   http://{http}\n\
         Full peer, eth/28      {full}\n\n\
         Accounts with 10,000 ether each. Their keys are public knowledge, nothing of value is safe with them:\n"
    );
    for account in ACCOUNTS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {}  {}", account.address, account.key);
    }
    text.push_str("\nThe light node holds headers only; each answer is proved against one of them. Try:\n");
    text.push_str(&call("eth_getBalance", &format!("[\"{account}\",\"latest\"]")));
    text.push_str(&call("eth_getProof", &format!("[\"{account}\",[],\"latest\"]")));
    text.push_str(&call("eth_getBlockByNumber", "[\"latest\",true]"));
    text.push_str(
        "\nOne ether from the second account to the third (once, and the same on each new chain), and its receipt:\n",
    );
    text.push_str(&call("eth_sendRawTransaction", &format!("[\"{TRANSFER}\"]")));
    text.push_str(&call("eth_getTransactionReceipt", &format!("[\"{TRANSFER_HASH}\"]")));
    text.push_str("\nCtrl-C ends it.\n");
    text
}

/// Where both nodes keep their data.
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn open(datadir: Option<&Path>) -> Result<Self, Fatal> {
        match datadir {
            Some(datadir) => Ok(Self::Kept(datadir.to_path_buf())),
            None => tempfile::Builder::new()
                .prefix("rushlight-dev-")
                .tempdir()
                .map(Self::Temporary)
                .map_err(|error| Fatal::failed(format!("cannot make a temporary folder: {error}"))),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    fn close(self) {
        if let Self::Temporary(folder) = self {
            let path = folder.path().to_path_buf();
            if let Err(error) = folder.close() {
                warn!(%error, path = %path.display(), "The temporary folder is left behind");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rushlight_p2p::PeerId;

    use super::*;

    #[test]
    fn the_introduction_has_lines_to_paste() {
        let key: SecretKey = ACCOUNTS[0].key.trim_start_matches("0x").parse().unwrap();
        let enode = Enode::new(PeerId::of(&key), SocketAddr::from(([127, 0, 0, 1], 30304)));
        let text = introduction(&enode, SocketAddr::from(([127, 0, 0, 1], 8545)), 2);
        let lines: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("curl ")).collect();
        assert_eq!(lines.len(), 5);
        for line in lines {
            let body = line.split('\'').nth(3).unwrap();
            let call: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(call["jsonrpc"], "2.0");
            assert!(line.ends_with(" http://127.0.0.1:8545"), "{line}");
        }
    }
}
