//! Tries, sources and peers to test with.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, keccak256};
use eth_trie::{DB, EthTrie, Trie};
use futures::future::BoxFuture;
use rushlight_chain::{
    SealedHeader,
    block::{Body, RawBlock},
    header,
    store::MemoryStore,
};
use rushlight_eth::RequestError;
use rushlight_odr::{
    PeerSet, Remote, Retriever, RetrieverConfig, Source, Unavailable, VerifiedStore, VerifiedStoreConfig, Wanted, What,
};
use rushlight_p2p::{DisconnectReason, PeerId};

pub(crate) type Nodes = HashMap<B256, Bytes>;

#[derive(Default)]
struct NodeDb(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl DB for NodeDb {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), Infallible> {
        self.0.lock().unwrap().insert(key.to_vec(), value);
        Ok(())
    }

    fn remove(&self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn flush(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The root and the nodes of the trie with these entries, made by `eth_trie`.
pub(crate) fn trie_of(entries: &[(Vec<u8>, Vec<u8>)]) -> (B256, Nodes) {
    let db = Arc::new(NodeDb::default());
    let mut trie = EthTrie::new(db.clone());
    for (key, value) in entries {
        trie.insert(key, value).unwrap();
    }
    let root = trie.root_hash().unwrap();
    let nodes = db.0.lock().unwrap().values().map(|raw| (keccak256(raw), Bytes::copy_from_slice(raw))).collect();
    (root, nodes)
}

/// A source over a map: what is not in it is unavailable. It does not hash, so that a test can make it lie.
#[derive(Default)]
pub(crate) struct MapSource {
    pub(crate) nodes: Nodes,
    pub(crate) asked: Mutex<Vec<B256>>,
}

impl MapSource {
    pub(crate) fn new(nodes: Nodes) -> Self {
        Self { nodes, asked: Mutex::default() }
    }
}

impl Source for MapSource {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        self.asked.lock().unwrap().extend(wanted.iter().map(|one| one.hash));
        Box::pin(async move {
            let found: Option<Vec<_>> = wanted.iter().map(|one| self.nodes.get(&one.hash).cloned()).collect();
            let missing = wanted.iter().filter(|one| !self.nodes.contains_key(&one.hash)).cloned().collect();
            found.ok_or(Unavailable { missing, asked: vec![], waited: Duration::ZERO })
        })
    }

    fn body(&self, _: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        unreachable!("walks read no bodies")
    }
}

pub(crate) fn account_node(root: B256) -> What {
    What::AccountNode { root, address: Address::ZERO }
}

/// How a mock peer behaves.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Gives what it holds.
    Honest,
    /// Never answers.
    Silent,
    /// Its session ends after this time, answers out.
    Vanishes(Duration),
    /// Answers at most so many items of a question.
    Short(usize),
    /// Takes no more questions.
    Busy,
    /// Gives every block with the transactions of another, and hashes with one left out.
    WrongBodies,
}

/// A peer without a network.
#[derive(Clone)]
pub(crate) struct Mock(Arc<Inner>);

struct Inner {
    id: PeerId,
    manner: Mutex<Manner>,
    latency: Duration,
    holds: Mutex<Nodes>,
    blocks: Mutex<HashMap<B256, RawBlock>>,
    headers: Mutex<Vec<SealedHeader>>,
    header_requests: AtomicUsize,
    lookups: Mutex<Vec<Vec<B256>>>,
    block_requests: AtomicUsize,
    disconnected: Mutex<Option<DisconnectReason>>,
}

impl Mock {
    pub(crate) fn new(number: u8, latency: u64, manner: Manner, holds: &Nodes) -> Self {
        Self(Arc::new(Inner {
            id: PeerId([number; 64]),
            manner: Mutex::new(manner),
            latency: Duration::from_millis(latency),
            holds: Mutex::new(holds.clone()),
            blocks: Mutex::default(),
            headers: Mutex::default(),
            header_requests: AtomicUsize::new(0),
            lookups: Mutex::default(),
            block_requests: AtomicUsize::new(0),
            disconnected: Mutex::default(),
        }))
    }

    pub(crate) fn give(&self, hash: B256, bytes: Bytes) {
        self.0.holds.lock().unwrap().insert(hash, bytes);
    }

    pub(crate) fn give_block(&self, block: RawBlock) {
        self.0.blocks.lock().unwrap().insert(block.hash(), block);
    }

    /// A chain of headers, oldest first.
    pub(crate) fn give_headers(&self, headers: &[SealedHeader]) {
        *self.0.headers.lock().unwrap() = headers.to_vec();
    }

    pub(crate) fn header_requests(&self) -> usize {
        self.0.header_requests.load(Ordering::Relaxed)
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.0.manner.lock().unwrap() = manner;
    }

    /// The look-up messages so far.
    pub(crate) fn lookups(&self) -> Vec<Vec<B256>> {
        self.0.lookups.lock().unwrap().clone()
    }

    pub(crate) fn block_requests(&self) -> usize {
        self.0.block_requests.load(Ordering::Relaxed)
    }

    pub(crate) fn disconnected(&self) -> Option<DisconnectReason> {
        *self.0.disconnected.lock().unwrap()
    }

    pub(crate) fn node_id(&self) -> String {
        alloy_primitives::hex::encode(self.0.id.node_id())
    }

    async fn mannered(&self, timeout: Duration) -> Result<Manner, RequestError> {
        let manner = self.0.manner.lock().unwrap().clone();
        match manner {
            Manner::Silent => {
                tokio::time::sleep(timeout).await;
                return Err(RequestError::Timeout);
            }
            Manner::Vanishes(after) => {
                tokio::time::sleep(after).await;
                return Err(RequestError::Closed);
            }
            Manner::Busy => return Err(RequestError::Busy),
            Manner::Honest | Manner::Short(_) | Manner::WrongBodies => {}
        }
        if self.0.latency > timeout {
            tokio::time::sleep(timeout).await;
            return Err(RequestError::Timeout);
        }
        tokio::time::sleep(self.0.latency).await;
        Ok(manner)
    }
}

impl Remote for Mock {
    fn id(&self) -> PeerId {
        self.0.id
    }

    fn client(&self) -> String {
        format!("mock/{}", self.0.id.0[0])
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, self.0.id.0[0]], 30303))
    }

    fn disconnect(&self, reason: DisconnectReason) {
        *self.0.disconnected.lock().unwrap() = Some(reason);
    }

    async fn lookup(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<Option<Bytes>>, RequestError> {
        self.0.lookups.lock().unwrap().push(hashes.clone());
        let manner = self.mannered(timeout).await?;
        let limit = if let Manner::Short(limit) = manner { limit } else { hashes.len() };
        let holds = self.0.holds.lock().unwrap();
        Ok(hashes.iter().take(limit).map(|hash| holds.get(hash).cloned()).collect())
    }

    async fn blocks(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<RawBlock>, RequestError> {
        self.0.block_requests.fetch_add(1, Ordering::Relaxed);
        let manner = self.mannered(timeout).await?;
        let blocks = self.0.blocks.lock().unwrap();
        let mut found: Vec<_> = hashes.iter().filter_map(|hash| blocks.get(hash).cloned()).collect();
        if matches!(manner, Manner::WrongBodies) {
            found.iter_mut().for_each(|block| block.transactions = vec![Bytes::from_static(&[0xc0])]);
        }
        Ok(found)
    }

    async fn block_hashes(&self, from: B256, max: u64, timeout: Duration) -> Result<Vec<B256>, RequestError> {
        let manner = self.mannered(timeout).await?;
        let headers = self.0.headers.lock().unwrap();
        let place = headers.iter().position(|header| header.hash() == from).unwrap_or(0);
        let max = usize::try_from(max).unwrap();
        let mut hashes: Vec<_> = headers[..place].iter().rev().take(max).map(|header| header.hash()).collect();
        if matches!(manner, Manner::WrongBodies)
            && let Some(place) = hashes.len().checked_sub(2)
        {
            hashes.remove(place);
            hashes.push(headers[0].hash());
        }
        Ok(hashes)
    }

    async fn headers(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<(B256, Bytes)>, RequestError> {
        assert!(hashes.len() <= 192);
        self.0.header_requests.fetch_add(1, Ordering::Relaxed);
        let manner = self.mannered(timeout).await?;
        let limit = if let Manner::Short(limit) = manner { limit } else { hashes.len() };
        let headers = self.0.headers.lock().unwrap();
        let found = headers.iter().filter(|header| hashes.contains(&header.hash())).rev().take(limit);
        Ok(found.map(|held| (held.hash(), header::encode(held))).collect())
    }
}

/// Peers, and a retriever with an empty store over them.
pub(crate) fn retriever(mocks: &[&Mock]) -> (PeerSet<Mock>, Retriever) {
    let peers = PeerSet::new();
    for mock in mocks {
        assert!(peers.insert((*mock).clone()));
    }
    let store = VerifiedStore::open(Arc::new(MemoryStore::new()), VerifiedStoreConfig::default()).unwrap();
    let retriever = Retriever::new(peers.clone(), store, RetrieverConfig::default());
    (peers, retriever)
}

/// `count` things to look up.
pub(crate) fn things(count: u32) -> Nodes {
    (0..count).map(|index| Bytes::from(index.to_be_bytes())).map(|bytes| (keccak256(&bytes), bytes)).collect()
}

/// Questions for all of `nodes`, in the order of their hashes.
pub(crate) fn questions(nodes: &Nodes) -> Vec<Wanted> {
    let mut hashes: Vec<_> = nodes.keys().copied().collect();
    hashes.sort_unstable();
    hashes.into_iter().map(|hash| Wanted::new(hash, account_node(B256::ZERO))).collect()
}
