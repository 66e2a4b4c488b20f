//! The caches in use, and the seals of many headers.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rayon::prelude::*;

use super::cache::Cache;
use super::hashimoto::{Work, hashimoto_many, target};
use super::params::{CacheKey, Epochs, MAX_EPOCHS};
use crate::SealedHeader;
use crate::seal::{SealCheck, SealError, seal_hash};
use crate::spec::ChainSpec;

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
    /// Ethereum's until a chain is opened.
    epochs: OnceLock<Epochs>,
}

#[derive(Debug)]
struct Shared {
    /// Most recently used last. The lock is held to look up and to insert, never while a cache is made.
    slots: Mutex<Vec<(CacheKey, Slot)>>,
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

    /// Keeps [`DEFAULT_CACHES`] caches, and counts epochs as this chain does.
    pub fn for_chain(spec: &ChainSpec) -> Ethash {
        let ethash = Ethash::new();
        ethash.begin(spec);
        ethash
    }

    fn counting(&self) -> Epochs {
        self.epochs.get().copied().unwrap_or_default()
    }

    /// Keeps `limit` caches, at least one.
    pub fn with_caches(limit: usize) -> Ethash {
        Ethash {
            shared: Arc::new(Shared { slots: Mutex::new(Vec::new()), limit: limit.max(1) }),
            epochs: OnceLock::new(),
        }
    }

    /// The epochs whose caches are held or being made, the one used last at the end.
    pub fn epochs(&self) -> Vec<u64> {
        self.shared.lock().iter().map(|(key, _)| key.epoch).collect()
    }

    /// Checks the seals of headers of one epoch.
    fn check_epoch(&self, key: CacheKey, headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        if key.epoch >= MAX_EPOCHS {
            return Err((0, SealError::Epoch { epoch: key.epoch, max: MAX_EPOCHS - 1 }));
        }
        let slot = self.shared.slot(key);
        let cache = slot.get_or_init(|| Cache::generate_from(key.epoch, key.seed));
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
    /// Takes the chain's way to count epochs; that of the first chain stands.
    fn begin(&self, spec: &ChainSpec) {
        let long_from = spec.forks.classic.map(|classic| classic.long_epochs);
        self.epochs.get_or_init(|| Epochs { long_from });
    }

    fn check(&self, headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        let epochs = self.counting();
        let mut start = 0;
        for run in headers.chunk_by(|a, b| epochs.key(a.number) == epochs.key(b.number)) {
            self.check_epoch(epochs.key(run[0].number), run).map_err(|(index, error)| (start + index, error))?;
            start += run.len();
        }
        if let Some(last) = headers.last() {
            let length = epochs.length(last.number);
            let left = length - last.number % length;
            if left <= PREPARE_AHEAD {
                self.prepare(last.number.saturating_add(left));
            }
        }
        Ok(())
    }

    fn prepare(&self, number: u64) {
        let key = self.counting().key(number);
        let epoch = key.epoch;
        if epoch >= MAX_EPOCHS {
            return;
        }
        let slot = self.shared.slot(key);
        if slot.get().is_some() {
            return;
        }
        let spawned = std::thread::Builder::new().name(format!("ethash-cache-{epoch}")).spawn(move || {
            slot.get_or_init(|| Cache::generate_from(epoch, key.seed));
        });
        if let Err(error) = spawned {
            // Not made ahead, it is made when first needed.
            tracing::debug!(epoch, %error, "no thread to make an ethash cache ahead");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<(CacheKey, Slot)>> {
        // A panic elsewhere cannot leave the list half changed.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of an epoch's cache, made or not. The one not used for longest gives way; those who still use it keep it.
    fn slot(&self, key: CacheKey) -> Slot {
        let mut slots = self.lock();
        let held = slots.iter().position(|(other, _)| *other == key).map(|place| slots.remove(place).1);
        let slot = held.unwrap_or_default();
        if slots.len() >= self.limit {
            slots.remove(0);
        }
        slots.push((key, slot.clone()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// ECIP-1099 by its own figures: epoch 390 of 30,000 blocks is followed by epoch 195 of 60,000, whose seed is that of
    /// its first block; sizes fall to those of epoch 195.
    #[test]
    fn classic_has_long_epochs_from_thanos_on() {
        let epochs = Ethash::for_chain(&ChainSpec::classic()).counting();
        let key = |epoch, seed| CacheKey { epoch, seed };
        assert_eq!(epochs.key(0), key(0, 0));
        assert_eq!(epochs.key(11_699_999), key(389, 389));
        assert_eq!(epochs.key(11_700_000), key(195, 390));
        assert_eq!(epochs.key(11_759_999), key(195, 390));
        assert_eq!(epochs.key(11_760_000), key(196, 392));
        let epochs = Ethash::for_chain(&ChainSpec::mordor()).counting();
        assert_eq!((epochs.key(2_519_999), epochs.key(2_520_000)), (key(83, 83), key(42, 84)));
        assert_eq!(Ethash::for_chain(&ChainSpec::mainnet()).counting().key(15_000_000), key(500, 500));
    }
}
