//! The transaction pool of a whole light node among peers, on virtual time: relay by the sessions' rules, blocks searched,
//! reorganisations, restarts at any moment, peers that lie or hold nothing.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use rushlight_chain::{
    ChainAccess, Column, Head, HeaderChain, MemoryStore, SealedHeader, Store,
    block::{Body, RawBlock},
    pool::{PoolError, PoolTransaction, SubmitError, Tracked, TransactionPool},
    store::Direction,
    testing::{ToyMiner, ToySeal, signed},
};
use rushlight_eth::{EthConfig, EthProtocol, Session, SessionEvent};
use rushlight_light::{LightConfig, LightNode, Location, pool::limits};
use rushlight_p2p::{
    Server, ServerConfig, ServerHandle,
    memory::{LinkConfig, Network},
};
use secp256k1::SecretKey;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::common::{Model, Nodes, State, clock, extend, mine, open_chain, root_of, spec, trie_of};

/// What a peer makes of questions.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    /// Knows headers and nothing else.
    Bare,
    /// Gives the wrong block, and lies for state.
    Liar,
}

/// A chain that can grow and be reorganised, with all that a full peer holds of it.
struct World {
    chain: Arc<HeaderChain>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    blocks: HashMap<B256, RawBlock>,
    nodes: Nodes,
    /// The state after each block.
    states: HashMap<B256, State>,
}

const FUNDS: u128 = 1_000_000_000_000_000_000;

fn key(number: u8) -> SecretKey {
    SecretKey::from_byte_array([number; 32]).unwrap()
}

fn transfer(sender: u8, nonce: u64, gas_price: u128) -> PoolTransaction {
    let to = TxKind::Call(Address::repeat_byte(9));
    let value = U256::from(1);
    signed(
        &key(sender),
        TxLegacy { chain_id: Some(1337), nonce, gas_price, gas_limit: 21_000, to, value, ..TxLegacy::default() },
    )
}

impl World {
    /// Ten blocks, in the first of which two senders get their funds.
    fn new() -> Arc<Self> {
        let world = Arc::new(Self { chain: open_chain(), held: Mutex::default() });
        let mut state: State =
            (1..200u64).map(|n| (Address::left_padding_from(&n.to_be_bytes()), Model::default())).collect();
        for sender in [1, 2] {
            let model = Model { balance: U256::from(FUNDS), ..Model::default() };
            state.insert(transfer(sender, 0, 1).sender(), model);
        }
        let first = world.add(&spec().genesis, 0, state, vec![]);
        world.grow(&first, 0, 9);
        world
    }

    fn add(&self, parent: &SealedHeader, miner: u8, state: State, transactions: Vec<Bytes>) -> SealedHeader {
        let miner = ToyMiner::new((*spec()).clone()).for_beneficiary(Address::repeat_byte(miner));
        let mut held = self.held.lock().unwrap();
        let root = root_of(&state, &mut held.nodes);
        let keyed = (0_u64..).zip(&transactions).map(|(index, raw)| (alloy_rlp::encode(index), raw.to_vec()));
        trie_of(keyed, &mut held.nodes);
        let (header, block) = mine(&miner, parent, root, &Body { transactions, ..Body::default() });
        held.blocks.insert(header.hash(), block);
        held.states.insert(header.hash(), state);
        drop(held);
        extend(&self.chain, &[&header]);
        header
    }

    /// A block with these transactions.
    fn include(&self, parent: &SealedHeader, miner: u8, transactions: &[&PoolTransaction]) -> SealedHeader {
        let mut state = self.held.lock().unwrap().states[&parent.hash()].clone();
        for tx in transactions {
            state.get_mut(&tx.sender()).unwrap().nonce += 1;
        }
        self.add(parent, miner, state, transactions.iter().map(|tx| tx.raw().clone()).collect())
    }

    fn grow(&self, parent: &SealedHeader, miner: u8, count: usize) -> SealedHeader {
        (0..count).fold(parent.clone(), |parent, _| self.include(&parent, miner, &[]))
    }

    fn head(&self) -> SealedHeader {
        self.chain.head().header
    }
}

struct Access {
    world: Arc<World>,
    manner: Manner,
}

impl ChainAccess for Access {
    fn head(&self) -> Head {
        self.world.chain.head()
    }

    fn genesis_hash(&self) -> B256 {
        self.world.chain.genesis_hash()
    }

    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        self.world.chain.hashes_before(hash, max)
    }

    fn header(&self, hash: &B256) -> Option<Bytes> {
        self.world.chain.raw_header(hash)
    }

    fn block(&self, hash: &B256) -> Option<RawBlock> {
        let block = self.world.held.lock().unwrap().blocks.get(hash).cloned()?;
        match self.manner {
            Manner::Honest => Some(block),
            Manner::Bare => None,
            Manner::Liar => Some(RawBlock { transactions: vec![transfer(7, 7, 7).raw().clone()], ..block }),
        }
    }

    fn preimage(&self, hash: &B256) -> Option<Bytes> {
        match self.manner {
            Manner::Honest => self.world.held.lock().unwrap().nodes.get(hash).cloned(),
            Manner::Bare | Manner::Liar => None,
        }
    }
}

/// What a peer has seen.
#[derive(Default)]
struct Seen {
    sessions: Vec<Session>,
    /// How often each transaction came.
    transactions: BTreeMap<B256, usize>,
    /// In which order.
    order: Vec<B256>,
}

struct Peer {
    server: ServerHandle,
    seen: Arc<Mutex<Seen>>,
}

impl Peer {
    async fn start(network: &Network, number: u8, world: &Arc<World>, manner: Manner) -> Self {
        Self::telling(network, number, world, manner, Vec::new()).await
    }

    /// A peer that has these transactions from elsewhere, and sends them to whoever joins.
    async fn telling(network: &Network, number: u8, world: &Arc<World>, manner: Manner, tells: Vec<Bytes>) -> Self {
        let (events, mut inbox) = mpsc::channel(1024);
        let mut eth = EthConfig::new(Arc::new(Access { world: world.clone(), manner }), events);
        eth.accept_transactions = Arc::new(true.into());
        let ip = IpAddr::from([10, 0, 0, number]);
        let mut config = ServerConfig::new(key(number), network.transport(ip));
        config.listen = Some(SocketAddr::new(ip, 30303));
        config.protocols = vec![Arc::new(EthProtocol::new(eth))];
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = seen.clone();
        tokio::spawn(async move {
            while let Some(event) = inbox.recv().await {
                let mut seen = noted.lock().unwrap();
                match event {
                    SessionEvent::Joined(session) => {
                        session.send_transactions(&tells);
                        seen.sessions.push(session);
                    }
                    SessionEvent::Transactions { transactions, repeated, .. } => {
                        assert_eq!(repeated, 0, "never twice in a session");
                        for (hash, _) in transactions {
                            *seen.transactions.entry(hash).or_default() += 1;
                            seen.order.push(hash);
                        }
                    }
                    _ => {}
                }
            }
        });
        Self { server: Server::start(config).await.unwrap(), seen }
    }

    fn announce(&self, world: &World) {
        let head = world.chain.head();
        let block = world.held.lock().unwrap().blocks[&head.header.hash()].clone();
        for session in &self.seen.lock().unwrap().sessions {
            session.announce_block(&block, head.td);
        }
    }

    fn times(&self, tx: &PoolTransaction) -> usize {
        self.seen.lock().unwrap().transactions.get(&tx.hash()).copied().unwrap_or_default()
    }
}

async fn light(network: &Network, store: Arc<dyn Store>, peers: &[&Peer]) -> LightNode {
    let mut server = ServerConfig::new(key(100), network.transport(IpAddr::from([10, 0, 0, 100])));
    server.static_peers = peers.iter().map(|peer| peer.server.enode()).collect();
    let mut config = LightConfig::new(spec(), store, server);
    config.seals = Arc::new(ToySeal::default());
    config.clock = clock();
    config.seed = 1;
    LightNode::start(config).await.unwrap()
}

/// Waits until it is so, for ten minutes of virtual time.
async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(600), waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

async fn follows(node: &LightNode, world: &World) {
    until("the light node has the head", || node.client().head().header == world.head() && node.sync().synced()).await;
}

fn tracked(node: &LightNode, tx: &PoolTransaction) -> Tracked {
    node.pool().tracked(&tx.hash()).unwrap_or_default()
}

fn place(node: &LightNode, tx: &PoolTransaction) -> Option<(u64, B256)> {
    tracked(node, tx).included.map(|place| (place.number, place.block))
}

async fn included(node: &LightNode, tx: &PoolTransaction, header: &SealedHeader) {
    until("the transaction is found", || place(node, tx) == Some((header.number, header.hash()))).await;
}

fn at(header: &SealedHeader) -> (u64, B256) {
    (header.number, header.hash())
}

#[tokio::test(start_paused = true)]
async fn included_reorganised_away_and_included_again() {
    let (world, network) = (World::new(), Network::new(11));
    let (one, two) = (
        Peer::start(&network, 1, &world, Manner::Honest).await,
        Peer::start(&network, 2, &world, Manner::Honest).await,
    );
    let node = light(&network, Arc::new(MemoryStore::new()), &[&one, &two]).await;
    follows(&node, &world).await;
    until("two sessions", || node.peers().len() == 2).await;
    let tx = transfer(1, 0, 100);
    assert_eq!(node.pool().submit(tx.raw().clone()).await.unwrap(), tx.hash());
    until("both peers have it", || one.times(&tx) == 1 && two.times(&tx) == 1).await;
    assert_eq!(tracked(&node, &tx), Tracked { sent: 2, ..Tracked::default() });
    assert_eq!(node.pool().next_nonce(&tx.sender()), Some(1));

    // A third peer has it from elsewhere and tells of it.
    let far = LinkConfig { latency: Duration::from_millis(100), ..Default::default() };
    network.set_link_between(IpAddr::from([10, 0, 0, 100]), IpAddr::from([10, 0, 0, 3]), far);
    let three = Peer::telling(&network, 3, &world, Manner::Honest, vec![tx.raw().clone()]).await;
    node.server().add_peer(three.server.enode()).await;
    until("it is heard of", || tracked(&node, &tx).heard == 1).await;
    let unheard = Peer::start(&network, 5, &world, Manner::Honest).await;
    node.server().add_peer(unheard.server.enode()).await;
    until("a fourth session", || node.peers().len() == 4).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(unheard.times(&tx), 0, "others spread it");

    let fork = world.head();
    let first = world.include(&fork, 1, &[&tx]);
    one.announce(&world);
    included(&node, &tx, &first).await;
    let told = Location { block: first.hash(), index: 0 };
    let mined = node.client().transaction(&tx.hash(), Some(told)).await.unwrap().unwrap();
    assert_eq!((mined.header.hash(), mined.index, mined.transaction.signer()), (first.hash(), 0, tx.sender()));
    let proof = node.client().inclusion_proof(&first, 0).await.unwrap();
    assert!(!proof.transaction.is_empty() && proof.receipt.is_empty(), "the toy block has no receipts");
    assert_eq!(node.pool().content().pending.len(), 0);

    // A heavier branch without it.
    let branch = world.grow(&fork, 2, 3);
    assert_eq!(world.head(), branch);
    two.announce(&world);
    until("it waits again", || tracked(&node, &tx).included.is_none()).await;
    until("it can be executed", || node.pool().content().pending.contains_key(&tx.sender())).await;
    assert_eq!(node.client().transaction(&tx.hash(), Some(told)).await.unwrap(), None, "that block is not canonical");
    // A session that has had it does not get it again; one that comes now does.
    let four = Peer::start(&network, 4, &world, Manner::Honest).await;
    node.server().add_peer(four.server.enode()).await;
    until("the newcomer has it", || four.times(&tx) == 1).await;
    assert_eq!((one.times(&tx), two.times(&tx), unheard.times(&tx)), (1, 1, 1));
    assert!(three.times(&tx) <= 1);

    let second = world.include(&branch, 2, &[&tx]);
    two.announce(&world);
    included(&node, &tx, &second).await;
    assert_eq!(node.pool().get(&tx.hash()).map(|held| held.hash()), Some(tx.hash()), "it is watched");
    world.grow(&second, 2, limits::DEEP as usize);
    two.announce(&world);
    until("it is deep enough", || node.pool().get(&tx.hash()).is_none()).await;
    assert_eq!(place(&node, &tx), Some(at(&second)), "its place is remembered");
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_answer_and_inclusion_loses_nothing() {
    let (world, network) = (World::new(), Network::new(12));
    let peer = Peer::start(&network, 1, &world, Manner::Honest).await;
    let store = Arc::new(MemoryStore::new());
    let node = light(&network, store.clone(), &[&peer]).await;
    follows(&node, &world).await;
    let (first, second, third) = (transfer(1, 0, 100), transfer(1, 1, 100), transfer(2, 1, 100));
    for tx in [&first, &second, &third] {
        node.pool().submit(tx.raw().clone()).await.unwrap();
    }
    // What a kill leaves.
    let store = Arc::new(store.snapshot());
    node.shutdown().await;
    let with_first = world.include(&world.head(), 1, &[&first]);
    world.grow(&with_first, 1, 5);

    let node = light(&network, store.clone(), &[&peer]).await;
    assert_eq!(node.pool().get(&second.hash()).unwrap().raw(), second.raw());
    included(&node, &first, &with_first).await;
    until("the nonce is known", || node.pool().next_nonce(&second.sender()) == Some(2)).await;
    until("the second goes out again", || peer.times(&second) == 2).await;
    assert_eq!(peer.times(&third), 0, "a gap is held back, over a restart too");
    assert!(tracked(&node, &third).queued);

    // Killed once more, with the first one included; meanwhile that is reorganised away.
    let store = Arc::new(store.snapshot());
    node.shutdown().await;
    let fork = world.chain.header(&with_first.parent_hash).unwrap();
    let branch = world.grow(&fork, 3, 7);
    assert_eq!(world.head(), branch);
    let node = light(&network, store, &[&peer]).await;
    assert_eq!(place(&node, &first), Some(at(&with_first)), "as far as it knows");
    until("it waits again", || tracked(&node, &first).included.is_none()).await;
    let again = world.include(&branch, 3, &[&first, &second]);
    peer.announce(&world);
    included(&node, &first, &again).await;
    included(&node, &second, &again).await;
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn gaps_are_held_back_and_the_nonce_order_kept() {
    let (world, network) = (World::new(), Network::new(13));
    let peer = Peer::start(&network, 1, &world, Manner::Honest).await;
    let node = light(&network, Arc::new(MemoryStore::new()), &[&peer]).await;
    follows(&node, &world).await;
    let txs = [0, 1, 2].map(|nonce| transfer(1, nonce, 100));
    node.pool().submit(txs[2].raw().clone()).await.unwrap();
    node.pool().submit(txs[1].raw().clone()).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    assert!(peer.seen.lock().unwrap().order.is_empty());
    let content = node.pool().content();
    assert_eq!((content.pending.len(), content.queued[&txs[0].sender()].len()), (0, 2));
    assert_eq!(node.pool().next_nonce(&txs[0].sender()), None);
    node.pool().submit(txs[0].raw().clone()).await.unwrap();
    until("all are there", || peer.seen.lock().unwrap().order.len() == 3).await;
    assert_eq!(peer.seen.lock().unwrap().order, txs.each_ref().map(PoolTransaction::hash));
    assert_eq!(node.pool().next_nonce(&txs[0].sender()), Some(3));
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_geth_says() {
    let (world, network) = (World::new(), Network::new(14));
    let peer = Peer::start(&network, 1, &world, Manner::Honest).await;
    let node = light(&network, Arc::new(MemoryStore::new()), &[&peer]).await;
    world.include(&world.head(), 1, &[&transfer(2, 0, 1)]);
    follows(&node, &world).await;
    let submit = async |tx: &PoolTransaction| match node.pool().submit(tx.raw().clone()).await {
        Ok(_) => "taken".to_owned(),
        Err(SubmitError::Refused(error)) => error.to_string(),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(submit(&transfer(2, 0, 1)).await, "nonce too low: next nonce 1, tx nonce 0");
    let dear = transfer(1, 0, FUNDS);
    assert!(
        submit(&dear).await.starts_with("insufficient funds for gas * price + value: balance 1000000000000000000,")
    );
    assert!(submit(&transfer(5, 0, 1)).await.starts_with("insufficient funds for gas * price + value: balance 0,"));
    assert_eq!(submit(&transfer(1, 0, 100)).await, "taken");
    assert_eq!(submit(&transfer(1, 0, 100)).await, "already known");
    assert_eq!(submit(&transfer(1, 0, 109)).await, "replacement transaction underpriced");
    assert_eq!(submit(&transfer(1, 0, 110)).await, "taken");
    assert_eq!(node.pool().get(&transfer(1, 0, 100).hash()), None);
    // Together they would cost more than there is.
    let half = FUNDS / 21_000 / 2;
    assert_eq!(submit(&transfer(1, 1, half)).await, "taken");
    assert!(submit(&transfer(1, 2, half)).await.contains("queued cost"));
    for nonce in 2..limits::MAX_OF_SENDER as u64 {
        assert_eq!(submit(&transfer(1, nonce, 1)).await, "taken", "{nonce}");
    }
    assert_eq!(submit(&transfer(1, 64, 1)).await, "account limit exceeded: pooled 64 txs");
    assert_eq!(submit(&transfer(1, 63, 2)).await, "taken", "a replacement takes no room");
    assert_eq!(submit(&transfer(2, 1, 1)).await, "taken", "others have their own");
    node.shutdown().await;
}

/// Several at once, of one sender: each is judged with the others in the pool.
#[tokio::test(start_paused = true)]
async fn concurrent_submissions_are_taken_one_after_another() {
    let (world, network) = (World::new(), Network::new(15));
    let peer = Peer::start(&network, 1, &world, Manner::Honest).await;
    let node = light(&network, Arc::new(MemoryStore::new()), &[&peer]).await;
    follows(&node, &world).await;
    // One slot, three prices of which each is a tenth above the one before, and one too dear beside another.
    let txs = [100, 110, 121].map(|price| transfer(1, 0, price));
    let outcomes = futures::future::join_all(txs.iter().map(|tx| node.pool().submit(tx.raw().clone()))).await;
    let taken: Vec<_> = outcomes.iter().flatten().collect();
    let of_sender = &node.pool().content().pending[&txs[0].sender()];
    assert_eq!(of_sender.len(), 1);
    assert_eq!(of_sender[&0].hash(), **taken.last().unwrap());
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Ok(_) | Err(SubmitError::Refused(PoolError::ReplacementUnderpriced))))
    );
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_proof_nothing_is_taken() {
    let (world, network) = (World::new(), Network::new(16));
    let bare = Peer::start(&network, 1, &world, Manner::Bare).await;
    let store = Arc::new(MemoryStore::new());
    let node = light(&network, store.clone(), &[&bare]).await;
    follows(&node, &world).await;
    let tx = transfer(1, 0, 100);
    let Err(SubmitError::Unproven { message, data }) = node.pool().submit(tx.raw().clone()).await else {
        panic!("unproven")
    };
    assert!(message.starts_with("no peer can prove the state trie node of account"), "{message}");
    assert_eq!(data.unwrap()["missing"][0]["what"], "accountNode");
    assert!(store.scan(Column::Transactions, &[], Direction::Forward, 9).unwrap().is_empty());
    assert_eq!(node.pool().get(&tx.hash()), None);
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn liars_and_idlers_hide_no_inclusion() {
    let (world, network) = (World::new(), Network::new(17));
    let far = LinkConfig { latency: Duration::from_millis(300), ..Default::default() };
    network.set_link_between(IpAddr::from([10, 0, 0, 100]), IpAddr::from([10, 0, 0, 3]), far);
    let liar = Peer::start(&network, 1, &world, Manner::Liar).await;
    let bare = Peer::start(&network, 2, &world, Manner::Bare).await;
    let honest = Peer::start(&network, 3, &world, Manner::Honest).await;
    let node = light(&network, Arc::new(MemoryStore::new()), &[&liar, &bare, &honest]).await;
    follows(&node, &world).await;
    until("three sessions", || node.peers().len() == 3).await;
    for nonce in 0..5 {
        let tx = transfer(1, nonce, 100);
        node.pool().submit(tx.raw().clone()).await.unwrap();
        let header = world.include(&world.head(), 1, &[&tx]);
        honest.announce(&world);
        included(&node, &tx, &header).await;
    }
    assert_eq!(node.pool().get(&transfer(7, 7, 7).hash()), None);
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_another_transaction_used_ends_it() {
    let (world, network) = (World::new(), Network::new(18));
    let peer = Peer::start(&network, 1, &world, Manner::Honest).await;
    let node = light(&network, Arc::new(MemoryStore::new()), &[&peer]).await;
    follows(&node, &world).await;
    let (ours, theirs) = (transfer(1, 0, 100), transfer(1, 0, 5000));
    node.pool().submit(ours.raw().clone()).await.unwrap();
    until("it is sent", || peer.times(&ours) == 1).await;
    let fork = world.head();
    world.include(&fork, 1, &[&theirs]);
    peer.announce(&world);
    until("it is superseded", || node.pool().get(&ours.hash()).is_none()).await;
    assert!(node.pool().tracked(&ours.hash()).is_some(), "a reorganisation may give the nonce back");
    let branch = world.grow(&fork, 2, 3);
    peer.announce(&world);
    until("it waits again", || node.pool().content().pending.contains_key(&ours.sender())).await;
    let used = world.include(&branch, 2, &[&theirs]);
    peer.announce(&world);
    until("it is superseded again", || node.pool().get(&ours.hash()).is_none()).await;
    world.grow(&used, 2, limits::DEEP as usize + 1);
    peer.announce(&world);
    until("it is dropped", || node.pool().tracked(&ours.hash()).is_none()).await;
    node.shutdown().await;
}
