//! `txpool_*`: what waits for a block, in geth's shapes.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};
use rushlight_chain::pool::{ByNonce, PoolTransaction};
use serde::Serialize;
use serde_json::Value;

use crate::{
    api::{Answer, Api, nothing},
    params::Args,
    shapes,
    submit::pool,
};

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("txpool_status", |params, api, _| status(params, api))?;
    module.register_async_method("txpool_content", |params, api, _| content(params, api))?;
    module.register_async_method("txpool_contentFrom", |params, api, _| content_from(params, api))?;
    module.register_async_method("txpool_inspect", |params, api, _| inspect(params, api))?;
    Ok(())
}

/// Something of those that can stand in the next block, and of those that wait for one with a lower nonce.
#[derive(Debug, Clone, Serialize)]
struct Parts<T> {
    pending: T,
    queued: T,
}

/// By nonce, in decimal.
type Flat<T> = BTreeMap<String, T>;
/// By address, with its checksum.
type BySender<T> = BTreeMap<String, Flat<T>>;

async fn status(params: Params<'static>, api: Arc<Api>) -> Answer<Parts<U64>> {
    nothing(&params)?;
    let content = pool(&api)?.content();
    let count = |of: &BTreeMap<Address, ByNonce>| U64::from(of.values().map(BTreeMap::len).sum::<usize>());
    Ok(Parts { pending: count(&content.pending), queued: count(&content.queued) })
}

async fn content(params: Params<'static>, api: Arc<Api>) -> Answer<Parts<BySender<Value>>> {
    nothing(&params)?;
    all(&api, shapes::pending)
}

async fn content_from(params: Params<'static>, api: Arc<Api>) -> Answer<Parts<Flat<Value>>> {
    let address: Address = Args::parse(&params, 1)?.required(0)?;
    let content = pool(&api)?.content();
    let of = |by_sender: &BTreeMap<Address, ByNonce>| match by_sender.get(&address) {
        Some(of_sender) => flat(of_sender, shapes::pending),
        None => Ok(BTreeMap::new()),
    };
    Ok(Parts { pending: of(&content.pending)?, queued: of(&content.queued)? })
}

async fn inspect(params: Params<'static>, api: Arc<Api>) -> Answer<Parts<BySender<String>>> {
    nothing(&params)?;
    all(&api, |tx| Ok(summary(tx)))
}

fn all<T>(api: &Api, shape: impl Fn(&PoolTransaction) -> Answer<T>) -> Answer<Parts<BySender<T>>> {
    let content = pool(api)?.content();
    let of = |by_sender: BTreeMap<Address, ByNonce>| -> Answer<BySender<T>> {
        by_sender.iter().map(|(sender, of)| Ok((sender.to_checksum(None), flat(of, &shape)?))).collect()
    };
    Ok(Parts { pending: of(content.pending)?, queued: of(content.queued)? })
}

fn flat<T>(of_sender: &ByNonce, shape: impl Fn(&PoolTransaction) -> Answer<T>) -> Answer<Flat<T>> {
    of_sender.iter().map(|(nonce, tx)| Ok((nonce.to_string(), shape(tx)?))).collect()
}

/// One line for one transaction.
fn summary(tx: &PoolTransaction) -> String {
    let to = tx.tx().to().map_or("contract creation".to_owned(), |to| to.to_checksum(None));
    let (value, gas, price) = (tx.tx().value(), tx.tx().gas_limit(), tx.tx().max_fee_per_gas());
    format!("{to}: {value} wei + {gas} gas × {price} wei")
}
