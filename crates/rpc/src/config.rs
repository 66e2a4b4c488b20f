//! What the operator may set, and the bounds that hold whatever they set.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Modules served where `--http.api` does not say.
pub const DEFAULT_MODULES: [&str; 3] = ["eth", "net", "web3"];

/// TCP port of the HTTP server where none is given, as in geth.
pub const DEFAULT_PORT: u16 = 8545;

/// TCP port of the WebSocket server where none is given, as in geth.
pub const DEFAULT_WS_PORT: u16 = 8546;

/// File name of the IPC socket where none is given.
pub const DEFAULT_IPC_NAME: &str = "rushlight.ipc";

/// Host names answered where none are given, as in geth.
pub const DEFAULT_VHOSTS: [&str; 1] = ["localhost"];

/// Longest request body in bytes, geth's default.
pub const DEFAULT_MAX_BODY: u32 = 5 * 1024 * 1024;

/// Most calls in one batch, geth's default.
pub const DEFAULT_MAX_BATCH: usize = 1000;

/// Most bytes of results in one answer, geth's default for batches.
pub const DEFAULT_MAX_RESPONSE: u32 = 25_000_000;

/// Most connections at once. geth has no bound here; with it, idle clients cannot use up file descriptors, which the
/// store and the peers need too.
pub const DEFAULT_MAX_CONNECTIONS: usize = 100;

/// Longest that a connection may idle between two requests, and that a request's head may take: geth's IdleTimeout. A client
/// that was busy meanwhile takes a connection closed under it for a failure.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest that a request's body may take: geth's ReadTimeout.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest that a request's calls may take together. geth's WriteTimeout is as long; a read that waits for a peer
/// gives up after 10 seconds of its own.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest request head in bytes. hyper's default is 400 kB, a JSON-RPC client sends under 1 kB.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

/// How many calls of a batch run side by side. Reads wait mostly for peers, and look-ups under way at the same time
/// travel in one message; 16 fill such a message without letting one client take the node for itself.
pub(crate) const BATCH_WIDTH: usize = 16;

/// Longest method name looked up, as in geth: a longer one is not repeated in an error message.
pub(crate) const MAX_METHOD_NAME: usize = 2048;

/// Most storage keys in one `eth_getProof`, geth's bound: every key is a walk of its own.
pub(crate) const MAX_PROOF_KEYS: usize = 1024;

/// How many calls of one WebSocket or IPC connection run side by side; past it, nothing more is read from it. As for a
/// batch.
pub(crate) const SESSION_WIDTH: usize = BATCH_WIDTH;

/// How often a WebSocket's other end is asked whether it is there: geth's wsPingInterval. Without an answer until the
/// next time the connection ends, which also bounds how long one message may take to arrive.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Longest that an answer may take to be taken off this node's hands on WebSocket and IPC: as on HTTP.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest path of a Unix socket: `sun_path` has 108 bytes on Linux, the last of them zero.
pub(crate) const MAX_SOCKET_PATH: usize = 107;

/// How many bytes are read from an IPC connection at a time.
pub(crate) const IPC_CHUNK: usize = 16 * 1024;

/// How long requests under way may still take once the node stops.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// How the HTTP server listens and what it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcConfig {
    /// Where it listens. Default 127.0.0.1:8545; port 0 takes any free one.
    pub addr: SocketAddr,
    /// Modules that are served, by name; unknown ones are warned about and left out. Default `eth,net,web3`.
    pub modules: Vec<String>,
    /// Host names that requests may be addressed to, `*` for any. IP addresses always may. Default `localhost`.
    pub vhosts: Vec<String>,
    /// Origins of web pages that may read answers (`--http.corsdomain`), `*` for any. Default none.
    pub cors: Vec<String>,
    /// Longest request body in bytes. Default 5 MiB.
    pub max_body: u32,
    /// Most calls in one batch. Default 1,000.
    pub max_batch: usize,
    /// Most bytes of results in one answer. Default 25 MB.
    pub max_response: u32,
    /// Most connections at once; further ones wait to be accepted. Default 100.
    pub max_connections: usize,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)),
            modules: DEFAULT_MODULES.map(str::to_owned).to_vec(),
            vhosts: DEFAULT_VHOSTS.map(str::to_owned).to_vec(),
            cors: Vec::new(),
            max_body: DEFAULT_MAX_BODY,
            max_batch: DEFAULT_MAX_BATCH,
            max_response: DEFAULT_MAX_RESPONSE,
            max_connections: DEFAULT_MAX_CONNECTIONS,
        }
    }
}

/// How the WebSocket server listens and what it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsConfig {
    /// Where it listens. Default 127.0.0.1:8546; port 0 takes any free one. HTTP's own address shares its port.
    pub addr: SocketAddr,
    /// Modules that are served, by name. Default `eth,net,web3`.
    pub modules: Vec<String>,
    /// Origins of web pages that may connect, `*` for any; where none is named, those of this machine. Clients that
    /// send none always may. Default none.
    pub origins: Vec<String>,
    /// Longest message in bytes. Default 5 MiB.
    pub max_message: u32,
    /// Most calls in one batch. Default 1,000.
    pub max_batch: usize,
    /// Most bytes of results in one answer. Default 25 MB.
    pub max_response: u32,
    /// Most connections at once; further ones wait to be accepted. On HTTP's port HTTP's bound holds for both.
    /// Default 100.
    pub max_connections: usize,
}

impl Default for WsConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], DEFAULT_WS_PORT)),
            modules: DEFAULT_MODULES.map(str::to_owned).to_vec(),
            origins: Vec::new(),
            max_message: DEFAULT_MAX_BODY,
            max_batch: DEFAULT_MAX_BATCH,
            max_response: DEFAULT_MAX_RESPONSE,
            max_connections: DEFAULT_MAX_CONNECTIONS,
        }
    }
}

/// The IPC socket: every module, for whoever may open the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpcConfig {
    /// Where the socket is.
    pub path: PathBuf,
    /// Longest message in bytes. Default 5 MiB.
    pub max_message: u32,
    /// Most calls in one batch. Default 1,000.
    pub max_batch: usize,
    /// Most bytes of results in one answer. Default 25 MB.
    pub max_response: u32,
    /// Most connections at once; further ones wait to be accepted. Default 100.
    pub max_connections: usize,
}

impl IpcConfig {
    /// A socket at `path`, the rest by default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_message: DEFAULT_MAX_BODY,
            max_batch: DEFAULT_MAX_BATCH,
            max_response: DEFAULT_MAX_RESPONSE,
            max_connections: DEFAULT_MAX_CONNECTIONS,
        }
    }
}

/// Every way in; what is `None` is off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// JSON-RPC over HTTP.
    pub http: Option<RpcConfig>,
    /// JSON-RPC over WebSocket.
    pub ws: Option<WsConfig>,
    /// JSON-RPC over a Unix socket.
    pub ipc: Option<IpcConfig>,
}
