//! One API for everything above the light node.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::TrieAccount;
use rushlight_chain::{ChainSpec, Descent, Head, HeaderChain, SealedHeader};
use rushlight_odr::Source;
use rushlight_sync::{Progress, SyncStatus};
use tokio::sync::{Semaphore, watch};

use crate::{
    ClientError,
    block::Block,
    call,
    fees::Fees,
    old_headers::{Old, OldHeaders},
    receipts::{self, ReceiptCache, Receipts},
    state::{self, Proof},
};

/// Old headers are fetched down to a multiple of this: a third of a message more, for one block alone.
const STRETCH: u64 = 64;

/// Answers about the chain and its states, each proved against a verified header.
///
/// Headers come from the header chain at once where it retains them; older ones, bodies and states come through a
/// [`Source`], which may have to ask peers.
/// Dropping a returned future cancels its questions.
pub struct LightClient {
    chain: Arc<HeaderChain>,
    source: Arc<dyn Source>,
    status: watch::Receiver<SyncStatus>,
    network_id: u64,
    old: OldHeaders,
    receipts: ReceiptCache,
    fees: Fees,
    /// Who may run an EVM now.
    evm: Arc<Semaphore>,
}

impl std::fmt::Debug for LightClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LightClient").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl LightClient {
    /// A client over `chain` and `source`. `network_id` is what `net_version` tells.
    pub fn new(
        chain: Arc<HeaderChain>,
        source: Arc<dyn Source>,
        status: watch::Receiver<SyncStatus>,
        network_id: u64,
    ) -> Self {
        Self {
            chain,
            source,
            status,
            network_id,
            old: OldHeaders::default(),
            receipts: ReceiptCache::default(),
            fees: Fees::default(),
            evm: call::slots(),
        }
    }

    /// The chain id of EIP-155.
    pub fn chain_id(&self) -> u64 {
        self.spec().chain_id
    }

    /// The network id.
    pub fn network_id(&self) -> u64 {
        self.network_id
    }

    /// The chain's specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        self.chain.spec()
    }

    /// The chain of headers.
    pub fn chain(&self) -> &Arc<HeaderChain> {
        &self.chain
    }

    /// Where bodies and states come from.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    pub(crate) fn fees(&self) -> &Fees {
        &self.fees
    }

    /// What a run of the EVM holds.
    pub(crate) fn evm_slots(&self) -> Arc<Semaphore> {
        self.evm.clone()
    }

    /// How far the sync has come, while a chain is being followed, and while one that is not settled waits for a peer
    /// to go on with, as after a restart.
    pub fn syncing(&self) -> Option<Progress> {
        let (syncing, peers) = {
            let status = self.status.borrow();
            (status.syncing, status.peers)
        };
        if syncing.is_some() || peers > 0 {
            return syncing;
        }
        let held = self.chain.provisional().filter(|held| held.td > self.chain.head().td)?;
        Some(Progress { starting: held.start, current: held.current, highest: held.current })
    }

    /// All that sync tells.
    pub fn status(&self) -> SyncStatus {
        self.status.borrow().clone()
    }

    /// The best header and its total difficulty.
    pub fn head(&self) -> Head {
        self.chain.head()
    }

    /// Whether there is anything to answer from: with a trusted head, its header, and no reason to refuse it.
    pub fn ready(&self) -> Result<(), ClientError> {
        match self.chain.descent() {
            Some(Descent::Failed(why)) => Err(ClientError::TrustedHeadRefused(why)),
            Some(Descent::Wanted { hash, number: None, .. }) => Err(ClientError::TrustedHeadNotHeld(hash)),
            _ => Ok(()),
        }
    }

    /// The header that `block` names now. Whatever is asked for next should be asked for by this header: then a
    /// reorganisation cannot mix two blocks in one answer.
    ///
    /// `pending` is `latest`: a light node has no pending block. `safe` and `finalized` need a source that says what is:
    /// a trusted head of a chain without difficulty is both.
    /// A header below those that are retained is fetched, and proved by what links it to the next anchor. A hash that
    /// nobody who was asked knows is unknown; that nobody answered is an error.
    /// A hash may name a block beside the canonical chain unless it is required to be canonical (EIP-1898).
    pub async fn resolve(&self, block: impl Into<BlockId> + Send) -> Result<SealedHeader, ClientError> {
        self.ready()?;
        match block.into() {
            BlockId::Number(BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized) if self.is_fixed() => {
                Ok(self.chain.head().header)
            }
            BlockId::Number(BlockNumberOrTag::Latest | BlockNumberOrTag::Pending) => Ok(self.chain.head().header),
            BlockId::Number(BlockNumberOrTag::Earliest) => Ok(self.spec().genesis.clone()),
            BlockId::Number(BlockNumberOrTag::Safe) => Err(ClientError::SafeNotFound),
            BlockId::Number(BlockNumberOrTag::Finalized) => Err(ClientError::FinalizedNotFound),
            BlockId::Number(BlockNumberOrTag::Number(number)) => self.by_number(number).await,
            BlockId::Hash(named) => {
                let hash = named.block_hash;
                let Some(header) = self.chain.header(&hash) else { return self.by_hash(hash).await };
                if named.require_canonical == Some(true) && !self.chain.is_canonical(&hash) {
                    return Err(ClientError::NotCanonical(hash));
                }
                Ok(header)
            }
        }
    }

    /// Whether the head is a trusted one that nothing can follow.
    fn is_fixed(&self) -> bool {
        self.chain.descent().is_some() && self.chain.head().header.difficulty.is_zero()
    }

    /// A canonical header. Below the retained ones it is fetched, with all that link it to the next anchor.
    async fn by_number(&self, number: u64) -> Result<SealedHeader, ClientError> {
        if let Some(header) = self.chain.header_by_number(number) {
            return Ok(header);
        }
        let unknown = ClientError::UnknownNumber(number);
        let Some((_, anchor)) = self.chain.anchor_above(number) else { return Err(unknown) };
        if let Some(header) = self.old.at(number, &anchor) {
            return Ok(header);
        }
        // A reorganisation may just have taken the anchor away.
        let held = || Some(Old { header: self.chain.header(&anchor)?, td: self.chain.td(&anchor)?, anchor });
        let Some(from) = self.old.lowest_above(number, &anchor).or_else(held) else { return Err(unknown) };
        // Down to a round number, so that who asks for neighbours at the same time asks for the same.
        let down = (number - number % STRETCH).max(1);
        let headers = self.source.ancestors(&from.header, from.header.number.saturating_sub(down)).await?;
        let wanted = headers.iter().find(|header| header.number == number).cloned();
        self.old.keep(from, headers);
        wanted.ok_or(unknown)
    }

    /// A header that the chain does not hold. Its hash proves its bytes, and the number in them tells where to look
    /// whether it is on our chain; of any other nothing is verified, so that it counts as unknown.
    async fn by_hash(&self, hash: B256) -> Result<SealedHeader, ClientError> {
        let unknown = ClientError::UnknownHash(hash);
        let header = match self.old.get(&hash).filter(|old| self.chain.is_canonical(&old.anchor)) {
            Some(old) => return Ok(old.header),
            None => self.source.header(hash).await?.ok_or(unknown.clone())?,
        };
        // Held at that number is another one.
        if header.number > self.chain.head().header.number || self.chain.canonical_hash(header.number).is_some() {
            return Err(unknown);
        }
        match self.by_number(header.number).await {
            Ok(ours) if ours.hash() == hash => Ok(ours),
            Ok(_) | Err(ClientError::UnknownNumber(_)) => Err(unknown),
            Err(error) => Err(error),
        }
    }

    /// Total difficulty of a verified header, its own included.
    pub fn td(&self, hash: &B256) -> Option<U256> {
        self.chain.td(hash).or_else(|| self.old.get(hash).map(|old| old.td))
    }

    /// The block of a verified header, its body downloaded and checked where it is not held. Needs a tokio runtime.
    pub async fn block(&self, header: &SealedHeader) -> Result<Block, ClientError> {
        let body = self.source.body(header).await?;
        let (header, td) = (header.clone(), self.td(&header.hash()));
        let number = header.number;
        // Recovering the senders of a full block takes tens of milliseconds.
        let decoding = tokio::task::spawn_blocking(move || Block::decode(header, body, td));
        decoding.await.unwrap_or_else(|error| Err(ClientError::malformed(format!("block {number}"), error)))
    }

    /// The receipts of a verified header's block, all of them, read out of its receipt trie.
    pub async fn receipts(&self, header: &SealedHeader) -> Result<Receipts, ClientError> {
        let hash = header.hash();
        if let Some(held) = self.receipts.get(&hash) {
            return Ok(held);
        }
        let (receipts, size) = receipts::fetch(&*self.source, header).await?;
        Ok(self.receipts.keep(hash, receipts, size))
    }

    /// The account at `header`, or `None` where it is proved to be absent.
    pub async fn account(&self, header: &SealedHeader, address: Address) -> Result<Option<TrieAccount>, ClientError> {
        Ok(state::account(&*self.source, header.state_root, address).await?.0)
    }

    /// The account's code at `header`; empty where it has none.
    pub async fn code(&self, header: &SealedHeader, address: Address) -> Result<Bytes, ClientError> {
        match self.account(header, address).await? {
            Some(account) => state::code(&*self.source, address, account.code_hash).await,
            None => Ok(Bytes::new()),
        }
    }

    /// The value of a storage slot at `header`; 0 where it is proved to be absent.
    pub async fn storage(&self, header: &SealedHeader, address: Address, slot: B256) -> Result<U256, ClientError> {
        match self.account(header, address).await? {
            Some(account) => Ok(state::storage(&*self.source, account.storage_root, address, slot).await?.value),
            None => Ok(U256::ZERO),
        }
    }

    /// The account at `header` with slots of its storage, and the nodes that prove both (EIP-1186).
    pub async fn proof(&self, header: &SealedHeader, address: Address, slots: &[B256]) -> Result<Proof, ClientError> {
        state::proof(&*self.source, header.state_root, address, slots).await
    }
}
