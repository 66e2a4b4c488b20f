//! Which rules a block is executed by: its chain's forks, as the EVM knows them.

use revm::primitives::hardfork::SpecId;
use rushlight_chain::{ChainSpec, Consensus, Fork};

/// Wei in an ether.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// The rules of one block: what the chain's specification says at its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) chain_id: u64,
    /// The EVM's rules.
    pub(crate) spec: SpecId,
    /// Whether transactions may carry a chain id (EIP-155).
    pub(crate) replay_protection: bool,
    /// Whether this is the block at which the DAO's money moves (EIP-779).
    pub(crate) dao: bool,
    /// What the miner gets for the block, in wei; none on a clique chain.
    pub(crate) reward: Option<u128>,
}

impl Rules {
    /// The rules of a block with this number and time, or the name of what is not supported yet.
    pub(crate) fn at(spec: &ChainSpec, number: u64, timestamp: u64) -> Result<Rules, String> {
        let active = |fork| spec.forks.is_active(fork, number, timestamp);
        // The bomb delays between London and Paris change nothing that is executed.
        if let Some(fork) = spec.forks.active(number, timestamp).find(|fork| *fork >= Fork::Paris) {
            return Err(fork.to_string());
        }
        // EIP-1283's gas for storage was withdrawn before it reached mainnet; the EVM in use does not know it.
        if active(Fork::Constantinople) && !active(Fork::Petersburg) {
            return Err("Constantinople without Petersburg".to_owned());
        }
        let evm = [
            (Fork::London, SpecId::LONDON),
            (Fork::Berlin, SpecId::BERLIN),
            (Fork::Istanbul, SpecId::ISTANBUL),
            (Fork::Petersburg, SpecId::PETERSBURG),
            (Fork::Byzantium, SpecId::BYZANTIUM),
            (Fork::SpuriousDragon, SpecId::SPURIOUS_DRAGON),
            (Fork::TangerineWhistle, SpecId::TANGERINE),
            (Fork::Homestead, SpecId::HOMESTEAD),
        ];
        let rules = evm.into_iter().find(|(fork, _)| active(*fork)).map_or(SpecId::FRONTIER, |(_, rules)| rules);
        // EIP-649 and EIP-1234 lowered the reward.
        let reward = if active(Fork::Petersburg) {
            2 * ETHER
        } else if active(Fork::Byzantium) {
            3 * ETHER
        } else {
            5 * ETHER
        };
        Ok(Rules {
            chain_id: spec.chain_id,
            spec: rules,
            replay_protection: spec.forks.eip155_block.is_some_and(|block| block <= number),
            dao: spec.forks.dao_fork_support && spec.forks.block(Fork::Dao) == Some(number),
            reward: (spec.consensus == Consensus::Ethash).then_some(reward),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_by_number() {
        let spec = ChainSpec::mainnet();
        let rules = |number| Rules::at(&spec, number, 0).unwrap();
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
        assert_eq!(Rules::at(&spec, 17_034_870, 1_681_338_455), Err("Shanghai".to_owned()));
    }
}
