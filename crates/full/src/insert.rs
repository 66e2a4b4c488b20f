//! Blocks into the chain: verified by every rule, executed, written.
//!
//! The header chain verifies a run of headers (`prepare`), the blocks are executed, and everything that they leave is
//! written in one batch with the headers themselves (`commit_with`). So it is safe to stop anywhere: a header that the
//! chain accepts always has its state, body and receipts.

use std::cell::OnceCell;

use alloy_consensus::ReceiptEnvelope;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, keccak256};
use rayon::prelude::*;
use rushlight_chain::store::StoreError;
use rushlight_chain::{
    Batch, Body, ChainError, Column, Consensus, Extended, Fork, HeaderError, Known, MAX_UNCLE_DEPTH, Prepared,
    RawBlock, Refusal as HeaderRefusal, UncleError, header, verify_uncles,
};

use crate::block::{Checked, encode_receipts, verify};
use crate::chain::FullChain;
use crate::error::{InsertError, Refusal, Rule};
use crate::lookup;

/// So many ancestors decide on a block's uncles: the oldest uncle's parent is one generation further back.
const UNCLE_ANCESTORS: usize = MAX_UNCLE_DEPTH as usize + 1;
/// BLOCKHASH reaches this far back (YP section 9.4.1, in the parameters of the instruction).
const BLOCK_HASH_DEPTH: usize = 256;

/// Blocks are written together up to this much gas. What waits in memory for the write are trie nodes: at 5,000 gas for a
/// changed slot and some kilobytes of nodes on its path, that is under 100 MB at the worst.
const RUN_GAS: u64 = 100_000_000;

impl FullChain {
    /// Inserts a run of blocks, each the child of the one before, the first of them on a block that is held. Blocks
    /// that are held already are passed over. Where a block is refused, those before it are in.
    ///
    /// Blocks; call it off the async threads. One run is worked on at a time, others wait.
    pub fn insert(&self, blocks: Vec<RawBlock>) -> Result<Extended, InsertError> {
        let _writer = self.writer();
        let mut blocks = blocks.into_iter().peekable();
        let mut inserted: Option<Extended> = None;
        while inserted.is_none() || blocks.peek().is_some() {
            self.nodes.clear();
            let run = self.insert_run(take_run(&mut blocks));
            self.nodes.clear();
            let run = run?;
            inserted = Some(match inserted {
                None => run,
                Some(before) => Extended {
                    added: before.added + run.added,
                    head_changed: before.head_changed || run.head_changed,
                    seals_checked: before.seals_checked + run.seals_checked,
                    ..run
                },
            });
        }
        inserted.map_or_else(|| self.nothing_new(None), Ok)
    }

    fn insert_run(&self, blocks: Vec<RawBlock>) -> Result<Extended, InsertError> {
        let last = blocks.last().map(RawBlock::hash);
        let mut run = Vec::with_capacity(blocks.len());
        let mut trouble = None;
        let held = |raw: &RawBlock| self.headers.known(&raw.hash()) == Known::Accepted;
        let mut blocks = blocks;
        blocks.drain(..blocks.iter().take_while(|raw| held(raw)).count());
        for block in blocks.into_par_iter().map(Checked::new).collect::<Vec<_>>() {
            match block {
                Ok(block) => run.push(block),
                Err(error) => {
                    trouble = Some(error);
                    break;
                }
            }
        }
        let prepared = loop {
            if run.is_empty() {
                break None;
            }
            let headers: Vec<_> = run.iter().map(|block| (block.header.hash(), block.raw.header.clone())).collect();
            match self.headers.prepare_hashed(&headers) {
                Ok(prepared) => break Some(prepared),
                Err(error) => {
                    let index = error.index.min(run.len() - 1);
                    trouble = Some(refuse_header(&run[index], error.error));
                    run.truncate(index);
                }
            }
        };
        let Some(mut prepared) = prepared else {
            return match trouble {
                Some(error) => Err(error),
                None => self.nothing_new(last),
            };
        };
        if let Err((index, error)) = self.verify_uncles(&run) {
            trouble = Some(error);
            run.truncate(index);
        }
        let mut batch = Batch::new();
        if let Err((index, error)) = self.execute_run(&run, &prepared, &mut batch) {
            trouble = Some(error);
            run.truncate(index);
        }
        let extended = if run.is_empty() {
            None
        } else {
            self.nodes.write_to(&mut batch);
            prepared.truncate(run.len());
            Some(self.headers.commit_with(prepared, batch)?)
        };
        match (trouble, extended) {
            (Some(error), _) => Err(error),
            (None, Some(extended)) => Ok(extended),
            (None, None) => self.nothing_new(last),
        }
    }

    /// What is answered where every block was held already.
    fn nothing_new(&self, last: Option<B256>) -> Result<Extended, InsertError> {
        let head = self.headers.head();
        let tip = last.unwrap_or(head.header.hash());
        let number = self.headers.header(&tip).map_or(head.header.number, |header| header.number);
        let td = self.headers.td(&tip).unwrap_or(head.td);
        Ok(Extended { added: 0, tip, number, td, head_changed: false, seals_checked: 0 })
    }

    /// Verifies the uncles of a run, seals last and all at once: they are checked on all cores.
    fn verify_uncles(&self, run: &[Checked]) -> Result<(), (usize, InsertError)> {
        let mut uncles = Vec::new();
        let mut trouble = Ok(());
        for (index, block) in run.iter().enumerate().filter(|(_, block)| !block.uncles.is_empty()) {
            if let Err(error) = self.verify_block_uncles(run, index) {
                trouble = Err((index, error));
                break;
            }
            uncles.extend(block.uncles.iter().map(|uncle| (index, uncle.clone())));
        }
        let headers: Vec<_> = uncles.iter().map(|(_, uncle)| uncle.clone()).collect();
        if let (Consensus::Ethash, Err((uncle, error))) = (self.spec.consensus, self.seals.check(&headers)) {
            let index = uncles[uncle].0;
            return Err((index, Refusal::seal(&error, Rule::UncleSeal).of(&run[index].header)));
        }
        trouble
    }

    fn verify_block_uncles(&self, run: &[Checked], index: usize) -> Result<(), InsertError> {
        let block = &run[index];
        let mut ancestors = Vec::with_capacity(UNCLE_ANCESTORS);
        let mut included = Vec::new();
        for ancestor in run[..index].iter().rev().take(UNCLE_ANCESTORS) {
            ancestors.push(ancestor.header.clone());
            included.extend(ancestor.uncles.iter().map(|uncle| uncle.hash()));
        }
        let mut parent = ancestors.last().unwrap_or(&block.header).parent_hash;
        while ancestors.len() < UNCLE_ANCESTORS {
            let Some(header) = self.headers.header(&parent) else { break };
            if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
                let body = self.stored_body(&header)?;
                included.extend(body.into_iter().flat_map(|body| body.uncles).map(keccak256));
            }
            parent = header.parent_hash;
            ancestors.push(header);
        }
        verify_uncles(&self.spec, &block.header, &block.uncles, &ancestors, &included).map_err(|error| match error {
            UncleError::Header { error: HeaderError::NotSupported { fork, .. }, .. } => {
                let (hash, number) = (block.header.hash(), block.header.number);
                InsertError::NotSupported { hash, number, fork: fork.to_string() }
            }
            error => Refusal::from(error).of(&block.header),
        })
    }

    /// Executes a run block by block. What the good ones leave is in `batch` and in the nodes, also where one is bad.
    fn execute_run(&self, run: &[Checked], prepared: &Prepared, batch: &mut Batch) -> Result<(), (usize, InsertError)> {
        let Some(first) = run.first().map(|block| &block.header) else { return Ok(()) };
        let Some(parent) = self.headers.header(&first.parent_hash) else {
            let (hash, number, parent) = (first.hash(), first.number, first.parent_hash);
            return Err((0, InsertError::UnknownParent { hash, number, parent }));
        };
        let mut parent_root = parent.state_root;
        let before = OnceCell::new();
        for (index, block) in run.iter().enumerate() {
            let ancestors = |number: u64| {
                if let Some(place) = number.checked_sub(first.number) {
                    return run[..index].get(place as usize).map(|block| block.header.hash());
                }
                let before: &Vec<B256> = before.get_or_init(|| self.ancestor_hashes(first.parent_hash));
                before.get((first.number - 1 - number) as usize).copied()
            };
            match verify(&self.spec, &self.nodes, block, prepared.signer(index), parent_root, &ancestors) {
                Ok(receipts) => {
                    self.nodes.keep_block();
                    self.record(block, &receipts, batch).map_err(|error| (index, error.into()))?;
                }
                Err(error) => {
                    self.nodes.drop_block();
                    return Err((index, error));
                }
            }
            parent_root = block.header.state_root;
        }
        Ok(())
    }

    pub(crate) fn ancestor_hashes(&self, parent: B256) -> Vec<B256> {
        let mut hashes = vec![parent];
        hashes.extend(self.headers.hashes_before(&parent, BLOCK_HASH_DEPTH - 1));
        hashes
    }

    /// A good block's body, receipts and look-ups.
    fn record(&self, block: &Checked, receipts: &[ReceiptEnvelope], batch: &mut Batch) -> Result<(), StoreError> {
        let hash = block.header.hash();
        let body = block.raw.body();
        if Body::known_empty(&block.header).is_none() {
            batch.put_bytes(Column::Bodies, hash.into(), body.encode());
            lookup::record(&hash, &block.header, &body, &*self.store, batch)?;
        }
        if !receipts.is_empty() {
            batch.put(Column::Receipts, hash, encode_receipts(receipts));
        }
        Ok(())
    }
}

/// The next blocks, as many as are written together. What does not decode is found out later, and uses no gas.
fn take_run(blocks: &mut impl Iterator<Item = RawBlock>) -> Vec<RawBlock> {
    let mut run = Vec::new();
    let mut gas = 0u64;
    while gas < RUN_GAS
        && let Some(block) = blocks.next()
    {
        gas = gas.saturating_add(header::outline(&block.header).map_or(0, |header| header.gas_used));
        run.push(block);
    }
    run
}

fn refuse_header(block: &Checked, error: HeaderRefusal) -> InsertError {
    let (hash, number) = (block.header.hash(), block.header.number);
    match error {
        HeaderRefusal::Header(HeaderError::Broken { rule, expected, got }) => {
            Refusal::new(Rule::Header(rule.name()), expected, got).of(&block.header)
        }
        HeaderRefusal::Header(HeaderError::NotSupported { fork, .. }) => {
            InsertError::NotSupported { hash, number, fork: fork.to_string() }
        }
        HeaderRefusal::Header(HeaderError::Merged { .. }) => {
            InsertError::NotSupported { hash, number, fork: Fork::Paris.to_string() }
        }
        HeaderRefusal::Seal(error) => Refusal::seal(&error, Rule::Seal).of(&block.header),
        HeaderRefusal::Decode(error) => Refusal::from(error).of(&block.header),
        HeaderRefusal::NotLinked { expected, got } => {
            Refusal::new(Rule::Header("parent hash"), expected, got).of(&block.header)
        }
        HeaderRefusal::UnknownParent { parent } => InsertError::UnknownParent { hash, number, parent },
        // A full peer trusts no head.
        HeaderRefusal::Unknown | HeaderRefusal::Descending => InsertError::Chain(ChainError::Gone { hash }),
        HeaderRefusal::Store(error) => InsertError::Store(error),
    }
}
