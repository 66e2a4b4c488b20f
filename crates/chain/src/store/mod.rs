//! The store: named columns of keys and values, written in atomic batches.
//!
//! Two implementors behave alike: [`MemoryStore`] for tests and simulations, and `RocksStore` (cargo feature
//! `rocksdb`, on by default) for nodes. What a batch promises:
//!
//! - it is written whole or not at all, across all columns, whenever the process or the machine stops;
//! - once `write` has returned, it survives the end of the process, kill -9 included;
//! - with [`Batch::synced`] it is on disk before `write` returns and survives the end of the machine too. Batches
//!   reach the disk in their order, so a synced one brings all earlier ones with it.

mod batch;
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;

use std::path::PathBuf;

use alloy_primitives::{B256, Bytes};

pub use batch::{Batch, Op};
pub use memory::MemoryStore;
#[cfg(feature = "rocksdb")]
pub use rocks::{Budget, RocksStore};

/// The layout of columns, keys and values. A folder of another version is refused, never guessed at.
pub const SCHEMA_VERSION: u32 = 2;

/// Keys of [`Column::Meta`] that belong to the store itself.
const SCHEMA_KEY: &[u8] = b"schema";
const GENESIS_KEY: &[u8] = b"genesis";

/// A column: a key space of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Few small values by name. The chain's own names have no slash; other owners use a prefix of their own
    /// (`odr/…`, `full/…`).
    Meta,
    /// Header hash → total difficulty and header RLP, accepted and provisional ones alike.
    Headers,
    /// Branch id and block number → header hash: the canonical index and that of every side branch.
    Numbers,
    /// Header hash → clique snapshot (signers and votes after that header).
    Snapshots,
    /// Keccak-256 → its preimage: odr's cache of verified look-ups.
    Verified,
    /// Sequence number → key of [`Column::Verified`]: the order in which the cache gives up its entries.
    VerifiedOrder,
    /// Header hash → body (transactions and uncles).
    Bodies,
    /// Header hash → receipts.
    Receipts,
    /// Keccak-256 → trie node or code: full's states.
    Nodes,
    /// Keccak-256 → where to find its preimage (full's transactions, uncle lists, transaction and receipt tries).
    Lookups,
    /// The light node's own transactions that are under way (`light::pool` says how).
    Transactions,
}

impl Column {
    /// Every column.
    pub const ALL: [Column; 11] = [
        Column::Meta,
        Column::Headers,
        Column::Numbers,
        Column::Snapshots,
        Column::Verified,
        Column::VerifiedOrder,
        Column::Bodies,
        Column::Receipts,
        Column::Nodes,
        Column::Lookups,
        Column::Transactions,
    ];

    /// The column's name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Column::Meta => "meta",
            Column::Headers => "headers",
            Column::Numbers => "numbers",
            Column::Snapshots => "snapshots",
            Column::Verified => "verified",
            Column::VerifiedOrder => "verified-order",
            Column::Bodies => "bodies",
            Column::Receipts => "receipts",
            Column::Nodes => "nodes",
            Column::Lookups => "lookups",
            Column::Transactions => "transactions",
        }
    }
}

/// The direction of a [`Store::scan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards greater keys.
    Forward,
    /// Towards smaller keys.
    Reverse,
}

/// Keys and values in columns. Calls block, mostly for microseconds; a synced write for as long as the disk takes.
pub trait Store: Send + Sync + 'static {
    /// The value at `key`.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The values at `keys`, in their order.
    fn multi_get(&self, column: Column, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        keys.iter().map(|key| self.get(column, key)).collect()
    }

    /// Whether there is a value at `key`.
    fn contains(&self, column: Column, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.get(column, key)?.is_some())
    }

    /// Up to `limit` entries from `from` on (inclusive, whether or not it is there) in the order of their keys. Page
    /// through a column by going on after the last key.
    fn scan(
        &self,
        column: Column,
        from: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError>;

    /// Writes a batch, whole or not at all.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Brings everything written so far to disk.
    fn sync(&self) -> Result<(), StoreError>;

    /// Gives back the room of what has been deleted from these columns, where the store keeps it for a while. Others read
    /// and write meanwhile.
    fn tidy(&self, _columns: &[Column]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Bytes that the store takes: on disk, or for [`MemoryStore`] the bytes of keys and values.
    fn size_bytes(&self) -> Result<u64, StoreError>;
}

/// Ties a store to a chain: records schema version and genesis hash in an empty store, and refuses a store of another
/// schema or another chain. Whoever opens a store calls it before anything else ([`crate::HeaderChain::open`] does).
pub fn bind(store: &dyn Store, genesis: B256) -> Result<(), StoreError> {
    check_schema(store.get(Column::Meta, SCHEMA_KEY)?.as_ref().map(|value| &value[..]))?;
    match store.get(Column::Meta, GENESIS_KEY)? {
        Some(found) if *found == genesis[..] => Ok(()),
        Some(found) => match B256::try_from(&found[..]) {
            Ok(found) => Err(StoreError::Genesis { expected: genesis, found }),
            Err(_) => Err(StoreError::Damaged { what: format!("genesis hash of {} bytes", found.len()) }),
        },
        None => {
            let mut batch = Batch::new();
            batch.put(Column::Meta, SCHEMA_KEY, SCHEMA_VERSION.to_be_bytes());
            batch.put(Column::Meta, GENESIS_KEY, genesis);
            store.write(batch.synced())
        }
    }
}

/// Checks the recorded schema version; `None` where nothing is recorded yet.
fn check_schema(recorded: Option<&[u8]>) -> Result<(), StoreError> {
    let Some(recorded) = recorded else { return Ok(()) };
    match <[u8; 4]>::try_from(recorded).map(u32::from_be_bytes) {
        Ok(SCHEMA_VERSION) => Ok(()),
        Ok(found) => Err(StoreError::Schema { expected: SCHEMA_VERSION, found }),
        Err(_) => Err(StoreError::Damaged { what: format!("schema version of {} bytes", recorded.len()) }),
    }
}

/// Why a store cannot be opened, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store holds another chain.
    #[error("the data folder holds another chain: expected genesis {expected}, found {found}")]
    Genesis {
        /// The genesis hash of the chain that was asked for.
        expected: B256,
        /// The one recorded in the store.
        found: B256,
    },
    /// The store was written by a version of Rushlight with another layout.
    #[error("the data folder has another schema: expected version {expected}, found {found}")]
    Schema {
        /// The version that this program reads and writes.
        expected: u32,
        /// The one recorded in the store.
        found: u32,
    },
    /// Another process has the folder open.
    #[error("the data folder {path} is in use by another process")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something else.
    #[error("the folder {path} holds a database that is not Rushlight's")]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// What is stored contradicts itself.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Where the contradiction is.
        what: String,
    },
    /// The disk or the database below failed.
    #[error("{action}: {error}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the layer below says.
        error: String,
    },
}

#[cfg(test)]
mod tests;
