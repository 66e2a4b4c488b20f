//! Headers by themselves, and the bytes of transactions by their place.

use std::sync::Arc;

use alloy_eips::{BlockNumberOrTag, eip2718::Encodable2718 as _};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::Header;
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};

use crate::{
    api::{Answer, Api},
    eth::{Name, find, find_block, name_and_index},
    params::Args,
};

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_getHeaderByNumber", |params, api, _| header::<BlockNumberOrTag>(params, api))?;
    module.register_async_method("eth_getHeaderByHash", |params, api, _| header::<B256>(params, api))?;
    module.register_async_method("eth_getRawTransactionByBlockNumberAndIndex", |params, api, _| {
        raw_transaction::<BlockNumberOrTag>(params, api)
    })?;
    module.register_async_method("eth_getRawTransactionByBlockHashAndIndex", |params, api, _| {
        raw_transaction::<B256>(params, api)
    })?;
    Ok(())
}

/// A header without what only its body tells: no download.
async fn header<N: Name>(params: Params<'static>, api: Arc<Api>) -> Answer<Option<Header>> {
    let name: N = Args::parse(&params, 1)?.required(0)?;
    Ok(find(&api, name).await?.map(|header| Header::from_consensus(header, None, None)))
}

/// The transaction as it stands in its block; no bytes where there is none, as in geth.
async fn raw_transaction<N: Name>(params: Params<'static>, api: Arc<Api>) -> Answer<Bytes> {
    let (name, index) = name_and_index::<N>(&params)?;
    let block = find_block(&api, name).await?;
    let raw = block.and_then(|block| block.transactions.get(index).map(|tx| tx.encoded_2718()));
    Ok(raw.unwrap_or_default().into())
}
