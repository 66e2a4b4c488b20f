//! Foreign clients of JSON-RPC: npm's ws and go-ethereum's client over WebSocket, `geth attach` over IPC. They ask a
//! light node that has followed go-ethereum's London chain.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use rushlight_chain::{ChainSpec, MemoryStore};
use rushlight_light::{LightConfig, LightNode};
use rushlight_p2p::{Enode, ServerConfig, TcpTransport, secp256k1::SecretKey};
use rushlight_rpc::{Endpoints, IpcConfig, RpcHandles, WsConfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{
    Foreign, foreign,
    tools::{geth, last_line, node, output, script, source, try_output},
};
use crate::process::{PATIENCE, Process};

/// A light node in this process, with WebSocket and IPC before it, at the chain's head.
struct Served {
    runtime: Runtime,
    node: LightNode,
    handles: RpcHandles,
    _full: Process,
    folder: tempfile::TempDir,
}

impl Served {
    fn start(foreign: &Foreign) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (full, enode) = foreign.full(&folder.path().join("full"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let genesis = std::fs::read(foreign.file("genesis.json")).unwrap();
        let socket = folder.path().join("rushlight.ipc");
        let (node, handles) = runtime.block_on(async {
            let (spec, _) = ChainSpec::from_genesis(&genesis).unwrap();
            let mut server = ServerConfig::new(SecretKey::from_byte_array([8; 32]).unwrap(), Arc::new(TcpTransport));
            server.static_peers = vec![enode.parse::<Enode>().unwrap()];
            let config = LightConfig::new(Arc::new(spec), Arc::new(MemoryStore::new()), server);
            let node = LightNode::start(config).await.unwrap();
            let reached = async {
                while node.client().head().header.number < 500 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(PATIENCE, reached).await.expect("the chain's head");
            let endpoints = Endpoints {
                ws: Some(WsConfig { addr: ([127, 0, 0, 1], 0).into(), ..WsConfig::default() }),
                ipc: Some(IpcConfig::new(&socket)),
                ..Endpoints::default()
            };
            let (client, server) = (node.client().clone(), node.server().clone());
            let handles = rushlight_rpc::serve_all(endpoints, client, server, "test").await.unwrap();
            (node, handles)
        });
        Self { runtime, node, handles, _full: full, folder }
    }

    fn url(&self) -> String {
        format!("ws://{}", self.handles.ws.as_ref().unwrap().local_addr())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("rushlight.ipc")
    }

    fn stop(self) {
        self.runtime.block_on(async {
            self.handles.shutdown().await;
            self.node.shutdown().await;
        });
    }
}

/// Chain id, number and hash as a client printed them, quantities as numbers.
fn check(report: &Value, foreign: &Foreign) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| crate::rpc::number(value));
    assert_eq!((number(&report["chainId"]), number(&report["number"])), (31337, 500), "{report}");
    assert_eq!(report["hash"], foreign.head["hash"]);
}

#[test]
fn a_websocket_client_of_npm_asks() {
    let (Some(foreign), Some(scripts)) = (foreign(), node()) else { return };
    let served = Served::start(foreign);
    check(&last_line(&output(&mut script(scripts, ["ws.mjs", &served.url()]))), foreign);
    // A page of this machine may connect, one of somebody else's may not.
    check(&last_line(&output(&mut script(scripts, ["ws.mjs", &served.url(), "http://localhost"]))), foreign);
    let refused = try_output(&mut script(scripts, ["ws.mjs", &served.url(), "https://example.com"]), "");
    assert!(refused.as_ref().is_err_and(|why| why.contains("403")), "{refused:?}");
    served.stop();
}

#[test]
fn go_ethereums_client_asks_over_websocket() {
    let (Some(foreign), Some(geth)) = (foreign(), geth()) else { return };
    let served = Served::start(foreign);
    check(&last_line(&output(Command::new(geth).args(["ws", "-url", &served.url()]))), foreign);
    served.stop();
}

#[test]
fn geth_attaches_over_ipc() {
    let Some(foreign) = foreign() else { return };
    // Go keeps what it builds of another module's programs in its cache and says where.
    let mut build = Command::new("go");
    build.args(["tool", "-n", "github.com/ethereum/go-ethereum/cmd/geth"]).current_dir(source("geth"));
    let geth = output(&mut build);
    let served = Served::start(foreign);
    let attach = |script: &str| {
        let mut attach = Command::new(geth.trim());
        attach.arg("--datadir").arg(served.folder.path()).args(["attach", "--exec", script]).arg(served.socket());
        output(&mut attach).trim().to_owned()
    };
    assert_eq!(attach("eth.blockNumber"), "500");
    assert_eq!(attach("eth.getBlock('latest').hash"), foreign.head["hash"].to_string());
    // The contract holds nothing: its absence of ether is proved, and its code is there.
    let contract = "'0x000000000000000000000000000000000000c0de'";
    assert_eq!(attach(&format!("eth.getBalance({contract})")), "0");
    assert_eq!(
        attach(&format!("eth.getCode({contract})")),
        json!("0x60203560003555602035600052600060206000a1").to_string()
    );
    assert_eq!(attach("net.peerCount"), "1");
    assert_eq!(attach("admin.peers.length"), "1");
    served.stop();
}
