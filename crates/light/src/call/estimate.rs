//! The least gas that a message needs: geth's binary search (`eth/gasestimator`).

use alloy_primitives::{Bytes, KECCAK256_EMPTY, U256};
use revm::{Database, primitives::hardfork::SpecId};
use rushlight_chain::SealedHeader;

use super::{
    CallError, CallLimits, CallRequest, Checks, Context, Ended, Executed, Message, Numbering, Over, Overrides, Refusal,
    RunError, Setting, State, execute, first_items,
    overrides::{self, Precompiles},
    transact::TX_GAS_CAP,
    watch::Halted,
};
use crate::LightClient;

/// What a transfer costs: below it no message runs.
const TRANSFER: u64 = 21_000;
/// What a call that carries value has for free.
const STIPEND: u64 = 2_300;
/// How far above the least an estimate may be. geth's `estimateGasErrorRatio`: wallets add more than this themselves.
const ERROR_RATIO: f64 = 0.015;

impl LightClient {
    /// The least gas with which a message succeeds on the state after the block of `header`, and at most 1.5 % more
    /// (`eth_estimateGas`).
    pub async fn estimate_gas(
        &self,
        header: &SealedHeader,
        request: CallRequest,
        overrides: Overrides,
        limits: &CallLimits,
    ) -> Result<u64, CallError> {
        let setting = Setting::at(self.spec(), header, &overrides.block, Numbering::Overridden)?;
        // Where no gas is named the block's limit bounds the search, and not the cap of calls.
        let named = CallRequest { gas: Some(request.gas.unwrap_or_default()), ..request };
        let message = named.message(limits.gas(), setting.base_fee, self.chain_id());
        let first = message.as_ref().map(first_items).unwrap_or_default();
        let (over, cap) = (Over::new(header, &setting, limits), limits.gas());
        self.run_over(over, first, move |ground| {
            let mut setting = setting.clone();
            let mut state = ground.state();
            overrides::apply(&overrides.state, &mut state, Precompiles::Of(&mut setting))?;
            let mut search = Search { state, setting: &setting, message: message.clone()? };
            search.least(cap)
        })
        .await
    }
}

struct Search<'a> {
    state: State<'a>,
    setting: &'a Setting,
    message: Message,
}

impl Search<'_> {
    fn least(&mut self, cap: u64) -> Result<u64, RunError> {
        let mut high = self.highest(cap)?;
        if self.is_transfer()?
            && let Ok(Some(executed)) = self.attempt(TRANSFER)
            && matches!(executed.ended, Ended::Returned(_))
        {
            return Ok(executed.gas_used);
        }
        let executed = match self.attempt(high)? {
            None => return Err(CallError::GasRequired(high).into()),
            Some(executed) => executed,
        };
        // What is missing by now would be missing in every further try as well.
        if !self.state.db.is_complete() {
            return Err(Halted::Enough.into());
        }
        match executed.ended {
            Ended::Returned(_) => {}
            Ended::Reverted(output) => return Err(reverted(output)),
            Ended::Failed(failure) if failure.is_out_of_gas() => return Err(CallError::GasRequired(high).into()),
            Ended::Failed(failure) => return Err(failure.into()),
        }
        // Nearly always it needs what it used; only code that looks at its gas may do with less.
        let mut low = executed.gas_used.saturating_sub(1);
        let likely = u64::try_from(u128::from(executed.peak_gas + STIPEND) * 64 / 63).unwrap_or(u64::MAX);
        if likely < high {
            if self.succeeds(likely)? { high = likely } else { low = likely }
        }
        while low + 1 < high {
            #[expect(clippy::cast_precision_loss, reason = "as in geth; gas is far below 2^52")]
            if (high - low) as f64 / (high as f64) < ERROR_RATIO {
                break;
            }
            // Most need little more than they used.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
            if self.succeeds(middle)? { high = middle } else { low = middle }
        }
        Ok(high)
    }

    /// The most gas that the block, the rules, the sender's balance and the cap allow.
    fn highest(&mut self, cap: u64) -> Result<u64, RunError> {
        let message = &self.message;
        let block = self.setting.evm.block_env.gas_limit;
        let mut high = if message.gas_limit >= TRANSFER { message.gas_limit } else { block };
        if self.setting.rules.spec.is_enabled_in(SpecId::OSAKA) {
            high = high.min(TX_GAS_CAP);
        }
        if !message.fee_cap.is_zero() {
            let bare = |why| RunError::from(CallError::Refused { why, context: Context::Bare });
            let mut available = self.state.load_account(message.from)?.info.balance;
            // Nothing would be left for gas; geth compares so even where there is no value.
            if message.value >= available {
                return Err(bare(Refusal::FundsForTransfer(None)));
            }
            available -= message.value;
            if self.setting.rules.spec.is_enabled_in(SpecId::CANCUN) && message.blob_gas() > 0 {
                let blobs = U256::from(message.blob_gas()).wrapping_mul(message.blob_fee_cap.unwrap_or_default());
                if blobs >= available {
                    return Err(bare(Refusal::Funds(None)));
                }
                available -= blobs;
            }
            high = u64::try_from(available / message.fee_cap).map_or(high, |affordable| high.min(affordable));
        }
        Ok(high.min(cap))
    }

    /// Whether nothing is executed but the transfer itself.
    fn is_transfer(&mut self) -> Result<bool, RunError> {
        let (Some(to), true) = (self.message.to, self.message.data.is_empty()) else { return Ok(false) };
        let account = self.state.basic(to)?;
        Ok(account.is_none_or(|account| account.code_hash == KECCAK256_EMPTY))
    }

    fn succeeds(&mut self, gas: u64) -> Result<bool, RunError> {
        Ok(self.attempt(gas)?.is_some_and(|executed| matches!(executed.ended, Ended::Returned(_))))
    }

    /// Executes the message with this much gas; nothing where it does not even cover what the message costs beforehand.
    fn attempt(&mut self, gas: u64) -> Result<Option<Executed>, RunError> {
        self.message.gas_limit = gas;
        match execute(&mut self.state, self.setting, &self.message, Checks::CALL, Context::Estimate(gas)) {
            Ok(executed) => Ok(Some(executed)),
            Err(RunError::Call(CallError::Refused { why: Refusal::IntrinsicGas { .. }, .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn reverted(output: Bytes) -> RunError {
    CallError::Reverted { output }.into()
}
