//! What the EVM sees of a block.

use alloy_consensus::Header;
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, B256, U256};
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use rushlight_chain::clique::{self, CliqueError};
use rushlight_chain::{ChainSpec, Consensus, SealedHeader, blob_base_fee};

use crate::net_gas;
use crate::rules::{Randomness, Rules};

/// Who gets a block's fees and reward: the header's beneficiary, on a clique chain the signer, as clique's field holds votes
/// (EIP-225).
///
/// # Errors
/// A clique header whose seal is no signature.
pub fn beneficiary(spec: &ChainSpec, header: &SealedHeader) -> Result<Address, CliqueError> {
    match spec.consensus {
        Consensus::Clique { .. } if !is_merged(spec, header) => clique::recover_signer(header),
        Consensus::Ethash | Consensus::Clique { .. } => Ok(header.beneficiary),
    }
}

/// By the header rules no other block has no difficulty.
fn is_merged(spec: &ChainSpec, header: &Header) -> bool {
    spec.forks.terminal_total_difficulty().is_some() && header.difficulty.is_zero()
}

/// The environment of a block's transactions: of the block with this header, for which `beneficiary` gets the fees.
pub fn environment(rules: &Rules, header: &Header, beneficiary: Address) -> EvmEnv {
    let block = BlockEnv {
        number: U256::from(header.number),
        beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: header.difficulty,
        prevrandao: rules.randomness.map(|randomness| match randomness {
            Randomness::MixHash => header.mix_hash,
            Randomness::Zero => B256::ZERO,
        }),
        blob_excess_gas_and_price: rules.blobs.map(|blobs| {
            let excess_blob_gas = header.excess_blob_gas.unwrap_or_default();
            BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice: blob_base_fee(&blobs, excess_blob_gas) }
        }),
        ..BlockEnv::default()
    };
    let mut config = CfgEnv::new_with_spec(rules.spec).with_chain_id(rules.chain_id);
    if rules.net_storage_gas {
        net_gas::price(&mut config);
    }
    if let Some(blobs) = rules.blobs {
        config.max_blobs_per_tx = Some(blobs.max_blobs_per_tx);
        config.blob_base_fee_update_fraction = u64::try_from(blobs.update_fraction).ok();
    }
    EvmEnv::new(config, block)
}
