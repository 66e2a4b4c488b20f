//! A frame's data: a message id, then the payload, compressed from version 5 on.

use bytes::{Bytes, BytesMut};
use rlp::RlpStream;

use super::strict::{self, RlpError};

/// The largest payload, uncompressed. The specification allows 16 MiB; nothing that we speak needs more than this.
pub const MAX_MESSAGE_SIZE: usize = 10 * 1024 * 1024;

/// The largest payload as it can come, compressed: what Snappy makes of incompressible data at its worst.
pub const MAX_COMPRESSED_SIZE: usize = 32 + MAX_MESSAGE_SIZE + MAX_MESSAGE_SIZE / 6;

/// Snappy's densest element makes 64 bytes of 3. A length that says more than that is a lie, found out before memory
/// is taken for it.
const MAX_EXPANSION: usize = 22;

/// Why a frame's data is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No canonical message id at the start.
    #[error("bad message id: {0}")]
    Id(RlpError),
    /// The payload is too large, uncompressed.
    #[error("message {id:#x} of {got} bytes, at most {max}")]
    TooLarge {
        /// The message id, absolute.
        id: u64,
        /// The payload's uncompressed length.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Not Snappy.
    #[error("message {id:#x} is not well compressed: {error}")]
    Snappy {
        /// The message id, absolute.
        id: u64,
        /// What the decompressor says.
        error: String,
    },
}

/// A frame's data for a message.
pub fn encode(id: u64, payload: &[u8], snappy: bool) -> BytesMut {
    let mut stream = RlpStream::new_with_buffer(BytesMut::with_capacity(payload.len() + 64));
    stream.append(&id);
    let mut data = stream.out();
    if snappy {
        let start = data.len();
        data.resize(start + snap::raw::max_compress_len(payload.len()), 0);
        // Cannot fail: the room is what it asks for, and a payload is far from 4 GiB.
        let len = snap::raw::Encoder::new().compress(payload, &mut data[start..]).unwrap_or(0);
        data.truncate(start + len);
    } else {
        data.extend_from_slice(payload);
    }
    data
}

/// Takes a frame's data apart into the message's id and its uncompressed payload of at most `max` bytes. The length
/// is checked before memory is taken.
pub fn decode(data: Bytes, snappy: bool, max: usize) -> Result<(u64, Bytes), MessageError> {
    let (item, rest) = strict::split(&data).map_err(MessageError::Id)?;
    let id = item.uint().map_err(MessageError::Id)?;
    let payload = data.slice_ref(rest);
    if !snappy {
        check(id, payload.len(), max)?;
        return Ok((id, payload));
    }
    let failed = |error: snap::Error| MessageError::Snappy { id, error: error.to_string() };
    let len = snap::raw::decompress_len(&payload).map_err(failed)?;
    check(id, len, max)?;
    if len > payload.len().saturating_mul(MAX_EXPANSION) {
        let error = format!("{} bytes cannot hold {len}", payload.len());
        return Err(MessageError::Snappy { id, error });
    }
    let payload = snap::raw::Decoder::new().decompress_vec(&payload).map_err(failed)?;
    Ok((id, payload.into()))
}

fn check(id: u64, got: usize, max: usize) -> Result<(), MessageError> {
    if got > max { Err(MessageError::TooLarge { id, got, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(raw: &[u8]) -> Bytes {
        Bytes::copy_from_slice(raw)
    }

    #[test]
    fn the_limit_is_checked_before_decompressing() {
        // A length of 2^32 - 1, of 10 MiB + 1, and of 1 MiB in a few bytes.
        for (lie, too_large) in [
            (&[0xff, 0xff, 0xff, 0xff, 0x0f, 0][..], true),
            (&[0x81, 0x80, 0x80, 0x05, 0], true),
            (&[0x80, 0x80, 0x40, 0], false),
        ] {
            let mut data = vec![0x10];
            data.extend_from_slice(lie);
            match decode(bytes(&data), true, MAX_MESSAGE_SIZE).unwrap_err() {
                MessageError::TooLarge { .. } => assert!(too_large),
                MessageError::Snappy { error, .. } => assert!(!too_large && error.contains("cannot hold"), "{error}"),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn the_largest_message_fits_and_one_more_byte_does_not() {
        for fill in [0, 1] {
            let mut payload = vec![0; MAX_MESSAGE_SIZE];
            if fill == 1 {
                rand::RngCore::fill_bytes(&mut rand::rng(), &mut payload);
            }
            for snappy in [false, true] {
                let data = encode(0x10, &payload, snappy).freeze();
                assert!(data.len() <= MAX_COMPRESSED_SIZE + 1);
                assert_eq!(decode(data, snappy, MAX_MESSAGE_SIZE).unwrap(), (0x10, Bytes::from(payload.clone())));
                let longer = encode(0x10, &[&payload[..], &[0]].concat(), snappy).freeze();
                let error = decode(longer, snappy, MAX_MESSAGE_SIZE).unwrap_err();
                assert!(matches!(error, MessageError::TooLarge { got, .. } if got == MAX_MESSAGE_SIZE + 1));
            }
        }
    }

    #[test]
    fn ids_are_canonical_integers() {
        for (id, first) in [(0, 0x80), (1, 1), (0x7f, 0x7f), (0x80, 0x81), (0x1234, 0x82)] {
            let data = encode(id, &[0xc0], false);
            assert_eq!(data[0], first);
            assert_eq!(decode(data.freeze(), false, 10).unwrap(), (id, bytes(&[0xc0])));
        }
        for bad in [
            &[][..],
            &[0x00, 0xc0],
            &[0x81, 0x01, 0xc0],
            &[0xc0],
            &[0x82, 0, 1],
            &[0x82],
            &[0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        ] {
            assert!(matches!(decode(bytes(bad), false, 10), Err(MessageError::Id(_))), "{bad:?}");
        }
    }

    #[test]
    fn an_empty_payload_is_not_snappy() {
        assert!(matches!(decode(bytes(&[0x10]), true, 10), Err(MessageError::Snappy { .. })));
        assert_eq!(decode(encode(0x10, &[], true).freeze(), true, 10).unwrap().1.len(), 0);
    }

    proptest! {
        #[test]
        fn comes_back(id in any::<u64>(), payload in proptest::collection::vec(any::<u8>(), 0..2000), snappy in any::<bool>()) {
            let data = encode(id, &payload, snappy).freeze();
            prop_assert_eq!(decode(data, snappy, 2000), Ok((id, Bytes::from(payload))));
        }

        #[test]
        fn noise_never_panics(raw in proptest::collection::vec(any::<u8>(), 0..200), snappy in any::<bool>()) {
            if let Ok((_, payload)) = decode(bytes(&raw), snappy, 1000) {
                prop_assert!(payload.len() <= 1000);
            }
        }

        #[test]
        fn a_damaged_message_never_panics(at in any::<prop::sample::Index>(), with in any::<u8>()) {
            let mut data = encode(0x10, &b"rushlight ".repeat(50), true);
            let at = at.index(data.len());
            data[at] = with;
            let _ = decode(data.freeze(), true, 4096);
        }
    }
}
