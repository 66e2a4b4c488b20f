//! Calls over simulated links: what a cold and a warm one cost at 0, 20 and 100 ms of round trip.

mod world;

use std::time::{Duration, Instant};

use rushlight_light::call::{CallLimits, CallRequest, Overrides};
use serde_json::Map;
use world::{CALLER_OF_200, Light, READER_OF_200, World, ask, balance_of, genesis, holder};

/// Cold calls of which the median is told.
const RUNS: u8 = 5;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let genesis = genesis(Map::new());
    for millis in [0, 20, 100] {
        runtime.block_on(measure(&genesis, Duration::from_millis(millis)));
    }
}

/// Makes the message of a run.
type Make = fn(u8) -> CallRequest;

struct Cost {
    took: Duration,
    things: usize,
    bytes: usize,
}

async fn measure(genesis: &[u8], round_trip: Duration) {
    println!("\ncalls, {} ms of round trip", round_trip.as_millis());
    let world = World::new(genesis, round_trip).await;
    let kinds: [(&str, Make); 3] = [
        ("balanceOf of an ERC-20", |run| balance_of(holder(u64::from(run) * 977))),
        ("200 slots of a contract", |_| ask(READER_OF_200)),
        ("200 contracts, a slot of each", |_| ask(CALLER_OF_200)),
    ];
    let mut number = 2;
    for (what, request) in kinds {
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            let light = world.light(number).await;
            number += 1;
            cold.push(call(&light, &world, request(run)).await);
            warm.push(call(&light, &world, request(run)).await);
            light.end().await;
        }
        told(what, "cold", cold, round_trip);
        told(what, "warm", warm, round_trip);
    }
    world.end().await;
}

async fn call(light: &Light, world: &World, request: CallRequest) -> Cost {
    let (header, limits) = (light.client.head().header, CallLimits::default());
    let expected = world.local.call(&header, request.clone(), Overrides::default(), &limits).await.unwrap();
    light.looked_up.take();
    let began = Instant::now();
    let output = light.client.call(&header, request, Overrides::default(), &limits).await.unwrap();
    let took = began.elapsed();
    assert_eq!(output, expected);
    let (things, bytes) = light.looked_up.take();
    Cost { took, things, bytes }
}

fn told(what: &str, state: &str, mut costs: Vec<Cost>, round_trip: Duration) {
    costs.sort_by_key(|cost| cost.took);
    let Cost { took, things, bytes } = &costs[costs.len() / 2];
    // Without a round trip there is nothing to count by.
    let turns = match round_trip.is_zero() {
        true => String::new(),
        false => format!(", {:.1} turns", took.as_secs_f64() / round_trip.as_secs_f64()),
    };
    let read = format!("{things} nodes and codes read, {:.1} kB", *bytes as f64 / 1e3);
    println!("{:<40} {:>10.1} ms{turns:<14} {read}", format!("{what}, {state}"), took.as_secs_f64() * 1e3);
}
