//! Batches: writes that happen together.

use alloy_primitives::Bytes;

use super::Column;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets a value.
    Put {
        /// Where.
        column: Column,
        /// Its key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Removes a value, if it is there.
    Delete {
        /// Where.
        column: Column,
        /// Its key.
        key: Bytes,
    },
}

/// Writes that happen whole or not at all. Of several writes to one key the last counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<Op>,
    sync: bool,
}

impl Batch {
    /// An empty batch that is not synced.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Sets a value. Copies it: for long ones there is [`put_bytes`](Self::put_bytes).
    pub fn put(&mut self, column: Column, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.put_bytes(column, Bytes::copy_from_slice(key.as_ref()), Bytes::copy_from_slice(value.as_ref()));
    }

    /// Sets a value without copying it.
    pub fn put_bytes(&mut self, column: Column, key: Bytes, value: Bytes) {
        self.ops.push(Op::Put { column, key, value });
    }

    /// Removes a value, if it is there.
    pub fn delete(&mut self, column: Column, key: impl AsRef<[u8]>) {
        self.ops.push(Op::Delete { column, key: Bytes::copy_from_slice(key.as_ref()) });
    }

    /// Adds the writes of another batch after this one's; durable if either is.
    pub fn append(&mut self, other: Batch) {
        self.ops.extend(other.ops);
        self.sync |= other.sync;
    }

    /// Makes the batch durable: it is on disk before the write returns.
    #[must_use]
    pub fn synced(mut self) -> Batch {
        self.sync = true;
        self
    }

    /// Whether the batch is durable.
    pub fn is_synced(&self) -> bool {
        self.sync
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// The writes, in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Takes the writes out, in order.
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
    }
}
