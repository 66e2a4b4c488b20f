//! Blocks made from the pool, on every fork: another chain takes them, so everything in their headers is what it has to be.

use std::sync::Arc;

use alloy_consensus::{Transaction, TxLegacy};
use alloy_primitives::{Address, B256, Bloom, Bytes, TxKind, U256, keccak256};
use rushlight_chain::pool::{PoolTransaction, TransactionPool};
use rushlight_chain::testing::signed;
use rushlight_chain::{MemoryStore, RawBlock};
use rushlight_full::PoolConfig;

use super::common::{AnySeal, address, key, open};
use super::wallet::{Bench, CHAIN, GWEI, LOGGER, blobs, delegating, legacy, spec, transfer, with_list};

fn hashes(block: &RawBlock) -> Vec<B256> {
    block.transactions.iter().map(keccak256).collect()
}

/// Everything that the fork knows: a call that logs, a contract that is made, a call that fails, and each type.
fn everything(fork: usize) -> Vec<PoolTransaction> {
    const BERLIN: usize = 2;
    let mut all = vec![
        legacy(&key(2), 0, LOGGER.into(), 3, Bytes::new()),
        legacy(&key(2), 1, TxKind::Create, 0, vec![0x60, 0x00, 0x60, 0x00, 0xf3].into()),
        legacy(&key(2), 2, TxKind::Create, 0, vec![0xfe].into()),
    ];
    let (london, cancun, prague, osaka) = (BERLIN + 1, BERLIN + 3, BERLIN + 4, BERLIN + 5);
    all.extend((fork >= BERLIN).then(|| with_list(&key(3), 0)));
    all.extend((fork >= london).then(|| transfer(&key(3), 1, 20 * GWEI, GWEI)));
    all.extend((fork >= cancun).then(|| blobs(&key(4), 0, 2, fork >= osaka)));
    all.extend((fork >= prague).then(|| delegating(&key(5), 0, &key(6))));
    all
}

#[test]
fn every_type_on_every_fork() {
    const FORKS: [&str; 9] = [
        "homesteadBlock",
        "istanbulBlock",
        "berlinBlock",
        "londonBlock",
        "shanghaiTime",
        "cancunTime",
        "pragueTime",
        "osakaTime",
        "bpo1Time",
    ];
    for (fork, name) in FORKS.into_iter().enumerate() {
        let chain = spec(name, 30_000_000);
        let bench = Bench::new(&chain, PoolConfig::default());
        let all = everything(fork);
        for tx in &all {
            assert_eq!(bench.send(tx), Ok(tx.hash()), "{name}");
        }
        assert_eq!(bench.pool.len(), all.len());
        let (header, block) = bench.seal(2);
        let mut expected: Vec<_> = all.iter().map(PoolTransaction::hash).collect();
        let mut got = hashes(&block);
        expected.sort();
        got.sort();
        assert_eq!(got, expected, "{name}");
        assert!(header.gas_used > 21_000 * all.len() as u64 && header.logs_bloom != Bloom::ZERO, "{name}");
        assert_eq!(header.blob_gas_used, (fork >= 5).then_some(2 * 131_072), "{name}");
        // Nothing is left, and everything is found where it stands.
        assert!(bench.pool.is_empty(), "{name}");
        for (index, hash) in hashes(&block).iter().enumerate() {
            let included = bench.pool.tracked(hash).unwrap().included.unwrap();
            assert_eq!((included.block, included.number, included.index), (header.hash(), 1, index as u64));
            assert_eq!(bench.pool.get(hash).unwrap().hash(), *hash, "{name}");
        }
        let other = open(&chain.0, &chain.1, Arc::new(MemoryStore::new()), Arc::new(AnySeal));
        other.insert(vec![block]).unwrap();
        assert_eq!(other.headers().head().header, header, "{name}");
    }
}

#[test]
fn by_what_they_leave_and_each_senders_in_order() {
    let bench = Bench::new(&spec("londonBlock", 30_000_000), PoolConfig::default());
    let list = [
        transfer(&key(2), 0, 20 * GWEI, 2 * GWEI),
        transfer(&key(2), 1, 20 * GWEI, 9 * GWEI),
        transfer(&key(3), 0, 20 * GWEI, 3 * GWEI),
        transfer(&key(3), 1, 20 * GWEI, GWEI),
        // The same tip as the first, and later.
        transfer(&key(4), 0, 20 * GWEI, 2 * GWEI),
        // What is left of it after the base fee counts.
        transfer(&key(5), 0, 3 * GWEI, 3 * GWEI),
    ];
    list.iter().for_each(|tx| assert_eq!(bench.send(tx), Ok(tx.hash())));
    let base_fee = bench.chain.headers().head().header.base_fee_per_gas;
    assert_eq!(base_fee, Some(1_000_000_000));
    let (_, block) = bench.seal(2);
    let order: Vec<_> = [2, 5, 0, 1, 4, 3].map(|index: usize| list[index].hash()).to_vec();
    assert_eq!(hashes(&block), order);
}

#[test]
fn what_a_block_has_room_for() {
    // 100,000 gas: four transfers; what does not fit waits.
    let bench = Bench::new(&spec("londonBlock", 100_000), PoolConfig::default());
    for nonce in 0..6 {
        bench.send(&transfer(&key(2), nonce, 20 * GWEI, GWEI)).unwrap();
    }
    assert_eq!(bench.seal(2).1.transactions.len(), 4);
    assert_eq!((bench.pool.len(), bench.pool.next_nonce(&address(&key(2)))), (2, Some(6)));
    assert_eq!(bench.seal(2).1.transactions.len(), 2);
    assert_eq!((bench.pool.len(), bench.pool.next_nonce(&address(&key(2)))), (0, None));

    // Nine blobs at Prague.
    let bench = Bench::new(&spec("pragueTime", 30_000_000), PoolConfig::default());
    for byte in 2..=3 {
        bench.send(&blobs(&key(byte), 0, 5, false)).unwrap();
    }
    assert_eq!(bench.seal(2).0.blob_gas_used, Some(5 * 131_072));
    assert_eq!(bench.seal(2).0.blob_gas_used, Some(5 * 131_072));
    assert!(bench.pool.is_empty());
}

#[test]
fn no_more_bytes_than_osaka_allows() {
    let bench = Bench::new(&spec("osakaTime", 130_000_000), PoolConfig::default());
    let large = |key: &_, nonce| {
        let (gas_price, gas_limit, input) = (20 * GWEI, 1_350_000, vec![0; 130_000].into());
        let to = TxKind::Call(Address::repeat_byte(0x77));
        signed(key, TxLegacy { chain_id: Some(CHAIN), nonce, gas_price, gas_limit, to, value: U256::ZERO, input })
    };
    for nonce in 0..70 {
        bench.send(&large(&key(2), nonce)).unwrap();
    }
    let (header, block) = bench.seal(2);
    assert!(header.gas_used < 90_000_000, "the gas would be for more");
    let length = block.length();
    assert!((8 * 1024 * 1024 - 135_000..=8 * 1024 * 1024).contains(&length), "{length}");
    assert_eq!(bench.seal(2).1.transactions.len() + block.transactions.len(), 70);
}

#[test]
fn what_cannot_pay_waits_and_what_cannot_run_goes() {
    let bench = Bench::new(&spec("cancunTime", 30_000_000), PoolConfig::default());
    // Under the base fee: waits.
    bench.send(&transfer(&key(2), 0, GWEI / 2, 1)).unwrap();
    // Each can be paid for by itself; the second cannot once the first is.
    let half = U256::from_str_radix("d3c21bcecceda1000000", 16).unwrap() / U256::from(3) * U256::from(2);
    let all_of_it = |nonce, value| {
        let (gas_price, to) = (20 * GWEI, TxKind::Call(Address::repeat_byte(0x77)));
        signed(
            &key(3),
            TxLegacy { chain_id: Some(CHAIN), nonce, gas_price, gas_limit: 21_000, to, value, input: Bytes::new() },
        )
    };
    // The gap hides from the pool what the first one costs.
    bench.send(&all_of_it(1, half)).unwrap();
    bench.send(&all_of_it(0, half)).unwrap();
    let sealer = rushlight_full::CliqueSealer::new(key(1), 2);
    let now = bench.chain.headers().head().header.timestamp + 2;
    let rushlight_full::Turn::Seal { draft, .. } = sealer.turn(&bench.chain.headers(), now, 0) else { panic!("turn") };
    let filled = bench.chain.fill(draft.header, sealer.address(), bench.pool.offer(1).unwrap()).unwrap();
    assert_eq!(filled.transactions.len(), 1);
    assert_eq!(filled.refused.len(), 1);
    assert_eq!(filled.refused[0].0, all_of_it(1, half).hash());
    assert!(bench.pool.tracked(&transfer(&key(2), 0, GWEI / 2, 1).hash()).is_some());
}

#[test]
fn the_least_tip() {
    let bench = Bench::new(&spec("londonBlock", 30_000_000), PoolConfig::default());
    bench.send(&transfer(&key(2), 0, 20 * GWEI, 5)).unwrap();
    bench.send(&transfer(&key(3), 0, 20 * GWEI, 6)).unwrap();
    let offer = bench.pool.offer(6).unwrap();
    let sealer = rushlight_full::CliqueSealer::new(key(1), 2);
    let now = bench.chain.headers().head().header.timestamp + 2;
    let rushlight_full::Turn::Seal { draft, .. } = sealer.turn(&bench.chain.headers(), now, 0) else { panic!("turn") };
    let filled = bench.chain.fill(draft.header, sealer.address(), offer).unwrap();
    let raw: Vec<_> = filled.transactions.iter().map(keccak256).collect();
    assert_eq!(raw, [transfer(&key(3), 0, 20 * GWEI, 6).hash()]);
    assert_eq!(transfer(&key(3), 0, 20 * GWEI, 6).tx().max_priority_fee_per_gas(), Some(6));
}
