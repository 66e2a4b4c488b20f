//! Why a call has no answer, in geth's words.

use std::{fmt, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use revm::{
    bytecode::opcode::{OpCode, RETURN},
    context::result::{HaltReason, OutOfGasError},
};

use super::{limits::MOST_STATE, revert, watch::Trail};
use crate::ClientError;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// What the call needs cannot be had.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The arguments contradict each other.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// An override that cannot be applied.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// The message breaks a rule, so that nothing was executed.
    #[error("{}{why}{}", context.before(), context.after())]
    Refused {
        /// Which rule.
        why: Refusal,
        /// What was being done.
        context: Context,
    },
    /// The code reverted (error code 3, the output as data).
    #[error("{}", revert::message(output))]
    Reverted {
        /// What it returned.
        output: Bytes,
    },
    /// The execution failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// An estimate is above what the sender can pay, or the call may use.
    #[error("gas required exceeds allowance ({0})")]
    GasRequired(u64),
    /// The EVM's time is up.
    #[error("execution aborted (timeout = {})", Go(*.0))]
    TimedOut(Duration),
    /// The call takes more memory than a call may.
    #[error("execution aborted (more than {} MiB of memory)", .0 >> 20)]
    Memory(usize),
    /// The call reads more of the state than a call may.
    #[error("execution aborted (it reads more than {} MiB of the state)", MOST_STATE >> 20)]
    State,
    /// Something that this node cannot execute.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The EVM itself failed: a mistake in this program.
    #[error("EVM: {0}")]
    Internal(String),
}

/// What was being done when a message was refused: geth frames the reason by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The bare reason.
    Bare,
    /// A call with this much gas.
    Call(u64),
    /// A try of an estimate with this much gas.
    Estimate(u64),
    /// An access list for the transaction of this hash.
    AccessList(B256),
}

impl Context {
    fn before(&self) -> String {
        match self {
            Self::Bare => String::new(),
            Self::Call(_) => "err: ".to_owned(),
            Self::Estimate(gas) => format!("failed with {gas} gas: "),
            Self::AccessList(hash) => format!("failed to apply transaction: {hash} err: "),
        }
    }

    fn after(&self) -> String {
        match self {
            Self::Call(gas) => format!(" (supplied gas {gas})"),
            _ => String::new(),
        }
    }
}

/// Arguments that contradict each other, or the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// Two ways to name a price.
    #[error("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")]
    BothPrices,
    /// EIP-7702 has no price of its own.
    #[error("both gasPrice and authorizationList specified")]
    PriceWithAuthorizations,
    /// A blob transaction has a recipient.
    #[error("blob transaction of type create")]
    BlobCreate,
    /// So has one that sets code.
    #[error("EIP-7702 transaction cannot be used to create contract")]
    SetCodeCreate,
    /// Another chain's id.
    #[error("chainId does not match node's (have={have}, want={want})")]
    ChainId {
        /// The caller's.
        have: U256,
        /// This chain's.
        want: u64,
    },
    /// A price for blobs of nothing.
    #[error("maxFeePerBlobGas, if specified, must be non-zero")]
    ZeroBlobFee,
    /// A price of nothing.
    #[error("maxFeePerGas must be non-zero")]
    ZeroFee,
    /// A price of nothing where there is a base fee.
    #[error("gasPrice must be non-zero after london fork")]
    ZeroPrice,
    /// A tip above the whole price.
    #[error("maxFeePerGas ({fee:#x}) < maxPriorityFeePerGas ({tip:#x})")]
    TipAboveFee {
        /// The whole price.
        fee: U256,
        /// The tip.
        tip: U256,
    },
    /// Prices that the chain does not know yet.
    #[error("maxFeePerGas and maxPriorityFeePerGas are not valid before London is active")]
    BeforeLondon,
    /// Blobs themselves are for sending only.
    #[error("\"blobs\" is not supported for this RPC method")]
    Blobs,
}

/// An override that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// A call has no beacon root to override.
    #[error("block override \"beaconRoot\" is not supported for this RPC method")]
    BeaconRoot,
    /// Nor withdrawals.
    #[error("block override \"withdrawals\" is not supported for this RPC method")]
    Withdrawals,
    /// Only a precompile can be moved.
    #[error("account {} is not a precompile", .0.to_checksum(None))]
    NoPrecompile(Address),
    /// A precompile cannot be moved to where something else is overridden.
    #[error("account {} is already overridden", .0.to_checksum(None))]
    Overridden(Address),
    /// Two ways to override storage.
    #[error("account {} has both 'state' and 'stateDiff'", .0.to_checksum(None))]
    BothStates(Address),
    /// A number that this EVM does not take.
    #[error("block override \"{0}\" is too large")]
    TooLarge(&'static str),
}

/// A rule that a message breaks before anything of it is executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A nonce that is used up.
    #[error("nonce too low: address {}, tx: {nonce} state: {state}", from.to_checksum(None))]
    NonceTooLow {
        /// The sender.
        from: Address,
        /// The message's.
        nonce: u64,
        /// The account's.
        state: u64,
    },
    /// A nonce whose turn has not come.
    #[error("nonce too high: address {}, tx: {nonce} state: {state}", from.to_checksum(None))]
    NonceTooHigh {
        /// The sender.
        from: Address,
        /// The message's.
        nonce: u64,
        /// The account's.
        state: u64,
    },
    /// EIP-2681.
    #[error("nonce has max value: address {}, nonce: {nonce}", from.to_checksum(None))]
    NonceMax {
        /// The sender.
        from: Address,
        /// The account's nonce.
        nonce: u64,
    },
    /// EIP-3607.
    #[error("sender not an eoa: address {}, len(code): {length}", from.to_checksum(None))]
    SenderHasCode {
        /// The sender.
        from: Address,
        /// Bytes of its code.
        length: usize,
    },
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh {
        /// The fork's bound.
        cap: u64,
        /// The message's limit.
        gas: u64,
    },
    /// A tip above the whole price.
    #[error(
        "max priority fee per gas higher than max fee per gas: address {}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}",
        from.to_checksum(None)
    )]
    TipAboveFee {
        /// The sender.
        from: Address,
        /// The tip.
        tip: U256,
        /// The whole price.
        fee: U256,
    },
    /// A price below the base fee.
    #[error(
        "max fee per gas less than block base fee: address {}, maxFeePerGas: {fee}, baseFee: {base_fee}",
        from.to_checksum(None)
    )]
    FeeTooLow {
        /// The sender.
        from: Address,
        /// The message's price.
        fee: U256,
        /// The block's.
        base_fee: u64,
    },
    /// A kind of transaction that the fork in force does not know.
    #[error("transaction type not supported: {kind} (sender {})", from.to_checksum(None))]
    TypeNotSupported {
        /// Which.
        kind: &'static str,
        /// The sender.
        from: Address,
    },
    /// A blob transaction without a recipient.
    #[error("blob transaction of type create")]
    BlobCreate,
    /// One without blobs.
    #[error("blob transaction missing blob hashes")]
    NoBlobs,
    /// One with more than the fork allows.
    #[error("blob transaction has too many blobs")]
    TooManyBlobs,
    /// A hash that is no versioned hash.
    #[error("blob {0} has invalid hash version")]
    BlobVersion(usize),
    /// A price for blobs below the block's.
    #[error(
        "max fee per blob gas less than block blob gas fee: address {} blobGasFeeCap: {fee}, blobBaseFee: {base_fee}",
        from.to_checksum(None)
    )]
    BlobFeeTooLow {
        /// The sender.
        from: Address,
        /// The message's price.
        fee: U256,
        /// The block's.
        base_fee: u128,
    },
    /// A set-code transaction without a recipient.
    #[error("EIP-7702 transaction cannot be used to create contract (sender {})", .0.to_checksum(None))]
    SetCodeCreate(Address),
    /// One without authorizations.
    #[error("EIP-7702 transaction with empty auth list (sender {})", .0.to_checksum(None))]
    NoAuthorizations(Address),
    /// EIP-3860.
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCode {
        /// Bytes of the init code.
        size: usize,
        /// The most there may be.
        limit: usize,
    },
    /// More gas than there is for the block.
    #[error("gas limit reached")]
    GasLimitReached,
    /// The sender cannot pay for gas, blobs and value.
    #[error("insufficient funds for gas * price + value{}", Funds(.0))]
    Funds(Option<(Address, Option<(U256, U256)>)>),
    /// The sender cannot pay the value, once the gas is paid.
    #[error("insufficient funds for transfer{}", OfAddress(.0))]
    FundsForTransfer(Option<Address>),
    /// Less gas than the message costs before it starts.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas {
        /// The message's limit.
        have: u64,
        /// What it costs.
        want: u64,
    },
    /// Less gas than its data costs (EIP-7623).
    #[error("insufficient gas for floor data gas cost: have {have}, want {want}")]
    FloorGas {
        /// The message's limit.
        have: u64,
        /// What it costs.
        want: u64,
    },
}

struct Funds<'a>(&'a Option<(Address, Option<(U256, U256)>)>);

impl fmt::Display for Funds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some((from, None)) => write!(f, ": address {} required balance exceeds 256 bits", from.to_checksum(None)),
            Some((from, Some((have, want)))) => {
                write!(f, ": address {} have {have} want {want}", from.to_checksum(None))
            }
        }
    }
}

struct OfAddress<'a>(&'a Option<Address>);

impl fmt::Display for OfAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| write!(f, ": address {}", address.to_checksum(None)))
    }
}

/// Why an execution failed: what geth's EVM says. A revert is none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: String,
    out_of_gas: bool,
}

impl Failure {
    /// Whether more gas might help.
    pub fn is_out_of_gas(&self) -> bool {
        self.out_of_gas
    }

    /// `create`: whether the outermost frame made a contract; `limit`: most bytes of a contract's code.
    pub(crate) fn new(reason: &HaltReason, trail: Trail, create: bool, limit: usize) -> Self {
        let out_of_gas = |text: &str| Self { text: text.to_owned(), out_of_gas: true };
        let failed = |text: String| Self { text, out_of_gas: false };
        let (takes, room) = trail.stack_bounds();
        match reason {
            HaltReason::OutOfGas(OutOfGasError::Basic) if create && trail.opcode == RETURN => {
                failed("contract creation code storage out of gas".to_owned())
            }
            HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => failed("gas uint64 overflow".to_owned()),
            HaltReason::OutOfGas(OutOfGasError::ReentrancySentry) => {
                out_of_gas("out of gas: not enough gas for reentrancy sentry")
            }
            HaltReason::OutOfGas(_) => out_of_gas("out of gas"),
            HaltReason::OpcodeNotFound | HaltReason::NotActivated | HaltReason::InvalidFEOpcode => {
                failed(format!("invalid opcode: {}", Named(trail.opcode, reason)))
            }
            HaltReason::InvalidJump => failed("invalid jump destination".to_owned()),
            // DUP of a place that is not there is an overflow by revm's count.
            HaltReason::StackOverflow if trail.stack < takes => {
                failed(format!("stack underflow ({} <=> {takes})", trail.stack))
            }
            HaltReason::StackUnderflow => failed(format!("stack underflow ({} <=> {takes})", trail.stack)),
            HaltReason::StackOverflow => failed(format!("stack limit reached {} ({room})", trail.stack)),
            HaltReason::OutOfOffset => failed("return data out of bounds".to_owned()),
            HaltReason::CreateCollision => failed("contract address collision".to_owned()),
            HaltReason::PrecompileError => failed("precompile failed".to_owned()),
            HaltReason::PrecompileErrorWithContext(why) => failed(why.clone()),
            HaltReason::NonceOverflow => failed("nonce uint64 overflow".to_owned()),
            HaltReason::CreateContractSizeLimit => {
                failed(format!("max code size exceeded: code size {} limit {limit}", trail.returned))
            }
            HaltReason::CreateContractStartingWithEF => failed("invalid code: must not begin with 0xef".to_owned()),
            HaltReason::CreateInitCodeSizeLimit => failed("out of gas: max initcode size exceeded".to_owned()),
            HaltReason::OverflowPayment | HaltReason::OutOfFunds => {
                failed("insufficient balance for transfer".to_owned())
            }
            HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
                failed("write protection".to_owned())
            }
            HaltReason::CallTooDeep => failed("max call depth exceeded".to_owned()),
        }
    }
}

/// An opcode as geth names one that it does not execute.
struct Named<'a>(u8, &'a HaltReason);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (OpCode::new(self.0), eof_name(self.0)) {
            (Some(opcode), _) if *self.1 != HaltReason::OpcodeNotFound => f.write_str(opcode.as_str()),
            (_, Some(name)) => f.write_str(name),
            _ => write!(f, "opcode 0x{} not defined", hex::encode([self.0]).trim_start_matches('0')),
        }
    }
}

/// Opcodes of EOF, which came with no fork and which geth knows by name all the same.
const fn eof_name(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        0xd0 => "DATALOAD",
        0xd1 => "DATALOADN",
        0xd2 => "DATASIZE",
        0xd3 => "DATACOPY",
        0xe0 => "RJUMP",
        0xe1 => "RJUMPI",
        0xe2 => "RJUMPV",
        0xe3 => "CALLF",
        0xe4 => "RETF",
        0xe5 => "JUMPF",
        0xe6 => "DUPN",
        0xe7 => "SWAPN",
        0xe8 => "EXCHANGE",
        0xec => "EOFCREATE",
        0xee => "RETURNCONTRACT",
        0xf7 => "RETURNDATALOAD",
        0xf8 => "EXTCALL",
        0xf9 => "EXTDELEGATECALL",
        0xfb => "EXTSTATICCALL",
        _ => return None,
    })
}

/// A duration as Go prints it.
struct Go(Duration);

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let rest = Duration::from_nanos(u64::from(self.0.subsec_nanos()));
        if seconds == 0 {
            // Rust prints what is below a second as Go does.
            return write!(f, "{rest:?}");
        }
        if seconds >= 3600 {
            write!(f, "{}h", seconds / 3600)?;
        }
        if seconds >= 60 {
            write!(f, "{}m", seconds / 60 % 60)?;
        }
        match Duration::from_secs(seconds % 60) + rest {
            Duration::ZERO => f.write_str("0s"),
            // Rust would go on in parts of a second.
            rest if rest.as_secs() == 0 => write!(f, "{}s", rest.as_secs_f64()),
            rest => write!(f, "{rest:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_in_go() {
        for (millis, text) in [
            (5_000, "5s"),
            (1_500, "1.5s"),
            (250, "250ms"),
            (60_000, "1m0s"),
            (90_500, "1m30.5s"),
            (3_600_000, "1h0m0s"),
            (60_500, "1m0.5s"),
        ] {
            let error = CallError::TimedOut(Duration::from_millis(millis));
            assert_eq!(error.to_string(), format!("execution aborted (timeout = {text})"));
        }
    }

    #[test]
    fn opcodes_as_in_geth() {
        let text = |opcode, reason| Failure::new(&reason, Trail { opcode, ..Trail::default() }, false, 0).to_string();
        assert_eq!(text(0xef, HaltReason::OpcodeNotFound), "invalid opcode: opcode 0xef not defined");
        assert_eq!(text(0x0c, HaltReason::OpcodeNotFound), "invalid opcode: opcode 0xc not defined");
        assert_eq!(text(0xfe, HaltReason::InvalidFEOpcode), "invalid opcode: INVALID");
        assert_eq!(text(0x5f, HaltReason::NotActivated), "invalid opcode: PUSH0");
    }
}
