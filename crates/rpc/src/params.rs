//! Positional parameters, read as strictly as go-ethereum reads them.
//!
//! `serde`'s own types for hex are lenient (leading zeros, a missing prefix, numbers that are not strings), and a
//! derived method accepts surplus arguments. A wallet that works against this node must work against geth too, so
//! what geth refuses is refused here, with -32602 and geth's wording.

use alloy_eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy_primitives::{Address, B256, Bytes, U256};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::value::RawValue;

use crate::error::invalid_params;

/// Most characters of a caller's text that an error message repeats.
const MAX_ECHO: usize = 80;

/// The arguments of one call: at most as many as the method takes.
#[derive(Debug)]
pub(crate) struct Args<'a>(Vec<&'a RawValue>);

impl<'a> Args<'a> {
    /// Takes `params` apart. Absent and `null` mean no arguments; an object (arguments by name) is refused, as is
    /// any argument past the `most`th.
    pub(crate) fn parse(params: &'a Params<'_>, most: usize) -> Result<Self, ErrorObjectOwned> {
        let args: Vec<&RawValue> = match params.as_str().map(str::trim) {
            None | Some("" | "null") => Vec::new(),
            Some(text) if text.starts_with('[') => {
                serde_json::from_str(text).map_err(|error| invalid_params(error.to_string()))?
            }
            Some(_) => return Err(invalid_params("non-array args")),
        };
        if args.len() > most {
            return Err(invalid_params(format!("too many arguments, want at most {most}")));
        }
        Ok(Self(args))
    }

    /// Argument `index`, which the method cannot do without.
    pub(crate) fn required<T: Argument>(&self, index: usize) -> Result<T, ErrorObjectOwned> {
        self.optional(index)?.ok_or_else(|| invalid_params(format!("missing value for required argument {index}")))
    }

    /// Argument `index`, or `None` where it is absent or `null`.
    pub(crate) fn optional<T: Argument>(&self, index: usize) -> Result<Option<T>, ErrorObjectOwned> {
        match self.0.get(index).map(|raw| raw.get()) {
            None | Some("null") => Ok(None),
            Some(json) => match T::read(json) {
                Ok(value) => Ok(Some(value)),
                Err(why) => Err(invalid_params(format!("invalid argument {index}: {why}"))),
            },
        }
    }
}

/// A value that can stand in a parameter list.
pub(crate) trait Argument: Sized {
    /// Reads one JSON value; the error says what is wrong with it.
    fn read(json: &str) -> Result<Self, String>;
}

impl Argument for bool {
    fn read(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|_| "expected true or false".to_owned())
    }
}

impl Argument for String {
    fn read(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|_| "expected a string".to_owned())
    }
}

impl Argument for Address {
    fn read(json: &str) -> Result<Self, String> {
        fixed(&String::read(json)?).map(Self::from)
    }
}

impl Argument for B256 {
    fn read(json: &str) -> Result<Self, String> {
        fixed(&String::read(json)?).map(Self::from)
    }
}

impl Argument for Bytes {
    fn read(json: &str) -> Result<Self, String> {
        bytes(&String::read(json)?).map(Self::from)
    }
}

/// An index or a count: a `QUANTITY` of at most 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) u64);

impl Argument for Quantity {
    fn read(json: &str) -> Result<Self, String> {
        quantity(&String::read(json)?).map(Self)
    }
}

/// An amount: a `QUANTITY` of at most 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) U256);

impl Argument for Number {
    fn read(json: &str) -> Result<Self, String> {
        let text = String::read(json)?;
        let digits = quantity_digits(&text)?;
        U256::from_str_radix(digits, 16).map(Self).map_err(|_| "hex number > 256 bits".to_owned())
    }
}

impl Argument for BlockNumberOrTag {
    fn read(json: &str) -> Result<Self, String> {
        number_or_tag(&String::read(json)?)
    }
}

/// A block as the state methods name it: number, tag, 32-byte hash, or an object of
/// [EIP-1898](https://eips.ethereum.org/EIPS/eip-1898).
impl Argument for BlockId {
    fn read(json: &str) -> Result<Self, String> {
        if json.trim_start().starts_with('{') {
            return read_eip1898(json);
        }
        let text = String::read(json)?;
        // As in geth, the length tells a hash from a number: 0x and 64 digits.
        if text.len() == 66 {
            return fixed(&text).map(|hash: [u8; 32]| Self::from(B256::from(hash)));
        }
        number_or_tag(&text).map(Self::from)
    }
}

fn read_eip1898(json: &str) -> Result<BlockId, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Object {
        block_number: Option<String>,
        block_hash: Option<String>,
        require_canonical: Option<bool>,
    }
    let object: Object = serde_json::from_str(json).map_err(|error| error.to_string())?;
    match (object.block_number, object.block_hash) {
        (Some(_), Some(_)) => Err("cannot specify both BlockHash and BlockNumber, choose one or the other".to_owned()),
        (None, None) => Err("must specify either BlockHash or BlockNumber".to_owned()),
        (Some(number), None) => number_or_tag(&number).map(BlockId::from),
        (None, Some(hash)) => {
            let block_hash = B256::from(fixed::<32>(&hash)?);
            Ok(BlockId::Hash(RpcBlockHash { block_hash, require_canonical: object.require_canonical }))
        }
    }
}

/// A storage key as `eth_getStorageAt` and `eth_getProof` take it. Unlike every other value, geth reads these
/// leniently: the prefix is optional, an odd number of digits is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StorageKey {
    /// The slot.
    pub(crate) slot: B256,
    /// Whether all 32 bytes were given. Such a key is echoed as it is, a shorter one as a `QUANTITY`.
    pub(crate) full: bool,
}

impl StorageKey {
    /// The key as `eth_getProof` repeats it in its answer.
    pub(crate) fn echo(&self) -> String {
        if self.full { self.slot.to_string() } else { format!("{:#x}", U256::from_be_bytes(self.slot.0)) }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let bytes = digits.len().div_ceil(2);
        if bytes > 32 {
            return Err(format!("storage key too long (want at most 32 bytes): {:?}", cut(text)));
        }
        let padded = format!("{digits:0>64}");
        let slot = fixed_digits(&padded).ok_or_else(|| format!("invalid hex in storage key: {:?}", cut(text)))?;
        Ok(Self { slot: B256::from(slot), full: bytes == 32 })
    }
}

impl Argument for StorageKey {
    fn read(json: &str) -> Result<Self, String> {
        Self::from_text(&String::read(json)?)
    }
}

impl Argument for Vec<StorageKey> {
    fn read(json: &str) -> Result<Self, String> {
        let keys: Vec<String> = serde_json::from_str(json).map_err(|_| "expected an array of strings".to_owned())?;
        keys.iter().map(|key| StorageKey::from_text(key)).collect()
    }
}

fn number_or_tag(text: &str) -> Result<BlockNumberOrTag, String> {
    Ok(match text {
        "latest" => BlockNumberOrTag::Latest,
        "pending" => BlockNumberOrTag::Pending,
        "earliest" => BlockNumberOrTag::Earliest,
        "safe" => BlockNumberOrTag::Safe,
        "finalized" => BlockNumberOrTag::Finalized,
        number => {
            let number = quantity(number)?;
            if i64::try_from(number).is_err() {
                return Err("block number larger than int64".to_owned());
            }
            BlockNumberOrTag::Number(number)
        }
    })
}

fn quantity(text: &str) -> Result<u64, String> {
    u64::from_str_radix(quantity_digits(text)?, 16).map_err(|_| "hex number > 64 bits".to_owned())
}

/// The digits of a `QUANTITY`: at least one, and no zero before another.
fn quantity_digits(text: &str) -> Result<&str, String> {
    let digits = prefixed(text)?;
    if digits.is_empty() {
        return Err("hex string \"0x\"".to_owned());
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return Err("hex number with leading zero digits".to_owned());
    }
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("invalid hex string".to_owned());
    }
    Ok(digits)
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    if text.is_empty() {
        // geth's hexutil.Bytes takes the empty string for no bytes.
        return Ok(Vec::new());
    }
    let digits = even(prefixed(text)?)?;
    digits.chunks_exact(2).map(pair).collect::<Option<_>>().ok_or_else(|| "invalid hex string".to_owned())
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let digits = even(prefixed(text)?)?;
    if digits.len() != 2 * N {
        return Err(format!("hex string has length {}, want {}", digits.len(), 2 * N));
    }
    let text = std::str::from_utf8(digits).map_err(|_| "invalid hex string".to_owned())?;
    fixed_digits(text).ok_or_else(|| "invalid hex string".to_owned())
}

fn fixed_digits<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, digits) in out.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = pair(digits)?;
    }
    Some(out)
}

fn pair(digits: &[u8]) -> Option<u8> {
    let nibble = |digit: &u8| (*digit as char).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    match digits {
        [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
        _ => None,
    }
}

fn prefixed(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("empty hex string".to_owned());
    }
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).ok_or_else(|| "hex string without 0x prefix".to_owned())
}

fn even(digits: &str) -> Result<&[u8], String> {
    if digits.len().is_multiple_of(2) { Ok(digits.as_bytes()) } else { Err("hex string of odd length".to_owned()) }
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_ECHO).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(params: &str, read: impl Fn(&Args<'_>) -> Result<(), ErrorObjectOwned>) -> String {
        let params = Params::new(Some(params));
        let error = Args::parse(&params, 2).and_then(|args| read(&args)).expect_err("refused");
        assert_eq!(error.code(), -32602);
        error.message().to_owned()
    }

    #[test]
    fn argument_lists_are_checked_as_a_whole() {
        let any = |_: &Args<'_>| Ok(());
        assert_eq!(message("{\"a\":1}", any), "non-array args");
        assert_eq!(message("[1,2,3]", any), "too many arguments, want at most 2");
        let required = |args: &Args<'_>| args.required::<Address>(0).map(drop);
        assert_eq!(message("[]", required), "missing value for required argument 0");
        assert_eq!(message("[null]", required), "missing value for required argument 0");
        assert_eq!(message("[\"12\"]", required), "invalid argument 0: hex string without 0x prefix");
        assert_eq!(message("[\"0x12\"]", required), "invalid argument 0: hex string has length 2, want 40");
        for absent in [None, Some("null"), Some("[]"), Some(" [ ] ")] {
            let params = Params::new(absent);
            assert!(Args::parse(&params, 0).is_ok(), "{absent:?}");
        }
    }

    #[test]
    fn quantities_are_strict() {
        for (json, why) in [
            ("\"0x\"", "hex string \"0x\""),
            ("\"\"", "empty hex string"),
            ("\"0x00\"", "hex number with leading zero digits"),
            ("\"0x01\"", "hex number with leading zero digits"),
            ("\"12\"", "hex string without 0x prefix"),
            ("\"0x1g\"", "invalid hex string"),
            ("\"0x+1\"", "invalid hex string"),
            ("\"0x10000000000000000\"", "hex number > 64 bits"),
            ("12", "expected a string"),
        ] {
            assert_eq!(Quantity::read(json), Err(why.to_owned()), "{json}");
        }
        assert_eq!(Quantity::read("\"0x0\""), Ok(Quantity(0)));
        assert_eq!(Quantity::read("\"0xfF\""), Ok(Quantity(255)));
    }

    #[test]
    fn blocks_are_named_in_every_way() {
        let hash = B256::repeat_byte(7);
        let read = |json: &str| BlockId::read(json);
        assert_eq!(read("\"latest\""), Ok(BlockId::latest()));
        assert_eq!(read("\"pending\""), Ok(BlockId::pending()));
        assert_eq!(read("\"0x10\""), Ok(BlockId::number(16)));
        assert_eq!(read("{\"blockNumber\":\"0x10\"}"), Ok(BlockId::number(16)));
        assert_eq!(read("{\"blockNumber\":\"safe\"}"), Ok(BlockId::safe()));
        assert_eq!(read(&format!("\"{hash}\"")), Ok(BlockId::from(hash)));
        let object = format!("{{\"blockHash\":\"{hash}\",\"requireCanonical\":true}}");
        assert_eq!(read(&object), Ok(BlockId::Hash(RpcBlockHash { block_hash: hash, require_canonical: Some(true) })));
        assert!(read(&format!("{{\"blockHash\":\"{hash}\",\"blockNumber\":\"0x1\"}}")).is_err());
        assert!(read("{}").is_err());
        assert!(read("{\"blockNumber\":1}").is_err());
        assert!(read("\"0x8000000000000000\"").is_err());
        assert!(read("\"newest\"").is_err());
        assert!(read("7").is_err());
    }

    #[test]
    fn storage_keys_are_lenient_as_in_geth() {
        let key = |text: &str| StorageKey::from_text(text);
        assert_eq!(key("0x1").map(|key| key.echo()), Ok("0x1".to_owned()));
        assert_eq!(key("01").map(|key| key.echo()), Ok("0x1".to_owned()));
        assert_eq!(key("0x").map(|key| key.echo()), Ok("0x0".to_owned()));
        let full = B256::with_last_byte(1);
        assert_eq!(key(&full.to_string()).map(|key| key.echo()), Ok(full.to_string()));
        assert!(key("0xasdf").is_err());
        assert!(key(&format!("0x{}", "0".repeat(65))).is_err());
        assert!(key("0xé").is_err());
    }

    proptest! {
        #[test]
        fn quantities_round_trip(number: u64) {
            prop_assert_eq!(Quantity::read(&format!("\"{number:#x}\"")), Ok(Quantity(number)));
        }

        #[test]
        fn bytes_round_trip(data: Vec<u8>) {
            let json = format!("\"{}\"", Bytes::from(data.clone()));
            prop_assert_eq!(Bytes::read(&json), Ok(Bytes::from(data)));
        }

        #[test]
        fn nothing_panics(json in ".{0,90}") {
            let _ = BlockId::read(&json);
            let _ = BlockId::read(&format!("{json:?}"));
            let _ = StorageKey::from_text(&json);
            let _ = Vec::<StorageKey>::read(&json);
            let _ = Address::read(&format!("{json:?}"));
            let _ = Bytes::read(&format!("{json:?}"));
            let params = Params::new(Some(&json));
            let _ = Args::parse(&params, 3);
        }
    }
}
