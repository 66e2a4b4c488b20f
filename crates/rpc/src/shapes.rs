//! Blocks, transactions and proofs in the shapes of the
//! [execution-apis](https://github.com/ethereum/execution-apis) specification, as geth fills them.

use alloy_consensus::{
    Transaction as _, TxEnvelope,
    transaction::{Recovered, TransactionInfo},
};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{Block as RpcBlock, BlockTransactions, Header, Log, Transaction, TransactionReceipt};
use rushlight_chain::{SealedHeader, pool::PoolTransaction};
use rushlight_light::{Block, MinedReceipt};
use serde::Serialize;
use serde_json::Value;

use crate::{api::Answer, error::internal_error};

/// A block with its transactions, whole or as hashes. `totalDifficulty` stands in it where it is known: the
/// specification has dropped it, wallets of before the merge ask for it.
pub(crate) fn block(block: &Block, full: bool) -> RpcBlock {
    let hash = block.header.hash();
    let header = Header::from_consensus(block.header.clone(), block.td, Some(U256::from(block.size)));
    let transactions = if full {
        BlockTransactions::Full((0..block.transactions.len()).filter_map(|index| transaction(block, index)).collect())
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|tx| *tx.tx_hash()).collect())
    };
    let uncles = block.uncles.iter().map(|uncle| uncle.hash()).collect();
    debug_assert_eq!(hash, header.hash);
    let withdrawals = block.withdrawals.clone().map(Into::into);
    RpcBlock::new(header, transactions).with_uncles(uncles).with_withdrawals(withdrawals)
}

/// The transaction at `index`, or `None` past the last one.
pub(crate) fn transaction(block: &Block, index: usize) -> Option<Transaction> {
    block.transactions.get(index).map(|tx| mined(&block.header, index as u64, tx.clone()))
}

/// A transaction in its block.
pub(crate) fn mined(header: &SealedHeader, index: u64, tx: Recovered<TxEnvelope>) -> Transaction {
    let info = TransactionInfo {
        hash: Some(*tx.tx_hash()),
        index: Some(index),
        block_hash: Some(header.hash()),
        block_number: Some(header.number),
        base_fee: header.base_fee_per_gas,
        block_timestamp: Some(header.timestamp),
    };
    // Those of a simulation may pay less than the base fee.
    let price = tx.effective_gas_price(header.base_fee_per_gas);
    Transaction { effective_gas_price: Some(price), ..Transaction::from_transaction(tx, info) }
}

/// A transaction that waits for a block: what a block would say is null.
pub(crate) fn pending(tx: &PoolTransaction) -> Answer<Value> {
    let recovered = Recovered::new_unchecked(tx.to_block(), tx.sender());
    let mut value = json(&Transaction::from_transaction(recovered, TransactionInfo::default()))?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("blockTimestamp".to_owned(), Value::Null);
    }
    Ok(value)
}

/// A receipt with all that is derived, as geth derives it.
pub(crate) fn receipt(
    header: &SealedHeader,
    index: u64,
    tx: &Recovered<TxEnvelope>,
    derived: MinedReceipt,
) -> TransactionReceipt {
    let (block_hash, block_number) = (Some(header.hash()), Some(header.number));
    let transaction_hash = *tx.tx_hash();
    let mut log_index = derived.first_log;
    let inner = derived.receipt.map_logs(|log| {
        let shaped = Log {
            inner: log,
            block_hash,
            block_number,
            block_timestamp: Some(header.timestamp),
            transaction_hash: Some(transaction_hash),
            transaction_index: Some(index),
            log_index: Some(log_index),
            removed: false,
        };
        log_index += 1;
        shaped
    });
    TransactionReceipt {
        inner,
        transaction_hash,
        transaction_index: Some(index),
        block_hash,
        block_number,
        gas_used: derived.gas_used,
        effective_gas_price: derived.effective_gas_price,
        blob_gas_used: tx.blob_gas_used(),
        blob_gas_price: derived.blob_gas_price,
        from: tx.signer(),
        to: tx.to(),
        contract_address: tx.to().is_none().then(|| tx.signer().create(tx.nonce())),
    }
}

/// Whatever serialises, as a JSON value.
pub(crate) fn json(value: &impl Serialize) -> Answer<Value> {
    serde_json::to_value(value).map_err(|_| internal_error())
}

/// An uncle: a block without a body and, as in geth, without total difficulty. Its size is that of the block with
/// an empty body.
pub(crate) fn uncle(header: &SealedHeader) -> RpcBlock {
    RpcBlock::uncle_from_header(header.inner().clone())
}

/// The answer of `eth_getProof`, [EIP-1186](https://eips.ethereum.org/EIPS/eip-1186).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountProof {
    pub(crate) address: Address,
    pub(crate) account_proof: Vec<Bytes>,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
    pub(crate) nonce: U64,
    pub(crate) storage_hash: B256,
    pub(crate) storage_proof: Vec<StorageProof>,
}

/// One slot of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StorageProof {
    /// The key as it was asked for, see [`crate::params::StorageKey::echo`].
    pub(crate) key: String,
    pub(crate) value: U256,
    pub(crate) proof: Vec<Bytes>,
}

/// `eth_syncing` while a chain is being followed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Syncing {
    pub(crate) starting_block: U64,
    pub(crate) current_block: U64,
    pub(crate) highest_block: U64,
}
