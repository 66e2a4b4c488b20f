//! Calls: the EVM over the verified state of one header.
//!
//! ```text
//! message      what a caller asks for, with geth's defaults: a message
//! overrides    what is to be otherwise: accounts, slots, the block
//! environment  the block around it
//! waves        run, collect what is missing, look it up together, run again
//! known        what was found so far; a run reads from it and notes what it misses
//! transact     one message on a state: geth's checks, then revm
//! watch        stops the EVM: time, memory, nobody waits
//! estimate, access_list   built on these
//! unsigned     the transaction that a request describes
//! revert, error           what went wrong, in geth's words
//! limits       every bound
//! ```
//!
//! The client asks its [`rushlight_odr::Source`] as for every other read, so what a call gives is proved against the
//! header, and over a full peer's store nothing is ever missing for long.

mod access_list;
mod environment;
mod error;
mod estimate;
mod known;
mod limits;
mod message;
mod overrides;
mod revert;
mod transact;
mod unsigned;
mod watch;
mod waves;

use alloy_primitives::Bytes;
use rushlight_chain::SealedHeader;

pub use access_list::AccessListResult;
pub use error::{ArgumentError, CallError, Context, Failure, OverrideError, Refusal};
pub use limits::{CallLimits, DEFAULT_EVM_TIMEOUT, DEFAULT_GAS_CAP};
pub use message::CallRequest;
pub use overrides::{AccountOverride, BlockOverrides, StateOverrides};

pub(crate) use environment::{Numbering, Setting};
pub(crate) use known::{Ancestry, Ground, Item, Known, State};
pub(crate) use limits::{MOST_MISSING, slots};
pub(crate) use message::Message;
pub(crate) use overrides::{ApplyError, Precompiles, apply};
pub(crate) use transact::{Checks, Ended, Executed, TransactError, transact};
pub(crate) use unsigned::Unsigned;
pub(crate) use watch::Halted;
pub(crate) use waves::{Over, RunError};

use crate::LightClient;
use revm::inspector::NoOpInspector;

/// Overrides of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Of the state.
    pub state: StateOverrides,
    /// Of the block.
    pub block: BlockOverrides,
}

impl LightClient {
    /// What a message returns on the state after the block of `header` (`eth_call`).
    pub async fn call(
        &self,
        header: &SealedHeader,
        request: CallRequest,
        overrides: Overrides,
        limits: &CallLimits,
    ) -> Result<Bytes, CallError> {
        let setting = Setting::at(self.spec(), header, &overrides.block, Numbering::Real)?;
        let message = request.message(limits.gas(), setting.base_fee, self.chain_id());
        let first = message.as_ref().map(first_items).unwrap_or_default();
        let over = Over::new(header, &setting, limits);
        self.run_over(over, first, move |ground| {
            let mut setting = setting.clone();
            let mut state = ground.state();
            overrides::apply(&overrides.state, &mut state, Precompiles::Of(&mut setting))?;
            // In geth a wrong override is told of before a wrong argument.
            let message = message.clone()?;
            let context = Context::Call(message.gas_limit);
            let executed = execute(&mut state, &setting, &message, Checks::CALL, context)?;
            outcome(executed)
        })
        .await
    }
}

/// What every run of a message asks for.
fn first_items(message: &Message) -> Vec<Item> {
    let mut items = vec![Item::account(message.from)];
    items.extend(message.to.map(Item::callee));
    for authorization in message.authorizations.iter().flatten() {
        items.extend(authorization.recover_authority().ok().map(Item::callee));
    }
    // Who names a slot beforehand is going to read it.
    for listed in message.access_list.iter().flat_map(|list| list.iter()) {
        items.push(Item::callee(listed.address));
        let slots = listed.storage_keys.iter();
        items.extend(slots.map(|slot| Item::Slot { address: listed.address, slot: (*slot).into() }));
    }
    items.truncate(limits::MOST_MISSING);
    items
}

/// Executes one message, and tells in `context` why it was refused.
pub(crate) fn execute(
    state: &mut State<'_>,
    setting: &Setting,
    message: &Message,
    checks: Checks,
    context: Context,
) -> Result<Executed, RunError> {
    let watch = &state.db.watch;
    match transact(state, setting, message, checks, watch, NoOpInspector) {
        Ok((executed, _)) => Ok(executed),
        Err(error) => Err(refused(error, context)),
    }
}

pub(crate) fn refused(error: TransactError, context: Context) -> RunError {
    match error {
        TransactError::Refused(why) => RunError::Call(CallError::Refused { why, context }),
        TransactError::Halted(halted) => RunError::Halted(halted),
        TransactError::Other(text) => RunError::Call(CallError::Internal(text)),
    }
}

fn outcome(executed: Executed) -> Result<Bytes, RunError> {
    match executed.ended {
        Ended::Returned(output) => Ok(output),
        Ended::Reverted(output) => Err(CallError::Reverted { output }.into()),
        Ended::Failed(failure) => Err(failure.into()),
    }
}

impl From<ApplyError> for RunError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Override(error) => Self::Call(error.into()),
            ApplyError::Halted(halted) => Self::Halted(halted),
        }
    }
}
