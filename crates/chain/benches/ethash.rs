//! What a seal costs: alone, among others, on all cores; and what an epoch's cache costs.
//!
//! go-ethereum v1.10.26, the original to beat, takes 5.2 ms of CPU a seal.

use std::hint::black_box;

use alloy_consensus::Header;
use alloy_primitives::{B64, B256};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rushlight_chain::ethash::{Cache, hashimoto, hashimoto_many};
use rushlight_chain::{Ethash, SealCheck, header, seal_hash};

fn cache(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ethash cache");
    group.sample_size(10);
    for epoch in [0, 517] {
        group.bench_function(BenchmarkId::new("epoch", epoch), |bencher| bencher.iter(|| Cache::generate(epoch)));
    }
    group.finish();
}

fn seals(criterion: &mut Criterion) {
    let cache = Cache::generate(0);
    let mut group = criterion.benchmark_group("ethash seal");
    let mut nonce = 0_u64;
    let mut next = || {
        nonce += 1;
        (B256::repeat_byte(0x5e), B64::from(nonce))
    };
    group.bench_function("one", |bencher| {
        bencher.iter(|| {
            let (hash, nonce) = next();
            hashimoto(&cache, black_box(hash), nonce)
        });
    });
    group.throughput(Throughput::Elements(8));
    group.bench_function("eight together, one core", |bencher| {
        bencher.iter(|| hashimoto_many::<8>(&cache, std::array::from_fn(|_| next())));
    });
    group.finish();
}

/// Headers whose mix is right, so that each is worked on whole: the check stops at none.
fn batch(criterion: &mut Criterion) {
    let cache = Cache::generate(0);
    let headers: Vec<_> = (0..192)
        .map(|number| {
            let mut header = Header { number, difficulty: alloy_primitives::U256::from(1), ..Header::default() };
            header.mix_hash = hashimoto(&cache, seal_hash(&header), header.nonce).mix;
            header::seal(header)
        })
        .collect();
    let ethash = Ethash::new();
    ethash.check(&headers[..1]).expect("the headers were made with the same cache");
    let mut group = criterion.benchmark_group("ethash check");
    group.throughput(Throughput::Elements(headers.len() as u64)).sample_size(10);
    group.bench_function("192 headers, all cores", |bencher| bencher.iter(|| ethash.check(black_box(&headers))));
    group.finish();
}

criterion_group!(benches, cache, seals, batch);
criterion_main!(benches);
