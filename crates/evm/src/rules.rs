//! Which rules a block is executed by: its chain's forks, as the EVM knows them.

use alloy_consensus::Header;
use alloy_eips::eip7594::MAX_BLOBS_PER_TX_FUSAKA;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::Address;
use revm::primitives::hardfork::SpecId;
use rushlight_chain::{ChainSpec, Consensus, Fork};

/// Wei in an ether.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// What PREVRANDAO (EIP-4399) answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Randomness {
    /// The header's mix hash, as the beacon chain drew it.
    MixHash,
    /// Zero: on an extended clique chain nobody draws.
    Zero,
}

/// The rules of one block: what the chain's specification says at its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The chain id of EIP-155.
    pub chain_id: u64,
    /// The EVM's rules.
    pub spec: SpecId,
    /// Whether a storage write costs what it does in the end (EIP-1283), as between Constantinople and Petersburg.
    pub net_storage_gas: bool,
    /// Whether transactions may carry a chain id (EIP-155).
    pub replay_protection: bool,
    /// Whether this is the block at which the DAO's money moves (EIP-779).
    pub dao: bool,
    /// What the miner gets for the block, in wei; none on a clique chain, and none by proof of stake.
    pub reward: Option<u128>,
    /// What PREVRANDAO answers; nothing where the instruction is still DIFFICULTY.
    pub randomness: Option<Randomness>,
    /// The blob schedule in force, from Cancun on.
    pub blobs: Option<BlobParams>,
    /// Whose logs are deposits (EIP-6110).
    pub deposit_contract: Option<Address>,
}

impl Rules {
    /// The rules of the block with this header, which header rules have let pass, or the name of what is not supported.
    pub fn at(spec: &ChainSpec, header: &Header) -> Result<Rules, String> {
        let Header { number, timestamp, .. } = *header;
        // By the header rules no other block has no difficulty.
        let merged = spec.forks.terminal_total_difficulty().is_some() && header.difficulty.is_zero();
        // Timestamps schedule forks of proof of stake and of extended clique; work and stock clique have none of these.
        let by_time = merged || spec.is_extended_clique();
        if !spec.executes() {
            return Err(format!("execution on {}", spec.name));
        }
        let active = |fork| (by_time || fork < Fork::Shanghai) && spec.forks.is_active(fork, number, timestamp);
        if let Some(fork) = [Fork::Amsterdam, Fork::Bogota].into_iter().find(|fork| active(*fork)) {
            return Err(fork.to_string());
        }
        // A chain that does not schedule Petersburg has it with Constantinople, as in geth.
        let petersburg = spec.forks.block(Fork::Petersburg).is_none_or(|from| from <= number);
        let evm = [
            (Fork::Osaka, SpecId::OSAKA),
            (Fork::Prague, SpecId::PRAGUE),
            (Fork::Cancun, SpecId::CANCUN),
            (Fork::Shanghai, SpecId::SHANGHAI),
            // The bomb delays between London and Paris change nothing that is executed.
            (Fork::London, SpecId::LONDON),
            (Fork::Berlin, SpecId::BERLIN),
            (Fork::Istanbul, SpecId::ISTANBUL),
            (Fork::Petersburg, SpecId::PETERSBURG),
            // But for EIP-1283 they are one.
            (Fork::Constantinople, SpecId::PETERSBURG),
            (Fork::Byzantium, SpecId::BYZANTIUM),
            (Fork::SpuriousDragon, SpecId::SPURIOUS_DRAGON),
            (Fork::TangerineWhistle, SpecId::TANGERINE),
            (Fork::Homestead, SpecId::HOMESTEAD),
        ];
        let rules = evm.into_iter().find(|(fork, _)| active(*fork)).map_or(SpecId::FRONTIER, |(_, rules)| rules);
        let rules = if merged && !rules.is_enabled_in(SpecId::MERGE) { SpecId::MERGE } else { rules };
        let randomness = rules.is_enabled_in(SpecId::MERGE).then_some(match spec.consensus {
            Consensus::Clique { .. } if !merged => Randomness::Zero,
            _ => Randomness::MixHash,
        });
        let blobs = rules.is_enabled_in(SpecId::CANCUN).then(|| spec.forks.blob_params(number, timestamp)).flatten();
        let blobs = blobs.map(|blobs| {
            // EIP-7594: from Osaka on a transaction has a limit of its own.
            let most = if rules.is_enabled_in(SpecId::OSAKA) { MAX_BLOBS_PER_TX_FUSAKA } else { u64::MAX };
            blobs.with_max_blobs_per_tx(blobs.max_blob_count.min(most))
        });
        // EIP-649 and EIP-1234 lowered the reward.
        let reward = if rules.is_enabled_in(SpecId::PETERSBURG) {
            2 * ETHER
        } else if active(Fork::Byzantium) {
            3 * ETHER
        } else {
            5 * ETHER
        };
        Ok(Rules {
            chain_id: spec.chain_id,
            spec: rules,
            net_storage_gas: active(Fork::Constantinople) && !petersburg,
            replay_protection: spec.forks.eip155_block.is_some_and(|block| block <= number),
            dao: spec.forks.dao_fork_support && spec.forks.block(Fork::Dao) == Some(number),
            reward: (spec.consensus == Consensus::Ethash && !merged).then_some(reward),
            randomness,
            blobs,
            deposit_contract: spec.deposit_contract,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use rushlight_chain::{Activation, Forks};

    use super::*;

    #[test]
    fn mainnet_by_number() {
        let spec = ChainSpec::mainnet();
        let header = |number| Header { number, difficulty: U256::from(1), ..Header::default() };
        let rules = |number| Rules::at(&spec, &header(number)).unwrap();
        let expected = [
            (0, SpecId::FRONTIER, 5),
            (1_149_999, SpecId::FRONTIER, 5),
            (1_150_000, SpecId::HOMESTEAD, 5),
            (2_463_000, SpecId::TANGERINE, 5),
            (2_675_000, SpecId::SPURIOUS_DRAGON, 5),
            (4_370_000, SpecId::BYZANTIUM, 3),
            (7_280_000, SpecId::PETERSBURG, 2),
            (9_069_000, SpecId::ISTANBUL, 2),
            (12_244_000, SpecId::BERLIN, 2),
            (12_965_000, SpecId::LONDON, 2),
            (15_050_000, SpecId::LONDON, 2),
        ];
        for (number, evm, ether) in expected {
            assert_eq!(rules(number).spec, evm, "block {number}");
            assert_eq!(rules(number).reward, Some(ether * ETHER), "block {number}");
        }
        assert!(rules(1_920_000).dao && !rules(1_919_999).dao && !rules(1_920_001).dao);
        assert!(!rules(2_674_999).replay_protection && rules(2_675_000).replay_protection);
    }

    #[test]
    fn net_gas_for_storage_ends_with_petersburg() {
        let rules = |forks: &[(Fork, u64)], number| {
            let schedule = forks.iter().map(|(fork, at)| (*fork, Activation::Block(*at))).collect();
            let genesis = ChainSpec::mainnet().genesis;
            let spec = ChainSpec::new("test", 1, genesis, Forks::new(schedule), Consensus::Ethash);
            let header = Header { number, difficulty: U256::from(1), ..Header::default() };
            let rules = Rules::at(&spec, &header).unwrap();
            (rules.spec, rules.net_storage_gas, rules.reward.unwrap() / ETHER)
        };
        let both = [(Fork::Byzantium, 0), (Fork::Constantinople, 5), (Fork::Petersburg, 7)];
        assert_eq!(rules(&both, 4), (SpecId::BYZANTIUM, false, 3));
        assert_eq!(rules(&both, 5), (SpecId::PETERSBURG, true, 2));
        assert_eq!(rules(&both, 6), (SpecId::PETERSBURG, true, 2));
        assert_eq!(rules(&both, 7), (SpecId::PETERSBURG, false, 2));
        // geth takes the one that is not scheduled to come with the other.
        assert_eq!(rules(&both[..2], 6), (SpecId::PETERSBURG, false, 2));
    }
}
