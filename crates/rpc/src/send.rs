//! `eth_signTransaction` and `eth_sendTransaction`: transactions that this node fills in and signs, for its unlocked
//! accounts.

use std::sync::Arc;

use alloy_consensus::{Transaction as _, TypedTransaction};
use alloy_primitives::U256;
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};
use rushlight_chain::pool::PoolError;

use crate::{
    accounts::key,
    api::{Answer, Api},
    args::{ArgsError, TransactionArgs},
    error::server_error,
    params::Args,
    signed::SignedTransaction,
};

/// Highest fee of a transaction that is signed here, in wei: 1 ether, geth's default. What costs more is a mistake.
const FEE_CAP: u128 = 1_000_000_000_000_000_000;

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_signTransaction", |params, api, _| sign_transaction(params, api))?;
    Ok(())
}

fn refused(error: ArgsError) -> jsonrpsee::types::ErrorObjectOwned {
    server_error(error.to_string())
}

/// Whether a transaction's fee is one that somebody may have meant.
fn check_fee(transaction: &TypedTransaction) -> Answer<()> {
    let fee = U256::from(transaction.max_fee_per_gas()).saturating_mul(U256::from(transaction.gas_limit()));
    if fee <= U256::from(FEE_CAP) {
        return Ok(());
    }
    let ether = |wei: U256| format!("{:.2}", f64::from(wei) / FEE_CAP as f64);
    let refused = PoolError::FeeCap { fee: ether(fee), cap: ether(U256::from(FEE_CAP)) };
    Err(server_error(refused.to_string()))
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
    if args.blobs {
        return Err(refused(ArgsError::Blobs));
    }
    let london = api.client.head().header.base_fee_per_gas.is_some();
    args.check_fees(london).and_then(|_| args.check_rest()).map_err(refused)?;
    let chain_id = api.client.chain_id();
    args.check_chain(chain_id).map_err(refused)?;
    let (sender, transaction) = (args.sender(), args.transaction(chain_id));
    check_fee(&transaction)?;
    Ok((&key(&api, sender)?.sign_transaction(transaction)).into())
}
