//! Opening a chain: what is stored is looked over before anything rests on it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use alloy_primitives::B256;
use tokio::sync::broadcast;

use super::bounds::sweep;
use super::prune::{prune, tidy};
use super::snapshots::SNAPSHOT_CACHE;
use super::state::{Run, State};
use super::view::{self, Entry, View, header_record, number_key};
use super::{
    ChainError, EVENT_QUEUE, HEADER_CACHE, HEADER_CACHE_THINNED, Head, HeaderChain, HeaderChainConfig, Limits, Retain,
    SealPolicy, cache,
};
use crate::header;
use crate::sampling::Secret;
use crate::spec::ChainSpec;
use crate::store::{self, Batch, Column, Store, StoreError};

/// Headers below the head that are looked over on opening.
const LOOK_OVER: u64 = 128;

pub(super) fn open(
    spec: Arc<ChainSpec>,
    store: Arc<dyn Store>,
    config: HeaderChainConfig,
    limits: Limits,
) -> Result<HeaderChain, ChainError> {
    store::bind(store.as_ref(), spec.genesis_hash())?;
    let secret = Secret::load_or_create(store.as_ref())?;
    let state = match State::stored_head(store.as_ref())? {
        None => begin(&spec, store.as_ref())?,
        Some(hash) => load(store.as_ref(), &hash)?,
    };
    let headers = if config.retain == Retain::All { HEADER_CACHE } else { HEADER_CACHE_THINNED };
    let chain = HeaderChain {
        spec,
        store,
        config,
        secret,
        limits,
        writer: Mutex::new(()),
        state: RwLock::new(state),
        headers: cache(headers),
        snapshots: cache(SNAPSHOT_CACHE),
        events: broadcast::Sender::new(EVENT_QUEUE),
        seals_checked: AtomicU64::new(0),
        thinned: AtomicU64::new(0),
    };
    drop_unusable_branches(&chain)?;
    prune(&chain)?;
    sweep(&chain)?;
    tidy(&chain);
    if chain.policy() == SealPolicy::All && chain.state().sampled_to > 0 {
        tracing::warn!(
            below = chain.state().sampled_to,
            "headers that are stored already were accepted with sampled seals; all seals are checked from here on"
        );
    }
    Ok(chain)
}

/// Starts a chain with its genesis.
fn begin(spec: &ChainSpec, store: &dyn Store) -> Result<State, StoreError> {
    let genesis = &spec.genesis;
    let td = genesis.difficulty;
    let state = State::genesis(Head { header: genesis.clone(), td });
    let mut batch = Batch::new();
    batch.put_bytes(
        Column::Headers,
        alloy_primitives::Bytes::copy_from_slice(genesis.hash_ref().as_slice()),
        header_record(td, &header::encode(genesis)),
    );
    batch.put(Column::Numbers, number_key(0, 0), genesis.hash());
    state.store(None, &mut batch);
    store.write(batch.synced())?;
    Ok(state)
}

/// Loads the state and looks over the end of the chain. As every change is one batch, only a damaged disk breaks it;
/// then the store is refused, with the block at which it breaks.
fn load(store: &dyn Store, head: &B256) -> Result<State, StoreError> {
    let entry = view::read_entry(store, head)?
        .ok_or_else(|| StoreError::Damaged { what: format!("the head {head} is not there") })?;
    let Entry { header, td } = entry;
    let state = State::load(store, Head { header, td })?;
    look_over(&View::new(store, &state), store)?;
    Ok(state)
}

/// Checks that index and headers agree and are linked, for the last headers of the chain.
fn look_over(view: &View<'_>, store: &dyn Store) -> Result<(), StoreError> {
    let head = &view.state.head;
    let mut expected = head.header.hash();
    let mut number = head.header.number;
    // What a trusted head stands on may end in a gap, or in another genesis.
    let refused = view.state.trusted.as_ref().is_some_and(|trusted| !trusted.fault.is_empty());
    let unlinked = view.state.gap().map_or(u64::from(refused), |gap| view.state.trunk[gap].first);
    let gaps = view.state.trunk.iter().filter(|run| run.has_gaps());
    let whole_from = gaps.map(Run::whole_from).max().unwrap_or(0);
    let last = number.saturating_sub(LOOK_OVER).max(unlinked).max(whole_from).min(number);
    loop {
        let damaged = |what: &str| StoreError::Damaged { what: format!("block {number} ({expected}): {what}") };
        if view.canonical(number)? != Some(expected) {
            return Err(damaged("the index names another header"));
        }
        let entry = view::read_entry(store, &expected)?.ok_or_else(|| damaged("the header is not there"))?;
        if entry.header.number != number {
            return Err(damaged("the header has another number"));
        }
        if number == last {
            return Ok(());
        }
        expected = entry.header.parent_hash;
        number -= 1;
    }
}

/// Drops branches that are not whole, and provisional ones where every seal is to be checked on arrival: they come
/// again, and are then checked.
fn drop_unusable_branches(chain: &HeaderChain) -> Result<(), StoreError> {
    let all = chain.policy() == SealPolicy::All;
    let mut state = chain.state().clone();
    let before = state.branches.len();
    loop {
        let view = View::new(chain.store.as_ref(), &state);
        let mut doomed = None;
        for (index, branch) in state.branches.iter().enumerate() {
            let whole = view.parent_place(branch).is_ok()
                && view.number(branch.run.id, branch.run.last)? == Some(branch.tip)
                && view::read_entry(chain.store.as_ref(), &branch.tip)
                    .is_ok_and(|entry| entry.is_some_and(|entry| entry.header.number == branch.run.last));
            if !whole || (all && !branch.accepted) {
                doomed = Some(index);
                tracing::info!(
                    tip = %branch.tip,
                    headers = branch.run.len(),
                    whole,
                    "dropping a stretch of headers that is not settled"
                );
                break;
            }
        }
        // What was built on a dropped branch loses its parent and goes in a later round.
        let Some(index) = doomed else { break };
        let branch = state.branches.remove(index);
        state.garbage.push(branch.run);
    }
    if state.branches.len() == before {
        return Ok(());
    }
    state.release_pins();
    let mut batch = Batch::new();
    let mut current = chain.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    state.store(Some(&current), &mut batch);
    chain.store.write(batch)?;
    *current = state;
    Ok(())
}
