//! What the log says of a peer that is let go.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use rushlight_eth::v28::{Message28, Status};

use super::support::{Node, TestChain, hash};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn says(&self, all: &[&str]) {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let line = |line: &str| all.iter().all(|part| line.contains(part));
        assert!(text.lines().any(line), "no line of the log has all of {all:?}:\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn decision_10_a_breach_is_logged_with_peer_message_and_why() {
    let (log, _guard) = Log::start();
    let mut node = Node::new(TestChain::new(2));
    let (raw, _session) = node.join().await;
    let id = raw.id;
    raw.say_bytes(0x05, vec![0xc2, 0x81, 0xff]).await;
    raw.breached(&mut node, 0x05, "expected 32 bytes").await;
    log.says(&["WARN", &id.to_string(), "127.0.0.1", "0x05", "GetBlocks", "asked blocks: expected 32 bytes, got 1"]);
}

#[tokio::test(start_paused = true)]
async fn decision_2_a_mismatch_is_logged_with_which_and_both_values() {
    let (log, _guard) = Log::start();
    let mut node = Node::new(TestChain::new(2));
    let raw = node.connect();
    let id = raw.id;
    raw.say(Message28::Status(Status { genesis: hash(7), ..node.status() })).await;
    raw.ended().await;
    log.says(&["WARN", &id.to_string(), "genesis", &node.chain.hashes[0].to_string(), &hash(7).to_string()]);
}
