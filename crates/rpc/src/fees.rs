//! `eth_gasPrice` and its like: what a transaction should pay.

use std::sync::Arc;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{U64, U128};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, Params},
};
use rushlight_light::{FeeError, FeeHistory};
use serde::{Serialize, Serializer};

use crate::{
    api::{Answer, Api, nothing},
    error::{from_client, server_error},
    params::{Args, Argument},
};

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_gasPrice", |params, api, _| gas_price(params, api))?;
    module.register_async_method("eth_maxPriorityFeePerGas", |params, api, _| tip(params, api))?;
    module.register_async_method("eth_feeHistory", |params, api, _| history(params, api))?;
    module.register_async_method("eth_baseFee", |params, api, _| base_fee(params, api))?;
    module.register_async_method("eth_blobBaseFee", |params, api, _| blob_base_fee(params, api))?;
    Ok(())
}

async fn gas_price(params: Params<'static>, api: Arc<Api>) -> Answer<U128> {
    nothing(&params)?;
    api.client.gas_price().await.map(U128::from).map_err(from_client)
}

async fn tip(params: Params<'static>, api: Arc<Api>) -> Answer<U128> {
    nothing(&params)?;
    api.client.suggested_tip().await.map(U128::from).map_err(from_client)
}

/// The base fee of the next block, `null` before London.
async fn base_fee(params: Params<'static>, api: Arc<Api>) -> Answer<Option<U64>> {
    nothing(&params)?;
    Ok(api.client.next_base_fee().map_err(from_client)?.map(U64::from))
}

/// The blob base fee of the head, `null` before Cancun.
async fn blob_base_fee(params: Params<'static>, api: Arc<Api>) -> Answer<Option<U128>> {
    nothing(&params)?;
    Ok(api.client.blob_base_fee().map_err(from_client)?.map(U128::from))
}

async fn history(params: Params<'static>, api: Arc<Api>) -> Answer<History> {
    let args = Args::parse(&params, 3)?;
    let (Count(blocks), last): (Count, BlockNumberOrTag) = (args.required(0)?, args.required(1)?);
    // geth wants them to be there; the specification does not.
    let Percentiles(percentiles) = args.optional(2)?.unwrap_or_default();
    let history = api.client.fee_history(blocks, last, &percentiles).await.map_err(from_fees)?;
    Ok(history.into())
}

fn from_fees(error: FeeError) -> ErrorObjectOwned {
    match error {
        FeeError::Client(error) => from_client(error),
        other => server_error(other.to_string()),
    }
}

/// A number of blocks: hexadecimal or decimal, a string or not, as geth takes it here and nowhere else.
struct Count(u64);

impl Argument for Count {
    fn read(json: &str) -> Result<Self, String> {
        let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json);
        let (digits, radix) = match text.get(..2) {
            Some("0x" | "0X") => (&text[2..], 16),
            _ => (text, 10),
        };
        let number = || u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
        let number = if text.is_empty() { Some(0) } else { number() };
        number.map(Self).ok_or_else(|| {
            let shown: String = text.chars().take(MAX_ECHO).collect();
            format!("invalid hex or decimal integer {shown:?}")
        })
    }
}

/// Most characters of a caller's text that an error message repeats.
const MAX_ECHO: usize = 80;

#[derive(Default)]
struct Percentiles(Vec<f64>);

impl Argument for Percentiles {
    fn read(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map(Self).map_err(|_| "expected an array of numbers".to_owned())
    }
}

/// The answer of `eth_feeHistory`. As in geth, a list without an entry is left out, but for `gasUsedRatio`, which is `null`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct History {
    oldest_block: U64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reward: Vec<Vec<U128>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_fee_per_gas: Vec<U64>,
    gas_used_ratio: Option<Vec<Ratio>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_fee_per_blob_gas: Vec<U128>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blob_gas_used_ratio: Vec<Ratio>,
}

impl From<FeeHistory> for History {
    fn from(history: FeeHistory) -> Self {
        let ratios = |ratios: Vec<f64>| ratios.into_iter().map(Ratio).collect::<Vec<_>>();
        let reward = |rewards: Vec<u128>| rewards.into_iter().map(U128::from).collect();
        Self {
            oldest_block: U64::from(history.oldest),
            reward: history.rewards.unwrap_or_default().into_iter().map(reward).collect(),
            base_fee_per_gas: history.base_fees.into_iter().map(U64::from).collect(),
            gas_used_ratio: Some(ratios(history.gas_used_ratios)).filter(|ratios| !ratios.is_empty()),
            base_fee_per_blob_gas: history.blob_base_fees.into_iter().map(U128::from).collect(),
            blob_gas_used_ratio: ratios(history.blob_gas_used_ratios),
        }
    }
}

/// A part of a whole. Go writes 0 and 1 without a point.
#[derive(Debug, Clone, Copy)]
struct Ratio(f64);

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0.0 => serializer.serialize_u64(0),
            1.0 => serializer.serialize_u64(1),
            part => serializer.serialize_f64(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_in_every_way_that_geth_takes() {
        let count = |json: &str| Count::read(json).map(|count| count.0).ok();
        for (json, expected) in
            [("\"0xa\"", 10), ("\"10\"", 10), ("10", 10), ("\"0x0a\"", 10), ("\"\"", 0), ("\"0XA\"", 10)]
        {
            assert_eq!(count(json), Some(expected), "{json}");
        }
        for json in ["\"a\"", "-1", "1.5", "\"0x\"", "\"+1\"", "[]", "\"0x10000000000000000\"", "\"é\""] {
            assert_eq!(count(json), None, "{json}");
        }
    }

    #[test]
    fn shapes_as_geth_has_them() {
        let empty = serde_json::to_value(History::from(FeeHistory::default())).unwrap();
        assert_eq!(empty, json!({ "oldestBlock": "0x0", "gasUsedRatio": null }));
        let some = FeeHistory {
            oldest: 2,
            base_fees: vec![7, 8],
            gas_used_ratios: vec![0.5],
            blob_base_fees: vec![1, 1],
            blob_gas_used_ratios: vec![0.0],
            rewards: Some(vec![vec![0, 2]]),
        };
        let text = serde_json::to_string(&History::from(some)).unwrap();
        assert_eq!(
            text,
            r#"{"oldestBlock":"0x2","reward":[["0x0","0x2"]],"baseFeePerGas":["0x7","0x8"],"gasUsedRatio":[0.5],"baseFeePerBlobGas":["0x1","0x1"],"blobGasUsedRatio":[0]}"#
        );
    }
}
