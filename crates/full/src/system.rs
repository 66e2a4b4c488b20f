//! What a block does beside its transactions from Cancun on ([`rushlight_evm::system`]), with the refusals of blocks.

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_evm::Evm;
use alloy_primitives::B256;
use revm::context::TxEnv;
use revm::context::result::EVMError;
use revm::{Database, DatabaseCommit};
use rushlight_evm::system::{self, SystemError};

use crate::error::{Refusal, Rule};
use crate::execute::ExecuteError;
use crate::state::StateError;
use rushlight_evm::Rules;

/// The calls before the first transaction.
pub(crate) fn before<E>(rules: &Rules, evm: &mut E, header: &Header) -> Result<(), ExecuteError>
where
    E: Evm<Tx = TxEnv, Error = EVMError<StateError>>,
    E::DB: Database<Error = StateError> + DatabaseCommit,
{
    Ok(system::before(rules, evm, header)?)
}

/// The requests of a block whose transactions left `receipts`: their hash.
pub(crate) fn after<E>(rules: &Rules, evm: &mut E, receipts: &[ReceiptEnvelope]) -> Result<B256, ExecuteError>
where
    E: Evm<Tx = TxEnv, Error = EVMError<StateError>>,
    E::DB: Database<Error = StateError> + DatabaseCommit,
{
    Ok(system::after(rules, evm, receipts.iter().flat_map(|receipt| receipt.logs()))?)
}

impl From<SystemError<StateError>> for ExecuteError {
    fn from(error: SystemError<StateError>) -> Self {
        match error {
            SystemError::State(error) => ExecuteError::Local(error),
            SystemError::Contract { name, failure } => {
                ExecuteError::Bad(Refusal::new(Rule::SystemContract(name), failure.expected(), failure))
            }
        }
    }
}
