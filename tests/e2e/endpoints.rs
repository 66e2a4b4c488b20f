//! The ways in beside HTTP, of both kinds of node.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    process::{PATIENCE, Process},
    rpc::Rpc,
};

const GENESIS: &str = r#"{"config":{"chainId":7,"homesteadBlock":0},"nonce":"0x1","timestamp":"0x0","extraData":"0x",
    "gasLimit":"0x1388","difficulty":"0x20000","alloc":{"0x00000000000000000000000000000000000000aa":{"balance":"0x10"}}}"#;

/// One call over IPC.
fn ipc(path: &Path, method: &str) -> Value {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // No line break: a value ends by itself.
    stream.write_all(json!({ "jsonrpc": "2.0", "id": 1, "method": method }).to_string().as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str::<Value>(&line).unwrap()["result"].take()
}

/// One call over WebSocket, in frames written here.
fn ws(addr: &str, method: &str) -> Value {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 101"), "{line}");
    while line.trim() != "" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    let text = json!({ "jsonrpc": "2.0", "id": 1, "method": method }).to_string();
    assert!(text.len() < 126);
    let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0][..], text.as_bytes()].concat();
    stream.get_mut().write_all(&frame).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert!(head[0] == 0x81 && head[1] < 126, "{head:?}");
    let mut text = vec![0; head[1].into()];
    stream.read_exact(&mut text).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["result"].take()
}

fn websocket(process: &mut Process) -> String {
    process.logged("WebSocket enabled url=").trim_start_matches("ws://").to_owned()
}

#[test]
fn a_light_nodes_socket() {
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path().to_str().unwrap();
    let flags = ["--datadir", datadir, "--port", "0", "--ws", "--ws.port", "0"];
    let mut light = Process::start(flags);
    light.logged("IPC endpoint opened");
    let path = folder.path().join("rushlight.ipc");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let modules = ["admin", "eth", "net", "personal", "rpc", "rushlight", "txpool", "web3"];
    let all: serde_json::Map<_, _> = modules.into_iter().map(|name| (name.to_owned(), json!("1.0"))).collect();
    let all = serde_json::Value::Object(all);
    assert_eq!((ipc(&path, "rpc_modules"), ipc(&path, "eth_chainId")), (all, json!("0x1")));
    let addr = websocket(&mut light);
    assert_eq!(ws(&addr, "eth_chainId"), "0x1");
    assert_eq!(ws(&addr, "admin_peers"), Value::Null, "not named");
    light.stop("TERM");
    assert!(!path.exists());

    // A killed node's socket gives way; off and elsewhere where asked for.
    let mut light = Process::start(flags);
    light.logged("IPC endpoint opened");
    light.signal("KILL");
    light.wait();
    assert!(path.exists());
    let mut light = Process::start([&flags[..], &["--ipcpath", "other.ipc"]].concat());
    light.logged("IPC endpoint opened");
    assert_eq!(ipc(&folder.path().join("other.ipc"), "eth_chainId"), "0x1");
    light.stop("INT");
    let mut light = Process::start([&flags[..], &["--ipcdisable"]].concat());
    websocket(&mut light);
    assert!(light.log().iter().all(|line| !line.contains("IPC endpoint")), "{:#?}", light.log());
    light.stop("TERM");
    let long = folder.path().join("x".repeat(120));
    let ended = Process::run([&flags[..], &["--ipcpath", long.to_str().unwrap()]].concat());
    let line = ended.log.last().unwrap();
    assert!(line.contains("at most 107 bytes") && line.contains("--ipcdisable"), "{line}");
}

#[test]
fn a_full_peer_answers_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = folder.path().join("genesis.json");
    fs::write(&genesis, GENESIS).unwrap();
    let (genesis, datadir) = (genesis.to_str().unwrap(), folder.path().to_str().unwrap());
    let flags = ["full", "--genesis", genesis, "--datadir", datadir, "--port", "0", "--http", "--http.port", "0"];
    let mut full = Process::start([&flags[..], &["--ws", "--ws.port", "0", "--ipcpath", "full.ipc"]].concat());
    let addr = websocket(&mut full);
    let rpc = Rpc::of(&mut full);
    full.logged("IPC endpoint opened");
    let balance = rpc.call("eth_getBalance", json!(["0x00000000000000000000000000000000000000aa", "latest"]));
    assert_eq!((balance, rpc.call("net_version", json!([]))), (json!("0x10"), json!("7")));
    assert_eq!((ws(&addr, "eth_blockNumber"), ws(&addr, "eth_chainId")), (json!("0x0"), json!("0x7")));
    assert_eq!(ipc(&folder.path().join("full.ipc"), "eth_chainId"), "0x7");
    full.stop("TERM");
}

#[test]
fn networks_have_folders_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path().to_str().unwrap();
    // Hoodi's genesis is past the merge already: it has no head without a trusted one.
    let trusted = format!("--trusted-head=0x{}", "11".repeat(32));
    for (network, chain_id) in [("sepolia", "0xaa36a7"), ("hoodi", "0x88bb0"), ("classic", "0x3d"), ("mordor", "0x3f")]
    {
        let flag = format!("--{network}");
        let mut flags = vec![flag.as_str(), "--datadir", datadir, "--port", "0"];
        if network == "hoodi" {
            let ended = Process::run(&flags);
            assert!(ended.log.last().unwrap().contains("--trusted-head"), "{:#?}", ended.log);
            flags.push(&trusted);
        }
        let mut light = Process::start(&flags);
        light.logged("IPC endpoint opened");
        assert_eq!(ipc(&folder.path().join(network).join("rushlight.ipc"), "eth_chainId"), chain_id);
        assert!(folder.path().join(network).join("light").is_dir());
        light.stop("TERM");
    }
}
