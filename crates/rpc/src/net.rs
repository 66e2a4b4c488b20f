//! `net_*`, `web3_*` and `rpc_*`: what the node says about itself.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{B256, Bytes, U64, keccak256};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};

use crate::{
    api::{Answer, Api, nothing},
    params::Args,
};

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("net_version", |params, api, _| version(params, api))?;
    module.register_async_method("net_listening", |params, api, _| listening(params, api))?;
    module.register_async_method("net_peerCount", |params, api, _| peer_count(params, api))?;
    module.register_async_method("web3_clientVersion", |params, api, _| client_version(params, api))?;
    module.register_async_method("web3_sha3", |params, _, _| sha3(params))?;
    module.register_async_method("rpc_modules", |params, api, _| modules(params, api))?;
    Ok(())
}

/// The network id, as a decimal string.
async fn version(params: Params<'static>, api: Arc<Api>) -> Answer<String> {
    nothing(&params)?;
    Ok(api.client.network_id().to_string())
}

async fn listening(params: Params<'static>, api: Arc<Api>) -> Answer<bool> {
    nothing(&params)?;
    Ok(api.server.is_listening())
}

async fn peer_count(params: Params<'static>, api: Arc<Api>) -> Answer<U64> {
    nothing(&params)?;
    Ok(U64::from(api.server.peer_count()))
}

async fn client_version(params: Params<'static>, api: Arc<Api>) -> Answer<String> {
    nothing(&params)?;
    Ok(api.version.clone())
}

async fn sha3(params: Params<'static>) -> Answer<B256> {
    let data: Bytes = Args::parse(&params, 1)?.required(0)?;
    Ok(keccak256(data))
}

async fn modules(params: Params<'static>, api: Arc<Api>) -> Answer<BTreeMap<&'static str, &'static str>> {
    nothing(&params)?;
    Ok(api.modules.clone())
}
