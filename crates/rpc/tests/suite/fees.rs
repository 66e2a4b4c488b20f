//! Suggestions and the fee history: shapes, arguments and refusals.

use serde_json::json;

use crate::{
    fixture::Fixture,
    http::{error, result},
};

#[tokio::test]
async fn suggestions() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    // Tips of 3, 50, 51 wei from block 2, and the default of 0.001 gwei for the two blocks without any.
    for (method, expected) in [
        ("eth_maxPriorityFeePerGas", json!("0x33")),
        ("eth_gasPrice", json!("0x33")),
        ("eth_baseFee", json!(null)),
        ("eth_blobBaseFee", json!(null)),
    ] {
        assert_eq!(result(addr, method, json!([])).await, expected, "{method}");
        let (code, message) = error(addr, method, json!([1])).await;
        assert_eq!((code, message.as_str()), (-32602, "too many arguments, want at most 0"), "{method}");
    }
}

#[tokio::test]
async fn the_history() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let ask = |params| result(addr, "eth_feeHistory", params);
    let expected = json!({
        "oldestBlock": "0x2",
        "baseFeePerGas": ["0x0", "0x0", "0x0"],
        "gasUsedRatio": [0, 0],
        "baseFeePerBlobGas": ["0x0", "0x0", "0x0"],
        "blobGasUsedRatio": [0, 0],
    });
    for params in [
        json!(["0x2", "latest", []]),
        json!([2, "0x3", null]),
        json!([2, "0x3"]),
        json!(["2", "latest", []]),
        json!(["0x3", "pending", []]),
    ] {
        assert_eq!(ask(params.clone()).await, expected, "{params}");
    }
    let nothing = json!({ "oldestBlock": "0x0", "gasUsedRatio": null });
    assert_eq!(ask(json!([0, "latest", []])).await, nothing);
    assert_eq!(ask(json!([1, "pending", []])).await, nothing);
    assert_eq!(ask(json!([9, "0x1", [1, 99.5]])).await["reward"], json!([["0x0", "0x0"], ["0x0", "0x0"]]));
}

#[tokio::test]
async fn refusals_of_the_history() {
    let fixture = Fixture::start().await;
    for (params, code, message) in [
        (json!([1]), -32602, "missing value for required argument 1"),
        (json!(["x", "latest", []]), -32602, "invalid argument 0: invalid hex or decimal integer \"x\""),
        (json!([1, "0x9", []]), -32000, "request beyond head block: requested 9, head 3"),
        (json!([1, "latest", [100.5]]), -32000, "invalid reward percentile: 100.500000"),
        (json!([1, "latest", [2, 1]]), -32000, "invalid reward percentile: #0:2.000000 >= #1:1.000000"),
        (json!([1, "finalized", []]), -32000, "finalized block not found"),
    ] {
        assert_eq!(error(fixture.addr, "eth_feeHistory", params.clone()).await, (code, message.to_owned()), "{params}");
    }
}
