//! What web pages are told.

use rushlight_rpc::RpcConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::fixture::Fixture;

async fn head(fixture: &Fixture, request: &str) -> String {
    let mut stream = TcpStream::connect(fixture.addr).await.unwrap();
    let request = format!("{}\r\nConnection: close\r\n\r\n", request.replace('\n', "\r\n"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.to_ascii_lowercase()
}

#[tokio::test]
async fn preflight_and_answers() {
    let cors = vec!["https://dapp.example".to_owned()];
    let fixture = Fixture::with(RpcConfig { cors, ..Fixture::config() }).await;
    let ask = async |host: &str, origin: &str| {
        let method = "Access-Control-Request-Method: POST\nAccess-Control-Request-Headers: content-type";
        head(&fixture, &format!("OPTIONS / HTTP/1.1\nHost: {host}\nOrigin: {origin}\n{method}")).await
    };
    let allowed = "access-control-allow-origin: https://dapp.example\r\n";
    let answer = ask("localhost", "https://dapp.example").await;
    assert!(answer.starts_with("http/1.1 204") && answer.contains(allowed), "{answer}");
    assert!(answer.contains("access-control-allow-methods: post\r\n"), "{answer}");
    assert!(answer.contains("access-control-allow-headers: content-type\r\n"), "{answer}");
    assert!(answer.contains("access-control-max-age: 600\r\n"), "{answer}");
    let answer = ask("localhost", "https://evil.example").await;
    assert!(answer.starts_with("http/1.1 204") && !answer.contains("allow-origin"), "{answer}");
    let answer = ask("evil.example", "https://dapp.example").await;
    assert!(answer.starts_with("http/1.1 403") && !answer.contains("allow-origin"), "the host filter comes first");

    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let post = format!(
        "POST / HTTP/1.1\nHost: localhost\nOrigin: https://dapp.example\nContent-Type: application/json\n\
         Content-Length: {}\nConnection: close\n\n{body}",
        body.len()
    );
    let answer = head(&fixture, &post).await;
    assert!(answer.starts_with("http/1.1 200") && answer.contains(allowed) && answer.contains("0x539"), "{answer}");
}

#[tokio::test]
async fn off_unless_asked_for() {
    let fixture = Fixture::start().await;
    let answer =
        head(&fixture, "OPTIONS / HTTP/1.1\nHost: localhost\nOrigin: http://a\nAccess-Control-Request-Method: POST")
            .await;
    assert!(answer.starts_with("http/1.1 200") && !answer.contains("allow-origin"), "{answer}");
}
