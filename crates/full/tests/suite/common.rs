//! Chains to test with.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use alloy_consensus::{Header, SignableTransaction, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use rushlight_chain::testing::{ToyMiner, ToySeal, toy_seal};
use rushlight_chain::{
    Body, ChainAccess, ChainSpec, Clock, Column, MemoryStore, RawBlock, SealCheck, SealError, SealedHeader, Store,
    header,
};
use rushlight_full::{FullChain, FullConfig, ImportError, ImportSummary, InsertError, Rule};
use secp256k1::{Message, SecretKey};

/// Takes every seal: for chains whose seals other tests check.
pub(crate) struct AnySeal;

impl SealCheck for AnySeal {
    fn check(&self, _headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        Ok(())
    }
}

/// Late enough for every chain here.
pub(crate) fn late_clock() -> Clock {
    Arc::new(|| 4_000_000_000)
}

pub(crate) fn open(spec: &ChainSpec, genesis: &Genesis, store: Arc<dyn Store>, seals: Arc<dyn SealCheck>) -> FullChain {
    let config = FullConfig { seals, clock: late_clock() };
    FullChain::open(Arc::new(spec.clone()), genesis.clone(), store, config).unwrap()
}

pub(crate) fn import(chain: &FullChain, path: &Path) -> Result<ImportSummary, ImportError> {
    chain.import(path, &mut |_| ControlFlow::Continue(()))
}

/// The canonical blocks from number 1 on, as peers get them.
pub(crate) fn blocks(chain: &FullChain) -> Vec<RawBlock> {
    let headers = chain.headers();
    let block = |number| chain.block(&headers.canonical_hash(number).unwrap()).unwrap();
    (1..=headers.head().header.number).map(block).collect()
}

/// Writes a file as `geth export` does, genesis first.
pub(crate) fn export(chain: &FullChain, path: &Path) {
    let genesis = chain.block(&chain.genesis_hash()).unwrap();
    let mut bytes = genesis.encode().to_vec();
    blocks(chain).iter().for_each(|block| bytes.extend_from_slice(&block.encode()));
    std::fs::write(path, bytes).unwrap();
}

/// Every look-up that is stored is served, and hashes to its question. Gives how many there are.
pub(crate) fn check_lookups(chain: &FullChain, store: &dyn Store) -> usize {
    let mut count = 0;
    for column in [Column::Nodes, Column::Lookups] {
        let mut from = Vec::new();
        loop {
            let page = store.scan(column, &from, rushlight_chain::store::Direction::Forward, 1_000).unwrap();
            let Some((last, _)) = page.last() else { break };
            for (key, _) in &page {
                let hash = B256::from_slice(key);
                let value = chain.preimage(&hash).unwrap();
                assert_eq!(keccak256(&value), hash);
            }
            count += page.len();
            from = [&last[..], &[0]].concat();
        }
    }
    count
}

pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_byte_array([byte; 32]).unwrap()
}

pub(crate) fn address(key: &SecretKey) -> Address {
    rushlight_chain::clique::signer_address(key)
}

/// A signed legacy transaction with 200,000 gas, its signature as before EIP-155.
pub(crate) fn transaction(key: &SecretKey, nonce: u64, to: TxKind, value: u64, input: Bytes) -> TxEnvelope {
    let (gas_price, value) = (1_000_000_000, U256::from(value));
    sign(key, TxLegacy { chain_id: None, nonce, gas_price, gas_limit: 200_000, to, value, input })
}

pub(crate) fn sign(key: &SecretKey, tx: TxLegacy) -> TxEnvelope {
    let message = Message::from_digest(tx.signature_hash().0);
    let (recovery, bytes) = secp256k1::SECP256K1.sign_ecdsa_recoverable(message, key).serialize_compact();
    let parity = i32::from(recovery) == 1;
    TxEnvelope::Legacy(tx.into_signed(Signature::from_bytes_and_parity(&bytes, parity)))
}

pub(crate) fn body(transactions: &[TxEnvelope], uncles: &[SealedHeader]) -> Body {
    Body {
        transactions: transactions.iter().map(|tx| tx.encoded_2718().into()).collect(),
        uncles: uncles.iter().map(|uncle| header::encode(uncle)).collect(),
        withdrawals: None,
    }
}

/// A chain with toy seals and ethash's rules: Homestead from block 3 on, one rich account.
pub(crate) struct Toy {
    pub(crate) spec: ChainSpec,
    pub(crate) genesis: Genesis,
    pub(crate) miner: ToyMiner,
    pub(crate) key: SecretKey,
}

impl Toy {
    pub(crate) fn new() -> Toy {
        let key = key(7);
        let json = serde_json::json!({
            "config": { "chainId": 1337, "homesteadBlock": 3, "ethash": {} },
            "difficulty": "0x20000",
            "gasLimit": "0x7a1200",
            "timestamp": "0x59682f00",
            "extraData": "0x",
            "alloc": {
                address(&key).to_string(): { "balance": "0x3635c9adc5dea00000" },
                // Holds code and a slot: returns nothing, logs and stores what it is given.
                CONTRACT.to_string(): {
                    "balance": "0x0",
                    "code": "0x6000358060005560005260206000a0",
                    "storage": { "0x01": "0x05" }
                }
            }
        });
        let (spec, genesis) = ChainSpec::from_genesis(json.to_string().as_bytes()).unwrap();
        let miner = ToyMiner::new(spec.clone());
        Toy { spec, genesis, miner, key }
    }

    pub(crate) fn open(&self, store: Arc<dyn Store>) -> FullChain {
        open(&self.spec, &self.genesis, store, Arc::new(ToySeal::default()))
    }

    pub(crate) fn memory(&self) -> FullChain {
        self.open(Arc::new(MemoryStore::new()))
    }

    /// Mines a block with this body on `parent` and inserts it: what execution gives is learnt from the refusals.
    pub(crate) fn mine(&self, chain: &FullChain, miner: &ToyMiner, parent: &SealedHeader, body: &Body) -> SealedHeader {
        let block = self.make(chain, miner, parent, body);
        block.decode_header().unwrap()
    }

    /// As `mine`; gives the block.
    pub(crate) fn make(&self, chain: &FullChain, miner: &ToyMiner, parent: &SealedHeader, body: &Body) -> RawBlock {
        let mut header = miner.template(parent);
        header.transactions_root = body.transactions_root();
        header.ommers_hash = body.uncles_hash();
        for _ in 0..5 {
            let block = RawBlock::from_parts(header::encode(&toy_seal(header.clone())), body.clone());
            let bad = match chain.insert(vec![block.clone()]) {
                Ok(_) => return block,
                Err(InsertError::Bad(bad)) => bad,
                Err(error) => panic!("{error}"),
            };
            learn(&mut header, bad.rule, &bad.expected);
        }
        panic!("no end of refusals");
    }
}

fn learn(header: &mut Header, rule: Rule, expected: &str) {
    match rule {
        Rule::GasUsed => header.gas_used = expected.parse().unwrap(),
        Rule::LogsBloom => header.logs_bloom = expected.parse().unwrap(),
        Rule::ReceiptsRoot => header.receipts_root = expected.parse().unwrap(),
        Rule::StateRoot => header.state_root = expected.parse().unwrap(),
        rule => panic!("{rule}: expected {expected}"),
    }
}

pub(crate) const CONTRACT: Address = Address::repeat_byte(0xcc);

/// Blocks with transactions of every kind before EIP-155, uncles, and a change of rules, on a chain in memory.
pub(crate) fn toy_chain() -> (Toy, FullChain, HashMap<&'static str, B256>) {
    let toy = Toy::new();
    let chain = toy.memory();
    let genesis = toy.spec.genesis.clone();
    let mut marks = HashMap::new();
    let send = |nonce, value| transaction(&toy.key, nonce, TxKind::Call(Address::repeat_byte(1)), value, Bytes::new());
    let call = |nonce, word: u8| {
        transaction(
            &toy.key,
            nonce,
            TxKind::Call(CONTRACT),
            0,
            Bytes::copy_from_slice(B256::with_last_byte(word).as_slice()),
        )
    };
    // Deploys a contract with the code 0x600160005500: its init code copies what follows it.
    let init: Bytes = "0x6006600c60003960066000f3600160005500".parse().unwrap();
    let create = |nonce| transaction(&toy.key, nonce, TxKind::Create, 0, init.clone());
    let first = toy.mine(&chain, &toy.miner, &genesis, &body(&[send(0, 10), call(1, 9), send(2, 0)], &[]));
    let uncle = toy.miner.for_beneficiary(Address::repeat_byte(0xaa)).header(&genesis);
    let second = toy.mine(&chain, &toy.miner, &first, &body(&[create(3)], std::slice::from_ref(&uncle)));
    let third = toy.mine(&chain, &toy.miner, &second, &body(&[call(4, 0), call(5, 3)], &[]));
    let fourth = toy.mine(&chain, &toy.miner, &third, &Body::default());
    marks.insert("uncle", uncle.hash());
    marks.insert("second", second.hash());
    marks.insert("third", third.hash());
    marks.insert("head", fourth.hash());
    assert_eq!(chain.headers().head().header.hash(), fourth.hash());
    (toy, chain, marks)
}
