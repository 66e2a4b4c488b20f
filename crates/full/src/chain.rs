//! A chain held whole: headers, bodies, receipts, and every state since genesis.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_trie::TrieAccount;
use eth_trie::Trie;
use rushlight_chain::pool::Included;
use rushlight_chain::store::{Batch, Column, Store, StoreError, bind};
use rushlight_chain::{
    Body, ChainSpec, Clock, HeaderChain, HeaderChainConfig, ProofOfStake, SealCheck, SealPolicy, SealedHeader,
};

use crate::error::OpenError;
use crate::lookup;
use crate::nodes::Nodes;
use crate::state::{StateError, open};
use crate::tries::genesis_root;

/// What a chain needs from outside.
#[derive(Clone)]
pub struct FullConfig {
    /// Checks proof-of-work seals, uncles' included. A full node checks each one.
    pub seals: Arc<dyn SealCheck>,
    /// The wall clock, in unix seconds.
    pub clock: Clock,
}

/// A chain held whole. Blocks come in through [`FullChain::insert`] and [`FullChain::import`]; it is read through
/// `rushlight_chain::ChainAccess` and `rushlight_odr::Source`.
pub struct FullChain {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) headers: Arc<HeaderChain>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) seals: Arc<dyn SealCheck>,
    pub(crate) clock: Clock,
    /// Held by whoever inserts: the nodes of a run under way are one's own.
    writer: Mutex<()>,
}

impl std::fmt::Debug for FullChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FullChain").field("chain", &self.spec.name).finish_non_exhaustive()
    }
}

impl FullChain {
    /// Opens the chain in `store`, or begins it: the genesis state is made from the allocation and checked against the
    /// genesis header before anything of it is written.
    ///
    /// Blocks; for mainnet's 8,893 genesis accounts a fraction of a second, once.
    pub fn open(
        spec: Arc<ChainSpec>,
        genesis: Genesis,
        store: Arc<dyn Store>,
        config: FullConfig,
    ) -> Result<FullChain, OpenError> {
        // First of all, so that nothing is written into another chain's folder.
        bind(&*store, spec.genesis_hash())?;
        let nodes = Arc::new(Nodes::new(store.clone()));
        write_genesis(&spec, &genesis, &*store, &nodes)?;
        let FullConfig { seals, clock } = config;
        // Who hands in a file has chosen its chain. What peers send is another matter: see `ChainSink::extend`.
        let header_config = HeaderChainConfig {
            proof_of_stake: ProofOfStake::Import,
            ..HeaderChainConfig::new(SealPolicy::All, seals.clone(), clock.clone())
        };
        let headers = Arc::new(HeaderChain::open(spec.clone(), store.clone(), header_config)?);
        Ok(FullChain { spec, headers, store, nodes, seals, clock, writer: Mutex::new(()) })
    }

    /// The chain's headers: head, index, total difficulties, events. To be read: headers come in with their blocks,
    /// through [`FullChain::insert`]; one that is put in by itself has no state.
    pub fn headers(&self) -> Arc<HeaderChain> {
        self.headers.clone()
    }

    /// Which chain it is.
    pub fn spec(&self) -> Arc<ChainSpec> {
        self.spec.clone()
    }

    /// The RLP list of a block's receipts, in the form of `eth`'s messages; nothing where the block is not held.
    pub fn receipts(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        let Some(header) = self.headers.header(hash) else { return Ok(None) };
        if header.receipts_root == EMPTY_ROOT_HASH {
            return Ok(Some(Bytes::from_static(&[alloy_rlp::EMPTY_LIST_CODE])));
        }
        self.store.get(Column::Receipts, hash.as_slice())
    }

    /// The bytes whose Keccak-256 is `hash`: nodes of state, storage, transaction and receipt tries, code, transactions
    /// and uncle lists.
    pub fn lookup(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        if let Some(node) = self.nodes.stored(hash)? {
            return Ok(Some(node));
        }
        let Some(place) = self.store.get(Column::Lookups, hash.as_slice())? else { return Ok(None) };
        let damaged = || StoreError::Damaged { what: format!("look-up of {hash}") };
        let place = lookup::decode(&place).ok_or_else(damaged)?;
        let body = self.store.get(Column::Bodies, place.block.as_slice())?.ok_or_else(damaged)?;
        let body = Body::decode(&body).map_err(|_| damaged())?;
        lookup::take(&place, &body).ok_or_else(damaged).map(Some)
    }

    /// An account in the state of a root that is held.
    pub(crate) fn account(&self, root: B256, address: Address) -> Result<Option<TrieAccount>, StateError> {
        let Some(leaf) = open(&self.nodes, root)?.get(keccak256(address).as_slice())? else { return Ok(None) };
        let account = alloy_rlp::decode_exact(leaf.as_slice());
        account.map(Some).map_err(|error| StateError::Account { address, error })
    }

    /// Where in the canonical chain a transaction stands.
    pub(crate) fn included(&self, hash: &B256) -> Option<Included> {
        let places = lookup::places(&*self.store, hash);
        let places = places.inspect_err(|error| tracing::error!(%error, "cannot read a look-up")).ok()?;
        let place = places.into_iter().find(|place| self.headers.is_canonical(&place.block))?;
        let number = self.headers.header(&place.block)?.number;
        Some(Included { block: place.block, number, index: place.index })
    }

    /// The body of a block whose header is held.
    pub(crate) fn stored_body(&self, header: &SealedHeader) -> Result<Option<Body>, StoreError> {
        if let Some(body) = Body::known_empty(header) {
            return Ok(Some(body));
        }
        let hash = header.hash();
        let Some(body) = self.store.get(Column::Bodies, hash.as_slice())? else { return Ok(None) };
        let damaged = |error| StoreError::Damaged { what: format!("body of block {hash}: {error}") };
        Body::decode(&body).map(Some).map_err(damaged)
    }

    /// A panic while inserting leaves nothing behind that the next insertion does not clear.
    pub(crate) fn writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the genesis state in one batch, unless it is there.
fn write_genesis(spec: &ChainSpec, genesis: &Genesis, store: &dyn Store, nodes: &Arc<Nodes>) -> Result<(), OpenError> {
    let expected = spec.genesis.state_root;
    if expected == EMPTY_ROOT_HASH || nodes.stored(&expected)?.is_some() {
        return Ok(());
    }
    let got = genesis_root(nodes, genesis).map_err(StateError::from)?;
    if got != expected {
        return Err(OpenError::GenesisState { expected, got });
    }
    nodes.keep_block();
    let mut batch = Batch::new();
    nodes.write_to(&mut batch);
    store.write(batch)?;
    nodes.clear();
    Ok(())
}
