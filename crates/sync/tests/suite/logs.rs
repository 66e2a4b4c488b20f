//! What the operator reads of a sync, and of who lied in it.

use std::io::Write;
use std::sync::{Mutex, Once};

use rushlight_chain::SealPolicy;

use super::chains::{Lie, Served, TRUNK, trunk};
use super::net::{Node, Serving, Setup, id, network};

/// The log of every test in this binary: tracing has one subscriber that all threads see. A test finds its own by what no
/// other test has.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::INFO).with_writer(|| Log);
        tracing::subscriber::set_global_default(log.finish()).unwrap();
    });
}

fn says(all: &[&str]) {
    let text = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let found = text.lines().any(|line| all.iter().all(|part| line.contains(part)));
    let own: Vec<&str> = text.lines().filter(|line| line.contains("rushlight_sync")).collect();
    assert!(found, "no line of the log has all of {all:?}:\n{}", own.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_sync_is_told_from_start_to_end_and_a_liar_by_name() {
    start();
    let network = network(21);
    // A length and a peer that no other test has.
    let liar = Serving::start(&network, 77, Served::new(trunk(5_432), Lie::Boasts)).await;
    let honest = Serving::start(&network, 78, Served::new(trunk(12_345), Lie::None)).await;
    for (policy, seals) in [(SealPolicy::All, "12345 seals checked"), (SealPolicy::Sampled, "seals checked")] {
        let node = Node::start(&network, Setup { policy, ..Setup::default() }, &[&liar, &honest]).await;
        node.reaches(&TRUNK[12_344]).await;
        node.until("end of the sync", || node.sync.synced()).await;
        node.until("verdict", || node.peers.score(&id(77)) < 0.0).await;
        says(&["INFO", "sync of headers started", "from=0"]);
        says(&["INFO", "sync of headers ended", "head=12345", &TRUNK[12_344].hash().to_string(), seals]);
        says(&["WARN", &id(77).to_string(), "false claim", "total difficulty"]);
        node.kill(&network, 100).await;
    }
}
