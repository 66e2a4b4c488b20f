//! Bounds of a call: what the operator sets, and what holds whatever they set.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// Most gas a call may use where nothing else is set: geth's `--rpc.gascap`.
pub const DEFAULT_GAS_CAP: u64 = 50_000_000;

/// How long the EVM may run for one call where nothing else is set: geth's `--rpc.evmtimeout`.
pub const DEFAULT_EVM_TIMEOUT: Duration = Duration::from_secs(5);

/// Most gas that the EVM is given where the operator sets no cap. Memory costs gas by its square, so that this is about
/// 70 MiB in one frame; without a bound one instruction could ask for terabytes.
pub(crate) const MOST_GAS: u64 = 10_000_000_000;

/// Bytes of EVM memory in all frames of a call together. 50 million gas reach no further than about half of it.
pub(crate) const MOST_MEMORY: usize = 256 << 20;

/// Items that one run may report as missing, and that are looked up at a time. The retriever takes 16,384 questions at a
/// time from all callers together.
pub(crate) const MOST_MISSING: usize = 1024;

/// How long a run may go on once something was missing. What it finds from then on rests on a guess; what it is for, is to
/// collect what else will be needed, and a walk of one level over a network takes as long.
pub(crate) const SPECULATION: Duration = Duration::from_millis(100);

/// Runs of one call. A chain of slots, each named by the one before, takes a run a slot; at 20 ms a turn this is longer than
/// any caller waits.
pub(crate) const MOST_RUNS: usize = 4096;

/// Bytes of state that one call may gather: 2,700 contracts of the largest size, or some 400,000 slots.
pub(crate) const MOST_STATE: usize = 64 << 20;

/// What the operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Most gas that a call may use; 0 for no cap but the one that bounds its memory, 10 billion. Default 50,000,000.
    pub gas_cap: u64,
    /// How long the EVM may run in one go, look-ups not counted; zero for as long as it takes. Default 5 seconds.
    pub evm_timeout: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { gas_cap: DEFAULT_GAS_CAP, evm_timeout: DEFAULT_EVM_TIMEOUT }
    }
}

impl CallLimits {
    /// Most gas that a call gets.
    pub(crate) fn gas(&self) -> u64 {
        if self.gas_cap == 0 { MOST_GAS } else { self.gas_cap.min(MOST_GAS) }
    }

    /// When a run that begins now is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.evm_timeout.is_zero()).then(|| Instant::now() + self.evm_timeout)
    }
}

/// How many EVMs run side by side: one a core. More would only take turns, and hold their memory meanwhile.
pub(crate) fn slots() -> Arc<Semaphore> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(cores))
}
