//! What a block does beside its transactions from Cancun on: calls of system contracts before and after them, and the
//! requests to the beacon chain. Rules: EIP-2935, EIP-4788, EIP-6110, EIP-7002, EIP-7251 and EIP-7685.

use alloy_consensus::Header;
use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_eips::eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE, SYSTEM_ADDRESS};
use alloy_eips::eip6110::DEPOSIT_REQUEST_TYPE;
use alloy_eips::eip7002::{
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE, WITHDRAWAL_REQUEST_TYPE,
};
use alloy_eips::eip7251::{
    CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE, CONSOLIDATION_REQUEST_TYPE,
};
use alloy_evm::Evm;
use alloy_primitives::{Address, B256, Bytes, Log, b256};
use revm::context::DBErrorMarker;
use revm::context::TxEnv;
use revm::context::result::{EVMError, ExecutionResult, ResultAndState};
use revm::primitives::hardfork::SpecId;
use revm::{Database, DatabaseCommit};
use sha2::{Digest, Sha256};

use crate::Rules;

/// `keccak256("DepositEvent(bytes,bytes,bytes,bytes,bytes)")`
const DEPOSIT_EVENT: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");
/// Bytes of a deposit event's data (EIP-6110).
pub const DEPOSIT_EVENT_BYTES: usize = 576;
/// Where the parts of a deposit event's data stand, and their lengths: public key, withdrawal credentials, amount,
/// signature, index (EIP-6110).
const DEPOSIT_PARTS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// The system contracts that a chain needs at Osaka, with their code as the EIPs give it: for a genesis that begins there.
pub fn system_contracts() -> [(Address, Bytes); 4] {
    [
        (BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE),
        (HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE),
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    ]
    .map(|(address, code)| (address, code.clone()))
}

/// Why a system contract did not do what a block needs of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemError<E> {
    /// The state could not be read.
    #[error(transparent)]
    State(E),
    /// The contract is not there, or fails.
    #[error("{name} contract: {failure}")]
    Contract {
        /// What the contract is for.
        name: &'static str,
        /// What is wrong with it.
        failure: SystemFailure,
    },
}

/// What is wrong with a system contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemFailure {
    /// There is no code where it should be.
    #[error("no code at {0}")]
    NoCode(Address),
    /// It reverted.
    #[error("a revert")]
    Reverted,
    /// It failed otherwise.
    #[error("an exceptional halt")]
    Halted,
    /// A deposit event that is not laid out as EIP-6110 says.
    #[error("{0}")]
    Deposit(Bytes),
    /// The call cannot be made.
    #[error("{0}")]
    Call(String),
}

impl SystemFailure {
    /// What was expected instead.
    pub fn expected(&self) -> &'static str {
        match self {
            Self::NoCode(_) | Self::Reverted | Self::Halted => "a call that succeeds",
            Self::Deposit(_) => "events as EIP-6110 lays them out",
            Self::Call(_) => "a call that can be made",
        }
    }
}

/// The calls before the first transaction. A contract that is not there, or fails, changes nothing.
///
/// # Errors
/// The state cannot be read.
pub fn before<E, D>(rules: &Rules, evm: &mut E, header: &Header) -> Result<(), SystemError<D>>
where
    E: Evm<Tx = TxEnv, Error = EVMError<D>>,
    E::DB: Database<Error = D> + DatabaseCommit,
    D: DBErrorMarker + std::error::Error,
{
    if rules.spec.is_enabled_in(SpecId::CANCUN) {
        let root = header.parent_beacon_block_root.unwrap_or_default();
        call(evm, "beacon roots", BEACON_ROOTS_ADDRESS, root.into())?;
    }
    if rules.spec.is_enabled_in(SpecId::PRAGUE) {
        call(evm, "history", HISTORY_STORAGE_ADDRESS, header.parent_hash.into())?;
    }
    Ok(())
}

/// The requests of a block (EIP-7685), whose transactions left `logs`: their hash. The queues of the contracts are
/// worked off on the way.
///
/// # Errors
/// The state cannot be read, or a contract does not do its part.
pub fn after<'a, E, D>(
    rules: &Rules,
    evm: &mut E,
    logs: impl IntoIterator<Item = &'a Log>,
) -> Result<B256, SystemError<D>>
where
    E: Evm<Tx = TxEnv, Error = EVMError<D>>,
    E::DB: Database<Error = D> + DatabaseCommit,
    D: DBErrorMarker + std::error::Error,
{
    let deposits = match rules.deposit_contract {
        Some(contract) => {
            let bad = |data| SystemError::Contract { name: "deposits", failure: SystemFailure::Deposit(data) };
            deposits(contract, logs).map_err(bad)?
        }
        None => Vec::new(),
    };
    let withdrawals = queue(evm, "withdrawal requests", WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS)?;
    let consolidations = queue(evm, "consolidation requests", CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS)?;
    Ok(requests_hash(&[
        (DEPOSIT_REQUEST_TYPE, &deposits),
        (WITHDRAWAL_REQUEST_TYPE, &withdrawals),
        (CONSOLIDATION_REQUEST_TYPE, &consolidations),
    ]))
}

/// EIP-7685: SHA-256 of the SHA-256 of each request that is not empty, in the order of the types.
fn requests_hash(requests: &[(u8, &[u8])]) -> B256 {
    let mut all = Sha256::new();
    for (kind, data) in requests.iter().filter(|(_, data)| !data.is_empty()) {
        all.update(Sha256::new().chain_update([*kind]).chain_update(data).finalize());
    }
    B256::new(all.finalize().into())
}

/// What a request contract has in its queue. It has to be there, and to succeed.
fn queue<E, D>(evm: &mut E, name: &'static str, contract: Address) -> Result<Bytes, SystemError<D>>
where
    E: Evm<Tx = TxEnv, Error = EVMError<D>>,
    E::DB: Database<Error = D> + DatabaseCommit,
    D: DBErrorMarker + std::error::Error,
{
    let bad = |failure| SystemError::Contract { name, failure };
    if evm.db_mut().basic(contract).map_err(SystemError::State)?.is_none_or(|account| account.is_empty_code_hash()) {
        return Err(bad(SystemFailure::NoCode(contract)));
    }
    match call(evm, name, contract, Bytes::new())? {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { .. } => Err(bad(SystemFailure::Reverted)),
        ExecutionResult::Halt { .. } => Err(bad(SystemFailure::Halted)),
    }
}

fn call<E, D>(
    evm: &mut E,
    name: &'static str,
    contract: Address,
    data: Bytes,
) -> Result<ExecutionResult<E::HaltReason>, SystemError<D>>
where
    E: Evm<Tx = TxEnv, Error = EVMError<D>>,
    E::DB: Database<Error = D> + DatabaseCommit,
    D: DBErrorMarker + std::error::Error,
{
    match evm.transact_system_call(SYSTEM_ADDRESS, contract, data) {
        Ok(ResultAndState { result, state }) => {
            evm.db_mut().commit(state);
            Ok(result)
        }
        Err(EVMError::Database(error)) => Err(SystemError::State(error)),
        Err(error) => Err(SystemError::Contract { name, failure: SystemFailure::Call(error.to_string()) }),
    }
}

/// The deposits of a block, one after another: what the deposit contract logged (EIP-6110). Fails with the first that is
/// laid out in another way.
fn deposits<'a>(contract: Address, logs: impl IntoIterator<Item = &'a Log>) -> Result<Vec<u8>, Bytes> {
    let mut deposits = Vec::new();
    for log in logs {
        if log.address == contract && log.topics().first() == Some(&DEPOSIT_EVENT) {
            let data = &log.data.data;
            deposits.extend(deposit(data).ok_or_else(|| data.clone())?);
        }
    }
    Ok(deposits)
}

/// The parts of a deposit event; nothing where it is laid out in another way.
fn deposit(data: &[u8]) -> Option<Vec<u8>> {
    let word = |at: usize| {
        let (high, low) = data.get(at..at + 32)?.split_last_chunk::<8>()?;
        high.iter().all(|byte| *byte == 0).then_some(u64::from_be_bytes(*low))
    };
    let mut deposit = Vec::new();
    for (index, (offset, length)) in DEPOSIT_PARTS.into_iter().enumerate() {
        if data.len() != DEPOSIT_EVENT_BYTES
            || word(32 * index) != Some(offset as u64)
            || word(offset) != Some(length as u64)
        {
            return None;
        }
        deposit.extend_from_slice(data.get(offset + 32..offset + 32 + length)?);
    }
    Some(deposit)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    fn event() -> Vec<u8> {
        let mut data = vec![0; DEPOSIT_EVENT_BYTES];
        for (index, (offset, length)) in DEPOSIT_PARTS.into_iter().enumerate() {
            data[32 * index + 24..32 * index + 32].copy_from_slice(&(offset as u64).to_be_bytes());
            data[offset + 24..offset + 32].copy_from_slice(&(length as u64).to_be_bytes());
            data[offset + 32..offset + 32 + length].fill(index as u8 + 1);
        }
        data
    }

    #[test]
    fn no_requests_hash_to_that_of_nothing() {
        assert_eq!(requests_hash(&[(0, &[]), (1, &[])]), alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
        assert_ne!(requests_hash(&[(0, &[1]), (1, &[])]), requests_hash(&[(0, &[]), (1, &[1])]));
    }

    #[test]
    fn deposits_are_read_strictly() {
        assert_eq!(keccak256("DepositEvent(bytes,bytes,bytes,bytes,bytes)"), DEPOSIT_EVENT);
        let contract = Address::repeat_byte(7);
        let logs = |address, topic, data: Vec<u8>| [Log::new_unchecked(address, vec![topic], data.into())];
        let good = deposits(contract, &logs(contract, DEPOSIT_EVENT, event())).unwrap();
        let parts = [vec![1; 48], vec![2; 32], vec![3; 8], vec![4; 96], vec![5; 8]];
        assert_eq!(good, parts.concat());
        // Another's log, another event.
        assert!(deposits(contract, &logs(Address::ZERO, DEPOSIT_EVENT, event())).unwrap().is_empty());
        assert!(deposits(contract, &logs(contract, B256::ZERO, event())).unwrap().is_empty());
        // One byte more, an offset, a length.
        for at in [576, 31, 191] {
            let mut data = event();
            data.resize(data.len().max(at + 1), 0);
            data[at] ^= 1;
            assert!(deposits(contract, &logs(contract, DEPOSIT_EVENT, data)).is_err(), "{at}");
        }
    }
}
