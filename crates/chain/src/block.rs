//! Whole blocks: the item `[header, transactions, uncles]`, from Shanghai on `[header, transactions, uncles, withdrawals]`
//! (EIP-4895), and a body against its header.

use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_consensus::{Header, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use alloy_trie::root::ordered_trie_root_encoded;

use crate::header::{self, DecodeError, SealedHeader};

/// A block's raw parts. That it decoded says that it has the shape of a block, not that any of it is true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawBlock {
    /// The header's RLP.
    pub header: Bytes,
    /// The transactions as EIP-2718 has them: a legacy one is an RLP list, others are `type || payload`.
    pub transactions: Vec<Bytes>,
    /// The RLP of each uncle's header.
    pub uncles: Vec<Bytes>,
    /// The RLP of each withdrawal (EIP-4895); nothing where the block has no such list, as before Shanghai.
    pub withdrawals: Option<Vec<Bytes>>,
}

/// What a block holds beside its header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// The transactions as EIP-2718 has them: a legacy one is an RLP list, others are `type || payload`.
    pub transactions: Vec<Bytes>,
    /// The RLP of each uncle's header.
    pub uncles: Vec<Bytes>,
    /// The RLP of each withdrawal (EIP-4895); nothing where the block has no such list, as before Shanghai.
    pub withdrawals: Option<Vec<Bytes>>,
}

/// A body that is not its header's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The transactions are not those of the header.
    #[error("transactions root: expected {expected}, got {got}")]
    TransactionsRoot {
        /// The header's.
        expected: B256,
        /// Computed from the body.
        got: B256,
    },
    /// The uncles are not those of the header.
    #[error("uncles hash: expected {expected}, got {got}")]
    UnclesHash {
        /// The header's.
        expected: B256,
        /// Computed from the body.
        got: B256,
    },
    /// The withdrawals are not those of the header (EIP-4895).
    #[error("withdrawals root: expected {}, got {}", root_text(.expected), root_text(.got))]
    WithdrawalsRoot {
        /// The header's, if it has one.
        expected: Option<B256>,
        /// Computed from the body, if it has withdrawals.
        got: Option<B256>,
    },
}

fn root_text(root: &Option<B256>) -> String {
    root.map_or("none".to_owned(), |root| root.to_string())
}

impl RawBlock {
    /// Decodes the wire item from exactly `raw`. The parts are slices of a copy of it: nothing inside is copied again.
    pub fn decode(raw: &[u8]) -> Result<RawBlock, DecodeError> {
        RawBlock::decode_bytes(&Bytes::copy_from_slice(raw))
    }

    /// Decodes the wire item from exactly `raw`, as slices that share its memory.
    pub fn decode_bytes(raw: &Bytes) -> Result<RawBlock, DecodeError> {
        let ([header, transactions, uncles], withdrawals) = items(raw, "block")?;
        list_items(&header, "header")?;
        let (transactions, uncles) = (decode_transactions(&transactions)?, decode_uncles(&uncles)?);
        Ok(RawBlock { header, transactions, uncles, withdrawals: decode_withdrawals(withdrawals)? })
    }

    /// The wire item.
    pub fn encode(&self) -> Bytes {
        let parts = Parts::of(&self.transactions, &self.uncles, self.withdrawals.as_deref());
        let payload_length = self.header.len() + parts.length();
        let mut out = Vec::with_capacity(list_length(payload_length));
        RlpHeader { list: true, payload_length }.encode(&mut out);
        out.extend_from_slice(&self.header);
        parts.encode(&mut out);
        out.into()
    }

    /// Length of the encoded item in bytes.
    pub fn length(&self) -> usize {
        let parts = Parts::of(&self.transactions, &self.uncles, self.withdrawals.as_deref());
        list_length(self.header.len() + parts.length())
    }

    /// The block's hash: Keccak-256 of the header as it came.
    pub fn hash(&self) -> B256 {
        keccak256(&self.header)
    }

    /// The decoded header.
    pub fn decode_header(&self) -> Result<SealedHeader, DecodeError> {
        header::decode(&self.header)
    }

    /// The body, cheaply: the parts are shared.
    pub fn body(&self) -> Body {
        Body {
            transactions: self.transactions.clone(),
            uncles: self.uncles.clone(),
            withdrawals: self.withdrawals.clone(),
        }
    }

    /// Puts a header and a body together.
    pub fn from_parts(header: Bytes, body: Body) -> RawBlock {
        let Body { transactions, uncles, withdrawals } = body;
        RawBlock { header, transactions, uncles, withdrawals }
    }
}

impl Body {
    /// Decodes `[transactions, uncles]` or `[transactions, uncles, withdrawals]` from exactly `raw`: the form of bodies in
    /// era1 files and later `eth` versions.
    pub fn decode(raw: &[u8]) -> Result<Body, DecodeError> {
        let ([transactions, uncles], withdrawals) = items(&Bytes::copy_from_slice(raw), "body")?;
        let (transactions, uncles) = (decode_transactions(&transactions)?, decode_uncles(&uncles)?);
        Ok(Body { transactions, uncles, withdrawals: decode_withdrawals(withdrawals)? })
    }

    /// `[transactions, uncles]`, with the withdrawals as third item where there is a list of them.
    pub fn encode(&self) -> Bytes {
        let parts = Parts::of(&self.transactions, &self.uncles, self.withdrawals.as_deref());
        let payload_length = parts.length();
        let mut out = Vec::with_capacity(list_length(payload_length));
        RlpHeader { list: true, payload_length }.encode(&mut out);
        parts.encode(&mut out);
        out.into()
    }

    /// The body where the header alone proves it: no transactions, no uncles, no withdrawals.
    pub fn known_empty(header: &Header) -> Option<Body> {
        let empty = header.transactions_root == EMPTY_ROOT_HASH
            && header.ommers_hash == EMPTY_OMMER_ROOT_HASH
            && header.withdrawals_root.is_none_or(|root| root == EMPTY_ROOT_HASH);
        empty.then(|| Body { withdrawals: header.withdrawals_root.map(|_| Vec::new()), ..Body::default() })
    }

    /// The root of the trie of withdrawals (EIP-4895), where there is a list of them.
    pub fn withdrawals_root(&self) -> Option<B256> {
        self.withdrawals.as_deref().map(ordered_trie_root_encoded)
    }

    /// The withdrawals, strictly: each is the one canonical encoding of a withdrawal.
    pub fn decode_withdrawals(&self) -> Result<Vec<Withdrawal>, DecodeError> {
        let decode =
            |raw: &Bytes| alloy_rlp::decode_exact(raw).map_err(|error| DecodeError::Rlp { what: "withdrawal", error });
        self.withdrawals.iter().flatten().map(decode).collect()
    }

    /// The root of the trie of transactions.
    pub fn transactions_root(&self) -> B256 {
        ordered_trie_root_encoded(&self.transactions)
    }

    /// Keccak-256 of the RLP list of uncles.
    pub fn uncles_hash(&self) -> B256 {
        keccak256(self.uncles_rlp())
    }

    /// The RLP list of uncles, whose Keccak-256 the header holds.
    pub fn uncles_rlp(&self) -> Bytes {
        let mut out = Vec::new();
        encode_list(&self.uncles, &mut out);
        out.into()
    }

    /// Decodes the RLP list of uncles from exactly `raw` into the headers' RLP.
    pub fn decode_uncles(raw: &[u8]) -> Result<Vec<Bytes>, DecodeError> {
        decode_uncles(&Bytes::copy_from_slice(raw))
    }

    /// The uncles' headers.
    pub fn decode_uncle_headers(&self) -> Result<Vec<SealedHeader>, DecodeError> {
        self.uncles.iter().map(|raw| header::decode(raw)).collect()
    }

    /// The transactions, strictly: each is the one canonical encoding of a transaction of a known type.
    pub fn decode_transactions(&self) -> Result<Vec<TxEnvelope>, DecodeError> {
        self.transactions.iter().enumerate().map(|(index, raw)| decode_transaction(index, raw)).collect()
    }
}

/// Checks that a body is its header's: uncles hash, transactions root and withdrawals root. The rules for the uncles themselves are
/// [`crate::verify_uncles`]'s.
pub fn verify_body(header: &Header, body: &Body) -> Result<(), BodyError> {
    let got = body.uncles_hash();
    if got != header.ommers_hash {
        return Err(BodyError::UnclesHash { expected: header.ommers_hash, got });
    }
    let got = body.transactions_root();
    if got != header.transactions_root {
        return Err(BodyError::TransactionsRoot { expected: header.transactions_root, got });
    }
    let got = body.withdrawals_root();
    if got != header.withdrawals_root {
        return Err(BodyError::WithdrawalsRoot { expected: header.withdrawals_root, got });
    }
    Ok(())
}

fn decode_transaction(index: usize, raw: &Bytes) -> Result<TxEnvelope, DecodeError> {
    let refused = |why: String| DecodeError::Transaction { index, why };
    let mut rest: &[u8] = raw;
    let transaction = TxEnvelope::decode_2718(&mut rest).map_err(|error| refused(error.to_string()))?;
    if !rest.is_empty() {
        return Err(refused(format!("{} bytes after its end", rest.len())));
    }
    // EIP-4844: blobs go with a transaction between pools, and never stand in a block.
    if transaction.as_eip4844().is_some_and(|transaction| transaction.tx().as_with_sidecar().is_some()) {
        return Err(refused("carries blobs".to_owned()));
    }
    Ok(transaction)
}

/// The encodings of a block's list of transactions, out of the RLP list.
fn decode_transactions(raw: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let items = list_items(raw, "transactions")?;
    items.into_iter().enumerate().map(|(index, item)| unwrap_transaction(index, item)).collect()
}

/// Takes the string wrapper off a typed transaction; a legacy one stays the list that it is.
fn unwrap_transaction(index: usize, item: Bytes) -> Result<Bytes, DecodeError> {
    let mut rest: &[u8] = &item;
    let head = RlpHeader::decode(&mut rest).map_err(|error| DecodeError::Rlp { what: "transaction", error })?;
    if head.list {
        return Ok(item);
    }
    let transaction = item.slice(item.len() - head.payload_length..);
    match transaction.first() {
        // EIP-2718: types are 0 to 0x7f
        Some(0..=0x7f) => Ok(transaction),
        Some(first) => Err(DecodeError::Transaction { index, why: format!("no transaction type: {first:#04x}") }),
        None => Err(DecodeError::Transaction { index, why: "empty".to_owned() }),
    }
}

fn decode_uncles(raw: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let uncles = list_items(raw, "uncles")?;
    for uncle in &uncles {
        list_items(uncle, "uncle")?;
    }
    Ok(uncles)
}

fn decode_withdrawals(raw: Option<Bytes>) -> Result<Option<Vec<Bytes>>, DecodeError> {
    let Some(raw) = raw else { return Ok(None) };
    let withdrawals = list_items(&raw, "withdrawals")?;
    for withdrawal in &withdrawals {
        list_items(withdrawal, "withdrawal")?;
    }
    Ok(Some(withdrawals))
}

/// What stands behind the header.
struct Parts<'a> {
    transactions: &'a [Bytes],
    uncles: &'a [Bytes],
    withdrawals: Option<&'a [Bytes]>,
}

impl<'a> Parts<'a> {
    fn of(transactions: &'a [Bytes], uncles: &'a [Bytes], withdrawals: Option<&'a [Bytes]>) -> Parts<'a> {
        Parts { transactions, uncles, withdrawals }
    }

    fn length(&self) -> usize {
        let list = |items: &[Bytes]| list_length(items.iter().map(|item| item.len()).sum());
        list_length(transactions_payload(self.transactions)) + list(self.uncles) + self.withdrawals.map_or(0, list)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        RlpHeader { list: true, payload_length: transactions_payload(self.transactions) }.encode(out);
        for transaction in self.transactions {
            if is_legacy(transaction) {
                out.extend_from_slice(transaction);
            } else {
                transaction.encode(out);
            }
        }
        encode_list(self.uncles, out);
        if let Some(withdrawals) = self.withdrawals {
            encode_list(withdrawals, out);
        }
    }
}

/// Whether the bytes are a legacy transaction: EIP-2718 tells the two apart by the first byte.
fn is_legacy(transaction: &[u8]) -> bool {
    transaction.first().is_some_and(|first| *first >= alloy_rlp::EMPTY_LIST_CODE)
}

fn transactions_payload(transactions: &[Bytes]) -> usize {
    let length = |transaction: &Bytes| if is_legacy(transaction) { transaction.len() } else { transaction.length() };
    transactions.iter().map(length).sum()
}

fn encode_list(items: &[Bytes], out: &mut Vec<u8>) {
    RlpHeader { list: true, payload_length: items.iter().map(|item| item.len()).sum() }.encode(out);
    for item in items {
        out.extend_from_slice(item);
    }
}

/// Length of a list with its prefix.
fn list_length(payload: usize) -> usize {
    RlpHeader { list: true, payload_length: payload }.length_with_payload()
}

/// The items of a list of exactly `N`, and the withdrawals where there is one more.
fn items<const N: usize>(raw: &Bytes, what: &'static str) -> Result<([Bytes; N], Option<Bytes>), DecodeError> {
    let mut items = list_items(raw, what)?;
    let got = items.len();
    let withdrawals = if got == N + 1 { items.pop() } else { None };
    let items = items.try_into().map_err(|_| DecodeError::Items { what, expected: N, got })?;
    Ok((items, withdrawals))
}

/// The raw items of the list that is exactly `raw`.
fn list_items(raw: &Bytes, what: &'static str) -> Result<Vec<Bytes>, DecodeError> {
    let refused = |error| DecodeError::Rlp { what, error };
    let mut rest: &[u8] = raw;
    let head = RlpHeader::decode(&mut rest).map_err(refused)?;
    if !head.list {
        return Err(refused(alloy_rlp::Error::UnexpectedString));
    }
    if rest.len() != head.payload_length {
        return Err(DecodeError::TrailingBytes { what, count: rest.len() - head.payload_length });
    }
    let mut items = Vec::new();
    while !rest.is_empty() {
        let start = raw.len() - rest.len();
        let head = RlpHeader::decode(&mut rest).map_err(refused)?;
        rest = rest.get(head.payload_length..).ok_or(refused(alloy_rlp::Error::InputTooShort))?;
        items.push(raw.slice(start..raw.len() - rest.len()));
    }
    Ok(items)
}
