//! Verifying a run of headers before anything is written.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use rayon::prelude::*;

use super::view::Entry;
use super::{Descent, ExtendError, HeaderChain, Known, ProofOfStake, Refusal, SealPolicy, snapshots};
use crate::clique::{Snapshot, recover_signers};
use crate::header::{self, SealedHeader};
use crate::rules::{HeaderError, verify_header};
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
    /// Clique snapshots after some of the headers, by position.
    pub(super) snapshots: Vec<(usize, Arc<Snapshot>)>,
}

impl Prepared {
    /// The headers, in order.
    pub fn headers(&self) -> &[SealedHeader] {
        &self.headers
    }

    /// Keeps the first `length` headers.
    pub fn truncate(&mut self, length: usize) {
        self.headers.truncate(length);
        self.raw.truncate(length);
        self.snapshots.retain(|(index, _)| *index < length);
    }
}

pub(super) fn prepare(chain: &HeaderChain, raw: &[Bytes]) -> Result<Prepared, ExtendError> {
    let headers = decode(raw)?;
    for (index, pair) in headers.windows(2).enumerate() {
        let (expected, got) = (pair[0].hash(), pair[1].parent_hash);
        if expected != got {
            return Err(refuse(index + 1, &pair[1], Refusal::NotLinked { expected, got }));
        }
    }
    let mut prepared = Prepared { headers, raw: raw.to_vec(), sealed: true, seals_checked: 0, snapshots: Vec::new() };
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
            let new = &new[..signed];
            let snapshots = apply_clique(chain, &parent.header, new)
                .map_err(|(index, error)| refuse(start + index, &new[index], error))?;
            prepared.snapshots = snapshots.into_iter().map(|(index, snapshot)| (start + index, snapshot)).collect();
            chain.count_seals(new.len());
            new.len() as u64
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

fn decode(raw: &[Bytes]) -> Result<Vec<SealedHeader>, ExtendError> {
    let decode = |(index, raw): (usize, &Bytes)| {
        header::decode(raw).map_err(|error| ExtendError { index, hash: keccak256(raw), number: 0, error: error.into() })
    };
    // Small batches are decoded here: waking other threads costs more.
    if raw.len() <= DECODE_GRAIN {
        return raw.iter().enumerate().map(decode).collect();
    }
    let decoded: Vec<_> = raw.par_iter().enumerate().with_min_len(DECODE_GRAIN).map(decode).collect();
    decoded.into_iter().collect()
}

/// How many headers at the beginning are known. Whatever is known has known ancestors, so the first that is not ends it.
fn known_prefix(chain: &HeaderChain, headers: &[SealedHeader]) -> Result<usize, ExtendError> {
    for (index, header) in headers.iter().enumerate() {
        let place = chain.place(header.hash_ref()).map_err(|error| refuse(index, header, error.into()))?;
        if place.is_none() {
            return Ok(index);
        }
    }
    Ok(headers.len())
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
/// Gives the snapshots worth keeping.
#[allow(clippy::type_complexity)]
fn apply_clique(
    chain: &HeaderChain,
    parent: &SealedHeader,
    headers: &[SealedHeader],
) -> Result<Vec<(usize, Arc<Snapshot>)>, (usize, Refusal)> {
    if headers.is_empty() {
        return Ok(Vec::new());
    }
    let mut snapshot = Snapshot::clone(&*snapshots::at(chain, parent).map_err(|error| (0, error))?);
    let mut kept = Vec::new();
    let signers = recover_signers(headers);
    for (index, (header, signer)) in headers.iter().zip(signers).enumerate() {
        snapshot.apply_recovered(header, signer).map_err(|error| (index, SealError::from(error).into()))?;
        if index + 1 == headers.len() || snapshots::is_checkpoint(header.number) {
            kept.push((index, Arc::new(snapshot.clone())));
        }
    }
    Ok(kept)
}

fn refuse(index: usize, header: &SealedHeader, error: Refusal) -> ExtendError {
    let hash: B256 = header.hash();
    ExtendError { index, hash, number: header.number, error }
}
