//! Requests as values: what is asked, who can serve it, how it goes into `eth` 28, and how an answer is checked against
//! its own question. Nothing here waits or decides.

use std::{collections::HashMap, sync::Arc, time::Duration};

use alloy_primitives::{B256, Bytes};
use rushlight_chain::{
    SealedHeader,
    block::{Body, RawBlock, verify_body},
    header,
};
use rushlight_eth::RequestError;

use crate::{
    peers::{Kind, Penalty, Remote},
    source::{Wanted, What},
};

/// Look-ups in one HashLookup (`eth` 28 answers no more of one message).
pub(crate) const MAX_LOOKUPS: usize = 384;
/// Blocks in one GetBlocks. Answers stop growing at 2 MiB, and a caller waits for one block: more would be asked for
/// in vain.
pub(crate) const MAX_BLOCKS: usize = 8;

/// Headers in one GetBlockHeaders (`eth` 28 answers no more of one message).
pub(crate) const MAX_HEADERS: usize = 192;

/// What one caller, or several at once, want to know.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// The bytes behind a hash.
    Preimage(Wanted),
    /// The body of a block, whole.
    Block(Arc<SealedHeader>),
    /// The header of that hash, whether or not it is on our chain.
    Header(B256),
    /// So many ancestors of a verified header.
    Ancestors(Arc<SealedHeader>, u64),
}

/// Equal questions have equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Preimage(B256),
    Block(B256),
    Header(B256),
    Ancestors(B256, u64),
}

/// What proves itself.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Preimage(Bytes),
    Block(Body),
    Header(Box<SealedHeader>),
    /// Parent first, as many as were asked for.
    Ancestors(Arc<Vec<SealedHeader>>),
}

/// What one question got out of one message.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    Answered(Answer),
    /// The peer says that it does not hold it.
    NotHeld,
    /// The answer ended before it: to be asked again.
    Unanswered,
    /// The answer does not check.
    Wrong(String),
}

impl Question {
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Preimage(wanted) => Key::Preimage(wanted.hash),
            Self::Block(header) => Key::Block(header.hash()),
            Self::Header(hash) => Key::Header(*hash),
            Self::Ancestors(header, count) => Key::Ancestors(header.hash(), *count),
        }
    }

    /// Which of a peer's estimates says whether it can serve this.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Block(_) => Kind::Block,
            Self::Header(_) | Self::Ancestors(..) => Kind::Header,
            Self::Preimage(wanted) => match wanted.what {
                What::AccountNode { .. } | What::StorageNode { .. } => Kind::State,
                What::Code { .. } => Kind::Code,
                What::TransactionNode { .. }
                | What::WithdrawalNode { .. }
                | What::ReceiptNode { .. }
                | What::UncleList { .. }
                | What::Body { .. }
                | What::Header
                | What::Ancestors { .. } => Kind::BlockPart,
            },
        }
    }

    /// The question in words, for messages.
    pub(crate) fn wanted(&self) -> Wanted {
        match self {
            Self::Preimage(wanted) => wanted.clone(),
            Self::Block(header) => Wanted::new(header.hash(), What::Body { number: header.number }),
            Self::Header(hash) => Wanted::new(*hash, What::Header),
            Self::Ancestors(header, count) => {
                Wanted::new(header.hash(), What::Ancestors { from: header.number.saturating_sub(*count) })
            }
        }
    }

    /// Questions of this sort that share a message.
    pub(crate) fn batch_limit(&self) -> usize {
        match self {
            Self::Preimage(_) => MAX_LOOKUPS,
            Self::Block(_) => MAX_BLOCKS,
            Self::Header(_) => MAX_HEADERS,
            Self::Ancestors(..) => 1,
        }
    }

    /// Whether both can stand in one message.
    pub(crate) fn batches_with(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Preimage(_), Self::Preimage(_))
                | (Self::Block(_), Self::Block(_))
                | (Self::Header(_), Self::Header(_))
        )
    }

    /// Whether it fails as soon as every peer has been asked in vain: its caller has another way to go on, or an answer
    /// in that.
    pub(crate) fn fails_early(&self) -> bool {
        !matches!(self, Self::Preimage(_))
    }

    /// What a peer loses for an answer that does not check.
    pub(crate) fn penalty(&self) -> Penalty {
        match self {
            Self::Preimage(_) | Self::Block(_) => Penalty::BadBody,
            Self::Header(_) | Self::Ancestors(..) => Penalty::UnlinkedHeaders,
        }
    }
}

/// Sends `questions` (all of one sort, at most their limit) in one message; the verdicts stand by position.
pub(crate) async fn ask<R: Remote>(
    remote: &R,
    questions: &[Question],
    timeout: Duration,
) -> Result<Vec<Verdict>, RequestError> {
    let hashes = questions.iter().map(|question| question.wanted().hash).collect();
    match questions.first() {
        None => Ok(Vec::new()),
        Some(Question::Preimage(_)) => Ok(check_lookup(questions.len(), remote.lookup(hashes, timeout).await?)),
        Some(Question::Block(_)) => Ok(check_blocks(questions, &remote.blocks(hashes, timeout).await?)),
        Some(Question::Header(_)) => Ok(check_headers(questions, &remote.headers(hashes, timeout).await?)),
        Some(Question::Ancestors(header, count)) => Ok(vec![ancestors(remote, header, *count, timeout).await?]),
    }
}

/// The session has already checked each value against its hash; what is left is to tell "not held" from "not answered".
/// An answer without any item holds nothing: taking it for "ask again" would go round for ever.
fn check_lookup(asked: usize, values: Vec<Option<Bytes>>) -> Vec<Verdict> {
    let beyond = if values.is_empty() { Verdict::NotHeld } else { Verdict::Unanswered };
    let mut verdicts: Vec<_> = values
        .into_iter()
        .take(asked)
        .map(|value| value.map_or(Verdict::NotHeld, |bytes| Verdict::Answered(Answer::Preimage(bytes))))
        .collect();
    verdicts.resize_with(asked, || beyond.clone());
    verdicts
}

/// Blocks are matched by hash. One that is left out is not held, though the answer may also have been full: as a caller
/// waits for it, the next peer is asked rather than this one again.
fn check_blocks(questions: &[Question], blocks: &[RawBlock]) -> Vec<Verdict> {
    let check = |question: &Question| {
        let Question::Block(header) = question else { return Verdict::NotHeld };
        let Some(block) = blocks.iter().find(|block| block.hash() == header.hash()) else { return Verdict::NotHeld };
        let body = block.body();
        match verify_body(header, &body) {
            Ok(()) => Verdict::Answered(Answer::Block(body)),
            Err(error) => Verdict::Wrong(error.to_string()),
        }
    };
    questions.iter().map(check).collect()
}

/// The session gives only what was asked for, by its hash.
fn check_headers(questions: &[Question], headers: &[(B256, Bytes)]) -> Vec<Verdict> {
    let check = |question: &Question| {
        let Question::Header(hash) = question else { return Verdict::NotHeld };
        let Some((_, raw)) = headers.iter().find(|(got, _)| got == hash) else { return Verdict::NotHeld };
        match header::decode(raw) {
            Ok(header) => Verdict::Answered(Answer::Header(Box::new(header))),
            Err(error) => Verdict::Wrong(error.to_string()),
        }
    };
    questions.iter().map(check).collect()
}

/// Asks for the hashes of `count` ancestors, and then for the headers. What links them to `header` proves them.
async fn ancestors<R: Remote>(
    remote: &R,
    header: &SealedHeader,
    count: u64,
    timeout: Duration,
) -> Result<Verdict, RequestError> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let mut hashes = remote.block_hashes(header.hash(), count, timeout).await?;
    hashes.truncate(wanted);
    if hashes.len() < wanted {
        return Ok(Verdict::NotHeld);
    }
    let mut found: Vec<SealedHeader> = Vec::with_capacity(hashes.len());
    while let Some(rest) = hashes.get(found.len()..).filter(|rest| !rest.is_empty()) {
        let child = found.last().unwrap_or(header);
        if rest[0] != child.parent_hash {
            let (number, expected) = (child.number, child.parent_hash);
            return Ok(Verdict::Wrong(format!("parent of block {number}: expected {expected}, got {}", rest[0])));
        }
        let asked = rest[..rest.len().min(MAX_HEADERS)].to_vec();
        let before = found.len();
        let mut got: HashMap<B256, Bytes> = remote.headers(asked.clone(), timeout).await?.into_iter().collect();
        for hash in asked {
            let child = found.last().unwrap_or(header);
            if hash != child.parent_hash {
                // Told at the head of the loop.
                break;
            }
            let Some(raw) = got.remove(&hash) else { break };
            match header::decode(&raw) {
                Ok(header) if header.hash() == hash => found.push(header),
                Ok(header) => return Ok(Verdict::Wrong(format!("header {} for {hash}", header.hash()))),
                Err(error) => return Ok(Verdict::Wrong(error.to_string())),
            }
        }
        // An answer may be cut short, but one that gives nothing says that it holds no more.
        if found.len() == before {
            return Ok(Verdict::NotHeld);
        }
    }
    Ok(Verdict::Answered(Answer::Ancestors(Arc::new(found))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_answer_leaves_the_rest_unasked_and_an_empty_one_holds_nothing() {
        let verdicts = check_lookup(3, vec![Some(Bytes::from_static(b"a")), None]);
        assert!(matches!(verdicts[..], [Verdict::Answered(_), Verdict::NotHeld, Verdict::Unanswered]));
        assert!(matches!(check_lookup(2, vec![])[..], [Verdict::NotHeld, Verdict::NotHeld]));
        assert_eq!(check_lookup(1, vec![None, None]).len(), 1);
    }
}
