//! The transaction pool of a full peer: everybody's transactions that can stand in a block, or could if others came.
//!
//! ```text
//!   txs      which it takes, by sender and nonce: pure
//!   room     … what has to go when it is full: pure
//!   config   how much it holds
//!   refresh  a new head: what is mined or void goes, what left the chain comes back
//!   gossip   from sessions, and to them
//! ```
//!
//! The checks are those that both pools share (`rushlight_chain::pool`), the states those of the head. It lives in memory: a
//! restart begins with an empty one, and senders' own nodes send again.

mod config;
mod gossip;
mod refresh;
mod room;
mod txs;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, B256, Bytes};
use lru::LruCache;
use rushlight_chain::pool::{
    BoxFuture, Content, PoolError, PoolTransaction, SubmitError, Tracked, TransactionPool, check, needs_cell_proofs,
    verify_blobs, with_cell_proofs,
};
use rushlight_chain::{SealedHeader, StoreError};
use tokio::sync::watch;

pub use config::PoolConfig;
pub(crate) use gossip::{Gossip, Intake};
use txs::{AccountState, Txs};

use crate::build::Offer;
use crate::{FullChain, StateError};

/// Mined blob transactions that are kept with their sidecars, as a reorganisation would give back no sidecars: 32 MiB at
/// the worst with sidecars of the largest size that the pool takes.
const LIMBO: usize = 32;

/// The pool; a cheap handle, shared by sessions, JSON-RPC and the sealer.
#[derive(Clone)]
pub struct FullPool {
    shared: Arc<Shared>,
}

struct Shared {
    chain: Arc<FullChain>,
    config: PoolConfig,
    // Held for what takes microseconds, or a sort of a full pool; never across an await or a read of the disk.
    inner: Mutex<Inner>,
    /// Held by whoever goes over to a new head.
    refreshing: Mutex<()>,
    changed: watch::Sender<u64>,
}

struct Inner {
    txs: Txs,
    /// What `txs` was last checked against.
    head: SealedHeader,
    limbo: LruCache<B256, Arc<PoolTransaction>>,
}

impl std::fmt::Debug for FullPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FullPool").field("transactions", &self.inner().txs.len()).finish_non_exhaustive()
    }
}

impl FullPool {
    /// An empty pool at the chain's head.
    pub fn new(chain: Arc<FullChain>, config: PoolConfig) -> FullPool {
        let head = chain.headers.head().header;
        let limbo = LruCache::new(std::num::NonZeroUsize::new(LIMBO).unwrap_or(std::num::NonZeroUsize::MIN));
        let inner = Mutex::new(Inner { txs: Txs::new(config), head, limbo });
        let (refreshing, changed) = (Mutex::new(()), watch::Sender::new(0));
        FullPool { shared: Arc::new(Shared { chain, config, inner, refreshing, changed }) }
    }

    /// Changes whenever a transaction comes or goes.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// How many transactions it holds.
    pub fn len(&self) -> usize {
        self.inner().txs.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a transaction that a user or a peer sent. From users sidecars of version 0 are taken after Osaka, as by geth.
    ///
    /// Blocks, for blobs some tenths of a second: call it off the async threads.
    pub fn add(&self, raw: Bytes, local: bool) -> Result<B256, SubmitError> {
        let mut tx = PoolTransaction::decode(raw)?;
        self.refresh().map_err(local_failure)?;
        let head = self.inner().head.clone();
        if local && needs_cell_proofs(&tx, &self.shared.chain.spec, &head) {
            tx = with_cell_proofs(tx)?;
        }
        if self.inner().txs.entry(&tx.hash()).is_some() {
            return Err(PoolError::AlreadyKnown.into());
        }
        check(&tx, &self.shared.chain.spec, &head, &self.shared.config.limits)?;
        verify_blobs(&tx)?;
        self.put(Arc::new(tx))
    }

    /// Takes one whose blobs are what they are said to be.
    fn put(&self, tx: Arc<PoolTransaction>) -> Result<B256, SubmitError> {
        let authorities: Vec<_> = tx.authorities().collect();
        // Again where the head changed meanwhile, which takes longer than this.
        loop {
            let head = self.inner().head.clone();
            check(&tx, &self.shared.chain.spec, &head, &self.shared.config.limits)?;
            let state = self.account_state(&head, tx.sender()).map_err(local_failure)?;
            let mut inner = self.inner();
            if inner.head.hash() != head.hash() {
                continue;
            }
            let (base_fee, now) = (head.base_fee_per_gas.unwrap_or_default(), (self.shared.chain.clock)());
            let added = inner.txs.add(tx.clone(), &authorities, state, base_fee, now)?;
            drop(inner);
            tracing::debug!(
                hash = %tx.hash(), replaced = ?added.replaced, evicted = added.evicted.len(), "transaction pooled"
            );
            self.tell_changed();
            return Ok(tx.hash());
        }
    }

    /// What can stand in the next block.
    ///
    /// Blocks: call it off the async threads.
    pub fn offer(&self, min_tip: u128) -> Result<Offer, StateError> {
        self.refresh()?;
        Ok(Offer { senders: self.inner().txs.executable(), min_tip })
    }

    /// Whether anything can stand in a block.
    pub(crate) fn has_executable(&self) -> bool {
        self.inner().txs.accounts.values().any(|account| account.executable().next().is_some())
    }

    /// Lets go what turned out to be of no use.
    pub(crate) fn drop_refused(&self, refused: &[(B256, String)]) {
        for (hash, why) in refused {
            tracing::debug!(%hash, why, "transaction dropped: a block would not take it");
            self.inner().txs.remove(hash);
        }
        if !refused.is_empty() {
            self.tell_changed();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // What a panic would leave behind is at worst a transaction too few.
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_changed(&self) {
        self.shared.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn account_state(&self, head: &SealedHeader, address: Address) -> Result<AccountState, StateError> {
        let account = self.shared.chain.account(head.state_root, address)?;
        Ok(account.map_or_else(AccountState::default, |account| AccountState {
            nonce: account.nonce,
            balance: account.balance,
            has_code: account.code_hash != alloy_trie::KECCAK_EMPTY,
        }))
    }
}

impl TransactionPool for FullPool {
    fn submit(&self, raw: Bytes) -> BoxFuture<'_, Result<B256, SubmitError>> {
        let pool = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || pool.add(raw, true)).await;
            done.unwrap_or_else(|error| {
                Err(SubmitError::Store(StoreError::Io { action: "checking a transaction", error: error.to_string() }))
            })
        })
    }

    fn get(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        if let Some(entry) = self.inner().txs.entry(hash) {
            return Some(entry.tx.clone());
        }
        self.shared.chain.included(hash)?;
        if let Some(tx) = self.inner().limbo.get(hash) {
            return Some(tx.clone());
        }
        // Blobs do not stand in blocks, so that this form of their transactions is no more.
        let raw = self.shared.chain.lookup(hash).ok().flatten()?;
        PoolTransaction::decode(raw).ok().map(Arc::new)
    }

    fn tracked(&self, hash: &B256) -> Option<Tracked> {
        let inner = self.inner();
        if let Some(entry) = inner.txs.entry(hash) {
            let (sent, heard, queued) = (entry.sent, entry.heard, inner.txs.is_queued(hash));
            return Some(Tracked { sent, heard, included: None, queued });
        }
        drop(inner);
        self.shared.chain.included(hash).map(|included| Tracked { included: Some(included), ..Tracked::default() })
    }

    fn content(&self) -> Content {
        self.inner().txs.content()
    }

    fn next_nonce(&self, sender: &Address) -> Option<u64> {
        self.inner().txs.next_nonce(sender)
    }
}

/// Our own disk failed; never the transaction's fault.
fn local_failure(error: StateError) -> SubmitError {
    SubmitError::Store(match error {
        StateError::Store(error) => error,
        other => StoreError::Damaged { what: other.to_string() },
    })
}
