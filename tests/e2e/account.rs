//! `rushlight account`: geth's subcommands, in geth's words, with the real binary.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    process::{PATIENCE, Process},
    rpc::Rpc,
};

/// A key and its address, as go-ethereum's tests have them.
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ADDRESS: &str = "fcad0b19bb29d4674531d6f115237e16afce377c";

/// One of the files in go-ethereum's `accounts/keystore/testdata`; its password is `foobar`.
const AAA: &str = r#"{"address":"f466859ead1932d743d622cb74fc058882e8648a","crypto":{"cipher":"aes-128-ctr","ciphertext":"cb664472deacb41a2e995fa7f96fe29ce744471deb8d146a0e43c7898c9ddd4d","cipherparams":{"iv":"dfd9ee70812add5f4b8f89d0811c9158"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":8,"p":16,"r":8,"salt":"0d6769bf016d45c479213990d6a08d938469c4adad8a02ce507b4a4e7b7739f1"},"mac":"bac9af994b15a45dd39669fc66f9aa8a3b9dd8c22cb16e4d8d7ea089d0f1a1a9"},"id":"472e8b3d-afb6-45b5-8111-72c89895099a","version":3}"#;

/// A run with something on stdin: its exit code, stdout and stderr.
pub(crate) fn run(args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rushlight"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A run that ends before it has read everything says why on stderr.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn key_files(&self, keystore: &str) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.path(keystore)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

#[test]
fn new_as_geth_has_it() {
    let place = Place::new();
    let datadir = place.path("data");
    let (code, out, log) = run(&["account", "new", "--lightkdf", "--datadir", &datadir], "foobar\nfoobar\n");
    assert_eq!((code, log.as_str()), (Some(0), ""));
    let [file] = place.key_files("data/keystore").try_into().unwrap();
    let address = file.to_str().unwrap().rsplit("--").next().unwrap().to_owned();
    let start = "Your new account is locked with a password. Please give a password. Do not forget this password.\n\
         !! Unsupported terminal, password will be echoed.\nPassword: \nRepeat password: \n\nYour new key was generated\n\n\
         Public address of the key:   0x";
    let rest = out.strip_prefix(start).unwrap_or_else(|| panic!("{out}"));
    assert_eq!(rest[..40].to_lowercase(), address);
    let end = format!("\nPath of the secret key file: {}\n\n- You can share your public address", file.display());
    assert!(rest[40..].starts_with(&end), "{out}");
    let json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((&json["crypto"]["kdfparams"]["n"], &json["crypto"]["kdfparams"]["p"]), (&json!(4096), &json!(6)));

    let (code, out, log) = run(&["account", "new", "--lightkdf", "--datadir", &datadir], "something\nsomething else\n");
    assert!(code == Some(1) && out.ends_with("Repeat password: \n"), "{out}");
    assert_eq!(log, "Fatal: Passwords do not match\n");
    let (code, _, log) = run(&["account", "new", "--lightkdf", "--datadir", &datadir], "");
    assert!(code == Some(1) && log.starts_with("Fatal: Failed to read password: "), "{log}");
    assert_eq!(place.key_files("data/keystore").len(), 1);
}

#[test]
fn import_list_and_standard_cost() {
    let place = Place::new();
    let (key, password) = (place.file("key", KEY), place.file("password", "foobar\r\nother\n"));
    let datadir = place.path("data");
    // geth's scripts have flags before `account` too.
    let args = ["--datadir", &datadir, "account", "import", "--password", &password, &key];
    assert_eq!(run(&args, ""), (Some(0), format!("Address: {{{ADDRESS}}}\n"), String::new()));
    let [file] = place.key_files("data/keystore").try_into().unwrap();
    let json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((&json["crypto"]["kdfparams"]["n"], &json["address"]), (&json!(262_144), &json!(ADDRESS)));
    assert_eq!(
        run(&args, ""),
        (Some(1), String::new(), "Fatal: Could not create the account: account already exists\n".to_owned())
    );

    let keystore = place.path("data/keystore");
    fs::write(Path::new(&keystore).join("aaa"), AAA).unwrap();
    let listed = format!(
        "Account #0: {{{ADDRESS}}} keystore://{}\nAccount #1: {{f466859ead1932d743d622cb74fc058882e8648a}} keystore://{keystore}/aaa\n",
        file.display()
    );
    for args in [["account", "list", "--datadir", &datadir], ["account", "list", "--keystore", &keystore]] {
        assert_eq!(run(&args, ""), (Some(0), listed.clone(), String::new()));
    }
    // Each network has its own.
    assert_eq!(
        run(&["account", "list", "--sepolia", "--datadir", &datadir], ""),
        (Some(0), String::new(), String::new())
    );
}

#[test]
fn what_is_no_key() {
    let place = Place::new();
    let (password, datadir) = (place.file("password", "foobar"), place.path("data"));
    for (text, why) in [
        (format!("{KEY}1"), "invalid character '1' at end of key file"),
        (KEY[1..].to_owned(), "key file too short, want 64 hex characters"),
        (KEY.replace('a', "z"), "invalid hex data for private key"),
        ("0".repeat(64), "invalid private key, expected a number from 1 to below the order of secp256k1"),
    ] {
        let key = place.file("key", &text);
        let args = ["account", "import", "--lightkdf", "--datadir", &datadir, "--password", &password, &key];
        let log = format!("Fatal: Failed to load the private key: {why}\n");
        assert_eq!(run(&args, ""), (Some(1), String::new(), log));
    }
    let (code, _, log) = run(&["account", "import", "--datadir", &datadir], "");
    assert_eq!((code, log.as_str()), (Some(1), "Fatal: keyfile must be given as the only argument\n"));
    let (code, _, log) = run(&["account", "new", "--datadir", &datadir, "--password", &place.path("none")], "");
    assert!(code == Some(1) && log.starts_with("Fatal: Failed to read password file: open "), "{log}");
    assert!(!Path::new(&datadir).exists(), "nothing was made");
}

#[test]
fn update() {
    let place = Place::new();
    fs::create_dir_all(place.path("data/keystore")).unwrap();
    let file = place.file("data/keystore/aaa", AAA);
    let datadir = place.path("data");
    let address = "f466859ead1932d743d622cb74fc058882e8648a";
    let args = ["account", "update", "--datadir", &datadir, "--lightkdf", address];
    let (code, out, log) = run(&args, "foobar2\nfoobar2\nwrong\nfoobar\n");
    assert_eq!((code, log.as_str()), (Some(0), ""), "{out}");
    assert_eq!(
        out,
        format!(
            "Please give a NEW password. Do not forget this password.\n!! Unsupported terminal, password will be echoed.\n\
             Password: \nRepeat password: \n\
             Please provide the OLD password for account {address} | Attempt 1/3\nPassword: \n\
             Please provide the OLD password for account {address} | Attempt 2/3\nPassword: \n"
        )
    );
    let json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        (&json["crypto"]["kdfparams"]["n"], &json["id"]),
        (&json!(4096), &json!("472e8b3d-afb6-45b5-8111-72c89895099a"))
    );

    let (code, _, log) = run(&args, "x\nx\nfoobar\nfoobar\nfoobar\n");
    assert_eq!(
        (code, log.as_str()),
        (Some(1), "Fatal: could not update account: could not decrypt key with given password\n")
    );
    let passwords = place.file("passwords", "foobar2\nfoobar3\n");
    let args = ["account", "update", "--datadir", &datadir, "--lightkdf", "--password", &passwords, address];
    assert_eq!(run(&args, ""), (Some(0), String::new(), String::new()));
    let (code, _, log) = run(&["account", "update", "--datadir", &datadir, "nonsense"], "");
    assert_eq!((code, log.as_str()), (Some(1), "Fatal: address must be specified in hexadecimal form\n"));
    let (code, _, log) = run(&["account", "update", "--datadir", &datadir], "");
    assert_eq!((code, log.as_str()), (Some(1), "Fatal: No accounts specified to update\n"));
}

/// Unlocking is refused over a network, and works where it is asked for.
#[test]
fn unlocked_only_where_it_is_asked_for() {
    let place = Place::new();
    fs::create_dir_all(place.path("data/keystore")).unwrap();
    place.file("data/keystore/aaa", AAA);
    let (datadir, password) = (place.path("data"), place.file("password", "foobar\n"));
    let address = "0xf466859ead1932d743d622cb74fc058882e8648a";
    let node =
        ["--datadir", &datadir, "--port", "0", "--nodiscover", "--sepolia", "--keystore", &place.path("data/keystore")];
    let with = |more: &[&str]| -> Vec<String> { [&node[..], more].concat().into_iter().map(str::to_owned).collect() };
    let fatal = |more: &[&str]| {
        let ended = Process::run(with(more));
        assert!(!ended.status.success(), "{more:?}");
        ended.log.last().unwrap().clone()
    };
    let unlock = ["--unlock", address, "--password", &password];
    let http = ["--http", "--http.port", "0", "--http.api", "eth,personal"];
    for transport in [&http[..], &["--ws", "--ws.port", "0"]] {
        let line = fatal(&[&unlock, transport].concat());
        assert_eq!(line, "Fatal: Account unlock with HTTP access is forbidden!");
    }
    let wrong = place.file("wrong", "foobaz");
    assert_eq!(
        fatal(&["--unlock", address, "--password", &wrong]),
        format!("Fatal: Failed to unlock account {address} (could not decrypt key with given password)")
    );
    let nobody = format!("0x{}", "12".repeat(20));
    assert_eq!(
        fatal(&["--unlock", &nobody, "--password", &password]),
        format!("Fatal: Failed to unlock account {nobody} (no key for given address or file)")
    );

    // Without --unlock the key files are nobody's business.
    let mut light = Process::start(with(&http));
    let rpc = Rpc::of(&mut light);
    assert_eq!(rpc.call("eth_accounts", json!([])), json!([]));
    let refused = rpc.response("eth_sign", &json!([address, "0x68656c6c6f"]));
    assert_eq!(refused["error"], json!({"code": -32000, "message": "unknown account"}));
    drop(light);

    let mut light = Process::start(with(&[&unlock[..], &http[..], &["--allow-insecure-unlock"]].concat()));
    let rpc = Rpc::of(&mut light);
    assert_eq!(rpc.call("eth_accounts", json!([])), json!([address]));
    let signature = rpc.call("eth_sign", json!([address, "0x68656c6c6f"]));
    assert_eq!(rpc.call("personal_sign", json!(["0x68656c6c6f", address])), signature);
    assert_eq!(rpc.call("personal_sign", json!(["0x68656c6c6f", address, "foobar"])), signature);
    let refused = rpc.response("personal_sign", &json!(["0x68656c6c6f", address, "foobaz"]));
    assert_eq!(refused["error"]["message"], "could not decrypt key with given password");
    assert_eq!(rpc.call("personal_ecRecover", json!(["0x68656c6c6f", signature])), address);
    let refused = rpc.response("eth_sign", &json!([nobody, "0x68656c6c6f"]));
    assert_eq!(refused["error"], json!({"code": -32000, "message": "unknown account"}));
    let log = light.log().join("\n");
    assert!(log.contains("Unlocked account") && !log.contains("foobar"), "{log}");
}

/// A signer's key in a keystore seals a chain, and the same key sends over a light node, which proves what became of it.
#[test]
fn sent_by_an_unlocked_account_and_mined() {
    let place = Place::new();
    let (key, password) = (place.file("key", KEY), place.file("password", "foobar"));
    let keystore = place.path("keystore");
    let import = ["account", "import", "--lightkdf", "--keystore", &keystore, "--password", &password, &key];
    assert_eq!(run(&import, "").0, Some(0));
    let address = format!("0x{ADDRESS}");
    let genesis = json!({
        "config": {
            "chainId": 4242, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0, "byzantiumBlock": 0,
            "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "clique": {"period": 1, "epoch": 30000}
        },
        "difficulty": "0x1", "gasLimit": "0x1c9c380", "baseFeePerGas": "0x3b9aca00", "timestamp": "0x60000000",
        "extraData": format!("0x{}{ADDRESS}{}", "00".repeat(32), "00".repeat(65)),
        "alloc": {ADDRESS: {"balance": "0xde0b6b3a7640000"}}
    });
    let genesis = place.file("genesis.json", &genesis.to_string());
    let signer =
        ["--genesis", &genesis, "--port", "0", "--keystore", &keystore, "--unlock", &address, "--password", &password];
    let full = place.path("full");
    let mut full = Process::start([&["full", "--datadir", &full, "--mine"], &signer[..]].concat());
    let enode = full.out_line("enode URL", |line| line.starts_with("enode://").then(|| line.to_owned()));
    let light = place.path("light");
    let more = [
        "--datadir",
        &light,
        "--nodiscover",
        "--staticpeers",
        &enode,
        "--http",
        "--http.port",
        "0",
        "--allow-insecure-unlock",
    ];
    let mut light = Process::start([&signer[..], &more].concat());
    let rpc = Rpc::of(&mut light);
    rpc.reach(2, &light);

    let recipient = format!("0x{}", "ab".repeat(20));
    let send = |value: u64| {
        let transaction = json!({"from": address, "to": recipient, "value": format!("{value:#x}")});
        rpc.call("eth_sendTransaction", json!([transaction]))
    };
    let hashes = [send(1), send(2), send(3)];
    for (nonce, hash) in hashes.iter().enumerate() {
        let started = Instant::now();
        let receipt = loop {
            let receipt = rpc.call("eth_getTransactionReceipt", json!([hash]));
            if !receipt.is_null() {
                break receipt;
            }
            assert!(started.elapsed() < PATIENCE, "{hash} in no block\n{}", light.log().join("\n"));
            thread::sleep(Duration::from_millis(200));
        };
        assert_eq!(
            (&receipt["status"], &receipt["from"], &receipt["type"]),
            (&json!("0x1"), &json!(address), &json!("0x2"))
        );
        let transaction = rpc.call("eth_getTransactionByHash", json!([hash]));
        assert_eq!(transaction["nonce"], format!("{nonce:#x}"));
    }
    assert_eq!(rpc.call("eth_getBalance", json!([recipient, "latest"])), "0x6");
}
