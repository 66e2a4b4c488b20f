//! What a revert says: `Error(string)` and `Panic(uint256)` of Solidity, decoded as geth's `abi.UnpackRevert` does.

use alloy_primitives::U256;

const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// What geth says of every revert.
pub(crate) const REVERTED: &str = "execution reverted";

/// The text of the error for a call that reverted with `output`.
pub(crate) fn message(output: &[u8]) -> String {
    match reason(output) {
        Some(reason) => format!("{REVERTED}: {reason}"),
        None => REVERTED.to_owned(),
    }
}

fn reason(output: &[u8]) -> Option<String> {
    let (selector, arguments) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR => string(arguments),
        PANIC => word(arguments, 0).map(panic),
        _ => None,
    }
}

/// One ABI-encoded string: where it begins, its length, its bytes.
fn string(arguments: &[u8]) -> Option<String> {
    let at = usize::try_from(word(arguments, 0)?).ok()?;
    let length = usize::try_from(word(arguments, at)?).ok()?;
    let start = at.checked_add(32)?;
    let bytes = arguments.get(start..start.checked_add(length)?)?;
    // Go's strings hold any bytes; in JSON what is no UTF-8 becomes the replacement character.
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn word(bytes: &[u8], at: usize) -> Option<U256> {
    bytes.get(at..at.checked_add(32)?).map(U256::from_be_slice)
}

fn panic(code: U256) -> String {
    let known = match u64::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn solidity() {
        // The examples of geth's tests (accounts/abi/abi_test.go, TestUnpackRevert).
        for (raw, expected) in [
            (&hex!("")[..], "execution reverted"),
            (&hex!("08c379a1"), "execution reverted"),
            (
                &hex!(
                    "08c379a00000000000000000000000000000000000000000000000000000000000000020000000000000000000000000000000000000000000000000000000000000000d72657665727420726561736f6e00000000000000000000000000000000000000"
                ),
                "execution reverted: revert reason",
            ),
            (
                &hex!("4e487b710000000000000000000000000000000000000000000000000000000000000000"),
                "execution reverted: generic panic",
            ),
            (
                &hex!("4e487b7100000000000000000000000000000000000000000000000000000000000000ff"),
                "execution reverted: unknown panic code: 0xff",
            ),
            (&hex!("4e487b7100"), "execution reverted"),
        ] {
            assert_eq!(message(raw), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(selector in prop_oneof![Just(ERROR), Just(PANIC)], rest: Vec<u8>) {
            let _ = message(&[&selector[..], &rest].concat());
        }
    }
}
