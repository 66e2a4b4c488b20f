//! Blocks, transactions and proofs in the shapes of the
//! [execution-apis](https://github.com/ethereum/execution-apis) specification, as geth fills them.

use alloy_consensus::transaction::TransactionInfo;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{Block as RpcBlock, BlockTransactions, Header, Transaction};
use rushlight_chain::SealedHeader;
use rushlight_light::Block;
use serde::Serialize;

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
    let tx = block.transactions.get(index)?;
    let info = TransactionInfo {
        hash: Some(*tx.tx_hash()),
        index: Some(index as u64),
        block_hash: Some(block.header.hash()),
        block_number: Some(block.header.number),
        base_fee: block.header.base_fee_per_gas,
        block_timestamp: Some(block.header.timestamp),
    };
    Some(Transaction::from_transaction(tx.clone(), info))
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
