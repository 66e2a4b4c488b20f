use alloy_primitives::B256;
use rlp::RlpStream;

use super::{BREACH_FACTOR, DecodeError, MAX_HASHES, wire};

/// `[hash: B_32, maxBlocks: P]`: asks for the hashes from the *parent* of `hash` towards genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetBlockHashes {
    /// Whose ancestors to give.
    pub hash: B256,
    /// Most hashes to give. Any integer is lawful: what does not fit becomes [`u64::MAX`], and the answer is capped.
    pub max_blocks: u64,
}

impl GetBlockHashes {
    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(2);
        out.append(&self.hash.as_slice());
        out.append(&self.max_blocks);
    }

    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        let [hash, max] = list.fields("GetBlockHashes")?;
        Ok(Self { hash: hash.hash("hash")?, max_blocks: max.u64_capped("maxBlocks")? })
    }
}

/// `[hash_0: B_32, hash_1: B_32, …]`: youngest first, each the child of the next. Empty where the asked hash is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockHashes(pub Vec<B256>);

impl BlockHashes {
    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        Ok(Self(wire::hashes(list, "block hashes", MAX_HASHES * BREACH_FACTOR)?))
    }
}
