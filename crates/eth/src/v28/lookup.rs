use alloy_primitives::{B256, Bytes};
use rlp::RlpStream;

use super::{BREACH_FACTOR, DecodeError, MAX_LOOKUPS, wire};

/// `[[h_1: B_32, h_2: B_32, …], …]`: asks for the value whose Keccak-256 each hash is. What stands after the first list
/// is ignored (the source's `…`), but must be RLP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashLookup(pub Vec<B256>);

impl HashLookup {
    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(1);
        wire::write_hashes(out, &self.0);
    }

    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        Ok(Self(wire::hashes(&first(list, "HashLookup")?, "look-ups", MAX_LOOKUPS * BREACH_FACTOR)?))
    }
}

/// `[[v_1: B, v_2: B, …], …]`: each value at its question's position, the empty string where there is none. Shorter than
/// the question where it would have grown too large: the rest is unasked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashLookupResponse(pub Vec<Bytes>);

impl HashLookupResponse {
    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(1).begin_list(self.0.len());
        for value in &self.0 {
            out.append(&&value[..]);
        }
    }

    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        let items = first(list, "HashLookupResponse")?.items("looked-up values")?;
        let mut values = Vec::with_capacity(items.counted("looked-up values", MAX_LOOKUPS * BREACH_FACTOR)?);
        for item in items {
            values.push(Bytes::copy_from_slice(item?.string("looked-up value")?));
        }
        Ok(Self(values))
    }
}

/// The first element of the payload list; the others are checked to be RLP and passed over.
fn first<'a>(list: &wire::Item<'a>, what: &'static str) -> Result<wire::Item<'a>, DecodeError> {
    let mut items = list.items(what)?;
    let first = items.next().ok_or(DecodeError::Fields { what, expected: 1, got: 0 })??;
    items.count_up_to(usize::MAX)?;
    Ok(first)
}
