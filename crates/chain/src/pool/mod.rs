//! What the transaction pools share: the light node's, which holds its own transactions, and the full peer's, which holds
//! everybody's. What a pool is to those above it, and which transactions none takes.
//!
//! ```text
//!   transaction  one transaction, decoded strictly, with its sender
//!   check        what no state is needed for, and what an account's is needed for
//!   gas          … the least gas that a transaction needs
//!   blobs        … that blobs are what their commitments say (KZG)
//!   error        why one is refused, in go-ethereum's words
//! ```

mod blobs;
mod check;
mod error;
mod gas;
mod transaction;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes};

pub(crate) use blobs::kzg_settings;
pub use blobs::{needs_cell_proofs, verify_blobs, with_cell_proofs};
pub use check::{PoolLimits, check, check_account, replaces};
pub use error::{PoolError, SubmitError};
pub use gas::{floor_data_gas, intrinsic_gas};
pub use transaction::{PoolTransaction, PooledTransaction};

/// A future that may be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The transactions of one sender by their nonces.
pub type ByNonce = BTreeMap<u64, Arc<PoolTransaction>>;

/// A pool as JSON-RPC sees it.
pub trait TransactionPool: Send + Sync + 'static {
    /// Takes a transaction in its network form (EIP-2718; a blob transaction with its sidecar) and gives its hash. Where the
    /// answer is `Ok` the transaction is on disk, if the pool keeps any there.
    fn submit(&self, raw: Bytes) -> BoxFuture<'_, Result<B256, SubmitError>>;

    /// A transaction that the pool holds, in a block already or not.
    fn get(&self, hash: &B256) -> Option<Arc<PoolTransaction>>;

    /// What is known of a transaction that the pool holds.
    fn tracked(&self, hash: &B256) -> Option<Tracked>;

    /// What waits for a block.
    fn content(&self) -> Content;

    /// The nonce that follows the sender's executable transactions in the pool; `None` where it has none there.
    fn next_nonce(&self, sender: &Address) -> Option<u64>;
}

/// What waits for a block, by sender and nonce, as geth's `txpool_content` has it.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Those that can stand in the next block.
    pub pending: BTreeMap<Address, ByNonce>,
    /// Those that wait for one with a lower nonce.
    pub queued: BTreeMap<Address, ByNonce>,
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Sessions that it was sent on.
    pub sent: u64,
    /// Peers that have told us of it.
    pub heard: u64,
    /// The canonical block that it stands in.
    pub included: Option<Included>,
    /// Whether it waits for one with a lower nonce.
    pub queued: bool,
}

/// A place in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Included {
    /// The block's hash.
    pub block: B256,
    /// The block's number.
    pub number: u64,
    /// The transaction's index in it.
    pub index: u64,
}
