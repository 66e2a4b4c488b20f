//! Limits of blocks and transactions that came with Prague and Osaka: what is just within them goes in, what is just
//! past them is refused by name, and the fork before takes it.

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEip4844, TxEnvelope};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind};
use rushlight_chain::{ChainSpec, RawBlock};
use rushlight_full::{BadBlock, FullChain, InsertError, Rule, system_contracts};
use secp256k1::{Message, SecretKey};

use super::common::{address, body, key};
use super::osaka::{block, chain, draft};

/// EIP-7825.
const MOST_GAS: u64 = 1 << 24;
/// EIP-7934: 10 MiB without the 2 MiB for the beacon block.
const MOST_BYTES: usize = 8_388_608;
const GAS_PER_BLOB: u64 = 1 << 17;

/// An extended clique chain that has come to this fork, with room in its blocks.
fn until(fork: &str) -> (ChainSpec, Genesis) {
    let mut config = serde_json::json!({
        "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
        "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
        "londonBlock": 0, "shanghaiTime": 0, "clique": { "period": 2, "epoch": 30_000 }
    });
    let forks = ["cancunTime", "pragueTime", "osakaTime"];
    let last = forks.iter().position(|known| *known == fork).unwrap();
    forks[..=last].iter().for_each(|fork| config[fork] = 0.into());
    let mut alloc = serde_json::Map::new();
    for (address, code) in system_contracts() {
        alloc.insert(address.to_string(), serde_json::json!({ "balance": "0x0", "nonce": "0x1", "code": code }));
    }
    let rich = serde_json::json!({ "balance": "0xd3c21bcecceda1000000" });
    alloc.insert(address(&key(7)).to_string(), rich);
    let signer = address(&key(1)).to_string();
    let json = serde_json::json!({
        "config": config, "timestamp": "0x65000000", "gasLimit": "0xbebc200", "difficulty": "0x1",
        "extraData": format!("0x{}{}{}", "00".repeat(32), signer.trim_start_matches("0x"), "00".repeat(65)),
        "alloc": alloc
    });
    ChainSpec::from_genesis(json.to_string().as_bytes()).unwrap()
}

fn open(fork: &str) -> FullChain {
    let (spec, genesis) = until(fork);
    chain(&spec, &genesis)
}

fn signed<T: SignableTransaction<Signature>>(key: &SecretKey, tx: T) -> TxEnvelope
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let message = Message::from_digest(tx.signature_hash().0);
    let (recovery, bytes) = secp256k1::SECP256K1.sign_ecdsa_recoverable(message, key).serialize_compact();
    tx.into_signed(Signature::from_bytes_and_parity(&bytes, i32::from(recovery) == 1)).into()
}

fn call(nonce: u64, gas_limit: u64, input: Bytes) -> TxEnvelope {
    let to = TxKind::Call(Address::repeat_byte(3));
    let max_fee_per_gas = 2_000_000_000;
    signed(&key(7), TxEip1559 { chain_id: 1337, nonce, gas_limit, max_fee_per_gas, to, input, ..TxEip1559::default() })
}

fn with_blobs(nonce: u64, count: u8) -> TxEnvelope {
    let hash = |index| {
        let mut hash = B256::with_last_byte(index);
        hash[0] = 1;
        hash
    };
    let tx = TxEip4844 {
        chain_id: 1337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        max_fee_per_blob_gas: 1_000_000_000,
        to: Address::repeat_byte(3),
        blob_versioned_hashes: (0..count).map(hash).collect(),
        ..TxEip4844::default()
    };
    signed(&key(7), tx)
}

/// Puts a block with these transactions on the head: what execution gives is learnt from the refusals.
fn mine(chain: &FullChain, transactions: &[TxEnvelope], blobs: u64) -> Result<RawBlock, BadBlock> {
    let body = body(transactions, &[]);
    let mut header = draft(chain);
    header.transactions_root = body.transactions_root();
    header.blob_gas_used = header.blob_gas_used.map(|_| blobs * GAS_PER_BLOB);
    loop {
        let next = RawBlock { transactions: body.transactions.clone(), ..block(header.clone()) };
        match chain.insert(vec![next.clone()]) {
            Ok(_) => return Ok(next),
            Err(InsertError::Bad(bad)) => learn(&mut header, bad)?,
            Err(error) => panic!("{error}"),
        }
    }
}

fn learn(header: &mut Header, bad: BadBlock) -> Result<(), BadBlock> {
    match bad.rule {
        Rule::GasUsed => header.gas_used = bad.expected.parse().unwrap(),
        Rule::ReceiptsRoot => header.receipts_root = bad.expected.parse().unwrap(),
        Rule::StateRoot => header.state_root = bad.expected.parse().unwrap(),
        _ => return Err(bad),
    }
    Ok(())
}

fn refused(chain: &FullChain, transactions: &[TxEnvelope], blobs: u64, rule: Rule, words: &str) {
    let head = chain.headers().head();
    let bad = mine(chain, transactions, blobs).expect_err(words);
    assert_eq!(bad.rule, rule, "{bad}");
    assert!(bad.to_string().contains(words), "{bad}");
    assert_eq!(chain.headers().head(), head);
}

#[test]
fn gas_of_a_transaction() {
    let chain = open("osakaTime");
    let most = || call(0, MOST_GAS, Bytes::new());
    let over = |nonce| call(nonce, MOST_GAS + 1, Bytes::new());
    let words = "transaction gas limit (16777217) is greater than the cap (16777216)";
    refused(&chain, &[over(0)], 0, Rule::Transaction { index: 0 }, words);
    refused(&chain, &[most(), over(1)], 0, Rule::Transaction { index: 1 }, words);
    mine(&chain, &[most()], 0).unwrap();
    mine(&open("pragueTime"), &[over(0)], 0).unwrap();
}

#[test]
fn blobs_of_a_transaction() {
    let chain = open("osakaTime");
    // A block takes nine.
    refused(&chain, &[with_blobs(0, 7)], 7, Rule::Transaction { index: 0 }, "too many blobs, have 7, max 6");
    mine(&chain, &[with_blobs(0, 6), with_blobs(1, 3)], 9).unwrap();
    mine(&open("pragueTime"), &[with_blobs(0, 7)], 7).unwrap();
    let past = mine(&open("pragueTime"), &[with_blobs(0, 9), with_blobs(1, 1)], 10).unwrap_err();
    assert_eq!(past.rule, Rule::Header("blob gas used"), "{past}");
}

#[test]
fn least_gas_of_calldata() {
    // 1,000 bytes are 4,000 tokens (EIP-7623): 16,000 gas before, at least 40,000 from Prague on.
    let data = || Bytes::from(vec![1; 1_000]);
    let chain = open("pragueTime");
    let words = "gas floor (61000) exceeds the gas limit (60999)";
    refused(&chain, &[call(0, 60_999, data())], 0, Rule::Transaction { index: 0 }, words);
    let taken = mine(&chain, &[call(0, 61_000, data())], 0).unwrap();
    assert_eq!(taken.decode_header().unwrap().gas_used, 61_000);
    let taken = mine(&open("cancunTime"), &[call(0, 60_999, data())], 0).unwrap();
    assert_eq!(taken.decode_header().unwrap().gas_used, 37_000);
}

/// Six transactions whose data fill a block.
fn filling(last: usize) -> Vec<TxEnvelope> {
    let data = |nonce| if nonce == 5 { vec![0; last] } else { vec![0; 1_400_000] };
    (0..6).map(|nonce| call(nonce, MOST_GAS, data(nonce).into())).collect()
}

#[test]
fn bytes_of_a_block() {
    // The header's own length is known once a block has been executed.
    let mut last = 1_300_000;
    let most = loop {
        let taken = mine(&open("osakaTime"), &filling(last), 0).unwrap();
        match MOST_BYTES - taken.length() {
            0 => break taken,
            room => last += room,
        }
    };
    assert_eq!(most.encode().len(), MOST_BYTES);
    let over = filling(last + 1);
    refused(&open("osakaTime"), &over, 0, Rule::BlockSize, "block size: expected at most 8388608 bytes, got ");
    let taken = mine(&open("pragueTime"), &over, 0).unwrap();
    assert_eq!(taken.length(), MOST_BYTES + 1);
}
