//! Mainnet's first blocks: read by the test itself, and by full peers that have imported them.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use rushlight_chain::{RawBlock, SealedHeader, block::Body, era1::Era1Reader, header, testdata};
use rushlight_p2p::Enode;
use serde_json::{Value, json};

use crate::{process::Process, rpc::Rpc};

/// The last block of the data.
pub(crate) const HEAD: u64 = 8191;
pub(crate) const HEAD_HASH: &str = "0xa6860fefa339c963e1bb622526cc8dd4344eedd2a9b969e74de5cccc445fbed4";
/// Its total difficulty, 1344623723034024.
pub(crate) const HEAD_TD: u64 = 1_344_623_723_034_024;

/// Accounts of the genesis: the largest, one of the others.
pub(crate) const GENESIS_ACCOUNTS: [&str; 2] =
    ["0x5abfec25f74cd88437631a7731906932776356f9", "0x3282791d6fd713f1e94f4bfd565eaa78b3a0599d"];

/// The blocks.
pub(crate) struct Mainnet {
    pub(crate) headers: Vec<SealedHeader>,
    pub(crate) blocks: Vec<RawBlock>,
    pub(crate) alloc: serde_json::Map<String, Value>,
}

impl Mainnet {
    /// Read once; `None` where there is no data, which is then said.
    pub(crate) fn get() -> Option<Arc<Self>> {
        static MAINNET: OnceLock<Arc<Mainnet>> = OnceLock::new();
        let file = File::open(era1()?).expect("the era1 file");
        let read = || {
            let mut mainnet = Self { headers: Vec::new(), blocks: Vec::new(), alloc: alloc() };
            for block in Era1Reader::new(BufReader::new(file)).expect("an era1 file") {
                let block = block.expect("a block");
                mainnet.headers.push(header::decode(&block.header).expect("a header"));
                let body = Body::decode(&block.body).expect("a body");
                mainnet.blocks.push(RawBlock::from_parts(block.header, body));
            }
            assert_eq!(mainnet.headers.len() as u64, HEAD + 1);
            Arc::new(mainnet)
        };
        Some(MAINNET.get_or_init(read).clone())
    }

    pub(crate) fn state_root(&self, number: u64) -> B256 {
        self.headers[usize::try_from(number).unwrap()].state_root
    }

    /// An account's balance in the genesis file.
    pub(crate) fn genesis_balance(&self, address: &str) -> U256 {
        let account = &self.alloc[address.trim_start_matches("0x")];
        let balance = account["balance"].as_str().expect("a balance");
        balance.parse().expect("a number")
    }

    /// The balance at a block as the node gives it, once it has been checked that `eth_getProof` proves just that
    /// against the state root that the test has from the file.
    pub(crate) fn proved_balance(&self, rpc: &Rpc, address: Address, block: u64) -> U256 {
        let at = format!("{block:#x}");
        let balance: U256 =
            serde_json::from_value(rpc.call("eth_getBalance", json!([address, at]))).expect("a quantity");
        let proof = rpc.call("eth_getProof", json!([address, [], at]));
        let field = |name: &str| proof[name].clone();
        let account = TrieAccount {
            nonce: crate::rpc::number(&field("nonce")),
            balance: serde_json::from_value(field("balance")).expect("a balance"),
            storage_root: serde_json::from_value(field("storageHash")).expect("a hash"),
            code_hash: serde_json::from_value(field("codeHash")).expect("a hash"),
        };
        assert_eq!(account.balance, balance, "{address} at {block}");
        let nodes: Vec<Bytes> = serde_json::from_value(field("accountProof")).expect("nodes");
        // An account without anything is not in the state.
        let value = (account != TrieAccount::default()).then(|| alloy_rlp::encode(account));
        verify_proof(self.state_root(block), Nibbles::unpack(keccak256(address)), value, &nodes)
            .unwrap_or_else(|error| panic!("{address} at {block}: {error}"));
        balance
    }
}

fn era1() -> Option<PathBuf> {
    testdata::path("mainnet/mainnet-00000-5ec1ffb8.era1")
}

fn genesis() -> Option<PathBuf> {
    testdata::path("mainnet/genesis.json")
}

fn alloc() -> serde_json::Map<String, Value> {
    let json = fs::read(genesis().expect("data")).expect("the genesis file");
    let mut genesis: Value = serde_json::from_slice(&json).expect("JSON");
    match genesis["alloc"].take() {
        Value::Object(alloc) => alloc,
        other => panic!("alloc: {other}"),
    }
}

/// Flags of a full peer on mainnet's genesis, with its data in `datadir`.
pub(crate) fn full_flags(datadir: &Path) -> Vec<String> {
    let genesis = genesis().expect("data").display().to_string();
    let datadir = datadir.display().to_string();
    ["full", "--genesis", &genesis, "--datadir", &datadir, "--port", "0", "--nodiscover"].map(str::to_owned).to_vec()
}

/// Flags of a light node on mainnet that knows these peers.
pub(crate) fn light_flags(datadir: &Path, peers: &[Enode]) -> Vec<String> {
    let peers = peers.iter().map(Enode::to_string).collect::<Vec<_>>().join(",");
    let datadir = datadir.display().to_string();
    ["--mainnet", "--nodiscover", "--port", "0", "--datadir", &datadir, "--staticpeers", &peers]
        .into_iter()
        .chain(["--http", "--http.port", "0", "--http.api", "eth,net,web3,admin"])
        .map(str::to_owned)
        .collect()
}

/// A full peer with every block, and what it wrote to stdout when it was ready.
pub(crate) struct Full {
    pub(crate) process: Process,
    pub(crate) enode: Enode,
    _datadir: tempfile::TempDir,
}

impl Full {
    /// Starts one; the import is done once for all of them, and each works on its own copy.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(more: &[&str]) -> Self {
        let datadir = tempfile::tempdir().expect("a folder");
        copy(&imported(), datadir.path());
        let mut flags = full_flags(datadir.path());
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        let mut process = Process::start(flags);
        let enode = enode(&mut process);
        Self { process, enode, _datadir: datadir }
    }
}

/// The URL that a full peer prints.
pub(crate) fn enode(process: &mut Process) -> Enode {
    process.out_line("an enode URL", |line| line.starts_with("enode://").then(|| line.parse().expect("an enode URL")))
}

/// What the folder of the import is called; the process's id follows.
const IMPORTED_OF: &str = "e2e-imported-";

/// A data directory into which everything has been imported by the binary. Its key is left out: each copy makes its
/// own.
fn imported() -> PathBuf {
    static IMPORTED: OnceLock<PathBuf> = OnceLock::new();
    let import = || {
        // A folder of this run alone: clones that share a target folder may run their tests at the same time.
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        for left in fs::read_dir(tmp).into_iter().flatten().flatten() {
            let name = left.file_name();
            let run = name.to_str().and_then(|name| name.strip_prefix(IMPORTED_OF));
            if run.is_some_and(|run| !Path::new("/proc").join(run).exists()) {
                let _ = fs::remove_dir_all(left.path());
            }
        }
        let datadir = tmp.join(format!("{IMPORTED_OF}{}", std::process::id()));
        let mut flags = full_flags(&datadir);
        flags.extend(["--import".to_owned(), era1().expect("data").display().to_string()]);
        let mut process = Process::start(flags);
        enode(&mut process);
        let ended = process.stop("TERM");
        assert_eq!(ended.out.len(), 1, "the URL and nothing else: {:?}", ended.out);
        let imported = ended.log.iter().find(|line| line.contains("Imported blocks")).expect("a line on the import");
        for part in ["blocks=8192", "new=8191", "head=8191", HEAD_HASH, "td=1344623723034024"] {
            assert!(imported.contains(part), "{part} in {imported}");
        }
        fs::remove_file(datadir.join("full/nodekey")).expect("a key");
        datadir
    };
    IMPORTED.get_or_init(import).clone()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
