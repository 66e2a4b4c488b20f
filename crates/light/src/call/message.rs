//! What a caller asks for, and the message that comes of it: geth's `TransactionArgs`.

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, U256};

use super::error::ArgumentError;

/// A message as a caller describes it; what is absent gets a default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// The sender. Default the zero address.
    pub from: Option<Address>,
    /// The recipient; without one a contract is made.
    pub to: Option<Address>,
    /// The gas limit. Default the cap of a call, the block's limit for an estimate.
    pub gas: Option<u64>,
    /// The price of gas, in one number.
    pub gas_price: Option<U256>,
    /// The most that gas may cost (EIP-1559).
    pub max_fee_per_gas: Option<U256>,
    /// The most of it that goes to the block's beneficiary.
    pub max_priority_fee_per_gas: Option<U256>,
    /// Wei that go to the recipient. Default 0.
    pub value: Option<U256>,
    /// The sender's nonce. Nothing checks it.
    pub nonce: Option<u64>,
    /// The call data, or the code that makes a contract.
    pub input: Option<Bytes>,
    /// The access list (EIP-2930).
    pub access_list: Option<AccessList>,
    /// The chain id; it must be this chain's.
    pub chain_id: Option<U256>,
    /// The most that blob gas may cost (EIP-4844).
    pub max_fee_per_blob_gas: Option<U256>,
    /// The versioned hashes of blobs.
    pub blob_versioned_hashes: Option<Vec<B256>>,
    /// Whose code is to be set to what (EIP-7702).
    pub authorization_list: Option<Vec<SignedAuthorization>>,
}

impl CallRequest {
    /// The sender.
    pub(crate) fn sender(&self) -> Address {
        self.from.unwrap_or_default()
    }

    /// The message, with geth's defaults for a call (`CallDefaults`): gas at most `gas_cap` where that is not 0, no
    /// price. `base_fee` is the block's, where it has one.
    pub(crate) fn message(&self, gas_cap: u64, base_fee: Option<u64>, chain_id: u64) -> Result<Message, ArgumentError> {
        if self.gas_price.is_some() && (self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some()) {
            return Err(ArgumentError::BothPrices);
        }
        if self.to.is_none() {
            if self.blob_versioned_hashes.is_some() {
                return Err(ArgumentError::BlobCreate);
            }
            if self.authorization_list.is_some() {
                return Err(ArgumentError::SetCodeCreate);
            }
        }
        if let Some(have) = self.chain_id
            && have != U256::from(chain_id)
        {
            return Err(ArgumentError::ChainId { have, want: chain_id });
        }
        let gas_limit = match (self.gas, gas_cap) {
            (None, 0) => u64::MAX / 2,
            (None, cap) => cap,
            (Some(gas), 0) => gas,
            (Some(gas), cap) => gas.min(cap),
        };
        let (gas_price, fee_cap, tip_cap) = self.prices(base_fee);
        let blob_fee_cap =
            self.max_fee_per_blob_gas.or_else(|| self.blob_versioned_hashes.is_some().then_some(U256::ZERO));
        Ok(Message {
            from: self.sender(),
            to: self.to,
            nonce: self.nonce.unwrap_or_default(),
            value: self.value.unwrap_or_default(),
            gas_limit,
            gas_price,
            fee_cap,
            tip_cap,
            data: self.input.clone().unwrap_or_default(),
            access_list: self.access_list.clone(),
            blob_fee_cap,
            blob_hashes: self.blob_versioned_hashes.clone(),
            authorizations: self.authorization_list.clone(),
        })
    }

    /// What gas costs in this block, the most it may cost, and the most of it that is a tip.
    fn prices(&self, base_fee: Option<u64>) -> (U256, U256, U256) {
        let (Some(base_fee), None) = (base_fee, self.gas_price) else {
            let price = self.gas_price.unwrap_or_default();
            return (price, price, price);
        };
        let (fee, tip) = (self.max_fee_per_gas.unwrap_or_default(), self.max_priority_fee_per_gas.unwrap_or_default());
        let price =
            if fee.is_zero() && tip.is_zero() { U256::ZERO } else { tip.wrapping_add(U256::from(base_fee)).min(fee) };
        (price, fee, tip)
    }
}

/// A message as it is executed: geth's `core.Message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) from: Address,
    pub(crate) to: Option<Address>,
    pub(crate) nonce: u64,
    pub(crate) value: U256,
    pub(crate) gas_limit: u64,
    /// What gas costs in the block.
    pub(crate) gas_price: U256,
    pub(crate) fee_cap: U256,
    pub(crate) tip_cap: U256,
    pub(crate) data: Bytes,
    pub(crate) access_list: Option<AccessList>,
    pub(crate) blob_fee_cap: Option<U256>,
    pub(crate) blob_hashes: Option<Vec<B256>>,
    pub(crate) authorizations: Option<Vec<SignedAuthorization>>,
}

impl Message {
    /// Blob gas that it pays for.
    pub(crate) fn blob_gas(&self) -> u64 {
        self.blob_hashes.as_ref().map_or(0, |hashes| hashes.len() as u64) * alloy_eips::eip4844::DATA_GAS_PER_BLOB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_as_in_geth() {
        let wei = |number: u64| Some(U256::from(number));
        let prices = |request: CallRequest, base_fee| {
            let message = request.message(0, base_fee, 1).unwrap();
            [message.gas_price, message.fee_cap, message.tip_cap].map(|price| price.to::<u64>())
        };
        let price = CallRequest { gas_price: wei(7), ..Default::default() };
        assert_eq!(prices(price.clone(), None), [7, 7, 7]);
        assert_eq!(prices(price, Some(100)), [7, 7, 7]);
        assert_eq!(prices(CallRequest::default(), Some(100)), [0, 0, 0]);
        let both = CallRequest { max_fee_per_gas: wei(105), max_priority_fee_per_gas: wei(3), ..Default::default() };
        assert_eq!(prices(both.clone(), Some(100)), [103, 105, 3]);
        assert_eq!(prices(both, Some(104)), [105, 105, 3]);
        let tip = CallRequest { max_priority_fee_per_gas: wei(3), ..Default::default() };
        assert_eq!(prices(tip, Some(100)), [0, 0, 3]);
    }

    #[test]
    fn gas_is_capped() {
        let gas = |gas, cap| CallRequest { gas, ..Default::default() }.message(cap, None, 1).unwrap().gas_limit;
        assert_eq!((gas(None, 0), gas(None, 9), gas(Some(5), 9), gas(Some(5), 3)), (u64::MAX / 2, 9, 5, 3));
        assert_eq!(gas(Some(5), 0), 5);
    }

    #[test]
    fn contradictions() {
        let to = Some(Address::ZERO);
        let refused = |request: CallRequest| request.message(0, None, 5).unwrap_err().to_string();
        let one = Some(U256::from(1));
        assert_eq!(
            refused(CallRequest { gas_price: one, max_fee_per_gas: one, ..Default::default() }),
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"
        );
        assert_eq!(
            refused(CallRequest { to, chain_id: one, ..Default::default() }),
            "chainId does not match node's (have=1, want=5)"
        );
        assert_eq!(
            refused(CallRequest { blob_versioned_hashes: Some(Vec::new()), ..Default::default() }),
            "blob transaction of type create"
        );
        assert_eq!(
            refused(CallRequest { authorization_list: Some(Vec::new()), ..Default::default() }),
            "EIP-7702 transaction cannot be used to create contract"
        );
    }
}
