//! `admin_*`: the node's peers, for whoever operates it.

use std::sync::Arc;

use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};
use rushlight_p2p::{Enode, NodeInfo, PeerInfo};

use crate::{
    api::{Answer, Api, nothing},
    error::server_error,
    params::Args,
};

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("admin_nodeInfo", |params, api, _| node_info(params, api))?;
    module.register_async_method("admin_peers", |params, api, _| peers(params, api))?;
    module.register_async_method("admin_addPeer", |params, api, _| add_peer(params, api))?;
    module.register_async_method("admin_removePeer", |params, api, _| remove_peer(params, api))?;
    Ok(())
}

async fn node_info(params: Params<'static>, api: Arc<Api>) -> Answer<NodeInfo> {
    nothing(&params)?;
    Ok(api.server.node_info().await)
}

async fn peers(params: Params<'static>, api: Arc<Api>) -> Answer<Vec<PeerInfo>> {
    nothing(&params)?;
    Ok(api.server.peers().await)
}

/// True means, as in geth, that the peer is now one to be dialled and kept, not that it is there.
async fn add_peer(params: Params<'static>, api: Arc<Api>) -> Answer<bool> {
    let enode = enode(&params)?;
    api.server.add_peer(enode).await;
    Ok(true)
}

/// True whether or not there was such a peer, as in geth.
async fn remove_peer(params: Params<'static>, api: Arc<Api>) -> Answer<bool> {
    let enode = enode(&params)?;
    api.server.remove_peer(enode.id).await;
    Ok(true)
}

fn enode(params: &Params<'_>) -> Answer<Enode> {
    let url: String = Args::parse(params, 1)?.required(0)?;
    url.parse().map_err(|error| server_error(format!("invalid enode: {error}")))
}
