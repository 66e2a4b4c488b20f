//! What the log says of a peer that is let go.

use std::{
    io::Write,
    sync::{Mutex, Once},
};

use rushlight_eth::v28::{Message28, Status};
use rushlight_p2p::PeerId;

use super::support::{Node, TestChain, hash};

/// The warnings of every test in this binary: tracing has one subscriber that all threads see. A test finds its own by a
/// peer that no other test has.
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
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::WARN).with_writer(|| Log);
        tracing::subscriber::set_global_default(log.finish()).unwrap();
    });
}

fn says(all: &[&str]) {
    let text = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let line = |line: &str| all.iter().all(|part| line.contains(part));
    assert!(text.lines().any(line), "no line of the log has all of {all:?}:\n{text}");
}

#[tokio::test(start_paused = true)]
async fn decision_10_a_breach_is_logged_with_peer_message_and_why() {
    start();
    let mut node = Node::new(TestChain::new(2));
    let id = PeerId([0xd1; 64]);
    let mut raw = node.connect_as(id);
    raw.hear().await;
    raw.say(Message28::Status(node.status())).await;
    raw.say_bytes(0x05, vec![0xc2, 0x81, 0xff]).await;
    raw.breached(&mut node, 0x05, "expected 32 bytes").await;
    says(&["WARN", &id.to_string(), "127.0.0.2", "0x05", "GetBlocks", "asked blocks: expected 32 bytes, got 1"]);
}

#[tokio::test(start_paused = true)]
async fn decision_2_a_mismatch_is_logged_with_which_and_both_values() {
    start();
    let node = Node::new(TestChain::new(2));
    let id = PeerId([0xd2; 64]);
    let raw = node.connect_as(id);
    raw.say(Message28::Status(Status { genesis: hash(7), ..node.status() })).await;
    raw.ended().await;
    says(&["WARN", &id.to_string(), "genesis", &node.chain.hashes[0].to_string(), &hash(7).to_string()]);
}
