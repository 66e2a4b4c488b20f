//! The development network's chain: extended clique with every fork to Osaka and its blob schedules from the start, the
//! system contracts, and accounts that everyone knows.

use serde_json::{Value, json};

/// Seconds between two blocks, if not told otherwise. geth's default is 0; with a block every 2 seconds there is something to watch.
pub(crate) const PERIOD: u64 = 2;

/// Chain and network id, geth's for development chains.
pub(crate) const CHAIN_ID: u64 = 1337;

/// An account whose key is public knowledge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    /// With its checksum (EIP-55).
    pub(crate) address: &'static str,
    /// The private key.
    pub(crate) key: &'static str,
}

/// The first accounts of the mnemonic `test test test test test test test test test test test junk`, path
/// `m/44'/60'/0'/0/n`: the ones that Hardhat, Anvil and most wallets' tests use. The first also seals the blocks.
pub(crate) const ACCOUNTS: [Account; 3] = [
    Account {
        address: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        key: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    },
    Account {
        address: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        key: "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    },
    Account {
        address: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        key: "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    },
];

/// One ether from the second account to the third, as its first transaction: signed ahead, so that it can be pasted.
pub(crate) const TRANSFER: &str = concat!(
    "0x02f87582053980843b9aca008502540be400825208943c44cdddb6a900fa2b585dd299e03d12fa4293bc880de0b6b3a764000080c080",
    "a03426463c4e3d215f76426c556b6d1cdf50b79cca6b28fe7a81c3895b2c043b87",
    "a0304ac258a9979e572721083b47e0104e063e184d296a78768e8c749119600eef"
);
/// Its hash.
pub(crate) const TRANSFER_HASH: &str = "0x265914ca533c653e3e8cb5992262665ff8eff9ea5a675fe356d12274f5b4ef9e";

/// What each account starts with: 10,000 ether in wei.
pub(crate) const BALANCE: &str = "0x21e19e0c9bab2400000";

/// The genesis in geth's format. It holds nothing of the moment, and the block's hash does not depend on the period, so that
/// a kept folder opens again.
pub(crate) fn genesis(period: u64) -> Vec<u8> {
    let sealer = ACCOUNTS[0].address.trim_start_matches("0x");
    let mut alloc: serde_json::Map<String, Value> = ACCOUNTS
        .iter()
        .map(|account| (account.address.trim_start_matches("0x").to_owned(), json!({ "balance": BALANCE })))
        .collect();
    for (address, code) in rushlight_full::system_contracts() {
        // As on Ethereum's networks, where they were deployed by a transaction: with the nonce of a contract (EIP-161).
        alloc.insert(address.to_string(), json!({ "balance": "0x0", "nonce": "0x1", "code": code }));
    }
    json!({
        "config": {
            "chainId": CHAIN_ID,
            "homesteadBlock": 0,
            "eip150Block": 0,
            "eip155Block": 0,
            "eip158Block": 0,
            "byzantiumBlock": 0,
            "constantinopleBlock": 0,
            "petersburgBlock": 0,
            "istanbulBlock": 0,
            "berlinBlock": 0,
            "londonBlock": 0,
            "shanghaiTime": 0,
            "cancunTime": 0,
            "pragueTime": 0,
            "osakaTime": 0,
            "bpo1Time": 0,
            "bpo2Time": 0,
            "blobSchedule": {
                "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 },
                "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "osaka": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "bpo1": { "target": 10, "max": 15, "baseFeeUpdateFraction": 8_346_193 },
                "bpo2": { "target": 14, "max": 21, "baseFeeUpdateFraction": 11_684_671 },
            },
            "clique": { "period": period, "epoch": 30_000 },
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        // 32 bytes of vanity, the one signer, room for a seal that a genesis does not have.
        "extraData": format!("0x{}{}{}", "00".repeat(32), sealer, "00".repeat(65)),
        "gasLimit": "0x1c9c380",
        "difficulty": "0x1",
        "mixHash": format!("0x{}", "00".repeat(32)),
        "coinbase": format!("0x{}", "00".repeat(20)),
        "baseFeePerGas": "0x3b9aca00",
        "alloc": alloc,
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes, keccak256};
    use rushlight_chain::pool::PoolTransaction;
    use rushlight_chain::{ChainSpec, Consensus};

    use super::*;

    #[test]
    fn addresses_are_those_of_the_keys() {
        for account in ACCOUNTS {
            let key: rushlight_p2p::secp256k1::SecretKey = account.key.trim_start_matches("0x").parse().unwrap();
            let public = key.public_key(rushlight_p2p::secp256k1::SECP256K1).serialize_uncompressed();
            let address = Address::from_slice(&keccak256(&public[1..])[12..]);
            assert_eq!(address.to_checksum(None), account.address);
        }
    }

    #[test]
    fn the_transfer_is_what_it_says() {
        let tx = PoolTransaction::decode(TRANSFER.parse::<Bytes>().unwrap()).unwrap();
        assert_eq!(tx.hash().to_string(), TRANSFER_HASH);
        assert_eq!(tx.sender().to_checksum(None), ACCOUNTS[1].address);
        let (spec, _) = ChainSpec::from_genesis(&super::genesis(PERIOD)).unwrap();
        assert_eq!(rushlight_chain::pool::check(&tx, &spec, &spec.genesis, &Default::default()), Ok(()));
        assert_eq!(tx.cost().to_string(), "1000210000000000000");
    }

    #[test]
    fn the_chain_is_what_it_says() {
        let (spec, genesis) = ChainSpec::from_genesis(&super::genesis(PERIOD)).unwrap();
        assert_eq!(spec.chain_id, CHAIN_ID);
        assert!(matches!(spec.consensus, Consensus::Clique { period: PERIOD, .. }));
        assert_eq!(genesis.alloc.len(), ACCOUNTS.len() + rushlight_full::system_contracts().len());
        assert!(spec.is_extended_clique());
        assert_eq!(spec.forks.at(0, 0), rushlight_chain::Fork::Bpo2);
        assert_eq!(spec.genesis.base_fee_per_gas, Some(1_000_000_000));
    }
}
