//! Why a simulation gives no blocks, in geth's words and with its codes.

use rushlight_evm::system::{DEPOSIT_EVENT_BYTES, SystemFailure};

use super::{MAX_CALLS, MAX_CALLS_PER_BLOCK};
use crate::{
    ClientError,
    call::{ArgumentError, CallError, OverrideError, Refusal},
};

/// Why a simulation gives no blocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// No block was asked for.
    #[error("empty input")]
    Empty,
    /// More blocks than are simulated, gaps included.
    #[error("too many blocks")]
    TooManyBlocks,
    /// More calls than one block takes.
    #[error("too many calls in block: {0} > {MAX_CALLS_PER_BLOCK}")]
    TooManyCallsInBlock(usize),
    /// More calls than one simulation takes.
    #[error("too many calls: {0} > {MAX_CALLS}")]
    TooManyCalls(usize),
    /// A block whose number is not above the one's before.
    #[error("block numbers must be in order: {number} <= {before}")]
    Number {
        /// Its number.
        number: u64,
        /// The number of the block before.
        before: u64,
    },
    /// A block whose time is not after the one's before.
    #[error("block timestamps must be in order: {time} <= {before}")]
    Time {
        /// Its time.
        time: u64,
        /// The time of the block before.
        before: u64,
    },
    /// A call that asks for more gas than is left in its block.
    #[error("block gas limit reached: remaining: {remaining}, required: {required}")]
    GasLimitReached {
        /// What is left.
        remaining: u64,
        /// What it asks for.
        required: u64,
    },
    /// A call's arguments contradict each other.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// An override that cannot be applied.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// A call that breaks a rule, so that its block is none.
    #[error("err: {why} (supplied gas {gas})")]
    Refused {
        /// Which rule.
        why: Refusal,
        /// The gas that it was given.
        gas: u64,
    },
    /// A system contract does not do what a block needs of it.
    #[error("{}", system(name, failure))]
    System {
        /// What the contract is for.
        name: &'static str,
        /// What is wrong with it.
        failure: SystemFailure,
    },
    /// The EVM was stopped, a state cannot be had, or something is not supported.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<ClientError> for SimulateError {
    fn from(error: ClientError) -> Self {
        Self::Call(error.into())
    }
}

/// "invalid params"
const INVALID_PARAMS: i32 = -32602;
/// "internal error": what geth gives to a refusal that has no code of its own.
const INTERNAL: i32 = -32603;
const SERVER_ERROR: i32 = -32000;

impl SimulateError {
    /// The JSON-RPC code, as [execution-apis](https://github.com/ethereum/execution-apis) and geth give it.
    pub fn code(&self) -> i32 {
        match self {
            Self::Empty => INVALID_PARAMS,
            Self::TooManyBlocks | Self::TooManyCallsInBlock(_) | Self::TooManyCalls(_) => -38026,
            Self::Number { .. } => -38020,
            Self::Time { .. } => -38021,
            Self::GasLimitReached { .. } => -38015,
            Self::Refused { why, .. } => refusal_code(why),
            Self::Call(CallError::TimedOut(_)) => INTERNAL,
            Self::Arguments(_) | Self::Override(_) | Self::System { .. } | Self::Call(_) => SERVER_ERROR,
        }
    }
}

fn refusal_code(why: &Refusal) -> i32 {
    match why {
        Refusal::NonceTooLow { .. } => -38010,
        Refusal::NonceTooHigh { .. } => -38011,
        Refusal::FeeTooLow { .. } => -38012,
        Refusal::IntrinsicGas { .. } => -38013,
        Refusal::Funds(_) | Refusal::FundsForTransfer(_) => -38014,
        Refusal::SenderHasCode { .. } => -38024,
        Refusal::InitCode { .. } => -38025,
        Refusal::TipAboveFee { .. } => INVALID_PARAMS,
        _ => INTERNAL,
    }
}

/// What geth says of a system contract.
fn system(name: &str, failure: &SystemFailure) -> String {
    let queue = match name {
        "withdrawal requests" => "failed to process withdrawal queue",
        "consolidation requests" => "failed to process consolidation queue",
        _ => "failed to parse deposit logs",
    };
    match failure {
        SystemFailure::NoCode(address) => {
            format!("{queue}: empty system contract: no code at {}", address.to_checksum(None))
        }
        SystemFailure::Reverted => format!("{queue}: system call failed to execute: execution reverted"),
        SystemFailure::Halted => format!("{queue}: system call failed to execute: it halted"),
        SystemFailure::Deposit(data) => {
            let want = DEPOSIT_EVENT_BYTES;
            let why = match data.len() {
                length if length == want => "not laid out as a deposit".to_owned(),
                length => format!("deposit wrong length: want {want}, have {length}"),
            };
            format!("{queue}: unable to parse deposit data: {why}")
        }
        SystemFailure::Call(why) => format!("{queue}: system call failed to execute: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;

    use super::*;

    /// The codes of the specification of eth_simulateV1.
    #[test]
    fn codes() {
        let from = Address::ZERO;
        let refused = |why| SimulateError::Refused { why, gas: 5 };
        for (error, code) in [
            (SimulateError::Empty, -32602),
            (SimulateError::TooManyBlocks, -38026),
            (SimulateError::Number { number: 1, before: 1 }, -38020),
            (SimulateError::Time { time: 1, before: 1 }, -38021),
            (SimulateError::GasLimitReached { remaining: 1, required: 2 }, -38015),
            (refused(Refusal::NonceTooLow { from, nonce: 0, state: 1 }), -38010),
            (refused(Refusal::NonceTooHigh { from, nonce: 1, state: 0 }), -38011),
            (refused(Refusal::IntrinsicGas { have: 1, want: 2 }), -38013),
            (refused(Refusal::Funds(None)), -38014),
            (refused(Refusal::InitCode { size: 1, limit: 0 }), -38025),
            (refused(Refusal::NoBlobs), -32603),
            (SimulateError::Override(OverrideError::NoPrecompile(from)), -32000),
        ] {
            assert_eq!(error.code(), code, "{error}");
        }
        assert_eq!(
            refused(Refusal::IntrinsicGas { have: 1, want: 2 }).to_string(),
            "err: intrinsic gas too low: have 1, want 2 (supplied gas 5)"
        );
    }
}
