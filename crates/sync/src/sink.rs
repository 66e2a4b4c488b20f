//! What takes the fetched chain in.

mod headers;

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256};
use rushlight_chain::{ChainSpec, Descent, Extended, Head, Known, block::RawBlock};

pub use headers::HeaderSink;

/// What a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Headers alone.
    Headers,
    /// Whole blocks.
    Blocks,
}

/// One fetched piece of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A header's hash and its RLP.
    Header(B256, Bytes),
    /// A whole block.
    Block(RawBlock),
}

impl Item {
    /// The hash of the header.
    pub fn hash(&self) -> B256 {
        match self {
            Item::Header(hash, _) => *hash,
            Item::Block(block) => block.hash(),
        }
    }

    /// The header's RLP.
    pub fn header(&self) -> &Bytes {
        match self {
            Item::Header(_, raw) => raw,
            Item::Block(block) => &block.header,
        }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        match self {
            Item::Header(_, raw) => raw.len(),
            Item::Block(block) => {
                let parts = block.transactions.iter().chain(&block.uncles);
                block.header.len() + parts.map(|part| part.len()).sum::<usize>()
            }
        }
    }
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The item does not fit its hash (a body that is not the header's): whoever sent it lies.
    Item,
    /// The chain breaks a rule: whoever claims it lies.
    Chain,
    /// Nobody's: a fork that this version does not support.
    NotSupported,
    /// Nobody's: what it builds on is no longer held (its stretch was dropped in the meantime).
    Unlinked,
    /// Ours: the disk.
    Local,
}

/// An item that was not taken. What came before it in the same call has been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {number} ({hash}): {reason}")]
pub struct Refused {
    /// Hash of the refused header or block.
    pub hash: B256,
    /// Its number.
    pub number: u64,
    /// The rule, what it asked for and what came.
    pub reason: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// What grows by synchronising: the light node's header chain, the full peer's chain of blocks.
pub trait ChainSink: Send + Sync + 'static {
    /// What it takes.
    fn want(&self) -> Want;

    /// The chain that it is on.
    fn spec(&self) -> Arc<ChainSpec>;

    /// The best header and its total difficulty.
    fn head(&self) -> Head;

    /// Whether a hash is held. Quick.
    fn known(&self, hash: &B256) -> Known;

    /// Total difficulty up to and with a hash that is held. Quick; `None` where that is not kept.
    fn td(&self, _hash: &B256) -> Option<U256> {
        None
    }

    /// Where a sync that a restart broke off began, and how far it has come (numbers), while it is not settled.
    fn resumed(&self) -> Option<(u64, u64)> {
        None
    }

    /// How far the way down from a trusted head has come, where there is one. Quick.
    fn descent(&self) -> Option<Descent> {
        None
    }

    /// Takes headers below the trusted head, youngest first; without any, sums some total difficulties. Blocking. What
    /// becomes of it is told by [`descent`](Self::descent).
    fn descend(&self, _items: Vec<Item>) -> Result<(), Refused> {
        Ok(())
    }

    /// Takes a linked run whose first item's parent is known. Blocking. Where one is refused, those before it are taken.
    fn extend(&self, items: Vec<Item>) -> Result<Extended, Refused>;

    /// Checks what `extend` left unchecked up to `tip` and adopts the chain if it is the heavier one; does nothing where
    /// that is done already. Blocking.
    fn settle(&self, tip: &B256) -> Result<Extended, Refused>;

    /// A sync has ended: what was put off for its sake may be done now. Blocking; more may come meanwhile.
    fn ended(&self) {}
}
