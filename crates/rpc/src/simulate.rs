//! `eth_simulateV1`: calls in blocks that are not there.

use std::sync::Arc;

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, Bytes, U64};
use alloy_rpc_types_eth::Log;
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    types::{ErrorObject, ErrorObjectOwned, Params},
};
use rushlight_light::{
    call::CallError,
    simulate::{BlockRequest, Outcome, SimulateError, SimulateRequest, SimulatedBlock, SimulatedCall},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{Answer, Api},
    calls::{REVERTED, from_call},
    error::internal_error,
    eth::state_at,
    messages::{Object, list},
    params::{Args, Argument, Quantity},
    shapes,
};

/// The code of a call that failed otherwise than by reverting.
const VM_ERROR: i32 = -32015;
/// What geth makes of the absent signature of a legacy transaction: (0 - 35) / 2 in 64 bits, as EIP-155 has it.
const UNSIGNED_CHAIN_ID: &str = "0x7fffffffffffffee";

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_simulateV1", |params, api, _| simulate(params, api))?;
    Ok(())
}

async fn simulate(params: Params<'static>, api: Arc<Api>) -> Answer<Vec<Value>> {
    let args = Args::parse(&params, 2)?;
    let options: Options = args.required(0)?;
    let base = state_at(&api, &args, 1).await?;
    let blocks = api.client.simulate(&base, options.request, &api.calls).await.map_err(from_simulate)?;
    blocks.iter().map(|made| block(made, options.full)).collect::<Result<_, _>>().map_err(|_| internal_error())
}

fn from_simulate(error: SimulateError) -> ErrorObjectOwned {
    let code = error.code();
    match error {
        SimulateError::Call(error @ CallError::Client(_)) => from_call(error),
        other => ErrorObject::owned(code, other.to_string(), None::<()>),
    }
}

/// The first argument.
struct Options {
    request: SimulateRequest,
    /// Whether blocks show their transactions, or only the hashes of them.
    full: bool,
}

impl Argument for Options {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        let request = SimulateRequest {
            blocks: object.get("blockStateCalls")?.unwrap_or_default(),
            trace_transfers: object.get("traceTransfers")?.unwrap_or_default(),
            validation: object.get("validation")?.unwrap_or_default(),
        };
        Ok(Self { request, full: object.get("returnFullTransactions")?.unwrap_or_default() })
    }
}

/// The withdrawals among the overrides of a block.
struct Withdrawals(Vec<Withdrawal>);

impl Argument for Withdrawals {
    fn read(json: &str) -> Result<Self, String> {
        Ok(Self(Object::read(json)?.get("withdrawals")?.unwrap_or_default()))
    }
}

impl Argument for BlockRequest {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        Ok(Self {
            overrides: object.get("blockOverrides")?.unwrap_or_default(),
            withdrawals: object.get::<Withdrawals>("blockOverrides")?.map_or_else(Vec::new, |list| list.0),
            state: object.get("stateOverrides")?.unwrap_or_default(),
            calls: object.get("calls")?.unwrap_or_default(),
        })
    }
}

impl Argument for Vec<BlockRequest> {
    fn read(json: &str) -> Result<Self, String> {
        list(json)
    }
}

impl Argument for Vec<rushlight_light::call::CallRequest> {
    fn read(json: &str) -> Result<Self, String> {
        list(json)
    }
}

impl Argument for Vec<Withdrawal> {
    fn read(json: &str) -> Result<Self, String> {
        list(json)
    }
}

impl Argument for Withdrawal {
    fn read(json: &str) -> Result<Self, String> {
        let object = Object::read(json)?;
        let number = |name| Ok::<_, String>(object.get::<Quantity>(name)?.map_or(0, |Quantity(number)| number));
        Ok(Self {
            index: number("index")?,
            validator_index: number("validatorIndex")?,
            address: object.get::<Address>("address")?.unwrap_or_default(),
            amount: number("amount")?,
        })
    }
}

/// A block as `eth_getBlockByNumber` gives it, with what came of its calls.
fn block(made: &SimulatedBlock, full: bool) -> serde_json::Result<Value> {
    let mut block = serde_json::to_value(shapes::block(&made.block, full))?;
    if let Some(transactions) = block.get_mut("transactions").and_then(Value::as_array_mut) {
        for tx in transactions.iter_mut().filter(|tx| tx.get("type").is_some_and(|kind| kind == "0x0")) {
            tx["v"] = json!("0x0");
            tx["chainId"] = json!(UNSIGNED_CHAIN_ID);
        }
    }
    let calls: Vec<_> = made.calls.iter().enumerate().map(|(index, done)| call(made, index, done)).collect();
    block["calls"] = serde_json::to_value(calls)?;
    Ok(block)
}

/// What came of a call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Called {
    return_data: Bytes,
    logs: Vec<Log>,
    gas_used: U64,
    max_used_gas: U64,
    status: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failed>,
}

#[derive(Debug, Clone, Serialize)]
struct Failed {
    message: String,
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
}

fn call(made: &SimulatedBlock, index: usize, done: &SimulatedCall) -> Called {
    let (header, hash) = (&made.block.header, made.block.header.hash());
    let transaction_hash = made.block.transactions.get(index).map(|tx| *tx.tx_hash());
    let log = |(number, log): &(u64, alloy_primitives::Log)| Log {
        inner: log.clone(),
        block_hash: Some(hash),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        transaction_hash,
        transaction_index: Some(index as u64),
        log_index: Some(*number),
        removed: false,
    };
    let (return_data, error) = match &done.outcome {
        Outcome::Returned(output) => (output.clone(), None),
        Outcome::Reverted(output) => {
            let message = CallError::Reverted { output: output.clone() }.to_string();
            (Bytes::new(), Some(Failed { message, code: REVERTED, data: Some(output.clone()) }))
        }
        Outcome::Failed { failure, capped } => {
            let why = if *capped { " (gas limit was capped by the RPC server's global gas cap)" } else { "" };
            (Bytes::new(), Some(Failed { message: format!("{failure}{why}"), code: VM_ERROR, data: None }))
        }
    };
    Called {
        return_data,
        logs: done.logs.iter().map(log).collect(),
        gas_used: U64::from(done.gas_used),
        max_used_gas: U64::from(done.max_gas_used),
        status: U64::from(u64::from(error.is_none())),
        error,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options() {
        let options = Options::read(
            r#"{"blockStateCalls":[{"blockOverrides":{"number":"0x10","withdrawals":[{"index":"0x1","amount":"0x5",
            "address":"0x00000000000000000000000000000000000000c0"}]},"calls":[{"gas":"0x5208"},{}]},{}],
            "traceTransfers":true,"returnFullTransactions":true}"#,
        )
        .unwrap();
        let request = options.request;
        assert!(options.full && request.trace_transfers && !request.validation);
        assert_eq!((request.blocks.len(), request.blocks[0].calls.len()), (2, 2));
        assert_eq!(request.blocks[0].overrides.number, Some(U256::from(16)));
        let withdrawal = request.blocks[0].withdrawals[0];
        assert_eq!((withdrawal.index, withdrawal.validator_index, withdrawal.amount), (1, 0, 5));
        assert_eq!(request.blocks[1], BlockRequest::default());
        for (json, why) in [
            ("[]", "expected an object"),
            (
                r#"{"blockStateCalls":[{"calls":[{"gas":"0x01"}]}]}"#,
                "blockStateCalls: [0]: calls: [0]: gas: hex number with leading zero digits",
            ),
            (r#"{"validation":1}"#, "validation: expected true or false"),
        ] {
            assert_eq!(Options::read(json).err().as_deref(), Some(why), "{json}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(json in ".{0,90}") {
            let _ = Options::read(&json);
            let _ = Vec::<BlockRequest>::read(&json);
        }
    }
}
