//! Chains from files: era1, and block RLP as `geth export` writes it. Which one a file is, its first bytes say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use rushlight_chain::era1::{Era1Block, Era1Error, Era1Reader};
use rushlight_chain::{Body, DecodeError, Known, RawBlock, SealedHeader};

use crate::FullChain;
use crate::accumulator::Accumulator;
use crate::error::InsertError;
use crate::rlp_file::{RlpFile, RlpFileError};

/// Blocks that are verified, executed and written together: enough that seals keep all cores busy and a batch is worth
/// its write, few enough that progress moves and an interruption waits for no more than a second or two.
const RUN_BLOCKS: usize = 192;
/// A run ends early past so many bytes of blocks: what waits in memory for one batch stays bounded.
const RUN_BYTES: usize = 8 * 1024 * 1024;
/// Bytes read from the file at once.
const READ_BUFFER: usize = 256 * 1024;

/// The first bytes of an e2store file: the version entry's type.
const ERA1_MAGIC: [u8; 2] = [0x65, 0x32];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
    /// Blocks read so far and held now.
    pub blocks: u64,
    /// The number of the last of them.
    pub number: u64,
    /// Bytes read from the file so far.
    pub read: u64,
    /// The file's length in bytes.
    pub size: u64,
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSummary {
    /// Blocks in the file, as far as it was read.
    pub blocks: u64,
    /// Those that were not held before: each was executed, and each of its roots checked.
    pub added: u64,
    /// Hash of the chain's head now.
    pub head: B256,
    /// Number of the chain's head now.
    pub number: u64,
    /// Total difficulty of the chain now.
    pub td: U256,
    /// How long it took.
    pub elapsed: Duration,
    /// False where the caller broke it off.
    pub complete: bool,
}

/// An import that ended before its file did. What was good before that stays.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", .path.display())]
pub struct ImportError {
    /// The file.
    pub path: PathBuf,
    /// What happened.
    pub error: ImportFailure,
}

/// What ended an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is neither era1 nor block RLP.
    #[error("expected an era1 file or block RLP, got {got}")]
    Format {
        /// What it looks like.
        got: String,
    },
    /// It is no sound era1 file.
    #[error(transparent)]
    Era1(#[from] Era1Error),
    /// It is no sound file of block RLP.
    #[error(transparent)]
    Rlp(#[from] RlpFileError),
    /// A body in it does not decode.
    #[error("block {index} of the file: {error}")]
    Body {
        /// Its place in the file, from 0.
        index: u64,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// It begins with another chain's genesis block.
    #[error("the file is of another chain: expected genesis {expected}, got {got}")]
    Genesis {
        /// This chain's.
        expected: B256,
        /// The file's.
        got: B256,
    },
    /// A block in it is refused.
    #[error(transparent)]
    Insert(#[from] InsertError),
    /// The block is good, but the file claims another total difficulty for it.
    #[error("block {number}: total difficulty: expected {expected}, got {got} in the file")]
    TotalDifficulty {
        /// The block's number.
        number: u64,
        /// The chain's.
        expected: U256,
        /// The file's.
        got: U256,
    },
    /// The block is good, but the receipts that the file gives are not its.
    #[error("block {number}: receipts: expected those with hash {expected}, got {got} in the file")]
    Receipts {
        /// The block's number.
        number: u64,
        /// Keccak-256 of the RLP list of receipts that execution gave.
        expected: B256,
        /// Keccak-256 of the file's.
        got: B256,
    },
    /// The blocks are good, but the accumulator at the file's end is not theirs.
    #[error("accumulator: expected {expected}, got {got} in the file")]
    Accumulator {
        /// Computed from the blocks.
        expected: B256,
        /// The file's.
        got: B256,
    },
}

/// What a file claims of a block of its.
struct Claims {
    td: U256,
    receipts: Bytes,
}

/// A block of a file.
struct Entry {
    block: RawBlock,
    claims: Option<Claims>,
}

#[derive(Default)]
struct Totals {
    blocks: u64,
    added: u64,
}

impl FullChain {
    /// Imports an era1 file or a file of block RLP. Every block is verified, executed and checked like any other;
    /// blocks that are held already are passed over, so an import that was broken off goes on where it was.
    ///
    /// Of an era1 file the total difficulties, the receipts and the accumulator are compared as well.
    ///
    /// Blocks; call it off the async threads. After each run of blocks `progress` is told, and can break it off.
    pub fn import(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(&ImportProgress) -> ControlFlow<()>,
    ) -> Result<ImportSummary, ImportError> {
        self.import_file(path, progress).map_err(|error| ImportError { path: path.to_owned(), error })
    }

    fn import_file(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(&ImportProgress) -> ControlFlow<()>,
    ) -> Result<ImportSummary, ImportFailure> {
        let started = Instant::now();
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let count = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: file, count: count.clone() };
        let mut blocks = Blocks::open(BufReader::with_capacity(READ_BUFFER, counted))?;
        let mut totals = Totals::default();
        let complete = loop {
            let (run, end) = blocks.run();
            let number = self.import_run(run, &mut totals)?;
            if let Some(end) = end {
                break end.map(|()| true)?;
            }
            let read = count.load(Ordering::Relaxed);
            if progress(&ImportProgress { blocks: totals.blocks, number, read, size }).is_break() {
                break false;
            }
        };
        let head = self.headers.head();
        Ok(ImportSummary {
            blocks: totals.blocks,
            added: totals.added,
            head: head.header.hash(),
            number: head.header.number,
            td: head.td,
            elapsed: started.elapsed(),
            complete,
        })
    }

    /// Takes a run in, and compares what the file claims of its blocks. Gives the number of its last block.
    fn import_run(&self, run: Vec<Entry>, totals: &mut Totals) -> Result<u64, ImportFailure> {
        let genesis = self.headers.genesis_hash();
        if let Some(first) = run.first()
            && let Ok(header) = first.block.decode_header()
            && header.number == 0
            && header.hash() != genesis
        {
            return Err(ImportFailure::Genesis { expected: genesis, got: header.hash() });
        }
        let count = run.len() as u64;
        let mut claims = Vec::with_capacity(run.len());
        let mut blocks = Vec::with_capacity(run.len());
        for entry in run {
            claims.push((entry.block.hash(), entry.claims));
            blocks.push(entry.block);
        }
        let new = claims.iter().filter(|(hash, _)| self.headers.known(hash) != Known::Accepted).count() as u64;
        if new > 0 {
            self.insert(blocks)?;
        }
        totals.blocks += count;
        totals.added += new;
        let mut number = 0;
        for (hash, claims) in claims {
            let Some(header) = self.headers.header(&hash) else { continue };
            number = header.number;
            if let Some(claims) = claims {
                self.compare(&header, &claims)?;
            }
        }
        Ok(number)
    }

    fn compare(&self, header: &SealedHeader, claims: &Claims) -> Result<(), ImportFailure> {
        let (number, hash) = (header.number, header.hash());
        let td = self.headers.td(&hash).unwrap_or_default();
        if td != claims.td {
            return Err(ImportFailure::TotalDifficulty { number, expected: td, got: claims.td });
        }
        let receipts = self.receipts(&hash).map_err(InsertError::from)?.unwrap_or_default();
        if receipts != claims.receipts {
            let (expected, got) = (keccak256(&receipts), keccak256(&claims.receipts));
            return Err(ImportFailure::Receipts { number, expected, got });
        }
        Ok(())
    }
}

/// The blocks of a file, in order.
enum Blocks<R: BufRead> {
    Era1 { reader: Era1Reader<R>, accumulator: Accumulator, index: u64 },
    Rlp(RlpFile<R>),
}

impl<R: BufRead> Blocks<R> {
    fn open(mut reader: R) -> Result<Self, ImportFailure> {
        let start = reader.fill_buf()?;
        match start {
            [] => Err(ImportFailure::Format { got: "an empty file".to_owned() }),
            [first, second, ..] if [*first, *second] == ERA1_MAGIC => {
                let reader = Era1Reader::new(reader)?;
                Ok(Blocks::Era1 { reader, accumulator: Accumulator::default(), index: 0 })
            }
            [first, second, ..] if [*first, *second] == GZIP_MAGIC => {
                Err(ImportFailure::Format { got: "a gzip file; unpack it first".to_owned() })
            }
            [0xc0..=0xff, ..] => Ok(Blocks::Rlp(RlpFile::new(reader))),
            [first, ..] => Err(ImportFailure::Format { got: format!("a file that begins with {first:#04x}") }),
        }
    }

    /// The next run of blocks, and how the file ended if it did.
    fn run(&mut self) -> (Vec<Entry>, Option<Result<(), ImportFailure>>) {
        let mut run = Vec::new();
        let mut bytes = 0;
        while run.len() < RUN_BLOCKS && bytes < RUN_BYTES {
            match self.next() {
                Ok(Some(entry)) => {
                    let withdrawals = entry.block.withdrawals.iter().flatten();
                    let parts = entry.block.transactions.iter().chain(&entry.block.uncles).chain(withdrawals);
                    bytes += entry.block.header.len() + parts.map(|part| part.len()).sum::<usize>();
                    run.push(entry);
                }
                Ok(None) => return (run, Some(Ok(()))),
                Err(error) => return (run, Some(Err(error))),
            }
        }
        (run, None)
    }

    fn next(&mut self) -> Result<Option<Entry>, ImportFailure> {
        match self {
            Blocks::Rlp(reader) => {
                let block = reader.next().transpose()?;
                Ok(block.map(|block| Entry { block, claims: None }))
            }
            Blocks::Era1 { reader, accumulator, index } => {
                let Some(block) = reader.next().transpose()? else {
                    let (expected, got) = (accumulator.root(), reader.accumulator().unwrap_or_default());
                    if expected != got {
                        return Err(ImportFailure::Accumulator { expected, got });
                    }
                    return Ok(None);
                };
                let Era1Block { header, body, receipts, total_difficulty: td } = block;
                let body = Body::decode(&body).map_err(|error| ImportFailure::Body { index: *index, error })?;
                *index += 1;
                let block = RawBlock::from_parts(header, body);
                accumulator.push(block.hash(), td);
                Ok(Some(Entry { block, claims: Some(Claims { td, receipts }) }))
            }
        }
    }
}

/// Counts the bytes that are read.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
