//! Strict reading of RLP: every item is in its shortest form, a list's items fill it exactly, nothing trails.
//!
//! The `rlp` crate reads a header strictly, but takes trailing bytes and looks at an item only when it is asked for it;
//! this cursor closes both gaps. Lists are counted before memory is taken for them.

use alloy_primitives::{B256, U256};
use rlp::{PayloadInfo, RlpStream};

use super::DecodeError;

/// One RLP item inside a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    /// Header and payload.
    pub(super) raw: &'a [u8],
    /// The string's bytes, or the list's items.
    pub(super) payload: &'a [u8],
    /// Whether it is a list.
    pub(super) list: bool,
}

impl<'a> Item<'a> {
    /// Takes the first item off `input`; the second value is what follows it.
    fn split(input: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        let first = *input.first().ok_or(DecodeError::Rlp(rlp::DecoderError::RlpIsTooShort))?;
        let info = PayloadInfo::from(input)?;
        let end = info
            .header_len
            .checked_add(info.value_len)
            .filter(|end| *end <= input.len())
            .ok_or(DecodeError::Rlp(rlp::DecoderError::RlpIsTooShort))?;
        let (raw, rest) = input.split_at(end);
        let payload = &raw[info.header_len..];
        // A byte below 0x80 stands for itself; 0x81 before it is a second spelling of the same string.
        if first == 0x81 && payload[0] < 0x80 {
            return Err(DecodeError::Rlp(rlp::DecoderError::RlpInvalidIndirection));
        }
        Ok((Self { raw, payload, list: first >= 0xc0 }, rest))
    }

    /// Reads `input` as one item with nothing behind it.
    pub(super) fn only(input: &'a [u8]) -> Result<Self, DecodeError> {
        let (item, rest) = Self::split(input)?;
        if rest.is_empty() { Ok(item) } else { Err(DecodeError::Trailing { bytes: rest.len() }) }
    }

    /// The list's items; an error where it is a string.
    pub(super) fn items(&self, what: &'static str) -> Result<Items<'a>, DecodeError> {
        if self.list { Ok(Items { rest: self.payload }) } else { Err(DecodeError::ExpectedList { what }) }
    }

    /// The list's items where it has exactly `N` of them.
    pub(super) fn fields<const N: usize>(&self, what: &'static str) -> Result<[Item<'a>; N], DecodeError> {
        match self.fields_and_one(what)? {
            (fields, None) => Ok(fields),
            (_, Some(_)) => Err(DecodeError::Fields { what, expected: N, got: N + 1 }),
        }
    }

    /// The `N` items of a list, and one more where there is one.
    pub(super) fn fields_and_one<const N: usize>(
        &self,
        what: &'static str,
    ) -> Result<([Item<'a>; N], Option<Item<'a>>), DecodeError> {
        let mut items = self.items(what)?;
        let mut fields = [*self; N];
        for (at, field) in fields.iter_mut().enumerate() {
            *field = items.next().ok_or(DecodeError::Fields { what, expected: N, got: at })??;
        }
        let one = items.next().transpose()?;
        match items.count_up_to(usize::MAX)? {
            0 => Ok((fields, one)),
            more => Err(DecodeError::Fields { what, expected: N, got: N + 1 + more }),
        }
    }

    /// The string's bytes; an error where it is a list.
    pub(super) fn string(&self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        if self.list { Err(DecodeError::ExpectedString { what }) } else { Ok(self.payload) }
    }

    /// A string of exactly 32 bytes.
    pub(super) fn hash(&self, what: &'static str) -> Result<B256, DecodeError> {
        let bytes = self.string(what)?;
        B256::try_from(bytes).map_err(|_| DecodeError::Length { what, expected: 32, got: bytes.len() })
    }

    /// An unsigned integer's bytes: big endian, no leading zero.
    fn integer(&self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let bytes = self.string(what)?;
        if bytes.first() == Some(&0) { Err(DecodeError::LeadingZero { what }) } else { Ok(bytes) }
    }

    /// An unsigned integer of at most 256 bits.
    pub(super) fn u256(&self, what: &'static str) -> Result<U256, DecodeError> {
        let bytes = self.integer(what)?;
        U256::try_from_be_slice(bytes).ok_or(DecodeError::Integer { what, bits: 256, got: bytes.len() })
    }

    /// An unsigned integer of at most 64 bits.
    pub(super) fn u64(&self, what: &'static str) -> Result<u64, DecodeError> {
        let bytes = self.integer(what)?;
        be_u64(bytes).ok_or(DecodeError::Integer { what, bits: 64, got: bytes.len() })
    }

    /// An unsigned integer of any size; what does not fit becomes the largest that does.
    pub(super) fn u64_capped(&self, what: &'static str) -> Result<u64, DecodeError> {
        Ok(be_u64(self.integer(what)?).unwrap_or(u64::MAX))
    }
}

/// `None` where the number does not fit.
fn be_u64(bytes: &[u8]) -> Option<u64> {
    let mut padded = [0; 8];
    padded.get_mut(8usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(u64::from_be_bytes(padded))
}

/// The items of one list, first to last. After an error it ends.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

impl Items<'_> {
    /// How many items are left, without taking them. Stops one past `limit`, so that counting costs no more than it must.
    pub(super) fn count_up_to(&self, limit: usize) -> Result<usize, DecodeError> {
        let mut count = 0;
        for item in self.clone() {
            item?;
            count += 1;
            if count > limit {
                break;
            }
        }
        Ok(count)
    }

    /// [`count_up_to`](Self::count_up_to), where more than `limit` is an error.
    pub(super) fn counted(&self, what: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let count = self.count_up_to(limit)?;
        if count > limit { Err(DecodeError::TooMany { what, limit }) } else { Ok(count) }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Item::split(self.rest) {
            Ok((item, rest)) => {
                self.rest = rest;
                Some(Ok(item))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// A list of hashes, at most `limit`.
pub(super) fn hashes(list: &Item<'_>, what: &'static str, limit: usize) -> Result<Vec<B256>, DecodeError> {
    let items = list.items(what)?;
    let mut hashes = Vec::with_capacity(items.counted(what, limit)?);
    for item in items {
        hashes.push(item?.hash(what)?);
    }
    Ok(hashes)
}

/// Writes a list of hashes.
pub(super) fn write_hashes(out: &mut RlpStream, hashes: &[B256]) {
    out.begin_list(hashes.len());
    for hash in hashes {
        out.append(&hash.as_slice());
    }
}

/// Writes an unsigned integer.
pub(super) fn write_u256(out: &mut RlpStream, value: &U256) {
    out.append(&value.to_be_bytes_trimmed_vec());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_spelling_is_refused() {
        for bytes in [&[0x81, 0x7f][..], &[0xb8, 0x01, 0xff], &[0xb9, 0x00, 0x38], &[0xf8, 0x01, 0x01], &[0xbf; 9]] {
            assert!(Item::only(bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        assert_eq!(Item::only(&[0xc0, 0x00]).unwrap_err(), DecodeError::Trailing { bytes: 1 });
        assert!(Item::only(&[0xc2, 0x01]).is_err());
        assert!(Item::only(&[]).is_err());
        // A list whose last item runs past its end, inside a longer buffer.
        let list = Item::only(&[0xc2, 0x01, 0x82]).unwrap();
        assert!(list.items("list").unwrap().counted("list", 8).is_err());
    }

    #[test]
    fn integers_have_no_leading_zero() {
        assert_eq!(Item::only(&[0x80]).unwrap().u64("n").unwrap(), 0);
        assert_eq!(Item::only(&[0x00]).unwrap().u64("n").unwrap_err(), DecodeError::LeadingZero { what: "n" });
        assert!(Item::only(&[0x82, 0x00, 0x01]).unwrap().u256("n").is_err());
        let wide = [0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(Item::only(&wide).unwrap().u64("n").is_err());
        assert_eq!(Item::only(&wide).unwrap().u64_capped("n").unwrap(), u64::MAX);
    }
}
