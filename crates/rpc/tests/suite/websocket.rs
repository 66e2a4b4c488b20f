//! WebSocket: the handshake, origins, conversations, hostile frames.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use rushlight_rpc::{Endpoints, RpcConfig, RpcHandles, WsConfig};
use serde_json::{Value, json};
use soketto::handshake::{Client, ServerResponse};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::{
    fixture::{Fixture, RICH},
    http::result,
};

fn any_port() -> WsConfig {
    WsConfig { addr: SocketAddr::from(([127, 0, 0, 1], 0)), ..WsConfig::default() }
}

async fn start(ws: WsConfig, hangs: bool) -> (SocketAddr, RpcHandles, Fixture) {
    let endpoints = Endpoints { ws: Some(ws), ..Endpoints::default() };
    let (handles, fixture) = Fixture::endpoints(endpoints, hangs).await.unwrap();
    (handles.ws.as_ref().unwrap().local_addr(), handles, fixture)
}

struct Socket(soketto::Sender<Compat<TcpStream>>, soketto::Receiver<Compat<TcpStream>>);

impl Socket {
    async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let mut client = Client::new(stream.compat(), "localhost", "/");
        assert!(matches!(client.handshake().await.unwrap(), ServerResponse::Accepted { .. }));
        let (sender, receiver) = client.into_builder().finish();
        Self(sender, receiver)
    }

    async fn send(&mut self, text: &str) {
        self.0.send_text(text).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn receive(&mut self) -> Option<Value> {
        let mut text = Vec::new();
        timeout(Duration::from_secs(10), self.1.receive_data(&mut text)).await.expect("in time").ok()?;
        assert_ne!(text.last(), Some(&b'\n'));
        Some(serde_json::from_slice(&text).unwrap())
    }

    async fn call(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(&request(id, method, params)).await;
        self.receive().await.unwrap()
    }
}

fn request(id: u64, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// A handshake as it is written; the connection and the answer's head.
async fn shake(addr: SocketAddr, more: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(answer).unwrap().to_ascii_lowercase())
}

const VERSION_13: &str = "Sec-WebSocket-Version: 13\r\n";

#[tokio::test]
async fn calls_batches_and_mistakes() {
    let (addr, handles, _) = start(any_port(), false).await;
    let mut socket = Socket::open(addr).await;
    assert_eq!(socket.call(1, "eth_chainId", json!([])).await, json!({ "jsonrpc": "2.0", "id": 1, "result": "0x539" }));
    assert_eq!(socket.call(2, "eth_getBalance", json!([RICH])).await["result"], "0xf4240");
    let modules = json!({ "eth": "1.0", "net": "1.0", "rpc": "1.0", "web3": "1.0" });
    assert_eq!(socket.call(3, "rpc_modules", json!([])).await["result"], modules, "admin must be named");
    assert_eq!(socket.call(4, "admin_peers", json!([])).await["error"]["code"], -32601);

    socket.send(&format!("[{},{}]", request(5, "eth_chainId", json!([])), request(6, "eth_no", json!([])))).await;
    let batch = socket.receive().await.unwrap();
    assert_eq!((&batch[0]["result"], &batch[1]["error"]["code"]), (&json!("0x539"), &json!(-32601)));
    socket.send("{}").await;
    assert_eq!(socket.receive().await.unwrap()["error"]["code"], -32600);
    // A notification has no answer, so that the next is of the next.
    socket.send(r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).await;
    assert_eq!(socket.call(7, "eth_chainId", json!([])).await["id"], 7);
    let many: Vec<_> = (0..1001).map(|id| request(id, "eth_chainId", json!([]))).collect();
    socket.send(&format!("[{}]", many.join(","))).await;
    assert_eq!(socket.receive().await.unwrap()[0]["error"]["message"], "batch too large");

    socket.send("{nonsense").await;
    let wrong = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "parse error" } });
    assert_eq!(socket.receive().await, Some(wrong));
    assert_eq!(socket.receive().await, None, "and the connection ends, as in geth");
    handles.shutdown().await;
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn pipelined_calls() {
    let (addr, handles, _) = start(any_port(), false).await;
    let mut socket = Socket::open(addr).await;
    for id in 0..200 {
        socket.0.send_text(&request(id, "eth_getBalance", json!([RICH]))).await.unwrap();
    }
    socket.0.flush().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(socket.receive().await.unwrap()["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<_>>());
    handles.shutdown().await;
}

#[tokio::test]
async fn handshakes_and_origins() {
    let (addr, handles, _) = start(any_port(), false).await;
    // No origin: no browser. The host filter is HTTP's.
    let (_stream, answer) = shake(addr, VERSION_13).await;
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    for (origin, status) in [("http://localhost", 101), ("http://localhost:3000", 101), ("https://evil.example", 403)] {
        let (_stream, answer) = shake(addr, &format!("{VERSION_13}Origin: {origin}\r\n")).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{origin}: {answer}");
    }
    let (_stream, answer) = shake(addr, "Sec-WebSocket-Version: 12\r\n").await;
    assert!(answer.starts_with("http/1.1 400"), "{answer}");
    // Plain HTTP has no place on this port.
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
    handles.shutdown().await;

    let (addr, handles, _) = start(WsConfig { origins: vec!["*".to_owned()], ..any_port() }, false).await;
    let (_stream, answer) = shake(addr, &format!("{VERSION_13}Origin: https://any.example\r\n")).await;
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    handles.shutdown().await;
}

#[tokio::test]
async fn the_port_of_http_and_its_own_modules() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let http = RpcConfig { addr, modules: vec!["net".to_owned()], ..RpcConfig::default() };
    let ws = WsConfig { addr, modules: vec!["eth".to_owned()], ..WsConfig::default() };
    let endpoints = Endpoints { http: Some(http), ws: Some(ws), ipc: None };
    let (handles, _fixture) = Fixture::endpoints(endpoints, false).await.unwrap();
    assert!(handles.ws.is_none(), "one server");
    assert_eq!(result(addr, "rpc_modules", json!([])).await, json!({ "net": "1.0", "rpc": "1.0" }));
    let mut socket = Socket::open(addr).await;
    assert_eq!(socket.call(1, "rpc_modules", json!([])).await["result"], json!({ "eth": "1.0", "rpc": "1.0" }));
    handles.shutdown().await;
    assert_eq!(socket.receive().await, None);
}

/// The head of a masked client frame.
fn frame(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first, 0x80 | 127];
    head.extend_from_slice(&length.to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    head
}

/// Until the other end closes; what it says before is thrown away.
async fn ends(mut stream: TcpStream, why: &str) {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap_or_else(|_| panic!("{why}")).ok();
}

#[tokio::test]
async fn hostile_frames_end_the_connection() {
    let (addr, handles, _) = start(WsConfig { max_message: 1000, ..any_port() }, false).await;
    let part = |first| [frame(first, 600), vec![b' '; 600]].concat();
    for (why, bytes) in [
        ("a frame too long is refused by its head", frame(0x81, 1001)),
        ("and one whose length lies", frame(0x81, u64::MAX >> 1)),
        ("parts too long together", [part(0x01), part(0x80), vec![0; 1200]].concat()),
        ("a part of nothing", frame(0x80, 0)),
        ("reserved bits", frame(0xf1, 1)),
        ("an unknown kind", frame(0x83, 1)),
        ("a long control frame", frame(0x89, 200)),
        ("no WebSocket at all", vec![0xff; 64]),
        ("the end of it", vec![0x88, 0x80, 0, 0, 0, 0]),
    ] {
        let (mut stream, _) = shake(addr, VERSION_13).await;
        stream.write_all(&bytes).await.unwrap();
        ends(stream, why).await;
    }
    let mut socket = Socket::open(addr).await;
    assert_eq!(socket.call(1, "eth_chainId", json!([])).await["result"], "0x539", "the server goes on");
    handles.shutdown().await;
}

#[tokio::test]
async fn connections_past_the_bound_wait() {
    let (addr, handles, _) = start(WsConfig { max_connections: 1, ..any_port() }, false).await;
    let mut first = Socket::open(addr).await;
    assert_eq!(first.call(1, "eth_chainId", json!([])).await["id"], 1);
    let second = tokio::spawn(async move { Socket::open(addr).await.call(2, "eth_chainId", json!([])).await });
    sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished(), "a WebSocket holds its place for as long as it lasts");
    drop(first);
    assert_eq!(timeout(Duration::from_secs(5), second).await.unwrap().unwrap()["id"], 2);
    handles.shutdown().await;
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
async fn work_is_bounded_and_ends_with_its_client() {
    let (addr, handles, fixture) = start(any_port(), true).await;
    let mut socket = Socket::open(addr).await;
    for id in 0..100 {
        socket.send(&request(id, "eth_getBalance", json!([RICH]))).await;
    }
    hanging(&fixture, 16).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(fixture.hanging.load(Ordering::SeqCst), 16, "no more than that at once for one connection");
    drop(socket);

    let mut socket = Socket::open(addr).await;
    socket.send(&request(1, "eth_getBalance", json!([RICH]))).await;
    hanging(&fixture, 17).await;
    drop(socket);
    hanging(&fixture, 16).await;

    let started = Instant::now();
    handles.shutdown().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    hanging(&fixture, 0).await;
}
