//! One simulated block after the other, as geth executes them.

use alloy_consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, proofs, transaction::Recovered,
};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_evm::{EthEvm, EthEvmFactory, EvmFactory, precompiles::PrecompilesMap};
use alloy_primitives::{Bytes, U256};
use revm::{Database, DatabaseCommit, inspector::NoOpInspector, primitives::hardfork::SpecId};
use rushlight_chain::{
    ChainSpec, Fork, SealedHeader,
    block::{Body, RawBlock},
    header,
};
use rushlight_evm::{
    meter,
    system::{self, SystemError},
};

use super::{
    BlockRequest, MOST_OUTPUT, Outcome, SimulateError, SimulateRequest, SimulatedBlock, SimulatedCall, Stop,
    logs::Tracer,
    plan::{self, Planned},
    state::Working,
};
use crate::{
    Block,
    call::{
        ApplyError, BlockOverrides, CallError, CallRequest, Checks, Ended, Executed, Ground, Halted, Numbering,
        Precompiles, Setting, TransactError, Unsigned, apply, transact,
    },
};

/// Makes the blocks of one simulation.
pub(super) struct Simulator<'a> {
    spec: &'a ChainSpec,
    base: &'a SealedHeader,
    request: &'a SimulateRequest,
    ground: &'a Ground,
    state: Working<'a>,
    /// Gas that all calls together have left.
    gas: u64,
    /// Bytes that calls returned and logged so far.
    output: usize,
}

/// What the calls of a block came to.
#[derive(Default)]
struct Calls {
    done: Vec<SimulatedCall>,
    transactions: Vec<Recovered<alloy_consensus::TxEnvelope>>,
    raw: Vec<Bytes>,
    receipts: Vec<ReceiptEnvelope>,
    gas_used: u64,
    blob_gas_used: u64,
}

impl<'a> Simulator<'a> {
    pub(super) fn new(
        spec: &'a ChainSpec,
        base: &'a SealedHeader,
        request: &'a SimulateRequest,
        ground: &'a Ground,
        gas: u64,
    ) -> Self {
        let mut state = Working::new(ground, base.state_root);
        state.set_block_hash(base.number, base.hash());
        Self { spec, base, request, ground, state, gas, output: 0 }
    }

    /// Makes the planned blocks.
    pub(super) fn run(mut self, planned: &[Planned]) -> Result<Vec<SimulatedBlock>, Stop> {
        let filler = BlockRequest::default();
        let mut blocks: Vec<SimulatedBlock> = Vec::with_capacity(planned.len());
        for planned in planned {
            self.ground.watch.look()?;
            let parent = blocks.last().map_or(self.base, |made| &made.block.header).clone();
            let request = planned.request.and_then(|index| self.request.blocks.get(index)).unwrap_or(&filler);
            let made = self.block(&parent, planned, request)?;
            self.state.set_block_hash(made.block.header.number, made.block.header.hash());
            blocks.push(made);
        }
        Ok(blocks)
    }

    fn block(
        &mut self,
        parent: &SealedHeader,
        planned: &Planned,
        request: &BlockRequest,
    ) -> Result<SimulatedBlock, Stop> {
        let mut header = plan::header(self.spec, parent, planned, request, self.request.validation)?;
        let blob_price = BlockOverrides { blob_base_fee: request.overrides.blob_base_fee, ..BlockOverrides::default() };
        let mut setting = Setting::at(self.spec, &header::seal(header.clone()), &blob_price, Numbering::Real)?;
        apply(&request.state, &mut self.state.state, Precompiles::Of(&mut setting)).map_err(|error| match error {
            ApplyError::Override(error) => Stop::Error(error.into()),
            ApplyError::Halted(halted) => halted.into(),
        })?;
        self.state.overridden(&request.state);

        let rules = setting.rules;
        system::before(&rules, &mut evm(&mut self.state, &setting), &header).map_err(system_error)?;
        let mut calls = Calls::default();
        let mut tracer = Tracer::new(self.request.trace_transfers);
        for call in &request.calls {
            self.call(call, &header, &setting, &mut tracer, &mut calls)?;
        }
        header.gas_used = calls.gas_used;
        header.blob_gas_used = rules.spec.is_enabled_in(SpecId::CANCUN).then_some(calls.blob_gas_used);

        let shanghai = self.spec.forks.is_active(Fork::Shanghai, header.number, header.timestamp);
        let withdrawals = shanghai.then(|| request.withdrawals.clone());
        for withdrawal in withdrawals.iter().flatten().filter(|withdrawal| withdrawal.amount != 0) {
            self.state.add_balance(withdrawal.address, withdrawal.amount_wei())?;
        }
        if rules.spec.is_enabled_in(SpecId::PRAGUE) {
            let logs = calls.receipts.iter().flat_map(|receipt| receipt.logs());
            let requests = system::after(&rules, &mut evm(&mut self.state, &setting), logs);
            header.requests_hash = Some(match requests {
                // What is missing may well be the contract.
                Err(SystemError::Contract { .. }) if !self.ground.is_complete() => EMPTY_REQUESTS_HASH,
                requests => requests.map_err(system_error)?,
            });
        }
        if let Some(reward) = rules.reward {
            self.state.add_balance(header.beneficiary, U256::from(reward))?;
        }

        let body = Body {
            transactions: calls.raw,
            uncles: Vec::new(),
            withdrawals: withdrawals
                .as_ref()
                .map(|list| list.iter().map(|one| alloy_rlp::encode(one).into()).collect()),
        };
        header.transactions_root = body.transactions_root();
        header.withdrawals_root = body.withdrawals_root();
        header.receipts_root = proofs::calculate_receipt_root(&calls.receipts);
        header.logs_bloom =
            calls.receipts.iter().fold(Default::default(), |bloom, receipt| bloom | receipt.logs_bloom());
        header.state_root = self.state.root()?.unwrap_or_default();
        let header = header::seal(header);
        let size = RawBlock::from_parts(header::encode(&header), body).encode().len() as u64;
        let transactions = calls.transactions;
        let block = Block { header, transactions, uncles: Vec::new(), withdrawals, td: None, size };
        Ok(SimulatedBlock { block, calls: calls.done })
    }

    fn call(
        &mut self,
        request: &CallRequest,
        header: &alloy_consensus::Header,
        setting: &Setting,
        tracer: &mut Tracer,
        calls: &mut Calls,
    ) -> Result<(), Stop> {
        let from = request.from.unwrap_or_default();
        let nonce = match request.nonce {
            Some(nonce) => nonce,
            None => self.state.basic(from)?.map_or(0, |account| account.nonce),
        };
        let remaining = header.gas_limit.saturating_sub(calls.gas_used);
        let required = request.gas.unwrap_or(remaining);
        if remaining < required {
            return Err(SimulateError::GasLimitReached { remaining, required }.into());
        }
        let gas = required.min(self.gas);
        let request = CallRequest { nonce: Some(nonce), gas: Some(gas), ..request.clone() };
        let message = request.message(0, header.base_fee_per_gas, self.spec.chain_id).map_err(SimulateError::from)?;
        let has_base_fee = header.base_fee_per_gas.is_some();
        let Unsigned { envelope, raw } = request.unsigned(gas, nonce, has_base_fee, self.spec.chain_id);

        let validation = self.request.validation;
        let checks = Checks {
            nonce: validation,
            // Anyone may call as anyone.
            sender: false,
            // As in geth, EIP-7825 does not bind it.
            gas_limit_cap: false,
            zero_price: validation,
            in_block: true,
        };
        let watch = &self.ground.watch;
        let executed = match transact(&mut self.state, setting, &message, checks, watch, &mut *tracer) {
            Ok((executed, _)) => executed,
            // It may rest on a guess: the others tell what else is needed.
            Err(TransactError::Refused(_)) if !self.ground.is_complete() => return Ok(()),
            Err(TransactError::Refused(why)) => return Err(SimulateError::Refused { why, gas }.into()),
            Err(TransactError::Halted(halted)) => return Err(halted.into()),
            Err(TransactError::Other(text)) => return Err(CallError::Internal(text).into()),
        };
        let Executed { ended, gas_used, peak_gas, logs, changes } = executed;
        self.state.commit(changes);
        self.gas = self.gas.saturating_sub(gas_used);
        calls.gas_used = calls.gas_used.saturating_add(gas_used);
        if setting.rules.spec.is_enabled_in(SpecId::CANCUN) {
            // Hashes of blobs beside authorizations make no blob transaction.
            calls.blob_gas_used = calls.blob_gas_used.saturating_add(envelope.blob_gas_used().unwrap_or_default());
        }

        let returned = match &ended {
            Ended::Returned(output) | Ended::Reverted(output) => output.len(),
            Ended::Failed(_) => 0,
        };
        self.output += returned + logs.iter().map(|log| log.data.data.len()).sum::<usize>();
        if self.output > MOST_OUTPUT {
            return Err(CallError::Memory(MOST_OUTPUT).into());
        }

        let success = matches!(ended, Ended::Returned(_));
        let status = if setting.rules.spec.is_enabled_in(SpecId::BYZANTIUM) {
            Eip658Value::Eip658(success)
        } else {
            Eip658Value::PostState(self.state.root()?.unwrap_or_default())
        };
        let logs = if success { logs } else { Vec::new() };
        let receipt: ReceiptWithBloom<Receipt> =
            Receipt { status, cumulative_gas_used: calls.gas_used, logs }.with_bloom();
        calls.receipts.push(ReceiptEnvelope::from_typed(envelope.tx_type(), receipt));
        calls.transactions.push(Recovered::new_unchecked(envelope, from));
        calls.raw.push(raw);
        calls.done.push(SimulatedCall {
            outcome: match ended {
                Ended::Returned(output) => Outcome::Returned(output),
                Ended::Reverted(output) => Outcome::Reverted(output),
                Ended::Failed(failure) => Outcome::Failed { failure, capped: gas < required },
            },
            logs: tracer.take(),
            gas_used,
            max_gas_used: peak_gas,
        });
        Ok(())
    }
}

/// The EVM for what the system calls.
fn evm<'s, 'a>(
    state: &'s mut Working<'a>,
    setting: &Setting,
) -> EthEvm<&'s mut Working<'a>, NoOpInspector, PrecompilesMap> {
    let evm = EthEvmFactory::default().create_evm(state, setting.evm.clone());
    if setting.rules.net_storage_gas { meter(evm, false) } else { evm }
}

fn system_error(error: SystemError<Halted>) -> Stop {
    match error {
        SystemError::State(halted) => halted.into(),
        SystemError::Contract { name, failure } => SimulateError::System { name, failure }.into(),
    }
}
