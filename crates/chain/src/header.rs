//! Header RLP, strictly.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, Sealed, keccak256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

/// A header together with its hash.
pub type SealedHeader = Sealed<Header>;

/// Bytes that are not the one canonical encoding of what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not canonical RLP, or not of the expected shape.
    #[error("{what}: {error}")]
    Rlp {
        /// What was being decoded.
        what: &'static str,
        /// What is wrong with it.
        error: alloy_rlp::Error,
    },
    /// Bytes after the end of the item.
    #[error("{what}: {count} bytes after its end")]
    TrailingBytes {
        /// What was being decoded.
        what: &'static str,
        /// How many bytes follow.
        count: usize,
    },
    /// A list with the wrong number of items.
    #[error("{what}: expected {expected} items, got {got}")]
    Items {
        /// What was being decoded.
        what: &'static str,
        /// The number of items it has by its specification.
        expected: usize,
        /// The number it came with.
        got: usize,
    },
    /// A transaction that is neither an RLP list (legacy) nor a byte string that begins with a type of EIP-2718.
    #[error("transaction {index}: {why}")]
    Transaction {
        /// Position in the block.
        index: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Decodes a header from exactly `raw`. Its hash is the Keccak-256 of those bytes.
pub fn decode(raw: &[u8]) -> Result<SealedHeader, DecodeError> {
    decode_hashed(keccak256(raw), raw)
}

/// Decodes a header from exactly `raw`, whose Keccak-256 the caller knows to be `hash`.
pub fn decode_hashed(hash: B256, raw: &[u8]) -> Result<SealedHeader, DecodeError> {
    let mut rest = raw;
    let header = Header::decode(&mut rest).map_err(|error| DecodeError::Rlp { what: "header", error })?;
    if !rest.is_empty() {
        return Err(DecodeError::TrailingBytes { what: "header", count: rest.len() });
    }
    Ok(Sealed::new_unchecked(header, hash))
}

/// The few fields of a header that say where it belongs, read without the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Its parent's hash.
    pub parent_hash: B256,
    /// Its number.
    pub number: u64,
    /// The gas that its block used.
    pub gas_used: u64,
    /// Its time, in unix seconds.
    pub timestamp: u64,
}

/// Reads a header's outline. That the rest of it decodes is not looked at: [`decode`] does that.
pub fn outline(raw: &[u8]) -> Result<Outline, DecodeError> {
    read_outline(raw).map_err(|error| DecodeError::Rlp { what: "header", error })
}

fn read_outline(raw: &[u8]) -> alloy_rlp::Result<Outline> {
    let mut rest = raw;
    let fields = &mut RlpHeader::decode_bytes(&mut rest, true)?;
    let parent_hash = B256::decode(fields)?;
    // Uncles, beneficiary, state, transactions, receipts, bloom, difficulty.
    for _ in 0..7 {
        RlpHeader::decode_bytes(fields, false)?;
    }
    let number = u64::decode(fields)?;
    RlpHeader::decode_bytes(fields, false)?; // The gas limit.
    Ok(Outline { parent_hash, number, gas_used: u64::decode(fields)?, timestamp: u64::decode(fields)? })
}

/// The canonical encoding of a header.
pub fn encode(header: &Header) -> Bytes {
    let mut out = Vec::with_capacity(header.length());
    header.encode(&mut out);
    out.into()
}

/// Puts a header together with its hash.
pub fn seal(header: Header) -> SealedHeader {
    let hash = keccak256(encode(&header));
    Sealed::new_unchecked(header, hash)
}
