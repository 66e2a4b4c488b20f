//! HTTP itself: hosts, methods, types, paths.

use rushlight_rpc::RpcConfig;
use serde_json::json;

use crate::{
    fixture::Fixture,
    http::{Answer, send},
};

async fn post_to(fixture: &Fixture, more: &str) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] }).to_string();
    let head = format!("POST / HTTP/1.1\nContent-Length: {}\n{more}", body.len());
    send(fixture.addr, &head, &body).await
}

#[tokio::test]
async fn hosts() {
    let fixture = Fixture::start().await;
    for host in ["localhost", "LOCALHOST:8545", "127.0.0.1", "[::1]:8545", "192.0.2.7:1"] {
        let answer = post_to(&fixture, &format!("Host: {host}\nContent-Type: application/json")).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let answer = post_to(&fixture, "Host: evil.example\nContent-Type: application/json").await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "invalid host specified\n"));

    let config = RpcConfig { vhosts: vec!["node.example".to_owned()], ..Fixture::config() };
    let fixture = Fixture::with(config).await;
    let named = "Host: node.example:80\nContent-Type: application/json";
    assert_eq!(post_to(&fixture, named).await.status, 200);
    assert_eq!(post_to(&fixture, "Host: localhost\nContent-Type: application/json").await.status, 403);

    let fixture = Fixture::with(RpcConfig { vhosts: vec!["*".to_owned()], ..Fixture::config() }).await;
    assert_eq!(post_to(&fixture, "Host: any.example\nContent-Type: application/json").await.status, 200);
}

#[tokio::test]
async fn methods_types_and_paths() {
    let fixture = Fixture::start().await;
    let ask = async |head: &str| send(fixture.addr, &format!("{head} HTTP/1.1\nHost: localhost"), "").await;
    let health = ask("GET /").await;
    assert_eq!((health.status, health.body.as_str()), (200, ""));
    assert_eq!(ask("PUT /").await.status, 405);
    assert_eq!(ask("DELETE /").await.status, 405);
    assert_eq!(ask("GET /?a=b").await.status, 415);
    assert_eq!(ask("GET /other").await.status, 404);
    let untyped = post_to(&fixture, "Host: localhost").await;
    let text = "invalid content type, only application/json is supported\n";
    assert_eq!((untyped.status, untyped.body.as_str()), (415, text));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        assert_eq!(post_to(&fixture, &format!("Host: localhost\nContent-Type: {kind}")).await.status, 415, "{kind}");
    }
    for kind in
        ["application/json", "application/json;charset=utf-8", "application/json-rpc", "application/jsonrequest"]
    {
        assert_eq!(post_to(&fixture, &format!("Host: localhost\nContent-Type: {kind}")).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn heads_past_the_bound() {
    let fixture = Fixture::start().await;
    let head = format!("GET / HTTP/1.1\nHost: localhost\nX-Long: {}", "a".repeat(40_000));
    assert_eq!(send(fixture.addr, &head, "").await.status, 431);
}
