//! Transactions on their way into the pool, and where they stand.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes, U64, U256};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    types::{ErrorObject, ErrorObjectOwned, Params},
};
use rushlight_chain::pool::{PoolError, PoolTransaction, SubmitError, Tracked, TransactionPool};
use serde::Serialize;
use serde_json::Value;
use tracing::info;

use crate::{
    api::{Answer, Api, nothing},
    error::{SERVER_ERROR, from_client, server_error},
    params::Args,
    shapes, transactions,
};

/// Wei in an ether.
const ETHER: f64 = 1e18;

/// What JSON-RPC asks of a transaction before the pool does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Submission {
    /// The most that a transaction may pay for its gas, in ether; 0 for no bound. Default 1.
    pub fee_cap: f64,
    /// Whether transactions are taken that are valid on every chain (without EIP-155). Default no.
    pub allow_unprotected: bool,
}

impl Default for Submission {
    fn default() -> Self {
        Self { fee_cap: 1.0, allow_unprotected: false }
    }
}

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_sendRawTransaction", |params, api, _| send_raw(params, api))?;
    module.register_async_method("eth_pendingTransactions", |params, api, _| pending(params, api))?;
    module.register_async_method("rushlight_transactionStatus", |params, api, _| status(params, api))?;
    Ok(())
}

async fn send_raw(params: Params<'static>, api: Arc<Api>) -> Answer<B256> {
    let raw: Bytes = Args::parse(&params, 1)?.required(0)?;
    submit(&api, raw).await
}

/// Checks what the operator asks of a transaction, in geth's order, and gives it to the pool.
pub(crate) async fn submit(api: &Api, raw: Bytes) -> Answer<B256> {
    let pool = pool(api)?;
    let tx = PoolTransaction::decode(raw.clone()).map_err(|error| refused(error.into()))?;
    api.submission.allows(&tx).map_err(|error| refused(error.into()))?;
    let hash = pool.submit(raw).await.map_err(refused)?;
    let (sender, nonce, value) = (tx.sender(), tx.tx().nonce(), tx.tx().value());
    match tx.tx().to() {
        Some(recipient) => info!(%hash, from = %sender, nonce, %recipient, %value, "Submitted transaction"),
        None => {
            let contract = sender.create(nonce);
            info!(%hash, from = %sender, nonce, %contract, %value, "Submitted contract creation");
        }
    }
    Ok(hash)
}

impl Submission {
    fn allows(&self, tx: &PoolTransaction) -> Result<(), PoolError> {
        let fee = U256::from(tx.tx().max_fee_per_gas()).saturating_mul(U256::from(tx.tx().gas_limit()));
        let fee = f64::from(fee) / ETHER;
        if self.fee_cap > 0.0 && fee > self.fee_cap {
            return Err(PoolError::FeeCap { fee: format!("{fee:.2}"), cap: format!("{:.2}", self.fee_cap) });
        }
        if !self.allow_unprotected && tx.tx().chain_id().is_none() {
            return Err(PoolError::Unprotected);
        }
        Ok(())
    }
}

/// What a caller is told of a transaction that was not taken: geth's words and its one code.
fn refused(error: SubmitError) -> ErrorObjectOwned {
    match error {
        SubmitError::Unproven { message, data } => ErrorObject::owned(SERVER_ERROR, message, data),
        other => server_error(other.to_string()),
    }
}

pub(crate) fn pool(api: &Api) -> Answer<&Arc<dyn TransactionPool>> {
    api.pool.as_ref().ok_or_else(|| server_error("this node has no transaction pool"))
}

/// Every transaction of the pool that can stand in the next block: geth leaves out those of others, and here are none.
async fn pending(params: Params<'static>, api: Arc<Api>) -> Answer<Vec<Value>> {
    nothing(&params)?;
    let content = pool(&api)?.content();
    content.pending.values().flat_map(|of_sender| of_sender.values()).map(|tx| shapes::pending(tx)).collect()
}

/// What is known of a transaction.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    hash: B256,
    status: &'static str,
    /// Sessions that it was sent on.
    sent: U64,
    /// Peers that have told of it.
    heard: U64,
    block: Option<InBlock>,
}

/// Where it stands, and what proves that.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct InBlock {
    hash: B256,
    number: U64,
    index: U64,
    /// Blocks of the canonical chain above it.
    depth: U64,
    transactions_root: B256,
    receipts_root: B256,
    /// The key in both tries.
    key: Bytes,
    transaction_proof: Vec<Bytes>,
    receipt_proof: Vec<Bytes>,
}

async fn status(params: Params<'static>, api: Arc<Api>) -> Answer<Option<Status>> {
    let hash: B256 = Args::parse(&params, 1)?.required(0)?;
    let pooled = api.pool.as_ref().and_then(|pool| Some((pool.tracked(&hash)?, pool.get(&hash).is_some())));
    let mined = transactions::find(&api, &hash).await?;
    if pooled.is_none() && mined.is_none() {
        return Ok(None);
    }
    let (Tracked { sent, heard, queued, .. }, held) = pooled.unwrap_or_default();
    let block = match mined {
        None => None,
        Some(mined) => {
            let proof = api.client.inclusion_proof(&mined.header, mined.index).await.map_err(from_client)?;
            let depth = api.client.head().header.number.saturating_sub(mined.header.number);
            Some(InBlock {
                hash: mined.header.hash(),
                number: U64::from(mined.header.number),
                index: U64::from(mined.index),
                depth: U64::from(depth),
                transactions_root: mined.header.transactions_root,
                receipts_root: mined.header.receipts_root,
                key: proof.key,
                transaction_proof: proof.transaction,
                receipt_proof: proof.receipt,
            })
        }
    };
    let status = match (&block, held, queued) {
        (Some(_), ..) => "included",
        (None, false, _) => "superseded",
        (None, true, true) => "queued",
        (None, true, false) => "pending",
    };
    Ok(Some(Status { hash, status, sent: U64::from(sent), heard: U64::from(heard), block }))
}
