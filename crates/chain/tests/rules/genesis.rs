//! Genesis files: the built-in network, a chain of one's own, and files that are wrong in one place each.

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, U256, address};
use rushlight_chain::{Activation, ChainSpec, Consensus, Fork, MAINNET_GENESIS_HASH, testdata};
use serde_json::{Value, json};

#[test]
fn mainnet_is_built_in() {
    let spec = ChainSpec::mainnet();
    assert_eq!(spec.genesis.hash(), MAINNET_GENESIS_HASH);
    assert_eq!((spec.chain_id, spec.name.as_str(), spec.consensus), (1, "mainnet", Consensus::Ethash));
}

#[test]
fn mainnets_file_is_mainnet() {
    let Some(json) = testdata::read("mainnet/genesis.json") else { return };
    let (spec, genesis) = ChainSpec::from_genesis(&json).unwrap();
    assert_eq!(spec, ChainSpec::mainnet());
    assert_eq!(genesis.alloc.len(), 8893);
    let miner = address!("000d836201318ec6899a67540690382780743280");
    assert_eq!(genesis.alloc[&miner].balance, "0xad78ebc5ac6200000".parse::<U256>().unwrap());
    // the schedule that the file holds is the one built in
    let config = &genesis.config;
    let block = |fork| spec.forks.block(fork);
    assert_eq!(block(Fork::Homestead), config.homestead_block);
    assert_eq!(block(Fork::Dao), config.dao_fork_block);
    assert_eq!(block(Fork::TangerineWhistle), config.eip150_block);
    assert_eq!(block(Fork::SpuriousDragon), config.eip158_block);
    assert_eq!(spec.forks.eip155_block, config.eip155_block);
    assert_eq!(block(Fork::Byzantium), config.byzantium_block);
    assert_eq!(block(Fork::Constantinople), config.constantinople_block);
    assert_eq!(block(Fork::Petersburg), config.petersburg_block);
    assert_eq!(block(Fork::Istanbul), config.istanbul_block);
    assert_eq!(block(Fork::MuirGlacier), config.muir_glacier_block);
    assert_eq!(block(Fork::Berlin), config.berlin_block);
    assert_eq!(block(Fork::London), config.london_block);
    assert_eq!(block(Fork::ArrowGlacier), config.arrow_glacier_block);
    assert_eq!(block(Fork::GrayGlacier), config.gray_glacier_block);
    let time = |fork| match spec.forks.activation(fork) {
        Some(Activation::Time(time)) => Some(time),
        _ => None,
    };
    assert_eq!(spec.forks.terminal_total_difficulty(), config.terminal_total_difficulty);
    assert_eq!(time(Fork::Shanghai), config.shanghai_time);
    assert_eq!(time(Fork::Cancun), config.cancun_time);
    assert_eq!(time(Fork::Prague), config.prague_time);
    assert_eq!(time(Fork::Osaka), config.osaka_time);
    assert_eq!(time(Fork::Bpo1), config.bpo1_time);
    assert_eq!(time(Fork::Bpo2), config.bpo2_time);
}

/// A known genesis takes the built-in schedule, whatever the file says.
#[test]
fn a_built_in_network_takes_the_built_in_schedule() {
    let Some(json) = testdata::read("mainnet/genesis.json") else { return };
    let mut file: Value = serde_json::from_slice(&json).unwrap();
    file["config"] = json!({"chainId": 5, "homesteadBlock": 7, "eip150Block": 3});
    let (spec, _) = ChainSpec::from_genesis(file.to_string().as_bytes()).unwrap();
    assert_eq!(spec, ChainSpec::mainnet());
}

/// Proof of stake from block 1: the terminal total difficulty is met at genesis. The first header of the chain is on it.
#[test]
fn a_merged_chain() {
    let Some(json) = testdata::read("testchain/genesis.json") else { return };
    let (spec, _) = ChainSpec::from_genesis(&json).unwrap();
    assert!(spec.is_proof_of_stake_after(spec.genesis.difficulty));
    let chain = testdata::read("testchain/chain.rlp").unwrap();
    let head = alloy_rlp::Header::decode(&mut chain.as_slice()).unwrap();
    let block = &chain[..head.length_with_payload()];
    let header = super::stake::header_of(block);
    assert_eq!(header.parent_hash, spec.genesis_hash());
    assert_eq!(spec.deposit_contract, Some(Address::ZERO));
}

fn clique() -> Value {
    json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "berlinBlock": 0, "londonBlock": 3, "clique": {"period": 2, "epoch": 100}
        },
        "nonce": "0x0", "timestamp": "0x5", "gasLimit": "0x7a1200", "difficulty": "0x1",
        "extraData": format!("0x{}{}{}", "00".repeat(32), "aa".repeat(20), "00".repeat(65)),
        "alloc": {
            "00000000000000000000000000000000000000aa": {"balance": "1000"},
            "0x00000000000000000000000000000000000000bb": {
                "balance": "0x10", "nonce": "0x1", "code": "0x6001", "storage": {"0x01": "0x02"}
            }
        }
    })
}

fn read(file: &Value) -> Result<ChainSpec, String> {
    ChainSpec::from_genesis(file.to_string().as_bytes()).map(|(spec, _)| spec).map_err(|error| error.to_string())
}

#[test]
fn a_clique_chain() {
    let spec = read(&clique()).unwrap();
    assert_eq!((spec.chain_id, spec.name.as_str()), (1337, "chain 1337"));
    assert_eq!(spec.consensus, Consensus::Clique { period: 2, epoch: 100 });
    assert_eq!(spec.forks.block(Fork::London), Some(3));
    assert_eq!(spec.genesis.base_fee_per_gas, None);
    assert_eq!(spec.forks.at(2, 0), Fork::Berlin);
    assert_eq!(spec.forks.at(3, 0), Fork::London);
    let mut file = clique();
    file["config"]["londonBlock"] = json!(0);
    assert_eq!(read(&file).unwrap().genesis.base_fee_per_gas, Some(1_000_000_000));
    file["config"]["clique"] = json!({});
    assert_eq!(read(&file).unwrap().consensus, Consensus::Clique { period: 0, epoch: 30_000 });
}

#[test]
fn a_later_fork_is_refused_only_where_it_is_reached() {
    let mut file = clique();
    file["config"]["shanghaiTime"] = json!(6);
    file["config"]["amsterdamTime"] = json!(6);
    let spec = read(&file).unwrap();
    assert_eq!(spec.unsupported_fork(3, 5), None);
    assert_eq!(spec.unsupported_fork(3, 6), Some(Fork::Amsterdam));
    // London comes first, whatever the time
    assert_eq!(spec.unsupported_fork(2, 6), None);
    file["config"]["shanghaiTime"] = json!(5);
    file["config"]["amsterdamTime"] = json!(5);
    file["config"]["londonBlock"] = json!(0);
    let error = read(&file).unwrap_err();
    assert_eq!(
        error,
        "genesis file: Amsterdam (field `amsterdamTime`) is in force at genesis, and is not supported yet"
    );
}

/// A genesis header has the fields of the forks in force in it, as geth makes them.
#[test]
fn genesis_at_any_fork() {
    let mut file = clique();
    file["config"]["londonBlock"] = json!(0);
    let fields = |file: &Value| {
        let header = read(file).unwrap().genesis.into_inner();
        (
            header.withdrawals_root,
            header.blob_gas_used,
            header.excess_blob_gas,
            header.parent_beacon_block_root,
            header.requests_hash,
        )
    };
    let (empty, zero) = (Some(EMPTY_ROOT_HASH), Some(B256::ZERO));
    assert_eq!(fields(&file), (None, None, None, None, None));
    file["config"]["shanghaiTime"] = json!(5);
    assert_eq!(fields(&file), (empty, None, None, None, None));
    assert!(read(&file).unwrap().is_extended_clique());
    file["config"]["cancunTime"] = json!(5);
    assert_eq!(fields(&file), (empty, Some(0), Some(0), zero, None));
    file["blobGasUsed"] = json!("0x20000");
    file["excessBlobGas"] = json!("0x40000");
    assert_eq!(fields(&file), (empty, Some(0x20000), Some(0x40000), zero, None));
    file["config"]["pragueTime"] = json!(5);
    assert_eq!(fields(&file), (empty, Some(0x20000), Some(0x40000), zero, Some(EMPTY_REQUESTS_HASH)));
    file["config"]["osakaTime"] = json!(5);
    assert_eq!(fields(&file), (empty, Some(0x20000), Some(0x40000), zero, Some(EMPTY_REQUESTS_HASH)));
    file["config"]["cancunTime"] = json!(6);
    file["config"]["pragueTime"] = json!(6);
    file["config"]["osakaTime"] = json!(6);
    assert!(read(&file).unwrap_err().contains("`excessBlobGas`: expected none before Cancun"));
    file["config"]["terminalTotalDifficulty"] = json!(100);
    file["excessBlobGas"] = Value::Null;
    assert!(!read(&file).unwrap().is_extended_clique());
}

#[test]
fn proof_of_work_with_forks_by_time_says_where_it_ends() {
    let mut file = clique();
    file["config"].as_object_mut().unwrap().remove("clique");
    assert_eq!(read(&file).unwrap().consensus, Consensus::Ethash);
    file["config"]["shanghaiTime"] = json!(1000);
    let error = read(&file).unwrap_err();
    assert!(error.starts_with("genesis file: field `config.terminalTotalDifficulty`: missing, though"), "{error}");
    file["config"]["terminalTotalDifficulty"] = json!(0);
    assert!(read(&file).unwrap().is_proof_of_stake_after(U256::ZERO));
}

#[test]
fn blob_schedules() {
    let mut file = clique();
    for (time, fork) in ["shanghai", "cancun", "prague", "osaka", "bpo1", "bpo2"].into_iter().enumerate() {
        file["config"][format!("{fork}Time")] = json!(10 * (time + 1));
    }
    let targets = |file: &Value| {
        let forks = read(file).unwrap().forks;
        [10, 20, 30, 40, 50, 60].map(|time| {
            forks.blob_params(3, time).map_or((0, 0, 0, 0), |params| {
                (params.target_blob_count, params.max_blob_count, params.max_blobs_per_tx, params.blob_base_cost)
            })
        })
    };
    let defaults = [(0, 0, 0, 0), (3, 6, 6, 0), (6, 9, 9, 0), (6, 9, 6, 8192), (10, 15, 6, 8192), (14, 21, 6, 8192)];
    assert_eq!(targets(&file), defaults);
    let entry = |target: u64, max: u64| json!({"target": target, "max": max, "baseFeeUpdateFraction": 1000});
    file["config"]["blobSchedule"] =
        json!({"cancun": entry(1, 2), "prague": entry(2, 3), "bpo1": entry(3, 4), "bpo2": entry(4, 5)});
    let own = [(0, 0, 0, 0), (1, 2, 2, 0), (2, 3, 3, 0), (2, 3, 6, 8192), (3, 4, 6, 8192), (4, 5, 6, 8192)];
    assert_eq!(targets(&file), own);
    assert_eq!(read(&file).unwrap().forks.blob_params(2, 60), None, "London comes first");
    file["config"]["blobSchedule"]["bpo2"] = entry(6, 5);
    assert!(read(&file).unwrap_err().starts_with("genesis file: field `config.blobSchedule.bpo2`: expected 1 to"));
    file["config"]["blobSchedule"].as_object_mut().unwrap().remove("bpo2");
    assert_eq!(read(&file).unwrap_err(), "genesis file: field `config.blobSchedule.bpo2` is missing");
}

#[test]
fn a_wrong_file_is_refused_by_the_field() {
    let cases: &[(&[&str], Value, &str)] = &[
        (&["config"], Value::Null, "field `config` is missing"),
        (&["config", "chainId"], Value::Null, "field `config.chainId` is missing"),
        (&["gasLimit"], Value::Null, "field `gasLimit` is missing"),
        (&["difficulty"], Value::Null, "field `difficulty` is missing"),
        (&["alloc"], Value::Null, "field `alloc` is missing"),
        (&["config"], json!(7), "field `config`: "),
        (&["alloc"], json!([]), "field `alloc`: "),
        (&["gasLimit"], json!("much"), "field `gasLimit`: "),
        (&["difficulty"], json!("0xzz"), "field `difficulty`: "),
        (&["timestamp"], json!(-1), "field `timestamp`: "),
        (&["extraData"], json!("0x123"), "field `extraData`: "),
        (&["coinbase"], json!("0x12"), "field `coinbase`: "),
        (&["number"], json!("0x1"), "field `number`: expected 0"),
        (&["gasUsed"], json!("0x1"), "field `gasUsed`: expected 0"),
        (&["config", "londonBlock"], json!("soon"), "field `config.londonBlock`: "),
        (&["config", "clique"], json!({"period": -1}), "field `config.clique`: "),
        (&["config", "ethash"], json!({}), "field `config.clique`: a chain is sealed by clique or by ethash, not both"),
        (&["alloc", "0xcc"], json!({"balance": "1"}), "field `alloc.0xcc`: "),
        (
            &["alloc", "00000000000000000000000000000000000000aa"],
            json!({}),
            "field `alloc.00000000000000000000000000000000000000aa`: missing field `balance`",
        ),
        (
            &["alloc", "00000000000000000000000000000000000000aa", "balance"],
            json!("lots"),
            "field `alloc.00000000000000000000000000000000000000aa.balance`: ",
        ),
        (
            &["alloc", "0x00000000000000000000000000000000000000bb", "code"],
            json!("0x1"),
            "field `alloc.0x00000000000000000000000000000000000000bb.code`: ",
        ),
        (
            &["extraData"],
            json!("0x"),
            "field `extraData`: expected 32 bytes, at least one signer of 20 bytes, and 65 bytes; got 0 bytes",
        ),
    ];
    for (path, value, expected) in cases {
        let mut file = clique();
        let place = path.iter().fold(&mut file, |place, name| &mut place[*name]);
        *place = value.clone();
        let error = read(&file).unwrap_err();
        assert!(error.starts_with(&format!("genesis file: {expected}")), "{path:?}: {error}");
    }
    let not_json = ChainSpec::from_genesis(b"{").unwrap_err().to_string();
    assert!(not_json.starts_with("genesis file: not JSON: "), "{not_json}");
    assert!(ChainSpec::from_genesis(b"[]").is_err());
}

#[test]
fn forks_come_in_order() {
    let mut file = clique();
    file["config"]["berlinBlock"] = json!(4);
    let error = read(&file).unwrap_err();
    assert_eq!(
        error,
        "genesis file: fork order: `londonBlock` is at block 3, before `berlinBlock`, which is at block 4"
    );
    file["config"]["berlinBlock"] = Value::Null;
    let error = read(&file).unwrap_err();
    assert_eq!(
        error,
        "genesis file: fork order: `londonBlock` is at block 3, before `berlinBlock`, which is not scheduled"
    );
    // the glacier forks and the DAO's may be left out
    file = clique();
    file["config"]["muirGlacierBlock"] = json!(0);
    file["config"]["arrowGlacierBlock"] = json!(2);
    assert!(read(&file).unwrap_err().contains("`arrowGlacierBlock` is at block 2, before `londonBlock`"));
    file["config"]["arrowGlacierBlock"] = json!(4);
    file["config"]["shanghaiTime"] = json!(1000);
    file["config"]["pragueTime"] = json!(900);
    assert!(read(&file).unwrap_err().contains("`pragueTime` is at time 900, before `shanghaiTime`"));
}
