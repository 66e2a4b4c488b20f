//! Kill -9: a child process writes batches and says after each that it is written; the parent kills it at some moment
//! and looks at what is there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::store::*;

const FOLDER: &str = "RUSHLIGHT_TEST_KILL_FOLDER";
/// Columns that each batch writes to.
const COLUMNS: [Column; 4] = [Column::Meta, Column::Headers, Column::Numbers, Column::Nodes];
/// How often the child is killed.
const ROUNDS: u64 = 25;
/// … and in the hours-long run.
const LONG_ROUNDS: u64 = 1000;

/// What batch `number` writes to a column: long enough that write buffers fill and tables are written meanwhile.
fn value(number: u64, column: Column) -> Vec<u8> {
    let seed = B256::from(alloy_primitives::keccak256([&number.to_be_bytes()[..], column.name().as_bytes()].concat()));
    seed.repeat(1 + (number % 64) as usize)
}

/// The child: not a test of its own, started by `survives_kill_9` with a folder to write to.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let budget = Budget { write_buffers: 256 << 10, log: 512 << 10, ..Budget::default() };
    let store = RocksStore::open(folder, &budget).unwrap();
    let mut number = next(&store);
    loop {
        let mut batch = Batch::new();
        for column in COLUMNS {
            batch.put(column, number.to_be_bytes(), value(number, column));
        }
        batch.put(Column::Verified, b"last", number.to_be_bytes());
        // Some synced, some not: kill -9 must not lose either kind.
        store.write(if number.is_multiple_of(7) { batch.synced() } else { batch }).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "written {number}").unwrap();
        out.flush().unwrap();
        number += 1;
    }
}

fn next(store: &RocksStore) -> u64 {
    let last = store.get(Column::Verified, b"last").unwrap();
    last.map_or(0, |last| u64::from_be_bytes(last[..].try_into().unwrap()) + 1)
}

#[test]
fn survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    let rounds = if crate::testdata::long() { LONG_ROUNDS } else { ROUNDS };
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // At least a few batches, then a moment that falls anywhere within a write.
        let wanted = 3 + round * 13 % 160;
        let mut acknowledged = None;
        let mut seen = 0;
        while seen < wanted {
            let line = lines.next().expect("the child ended by itself").unwrap();
            if let Some((_, number)) = line.split_once("written ") {
                acknowledged = Some(number.parse::<u64>().unwrap());
                seen += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(round * 137 % 1900));
        child.kill().unwrap();
        child.wait().unwrap();
        // What the child said in the meantime counts as well; a line cut short does not.
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.split_once("written ").and_then(|(_, number)| number.parse().ok()) {
                acknowledged = acknowledged.max(Some(number));
            }
        }

        let acknowledged = acknowledged.unwrap();
        let store = RocksStore::open(folder.path(), &Budget::default()).unwrap();
        let end = next(&store);
        assert!(end > acknowledged, "round {round}: batch {acknowledged} was acknowledged, the last is {}", end - 1);
        for number in checked..end {
            for column in COLUMNS {
                let found = store.get(column, &number.to_be_bytes()).unwrap();
                assert!(
                    found.as_deref().is_some_and(|found| *found == value(number, column)),
                    "batch {number} in {}",
                    column.name()
                );
            }
        }
        for column in COLUMNS {
            assert!(!store.contains(column, &end.to_be_bytes()).unwrap(), "half a batch");
        }
        // Earlier rounds were looked at already; look at their last ones again.
        checked = end.saturating_sub(50);
    }
}
