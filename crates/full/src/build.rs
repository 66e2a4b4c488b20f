//! Blocks of one's own: which transactions stand in them, and in which order.
//!
//! Each sender's transactions come by nonce; of all senders' next ones the one that leaves most to whoever seals comes first,
//! of equal ones the one that came first. One that does not fit ends its sender's turn, as those after it need it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::vec::IntoIter;

use alloy_consensus::{Header, Transaction, TxEnvelope, proofs};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{Address, B256, Bytes};
use revm::primitives::hardfork::SpecId;
use rushlight_chain::blob_base_fee;
use rushlight_chain::pool::PoolTransaction;
use rushlight_evm::Rules;

use crate::block::MAX_BLOCK_BYTES;
use crate::chain::FullChain;
use crate::error::{InsertError, Refusal};
use crate::execute::{ExecuteError, Input, Supply, execute};
use crate::state::State;

/// No transaction costs less.
const LEAST_GAS: u64 = 21_000;
/// Bytes of a block beside its transactions and the extra data of its header: the other fields, and the lengths of lists.
const FRAME_BYTES: usize = 2_048;
/// The length of a transaction in a block takes up to so many bytes.
const LENGTH_BYTES: usize = 4;

/// A transaction that waits for a block.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The transaction.
    pub tx: Arc<PoolTransaction>,
    /// Lower: came earlier.
    pub arrived: u64,
}

/// What may stand in a block.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// Each sender's transactions by nonce, from the account's on and without gaps.
    pub senders: Vec<Vec<Waiting>>,
    /// The least that a transaction leaves to whoever seals, in wei per gas.
    pub min_tip: u128,
}

/// A block but for its seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The header: what execution gave is in it.
    pub header: Header,
    /// The body's transactions.
    pub transactions: Vec<Bytes>,
    /// Transactions that were offered and break a rule, with the reason.
    pub refused: Vec<(B256, String)>,
}

impl FullChain {
    /// Completes the header of a block on a block that is held with what of the offer fits, in the order in which it pays.
    /// `beneficiary` gets the fees: on a clique chain the signer.
    ///
    /// Blocks; call it off the async threads.
    pub fn fill(&self, mut header: Header, beneficiary: Address, offer: Offer) -> Result<Filled, InsertError> {
        let _writer = self.writer();
        let (hash, number) = (header.hash_slow(), header.number);
        let Some(parent) = self.headers.header(&header.parent_hash) else {
            return Err(InsertError::UnknownParent { hash, number, parent: header.parent_hash });
        };
        let rules = Rules::at(&self.spec, &header).map_err(|fork| InsertError::NotSupported { hash, number, fork })?;
        let before = self.ancestor_hashes(parent.hash());
        let ancestors = |wanted: u64| before.get(usize::try_from(parent.number.checked_sub(wanted)?).ok()?).copied();
        let mut packer = Packer::new(&rules, &header, offer);
        let delegations = rules.spec.is_enabled_in(SpecId::PRAGUE);
        self.nodes.clear();
        let mut state = State::new(self.nodes.clone(), parent.state_root, delegations, &ancestors);
        let input = Input { header: &header, uncles: &[], withdrawals: &[], beneficiary };
        let outcome = execute(&rules, &input, &mut packer, &mut state);
        // They come again with the block.
        self.nodes.clear();
        let outcome = outcome.map_err(|error| match error {
            ExecuteError::Bad(refusal) => refusal.at(hash, number),
            ExecuteError::Local(error) => error.into(),
        })?;
        let Packer { taken, envelopes, refused, blobs, .. } = packer;
        header.state_root = outcome.state_root;
        header.requests_hash = outcome.requests_hash;
        header.gas_used = outcome.gas_used;
        header.logs_bloom = outcome.bloom;
        header.receipts_root = proofs::calculate_receipt_root(&outcome.receipts);
        header.transactions_root = proofs::calculate_transaction_root(&envelopes);
        if rules.blobs.is_some() {
            header.blob_gas_used = Some(blobs * DATA_GAS_PER_BLOB);
        }
        Ok(Filled { header, transactions: taken, refused })
    }
}

/// The next transaction of a sender, and those after it.
#[derive(Debug)]
struct Head {
    tip: u128,
    next: Waiting,
    rest: IntoIter<Waiting>,
}

impl Head {
    fn rank(&self) -> (u128, Reverse<u64>) {
        (self.tip, Reverse(self.next.arrived))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// Picks what stands in a block while it is executed.
#[derive(Debug)]
struct Packer {
    heads: BinaryHeap<Head>,
    base_fee: u64,
    blob_fee: u128,
    min_tip: u128,
    max_blobs: u64,
    blobs: u64,
    bytes_left: usize,
    /// What is being executed.
    current: Option<(TxEnvelope, Bytes, Head)>,
    taken: Vec<Bytes>,
    envelopes: Vec<TxEnvelope>,
    refused: Vec<(B256, String)>,
}

impl Packer {
    fn new(rules: &Rules, header: &Header, offer: Offer) -> Self {
        let mut packer = Packer {
            heads: BinaryHeap::with_capacity(offer.senders.len()),
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            blob_fee: rules
                .blobs
                .map_or(u128::MAX, |blobs| blob_base_fee(&blobs, header.excess_blob_gas.unwrap_or_default())),
            min_tip: offer.min_tip,
            max_blobs: rules.blobs.map_or(0, |blobs| blobs.max_blob_count),
            blobs: 0,
            bytes_left: MAX_BLOCK_BYTES.saturating_sub(FRAME_BYTES + header.extra_data.len()),
            current: None,
            taken: Vec::new(),
            envelopes: Vec::new(),
            refused: Vec::new(),
        };
        for sender in offer.senders {
            packer.queue(sender.into_iter());
        }
        packer
    }

    /// Lines up a sender's next transaction, where it pays what this block asks for.
    fn queue(&mut self, mut rest: IntoIter<Waiting>) {
        let Some(next) = rest.next() else { return };
        let Some(tip) = next.tx.effective_tip(self.base_fee).filter(|tip| *tip >= self.min_tip) else { return };
        if next.tx.tx().max_fee_per_blob_gas().is_none_or(|fee| fee >= self.blob_fee) {
            self.heads.push(Head { tip, next, rest });
        }
    }
}

fn blob_count(tx: &impl Transaction) -> u64 {
    tx.blob_versioned_hashes().map_or(0, |hashes| hashes.len() as u64)
}

impl Supply for Packer {
    fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    fn next(&mut self, gas_left: u64) -> Option<&TxEnvelope> {
        self.current = None;
        if gas_left < LEAST_GAS {
            return None;
        }
        while let Some(head) = self.heads.pop() {
            let tx = head.next.tx.to_block();
            if tx.gas_limit() > gas_left || blob_count(&tx) > self.max_blobs - self.blobs {
                continue;
            }
            let bytes = Bytes::from(tx.encoded_2718());
            if bytes.len() + LENGTH_BYTES > self.bytes_left {
                continue;
            }
            return Some(&self.current.insert((tx, bytes, head)).0);
        }
        None
    }

    fn taken(&mut self) {
        let Some((tx, bytes, head)) = self.current.take() else { return };
        self.bytes_left -= bytes.len() + LENGTH_BYTES;
        self.blobs += blob_count(&tx);
        self.taken.push(bytes);
        self.envelopes.push(tx);
        self.queue(head.rest);
    }

    fn refused(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        if let Some((_, _, head)) = self.current.take() {
            self.refused.push((head.next.tx.hash(), refusal.got));
        }
        Ok(())
    }
}
