//! Making clique blocks: pure decisions, then a signature. Waiting is the caller's.

use std::time::Duration;

use alloy_consensus::Header;
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_primitives::{Address, Bytes, U256};
use secp256k1::{Message, SecretKey};

use super::{CliqueError, IN_TURN, SEAL_LENGTH, Snapshot, VANITY_LENGTH, VOTE_ADD, VOTE_DROP, seal_hash};
use crate::rules::{next_gas_limit, set_fork_fields};
use crate::spec::{ChainSpec, Consensus};
use crate::{SealedHeader, header};

/// Each signer adds this to the span from which those out of turn draw their delay, so that whose turn it is comes first.
const WIGGLE: Duration = Duration::from_millis(500);

/// A header that is to be filled with what execution gives, and then sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The header; state root, transactions and receipts are those of an empty block on an empty state until filled.
    pub header: Header,
    /// Whether it is the signer's turn.
    pub in_turn: bool,
}

/// Why a block cannot be sealed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The chain is not a clique chain.
    #[error("chain {chain}: expected clique consensus, got ethash")]
    NotClique {
        /// The chain's name.
        chain: String,
    },
    /// The key's account is no signer.
    #[error("{signer} is not one of the {count} signers")]
    Unauthorized {
        /// The key's account.
        signer: Address,
        /// How many may sign.
        count: usize,
    },
    /// The signer signed one of the last blocks: others have to sign first.
    #[error("{signer} may sign again from block {from}, got {number}")]
    RecentlySigned {
        /// The key's account.
        signer: Address,
        /// The number of the first block that they may sign again.
        from: u64,
        /// The number of the next block.
        number: u64,
    },
    /// The snapshot is not the parent's.
    #[error("snapshot: expected that of block {parent}, got that of block {snapshot}")]
    Snapshot {
        /// The parent's number.
        parent: u64,
        /// The snapshot's.
        snapshot: u64,
    },
    /// The header's extra data has no room for a seal.
    #[error(transparent)]
    Header(#[from] CliqueError),
}

/// The account of a key.
pub fn signer_address(key: &SecretKey) -> Address {
    super::signature::address_of(&key.public_key(secp256k1::SECP256K1))
}

/// Drafts the next block of `signer` on `parent`, whose state of votes is `snapshot`. `now` is the clock's unix time,
/// `gas_target` the gas limit to move to, `vote` a vote to cast (left out of checkpoints).
///
/// The header's time is the first that the period allows, or `now` where that is later: a block is to be announced only
/// once its time has come, after [`turn_delay`].
pub fn draft(
    spec: &ChainSpec,
    snapshot: &Snapshot,
    parent: &SealedHeader,
    signer: Address,
    now: u64,
    gas_target: u64,
    vote: Option<(Address, bool)>,
) -> Result<Draft, SealingError> {
    let Consensus::Clique { period, epoch } = spec.consensus else {
        return Err(SealingError::NotClique { chain: spec.name.clone() });
    };
    if snapshot.hash() != parent.hash() {
        return Err(SealingError::Snapshot { parent: parent.number, snapshot: snapshot.number() });
    }
    let number = parent.number.saturating_add(1);
    if !snapshot.is_signer(&signer) {
        return Err(SealingError::Unauthorized { signer, count: snapshot.signers().len() });
    }
    let from = snapshot.may_sign_from(&signer);
    if number < from {
        return Err(SealingError::RecentlySigned { signer, from, number });
    }
    let checkpoint = number.is_multiple_of(epoch);
    let mut extra = vec![0; VANITY_LENGTH];
    if checkpoint {
        snapshot.signers().iter().for_each(|signer| extra.extend_from_slice(signer.as_slice()));
    }
    extra.resize(extra.len() + SEAL_LENGTH, 0);
    let (beneficiary, nonce) = match vote {
        Some((subject, add)) if !checkpoint => (subject, if add { VOTE_ADD } else { VOTE_DROP }),
        _ => (Address::ZERO, VOTE_DROP),
    };
    let timestamp = parent.timestamp.saturating_add(period).max(now);
    let difficulty = snapshot.difficulty(number, &signer);
    let mut header = Header {
        parent_hash: parent.hash(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary,
        state_root: parent.state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: U256::from(difficulty),
        number,
        gas_limit: next_gas_limit(spec, parent, timestamp, gas_target),
        timestamp,
        extra_data: Bytes::from(extra),
        nonce,
        ..Header::default()
    };
    set_fork_fields(spec, parent, &mut header);
    Ok(Draft { header, in_turn: difficulty == IN_TURN })
}

/// How long a signer waits beyond the block's time before it announces the block: nothing in turn; out of turn a part of
/// half a second for each signer in half their number and one, which part `roll` (any random number) says.
pub fn turn_delay(in_turn: bool, signers: usize, roll: u64) -> Duration {
    if in_turn {
        return Duration::ZERO;
    }
    let span = WIGGLE.as_millis() as u64 * (signers as u64 / 2 + 1);
    Duration::from_millis(roll % span)
}

/// Signs a header: writes the seal over the last 65 bytes of its extra data.
pub fn seal(mut header: Header, key: &SecretKey) -> Result<SealedHeader, SealingError> {
    let message = Message::from_digest(seal_hash(&header)?.0);
    let (recovery, signature) = secp256k1::SECP256K1.sign_ecdsa_recoverable(message, key).serialize_compact();
    let mut extra = header.extra_data.to_vec();
    let start = extra.len() - SEAL_LENGTH;
    extra[start..start + 64].copy_from_slice(&signature);
    extra[start + 64] = i32::from(recovery) as u8;
    header.extra_data = extra.into();
    Ok(header::seal(header))
}
