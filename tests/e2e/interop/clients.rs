//! Foreign clients of JSON-RPC: npm's ws and go-ethereum's client over WebSocket, `geth attach` over IPC. They ask a
//! full peer that has imported go-ethereum's London chain and a light node that has followed it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{
    Foreign, foreign,
    tools::{geth, last_line, node, output, script, source, try_output},
};
use crate::{process::Process, rpc::Rpc};

/// The chain's head: go-ethereum's chain maker makes so many blocks.
const HEAD: u64 = 500;

/// Both kinds of node at the chain's head, with WebSocket and IPC before them.
struct Served {
    light: Process,
    full: Process,
    peer: String,
    folder: tempfile::TempDir,
}

impl Served {
    fn start(foreign: &Foreign) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (genesis, chain) = (foreign.file("genesis.json"), foreign.file("chain.rlp"));
        let datadir = folder.path().join("full");
        let full = ["full", "--import", &chain, "--ipcpath", "full.ipc"];
        let mut full = Process::start([&full[..], &flags(&genesis, datadir.to_str().unwrap())].concat());
        let peer = full.out_line("enode URL", |line| line.starts_with("enode://").then(|| line.to_owned()));
        let mut light = Self::light(foreign, folder.path(), &peer);
        Rpc::of(&mut light).reach(HEAD, &light);
        Self { light, full, peer, folder }
    }

    fn light(foreign: &Foreign, folder: &Path, peer: &str) -> Process {
        let (genesis, datadir) = (foreign.file("genesis.json"), folder.join("light"));
        let http = ["--http", "--http.port", "0", "--staticpeers", peer];
        Process::start([&http[..], &flags(&genesis, datadir.to_str().unwrap())].concat())
    }

    /// Where the light node and the full peer listen.
    fn urls(&mut self) -> [String; 2] {
        [&mut self.light, &mut self.full].map(|node| node.logged("WebSocket enabled url="))
    }

    fn sockets(&self) -> [PathBuf; 2] {
        ["light/rushlight.ipc", "full/full.ipc"].map(|socket| self.folder.path().join(socket))
    }
}

fn flags<'a>(genesis: &'a str, datadir: &'a str) -> [&'a str; 10] {
    ["--genesis", genesis, "--datadir", datadir, "--port", "0", "--nodiscover", "--ws", "--ws.port", "0"]
}

/// Chain id, number and hash as a client printed them, quantities as numbers.
fn check(report: &Value, foreign: &Foreign) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| crate::rpc::number(value));
    assert_eq!((number(&report["chainId"]), number(&report["number"])), (31337, HEAD), "{report}");
    assert_eq!(report["hash"], foreign.head["hash"]);
}

#[test]
fn a_websocket_client_of_npm_asks() {
    let (Some(foreign), Some(scripts)) = (foreign(), node()) else { return };
    let mut served = Served::start(foreign);
    for url in served.urls() {
        check(&last_line(&output(&mut script(scripts, ["ws.mjs", &url]))), foreign);
        // A page of this machine may connect, one of somebody else's may not.
        check(&last_line(&output(&mut script(scripts, ["ws.mjs", &url, "http://localhost"]))), foreign);
        let refused = try_output(&mut script(scripts, ["ws.mjs", &url, "https://example.com"]), "");
        assert!(refused.as_ref().is_err_and(|why| why.contains("403")), "{refused:?}");
    }
    served.light.stop("TERM");
    served.full.stop("TERM");
}

#[test]
fn go_ethereums_client_asks_over_websocket() {
    let (Some(foreign), Some(geth)) = (foreign(), geth()) else { return };
    let mut served = Served::start(foreign);
    for url in served.urls() {
        check(&last_line(&output(Command::new(geth).args(["ws", "-url", &url]))), foreign);
    }
}

/// A script in the console of `geth attach`.
fn attach(geth: &str, folder: &Path, socket: &Path, script: &str) -> Result<String, String> {
    let mut attach = Command::new(geth);
    attach.arg("--datadir").arg(folder).args(["attach", "--exec", script]).arg(socket);
    try_output(&mut attach, "").map(|out| out.trim().to_owned())
}

#[test]
fn geth_attaches_over_ipc() {
    let Some(foreign) = foreign() else { return };
    // Go keeps what it builds of another module's programs in its cache and says where.
    let mut build = Command::new("go");
    build.args(["tool", "-n", "github.com/ethereum/go-ethereum/cmd/geth"]).current_dir(source("geth"));
    let geth = output(&mut build);
    let served = Served::start(foreign);
    let history = tempfile::tempdir().unwrap();
    let attach = |socket: &Path, script: &str| attach(geth.trim(), history.path(), socket, script);
    // The contract holds nothing: its absence of ether is proved, and its code is there.
    let contract = "'0x000000000000000000000000000000000000c0de'";
    let head = foreign.head["hash"].to_string();
    for socket in served.sockets() {
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        for (script, want) in [
            ("eth.blockNumber", "500"),
            ("eth.getBlock('latest').hash", &head),
            (&format!("eth.getBalance({contract})"), "0"),
            (&format!("eth.getCode({contract})"), "\"0x60203560003555602035600052600060206000a1\""),
            ("net.peerCount", "1"),
            ("admin.peers.length", "1"),
        ] {
            assert_eq!(attach(&socket, script).as_deref(), Ok(want), "{script} of {}", socket.display());
        }
    }
    // Stopped in order a node leaves no socket; killed it leaves one that nobody answers on and that its next run replaces.
    let [socket, _] = served.sockets();
    served.light.stop("TERM");
    assert!(!socket.exists() && attach(&socket, "eth.blockNumber").is_err());
    let start = || {
        let mut light = Served::light(foreign, served.folder.path(), &served.peer);
        light.logged("IPC endpoint opened");
        light
    };
    let light = start();
    light.signal("KILL");
    light.wait();
    assert!(socket.exists() && attach(&socket, "eth.blockNumber").is_err());
    let light = start();
    assert_eq!(attach(&socket, "eth.blockNumber").as_deref(), Ok("500"));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    light.stop("INT");
    assert!(!socket.exists());
}
