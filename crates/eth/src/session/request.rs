//! Requests, and what counts as an answer to one: pure.

use std::collections::HashSet;

use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, b256, keccak256};
use rushlight_chain::RawBlock;

use super::breach::{Breach, Why};
use crate::v28::{
    GetBlockHashes, GetBlockHeaders, GetBlocks, HashLookup, MAX_BLOCKS, MAX_HASHES, MAX_HEADERS, MAX_LOOKUPS,
    Message28, id,
};

/// Keccak-256 of the empty trie's root node, the RLP of the empty string.
const EMPTY_TRIE: B256 = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No answer came in time. The request keeps its place in the session's queue, as this wire has no request ids.
    #[error("no answer in time")]
    Timeout,
    /// The session is over.
    #[error("the session is over")]
    Closed,
    /// Too many requests of this type are overdue: the session takes no more until the peer answers some.
    #[error("too many overdue requests of this type")]
    Busy,
    /// More was asked for than one message may ask.
    #[error("{asked} items asked for, a message may ask for {limit}")]
    TooLarge {
        /// Items asked for.
        asked: usize,
        /// Most items.
        limit: usize,
    },
}

/// The types of request: each has a queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hashes,
    Headers,
    Blocks,
    Lookup,
}

/// How many types of request there are.
pub(crate) const KINDS: usize = 4;

impl Kind {
    /// The type of request that a message with this id answers.
    pub(crate) fn answered_by(message_id: u64) -> Option<Self> {
        match message_id {
            id::BLOCK_HASHES => Some(Self::Hashes),
            id::BLOCK_HEADERS => Some(Self::Headers),
            id::BLOCKS => Some(Self::Blocks),
            id::HASH_LOOKUP_RESPONSE => Some(Self::Lookup),
            _ => None,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Hashes { from: B256, max: u64 },
    Headers(Vec<B256>),
    Blocks(Vec<B256>),
    Lookup(Vec<B256>),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Hashes(Vec<B256>),
    Headers(Vec<(B256, Bytes)>),
    Blocks(Vec<RawBlock>),
    Lookup(Vec<Option<Bytes>>),
}

impl Question {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Hashes { .. } => Kind::Hashes,
            Self::Headers(_) => Kind::Headers,
            Self::Blocks(_) => Kind::Blocks,
            Self::Lookup(_) => Kind::Lookup,
        }
    }

    /// Refuses what no message may ask; a request for hashes is capped instead.
    pub(crate) fn within_limits(self) -> Result<Self, RequestError> {
        let (asked, limit) = match &self {
            Self::Hashes { from, max } => {
                return Ok(Self::Hashes { from: *from, max: (*max).min(MAX_HASHES as u64) });
            }
            Self::Headers(hashes) => (hashes.len(), MAX_HEADERS),
            Self::Blocks(hashes) => (hashes.len(), MAX_BLOCKS),
            Self::Lookup(hashes) => (hashes.len(), MAX_LOOKUPS),
        };
        if asked > limit { Err(RequestError::TooLarge { asked, limit }) } else { Ok(self) }
    }

    /// The answer where nobody needs to be asked: an empty request, or look-ups of what everyone knows.
    pub(crate) fn answered_here(&self) -> Option<Answer> {
        match self {
            Self::Hashes { max, .. } => (*max == 0).then(|| Answer::Hashes(Vec::new())),
            Self::Headers(hashes) => hashes.is_empty().then(|| Answer::Headers(Vec::new())),
            Self::Blocks(hashes) => hashes.is_empty().then(|| Answer::Blocks(Vec::new())),
            Self::Lookup(hashes) => {
                let values: Option<Vec<_>> = hashes.iter().map(|hash| known_value(hash).map(Some)).collect();
                values.map(Answer::Lookup)
            }
        }
    }

    /// The message that asks.
    pub(crate) fn message(&self) -> Message28 {
        match self {
            Self::Hashes { from, max } => Message28::GetBlockHashes(GetBlockHashes { hash: *from, max_blocks: *max }),
            Self::Headers(hashes) => Message28::GetBlockHeaders(GetBlockHeaders(hashes.clone())),
            Self::Blocks(hashes) => Message28::GetBlocks(GetBlocks(hashes.clone())),
            Self::Lookup(hashes) => Message28::HashLookup(HashLookup(on_wire(hashes).copied().collect())),
        }
    }

    /// Checks an answer against the question.
    ///
    /// # Errors
    ///
    /// An answer that holds more than was asked for, or anything that was not, or of look-ups a value with another hash.
    /// A short or an empty answer is lawful: the peer does not hold the rest.
    pub(crate) fn check(&self, answer: Message28) -> Result<Answer, Breach> {
        let message_id = answer.id();
        let checked = match (self, answer) {
            (Self::Hashes { max, .. }, Message28::BlockHashes(hashes)) => check_hashes(*max, hashes.0),
            (Self::Headers(asked), Message28::BlockHeaders(headers)) => {
                let headers: Vec<_> = headers.0.into_iter().map(|raw| (keccak256(&raw), raw)).collect();
                only_asked(asked, headers.iter().map(|(hash, _)| *hash)).map(|()| Answer::Headers(headers))
            }
            (Self::Blocks(asked), Message28::Blocks(blocks)) => {
                only_asked(asked, blocks.0.iter().map(|block| keccak256(&block.header)))
                    .map(|()| Answer::Blocks(blocks.0))
            }
            (Self::Lookup(asked), Message28::HashLookupResponse(values)) => check_lookup(asked, values.0),
            _ => Err(Why::NothingOpen),
        };
        checked.map_err(|why| Breach::new(message_id, why))
    }
}

fn check_hashes(max: u64, hashes: Vec<B256>) -> Result<Answer, Why> {
    let asked = usize::try_from(max).unwrap_or(usize::MAX);
    if hashes.len() > asked {
        return Err(Why::MoreThanAsked { asked, got: hashes.len() });
    }
    Ok(Answer::Hashes(hashes))
}

/// Each hash must have been asked for, and may come once.
fn only_asked(asked: &[B256], got: impl Iterator<Item = B256>) -> Result<(), Why> {
    let asked: HashSet<&B256> = asked.iter().collect();
    let mut seen = HashSet::with_capacity(asked.len());
    for hash in got {
        if !asked.contains(&hash) {
            return Err(Why::NotAsked(hash));
        }
        if !seen.insert(hash) {
            return Err(Why::Twice(hash));
        }
    }
    Ok(())
}

fn check_lookup(asked: &[B256], values: Vec<Bytes>) -> Result<Answer, Why> {
    let on_wire_count = on_wire(asked).count();
    if values.len() > on_wire_count {
        return Err(Why::MoreThanAsked { asked: on_wire_count, got: values.len() });
    }
    let mut values = values.into_iter();
    let mut answers = Vec::with_capacity(asked.len());
    for hash in asked {
        if let Some(value) = known_value(hash) {
            answers.push(Some(value));
            continue;
        }
        // A response shorter than the question leaves the rest unasked.
        let Some(value) = values.next() else { break };
        if value.is_empty() {
            answers.push(None);
            continue;
        }
        let got = keccak256(&value);
        if got != *hash {
            return Err(Why::WrongValue { asked: *hash, got });
        }
        answers.push(Some(value));
    }
    Ok(Answer::Lookup(answers))
}

/// The values that nobody asks for: on the wire the empty string means "not held", so it cannot be asked for, and the
/// empty trie needs no asking.
fn known_value(hash: &B256) -> Option<Bytes> {
    match *hash {
        KECCAK256_EMPTY => Some(Bytes::new()),
        EMPTY_TRIE => Some(Bytes::from_static(&[0x80])),
        _ => None,
    }
}

/// Those of the hashes that are asked of the peer.
fn on_wire(hashes: &[B256]) -> impl Iterator<Item = &B256> {
    hashes.iter().filter(|hash| known_value(hash).is_none())
}
