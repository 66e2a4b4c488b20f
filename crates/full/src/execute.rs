//! A block's transactions and rewards, on the state of its parent.
//!
//! The EVM is `alloy-evm`'s; the loop around it is ours, because its block executor knows neither the roots in
//! receipts before Byzantium, nor clique's missing rewards, and moves the DAO's money after the transactions instead of
//! before them. Rules: Yellow Paper sections 4.3, 6 and 11; EIP-2, EIP-150, EIP-155, EIP-161, EIP-170, EIP-649,
//! EIP-658, EIP-779, EIP-1234, EIP-1283, EIP-1559, EIP-2929, EIP-2930, EIP-3675, EIP-4399, EIP-4844 and EIP-4895; what stands
//! outside the transactions from Cancun on is in [`crate::system`].

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Eip658Value, Header, Receipt, ReceiptEnvelope, Transaction, TxEnvelope};
use alloy_eips::eip4895::Withdrawal;
use alloy_evm::block::calc;
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_evm::{EthEvmFactory, Evm, EvmFactory, FromRecoveredTx};
use alloy_primitives::{Address, B256, Bloom, U256};
use revm::context::TxEnv;
use revm::context::result::{EVMError, ExecutionResult};
use revm::primitives::hardfork::SpecId;
use revm::{Database, DatabaseCommit};

use rushlight_evm::{Rules, environment, meter};

use crate::error::{Refusal, Rule};
use crate::state::{State, StateError};
use crate::system;

/// A block that is to be executed; its header and body agree already, or are still to be made.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) header: &'a Header,
    pub(crate) uncles: &'a [Header],
    /// What leaves the beacon chain for this one (EIP-4895).
    pub(crate) withdrawals: &'a [Withdrawal],
    /// Who gets fees and reward: the header's beneficiary, on a clique chain the signer.
    pub(crate) beneficiary: Address,
}

/// Where a block's transactions come from: a body that has to be executed as it is, or a pool from which one is made.
pub(crate) trait Supply {
    /// Whether none will come.
    fn is_empty(&self) -> bool;

    /// The next one, where the block has so much gas left.
    fn next(&mut self, gas_left: u64) -> Option<&TxEnvelope>;

    /// The last one stands in the block.
    fn taken(&mut self) {}

    /// The last one breaks a rule, and has changed nothing. An error ends the block.
    fn refused(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        Err(refusal)
    }
}

/// A body: one after another.
impl Supply for std::slice::Iter<'_, TxEnvelope> {
    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    fn next(&mut self, _gas_left: u64) -> Option<&TxEnvelope> {
        Iterator::next(self)
    }
}

/// What execution gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) receipts: Vec<ReceiptEnvelope>,
    pub(crate) gas_used: u64,
    pub(crate) bloom: Bloom,
    pub(crate) state_root: B256,
    /// The hash of what the block asks of the beacon chain (EIP-7685), from Prague on.
    pub(crate) requests_hash: Option<B256>,
}

/// Why a block was not executed to its end.
#[derive(Debug)]
pub(crate) enum ExecuteError {
    /// The block breaks a rule.
    Bad(Refusal),
    /// Our own state failed us.
    Local(StateError),
}

impl From<StateError> for ExecuteError {
    fn from(error: StateError) -> Self {
        ExecuteError::Local(error)
    }
}

/// Executes `block` with the transactions of `supply` on `state` by `rules`. The header's claims are not compared here, but its
/// gas limit holds.
pub(crate) fn execute(
    rules: &Rules,
    block: &Input<'_>,
    supply: &mut impl Supply,
    state: &mut State<'_>,
) -> Result<Outcome, ExecuteError> {
    if rules.dao {
        move_dao_funds(state)?;
    }
    let mut receipts = Vec::new();
    let mut gas_used = 0;
    let mut bloom = Bloom::ZERO;
    let mut requests_hash = None;
    // Without transactions there is nothing to run before Cancun.
    if !supply.is_empty() || rules.spec.is_enabled_in(SpecId::CANCUN) {
        let evm = EthEvmFactory::default().create_evm(&mut *state, environment(rules, block.header, block.beneficiary));
        let mut evm = if rules.net_storage_gas { meter(evm, false) } else { evm };
        system::before(rules, &mut evm, block.header)?;
        loop {
            let left = block.header.gas_limit - gas_used;
            let Some(transaction) = supply.next(left) else { break };
            let kind = transaction.tx_type();
            let result = match transact(rules, &mut evm, receipts.len(), transaction, left) {
                Ok(result) => result,
                Err(ExecuteError::Bad(refusal)) => {
                    supply.refused(refusal).map_err(ExecuteError::Bad)?;
                    continue;
                }
                Err(local) => return Err(local),
            };
            supply.taken();
            gas_used += result.tx_gas_used();
            let success = result.is_success();
            let status = if rules.spec.is_enabled_in(SpecId::BYZANTIUM) {
                Eip658Value::Eip658(success)
            } else {
                // The nodes of these roots are kept like all others; they are few, of the years before Byzantium.
                Eip658Value::PostState(evm.db_mut().root()?)
            };
            let receipt = Receipt { status, cumulative_gas_used: gas_used, logs: result.into_logs() }.with_bloom();
            bloom |= receipt.logs_bloom;
            receipts.push(ReceiptEnvelope::from_typed(kind, receipt));
        }
        if rules.spec.is_enabled_in(SpecId::PRAGUE) {
            requests_hash = Some(system::after(rules, &mut evm, &receipts)?);
        }
    }
    for withdrawal in block.withdrawals.iter().filter(|withdrawal| withdrawal.amount != 0) {
        // EIP-4895: one of nothing brings no account into being.
        state.add_balance(withdrawal.address, withdrawal.amount_wei())?;
    }
    if let Some(reward) = rules.reward {
        pay_rewards(reward, block, state)?;
    }
    Ok(Outcome { receipts, gas_used, bloom, state_root: state.root()?, requests_hash })
}

fn transact<E>(
    rules: &Rules,
    evm: &mut E,
    index: usize,
    transaction: &TxEnvelope,
    gas_left: u64,
) -> Result<ExecutionResult<E::HaltReason>, ExecuteError>
where
    E: Evm<Tx = TxEnv, Error = EVMError<StateError>>,
    E::DB: Database<Error = StateError> + DatabaseCommit,
{
    let bad =
        |expected: String, got: String| ExecuteError::Bad(Refusal::new(Rule::Transaction { index }, expected, got));
    // YP (eq. 58 of the Berlin version): what is left of the block's gas covers the transaction's limit.
    if transaction.gas_limit() > gas_left {
        return Err(bad(format!("a gas limit of at most {gas_left}"), transaction.gas_limit().to_string()));
    }
    // EIP-155 came with Spurious Dragon; a signature that binds the chain's id was none before.
    if transaction.is_legacy() && transaction.chain_id().is_some() && !rules.replay_protection {
        return Err(bad("a signature without chain id before EIP-155".into(), "one with chain id".into()));
    }
    // EIP-2, from Homestead on: only the lower half of s.
    let sender = if rules.spec.is_enabled_in(SpecId::HOMESTEAD) {
        transaction.recover_signer()
    } else {
        transaction.recover_signer_unchecked()
    };
    let sender = sender.map_err(|error| bad("a signature that recovers".into(), error.to_string()))?;
    match evm.transact_commit(TxEnv::from_recovered_tx(transaction, sender)) {
        Ok(result) => Ok(result),
        Err(EVMError::Database(error)) => Err(ExecuteError::Local(error)),
        Err(error) => Err(bad("a valid transaction".into(), error.to_string())),
    }
}

/// Block and uncle rewards (YP section 11.3). They add up where beneficiaries coincide.
fn pay_rewards(reward: u128, block: &Input<'_>, state: &mut State<'_>) -> Result<(), StateError> {
    for uncle in block.uncles {
        let share = calc::ommer_reward(reward, block.header.number, uncle.number);
        state.add_balance(uncle.beneficiary, U256::from(share))?;
    }
    state.add_balance(block.beneficiary, U256::from(calc::block_reward(reward, block.uncles.len())))
}

/// EIP-779: before the fork block's transactions, what the DAO and its children hold goes to the refund contract.
fn move_dao_funds(state: &mut State<'_>) -> Result<(), StateError> {
    let mut total = U256::ZERO;
    for address in DAO_HARDFORK_ACCOUNTS {
        total += state.drain_balance(address)?;
    }
    // The refund contract's account comes to be even where there is nothing to move.
    state.add_balance(DAO_HARDFORK_BENEFICIARY, total)
}
