//! The full peer's pool: what it takes and keeps, what has to go, reorganisations.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use alloy_consensus::Transaction;
use alloy_genesis::Genesis;
use alloy_primitives::B256;
use proptest::prelude::*;
use rushlight_chain::ChainSpec;
use rushlight_chain::pool::{PoolTransaction, TransactionPool, replaces};
use rushlight_full::PoolConfig;

use super::common::{address, key};
use super::wallet::{Bench, GWEI, blobs, delegating, spec, transfer};

static PRAGUE: LazyLock<(ChainSpec, Genesis)> = LazyLock::new(|| spec("pragueTime", 30_000_000));

fn bench(config: PoolConfig) -> Bench {
    Bench::new(&PRAGUE, config)
}

#[test]
fn executable_and_waiting() {
    let bench = bench(PoolConfig::default());
    let tx = |nonce, tip| transfer(&key(2), nonce, 20 * GWEI, tip);
    let sender = address(&key(2));
    bench.send(&tx(2, GWEI)).unwrap();
    assert_eq!(bench.pool.next_nonce(&sender), None);
    bench.send(&tx(0, GWEI)).unwrap();
    assert_eq!(bench.pool.next_nonce(&sender), Some(1));
    let content = bench.pool.content();
    assert_eq!(content.pending[&sender].keys().collect::<Vec<_>>(), [&0]);
    assert_eq!(content.queued[&sender].keys().collect::<Vec<_>>(), [&2]);
    assert!(bench.pool.tracked(&tx(2, GWEI).hash()).unwrap().queued);
    bench.send(&tx(1, GWEI)).unwrap();
    assert_eq!(bench.pool.next_nonce(&sender), Some(3));
    assert!(bench.pool.content().queued.is_empty());
    assert_eq!(bench.send(&tx(1, GWEI)).unwrap_err(), "already known");
    assert_eq!(bench.send(&tx(1, GWEI + 1)).unwrap_err(), "replacement transaction underpriced");
    // A tenth more of both prices.
    let dearer = transfer(&key(2), 1, 22 * GWEI, 2 * GWEI);
    bench.send(&dearer).unwrap();
    assert_eq!((bench.pool.len(), bench.pool.get(&tx(1, GWEI).hash())), (3, None));
    bench.seal(2);
    assert_eq!(
        bench.send(&transfer(&key(2), 1, 30 * GWEI, 9 * GWEI)).unwrap_err(),
        "nonce too low: next nonce 3, tx nonce 1"
    );
}

#[test]
fn a_senders_limits() {
    let bench = bench(PoolConfig { max_executable: 3, max_queued: 2, max_sender_blobs: 2, ..PoolConfig::default() });
    let tx = |nonce| transfer(&key(2), nonce, 20 * GWEI, GWEI);
    for nonce in [7, 9, 0, 1, 2] {
        bench.send(&tx(nonce)).unwrap();
    }
    assert_eq!(bench.send(&tx(11)).unwrap_err(), "account limit exceeded: pooled 5 txs");
    assert_eq!(bench.send(&tx(3)).unwrap_err(), "account limit exceeded: pooled 5 txs");
    for nonce in 0..2 {
        bench.send(&blobs(&key(3), nonce, 1, false)).unwrap();
    }
    assert_eq!(bench.send(&blobs(&key(3), 2, 1, false)).unwrap_err(), "account limit exceeded: pooled 2 txs");
    assert_eq!(bench.send(&blobs(&key(4), 1, 1, false)).unwrap_err(), "nonce too high: tx nonce 1, gapped nonce 0");
    // One kind at a time.
    assert_eq!(bench.send(&transfer(&key(3), 2, 20 * GWEI, GWEI)).unwrap_err(), "address already reserved");
    assert_eq!(bench.send(&blobs(&key(2), 3, 1, false)).unwrap_err(), "address already reserved");
}

#[test]
fn delegated_accounts_have_one_at_a_time() {
    let bench = bench(PoolConfig::default());
    let tx = |byte, nonce| transfer(&key(byte), nonce, 20 * GWEI, GWEI);
    // Two of its own under way: nobody may delegate it.
    bench.send(&tx(3, 0)).unwrap();
    bench.send(&tx(3, 1)).unwrap();
    assert_eq!(bench.send(&delegating(&key(2), 0, &key(3))).unwrap_err(), "authority already reserved");
    bench.send(&delegating(&key(2), 0, &key(6))).unwrap();
    assert_eq!(bench.send(&tx(6, 1)).unwrap_err(), "gapped-nonce tx from delegated accounts");
    bench.send(&tx(6, 0)).unwrap();
    let limit = "in-flight transaction limit reached for delegated accounts";
    assert_eq!(bench.send(&tx(6, 1)).unwrap_err(), limit);
    bench.send(&transfer(&key(6), 0, 30 * GWEI, 2 * GWEI)).unwrap();
    bench.seal(2);
    assert!(bench.pool.is_empty());
    // The authorization was for nonce 0, which the transaction before it may have used: whether it is delegated now is the
    // state's to say, and what is not delegated has no limit.
    bench.send(&tx(5, 0)).unwrap();
    bench.send(&tx(5, 1)).unwrap();
}

#[test]
fn a_full_pool_keeps_what_pays_most() {
    let bench = bench(PoolConfig { max_count: 4, ..PoolConfig::default() });
    let tx = |byte, nonce, tip: u128| transfer(&key(byte), nonce, 20 * GWEI, tip * GWEI);
    bench.send(&tx(2, 0, 1)).unwrap();
    // Dear, but not to be had without the cheap one before it.
    bench.send(&tx(2, 1, 9)).unwrap();
    bench.send(&tx(3, 0, 3)).unwrap();
    bench.send(&tx(4, 5, 8)).unwrap();
    // One that waits goes first, whatever it pays.
    bench.send(&tx(5, 0, 2)).unwrap();
    assert!(bench.pool.get(&tx(4, 5, 8).hash()).is_none());
    assert_eq!(bench.send(&tx(6, 0, 1)).unwrap_err(), "transaction underpriced");
    assert_eq!(bench.send(&tx(4, 5, 8)).unwrap_err(), "future transaction tries to replace pending");
    bench.send(&tx(6, 0, 2)).unwrap();
    assert!(bench.pool.get(&tx(2, 1, 9).hash()).is_none(), "the last of the sender with the cheapest goes");
    assert!(bench.pool.get(&tx(2, 0, 1).hash()).is_some());
    // A dearer one behind one's own cheap one is worth no more than that.
    assert_eq!(bench.send(&tx(2, 1, 15)).unwrap_err(), "transaction underpriced");
    // Replacing takes no room.
    bench.send(&transfer(&key(2), 0, 22 * GWEI, 2 * GWEI)).unwrap();
    assert_eq!(bench.pool.len(), 4);
}

#[test]
fn reorganised_away_and_taken_back() {
    for with_blobs in [false, true] {
        let (ours, theirs) = (bench(PoolConfig::default()), bench(PoolConfig::default()));
        let tx = if with_blobs { blobs(&key(2), 0, 1, false) } else { transfer(&key(2), 0, 20 * GWEI, GWEI) };
        ours.send(&tx).unwrap();
        let (header, block) = ours.seal(2);
        assert_eq!((ours.pool.len(), block.transactions.len()), (0, 1));
        assert_eq!(ours.pool.tracked(&tx.hash()).unwrap().included.unwrap().block, header.hash());
        // A longer chain without it.
        let heavier = [theirs.seal(3).1, theirs.seal(2).1];
        ours.chain.insert(heavier.to_vec()).unwrap();
        ours.pool.refresh().unwrap();
        assert_eq!(ours.pool.len(), 1);
        assert_eq!(ours.pool.get(&tx.hash()).unwrap().raw(), tx.raw());
        assert_eq!(ours.pool.tracked(&tx.hash()).unwrap().included, None);
        let (header, block) = ours.seal(2);
        assert_eq!((header.number, block.transactions.len(), ours.pool.len()), (3, 1, 0));
        assert_eq!(ours.pool.tracked(&tx.hash()).unwrap().included.unwrap().block, header.hash());
    }
}

#[test]
fn both_branches_have_it() {
    let (ours, theirs) = (bench(PoolConfig::default()), bench(PoolConfig::default()));
    let tx = transfer(&key(2), 0, 20 * GWEI, GWEI);
    ours.send(&tx).unwrap();
    theirs.send(&tx).unwrap();
    let mine = ours.seal(2);
    let (theirs_first, theirs_second) = (theirs.seal(3), theirs.seal(2));
    // The other branch comes to us before it is the heavier one: the look-up names its block, which is not canonical yet.
    ours.chain.insert(vec![theirs_first.1]).unwrap();
    ours.chain.insert(vec![theirs_second.1]).unwrap();
    ours.pool.refresh().unwrap();
    assert!(ours.pool.is_empty());
    assert_eq!(ours.pool.tracked(&tx.hash()).unwrap().included.unwrap().block, theirs_first.0.hash());
    assert_ne!(mine.0.hash(), theirs_first.0.hash());
}

/// A transaction by its sender, nonce and prices.
fn any_tx() -> impl Strategy<Value = PoolTransaction> {
    (2u8..=4, 0u64..5, 1u128..6)
        .prop_map(|(byte, nonce, price)| transfer(&key(byte), nonce, (10 + price) * GWEI, price * GWEI))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// With room for all the pool is a map from sender and nonce to the one that was there first or replaced it.
    #[test]
    fn a_pool_with_room_is_a_map(list in prop::collection::vec(any_tx(), 1..25)) {
        let bench = bench(PoolConfig::default());
        let mut model: HashMap<_, PoolTransaction> = HashMap::new();
        for tx in list {
            let place = (tx.sender(), tx.tx().nonce());
            let expected = match model.get(&place) {
                None => Ok(tx.hash()),
                Some(old) if old.hash() == tx.hash() => Err("already known".to_owned()),
                Some(old) if replaces(old, &tx) => Ok(tx.hash()),
                Some(_) => Err("replacement transaction underpriced".to_owned()),
            };
            prop_assert_eq!(bench.send(&tx), expected.clone());
            if expected.is_ok() {
                model.insert(place, tx);
            }
        }
        let content = bench.pool.content();
        let mut got: BTreeMap<_, B256> = BTreeMap::new();
        for (sender, list) in content.pending.iter().chain(&content.queued) {
            got.extend(list.iter().map(|(nonce, tx)| ((*sender, *nonce), tx.hash())));
        }
        prop_assert_eq!(got, model.iter().map(|(place, tx)| (*place, tx.hash())).collect());
        for (sender, list) in &content.pending {
            prop_assert!(list.keys().copied().eq(0..list.len() as u64), "no gap");
            prop_assert!(content.queued.get(sender).is_none_or(|queued| !queued.contains_key(&(list.len() as u64))));
        }
        // All that can stand in a block does, and what is left waits for a nonce.
        let pending: usize = content.pending.values().map(BTreeMap::len).sum();
        let (_, block) = bench.seal(2);
        prop_assert_eq!(block.transactions.len(), pending);
        prop_assert!(bench.pool.content().pending.is_empty());
    }

    /// Bounds hold after every step; nobody's executable transactions get a gap; what is refused moves nothing.
    #[test]
    fn a_small_pool_stays_small(list in prop::collection::vec(any_tx(), 1..40), count in 1usize..6, bytes in 150usize..900) {
        let bench = bench(PoolConfig { max_count: count, max_bytes: bytes, ..PoolConfig::default() });
        for tx in list {
            let before = bench.pool.content();
            let sent = bench.send(&tx);
            let after = bench.pool.content();
            let all = |content: &rushlight_chain::pool::Content| -> BTreeMap<B256, usize> {
                let lists = content.pending.values().chain(content.queued.values());
                lists.flat_map(|list| list.values().map(|tx| (tx.hash(), tx.raw().len()))).collect()
            };
            let (before_all, after_all) = (all(&before), all(&after));
            prop_assert_eq!(after_all.len(), bench.pool.len());
            prop_assert!(after_all.len() <= count && after_all.values().sum::<usize>() <= bytes);
            prop_assert_eq!(after_all.contains_key(&tx.hash()), sent.is_ok() || before_all.contains_key(&tx.hash()));
            if sent.is_err() {
                prop_assert_eq!(&before_all, &after_all, "what is refused moves nothing");
            }
            for list in after.pending.values() {
                prop_assert!(list.keys().copied().eq(0..list.len() as u64));
            }
        }
    }
}
