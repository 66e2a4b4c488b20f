//! A client of a few lines that sends exactly what a test wants sent.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends `head` (lines without the last empty one) and `body` on a connection of its own.
pub(crate) async fn send(addr: SocketAddr, head: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{}\r\nConnection: close\r\n\r\n{body}", head.trim_end().replace('\n', "\r\n"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    parse(&String::from_utf8(answer).unwrap())
}

pub(crate) fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    Answer { status, body: body.to_owned() }
}

/// Posts a JSON text; the answer is JSON too.
pub(crate) async fn post_text(addr: SocketAddr, text: &str) -> Value {
    let head =
        format!("POST / HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {}", text.len());
    let answer = send(addr, &head, text).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

pub(crate) async fn post(addr: SocketAddr, body: Value) -> Value {
    post_text(addr, &body.to_string()).await
}

/// One call; the whole response.
pub(crate) async fn call(addr: SocketAddr, method: &str, params: Value) -> Value {
    let response = post(addr, json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })).await;
    assert_eq!((&response["jsonrpc"], &response["id"]), (&json!("2.0"), &json!(7)), "{response}");
    response
}

/// One call that succeeds; its result.
pub(crate) async fn result(addr: SocketAddr, method: &str, params: Value) -> Value {
    let mut response = call(addr, method, params).await;
    assert!(response.get("error").is_none(), "{method}: {response}");
    response["result"].take()
}

/// One call that fails; code and message.
pub(crate) async fn error(addr: SocketAddr, method: &str, params: Value) -> (i64, String) {
    let response = call(addr, method, params).await;
    assert!(response.get("result").is_none(), "{method}: {response}");
    let error = &response["error"];
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}
