//! `--mine`: sealing clique blocks with a key of the keystore.

use alloy_primitives::Address;
use clap::Args;
use rushlight_chain::{ChainSpec, Consensus};
use rushlight_full::{CliqueSealer, DEFAULT_GAS_TARGET, DEFAULT_MIN_TIP};
use tracing::info;

use crate::{fatal::Fatal, unlock::Unlocked};

/// Flags of a full peer that seals.
#[derive(Debug, Args)]
pub(crate) struct MineArgs {
    /// Seals blocks of a clique chain.
    #[arg(long)]
    pub(crate) mine: bool,
    /// The account that seals, which --unlock has to name. Default: the first one of --unlock.
    #[arg(long = "miner.etherbase", value_name = "ADDRESS", requires = "mine")]
    pub(crate) etherbase: Option<String>,
    /// The gas limit that blocks move towards.
    #[arg(long = "miner.gaslimit", value_name = "GAS", default_value_t = DEFAULT_GAS_TARGET)]
    pub(crate) gas_limit: u64,
    /// The least that a transaction leaves over the base fee, in wei per gas, to be put into a block.
    #[arg(long = "miner.gasprice", value_name = "WEI", default_value_t = DEFAULT_MIN_TIP)]
    pub(crate) gas_price: u128,
}

impl MineArgs {
    /// What is wrong with sealing on this chain at all: told before anything takes time.
    pub(crate) fn check(&self, spec: &ChainSpec) -> Result<(), Fatal> {
        match spec.consensus {
            _ if !self.mine => Ok(()),
            Consensus::Clique { .. } => Ok(()),
            Consensus::Ethash => {
                let kind = match spec.forks.terminal_total_difficulty() {
                    Some(_) => "proof of stake",
                    None => "ethash",
                };
                Err(Fatal::usage(format!(
                    "--mine: only clique chains are sealed here, and {} goes by {kind}",
                    spec.name
                )))
            }
        }
    }

    /// The sealer that the flags ask for.
    pub(crate) fn sealer(&self, unlocked: Option<&Unlocked>) -> Result<Option<CliqueSealer>, Fatal> {
        if !self.mine {
            return Ok(None);
        }
        let keys = unlocked.map(|unlocked| unlocked.keys.as_slice()).unwrap_or_default();
        let key = match &self.etherbase {
            Some(name) => {
                let address: Address = name
                    .parse()
                    .map_err(|_| Fatal::usage(format!("--miner.etherbase: expected an address, got {name:?}")))?;
                keys.iter().find(|key| key.address() == address).ok_or_else(|| {
                    Fatal::usage(format!("--miner.etherbase {name}: it is not unlocked; name it in --unlock too"))
                })?
            }
            None => keys.first().ok_or_else(|| {
                Fatal::usage("--mine needs --unlock ADDRESS and --password FILE: the account that seals")
            })?,
        };
        info!(signer = %key.address().to_checksum(None), "Sealing blocks");
        // The chain's own period holds.
        let sealer = CliqueSealer::new(*key.secret(), 0);
        Ok(Some(CliqueSealer { gas_target: self.gas_limit, min_tip: self.gas_price, ..sealer }))
    }
}
