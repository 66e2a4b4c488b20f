//! Peers that lie, in this process: the protocol spoken well, about things that are not so.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use rushlight_chain::{ChainAccess, Head, RawBlock, SealedHeader, header};
use rushlight_eth::{
    EthConfig, EthProtocol,
    v28::{ID_COUNT, Message28, NAME, Status, VERSION},
};
use rushlight_p2p::{
    BoxFuture, Enode, Peer, PeerId, Protocol, ProtocolError, ProtocolStream, Server, ServerConfig, ServerHandle,
    TcpTransport, secp256k1::SecretKey,
};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::mainnet::{HEAD, Mainnet};

/// What is lied about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A heavier chain whose headers from 7,000 on were never mined.
    Headers,
    /// A total difficulty that the chain does not have.
    Difficulty,
    /// A chain of hashes that never comes to an end.
    Hashes,
    /// Look-ups answered with something else.
    LookUps,
    /// Nothing is said after Status.
    Silence,
}

/// A running liar.
pub(crate) struct Liar {
    pub(crate) enode: Enode,
    server: ServerHandle,
    runtime: Runtime,
}

impl Liar {
    pub(crate) fn start(lie: Lie, mainnet: &Arc<Mainnet>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let server = runtime.block_on(async {
            let key = SecretKey::from_byte_array([lie as u8 + 1; 32]).expect("a key");
            let access = Arc::new(Access::new(lie, mainnet));
            let protocol: Arc<dyn Protocol> = if lie == Lie::Silence {
                Arc::new(Silent(access.status()))
            } else {
                let (events, mut heard) = mpsc::channel(64);
                tokio::spawn(async move { while heard.recv().await.is_some() {} });
                Arc::new(EthProtocol::new(EthConfig::new(access, events)))
            };
            let mut config = ServerConfig::new(key, Arc::new(TcpTransport));
            config.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.protocols.push(protocol);
            Server::start(config).await.expect("a server")
        });
        Self { enode: server.enode(), server, runtime }
    }

    /// How logs name it.
    pub(crate) fn name(&self) -> String {
        PeerId::to_string(&self.enode.id)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.runtime.block_on(self.server.shutdown());
    }
}

/// Mainnet as the liar tells it.
struct Access {
    lie: Lie,
    head: Head,
    genesis: B256,
    /// Oldest first.
    hashes: Vec<B256>,
    numbers: HashMap<B256, usize>,
    headers: HashMap<B256, Bytes>,
    blocks: HashMap<B256, RawBlock>,
}

impl Access {
    fn new(lie: Lie, mainnet: &Arc<Mainnet>) -> Self {
        let mut headers = mainnet.headers.clone();
        if lie == Lie::Headers {
            forge(&mut headers, 7_000);
        }
        if lie == Lie::Hashes {
            unlink(&mut headers);
        }
        let mut td: U256 = headers.iter().map(|header| header.difficulty).sum();
        if matches!(lie, Lie::Difficulty | Lie::Hashes) {
            td <<= 8;
        }
        let hashes: Vec<_> = headers.iter().map(|header| header.hash()).collect();
        Self {
            lie,
            head: Head { header: headers.last().expect("blocks").clone(), td },
            genesis: hashes[0],
            numbers: hashes.iter().enumerate().map(|(number, hash)| (*hash, number)).collect(),
            headers: headers.iter().map(|header| (header.hash(), header::encode(header))).collect(),
            blocks: mainnet.blocks.iter().map(|block| (block.hash(), block.clone())).collect(),
            hashes,
        }
    }

    fn status(&self) -> Status {
        Status::new(0, self.head.td, self.head.header.hash(), self.genesis)
    }
}

/// Changes a header, and links all that follow to it: every rule holds but the seals'. One more on top makes the chain
/// heavier than the true one.
fn forge(headers: &mut Vec<SealedHeader>, from: usize) {
    let last = headers.last().expect("blocks").inner().clone();
    let mut next = last.clone();
    next.number += 1;
    next.timestamp += 13;
    headers.push(header::decode(&header::encode(&next)).expect("a header"));
    for number in from..headers.len() {
        let mut forged = headers[number].inner().clone();
        forged.extra_data = Bytes::from_static(b"forged");
        forged.parent_hash = headers[number - 1].hash();
        headers[number] = header::decode(&header::encode(&forged)).expect("a header");
    }
}

/// Puts a head on top whose parent nobody has.
fn unlink(headers: &mut Vec<SealedHeader>) {
    let mut head = headers.last().expect("blocks").inner().clone();
    head.number += 30_000_000;
    head.timestamp += 400_000_000;
    head.parent_hash = keccak256("nobody");
    headers.push(header::decode(&header::encode(&head)).expect("a header"));
}

impl ChainAccess for Access {
    fn head(&self) -> Head {
        self.head.clone()
    }

    fn genesis_hash(&self) -> B256 {
        self.genesis
    }

    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        match self.numbers.get(hash) {
            Some(number) if self.lie != Lie::Hashes || *number as u64 <= HEAD => {
                self.hashes[..*number].iter().rev().take(max).copied().collect()
            }
            _ if self.lie == Lie::Hashes => {
                let next = |hash: &B256| Some(keccak256(hash));
                std::iter::successors(Some(keccak256(hash)), next).take(max).collect()
            }
            _ => Vec::new(),
        }
    }

    fn header(&self, hash: &B256) -> Option<Bytes> {
        self.headers.get(hash).cloned()
    }

    fn block(&self, hash: &B256) -> Option<RawBlock> {
        self.blocks.get(hash).cloned()
    }

    fn preimage(&self, hash: &B256) -> Option<Bytes> {
        // The others hold no state, and say so.
        (self.lie == Lie::LookUps).then(|| Bytes::from([hash.as_slice(), b"lie"].concat()))
    }
}

/// Says Status, listens, and says nothing more.
struct Silent(Status);

impl Protocol for Silent {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn length(&self) -> u64 {
        ID_COUNT
    }

    fn run(&self, _: Peer, mut stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>> {
        let (id, status) = Message28::Status(self.0).encode();
        Box::pin(async move {
            if stream.send(id, status).await.is_ok() {
                while stream.recv().await.is_some() {}
            }
            Ok(())
        })
    }
}
