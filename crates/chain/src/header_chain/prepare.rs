//! Verifying a run of headers before anything is written.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rayon::prelude::*;

use super::view::Entry;
use super::{Descent, ExtendError, HeaderChain, Known, ProofOfStake, Refusal, SealPolicy, snapshots};
use crate::clique::{CliqueError, RECOVER_GRAIN, Snapshot, recover_signer};
use crate::header::{self, SealedHeader};
use crate::rules::{HeaderError, verify_header};
use crate::sampling::MAX_SAMPLED_SIGNERS;
use crate::seal::SealError;
use crate::spec::Consensus;

/// Headers that a thread decodes at a time: about 0.2 ms of work.
const DECODE_GRAIN: usize = 64;

/// A run of headers that is verified and can be committed.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) headers: Vec<SealedHeader>,
    pub(super) raw: Vec<Bytes>,
    /// Whether every header's seal was checked that was not known before.
    pub(super) sealed: bool,
    pub(super) seals_checked: u64,
    /// Of clique chains: what the seals came to.
    pub(super) clique: Option<Clique>,
}

/// What the seals of a run of clique headers came to.
#[derive(Debug, Clone)]
pub(super) struct Clique {
    /// The position of the first header that was not known.
    start: usize,
    /// The snapshot after its parent.
    base: Arc<Snapshot>,
    /// Who signed each header from `start` on; of those whose seal was not checked, nobody.
    signers: Vec<Option<Address>>,
    /// Snapshots after some of the headers, by position, in ascending order; the last header's is among them.
    pub(super) snapshots: Vec<(usize, Arc<Snapshot>)>,
}

impl Clique {
    /// The snapshot after the last header.
    pub(super) fn last(&self) -> &Snapshot {
        self.snapshots.last().map_or(&self.base, |(_, snapshot)| snapshot)
    }

    /// The signers in force for block `number`, where they follow from these headers. `headers` are all of the run's.
    pub(super) fn signers_for(&self, headers: &[SealedHeader], number: u64) -> Option<Arc<Snapshot>> {
        if let Some((_, last)) = self.snapshots.last()
            && last.changed() < number
        {
            return Some(last.clone());
        }
        if number <= self.base.number() {
            return (self.base.changed() < number).then(|| self.base.clone());
        }
        let count = usize::try_from(number - 1 - self.base.number()).ok()?;
        Some(Arc::new(self.replay(headers, count)))
    }

    /// The snapshot after the first `count` headers from `start` on.
    fn replay(&self, headers: &[SealedHeader], count: usize) -> Snapshot {
        let mut snapshot = Snapshot::clone(&self.base);
        for (header, signer) in headers.iter().skip(self.start).zip(&self.signers).take(count) {
            snapshot.advance(header, *signer);
        }
        snapshot
    }

    fn truncate(&mut self, headers: &[SealedHeader]) {
        let count = headers.len().saturating_sub(self.start);
        if count >= self.signers.len() {
            return;
        }
        self.signers.truncate(count);
        self.snapshots.retain(|(index, _)| *index < headers.len());
        if count > 0 && self.snapshots.last().is_none_or(|(index, _)| index + 1 < headers.len()) {
            self.snapshots.push((headers.len() - 1, Arc::new(self.replay(headers, count))));
        }
    }
}

impl Prepared {
    /// The headers, in order.
    pub fn headers(&self) -> &[SealedHeader] {
        &self.headers
    }

    /// Who signed the header at this place, on a clique chain, where it was recovered.
    pub fn signer(&self, index: usize) -> Option<Address> {
        let clique = self.clique.as_ref()?;
        clique.signers.get(index.checked_sub(clique.start)?).copied().flatten()
    }

    /// Keeps the first `length` headers.
    pub fn truncate(&mut self, length: usize) {
        self.headers.truncate(length);
        self.raw.truncate(length);
        if let Some(clique) = &mut self.clique {
            clique.truncate(&self.headers);
        }
    }
}

/// Verifies headers, each with its hash.
pub(super) fn prepare(chain: &HeaderChain, raw: &[(B256, Bytes)]) -> Result<Prepared, ExtendError> {
    let headers = decode(raw)?;
    for (index, pair) in headers.windows(2).enumerate() {
        let (expected, got) = (pair[0].hash(), pair[1].parent_hash);
        if expected != got {
            return Err(refuse(index + 1, &pair[1], Refusal::NotLinked { expected, got }));
        }
    }
    let mut prepared = Prepared {
        headers,
        raw: raw.iter().map(|(_, raw)| raw.clone()).collect(),
        sealed: true,
        seals_checked: 0,
        clique: None,
    };
    let start = known_prefix(chain, &prepared.headers)?;
    let Some(first) = prepared.headers.get(start) else { return Ok(prepared) };
    if chain.descent().is_some_and(|descent| !matches!(descent, Descent::Linked { .. })) {
        return Err(refuse(start, first, Refusal::Descending));
    }
    let (parent, known) = find_parent(chain, start, first)?;

    let now = (chain.config.clock)();
    let (mut last, mut td) = (&parent.header, parent.td);
    for (index, header) in prepared.headers.iter().enumerate().skip(start) {
        refuse_merged(chain, header.number, td)
            .and_then(|()| verify_header(&chain.spec, header, last, td, now))
            .map_err(|error| refuse(index, header, error.into()))?;
        td = td.saturating_add(header.difficulty);
        last = header;
    }

    let new = &prepared.headers[start..];
    prepared.seals_checked = match chain.spec.consensus {
        Consensus::Clique { .. } => {
            // What follows the merge is signed by nobody.
            let signed = new.iter().take_while(|header| !header.difficulty.is_zero()).count();
            let single = new.len() == 1 && known == Known::Accepted;
            if signed > 0 {
                let clique = apply_clique(chain, &parent.header, start, &new[..signed], single)
                    .map_err(|(index, error)| refuse(start + index, &new[index], error))?;
                let checked = clique.signers.iter().flatten().count();
                // Checked by every rule only where the last signers before it are known.
                let whole = checked == new.len() && clique.base.knows_recent();
                prepared.sealed = chain.policy() == SealPolicy::All || whole;
                prepared.clique = Some(clique);
                chain.count_seals(checked);
                checked as u64
            } else {
                0
            }
        }
        Consensus::Ethash => {
            if !last.difficulty.is_zero() {
                chain.config.seals.prepare(last.number);
            }
            // A single header on an accepted one is among the last 2,048 of its chain.
            prepared.sealed = chain.policy() == SealPolicy::All || (new.len() == 1 && known == Known::Accepted);
            if prepared.sealed {
                chain.check_seals(new).map_err(|(index, error)| refuse(start + index, &new[index], error.into()))?;
                new.len() as u64
            } else {
                0
            }
        }
    };
    Ok(prepared)
}

/// The hashes of headers, worked out on all cores.
pub(super) fn hash(raw: &[Bytes]) -> Vec<(B256, Bytes)> {
    let hash = |raw: &Bytes| (keccak256(raw), raw.clone());
    if raw.len() <= DECODE_GRAIN {
        return raw.iter().map(hash).collect();
    }
    raw.par_iter().with_min_len(DECODE_GRAIN).map(hash).collect()
}

fn decode(raw: &[(B256, Bytes)]) -> Result<Vec<SealedHeader>, ExtendError> {
    let decode = |(index, (hash, raw)): (usize, &(B256, Bytes))| {
        header::decode_hashed(*hash, raw).map_err(|error| ExtendError {
            index,
            hash: *hash,
            number: 0,
            error: error.into(),
        })
    };
    // Small batches are decoded here: waking other threads costs more.
    if raw.len() <= DECODE_GRAIN {
        return raw.iter().enumerate().map(decode).collect();
    }
    let decoded: Vec<_> = raw.par_iter().enumerate().with_min_len(DECODE_GRAIN).map(decode).collect();
    decoded.into_iter().collect()
}

/// How many headers at the beginning are known, or are ancestors of one that is: those may be no longer retained.
fn known_prefix(chain: &HeaderChain, headers: &[SealedHeader]) -> Result<usize, ExtendError> {
    let is_known = |(index, header): (usize, &SealedHeader)| {
        chain.place(header.hash_ref()).map(|place| place.is_some()).map_err(|error| refuse(index, header, error.into()))
    };
    let mut start = 0;
    while let Some(header) = headers.get(start)
        && is_known((start, header))?
    {
        start += 1;
    }
    // Where nothing has gone, whatever is known has known ancestors: the first that is not ends it.
    if headers.get(start).is_none_or(|header| header.number >= chain.state().whole_from()) {
        return Ok(start);
    }
    for one in headers.iter().enumerate().skip(start).rev() {
        if is_known(one)? {
            return Ok(one.0 + 1);
        }
    }
    Ok(start)
}

fn find_parent(chain: &HeaderChain, index: usize, header: &SealedHeader) -> Result<(Arc<Entry>, Known), ExtendError> {
    chain
        .place(&header.parent_hash)
        .map_err(|error| refuse(index, header, error.into()))?
        .ok_or_else(|| refuse(index, header, Refusal::UnknownParent { parent: header.parent_hash }))
}

/// Refuses a header on a parent whose chain has reached the terminal total difficulty, unless the chain takes such.
fn refuse_merged(chain: &HeaderChain, block: u64, parent_td: U256) -> Result<(), HeaderError> {
    match (chain.config.proof_of_stake, chain.spec.forks.terminal_total_difficulty()) {
        (ProofOfStake::Refuse, Some(terminal)) if parent_td >= terminal => Err(HeaderError::Merged { block, terminal }),
        _ => Ok(()),
    }
}

/// Checks clique seals: the signatures on all cores, then, one after the other as votes change who may sign, the signers.
/// Where seals are sampled, those of headers that carry a vote or a list of signers, so that it is always known who may
/// sign; `single` is a header on an accepted one, which is checked whatever the policy.
fn apply_clique(
    chain: &HeaderChain,
    parent: &SealedHeader,
    start: usize,
    headers: &[SealedHeader],
    single: bool,
) -> Result<Clique, (usize, Refusal)> {
    let refuse = |index: usize| move |error: CliqueError| (index, Refusal::from(SealError::from(error)));
    let mut base = snapshots::at(chain, parent).map_err(|error| (0, error))?;
    let all = single || chain.policy() == SealPolicy::All || base.signers().len() > MAX_SAMPLED_SIGNERS;
    if all {
        base = snapshots::complete(chain, parent).map_err(|error| (0, error))?;
    }
    let mut snapshot = Snapshot::clone(&base);
    let wanted: Vec<usize> = (0..headers.len()).filter(|index| all || !snapshot.is_plain(&headers[*index])).collect();
    let recovered: Vec<_> =
        wanted.par_iter().with_min_len(RECOVER_GRAIN).map(|index| recover_signer(&headers[*index])).collect();
    let mut recovered = wanted.into_iter().zip(recovered).peekable();
    let mut signers = Vec::with_capacity(headers.len());
    let mut kept = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let signer = match recovered.next_if(|(wanted, _)| *wanted == index) {
            Some((_, signer)) => Some(snapshot.apply_recovered(header, signer).map_err(refuse(index))?),
            // A vote further up in these very headers can be what makes it bear one.
            None if !snapshot.is_plain(header) => Some(snapshot.apply(header).map_err(refuse(index))?),
            None => {
                snapshot.pass(header).map_err(refuse(index))?;
                None
            }
        };
        signers.push(signer);
        if index + 1 == headers.len() || snapshots::is_checkpoint(header.number) {
            kept.push((start + index, Arc::new(snapshot.clone())));
        }
    }
    Ok(Clique { start, base, signers, snapshots: kept })
}

fn refuse(index: usize, header: &SealedHeader, error: Refusal) -> ExtendError {
    let hash: B256 = header.hash();
    ExtendError { index, hash, number: header.number, error }
}
