//! A node under test, a peer that says whatever a test wants, and a chain to serve.

use std::{
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_consensus::{Header, SignableTransaction, TxEnvelope, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes, Sealable, Signature, U256, keccak256};
use rushlight_chain::{ChainAccess, Head, RawBlock};
use rushlight_eth::{
    EthConfig, EthProtocol, Session, SessionEvent,
    v28::{self, Message28, Status},
};
use rushlight_p2p::{
    DisconnectReason, Peer, PeerId, Protocol, ProtocolEnd, ProtocolError, ProtocolStream, protocol_pair,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Longer than anything that a test waits for.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A chain of headers, with values to look up, and a gate that reading waits at.
pub(crate) struct TestChain {
    pub(crate) blocks: Vec<RawBlock>,
    pub(crate) hashes: Vec<B256>,
    pub(crate) values: HashMap<B256, Bytes>,
    closed: Mutex<bool>,
    opened: Condvar,
    pub(crate) reading: AtomicUsize,
    pub(crate) most_reading: AtomicUsize,
}

impl TestChain {
    pub(crate) fn new(length: u64) -> Self {
        let mut parent = B256::ZERO;
        let mut blocks = Vec::new();
        let mut hashes = Vec::new();
        for number in 0..length {
            let header = Header { number, parent_hash: parent, difficulty: U256::from(1), ..Header::default() };
            let raw: Bytes = alloy_rlp::encode(&header).into();
            parent = keccak256(&raw);
            hashes.push(parent);
            blocks.push(RawBlock {
                header: raw,
                transactions: vec![transaction(number)],
                uncles: vec![],
                withdrawals: None,
            });
        }
        let values = (0..20_000u32).map(|n| Bytes::from(n.to_be_bytes().to_vec()));
        let values = values.map(|value| (keccak256(&value), value)).collect();
        Self {
            blocks,
            hashes,
            values,
            closed: Mutex::new(false),
            opened: Condvar::new(),
            reading: AtomicUsize::new(0),
            most_reading: AtomicUsize::new(0),
        }
    }

    /// Adds a value, and gives its hash.
    pub(crate) fn add(&mut self, value: Vec<u8>) -> B256 {
        let hash = keccak256(&value);
        self.values.insert(hash, value.into());
        hash
    }

    /// While closed, look-ups wait.
    pub(crate) fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    pub(crate) fn head_hash(&self) -> B256 {
        *self.hashes.last().unwrap()
    }

    fn index(&self, hash: &B256) -> Option<usize> {
        self.hashes.iter().position(|known| known == hash)
    }
}

impl ChainAccess for TestChain {
    fn head(&self) -> Head {
        let header: Header = alloy_rlp::decode_exact(&self.blocks.last().unwrap().header).unwrap();
        Head { header: header.seal_slow(), td: U256::from(self.blocks.len()) }
    }

    fn genesis_hash(&self) -> B256 {
        self.hashes[0]
    }

    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        self.index(hash).map_or_else(Vec::new, |at| self.hashes[..at].iter().rev().take(max).copied().collect())
    }

    fn header(&self, hash: &B256) -> Option<Bytes> {
        self.index(hash).map(|at| self.blocks[at].header.clone())
    }

    fn block(&self, hash: &B256) -> Option<RawBlock> {
        self.index(hash).map(|at| self.blocks[at].clone())
    }

    fn preimage(&self, hash: &B256) -> Option<Bytes> {
        let reading = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_reading.fetch_max(reading, Ordering::SeqCst);
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
        self.reading.fetch_sub(1, Ordering::SeqCst);
        self.values.get(hash).cloned()
    }
}

/// The node under test.
pub(crate) struct Node {
    pub(crate) protocol: EthProtocol,
    pub(crate) chain: Arc<TestChain>,
    pub(crate) events: mpsc::Receiver<SessionEvent>,
    pub(crate) accept: Arc<AtomicBool>,
    next_peer: u8,
}

impl Node {
    pub(crate) fn new(chain: TestChain) -> Self {
        Self::with_room(chain, 64)
    }

    pub(crate) fn with_room(chain: TestChain, room: usize) -> Self {
        let chain = Arc::new(chain);
        let (sender, events) = mpsc::channel(room);
        let mut config = EthConfig::new(chain.clone(), sender);
        config.accept_transactions = Arc::new(AtomicBool::new(true));
        let accept = config.accept_transactions.clone();
        Self { protocol: EthProtocol::new(config), chain, events, accept, next_peer: 1 }
    }

    /// A connection on which nobody has said anything yet.
    pub(crate) fn connect(&mut self) -> Raw {
        let id = PeerId([self.next_peer; 64]);
        self.next_peer += 1;
        self.connect_as(id)
    }

    pub(crate) fn connect_as(&self, id: PeerId) -> Raw {
        // More ids than the capability has, so that a test can send those too.
        let (ours, theirs) = protocol_pair("eth", 64, [PeerId([0; 64]), id]);
        let node_peer = ours.peer.clone();
        let run = tokio::spawn(self.protocol.run(ours.peer, ours.stream));
        Raw { id, stream: theirs.stream, peer: theirs.peer, node_peer, run }
    }

    /// A connection past Status, and the node's handle of it.
    pub(crate) async fn join(&mut self) -> (Raw, Session) {
        let mut raw = self.connect();
        assert!(matches!(raw.hear().await, Message28::Status(_)));
        raw.say(Message28::Status(self.status())).await;
        let session = self.joined().await;
        (raw, session)
    }

    pub(crate) async fn joined(&mut self) -> Session {
        match self.events.recv().await.unwrap() {
            SessionEvent::Joined(session) => session,
            other => panic!("expected Joined, got {other:?}"),
        }
    }

    pub(crate) fn status(&self) -> Status {
        let head = self.chain.head();
        Status::new(0, head.td, head.header.hash(), self.chain.genesis_hash())
    }

    /// The next event must be the end of this session.
    pub(crate) async fn left(&mut self, id: PeerId) -> Option<String> {
        match self.events.recv().await.unwrap() {
            SessionEvent::Left { id: left, breach } if left == id => breach,
            other => panic!("expected Left, got {other:?}"),
        }
    }
}

/// The peer, in the test's hands.
pub(crate) struct Raw {
    pub(crate) id: PeerId,
    pub(crate) stream: ProtocolStream,
    /// The node, as the peer sees it.
    pub(crate) peer: Peer,
    /// The peer, as the node sees it.
    pub(crate) node_peer: Peer,
    pub(crate) run: JoinHandle<Result<(), ProtocolError>>,
}

impl Raw {
    pub(crate) async fn say(&self, message: Message28) {
        let (id, payload) = message.encode();
        self.say_bytes(id, payload).await;
    }

    pub(crate) async fn say_bytes(&self, id: u64, payload: impl Into<bytes::Bytes>) {
        // A session that is over already shows in what follows.
        let _ = self.stream.send(id, payload.into()).await;
    }

    pub(crate) async fn hear(&mut self) -> Message28 {
        // A test that waits in vain fails, and does not hang.
        let message = tokio::time::timeout(2 * LONG, self.stream.recv()).await.expect("nothing to hear");
        let message = message.expect("the session is over");
        v28::decode(message.id, &message.payload).unwrap()
    }

    /// Nothing arrives for a second.
    pub(crate) async fn hears_nothing(&mut self) {
        let heard = tokio::time::timeout(Duration::from_secs(1), self.stream.recv()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// The session ends with this reason.
    pub(crate) async fn ended(self) -> ProtocolError {
        self.run.await.unwrap().unwrap_err()
    }

    /// The session ends as a breach of protocol by this message, for a reason that says `why`, and the node's event says so.
    pub(crate) async fn breached(self, node: &mut Node, message_id: u64, why: &str) {
        let told = ProtocolEnd::disconnected(&self.node_peer);
        assert_eq!(told.await, DisconnectReason::BreachOfProtocol);
        let breach = loop {
            match node.events.recv().await.unwrap() {
                SessionEvent::Left { id, breach } if id == self.id => break breach.expect("a breach"),
                SessionEvent::Left { .. } => panic!("another session ended"),
                _ => {}
            }
        };
        assert!(breach.contains(why), "{breach:?} does not say {why:?}");
        assert!(breach.contains(&format!("{message_id:#04x}")), "{breach:?} does not name {message_id:#04x}");
        let error = self.ended().await;
        assert_eq!(error.reason, DisconnectReason::BreachOfProtocol);
        assert_eq!(error.message, breach);
    }
}

/// Two nodes joined with each other; the sessions are the first's and the second's.
pub(crate) async fn join_nodes(first: &mut Node, second: &mut Node) -> (Session, Session) {
    let (one, two) = protocol_pair("eth", v28::ID_COUNT, [PeerId([0xa1; 64]), PeerId([0xa2; 64])]);
    tokio::spawn(first.protocol.run(one.peer, one.stream));
    tokio::spawn(second.protocol.run(two.peer, two.stream));
    (first.joined().await, second.joined().await)
}

/// A legacy transaction, EIP-2718 bytes.
pub(crate) fn transaction(nonce: u64) -> Bytes {
    let transaction = TxLegacy { nonce, gas_limit: 21_000, ..TxLegacy::default() };
    let signed = transaction.into_signed(Signature::new(U256::from(7), U256::from(8), false));
    TxEnvelope::from(signed).encoded_2718().into()
}

pub(crate) fn header(number: u64) -> Bytes {
    alloy_rlp::encode(Header { number, ..Header::default() }).into()
}

pub(crate) fn hash(n: u8) -> B256 {
    B256::repeat_byte(n)
}
