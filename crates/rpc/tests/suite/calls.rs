//! Calls, estimates and access lists as JSON: arguments in, answers and errors out.

use serde_json::{Value, json};

use crate::{
    fixture::{ABSENT, CONTRACT, Fixture, HIDDEN, RICH},
    http::{call, error, result},
};

/// Returns the value of slot 1.
const READ: &str = "0x60015460005260206000f3";

fn with_code(code: &str) -> Value {
    json!({ CONTRACT.to_string(): { "code": code } })
}

#[tokio::test]
async fn calls_with_and_without_overrides() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let request = json!({ "to": CONTRACT });
    for params in [
        json!([request]),
        json!([request, "latest"]),
        json!([request, null, null, null]),
        json!([request, "0x3", {}, {}]),
    ] {
        assert_eq!(result(addr, "eth_call", params).await, "0x");
    }
    let value = result(addr, "eth_call", json!([request, "latest", with_code(READ)])).await;
    assert_eq!(value, format!("0x{:064x}", crate::fixture::VALUE));
    // Returns NUMBER.
    let number = with_code("0x4360005260206000f3");
    let block = result(addr, "eth_call", json!([request, "latest", number, { "number": "0x63" }])).await;
    assert_eq!(block, format!("0x{:064x}", 0x63));
    // Returns the input, as "input" says where "data" says otherwise.
    let echo = with_code("0x60003560005260206000f3");
    let input = format!("0x{:064x}", 7);
    let both = json!({ "to": CONTRACT, "input": input, "data": "0x01" });
    assert_eq!(result(addr, "eth_call", json!([both, "latest", echo])).await, input);
    let older = json!({ "to": CONTRACT, "data": input });
    assert_eq!(result(addr, "eth_call", json!([older, "latest", echo])).await, input);
}

#[tokio::test]
async fn estimates_and_access_lists() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let transfer = json!({ "from": RICH, "to": ABSENT, "value": "0x1" });
    assert_eq!(result(addr, "eth_estimateGas", json!([transfer])).await, "0x5208");
    // The chain does not know access lists yet.
    let (code, message) = error(addr, "eth_createAccessList", json!([transfer])).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with("failed to apply transaction: 0x"), "{message}");
    assert!(message.contains("err: transaction type not supported: access list tx (sender 0x"), "{message}");
}

#[tokio::test]
async fn errors_as_in_geth() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let to = json!({ "to": CONTRACT });
    let from = RICH.to_checksum(None);
    for (method, params, code, message) in [
        ("eth_call", json!([]), -32602, "missing value for required argument 0".to_owned()),
        ("eth_call", json!([to, "latest", {}, {}, 1]), -32602, "too many arguments, want at most 4".to_owned()),
        (
            "eth_call",
            json!([{ "to": "0x12" }]),
            -32602,
            "invalid argument 0: to: hex string has length 2, want 40".to_owned(),
        ),
        ("eth_call", json!([to, "0x4"]), -32000, "header not found".to_owned()),
        ("eth_call", json!([to, "latest", with_code("0xfe")]), -32000, "invalid opcode: INVALID".to_owned()),
        (
            "eth_call",
            json!([{ "from": RICH, "to": ABSENT, "value": "0xf4241", "gas": "0x7530" }]),
            -32000,
            format!(
                "err: insufficient funds for gas * price + value: address {from} have 1000000 want 1000001 (supplied gas \
                 30000)"
            ),
        ),
        (
            "eth_call",
            json!([{ "gasPrice": "0x1", "maxFeePerGas": "0x1" }]),
            -32000,
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified".to_owned(),
        ),
        (
            "eth_call",
            json!([to, "latest", {}, { "beaconRoot": format!("0x{}", "00".repeat(32)) }]),
            -32000,
            "block override \"beaconRoot\" is not supported for this RPC method".to_owned(),
        ),
        (
            "eth_estimateGas",
            json!([{ "from": RICH, "to": ABSENT, "value": "0xf4240", "gasPrice": "0x1" }]),
            -32000,
            "insufficient funds for transfer".to_owned(),
        ),
        (
            "eth_estimateGas",
            json!([{ "to": CONTRACT, "gas": "0x5300" }, "latest", with_code("0x5b600056")]),
            -32000,
            "gas required exceeds allowance (21248)".to_owned(),
        ),
    ] {
        let refused = error(addr, method, params.clone()).await;
        assert_eq!(refused, (code, message), "{method} {params}");
    }
    // What nobody can prove is an error that says what is missing.
    let refused = call(addr, "eth_call", json!([{ "to": HIDDEN }])).await;
    assert_eq!(refused["error"]["code"], -32000);
    assert_eq!(refused["error"]["data"]["missing"][0]["what"], "accountNode");
}
