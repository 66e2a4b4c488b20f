//! Blocks and headers: what is asked by hash, and NewBlock.

use alloy_primitives::{B256, Bytes, U256};
use rlp::RlpStream;
use rushlight_chain::block::RawBlock;

use super::{BREACH_FACTOR, DecodeError, MAX_BLOCKS, MAX_HEADERS, transactions, wire};

/// No header is shorter: six hashes, an address, a bloom filter and a nonce of fixed length, six more fields of at least
/// a byte, and the list's header. Without this bound a message of one-byte items would take thirty times its size.
const LEAST_HEADER_BYTES: usize = 6 * 33 + 21 + 259 + 9 + 6 + 3;
/// No withdrawal is shorter: an address, three numbers of at least a byte, and the list's header.
const LEAST_WITHDRAWAL_BYTES: usize = 21 + 3 + 1;

/// `[hash_0: B_32, …]`: asks for headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetBlockHeaders(pub Vec<B256>);

/// `[header, …]`: those of the asked-for headers that the sender holds, in the order of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockHeaders(pub Vec<Bytes>);

/// `[hash_0: B_32, …]`: asks for blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetBlocks(pub Vec<B256>);

/// `[[header, transactions, uncles], …]`: those of the asked-for blocks that the sender holds, in the order of the
/// question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks(pub Vec<RawBlock>);

/// `[[header, transactions, uncles], totalDifficulty: P]`: a block that the receiver should know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBlock {
    /// The block.
    pub block: RawBlock,
    /// Its total difficulty, its own included.
    pub td: U256,
}

impl GetBlockHeaders {
    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        Ok(Self(wire::hashes(list, "asked headers", MAX_HEADERS * BREACH_FACTOR)?))
    }
}

impl GetBlocks {
    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        Ok(Self(wire::hashes(list, "asked blocks", MAX_BLOCKS * BREACH_FACTOR)?))
    }
}

impl BlockHeaders {
    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(self.0.len());
        for header in &self.0 {
            out.append_raw(header, 1);
        }
    }

    /// Takes an item of the shape `[header, transactions, uncles]` for its header too: the source's layout line says so
    /// where its text says headers. The two differ in their first element, a list or a string.
    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        let items = list.items("headers")?;
        let mut headers = Vec::with_capacity(items.counted("headers", MAX_HEADERS * BREACH_FACTOR)?);
        for item in items {
            let item = item?;
            let first = item.items("header")?.next().transpose()?;
            let header = if first.is_some_and(|first| first.list) {
                let ([header, transactions, uncles], withdrawals) = item.fields_and_one("block")?;
                transactions.items("transactions")?;
                uncles.items("uncles")?;
                withdrawals.map(|list| list.items("withdrawals")).transpose()?;
                header
            } else {
                item
            };
            headers.push(read_header(&header)?);
        }
        Ok(Self(headers))
    }
}

impl Blocks {
    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(self.0.len());
        for block in &self.0 {
            out.append_raw(&block.encode(), 1);
        }
    }

    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        let items = list.items("blocks")?;
        let mut blocks = Vec::with_capacity(items.counted("blocks", MAX_BLOCKS * BREACH_FACTOR)?);
        for item in items {
            blocks.push(read_block(&item?)?);
        }
        Ok(Self(blocks))
    }
}

impl NewBlock {
    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(2);
        out.append_raw(&self.block.encode(), 1);
        wire::write_u256(out, &self.td);
    }

    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        let [block, td] = list.fields("NewBlock")?;
        Ok(Self { block: read_block(&block)?, td: td.u256("totalDifficulty")? })
    }
}

fn read_block(item: &wire::Item<'_>) -> Result<RawBlock, DecodeError> {
    let ([header, txs, uncles], withdrawals) = item.fields_and_one("block")?;
    let items = uncles.items("uncles")?;
    // The message's size and `LEAST_HEADER_BYTES` bound the count, so it needs no limit of its own.
    let most = uncles.payload.len() / LEAST_HEADER_BYTES;
    let mut uncles = Vec::with_capacity(items.counted("uncles", most)?);
    for uncle in items {
        uncles.push(read_header(&uncle?)?);
    }
    let withdrawals = withdrawals.map(|list| read_withdrawals(&list)).transpose()?;
    Ok(RawBlock { header: read_header(&header)?, transactions: transactions::read_list(&txs)?, uncles, withdrawals })
}

/// The withdrawals of a block from Shanghai on (EIP-4895), each a raw slice. `eth` 28 is older than they are; they stand
/// where `geth export` and later versions have them.
fn read_withdrawals(list: &wire::Item<'_>) -> Result<Vec<Bytes>, DecodeError> {
    let items = list.items("withdrawals")?;
    let most = list.payload.len() / LEAST_WITHDRAWAL_BYTES;
    let mut withdrawals = Vec::with_capacity(items.counted("withdrawals", most)?);
    for item in items {
        let item = item?;
        item.items("withdrawal")?;
        if item.raw.len() < LEAST_WITHDRAWAL_BYTES {
            let (least, got) = (LEAST_WITHDRAWAL_BYTES, item.raw.len());
            return Err(DecodeError::TooShort { what: "withdrawal", least, got });
        }
        withdrawals.push(Bytes::copy_from_slice(item.raw));
    }
    Ok(withdrawals)
}

/// A header as a raw slice, checked only for what tells it from anything else.
fn read_header(item: &wire::Item<'_>) -> Result<Bytes, DecodeError> {
    let mut fields = item.items("header")?;
    if item.raw.len() < LEAST_HEADER_BYTES {
        return Err(DecodeError::TooShort { what: "header", least: LEAST_HEADER_BYTES, got: item.raw.len() });
    }
    if fields.next().transpose()?.is_some_and(|first| first.list) {
        return Err(DecodeError::ExpectedString { what: "parentHash" });
    }
    Ok(Bytes::copy_from_slice(item.raw))
}
