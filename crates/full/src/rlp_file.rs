//! Files of concatenated block RLP, as `geth export` writes them: `[header, transactions, uncles]` after
//! `[header, transactions, uncles]`, nothing between and nothing around.

use std::io::{BufRead, ErrorKind, Read};

use rushlight_chain::{DecodeError, RawBlock};

/// The largest block that is read. Block RLP is capped at 10 MiB (EIP-7934, Osaka), and the blocks of the forks before
/// it are bound by gas well below that; what claims more is no block, and no memory is taken for it.
pub const MAX_BLOCK_BYTES: u64 = 10 * 1024 * 1024;

/// Why a file of blocks cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum RlpFileError {
    /// The file system's answer.
    #[error("at byte {offset}: {error}")]
    Io {
        /// Where the block begins in the file.
        offset: u64,
        /// What it said.
        error: std::io::Error,
    },
    /// The file ends inside a block.
    #[error("at byte {offset}: the file ends inside a block")]
    Truncated {
        /// Where the block begins in the file.
        offset: u64,
    },
    /// The bytes are not those of an RLP list.
    #[error("at byte {offset}: expected the RLP of a block, got {got}")]
    NotAList {
        /// Where the block should begin.
        offset: u64,
        /// What stands there.
        got: String,
    },
    /// A block that says it is larger than any is.
    #[error("at byte {offset}: expected a block of at most {MAX_BLOCK_BYTES} bytes, got one of {got}")]
    TooLarge {
        /// Where the block begins in the file.
        offset: u64,
        /// Its length by its RLP prefix, in bytes.
        got: u64,
    },
    /// A list, but not of a block's shape.
    #[error("at byte {offset}: {error}")]
    Block {
        /// Where the block begins in the file.
        offset: u64,
        /// What is wrong with it.
        error: DecodeError,
    },
}

/// Reads block after block; holds one in memory at a time. Ends after the first error.
#[derive(Debug)]
pub struct RlpFile<R> {
    reader: R,
    offset: u64,
    ended: bool,
}

impl<R: BufRead> RlpFile<R> {
    /// Reads from `reader`'s position on; offsets in errors count from there.
    pub fn new(reader: R) -> Self {
        RlpFile { reader, offset: 0, ended: false }
    }

    /// Bytes read so far: after a block, where the next one begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn block(&mut self) -> Result<Option<RawBlock>, RlpFileError> {
        let offset = self.offset;
        let io = |error: std::io::Error| match error.kind() {
            ErrorKind::UnexpectedEof => RlpFileError::Truncated { offset },
            _ => RlpFileError::Io { offset, error },
        };
        if self.reader.fill_buf().map_err(io)?.is_empty() {
            return Ok(None);
        }
        let mut raw = vec![0; 1];
        self.reader.read_exact(&mut raw).map_err(io)?;
        let length = match raw[0] {
            first @ 0xc0..=0xf7 => u64::from(first - 0xc0),
            first @ 0xf8.. => {
                let mut digits = vec![0; usize::from(first - 0xf7)];
                self.reader.read_exact(&mut digits).map_err(io)?;
                let length = digits.iter().fold(0, |length: u64, digit| length << 8 | u64::from(*digit));
                if digits[0] == 0 || length < 56 {
                    return Err(RlpFileError::NotAList { offset, got: "a length that is not canonical".into() });
                }
                raw.extend(digits);
                length
            }
            first => return Err(RlpFileError::NotAList { offset, got: format!("a string (first byte {first:#04x})") }),
        };
        if length > MAX_BLOCK_BYTES {
            return Err(RlpFileError::TooLarge { offset, got: length });
        }
        // Grows with what is really there, not with what the prefix says.
        let read = self.reader.by_ref().take(length).read_to_end(&mut raw).map_err(io)?;
        if (read as u64) < length {
            return Err(RlpFileError::Truncated { offset });
        }
        let block = RawBlock::decode(&raw).map_err(|error| RlpFileError::Block { offset, error })?;
        self.offset += raw.len() as u64;
        Ok(Some(block))
    }
}

impl<R: BufRead> Iterator for RlpFile<R> {
    type Item = Result<RawBlock, RlpFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let block = self.block();
        self.ended = !matches!(block, Ok(Some(_)));
        block.transpose()
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;
    use alloy_primitives::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn block(number: u64) -> RawBlock {
        let header = Header { number, extra_data: Bytes::from(vec![7; 20]), ..Header::default() };
        RawBlock { header: rushlight_chain::header::encode(&header), ..RawBlock::default() }
    }

    fn file(count: u64) -> Vec<u8> {
        (0..count).flat_map(|number| block(number).encode().to_vec()).collect()
    }

    #[test]
    fn blocks_come_back_in_order() {
        let bytes = file(5);
        let mut reader = RlpFile::new(bytes.as_slice());
        for number in 0..5 {
            assert_eq!(reader.next().unwrap().unwrap(), block(number));
        }
        assert!(reader.next().is_none());
        assert_eq!(reader.offset(), bytes.len() as u64);
    }

    #[test]
    fn a_cut_at_any_byte_keeps_the_blocks_before_it() {
        let bytes = file(3);
        let one = bytes.len() / 3;
        for cut in 0..bytes.len() {
            let (good, bad): (Vec<_>, Vec<_>) = RlpFile::new(&bytes[..cut]).partition(Result::is_ok);
            assert_eq!(good.len(), cut / one);
            match bad.as_slice() {
                [] => assert_eq!(cut % one, 0),
                [Err(RlpFileError::Truncated { offset })] => assert_eq!(*offset as usize, cut / one * one),
                other => panic!("cut at {cut}: {other:?}"),
            }
        }
    }

    #[test]
    fn prefixes_are_held_to_the_rules() {
        let error = |bytes: &[u8]| RlpFile::new(bytes).next().unwrap().unwrap_err();
        assert!(matches!(error(&[0x80]), RlpFileError::NotAList { .. }));
        assert!(matches!(error(&[0xf8, 0x37]), RlpFileError::NotAList { .. }));
        assert!(matches!(error(&[0xf9, 0x00, 0x40]), RlpFileError::NotAList { .. }));
        assert!(matches!(error(&[0xff; 9]), RlpFileError::TooLarge { got: u64::MAX, .. }));
        assert!(matches!(error(&[0xfb, 0x00, 0x00, 0x00, 0x01]), RlpFileError::NotAList { .. }));
        assert!(matches!(error(&[0xc0]), RlpFileError::Block { .. }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_in_blocks_or_one_error(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let read: Vec<_> = RlpFile::new(bytes.as_slice()).collect();
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }

        #[test]
        fn a_flipped_byte_never_passes_for_the_same_block(at in 0usize..3, flip in 1u8..) {
            let mut bytes = file(1);
            let place = at * (bytes.len() - 1) / 2;
            bytes[place] ^= flip;
            if let Some(Ok(read)) = RlpFile::new(bytes.as_slice()).next() {
                prop_assert_ne!(read, block(0));
            }
        }
    }
}
