//! Typed data and its hash: [EIP-712](https://eips.ethereum.org/EIPS/eip-712), the input of `eth_signTypedData_v4`.
//!
//! The JSON is walked once with the types beside it; nothing is expanded, so that types which refer to each other
//! in a chain cost no more than their text. Whatever does not match its type is refused, with geth's words where it
//! has some.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, I256, U256, hex, keccak256};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The type of the domain.
const DOMAIN: &str = "EIP712Domain";

/// Most characters of a value that an error repeats.
const MAX_QUOTED: usize = 64;

/// A message, its types, and the domain that it is for.
#[derive(Debug, Clone, Deserialize)]
pub struct TypedData {
    types: BTreeMap<String, Vec<Field>>,
    #[serde(rename = "primaryType")]
    primary_type: String,
    domain: Map<String, Value>,
    #[serde(default)]
    message: Map<String, Value>,
}

/// A member of a struct.
#[derive(Debug, Clone, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Why something is no typed data.
#[derive(Debug, thiserror::Error)]
pub enum TypedDataError {
    /// Not JSON, or not of this form.
    #[error("invalid typed data: {0}")]
    Json(#[from] serde_json::Error),
    /// A domain that says nothing would be everybody's.
    #[error("domain is undefined")]
    NoDomain,
    /// A name that is empty or would make the encoding of types ambiguous.
    #[error("type {kind:?}: expected a name without brackets, commas and blanks, got {name:?}")]
    Name {
        /// In which type.
        kind: String,
        /// The name.
        name: String,
    },
    /// Such a value could never end.
    #[error("type {0:?} cannot reference itself")]
    SelfReference(String),
    /// A type that is not there.
    #[error("reference type {0:?} is undefined")]
    Undefined(String),
    /// Members that the type does not have: they would not be signed.
    #[error("there is extra data provided in the message ({want} < {got})")]
    Extra {
        /// Members of the type.
        want: usize,
        /// Members of the value.
        got: usize,
    },
    /// A value of another type, or none.
    #[error("provided data '{data}' doesn't match type '{kind}'")]
    Mismatch {
        /// What the type is.
        kind: String,
        /// What there is.
        data: String,
    },
}

impl TypedData {
    /// Reads typed data as wallets send it: an object, or a string that holds one.
    ///
    /// # Errors
    /// It is not JSON, not of this form, or its types are not sound.
    pub fn parse(json: &str) -> Result<Self, TypedDataError> {
        let data: Self = if json.trim_start().starts_with('"') {
            serde_json::from_str(&serde_json::from_str::<String>(json)?)?
        } else {
            serde_json::from_str(json)?
        };
        data.check()?;
        Ok(data)
    }

    /// What is signed: `keccak256(0x1901 ‖ hashStruct(domain) ‖ hashStruct(message))`, without the last part where the
    /// domain is the message.
    ///
    /// # Errors
    /// A value does not match its type.
    pub fn signing_hash(&self) -> Result<B256, TypedDataError> {
        let mut hasher = Hasher { types: &self.types, type_hashes: BTreeMap::new() };
        let mut text = vec![0x19, 0x01];
        text.extend(hasher.structure(DOMAIN, &self.domain)?);
        if self.primary_type != DOMAIN {
            text.extend(hasher.structure(&self.primary_type, &self.message)?);
        }
        Ok(keccak256(text))
    }

    fn check(&self) -> Result<(), TypedDataError> {
        if !self.domain.values().any(|value| !matches!(value, Value::Null) && *value != "") {
            return Err(TypedDataError::NoDomain);
        }
        for (kind, fields) in &self.types {
            let name = |name: &String| {
                let bad = |c: char| "(),[]".contains(c) || c.is_whitespace() || c.is_control();
                if name.is_empty() || name.contains(bad) {
                    return Err(TypedDataError::Name { kind: quoted(kind), name: quoted(name) });
                }
                Ok(())
            };
            name(kind)?;
            for field in fields {
                name(&field.name)?;
                if field.kind == *kind {
                    return Err(TypedDataError::SelfReference(quoted(kind)));
                }
                let (base, _) = arrays(&field.kind).ok_or_else(|| TypedDataError::Undefined(quoted(&field.kind)))?;
                if !is_atom(base) && !self.types.contains_key(base) {
                    return Err(TypedDataError::Undefined(quoted(&field.kind)));
                }
            }
        }
        for kind in [DOMAIN, &self.primary_type] {
            if !self.types.contains_key(kind) {
                return Err(TypedDataError::Undefined(quoted(kind)));
            }
        }
        Ok(())
    }
}

/// A type without its array suffixes, and those, the outermost last; `None` is an array of any length.
fn arrays(kind: &str) -> Option<(&str, Vec<Option<usize>>)> {
    let base = kind.split('[').next().filter(|base| !base.is_empty())?;
    let mut lengths = Vec::new();
    let mut rest = kind.get(base.len()..)?;
    while !rest.is_empty() {
        let (length, after) = rest.strip_prefix('[')?.split_once(']')?;
        let fixed = || length.bytes().all(|digit| digit.is_ascii_digit()).then(|| length.parse().ok()).flatten();
        lengths.push(if length.is_empty() { None } else { Some(fixed()?) });
        rest = after;
    }
    Some((base, lengths))
}

/// Hashes structs; what a type hashes to is worked out once.
struct Hasher<'a> {
    types: &'a BTreeMap<String, Vec<Field>>,
    type_hashes: BTreeMap<&'a str, B256>,
}

impl<'a> Hasher<'a> {
    fn structure(&mut self, kind: &str, value: &Map<String, Value>) -> Result<B256, TypedDataError> {
        let (kind, fields) = self.types.get_key_value(kind).ok_or_else(|| TypedDataError::Undefined(quoted(kind)))?;
        if value.len() > fields.len() {
            return Err(TypedDataError::Extra { want: fields.len(), got: value.len() });
        }
        let mut text = self.type_hash(kind).to_vec();
        for field in fields {
            let value = value.get(&field.name).unwrap_or(&Value::Null);
            let (base, lengths) = arrays(&field.kind).ok_or_else(|| TypedDataError::Undefined(quoted(&field.kind)))?;
            text.extend(self.value(base, &lengths, value)?);
        }
        Ok(keccak256(text))
    }

    /// 32 bytes that stand for a value.
    fn value(&mut self, base: &str, lengths: &[Option<usize>], value: &Value) -> Result<B256, TypedDataError> {
        let mismatch = || TypedDataError::Mismatch { kind: spelled(base, lengths), data: told(value) };
        if let Some((length, inner)) = lengths.split_last() {
            let items = value.as_array().filter(|items| length.is_none_or(|length| items.len() == length));
            let mut text = Vec::new();
            for item in items.ok_or_else(mismatch)? {
                text.extend(self.value(base, inner, item)?);
            }
            return Ok(keccak256(text));
        }
        if self.types.contains_key(base) {
            return self.structure(base, value.as_object().ok_or_else(mismatch)?);
        }
        atom(base, value).map(Word::bytes).ok_or_else(mismatch)
    }

    /// The hash of `encodeType`: the type, then all that it refers to by name.
    fn type_hash(&mut self, kind: &'a str) -> B256 {
        if let Some(hash) = self.type_hashes.get(kind) {
            return *hash;
        }
        let mut found = BTreeSet::new();
        let mut open = vec![kind];
        while let Some(name) = open.pop() {
            let Some((name, fields)) = self.types.get_key_value(name) else { continue };
            if found.insert(name.as_str()) {
                open.extend(fields.iter().map(|field| field.kind.split('[').next().unwrap_or_default()));
            }
        }
        found.remove(kind);
        let mut text = String::new();
        for name in [kind].into_iter().chain(found) {
            let fields = self.types.get(name).map(Vec::as_slice).unwrap_or_default();
            let fields: Vec<_> = fields.iter().map(|field| format!("{} {}", field.kind, field.name)).collect();
            text += &format!("{name}({})", fields.join(","));
        }
        let hash = keccak256(text);
        self.type_hashes.insert(kind, hash);
        hash
    }
}

/// An atomic value: what stands in the encoding, or what its hash does.
enum Word {
    Plain(B256),
    Hash(B256),
}

impl Word {
    fn bytes(self) -> B256 {
        match self {
            Self::Plain(word) | Self::Hash(word) => word,
        }
    }
}

/// Which atomic types there are.
fn is_atom(kind: &str) -> bool {
    matches!(kind, "address" | "bool" | "string" | "bytes")
        || size(kind, "bytes").is_some_and(|size| (1..=32).contains(&size))
        || integer(kind).is_some()
}

/// Bits of an integer type, and whether it has a sign.
fn integer(kind: &str) -> Option<(usize, bool)> {
    let (name, signed) = if kind.starts_with("int") { ("int", true) } else { ("uint", false) };
    let bits = if kind == name { 256 } else { size(kind, name)? };
    ((8..=256).contains(&bits) && bits.is_multiple_of(8)).then_some((bits, signed))
}

fn size(kind: &str, name: &str) -> Option<usize> {
    let digits = kind.strip_prefix(name)?;
    let plain = !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn atom(kind: &str, value: &Value) -> Option<Word> {
    let plain = |word: B256| Some(Word::Plain(word));
    match (kind, value) {
        ("address", Value::String(text)) => plain(text.parse::<Address>().ok()?.into_word()),
        ("bool", Value::Bool(value)) => plain(U256::from(u8::from(*value)).into()),
        ("string", Value::String(text)) => Some(Word::Hash(keccak256(text))),
        ("bytes", Value::String(text)) => Some(Word::Hash(keccak256(bytes(text)?))),
        (_, Value::String(text)) if size(kind, "bytes").is_some() => {
            let bytes = bytes(text)?;
            (Some(bytes.len()) == size(kind, "bytes")).then(|| Word::Plain(B256::right_padding_from(&bytes)))
        }
        _ => {
            let (bits, signed) = integer(kind)?;
            let number = number(value)?;
            // Two's complement: of a signed type one bit is the sign.
            let least = if signed { I256::MIN.asr(256 - bits) } else { I256::ZERO };
            let fits = match number {
                Number::Negative(number) => number >= least,
                Number::Natural(number) => number.bit_len() <= if signed { bits - 1 } else { bits },
            };
            fits.then_some(Word::Plain(match number {
                Number::Negative(number) => number.into_raw().into(),
                Number::Natural(number) => number.into(),
            }))
        }
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

#[derive(Clone, Copy)]
enum Number {
    Natural(U256),
    Negative(I256),
}

/// An integer: decimal or hex in a string, or a number of JSON that every program reads alike. Most keep 53 bits of those.
fn number(value: &Value) -> Option<Number> {
    let natural = |number: U256| Some(Number::Natural(number));
    match value {
        Value::String(text) => {
            let digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                return digits(hex).then(|| U256::from_str_radix(hex, 16).ok()).flatten().and_then(natural);
            }
            let (negative, decimal) = text.strip_prefix('-').map_or((false, text.as_str()), |rest| (true, rest));
            let number = digits(decimal).then(|| U256::from_str_radix(decimal, 10).ok()).flatten()?;
            if negative && !number.is_zero() {
                return I256::checked_from_sign_and_abs(alloy_primitives::Sign::Negative, number).map(Number::Negative);
            }
            natural(number)
        }
        Value::Number(number) => {
            let float = number.as_f64()?;
            // Exact as a 64-bit integer, as go-ethereum wants it; what rounding would change is refused.
            const BOUND: f64 = 9_223_372_036_854_775_808.0;
            if float.fract() != 0.0 || !(-BOUND..BOUND).contains(&float) {
                return None;
            }
            let exact = float as i64;
            if number.as_i64().is_some_and(|number| number != exact) {
                return None;
            }
            if exact < 0 {
                return I256::try_from(exact).ok().map(Number::Negative);
            }
            natural(U256::from(exact.unsigned_abs()))
        }
        _ => None,
    }
}

fn spelled(base: &str, lengths: &[Option<usize>]) -> String {
    let suffix = |length: &Option<usize>| length.map_or("[]".to_owned(), |length| format!("[{length}]"));
    quoted(base) + &lengths.iter().map(suffix).collect::<String>()
}

/// A value for an error: not more of it than fits a line.
fn told(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
