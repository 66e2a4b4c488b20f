//! Requests that are wrong, each told so with the code that the specification has for it.

use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, RICH},
    http::{error, post, post_text, result, send},
};

#[tokio::test]
async fn parameters() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    for (method, params, message) in [
        ("eth_getBalance", json!([]), "missing value for required argument 0"),
        ("eth_getBalance", json!(["0x12"]), "invalid argument 0: hex string has length 2, want 40"),
        ("eth_getBalance", json!([RICH, "latest", 1]), "too many arguments, want at most 2"),
        ("eth_getBalance", json!({ "address": RICH }), "non-array args"),
        ("eth_getBlockByNumber", json!(["0x1"]), "missing value for required argument 1"),
        ("eth_getBlockByNumber", json!(["0x1", "true"]), "invalid argument 1: expected true or false"),
        ("eth_getBlockByNumber", json!([1, true]), "invalid argument 0: expected a string"),
        ("eth_getBlockByNumber", json!(["0x01", true]), "invalid argument 0: hex number with leading zero digits"),
        ("eth_getBlockByNumber", json!(["1", true]), "invalid argument 0: hex string without 0x prefix"),
        ("eth_getBlockByHash", json!(["0x1", true]), "invalid argument 0: hex string of odd length"),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["latest", 0]), "invalid argument 1: expected a string"),
        ("eth_getProof", json!([RICH]), "missing value for required argument 1"),
        ("eth_chainId", json!([1]), "too many arguments, want at most 0"),
        ("web3_sha3", json!(["0x1"]), "invalid argument 0: hex string of odd length"),
    ] {
        assert_eq!(error(addr, method, params.clone()).await, (-32602, message.to_owned()), "{method} {params}");
    }
    // Absent arguments in both spellings.
    assert_eq!(result(addr, "eth_chainId", Value::Null).await, "0x539");
    let response = post(addr, json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" })).await;
    assert_eq!(response["result"], "0x539");
}

#[tokio::test]
async fn methods_that_do_not_exist() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    for method in ["eth_nonsense", "nonsense", "eth_getLogs", "rpc_discover", ""] {
        let (code, message) = error(addr, method, json!([])).await;
        assert_eq!((code, message), (-32601, format!("the method {method} does not exist/is not available")));
    }
    let (code, message) = error(addr, &"m".repeat(3000), json!([])).await;
    assert_eq!((code, message.as_str()), (-32600, "method name too long: 3000 > 2048"));
}

#[tokio::test]
async fn what_is_no_request() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let parse_error = json!({ "code": -32700, "message": "parse error" });
    let invalid = json!({ "code": -32600, "message": "invalid request" });
    for (text, id, error) in [
        ("{\"jsonrpc\":\"2.0\",\"id\":1,", Value::Null, &parse_error),
        ("[{\"jsonrpc\":", Value::Null, &parse_error),
        ("", Value::Null, &parse_error),
        ("\u{fe}", Value::Null, &parse_error),
        ("{}", Value::Null, &invalid),
        ("7", Value::Null, &invalid),
        ("null", Value::Null, &invalid),
        ("{\"id\":1,\"method\":\"eth_chainId\"}", json!(1), &invalid),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"eth_chainId\"}", json!(1), &invalid),
        ("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":7}", json!("a"), &invalid),
        ("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"eth_chainId\"}", Value::Null, &invalid),
    ] {
        let expected = json!({ "jsonrpc": "2.0", "id": id, "error": error });
        assert_eq!(post_text(addr, text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn notifications_have_no_answer() {
    let fixture = Fixture::start().await;
    let one = "{\"jsonrpc\":\"2.0\",\"method\":\"eth_chainId\",\"params\":[]}";
    for text in [one.to_owned(), format!("[{one},{one}]")] {
        let head =
            format!("POST / HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {}", text.len());
        let answer = send(fixture.addr, &head, &text).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{text}");
    }
}

#[tokio::test]
async fn ids_come_back_as_they_were() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    for id in [json!(0), json!("x"), Value::Null, json!(u64::MAX)] {
        let response = post(addr, json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] })).await;
        assert_eq!(response, json!({ "jsonrpc": "2.0", "id": id, "result": "0x539" }));
    }
}
