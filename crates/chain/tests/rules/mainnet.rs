//! Mainnet's first 8,192 blocks, read once for all tests.

use std::fs::File;
use std::io::BufReader;
use std::sync::{Arc, OnceLock};

use alloy_primitives::U256;
use rushlight_chain::era1::{Era1Block, Era1Reader};
use rushlight_chain::{Body, ChainSpec, Ethash, SealedHeader, header, testdata, verify_header};

/// A block with its header decoded.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) raw: Era1Block,
    pub(super) header: SealedHeader,
    pub(super) body: Body,
}

/// The blocks by number.
pub(super) fn blocks() -> Option<Arc<Vec<Block>>> {
    static BLOCKS: OnceLock<Arc<Vec<Block>>> = OnceLock::new();
    let path = testdata::path("mainnet/mainnet-00000-5ec1ffb8.era1")?;
    let read = || {
        let reader = Era1Reader::new(BufReader::new(File::open(path).unwrap())).unwrap();
        let block = |raw: Era1Block| Block {
            header: header::decode(&raw.header).unwrap(),
            body: Body::decode(&raw.body).unwrap(),
            raw,
        };
        Arc::new(reader.map(|raw| block(raw.unwrap())).collect())
    };
    Some(BLOCKS.get_or_init(read).clone())
}

/// One set of ethash caches for all tests.
pub(super) fn ethash() -> &'static Ethash {
    static ETHASH: OnceLock<Ethash> = OnceLock::new();
    ETHASH.get_or_init(Ethash::new)
}

/// A clock long after every block here.
pub(super) const NOW: u64 = 1_700_000_000;

#[test]
fn every_header_follows_from_the_one_before() {
    let Some(blocks) = blocks() else { return };
    let spec = ChainSpec::mainnet();
    assert_eq!(blocks[0].header, spec.genesis);
    for pair in blocks.windows(2) {
        verify_header(&spec, &pair[1].header, &pair[0].header, U256::ZERO, NOW).unwrap();
    }
    let head = &blocks.last().unwrap().header;
    assert_eq!(head.number, 8191);
    assert_eq!(head.hash().to_string(), "0xa6860fefa339c963e1bb622526cc8dd4344eedd2a9b969e74de5cccc445fbed4");
}

#[test]
fn total_difficulties_are_those_of_the_file() {
    let Some(blocks) = blocks() else { return };
    let mut total = U256::ZERO;
    for block in blocks.iter() {
        total += block.header.difficulty;
        assert_eq!(total, block.raw.total_difficulty, "block {}", block.header.number);
    }
    assert_eq!(total.to_string(), "1344623723034024");
}
