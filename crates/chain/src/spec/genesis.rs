//! geth's genesis.json.

use alloy_consensus::Header;
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_primitives::{B64, B256};
use alloy_trie::root::state_root_unhashed;
use serde_json::{Map, Value, json};

use super::blobs::{self, BlobSchedule};
use super::{Activation, ChainSpec, Consensus, Fork, Forks, SpecError, classic, mainnet, testnets};
use crate::rules::INITIAL_BASE_FEE;
use crate::{clique, header};

/// Fields that geth will not do without.
const REQUIRED: [&str; 4] = ["config", "gasLimit", "difficulty", "alloc"];
/// What geth takes for a gas limit of 0.
const DEFAULT_GAS_LIMIT: u64 = 4_712_388;
/// The most blobs of a block that a schedule may give: far more than any network has, and their gas fits 64 bits.
const MAX_BLOBS: u64 = 1 << 20;
/// What geth takes for a clique epoch of 0, and EIP-225 recommends.
const DEFAULT_CLIQUE_EPOCH: u64 = 30_000;

pub(super) fn read(json: &[u8]) -> Result<(ChainSpec, Genesis), SpecError> {
    let value: Value = serde_json::from_slice(json).map_err(|error| SpecError::Json(error.to_string()))?;
    let Value::Object(object) = value else {
        return Err(SpecError::Json("expected an object".to_owned()));
    };
    require(&object)?;
    let genesis: Genesis = serde_json::from_slice(json).map_err(|error| locate(&object, &error.to_string()))?;
    let spec = spec(&genesis, &object)?;
    Ok((spec, genesis))
}

fn require(object: &Map<String, Value>) -> Result<(), SpecError> {
    let missing = |field: &str| SpecError::Missing { field: field.to_owned() };
    for field in REQUIRED {
        object.get(field).filter(|value| !value.is_null()).ok_or_else(|| missing(field))?;
    }
    // Without it any chain would pass for mainnet's.
    let config = &object["config"];
    if config.is_object() && config.get("chainId").is_none_or(Value::is_null) {
        return Err(missing("config.chainId"));
    }
    Ok(())
}

fn spec(genesis: &Genesis, object: &Map<String, Value>) -> Result<ChainSpec, SpecError> {
    let sealed = header::seal(genesis_header(genesis, object)?);
    if let Some(spec) = built_in(&sealed.hash(), genesis.config.chain_id) {
        return Ok(spec);
    }
    let forks = forks(&genesis.config)?;
    let consensus = consensus(genesis)?;
    require_merge(consensus, &forks)?;
    let chain_id = genesis.config.chain_id;
    let spec = ChainSpec {
        deposit_contract: genesis.config.deposit_contract_address,
        ..ChainSpec::new(format!("chain {chain_id}"), chain_id, sealed, forks, consensus)
    };
    match spec.unsupported_fork(0, spec.genesis.timestamp) {
        Some(fork) => Err(SpecError::NotSupported { fork, field: fork.field() }),
        None => Ok(spec),
    }
}

/// Forks by time came after the merge: proof of work knows none of them, and takes its end from the total difficulty.
fn require_merge(consensus: Consensus, forks: &Forks) -> Result<(), SpecError> {
    match forks.first_time() {
        Some(_) if consensus == Consensus::Ethash && forks.terminal_total_difficulty().is_none() => {
            let field = "config.terminalTotalDifficulty".to_owned();
            let why = "missing, though forks are scheduled by time: expected where proof of work ends (0: at genesis)";
            Err(SpecError::Field { field, why: why.to_owned() })
        }
        _ => Ok(()),
    }
}

/// The built-in network with this genesis. Ethereum Classic shares mainnet's, and is told by its chain id.
fn built_in(hash: &B256, chain_id: u64) -> Option<ChainSpec> {
    match *hash {
        mainnet::GENESIS_HASH if chain_id == classic::CHAIN_ID => Some(ChainSpec::classic()),
        mainnet::GENESIS_HASH => Some(ChainSpec::mainnet()),
        testnets::SEPOLIA_GENESIS_HASH => Some(ChainSpec::sepolia()),
        testnets::HOODI_GENESIS_HASH => Some(ChainSpec::hoodi()),
        classic::MORDOR_GENESIS_HASH => Some(ChainSpec::mordor()),
        _ => None,
    }
}

fn genesis_header(genesis: &Genesis, object: &Map<String, Value>) -> Result<Header, SpecError> {
    let refused = |field: &str, why: &str| SpecError::Field { field: field.to_owned(), why: why.to_owned() };
    if genesis.number.unwrap_or(0) != 0 {
        return Err(refused("number", "expected 0"));
    }
    let gas_used = object.get("gasUsed").unwrap_or(&Value::Null);
    if !gas_used.is_null() && gas_used.as_u64() != Some(0) && !gas_used.as_str().is_some_and(is_zero) {
        return Err(refused("gasUsed", "expected 0"));
    }
    let config = &genesis.config;
    let london = config.london_block == Some(0);
    let active = |time: Option<u64>| london && time.is_some_and(|time| time <= genesis.timestamp);
    let cancun = active(config.cancun_time);
    if genesis.excess_blob_gas.is_some() && !cancun {
        return Err(refused("excessBlobGas", "expected none before Cancun"));
    }
    let base_fee = match genesis.base_fee_per_gas {
        Some(fee) => Some(u64::try_from(fee).map_err(|_| refused("baseFeePerGas", "does not fit 64 bits"))?),
        None => london.then_some(INITIAL_BASE_FEE),
    };
    Ok(Header {
        parent_hash: genesis.parent_hash.unwrap_or(B256::ZERO),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root: state_root_unhashed(genesis.alloc.clone()),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        gas_limit: if genesis.gas_limit == 0 { DEFAULT_GAS_LIMIT } else { genesis.gas_limit },
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: base_fee,
        withdrawals_root: active(config.shanghai_time).then_some(EMPTY_ROOT_HASH),
        blob_gas_used: cancun.then(|| genesis.blob_gas_used.unwrap_or(0)),
        excess_blob_gas: cancun.then(|| genesis.excess_blob_gas.unwrap_or(0)),
        // There is no parent, so its beacon block's root is zero (EIP-4788).
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: active(config.prague_time).then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    })
}

fn is_zero(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.bytes().all(|digit| digit == b'0')
}

fn consensus(genesis: &Genesis) -> Result<Consensus, SpecError> {
    let Some(config) = &genesis.config.clique else { return Ok(Consensus::Ethash) };
    let refused = |field: &str, why: String| SpecError::Field { field: field.to_owned(), why };
    if genesis.config.ethash.is_some() {
        return Err(refused("config.clique", "a chain is sealed by clique or by ethash, not both".to_owned()));
    }
    if clique::listed_signers(&genesis.extra_data).is_none_or(|signers| signers.is_empty()) {
        let got = genesis.extra_data.len();
        let why = format!("expected 32 bytes, at least one signer of 20 bytes, and 65 bytes; got {got} bytes");
        return Err(refused("extraData", why));
    }
    Ok(Consensus::Clique {
        period: config.period.unwrap_or(0),
        epoch: config.epoch.filter(|epoch| *epoch != 0).unwrap_or(DEFAULT_CLIQUE_EPOCH),
    })
}

/// A place in the schedule as the file gives it.
struct Entry {
    field: &'static str,
    fork: Option<Fork>,
    activation: Option<Activation>,
    /// May be left out although later forks are there: it changes nothing but its own subject.
    optional: bool,
}

/// Reads the schedule. As in geth, forks come in their order, and none but the optional ones is left out between others.
fn forks(config: &ChainConfig) -> Result<Forks, SpecError> {
    let entries = entries(config);
    let mut last: Option<&Entry> = None;
    for entry in &entries {
        if let Some(last) = last {
            check_order(last, entry)?;
        }
        if !entry.optional || entry.activation.is_some() {
            last = Some(entry);
        }
    }
    let mut schedule: Vec<_> = entries.iter().filter_map(|entry| Some((entry.fork?, entry.activation?))).collect();
    if let Some(td) = config.terminal_total_difficulty {
        schedule.push((Fork::Paris, Activation::TotalDifficulty(td)));
    }
    let mut forks = Forks::new(schedule);
    forks.eip155_block = config.eip155_block;
    forks.dao_fork_support = config.dao_fork_support;
    forks.other_blocks = config.merge_netsplit_block.into_iter().collect();
    forks.blobs = blob_schedule(config, &forks)?;
    Ok(forks)
}

/// Reads the blob schedule. Where the file has none it is Ethereum's; where it has one it names every fork scheduled that
/// sets parameters, as geth asks; only Osaka may go by Prague's.
fn blob_schedule(config: &ChainConfig, forks: &Forks) -> Result<BlobSchedule, SpecError> {
    let given = &config.blob_schedule;
    let defaults = if given.is_empty() { blobs::defaults() } else { Vec::new() };
    let mut schedule = BlobSchedule::new();
    for (fork, name) in blobs::FORKS {
        let field = || format!("config.blobSchedule.{name}");
        let default = defaults.iter().find(|(other, _)| *other == fork).map(|(_, params)| *params);
        match given.get(name).copied().or(default) {
            Some(params) => {
                let (target, max) = (params.target_blob_count, params.max_blob_count);
                if max == 0 || max > MAX_BLOBS || target > max || params.update_fraction == 0 {
                    let why = format!("expected 1 to {MAX_BLOBS} blobs, a target within and an update fraction");
                    return Err(SpecError::Field { field: field(), why });
                }
                schedule.push((fork, blobs::entry(target, max, params.update_fraction)));
            }
            None if fork != Fork::Osaka && forks.activation(fork).is_some() => {
                return Err(SpecError::Missing { field: field() });
            }
            None => {}
        }
    }
    Ok(schedule)
}

fn check_order(earlier: &Entry, later: &Entry) -> Result<(), SpecError> {
    let in_order = match (earlier.activation, later.activation) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(Activation::Block(first)), Some(Activation::Block(second))) => first <= second,
        (Some(Activation::Time(first)), Some(Activation::Time(second))) => first <= second,
        // all scheduled by number come before all scheduled by time
        (Some(_), Some(_)) => true,
    };
    if in_order {
        return Ok(());
    }
    let at = |entry: &Entry| entry.activation.map_or("not scheduled".to_owned(), |at| at.to_string());
    Err(SpecError::ForkOrder {
        earlier: earlier.field,
        earlier_at: at(earlier),
        later: later.field,
        later_at: at(later),
    })
}

fn entries(config: &ChainConfig) -> Vec<Entry> {
    const OPTIONAL: [Fork; 4] = [Fork::Dao, Fork::MuirGlacier, Fork::ArrowGlacier, Fork::GrayGlacier];
    let block = |fork: Fork, block: Option<u64>| Entry {
        field: fork.field(),
        fork: Some(fork),
        activation: block.map(Activation::Block),
        optional: OPTIONAL.contains(&fork),
    };
    let time = |fork: Fork, time: Option<u64>| Entry {
        field: fork.field(),
        fork: Some(fork),
        activation: time.map(Activation::Time),
        optional: fork != Fork::Shanghai,
    };
    vec![
        block(Fork::Homestead, config.homestead_block),
        block(Fork::Dao, config.dao_fork_block),
        block(Fork::TangerineWhistle, config.eip150_block),
        Entry {
            field: "eip155Block",
            fork: None,
            activation: config.eip155_block.map(Activation::Block),
            optional: false,
        },
        block(Fork::SpuriousDragon, config.eip158_block),
        block(Fork::Byzantium, config.byzantium_block),
        block(Fork::Constantinople, config.constantinople_block),
        block(Fork::Petersburg, config.petersburg_block),
        block(Fork::Istanbul, config.istanbul_block),
        block(Fork::MuirGlacier, config.muir_glacier_block),
        block(Fork::Berlin, config.berlin_block),
        block(Fork::London, config.london_block),
        block(Fork::ArrowGlacier, config.arrow_glacier_block),
        block(Fork::GrayGlacier, config.gray_glacier_block),
        Entry {
            field: "mergeNetsplitBlock",
            fork: None,
            activation: config.merge_netsplit_block.map(Activation::Block),
            optional: true,
        },
        time(Fork::Shanghai, config.shanghai_time),
        time(Fork::Cancun, config.cancun_time),
        time(Fork::Prague, config.prague_time),
        time(Fork::Osaka, config.osaka_time),
        time(Fork::Bpo1, config.bpo1_time),
        time(Fork::Bpo2, config.bpo2_time),
        time(Fork::Bpo3, config.bpo3_time),
        time(Fork::Bpo4, config.bpo4_time),
        time(Fork::Bpo5, config.bpo5_time),
        time(Fork::Amsterdam, config.amsterdam_time),
        time(Fork::Bogota, config.bogota_time),
    ]
}

/// Finds the field that does not read, by reading each alone: the JSON reader tells only the place in the text.
fn locate(object: &Map<String, Value>, error: &str) -> SpecError {
    for (key, value) in object {
        let nested = match (key.as_str(), value) {
            ("config", Value::Object(fields)) => {
                fields.iter().find_map(|(name, value)| probe(&["config", name], json!({"config": {name: value}})))
            }
            ("alloc", Value::Object(accounts)) => accounts.iter().find_map(|(name, value)| {
                let found = probe(&["alloc", name], json!({"alloc": {name: value}}))?;
                if let Some(address) = probe(&["alloc", name], json!({"alloc": {name: {"balance": "0x0"}}})) {
                    return Some(address);
                }
                let inner = value.as_object()?.iter().find_map(|(field, value)| {
                    let account = if field == "balance" {
                        json!({"balance": value})
                    } else {
                        json!({"balance": "0x0", field: value})
                    };
                    probe(&["alloc", name, field], json!({"alloc": {name: account}}))
                });
                Some(inner.unwrap_or(found))
            }),
            _ => None,
        };
        if let Some(found) = nested.or_else(|| probe(&[key], json!({key: value}))) {
            return found;
        }
    }
    SpecError::Json(error.to_owned())
}

/// The error of a genesis with one field, if there is one.
fn probe(path: &[&str], alone: Value) -> Option<SpecError> {
    let error = serde_json::from_value::<Genesis>(alone).err()?;
    Some(SpecError::Field { field: path.join("."), why: error.to_string() })
}
