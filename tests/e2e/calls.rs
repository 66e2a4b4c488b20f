//! Calls of a light node, over an in-memory network on virtual time, beside the full peer's own: turns, and thousands of
//! random messages.

#[path = "../bench/calls/world.rs"]
mod world;

use std::{collections::BTreeMap, time::Duration};

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rushlight_light::{
    LightClient,
    call::{AccountOverride, BlockOverrides, CallError, CallLimits, CallRequest, Overrides, StateOverrides},
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use world::{CALLER_OF_200, READER_OF_200, TOKEN, World, ask, balance_of, genesis, holder};

const ROUND_TRIP: Duration = Duration::from_millis(20);

fn on_virtual_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

/// What a call returns, and the turns that it waits for.
async fn turns(client: &LightClient, request: CallRequest) -> (Bytes, f64) {
    let header = client.head().header;
    let began = Instant::now();
    let output = client.call(&header, request, Overrides::default(), &CallLimits::default()).await.unwrap();
    (output, began.elapsed().as_secs_f64() / ROUND_TRIP.as_secs_f64())
}

#[test]
fn a_cold_call_takes_its_paths_and_a_warm_one_no_turn() {
    on_virtual_time(async {
        let world = World::new(&genesis(Map::new()), ROUND_TRIP).await;
        let header = world.local.head().header;
        for number in 0..10u8 {
            let light = world.light(number + 2).await;
            let who = holder(u64::from(number) * 991);
            let place = keccak256([who.into_word().as_slice(), B256::ZERO.as_slice()].concat());
            let proof = world.local.proof(&header, TOKEN, &[place]).await.unwrap();
            let paths = proof.account_proof.len() + proof.storage[0].proof.len();
            let (output, cold) = turns(&light.client, balance_of(who)).await;
            assert_eq!(output, B256::from(U256::from(u64::from(number) * 991 + 1)).to_vec());
            assert!(paths >= 8, "the state is large enough to tell: {paths}");
            assert!(cold <= paths as f64 + 2.0, "{cold} turns for paths of {paths} nodes");
            let (things, bytes) = light.looked_up.take();
            assert!(things > paths && bytes < 20_000, "{things} nodes and codes, {bytes} bytes");
            let (_, warm) = turns(&light.client, balance_of(who)).await;
            assert!(warm < 0.01, "{warm} turns");
            light.end().await;
        }
        // What does not depend on each other takes the turns of one, and a little for messages that are full.
        for (number, to, sum) in [(50, READER_OF_200, 20_100), (51, CALLER_OF_200, 20_100)] {
            let light = world.light(number).await;
            let (output, cold) = turns(&light.client, ask(to)).await;
            assert_eq!(output, B256::from(U256::from(sum)).to_vec());
            assert!(cold <= 40.0, "{cold} turns for 200 of {to}");
            light.end().await;
        }
        world.end().await;
    });
}

/// Contracts whose code is made up.
const PROGRAMS: u64 = 60;

fn program_at(number: u64) -> Address {
    Address::left_padding_from(&(0x0200_0000 + number).to_be_bytes())
}

/// Makes programs and messages from one seed.
struct Made(StdRng);

impl Made {
    fn address(&mut self) -> Address {
        match self.0.random_range(0..10) {
            0..6 => program_at(self.0.random_range(0..PROGRAMS)),
            6 => holder(self.0.random_range(0..50)),
            7 => Address::with_last_byte(self.0.random_range(0..12)),
            8 => TOKEN,
            _ => Address::from_slice(&keccak256([self.0.random::<u8>() % 8])[..20]),
        }
    }

    fn word(&mut self) -> U256 {
        match self.0.random_range(0..4) {
            0 => U256::from(self.0.random_range(0..16u64)),
            1 => U256::from(self.0.random::<u64>()),
            2 => U256::from_be_bytes(self.0.random::<[u8; 32]>()),
            _ => U256::ZERO,
        }
    }

    /// Code that keeps a number in its first word of memory, and returns it in the end if nothing stands in the way.
    fn program(&mut self) -> Vec<u8> {
        let mut code = Vec::new();
        for _ in 0..self.0.random_range(1..16) {
            self.step(&mut code);
        }
        code.extend([0x60, 0x20, 0x60, 0x00, 0xf3]);
        code
    }

    fn step(&mut self, code: &mut Vec<u8>) {
        const MIX: [u8; 7] = [0x60, 0x00, 0x51, 0x18, 0x60, 0x00, 0x52];
        let push = |code: &mut Vec<u8>, bytes: &[u8]| {
            code.push(0x5f + u8::try_from(bytes.len()).unwrap());
            code.extend_from_slice(bytes);
        };
        let slot = self.0.random_range(0..6u8);
        match self.0.random_range(0..100) {
            // Of the block and the message.
            0..12 => {
                let plain = [0x30, 0x32, 0x33, 0x34, 0x36, 0x3a, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4a];
                code.push(*plain.choose(&mut self.0).unwrap());
                code.extend(MIX);
            }
            12..15 => {
                code.extend([0x60, 0x01, 0x43, 0x03, 0x40]);
                code.extend(MIX);
            }
            15..18 => {
                code.extend([0x60, slot, 0x35]);
                code.extend(MIX);
            }
            // A slot, and one that depends on what came before.
            18..34 => {
                code.extend([0x60, slot, 0x54]);
                code.extend(MIX);
            }
            34..42 => {
                code.extend([0x60, 0x00, 0x51, 0x60, 0x07, 0x16, 0x54]);
                code.extend(MIX);
            }
            42..50 => code.extend([0x60, 0x00, 0x51, 0x60, slot, 0x55]),
            50..60 => {
                let address = self.address();
                push(code, address.as_slice());
                code.push(*[0x31, 0x3b, 0x3f].choose(&mut self.0).unwrap());
                code.extend(MIX);
            }
            60..82 => {
                let (address, kind) = (self.address(), *[0xf1, 0xf1, 0xf2, 0xf4, 0xfa].choose(&mut self.0).unwrap());
                let value = if self.0.random_ratio(1, 6) { 1 } else { 0 };
                // 32 bytes to the second word; the first word goes in.
                code.extend([0x60, 0x20, 0x60, 0x20, 0x60, 0x20, 0x60, 0x00]);
                if matches!(kind, 0xf1 | 0xf2) {
                    code.extend([0x60, value]);
                }
                push(code, address.as_slice());
                code.extend([0x62, 0x01, self.0.random(), 0x00, kind]);
                code.extend(MIX);
                code.extend([0x60, 0x20, 0x51]);
                code.extend(MIX);
            }
            82..87 => {
                // Makes a contract of the first word.
                code.extend([0x60, 0x20, 0x60, 0x00, 0x60, 0x00, 0xf0]);
                code.extend(MIX);
            }
            87..90 => {
                code.extend([0x60, 0x40, 0x60, 0x00, 0x20]);
                code.extend(MIX);
            }
            90..93 => code.extend([0x60, 0x01, 0x60, 0x20, 0x60, 0x00, 0xa1]),
            93..97 => {
                // Ends here where the number is even: by a revert with data, by an error, or well.
                let end: &[u8] =
                    [&[0x60, 0x40, 0x60, 0x00, 0xfd][..], &[0xfe], &[0x00], &[0x50]].choose(&mut self.0).unwrap();
                let target = u16::try_from(code.len() + 10 + end.len()).unwrap();
                code.extend([0x60, 0x00, 0x51, 0x60, 0x01, 0x16, 0x61]);
                code.extend(target.to_be_bytes());
                code.push(0x57);
                code.extend(end);
                code.push(0x5b);
            }
            97 => code.extend([0x33, 0xff]),
            98 => code.extend([0x60, 0xff, 0x56]),
            _ => {
                code.extend([0x5a]);
                code.extend(MIX);
            }
        }
    }

    fn request(&mut self) -> CallRequest {
        let rng = &mut self.0;
        let (create, from) = (rng.random_ratio(1, 12), rng.random_ratio(5, 6));
        let mut request = CallRequest::default();
        if from {
            request.from =
                Some(if self.0.random_ratio(1, 8) { self.address() } else { holder(self.0.random_range(0..30)) });
        }
        if create {
            request.input = Some(self.program().into());
        } else {
            request.to = Some(self.address());
            let words = self.0.random_range(0..3);
            request.input = Some((0..words).flat_map(|_| self.word().to_be_bytes::<32>()).collect());
        }
        let wei = |rng: &mut StdRng| U256::from(rng.random_range(0..4_000_000_000u64));
        match self.0.random_range(0..8) {
            0 => request.gas_price = Some(wei(&mut self.0)),
            1 => {
                request.max_fee_per_gas = Some(wei(&mut self.0));
                request.max_priority_fee_per_gas = Some(wei(&mut self.0) / U256::from(4));
            }
            2 => request.max_fee_per_gas = Some(wei(&mut self.0)),
            _ => {}
        }
        if self.0.random_ratio(1, 4) {
            request.value = Some(if self.0.random_ratio(1, 6) { self.word() } else { U256::from(1) });
        }
        if self.0.random_ratio(1, 3) {
            request.gas = Some(self.0.random_range(0..300_000));
        }
        if self.0.random_ratio(1, 8) {
            let slots = (0..self.0.random_range(0..3u8)).map(B256::with_last_byte).collect();
            let item = AccessListItem { address: self.address(), storage_keys: slots };
            request.access_list = Some(AccessList(vec![item]));
        }
        if self.0.random_ratio(1, 20) {
            let mut hash = B256::from(self.0.random::<[u8; 32]>());
            hash[0] = self.0.random_range(0..3);
            request.blob_versioned_hashes = Some(vec![hash; self.0.random_range(0..8)]);
        }
        request
    }

    fn state(&mut self) -> StateOverrides {
        let mut overrides = StateOverrides::new();
        if self.0.random_ratio(2, 3) {
            return overrides;
        }
        for _ in 0..self.0.random_range(1..4) {
            let mut account = AccountOverride::default();
            if self.0.random_ratio(1, 2) {
                account.balance = Some(self.word());
            }
            if self.0.random_ratio(1, 4) {
                account.nonce = Some(self.0.random_range(0..5));
            }
            if self.0.random_ratio(1, 3) {
                account.code = Some(self.program().into());
            }
            let slots = |made: &mut Self| -> BTreeMap<B256, B256> {
                (0..made.0.random_range(0..4u8)).map(|slot| (B256::with_last_byte(slot), made.word().into())).collect()
            };
            if self.0.random_ratio(1, 5) {
                account.state = Some(slots(self));
            }
            if self.0.random_ratio(1, 4) {
                account.state_diff = Some(slots(self));
            }
            if self.0.random_ratio(1, 12) {
                account.move_precompile_to = Some(self.address());
            }
            overrides.insert(self.address(), account);
        }
        overrides
    }

    fn block(&mut self) -> BlockOverrides {
        let mut block = BlockOverrides::default();
        if self.0.random_ratio(4, 5) {
            return block;
        }
        if self.0.random_ratio(1, 3) {
            block.number = Some(U256::from(self.0.random_range(0..1000u64)));
        }
        if self.0.random_ratio(1, 3) {
            block.time = Some(self.0.random());
        }
        if self.0.random_ratio(1, 3) {
            block.base_fee_per_gas = Some(U256::from(self.0.random_range(0..5_000_000_000u64)));
        }
        if self.0.random_ratio(1, 3) {
            block.prev_randao = Some(self.word().into());
        }
        if self.0.random_ratio(1, 3) {
            block.blob_base_fee = Some(U256::from(self.0.random_range(0..9u64)));
        }
        if self.0.random_ratio(1, 3) {
            block.fee_recipient = Some(self.address());
        }
        block
    }
}

/// What one query gives, in whatever way it ends.
async fn answer(
    client: &LightClient,
    kind: u8,
    request: CallRequest,
    overrides: Overrides,
) -> Result<String, CallError> {
    let header = client.head().header;
    // Enough for what the programs do, and little enough that those that call each other for ever end soon.
    let limits = CallLimits { gas_cap: 1_500_000, ..CallLimits::default() };
    Ok(match kind {
        0 => client.call(&header, request, overrides, &limits).await?.to_string(),
        1 => client.estimate_gas(&header, request, overrides, &limits).await?.to_string(),
        _ => format!("{:?}", client.create_access_list(&header, request, overrides.state, &limits).await?),
    })
}

#[test]
fn thousands_of_random_messages_end_as_at_the_full_peer() {
    const NODES: u8 = 6;
    const QUERIES: usize = 400;
    on_virtual_time(async {
        let mut made = Made(StdRng::seed_from_u64(5));
        let programs: Map<String, Value> = (0..PROGRAMS)
            .map(|number| {
                let storage: Map<String, Value> = (0..6u8)
                    .map(|slot| (B256::with_last_byte(slot).to_string(), json!(B256::from(made.word()))))
                    .filter(|(_, value)| *value != json!(B256::ZERO))
                    .collect();
                let code = Bytes::from(made.program());
                let account = json!({ "balance": "0x64", "nonce": "0x1", "code": code, "storage": storage });
                (program_at(number).to_string(), account)
            })
            .collect();
        let world = World::new(&genesis(programs), Duration::from_millis(2)).await;
        let (mut answers, mut failures) = (0, BTreeMap::<String, usize>::new());
        for node in 0..NODES {
            // Each begins with nothing.
            let light = world.light(node + 2).await;
            for query in 0..QUERIES {
                let kind = made.0.random_range(0..3);
                let (request, state, block) = (made.request(), made.state(), made.block());
                let overrides = Overrides { state, block };
                let there = answer(&world.local, kind, request.clone(), overrides.clone()).await;
                let here = answer(&light.client, kind, request.clone(), overrides.clone()).await;
                assert_eq!(here, there, "query {query} of node {node}, kind {kind}: {request:?} {overrides:?}");
                match here {
                    Ok(_) => answers += 1,
                    Err(error) => {
                        let text = error.to_string();
                        let first: String = text.split(' ').take(3).collect::<Vec<_>>().join(" ");
                        *failures.entry(first).or_default() += 1;
                    }
                }
            }
            light.end().await;
        }
        // The mix is no good where nearly all fail, or none.
        let queries = usize::from(NODES) * QUERIES;
        assert!(answers > queries / 4 && answers < queries, "{answers} of {queries}; failures: {failures:?}");
        assert!(failures.len() > 5, "{failures:?}");
        world.end().await;
    });
}
