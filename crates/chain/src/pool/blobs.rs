//! Blobs: that a sidecar belongs to its transaction and has the parts of its version, and that the blobs are what the
//! commitments say (EIP-4844, EIP-7594).
//!
//! Until Osaka a sidecar has a proof for each blob (version 0), from Osaka on one for each of its 128 cells (version 1).

use alloy_consensus::Transaction;
use alloy_eips::eip4844::{BLOB_TX_MIN_BLOB_GASPRICE, kzg_to_versioned_hash};
use alloy_eips::eip7594::{BlobTransactionSidecarVariant, CELLS_PER_EXT_BLOB};
use alloy_primitives::B256;
use c_kzg::KzgSettings;

use super::check::InForce;
use super::{PoolError, PoolLimits, PoolTransaction};
use crate::SealedHeader;
use crate::spec::{ChainSpec, Fork};

/// Sizes the tables that quicken making cell proofs. They take up to 100 MB, for good: too much for the few sidecars that a
/// node converts. Checking needs none.
const PRECOMPUTE: u64 = 0;

/// The trusted setup, read when it is first needed. That takes some tenths of a second.
pub(crate) fn kzg_settings() -> &'static KzgSettings {
    c_kzg::ethereum_kzg_settings(PRECOMPUTE)
}

/// What [`super::check`] asks of blobs.
pub(super) fn check(
    tx: &PoolTransaction,
    spec: &ChainSpec,
    forks: &InForce<'_>,
    head: &SealedHeader,
    limits: &PoolLimits,
) -> Result<(), PoolError> {
    let Some(sidecar) = tx.sidecar() else { return Ok(()) };
    let fee = tx.tx().max_fee_per_blob_gas().unwrap_or_default();
    if fee < BLOB_TX_MIN_BLOB_GASPRICE {
        return Err(PoolError::BlobFeeTooLow { fee, needed: BLOB_TX_MIN_BLOB_GASPRICE });
    }
    let hashes = tx.tx().blob_versioned_hashes().unwrap_or_default();
    if hashes.is_empty() {
        return Err(PoolError::Blobless);
    }
    check_hashes(sidecar, hashes)?;
    let scheduled = spec.forks.blob_params(head.number, head.timestamp).map_or(0, |params| params.max_blobs_per_tx);
    let limit = limits.max_blobs.min(usize::try_from(scheduled).unwrap_or(usize::MAX));
    if hashes.len() > limit {
        return Err(PoolError::TooManyBlobs { blobs: hashes.len(), limit });
    }
    let (want, got) = (u8::from(forks.has(Fork::Osaka)), version(sidecar));
    if want != got {
        return Err(PoolError::SidecarVersion { want, got });
    }
    check_parts(sidecar)
}

/// That the commitments are those whose hashes the transaction names.
fn check_hashes(sidecar: &BlobTransactionSidecarVariant, hashes: &[B256]) -> Result<(), PoolError> {
    let commitments = sidecar.commitments();
    if commitments.len() != hashes.len() {
        return Err(PoolError::SidecarCommitments { commitments: commitments.len(), hashes: hashes.len() });
    }
    for (index, (commitment, hash)) in commitments.iter().zip(hashes).enumerate() {
        let computed = kzg_to_versioned_hash(commitment.as_slice());
        if computed != *hash {
            return Err(PoolError::BlobHash { index, computed, hash: *hash });
        }
    }
    Ok(())
}

/// That there are as many blobs and proofs as commitments call for.
fn check_parts(sidecar: &BlobTransactionSidecarVariant) -> Result<(), PoolError> {
    let (blobs, commitments) = (sidecar.blobs().len(), sidecar.commitments().len());
    let (got, expected) = match sidecar {
        BlobTransactionSidecarVariant::Eip4844(sidecar) => (sidecar.proofs.len(), commitments),
        BlobTransactionSidecarVariant::Eip7594(sidecar) => {
            (sidecar.cell_proofs.len(), commitments * CELLS_PER_EXT_BLOB)
        }
    };
    if got != expected {
        return Err(PoolError::SidecarProofs { got, expected });
    }
    if blobs != commitments {
        return Err(PoolError::SidecarBlobs { blobs, commitments });
    }
    Ok(())
}

fn version(sidecar: &BlobTransactionSidecarVariant) -> u8 {
    u8::from(sidecar.is_eip7594())
}

/// That a transaction's blobs are what its commitments say. Of one without blobs there is nothing to say.
///
/// Slow: milliseconds for each blob, and the first time the trusted setup is read. Call it off the async threads.
pub fn verify_blobs(tx: &PoolTransaction) -> Result<(), PoolError> {
    let Some(sidecar) = tx.sidecar() else { return Ok(()) };
    let hashes = tx.tx().blob_versioned_hashes().unwrap_or_default();
    check_hashes(sidecar, hashes)?;
    check_parts(sidecar)?;
    sidecar.validate(hashes, kzg_settings()).map_err(|error| PoolError::Kzg(error.to_string()))
}

/// Whether a transaction has to go through [`with_cell_proofs`] before a pool on this head takes it.
pub fn needs_cell_proofs(tx: &PoolTransaction, spec: &ChainSpec, head: &SealedHeader) -> bool {
    tx.sidecar().is_some_and(|sidecar| sidecar.is_eip4844()) && InForce::at(spec, head).has(Fork::Osaka)
}

/// Makes a sidecar of version 0 one of version 1, as geth does for its users from Osaka on. Anything else stays as it is.
///
/// The proofs of version 0 are not looked at. Slow, a good part of a second for each blob: call it off the async threads.
pub fn with_cell_proofs(tx: PoolTransaction) -> Result<PoolTransaction, PoolError> {
    let Some(sidecar) = tx.sidecar().filter(|sidecar| sidecar.is_eip4844()) else { return Ok(tx) };
    check_parts(sidecar)?;
    let kzg = |error: c_kzg::Error| PoolError::Kzg(format!("{error:?}"));
    let sidecar = sidecar.clone().try_convert_into_eip7594_with_settings(kzg_settings()).map_err(kzg)?;
    Ok(tx.with_sidecar(sidecar))
}
