use alloy_consensus::{TxEnvelope, transaction::TxEip4844Variant};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error, Encodable2718};
use alloy_primitives::{B256, Bytes};
use rlp::RlpStream;

use super::{DecodeError, MAX_TRANSACTION_BYTES, wire};

/// No transaction is shorter: nine fields of at least a byte in a list. It bounds what a message of tiny items costs.
const LEAST_TRANSACTION_BYTES: usize = 10;

/// `[tx, tx, …]`, at least one: each `type || payload` (EIP-2718), on the wire as one byte string, or a legacy
/// transaction's list. Blob transactions stand in their network form, with sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transactions(pub Vec<Bytes>);

impl Transactions {
    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(self.0.len());
        for raw in &self.0 {
            if raw.first().is_some_and(|first| *first >= 0xc0) {
                out.append_raw(raw, 1);
            } else {
                out.append(&&raw[..]);
            }
        }
    }

    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        let transactions = read_list(list)?;
        if transactions.is_empty() { Err(DecodeError::Empty { what: "transactions" }) } else { Ok(Self(transactions)) }
    }
}

/// Why bytes are no transaction that may stand in a Transactions message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// It is larger than any may be, sidecar included.
    #[error("transaction of {got} bytes, the limit is {limit}")]
    TooLarge {
        /// Most bytes.
        limit: usize,
        /// Bytes that it has.
        got: usize,
    },
    /// Its type is none that is known.
    #[error("unknown transaction type {0:#04x}")]
    UnknownType(u8),
    /// Its fields do not decode.
    #[error("malformed transaction: {0}")]
    Malformed(String),
    /// It decodes, but is not the one encoding of what it says.
    #[error("transaction is not in its canonical form")]
    NotCanonical,
    /// A blob transaction came as it stands in a block.
    #[error("blob transaction without its sidecar")]
    NoSidecar,
}

/// Checks one transaction as it stands in [`Transactions`] and gives its hash (of a blob transaction: the hash of the
/// form without sidecar, which a block holds). Pure; no signature is recovered, as what arrives is not kept.
///
/// # Errors
///
/// What is over [`MAX_TRANSACTION_BYTES`], of an unknown type, malformed, not canonical, or without its sidecar.
pub fn transaction_hash(raw: &[u8]) -> Result<B256, TransactionError> {
    if raw.len() > MAX_TRANSACTION_BYTES {
        return Err(TransactionError::TooLarge { limit: MAX_TRANSACTION_BYTES, got: raw.len() });
    }
    let transaction = TxEnvelope::decode_2718_exact(raw).map_err(|error| match error {
        Eip2718Error::UnexpectedType(ty) => TransactionError::UnknownType(ty),
        other => TransactionError::Malformed(other.to_string()),
    })?;
    if let TxEnvelope::Eip4844(signed) = &transaction
        && matches!(signed.tx(), TxEip4844Variant::TxEip4844(_))
    {
        return Err(TransactionError::NoSidecar);
    }
    // The decoder of a library is not trusted to refuse every second spelling: one transaction has one hash.
    if transaction.encoded_2718() != raw {
        return Err(TransactionError::NotCanonical);
    }
    Ok(*transaction.tx_hash())
}

/// Reads a list of transactions as raw slices.
pub(super) fn read_list(list: &wire::Item<'_>) -> Result<Vec<Bytes>, DecodeError> {
    let items = list.items("transactions")?;
    // The message's size and `LEAST_TRANSACTION_BYTES` bound the count, so it needs no limit of its own.
    let mut transactions =
        Vec::with_capacity(items.counted("transactions", list.payload.len() / LEAST_TRANSACTION_BYTES)?);
    for item in items {
        let item = item?;
        let raw = if item.list { item.raw } else { item.payload };
        if raw.len() < LEAST_TRANSACTION_BYTES {
            return Err(DecodeError::TooShort { what: "transaction", least: LEAST_TRANSACTION_BYTES, got: raw.len() });
        }
        if !item.list && raw[0] > 0x7f {
            return Err(DecodeError::TransactionType { got: raw[0] });
        }
        transactions.push(Bytes::copy_from_slice(raw));
    }
    Ok(transactions)
}
