//! With sampled seals and the real ethash, over each store.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256, b256};
use rushlight_chain::era1::Era1Reader;
use rushlight_chain::{
    ChainSpec, Ethash, HeaderChain, HeaderChainConfig, Known, MemoryStore, SealCheck, SealPolicy, Store, header,
    system_clock, testdata,
};

pub(super) const HEAD: B256 = b256!("a6860fefa339c963e1bb622526cc8dd4344eedd2a9b969e74de5cccc445fbed4");
pub(super) const TD: u64 = 1_344_623_723_034_024;

/// Headers 1 to 8191.
pub(super) fn headers() -> Option<Vec<Bytes>> {
    let path = testdata::path("mainnet/mainnet-00000-5ec1ffb8.era1")?;
    let reader = Era1Reader::new(BufReader::new(File::open(path).unwrap())).unwrap();
    Some(reader.skip(1).map(|block| block.unwrap().header).collect())
}

pub(super) fn open(store: Arc<dyn Store>, seals: Arc<dyn SealCheck>) -> HeaderChain {
    let config = HeaderChainConfig::new(SealPolicy::Sampled, seals, system_clock());
    HeaderChain::open(Arc::new(ChainSpec::mainnet()), store, config).unwrap()
}

fn sync(store: Arc<dyn Store>, headers: &[Bytes]) {
    let seals = Arc::new(Ethash::new());
    let mut seals_checked = 0;
    let chain = open(store.clone(), seals.clone());
    for batch in headers[..4000].chunks(192) {
        seals_checked += chain.extend(batch).unwrap().seals_checked;
    }
    assert_eq!(chain.head().header.number, 0);
    let progress = chain.provisional().unwrap();
    assert_eq!((progress.start, progress.current), (0, 4000));

    // The rest after a restart.
    drop(chain);
    let chain = open(store, seals);
    assert_eq!(chain.provisional(), Some(progress));
    for batch in headers[4000..].chunks(192) {
        seals_checked += chain.extend(batch).unwrap().seals_checked;
    }
    assert_eq!(chain.known(&HEAD), Known::Provisional);
    let settled = chain.settle(&HEAD).unwrap();
    assert!(settled.head_changed);
    assert_eq!((settled.added, settled.number, settled.td), (8191, 8191, U256::from(TD)));
    seals_checked += settled.seals_checked;
    // 81 whole windows, and the last 2,048 without those that were drawn among them.
    assert!((2048 + 61..=2048 + 81).contains(&seals_checked), "{seals_checked}");

    let head = chain.head();
    assert_eq!((head.header.hash(), head.td), (HEAD, U256::from(TD)));
    for (number, raw) in (1u64..).zip(headers).step_by(511) {
        let hash = chain.canonical_hash(number).unwrap();
        assert_eq!(chain.raw_header(&hash).as_ref(), Some(raw));
        assert_eq!(chain.header_by_number(number).unwrap(), header::decode(raw).unwrap());
    }
    assert_eq!(chain.hashes_before(&HEAD, 10_000).len(), 8191);
    assert_eq!(chain.hashes_before(&HEAD, 10_000)[8190], chain.genesis_hash());
}

#[test]
fn in_memory() {
    let Some(headers) = headers() else { return };
    sync(Arc::new(MemoryStore::new()), &headers);
}

#[cfg(feature = "rocksdb")]
#[test]
fn on_disk() {
    use rushlight_chain::store::{Budget, RocksStore};
    let Some(headers) = headers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(RocksStore::open(folder.path(), &Budget::default()).unwrap());
    sync(store.clone(), &headers);
    let size = store.size_bytes().unwrap();
    assert!(size < 24 << 20, "{size} bytes for 8,192 headers");
}
