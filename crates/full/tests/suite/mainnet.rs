//! Mainnet's first 8,192 blocks, out of the real era1 file.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, U256, b256};
use rushlight_chain::{ChainAccess, ChainSpec, MemoryStore, Store, testdata};
use rushlight_full::{FullChain, ImportFailure};

use super::common::{AnySeal, blocks, check_lookups, export, import, open};

const HEAD: B256 = b256!("a6860fefa339c963e1bb622526cc8dd4344eedd2a9b969e74de5cccc445fbed4");
const TD: u128 = 1_344_623_723_034_024;
const ERA1: &str = "mainnet/mainnet-00000-5ec1ffb8.era1";

/// Seals are `rushlight_chain`'s to test; here it is states, bodies and what is kept.
fn mainnet(store: Arc<dyn Store>) -> Option<FullChain> {
    let (spec, genesis) = ChainSpec::from_genesis(&testdata::read("mainnet/genesis.json")?).unwrap();
    Some(open(&spec, &genesis, store, Arc::new(AnySeal)))
}

#[test]
fn era1_imports_with_every_root_and_comes_back_from_store_and_rlp() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new());
    let Some(chain) = mainnet(store.clone()) else { return };
    let era1 = testdata::path(ERA1).unwrap();
    let summary = import(&chain, &era1).unwrap();
    println!("{summary:?}, {} bytes stored", store.size_bytes().unwrap());
    assert_eq!((summary.blocks, summary.added, summary.number, summary.complete), (8_192, 8_191, 8_191, true));
    assert_eq!((summary.head, summary.td), (HEAD, U256::from(TD)));
    assert!(summary.elapsed < Duration::from_secs(60), "{:?}", summary.elapsed);
    let lookups = check_lookups(&chain, &*store);
    assert!(lookups > 50_000, "{lookups}");

    // A second time there is nothing new.
    let again = import(&chain, &era1).unwrap();
    assert_eq!((again.blocks, again.added, again.head), (8_192, 0, HEAD));

    // As block RLP into another chain, with the same end.
    let file = folder.path().join("chain.rlp");
    export(&chain, &file);
    let other = mainnet(Arc::new(MemoryStore::new())).unwrap();
    let summary = import(&other, &file).unwrap();
    assert_eq!((summary.blocks, summary.added, summary.head), (8_192, 8_191, HEAD));

    // From the store again.
    let chain = mainnet(store).unwrap();
    let head = ChainAccess::head(&chain);
    assert_eq!((head.header.hash(), head.td), (HEAD, U256::from(TD)));
    assert!(chain.preimage(&head.header.state_root).is_some());
}

#[test]
fn an_import_that_is_broken_off_goes_on_where_it_was() {
    let store = Arc::new(MemoryStore::new());
    let Some(chain) = mainnet(store.clone()) else { return };
    let era1 = testdata::path(ERA1).unwrap();
    let mut runs = 0;
    let summary = chain
        .import(&era1, &mut |progress| {
            assert!(progress.read <= progress.size && progress.number < progress.blocks);
            runs += 1;
            if runs == 3 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
        })
        .unwrap();
    assert!(!summary.complete && summary.added > 0 && summary.added < 1_000);
    // As after kill -9: another process finds what was written.
    let chain = mainnet(Arc::new(store.snapshot())).unwrap();
    assert_eq!(chain.headers().head().header.number, summary.number);
    assert_eq!(blocks(&chain).len() as u64, summary.number);
    let whole = import(&chain, &era1).unwrap();
    assert_eq!((whole.head, whole.added), (HEAD, 8_191 - summary.number));
}

#[test]
fn a_damaged_era1_file_is_refused_and_what_was_good_stays() {
    let Some(chain) = mainnet(Arc::new(MemoryStore::new())) else { return };
    let bytes = testdata::read(ERA1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("damaged.era1");
    // Cut in the middle.
    std::fs::write(&file, &bytes[..bytes.len() / 8]).unwrap();
    let error = import(&chain, &file).unwrap_err();
    assert!(matches!(error.error, ImportFailure::Era1(_)), "{error}");
    let number = chain.headers().head().header.number;
    assert!(number > 500 && number < 2_000, "{number}");
    // Another accumulator: the 32 bytes before the block index, which is the last entry (8 + 8 * (8192 + 2) bytes).
    let mut other = bytes.clone();
    let place = other.len() - (8 + 8 * 8_194) - 1;
    other[place] ^= 1;
    std::fs::write(&file, &other).unwrap();
    let error = import(&chain, &file).unwrap_err();
    assert!(matches!(error.error, ImportFailure::Accumulator { .. }), "{error}");
    assert_eq!(chain.headers().head().header.hash(), HEAD);
}

#[test]
fn other_files_are_refused_by_name() {
    let Some(chain) = mainnet(Arc::new(MemoryStore::new())) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain");
    for (bytes, words) in [
        (&b""[..], "an empty file"),
        (&[0x1f, 0x8b, 8][..], "a gzip file"),
        (&b"{}"[..], "a file that begins with 0x7b"),
        (&[0xc1, 0xc0][..], "expected 3 items"),
        (&[0x65, 0x32, 0, 0][..], "era1"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = import(&chain, &file).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("chain"), "{error}");
    }
    let error = import(&chain, &folder.path().join("absent")).unwrap_err();
    assert!(matches!(error.error, ImportFailure::Io(_)), "{error}");
}
