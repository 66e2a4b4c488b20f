//! What a dapp or a wallet can ask: JSON-RPC over HTTP, in the shapes and with the error codes of the
//! [execution-apis](https://github.com/ethereum/execution-apis) specification, and go-ethereum's ways where that is
//! silent.
//!
//! ```text
//! server   the listener; one task a connection, bounds of number, bytes and time
//! gate     which HTTP requests are JSON-RPC at all: host filter, method, content type (pure)
//! rules    around every call: unknown methods, batches, the deadline
//! api      which modules are on, which methods they have
//! eth, net, admin   the methods: arguments in, LightClient asked, shapes out
//! params   arguments, read as strictly as geth reads them (pure)
//! shapes   blocks, transactions and proofs as JSON (pure)
//! error    ClientError to code and message: one table
//! ```
//!
//! Everything reads through [`rushlight_light::LightClient`], so the same server stands before a light node and a full
//! one. Nothing here is spawned on behalf of a call: when a client hangs up, its work ends with it.

mod admin;
mod api;
pub mod config;
mod error;
mod eth;
mod gate;
mod net;
mod params;
mod rules;
mod server;
mod shapes;

use std::sync::Arc;

use rushlight_light::LightClient;
use rushlight_p2p::ServerHandle;

pub use config::RpcConfig;
pub use error::RpcError;
pub use server::RpcHandle;

/// Every module that `--http.api` may name.
pub fn modules() -> impl Iterator<Item = &'static str> {
    api::MODULES.into_iter().map(|(name, _)| name)
}

/// Listens on `config.addr` and answers from `client`, `server` (the peers) and `version` (`web3_clientVersion`),
/// until the handle is shut down.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    config: RpcConfig,
    client: Arc<LightClient>,
    server: ServerHandle,
    version: impl Into<String>,
) -> Result<RpcHandle, RpcError> {
    let modules = api::choose(&config.modules);
    let api = api::Api { client, server, version: version.into(), modules };
    let (methods, names) = api::methods(api)?;
    let limits =
        rules::Limits { methods: names, max_batch: config.max_batch, max_response: config.max_response as usize };
    server::start(&config, methods, limits).await
}
