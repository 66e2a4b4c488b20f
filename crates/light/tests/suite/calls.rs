//! Calls over small states: what they return, how they fail, how many turns they take, and how they are stopped.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use futures::future::BoxFuture;
use rushlight_chain::{
    Activation, ChainSpec, Consensus, Fork, Forks, HeaderChain, SealedHeader,
    block::Body,
    store::MemoryStore,
    testing::{ToyMiner, toy_spec},
};
use rushlight_light::{
    LightClient,
    call::{AccountOverride, BlockOverrides, CallError, CallLimits, CallRequest, Overrides},
};
use rushlight_odr::{Source, Unavailable, Wanted};

use crate::common::{MapSource, Model, Nodes, State, chain_config, client_over, extend, mine, root_of};

const CALLER: Address = Address::repeat_byte(0xca);
const CONTRACT: Address = Address::repeat_byte(0xc0);

/// A chain with every fork up to London from the start.
fn london() -> Arc<ChainSpec> {
    let forks = [
        Fork::Homestead,
        Fork::TangerineWhistle,
        Fork::SpuriousDragon,
        Fork::Byzantium,
        Fork::Constantinople,
        Fork::Petersburg,
        Fork::Istanbul,
        Fork::Berlin,
        Fork::London,
    ];
    let forks = Forks::new(forks.map(|fork| (fork, Activation::Block(0))).to_vec());
    let mut genesis = toy_spec(0).genesis.clone_inner();
    genesis.base_fee_per_gas = Some(1_000_000_000);
    Arc::new(ChainSpec::new("toy", 1337, rushlight_chain::header::seal(genesis), forks, Consensus::Ethash))
}

pub(crate) struct World {
    pub(crate) client: LightClient,
    pub(crate) header: SealedHeader,
    pub(crate) older: Vec<SealedHeader>,
}

impl World {
    /// Ten blocks, the last with this state, over what `source` makes of its nodes.
    pub(crate) fn new<S: Source>(state: &State, source: impl FnOnce(Nodes) -> S) -> Self {
        let mut nodes = Nodes::new();
        let root = root_of(state, &mut nodes);
        let spec = london();
        let chain = HeaderChain::open(spec.clone(), Arc::new(MemoryStore::new()), chain_config()).unwrap();
        let miner = ToyMiner::new((*spec).clone()).for_beneficiary(Address::repeat_byte(0xbe));
        let older = miner.headers(&spec.genesis, 9);
        let (header, _) = mine(&miner, older.last().unwrap(), root, &Body::default());
        extend(&chain, &older.iter().collect::<Vec<_>>());
        extend(&chain, &[&header]);
        Self { client: client_over(Arc::new(chain), source(nodes)), header, older }
    }

    fn held(state: &State) -> Self {
        Self::new(state, |nodes| MapSource { nodes, ..Default::default() })
    }

    async fn call(&self, request: CallRequest, overrides: Overrides) -> Result<Bytes, CallError> {
        self.client.call(&self.header, request, overrides, &CallLimits::default()).await
    }

    async fn ask(&self, request: CallRequest) -> Result<Bytes, CallError> {
        self.call(request, Overrides::default()).await
    }

    async fn refusal(&self, request: CallRequest) -> String {
        self.ask(request).await.unwrap_err().to_string()
    }

    async fn estimate(&self, request: CallRequest) -> Result<u64, CallError> {
        self.client.estimate_gas(&self.header, request, Overrides::default(), &CallLimits::default()).await
    }
}

/// Many accounts, so that paths have some length, and a contract with this code.
pub(crate) fn state_with(code: &[u8], slots: impl IntoIterator<Item = (u64, u64)>) -> State {
    let mut state: State = (0..400u64)
        .map(|number| {
            let balance = U256::from(number);
            (
                Address::left_padding_from(&keccak256(number.to_be_bytes())[..20]),
                Model { balance, ..Default::default() },
            )
        })
        .collect();
    let storage = slots.into_iter().map(|(slot, value)| (B256::from(U256::from(slot)), U256::from(value))).collect();
    state.insert(CALLER, Model { balance: U256::from(10).pow(U256::from(18)), ..Default::default() });
    state.insert(CONTRACT, Model { nonce: 1, code: code.to_vec(), storage, ..Default::default() });
    state
}

pub(crate) fn to_contract(input: impl Into<Bytes>) -> CallRequest {
    CallRequest { from: Some(CALLER), to: Some(CONTRACT), input: Some(input.into()), ..Default::default() }
}

/// Returns the slot that the first word of the input names.
pub(crate) const LOAD: &[u8] = &hex!("600035546000526020 6000f3");

fn word(number: u64) -> Vec<u8> {
    B256::from(U256::from(number)).to_vec()
}

#[tokio::test]
async fn a_slot_is_read_and_returned() {
    let world = World::held(&state_with(LOAD, [(7, 42), (8, 43)]));
    assert_eq!(world.ask(to_contract(word(7))).await.unwrap(), word(42));
    assert_eq!(world.ask(to_contract(word(8))).await.unwrap(), word(43));
    assert_eq!(world.ask(to_contract(word(9))).await.unwrap(), word(0));
    let nobody = CallRequest { to: Some(Address::repeat_byte(9)), ..Default::default() };
    assert_eq!(world.ask(nobody).await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn failures_as_in_geth() {
    let fails = async |code: &[u8]| {
        let world = World::held(&state_with(code, []));
        world.refusal(to_contract(Vec::new())).await
    };
    assert_eq!(fails(&hex!("fe")).await, "invalid opcode: INVALID");
    assert_eq!(fails(&hex!("ef")).await, "invalid opcode: opcode 0xef not defined");
    assert_eq!(fails(&hex!("5f")).await, "invalid opcode: PUSH0", "not before Shanghai");
    assert_eq!(fails(&hex!("01")).await, "stack underflow (0 <=> 2)");
    assert_eq!(fails(&[0x30; 1025]).await, "stack limit reached 1024 (1023)");
    assert_eq!(fails(&hex!("600056")).await, "invalid jump destination");
    assert_eq!(fails(&hex!("5b600056")).await, "out of gas");
    assert_eq!(fails(&hex!("60016000803e")).await, "return data out of bounds");
    assert_eq!(fails(&hex!("60006000fd")).await, "execution reverted");

    // revert("no"), as Solidity does it.
    let data = hex!(
        "08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000"
    );
    let code = [&hex!("6064600c60003960646000fd")[..], &data].concat();
    let world = World::held(&state_with(&code, []));
    let error = world.ask(to_contract(Vec::new())).await.unwrap_err();
    assert_eq!(error.to_string(), "execution reverted: no");
    assert_eq!(error, CallError::Reverted { output: Bytes::copy_from_slice(&data) });
    assert_eq!(world.estimate(to_contract(Vec::new())).await.unwrap_err(), error);
}

#[tokio::test]
async fn refusals_as_in_geth() {
    let world = World::held(&state_with(LOAD, []));
    let wei = |number: u64| Some(U256::from(number));
    let base = to_contract(Vec::new());
    let value = U256::from(10).pow(U256::from(18)) + U256::from(1);
    let checksummed = CALLER.to_checksum(None);
    assert_eq!(
        world.refusal(CallRequest { value: Some(value), gas: Some(30_000), ..base.clone() }).await,
        format!(
            "err: insufficient funds for gas * price + value: address {checksummed} have 1000000000000000000 want \
             1000000000000000001 (supplied gas 30000)"
        )
    );
    assert_eq!(
        world.refusal(CallRequest { gas: Some(20_000), ..base.clone() }).await,
        "err: intrinsic gas too low: have 20000, want 21000 (supplied gas 20000)"
    );
    let refused = world.refusal(CallRequest { gas_price: wei(1), gas: Some(30_000), ..base.clone() }).await;
    let base_fee = world.header.base_fee_per_gas.unwrap();
    assert_eq!(
        refused,
        format!(
            "err: max fee per gas less than block base fee: address {checksummed}, maxFeePerGas: 1, baseFee: {base_fee} \
             (supplied gas 30000)"
        )
    );
    let tip = CallRequest { max_fee_per_gas: wei(1), max_priority_fee_per_gas: wei(2), ..base.clone() };
    assert!(world.refusal(tip).await.starts_with("err: max priority fee per gas higher than max fee per gas: address"));
    let blobs = CallRequest { blob_versioned_hashes: Some(vec![B256::ZERO]), ..base.clone() };
    assert_eq!(
        world.refusal(blobs).await,
        format!("err: transaction type not supported: blob tx (sender {checksummed}) (supplied gas 50000000)")
    );
    let estimate = world.estimate(CallRequest { value: Some(value), gas_price: wei(1 << 40), ..base.clone() }).await;
    assert_eq!(estimate.unwrap_err().to_string(), "insufficient funds for transfer");
    let estimate = world.estimate(CallRequest { gas_price: wei(1), ..base }).await.unwrap_err().to_string();
    assert!(estimate.starts_with("failed with "), "{estimate}");
}

#[tokio::test]
async fn prices_of_nothing_are_none() {
    // Returns BASEFEE and GASPRICE.
    let world = World::held(&state_with(&hex!("486000523a60205260406000f3"), []));
    let request = to_contract(Vec::new());
    assert_eq!(world.ask(request.clone()).await.unwrap(), [word(0), word(0)].concat());
    let base_fee = world.header.base_fee_per_gas.unwrap();
    let paying = CallRequest {
        max_fee_per_gas: Some(U256::from(base_fee * 2)),
        max_priority_fee_per_gas: Some(U256::from(3)),
        gas: Some(50_000),
        ..request
    };
    assert_eq!(world.ask(paying).await.unwrap(), [word(base_fee), word(base_fee + 3)].concat());
}

#[tokio::test]
async fn the_state_can_be_otherwise() {
    let world = World::held(&state_with(LOAD, [(7, 42), (8, 43)]));
    let slot = |number: u64| B256::from(U256::from(number));
    let with = |account: AccountOverride| Overrides {
        state: BTreeMap::from([(CONTRACT, account)]),
        block: BlockOverrides::default(),
    };
    let read = async |number, account| world.call(to_contract(word(number)), with(account)).await.unwrap();
    let diff = AccountOverride { state_diff: Some([(slot(7), slot(1))].into()), ..Default::default() };
    assert_eq!(read(7, diff.clone()).await, word(1));
    assert_eq!(read(8, diff).await, word(43), "what is not named stays");
    let whole = AccountOverride { state: Some([(slot(7), slot(1))].into()), ..Default::default() };
    assert_eq!(read(7, whole.clone()).await, word(1));
    assert_eq!(read(8, whole).await, word(0), "what is not named is gone");
    // Returns its own balance.
    let code = AccountOverride {
        code: Some(hex!("4760005260206000f3").into()),
        balance: Some(U256::from(5)),
        ..Default::default()
    };
    assert_eq!(read(0, code).await, word(5));

    let both = AccountOverride { state: Some([].into()), state_diff: Some([].into()), ..Default::default() };
    let error = world.call(to_contract(word(0)), with(both)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("account {} has both 'state' and 'stateDiff'", CONTRACT.to_checksum(None)));
    let moved = AccountOverride { move_precompile_to: Some(CALLER), ..Default::default() };
    let error = world.call(to_contract(word(0)), with(moved)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("account {} is not a precompile", CONTRACT.to_checksum(None)));
}

#[tokio::test]
async fn precompiles_can_be_moved() {
    let world = World::held(&state_with(LOAD, []));
    let (sha256, elsewhere) = (Address::with_last_byte(2), Address::repeat_byte(0x77));
    let hash = hex!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let to = |to| CallRequest { to: Some(to), ..Default::default() };
    assert_eq!(world.ask(to(sha256)).await.unwrap(), hash[..]);
    let moved = AccountOverride { move_precompile_to: Some(elsewhere), ..Default::default() };
    let overrides = Overrides { state: [(sha256, moved)].into(), ..Default::default() };
    assert_eq!(world.call(to(elsewhere), overrides.clone()).await.unwrap(), hash[..]);
    assert_eq!(world.call(to(sha256), overrides).await.unwrap(), Bytes::new());
    let replaced = AccountOverride { code: Some(hex!("4760005260206000f3").into()), ..Default::default() };
    let overrides = Overrides { state: [(sha256, replaced)].into(), ..Default::default() };
    assert_eq!(world.call(to(sha256), overrides).await.unwrap(), word(0));
}

#[tokio::test]
async fn the_block_can_be_otherwise() {
    // Returns NUMBER, TIMESTAMP, COINBASE, GASLIMIT.
    let world = World::held(&state_with(&hex!("4360005242602052416040524560605260806000f3"), []));
    let header = &world.header;
    let number = |address: Address| address.into_word().to_vec();
    let plain = [word(10), word(header.timestamp), number(Address::repeat_byte(0xbe)), word(header.gas_limit)].concat();
    assert_eq!(world.ask(to_contract(Vec::new())).await.unwrap(), plain);
    let block = BlockOverrides {
        number: Some(U256::from(99)),
        time: Some(5),
        fee_recipient: Some(CALLER),
        gas_limit: Some(77),
        ..Default::default()
    };
    let other = [word(99), word(5), number(CALLER), word(77)].concat();
    let overrides = Overrides { block, ..Default::default() };
    assert_eq!(world.call(to_contract(Vec::new()), overrides).await.unwrap(), other);
    let block = BlockOverrides { withdrawals: true, ..Default::default() };
    let error = world.call(to_contract(Vec::new()), Overrides { block, ..Default::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), "block override \"withdrawals\" is not supported for this RPC method");
}

#[tokio::test]
async fn hashes_of_ancestors() {
    // Returns BLOCKHASH of the first word of the input.
    let world = World::held(&state_with(&hex!("6000354060005260206000f3"), []));
    for (number, header) in (1..).zip(&world.older) {
        assert_eq!(world.ask(to_contract(word(number))).await.unwrap(), header.hash().to_vec(), "{number}");
    }
    let genesis = world.client.spec().genesis.hash();
    assert_eq!(world.ask(to_contract(word(0))).await.unwrap(), genesis.to_vec());
    assert_eq!(world.ask(to_contract(word(10))).await.unwrap(), word(0), "the block itself has none yet");
    assert_eq!(world.ask(to_contract(word(11))).await.unwrap(), word(0));
}

#[tokio::test]
async fn estimates() {
    let world = World::held(&state_with(LOAD, [(7, 42)]));
    let transfer = CallRequest { from: Some(CALLER), to: Some(Address::repeat_byte(9)), ..Default::default() };
    assert_eq!(world.estimate(transfer.clone()).await.unwrap(), 21_000);
    let transfer = CallRequest { value: Some(U256::from(1)), ..transfer };
    assert_eq!(world.estimate(transfer).await.unwrap(), 21_000);
    let request = to_contract(word(7));
    let estimate = world.estimate(request.clone()).await.unwrap();
    assert!(world.ask(CallRequest { gas: Some(estimate), ..request.clone() }).await.is_ok(), "{estimate} suffices");
    let less = CallRequest { gas: Some(estimate * 98 / 100), ..request.clone() };
    assert_eq!(world.refusal(less).await, "out of gas");
    let capped = CallRequest { gas: Some(21_500), ..request };
    assert_eq!(world.estimate(capped).await.unwrap_err(), CallError::GasRequired(21_500));
    // One that needs all of the block and more.
    let world = World::held(&state_with(&hex!("5b600056"), []));
    let error = world.estimate(to_contract(Vec::new())).await.unwrap_err();
    assert_eq!(error.to_string(), format!("gas required exceeds allowance ({})", world.header.gas_limit));
}

#[tokio::test]
async fn access_lists() {
    // Reads its slot 7, and the balances of two others, one of them a precompile.
    let code = hex!("60075450731111111111111111111111111111111111111111315060023100");
    let world = World::held(&state_with(&code, [(7, 42)]));
    let list = async |request| {
        world.client.create_access_list(&world.header, request, BTreeMap::new(), &CallLimits::default()).await
    };
    let result = list(to_contract(Vec::new())).await.unwrap();
    let found: Vec<_> = result.access_list.iter().map(|item| (item.address, item.storage_keys.clone())).collect();
    let slot = B256::from(U256::from(7));
    assert_eq!(found, [(Address::repeat_byte(0x11), vec![]), (CONTRACT, vec![slot])]);
    assert_eq!(result.error, None);
    let listed = CallRequest { access_list: Some(result.access_list.clone()), ..to_contract(Vec::new()) };
    assert_eq!(list(listed.clone()).await.unwrap(), result, "the list is complete");
    let estimate = world.estimate(listed).await.unwrap();
    assert!(estimate >= result.gas_used, "{estimate}");

    let short = CallRequest { gas: Some(21_000), gas_price: Some(U256::from(1) << 60), ..to_contract(Vec::new()) };
    let error = list(short).await.unwrap_err().to_string();
    assert!(error.starts_with("failed to apply transaction: 0x"), "{error}");
    assert!(error.contains(" err: insufficient funds for gas * price + value: address "), "{error}");
}

/// A source a turn of 10 ms away, which counts what it is asked for.
struct Distant {
    inner: MapSource,
    asked: Arc<AtomicUsize>,
}

const TURN: Duration = Duration::from_millis(10);

impl Source for Distant {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            tokio::time::sleep(TURN).await;
            self.inner.preimages(wanted).await
        })
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        self.inner.body(header)
    }
}

fn distant(state: &State) -> (World, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let source = move |nodes| Distant { inner: MapSource { nodes, ..Default::default() }, asked: counter };
    (World::new(state, source), asked)
}

/// How many turns a call waited for.
async fn turns(world: &World, request: CallRequest) -> (Bytes, u128) {
    let began = tokio::time::Instant::now();
    let output = world.ask(request).await.unwrap();
    (output, began.elapsed().as_millis() / TURN.as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_slot_takes_its_two_paths_and_the_code() {
    let state = state_with(LOAD, (0..300).map(|slot| (slot, slot + 1)));
    let (world, _) = distant(&state);
    let proof = world.client.proof(&world.header, CONTRACT, &[B256::from(U256::from(7))]).await.unwrap();
    let sender = world.client.proof(&world.header, CALLER, &[]).await.unwrap();
    let (output, turns) = turns(&world, to_contract(word(7))).await;
    assert_eq!(output, word(8));
    let paths = proof.account_proof.len() + proof.storage[0].proof.len();
    // The code is the one turn more; the sender's path is walked meanwhile.
    let most = (paths + 1).max(sender.account_proof.len());
    assert!(turns <= most as u128, "{turns} turns for paths of {paths}");
}

#[tokio::test(start_paused = true)]
async fn what_is_independent_is_looked_up_together() {
    // Sums 200 slots: 0 to 199.
    let code = hex!("6000 6000 5b 81 54 01 90 6001 01 90 81 60c8 11 6004 57 60005260206000f3");
    let state = state_with(&code, (0..300).map(|slot| (slot, slot + 1)));
    let (world, _) = distant(&state);
    let (output, turns) = turns(&world, to_contract(Vec::new())).await;
    assert_eq!(output, word((1..=200).sum()));
    assert!(turns <= 12, "{turns} turns");
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_contracts_are_looked_up_together() {
    // Calls the addresses 0x1000000 + 0..200 and adds up what they return: each its slot 0.
    let callee = hex!("60005460005260206000f3");
    let code = hex!(
        "6000 6000 5b 6020 6000 6000 6000 6000 85 63 01000000 01 5a f1 50 90 6000 51 01 90 6001 01 80 60c8 11 6004 57 50 600052 60206000f3"
    );
    let mut state = state_with(&code, []);
    for number in 0..200u64 {
        let storage = [(B256::ZERO, U256::from(number))].into();
        let address = Address::left_padding_from(&(0x0100_0000 + number).to_be_bytes());
        // Every code is another one.
        let code = [&callee[..], &number.to_be_bytes()].concat();
        state.insert(address, Model { nonce: 1, code, storage, ..Default::default() });
    }
    let (world, _) = distant(&state);
    let (output, turns) = turns(&world, to_contract(Vec::new())).await;
    assert_eq!(output, word((0..200).sum()));
    assert!(turns <= 16, "{turns} turns");
}

#[tokio::test]
async fn what_cannot_be_had_is_an_error_and_never_a_zero() {
    let state = state_with(LOAD, (0..300).map(|slot| (slot, slot + 1)));
    let mut nodes = Nodes::new();
    root_of(&state, &mut nodes);
    let mut hashes: Vec<_> = nodes.keys().copied().collect();
    hashes.sort_unstable();
    let mut failed = 0;
    for gone in hashes.into_iter().step_by(7) {
        let world = World::new(&state, |mut nodes| {
            nodes.remove(&gone);
            MapSource { nodes, ..Default::default() }
        });
        match world.ask(to_contract(word(7))).await {
            Ok(output) => assert_eq!(output, word(8)),
            Err(CallError::Client(rushlight_light::ClientError::Unavailable(error))) => {
                assert!(error.missing.iter().any(|wanted| wanted.hash == gone));
                failed += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    // Without its code a contract is not called.
    let world = World::new(&state, |mut nodes| {
        nodes.remove(&keccak256(LOAD));
        MapSource { nodes, ..Default::default() }
    });
    assert!(matches!(world.ask(to_contract(word(7))).await, Err(CallError::Client(_))), "{failed} others failed");
}

const FOREVER: &[u8] = &hex!("5b600056");

#[tokio::test]
async fn the_evm_has_a_time_limit() {
    let world = World::held(&state_with(FOREVER, []));
    let limits = CallLimits { gas_cap: 0, evm_timeout: Duration::from_millis(50) };
    let began = Instant::now();
    let error = world.client.call(&world.header, to_contract(Vec::new()), Overrides::default(), &limits).await;
    assert_eq!(error.unwrap_err().to_string(), "execution aborted (timeout = 50ms)");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_abandoned_call_stops() {
    let world = World::held(&state_with(FOREVER, []));
    let limits = CallLimits { gas_cap: 0, evm_timeout: Duration::ZERO };
    // More than there are slots: were they kept, nobody else would get one.
    for _ in 0..64 {
        let call = world.client.call(&world.header, to_contract(Vec::new()), Overrides::default(), &limits);
        assert!(tokio::time::timeout(Duration::from_millis(5), call).await.is_err());
    }
    let nobody = CallRequest { to: Some(Address::repeat_byte(9)), ..Default::default() };
    let other = tokio::time::timeout(Duration::from_secs(5), world.ask(nobody)).await;
    assert_eq!(other.unwrap().unwrap(), Bytes::new());
}

#[tokio::test]
async fn memory_is_bounded() {
    // Calls itself with all gas, each frame with a megabyte of memory.
    let world = World::held(&state_with(&hex!("6001620fffff5260006000600060006000305af1"), []));
    let limits = CallLimits { gas_cap: 0, evm_timeout: Duration::from_secs(20) };
    let outcome = world.client.call(&world.header, to_contract(Vec::new()), Overrides::default(), &limits).await;
    assert_eq!(outcome.unwrap_err().to_string(), "execution aborted (more than 256 MiB of memory)");
}

#[tokio::test]
async fn a_guess_that_runs_on_is_cut_short() {
    // Loops as long as slot 7 is 0; it is not, but that has to be looked up first.
    let code = hex!("5b 6007 54 15 6000 57 6001 60005260206000f3");
    let (world, _) = distant(&state_with(&code, [(7, 1)]));
    let limits = CallLimits { gas_cap: 0, evm_timeout: Duration::ZERO };
    let began = Instant::now();
    let output = world.client.call(&world.header, to_contract(Vec::new()), Overrides::default(), &limits).await;
    assert_eq!(output.unwrap(), word(1));
    assert!(began.elapsed() < Duration::from_secs(5));
}
