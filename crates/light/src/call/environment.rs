//! In which block a call runs.

use alloy_evm::{EvmEnv, precompiles::PrecompilesMap};
use alloy_primitives::{Address, U256, map::AddressSet};
use revm::{
    context_interface::block::BlobExcessGasAndPrice,
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};
use rushlight_chain::{ChainSpec, SealedHeader};
use rushlight_evm::{Rules, beneficiary, environment};

use super::{
    error::{CallError, OverrideError},
    known::Ancestry,
    message::Message,
    overrides::BlockOverrides,
};

/// Whose number counts for BLOCKHASH where the block's number is overridden: geth takes the real one for a call, and the
/// overridden one for an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    Real,
    Overridden,
}

/// The block around a call: its rules, what the EVM sees of it, its precompiles.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) rules: Rules,
    pub(crate) evm: EvmEnv,
    /// The base fee, where the block has one.
    pub(crate) base_fee: Option<u64>,
    pub(crate) ancestry: Ancestry,
    /// Precompiles that were moved, from where to where.
    pub(crate) moved: Vec<(Address, Address)>,
    /// Precompiles in whose place something else was put.
    pub(crate) gone: Vec<Address>,
}

impl Setting {
    /// In the block of `header`, but for `overrides`.
    pub(crate) fn at(
        spec: &ChainSpec,
        header: &SealedHeader,
        overrides: &BlockOverrides,
        numbering: Numbering,
    ) -> Result<Self, CallError> {
        overrides.check()?;
        let beneficiary =
            // The seal of a clique chain's genesis is no signature; geth takes the zero address then.
            overrides.fee_recipient.unwrap_or_else(|| beneficiary(spec, header).unwrap_or_default());
        let mut made = header.clone_inner();
        let small = |number: Option<U256>, name| {
            number.map(|number| u64::try_from(number).map_err(|_| OverrideError::TooLarge(name))).transpose()
        };
        made.number = small(overrides.number, "number")?.unwrap_or(made.number);
        made.timestamp = overrides.time.unwrap_or(made.timestamp);
        made.gas_limit = overrides.gas_limit.unwrap_or(made.gas_limit);
        made.base_fee_per_gas = small(overrides.base_fee_per_gas, "baseFeePerGas")?.or(made.base_fee_per_gas);

        let mut rules = Rules::at(spec, &made).map_err(CallError::Unsupported)?;
        if overrides.prev_randao.is_some()
            && rules.spec.is_enabled_in(SpecId::LONDON)
            && !rules.spec.is_enabled_in(SpecId::MERGE)
        {
            // In geth a block with randomness is one of proof of stake.
            rules.spec = SpecId::MERGE;
        }
        let mut evm = environment(&rules, &made, beneficiary);
        if let Some(difficulty) = overrides.difficulty {
            evm.block_env.difficulty = difficulty;
        }
        if let Some(random) = overrides.prev_randao {
            evm.block_env.prevrandao = Some(random);
        }
        if let Some(price) = overrides.blob_base_fee {
            let price = u128::try_from(price).map_err(|_| OverrideError::TooLarge("blobBaseFee"))?;
            set_blob_price(&mut evm, price);
        }
        // Only a transaction in a block is bound by EIP-7825.
        evm.cfg_env.tx_gas_limit_cap = Some(u64::MAX);

        let number = if numbering == Numbering::Real { header.number } else { made.number };
        let linked = number == header.number;
        let ancestry = Ancestry { number, parent: header.parent_hash, linked };
        let base_fee = made.base_fee_per_gas;
        Ok(Self { rules, evm, base_fee, ancestry, moved: Vec::new(), gone: Vec::new() })
    }

    /// Whether the fork has a precompile at this address.
    pub(crate) fn is_precompile(&self, address: &Address) -> bool {
        active(self.rules.spec).contains(address)
    }

    /// Whether code may be a delegation (EIP-7702).
    pub(crate) fn delegations(&self) -> bool {
        self.rules.spec.is_enabled_in(SpecId::PRAGUE)
    }

    /// What EIP-2929 has warm from the start, wherever precompiles were moved to.
    pub(crate) fn warm(&self) -> &'static AddressSet {
        active(self.rules.spec).addresses_set()
    }

    /// The precompiles as the EVM takes them.
    pub(crate) fn precompiles(&self) -> PrecompilesMap {
        let mut precompiles = PrecompilesMap::from_static(active(self.rules.spec));
        // Each was looked for when it was noted, so this moves all of them.
        let _ = precompiles.move_precompiles(self.moved.iter().copied());
        for address in &self.gone {
            precompiles.apply_precompile(address, |_| None);
        }
        precompiles
    }

    /// The environment for a message: where it names no price, gas costs nothing in its block, and blob gas likewise, so
    /// that no rule of prices stands in its way.
    pub(crate) fn for_message(&self, message: &Message) -> EvmEnv {
        let mut evm = self.evm.clone();
        if message.gas_price.is_zero() {
            evm.block_env.basefee = 0;
        }
        if message.blob_fee_cap.is_some_and(|cap| cap.is_zero()) && evm.block_env.blob_excess_gas_and_price.is_some() {
            set_blob_price(&mut evm, 0);
        }
        evm
    }
}

fn active(spec: SpecId) -> &'static Precompiles {
    Precompiles::new(PrecompileSpecId::from_spec_id(spec))
}

fn set_blob_price(evm: &mut EvmEnv, blob_gasprice: u128) {
    let excess_blob_gas = evm.block_env.blob_excess_gas_and_price.map_or(0, |blobs| blobs.excess_blob_gas);
    evm.block_env.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice });
}
