//! `eth_signTransaction` and `eth_sendTransaction`: transactions that this node fills in and signs, for its unlocked
//! accounts.

use std::sync::Arc;

use alloy_consensus::{Transaction as _, TypedTransaction};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, U256};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, Params},
};
use rushlight_chain::{SealedHeader, pool::PoolError};
use rushlight_light::call::Overrides;

use crate::{
    accounts::key,
    api::{Answer, Api},
    args::{ArgsError, TransactionArgs},
    calls::from_call,
    error::{from_client, server_error},
    params::Args,
    signed::SignedTransaction,
    submit::submit,
};

/// Wei in an ether.
const ETHER: f64 = 1e18;

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_signTransaction", |params, api, _| sign_transaction(params, api))?;
    Ok(())
}

/// What needs a pool besides.
pub(crate) fn register_sending(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_sendTransaction", |params, api, _| send_transaction(params, api))?;
    Ok(())
}

fn refused(error: ArgsError) -> ErrorObjectOwned {
    server_error(error.to_string())
}

/// Whether a transaction's fee is one that somebody may have meant, by the bound that holds for those that are sent.
fn check_fee(api: &Api, transaction: &TypedTransaction) -> Answer<()> {
    let fee = U256::from(transaction.max_fee_per_gas()).saturating_mul(U256::from(transaction.gas_limit()));
    let (fee, cap) = (f64::from(fee) / ETHER, api.submission.fee_cap);
    if cap <= 0.0 || fee <= cap {
        return Ok(());
    }
    let refused = PoolError::FeeCap { fee: format!("{fee:.2}"), cap: format!("{cap:.2}") };
    Err(server_error(refused.to_string()))
}

/// Fills in what the caller has left out, as geth does and in its order: fees, value, nonce, gas, chain id.
async fn fill(api: &Api, mut args: TransactionArgs) -> Answer<TransactionArgs> {
    if args.blobs {
        return Err(refused(ArgsError::Blobs));
    }
    let head = api.client.head().header;
    fill_fees(api, &mut args, &head).await?;
    args.value.get_or_insert_default();
    if args.nonce.is_none() {
        args.nonce = Some(next_nonce(api, args.sender(), &head).await?);
    }
    args.check_rest().map_err(refused)?;
    if args.gas.is_none() {
        let estimate = api.client.estimate_gas(&head, args.call(), Overrides::default(), &api.calls).await;
        args.gas = Some(estimate.map_err(from_call)?);
    }
    args.check_chain(api.client.chain_id()).map_err(refused)?;
    Ok(args)
}

async fn fill_fees(api: &Api, args: &mut TransactionArgs, head: &SealedHeader) -> Answer<()> {
    let missing = args.check_fees(head.base_fee_per_gas.is_some()).map_err(refused)?;
    if args.blob_versioned_hashes.is_some()
        && args.max_fee_per_blob_gas.is_none()
        && let Some(price) = api.client.blob_base_fee().map_err(from_client)?
    {
        // Twice the price: it may rise before a block takes the transaction.
        args.max_fee_per_blob_gas = Some(price.saturating_mul(2));
    }
    if !missing {
        return Ok(());
    }
    let Some(base_fee) = head.base_fee_per_gas else {
        args.gas_price = Some(api.client.suggested_tip().await.map_err(from_client)?);
        return Ok(());
    };
    let tip = match args.max_priority_fee_per_gas {
        Some(tip) => tip,
        None => api.client.suggested_tip().await.map_err(from_client)?,
    };
    let fee = args.max_fee_per_gas.unwrap_or_else(|| tip.saturating_add(u128::from(base_fee).saturating_mul(2)));
    if fee < tip {
        return Err(refused(ArgsError::TipAboveFee { fee, tip }));
    }
    (args.max_priority_fee_per_gas, args.max_fee_per_gas) = (Some(tip), Some(fee));
    Ok(())
}

/// The nonce after those in the pool, or else the proved account's.
async fn next_nonce(api: &Api, sender: Address, head: &SealedHeader) -> Answer<u64> {
    let account = api.client.account(head, sender).await.map_err(from_client)?;
    let pooled = api.pool.as_ref().and_then(|pool| pool.next_nonce(&sender));
    // The pool may not have seen yet that a block took what it holds.
    Ok(account.map_or(0, |account| account.nonce).max(pooled.unwrap_or_default()))
}

/// Signs what the caller has filled in: gas, nonce and fees must stand there.
async fn sign_transaction(params: Params<'static>, api: Arc<Api>) -> Answer<SignedTransaction> {
    let args: TransactionArgs = Args::parse(&params, 1)?.required(0)?;
    if args.gas.is_none() {
        return Err(server_error("gas not specified"));
    }
    if args.gas_price.is_none() && (args.max_fee_per_gas.is_none() || args.max_priority_fee_per_gas.is_none()) {
        return Err(server_error("missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"));
    }
    if args.nonce.is_none() {
        return Err(server_error("nonce not specified"));
    }
    let args = fill(&api, args).await?;
    let (sender, transaction) = (args.sender(), args.transaction(api.client.chain_id()));
    check_fee(&api, &transaction)?;
    Ok((&key(&api, sender)?.sign_transaction(transaction)).into())
}

/// Fills in, signs, and gives to the pool.
async fn send_transaction(params: Params<'static>, api: Arc<Api>) -> Answer<B256> {
    let args: TransactionArgs = Args::parse(&params, 1)?.required(0)?;
    let sender = args.sender();
    let key = key(&api, sender)?;
    // Held until the pool has the transaction, so that two sends at a time do not take the same nonce.
    let _turn = match (&api.accounts, args.nonce) {
        (Some(accounts), None) => Some(accounts.turn(sender).await),
        _ => None,
    };
    api.client.ready().map_err(from_client)?;
    if args.is_blob() {
        return Err(server_error("signing blob transactions not supported"));
    }
    let transaction = fill(&api, args).await?.transaction(api.client.chain_id());
    submit(&api, key.sign_transaction(transaction).encoded_2718().into()).await
}
