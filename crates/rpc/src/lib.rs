//! What a dapp or a wallet can ask: JSON-RPC over HTTP, WebSocket and IPC, in the shapes and with the error codes of the
//! [execution-apis](https://github.com/ethereum/execution-apis) specification, and go-ethereum's ways where that is
//! silent.
//!
//! ```text
//! server   the TCP listeners; one task a connection, bounds of number, bytes and time
//! gate     which HTTP requests are JSON-RPC at all: host filter, method, content type (pure)
//! cors     which web pages may read HTTP answers (pure)
//! websocket, origins   an HTTP request that becomes a conversation, and which web pages may ask for that
//! ipc      the same conversation over a Unix socket
//! framing  where a JSON text ends on a stream (pure)
//! session  a conversation: calls side by side, bounded
//! dispatch a JSON text in, its answer out
//! rules    around every call: unknown methods, batches, the deadline
//! api      which modules are on, which methods they have
//! eth, calls, fees, simulate, transactions, submit, txpool, net, admin, accounts   the methods: arguments in, LightClient asked, shapes out
//! raw      headers by themselves, transactions' bytes
//! params   arguments, read as strictly as geth reads them (pure)
//! send     transactions that this node fills in and signs; args, signed: what goes in and comes out
//! messages objects in argument lists: messages, overrides (pure)
//! shapes   blocks, transactions and proofs as JSON (pure)
//! error    ClientError to code and message: one table
//! ```
//!
//! Everything reads through [`rushlight_light::LightClient`], so the same server stands before a light node and a full
//! one. Nothing here is spawned on behalf of a call: when a client hangs up, its work ends with it.

mod accounts;
mod admin;
mod api;
mod args;
mod calls;
pub mod config;
mod cors;
mod dispatch;
mod error;
mod eth;
mod fees;
pub mod framing;
mod gate;
mod ipc;
mod messages;
mod net;
mod origins;
mod params;
mod raw;
mod rules;
mod send;
mod server;
mod session;
mod shapes;
mod signed;
mod simulate;
mod submit;
mod transactions;
mod txpool;
mod websocket;

use std::sync::Arc;

use rushlight_chain::pool::TransactionPool;
use rushlight_light::{LightClient, call::CallLimits};
use rushlight_p2p::ServerHandle;

use dispatch::Dispatch;
use tracing::info;

pub use accounts::Accounts;
pub use config::{Endpoints, IpcConfig, RpcConfig, WsConfig};
pub use error::{IpcError, RpcError};
pub use ipc::IpcHandle;
pub use server::RpcHandle;
pub use submit::Submission;

/// Every module that `--http.api` may name.
pub fn modules() -> impl Iterator<Item = &'static str> {
    api::MODULES.into_iter().map(|(name, _)| name)
}

/// What every transport answers from.
#[derive(Clone)]
pub struct Services {
    /// The chain and its states.
    pub client: Arc<LightClient>,
    /// The peers.
    pub server: ServerHandle,
    /// What `web3_clientVersion` says.
    pub version: String,
    /// Transactions that wait. Without it the methods that need one do not exist.
    pub pool: Option<Arc<dyn TransactionPool>>,
    /// Accounts that the node signs for. Without it there are none.
    pub accounts: Option<Arc<Accounts>>,
    /// Bounds of calls.
    pub calls: CallLimits,
    /// What is asked of a transaction before it goes there.
    pub submission: Submission,
}

impl Services {
    /// What a node that only reads has.
    pub fn new(client: Arc<LightClient>, server: ServerHandle, version: impl Into<String>) -> Self {
        let (pool, accounts) = (None, None);
        let (calls, submission) = (CallLimits::default(), Submission::default());
        Self { client, server, version: version.into(), pool, accounts, calls, submission }
    }
}

/// Listens on `config.addr` and answers over HTTP from `services`, until the handle is shut down.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(config: RpcConfig, services: Services) -> Result<RpcHandle, RpcError> {
    start_http(&services, &config, None).await
}

/// The same over every way in that `endpoints` has, until the handles are shut down.
///
/// # Errors
/// An address cannot be listened on, or the IPC socket not made; then nothing is left running.
pub async fn serve_all(endpoints: Endpoints, services: Services) -> Result<RpcHandles, RpcError> {
    let mut handles = RpcHandles::default();
    match start_all(&services, &endpoints, &mut handles).await {
        Ok(()) => Ok(handles),
        Err(error) => {
            handles.shutdown().await;
            Err(error)
        }
    }
}

/// What is running. Dropping it stops all of it without waiting for requests under way.
#[derive(Debug, Default)]
pub struct RpcHandles {
    /// HTTP, and WebSocket where it has the same address.
    pub http: Option<RpcHandle>,
    /// WebSocket at an address of its own.
    pub ws: Option<RpcHandle>,
    /// The IPC socket.
    pub ipc: Option<IpcHandle>,
}

impl RpcHandles {
    /// Stops all of them at once, each as its own `shutdown` does.
    pub async fn shutdown(self) {
        let tcp = |handle: Option<RpcHandle>| async {
            if let Some(handle) = handle {
                handle.shutdown().await;
            }
        };
        let ipc = async {
            if let Some(ipc) = self.ipc {
                ipc.shutdown().await;
            }
        };
        futures::join!(tcp(self.http), tcp(self.ws), ipc);
    }
}

impl Services {
    fn dispatch(&self, transport: &str, modules: &[String], bounds: Bounds) -> Result<Dispatch, RpcError> {
        let api = api::Api { services: self.clone(), modules: api::choose(transport, modules) };
        let (methods, names) = api::methods(api)?;
        let Bounds { request, batch, response } = bounds;
        let limits = rules::Limits {
            methods: names,
            max_request: request as usize,
            max_batch: batch,
            max_response: response as usize,
        };
        Ok(Dispatch::new(methods, limits))
    }

    fn websocket(&self, ws: &WsConfig) -> Result<websocket::Endpoint, RpcError> {
        let bounds = Bounds { request: ws.max_message, batch: ws.max_batch, response: ws.max_response };
        let dispatch = self.dispatch("WebSocket", &ws.modules, bounds)?;
        Ok(websocket::Endpoint { dispatch, origins: origins::Origins::new(&ws.origins) })
    }
}

/// The bounds of one transport.
struct Bounds {
    request: u32,
    batch: usize,
    response: u32,
}

async fn start_all(node: &Services, endpoints: &Endpoints, handles: &mut RpcHandles) -> Result<(), RpcError> {
    // Two servers that may take any port take two.
    let shared =
        |ws: &&WsConfig| ws.addr.port() != 0 && endpoints.http.as_ref().is_some_and(|http| http.addr == ws.addr);
    let beside = endpoints.ws.as_ref().filter(shared);
    if let Some(http) = &endpoints.http {
        handles.http = Some(start_http(node, http, beside).await?);
    }
    if let Some(ws) = endpoints.ws.as_ref().filter(|ws| !shared(ws)) {
        let port = server::Port { http: None, ws: Some(node.websocket(ws)?) };
        let handle = server::start(ws.addr, ws.max_connections, port).await?;
        info!(url = %format_args!("ws://{}", handle.local_addr()), "WebSocket enabled");
        handles.ws = Some(handle);
    }
    if let Some(ipc) = &endpoints.ipc {
        let all: Vec<_> = modules().map(str::to_owned).collect();
        let bounds = Bounds { request: ipc.max_message, batch: ipc.max_batch, response: ipc.max_response };
        handles.ipc = Some(ipc::start(ipc, node.dispatch("IPC", &all, bounds)?)?);
    }
    Ok(())
}

async fn start_http(node: &Services, http: &RpcConfig, ws: Option<&WsConfig>) -> Result<RpcHandle, RpcError> {
    let bounds = Bounds { request: http.max_body, batch: http.max_batch, response: http.max_response };
    let dispatch = node.dispatch("HTTP", &http.modules, bounds)?;
    let (hosts, cors) = (gate::HostFilter::new(&http.vhosts), cors::Cors::new(&http.cors));
    let port = server::Port {
        http: Some(server::Http { dispatch, hosts, cors }),
        ws: ws.map(|ws| node.websocket(ws)).transpose()?,
    };
    let handle = server::start(http.addr, http.max_connections, port).await?;
    if ws.is_some() {
        info!(url = %format_args!("ws://{}", handle.local_addr()), "WebSocket enabled");
    }
    let (cors, vhosts) = (http.cors.join(","), http.vhosts.join(","));
    info!(endpoint = %handle.local_addr(), cors, vhosts, "HTTP server started");
    Ok(handle)
}
