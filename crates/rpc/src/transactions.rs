//! Transactions by their hash, and receipts. A transaction is answered only where its block is known; bytes that hash to
//! it, found somewhere, would prove no inclusion.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::TransactionReceipt;
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};
use rushlight_light::{Location, Mined};
use serde_json::Value;

use crate::{
    api::{Answer, Api},
    error::from_client,
    eth::find_block,
    params::Args,
    shapes,
};

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_getTransactionByHash", |params, api, _| by_hash(params, api))?;
    module.register_async_method("eth_getRawTransactionByHash", |params, api, _| raw_by_hash(params, api))?;
    module.register_async_method("eth_getTransactionReceipt", |params, api, _| receipt(params, api))?;
    module.register_async_method("eth_getBlockReceipts", |params, api, _| block_receipts(params, api))?;
    Ok(())
}

/// The transaction in its canonical block; `None` is "not known here".
pub(crate) async fn find(api: &Api, hash: &B256) -> Answer<Option<Mined>> {
    let pooled = api.pool.as_ref().and_then(|pool| pool.tracked(hash)?.included);
    let told = pooled.map(|place| Location { block: place.block, index: place.index });
    api.client.transaction(hash, told).await.map_err(from_client)
}

async fn by_hash(params: Params<'static>, api: Arc<Api>) -> Answer<Option<Value>> {
    let hash: B256 = Args::parse(&params, 1)?.required(0)?;
    if let Some(mined) = find(&api, &hash).await? {
        let transaction = shapes::mined(&mined.header, mined.index, mined.transaction);
        return shapes::json(&transaction).map(Some);
    }
    let pooled = api.pool.as_ref().and_then(|pool| pool.get(&hash));
    pooled.map(|pooled| shapes::pending(&pooled)).transpose()
}

/// As it stands in its block; one that waits as it is sent, with its blobs.
async fn raw_by_hash(params: Params<'static>, api: Arc<Api>) -> Answer<Option<Bytes>> {
    let hash: B256 = Args::parse(&params, 1)?.required(0)?;
    if let Some(mined) = find(&api, &hash).await? {
        return Ok(Some(mined.raw));
    }
    Ok(api.pool.as_ref().and_then(|pool| pool.get(&hash)).map(|pooled| pooled.raw().clone()))
}

async fn receipt(params: Params<'static>, api: Arc<Api>) -> Answer<Option<TransactionReceipt>> {
    let hash: B256 = Args::parse(&params, 1)?.required(0)?;
    let Some(mined) = find(&api, &hash).await? else { return Ok(None) };
    let receipt = api.client.receipt(&mined).await.map_err(from_client)?;
    Ok(Some(shapes::receipt(&mined.header, mined.index, &mined.transaction, receipt)))
}

async fn block_receipts(params: Params<'static>, api: Arc<Api>) -> Answer<Option<Vec<TransactionReceipt>>> {
    let block: BlockId = Args::parse(&params, 1)?.required(0)?;
    let Some(block) = find_block(&api, block).await? else { return Ok(None) };
    let receipts = api.client.block_receipts(&block.header, &block.transactions).await.map_err(from_client)?;
    let with_transactions = (0..).zip(&block.transactions).zip(receipts);
    let shaped = with_transactions.map(|((index, tx), receipt)| shapes::receipt(&block.header, index, tx, receipt));
    Ok(Some(shaped.collect()))
}
