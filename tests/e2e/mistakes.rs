//! What an operator gets wrong: one clear line, and an exit code.

use std::{fs, net::TcpListener, path::Path};

use crate::process::{Ended, Process};

/// A run that must fail; its one line.
fn fatal(args: &[&str]) -> String {
    let Ended { status, out, log, .. } = Process::run(args);
    assert!(!status.success(), "{args:?}");
    assert_eq!(out, Vec::<String>::new(), "{args:?}");
    let fatal: Vec<_> = log.iter().filter(|line| line.starts_with("Fatal: ")).collect();
    assert_eq!(fatal.len(), 1, "{args:?}: {log:#?}");
    assert_eq!(log.last(), Some(fatal[0]), "the line that matters is the last one");
    fatal[0].clone()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn flags() {
    for (args, part) in [
        (vec!["--nonsense"], "'--nonsense'"),
        (vec!["--port", "65536"], "'--port <PORT>'"),
        (vec!["--verbosity", "9"], "'--verbosity <LEVEL>'"),
        (
            vec!["--trusted-head", "0x1234"],
            "'--trusted-head <HASH>': expected a block hash, 0x and 64 hex digits, got 6",
        ),
        (vec!["--retain-headers", "255"], "'--retain-headers <N|all>': expected a number from 256 on, or all"),
        (vec!["--verify-seals", "none"], "'--verify-seals <WHICH>'"),
        (vec!["--staticpeers", "enode://00@1.2.3.4:30303"], "--staticpeers: invalid enode"),
        (vec!["--trustedpeers", "nonsense"], "--trustedpeers: invalid enode"),
        (vec!["--genesis", "/nonexistent/genesis.json"], "--genesis: cannot read /nonexistent/genesis.json"),
        (vec!["full"], "--genesis FILE"),
        (vec!["--http", "--http.addr", "no such host"], "--http.addr no such host"),
        (vec!["--sepolia", "--classic"], "cannot be used with"),
        (vec!["--ws", "--ws.addr", "no such host"], "--ws.addr no such host"),
        (vec!["--config", "/nonexistent/a.toml"], "--config /nonexistent/a.toml: cannot be read"),
        (vec!["full", "--config", "a.toml"], "--config is not supported yet"),
        (vec!["dumpconfig", "--port", "x"], "'--port <PORT>'"),
    ] {
        let line = fatal(&args);
        assert!(line.contains(part), "{args:?}: {line}");
    }
}

#[test]
fn files_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let datadir = path("data");
    let light = |more: &[&str]| fatal(&[&["--datadir", text(&datadir), "--port", "0"], more].concat());

    fs::write(path("key"), "12").unwrap();
    assert!(light(&["--nodekey", text(&path("key"))]).contains("64 hexadecimal digits"));
    fs::write(path("zero"), "0".repeat(64)).unwrap();
    assert!(light(&["--nodekey", text(&path("zero"))]).contains("--nodekey: "));
    assert!(light(&["--nodekey", text(&path("none"))]).contains("--nodekey: there is no file "));
    fs::write(path("genesis.json"), "{").unwrap();
    assert!(light(&["--genesis", text(&path("genesis.json"))]).contains("genesis.json: "));
    fs::write(path("file"), "").unwrap();
    let below_a_file = path("file").join("data");
    assert!(fatal(&["--datadir", text(&below_a_file)]).contains("--datadir: cannot make "));
}

#[test]
fn ports_in_use() {
    let taken = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let datadir = text(folder.path());
    let line = fatal(&["--datadir", datadir, "--port", &port]);
    assert!(line.contains(&format!("cannot listen on 0.0.0.0:{port}")) && line.contains("in use"), "{line}");
    let line = fatal(&["--datadir", datadir, "--port", "0", "--http", "--http.port", &port]);
    assert!(line.contains(&format!("HTTP server cannot listen on 127.0.0.1:{port}")), "{line}");
    let line = fatal(&["dev", "--http.port", &port]);
    assert!(line.contains(&format!("HTTP server cannot listen on 127.0.0.1:{port}")), "{line}");
}

/// A genesis of one's own; the number makes it another one.
fn genesis(nonce: u64) -> String {
    format!(
        "{{\"config\":{{\"chainId\":7,\"homesteadBlock\":0}},\"nonce\":\"{nonce:#x}\",\"timestamp\":\"0x0\",\
         \"extraData\":\"0x\",\"gasLimit\":\"0x1388\",\"difficulty\":\"0x20000\",\"alloc\":{{}}}}"
    )
}

#[test]
fn a_folder_of_another_chain() {
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path().join("data");
    let (first, second) = (folder.path().join("1.json"), folder.path().join("2.json"));
    fs::write(&first, genesis(1)).unwrap();
    fs::write(&second, genesis(2)).unwrap();
    let flags = |genesis: &Path| {
        ["--genesis", text(genesis), "--datadir", text(&datadir), "--port", "0"].map(str::to_owned).to_vec()
    };
    let mut light = Process::start(flags(&first));
    light.logged("listening for peers");
    // HTTP is off where it is not asked for.
    assert!(light.log().iter().all(|line| !line.contains("HTTP server started")), "{:#?}", light.log());
    assert!(light.log().iter().any(|line| line.contains("no way to find peers")), "{:#?}", light.log());
    light.stop("TERM");

    let other: Vec<_> = flags(&second);
    let line = fatal(&other.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(line.matches("0x").count(), 2, "both hashes: {line}");

    // The same folder again, for the chain that it is of; and not by two at once.
    let mut light = Process::start(flags(&first));
    light.logged("listening for peers");
    let line = fatal(&flags(&first).iter().map(String::as_str).collect::<Vec<_>>());
    assert!(line.contains(text(&datadir)), "{line}");
    light.stop("INT");
}

#[test]
fn modules_that_do_not_exist_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--datadir", text(folder.path()), "--port", "0", "--http", "--http.port", "0"];
    let mut light = Process::start([&flags[..], &["--http.api", "eth,nonsense"]].concat());
    let line = light.log_line("a warning", |line| line.contains("Unavailable modules").then(|| line.to_owned()));
    assert!(line.contains("WARN") && line.contains("nonsense"), "{line}");
    let rpc = crate::rpc::Rpc::of(&mut light);
    let modules = rpc.call("rpc_modules", serde_json::json!([]));
    assert_eq!(modules, serde_json::json!({ "eth": "1.0", "rpc": "1.0" }));
    light.stop("TERM");
}

#[test]
fn help_and_version_are_no_failures() {
    for flag in ["--help", "--version"] {
        let ended = Process::run([flag]);
        assert!(ended.status.success() && !ended.out.is_empty() && ended.log.is_empty(), "{flag}");
    }
}

#[test]
fn verbosity_nought_is_silence() {
    let folder = tempfile::tempdir().unwrap();
    let light = Process::start(["--datadir", text(folder.path()), "--port", "0", "--verbosity", "0"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let ended = light.stop("TERM");
    assert!(ended.log.is_empty() && ended.out.is_empty(), "{:#?}", ended.log);
}
