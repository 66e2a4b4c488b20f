//! What is true: chain specs, consensus rules, the header chain and the store below it.
//!
//! Nothing here knows of peers. Bytes come in, and either prove themselves by the rules of their chain or are refused
//! with an error that names the rule, what it asked for and what came.
//!
//! ```text
//!   spec        which chain: genesis header, fork schedule, consensus (built-in networks, or geth's genesis.json)
//!   header      header RLP <-> SealedHeader, strict, hash = keccak(raw)
//!   block       whole blocks on the wire, body against header
//!   difficulty  the difficulty rules, pure
//!   rules       a header against its parent (all but its seal)
//!   uncles      a block's uncles against its ancestors
//!   seal        SealCheck: seals are checked by whoever is passed in
//!   ethash      … from per-epoch caches, without the dataset
//!   clique      … by signers and votes (EIP-225), and how to seal
//!   era1        history files of mainnet before the merge
//!   store       columns, atomic batches; RocksDB or memory
//!   sampling    which seals a node checks that does not check all
//!   header_chain  the chain of headers: total difficulty, reorganisations, canonical index, events
//!   pool        what the transaction pools share: their interface, transactions, why one is refused
//!   access      what serving reads, filled by light and full
//! ```
//!
//! Followed specifications: the Yellow Paper (headers, uncles, difficulty, appendix J for ethash), EIP-2 (Homestead),
//! EIP-100 (Byzantium) and the delays of the bomb, EIP-225 (clique), EIP-779 (the DAO's extra data), EIP-1559 (base fee),
//! EIP-3675 (proof of stake), EIP-4788, EIP-4844, EIP-4895, EIP-7685, EIP-7840 and EIP-7918 (fields to Osaka), EIP-2124
//! (fork ids), ECIP-1010, 1041 and 1099 (Ethereum Classic). A rule of a fork that is not built yet is never skipped: its
//! headers give [`HeaderError::NotSupported`].

pub mod access;
pub mod block;
pub mod clique;
mod clock;
pub mod difficulty;
pub mod era1;
pub mod ethash;
pub mod header;
pub mod header_chain;
pub mod pool;
mod rules;
pub mod sampling;
mod seal;
mod spec;
pub mod store;
pub mod testdata;
pub mod testing;
mod uncles;

pub use access::ChainAccess;
pub use alloy_eips::eip7840::BlobParams;
pub use block::{Body, BodyError, RawBlock, verify_body};
pub use clock::{Clock, system_clock};
pub use ethash::Ethash;
pub use header::{DecodeError, SealedHeader};
pub use header_chain::{
    ANCHOR_SPACING, ChainError, ChainEvent, Descent, DescentError, ExtendError, Extended, Head, HeaderChain,
    HeaderChainConfig, Known, Prepared, ProofOfStake, ProvisionalProgress, Refusal, Reorg, Retain, SealPolicy,
    SettleError,
};
pub use rules::{
    HeaderError, INITIAL_BASE_FEE, MAX_EXTRA_DATA, MAX_FUTURE_SECONDS, MAX_GAS_LIMIT, MIN_GAS_LIMIT, Rule, Short,
    Value, blob_base_fee, next_base_fee, next_excess_blob_gas, next_gas_limit, set_fork_fields, verify_header,
};
pub use seal::{NoSeals, SealCheck, SealError, seal_hash};
pub use spec::{
    Activation, BlobSchedule, ChainSpec, Classic, Consensus, Fork, ForkId, ForkIdError, ForkSet, Forks,
    MAINNET_GENESIS_HASH, SpecError,
};
#[cfg(feature = "rocksdb")]
pub use store::RocksStore;
pub use store::{Batch, Column, MemoryStore, Store, StoreError};
pub use uncles::{MAX_UNCLE_DEPTH, MAX_UNCLES, UNCLE_ANCESTORS, UncleError, verify_uncles};
