//! era1 files: mainnet's history before the merge, 8,192 blocks a file.
//!
//! The container is e2store: entries of `type: u16, length: u32, reserved: u16` (little endian) and a value. A file is a
//! version, then for each block a header, a body and receipts (each snappy-framed RLP) and a total difficulty, then the
//! accumulator and the block index (<https://github.com/eth-clients/e2store-format-specs/blob/main/formats/era1.md>).

use std::io::{self, Read};

use alloy_primitives::{B256, Bytes, U256};
use snap::read::FrameDecoder;

const VERSION: u16 = 0x3265;
const HEADER: u16 = 0x03;
const BODY: u16 = 0x04;
const RECEIPTS: u16 = 0x05;
const TOTAL_DIFFICULTY: u16 = 0x06;
const ACCUMULATOR: u16 = 0x07;
const BLOCK_INDEX: u16 = 0x3266;

/// The most blocks of a file: the accumulator's bound.
const MAX_BLOCKS: usize = 8192;
/// The most bytes of a compressed entry, and of what it unpacks to. Mainnet's largest blocks before the merge have some
/// hundred kilobytes and receipts of a few megabytes; a file's lengths are not to be trusted beyond that.
const MAX_ENTRY: usize = 64 << 20;
/// The most bytes of an unpacked header: its fields are of fixed size but for 32 bytes of extra data.
const MAX_HEADER: usize = 4096;

/// A block of an era1 file, with its bytes as they stand there. Nothing about them is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Era1Block {
    /// Header RLP.
    pub header: Bytes,
    /// Body RLP: `[transactions, uncles]`.
    pub body: Bytes,
    /// Receipts RLP: a list.
    pub receipts: Bytes,
    /// Total difficulty, this block's included.
    pub total_difficulty: U256,
}

/// A file that is no era1 file.
#[derive(Debug, thiserror::Error)]
pub enum Era1Error {
    /// It cannot be read, or ends too early.
    #[error("era1: {0}")]
    Io(#[from] io::Error),
    /// An entry of another type than the one that comes next.
    #[error("era1 entry {entry}: expected type {expected}, got {got:#06x}")]
    Type {
        /// The entry's place in the file.
        entry: u64,
        /// The types that may stand there.
        expected: &'static str,
        /// The type that does.
        got: u16,
    },
    /// An entry of a wrong length.
    #[error("era1 entry {entry}: expected {expected} bytes, got {got}")]
    Length {
        /// The entry's place in the file.
        entry: u64,
        /// The length of such an entry.
        expected: u64,
        /// The entry's.
        got: u64,
    },
    /// An entry longer than any that is taken.
    #[error("era1 entry {entry}: expected at most {max} bytes, got more")]
    TooLong {
        /// The entry's place in the file.
        entry: u64,
        /// The most bytes taken.
        max: usize,
    },
    /// The reserved bytes of an entry are not zero.
    #[error("era1 entry {entry}: expected reserved bytes 0, got {got:#06x}")]
    Reserved {
        /// The entry's place in the file.
        entry: u64,
        /// What stands there.
        got: u16,
    },
    /// More blocks than a file may have.
    #[error("era1: expected at most {MAX_BLOCKS} blocks, got more")]
    TooManyBlocks,
    /// The block index is not of this file.
    #[error("era1 block index: expected {expected} blocks, got {got}")]
    Index {
        /// The number of blocks read.
        expected: u64,
        /// What the index says.
        got: u64,
    },
    /// Bytes after the block index.
    #[error("era1: bytes after the block index")]
    TrailingBytes,
}

/// Reads an era1 file block by block, with the memory of one block.
///
/// An iterator: it ends after the file's last block once accumulator and index have been read and found in their places,
/// and after an error.
#[derive(Debug)]
pub struct Era1Reader<R> {
    input: R,
    entry: u64,
    blocks: usize,
    accumulator: Option<B256>,
    start: Option<u64>,
    done: bool,
}

impl<R: Read> Era1Reader<R> {
    /// Starts to read. Wrap a file in a [`std::io::BufReader`].
    pub fn new(input: R) -> Result<Era1Reader<R>, Era1Error> {
        let mut reader = Era1Reader { input, entry: 0, blocks: 0, accumulator: None, start: None, done: false };
        let (kind, length) = reader.entry_head()?;
        reader.expect(kind, VERSION, "version 0x3265")?;
        reader.expect_length(length, 0)?;
        Ok(reader)
    }

    /// The accumulator root of the file, once the iterator has ended without error. It is not checked here: every
    /// block's hash and difficulty is verified by the chain's rules.
    pub fn accumulator(&self) -> Option<B256> {
        self.accumulator
    }

    /// The number of the file's first block by its index, once the iterator has ended without error.
    pub fn start(&self) -> Option<u64> {
        self.start
    }

    fn next_block(&mut self) -> Result<Option<Era1Block>, Era1Error> {
        let (kind, length) = self.entry_head()?;
        if kind == ACCUMULATOR {
            self.finish(length)?;
            return Ok(None);
        }
        self.expect(kind, HEADER, "header 0x03 or accumulator 0x07")?;
        if self.blocks == MAX_BLOCKS {
            return Err(Era1Error::TooManyBlocks);
        }
        self.blocks += 1;
        let header = self.unpack(length, MAX_HEADER)?;
        let (kind, length) = self.entry_head()?;
        self.expect(kind, BODY, "body 0x04")?;
        let body = self.unpack(length, MAX_ENTRY)?;
        let (kind, length) = self.entry_head()?;
        self.expect(kind, RECEIPTS, "receipts 0x05")?;
        let receipts = self.unpack(length, MAX_ENTRY)?;
        let (kind, length) = self.entry_head()?;
        self.expect(kind, TOTAL_DIFFICULTY, "total difficulty 0x06")?;
        self.expect_length(length, 32)?;
        let total_difficulty = U256::from_le_bytes(self.array::<32>()?);
        Ok(Some(Era1Block { header, body, receipts, total_difficulty }))
    }

    /// Reads the accumulator and the index behind the last block: `start, offset …, count` as little-endian words.
    fn finish(&mut self, length: u64) -> Result<(), Era1Error> {
        self.expect_length(length, 32)?;
        let accumulator = B256::from(self.array::<32>()?);
        let (kind, length) = self.entry_head()?;
        self.expect(kind, BLOCK_INDEX, "block index 0x3266")?;
        let blocks = self.blocks as u64;
        self.expect_length(length, 8 * (blocks + 2))?;
        let start = u64::from_le_bytes(self.array()?);
        for _ in 0..blocks {
            self.array::<8>()?;
        }
        let count = u64::from_le_bytes(self.array()?);
        if count != blocks {
            return Err(Era1Error::Index { expected: blocks, got: count });
        }
        if self.input.read(&mut [0; 1])? != 0 {
            return Err(Era1Error::TrailingBytes);
        }
        self.accumulator = Some(accumulator);
        self.start = Some(start);
        Ok(())
    }

    /// Type and length of the next entry.
    fn entry_head(&mut self) -> Result<(u16, u64), Era1Error> {
        let [t0, t1, l0, l1, l2, l3, r0, r1] = self.array::<8>()?;
        self.entry += 1;
        let reserved = u16::from_le_bytes([r0, r1]);
        if reserved != 0 {
            return Err(Era1Error::Reserved { entry: self.entry, got: reserved });
        }
        Ok((u16::from_le_bytes([t0, t1]), u64::from(u32::from_le_bytes([l0, l1, l2, l3]))))
    }

    fn expect(&self, got: u16, kind: u16, expected: &'static str) -> Result<(), Era1Error> {
        if got != kind {
            return Err(Era1Error::Type { entry: self.entry, expected, got });
        }
        Ok(())
    }

    fn expect_length(&self, got: u64, expected: u64) -> Result<(), Era1Error> {
        if got != expected {
            return Err(Era1Error::Length { entry: self.entry, expected, got });
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Era1Error> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Unpacks a snappy-framed entry. Memory grows only with bytes that are there.
    fn unpack(&mut self, length: u64, max: usize) -> Result<Bytes, Era1Error> {
        let entry = self.entry;
        if length > MAX_ENTRY as u64 {
            return Err(Era1Error::TooLong { entry, max: MAX_ENTRY });
        }
        let mut packed = (&mut self.input).take(length);
        let mut bytes = Vec::new();
        FrameDecoder::new(&mut packed).take(max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > max {
            return Err(Era1Error::TooLong { entry, max });
        }
        if packed.limit() != 0 {
            return Err(Era1Error::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(bytes.into())
    }
}

impl<R: Read> Iterator for Era1Reader<R> {
    type Item = Result<Era1Block, Era1Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.next_block().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}
