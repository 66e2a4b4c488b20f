//! Simulated blocks: their rules, and their state roots against states that are put together from scratch.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::{Header, Transaction, constants::EMPTY_OMMER_ROOT_HASH};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip4895::Withdrawal,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
};
use alloy_primitives::{Address, B256, Bytes, U256, address, bytes, keccak256};
use proptest::{collection::vec, prelude::*};
use rushlight_chain::{
    Activation, ChainSpec, Consensus, Fork, Forks, HeaderChain, SealedHeader, header, store::MemoryStore,
};
use rushlight_light::{
    LightClient,
    call::{AccountOverride, BlockOverrides, CallLimits, CallRequest},
    simulate::{BlockRequest, Outcome, SimulateError, SimulateRequest, SimulatedBlock},
};

use crate::common::{MapSource, Model, State, chain_config, client_over, root_of};

const GENESIS_TIME: u64 = 1_700_000_000;
const GAS_LIMIT: u64 = 30_000_000;
/// Writes the second word of its data to the slot of the first.
const WRITER: Address = address!("00000000000000000000000000000000000000c0");
const WRITER_CODE: Bytes = bytes!("6020356000355500");
/// Reverts with `Error("no")`-less data: the word of its data.
const REVERTER: Address = address!("00000000000000000000000000000000000000c1");
const REVERTER_CODE: Bytes = bytes!("60003560005260206000fd");
/// Sends what it is sent on to the address in its data, logs nothing itself.
const FORWARDER: Address = address!("00000000000000000000000000000000000000c2");
const FORWARDER_CODE: Bytes = bytes!("600060006000600034600035612710f100");
/// Returns the hash of the block of the number in its data.
const HASHER: Address = address!("00000000000000000000000000000000000000c3");
const HASHER_CODE: Bytes = bytes!("6000354060005260206000f3");
/// Returns what a block tells: number, time, base fee, randomness, beneficiary, gas limit, blob base fee.
const TELLER: Address = address!("00000000000000000000000000000000000000c4");
const TELLER_CODE: Bytes = bytes!("43600052426020524860405244606052416080524560a0524a60c05260e06000f3");

fn account(number: u8) -> Address {
    // Beside the precompiles.
    Address::repeat_byte(0x10 + number)
}

fn with_code(code: &Bytes) -> Model {
    Model { nonce: 1, code: code.to_vec(), ..Model::default() }
}

/// A chain by proof of stake with all forks to Osaka in its genesis, or one by work at London.
fn spec(merged: bool, state_root: B256) -> ChainSpec {
    let mut schedule: Vec<_> = [
        Fork::Homestead,
        Fork::TangerineWhistle,
        Fork::SpuriousDragon,
        Fork::Byzantium,
        Fork::Constantinople,
        Fork::Petersburg,
        Fork::Istanbul,
        Fork::Berlin,
        Fork::London,
    ]
    .map(|fork| (fork, Activation::Block(0)))
    .to_vec();
    if merged {
        schedule.push((Fork::Paris, Activation::TotalDifficulty(U256::ZERO)));
        let by_time = [Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Osaka];
        schedule.extend(by_time.map(|fork| (fork, Activation::Time(0))));
    }
    let genesis = Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root,
        difficulty: if merged { U256::ZERO } else { U256::from(131_072) },
        gas_limit: GAS_LIMIT,
        timestamp: GENESIS_TIME,
        base_fee_per_gas: Some(1_000_000_000),
        excess_blob_gas: merged.then_some(0),
        blob_gas_used: merged.then_some(0),
        ..Header::default()
    };
    ChainSpec::new("test", 1337, header::seal(genesis), Forks::new(schedule), Consensus::Ethash)
}

struct Net {
    client: LightClient,
    base: SealedHeader,
    state: State,
}

impl Net {
    fn new(merged: bool, rich: u8) -> Self {
        let mut state: State = BTreeMap::new();
        for (address, code) in [
            (WRITER, &WRITER_CODE),
            (REVERTER, &REVERTER_CODE),
            (FORWARDER, &FORWARDER_CODE),
            (HASHER, &HASHER_CODE),
            (TELLER, &TELLER_CODE),
            (BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE),
            (HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE),
            (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
            (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
        ] {
            state.insert(address, with_code(code));
        }
        let slots = (0..20_u64).map(|slot| (B256::from(U256::from(slot)), U256::from(slot * 7 + 1)));
        state.entry(WRITER).or_default().storage = slots.collect();
        for number in 0..rich {
            state.insert(account(number), Model { balance: U256::from(1_000_000_u64), ..Model::default() });
        }
        Self::of(merged, state)
    }

    fn of(merged: bool, state: State) -> Self {
        let mut source = MapSource::default();
        let root = root_of(&state, &mut source.nodes);
        let spec = Arc::new(spec(merged, root));
        let chain = HeaderChain::open(spec.clone(), Arc::new(MemoryStore::new()), chain_config()).unwrap();
        Self { client: client_over(Arc::new(chain), source), base: spec.genesis.clone(), state }
    }

    async fn simulate(&self, request: SimulateRequest) -> Result<Vec<SimulatedBlock>, SimulateError> {
        self.client.simulate(&self.base, request, &CallLimits::default()).await
    }

    /// What the system contracts and the reward change in a block.
    fn after_block(&mut self, merged: bool, block: &Header) {
        if !merged {
            let miner = self.state.entry(block.beneficiary).or_default();
            miner.balance += U256::from(2_000_000_000_000_000_000_u64);
            return;
        }
        let (time, history) = (U256::from(block.timestamp), U256::from((block.number - 1) % 8191));
        let beacon = self.state.entry(BEACON_ROOTS_ADDRESS).or_default();
        beacon.storage.insert((time % U256::from(8191)).into(), time);
        let root = block.parent_beacon_block_root.unwrap();
        beacon.storage.insert((time % U256::from(8191) + U256::from(8191)).into(), root.into());
        let hashes = self.state.entry(HISTORY_STORAGE_ADDRESS).or_default();
        hashes.storage.insert(history.into(), block.parent_hash.into());
    }

    fn root(&self) -> B256 {
        root_of(&self.state, &mut Default::default())
    }
}

fn call(from: Address, to: Address, value: u64, input: impl Into<Bytes>) -> CallRequest {
    let (value, input) = (Some(U256::from(value)), Some(input.into()));
    CallRequest { from: Some(from), to: Some(to), value, input, ..CallRequest::default() }
}

fn words(words: &[U256]) -> Bytes {
    words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect::<Vec<_>>().into()
}

fn block(calls: Vec<CallRequest>) -> BlockRequest {
    BlockRequest { calls, ..BlockRequest::default() }
}

fn request(blocks: Vec<BlockRequest>) -> SimulateRequest {
    SimulateRequest { blocks, ..SimulateRequest::default() }
}

/// What may happen in a block.
#[derive(Clone, Debug)]
enum Step {
    Send { from: u8, to: u8, value: u64 },
    Write { from: u8, slot: u64, value: u64 },
    Override { who: u8, balance: u64 },
    Replace { slots: Vec<(u64, u64)> },
    Patch { slot: u64, value: u64 },
    Withdraw { to: u8, gwei: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = prop_oneof![
        4 => (0..6_u8, 0..12_u8, 0..400_000_u64).prop_map(|(from, to, value)| Step::Send { from, to, value }),
        4 => (0..6_u8, 0..24_u64, 0..3_u64).prop_map(|(from, slot, value)| Step::Write { from, slot, value }),
        1 => (0..14_u8, 0..1_000_u64).prop_map(|(who, balance)| Step::Override { who, balance }),
        1 => vec((0..9_u64, 0..9_u64), 0..4).prop_map(|slots| Step::Replace { slots }),
        1 => (0..40_u64, 0..3_u64).prop_map(|(slot, value)| Step::Patch { slot, value }),
        1 => (0..14_u8, 0..3_u64).prop_map(|(to, gwei)| Step::Withdraw { to, gwei }),
    ];
    vec(vec(step, 0..8), 1..5)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The blocks that the steps ask for. Those that a state does not allow are left out.
fn blocks_of(state: &State, merged: bool, steps: &[Vec<Step>]) -> Vec<BlockRequest> {
    let mut balances: BTreeMap<Address, U256> = state.iter().map(|(who, model)| (*who, model.balance)).collect();
    let mut blocks = Vec::new();
    for steps in steps {
        let mut request = BlockRequest::default();
        let mut writer = AccountOverride::default();
        for step in steps {
            match step {
                Step::Override { who, balance } => {
                    let balance = U256::from(*balance);
                    request.state.entry(account(*who)).or_default().balance = Some(balance);
                    balances.insert(account(*who), balance);
                }
                Step::Replace { slots } => {
                    let word = |number: u64| B256::from(U256::from(number));
                    let slots = slots.iter().map(|(slot, value)| (word(*slot), word(*value))).collect();
                    writer = AccountOverride { state: Some(slots), ..AccountOverride::default() };
                }
                Step::Patch { slot, value } if writer.state.is_none() => {
                    let word = |number: u64| B256::from(U256::from(number));
                    writer.state_diff.get_or_insert_default().insert(word(*slot), word(*value));
                }
                _ => {}
            }
        }
        if writer != AccountOverride::default() {
            request.state.insert(WRITER, writer);
        }
        for step in steps {
            match step {
                Step::Send { from, to, value } => {
                    let value = U256::from(*value);
                    let from = account(*from);
                    let balance = balances.entry(from).or_default();
                    if *balance >= value {
                        *balance -= value;
                        *balances.entry(account(*to)).or_default() += value;
                        request.calls.push(call(from, account(*to), value.to(), Bytes::new()));
                    }
                }
                Step::Write { from, slot, value } => {
                    let data = words(&[U256::from(*slot), U256::from(*value)]);
                    request.calls.push(call(account(*from), WRITER, 0, data));
                }
                Step::Withdraw { to, gwei } if merged => {
                    let withdrawal = Withdrawal { address: account(*to), amount: *gwei, ..Withdrawal::default() };
                    request.withdrawals.push(withdrawal);
                }
                _ => {}
            }
        }
        // They come after the calls, which cannot spend them yet.
        for withdrawal in &request.withdrawals {
            *balances.entry(withdrawal.address).or_default() += withdrawal.amount_wei();
        }
        blocks.push(request);
    }
    blocks
}

/// What a block makes of the state, written down from its request.
fn apply(net: &mut Net, merged: bool, request: &BlockRequest, made: &Header) {
    for (address, account) in &request.state {
        let model = net.state.entry(*address).or_default();
        model.balance = account.balance.unwrap_or(model.balance);
        if let Some(slots) = &account.state {
            model.storage.clear();
            model.storage.extend(slots.iter().map(|(slot, value)| (*slot, (*value).into())));
        }
        for (slot, value) in account.state_diff.iter().flatten() {
            model.storage.insert(*slot, (*value).into());
        }
    }
    for call in &request.calls {
        let (from, to, value) = (call.from.unwrap(), call.to.unwrap(), call.value.unwrap());
        let sender = net.state.entry(from).or_default();
        sender.nonce += 1;
        sender.balance -= value;
        net.state.entry(to).or_default().balance += value;
        if to == WRITER {
            let data = call.input.as_ref().unwrap();
            let slot = B256::from_slice(&data[..32]);
            net.state.entry(WRITER).or_default().storage.insert(slot, U256::from_be_slice(&data[32..]));
        }
        // EIP-161: what a call touched and is empty is gone.
        net.state.retain(|address, model| (*address != to && *address != from) || !is_empty(model));
    }
    for withdrawal in request.withdrawals.iter().filter(|withdrawal| withdrawal.amount > 0) {
        net.state.entry(withdrawal.address).or_default().balance += withdrawal.amount_wei();
    }
    net.after_block(merged, made);
}

fn is_empty(model: &Model) -> bool {
    model.nonce == 0 && model.balance.is_zero() && model.code.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every state root is that of the state put together from scratch: insertions, changes and deletions in tries of which
    /// only paths are held.
    #[test]
    fn roots_are_those_of_whole_states(steps in steps(), merged: bool, rich in 0..6_u8) {
        let mut net = Net::new(merged, rich);
        let blocks = blocks_of(&net.state, merged, &steps);
        let made = block_on(net.simulate(request(blocks.clone()))).unwrap();
        prop_assert_eq!(made.len(), blocks.len());
        let mut parent = net.base.clone();
        for (made, asked) in made.iter().zip(&blocks) {
            let header = &made.block.header;
            prop_assert_eq!((header.number, header.parent_hash), (parent.number + 1, parent.hash()));
            for call in &made.calls {
                prop_assert!(matches!(call.outcome, Outcome::Returned(_)), "{:?}", call);
            }
            apply(&mut net, merged, asked, header);
            prop_assert_eq!(header.state_root, net.root());
            prop_assert_eq!(header.gas_used, made.calls.iter().map(|call| call.gas_used).sum::<u64>());
            parent = header.clone();
        }
    }
}

#[tokio::test]
async fn gaps_are_blocks_too() {
    let net = Net::new(true, 1);
    let overrides = BlockOverrides { number: Some(U256::from(3)), ..BlockOverrides::default() };
    let made = net.simulate(request(vec![BlockRequest { overrides, ..BlockRequest::default() }])).await.unwrap();
    let told: Vec<_> = made.iter().map(|made| (made.block.header.number, made.block.header.timestamp)).collect();
    assert_eq!(told, [1, 2, 3].map(|number| (number, GENESIS_TIME + 12 * number)));
    assert_eq!(made[2].block.header.parent_hash, made[1].block.header.hash());
}

#[tokio::test]
async fn code_sees_its_block_and_the_ones_before() {
    let net = Net::new(true, 1);
    let overrides = BlockOverrides {
        time: Some(GENESIS_TIME + 100),
        gas_limit: Some(1_000_000),
        fee_recipient: Some(Address::repeat_byte(7)),
        prev_randao: Some(B256::repeat_byte(8)),
        base_fee_per_gas: Some(U256::from(9)),
        blob_base_fee: Some(U256::from(10)),
        ..BlockOverrides::default()
    };
    let teller = || call(account(0), TELLER, 0, Bytes::new());
    let hash = |number: u64| call(account(0), HASHER, 0, words(&[U256::from(number)]));
    let first = BlockRequest { overrides, calls: vec![teller()], ..BlockRequest::default() };
    let second = block(vec![hash(0), hash(1), hash(2), hash(3)]);
    let made = net.simulate(request(vec![first, second])).await.unwrap();
    let Outcome::Returned(told) = &made[0].calls[0].outcome else { panic!("{made:?}") };
    let expected = [
        U256::from(1),
        U256::from(GENESIS_TIME + 100),
        U256::from(9),
        B256::repeat_byte(8).into(),
        Address::repeat_byte(7).into_word().into(),
        U256::from(1_000_000),
        U256::from(10),
    ];
    assert_eq!(*told, words(&expected));
    let hashes: Vec<_> = made[1]
        .calls
        .iter()
        .map(|call| match &call.outcome {
            Outcome::Returned(hash) => B256::from_slice(hash),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(hashes, [net.base.hash(), made[0].block.header.hash(), B256::ZERO, B256::ZERO]);
}

#[tokio::test]
async fn transfers_are_logged_where_that_is_wanted() {
    let net = Net::new(true, 2);
    let (from, to) = (account(0), account(5));
    let forward = call(from, FORWARDER, 100, words(&[to.into_word().into()]));
    let failing = call(from, REVERTER, 50, words(&[U256::from(5)]));
    let plain = call(from, to, 7, Bytes::new());
    let blocks = vec![block(vec![failing, forward, plain])];
    let made = net.simulate(SimulateRequest { blocks: blocks.clone(), trace_transfers: true, validation: false }).await;
    let made = made.unwrap();
    let calls = &made[0].calls;
    assert!(calls[0].logs.is_empty(), "{:?}", calls[0]);
    assert_eq!(calls[0].outcome, Outcome::Reverted(words(&[U256::from(5)])));
    let told: Vec<_> = calls[1].logs.iter().map(|(number, log)| (*number, log.topics()[1], log.topics()[2])).collect();
    let word = |address: Address| address.into_word();
    assert_eq!(told, [(1, word(from), word(FORWARDER)), (2, word(FORWARDER), word(to))]);
    assert_eq!(calls[2].logs.len(), 1);
    assert_eq!(calls[2].logs[0].1.topics()[0], keccak256("Transfer(address,address,uint256)"));
    // They are no part of the block.
    assert!(made[0].block.header.logs_bloom.is_zero());
    let quiet = net.simulate(request(blocks)).await.unwrap();
    assert!(quiet[0].calls.iter().all(|call| call.logs.is_empty()));
    assert_eq!(quiet[0].block.header.hash(), made[0].block.header.hash());
}

#[tokio::test]
async fn defaults_of_a_call() {
    let net = Net::new(true, 1);
    let calls = vec![CallRequest::default(), call(account(0), account(1), 5, Bytes::new()), CallRequest::default()];
    let made = net.simulate(request(vec![block(calls)])).await.unwrap();
    let transactions = &made[0].block.transactions;
    assert_eq!(transactions[0].signer(), Address::ZERO);
    assert_eq!(transactions.iter().map(|tx| tx.nonce()).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(transactions[0].gas_limit(), GAS_LIMIT, "what is left of the block");
    assert_eq!(transactions[1].gas_limit(), GAS_LIMIT - made[0].calls[0].gas_used);
    assert!(transactions.iter().all(|tx| tx.is_dynamic_fee()));
    assert_eq!(made[0].block.header.base_fee_per_gas, Some(0), "nobody has to name a price");
}

#[tokio::test]
async fn blocks_that_cannot_be() {
    let net = Net::new(true, 1);
    let code = async |request| net.simulate(request).await.map_err(|error| (error.code(), error.to_string()));
    assert_eq!(code(request(vec![])).await, Err((-32602, "empty input".into())));
    let gas = CallRequest { gas: Some(GAS_LIMIT + 1), ..CallRequest::default() };
    assert_eq!(
        code(request(vec![block(vec![gas])])).await,
        Err((-38015, format!("block gas limit reached: remaining: {GAS_LIMIT}, required: {}", GAS_LIMIT + 1)))
    );
    let poor = call(account(9), account(1), 5, Bytes::new());
    let (error, text) = code(request(vec![block(vec![poor])])).await.unwrap_err();
    assert_eq!(error, -38014);
    assert!(text.contains("insufficient funds"), "{text}");
    let tight = CallRequest { gas: Some(100), ..CallRequest::default() };
    assert_eq!(code(request(vec![block(vec![tight])])).await.unwrap_err().0, -38013);

    let strict = |calls| SimulateRequest { validation: true, ..request(vec![block(calls)]) };
    let nonce = |nonce| CallRequest { nonce: Some(nonce), ..call(account(0), account(1), 0, Bytes::new()) };
    let (error, text) = code(strict(vec![nonce(0)])).await.unwrap_err();
    assert_eq!(error, -38012, "{text}");
    assert_eq!(code(strict(vec![nonce(5)])).await.unwrap_err().0, -38011);
    // Without validation a nonce is only a number in the block.
    assert!(net.simulate(request(vec![block(vec![nonce(5)])])).await.is_ok());
}

#[tokio::test]
async fn all_calls_share_one_cap_of_gas() {
    let net = Net::new(true, 1);
    let limits = CallLimits { gas_cap: 50_000, ..CallLimits::default() };
    let blocks = vec![block(vec![call(account(0), account(1), 1, Bytes::new()); 2]), block(vec![nonce_writer()])];
    let made = net.client.simulate(&net.base, request(blocks), &limits).await;
    assert_eq!(made.unwrap_err().code(), -38013, "8,000 are left for the last");
    let spend =
        |gas| block(vec![CallRequest { gas, ..call(account(0), WRITER, 0, words(&[U256::from(99), U256::from(1)])) }]);
    let limits = CallLimits { gas_cap: 30_000, ..CallLimits::default() };
    let made = net.client.simulate(&net.base, request(vec![spend(Some(60_000))]), &limits).await.unwrap();
    assert!(matches!(&made[0].calls[0].outcome, Outcome::Failed { capped: true, .. }), "{made:?}");
}

fn nonce_writer() -> CallRequest {
    call(account(0), WRITER, 0, words(&[U256::from(1), U256::from(1)]))
}

#[tokio::test]
async fn with_validation_the_base_fee_is_the_next_ones() {
    let net = Net::new(true, 1);
    let made = net.simulate(SimulateRequest { validation: true, ..request(vec![block(vec![])]) }).await.unwrap();
    assert_eq!(made[0].block.header.base_fee_per_gas, Some(875_000_000));
}
