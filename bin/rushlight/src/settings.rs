//! From flags to what a node is started with: files read, names resolved, every mistake named by its flag.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_genesis::Genesis;
use rushlight_chain::{
    ChainSpec, Ethash, NoSeals, SealCheck,
    pool::PoolLimits,
    store::{Budget, RocksStore, Store},
};
use rushlight_keystore::Keystore;
use rushlight_light::call::CallLimits;
use rushlight_p2p::{Enode, ServerConfig, TcpTransport, load_or_create_key, secp256k1::SecretKey};
use rushlight_rpc::{Endpoints, IpcConfig, RpcConfig, Submission, WsConfig};
use serde_json::{Value, json};
use tracing::warn;

use crate::{
    cli::{ChainArgs, NodeArgs, PoolArgs, RpcArgs},
    fatal::Fatal,
};

/// Default TCP port of the light node, as in geth.
pub(crate) const LIGHT_PORT: u16 = 30303;

/// Default TCP port of the full peer: beside a light node on the same machine.
pub(crate) const FULL_PORT: u16 = 30304;

/// The node's key in its folder, as geth names it.
pub(crate) const KEY_FILE: &str = "nodekey";

/// The database in a node's folder.
const STORE_FOLDER: &str = "chaindata";

/// What peers and `web3_clientVersion` are told, in geth's form: name, version, system, compiler.
pub(crate) fn client_name() -> String {
    format!("Rushlight/v{}/{}-{}/rust", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

/// Where data is kept where nothing else is asked for.
pub(crate) fn default_datadir() -> Result<PathBuf, Fatal> {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    Ok(home.ok_or_else(|| Fatal::usage("there is no home directory: give --datadir"))?.join(".rushlight"))
}

/// The data directory of one run: each network has its own, mainnet and genesis files the one that is given.
pub(crate) fn datadir(node: &NodeArgs, chain: &ChainArgs) -> Result<PathBuf, Fatal> {
    network_datadir(node.datadir.as_deref(), chain)
}

/// The same, for what is no node.
pub(crate) fn network_datadir(datadir: Option<&Path>, chain: &ChainArgs) -> Result<PathBuf, Fatal> {
    let datadir = match datadir {
        Some(datadir) => datadir.to_owned(),
        None => default_datadir()?,
    };
    Ok(match network(chain) {
        Some((folder, _)) => datadir.join(folder),
        None => datadir,
    })
}

/// The key files: where a flag says, or else in the data directory.
pub(crate) fn keystore(flag: Option<&Path>, datadir: &Path) -> Keystore {
    flag.map_or_else(|| Keystore::open(datadir.join("keystore")), Keystore::open)
}

/// A network's folder and its chain.
type Network = (&'static str, fn() -> ChainSpec);

/// The built-in network that a flag names, beside mainnet; its folder below the data directory, as in geth.
fn network(chain: &ChainArgs) -> Option<Network> {
    let networks: [(bool, Network); 4] = [
        (chain.sepolia, ("sepolia", ChainSpec::sepolia)),
        (chain.hoodi, ("hoodi", ChainSpec::hoodi)),
        (chain.classic, ("classic", ChainSpec::classic)),
        (chain.mordor, ("mordor", ChainSpec::mordor)),
    ];
    networks.into_iter().find_map(|(given, network)| given.then_some(network))
}

/// The folder of one kind of node (`light` or `full`), made if it is not there.
pub(crate) fn folder(datadir: &Path, kind: &str) -> Result<PathBuf, Fatal> {
    let folder = datadir.join(kind);
    fs::create_dir_all(&folder)
        .map_err(|error| Fatal::failed(format!("--datadir: cannot make {}: {error}", folder.display())))?;
    Ok(folder)
}

/// A chain, and its configuration as `admin_nodeInfo` tells it.
#[derive(Clone)]
pub(crate) struct LightChain {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) config: Option<Value>,
}

/// A chain with the accounts that it begins with.
#[derive(Clone)]
pub(crate) struct FullChainFile {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) genesis: Genesis,
    pub(crate) config: Option<Value>,
}

impl FullChainFile {
    /// Reads a genesis.json; `from` says in an error where it comes from.
    pub(crate) fn read(from: &str, json: &[u8]) -> Result<Self, Fatal> {
        let (spec, genesis) =
            ChainSpec::from_genesis(json).map_err(|error| Fatal::failed(format!("{from}: {error}")))?;
        let config =
            serde_json::from_slice::<Value>(json).ok().and_then(|mut json| json.get_mut("config").map(Value::take));
        Ok(Self { spec: Arc::new(spec), genesis, config })
    }

    fn of_flag(path: &Path) -> Result<Self, Fatal> {
        let json = fs::read(path)
            .map_err(|error| Fatal::failed(format!("--genesis: cannot read {}: {error}", path.display())))?;
        Self::read(&format!("--genesis {}", path.display()), &json)
    }
}

/// What checks proof-of-work seals.
pub(crate) fn seals(chain: &ChainArgs) -> Arc<dyn SealCheck> {
    if chain.fakepow { Arc::new(NoSeals) } else { Arc::new(Ethash::new()) }
}

/// The light node's chain: a built-in network, or the genesis file's.
pub(crate) fn light_chain(chain: &ChainArgs) -> Result<LightChain, Fatal> {
    if let Some((_, spec)) = network(chain) {
        return Ok(LightChain { spec: Arc::new(spec()), config: None });
    }
    let Some(path) = &chain.genesis else {
        return Ok(LightChain { spec: Arc::new(ChainSpec::mainnet()), config: Some(mainnet_config()) });
    };
    let FullChainFile { spec, config, .. } = FullChainFile::of_flag(path)?;
    Ok(LightChain { spec, config })
}

/// Mainnet's configuration in geth's words, for `admin_nodeInfo`. What of it this version follows is the spec's matter.
fn mainnet_config() -> Value {
    json!({
        "chainId": 1,
        "homesteadBlock": 1_150_000,
        "daoForkBlock": 1_920_000,
        "daoForkSupport": true,
        "eip150Block": 2_463_000,
        "eip155Block": 2_675_000,
        "eip158Block": 2_675_000,
        "byzantiumBlock": 4_370_000,
        "constantinopleBlock": 7_280_000,
        "petersburgBlock": 7_280_000,
        "istanbulBlock": 9_069_000,
        "muirGlacierBlock": 9_200_000,
        "berlinBlock": 12_244_000,
        "londonBlock": 12_965_000,
        "arrowGlacierBlock": 13_773_000,
        "grayGlacierBlock": 15_050_000,
        // Past 64 bits JSON numbers are floats here; this one is exact.
        "terminalTotalDifficulty": 58.75e21,
        "ethash": {},
    })
}

/// The full peer's chain. Mainnet too needs its genesis file: the accounts are not built in.
pub(crate) fn full_chain(chain: &ChainArgs) -> Result<FullChainFile, Fatal> {
    match &chain.genesis {
        Some(path) => FullChainFile::of_flag(path),
        None => Err(Fatal::usage("the full peer needs --genesis FILE: it begins with that file's accounts")),
    }
}

/// The peers that flags name.
pub(crate) struct Peers {
    fixed: Vec<Enode>,
    trusted: Vec<Enode>,
}

impl Peers {
    pub(crate) fn read(node: &NodeArgs) -> Result<Self, Fatal> {
        Ok(Self {
            fixed: enodes("--staticpeers", &node.staticpeers)?,
            trusted: enodes("--trustedpeers", &node.trustedpeers)?,
        })
    }
}

/// The server's settings: flags, and the key of `folder` where no other is given.
pub(crate) fn server(node: &NodeArgs, default_port: u16, peers: Peers, folder: &Path) -> Result<ServerConfig, Fatal> {
    let key = match &node.nodekey {
        // A key that is named is one that exists: a mistyped path must not give the node a new identity.
        Some(path) if !path.exists() => {
            return Err(Fatal::failed(format!("--nodekey: there is no file {}", path.display())));
        }
        Some(path) => load_key(path).map_err(|fatal| fatal.of_flag("--nodekey"))?,
        None => load_key(&folder.join(KEY_FILE))?,
    };
    Ok(ServerConfig {
        listen: Some(listen(node, default_port)),
        max_peers: node.maxpeers,
        static_peers: peers.fixed,
        trusted_peers: peers.trusted,
        discovery: !node.nodiscover,
        ..quiet_server(key)
    })
}

/// A server that neither listens nor looks for anyone.
pub(crate) fn quiet_server(key: SecretKey) -> ServerConfig {
    ServerConfig { client_name: client_name(), ..ServerConfig::new(key, Arc::new(TcpTransport)) }
}

/// The key in a file, made where there is no such file.
pub(crate) fn load_key(path: &Path) -> Result<SecretKey, Fatal> {
    load_or_create_key(path).map_err(|error| Fatal::from_error(&error))
}

/// The store in a node's folder.
pub(crate) fn store(folder: &Path, budget: &Budget) -> Result<Arc<dyn Store>, Fatal> {
    match RocksStore::open(folder.join(STORE_FOLDER), budget) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(Fatal::from_error(&error)),
    }
}

/// Where peers are listened for: every interface.
pub(crate) fn listen(node: &NodeArgs, default: u16) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, node.port.unwrap_or(default)).into()
}

/// A list of enode URLs with commas between; `flag` is named where one of them is wrong.
pub(crate) fn enodes(flag: &str, list: &str) -> Result<Vec<Enode>, Fatal> {
    split(list)
        .map(|url| url.parse().map_err(|error| Fatal::usage(format!("{flag}: invalid enode {url:?}: {error}"))))
        .collect()
}

/// Every way in that the flags ask for, the IPC socket apart.
pub(crate) fn endpoints(rpc: &RpcArgs) -> Result<Endpoints, Fatal> {
    let http = || -> Result<_, Fatal> {
        Ok(RpcConfig {
            addr: resolve("--http.addr", &rpc.http_addr, rpc.http_port)?,
            modules: owned(&rpc.http_api),
            vhosts: owned(&rpc.http_vhosts),
            cors: owned(&rpc.http_corsdomain),
            ..RpcConfig::default()
        })
    };
    let ws = || -> Result<_, Fatal> {
        Ok(WsConfig {
            addr: resolve("--ws.addr", &rpc.ws_addr, rpc.ws_port)?,
            modules: owned(&rpc.ws_api),
            origins: owned(&rpc.ws_origins),
            ..WsConfig::default()
        })
    };
    Ok(Endpoints { http: rpc.http.then(http).transpose()?, ws: rpc.ws.then(ws).transpose()?, ipc: None })
}

/// Bounds of calls.
pub(crate) const fn calls(rpc: &RpcArgs) -> CallLimits {
    CallLimits { gas_cap: rpc.rpc_gascap, evm_timeout: rpc.rpc_evmtimeout }
}

/// What the transaction pool takes.
pub(crate) fn pool_limits(pool: &PoolArgs) -> PoolLimits {
    PoolLimits { min_tip: pool.pricelimit.into(), ..PoolLimits::default() }
}

/// What JSON-RPC asks of a transaction beforehand.
pub(crate) fn submission(pool: &PoolArgs) -> Result<Submission, Fatal> {
    let fee_cap = pool.txfeecap;
    if !fee_cap.is_finite() || fee_cap < 0.0 {
        return Err(Fatal::usage(format!("--rpc.txfeecap: expected an amount of ether from 0 on, got {fee_cap}")));
    }
    Ok(Submission { fee_cap, allow_unprotected: pool.allow_unprotected_txs })
}

/// The IPC socket: where `--ipcpath` says, a bare name being one in the data directory as in geth, or else at
/// `default`.
pub(crate) fn ipc(rpc: &RpcArgs, datadir: &Path, default: Option<&str>) -> Option<IpcConfig> {
    let path = match &rpc.ipcpath {
        _ if rpc.ipcdisable => None,
        Some(path) if path.components().count() == 1 && !path.has_root() => Some(datadir.join(path)),
        Some(path) => Some(path.clone()),
        None => default.map(|name| datadir.join(name)),
    };
    path.map(IpcConfig::new)
}

fn resolve(flag: &str, host: &str, port: u16) -> Result<SocketAddr, Fatal> {
    let resolved = (host, port).to_socket_addrs().and_then(|mut addrs| {
        addrs.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address of that name"))
    });
    resolved.map_err(|error| Fatal::usage(format!("{flag} {host}: {error}")))
}

/// Warns of flags that do nothing for want of another.
pub(crate) fn warn_of_idle_flags(rpc: &RpcArgs, defaults: (u16, u16)) {
    if !rpc.http && (rpc.http_addr != "127.0.0.1" || rpc.http_port != defaults.0) {
        warn!("--http.addr and --http.port do nothing without --http");
    }
    if !rpc.ws && (rpc.ws_addr != "127.0.0.1" || rpc.ws_port != defaults.1) {
        warn!("--ws.addr and --ws.port do nothing without --ws");
    }
}

fn owned(list: &str) -> Vec<String> {
    split(list).map(str::to_owned).collect()
}

/// The items of a list with commas between.
pub(crate) fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_is_told_as_geth_tells_it() {
        let config = mainnet_config();
        assert_eq!(config["homesteadBlock"], 1_150_000);
        assert_eq!(config["terminalTotalDifficulty"], "58750000000000000000000".parse::<Value>().unwrap());
    }

    #[test]
    fn lists() {
        assert_eq!(split(" a, b,,c ").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(split("").count(), 0);
        assert!(enodes("--staticpeers", "").unwrap().is_empty());
        let Err(Fatal::Usage(message)) = enodes("--staticpeers", "enode://12@1.2.3.4:5") else { panic!("refused") };
        assert!(message.starts_with("--staticpeers: invalid enode \"enode://12@1.2.3.4:5\": "), "{message}");
    }
}
