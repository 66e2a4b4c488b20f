//! `--config` and `dumpconfig`.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    process::{Ended, Process},
    rpc::Rpc,
};

fn dump(args: &[&str]) -> String {
    let Ended { status, out, log, .. } = Process::run([&["dumpconfig"], args].concat());
    assert!(status.success() && log.is_empty(), "{args:?}: {log:#?}");
    out.join("\n")
}

fn refusal(folder: &Path, text: &str) -> String {
    let file = folder.join("wrong.toml");
    fs::write(&file, text).unwrap();
    let Ended { status, log, .. } = Process::run(["--config", file.to_str().unwrap()]);
    assert_eq!((status.code(), log.len()), (Some(2), 1), "{text}: {log:#?}");
    log[0].clone()
}

#[test]
fn what_is_printed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rushlight.toml");
    let path = file.to_str().unwrap();
    let enode = format!("enode://{}@127.0.0.1:1", "7".repeat(128));
    for args in [
        vec![],
        vec!["--http", "--http.port", "0", "--http.api", "eth,admin", "--http.corsdomain", "http://a,http://b"],
        vec!["--ws", "--ws.origins", "*", "--ipcpath", "my.ipc", "--verbosity", "4", "--log.format", "json"],
        vec!["--mainnet", "--networkid", "7", "--datadir", "/a \"b\" c", "--maxpeers", "0", "--nodiscover"],
        vec!["--genesis", "g.json", "--verify-seals", "all", "--staticpeers", &enode, "--ipcdisable"],
    ] {
        let printed = dump(&args);
        fs::write(&file, &printed).unwrap();
        assert_eq!(dump(&["--config", path]), printed, "{args:?}");
    }
    let printed = dump(&[]);
    for line in ["NetworkId", "HTTPPort = 8545", "WSPort = 8546", "HTTPVirtualHosts = [\"localhost\"]", "Port = 30303"]
    {
        assert_eq!(printed.contains(line), line != "NetworkId", "{line}: {printed}");
    }
}

#[test]
fn the_command_line_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rushlight.toml");
    fs::write(&file, "[Eth]\nGenesis = \"g.json\"\n[Node]\nHTTPPort = 1\nHTTPModules = [\"eth\"]\n").unwrap();
    let printed = dump(&["--config", file.to_str().unwrap(), "--http.port", "2", "--mainnet"]);
    assert!(printed.contains("HTTPPort = 2") && printed.contains("HTTPModules = [\"eth\"]"), "{printed}");
    assert!(printed.contains("Mainnet = true") && !printed.contains("Genesis"), "one chain: {printed}");
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (text, part) in [
        ("[Node]\nHTPPort = 1", "unknown key Node.HTPPort"),
        ("[Nod]\nHTTPPort = 1", "unknown key Nod"),
        ("HTTPPort = 1", "unknown key HTTPPort"),
        ("[Eth]\nConfig = \"other.toml\"", "unknown key Eth.Config"),
        ("[Node.P2P]\nMaxPeers = \"many\"", "Node.P2P.MaxPeers: a number is expected"),
        ("[Node]\nHTTP = 1", "Node.HTTP: true or false is expected"),
        ("[Node]\nHTTPModules = \"eth\"", "Node.HTTPModules: an array of strings is expected"),
        ("[Node]\nHTTPPort = 65536", "--http.port"),
        ("[Log]\nFormat = \"xml\"", "--log.format"),
        ("[Eth]\nMainnet = true\nGenesis = \"g.json\"", "--genesis"),
        ("[Node", "wrong.toml"),
    ] {
        let line = refusal(folder.path(), text);
        assert!(line.contains(part), "{text}: {line}");
    }
}

#[test]
fn a_node_runs_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rushlight.toml");
    let text = format!(
        "[Eth]\nNetworkId = 77\n[Node]\nDataDir = {:?}\nHTTP = true\nHTTPPort = 0\nHTTPModules = [\"net\"]\n[Node.P2P]\nPort = 0\n",
        folder.path().join("data")
    );
    fs::write(&file, text).unwrap();
    let mut light = Process::start(["--config", file.to_str().unwrap()]);
    let rpc = Rpc::of(&mut light);
    assert_eq!(rpc.call("net_version", json!([])), "77");
    assert_eq!(rpc.call("rpc_modules", json!([])), json!({ "net": "1.0", "rpc": "1.0" }));
    assert!(folder.path().join("data/light").is_dir());
    light.stop("TERM");
}
