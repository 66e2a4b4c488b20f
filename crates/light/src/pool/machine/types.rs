//! What happens, what is to be done, and what is held.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256, U256};
use rushlight_chain::{
    Batch,
    pool::{Included, PoolTransaction},
};
use rushlight_p2p::PeerId;

/// A block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Point {
    pub(in crate::pool) number: u64,
    pub(in crate::pool) hash: B256,
}

/// The canonical chain, as far as the pool looks at it.
pub(in crate::pool) trait View {
    fn head(&self) -> Point;

    /// The canonical hash at a number; `None` above the head, and where the header is not retained.
    fn canonical(&self, number: u64) -> Option<B256>;

    /// Whether the block is on the chain. One that is too old to be retained counts as that.
    fn holds(&self, point: &Point) -> bool {
        point.number <= self.head().number
            && self.canonical(point.number).is_none_or(|canonical| canonical == point.hash)
    }
}

/// A sender's account as it was proved at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) struct Account {
    pub(in crate::pool) nonce: u64,
    pub(in crate::pool) balance: U256,
    /// Whether it has code, which is then a delegation (EIP-7702).
    pub(in crate::pool) delegated: bool,
    pub(in crate::pool) at: Point,
}

/// What happens.
#[derive(Debug)]
pub(in crate::pool) enum Event {
    /// A transaction that [`Machine::judge`] let in is on disk.
    Admitted(Arc<PoolTransaction>, Account),
    /// The canonical chain has another head.
    Head,
    /// Whether the node has synced: before that nothing is relayed, searched or read.
    Synced(bool),
    /// A block's transactions, in their order.
    Searched(Point, Vec<B256>),
    /// Nobody gave the block.
    NotSearched(Point),
    /// An account.
    Read(Address, Account),
    /// Nobody proved the account.
    NotRead(Address),
    /// A peer told of these transactions.
    Heard(PeerId, Vec<B256>),
    /// A session has come.
    Peers,
    /// Time to try again.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub(in crate::pool) enum Action {
    /// To every session, by its rules. Told back by [`Machine::sent`].
    Relay(Vec<Arc<PoolTransaction>>),
    /// Download a block. Told back as [`Event::Searched`] or [`Event::NotSearched`].
    Search(Point),
    /// Read an account at the head. Told back as [`Event::Read`] or [`Event::NotRead`].
    Read(Address),
    /// To disk, in this order.
    Write(Batch),
    /// To the log.
    Report(Report),
}

/// What an operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Report {
    Included(B256, Included),
    PutBack(B256, Included),
    Settled(B256, Included),
    Superseded(B256, u64),
    Dropped(B256, u64),
}

/// One transaction.
#[derive(Debug)]
pub(in crate::pool) struct Entry {
    pub(in crate::pool) tx: Arc<PoolTransaction>,
    pub(in crate::pool) place: Option<Included>,
    /// The block at which its nonce was found used by another.
    pub(in crate::pool) superseded: Option<u64>,
    pub(super) sent: u64,
    pub(super) heard: BTreeSet<PeerId>,
}

impl Entry {
    pub(in crate::pool) fn waits(&self) -> bool {
        self.place.is_none() && self.superseded.is_none()
    }
}

/// What is known of an account, and its transactions by nonce.
#[derive(Debug)]
pub(in crate::pool) struct Sender {
    pub(in crate::pool) slots: BTreeMap<u64, B256>,
    pub(in crate::pool) account: Account,
    pub(super) read: Reading,
}

impl Sender {
    /// Whether the account was read on the chain as it is.
    pub(super) fn is_proved(&self) -> bool {
        self.account.at != Point::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Idle,
    Asked,
    Failed,
}

/// A block above those that were searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    Asked(B256),
    Failed(B256),
    Done(B256),
}
