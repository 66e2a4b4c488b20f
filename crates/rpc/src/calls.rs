//! `eth_call`, `eth_estimateGas` and `eth_createAccessList`: messages that are executed and leave nothing behind.

use std::sync::Arc;

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Bytes, U64};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    types::{ErrorObject, ErrorObjectOwned, Params},
};
use rushlight_light::call::{BlockOverrides, CallError, CallRequest, Overrides, StateOverrides};
use serde::Serialize;

use crate::{
    api::{Answer, Api},
    error::{from_client, server_error},
    eth::state_at,
    params::Args,
};

/// The code of an error that is a contract's own: its data is what the contract returned.
pub(crate) const REVERTED: i32 = 3;

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_call", |params, api, _| call(params, api))?;
    module.register_async_method("eth_estimateGas", |params, api, _| estimate_gas(params, api))?;
    module.register_async_method("eth_createAccessList", |params, api, _| create_access_list(params, api))?;
    Ok(())
}

async fn call(params: Params<'static>, api: Arc<Api>) -> Answer<Bytes> {
    let args = Args::parse(&params, 4)?;
    let (request, overrides) = (args.required::<CallRequest>(0)?, overrides(&args)?);
    let header = state_at(&api, &args, 1).await?;
    api.client.call(&header, request, overrides, &api.calls).await.map_err(from_call)
}

async fn estimate_gas(params: Params<'static>, api: Arc<Api>) -> Answer<U64> {
    let args = Args::parse(&params, 4)?;
    let (request, overrides) = (args.required::<CallRequest>(0)?, overrides(&args)?);
    let header = state_at(&api, &args, 1).await?;
    let gas = api.client.estimate_gas(&header, request, overrides, &api.calls).await;
    gas.map(U64::from).map_err(from_call)
}

/// What a message touches, why it fails, and the gas that it uses.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessListAnswer {
    access_list: AccessList,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gas_used: U64,
}

async fn create_access_list(params: Params<'static>, api: Arc<Api>) -> Answer<AccessListAnswer> {
    let args = Args::parse(&params, 3)?;
    let (request, state) = (args.required::<CallRequest>(0)?, args.optional::<StateOverrides>(2)?);
    let header = state_at(&api, &args, 1).await?;
    let result = api.client.create_access_list(&header, request, state.unwrap_or_default(), &api.calls).await;
    let result = result.map_err(from_call)?;
    Ok(AccessListAnswer { access_list: result.access_list, error: result.error, gas_used: U64::from(result.gas_used) })
}

fn overrides(args: &Args<'_>) -> Answer<Overrides> {
    let state = args.optional::<StateOverrides>(2)?.unwrap_or_default();
    let block = args.optional::<BlockOverrides>(3)?.unwrap_or_default();
    Ok(Overrides { state, block })
}

/// What a caller is told when a message came to no answer.
pub(crate) fn from_call(error: CallError) -> ErrorObjectOwned {
    match error {
        CallError::Client(error) => from_client(error),
        CallError::Reverted { ref output } => ErrorObject::owned(REVERTED, error.to_string(), Some(output)),
        other => server_error(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn a_revert_has_a_code_of_its_own_and_its_output_as_data() {
        let output = Bytes::from_static(&hex!("12345678"));
        let error = from_call(CallError::Reverted { output });
        assert_eq!((error.code(), error.message()), (3, "execution reverted"));
        assert_eq!(error.data().map(|data| data.get()), Some("\"0x12345678\""));
    }
}
