//! Blocks with their bodies, decoded.

use alloy_consensus::{
    TxEnvelope,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::U256;
use rushlight_chain::{
    SealedHeader,
    block::{Body, RawBlock},
    header,
};

use crate::ClientError;

/// A block whose body was checked against its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The verified header.
    pub header: SealedHeader,
    /// The transactions in order, each with the sender recovered from its signature.
    pub transactions: Vec<Recovered<TxEnvelope>>,
    /// The headers of the uncles.
    pub uncles: Vec<SealedHeader>,
    /// The withdrawals (EIP-4895); `None` before Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Total difficulty, the block's own included; `None` where the chain does not know it.
    pub td: Option<U256>,
    /// Bytes of the block's RLP, as `eth_getBlockByHash` has it.
    pub size: u64,
}

impl Block {
    /// Decodes a body that was checked against `header`.
    pub(crate) fn decode(header: SealedHeader, body: Body, td: Option<U256>) -> Result<Self, ClientError> {
        let what = |part: &str| format!("{part} of block {}", header.number);
        let uncles = body.decode_uncle_headers().map_err(|error| ClientError::malformed(what("an uncle"), error))?;
        let transactions =
            body.decode_transactions().map_err(|error| ClientError::malformed(what("a transaction"), error))?;
        let withdrawals =
            body.decode_withdrawals().map_err(|error| ClientError::malformed(what("a withdrawal"), error))?;
        let withdrawals = body.withdrawals.is_some().then_some(withdrawals);
        // Which signatures count is for consensus, which took the block: before Homestead (EIP-2) high ones did too.
        let transactions = transactions
            .into_iter()
            .map(SignerRecoverable::try_into_recovered_unchecked)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ClientError::malformed(what("a signature"), error))?;
        let size = RawBlock::from_parts(header::encode(&header), body).encode().len() as u64;
        Ok(Self { header, transactions, uncles, withdrawals, td, size })
    }
}
