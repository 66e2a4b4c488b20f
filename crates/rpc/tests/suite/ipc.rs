//! The IPC socket: framing, hostile input, the file.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    sync::atomic::Ordering,
    time::Duration,
};

use proptest::prelude::*;
use rushlight_rpc::{Endpoints, IpcConfig, IpcError, RpcError, RpcHandles};
use serde_json::{Deserializer, Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::{sleep, timeout},
};

use crate::fixture::{Fixture, RICH};

fn endpoints(ipc: IpcConfig) -> Endpoints {
    Endpoints { ipc: Some(ipc), ..Endpoints::default() }
}

async fn start(folder: &TempDir, change: impl FnOnce(&mut IpcConfig)) -> (RpcHandles, Fixture) {
    let mut config = IpcConfig::new(folder.path().join("node").join("rushlight.ipc"));
    change(&mut config);
    Fixture::endpoints(endpoints(config), false).await.unwrap()
}

fn path(handles: &RpcHandles) -> &Path {
    handles.ipc.as_ref().unwrap().path()
}

async fn connect(handles: &RpcHandles) -> BufReader<UnixStream> {
    BufReader::new(UnixStream::connect(path(handles)).await.unwrap())
}

async fn line(stream: &mut BufReader<UnixStream>) -> Option<Value> {
    let mut line = String::new();
    let length = timeout(Duration::from_secs(10), stream.read_line(&mut line)).await.expect("in time").unwrap();
    (length > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

fn request(id: u64, method: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [] }).to_string()
}

#[tokio::test]
async fn one_value_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (handles, _fixture) = start(&folder, |_| {}).await;
    let mut stream = connect(&handles).await;
    // No line break, two at once, and one in pieces.
    stream.write_all(request(1, "eth_chainId").as_bytes()).await.unwrap();
    assert_eq!(line(&mut stream).await, Some(json!({ "jsonrpc": "2.0", "id": 1, "result": "0x539" })));
    stream.write_all(format!("{}{}", request(2, "eth_chainId"), request(2, "eth_chainId")).as_bytes()).await.unwrap();
    assert_eq!(line(&mut stream).await.unwrap()["id"], 2);
    assert_eq!(line(&mut stream).await.unwrap()["id"], 2);
    for byte in request(3, "rpc_modules").as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let all = ["admin", "eth", "net", "personal", "rpc", "rushlight", "txpool", "web3"];
    let modules: serde_json::Map<_, _> = all.map(|name| (name.to_owned(), json!("1.0"))).into_iter().collect();
    let modules = serde_json::Value::Object(modules);
    assert_eq!(line(&mut stream).await.unwrap()["result"], modules, "every module");
    stream.write_all(format!("\n[{}]\r\n 7 ", request(4, "web3_clientVersion")).as_bytes()).await.unwrap();
    let mut answers = [line(&mut stream).await.unwrap(), line(&mut stream).await.unwrap()];
    answers.sort_by_key(Value::is_object);
    assert_eq!((&answers[0][0]["id"], &answers[1]["error"]["code"]), (&json!(4), &json!(-32600)));
    handles.shutdown().await;
    assert_eq!(line(&mut stream).await, None);
}

#[tokio::test]
async fn a_client_may_close_its_half_and_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (handles, _fixture) = start(&folder, |_| {}).await;
    let mut stream = UnixStream::connect(path(&handles)).await.unwrap();
    let text: String = (0..50).map(|id| request(id, "eth_chainId")).collect();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answers)).await.unwrap().unwrap();
    assert_eq!(answers.lines().count(), 50);
    handles.shutdown().await;
}

#[tokio::test]
async fn garbage_has_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (handles, _fixture) = start(&folder, |config| config.max_message = 1000).await;
    for (garbage, said) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), "invalid character 0x47 at byte 0"),
        (b"{\"jsonrpc\":}".to_vec(), "invalid character 0x7d at byte 11"),
        (vec![0xff; 100], "invalid character 0xff"),
        ([&b"\""[..], &[b'a'; 1000]].concat(), "at most 1000 bytes"),
        (vec![b'['; 1001], "at most 1000 bytes"),
        (b"\"\xff\"".to_vec(), "parse error"),
    ] {
        let mut stream = connect(&handles).await;
        stream.write_all(&garbage).await.unwrap();
        let answer = line(&mut stream).await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(said), "{answer}");
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("it ends");
        assert!(ended.is_err() || rest.is_empty());
    }
    // Half a value is nothing to be answered.
    let mut stream = connect(&handles).await;
    stream.write_all(b"{\"jsonrpc\"").await.unwrap();
    stream.get_mut().shutdown().await.unwrap();
    assert_eq!(line(&mut stream).await, None);
    handles.shutdown().await;
}

#[tokio::test]
async fn side_by_side_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let config = IpcConfig { max_connections: 1, ..IpcConfig::new(folder.path().join("ipc")) };
    let (handles, fixture) = Fixture::endpoints(endpoints(config), true).await.unwrap();
    let mut stream = connect(&handles).await;
    let balance = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_getBalance", "params": [RICH] }).to_string();
    stream.write_all(format!("{}{}", balance(1), request(2, "eth_chainId")).as_bytes()).await.unwrap();
    assert_eq!(line(&mut stream).await.unwrap()["id"], 2, "one that waits holds up no other");
    let text: String = (10..110).map(balance).collect();
    stream.write_all(text.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(fixture.hanging.load(Ordering::SeqCst), 16, "no more than that at once for one connection");
    // A second connection waits for the first to end.
    let mut second = connect(&handles).await;
    second.write_all(request(1, "eth_chainId").as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(200), second.read_u8()).await.is_err());
    timeout(Duration::from_secs(3), handles.shutdown()).await.expect("stopping waits for a second");
    assert_eq!(fixture.hanging.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (handles, _fixture) = start(&folder, |_| {}).await;
    let file = path(&handles).to_path_buf();
    let held = fs::symlink_metadata(&file).unwrap();
    assert!(held.file_type().is_socket() && held.permissions().mode() & 0o777 == 0o600);

    // Someone listens there.
    let refused = async |config| match Fixture::endpoints(endpoints(config), false).await {
        Err(RpcError::Ipc { why, .. }) => why,
        other => panic!("{}", other.is_ok()),
    };
    assert!(matches!(refused(IpcConfig::new(&file)).await, IpcError::InUse));
    assert_eq!(line_of(&handles).await["id"], 1, "and goes on");
    handles.shutdown().await;
    assert!(!file.exists(), "removed at the end");

    // One that was left behind gives way.
    drop(std::os::unix::net::UnixListener::bind(&file).unwrap());
    let (handles, _fixture) = start(&folder, |_| {}).await;
    assert_eq!(line_of(&handles).await["id"], 1);
    // What another has put in its place is not removed.
    fs::remove_file(&file).unwrap();
    fs::write(&file, "mine").unwrap();
    handles.shutdown().await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(matches!(refused(IpcConfig::new(&file)).await, IpcError::NoSocket));

    let long = folder.path().join("x".repeat(108));
    let why = refused(IpcConfig::new(long)).await;
    assert!(matches!(why, IpcError::TooLong { most: 107, .. }) && why.to_string().contains("--ipcpath"), "{why}");
}

async fn line_of(handles: &RpcHandles) -> Value {
    let mut stream = connect(handles).await;
    stream.write_all(request(1, "eth_chainId").as_bytes()).await.unwrap();
    line(&mut stream).await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever comes, in whatever pieces: answers are JSON, and the next client is served.
    #[test]
    fn any_bytes(
        pieces in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "[\\[\\]{}:,\"a0-9 ]{0,20}".prop_map(String::into_bytes),
            Just(request(1, "eth_chainId").into_bytes()),
            Just(b"[{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":7}, null]".to_vec()),
        ], 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (handles, _fixture) = start(&folder, |config| config.max_message = 2000).await;
            let mut stream = UnixStream::connect(path(&handles)).await.unwrap();
            for piece in pieces {
                if stream.write_all(&piece).await.is_err() {
                    break;
                }
            }
            let _ = stream.shutdown().await;
            let mut answers = Vec::new();
            let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answers)).await.expect("it ends");
            assert!(Deserializer::from_slice(&answers).into_iter::<Value>().all(|answer| answer.is_ok()));
            assert_eq!(line_of(&handles).await["result"], "0x539");
            handles.shutdown().await;
        });
    }
}
