//! Answers to a peer's requests. Reading blocks, so a session calls this off the async threads, one request at a time.

use std::collections::HashSet;

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, Bytes};
use rushlight_chain::{ChainAccess, RawBlock};

use crate::v28::{
    BlockHashes, BlockHeaders, Blocks, GetBlockHashes, HashLookupResponse, MAX_BLOCKS, MAX_HASHES, MAX_HEADERS,
    MAX_LOOKUPS, MAX_MESSAGE_BYTES, Message28, SOFT_RESPONSE_BYTES,
};

/// What a peer asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Hashes(GetBlockHashes),
    Headers(Vec<B256>),
    Blocks(Vec<B256>),
    Lookup(Vec<B256>),
}

/// Everything asked for that is held, in order, up to the limits.
pub(crate) fn answer(access: &dyn ChainAccess, asked: &Asked) -> Message28 {
    match asked {
        Asked::Hashes(GetBlockHashes { hash, max_blocks }) => {
            let most = usize::try_from(*max_blocks).unwrap_or(usize::MAX).min(MAX_HASHES);
            let mut hashes = if most == 0 { Vec::new() } else { access.hashes_before(hash, most) };
            hashes.truncate(most);
            Message28::BlockHashes(BlockHashes(hashes))
        }
        Asked::Headers(hashes) => Message28::BlockHeaders(BlockHeaders(collect(
            hashes,
            MAX_HEADERS,
            HEADERS_AT_ONCE,
            |hashes| access.headers(hashes),
            |raw| raw.len(),
        ))),
        Asked::Blocks(hashes) => {
            let read = |hashes: &[B256]| hashes.iter().map(|hash| access.block(hash)).collect();
            Message28::Blocks(Blocks(collect(hashes, MAX_BLOCKS, 1, read, block_bytes)))
        }
        Asked::Lookup(hashes) => Message28::HashLookupResponse(HashLookupResponse(look_up(access, hashes))),
    }
}

/// Most bytes of an RLP header of anything that fits a message.
const ITEM_OVERHEAD: usize = 4;

/// At least as many bytes as the block takes in a message.
pub(crate) fn block_bytes(block: &RawBlock) -> usize {
    let parts = block.transactions.iter().chain(&block.uncles);
    block.header.len() + parts.map(|part| part.len() + ITEM_OVERHEAD).sum::<usize>() + 3 * ITEM_OVERHEAD
}

/// The largest item that a message can carry beside its lists' headers and a total difficulty. What is larger is as good as
/// not held.
pub(crate) const MOST_ITEM_BYTES: usize = MAX_MESSAGE_BYTES - 64;

/// Headers read from the store at once: look-ups share their work, and headers as large as messages may be fill no memory.
const HEADERS_AT_ONCE: usize = 64;

/// Items that are not held are left out, and one that is asked for twice comes once. So many are read `at_once`.
fn collect<T>(
    hashes: &[B256],
    most: usize,
    at_once: usize,
    read: impl Fn(&[B256]) -> Vec<Option<T>>,
    size: impl Fn(&T) -> usize,
) -> Vec<T> {
    let mut items = Vec::new();
    let mut bytes = 0;
    let mut seen = HashSet::with_capacity(hashes.len());
    let wanted: Vec<B256> = hashes.iter().filter(|hash| seen.insert(**hash)).copied().collect();
    for part in wanted.chunks(at_once) {
        for item in read(part).into_iter().flatten().filter(|item| size(item) <= MOST_ITEM_BYTES) {
            bytes += size(&item);
            if bytes > SOFT_RESPONSE_BYTES && !items.is_empty() {
                return items;
            }
            items.push(item);
            if items.len() == most {
                return items;
            }
        }
    }
    items
}

/// The uncle list of most blocks. Nobody needs to store it to know it.
const EMPTY_LIST: Bytes = Bytes::from_static(&[0xc0]);

/// A value at each question's position, the empty string where it is not held.
fn look_up(access: &dyn ChainAccess, hashes: &[B256]) -> Vec<Bytes> {
    let mut values = Vec::with_capacity(hashes.len().min(MAX_LOOKUPS));
    let mut bytes = 0;
    let mut some = false;
    for hash in hashes.iter().take(MAX_LOOKUPS) {
        let held = if *hash == EMPTY_OMMER_ROOT_HASH { Some(EMPTY_LIST) } else { access.preimage(hash) };
        let value = held.filter(|value| value.len() <= MOST_ITEM_BYTES).unwrap_or_default();
        bytes += value.len() + ITEM_OVERHEAD;
        if bytes > SOFT_RESPONSE_BYTES && some {
            break;
        }
        some |= !value.is_empty();
        values.push(value);
    }
    values
}
