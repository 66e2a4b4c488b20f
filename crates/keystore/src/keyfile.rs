//! A private key in a plain file, 64 hex digits: what `account import` takes.

use std::{fs::File, io::Read as _, path::Path};

use alloy_primitives::hex;
use zeroize::Zeroizing;

use crate::{error::PlainKeyError, key::UnlockedKey};

/// Digits of a key.
const DIGITS: usize = 64;

/// Line breaks that may follow them: one, as Windows writes it.
const MAX_BREAKS: usize = 2;

/// Reads such a file, as strictly as geth does: 64 hex digits, then at most a line break.
///
/// # Errors
/// The file cannot be read, or holds something else. None of its characters but one after the digits is told.
pub fn read_plain_key(path: &Path) -> Result<UnlockedKey, PlainKeyError> {
    let failed = |source| PlainKeyError::Read { path: path.to_owned(), source };
    // One more than may stand there, so that a longer file is seen to be longer.
    let most = DIGITS + MAX_BREAKS + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(most));
    File::open(path).map_err(failed)?.take(most as u64).read_to_end(&mut text).map_err(failed)?;
    parse(&text)
}

fn parse(text: &[u8]) -> Result<UnlockedKey, PlainKeyError> {
    let digits = text.iter().position(|&byte| byte < b'!').unwrap_or(text.len());
    if digits < DIGITS {
        return Err(PlainKeyError::TooShort);
    }
    let (digits, rest) = text.split_at(DIGITS);
    if let Some(&other) = rest.iter().find(|byte| !matches!(byte, b'\n' | b'\r')) {
        return Err(PlainKeyError::After(char::from(other)));
    }
    if rest.len() > MAX_BREAKS {
        return Err(PlainKeyError::TooLong);
    }
    let mut bytes = Zeroizing::new([0; DIGITS / 2]);
    // `0x` before fewer digits would be taken otherwise.
    if !digits.iter().all(u8::is_ascii_hexdigit) || hex::decode_to_slice(digits, &mut *bytes).is_err() {
        return Err(PlainKeyError::NotHex);
    }
    UnlockedKey::from_bytes(&bytes).ok_or(PlainKeyError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_geth_takes() {
        for text in [KEY.to_owned(), format!("{KEY}\n"), format!("{KEY}\r\n"), format!("{KEY}\n\n"), KEY.to_uppercase()]
        {
            assert!(parse(text.as_bytes()).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn what_geth_refuses() {
        let refusal = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(refusal(&format!("{KEY}1")), "invalid character '1' at end of key file");
        assert_eq!(refusal(&format!("{KEY}\n\n\n")), "key file too long, want 64 hex characters");
        for text in ["", "\n", &KEY[1..], &format!("{} {}", &KEY[..32], &KEY[32..])] {
            assert_eq!(refusal(text), "key file too short, want 64 hex characters", "{text:?}");
        }
        for text in [&format!("0x{}", &KEY[2..]), &KEY.replace('a', "g")] {
            assert_eq!(refusal(text), "invalid hex data for private key", "{text:?}");
        }
        assert!(refusal(&"0".repeat(64)).starts_with("invalid private key"));
        assert!(refusal(&"f".repeat(64)).starts_with("invalid private key"));
    }
}
