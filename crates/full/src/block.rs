//! One block: its parts against its header, then what executing it gives against its header.

use std::sync::Arc;

use alloy_consensus::{Header, ReceiptEnvelope, Transaction, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256};
use revm::primitives::hardfork::SpecId;
use rushlight_chain::{ChainSpec, Consensus, RawBlock, SealedHeader, clique, verify_body};
use rushlight_evm::Rules;

use crate::error::{InsertError, Refusal, Rule, optional};
use crate::execute::{ExecuteError, Input, execute};
use crate::nodes::Nodes;
use crate::state::{Ancestors, State, StateError};
use crate::tries::list_root;

/// The most bytes of a block's RLP from Osaka on: 10 MiB, less 2 MiB for the beacon block around it (EIP-7934).
pub(crate) const MAX_BLOCK_BYTES: usize = 8 * 1024 * 1024;

/// A block whose parts decode and belong together.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) raw: RawBlock,
    pub(crate) header: SealedHeader,
    pub(crate) transactions: Vec<TxEnvelope>,
    pub(crate) uncles: Vec<SealedHeader>,
    pub(crate) withdrawals: Vec<Withdrawal>,
}

impl Checked {
    /// Decodes a block's parts and compares the body with the header.
    pub(crate) fn new(raw: RawBlock) -> Result<Checked, InsertError> {
        // Where not even the header decodes its number is unknown.
        let header = raw.decode_header().map_err(|error| Refusal::from(error).at(raw.hash(), 0))?;
        let body = raw.body();
        verify_body(&header, &body).map_err(|error| Refusal::from(error).of(&header))?;
        let transactions = body.decode_transactions().map_err(|error| Refusal::from(error).of(&header))?;
        let uncles = body.decode_uncle_headers().map_err(|error| Refusal::from(error).of(&header))?;
        let withdrawals = body.decode_withdrawals().map_err(|error| Refusal::from(error).of(&header))?;
        Ok(Checked { raw, header, transactions, uncles, withdrawals })
    }
}

/// Executes a block on its parent's state and compares everything that its header says of the outcome. What the block
/// adds to the tries is in `nodes` then; of a refused one too, for the caller to drop. `signer`: who signed it, on a clique
/// chain, where that is known already.
pub(crate) fn verify(
    spec: &ChainSpec,
    nodes: &Arc<Nodes>,
    block: &Checked,
    signer: Option<Address>,
    parent_root: B256,
    ancestors: &Ancestors<'_>,
) -> Result<Vec<ReceiptEnvelope>, InsertError> {
    let header = &block.header;
    let rules = Rules::at(spec, header).map_err(|fork| InsertError::NotSupported {
        hash: header.hash(),
        number: header.number,
        fork,
    })?;
    check_parts(&rules, block).map_err(|refusal| refusal.of(header))?;
    let uncles: Vec<Header> = block.uncles.iter().map(|uncle| uncle.inner().clone()).collect();
    let beneficiary = signer.map_or_else(|| beneficiary(spec, header), Ok)?;
    let input = Input { header, uncles: &uncles, withdrawals: &block.withdrawals, beneficiary };
    let delegations = rules.spec.is_enabled_in(SpecId::PRAGUE);
    let mut state = State::new(nodes.clone(), parent_root, delegations, ancestors);
    let mut transactions = block.transactions.iter();
    let outcome = execute(&rules, &input, &mut transactions, &mut state).map_err(|error| match error {
        ExecuteError::Bad(refusal) => refusal.of(header),
        ExecuteError::Local(error) => error.into(),
    })?;
    let receipts: Vec<_> = outcome.receipts.iter().map(Encodable2718::encoded_2718).collect();
    let receipts_root = list_root(nodes, &receipts).map_err(StateError::from)?;
    // The state last, since a wrong root says least of what went wrong.
    let refusal = if outcome.gas_used != header.gas_used {
        Refusal::new(Rule::GasUsed, outcome.gas_used, header.gas_used)
    } else if outcome.bloom != header.logs_bloom {
        Refusal::new(Rule::LogsBloom, outcome.bloom, header.logs_bloom)
    } else if receipts_root != header.receipts_root {
        Refusal::new(Rule::ReceiptsRoot, receipts_root, header.receipts_root)
    } else if outcome.requests_hash != header.requests_hash {
        let (expected, got) = (optional(outcome.requests_hash), optional(header.requests_hash));
        Refusal::new(Rule::RequestsHash, expected, got)
    } else if outcome.state_root != header.state_root {
        Refusal::new(Rule::StateRoot, outcome.state_root, header.state_root)
    } else {
        // The roots were compared with the body; this is for the nodes.
        list_root(nodes, &block.raw.transactions).map_err(StateError::from)?;
        list_root(nodes, block.raw.withdrawals.as_deref().unwrap_or_default()).map_err(StateError::from)?;
        return Ok(outcome.receipts);
    };
    Err(refusal.of(header))
}

/// What the forks ask of a block's parts beside what its header does.
fn check_parts(rules: &Rules, block: &Checked) -> Result<(), Refusal> {
    let size = block.raw.length();
    if rules.spec.is_enabled_in(SpecId::OSAKA) && size > MAX_BLOCK_BYTES {
        return Err(Refusal::new(Rule::BlockSize, format_args!("at most {MAX_BLOCK_BYTES} bytes"), size));
    }
    if rules.blobs.is_some() {
        let blobs: u64 = block.transactions.iter().filter_map(|transaction| transaction.blob_gas_used()).sum();
        let claimed = block.header.blob_gas_used.unwrap_or_default();
        if blobs != claimed {
            return Err(Refusal::new(Rule::BlobGasUsed, blobs, claimed));
        }
    }
    Ok(())
}

/// Who gets a block's fees and reward.
fn beneficiary(spec: &ChainSpec, header: &SealedHeader) -> Result<Address, InsertError> {
    match spec.consensus {
        Consensus::Ethash => Ok(header.beneficiary),
        // Clique's beneficiary field holds votes.
        Consensus::Clique { .. } => {
            clique::recover_signer(header).map_err(|error| Refusal::seal(&error.into(), Rule::Seal).of(header))
        }
    }
}

/// The RLP list of receipts in the form of `eth`'s messages and of era1 files.
pub(crate) fn encode_receipts(receipts: &[ReceiptEnvelope]) -> Vec<u8> {
    let mut out = Vec::new();
    alloy_rlp::encode_list(receipts, &mut out);
    out
}
