//! The messages of `eth` version 28 (PoC-6, 0x1c): one struct a message, one enum over them, encoding and decoding as
//! pure functions of bytes.
//!
//! Source: the "Ethereum Wire Protocol" page of PoC-6; `docs/protocols.md` repeats every decision on what it leaves open.
//! A payload is one RLP list; ids are relative to the capability's offset. Decoding is strict: shortest forms only, exact
//! field counts, nothing behind the list. Headers, transactions and uncles stay raw slices.

mod blocks;
mod error;
mod hashes;
mod lookup;
mod status;
mod transactions;
mod wire;

use bytes::Bytes;
use rlp::RlpStream;

pub use blocks::{BlockHeaders, Blocks, GetBlockHeaders, GetBlocks, NewBlock};
pub use error::DecodeError;
pub use hashes::{BlockHashes, GetBlockHashes};
pub use lookup::{HashLookup, HashLookupResponse};
pub use status::{Mismatch, Status};
pub use transactions::{TransactionError, Transactions, transaction_hash};

/// The capability's name in Hello.
pub const NAME: &str = "eth";
/// The capability's version in Hello, and `protocolVersion` in Status: PoC-6.
pub const VERSION: u32 = 0x1c;
/// How many message ids the capability takes: 0x00 to 0x11.
pub const ID_COUNT: u64 = 18;

/// Most hashes in a BlockHashes. At 33 bytes each a message of 68 kB, which a slow line takes in a second or so.
pub const MAX_HASHES: usize = 2_048;
/// Most headers in a BlockHeaders: as many as today's clients ask for at once, about 100 kB.
pub const MAX_HEADERS: usize = 192;
/// Most blocks in a Blocks.
pub const MAX_BLOCKS: usize = 128;
/// Most values in a HashLookupResponse: as many trie nodes as today's `eth` gives at once.
pub const MAX_LOOKUPS: usize = 384;
/// A count over this many times its limit is a breach; up to it, a peer with limits of its own is borne with.
pub const BREACH_FACTOR: usize = 2;
/// A response stops growing before it passes this many bytes (it always holds one item where one is there), so that one
/// request costs a server's memory and line no more than that.
pub const SOFT_RESPONSE_BYTES: usize = 2 * 1024 * 1024;
/// An incoming message of more bytes is a breach.
pub const MAX_MESSAGE_BYTES: usize = 10 * 1024 * 1024;
/// The largest transaction that is sent or taken, blob sidecar included.
pub const MAX_TRANSACTION_BYTES: usize = 2 * 1024 * 1024;

/// Message ids, relative to the capability's offset.
pub mod id {
    /// [`Status`](super::Status)
    pub const STATUS: u64 = 0x00;
    /// [`Transactions`](super::Transactions)
    pub const TRANSACTIONS: u64 = 0x02;
    /// [`GetBlockHashes`](super::GetBlockHashes)
    pub const GET_BLOCK_HASHES: u64 = 0x03;
    /// [`BlockHashes`](super::BlockHashes)
    pub const BLOCK_HASHES: u64 = 0x04;
    /// [`GetBlocks`](super::GetBlocks)
    pub const GET_BLOCKS: u64 = 0x05;
    /// [`Blocks`](super::Blocks)
    pub const BLOCKS: u64 = 0x06;
    /// [`NewBlock`](super::NewBlock)
    pub const NEW_BLOCK: u64 = 0x07;
    /// [`GetBlockHeaders`](super::GetBlockHeaders)
    pub const GET_BLOCK_HEADERS: u64 = 0x08;
    /// [`BlockHeaders`](super::BlockHeaders)
    pub const BLOCK_HEADERS: u64 = 0x09;
    /// [`HashLookup`](super::HashLookup)
    pub const HASH_LOOKUP: u64 = 0x10;
    /// [`HashLookupResponse`](super::HashLookupResponse)
    pub const HASH_LOOKUP_RESPONSE: u64 = 0x11;
}

/// Any message of version 28.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each variant is its struct.
pub enum Message28 {
    Status(Status),
    Transactions(Transactions),
    GetBlockHashes(GetBlockHashes),
    BlockHashes(BlockHashes),
    GetBlocks(GetBlocks),
    Blocks(Blocks),
    NewBlock(NewBlock),
    GetBlockHeaders(GetBlockHeaders),
    BlockHeaders(BlockHeaders),
    HashLookup(HashLookup),
    HashLookupResponse(HashLookupResponse),
}

impl Message28 {
    /// The message's id, relative to the capability's offset.
    pub fn id(&self) -> u64 {
        match self {
            Self::Status(_) => id::STATUS,
            Self::Transactions(_) => id::TRANSACTIONS,
            Self::GetBlockHashes(_) => id::GET_BLOCK_HASHES,
            Self::BlockHashes(_) => id::BLOCK_HASHES,
            Self::GetBlocks(_) => id::GET_BLOCKS,
            Self::Blocks(_) => id::BLOCKS,
            Self::NewBlock(_) => id::NEW_BLOCK,
            Self::GetBlockHeaders(_) => id::GET_BLOCK_HEADERS,
            Self::BlockHeaders(_) => id::BLOCK_HEADERS,
            Self::HashLookup(_) => id::HASH_LOOKUP,
            Self::HashLookupResponse(_) => id::HASH_LOOKUP_RESPONSE,
        }
    }

    /// The id and the payload's RLP.
    pub fn encode(&self) -> (u64, Bytes) {
        let mut out = RlpStream::new();
        match self {
            Self::Status(message) => message.write(&mut out),
            Self::Transactions(message) => message.write(&mut out),
            Self::GetBlockHashes(message) => message.write(&mut out),
            Self::BlockHashes(message) => wire::write_hashes(&mut out, &message.0),
            Self::GetBlocks(message) => wire::write_hashes(&mut out, &message.0),
            Self::Blocks(message) => message.write(&mut out),
            Self::NewBlock(message) => message.write(&mut out),
            Self::GetBlockHeaders(message) => wire::write_hashes(&mut out, &message.0),
            Self::BlockHeaders(message) => message.write(&mut out),
            Self::HashLookup(message) => message.write(&mut out),
            Self::HashLookupResponse(message) => message.write(&mut out),
        }
        (self.id(), out.out().freeze())
    }
}

/// Reads the message with this id (relative to the capability's offset) from its payload.
///
/// # Errors
///
/// Whatever is no message of version 28, including one over [`MAX_MESSAGE_BYTES`] and counts over [`BREACH_FACTOR`]
/// times their limit. Each is a breach of protocol.
pub fn decode(id: u64, payload: &[u8]) -> Result<Message28, DecodeError> {
    if payload.len() > MAX_MESSAGE_BYTES {
        return Err(DecodeError::TooLarge { limit: MAX_MESSAGE_BYTES, got: payload.len() });
    }
    if !is_assigned(id) {
        return Err(DecodeError::UnknownId { id });
    }
    let list = wire::Item::only(payload)?;
    Ok(match id {
        id::STATUS => Message28::Status(Status::read(&list)?),
        id::TRANSACTIONS => Message28::Transactions(Transactions::read(&list)?),
        id::GET_BLOCK_HASHES => Message28::GetBlockHashes(GetBlockHashes::read(&list)?),
        id::BLOCK_HASHES => Message28::BlockHashes(BlockHashes::read(&list)?),
        id::GET_BLOCKS => Message28::GetBlocks(GetBlocks::read(&list)?),
        id::BLOCKS => Message28::Blocks(Blocks::read(&list)?),
        id::NEW_BLOCK => Message28::NewBlock(NewBlock::read(&list)?),
        id::GET_BLOCK_HEADERS => Message28::GetBlockHeaders(GetBlockHeaders::read(&list)?),
        id::BLOCK_HEADERS => Message28::BlockHeaders(BlockHeaders::read(&list)?),
        id::HASH_LOOKUP => Message28::HashLookup(HashLookup::read(&list)?),
        id::HASH_LOOKUP_RESPONSE => Message28::HashLookupResponse(HashLookupResponse::read(&list)?),
        _ => return Err(DecodeError::UnknownId { id }),
    })
}

/// Whether a message has this id: 0x01 and 0x0a to 0x0f are left open by the source and unassigned.
pub fn is_assigned(id: u64) -> bool {
    message_name(id) != UNASSIGNED
}

const UNASSIGNED: &str = "unassigned";

/// The message's name, for logs.
pub fn message_name(id: u64) -> &'static str {
    match id {
        id::STATUS => "Status",
        id::TRANSACTIONS => "Transactions",
        id::GET_BLOCK_HASHES => "GetBlockHashes",
        id::BLOCK_HASHES => "BlockHashes",
        id::GET_BLOCKS => "GetBlocks",
        id::BLOCKS => "Blocks",
        id::NEW_BLOCK => "NewBlock",
        id::GET_BLOCK_HEADERS => "GetBlockHeaders",
        id::BLOCK_HEADERS => "BlockHeaders",
        id::HASH_LOOKUP => "HashLookup",
        id::HASH_LOOKUP_RESPONSE => "HashLookupResponse",
        _ => UNASSIGNED,
    }
}

#[cfg(test)]
mod tests;
