//! One message on a state: geth's checks in geth's order, then the EVM.
//!
//! The handler is ours, because a call is no transaction: nobody signed it, its nonce is not checked, a price of nothing is
//! none, and where it breaks a rule the caller is told in geth's words.

use std::marker::PhantomData;

use alloy_evm::{EthEvmFactory, EvmFactory, eth::EthEvmContext, precompiles::PrecompilesMap};
use alloy_primitives::{Bytes, Log, TxKind, U256, map::AddressSet};
use revm::{
    Database, Inspector,
    context::{
        ContextSetters, ContextTr, Evm, JournalTr, TransactionType, TxEnv,
        result::{ExecutionResult, FromStringError, HaltReason, InvalidHeader, InvalidTransaction, Output},
    },
    context_interface::{
        Block, Cfg, context::ContextError, either::Either, journaled_state::account::JournaledAccountTr,
    },
    handler::{
        EthFrame, EvmTr, EvmTrError, FrameResult, FrameTr, Handler, instructions::EthInstructions, post_execution,
        pre_execution,
    },
    inspector::InspectorHandler,
    interpreter::{InitialAndFloorGas, interpreter::EthInterpreter},
    primitives::{eip4844::VERSIONED_HASH_VERSION_KZG, hardfork::SpecId},
    state::EvmState,
};
use rushlight_evm::meter;

use super::{
    environment::Setting,
    error::{Failure, Refusal},
    message::Message,
    watch::{Guard, Halted, Watch},
};

/// Most blobs of a transaction from Osaka on (EIP-7594).
const MOST_BLOBS: usize = 6;

/// Most gas of a transaction from Osaka on (EIP-7825).
pub(crate) const TX_GAS_CAP: u64 = 1 << 24;

/// Which of a transaction's rules hold for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checks {
    /// Its nonce is the sender's next one.
    pub(crate) nonce: bool,
    /// The sender has no code (EIP-3607).
    pub(crate) sender: bool,
    /// Its gas is at most what a transaction may have (EIP-7825).
    pub(crate) gas_limit_cap: bool,
    /// A price of nothing is one, and below the base fee.
    pub(crate) zero_price: bool,
    /// It is one of a block's messages: the beneficiary is paid, which later ones may see, and gas has the block's price
    /// for one that names none, too.
    pub(crate) in_block: bool,
}

impl Checks {
    /// A call that stands for itself.
    pub(crate) const CALL: Self =
        Self { nonce: false, sender: false, gas_limit_cap: false, zero_price: false, in_block: false };
}

/// A message that was executed.
#[derive(Clone, Debug)]
pub(crate) struct Executed {
    pub(crate) ended: Ended,
    /// Gas that it costs.
    pub(crate) gas_used: u64,
    /// The most gas that it held at a time, refunds not taken off.
    pub(crate) peak_gas: u64,
    pub(crate) logs: Vec<Log>,
    /// What it changed.
    pub(crate) changes: EvmState,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Returned(Bytes),
    Reverted(Bytes),
    Failed(Failure),
}

/// Why a message was not executed to an end.
#[derive(Debug)]
pub(crate) enum TransactError {
    Refused(Refusal),
    Halted(Halted),
    /// The EVM's own words; a mistake in this program.
    Other(String),
}

impl From<Refusal> for TransactError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Halted> for TransactError {
    fn from(halted: Halted) -> Self {
        Self::Halted(halted)
    }
}

impl From<InvalidTransaction> for TransactError {
    fn from(error: InvalidTransaction) -> Self {
        match error {
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas: want, gas_limit: have } => {
                Refusal::IntrinsicGas { have, want }.into()
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor: want, gas_limit: have } => {
                Refusal::FloorGas { have, want }.into()
            }
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<InvalidHeader> for TransactError {
    fn from(error: InvalidHeader) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<ContextError<Halted>> for TransactError {
    fn from(error: ContextError<Halted>) -> Self {
        match error {
            ContextError::Db(halted) => Self::Halted(halted),
            ContextError::Custom(text) => Self::Other(text),
        }
    }
}

impl FromStringError for TransactError {
    fn from_string(text: String) -> Self {
        Self::Other(text)
    }
}

/// Executes `message` on `db` in `setting`, under `watch` and before `inspector`. The changes are not written to `db`.
pub(crate) fn transact<DB, I>(
    db: DB,
    setting: &Setting,
    message: &Message,
    checks: Checks,
    watch: &Watch,
    inspector: I,
) -> Result<(Executed, I), TransactError>
where
    DB: Database<Error = Halted> + std::fmt::Debug,
    I: Inspector<EthEvmContext<DB>>,
{
    watch.look()?;
    let environment = if checks.in_block { setting.evm.clone() } else { setting.for_message(message) };
    let limit = environment.cfg_env.max_code_size();
    let evm = EthEvmFactory::default().create_evm_with_inspector(db, environment, (Guard::new(watch), inspector));
    let evm = if setting.rules.net_storage_gas { meter(evm, true) } else { evm };
    let mut evm = evm.into_inner().with_precompiles(setting.precompiles());
    evm.ctx.set_tx(transaction(message));
    let mut handler = Caller { message, checks, warm: setting.warm(), evm: PhantomData };
    let result = handler.inspect_run(&mut evm)?;
    let changes = evm.ctx.journal_mut().finalize();
    let (guard, inspector) = evm.inspector;
    let gas = *result.gas();
    let (gas_used, peak_gas) = (gas.tx_gas_used(), gas.total_gas_spent().max(gas.floor_gas()));
    let (ended, logs) = match result {
        ExecutionResult::Success { output: Output::Call(output) | Output::Create(output, _), logs, .. } => {
            (Ended::Returned(output), logs)
        }
        ExecutionResult::Revert { output, logs, .. } => (Ended::Reverted(output), logs),
        ExecutionResult::Halt { reason, logs, .. } => {
            (Ended::Failed(Failure::new(&reason, guard.trail, message.to.is_none(), limit)), logs)
        }
    };
    Ok((Executed { ended, gas_used, peak_gas, logs, changes }, inspector))
}

/// The message as the EVM reads one. Which kind of transaction it names only says which lists it has.
fn transaction(message: &Message) -> TxEnv {
    let kind = if message.authorizations.is_some() {
        TransactionType::Eip7702
    } else if message.blob_hashes.is_some() {
        TransactionType::Eip4844
    } else if message.access_list.is_some() {
        TransactionType::Eip2930
    } else {
        TransactionType::Legacy
    };
    let authorizations = message.authorizations.iter().flatten();
    TxEnv {
        tx_type: kind as u8,
        caller: message.from,
        gas_limit: message.gas_limit,
        // A price beyond this is refused, as nobody could pay it.
        gas_price: message.gas_price.saturating_to(),
        kind: message.to.map_or(TxKind::Create, TxKind::Call),
        value: message.value,
        data: message.data.clone(),
        nonce: message.nonce,
        chain_id: None,
        access_list: message.access_list.clone().unwrap_or_default(),
        gas_priority_fee: None,
        blob_hashes: message.blob_hashes.clone().unwrap_or_default(),
        max_fee_per_blob_gas: message.blob_fee_cap.unwrap_or_default().saturating_to(),
        authorization_list: authorizations.map(|one| Either::Left(one.clone())).collect(),
    }
}

type EvmOf<DB, I> =
    Evm<EthEvmContext<DB>, I, EthInstructions<EthInterpreter, EthEvmContext<DB>>, PrecompilesMap, EthFrame>;

/// Runs a message with geth's checks.
struct Caller<'a, EVM> {
    message: &'a Message,
    checks: Checks,
    warm: &'a AddressSet,
    evm: PhantomData<EVM>,
}

impl<DB, I> Handler for Caller<'_, EvmOf<DB, I>>
where
    DB: Database<Error = Halted> + std::fmt::Debug,
    I: Inspector<EthEvmContext<DB>>,
    TransactError: EvmTrError<EvmOf<DB, I>>,
{
    type Evm = EvmOf<DB, I>;
    type Error = TransactError;
    type HaltReason = HaltReason;

    fn validate(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, TransactError> {
        let message = self.message;
        self.check_message(evm)?;
        let paid = self.check_funds(evm)?;
        let gas = self.validate_initial_tx_gas(evm)?;
        let mut sender = evm.ctx.journal_mut().load_account_mut(message.from)?.data;
        let left = sender.balance().saturating_sub(paid);
        if !message.value.is_zero() && left < message.value {
            return Err(Refusal::FundsForTransfer(Some(message.from)).into());
        }
        sender.set_balance(left);
        // Where nothing checks the nonce, geth's wraps.
        if message.to.is_some() && !sender.bump_nonce() {
            sender.set_nonce(0);
        }
        Ok(gas)
    }

    fn load_accounts(&self, evm: &mut Self::Evm) -> Result<(), TransactError> {
        pre_execution::load_accounts::<_, TransactError>(evm)?;
        evm.ctx.journal_mut().warm_precompiles(self.warm);
        Ok(())
    }

    fn reward_beneficiary(
        &self,
        evm: &mut Self::Evm,
        result: &mut <<Self::Evm as EvmTr>::Frame as FrameTr>::FrameResult,
    ) -> Result<(), TransactError> {
        // Nobody sees what the beneficiary of a single call has afterwards, and the account need not be looked up.
        if !self.checks.in_block {
            return Ok(());
        }
        Ok(post_execution::reward_beneficiary(evm.ctx(), FrameResult::gas(result))?)
    }
}

impl<DB, I> InspectorHandler for Caller<'_, EvmOf<DB, I>>
where
    DB: Database<Error = Halted> + std::fmt::Debug,
    I: Inspector<EthEvmContext<DB>>,
{
    type IT = EthInterpreter;
}

impl<DB, I> Caller<'_, EvmOf<DB, I>>
where
    DB: Database<Error = Halted> + std::fmt::Debug,
    I: Inspector<EthEvmContext<DB>>,
{
    /// What geth checks before it looks at the sender's balance.
    fn check_message(&self, evm: &mut EvmOf<DB, I>) -> Result<(), TransactError> {
        let (message, checks) = (self.message, self.checks);
        let from = message.from;
        let spec = evm.ctx.cfg.spec;
        let on = |fork: SpecId| spec.is_enabled_in(fork);
        if checks.nonce {
            let state = evm.ctx.journal_mut().load_account_mut(from)?.data.nonce();
            let nonce = message.nonce;
            if state < nonce {
                return Err(Refusal::NonceTooHigh { from, nonce, state }.into());
            }
            if state > nonce {
                return Err(Refusal::NonceTooLow { from, nonce, state }.into());
            }
            if state == u64::MAX {
                return Err(Refusal::NonceMax { from, nonce: state }.into());
            }
        }
        if checks.gas_limit_cap && on(SpecId::OSAKA) && message.gas_limit > TX_GAS_CAP {
            return Err(Refusal::GasLimitTooHigh { cap: TX_GAS_CAP, gas: message.gas_limit }.into());
        }
        if checks.sender {
            let mut sender = evm.ctx.journal_mut().load_account_mut(from)?.data;
            let code = sender
                .load_code_preserve_error()
                .map_err(revm::context_interface::journaled_state::JournalLoadError::unwrap_db_error)?;
            if !code.is_empty() && !code.is_eip7702() {
                return Err(Refusal::SenderHasCode { from, length: code.len() }.into());
            }
        }
        if on(SpecId::LONDON) {
            let (fee, tip) = (message.fee_cap, message.tip_cap);
            if checks.zero_price || !fee.is_zero() || !tip.is_zero() {
                if fee < tip {
                    return Err(Refusal::TipAboveFee { from, tip, fee }.into());
                }
                let base_fee = evm.ctx.block.basefee;
                if fee < U256::from(base_fee) {
                    return Err(Refusal::FeeTooLow { from, fee, base_fee }.into());
                }
            }
        }
        if message.access_list.is_some() && !on(SpecId::BERLIN) {
            return Err(Refusal::TypeNotSupported { kind: "access list tx", from }.into());
        }
        if let Some(hashes) = &message.blob_hashes {
            if !on(SpecId::CANCUN) {
                return Err(Refusal::TypeNotSupported { kind: "blob tx", from }.into());
            }
            if message.to.is_none() {
                return Err(Refusal::BlobCreate.into());
            }
            if hashes.is_empty() {
                return Err(Refusal::NoBlobs.into());
            }
            if on(SpecId::OSAKA) && hashes.len() > MOST_BLOBS {
                return Err(Refusal::TooManyBlobs.into());
            }
            if let Some(index) = hashes.iter().position(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG) {
                return Err(Refusal::BlobVersion(index).into());
            }
        }
        if on(SpecId::CANCUN) && message.blob_gas() > 0 {
            let fee = message.blob_fee_cap.unwrap_or_default();
            let base_fee = evm.ctx.block.blob_gasprice().unwrap_or_default();
            if (checks.zero_price || !fee.is_zero()) && fee < U256::from(base_fee) {
                return Err(Refusal::BlobFeeTooLow { from, fee, base_fee }.into());
            }
        }
        if let Some(authorizations) = &message.authorizations {
            if !on(SpecId::PRAGUE) {
                return Err(Refusal::TypeNotSupported { kind: "setcode tx", from }.into());
            }
            if message.to.is_none() {
                return Err(Refusal::SetCodeCreate(from).into());
            }
            if authorizations.is_empty() {
                return Err(Refusal::NoAuthorizations(from).into());
            }
        }
        let (size, limit) = (message.data.len(), evm.ctx.cfg.max_initcode_size());
        if message.to.is_none() && on(SpecId::SHANGHAI) && size > limit {
            return Err(Refusal::InitCode { size, limit }.into());
        }
        Ok(())
    }

    /// That the sender can pay for gas, blobs and value at the highest prices it names; gives what it pays at first.
    fn check_funds(&self, evm: &mut EvmOf<DB, I>) -> Result<U256, TransactError> {
        let message = self.message;
        let too_much = || TransactError::from(Refusal::Funds(Some((message.from, None))));
        let gas = U256::from(message.gas_limit);
        let mut paid = gas.checked_mul(message.gas_price).ok_or_else(too_much)?;
        let most = gas.checked_mul(message.fee_cap).ok_or_else(too_much)?;
        let mut most = most.checked_add(message.value).ok_or_else(too_much)?;
        if evm.ctx.cfg.spec.is_enabled_in(SpecId::CANCUN) && message.blob_gas() > 0 {
            let blob_gas = U256::from(message.blob_gas());
            let at_most = blob_gas.checked_mul(message.blob_fee_cap.unwrap_or_default()).ok_or_else(too_much)?;
            most = most.checked_add(at_most).ok_or_else(too_much)?;
            let price = U256::from(evm.ctx.block.blob_gasprice().unwrap_or_default());
            paid = blob_gas.checked_mul(price).and_then(|fee| paid.checked_add(fee)).ok_or_else(too_much)?;
        }
        let have = *evm.ctx.journal_mut().load_account_mut(message.from)?.data.balance();
        if have < most {
            return Err(Refusal::Funds(Some((message.from, Some((have, most))))).into());
        }
        if message.gas_price > U256::from(u128::MAX) {
            return Err(TransactError::Other("gas prices beyond 128 bits are not supported".to_owned()));
        }
        Ok(paid)
    }
}
