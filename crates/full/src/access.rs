//! What reads the chain and what fills it, as the floors below know them: serving peers, the node's own reads, sync.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256};
use rushlight_chain::{Body, ChainAccess, ChainSpec, Extended, Head, Known, RawBlock, SealedHeader};
use rushlight_odr::{Location, Source, Unavailable, Wanted, What};
use rushlight_p2p::BoxFuture;
use rushlight_sync::{ChainSink, Fault, Item, Refused, Want};

use crate::FullChain;
use crate::error::{InsertError, Rule};
use crate::lookup;

/// What a failing disk holds counts as not held, and is logged.
fn held<T>(what: &'static str, read: Result<Option<T>, rushlight_chain::store::StoreError>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(%error, "cannot read a {what}")).ok().flatten()
}

impl ChainAccess for FullChain {
    fn head(&self) -> Head {
        self.headers.head()
    }

    fn genesis_hash(&self) -> B256 {
        self.headers.genesis_hash()
    }

    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        self.headers.hashes_before(hash, max)
    }

    fn header(&self, hash: &B256) -> Option<Bytes> {
        self.headers.raw_header(hash)
    }

    fn headers(&self, hashes: &[B256]) -> Vec<Option<Bytes>> {
        self.headers.raw_headers(hashes)
    }

    fn block(&self, hash: &B256) -> Option<RawBlock> {
        let header = self.headers.header(hash)?;
        let body = held("body", self.stored_body(&header))?;
        Some(RawBlock::from_parts(self.headers.raw_header(hash)?, body))
    }

    fn preimage(&self, hash: &B256) -> Option<Bytes> {
        held("look-up", self.lookup(hash))
    }
}

/// From the disk alone: what is missing here is missing, and nobody waits for it.
impl Source for FullChain {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for wanted in wanted {
            match ChainAccess::preimage(self, &wanted.hash) {
                Some(value) => found.push(value),
                None => missing.push(wanted),
            }
        }
        let answer = if missing.is_empty() { Ok(found) } else { Err(unavailable(missing)) };
        Box::pin(std::future::ready(answer))
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        let body = held("body", self.stored_body(header))
            .ok_or_else(|| unavailable(vec![Wanted::new(header.hash(), What::Body { number: header.number })]));
        Box::pin(std::future::ready(body))
    }

    fn locate(&self, transaction: &B256) -> Vec<Location> {
        held("place of a transaction", lookup::places(&*self.store, transaction).map(Some)).unwrap_or_default()
    }
}

fn unavailable(missing: Vec<Wanted>) -> Unavailable {
    Unavailable { missing, asked: Vec::new(), waited: Duration::ZERO }
}

impl ChainSink for FullChain {
    fn want(&self) -> Want {
        Want::Blocks
    }

    fn spec(&self) -> Arc<ChainSpec> {
        self.spec.clone()
    }

    fn head(&self) -> Head {
        self.headers.head()
    }

    fn known(&self, hash: &B256) -> Known {
        self.headers.known(hash)
    }

    fn td(&self, hash: &B256) -> Option<U256> {
        self.headers.td(hash)
    }

    fn extend(&self, items: Vec<Item>) -> Result<Extended, Refused> {
        let mut blocks = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Item::Block(block) => blocks.push(block),
                // The sync machine asks for what `want` says; a lone header is a mistake of ours.
                Item::Header(hash, _) => {
                    let reason = "expected a whole block, got a header".to_owned();
                    return Err(Refused { hash, number: 0, reason, fault: Fault::Local });
                }
            }
        }
        let last = blocks.last().map(RawBlock::hash).unwrap_or_default();
        if let Some(merged) = blocks.iter().filter_map(|block| block.decode_header().ok()).find(|block| {
            self.spec.forks.terminal_total_difficulty().is_some()
                && (block.difficulty.is_zero()
                    || self.headers.td(&block.parent_hash).is_some_and(|td| self.spec.is_proof_of_stake_after(td)))
        }) {
            let reason = "by proof of stake no peer can say which chain is the right one; such blocks come from files"
                .to_owned();
            let (hash, number) = (merged.hash(), merged.number);
            return Err(Refused { hash, number, reason, fault: Fault::NotSupported });
        }
        self.insert(blocks).map_err(|error| refused(error, last))
    }

    fn settle(&self, tip: &B256) -> Result<Extended, Refused> {
        // Every seal is checked on the way in, so there is nothing left to settle.
        let (Some(header), Some(td)) = (self.headers.header(tip), self.headers.td(tip)) else {
            let reason = "the block is not held".to_owned();
            return Err(Refused { hash: *tip, number: 0, reason, fault: Fault::Local });
        };
        Ok(Extended { added: 0, tip: *tip, number: header.number, td, head_changed: false, seals_checked: 0 })
    }
}

/// `last`: the last block of the run, to name where the error names none.
fn refused(error: InsertError, last: B256) -> Refused {
    match error {
        InsertError::Bad(bad) => {
            let reason = format!("{}: expected {}, got {}", bad.rule, bad.expected, bad.got);
            Refused { hash: bad.hash, number: bad.number, reason, fault: fault(bad.rule) }
        }
        InsertError::NotSupported { hash, number, fork } => {
            Refused { hash, number, reason: format!("{fork} is not supported yet"), fault: Fault::NotSupported }
        }
        InsertError::UnknownParent { hash, number, parent } => {
            Refused { hash, number, reason: format!("its parent {parent} is unknown"), fault: Fault::Local }
        }
        error @ (InsertError::Chain(_) | InsertError::Store(_) | InsertError::State(_)) => {
            Refused { hash: last, number: 0, reason: error.to_string(), fault: Fault::Local }
        }
    }
}

/// A body that is not its header's is the doing of whoever sent it; the header's hash was asked for, so all else is
/// the chain's.
fn fault(rule: Rule) -> Fault {
    match rule {
        Rule::TransactionsRoot | Rule::UnclesHash | Rule::WithdrawalsRoot => Fault::Item,
        _ => Fault::Chain,
    }
}
