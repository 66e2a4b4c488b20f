//! The chain of headers: batches in, total difficulty, reorganisations, the canonical index, events.
//!
//! ```text
//!   prepare   bytes -> headers that follow each other and the rules     pure but for reading the parent
//!   commit    -> one atomic batch: headers, index, head                 one writer at a time
//!   settle    the seals of a provisional stretch -> accepted            off the lock while seals are checked
//!   state     what is known, in a few hundred bytes: trunk and branches
//!   view      look-ups through state and store
//!   serve     many headers at once, as they are stored
//! ```
//!
//! **Trunk and branches.** The canonical chain is the *trunk*. Every other header belongs to a *branch*: a run of
//! headers, each the child of the one before, whose first has its parent in the trunk or in another branch. A branch
//! is accepted (verified, but lighter) or provisional (its seals are not settled yet). The index keeps for each branch
//! the hash at each number, so a header is known if the index of the trunk or of some branch names it, and a whole
//! stretch becomes the chain, or vanishes, by a change of a few bytes, whatever its length.
//!
//! **Fork choice.** The chain with the greatest total difficulty; of equals the first seen.
//!
//! **Seals.** With [`SealPolicy::All`] a header's seal is checked as it arrives. With [`SealPolicy::Sampled`], headers
//! that arrive in bulk form provisional branches: of each window of 100 numbers one header, drawn once the window's
//! hashes are fixed (see [`crate::sampling`]), is checked as soon as the window is complete, and
//! [`HeaderChain::settle`] checks the last of the chain: 2,048 with ethash, max(1,024, 2 × signers) with clique. One bad
//! seal drops the provisional stretch whole. A single header that follows an accepted one is among the last and is
//! checked at once.
//!
//! **Clique, sampled.** Every header that carries a vote or a list of signers is checked as it arrives, so that it is
//! known at all times who may sign, and a drawn header is checked against those who might. Who signed the others stays
//! unknown; the recency rule is checked where the signers before are known: in the last headers of a stretch, all of
//! them recovered when it is settled, and in all that follows.
//!
//! **A trusted head** is the head without seals and total difficulty; see [`descent`](HeaderChain::descent). Until it is
//! linked to genesis the trunk has a gap, nothing is taken by [`HeaderChain::extend`], and its head's total difficulty is 0.
//!
//! **Anchors.** Below the retained headers (see [`Retain`]) runs are thinned to every 512th header, an anchor, which on
//! clique chains keeps the signers too. Branches can begin at anchors, so that a chain which forks off there is built
//! beside the trunk as any other; where it becomes the chain, what it replaces is dropped, as it is no longer whole.
//! A header on which a branch is built when its turn comes to go stays too, as a pin. Provisional and accepted
//! branches that outgrow what settling needs are thinned in the same way.
//!
//! **Crashes.** Every change is one atomic batch of the store, so that head, index, total difficulty and the record
//! of checked seals agree at any moment at which the process can end. Nothing needs to be synced to disk: a machine
//! that loses power loses at most the latest batches, and with them their records.

mod adopt;
mod bounds;
mod change;
mod commit;
mod descent;
mod error;
mod open;
mod prepare;
mod prune;
mod serve;
mod settle;
mod snapshots;
mod state;
#[cfg(test)]
mod tests;
mod types;
mod view;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use alloy_primitives::{Address, B256, Bytes, U256};
use lru::LruCache;
use tokio::sync::broadcast;

pub use descent::{Descent, DescentError};
pub use error::{ChainError, ExtendError, Refusal, SettleError};
pub use prepare::Prepared;
pub use types::{
    ChainEvent, Extended, Head, HeaderChainConfig, Known, ProofOfStake, ProvisionalProgress, Reorg, Retain, SealPolicy,
};

use crate::clique::Snapshot;
use crate::header::{self, SealedHeader};
use crate::sampling::Secret;
use crate::spec::{ChainSpec, Consensus};
use crate::store::{Store, StoreError};
use state::State;
use view::{Entry, Place, View};

/// Headers kept decoded in memory: the working set of serving and of verification, about 4 MB.
pub const HEADER_CACHE: usize = 4096;
/// The same where only the last headers are retained, about 1 MB: verification alone needs the last few hundred.
pub const HEADER_CACHE_THINNED: usize = 1024;
/// Provisional branches kept at once: twice the four walks that sync keeps open, so that one walk's fork of
/// another's stretch has room too. Of more, the shortest goes, with what is built on it: it has cost its sender the
/// least.
pub const MAX_PROVISIONAL: usize = 8;
/// Accepted branches kept beside the chain. Every one has real seals; 64 hold the siblings of mainnet's last
/// thousand blocks. Of more, the one that has not grown for the longest goes, with what is built on it.
pub const MAX_SIDE_BRANCHES: usize = 64;
/// Hashes in [`Reorg::removed`]. Whoever cares for more knows that the reorganisation was deep.
pub const MAX_REORG_HASHES: usize = 4096;
/// Numbers between anchors: the headers that are kept of the chain below the retained ones.
pub const ANCHOR_SPACING: u64 = 512;
/// Reorganisations up to so many headers rewrite the index, so that the trunk stays one run through the everyday
/// ones; longer ones change hands by run, which costs the same whatever their length.
const MAX_REWRITE: u64 = 1024;
/// Events that a slow subscriber may fall behind before it is told that it has missed some.
const EVENT_QUEUE: usize = 256;

/// The bounds that tests make smaller.
#[derive(Debug, Clone, Copy)]
struct Limits {
    provisional: usize,
    side_branches: usize,
    rewrite: u64,
    spacing: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            provisional: MAX_PROVISIONAL,
            side_branches: MAX_SIDE_BRANCHES,
            rewrite: MAX_REWRITE,
            spacing: ANCHOR_SPACING,
        }
    }
}

/// The chain of headers over a store. All methods may be called from any thread; those that verify or write block for
/// as long as that takes, the others for a few reads.
pub struct HeaderChain {
    spec: Arc<ChainSpec>,
    store: Arc<dyn Store>,
    config: HeaderChainConfig,
    secret: Secret,
    limits: Limits,
    /// Held while the chain changes, from reading what a change rests on to announcing it.
    writer: Mutex<()>,
    /// Held for writing only while a finished change is put into store and memory, so that readers see index and
    /// state agree. The writer takes it with `writer` held, never the other way round.
    state: RwLock<State>,
    /// Decoded headers, by hash. Whether a header still belongs to the chain is not known from here.
    headers: Mutex<LruCache<B256, Arc<Entry>>>,
    /// Clique snapshots, by hash.
    snapshots: Mutex<LruCache<B256, Arc<Snapshot>>>,
    events: broadcast::Sender<ChainEvent>,
    seals_checked: AtomicU64,
    /// Headers deleted since the store was last tidied.
    thinned: AtomicU64,
}

impl std::fmt::Debug for HeaderChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = self.head();
        f.debug_struct("HeaderChain").field("number", &head.header.number).field("hash", &head.header.hash()).finish()
    }
}

impl HeaderChain {
    /// Opens the chain that `store` holds, or starts it from `spec`'s genesis. Refuses a store of another chain, and
    /// one whose head cannot be made whole.
    pub fn open(
        spec: Arc<ChainSpec>,
        store: Arc<dyn Store>,
        config: HeaderChainConfig,
    ) -> Result<HeaderChain, ChainError> {
        config.seals.begin(&spec);
        open::open(spec, store, config, Limits::default())
    }

    /// The chain's specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The policy in force: that of the configuration, but on clique chains that take headers of proof of stake, which
    /// nobody signs, [`SealPolicy::All`].
    pub fn policy(&self) -> SealPolicy {
        match (self.spec.consensus, self.config.proof_of_stake) {
            (Consensus::Clique { .. }, ProofOfStake::Import) => SealPolicy::All,
            _ => self.config.policy,
        }
    }

    /// The best header.
    pub fn head(&self) -> Head {
        self.state().head.clone()
    }

    /// The hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.spec.genesis.hash()
    }

    /// What is known of `hash`.
    pub fn known(&self, hash: &B256) -> Known {
        self.lookup(hash).map_or(Known::Unknown, |(_, known)| known)
    }

    /// An accepted header.
    pub fn header(&self, hash: &B256) -> Option<SealedHeader> {
        self.accepted(hash).map(|entry| entry.header.clone())
    }

    /// A header that is accepted or provisional.
    pub fn any_header(&self, hash: &B256) -> Option<(SealedHeader, Known)> {
        self.lookup(hash).map(|(entry, known)| (entry.header.clone(), known))
    }

    /// The RLP of those of these headers that are accepted, each at its place. Quickest where they follow each other.
    pub fn raw_headers(&self, hashes: &[B256]) -> Vec<Option<Bytes>> {
        logged(serve::raw_headers(self, hashes)).unwrap_or_else(|| vec![None; hashes.len()])
    }

    /// An accepted header's RLP.
    pub fn raw_header(&self, hash: &B256) -> Option<Bytes> {
        // Decoding is strict, so encoding gives back the very bytes that were hashed.
        self.accepted(hash).map(|entry| header::encode(&entry.header))
    }

    /// The canonical header's hash at a number; `None` for one that is [not retained](Retain).
    pub fn canonical_hash(&self, number: u64) -> Option<B256> {
        let state = self.state();
        logged(View::new(self.store.as_ref(), &state).canonical(number)).flatten()
    }

    /// The first number from `number` on whose canonical header is held: itself, or the anchor above it. `None` above
    /// the head.
    pub fn anchor_above(&self, number: u64) -> Option<(u64, B256)> {
        let state = self.state();
        let view = View::new(self.store.as_ref(), &state);
        let held = |number: u64| logged(view.canonical(number)).flatten().map(|hash| (number, hash));
        held(number).or_else(|| held(number.checked_next_multiple_of(self.limits.spacing)?))
    }

    /// How many headers are kept.
    pub fn retain(&self) -> Retain {
        self.config.retain
    }

    /// The canonical header at a number.
    pub fn header_by_number(&self, number: u64) -> Option<SealedHeader> {
        self.header(&self.canonical_hash(number)?)
    }

    /// Total difficulty of an accepted header, its own included; `None` too where it is not summed yet below a trusted
    /// head.
    pub fn td(&self, hash: &B256) -> Option<U256> {
        self.accepted(hash).filter(|entry| self.state().is_summed(entry.header.number)).map(|entry| entry.td)
    }

    /// Total difficulty of a header that is accepted or provisional, its own included.
    pub fn any_td(&self, hash: &B256) -> Option<U256> {
        self.lookup(hash).filter(|(entry, _)| self.state().is_summed(entry.header.number)).map(|(entry, _)| entry.td)
    }

    /// Whether `hash` is on the canonical chain.
    pub fn is_canonical(&self, hash: &B256) -> bool {
        logged(self.entry(hash)).flatten().is_some_and(|entry| self.canonical_hash(entry.header.number) == Some(*hash))
    }

    /// Hashes of up to `max` ancestors of an accepted header, parent first, ending at genesis or where headers are no
    /// longer retained. Empty for others.
    pub fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        let Some(entry) = logged(self.entry(hash)).flatten() else { return Vec::new() };
        let state = self.state();
        let view = View::new(self.store.as_ref(), &state);
        logged(view.hashes_before(hash, entry.header.number, max)).unwrap_or_default()
    }

    /// The heaviest stretch that is not settled yet, if there is one. It is there again after a restart.
    pub fn provisional(&self) -> Option<ProvisionalProgress> {
        let state = self.state();
        let view = View::new(self.store.as_ref(), &state);
        let heaviest = state.branches.iter().filter(|branch| !branch.accepted).max_by_key(|branch| branch.td)?;
        let start = logged(view.accepted_base(heaviest))?;
        Some(ProvisionalProgress {
            start,
            current: heaviest.run.last,
            tip: heaviest.tip,
            td: heaviest.td,
            headers: heaviest.run.last.saturating_sub(start),
        })
    }

    /// News of the chain from now on. A subscriber that falls 256 events behind misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.events.subscribe()
    }

    /// Seals checked since the chain was opened.
    pub fn seals_checked(&self) -> u64 {
        self.seals_checked.load(Ordering::Relaxed)
    }

    /// Verifies a run of headers, each the child of the one before, whose first has a known parent: form, links, every
    /// rule, and their seals where they are checked on arrival (see [`SealPolicy`]). Headers at the beginning of the
    /// run that are known already are passed over. Nothing is written.
    pub fn prepare(&self, headers: &[Bytes]) -> Result<Prepared, ExtendError> {
        self.prepare_hashed(&prepare::hash(headers))
    }

    /// As [`prepare`](Self::prepare), with the Keccak-256 of each header, which the caller has worked out already.
    pub fn prepare_hashed(&self, headers: &[(B256, Bytes)]) -> Result<Prepared, ExtendError> {
        prepare::prepare(self, headers)
    }

    /// Writes what [`prepare`](Self::prepare) verified. Accepted headers become the chain at once where they are
    /// heavier. Where a window of a provisional stretch is complete, its sample is checked first: a bad seal drops the
    /// stretch whole and gives [`ChainError::Dropped`].
    pub fn commit(&self, prepared: Prepared) -> Result<Extended, ChainError> {
        self.commit_with(prepared, crate::store::Batch::new())
    }

    /// Like [`commit`](Self::commit); what `more` writes is written in the same atomic batch.
    pub fn commit_with(&self, prepared: Prepared, more: crate::store::Batch) -> Result<Extended, ChainError> {
        commit::commit(self, prepared, more)
    }

    /// [`prepare`](Self::prepare) and [`commit`](Self::commit).
    pub fn extend(&self, headers: &[Bytes]) -> Result<Extended, ExtendError> {
        self.extend_hashed(&prepare::hash(headers))
    }

    /// [`prepare_hashed`](Self::prepare_hashed) and [`commit`](Self::commit).
    pub fn extend_hashed(&self, headers: &[(B256, Bytes)]) -> Result<Extended, ExtendError> {
        let prepared = self.prepare_hashed(headers)?;
        let hashes: Vec<_> = prepared.headers().iter().map(|header| (header.hash(), header.number)).collect();
        self.commit(prepared).map_err(|error| error.in_batch(&hashes))
    }

    /// Checks what is left to check of the stretch that ends in `tip`, and accepts it: it becomes the chain where it is
    /// heavier. A bad seal drops the stretch whole. Does nothing for an accepted header. Progress is kept: what was
    /// checked before an interruption is not checked again.
    pub fn settle(&self, tip: &B256) -> Result<Extended, SettleError> {
        let settled = settle::settle(self, tip)?;
        self.tidy();
        Ok(settled)
    }

    /// Gives the disk back what deleted headers have freed, where these are many. For the end of a sync: [`settle`](Self::settle)
    /// and [`descend`](Self::descend) do it themselves.
    pub fn tidy(&self) {
        prune::tidy(self);
    }

    /// The signers in force after an accepted header of a clique chain, in ascending order; `None` elsewhere.
    pub fn signers_at(&self, hash: &B256) -> Option<Vec<Address>> {
        Some(self.snapshot_at(hash)?.signers().to_vec())
    }

    /// The clique snapshot after an accepted header; `None` elsewhere. Rebuilds it from the last one that is kept.
    pub fn snapshot_at(&self, hash: &B256) -> Option<Arc<Snapshot>> {
        if !matches!(self.spec.consensus, Consensus::Clique { .. }) {
            return None;
        }
        let header = self.header(hash)?;
        match snapshots::complete(self, &header) {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                tracing::error!(%hash, %error, "the chain's own clique snapshot cannot be rebuilt");
                None
            }
        }
    }

    /// The state, for a short look. Writers never panic half-way through a change of it, so poison means nothing.
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stored header, whether or not it still belongs anywhere.
    fn entry(&self, hash: &B256) -> Result<Option<Arc<Entry>>, StoreError> {
        if let Some(entry) = self.header_cache().get(hash) {
            return Ok(Some(entry.clone()));
        }
        let Some(entry) = view::read_entry(self.store.as_ref(), hash)? else { return Ok(None) };
        let entry = Arc::new(entry);
        self.header_cache().put(*hash, entry.clone());
        Ok(Some(entry))
    }

    fn header_cache(&self) -> MutexGuard<'_, LruCache<B256, Arc<Entry>>> {
        self.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A header that belongs somewhere, and where.
    fn place(&self, hash: &B256) -> Result<Option<(Arc<Entry>, Known)>, StoreError> {
        let Some(entry) = self.entry(hash)? else { return Ok(None) };
        let state = self.state();
        let known = match View::new(self.store.as_ref(), &state).locate(hash, entry.header.number)? {
            None => return Ok(None),
            Some(Place::Branch(branch)) if !state.branches[branch].accepted => Known::Provisional,
            Some(_) => Known::Accepted,
        };
        Ok(Some((entry, known)))
    }

    fn lookup(&self, hash: &B256) -> Option<(Arc<Entry>, Known)> {
        logged(self.place(hash)).flatten()
    }

    fn accepted(&self, hash: &B256) -> Option<Arc<Entry>> {
        self.lookup(hash).filter(|(_, known)| *known == Known::Accepted).map(|(entry, _)| entry)
    }

    /// Checks seals and counts them.
    fn check_seals(&self, headers: &[SealedHeader]) -> Result<(), (usize, crate::seal::SealError)> {
        // Headers of proof of stake have no seal; they are the only ones that the rules let be without difficulty.
        if headers.iter().any(|header| header.difficulty.is_zero()) {
            let (places, sealed): (Vec<usize>, Vec<SealedHeader>) = headers
                .iter()
                .enumerate()
                .filter(|(_, header)| !header.difficulty.is_zero())
                .map(|(place, header)| (place, header.clone()))
                .unzip();
            if sealed.is_empty() {
                return Ok(());
            }
            return self
                .check_seals(&sealed)
                .map_err(|(index, error)| (places.get(index).copied().unwrap_or(0), error));
        }
        let result = self.config.seals.check(headers);
        self.count_seals(result.as_ref().map_or_else(|(index, _)| index + 1, |()| headers.len()));
        result
    }

    /// Whether a chain of this total difficulty takes the place of one with a head of `head_td`: where it is heavier, and
    /// past the merge where it came last, for there who hands headers in has chosen them.
    fn leads(&self, td: U256, head_td: U256) -> bool {
        let chosen = self.config.proof_of_stake == ProofOfStake::Import && self.spec.is_proof_of_stake_after(td);
        td > head_td || chosen
    }

    fn count_seals(&self, checked: usize) {
        self.seals_checked.fetch_add(checked as u64, Ordering::Relaxed);
    }

    fn snapshot_cache(&self) -> MutexGuard<'_, LruCache<B256, Arc<Snapshot>>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cache<V>(entries: usize) -> Mutex<LruCache<B256, V>> {
    Mutex::new(LruCache::new(NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN)))
}

/// Reads give an `Option`: a failing disk is logged, and what it holds counts as not held.
fn logged<T>(result: Result<T, StoreError>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(%error, "cannot read the header chain")).ok()
}
