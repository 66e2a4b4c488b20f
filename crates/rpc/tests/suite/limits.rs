//! Bounds: body, batch, answers, connections, time.

use std::{sync::atomic::Ordering, time::Duration};

use rushlight_rpc::{RpcConfig, RpcError};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    fixture::{Fixture, RICH},
    http::{parse, post, result, send},
};

fn chain_id(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] })
}

#[tokio::test]
async fn batches() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let mixed = json!([
        chain_id(1),
        { "jsonrpc": "2.0", "id": 2, "method": "eth_nonsense" },
        { "jsonrpc": "2.0", "method": "eth_chainId" },
        { "jsonrpc": "2.0", "id": 3 },
        7,
        { "jsonrpc": "2.0", "id": 4, "method": "eth_getBalance", "params": [RICH] },
    ]);
    let answers = post(addr, mixed).await;
    let message = "the method eth_nonsense does not exist/is not available";
    let invalid = json!({ "code": -32600, "message": "invalid request" });
    assert_eq!(
        answers,
        json!([
            { "jsonrpc": "2.0", "id": 1, "result": "0x539" },
            { "jsonrpc": "2.0", "id": 2, "error": { "code": -32601, "message": message } },
            { "jsonrpc": "2.0", "id": 3, "error": invalid },
            { "jsonrpc": "2.0", "id": null, "error": invalid },
            { "jsonrpc": "2.0", "id": 4, "result": "0xf4240" },
        ])
    );
    let empty = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32600, "message": "empty batch" } });
    assert_eq!(post(addr, json!([])).await, empty);
}

#[tokio::test]
async fn batches_of_a_thousand_and_no_more() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let calls = |count: u64| Value::Array((1..=count).map(chain_id).collect());
    let answers = post(addr, calls(1000)).await;
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=1000).collect::<Vec<_>>(), "in the order of the calls");
    let too_large = json!([{ "jsonrpc": "2.0", "id": 1, "error": { "code": -32600, "message": "batch too large" } }]);
    assert_eq!(post(addr, calls(1001)).await, too_large);
}

#[tokio::test]
async fn answers_past_the_bound() {
    let fixture = Fixture::with(RpcConfig { max_response: 1200, ..Fixture::config() }).await;
    let addr = fixture.addr;
    let block =
        |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["0x1", false] });
    let too_large = json!({ "code": -32003, "message": "response too large" });
    let single = post(addr, block(1)).await;
    assert_eq!(single, json!({ "jsonrpc": "2.0", "id": 1, "error": too_large }), "a block has over 1,200 bytes");

    let code = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "web3_clientVersion", "params": [] });
    let answers = post(addr, Value::Array((0..60).map(code).collect())).await;
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 60, "each call has its answer");
    assert!(answers[0].get("result").is_some());
    assert_eq!(answers[59], json!({ "jsonrpc": "2.0", "id": 59, "error": too_large }));
}

#[tokio::test]
async fn bodies_past_the_bound() {
    let fixture = Fixture::with(RpcConfig { max_body: 200, ..Fixture::config() }).await;
    let addr = fixture.addr;
    let fits = format!("{}{}", chain_id(1), " ".repeat(100));
    assert_eq!(post(addr, chain_id(1)).await["result"], "0x539");
    let head = |length: usize| {
        format!("POST / HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {length}")
    };
    assert_eq!(send(addr, &head(fits.len()), &fits).await.status, 200);
    let long = " ".repeat(201);
    let answer = send(addr, &head(201), &long).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "content length too large (201>200)\n"));
    // The same without a length that could be looked at beforehand.
    let chunked = "POST / HTTP/1.1\nHost: localhost\nContent-Type: application/json\nTransfer-Encoding: chunked";
    let answer = send(addr, chunked, &format!("c9\r\n{long}\r\n0\r\n\r\n")).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn connections_past_the_bound_wait() {
    let fixture = Fixture::with(RpcConfig { max_connections: 1, ..Fixture::config() }).await;
    let addr = fixture.addr;
    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let second = tokio::spawn(async move { result(addr, "eth_chainId", json!([])).await });
    sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished(), "the one connection is taken");
    drop(first);
    assert_eq!(timeout(Duration::from_secs(5), second).await.unwrap().unwrap(), "0x539");
}

fn balance() -> Vec<u8> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [RICH, "latest"] }).to_string();
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn hanging(fixture: &Fixture, count: usize) {
    let reached = async {
        while fixture.hanging.load(Ordering::SeqCst) != count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), reached).await.unwrap_or_else(|_| panic!("{count} questions under way"));
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_its_work_with_it() {
    let fixture = Fixture::hanging(Fixture::config()).await;
    let mut client = TcpStream::connect(fixture.addr).await.unwrap();
    client.write_all(&balance()).await.unwrap();
    hanging(&fixture, 1).await;
    drop(client);
    hanging(&fixture, 0).await;
}

#[tokio::test]
async fn stopping_waits_for_a_second_and_no_longer() {
    let fixture = Fixture::hanging(Fixture::config()).await;
    let mut client = TcpStream::connect(fixture.addr).await.unwrap();
    client.write_all(&balance()).await.unwrap();
    hanging(&fixture, 1).await;
    let (started, questions, addr) = (Instant::now(), fixture.hanging.clone(), fixture.addr);
    fixture.stop().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(questions.load(Ordering::SeqCst), 0);
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let fixture = Fixture::start().await;
    let mut client = TcpStream::connect(fixture.addr).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let length = client.read(&mut answer).await.unwrap();
    assert_eq!(parse(std::str::from_utf8(&answer[..length]).unwrap()).status, 200);
    let started = Instant::now();
    fixture.stop().await;
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let fixture = Fixture::start().await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = taken.local_addr().unwrap();
    let error = Fixture::refused(RpcConfig { addr, ..Fixture::config() }).await;
    assert!(matches!(error, RpcError::Listen { .. }));
    assert!(error.to_string().starts_with(&format!("HTTP server cannot listen on {addr}: ")), "{error}");
    fixture.stop().await;
}
