//! Fees against a straightforward model, over random chains.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alloy_consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxEnvelope, TxLegacy, proofs,
};
use alloy_eips::{BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{Address, Bytes, Signature, TxKind, keccak256};
use futures::future::{BoxFuture, join_all};
use proptest::{collection::vec, prelude::*};
use rushlight_chain::{
    Activation, ChainSpec, Consensus, Fork, Forks, HeaderChain, SealedHeader,
    block::Body,
    header,
    store::MemoryStore,
    testing::{ToyMiner, toy_seal, toy_spec},
};
use rushlight_light::{FeeError, LightClient};
use rushlight_odr::{Source, Unavailable, Wanted};
use rushlight_sync::SyncStatus;
use secp256k1::{Message, PublicKey, SecretKey};
use tokio::sync::watch;

use crate::common::{MapSource, chain_config, trie_of};

/// The first block with a base fee.
const LONDON: u64 = 3;
/// What is suggested on a chain without transactions, as geth does.
const DEFAULT: u128 = 1_000_000;

/// What a transaction of a test pays: who sends it, its tip, the gas it uses.
#[derive(Clone, Copy, Debug)]
struct Paid {
    by_miner: bool,
    tip: u128,
    gas: u64,
}

type Blocks = Vec<Vec<Paid>>;

fn key(by_miner: bool) -> SecretKey {
    SecretKey::from_byte_array([if by_miner { 9 } else { 7 }; 32]).unwrap()
}

fn miner_address() -> Address {
    let public = PublicKey::from_secret_key_global(&key(true)).serialize_uncompressed();
    Address::from_slice(&keccak256(&public[1..])[12..])
}

fn signed<T: SignableTransaction<Signature>>(tx: T, key: &SecretKey) -> TxEnvelope
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let message = Message::from_digest(tx.signature_hash().0);
    let (id, compact) = secp256k1::global::SECP256K1.sign_ecdsa_recoverable(message, key).serialize_compact();
    tx.into_signed(Signature::from_bytes_and_parity(&compact, i32::from(id) & 1 == 1)).into()
}

/// The transaction that pays so: before London a legacy one, after it of either kind, by its gas.
fn transaction(paid: Paid, base_fee: Option<u64>) -> TxEnvelope {
    let (key, to) = (key(paid.by_miner), TxKind::Call(Address::ZERO));
    let fee = u128::from(base_fee.unwrap_or(0)) + paid.tip;
    match base_fee {
        Some(_) if paid.gas.is_multiple_of(2) => {
            let tip =
                TxEip1559 { max_fee_per_gas: fee + 5, max_priority_fee_per_gas: paid.tip, to, ..Default::default() };
            signed(tip, &key)
        }
        _ => signed(TxLegacy { gas_price: fee, to, ..Default::default() }, &key),
    }
}

/// Counts the bodies that are asked for.
struct Counting {
    source: MapSource,
    bodies: Arc<AtomicUsize>,
}

impl Source for Counting {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        self.source.preimages(wanted)
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.source.body(header)
    }
}

struct Net {
    client: Arc<LightClient>,
    chain: Arc<HeaderChain>,
    headers: Vec<SealedHeader>,
    bodies: Arc<AtomicUsize>,
}

fn london_spec() -> ChainSpec {
    let early = [Fork::Homestead, Fork::TangerineWhistle, Fork::SpuriousDragon, Fork::Byzantium, Fork::Berlin];
    let mut schedule: Vec<_> = early.into_iter().map(|fork| (fork, Activation::Block(0))).collect();
    schedule.push((Fork::London, Activation::Block(LONDON)));
    ChainSpec::new("toy", 1337, toy_spec(0).genesis, Forks::new(schedule), Consensus::Ethash)
}

impl Net {
    /// A chain of these blocks, of which the header chain holds the first `held`.
    fn new(blocks: &Blocks, held: usize) -> Self {
        let spec = Arc::new(london_spec());
        let miner = ToyMiner::new((*spec).clone()).for_beneficiary(miner_address());
        let chain = Arc::new(HeaderChain::open(spec.clone(), Arc::new(MemoryStore::new()), chain_config()).unwrap());
        let mut source = MapSource::default();
        let mut headers = vec![spec.genesis.clone()];
        for block in blocks {
            let mut template = miner.template(headers.last().unwrap());
            let transactions: Vec<_> = block.iter().map(|paid| transaction(*paid, template.base_fee_per_gas)).collect();
            let encoded: Vec<Bytes> = transactions.iter().map(|tx| tx.encoded_2718().into()).collect();
            let body = Body { transactions: encoded, ..Body::default() };
            let mut used = 0;
            let receipts: Vec<_> = transactions
                .iter()
                .zip(block)
                .map(|(tx, paid)| {
                    used += paid.gas;
                    let receipt =
                        Receipt { status: Eip658Value::Eip658(true), cumulative_gas_used: used, logs: vec![] };
                    ReceiptEnvelope::from_typed(tx.tx_type(), receipt)
                })
                .collect();
            template.gas_used = used;
            template.transactions_root = body.transactions_root();
            template.receipts_root = proofs::calculate_receipt_root(&receipts);
            let entries =
                receipts.iter().enumerate().map(|(n, receipt)| (alloy_rlp::encode(n), receipt.encoded_2718()));
            if !receipts.is_empty() {
                assert_eq!(trie_of(entries, &mut source.nodes), template.receipts_root);
            }
            let sealed = toy_seal(template);
            source.bodies.insert(sealed.hash(), body);
            headers.push(sealed);
        }
        let bodies = Arc::new(AtomicUsize::new(0));
        let (_, status) = watch::channel(SyncStatus::default());
        let source = Arc::new(Counting { source, bodies: bodies.clone() });
        let client = Arc::new(LightClient::new(chain.clone(), source, status, 1337));
        let net = Self { client, chain, headers, bodies };
        net.extend(1, held);
        net
    }

    /// Gives the header chain blocks `from` to `to`.
    fn extend(&self, from: usize, to: usize) {
        let raw: Vec<_> = self.headers[from..=to].iter().map(|sealed| header::encode(sealed)).collect();
        self.chain.extend(&raw).unwrap();
    }

    fn bodies_read(&self) -> usize {
        self.bodies.swap(0, Ordering::Relaxed)
    }
}

/// The suggestion, written down from how geth makes it: tips of the last 20 blocks, and of one more for each that tells one
/// tip or none, as long as that keeps the number of tips below 40.
fn model(blocks: &Blocks, last: u128) -> u128 {
    let mut tips = Vec::new();
    let (mut read, mut planned) = (0, blocks.len().min(20));
    while read < planned {
        let block = &blocks[blocks.len() - 1 - read];
        read += 1;
        let mut of_block: Vec<u128> =
            block.iter().filter(|paid| !paid.by_miner && paid.tip >= 2).map(|paid| paid.tip).collect();
        of_block.sort_unstable();
        of_block.truncate(3);
        if of_block.is_empty() {
            of_block.push(last);
        }
        if of_block.len() == 1 && tips.len() + 1 + (planned - read) < 40 && planned < blocks.len() {
            planned += 1;
        }
        tips.extend(of_block);
    }
    tips.sort_unstable();
    let price = if tips.is_empty() { last } else { tips[(tips.len() - 1) * 60 / 100] };
    price.min(500_000_000_000)
}

fn paid() -> impl Strategy<Value = Paid> {
    let tip = prop_oneof![0..4_u128, 1..10_000_000_u128, 400_000_000_000..600_000_000_000_u128];
    (proptest::bool::weighted(0.2), tip, 21_000..200_000_u64).prop_map(|(by_miner, tip, gas)| Paid {
        by_miner,
        tip,
        gas,
    })
}

fn blocks(count: std::ops::Range<usize>) -> impl Strategy<Value = Blocks> {
    vec(prop_oneof![3 => vec(paid(), 0..2), 2 => vec(paid(), 0..6)], count)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Of each percentile the tip of the transaction whose gas reaches it.
fn rewards_of(block: &[Paid], percentiles: &[f64]) -> Vec<u128> {
    let mut sorted = block.to_vec();
    sorted.sort_by_key(|paid| paid.tip);
    let all: u64 = block.iter().map(|paid| paid.gas).sum();
    let reward = |percentile: &f64| {
        let threshold = (all as f64 * percentile / 100.0) as u64;
        let mut sum = 0;
        let reached = sorted.iter().find(|paid| {
            sum += paid.gas;
            sum >= threshold
        });
        reached.or(sorted.last()).map_or(0, |paid| paid.tip)
    };
    percentiles.iter().map(reward).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn suggestions_are_the_models(blocks in blocks(0..60), later in 0..8_usize) {
        let held = blocks.len().saturating_sub(later);
        let net = Net::new(&blocks, held);
        block_on(async {
            let before = net.client.suggested_tip().await.unwrap();
            prop_assert_eq!(before, model(&blocks[..held].to_vec(), DEFAULT));
            let read = net.bodies_read();
            prop_assert!(read <= 40);
            if held < blocks.len() {
                net.extend(held + 1, blocks.len());
                let after = net.client.suggested_tip().await.unwrap();
                prop_assert_eq!(after, model(&blocks, before));
                let head = net.client.head().header;
                let fee = u128::from(head.base_fee_per_gas.unwrap_or(0));
                prop_assert_eq!(net.client.gas_price().await.unwrap(), after + fee);
            }
            Ok(())
        })?;
    }

    #[test]
    fn histories_are_the_models(
        blocks in blocks(1..30),
        count in 0..40_u64,
        last in 0..30_u64,
        percentiles in proptest::collection::btree_set(0..=1000_u32, 0..6),
    ) {
        let last = last.min(blocks.len() as u64);
        let percentiles: Vec<f64> = percentiles.into_iter().map(|part| f64::from(part) / 10.0).collect();
        let net = Net::new(&blocks, blocks.len());
        let history =
            block_on(net.client.fee_history(count, BlockNumberOrTag::Number(last), &percentiles)).unwrap();
        let rows = count.min(last + 1);
        if rows == 0 {
            prop_assert_eq!(history, Default::default());
            return Ok(());
        }
        let oldest = last + 1 - rows;
        prop_assert_eq!(history.oldest, oldest);
        let header = |number: u64| &net.headers[number as usize];
        for (row, number) in (oldest..=last).enumerate() {
            let header = header(number);
            prop_assert_eq!(history.base_fees[row], header.base_fee_per_gas.unwrap_or(0));
            prop_assert_eq!(history.gas_used_ratios[row], header.gas_used as f64 / header.gas_limit as f64);
            if !percentiles.is_empty() {
                let block = if number == 0 { &[][..] } else { &blocks[number as usize - 1] };
                let rewards = history.rewards.as_ref().unwrap();
                prop_assert_eq!(&rewards[row], &rewards_of(block, &percentiles), "block {}", number);
            }
        }
        prop_assert_eq!(history.rewards.is_some(), !percentiles.is_empty());
        // The last fee is that of the block which comes next, whether or not it is there.
        prop_assert_eq!(history.base_fees.len() as u64, rows + 1);
        if last < blocks.len() as u64 {
            prop_assert_eq!(history.base_fees.last().copied(), Some(header(last + 1).base_fee_per_gas.unwrap_or(0)));
        }
        prop_assert_eq!(history.blob_base_fees, vec![0; rows as usize + 1]);
        prop_assert_eq!(history.blob_gas_used_ratios, vec![0.0; rows as usize]);
    }
}

fn tips(tip: u128, count: usize) -> Vec<Paid> {
    vec![Paid { by_miner: false, tip, gas: 21_000 }; count]
}

#[tokio::test]
async fn genesis_alone_and_empty_blocks_give_the_default() {
    let net = Net::new(&vec![], 0);
    assert_eq!(net.client.suggested_tip().await, Ok(DEFAULT));
    assert_eq!(net.client.gas_price().await, Ok(DEFAULT), "no base fee before London");
    assert_eq!(net.client.next_base_fee(), Ok(None));
    assert_eq!(net.client.blob_base_fee(), Ok(None));

    let net = Net::new(&vec![vec![]; 5], 5);
    assert_eq!(net.client.suggested_tip().await, Ok(DEFAULT));
    let fee = net.headers[5].base_fee_per_gas.unwrap();
    assert_eq!(net.client.gas_price().await, Ok(DEFAULT + u128::from(fee)));
    assert_eq!(net.client.next_base_fee(), Ok(Some(fee - fee / 8)));
}

#[tokio::test]
async fn the_block_before_london_knows_the_first_base_fee() {
    let net = Net::new(&vec![vec![]; LONDON as usize - 1], LONDON as usize - 1);
    assert_eq!(net.client.next_base_fee(), Ok(Some(1_000_000_000)));
}

#[tokio::test]
async fn one_wei_is_no_offer_and_the_cap_is_kept() {
    let net = Net::new(&vec![tips(1, 3); 30], 30);
    assert_eq!(net.client.suggested_tip().await, Ok(DEFAULT));
    let net = Net::new(&vec![tips(2, 3); 30], 30);
    assert_eq!(net.client.suggested_tip().await, Ok(2));
    let net = Net::new(&vec![tips(600_000_000_000, 1); 4], 4);
    assert_eq!(net.client.suggested_tip().await, Ok(500_000_000_000));
}

#[tokio::test]
async fn blocks_are_read_once_and_callers_share_the_work() {
    let net = Net::new(&vec![tips(7, 3); 30], 28);
    let all = join_all((0..10).map(|_| net.client.suggested_tip())).await;
    assert!(all.iter().all(|tip| *tip == Ok(7)));
    assert_eq!(net.bodies_read(), 20);
    net.extend(29, 30);
    net.client.gas_price().await.unwrap();
    assert_eq!(net.bodies_read(), 2, "the new ones");
    net.client.gas_price().await.unwrap();
    assert_eq!(net.bodies_read(), 0);

    let history = net.client.fee_history(4, BlockNumberOrTag::Latest, &[50.0]).await.unwrap();
    assert_eq!((history.rewards, net.bodies_read()), (Some(vec![vec![7]; 4]), 4));
    net.client.fee_history(5, BlockNumberOrTag::Latest, &[50.0]).await.unwrap();
    assert_eq!(net.bodies_read(), 1);
    net.client.fee_history(30, BlockNumberOrTag::Latest, &[]).await.unwrap();
    assert_eq!(net.bodies_read(), 0, "headers say it all");
}

#[tokio::test]
async fn a_caller_that_goes_away_holds_nobody_up() {
    let net = Net::new(&vec![tips(7, 3); 30], 30);
    for polls in 0..5 {
        let mut asking = Box::pin(net.client.suggested_tip());
        for _ in 0..polls {
            let _ = futures::poll!(&mut asking);
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(net.client.suggested_tip().await, Ok(7));
}

#[tokio::test]
async fn tags_and_refusals() {
    let net = Net::new(&vec![tips(7, 2); 6], 6);
    let ask = |count, last, percentiles: &'static [f64]| net.client.fee_history(count, last, percentiles);
    let number = |number| BlockNumberOrTag::Number(number);
    assert_eq!(ask(0, number(99), &[-1.0]).await, Ok(Default::default()), "nothing asked, nothing refused");
    assert_eq!(ask(9, BlockNumberOrTag::Earliest, &[]).await.unwrap().gas_used_ratios, [0.0]);
    assert_eq!(ask(1, BlockNumberOrTag::Pending, &[]).await, Ok(Default::default()));
    let (pending, latest) =
        (ask(3, BlockNumberOrTag::Pending, &[5.0]).await, ask(2, BlockNumberOrTag::Latest, &[5.0]).await);
    assert_eq!(pending, latest);
    assert_eq!(ask(u64::MAX, number(6), &[]).await.unwrap().gas_used_ratios.len(), 7);

    let text = |result: Result<_, FeeError>| result.map(|_: rushlight_light::FeeHistory| ()).unwrap_err().to_string();
    assert_eq!(text(ask(1, number(7), &[]).await), "request beyond head block: requested 7, head 6");
    assert_eq!(text(ask(1, number(1), &[101.0]).await), "invalid reward percentile: 101.000000");
    assert_eq!(text(ask(1, number(1), &[-0.5]).await), "invalid reward percentile: -0.500000");
    assert_eq!(
        text(ask(1, number(1), &[1.0, 20.0, 20.0]).await),
        "invalid reward percentile: #1:20.000000 >= #2:20.000000"
    );
    assert_eq!(text(ask(1, number(1), &[0.0; 101]).await), "invalid reward percentile: over the query limit 100");
    assert_eq!(text(ask(1, BlockNumberOrTag::Safe, &[]).await), "safe block not found");
}
