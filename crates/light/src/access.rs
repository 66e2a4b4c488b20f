//! What a light node serves its peers: what it happens to hold. Nothing here asks anyone for anything.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use rushlight_chain::{ChainAccess, Head, HeaderChain, block::RawBlock};
use rushlight_odr::{Retriever, body};

/// Read access to headers, verified look-ups, and bodies that were downloaded lately.
#[derive(Clone, Debug)]
pub struct Access {
    chain: Arc<HeaderChain>,
    retriever: Retriever,
}

impl Access {
    /// Serves from `chain` and from what `retriever` has verified so far.
    pub fn new(chain: Arc<HeaderChain>, retriever: Retriever) -> Self {
        Self { chain, retriever }
    }
}

impl ChainAccess for Access {
    fn head(&self) -> Head {
        // Others are not to follow what we cannot serve down to genesis.
        self.chain.linked_head()
    }

    fn genesis_hash(&self) -> B256 {
        self.chain.genesis_hash()
    }

    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        self.chain.hashes_before(hash, max)
    }

    fn header(&self, hash: &B256) -> Option<Bytes> {
        self.chain.raw_header(hash)
    }

    fn headers(&self, hashes: &[B256]) -> Vec<Option<Bytes>> {
        self.chain.raw_headers(hashes)
    }

    fn block(&self, hash: &B256) -> Option<RawBlock> {
        // The light node knows a header before it knows its block; only a block without content is held by its header.
        let header = self.chain.header(hash)?;
        let body = body::known_empty(&header).or_else(|| self.retriever.held_body(hash))?;
        Some(RawBlock::from_parts(self.chain.raw_header(hash)?, body))
    }

    fn preimage(&self, hash: &B256) -> Option<Bytes> {
        self.retriever.store().get(hash)
    }
}
