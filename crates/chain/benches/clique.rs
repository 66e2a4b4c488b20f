//! What a clique chain costs with every seal checked, against bare recovery of the same signatures on the same cores.

use std::hint::black_box;
use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, U256};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rushlight_chain::clique::{self, Snapshot};
use rushlight_chain::testing::toy_spec;
use rushlight_chain::{
    ChainSpec, Consensus, Ethash, HeaderChain, HeaderChainConfig, MemoryStore, SealPolicy, SealedHeader, header,
};
use secp256k1::{Message, PublicKey, SecretKey, ecdsa::RecoverableSignature, ecdsa::RecoveryId};

const HEADERS: usize = 8 * BATCH;
/// As many as an `eth` 28 peer gives at once.
const BATCH: usize = 192;

fn keys() -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> =
        (1..=5).map(|tag| SecretKey::from_byte_array([tag; 32]).expect("a key in range")).collect();
    keys.sort_by_key(clique::signer_address);
    keys
}

fn spec(keys: &[SecretKey]) -> ChainSpec {
    let mut extra = vec![0; clique::VANITY_LENGTH];
    keys.iter().for_each(|key| extra.extend_from_slice(clique::signer_address(key).as_slice()));
    extra.resize(extra.len() + clique::SEAL_LENGTH, 0);
    let toy = toy_spec(0);
    let genesis = Header { extra_data: extra.into(), difficulty: U256::from(1), ..toy.genesis.clone().into_inner() };
    ChainSpec {
        name: "clique".to_owned(),
        genesis: header::seal(genesis),
        consensus: Consensus::Clique { period: 1, epoch: 30_000 },
        ..toy
    }
}

fn headers(spec: &ChainSpec, keys: &[SecretKey]) -> Vec<SealedHeader> {
    let mut snapshot = Snapshot::genesis(&spec.genesis, 30_000).expect("a genesis with signers");
    let mut headers: Vec<SealedHeader> = Vec::new();
    for number in 1..=HEADERS {
        let key = &keys[number % keys.len()];
        let parent = headers.last().unwrap_or(&spec.genesis);
        let draft = clique::draft(spec, &snapshot, parent, clique::signer_address(key), 0, parent.gas_limit, None);
        let header = clique::seal(draft.expect("the signer's turn").header, key).expect("room for a seal");
        snapshot.apply(&header).expect("a valid header");
        headers.push(header);
    }
    headers
}

fn recover(parts: &(Message, RecoverableSignature)) -> PublicKey {
    secp256k1::SECP256K1.recover_ecdsa(parts.0, &parts.1).expect("a signature that holds")
}

fn parts(header: &SealedHeader) -> (Message, RecoverableSignature) {
    let seal = &header.extra_data[clique::VANITY_LENGTH..];
    let recovery = RecoveryId::try_from(i32::from(seal[64])).expect("a recovery id");
    let signature = RecoverableSignature::from_compact(&seal[..64], recovery).expect("a signature");
    (Message::from_digest(clique::seal_hash(header).expect("room for a seal").0), signature)
}

fn extend(criterion: &mut Criterion) {
    use rayon::prelude::*;
    let keys = keys();
    let spec = Arc::new(spec(&keys));
    let headers = headers(&spec, &keys);
    let raw: Vec<Bytes> = headers.iter().map(|header| header::encode(header)).collect();
    let parts: Vec<_> = headers.iter().map(parts).collect();
    let mut group = criterion.benchmark_group("clique");
    group.throughput(Throughput::Elements(HEADERS as u64)).sample_size(20);
    group.bench_function("bare recovery, all cores", |bencher| {
        bencher.iter(|| {
            for batch in parts.chunks(BATCH) {
                black_box(batch.par_iter().map(recover).collect::<Vec<_>>());
            }
        });
    });
    group.bench_function("signers, all cores", |bencher| {
        bencher
            .iter(|| -> Vec<Vec<Result<Address, _>>> { headers.chunks(BATCH).map(clique::recover_signers).collect() });
    });
    for (name, policy) in [("extend, all", SealPolicy::All), ("extend and settle, sampled", SealPolicy::Sampled)] {
        let open = || {
            let clock = Arc::new(|| u64::from(u32::MAX));
            let config = HeaderChainConfig::new(policy, Arc::new(Ethash::new()), clock);
            HeaderChain::open(spec.clone(), Arc::new(MemoryStore::new()), config).expect("an empty store")
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                open,
                |chain| {
                    for batch in raw.chunks(BATCH) {
                        chain.extend(batch).expect("valid headers");
                    }
                    chain.settle(headers[HEADERS - 1].hash_ref()).expect("valid seals");
                    chain
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, extend);
criterion_main!(benches);
