//! `eth_*`: the chain and the state, each answer proved against a verified header.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{Block as RpcBlock, Transaction};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};
use rushlight_chain::SealedHeader;
use rushlight_light::{Block, ClientError};
use serde::Serialize;

use crate::{
    api::{Answer, Api, nothing},
    config::MAX_PROOF_KEYS,
    error::{from_client, invalid_params},
    params::{Args, Argument, Quantity, StorageKey},
    shapes::{self, AccountProof, StorageProof, Syncing},
};

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_chainId", |params, api, _| chain_id(params, api))?;
    module.register_async_method("eth_syncing", |params, api, _| syncing(params, api))?;
    module.register_async_method("eth_blockNumber", |params, api, _| block_number(params, api))?;

    module.register_async_method("eth_getBlockByNumber", |params, api, _| block::<BlockNumberOrTag>(params, api))?;
    module.register_async_method("eth_getBlockByHash", |params, api, _| block::<B256>(params, api))?;
    module.register_async_method("eth_getBlockTransactionCountByNumber", |params, api, _| {
        transaction_count::<BlockNumberOrTag>(params, api)
    })?;
    module.register_async_method("eth_getBlockTransactionCountByHash", |params, api, _| {
        transaction_count::<B256>(params, api)
    })?;
    module.register_async_method("eth_getUncleCountByBlockNumber", |params, api, _| {
        uncle_count::<BlockNumberOrTag>(params, api)
    })?;
    module.register_async_method("eth_getUncleCountByBlockHash", |params, api, _| uncle_count::<B256>(params, api))?;
    module.register_async_method("eth_getUncleByBlockNumberAndIndex", |params, api, _| {
        uncle::<BlockNumberOrTag>(params, api)
    })?;
    module.register_async_method("eth_getUncleByBlockHashAndIndex", |params, api, _| uncle::<B256>(params, api))?;
    module.register_async_method("eth_getTransactionByBlockNumberAndIndex", |params, api, _| {
        transaction::<BlockNumberOrTag>(params, api)
    })?;
    module.register_async_method("eth_getTransactionByBlockHashAndIndex", |params, api, _| {
        transaction::<B256>(params, api)
    })?;

    module.register_async_method("eth_getBalance", |params, api, _| balance(params, api))?;
    module.register_async_method("eth_getTransactionCount", |params, api, _| nonce(params, api))?;
    module.register_async_method("eth_getCode", |params, api, _| code(params, api))?;
    module.register_async_method("eth_getStorageAt", |params, api, _| storage_at(params, api))?;
    module.register_async_method("eth_getProof", |params, api, _| proof(params, api))?;
    Ok(())
}

async fn chain_id(params: Params<'static>, api: Arc<Api>) -> Answer<U64> {
    nothing(&params)?;
    Ok(U64::from(api.client.chain_id()))
}

async fn block_number(params: Params<'static>, api: Arc<Api>) -> Answer<U64> {
    nothing(&params)?;
    api.client.ready().map_err(from_client)?;
    Ok(U64::from(api.client.head().header.number))
}

/// `false`, or how far the chain that is being followed has come.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum SyncState {
    Synced(bool),
    Syncing(Syncing),
}

async fn syncing(params: Params<'static>, api: Arc<Api>) -> Answer<SyncState> {
    nothing(&params)?;
    Ok(api.client.syncing().map_or(SyncState::Synced(false), |progress| {
        SyncState::Syncing(Syncing {
            starting_block: U64::from(progress.starting),
            current_block: U64::from(progress.current),
            highest_block: U64::from(progress.highest),
        })
    }))
}

/// A header, or `None` where no such block is known: methods that return a block say `null` then, and no error.
/// `safe` and `finalized` are errors all the same, as in geth.
pub(crate) async fn find(api: &Api, block: impl Into<BlockId> + Send) -> Answer<Option<SealedHeader>> {
    match api.client.resolve(block.into()).await {
        Ok(header) => Ok(Some(header)),
        Err(ClientError::UnknownNumber(_) | ClientError::UnknownHash(_)) => Ok(None),
        Err(error) => Err(from_client(error)),
    }
}

/// A way to name a block: [`BlockNumberOrTag`] in the `…ByNumber` methods, [`B256`] in the `…ByHash` ones.
pub(crate) trait Name: Argument + Into<BlockId> + Send {}

impl<T: Argument + Into<BlockId> + Send> Name for T {}

/// The block of that name with its body, downloaded and checked against the header.
pub(crate) async fn find_block(api: &Api, name: impl Name) -> Answer<Option<Block>> {
    match find(api, name).await? {
        Some(header) => api.client.block(&header).await.map(Some).map_err(from_client),
        None => Ok(None),
    }
}

async fn block<N: Name>(params: Params<'static>, api: Arc<Api>) -> Answer<Option<RpcBlock>> {
    let args = Args::parse(&params, 2)?;
    let (name, full): (N, bool) = (args.required(0)?, args.required(1)?);
    Ok(find_block(&api, name).await?.map(|block| shapes::block(&block, full)))
}

async fn transaction_count<N: Name>(params: Params<'static>, api: Arc<Api>) -> Answer<Option<U64>> {
    let name: N = Args::parse(&params, 1)?.required(0)?;
    Ok(find_block(&api, name).await?.map(|block| U64::from(block.transactions.len())))
}

async fn uncle_count<N: Name>(params: Params<'static>, api: Arc<Api>) -> Answer<Option<U64>> {
    let name: N = Args::parse(&params, 1)?.required(0)?;
    Ok(find_block(&api, name).await?.map(|block| U64::from(block.uncles.len())))
}

async fn uncle<N: Name>(params: Params<'static>, api: Arc<Api>) -> Answer<Option<RpcBlock>> {
    let (name, index) = name_and_index::<N>(&params)?;
    let block = find_block(&api, name).await?;
    Ok(block.and_then(|block| block.uncles.get(index).map(shapes::uncle)))
}

async fn transaction<N: Name>(params: Params<'static>, api: Arc<Api>) -> Answer<Option<Transaction>> {
    let (name, index) = name_and_index::<N>(&params)?;
    let block = find_block(&api, name).await?;
    Ok(block.and_then(|block| shapes::transaction(&block, index)))
}

pub(crate) fn name_and_index<N: Name>(params: &Params<'_>) -> Answer<(N, usize)> {
    let args = Args::parse(params, 2)?;
    let (name, Quantity(index)) = (args.required(0)?, args.required(1)?);
    // No block has an item past usize; such an index names nothing, like any other past the end.
    Ok((name, usize::try_from(index).unwrap_or(usize::MAX)))
}

/// The header whose state a method reads: argument `index`, the latest where it is left out.
pub(crate) async fn state_at(api: &Api, args: &Args<'_>, index: usize) -> Answer<SealedHeader> {
    let block = args.optional(index)?.unwrap_or_else(BlockId::latest);
    api.client.resolve(block).await.map_err(from_client)
}

async fn balance(params: Params<'static>, api: Arc<Api>) -> Answer<U256> {
    let args = Args::parse(&params, 2)?;
    let address: Address = args.required(0)?;
    let header = state_at(&api, &args, 1).await?;
    let account = api.client.account(&header, address).await.map_err(from_client)?;
    Ok(account.map_or(U256::ZERO, |account| account.balance))
}

async fn nonce(params: Params<'static>, api: Arc<Api>) -> Answer<U64> {
    let args = Args::parse(&params, 2)?;
    let address: Address = args.required(0)?;
    let pending = args.optional(1)? == Some(BlockId::pending());
    let header = state_at(&api, &args, 1).await?;
    let account = api.client.account(&header, address).await.map_err(from_client)?;
    let nonce = account.map_or(0, |account| account.nonce);
    // What waits in the pool counts too.
    let pooled = api.pool.as_ref().filter(|_| pending).and_then(|pool| pool.next_nonce(&address));
    Ok(U64::from(pooled.map_or(nonce, |pooled| pooled.max(nonce))))
}

async fn code(params: Params<'static>, api: Arc<Api>) -> Answer<Bytes> {
    let args = Args::parse(&params, 2)?;
    let address: Address = args.required(0)?;
    let header = state_at(&api, &args, 1).await?;
    api.client.code(&header, address).await.map_err(from_client)
}

/// The slot's value, always as 32 bytes.
async fn storage_at(params: Params<'static>, api: Arc<Api>) -> Answer<B256> {
    let args = Args::parse(&params, 3)?;
    let (address, key): (Address, StorageKey) = (args.required(0)?, args.required(1)?);
    let header = state_at(&api, &args, 2).await?;
    let value = api.client.storage(&header, address, key.slot).await.map_err(from_client)?;
    Ok(value.into())
}

/// An absent account is proved too: its values are those of an account without anything.
async fn proof(params: Params<'static>, api: Arc<Api>) -> Answer<AccountProof> {
    let args = Args::parse(&params, 3)?;
    let (address, keys): (Address, Vec<StorageKey>) = (args.required(0)?, args.required(1)?);
    if keys.len() > MAX_PROOF_KEYS {
        let message = format!("too many storage keys requested (max {MAX_PROOF_KEYS}, got {})", keys.len());
        return Err(invalid_params(message));
    }
    let header = state_at(&api, &args, 2).await?;
    let slots: Vec<B256> = keys.iter().map(|key| key.slot).collect();
    let proof = api.client.proof(&header, address, &slots).await.map_err(from_client)?;
    let storage_proof = keys
        .iter()
        .zip(proof.storage)
        .map(|(key, slot)| StorageProof { key: key.echo(), value: slot.value, proof: slot.proof })
        .collect();
    Ok(AccountProof {
        address,
        account_proof: proof.account_proof,
        balance: proof.account.balance,
        code_hash: proof.account.code_hash,
        nonce: U64::from(proof.account.nonce),
        storage_hash: proof.account.storage_root,
        storage_proof,
    })
}
