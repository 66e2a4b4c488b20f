//! The machine over chains that grow and are reorganised, with peers and a disk that do what they may, and a restart at any
//! time: nothing that was acknowledged is lost, nothing is relayed that may not be, and every bound holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use alloy_consensus::{Transaction as _, TxEip1559};
use alloy_primitives::{Address, B256, TxKind, U256, keccak256};
use proptest::prelude::*;
use rushlight_chain::{
    Batch, Column, MemoryStore, Store, StoreError,
    pool::{Included, PoolError, PoolTransaction},
    testing::signed,
};
use rushlight_p2p::PeerId;
use secp256k1::SecretKey;

use super::{
    disk,
    limits::{DEEP, MAX_HEARD, MAX_OF_SENDER, MAX_PATH, SEARCHES},
    machine::{Account, Action, Event, Machine, Point, Report, View},
};

const SENDERS: u8 = 2;
const NONCES: u64 = 5;
/// Prices of which each takes the place of the one before.
const PRICES: [u128; 3] = [1_000, 2_000, 3_000];

fn transaction(sender: u8, nonce: u64, price: u128) -> Arc<PoolTransaction> {
    let key = SecretKey::from_byte_array([sender + 1; 32]).unwrap();
    Arc::new(signed(
        &key,
        TxEip1559 {
            chain_id: 1337,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: price,
            max_priority_fee_per_gas: price,
            to: TxKind::Call(Address::ZERO),
            ..TxEip1559::default()
        },
    ))
}

/// Signed once for all runs.
static ALL: LazyLock<Vec<Arc<PoolTransaction>>> = LazyLock::new(|| {
    let nonces = (0..SENDERS).flat_map(|sender| (0..NONCES).map(move |nonce| (sender, nonce)));
    nonces.flat_map(|(sender, nonce)| PRICES.map(|price| transaction(sender, nonce, price))).collect()
});

fn picked(sender: u8, nonce: u64, price: usize) -> Arc<PoolTransaction> {
    ALL[(usize::from(sender) * NONCES as usize + nonce as usize) * PRICES.len() + price].clone()
}

#[derive(Clone, Default)]
struct Block {
    hash: B256,
    transactions: Vec<Arc<PoolTransaction>>,
}

/// The canonical chain as it is.
#[derive(Clone, Default)]
struct Chain {
    blocks: Vec<Block>,
    /// Numbers below this are not retained.
    retained_from: u64,
    salt: u64,
}

impl View for Chain {
    fn head(&self) -> Point {
        let number = self.blocks.len() as u64 - 1;
        Point { number, hash: self.blocks[number as usize].hash }
    }

    fn canonical(&self, number: u64) -> Option<B256> {
        let held = number == 0 || number >= self.retained_from;
        self.blocks.get(number as usize).filter(|_| held).map(|block| block.hash)
    }
}

impl Chain {
    fn new() -> Self {
        let mut chain = Self::default();
        chain.mine(Vec::new());
        chain
    }

    fn mine(&mut self, transactions: Vec<Arc<PoolTransaction>>) {
        self.salt += 1;
        self.blocks.push(Block { hash: keccak256(self.salt.to_be_bytes()), transactions });
    }

    fn nonce(&self, sender: &Address) -> u64 {
        self.blocks.iter().flat_map(|block| &block.transactions).filter(|tx| tx.sender() == *sender).count() as u64
    }

    fn place(&self, hash: &B256) -> Option<Included> {
        (0..).zip(&self.blocks).find_map(|(number, block)| {
            let index = block.transactions.iter().position(|tx| tx.hash() == *hash)? as u64;
            Some(Included { block: block.hash, number, index })
        })
    }

    fn account(&self, sender: &Address) -> Account {
        Account { nonce: self.nonce(sender), balance: U256::MAX, delegated: false, at: self.head() }
    }
}

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Submit {
        sender: u8,
        nonce: u64,
        price: usize,
    },
    /// Blocks, of which the first takes from the pool what it may (by these bits), or others of the same nonces.
    Mine {
        empty: u64,
        bits: u16,
        foreign: bool,
    },
    Reorganise {
        depth: u64,
        longer: u64,
        bits: u16,
    },
    Answer {
        fails: bool,
    },
    Hear {
        peer: u8,
        which: usize,
    },
    Synced(bool),
    Peers,
    Tick,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..SENDERS, 0..NONCES, 0..PRICES.len()).prop_map(|(sender, nonce, price)| Step::Submit { sender, nonce, price }),
        4 => (0..3_u64, any::<u16>(), any::<bool>()).prop_map(|(empty, bits, foreign)| Step::Mine { empty, bits, foreign }),
        1 => (60..80_u64, any::<u16>()).prop_map(|(empty, bits)| Step::Mine { empty, bits, foreign: false }),
        2 => (1..6_u64, 0..3_u64, any::<u16>()).prop_map(|(depth, longer, bits)| Step::Reorganise { depth, longer, bits }),
        6 => any::<bool>().prop_map(|fails| Step::Answer { fails }),
        1 => (0..3_u8, 0..30_usize).prop_map(|(peer, which)| Step::Hear { peer, which }),
        1 => any::<bool>().prop_map(Step::Synced),
        1 => Just(Step::Peers),
        2 => Just(Step::Tick),
        1 => Just(Step::Restart),
    ]
}

struct World {
    chain: Chain,
    store: MemoryStore,
    machine: Machine,
    questions: Vec<Action>,
    /// What was acknowledged and not replaced since.
    owed: BTreeMap<B256, Arc<PoolTransaction>>,
    synced: bool,
    dropped: BTreeSet<B256>,
}

impl World {
    fn new() -> Self {
        let chain = Chain::new();
        let store = MemoryStore::new();
        let machine = Machine::new(disk::load(&store).unwrap(), &chain);
        let (questions, owed, dropped) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        Self { chain, store, machine, questions, owed, synced: false, dropped }
    }

    fn handle(&mut self, event: Event) {
        for action in self.machine.handle(event, &self.chain) {
            match action {
                Action::Relay(transactions) => self.check_relayed(&transactions),
                Action::Write(batch) => self.store.write(batch).unwrap(),
                Action::Report(Report::Dropped(hash, nonce)) => {
                    let sender = self.owed[&hash].sender();
                    let used = self.chain.nonce(&sender) > nonce;
                    assert!(used && self.chain.place(&hash).is_none(), "dropped although it could still come");
                    self.dropped.insert(hash);
                }
                Action::Report(Report::Included(hash, place)) => assert_eq!(self.chain.place(&hash), Some(place)),
                Action::Report(_) => {}
                question @ (Action::Search(_) | Action::Read(_)) => self.questions.push(question),
            }
        }
    }

    fn check_relayed(&self, transactions: &[Arc<PoolTransaction>]) {
        assert!(self.synced, "nothing goes out before the node has synced");
        let mut seen = BTreeSet::new();
        for tx in transactions {
            assert!(seen.insert(tx.hash()), "twice in one relay");
            assert!(self.owed.contains_key(&tx.hash()), "was replaced or never taken");
            let sender = tx.sender();
            // What is below is on the chain, or goes out too.
            for nonce in self.chain.nonce(&sender)..tx.tx().nonce() {
                assert!(self.owed.values().any(|tx| tx.sender() == sender && tx.tx().nonce() == nonce), "a gap");
            }
        }
    }

    /// Some of what is executable, by `bits`: the pool's, or with `foreign` the dearest of the nonce.
    fn take(&self, bits: u16, foreign: bool) -> Vec<Arc<PoolTransaction>> {
        let mut taken = Vec::new();
        for sender in 0..SENDERS {
            let address = picked(sender, 0, 0).sender();
            for nonce in self.chain.nonce(&address)..NONCES {
                let own = self.owed.values().find(|tx| tx.sender() == address && tx.tx().nonce() == nonce).cloned();
                let foreign = foreign.then(|| picked(sender, nonce, PRICES.len() - 1));
                let Some(tx) = foreign.or(own) else { break };
                if bits >> (nonce + 5 * u64::from(sender)) & 1 == 0 {
                    break;
                }
                taken.push(tx);
            }
        }
        taken
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit { sender, nonce, price } => self.submit(picked(sender, nonce, price)),
            Step::Mine { empty, bits, foreign } => {
                let taken = self.take(bits, foreign);
                self.chain.mine(taken);
                (0..empty).for_each(|_| self.chain.mine(Vec::new()));
                self.handle(Event::Head);
            }
            Step::Reorganise { depth, longer, bits } => {
                let keep = self.chain.blocks.len().saturating_sub(depth as usize).max(1);
                self.chain.blocks.truncate(keep);
                (0..depth + longer).for_each(|_| self.chain.mine(Vec::new()));
                let taken = self.take(bits, false);
                self.chain.mine(taken);
                self.handle(Event::Head);
            }
            Step::Answer { fails } => self.answer(fails),
            Step::Hear { peer, which } => {
                let hash = ALL[which % ALL.len()].hash();
                self.handle(Event::Heard(PeerId([peer; 64]), vec![hash]));
            }
            Step::Synced(synced) => {
                self.synced = synced;
                self.handle(Event::Synced(synced));
            }
            Step::Peers => self.handle(Event::Peers),
            Step::Tick => self.handle(Event::Tick),
            Step::Restart => self.restart(),
        }
        self.check_bounds();
    }

    fn submit(&mut self, tx: Arc<PoolTransaction>) {
        let account = self.chain.account(&tx.sender());
        let replaced = self.machine.at_nonce(&tx);
        match self.machine.judge(&tx, &account) {
            Ok(()) => {
                let batch = self.machine.record(&tx, &account);
                assert!(batch.is_synced());
                self.store.write(batch).unwrap();
                if let Some(replaced) = replaced {
                    self.owed.remove(&replaced);
                }
                self.owed.insert(tx.hash(), tx.clone());
                self.dropped.remove(&tx.hash());
                self.handle(Event::Admitted(tx, account));
            }
            Err(PoolError::NonceTooLow { .. }) => assert!(tx.tx().nonce() < account.nonce),
            Err(PoolError::AlreadyKnown) => assert!(self.owed.contains_key(&tx.hash())),
            Err(PoolError::ReplacementUnderpriced) => assert!(replaced.is_some()),
            Err(error) => panic!("{error}"),
        }
    }

    fn answer(&mut self, fails: bool) {
        for question in std::mem::take(&mut self.questions) {
            match question {
                Action::Search(point) if fails => self.handle(Event::NotSearched(point)),
                Action::Search(point) => {
                    // Whoever gives a body gives it for its hash; one of a block that has left the chain may come late.
                    let block = self.chain.blocks.iter().find(|block| block.hash == point.hash);
                    let hashes = block.map(|block| block.transactions.iter().map(|tx| tx.hash()).collect());
                    self.handle(hashes.map_or(Event::NotSearched(point), |hashes| Event::Searched(point, hashes)));
                }
                Action::Read(sender) if fails => self.handle(Event::NotRead(sender)),
                Action::Read(sender) => self.handle(Event::Read(sender, self.chain.account(&sender))),
                _ => {}
            }
        }
    }

    /// What a kill leaves is what was written.
    fn restart(&mut self) {
        self.questions.clear();
        self.machine = Machine::new(disk::load(&self.store).unwrap(), &self.chain);
        self.handle(Event::Head);
        self.handle(Event::Synced(self.synced));
    }

    fn check_bounds(&self) {
        let machine = &self.machine;
        for (hash, tx) in &self.owed {
            let known = machine.entries.contains_key(hash) || machine.tracked(hash).is_some();
            assert!(known || self.dropped.contains(hash), "lost: {hash} with nonce {}", tx.tx().nonce());
        }
        assert_eq!(machine.bytes, machine.entries.values().map(|entry| entry.tx.raw().len()).sum::<usize>());
        assert!(machine.senders.values().all(|sender| sender.slots.len() <= MAX_OF_SENDER));
        let slots: usize = machine.senders.values().map(|sender| sender.slots.len()).sum();
        assert_eq!(slots, machine.entries.len());
        let (path, ahead, heard) = machine.sizes();
        assert!(
            (1..=MAX_PATH).contains(&path) && ahead <= 2 * SEARCHES && heard <= MAX_HEARD,
            "{path} {ahead} {heard}"
        );
    }

    /// Once everything is answered the pool says what is true.
    fn settle(&mut self) {
        self.step(Step::Synced(true));
        for _ in 0..200 {
            self.step(Step::Answer { fails: false });
            self.step(Step::Tick);
        }
        let head = self.chain.head().number;
        for (hash, tx) in &self.owed {
            let place = self.chain.place(hash);
            let included = self.machine.tracked(hash).and_then(|tracked| tracked.included);
            assert_eq!(included, place, "{hash}");
            let used = self.chain.nonce(&tx.sender()) > tx.tx().nonce();
            assert_eq!(
                self.machine.get(hash).is_some(),
                match place {
                    Some(place) => place.number + DEEP > head,
                    None => !used,
                }
            );
        }
        let content = self.machine.content();
        for (sender, of_sender) in &content.pending {
            let expected: Vec<u64> = (self.chain.nonce(sender)..).take(of_sender.len()).collect();
            assert_eq!(of_sender.keys().copied().collect::<Vec<_>>(), expected);
            assert_eq!(self.machine.next_nonce(sender), expected.last().map(|last| last + 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_sent_in_vain(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
    }
}

/// Whoever makes the block chooses between a transaction and the one that took its place.
#[test]
fn a_replaced_transaction_that_is_included_has_its_place() {
    let mut world = World::new();
    world.step(Step::Synced(true));
    let (old, new) = (picked(0, 0, 0), picked(0, 0, 1));
    world.submit(old.clone());
    world.submit(new.clone());
    world.chain.mine(vec![old.clone()]);
    world.handle(Event::Head);
    for _ in 0..3 {
        world.step(Step::Answer { fails: false });
    }
    assert_eq!(world.machine.tracked(&old.hash()).and_then(|tracked| tracked.included), world.chain.place(&old.hash()));
    assert!(world.machine.get(&new.hash()).is_none(), "its nonce is used");
}

#[test]
fn a_damaged_disk_is_an_error_and_no_panic() {
    for (key, value) in [
        (vec![b't'; 33], vec![1; 9]),
        (vec![b't'; 3], vec![]),
        (vec![b'p'; 33], vec![7; 47]),
        (vec![b'a'; 21], vec![1]),
    ]
    .into_iter()
    .chain([(b"s".to_vec(), vec![0; 39]), (b"x".to_vec(), vec![])])
    {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        batch.put(Column::Transactions, &key, value);
        store.write(batch).unwrap();
        assert!(matches!(disk::load(&store), Err(StoreError::Damaged { .. })), "{key:?}");
    }
}
