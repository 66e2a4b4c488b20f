//! Simulated blocks (`eth_simulateV1`): calls in blocks on top of one that is there, executed by the rules of a block, with
//! everything about them computed: receipts, roots and hashes too.
//!
//! ```text
//! plan         which blocks: numbers and times in order, gaps filled; their headers
//! block        one block: system calls, calls, withdrawals, rewards, roots
//! state        what the calls read and change, and the root of it
//! tries        tries that change over the paths that are held
//! logs         the logs of the calls, and of transfers of ether
//! error        why there are no blocks, with geth's texts and codes
//! ```
//!
//! All of it is one run over a state that is fetched in waves ([`crate::call`]). Once nothing that the calls read is
//! missing, the paths to all that they changed are looked up for the state root; most were walked already.

mod block;
mod error;
mod logs;
mod plan;
mod state;
mod tries;

use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS, eip4895::Withdrawal,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Bytes, Log};
use rushlight_chain::{Fork, SealedHeader};

pub use error::SimulateError;

use crate::{
    Block, LightClient,
    call::{
        Ancestry, BlockOverrides, CallError, CallLimits, CallRequest, Failure, Halted, Item, MOST_MISSING, Over,
        RunError, StateOverrides,
    },
};
use block::Simulator;

/// Most blocks of one simulation, those that fill gaps included, as in geth.
const MAX_BLOCKS: u64 = 256;
/// Most calls of one block, as in geth.
const MAX_CALLS_PER_BLOCK: usize = 5_000;
/// Most calls of one simulation, as in geth.
const MAX_CALLS: usize = 10_000;
/// Bytes that the calls of one simulation may return and log together. A response over HTTP has room for less than half.
const MOST_OUTPUT: usize = 32 << 20;

/// What is to be simulated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimulateRequest {
    /// The blocks, in order.
    pub blocks: Vec<BlockRequest>,
    /// Whether transfers of ether show among the logs, as if ether were a token (ERC-7528).
    pub trace_transfers: bool,
    /// Whether nonces and fees are checked as in a real block. Without it a call that names no price needs none.
    pub validation: bool,
}

/// One block of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockRequest {
    /// What of its header is otherwise.
    pub overrides: BlockOverrides,
    /// Its withdrawals (EIP-4895).
    pub withdrawals: Vec<Withdrawal>,
    /// What of the state is otherwise before it, and stays so.
    pub state: StateOverrides,
    /// Its calls.
    pub calls: Vec<CallRequest>,
}

/// A simulated block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedBlock {
    /// The block. Its transactions are unsigned: the senders are those that the calls name.
    pub block: Block,
    /// What came of its calls.
    pub calls: Vec<SimulatedCall>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedCall {
    /// How it ended.
    pub outcome: Outcome,
    /// The logs with their numbers in the block; none where it failed.
    pub logs: Vec<(u64, Log)>,
    /// Gas that it cost.
    pub gas_used: u64,
    /// The most gas that it held at a time, before refunds.
    pub max_gas_used: u64,
}

/// How a simulated call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this.
    Returned(Bytes),
    /// It reverted with this.
    Reverted(Bytes),
    /// It failed. `capped`: it was given less gas than it asked for, as the simulation's was used up.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether it got less gas than it asked for.
        capped: bool,
    },
}

impl LightClient {
    /// Simulates blocks on top of the one of `base`.
    ///
    /// # Errors
    /// One error for all of it where a block cannot be made; calls that revert or fail stand in their blocks.
    pub async fn simulate(
        &self,
        base: &SealedHeader,
        request: SimulateRequest,
        limits: &CallLimits,
    ) -> Result<Vec<SimulatedBlock>, SimulateError> {
        check_size(&request)?;
        let planned = plan::plan(base, &request.blocks)?;
        let first = self.first_items(base, &request);
        let over = Over {
            header: base.clone(),
            // Simulated blocks tell of themselves and of `base`; of what is before it, `base` does.
            ancestry: Ancestry { number: base.number, parent: base.parent_hash, linked: true },
            delegations: self.spec().forks.is_active(Fork::Prague, base.number, base.timestamp),
            limits: *limits,
        };
        let (spec, base, gas) = (self.spec().clone(), base.clone(), limits.gas());
        self.run_over(over, first, move |ground| {
            let simulator = Simulator::new(&spec, &base, &request, ground, gas);
            match simulator.run(&planned) {
                Ok(blocks) => Ok(Ok(blocks)),
                Err(Stop::Run(error)) => Err(error),
                Err(Stop::Error(error)) => Ok(Err(error)),
            }
        })
        .await?
    }

    /// What is sure to be read.
    fn first_items(&self, base: &SealedHeader, request: &SimulateRequest) -> Vec<Item> {
        let mut items = Vec::new();
        if self.spec().forks.is_active(Fork::Cancun, base.number, base.timestamp) {
            items.extend([
                Item::callee(BEACON_ROOTS_ADDRESS),
                Item::callee(HISTORY_STORAGE_ADDRESS),
                Item::callee(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
                Item::callee(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
            ]);
        }
        for block in &request.blocks {
            items.push(Item::account(block.overrides.fee_recipient.unwrap_or(base.beneficiary)));
            items.extend(block.state.keys().copied().map(Item::account));
            for call in &block.calls {
                items.push(Item::account(call.from.unwrap_or_default()));
                items.extend(call.to.map(Item::callee));
            }
        }
        items.truncate(MOST_MISSING);
        items
    }
}

fn check_size(request: &SimulateRequest) -> Result<(), SimulateError> {
    if request.blocks.is_empty() {
        return Err(SimulateError::Empty);
    }
    if request.blocks.len() as u64 > MAX_BLOCKS {
        return Err(SimulateError::TooManyBlocks);
    }
    let mut calls = 0;
    for block in &request.blocks {
        if block.calls.len() > MAX_CALLS_PER_BLOCK {
            return Err(SimulateError::TooManyCallsInBlock(block.calls.len()));
        }
        calls += block.calls.len();
        if calls > MAX_CALLS {
            return Err(SimulateError::TooManyCalls(calls));
        }
    }
    Ok(())
}

/// Why a run ended before its last block.
enum Stop {
    /// The run itself was stopped.
    Run(RunError),
    /// The blocks cannot be made.
    Error(SimulateError),
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<Halted> for Stop {
    fn from(halted: Halted) -> Self {
        Self::Run(RunError::Halted(halted))
    }
}

impl From<SimulateError> for Stop {
    fn from(error: SimulateError) -> Self {
        Self::Error(error)
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Error(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let blocks = |blocks: usize, calls: usize| SimulateRequest {
            blocks: vec![BlockRequest { calls: vec![CallRequest::default(); calls], ..Default::default() }; blocks],
            ..Default::default()
        };
        assert_eq!(check_size(&blocks(0, 0)), Err(SimulateError::Empty));
        assert_eq!(check_size(&blocks(257, 0)), Err(SimulateError::TooManyBlocks));
        assert_eq!(check_size(&blocks(256, 1)), Ok(()));
        assert_eq!(check_size(&blocks(1, 5001)), Err(SimulateError::TooManyCallsInBlock(5001)));
        assert_eq!(check_size(&blocks(2, 5000)), Ok(()));
        assert_eq!(check_size(&blocks(3, 4000)), Err(SimulateError::TooManyCalls(12_000)));
    }
}
