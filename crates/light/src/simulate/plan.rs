//! Which blocks are simulated: numbers and times in order, gaps filled.

use alloy_consensus::{
    Header,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, EMPTY_WITHDRAWALS},
};
use alloy_primitives::{B256, U256};
use rushlight_chain::{Activation, ChainSpec, Fork, SealedHeader, next_base_fee, next_excess_blob_gas};

use super::{BlockRequest, MAX_BLOCKS, SimulateError};
use crate::call::OverrideError;

/// Seconds between blocks where nothing else is said.
const INTERVAL: u64 = 12;

/// A block that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) number: u64,
    pub(super) time: u64,
    /// Nothing where it fills a gap.
    pub(super) request: Option<usize>,
}

/// The blocks on `base` that `requests` ask for, and those between them.
pub(super) fn plan(base: &Header, requests: &[BlockRequest]) -> Result<Vec<Planned>, SimulateError> {
    let mut planned = Vec::new();
    let (mut before, mut time_before) = (base.number, base.timestamp);
    for (index, request) in requests.iter().enumerate() {
        let overrides = &request.overrides;
        let number = overrides.number.unwrap_or_else(|| U256::from(before) + U256::from(1));
        if number <= U256::from(before) {
            return Err(SimulateError::Number { number: number.wrapping_to(), before });
        }
        if number - U256::from(base.number) > U256::from(MAX_BLOCKS) {
            return Err(SimulateError::TooManyBlocks);
        }
        let number = u64::try_from(number).map_err(|_| OverrideError::TooLarge("number"))?;
        for number in before + 1..number {
            time_before = time_before.saturating_add(INTERVAL);
            planned.push(Planned { number, time: time_before, request: None });
        }
        let time = overrides.time.unwrap_or_else(|| time_before.saturating_add(INTERVAL));
        if time <= time_before {
            return Err(SimulateError::Time { time, before: time_before });
        }
        planned.push(Planned { number, time, request: Some(index) });
        (before, time_before) = (number, time);
    }
    Ok(planned)
}

/// The header of a planned block before anything of it is executed.
pub(super) fn header(
    spec: &ChainSpec,
    parent: &SealedHeader,
    planned: &Planned,
    request: &BlockRequest,
    validation: bool,
) -> Result<Header, SimulateError> {
    let (number, timestamp) = (planned.number, planned.time);
    let overrides = &request.overrides;
    let active = |fork| spec.forks.is_active(fork, number, timestamp);
    let cancun = active(Fork::Cancun);
    let mut header = Header {
        parent_hash: parent.hash(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        beneficiary: overrides.fee_recipient.unwrap_or(parent.beneficiary),
        difficulty: parent.difficulty,
        number,
        timestamp,
        gas_limit: overrides.gas_limit.unwrap_or(parent.gas_limit),
        mix_hash: overrides.prev_randao.unwrap_or_default(),
        withdrawals_root: active(Fork::Shanghai).then_some(EMPTY_WITHDRAWALS),
        parent_beacon_block_root: cancun.then(|| overrides.beacon_root.unwrap_or(B256::ZERO)),
        ..Header::default()
    };
    if is_merged(spec, number, timestamp) {
        header.difficulty = U256::ZERO;
    }
    if let Some(difficulty) = overrides.difficulty.filter(|_| !header.difficulty.is_zero()) {
        header.difficulty = difficulty;
    }
    header.base_fee_per_gas = match overrides.base_fee_per_gas {
        Some(fee) => Some(u64::try_from(fee).map_err(|_| OverrideError::TooLarge("baseFeePerGas"))?),
        None if !active(Fork::London) => None,
        None if validation => next_base_fee(spec, parent, timestamp),
        // Else every call would have to name a price.
        None => Some(0),
    };
    if cancun {
        header.excess_blob_gas = Some(next_excess_blob_gas(spec, parent, timestamp).unwrap_or(0));
    }
    Ok(header)
}

/// Whether a block is one of proof of stake whatever its parent is, as geth judges it: by the netsplit block of the merge,
/// or by the first fork after it.
fn is_merged(spec: &ChainSpec, number: u64, timestamp: u64) -> bool {
    let netsplit = spec.forks.other_blocks.iter().any(|block| *block <= number);
    let shanghai = match spec.forks.activation(Fork::Shanghai) {
        Some(Activation::Time(time)) => time <= timestamp,
        _ => false,
    };
    spec.forks.terminal_total_difficulty().is_some_and(|terminal| terminal.is_zero() || netsplit || shanghai)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::BlockOverrides;

    fn base() -> Header {
        Header { number: 10, timestamp: 100, ..Header::default() }
    }

    fn request(number: Option<u64>, time: Option<u64>) -> BlockRequest {
        let overrides = BlockOverrides { number: number.map(U256::from), time, ..BlockOverrides::default() };
        BlockRequest { overrides, ..BlockRequest::default() }
    }

    fn planned(requests: &[BlockRequest]) -> Result<Vec<(u64, u64, Option<usize>)>, SimulateError> {
        let planned = plan(&base(), requests)?;
        Ok(planned.into_iter().map(|block| (block.number, block.time, block.request)).collect())
    }

    #[test]
    fn gaps_are_filled_twelve_seconds_apart() {
        assert_eq!(planned(&[request(None, None)]), Ok(vec![(11, 112, Some(0))]));
        assert_eq!(
            planned(&[request(Some(13), None), request(None, Some(900))]),
            Ok(vec![(11, 112, None), (12, 124, None), (13, 136, Some(0)), (14, 900, Some(1))])
        );
    }

    #[test]
    fn order_is_kept() {
        assert_eq!(planned(&[request(Some(10), None)]), Err(SimulateError::Number { number: 10, before: 10 }));
        assert_eq!(
            planned(&[request(Some(12), None), request(Some(11), None)]),
            Err(SimulateError::Number { number: 11, before: 12 })
        );
        assert_eq!(planned(&[request(None, Some(100))]), Err(SimulateError::Time { time: 100, before: 100 }));
        // The time has to leave room for the gap before it.
        assert_eq!(planned(&[request(Some(12), Some(112))]), Err(SimulateError::Time { time: 112, before: 112 }));
    }

    #[test]
    fn no_more_than_256_blocks() {
        assert_eq!(planned(&[request(Some(266), None)]).map(|blocks| blocks.len()), Ok(256));
        assert_eq!(planned(&[request(Some(267), None)]), Err(SimulateError::TooManyBlocks));
        let far = BlockOverrides { number: Some(U256::MAX), ..BlockOverrides::default() };
        let far = BlockRequest { overrides: far, ..BlockRequest::default() };
        assert_eq!(planned(&[far]), Err(SimulateError::TooManyBlocks));
    }
}
