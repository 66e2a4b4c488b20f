//! What is signed, and who signed it.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::Encodable;
use rayon::prelude::*;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};

use super::{CliqueError, SEAL_LENGTH, VANITY_LENGTH};
use crate::SealedHeader;
use crate::seal::{encode_unsealed, hash_list};

/// Signatures that a thread recovers at a time: some 0.2 ms of work, against some 10 µs to wake a thread.
pub(crate) const RECOVER_GRAIN: usize = 4;

/// The hash that a signer signs: of the header whose extra data lacks the seal (EIP-225).
///
/// Of all its fields in their order. Stock clique has none after the base fee; those after it are of extended clique
/// ([`crate::ChainSpec::is_extended_clique`]).
pub fn seal_hash(header: &Header) -> Result<B256, CliqueError> {
    let (unsealed, _) = split_seal(header)?;
    let mut payload = Vec::with_capacity(640 + unsealed.len());
    encode_unsealed(header, unsealed, &mut payload);
    header.mix_hash.encode(&mut payload);
    header.nonce.encode(&mut payload);
    encode_fork_fields(header, &mut payload);
    Ok(hash_list(&payload))
}

/// The fields that forks added, in a header's order; those that are not there take no place.
fn encode_fork_fields(header: &Header, out: &mut Vec<u8>) {
    let fields: [Option<&dyn Encodable>; 8] = [
        header.base_fee_per_gas.as_ref().map(|fee| fee as _),
        header.withdrawals_root.as_ref().map(|root| root as _),
        header.blob_gas_used.as_ref().map(|gas| gas as _),
        header.excess_blob_gas.as_ref().map(|gas| gas as _),
        header.parent_beacon_block_root.as_ref().map(|root| root as _),
        header.requests_hash.as_ref().map(|hash| hash as _),
        header.block_access_list_hash.as_ref().map(|hash| hash as _),
        header.slot_number.as_ref().map(|slot| slot as _),
    ];
    fields.into_iter().flatten().for_each(|field| field.encode(out));
}

/// Who signed a header.
pub fn recover_signer(header: &Header) -> Result<Address, CliqueError> {
    let (_, seal) = split_seal(header)?;
    let recovery = RecoveryId::try_from(i32::from(seal[64]))
        .map_err(|_| CliqueError::Signature { why: "the recovery id is not 0 to 3" })?;
    let signature = RecoverableSignature::from_compact(&seal[..64], recovery)
        .map_err(|_| CliqueError::Signature { why: "r or s is out of range" })?;
    let message = Message::from_digest(seal_hash(header)?.0);
    let key = secp256k1::SECP256K1
        .recover_ecdsa(message, &signature)
        .map_err(|_| CliqueError::Signature { why: "no public key comes of it" })?;
    Ok(address_of(&key))
}

/// Who signed each of these headers, worked out on all cores.
pub fn recover_signers(headers: &[SealedHeader]) -> Vec<Result<Address, CliqueError>> {
    headers.par_iter().with_min_len(RECOVER_GRAIN).map(|header| recover_signer(header)).collect()
}

/// The account of a public key: the last 20 bytes of the Keccak-256 of its 64 bytes.
pub(super) fn address_of(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}

/// Extra data before its seal, and the seal.
fn split_seal(header: &Header) -> Result<(&[u8], &[u8; SEAL_LENGTH]), CliqueError> {
    let got = header.extra_data.len();
    let (unsealed, seal) = header
        .extra_data
        .split_last_chunk::<SEAL_LENGTH>()
        .filter(|(unsealed, _)| unsealed.len() >= VANITY_LENGTH)
        .ok_or(CliqueError::ExtraData { expected: VANITY_LENGTH + SEAL_LENGTH, got })?;
    Ok((unsealed, seal))
}
