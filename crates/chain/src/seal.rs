//! Checking seals, passed in.

use alloy_consensus::Header;
use alloy_primitives::{B256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};

use crate::SealedHeader;
use crate::clique::CliqueError;
use crate::spec::ChainSpec;

/// Checks proof-of-work seals. Blocking: call it off the async threads.
pub trait SealCheck: Send + Sync + 'static {
    /// Checks the seals of `headers`, on all cores where that pays. Gives the index of the first bad one.
    ///
    /// Only headers whose ancestry reaches our own chain are to be given: what a seal costs to check depends on the
    /// header's number, which its sender chose.
    fn check(&self, headers: &[SealedHeader]) -> Result<(), (usize, SealError)>;

    /// Told of the chain whose seals will be checked, when it is opened.
    fn begin(&self, spec: &ChainSpec) {
        let _ = spec;
    }

    /// Makes ready, in the background, to check seals around block `number`. As with `check`, only for numbers that
    /// our own chain has reached.
    fn prepare(&self, number: u64) {
        let _ = number;
    }
}

/// Accepts every seal: for test chains whose proof of work is not real (geth's `--fakepow`).
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSeals;

impl SealCheck for NoSeals {
    fn check(&self, _: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        Ok(())
    }
}

/// A seal that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The mix that the nonce leads to is not the header's.
    #[error("mix hash: expected {expected}, got {got}")]
    MixHash {
        /// The mix hash computed from header and nonce.
        expected: Box<B256>,
        /// The header's.
        got: Box<B256>,
    },
    /// The work's result is above the difficulty's target.
    #[error("proof of work: expected at most {target}, got {got}")]
    Work {
        /// ⌊2^256 / difficulty⌋, big endian.
        target: Box<B256>,
        /// The result computed from header and nonce.
        got: Box<B256>,
    },
    /// A block number past the last epoch that ethash caches are made for.
    #[error("ethash epoch: expected at most {max}, got {epoch}")]
    Epoch {
        /// The header's epoch.
        epoch: u64,
        /// The last epoch in range.
        max: u64,
    },
    /// A clique seal that does not hold.
    #[error(transparent)]
    Clique(#[from] CliqueError),
}

impl SealError {
    /// The name of the broken rule.
    pub fn rule(&self) -> &'static str {
        match self {
            SealError::MixHash { .. } => "mix hash",
            SealError::Work { .. } => "proof of work",
            SealError::Epoch { .. } => "ethash epoch",
            SealError::Clique(error) => error.rule(),
        }
    }
}

/// The hash that a proof-of-work seal is made over: of the header without mix hash and nonce (Yellow Paper, appendix J).
pub fn seal_hash(header: &Header) -> B256 {
    let mut payload = Vec::with_capacity(560);
    encode_unsealed(header, &header.extra_data, &mut payload);
    encode_base_fee(header, &mut payload);
    hash_list(&payload)
}

/// The fields up to and with the extra data, which is given: what both kinds of seal are made over begins with them.
pub(crate) fn encode_unsealed(header: &Header, extra_data: &[u8], out: &mut Vec<u8>) {
    header.parent_hash.encode(out);
    header.ommers_hash.encode(out);
    header.beneficiary.encode(out);
    header.state_root.encode(out);
    header.transactions_root.encode(out);
    header.receipts_root.encode(out);
    header.logs_bloom.encode(out);
    header.difficulty.encode(out);
    header.number.encode(out);
    header.gas_limit.encode(out);
    header.gas_used.encode(out);
    header.timestamp.encode(out);
    extra_data.encode(out);
}

/// The base fee, where there is one. Proof of work ends before the forks that added further fields.
fn encode_base_fee(header: &Header, out: &mut Vec<u8>) {
    if let Some(base_fee) = header.base_fee_per_gas {
        base_fee.encode(out);
    }
}

/// Keccak-256 of the RLP list with this payload.
pub(crate) fn hash_list(payload: &[u8]) -> B256 {
    let mut out = Vec::with_capacity(payload.len() + 3);
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    keccak256(&out)
}
