//! The caches in use, and the seals of many headers.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rayon::prelude::*;

use super::cache::Cache;
use super::hashimoto::{Work, hashimoto_many, target};
use super::params::{EPOCH_LENGTH, MAX_EPOCHS, epoch};
use crate::SealedHeader;
use crate::seal::{SealCheck, SealError, seal_hash};

/// Caches kept at once: the epoch in use, and the one before it or, near its end, the one after. Mainnet's last one of
/// proof of work has 80 MiB, so that a third is not worth its memory: a reorganisation across an epoch's beginning makes
/// the older one again.
pub const DEFAULT_CACHES: usize = 2;
/// So many blocks before an epoch's end the next one's cache is made. At mainnet's pace that is seven hours; in a sync that
/// samples its seals the time that so many headers take is about that of making the cache.
const PREPARE_AHEAD: u64 = 2000;
/// Seals worked on together by one thread, so that their reads of memory overlap: each costs a third of what it costs
/// alone. More are no faster: their state leaves the processor's first cache.
const LANES: usize = 8;

/// Checks ethash seals.
///
/// A cache is made when an epoch is first asked for, and a bounded number is kept. Two callers that ask for one at once
/// make it once.
#[derive(Debug)]
pub struct Ethash {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Most recently used last. The lock is held to look up and to insert, never while a cache is made.
    slots: Mutex<Vec<(u64, Slot)>>,
    limit: usize,
}

type Slot = Arc<OnceLock<Cache>>;

impl Default for Ethash {
    fn default() -> Ethash {
        Ethash::new()
    }
}

impl Ethash {
    /// Keeps [`DEFAULT_CACHES`] caches.
    pub fn new() -> Ethash {
        Ethash::with_caches(DEFAULT_CACHES)
    }

    /// Keeps `limit` caches, at least one.
    pub fn with_caches(limit: usize) -> Ethash {
        Ethash { shared: Arc::new(Shared { slots: Mutex::new(Vec::new()), limit: limit.max(1) }) }
    }

    /// The epochs whose caches are held or being made, the one used last at the end.
    pub fn epochs(&self) -> Vec<u64> {
        self.shared.lock().iter().map(|(epoch, _)| *epoch).collect()
    }

    /// Checks the seals of headers of one epoch.
    fn check_epoch(&self, epoch: u64, headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        if epoch >= MAX_EPOCHS {
            return Err((0, SealError::Epoch { epoch, max: MAX_EPOCHS - 1 }));
        }
        let slot = self.shared.slot(epoch);
        let cache = slot.get_or_init(|| Cache::generate(epoch));
        let bad = headers
            .par_chunks(LANES)
            .enumerate()
            .filter_map(|(place, chunk)| {
                let (index, error) = check_chunk(cache, chunk).err()?;
                Some((place * LANES + index, error))
            })
            .min_by_key(|(index, _)| *index);
        bad.map_or(Ok(()), Err)
    }
}

impl SealCheck for Ethash {
    fn check(&self, headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        let mut start = 0;
        for run in headers.chunk_by(|a, b| epoch(a.number) == epoch(b.number)) {
            self.check_epoch(epoch(run[0].number), run).map_err(|(index, error)| (start + index, error))?;
            start += run.len();
        }
        if let Some(last) = headers.last()
            && EPOCH_LENGTH - last.number % EPOCH_LENGTH <= PREPARE_AHEAD
        {
            self.prepare(last.number.saturating_add(EPOCH_LENGTH));
        }
        Ok(())
    }

    fn prepare(&self, number: u64) {
        let epoch = epoch(number);
        if epoch >= MAX_EPOCHS {
            return;
        }
        let slot = self.shared.slot(epoch);
        if slot.get().is_some() {
            return;
        }
        let spawned = std::thread::Builder::new().name(format!("ethash-cache-{epoch}")).spawn(move || {
            slot.get_or_init(|| Cache::generate(epoch));
        });
        if let Err(error) = spawned {
            // Not made ahead, it is made when first needed.
            tracing::debug!(epoch, %error, "no thread to make an ethash cache ahead");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Slot)>> {
        // A panic elsewhere cannot leave the list half changed.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of an epoch's cache, made or not. The one not used for longest gives way; those who still use it keep it.
    fn slot(&self, epoch: u64) -> Slot {
        let mut slots = self.lock();
        let held = slots.iter().position(|(other, _)| *other == epoch).map(|place| slots.remove(place).1);
        let slot = held.unwrap_or_default();
        if slots.len() >= self.limit {
            slots.remove(0);
        }
        slots.push((epoch, slot.clone()));
        slot
    }
}

/// Checks at most [`LANES`] seals.
fn check_chunk(cache: &Cache, headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
    match headers {
        [] => Ok(()),
        [one] => check_lanes(cache, [one], 1),
        [one, two] => check_lanes(cache, [one, two], 2),
        // From three on it takes no longer to fill the lanes with the last one again than to have fewer lanes.
        [.., last] => {
            let lanes = std::array::from_fn::<_, LANES, _>(|lane| headers.get(lane).unwrap_or(last));
            check_lanes(cache, lanes, headers.len())
        }
    }
}

/// Checks the first `count` of the seals in the lanes.
fn check_lanes<const N: usize>(
    cache: &Cache,
    headers: [&SealedHeader; N],
    count: usize,
) -> Result<(), (usize, SealError)> {
    let works = hashimoto_many(cache, headers.map(|header| (seal_hash(header), header.nonce)));
    let mut checks = headers.iter().zip(works).take(count).enumerate();
    checks.try_for_each(|(index, (header, work))| judge(header, work).map_err(|error| (index, error)))
}

fn judge(header: &SealedHeader, work: Work) -> Result<(), SealError> {
    if header.mix_hash != work.mix {
        return Err(SealError::MixHash { expected: work.mix.into(), got: header.mix_hash.into() });
    }
    let target = target(header.difficulty);
    if work.result > target {
        return Err(SealError::Work { target: target.into(), got: work.result.into() });
    }
    Ok(())
}
