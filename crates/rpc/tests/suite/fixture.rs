//! A chain of three blocks and a branch, the state behind it, and a server before both.

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

use alloy_consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxEip2930, TxEnvelope, TxLegacy,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Log, Signature, TxKind, U256, address, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use eth_trie::{DB, EthTrie, Trie};
use rushlight_chain::{
    Clock, HeaderChain, HeaderChainConfig, SealPolicy, SealedHeader,
    block::Body,
    header,
    store::MemoryStore,
    testing::{ToyMiner, ToySeal, toy_seal, toy_spec},
};
use rushlight_keystore::{Keystore, UnlockedKey, Wallet};
use rushlight_light::LightClient;
use rushlight_odr::{Location, Source, Unavailable, Wanted, What};
use rushlight_p2p::{BoxFuture, Peer, Protocol, ProtocolError, ProtocolStream, Server, ServerConfig, TcpTransport};
use rushlight_rpc::{Accounts, Endpoints, RpcConfig, RpcError, RpcHandle, RpcHandles, Services};
use rushlight_sync::{Progress, SyncStatus};
use secp256k1::{Message, SecretKey};
use tokio::sync::watch;

use crate::pool::TestPool;

/// An account with a balance, a nonce, code and one storage slot.
pub(crate) const CONTRACT: Address = address!("00000000000000000000000000000000000000c0");
/// One with a balance only.
pub(crate) const RICH: Address = address!("00000000000000000000000000000000000000a0");
/// Not in the state.
pub(crate) const ABSENT: Address = address!("00000000000000000000000000000000000000ff");
/// In a subtrie that nobody holds.
pub(crate) const HIDDEN: Address = address!("00000000000000000000000000000000000000dd");
/// The slot that is set, and its value.
pub(crate) const SLOT: u64 = 1;
pub(crate) const VALUE: u64 = 0x2a;
pub(crate) const CODE: &[u8] = &[0x60, 0x00, 0x60, 0x00, 0xf3];

pub(crate) const NETWORK: u64 = 42;
pub(crate) const VERSION: &str = "Rushlight/v0/test";

/// Everything in memory; what is not there is unavailable.
#[derive(Default)]
pub(crate) struct Memory {
    nodes: HashMap<B256, Bytes>,
    bodies: HashMap<B256, Body>,
    /// Questions for this hash are never answered.
    hangs: Option<B256>,
    /// Questions without an answer that are still being asked.
    pub(crate) hanging: Arc<AtomicUsize>,
}

struct Hanging(Arc<AtomicUsize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source for Memory {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        if wanted.iter().any(|wanted| Some(wanted.hash) == self.hangs) {
            self.hanging.fetch_add(1, Ordering::SeqCst);
            let hanging = Hanging(self.hanging.clone());
            return Box::pin(async move {
                let _hanging = hanging;
                std::future::pending().await
            });
        }
        let (found, missing): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|wanted| self.nodes.contains_key(&wanted.hash));
        let answer = if missing.is_empty() {
            Ok(found.iter().map(|wanted| self.nodes[&wanted.hash].clone()).collect())
        } else {
            Err(Unavailable { missing, asked: Vec::new(), waited: Duration::from_secs(10) })
        };
        Box::pin(std::future::ready(answer))
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        let wanted = Wanted::new(header.hash(), What::Body { number: header.number });
        let nothing = || Unavailable { missing: vec![wanted], asked: Vec::new(), waited: Duration::from_secs(10) };
        Box::pin(std::future::ready(self.bodies.get(&header.hash()).cloned().ok_or_else(nothing)))
    }

    fn locate(&self, transaction: &B256) -> Vec<Location> {
        let places = self.bodies.iter().flat_map(|(block, body)| {
            (0..).zip(&body.transactions).map(|(index, raw)| (keccak256(raw), Location { block: *block, index }))
        });
        places.filter(|(hash, _)| hash == transaction).map(|(_, place)| place).collect()
    }
}

#[derive(Default)]
struct Nodes(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl DB for Nodes {
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

fn trie(entries: Vec<(impl AsRef<[u8]>, Vec<u8>)>, into: &mut HashMap<B256, Bytes>) -> B256 {
    let nodes = Arc::new(Nodes::default());
    let mut trie = EthTrie::new(nodes.clone());
    for (key, value) in entries {
        trie.insert(key.as_ref(), &value).unwrap();
    }
    let root = trie.root_hash().unwrap();
    into.extend(nodes.0.lock().unwrap().values().map(|raw| (keccak256(raw), Bytes::from(raw.clone()))));
    root
}

/// The state's root, with its nodes in `memory`.
fn state(memory: &mut Memory) -> B256 {
    let slot = (keccak256(B256::from(U256::from(SLOT))), alloy_rlp::encode(U256::from(VALUE)));
    let storage_root = trie(vec![slot], &mut memory.nodes);
    memory.nodes.insert(keccak256(CODE), Bytes::from_static(CODE));
    let plain = |balance| TrieAccount {
        nonce: 0,
        balance: U256::from(balance),
        storage_root: EMPTY_ROOT_HASH,
        code_hash: KECCAK256_EMPTY,
    };
    let contract = TrieAccount { nonce: 1, balance: U256::from(5), storage_root, code_hash: keccak256(CODE) };
    let mut accounts = vec![(keccak256(RICH), plain(1_000_000_u64)), (keccak256(CONTRACT), contract)];
    accounts.push((keccak256(address_of(&unlocked())), plain(10_u64.pow(19))));
    accounts.push((keccak256(HIDDEN), plain(777_777)));
    accounts.extend((0..50_u64).map(|n| (keccak256(B256::from(U256::from(n))), plain(n + 1))));
    let entries = accounts.iter().map(|(key, account)| (*key, alloy_rlp::encode(account))).collect();
    let root = trie(entries, &mut memory.nodes);
    // The leaf of the hidden account is the only node that holds its encoding; nobody has it.
    let hidden = alloy_rlp::encode(plain(777_777));
    memory.nodes.retain(|_, node| !node.windows(hidden.len()).any(|part| part == hidden));
    root
}

pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_byte_array([byte; 32]).unwrap()
}

/// The key of an account that the node signs for. It can pay for some transactions.
pub(crate) fn unlocked() -> SecretKey {
    key(0x44)
}

pub(crate) fn address_of(key: &SecretKey) -> Address {
    let public = key.public_key(secp256k1::SECP256K1).serialize_uncompressed();
    Address::from_slice(&keccak256(&public[1..])[12..])
}

fn signed<T: SignableTransaction<Signature>>(tx: T, key: &SecretKey) -> TxEnvelope
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let message = Message::from_digest(tx.signature_hash().0);
    let (recovery, rs) = secp256k1::SECP256K1.sign_ecdsa_recoverable(message, key).serialize_compact();
    let parity = i32::from(recovery) == 1;
    let signature = Signature::from_bytes_and_parity(&rs, parity);
    tx.into_signed(signature).into()
}

/// One of each kind: legacy before EIP-155 that makes a contract, legacy with a chain id, EIP-2930, EIP-1559.
pub(crate) fn transactions() -> Vec<TxEnvelope> {
    let list = AccessList(vec![AccessListItem { address: CONTRACT, storage_keys: vec![B256::with_last_byte(1)] }]);
    let (to, input) = (TxKind::Call(RICH), Bytes::from_static(&[1, 2]));
    vec![
        signed(
            TxLegacy {
                chain_id: None,
                nonce: 0,
                gas_price: 50,
                gas_limit: 60_000,
                to: TxKind::Create,
                value: U256::ZERO,
                input: Bytes::from_static(CODE),
            },
            &key(1),
        ),
        signed(
            TxLegacy {
                chain_id: Some(1337),
                nonce: 1,
                gas_price: 51,
                gas_limit: 21_000,
                to,
                value: U256::from(9),
                input: Bytes::new(),
            },
            &key(1),
        ),
        signed(
            TxEip2930 {
                chain_id: 1337,
                nonce: 2,
                gas_price: 52,
                gas_limit: 30_000,
                to,
                value: U256::from(1),
                access_list: list.clone(),
                input: input.clone(),
            },
            &key(1),
        ),
        signed(
            TxEip1559 {
                chain_id: 1337,
                nonce: 0,
                gas_limit: 30_000,
                max_fee_per_gas: 100,
                max_priority_fee_per_gas: 3,
                to,
                value: U256::ZERO,
                access_list: list,
                input,
            },
            &key(2),
        ),
    ]
}

/// A transaction of a block beside the chain.
pub(crate) fn beside() -> TxEnvelope {
    signed(TxLegacy { chain_id: Some(1337), nonce: 9, gas_price: 1, gas_limit: 21_000, ..TxLegacy::default() }, &key(3))
}

/// Those of [`transactions`]: with a state root as before Byzantium, failed, and two with logs.
pub(crate) fn receipts() -> Vec<ReceiptEnvelope> {
    let log = |byte| Log::new_unchecked(CONTRACT, vec![B256::repeat_byte(byte)], Bytes::from(vec![byte]));
    let receipt =
        |status: Eip658Value, cumulative_gas_used, logs| Receipt { status, cumulative_gas_used, logs }.with_bloom();
    vec![
        ReceiptEnvelope::Legacy(receipt(Eip658Value::PostState(B256::repeat_byte(6)), 53_000, vec![])),
        ReceiptEnvelope::Legacy(receipt(false.into(), 74_000, vec![])),
        ReceiptEnvelope::Eip2930(receipt(true.into(), 100_000, vec![log(1), log(2)])),
        ReceiptEnvelope::Eip1559(receipt(true.into(), 125_000, vec![log(3)])),
    ]
}

/// What a test has in hand.
pub(crate) struct Fixture {
    pub(crate) addr: SocketAddr,
    pub(crate) rpc: Option<RpcHandle>,
    pub(crate) hanging: Arc<AtomicUsize>,
    /// Genesis, then blocks 1 to 3.
    pub(crate) headers: Vec<SealedHeader>,
    /// An uncle of block 3.
    pub(crate) uncle: SealedHeader,
    /// A block 1 that did not become canonical, known all the same.
    pub(crate) branch: SealedHeader,
    pub(crate) status: watch::Sender<SyncStatus>,
    pub(crate) chain: Arc<HeaderChain>,
    pub(crate) pool: Arc<TestPool>,
}

impl Fixture {
    /// The default settings with every module, on any free port.
    pub(crate) fn config() -> RpcConfig {
        RpcConfig {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            modules: rushlight_rpc::modules().map(str::to_owned).collect(),
            ..RpcConfig::default()
        }
    }

    /// Stops the HTTP server.
    pub(crate) async fn stop(self) {
        self.rpc.expect("running").shutdown().await;
    }

    pub(crate) async fn start() -> Self {
        Self::with(Self::config()).await
    }

    /// The same, but what `address` needs is never answered.
    pub(crate) async fn hanging(config: RpcConfig) -> Self {
        Self::build(config, true).await
    }

    pub(crate) async fn with(config: RpcConfig) -> Self {
        Self::build(config, false).await
    }

    /// The same settings where they cannot be used.
    pub(crate) async fn refused(config: RpcConfig) -> RpcError {
        Self::try_build(config, false).await.err().expect("refused")
    }

    async fn build(config: RpcConfig, hangs: bool) -> Self {
        Self::try_build(config, hangs).await.unwrap()
    }

    async fn try_build(config: RpcConfig, hangs: bool) -> Result<Self, RpcError> {
        let http = Some(config);
        let (handles, mut fixture) = Self::endpoints(Endpoints { http, ..Endpoints::default() }, hangs).await?;
        let rpc = handles.http.expect("asked for");
        fixture.addr = rpc.local_addr();
        fixture.rpc = Some(rpc);
        Ok(fixture)
    }

    /// Every way in, for tests of what is not HTTP alone; the fixture has the chain only.
    pub(crate) async fn endpoints(endpoints: Endpoints, hangs: bool) -> Result<(RpcHandles, Self), RpcError> {
        let mut memory = Memory::default();
        let root = state(&mut memory);
        let spec = Arc::new(toy_spec(0));
        let clock: Clock = Arc::new(|| 1_600_000_000);
        let chain_config = HeaderChainConfig::new(SealPolicy::All, Arc::new(ToySeal::default()), clock);
        let chain = HeaderChain::open(spec.clone(), Arc::new(MemoryStore::new()), chain_config).unwrap();
        let miner = ToyMiner::new((*spec).clone());
        let uncle = miner.for_beneficiary(Address::repeat_byte(9)).header(&spec.genesis);

        let mut headers = vec![spec.genesis.clone()];
        memory.bodies.insert(spec.genesis.hash(), Body::default());
        let full = Body {
            transactions: transactions().iter().map(|tx| tx.encoded_2718().into()).collect(),
            ..Body::default()
        };
        let with_uncle = Body { uncles: vec![header::encode(&uncle)], ..Body::default() };
        for body in [Body::default(), full, with_uncle] {
            let mut template = miner.template(headers.last().unwrap());
            template.state_root = root;
            template.ommers_hash = body.uncles_hash();
            template.transactions_root = body.transactions_root();
            if !body.transactions.is_empty() {
                let keyed =
                    (0_u64..).zip(receipts()).map(|(n, receipt)| (alloy_rlp::encode(n), receipt.encoded_2718()));
                template.receipts_root = trie(keyed.collect(), &mut memory.nodes);
                let keyed = (0_u64..).zip(&body.transactions).map(|(n, raw)| (alloy_rlp::encode(n), raw.to_vec()));
                assert_eq!(trie(keyed.collect(), &mut memory.nodes), template.transactions_root);
            }
            let sealed = toy_seal(template);
            memory.bodies.insert(sealed.hash(), body);
            headers.push(sealed);
        }
        let raw: Vec<_> = headers[1..].iter().map(|sealed| header::encode(sealed)).collect();
        chain.extend(&raw).unwrap();
        let branch_body = Body { transactions: vec![beside().encoded_2718().into()], ..Body::default() };
        let branch = miner.for_beneficiary(Address::repeat_byte(8)).block(&spec.genesis, branch_body.clone());
        let branch = branch.decode_header().unwrap();
        chain.extend(&[header::encode(&branch)]).unwrap();
        memory.bodies.insert(branch.hash(), branch_body);
        memory.hangs = hangs.then_some(root);

        let hanging = memory.hanging.clone();
        let (status, watched) = watch::channel(SyncStatus::default());
        let chain = Arc::new(chain);
        let client = LightClient::new(chain.clone(), Arc::new(memory), watched, NETWORK);
        let mut server = ServerConfig::new(key(7), Arc::new(TcpTransport));
        server.protocols.push(Arc::new(Silent));
        let server = Server::start(server).await.unwrap();
        let pool = Arc::new(TestPool::default());
        let wallet = Wallet::new(Keystore::open("nowhere"), [UnlockedKey::new(unlocked())]);
        let accounts = Some(Arc::new(Accounts::new(wallet)));
        let services =
            Services { pool: Some(pool.clone()), accounts, ..Services::new(Arc::new(client), server, VERSION) };
        let handles = rushlight_rpc::serve_all(endpoints, services).await?;
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok((handles, Self { addr, rpc: None, hanging, headers, uncle, branch, status, chain, pool }))
    }

    pub(crate) fn syncing(&self, progress: Option<Progress>) {
        self.status.send_modify(|status| status.syncing = progress);
    }
}

/// A server must speak something.
struct Silent;

impl Protocol for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn version(&self) -> u32 {
        1
    }

    fn length(&self) -> u64 {
        1
    }

    fn run(&self, _: Peer, mut stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>> {
        Box::pin(async move {
            while stream.recv().await.is_some() {}
            Ok(())
        })
    }

    fn node_info(&self) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "said": true }))
    }
}
