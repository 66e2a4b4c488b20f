//! Blob transactions: what belongs together, and the proofs.

use alloy_consensus::{TxEip4844, TxEip4844WithSidecar};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4844::{Blob, BlobTransactionSidecar, Bytes48};
use alloy_eips::eip7594::BlobTransactionSidecarVariant as Sidecar;
use alloy_primitives::B256;
use rushlight_chain::Fork;
use rushlight_chain::pool::{PoolError, PoolTransaction, needs_cell_proofs, replaces, verify_blobs, with_cell_proofs};
use rushlight_chain::testing::{sidecar, signed_blobs};

use super::{CHAIN, GWEI, SPEC, TO, check, head, key, refused};

fn inner(hashes: Vec<B256>) -> TxEip4844 {
    TxEip4844 {
        chain_id: CHAIN,
        gas_limit: 21_000,
        max_fee_per_gas: 2 * GWEI,
        max_priority_fee_per_gas: GWEI,
        max_fee_per_blob_gas: 10,
        to: TO,
        blob_versioned_hashes: hashes,
        ..TxEip4844::default()
    }
}

fn with(sidecar: Sidecar) -> PoolTransaction {
    let tx = inner(sidecar.versioned_hashes().collect());
    signed_blobs(&key(), TxEip4844WithSidecar { tx, sidecar })
}

#[test]
fn each_fork_has_its_version() {
    let (old, new) = (with(sidecar(2, false)), with(sidecar(2, true)));
    assert_eq!(
        refused(&old, Fork::Shanghai),
        "transaction type not supported: type 3 rejected, pool not yet in Cancun"
    );
    assert_eq!((check(&old, Fork::Cancun), verify_blobs(&old)), (Ok(()), Ok(())));
    assert_eq!((check(&new, Fork::Osaka), verify_blobs(&new)), (Ok(()), Ok(())));
    assert_eq!(refused(&old, Fork::Osaka), "Wrong sidecar format: unexpected sidecar version, want: 1, got: 0");
    assert_eq!(refused(&new, Fork::Prague), "Wrong sidecar format: unexpected sidecar version, want: 0, got: 1");
    assert!(needs_cell_proofs(&old, &SPEC, &head(Fork::Osaka)));
    assert!(!needs_cell_proofs(&old, &SPEC, &head(Fork::Prague)));
    assert!(!needs_cell_proofs(&new, &SPEC, &head(Fork::Osaka)));
    // Hash and sender are those of the transaction alone, and what comes out decodes to itself.
    assert_eq!((old.hash(), old.sender()), (new.hash(), new.sender()));
    let converted = with_cell_proofs(old).unwrap();
    assert_eq!(converted, new);
    assert_eq!(PoolTransaction::decode(converted.raw().clone()).unwrap(), new);
    assert_eq!(with_cell_proofs(new.clone()).unwrap(), new);
}

#[test]
fn what_does_not_belong_together() {
    let change = |cells: bool, change: &dyn Fn(&mut TxEip4844, &mut Sidecar)| {
        let mut sidecar = sidecar(1, cells);
        let mut tx = inner(sidecar.versioned_hashes().collect());
        change(&mut tx, &mut sidecar);
        signed_blobs(&key(), TxEip4844WithSidecar { tx, sidecar })
    };
    let old = |sidecar: &mut Sidecar, change: &dyn Fn(&mut BlobTransactionSidecar)| {
        let Sidecar::Eip4844(parts) = sidecar else { panic!("version 0") };
        change(parts);
    };
    let none = change(false, &|tx, sidecar| {
        tx.blob_versioned_hashes.clear();
        *sidecar = Sidecar::default();
    });
    assert_eq!(refused(&none, Fork::Cancun), "blobless blob transaction");
    let cheap = change(false, &|tx, _| tx.max_fee_per_blob_gas = 0);
    assert_eq!(refused(&cheap, Fork::Cancun), "transaction gas price below minimum: blob fee cap 0, minimum needed 1");
    let other = change(false, &|tx, _| tx.blob_versioned_hashes[0] = B256::repeat_byte(1));
    let text = refused(&other, Fork::Cancun);
    assert!(
        text.starts_with("blob 0: computed hash 0x01") && text.contains("mismatches transaction one 0x0101"),
        "{text}"
    );
    let more = change(false, &|tx, _| tx.blob_versioned_hashes.push(B256::ZERO));
    assert_eq!(refused(&more, Fork::Cancun), "invalid number of 1 blob commitments compared to 2 blob hashes");
    let proofs = change(false, &|_, sidecar| old(sidecar, &|parts| parts.proofs.push(Bytes48::ZERO)));
    assert_eq!(refused(&proofs, Fork::Cancun), "Wrong sidecar format: invalid number of 2 blob proofs expected 1");
    let blobs = change(false, &|_, sidecar| old(sidecar, &|parts| parts.blobs.clear()));
    assert_eq!(refused(&blobs, Fork::Cancun), "invalid number of 0 blobs compared to 1 commitments");
    let cells = change(true, &|_, sidecar| {
        let Sidecar::Eip7594(parts) = sidecar else { panic!("version 1") };
        parts.cell_proofs.pop();
    });
    assert_eq!(refused(&cells, Fork::Osaka), "Wrong sidecar format: invalid number of 127 blob proofs expected 128");
    // Nothing of it makes the slow check fall over, whoever calls it first.
    for tx in [other, more, proofs, blobs, cells] {
        verify_blobs(&tx).unwrap_err();
    }
}

#[test]
fn six_at_most() {
    let parts = sidecar(6, false);
    assert_eq!(check(&with(parts), Fork::Cancun), Ok(()));
    let many = with(sidecar(7, false));
    let error = check(&many, Fork::Prague).unwrap_err();
    assert_eq!(error.to_string(), "transaction blob limit exceeded: blob count 7, limit 6");
}

#[test]
fn proofs_that_prove_nothing() {
    let spoil = |cells: bool, index: usize| {
        let mut sidecar = sidecar(2, cells);
        match &mut sidecar {
            Sidecar::Eip4844(parts) => parts.proofs.swap(0, index),
            Sidecar::Eip7594(parts) => parts.cell_proofs.swap(0, index),
        }
        with(sidecar)
    };
    for tx in [spoil(false, 1), spoil(true, 128)] {
        assert_eq!(verify_blobs(&tx).unwrap_err().to_string(), "KZG verification error: invalid KZG proof");
    }
    // A blob changed after its commitment; and one that is no blob, as an element is over the field's modulus.
    for (byte, cells) in [(0x03, false), (0x03, true), (0xff, false), (0xff, true)] {
        let mut sidecar = sidecar(1, cells);
        let blobs = match &mut sidecar {
            Sidecar::Eip4844(parts) => &mut parts.blobs,
            Sidecar::Eip7594(parts) => &mut parts.blobs,
        };
        blobs[0] = Blob::repeat_byte(byte);
        assert!(matches!(verify_blobs(&with(sidecar)), Err(PoolError::Kzg(_))), "{byte} {cells}");
    }
    let mut none = sidecar(1, false);
    if let Sidecar::Eip4844(parts) = &mut none {
        parts.blobs[0] = Blob::repeat_byte(0xff);
    }
    assert!(matches!(with_cell_proofs(with(none)), Err(PoolError::Kzg(_))));
}

#[test]
fn replaced_at_twice_the_price() {
    let tx = |fee: u128, tip: u128, blob: u128| {
        let sidecar = sidecar(1, false);
        let tx = TxEip4844 {
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            max_fee_per_blob_gas: blob,
            ..inner(sidecar.versioned_hashes().collect())
        };
        signed_blobs(&key(), TxEip4844WithSidecar { tx, sidecar })
    };
    let old = tx(10, 5, 3);
    assert!(replaces(&old, &tx(20, 10, 6)));
    for (fee, tip, blob) in [(19, 10, 6), (20, 9, 6), (20, 10, 5), (10, 5, 3)] {
        assert!(!replaces(&old, &tx(fee, tip, blob)), "{fee} {tip} {blob}");
    }
}

#[test]
fn without_a_sidecar() {
    let parts = sidecar(1, false);
    let bare = with(parts).to_block().encoded_2718();
    assert_eq!(PoolTransaction::decode(bare.into()).unwrap_err().to_string(), "missing sidecar in blob transaction");
}
