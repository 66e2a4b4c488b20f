//! What everything above reads through, and how it fails: the store trait, its questions and its one error.

use std::{fmt, future::ready, time::Duration};

use alloy_primitives::{Address, B256, Bytes};
use futures::future::BoxFuture;
use rushlight_chain::{SealedHeader, block::Body};
use serde::{Serialize, Serializer};

/// The store that walks read from: a light node fills it from its peers, a full node from its disk.
///
/// Whatever it returns is proved: bytes by their Keccak-256, a body by its header's roots. Dropping a returned future
/// cancels the question.
pub trait Source: Send + Sync + 'static {
    /// The bytes behind each hash, at the same position. All or nothing: one that cannot be had fails the call.
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>>;

    /// The transactions and uncles of a block whose header is held.
    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>>;

    /// `count` ancestors of a verified header, parent first, each proved by the one before. Asked for where the header
    /// chain holds only anchors; a source beside a chain that holds everything has none to give.
    fn ancestors(&self, header: &SealedHeader, count: u64) -> BoxFuture<'_, Result<Vec<SealedHeader>, Unavailable>> {
        let from = header.number.saturating_sub(count);
        let missing = vec![Wanted::new(header.hash(), What::Ancestors { from })];
        Box::pin(ready(Err(Unavailable { missing, asked: Vec::new(), waited: Duration::ZERO })))
    }

    /// The header of that hash, of whatever chain: nothing is proved but the hash. `None` where somebody was asked and
    /// nobody who answered knows it.
    fn header(&self, hash: B256) -> BoxFuture<'_, Result<Option<SealedHeader>, Unavailable>> {
        let _ = hash;
        Box::pin(ready(Ok(None)))
    }

    /// The places where a transaction is known to stand, in whatever chain; nobody is asked. None of it is proved: who
    /// goes by it reads that body.
    fn locate(&self, transaction: &B256) -> Vec<Location> {
        let _ = transaction;
        Vec::new()
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The block's hash.
    pub block: B256,
    /// The index among the block's transactions.
    pub index: u64,
}

/// One question: a hash, and what stands behind it in words (for messages and peer choice, not for the check).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Wanted {
    /// Keccak-256 of the bytes.
    pub hash: B256,
    /// What the bytes are.
    #[serde(flatten)]
    pub what: What,
}

impl Wanted {
    /// The bytes that hash to `hash` and are `what`.
    pub const fn new(hash: B256, what: What) -> Self {
        Self { hash, what }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.hash)
    }
}

/// What a hash stands for. Serialised as `{"what": "accountNode", …}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum What {
    /// A node of a state trie, on the path to an account.
    AccountNode {
        /// The state root the walk started from.
        root: B256,
        /// The account looked for.
        address: Address,
    },
    /// A node of a storage trie, on the path to a slot.
    StorageNode {
        /// The storage root the walk started from.
        root: B256,
        /// The account whose storage it is.
        address: Address,
        /// The slot looked for, before hashing.
        slot: B256,
    },
    /// An account's code.
    Code {
        /// The account.
        address: Address,
    },
    /// A node of a block's transaction trie.
    TransactionNode {
        /// The block's hash.
        block: B256,
    },
    /// A node of a block's withdrawal trie (EIP-4895).
    WithdrawalNode {
        /// The block's hash.
        block: B256,
    },
    /// A node of a block's receipt trie.
    ReceiptNode {
        /// The block's hash.
        block: B256,
    },
    /// The RLP of a block's list of uncles.
    UncleList {
        /// The block's hash.
        block: B256,
    },
    /// A block's transactions and uncles; the hash is the block's.
    Body {
        /// The block's number.
        number: u64,
    },
    /// A header.
    Header,
    /// The headers below the one whose hash it is.
    Ancestors {
        /// The number of the lowest.
        from: u64,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountNode { address, .. } => write!(f, "state trie node of account {address}"),
            Self::StorageNode { address, slot, .. } => write!(f, "storage trie node of {address} slot {slot}"),
            Self::Code { address } => write!(f, "code of {address}"),
            Self::TransactionNode { block } => write!(f, "transaction trie node of block {block}"),
            Self::WithdrawalNode { block } => write!(f, "withdrawal trie node of block {block}"),
            Self::ReceiptNode { block } => write!(f, "receipt trie node of block {block}"),
            Self::UncleList { block } => write!(f, "uncle list of block {block}"),
            Self::Body { number } => write!(f, "body of block {number}"),
            Self::Header => f.write_str("header"),
            Self::Ancestors { from } => write!(f, "headers from block {from} up to"),
        }
    }
}

/// A read that nobody could prove. Serialises into the `data` of a JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unavailable {
    /// What is missing; never empty.
    pub missing: Vec<Wanted>,
    /// Whom it was asked of, each once, in order.
    pub asked: Vec<Asked>,
    /// How long the read waited in all, for peers and for their answers; serialised in milliseconds.
    #[serde(rename = "waitedMs", serialize_with = "millis")]
    pub waited: Duration,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.missing.first() {
            Some(first) => write!(f, "no peer can prove the {first}")?,
            None => f.write_str("no peer can prove it")?,
        }
        if self.missing.len() > 1 {
            write!(f, " and {} more", self.missing.len() - 1)?;
        }
        match self.asked.len() {
            0 => write!(f, ": no peer to ask in {:.1} s", self.waited.as_secs_f64()),
            1 => write!(f, ": asked 1 peer in {:.1} s", self.waited.as_secs_f64()),
            n => write!(f, ": asked {n} peers in {:.1} s", self.waited.as_secs_f64()),
        }
    }
}

/// A peer that was asked, and why it did not help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The peer's node id (Keccak-256 of its key, as `admin_peers` has it) in hex.
    pub peer: String,
    /// The client name from its Hello.
    pub client: String,
    /// Why it did not help.
    pub why: Why,
}

/// Why a peer did not help. Serialised as its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It answered that it does not hold it.
    NotHeld,
    /// It did not answer in time.
    TimedOut,
    /// Its session ended before it answered.
    Gone,
    /// Too many of its earlier answers are still out: it was not asked anew.
    Busy,
    /// It answered with what does not check; the check's words.
    Wrong(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeld => f.write_str("does not hold it"),
            Self::TimedOut => f.write_str("did not answer in time"),
            Self::Gone => f.write_str("disconnected before it answered"),
            Self::Busy => f.write_str("still owes earlier answers"),
            Self::Wrong(why) => write!(f, "gave a wrong answer: {why}"),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_says_what_whom_and_why() {
        let (root, address) = (B256::repeat_byte(1), Address::repeat_byte(2));
        let error = Unavailable {
            missing: vec![Wanted::new(B256::repeat_byte(3), What::AccountNode { root, address })],
            asked: vec![Asked { peer: "ab".into(), client: "test/1".into(), why: Why::NotHeld }],
            waited: Duration::from_millis(10_000),
        };
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "missing": [{
                    "hash": B256::repeat_byte(3),
                    "what": "accountNode",
                    "root": root,
                    "address": address,
                }],
                "asked": [{ "peer": "ab", "client": "test/1", "why": "does not hold it" }],
                "waitedMs": 10_000,
            })
        );
        assert!(error.to_string().starts_with("no peer can prove the state trie node of account 0x02"));
        assert!(error.to_string().ends_with("asked 1 peer in 10.0 s"));
    }
}
