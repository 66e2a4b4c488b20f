//! Runs over a state that has to be fetched: what is missing is collected in one go and looked up together.
//!
//! ```text
//!        ┌──────────────────────────────────────────────┐
//!        ▼                                              │
//!   run on what is known ── nothing missing ──► answer  │
//!        │ something missing: taken for empty, noted    │
//!        ▼                                              │
//!   look-ups side by side ── some have come ────────────┘
//! ```
//!
//! A run costs microseconds and a turn over the network milliseconds, so the next run does not wait for the slowest
//! look-up: what has come may already tell what else is needed. Only a run in which nothing was missing counts.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use alloy_trie::TrieAccount;
use futures::{
    StreamExt,
    stream::{FuturesUnordered, Stream},
};
use rushlight_chain::SealedHeader;

use super::{
    CallError,
    environment::Setting,
    known::{Ancestry, Found, Ground, Item, Known},
    limits::{CallLimits, MOST_MEMORY, MOST_MISSING, MOST_RUNS, MOST_STATE},
    watch::{Halted, Watch},
};
use crate::{ClientError, LightClient, state};

/// Why a run gave nothing.
#[derive(Debug)]
pub(crate) enum RunError {
    /// It was stopped.
    Halted(Halted),
    /// It has an answer, and that is an error.
    Call(CallError),
}

impl From<Halted> for RunError {
    fn from(halted: Halted) -> Self {
        Self::Halted(halted)
    }
}

impl<E: Into<CallError>> From<E> for RunError {
    fn from(error: E) -> Self {
        Self::Call(error.into())
    }
}

/// What runs go over: the state of one header.
#[derive(Clone, Debug)]
pub(crate) struct Over {
    pub(crate) header: SealedHeader,
    pub(crate) ancestry: Ancestry,
    pub(crate) delegations: bool,
    pub(crate) limits: CallLimits,
}

impl Over {
    /// The state after the block of `header`, for a call in `setting`.
    pub(crate) fn new(header: &SealedHeader, setting: &Setting, limits: &CallLimits) -> Self {
        let (ancestry, delegations) = (setting.ancestry, setting.delegations());
        Self { header: header.clone(), ancestry, delegations, limits: *limits }
    }
}

/// Tells the run under way that nobody waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl LightClient {
    /// Runs `run` again and again, off the async threads, until nothing that it asked its [`Ground`] for was missing.
    /// `first` is looked up before: what every run will ask for.
    ///
    /// `run` computes the same from the same state, however often it is called. It may well return early once the ground
    /// is not complete, but the more it asks for the fewer runs it takes. Dropping the future stops it and its look-ups.
    pub(crate) async fn run_over<T, F>(&self, over: Over, first: Vec<Item>, run: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Fn(&Ground) -> Result<T, RunError> + Send + Sync + 'static,
    {
        let abandoned = Arc::new(AtomicBool::new(false));
        let _abandon = Abandon(abandoned.clone());
        let run = Arc::new(run);
        let limits = over.limits;
        let mut known = Known::default();
        let mut under_way = FuturesUnordered::new();
        let mut asked: HashSet<Item> = HashSet::new();
        let mut failed: HashMap<Item, ClientError> = HashMap::new();
        let mut missing = first;
        let mut took = Duration::ZERO;
        for _ in 0..MOST_RUNS {
            let room = MOST_MISSING.saturating_sub(under_way.len());
            let new: Vec<_> = missing.iter().filter(|item| !asked.contains(*item)).take(room).copied().collect();
            for item in new {
                if asked.insert(item) {
                    under_way.push(self.look_up(&over, &known, item));
                }
            }
            if under_way.is_empty() {
                if let Some(error) = missing.iter().find_map(|item| failed.get(item)) {
                    return Err(error.clone().into());
                }
            } else {
                for (item, found) in some(&mut under_way, took).await {
                    match found {
                        Ok(found) => known.insert(found, over.delegations),
                        Err(error) => _ = failed.insert(item, error),
                    }
                }
            }
            if known.size() > MOST_STATE {
                return Err(CallError::State);
            }

            // The slot is held by the run itself, so that one that is abandoned keeps it until it has stopped.
            let slot = self.evm_slots().acquire_owned().await;
            let (run, over, abandoned) = (run.clone(), over.clone(), abandoned.clone());
            let running = tokio::task::spawn_blocking(move || {
                let _slot = slot;
                let watch = Watch::new(abandoned, over.limits.deadline());
                let ground = Ground::new(known, over.ancestry, over.delegations, watch);
                let began = Instant::now();
                let outcome = run(&ground);
                let (known, missing, watch) = ground.into_parts();
                (outcome, known, missing, watch.halted(), began.elapsed())
            });
            let (outcome, halted);
            (outcome, known, missing, halted, took) =
                running.await.map_err(|error| CallError::Internal(error.to_string()))?;
            if missing.is_empty() {
                return match (outcome, halted) {
                    (Ok(answer), None) => Ok(answer),
                    (_, Some(halted)) | (Err(RunError::Halted(halted)), None) => Err(stopped(halted, &limits)),
                    (Err(RunError::Call(error)), None) => Err(error),
                };
            }
        }
        Err(CallError::State)
    }

    fn look_up(
        &self,
        over: &Over,
        known: &Known,
        item: Item,
    ) -> impl Future<Output = (Item, Result<Found, ClientError>)> + Send + '_ {
        let header = over.header.clone();
        let ancestry = over.ancestry;
        let held = match item {
            Item::Account { address, .. } | Item::Slot { address, .. } => known.account(&address),
            _ => None,
        };
        async move { (item, self.find(&header, ancestry, held, item).await) }
    }

    /// `held` is the account that the item is about, where it was looked up before.
    async fn find(
        &self,
        header: &SealedHeader,
        ancestry: Ancestry,
        held: Option<Option<TrieAccount>>,
        item: Item,
    ) -> Result<Found, ClientError> {
        let source = &**self.source();
        let account = async |address| match held {
            Some(account) => Ok(account),
            None => state::account(source, header.state_root, address).await.map(|(account, _)| account),
        };
        Ok(match item {
            Item::Account { address, code } => {
                let account = account(address).await?;
                let code = match account {
                    Some(account) if code => Some(state::code(source, address, account.code_hash).await?),
                    _ => None,
                };
                Found::Account { address, account, code }
            }
            Item::Code { address, hash } => Found::Code { hash, code: state::code(source, address, hash).await? },
            Item::Slot { address, slot } => {
                let account = account(address).await?;
                let value = match account {
                    Some(account) => state::storage(source, account.storage_root, address, slot.into()).await?.value,
                    None => Default::default(),
                };
                Found::Slot { address, slot, account, value }
            }
            Item::Path(what) => Found::Nodes { path: Some(what), nodes: state::path(source, what).await? },
            Item::Node { hash, what } => {
                let nodes = source.preimages(vec![rushlight_odr::Wanted::new(hash, what)]).await;
                Found::Nodes { path: None, nodes: nodes.map_err(ClientError::from)? }
            }
            Item::BlockHash(number) => Found::BlockHash(number, self.ancestor_hash(header, ancestry, number).await?),
        })
    }

    /// The hash of the ancestor of `header` with that number, which is below the parent's.
    async fn ancestor_hash(&self, header: &SealedHeader, ancestry: Ancestry, number: u64) -> Result<B256, ClientError> {
        let back = usize::try_from(ancestry.number.saturating_sub(number)).unwrap_or(usize::MAX);
        // Hashes of ancestors of this very header, on whatever branch it is.
        if let Some(hash) = self.chain().hashes_before(&header.hash(), back).get(back.saturating_sub(1)) {
            return Ok(*hash);
        }
        // No branch reaches below the retained headers.
        Ok(self.resolve(BlockNumberOrTag::Number(number)).await?.hash())
    }
}

/// Waits for one look-up, and for those that come within `grace` after it: the time that a run takes, so that no more
/// than half of all time goes into runs.
async fn some<S: Stream + Unpin>(under_way: &mut S, grace: Duration) -> Vec<S::Item> {
    let mut found: Vec<_> = under_way.next().await.into_iter().collect();
    let more = async {
        while let Some(next) = under_way.next().await {
            found.push(next);
        }
    };
    let _ = tokio::time::timeout(grace, more).await;
    found
}

fn stopped(halted: Halted, limits: &CallLimits) -> CallError {
    match halted {
        Halted::Time => CallError::TimedOut(limits.evm_timeout),
        Halted::Memory => CallError::Memory(MOST_MEMORY),
        // Neither can be where somebody waits and nothing was missing.
        Halted::Abandoned | Halted::Enough => CallError::Internal(halted.to_string()),
    }
}
