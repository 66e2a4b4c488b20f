//! The access list that a message would profit from: geth's loop (`eth_createAccessList`).

use std::collections::{BTreeMap, BTreeSet};

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_evm::eth::EthEvmContext;
use alloy_primitives::{Address, B256, U256};
use revm::{
    Database, Inspector,
    bytecode::opcode,
    interpreter::{Interpreter, interpreter_types::Jumps},
};
use rushlight_chain::SealedHeader;

use super::{
    ArgumentError, BlockOverrides, CallError, CallLimits, CallRequest, Checks, Context, Ended, Message, Numbering,
    Over, Setting, StateOverrides, first_items,
    overrides::{self, Precompiles},
    refused, revert,
    transact::transact,
};
use crate::LightClient;

/// An access list, and what the message costs with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessListResult {
    /// What the message touches beside its sender, its recipient, authorities and precompiles.
    pub access_list: AccessList,
    /// Why the message fails, where it does.
    pub error: Option<String>,
    /// The gas that it uses with the list.
    pub gas_used: u64,
}

impl LightClient {
    /// The access list of a message on the state after the block of `header`.
    pub async fn create_access_list(
        &self,
        header: &SealedHeader,
        mut request: CallRequest,
        overrides: StateOverrides,
        limits: &CallLimits,
    ) -> Result<AccessListResult, CallError> {
        let setting = Setting::at(self.spec(), header, &BlockOverrides::default(), Numbering::Real)?;
        // Without any price gas costs nothing, so that nobody needs funds for it.
        if request.names_price() {
            self.price(&mut request, &setting).await?;
        }
        let chain_id = self.chain_id();
        let message = request.message(limits.gas(), setting.base_fee, chain_id);
        let first = message.as_ref().map(first_items).unwrap_or_default();
        let over = Over::new(header, &setting, limits);
        self.run_over(over, first, move |ground| {
            let mut state = ground.state();
            overrides::apply(&overrides, &mut state, Precompiles::Fixed)?;
            let mut message = message.clone()?;
            if request.nonce.is_none() {
                message.nonce = state.load_account(message.from)?.info.nonce;
            }
            let excluded = excluded(&message, &setting, chain_id);
            let mut before = Touched::of(message.access_list.take().unwrap_or_default(), &excluded);
            loop {
                let access_list = before.list();
                message.access_list = Some(access_list.clone());
                let touched = Touched::of(access_list.clone(), &excluded);
                let executed = transact(&mut state, &setting, &message, Checks::CALL, &ground.watch, touched);
                let (executed, touched) = executed.map_err(|error| {
                    let base_fee = setting.base_fee.is_some();
                    let listed = CallRequest { access_list: Some(access_list.clone()), ..request.clone() };
                    let hash = listed.transaction_hash(message.gas_limit, message.nonce, base_fee, chain_id);
                    refused(error, Context::AccessList(hash))
                })?;
                if touched.slots != before.slots {
                    before = touched;
                    continue;
                }
                let error = match executed.ended {
                    Ended::Returned(_) => None,
                    Ended::Reverted(_) => Some(revert::REVERTED.to_owned()),
                    Ended::Failed(failure) => Some(failure.to_string()),
                };
                return Ok(AccessListResult { access_list, error, gas_used: executed.gas_used });
            }
        })
        .await
    }

    /// geth's `setFeeDefaults`: fills in what a request that names some price does not name.
    async fn price(&self, request: &mut CallRequest, setting: &Setting) -> Result<(), CallError> {
        if request.max_fee_per_blob_gas == Some(U256::ZERO) {
            return Err(ArgumentError::ZeroBlobFee.into());
        }
        if let Some(blobs) = setting.evm.block_env.blob_excess_gas_and_price
            && request.blob_versioned_hashes.is_some()
        {
            // Twice the block's price, in case it rises.
            request.max_fee_per_blob_gas.get_or_insert(U256::from(blobs.blob_gasprice) * U256::from(2));
        }
        let (price, fee, tip) = (request.gas_price, request.max_fee_per_gas, request.max_priority_fee_per_gas);
        if price.is_some() && (fee.is_some() || tip.is_some()) {
            return Err(ArgumentError::BothPrices.into());
        }
        if price.is_some() && request.authorization_list.is_some() {
            return Err(ArgumentError::PriceWithAuthorizations.into());
        }
        match (price, fee, tip) {
            (None, Some(fee), _) if fee.is_zero() && tip.is_some() => return Err(ArgumentError::ZeroFee.into()),
            (None, Some(fee), Some(tip)) if fee < tip => return Err(ArgumentError::TipAboveFee { fee, tip }.into()),
            (None, Some(_), Some(_)) => return Ok(()),
            (Some(price), ..) if price.is_zero() && setting.base_fee.is_some() => {
                return Err(ArgumentError::ZeroPrice.into());
            }
            (Some(_), ..) => return Ok(()),
            _ => {}
        }
        let Some(base_fee) = setting.base_fee else {
            if fee.is_some() || tip.is_some() {
                return Err(ArgumentError::BeforeLondon.into());
            }
            request.gas_price = Some(U256::from(self.suggested_tip().await?));
            return Ok(());
        };
        let tip = match tip {
            Some(tip) => tip,
            None => U256::from(self.suggested_tip().await?),
        };
        let fee = fee.unwrap_or_else(|| tip.saturating_add(U256::from(base_fee) * U256::from(2)));
        request.max_priority_fee_per_gas = Some(tip);
        request.max_fee_per_gas = Some(fee);
        if fee < tip { Err(ArgumentError::TipAboveFee { fee, tip }.into()) } else { Ok(()) }
    }
}

/// What is warm anyway.
fn excluded(message: &Message, setting: &Setting, chain_id: u64) -> BTreeSet<Address> {
    let to = message.to.unwrap_or_else(|| message.from.create(message.nonce));
    let authorizations = message.authorizations.iter().flatten();
    let valid = authorizations.filter(|authorization| {
        let chain = authorization.chain_id();
        (chain.is_zero() || *chain == U256::from(chain_id)) && authorization.nonce() != u64::MAX
    });
    let authorities = valid.filter_map(|authorization| authorization.recover_authority().ok());
    [message.from, to].into_iter().chain(setting.warm().iter().copied()).chain(authorities).collect()
}

/// Collects what instructions touch.
#[derive(Clone, Debug)]
struct Touched<'a> {
    excluded: &'a BTreeSet<Address>,
    slots: BTreeMap<Address, BTreeSet<B256>>,
}

impl<'a> Touched<'a> {
    fn of(list: AccessList, excluded: &'a BTreeSet<Address>) -> Self {
        let mut slots: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for AccessListItem { address, storage_keys } in list.0 {
            if !excluded.contains(&address) {
                slots.entry(address).or_default().extend(storage_keys);
            }
        }
        Self { excluded, slots }
    }

    fn list(&self) -> AccessList {
        let items = self.slots.iter().map(|(address, slots)| AccessListItem {
            address: *address,
            storage_keys: slots.iter().copied().collect(),
        });
        AccessList(items.collect())
    }
}

impl<DB: Database> Inspector<EthEvmContext<DB>> for Touched<'_> {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut EthEvmContext<DB>) {
        let stack = &interpreter.stack;
        let word = |index| stack.peek(index).ok().map(|word| B256::from(word.to_be_bytes::<32>()));
        let address = match interpreter.bytecode.opcode() {
            opcode::SLOAD | opcode::SSTORE => {
                // Slots of the recipient are in the list too: only its address is warm.
                if let Some(slot) = word(0) {
                    self.slots.entry(interpreter.input.target_address).or_default().insert(slot);
                }
                return;
            }
            opcode::EXTCODECOPY
            | opcode::EXTCODEHASH
            | opcode::EXTCODESIZE
            | opcode::BALANCE
            | opcode::SELFDESTRUCT => word(0),
            opcode::DELEGATECALL | opcode::CALL | opcode::STATICCALL | opcode::CALLCODE if stack.len() >= 5 => word(1),
            _ => None,
        };
        if let Some(address) = address.map(Address::from_word)
            && !self.excluded.contains(&address)
        {
            self.slots.entry(address).or_default();
        }
    }
}
