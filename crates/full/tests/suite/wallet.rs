//! Chains of every fork with rich accounts, and transactions of every type.

use std::sync::Arc;

use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip4844WithSidecar, TxEip7702, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use rushlight_chain::pool::PoolTransaction;
use rushlight_chain::testing::{sidecar, sign_hash, signed, signed_blobs};
use rushlight_chain::{ChainSpec, MemoryStore, RawBlock, SealedHeader};
use rushlight_full::{CliqueSealer, FullChain, FullPool, PoolConfig, Turn, system_contracts};
use secp256k1::SecretKey;

use super::common::{AnySeal, address, key, open};

pub(crate) const CHAIN: u64 = 1337;
pub(crate) const GWEI: u128 = 1_000_000_000;
pub(crate) const GENESIS_TIME: u64 = 1_700_000_000;
/// Has code that logs the call's value and writes it to slot 0.
pub(crate) const LOGGER: Address = Address::repeat_byte(0x10);
/// Their keys are `key(1)`, which also seals, and so on.
pub(crate) const ACCOUNTS: u8 = 6;

/// The forks up to the one with this field of a genesis file, all from genesis on.
pub(crate) fn spec(last: &str, gas_limit: u64) -> (ChainSpec, Genesis) {
    const FORKS: [&str; 15] = [
        "homesteadBlock",
        "eip150Block",
        "eip155Block",
        "eip158Block",
        "byzantiumBlock",
        "constantinopleBlock",
        "petersburgBlock",
        "istanbulBlock",
        "berlinBlock",
        "londonBlock",
        "shanghaiTime",
        "cancunTime",
        "pragueTime",
        "osakaTime",
        "bpo1Time",
    ];
    let mut config = serde_json::json!({ "chainId": CHAIN, "clique": { "period": 2, "epoch": 30_000 } });
    for fork in FORKS {
        config[fork] = 0.into();
        if fork == last {
            break;
        }
    }
    let mut alloc = serde_json::Map::new();
    for byte in 1..=ACCOUNTS {
        alloc.insert(address(&key(byte)).to_string(), serde_json::json!({ "balance": "0xd3c21bcecceda1000000" }));
    }
    alloc.insert(LOGGER.to_string(), serde_json::json!({ "balance": "0x0", "code": "0x346000523460005560206000a0" }));
    for (address, code) in system_contracts() {
        alloc.insert(address.to_string(), serde_json::json!({ "balance": "0x0", "nonce": "0x1", "code": code }));
    }
    let signer = address(&key(1));
    let json = serde_json::json!({
        "config": config, "timestamp": format!("{GENESIS_TIME:#x}"), "gasLimit": format!("{gas_limit:#x}"),
        "difficulty": "0x1", "alloc": alloc,
        "extraData": format!("0x{}{}{}", "00".repeat(32), signer.to_string().trim_start_matches("0x"), "00".repeat(65)),
    });
    ChainSpec::from_genesis(json.to_string().as_bytes()).unwrap()
}

/// A chain in memory with its pool.
pub(crate) struct Bench {
    pub(crate) chain: Arc<FullChain>,
    pub(crate) pool: FullPool,
}

impl Bench {
    pub(crate) fn new((spec, genesis): &(ChainSpec, Genesis), config: PoolConfig) -> Bench {
        let chain = Arc::new(open(spec, genesis, Arc::new(MemoryStore::new()), Arc::new(AnySeal)));
        Bench { pool: FullPool::new(chain.clone(), config), chain }
    }

    pub(crate) fn send(&self, tx: &PoolTransaction) -> Result<B256, String> {
        self.pool.add(tx.raw().clone(), true).map_err(|error| error.to_string())
    }

    /// Seals a block with what the pool offers, some seconds after its parent.
    pub(crate) fn seal(&self, after: u64) -> (SealedHeader, RawBlock) {
        let sealer = CliqueSealer { min_tip: 1, ..CliqueSealer::new(key(1), 2) };
        let now = self.chain.headers().head().header.timestamp + after;
        let Turn::Seal { mut draft, .. } = sealer.turn(&self.chain.headers(), now, 0) else { panic!("not our turn") };
        let filled = self.chain.fill(draft.header, sealer.address(), self.pool.offer(1).unwrap()).unwrap();
        assert_eq!(filled.refused, []);
        draft.header = filled.header;
        let (header, block) = sealer.seal(*draft, filled.transactions).unwrap();
        self.chain.insert(vec![block.clone()]).unwrap();
        self.pool.refresh().unwrap();
        (header, block)
    }
}

/// A dynamic fee transaction of 21,000 gas.
pub(crate) fn transfer(key: &SecretKey, nonce: u64, fee: u128, tip: u128) -> PoolTransaction {
    let tx = TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    signed(key, tx)
}

pub(crate) fn legacy(key: &SecretKey, nonce: u64, to: TxKind, value: u64, input: Bytes) -> PoolTransaction {
    let (gas_price, value) = (20 * GWEI, U256::from(value));
    signed(key, TxLegacy { chain_id: None, nonce, gas_price, gas_limit: 200_000, to, value, input })
}

pub(crate) fn with_list(key: &SecretKey, nonce: u64) -> PoolTransaction {
    let item = AccessListItem { address: LOGGER, storage_keys: vec![B256::ZERO] };
    let tx = TxEip2930 {
        chain_id: CHAIN,
        nonce,
        gas_price: 20 * GWEI,
        gas_limit: 100_000,
        to: LOGGER.into(),
        value: U256::from(5),
        access_list: AccessList(vec![item]),
        ..TxEip2930::default()
    };
    signed(key, tx)
}

/// Delegates the account of `authority` to the logger, and calls it.
pub(crate) fn delegating(key: &SecretKey, nonce: u64, authority: &SecretKey) -> PoolTransaction {
    let authorization = Authorization { chain_id: U256::from(CHAIN), address: LOGGER, nonce: 0 };
    let hash = authorization.signature_hash();
    let tx = TxEip7702 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 20 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: address(authority),
        value: U256::from(9),
        authorization_list: vec![authorization.into_signed(sign_hash(authority, hash))],
        ..TxEip7702::default()
    };
    signed(key, tx)
}

/// With so many blobs; `cells` as from Osaka on.
pub(crate) fn blobs(key: &SecretKey, nonce: u64, count: u8, cells: bool) -> PoolTransaction {
    let sidecar = sidecar(count, cells);
    let tx = TxEip4844 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 20 * GWEI,
        max_priority_fee_per_gas: GWEI,
        max_fee_per_blob_gas: GWEI,
        to: LOGGER,
        value: U256::from(7),
        blob_versioned_hashes: sidecar.versioned_hashes().collect(),
        ..TxEip4844::default()
    };
    signed_blobs(key, TxEip4844WithSidecar { tx, sidecar })
}
