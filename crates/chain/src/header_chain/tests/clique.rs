//! Clique chains with every seal checked, snapshots kept and rebuilt.

use secp256k1::SecretKey;

use super::*;
use crate::clique::{self, CliqueError};
use crate::seal::SealError;
use crate::spec::{Activation, Fork, Forks};

pub(super) const EPOCH: u64 = 700;

pub(super) fn key(tag: u8) -> SecretKey {
    SecretKey::from_byte_array([tag; 32]).unwrap()
}

pub(super) fn spec(signers: &[u8]) -> Arc<ChainSpec> {
    let mut addresses: Vec<Address> = signers.iter().map(|tag| clique::signer_address(&key(*tag))).collect();
    addresses.sort();
    let mut extra = vec![0; 32];
    addresses.iter().for_each(|address| extra.extend_from_slice(address.as_slice()));
    extra.resize(extra.len() + 65, 0);
    let genesis =
        alloy_consensus::Header { extra_data: extra.into(), timestamp: 1_500_000_000, ..genesis().into_inner() };
    Arc::new(ChainSpec {
        name: "clique".to_owned(),
        genesis: header::seal(alloy_consensus::Header { difficulty: U256::from(1), ..genesis }),
        forks: Forks::new(vec![(Fork::Homestead, Activation::Block(0))]),
        consensus: Consensus::Clique { period: 1, epoch: EPOCH },
        ..toy_spec(0)
    })
}

fn open(spec: &Arc<ChainSpec>, store: &Arc<dyn Store>) -> HeaderChain {
    open_with(spec, store, SealPolicy::All)
}

pub(super) fn open_with(spec: &Arc<ChainSpec>, store: &Arc<dyn Store>, policy: SealPolicy) -> HeaderChain {
    open_retaining(spec, store, policy, Retain::All)
}

pub(super) fn open_retaining(
    spec: &Arc<ChainSpec>,
    store: &Arc<dyn Store>,
    policy: SealPolicy,
    retain: Retain,
) -> HeaderChain {
    let clock: Clock = Arc::new(|| u64::from(u32::MAX));
    let config = HeaderChainConfig { retain, ..HeaderChainConfig::new(policy, Arc::new(ToySeal::default()), clock) };
    HeaderChain::open(spec.clone(), store.clone(), config).unwrap()
}

/// The next header by a signer; `vote` is cast outside checkpoints.
pub(super) fn sign(
    spec: &ChainSpec,
    snapshot: &mut Snapshot,
    parent: &SealedHeader,
    tag: u8,
    vote: Option<(Address, bool)>,
) -> SealedHeader {
    let signer = clique::signer_address(&key(tag));
    let draft = clique::draft(spec, snapshot, parent, signer, 0, parent.gas_limit, vote).unwrap();
    let header = clique::seal(draft.header, &key(tag)).unwrap();
    snapshot.apply(&header).unwrap();
    header
}

/// `count` headers on `parent`, each by the signer whose turn it is, or who may sign where that one may not.
pub(super) fn in_turn(
    spec: &ChainSpec,
    snapshot: &mut Snapshot,
    parent: &SealedHeader,
    count: usize,
    tags: &[u8],
) -> Vec<SealedHeader> {
    let mut headers: Vec<SealedHeader> = Vec::new();
    for _ in 0..count {
        let parent = headers.last().unwrap_or(parent).clone();
        let next = parent.number + 1;
        let signers = tags.iter().map(|tag| (*tag, clique::signer_address(&key(*tag))));
        let may = signers.filter(|(_, signer)| snapshot.may_sign_from(signer) <= next);
        let (tag, _) = may.max_by_key(|(_, signer)| snapshot.in_turn(next, signer)).unwrap();
        headers.push(sign(spec, snapshot, &parent, tag, None));
    }
    headers
}

#[test]
fn grows_votes_and_keeps_snapshots() {
    let tags = [1, 2, 3];
    let spec = spec(&tags);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let chain = open(&spec, &store);
    assert_eq!(chain.policy(), SealPolicy::All);
    let mut snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let headers = in_turn(&spec, &mut snapshot, &spec.genesis, 2500, &tags);
    for batch in headers.chunks(192) {
        let extended = chain.extend(&raw(batch)).unwrap();
        assert!(extended.head_changed);
        assert_eq!(extended.seals_checked, batch.len() as u64);
    }
    audit(&chain);
    assert_eq!(chain.seals_checked(), 2500);
    assert_eq!(*chain.snapshot_at(headers[2499].hash_ref()).unwrap(), snapshot);
    for number in [1024, 2048] {
        assert!(store.contains(Column::Snapshots, headers[number - 1].hash_ref().as_slice()).unwrap());
    }

    // After a restart any snapshot is rebuilt from the one stored before it, or from genesis.
    drop(chain);
    let chain = open(&spec, &store);
    assert_eq!(*chain.snapshot_at(headers[2499].hash_ref()).unwrap(), snapshot);
    let early = chain.snapshot_at(headers[899].hash_ref()).unwrap();
    assert_eq!((early.number(), early.hash()), (900, headers[899].hash()));
    assert_eq!(chain.signers_at(spec.genesis.hash_ref()).unwrap().len(), 3);

    // Two of three vote for a fourth.
    let newcomer = clique::signer_address(&key(4));
    let mut parent = headers[2499].clone();
    let mut voted = Vec::new();
    for _ in 0..2 {
        let turn = |tag: &&u8| snapshot.in_turn(parent.number + 1, &clique::signer_address(&key(**tag)));
        let tag = *tags.iter().find(turn).unwrap();
        parent = sign(&spec, &mut snapshot, &parent, tag, Some((newcomer, true)));
        voted.push(parent.clone());
    }
    chain.extend(&raw(&voted)).unwrap();
    let signers = chain.signers_at(voted[1].hash_ref()).unwrap();
    assert!(signers.contains(&newcomer) && signers.is_sorted());
    assert!(!chain.signers_at(voted[0].hash_ref()).unwrap().contains(&newcomer));
    assert_eq!(chain.signers_at(&B256::ZERO), None);
    let more = in_turn(&spec, &mut snapshot, &parent, 400, &[1, 2, 3, 4]);
    chain.extend(&raw(&more)).unwrap();
    audit(&chain);
}

#[test]
fn strangers_and_hasty_signers_are_refused() {
    let spec = spec(&[1, 2, 3]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let chain = open(&spec, &store);
    let mut snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let headers = in_turn(&spec, &mut snapshot, &spec.genesis, 10, &[1, 2, 3]);
    let forged = clique::seal(headers[5].clone().into_inner(), &key(9)).unwrap();
    let mut batch = headers[..5].to_vec();
    batch.push(forged.clone());
    let error = chain.extend(&raw(&batch)).unwrap_err();
    assert_eq!((error.index, error.hash), (5, forged.hash()));
    assert!(matches!(error.error, Refusal::Seal(SealError::Clique(CliqueError::Unauthorized { .. }))), "{error}");
    assert_eq!(chain.head().header.number, 0);

    // Prepared in whole, kept in part: the snapshot of the last is rebuilt.
    let mut prepared = chain.prepare(&raw(&headers)).unwrap();
    prepared.truncate(7);
    chain.commit(prepared).unwrap();
    assert_eq!(chain.extend(&raw(&headers)).unwrap().added, 3);
    audit(&chain);
}

#[test]
fn in_turn_outweighs_out_of_turn() {
    let spec = spec(&[1, 2, 3]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let chain = open(&spec, &store);
    let genesis_snapshot = Snapshot::genesis(&spec.genesis, EPOCH).unwrap();
    let turn = |tag: &u8| genesis_snapshot.in_turn(1, &clique::signer_address(&key(*tag)));
    let (now, later) =
        ([1, 2, 3].into_iter().find(|tag| turn(tag)).unwrap(), [1, 2, 3].into_iter().find(|tag| !turn(tag)).unwrap());
    let light = sign(&spec, &mut genesis_snapshot.clone(), &spec.genesis, later, None);
    let heavy = sign(&spec, &mut genesis_snapshot.clone(), &spec.genesis, now, None);
    chain.extend(&raw(std::slice::from_ref(&light))).unwrap();
    assert_eq!(chain.head().header, light);
    assert!(chain.extend(&raw(std::slice::from_ref(&heavy))).unwrap().head_changed);
    assert_eq!(chain.known(light.hash_ref()), Known::Accepted);
    audit(&chain);
}
