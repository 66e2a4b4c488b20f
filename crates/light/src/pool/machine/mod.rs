//! Every decision of the pool, without I/O: events in, actions out.
//!
//! A transaction *waits* until a canonical block is found that holds it, is *watched* there until that block is deep, and
//! is let go then. Those that wait and whose nonces follow the account's without a gap are *executable*: only they are
//! relayed. One whose nonce was used while no block that was searched holds it is *superseded*: it is relayed no more, and
//! dropped once that is deep too, as a reorganisation may give the nonce back.
//!
//! ```text
//! types  events, actions, what is held
//! chain  what follows from the chain: blocks searched, given back, deep enough
//! plan   what can be asked for next, and what is relayed
//! view   what JSON-RPC reads
//! ```

mod chain;
mod plan;
mod types;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use rushlight_chain::{
    Batch,
    pool::{Included, PoolTransaction},
};
use rushlight_p2p::PeerId;

use super::{
    disk::{self, Stored},
    limits::{MAX_HEARD, MAX_REPLACED},
};
pub(in crate::pool) use types::{Account, Action, Entry, Event, Point, Report, View};
use types::{Ahead, Reading, Sender};

#[derive(Debug)]
pub(in crate::pool) struct Machine {
    pub(in crate::pool) entries: HashMap<B256, Entry>,
    pub(in crate::pool) senders: BTreeMap<Address, Sender>,
    /// Places of those that were let go, the one that was longest ago first.
    settled: VecDeque<(B256, Included)>,
    /// Transactions that another one has taken the place of, the one of longest ago first: it is the block's maker who
    /// chooses between the two.
    replaced: VecDeque<B256>,
    /// Blocks up to which all that waits has been searched for; the last one counts, those before it tell where a
    /// reorganisation begins. Never empty.
    path: VecDeque<Point>,
    ahead: BTreeMap<u64, Ahead>,
    synced: bool,
    pub(in crate::pool) bytes: usize,
}

impl Machine {
    /// The pool as it was left.
    pub(in crate::pool) fn new(stored: Stored, view: &impl View) -> Self {
        let places: HashMap<B256, Included> = stored.places.into_iter().collect();
        let searched = stored.searched.unwrap_or_else(|| view.head());
        let mut machine = Self {
            entries: HashMap::new(),
            senders: BTreeMap::new(),
            settled: VecDeque::new(),
            replaced: VecDeque::new(),
            path: [searched].into(),
            ahead: BTreeMap::new(),
            synced: false,
            bytes: 0,
        };
        for tx in stored.transactions {
            let (hash, sender) = (tx.hash(), tx.sender());
            // Its nonce is what was known last; nothing is relayed before it has been proved again.
            let nonce = stored.nonces.get(&sender).copied().unwrap_or_else(|| tx.tx().nonce());
            let account = Account { nonce, balance: U256::ZERO, delegated: false, at: Point::default() };
            machine.insert(Arc::new(tx), account);
            if let Some(entry) = machine.entries.get_mut(&hash) {
                entry.place = places.get(&hash).copied();
            }
        }
        let mut settled: Vec<_> = places.into_iter().filter(|(hash, _)| !machine.entries.contains_key(hash)).collect();
        settled.sort_unstable_by_key(|(hash, place)| (place.number, place.index, *hash));
        machine.settled = settled.into();
        machine
    }
}

impl Machine {
    /// Takes in an event and says what follows from it.
    pub(in crate::pool) fn handle(&mut self, event: Event, view: &impl View) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Admitted(tx, account) => self.admitted(tx, account, view, &mut actions),
            Event::Head => self.follow(view, &mut actions),
            Event::Synced(synced) => {
                self.synced = synced;
                self.relay(&mut actions);
            }
            Event::Searched(point, transactions) => self.searched(point, &transactions, view, &mut actions),
            Event::NotSearched(point) => {
                if let Some(ahead) = self.ahead.get_mut(&point.number).filter(|held| **held == Ahead::Asked(point.hash))
                {
                    *ahead = Ahead::Failed(point.hash);
                }
            }
            Event::Read(sender, account) => self.read(&sender, account, view, &mut actions),
            Event::NotRead(sender) => {
                if let Some(sender) = self.senders.get_mut(&sender) {
                    sender.read = Reading::Failed;
                }
            }
            Event::Heard(peer, hashes) => self.heard(peer, &hashes),
            Event::Peers => self.relay(&mut actions),
            Event::Tick => self.tick(view, &mut actions),
        }
        self.advance(&mut actions);
        self.plan(view, &mut actions);
        actions
    }

    /// A transaction went out on so many sessions.
    pub(in crate::pool) fn sent(&mut self, hash: &B256, sessions: u64) {
        if let Some(entry) = self.entries.get_mut(hash) {
            entry.sent = entry.sent.saturating_add(sessions);
        }
    }

    /// What [`Event::Admitted`] has to bring to disk beforehand.
    pub(in crate::pool) fn record(&self, tx: &PoolTransaction, account: &Account) -> Batch {
        let mut batch = Batch::new();
        if let Some(replaced) = self.at_nonce(tx) {
            disk::delete_transaction(&mut batch, &replaced);
            disk::delete_place(&mut batch, &replaced);
        }
        // Of an earlier life, if any.
        disk::delete_place(&mut batch, &tx.hash());
        disk::put_transaction(&mut batch, tx);
        disk::put_nonce(&mut batch, &tx.sender(), account.nonce);
        let cursor = self.cursor();
        disk::put_searched(&mut batch, if account.at.number < cursor.number { &account.at } else { &cursor });
        batch.synced()
    }

    fn admitted(&mut self, tx: Arc<PoolTransaction>, account: Account, view: &impl View, actions: &mut Vec<Action>) {
        let sender = tx.sender();
        if let Some(replaced) = self.at_nonce(&tx) {
            self.remove(&replaced);
            self.replaced.push_back(replaced);
            if self.replaced.len() > MAX_REPLACED {
                self.replaced.pop_front();
            }
        }
        self.replaced.retain(|replaced| *replaced != tx.hash());
        self.settled.retain(|(settled, _)| *settled != tx.hash());
        self.insert(tx, account);
        // Up to where the account was read the transaction is not on the chain; what has been searched above that, was
        // not searched for it.
        while self.path.back().is_some_and(|point| point.number > account.at.number) {
            self.path.pop_back();
        }
        if self.path.is_empty() {
            self.path.push_back(account.at);
        }
        self.refresh(&sender, account, view, actions);
        self.relay_of(&[sender], actions);
    }

    fn insert(&mut self, tx: Arc<PoolTransaction>, account: Account) {
        let (hash, nonce) = (tx.hash(), tx.tx().nonce());
        let new = || Sender { slots: BTreeMap::new(), account, read: Reading::Idle };
        self.senders.entry(tx.sender()).or_insert_with(new).slots.insert(nonce, hash);
        self.bytes += tx.raw().len();
        let entry = Entry { tx, place: None, superseded: None, sent: 0, heard: BTreeSet::new() };
        if let Some(before) = self.entries.insert(hash, entry) {
            self.bytes -= before.tx.raw().len();
        }
    }

    fn remove(&mut self, hash: &B256) -> Option<Entry> {
        let entry = self.entries.remove(hash)?;
        self.bytes -= entry.tx.raw().len();
        let (sender, nonce) = (entry.tx.sender(), entry.tx.tx().nonce());
        if let Some(of_sender) = self.senders.get_mut(&sender)
            && of_sender.slots.get(&nonce) == Some(hash)
        {
            of_sender.slots.remove(&nonce);
        }
        Some(entry)
    }

    /// The transaction that one with this sender and nonce takes the place of.
    pub(in crate::pool) fn at_nonce(&self, tx: &PoolTransaction) -> Option<B256> {
        let nonce = tx.tx().nonce();
        self.senders.get(&tx.sender())?.slots.get(&nonce).copied()
    }

    fn cursor(&self) -> Point {
        self.path.back().copied().unwrap_or_default()
    }

    fn any_waits(&self) -> bool {
        self.entries.values().any(Entry::waits)
    }

    fn read(&mut self, address: &Address, account: Account, view: &impl View, actions: &mut Vec<Action>) {
        self.refresh(address, account, view, actions);
        if let Some(sender) = self.senders.get_mut(address) {
            sender.read = Reading::Idle;
        }
        self.relay_of(&[*address], actions);
    }

    /// The newest that is known of an account counts.
    fn refresh(&mut self, address: &Address, account: Account, view: &impl View, actions: &mut Vec<Action>) {
        let Some(sender) = self.senders.get_mut(address) else { return };
        if !view.holds(&account.at) || account.at.number < sender.account.at.number {
            return;
        }
        if sender.account.nonce != account.nonce {
            let mut batch = Batch::new();
            disk::put_nonce(&mut batch, address, account.nonce);
            push_write(batch, actions);
        }
        sender.account = account;
    }

    fn heard(&mut self, peer: PeerId, hashes: &[B256]) {
        for hash in hashes {
            if let Some(entry) = self.entries.get_mut(hash)
                && entry.heard.len() < MAX_HEARD
            {
                entry.heard.insert(peer);
            }
        }
    }

    fn tick(&mut self, view: &impl View, actions: &mut Vec<Action>) {
        for sender in self.senders.values_mut().filter(|sender| sender.read == Reading::Failed) {
            sender.read = Reading::Idle;
        }
        self.ahead.retain(|_, ahead| !matches!(ahead, Ahead::Failed(_)));
        // An event of the chain may have been missed.
        if !view.holds(&self.cursor()) || (!self.any_waits() && self.cursor() != view.head()) {
            self.follow(view, actions);
        }
        // What was found after an absence may be deep already.
        let mut batch = Batch::new();
        self.let_go(view.head(), &mut batch, actions);
        push_write(batch, actions);
        self.relay(actions);
    }
}

fn push_write(batch: Batch, actions: &mut Vec<Action>) {
    if !batch.is_empty() {
        actions.push(Action::Write(batch));
    }
}
