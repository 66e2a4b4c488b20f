//! Cheap proof of work, and transactions signed with a key at hand: for tests and simulations only. No node takes such work.
//!
//! Chains made here keep every rule of ethash chains but the work: the difficulty grows and falls, uncles have valid
//! headers, and a seal can be right or wrong. Only the seal's rule is a toy's, one hash.

use std::sync::atomic::{AtomicU64, Ordering};

use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_consensus::{Header, SignableTransaction, Signed, TxEip4844WithSidecar};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4844::Blob;
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use secp256k1::{Message, SecretKey};

use crate::block::{Body, RawBlock};
use crate::pool::{PoolTransaction, PooledTransaction};
use crate::rules::{next_gas_limit, set_fork_fields};
use crate::seal::{SealCheck, SealError, seal_hash};
use crate::spec::{Activation, ChainSpec, Consensus, Fork, Forks};
use crate::{SealedHeader, difficulty, header};

/// A seal check that holds where the mix hash is Keccak-256 of the seal hash and `toy`.
#[derive(Debug, Default)]
pub struct ToySeal {
    checked: AtomicU64,
}

impl ToySeal {
    /// How many seals have been checked.
    pub fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }
}

impl SealCheck for ToySeal {
    fn check(&self, headers: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        for (index, header) in headers.iter().enumerate() {
            self.checked.fetch_add(1, Ordering::Relaxed);
            let expected = toy_mix(header);
            if header.mix_hash != expected {
                return Err((index, SealError::MixHash { expected: expected.into(), got: header.mix_hash.into() }));
            }
        }
        Ok(())
    }
}

/// The mix hash that seals a header for [`ToySeal`].
pub fn toy_mix(header: &Header) -> B256 {
    let mut bytes = seal_hash(header).to_vec();
    bytes.extend_from_slice(b"toy");
    keccak256(bytes)
}

/// Gives a header its toy seal and its hash.
pub fn toy_seal(mut header: Header) -> SealedHeader {
    header.mix_hash = toy_mix(&header);
    header::seal(header)
}

/// A small ethash chain to test with: genesis at unix time 1,500,000,000, least difficulty, Homestead from `homestead` on.
pub fn toy_spec(homestead: u64) -> ChainSpec {
    let genesis = Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root: EMPTY_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: U256::from(difficulty::MINIMUM),
        gas_limit: 8_000_000,
        timestamp: 1_500_000_000,
        extra_data: Bytes::from_static(b"toy"),
        ..Header::default()
    };
    let forks = Forks::new(vec![(Fork::Homestead, Activation::Block(homestead))]);
    ChainSpec::new("toy", 1337, header::seal(genesis), forks, Consensus::Ethash)
}

/// Makes headers and blocks that are valid by the rules of an ethash spec and by [`ToySeal`].
#[derive(Debug, Clone)]
pub struct ToyMiner {
    spec: ChainSpec,
    /// Seconds between a block and its parent.
    pub interval: u64,
    /// Who mines: blocks of different miners on one parent differ.
    pub beneficiary: Address,
    /// The gas limit to move to.
    pub gas_target: u64,
}

impl ToyMiner {
    /// A miner of blocks 13 seconds apart, which keep the difficulty about where it is.
    ///
    /// # Panics
    /// Where the spec is no ethash chain.
    pub fn new(spec: ChainSpec) -> ToyMiner {
        assert_eq!(spec.consensus, Consensus::Ethash, "toy seals are for ethash chains");
        let gas_target = spec.genesis.gas_limit;
        ToyMiner { spec, interval: 13, beneficiary: Address::ZERO, gas_target }
    }

    /// The same for another beneficiary, whose chain differs from the first block on.
    pub fn for_beneficiary(&self, beneficiary: Address) -> ToyMiner {
        ToyMiner { beneficiary, ..self.clone() }
    }

    /// The chain.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The header on `parent` without a seal, to be changed and sealed with [`toy_seal`].
    pub fn template(&self, parent: &SealedHeader) -> Header {
        let timestamp = parent.timestamp + self.interval;
        let mut header = Header {
            parent_hash: parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.beneficiary,
            state_root: parent.state_root,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            difficulty: difficulty::expected(&self.spec, parent, timestamp),
            number: parent.number + 1,
            gas_limit: next_gas_limit(&self.spec, parent, timestamp, self.gas_target),
            timestamp,
            ..Header::default()
        };
        set_fork_fields(&self.spec, parent, &mut header);
        header
    }

    /// A sealed header on `parent`.
    pub fn header(&self, parent: &SealedHeader) -> SealedHeader {
        toy_seal(self.template(parent))
    }

    /// `count` sealed headers, the first on `parent`.
    pub fn headers(&self, parent: &SealedHeader, count: usize) -> Vec<SealedHeader> {
        let mut headers: Vec<SealedHeader> = Vec::with_capacity(count);
        for _ in 0..count {
            let next = self.header(headers.last().unwrap_or(parent));
            headers.push(next);
        }
        headers
    }

    /// A block on `parent` with this body.
    pub fn block(&self, parent: &SealedHeader, body: Body) -> RawBlock {
        let mut template = self.template(parent);
        template.ommers_hash = body.uncles_hash();
        template.transactions_root = body.transactions_root();
        let sealed = toy_seal(template);
        RawBlock::from_parts(header::encode(&sealed), body)
    }
}

/// Signs a hash.
pub fn sign_hash(key: &SecretKey, hash: B256) -> Signature {
    let (recovery, bytes) =
        secp256k1::SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), key).serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(recovery) == 1)
}

/// Signs a transaction, and puts it into the form in which peers and wallets send it.
///
/// # Panics
/// Where what was signed does not decode again.
pub fn signed<T>(key: &SecretKey, tx: T) -> PoolTransaction
where
    T: SignableTransaction<Signature>,
    PooledTransaction: From<Signed<T>>,
{
    let signature = sign_hash(key, tx.signature_hash());
    decoded(&PooledTransaction::from(tx.into_signed(signature)))
}

/// As [`signed`], with blobs.
///
/// # Panics
/// As [`signed`].
pub fn signed_blobs(key: &SecretKey, tx: TxEip4844WithSidecar<BlobTransactionSidecarVariant>) -> PoolTransaction {
    let signature = sign_hash(key, tx.tx.signature_hash());
    decoded(&PooledTransaction::Eip4844(tx.into_signed(signature)))
}

fn decoded(tx: &PooledTransaction) -> PoolTransaction {
    PoolTransaction::decode(tx.encoded_2718().into()).unwrap_or_else(|error| panic!("{error}"))
}

/// A sidecar with so many blobs, of which none is like another. `cells`: with proofs of cells (version 1).
///
/// # Panics
/// Where the trusted setup does not read.
pub fn sidecar(blobs: u8, cells: bool) -> BlobTransactionSidecarVariant {
    // Each element of 32 bytes is small enough to be one of the field; a blob of equal ones would have a trivial proof.
    let byte = |number: u8, place: usize| if place % 32 == 31 { (place / 32) as u8 ^ number } else { 0 };
    let blobs: Vec<_> =
        (1..=blobs).map(|number| Blob::from(std::array::from_fn(|place| byte(number, place)))).collect();
    let settings = crate::pool::kzg_settings();
    let made = alloy_eips::eip4844::BlobTransactionSidecar::try_from_blobs_with_settings(blobs, settings);
    let made = made.map(BlobTransactionSidecarVariant::Eip4844);
    let made = if cells { made.and_then(|made| made.try_convert_into_eip7594_with_settings(settings)) } else { made };
    made.unwrap_or_else(|error| panic!("{error:?}"))
}
