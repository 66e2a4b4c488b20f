//! Strict decoding of a trie node (YP appendix D), without a copy of its parts.
//!
//! `alloy-trie`'s own node types refuse values in branches and take any short item for an embedded node; a walk over
//! bytes from the network needs both told apart.

use alloy_primitives::B256;
use alloy_rlp::Header;

/// A node, borrowed from its RLP. It lives on the stack for one step of a walk: boxing the children would only cost.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Node<'a> {
    Branch { children: [Child<'a>; 16], value: Option<&'a [u8]> },
    Extension { path: Path<'a>, child: Child<'a> },
    Leaf { path: Path<'a>, value: &'a [u8] },
}

/// What a node says of one below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child<'a> {
    None,
    Hash(B256),
    /// The RLP of a node that is shorter than a hash.
    Embedded(&'a [u8]),
}

/// A hex-prefix encoded path: `odd` drops the first nibble of `bytes`, which holds the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    bytes: &'a [u8],
    odd: bool,
}

impl Path<'_> {
    /// The path's length in nibbles.
    pub(super) fn len(&self) -> usize {
        (self.bytes.len() - 1) * 2 + usize::from(self.odd)
    }

    /// The path's nibbles.
    pub(super) fn nibbles(&self) -> impl Iterator<Item = u8> {
        let skip = if self.odd { 1 } else { 2 };
        self.bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).skip(skip)
    }
}

/// Why bytes are no trie node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The RLP is malformed, not canonical, or followed by more bytes.
    #[error("{0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// A node is a list of 17 items or of 2.
    #[error("a node has 2 or 17 items, this one {0}")]
    Items(usize),
    /// A path's first byte holds other flags than 0 to 3, a path of even length a nibble beside them, or the path of an
    /// extension is empty.
    #[error("bad hex-prefix path")]
    Path,
    /// A child is neither empty, nor a hash, nor a node shorter than a hash.
    #[error("a child is neither empty, a hash nor an embedded node")]
    Child,
    /// A leaf without a value, or an extension without a child.
    #[error("a leaf or extension that ends in nothing")]
    Empty,
    /// A path longer than any key of this trie.
    #[error("a path longer than the trie's keys")]
    TooDeep,
}

/// Decodes exactly one node.
pub(super) fn decode(raw: &[u8]) -> Result<Node<'_>, NodeError> {
    let mut rest = raw;
    let mut payload = Header::decode_bytes(&mut rest, true)?;
    if !rest.is_empty() {
        return Err(alloy_rlp::Error::UnexpectedLength.into());
    }
    let mut items: [&[u8]; 17] = [&[]; 17];
    let mut count = 0;
    while !payload.is_empty() {
        let item = split_item(&mut payload)?;
        if let Some(slot) = items.get_mut(count) {
            *slot = item;
        }
        count += 1;
    }
    match count {
        17 => {
            let mut children = [Child::None; 16];
            for (child, item) in children.iter_mut().zip(&items) {
                *child = decode_child(item)?;
            }
            let value = string(items[16])?;
            Ok(Node::Branch { children, value: (!value.is_empty()).then_some(value) })
        }
        2 => {
            let (path, leaf) = decode_path(string(items[0])?)?;
            if leaf {
                let value = string(items[1])?;
                return if value.is_empty() { Err(NodeError::Empty) } else { Ok(Node::Leaf { path, value }) };
            }
            match decode_child(items[1])? {
                Child::None => Err(NodeError::Empty),
                _ if path.len() == 0 => Err(NodeError::Path),
                child => Ok(Node::Extension { path, child }),
            }
        }
        other => Err(NodeError::Items(other)),
    }
}

/// Splits one whole RLP item, header included, off the front.
fn split_item<'a>(buf: &mut &'a [u8]) -> Result<&'a [u8], NodeError> {
    let start = *buf;
    let header = Header::decode(buf)?;
    *buf = buf.get(header.payload_length..).ok_or(alloy_rlp::Error::InputTooShort)?;
    Ok(&start[..start.len() - buf.len()])
}

fn string(item: &[u8]) -> Result<&[u8], NodeError> {
    let mut item = item;
    Ok(Header::decode_bytes(&mut item, false)?)
}

fn decode_child(item: &[u8]) -> Result<Child<'_>, NodeError> {
    if item.first().is_some_and(|byte| *byte >= alloy_rlp::EMPTY_LIST_CODE) {
        return if item.len() < 32 { Ok(Child::Embedded(item)) } else { Err(NodeError::Child) };
    }
    match string(item)? {
        [] => Ok(Child::None),
        hash => B256::try_from(hash).map(Child::Hash).map_err(|_| NodeError::Child),
    }
}

/// The path, and whether it is a leaf's.
fn decode_path(bytes: &[u8]) -> Result<(Path<'_>, bool), NodeError> {
    let first = *bytes.first().ok_or(NodeError::Path)?;
    let odd = first & 0x10 != 0;
    if first & 0xc0 != 0 || (!odd && first & 0x0f != 0) {
        return Err(NodeError::Path);
    }
    Ok((Path { bytes, odd }, first & 0x20 != 0))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leaf_and_extension() {
        // Published in alloy-trie's and geth's tests: leaf with nibbles 6 4 6 f and value "verb".
        let Node::Leaf { path, value } = decode(&hex!("c98320646f8476657262")).unwrap() else { panic!("no leaf") };
        assert_eq!(path.nibbles().collect::<Vec<_>>(), [6, 4, 6, 0xf]);
        assert_eq!(value, b"verb");
        let raw = [&hex!("e216a0")[..], &[7; 32]].concat();
        let Node::Extension { path, child } = decode(&raw).unwrap() else { panic!("no extension") };
        assert_eq!((path.len(), path.nibbles().collect::<Vec<_>>()), (1, vec![6]));
        assert_eq!(child, Child::Hash(B256::repeat_byte(7)));
    }

    #[test]
    fn refused() {
        for (raw, error) in [
            (&hex!("c0")[..], NodeError::Items(0)),
            (&hex!("c3010203"), NodeError::Items(3)),
            (&hex!("c98340646f8476657262"), NodeError::Path),
            (&hex!("c98321646f8476657262"), NodeError::Path),
            (&hex!("c28080"), NodeError::Path),
            (&hex!("c22080"), NodeError::Empty),
            (&hex!("c21680"), NodeError::Empty),
            (&hex!("c4168201ff"), NodeError::Child),
            (&hex!("c98320646f847665726200"), alloy_rlp::Error::UnexpectedLength.into()),
        ] {
            assert_eq!(decode(raw), Err(error), "{}", hex::encode(raw));
        }
        // An extension with an empty path would let a walk go round without progress.
        let empty_path = [&hex!("e200a0")[..], &[7; 32]].concat();
        assert_eq!(decode(&empty_path), Err(NodeError::Path));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&raw);
        }
    }
}
