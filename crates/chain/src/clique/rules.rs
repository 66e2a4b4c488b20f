//! The rules on a clique header's fields (EIP-225), as far as they need nobody's votes.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};

use super::{IN_TURN, NO_TURN, SEAL_LENGTH, VANITY_LENGTH, VOTE_ADD, VOTE_DROP};
use crate::rules::{HeaderError, Rule, Value, broken, verify_no_uncles};

/// Bytes of extra data around the signers of a checkpoint.
const FRAME_LENGTH: usize = VANITY_LENGTH + SEAL_LENGTH;

/// Verifies times, votes, extra data, mix hash, uncles and the range of the difficulty.
pub(crate) fn verify_fields(header: &Header, parent: &Header, period: u64, epoch: u64) -> Result<(), HeaderError> {
    // With period 0 two blocks may bear the same time, as in geth.
    let earliest = parent.timestamp.saturating_add(period);
    if header.timestamp < earliest {
        return Err(broken(Rule::Timestamp, Value::AtLeast(earliest), Value::Number(header.timestamp)));
    }
    let checkpoint = header.number.is_multiple_of(epoch);
    verify_vote(header, checkpoint)?;
    verify_extra_data(header, checkpoint)?;
    if header.mix_hash != B256::ZERO {
        return Err(broken(Rule::MixHash, Value::Hash(B256::ZERO), Value::Hash(header.mix_hash)));
    }
    verify_no_uncles(header)?;
    // Which of the two it has to be is a matter of whose turn it is: the snapshot's to check.
    if header.difficulty != U256::from(IN_TURN) && header.difficulty != U256::from(NO_TURN) {
        let expected = Value::Within(NO_TURN, IN_TURN);
        return Err(broken(Rule::Difficulty, expected, Value::Quantity(header.difficulty)));
    }
    Ok(())
}

fn verify_vote(header: &Header, checkpoint: bool) -> Result<(), HeaderError> {
    if checkpoint && header.beneficiary != Address::ZERO {
        let (expected, got) = (Value::Address(Address::ZERO), Value::Address(header.beneficiary));
        return Err(broken(Rule::CheckpointBeneficiary, expected, got));
    }
    let got = Value::Nonce(header.nonce);
    if checkpoint && header.nonce != VOTE_DROP {
        return Err(broken(Rule::VoteNonce, Value::Nonce(VOTE_DROP), got));
    }
    if header.nonce != VOTE_ADD && header.nonce != VOTE_DROP {
        return Err(broken(Rule::VoteNonce, Value::OneOf(VOTE_ADD, VOTE_DROP), got));
    }
    Ok(())
}

fn verify_extra_data(header: &Header, checkpoint: bool) -> Result<(), HeaderError> {
    let length = header.extra_data.len();
    let got = Value::Bytes(length);
    if length < FRAME_LENGTH {
        return Err(broken(Rule::ExtraData, Value::AtLeastBytes(FRAME_LENGTH), got));
    }
    let list = length - FRAME_LENGTH;
    if !checkpoint && list != 0 {
        return Err(broken(Rule::ExtraData, Value::Bytes(FRAME_LENGTH), got));
    }
    if !list.is_multiple_of(20) {
        return Err(broken(Rule::ExtraData, Value::Bytes(FRAME_LENGTH + list / 20 * 20), got));
    }
    Ok(())
}
