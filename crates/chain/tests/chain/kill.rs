//! Kill -9 in mid-sync: a child process extends a chain on disk, the parent kills it and looks at what is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rushlight_chain::store::{Budget, RocksStore};
use rushlight_chain::{HeaderChain, SealCheck, SealError, SealedHeader};

use super::mainnet::{HEAD, headers, open};

const FOLDER: &str = "RUSHLIGHT_TEST_KILL_CHAIN";

/// Takes every seal: what is tested is the disk.
struct AnySeal;

impl SealCheck for AnySeal {
    fn check(&self, _: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        Ok(())
    }
}

fn open_folder(folder: &Path) -> HeaderChain {
    open(Arc::new(RocksStore::open(folder, &Budget::default()).unwrap()), Arc::new(AnySeal))
}

/// How far the chain has come: what is accepted or provisional of it.
fn reached(chain: &HeaderChain) -> u64 {
    chain.provisional().map_or(0, |progress| progress.current).max(chain.head().header.number)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The child: not a test of its own. Extends, settling now and then, and says how far it is.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let headers = headers().unwrap();
    let chain = open_folder(Path::new(&folder));
    let mut next = reached(&chain) as usize;
    while next < headers.len() {
        let end = (next + 37).min(headers.len());
        let extended = chain.extend(&headers[next..end]).unwrap();
        say(&format!("reached {}", extended.number));
        if end.is_multiple_of(5) || end == headers.len() {
            chain.settle(&extended.tip).unwrap();
            say(&format!("settled {}", extended.number));
        }
        next = end;
    }
    chain.settle(&HEAD).unwrap();
}

#[test]
fn a_killed_sync_goes_on_from_where_it_was() {
    if headers().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut last, mut settled) = (0, 0);
    for round in 0.. {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "chain::kill::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut hear = |line: String| {
            let number = |what: &str, best: &mut u64| {
                if let Some(number) = line.split_once(what).and_then(|(_, number)| number.parse().ok()) {
                    *best = (*best).max(number);
                }
            };
            number("reached ", &mut last);
            number("settled ", &mut settled);
        };
        for line in lines.by_ref().take(12 + round % 5) {
            hear(line);
        }
        std::thread::sleep(Duration::from_micros(round as u64 * 331 % 2500));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(&mut hear);

        let chain = open_folder(folder.path());
        assert!(reached(&chain) >= last, "round {round}: {last} was acknowledged, {} is there", reached(&chain));
        assert!(chain.head().header.number >= settled, "round {round}: {settled} was settled");
        let head = chain.head().header.hash();
        assert_eq!(chain.hashes_before(&head, 10_000).len() as u64, chain.head().header.number);
        if head == HEAD {
            assert!(round > 5, "killed only {round} times");
            return;
        }
        assert!(round < 200, "no progress");
    }
}
