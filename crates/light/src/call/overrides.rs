//! What a caller wants to be otherwise than it is: parts of the state and of the block, as in geth.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256, map::HashMap};

use super::{
    environment::Setting,
    error::OverrideError,
    known::{State, bytecode},
    watch::Halted,
};

/// An account's parts that are otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// The balance.
    pub balance: Option<U256>,
    /// The nonce.
    pub nonce: Option<u64>,
    /// The code.
    pub code: Option<Bytes>,
    /// All of the storage: slots that are not named are 0.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Single slots of the storage.
    pub state_diff: Option<BTreeMap<B256, B256>>,
    /// Where the precompile at this address is to be.
    pub move_precompile_to: Option<Address>,
}

/// Accounts that are otherwise. They are applied in the order of their addresses.
pub type StateOverrides = BTreeMap<Address, AccountOverride>;

/// Parts of the block that are otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// The number.
    pub number: Option<U256>,
    /// The difficulty; of no effect on a block of proof of stake.
    pub difficulty: Option<U256>,
    /// The timestamp.
    pub time: Option<u64>,
    /// The gas limit.
    pub gas_limit: Option<u64>,
    /// The beneficiary.
    pub fee_recipient: Option<Address>,
    /// What PREVRANDAO answers.
    pub prev_randao: Option<B256>,
    /// The base fee.
    pub base_fee_per_gas: Option<U256>,
    /// The price of blob gas.
    pub blob_base_fee: Option<U256>,
    /// Refused.
    pub beacon_root: Option<B256>,
    /// Whether withdrawals were given. Refused.
    pub withdrawals: bool,
}

impl BlockOverrides {
    /// What a single call cannot have.
    pub(crate) fn check(&self) -> Result<(), OverrideError> {
        match self {
            Self { beacon_root: Some(_), .. } => Err(OverrideError::BeaconRoot),
            Self { withdrawals: true, .. } => Err(OverrideError::Withdrawals),
            _ => Ok(()),
        }
    }
}

/// Why overrides were not applied.
pub(crate) enum ApplyError {
    Override(OverrideError),
    Halted(Halted),
}

impl From<OverrideError> for ApplyError {
    fn from(error: OverrideError) -> Self {
        Self::Override(error)
    }
}

impl From<Halted> for ApplyError {
    fn from(halted: Halted) -> Self {
        Self::Halted(halted)
    }
}

/// Whose precompiles overrides may move and replace.
pub(crate) enum Precompiles<'a> {
    /// Those of the block.
    Of(&'a mut Setting),
    /// None: for access lists geth leaves them where they are.
    Fixed,
}

/// Puts `overrides` into `state`, and moves precompiles.
pub(crate) fn apply(
    overrides: &StateOverrides,
    state: &mut State<'_>,
    mut precompiles: Precompiles<'_>,
) -> Result<(), ApplyError> {
    for (address, account) in overrides {
        let setting = match &mut precompiles {
            Precompiles::Of(setting) if setting.is_precompile(address) => Some(setting),
            _ => None,
        };
        match (account.move_precompile_to, setting) {
            (Some(_), None) => return Err(OverrideError::NoPrecompile(*address).into()),
            (Some(to), _) if overrides.contains_key(&to) => return Err(OverrideError::Overridden(to).into()),
            (Some(to), Some(setting)) => setting.moved.push((*address, to)),
            (None, Some(setting)) => setting.gone.push(*address),
            (None, None) => {}
        }
        apply_account(*address, account, state)?;
    }
    Ok(())
}

fn apply_account(address: Address, account: &AccountOverride, state: &mut State<'_>) -> Result<(), ApplyError> {
    let delegations = state.db.delegations;
    let AccountOverride { balance, nonce, code, .. } = account;
    if balance.is_some() || nonce.is_some() || code.is_some() {
        let mut info = state.load_account(address)?.info.clone();
        info.nonce = nonce.unwrap_or(info.nonce);
        info.balance = balance.unwrap_or(info.balance);
        if let Some(code) = code {
            info.code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(code) };
            info.code = Some(bytecode(code.clone(), delegations));
        }
        state.insert_account_info(address, info);
    }
    let number = |word: &B256| U256::from_be_bytes(word.0);
    match (&account.state, &account.state_diff) {
        (Some(_), Some(_)) => return Err(OverrideError::BothStates(address).into()),
        (Some(all), None) => {
            let slots: HashMap<_, _> = all.iter().map(|(slot, value)| (number(slot), number(value))).collect();
            exists(address, state)?;
            state.replace_account_storage(address, slots.into_iter().collect())?;
        }
        (None, Some(some)) => {
            if !some.is_empty() {
                exists(address, state)?;
            }
            for (slot, value) in some {
                state.insert_account_storage(address, number(slot), number(value))?;
            }
        }
        (None, None) => {}
    }
    Ok(())
}

/// An account whose storage is overridden exists, as in geth.
fn exists(address: Address, state: &mut State<'_>) -> Result<(), Halted> {
    let info = state.load_account(address)?.info.clone();
    state.insert_account_info(address, info);
    Ok(())
}
