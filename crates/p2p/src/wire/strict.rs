//! Strict reading of RLP on top of the `rlp` crate, which takes trailing bytes and ends a damaged list early.

use rlp::{DecoderError, PayloadInfo};

/// Why bytes are not the RLP that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RlpError {
    /// Not canonical RLP.
    #[error("malformed RLP: {0}")]
    Malformed(#[from] DecoderError),
    /// Bytes after the item.
    #[error("{extra} bytes after the RLP item")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// A list where a string should be, or the other way round.
    #[error("expected {expected}, got {got}")]
    Kind {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        got: &'static str,
    },
    /// A list with too few or too many items.
    #[error("expected {expected} list items, got {got}")]
    Items {
        /// What the list should hold.
        expected: &'static str,
        /// What it holds.
        got: usize,
    },
    /// A string of the wrong length.
    #[error("expected {expected} bytes, got {got}")]
    Length {
        /// What it should have.
        expected: usize,
        /// What it has.
        got: usize,
    },
    /// An integer with leading zeros, or too large.
    #[error("not an integer of at most 64 bits without leading zeros")]
    Integer,
}

/// One RLP item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    payload: &'a [u8],
    is_list: bool,
}

/// Splits the first item off.
pub(crate) fn split(data: &[u8]) -> Result<(Item<'_>, &[u8]), RlpError> {
    let info = PayloadInfo::from(data)?;
    let total = info.header_len.checked_add(info.value_len).ok_or(DecoderError::RlpInvalidLength)?;
    if data.len() < total {
        return Err(DecoderError::RlpIsTooShort.into());
    }
    let (item, rest) = data.split_at(total);
    let payload = &item[info.header_len..];
    if item[0] == 0x81 && payload[0] < 0x80 {
        return Err(DecoderError::RlpInvalidIndirection.into());
    }
    Ok((Item { payload, is_list: item[0] >= 0xc0 }, rest))
}

/// The one item that `data` is.
pub(crate) fn exact(data: &[u8]) -> Result<Item<'_>, RlpError> {
    match split(data)? {
        (item, []) => Ok(item),
        (_, rest) => Err(RlpError::Trailing { extra: rest.len() }),
    }
}

impl<'a> Item<'a> {
    pub(crate) fn is_list(&self) -> bool {
        self.is_list
    }

    /// The items of a list, each checked.
    pub(crate) fn items(&self) -> Result<Vec<Item<'a>>, RlpError> {
        if !self.is_list {
            return Err(RlpError::Kind { expected: "a list", got: "a string" });
        }
        let mut items = Vec::new();
        let mut rest = self.payload;
        while !rest.is_empty() {
            let (item, tail) = split(rest)?;
            items.push(item);
            rest = tail;
        }
        Ok(items)
    }

    /// The bytes of a string.
    pub(crate) fn bytes(&self) -> Result<&'a [u8], RlpError> {
        if self.is_list {
            return Err(RlpError::Kind { expected: "a string", got: "a list" });
        }
        Ok(self.payload)
    }

    /// A string of exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N], RlpError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| RlpError::Length { expected: N, got: bytes.len() })
    }

    /// An integer without leading zeros.
    pub(crate) fn uint(&self) -> Result<u64, RlpError> {
        let bytes = self.bytes()?;
        if bytes.len() > 8 || bytes.first() == Some(&0) {
            return Err(RlpError::Integer);
        }
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}
