//! Walks of Merkle Patricia tries over a [`Source`]: from a trusted root to a value, or to the proof that there is none.
//!
//! Every node read was checked against its hash, and its hash stands in the node above, up to the root: so what a walk
//! returns follows from the root alone, whoever gave the bytes. A key that is not there is proved by the node where its
//! path ends. The nodes of a walk, in order, are the proof that `eth_getProof` gives (EIP-1186), as geth orders it.

mod node;

use alloy_primitives::{B256, Bytes};
use alloy_trie::EMPTY_ROOT_HASH;
pub use node::NodeError;
use node::{Child, Node, Path};

use crate::{Source, Unavailable, Wanted, What};

/// Bytes that [`all`] reads at most. A block's transactions are bounded by its gas (at 4 gas a byte, 30 million gas are
/// 7.5 MB); beyond this the trie is no block's.
const MAX_WHOLE_TRIE: usize = 32 << 20;
/// The longest key of a trie that [`all`] reads, in nibbles: the RLP of an index has at most 9 bytes.
const MAX_INDEX_NIBBLES: usize = 18;

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The value, or `None` where the trie proves that the key has none.
    pub value: Option<Bytes>,
    /// The RLP of the nodes from the root down, without those that stand within another; empty for the empty trie.
    pub proof: Vec<Bytes>,
}

/// Why a walk came to no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// Nobody can prove a node on the way.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The bytes behind `wanted` hash to it and still are no trie node: whoever made the root put nonsense there.
    #[error("{wanted} is malformed: {error}")]
    Malformed {
        /// The node.
        wanted: Box<Wanted>,
        /// What is wrong with it.
        error: NodeError,
    },
    /// The trie holds more than any block's could.
    #[error("the trie below {root} holds more than {limit} bytes")]
    TooLarge {
        /// Its root.
        root: B256,
        /// The limit.
        limit: usize,
    },
}

/// Walks from `root` to `key`, given as it stands in the trie (for state and storage: already hashed). `what` names the
/// nodes in messages. One turn a level; what the source holds already costs none.
pub async fn get(source: &(impl Source + ?Sized), root: B256, key: &[u8], what: What) -> Result<Lookup, WalkError> {
    let mut found = Lookup::default();
    // The hash of the empty trie is asked of nobody: its preimage is known.
    if root == EMPTY_ROOT_HASH {
        return Ok(found);
    }
    let mut hash = root;
    let mut depth = 0;
    loop {
        let raw = one(source, hash, what).await?;
        found.proof.push(raw.clone());
        match descend(&raw, key, depth).map_err(|error| malformed(hash, what, error))? {
            Step::Down { hash: next, depth: below } => (hash, depth) = (next, below),
            Step::Found(value) => {
                found.value = Some(raw.slice_ref(value));
                return Ok(found);
            }
            Step::Absent => return Ok(found),
        }
    }
}

/// Reads a whole trie of indexed items (transactions, receipts): every key with its value, in the order of the keys'
/// nibbles. One turn a level, all nodes of a level asked for together.
pub async fn all(source: &(impl Source + ?Sized), root: B256, what: What) -> Result<Vec<(Bytes, Bytes)>, WalkError> {
    if root == EMPTY_ROOT_HASH {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    let mut size = 0;
    let mut level: Vec<(B256, Vec<u8>)> = vec![(root, Vec::new())];
    while !level.is_empty() {
        let wanted: Vec<_> = level.iter().map(|(hash, _)| Wanted::new(*hash, what)).collect();
        let nodes = source.preimages(wanted).await?;
        size += nodes.iter().map(|raw| raw.len()).sum::<usize>();
        if size > MAX_WHOLE_TRIE {
            return Err(WalkError::TooLarge { root, limit: MAX_WHOLE_TRIE });
        }
        let mut below = Vec::new();
        for ((hash, path), raw) in level.into_iter().zip(nodes) {
            spread(&raw, &raw, path, &mut below, &mut entries).map_err(|error| malformed(hash, what, error))?;
        }
        level = below;
    }
    entries.sort_unstable();
    Ok(entries.into_iter().map(|(path, value)| (pack(&path), value)).collect())
}

async fn one(source: &(impl Source + ?Sized), hash: B256, what: What) -> Result<Bytes, Unavailable> {
    let wanted = Wanted::new(hash, what);
    let answer = source.preimages(vec![wanted.clone()]).await?;
    // A source answers whole or fails. One that breaks this must not make a panic here.
    answer.into_iter().next().ok_or_else(|| Unavailable {
        missing: vec![wanted],
        asked: Vec::new(),
        waited: std::time::Duration::ZERO,
    })
}

fn malformed(hash: B256, what: What, error: NodeError) -> WalkError {
    WalkError::Malformed { wanted: Box::new(Wanted::new(hash, what)), error }
}

enum Step<'a> {
    Down { hash: B256, depth: usize },
    Found(&'a [u8]),
    Absent,
}

/// Goes as far as `raw` and the nodes within it lead; `depth` nibbles of `key` lie behind. Every turn takes at least a
/// nibble off the key or ends, so it ends.
fn descend<'a>(raw: &'a [u8], key: &[u8], mut depth: usize) -> Result<Step<'a>, NodeError> {
    let end = key.len() * 2;
    let mut raw = raw;
    loop {
        let child = match node::decode(raw)? {
            Node::Branch { value, .. } if depth == end => {
                return Ok(value.map_or(Step::Absent, Step::Found));
            }
            Node::Branch { children, .. } => {
                let child = children[usize::from(nibble(key, depth))];
                depth += 1;
                child
            }
            Node::Leaf { path, value } => {
                let whole = depth + path.len() == end && matches(path, key, depth);
                return Ok(if whole { Step::Found(value) } else { Step::Absent });
            }
            Node::Extension { path, child } => {
                if depth + path.len() > end || !matches(path, key, depth) {
                    return Ok(Step::Absent);
                }
                depth += path.len();
                child
            }
        };
        match child {
            Child::None => return Ok(Step::Absent),
            Child::Hash(hash) => return Ok(Step::Down { hash, depth }),
            Child::Embedded(within) => raw = within,
        }
    }
}

/// Notes the values in `raw` and the hashes below it. `whole` is the allocation that `raw` lies in.
fn spread(
    whole: &Bytes,
    raw: &[u8],
    path: Vec<u8>,
    below: &mut Vec<(B256, Vec<u8>)>,
    entries: &mut Vec<(Vec<u8>, Bytes)>,
) -> Result<(), NodeError> {
    let mut follow = |child, path: Vec<u8>, entries: &mut Vec<_>| match child {
        Child::None => Ok(()),
        _ if path.len() > MAX_INDEX_NIBBLES => Err(NodeError::TooDeep),
        Child::Hash(hash) => {
            below.push((hash, path));
            Ok(())
        }
        // An embedded node is under 32 bytes, so this goes at most as deep as those bytes hold lists.
        Child::Embedded(within) => spread(whole, within, path, below, entries),
    };
    match node::decode(raw)? {
        Node::Branch { children, value } => {
            for (index, child) in (0u8..).zip(children) {
                follow(child, extended(&path, [index]), entries)?;
            }
            if let Some(value) = value {
                entries.push((path, whole.slice_ref(value)));
            }
            Ok(())
        }
        Node::Extension { path: more, child } => follow(child, extended(&path, more.nibbles()), entries),
        Node::Leaf { path: more, value } => {
            let path = extended(&path, more.nibbles());
            if path.len() > MAX_INDEX_NIBBLES || !path.len().is_multiple_of(2) {
                return Err(NodeError::TooDeep);
            }
            entries.push((path, whole.slice_ref(value)));
            Ok(())
        }
    }
}

fn extended(path: &[u8], more: impl IntoIterator<Item = u8>) -> Vec<u8> {
    path.iter().copied().chain(more).collect()
}

fn pack(nibbles: &[u8]) -> Bytes {
    nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect()
}

fn nibble(key: &[u8], index: usize) -> u8 {
    let byte = key.get(index / 2).copied().unwrap_or_default();
    if index.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

fn matches(path: Path<'_>, key: &[u8], depth: usize) -> bool {
    path.nibbles().zip(depth..).all(|(expected, index)| nibble(key, index) == expected)
}
