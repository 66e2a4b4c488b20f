//! Frames: `header (16) || header MAC (16) || body, padded to 16 || body MAC (16)`.

use aes::{Aes256, cipher::BlockCipherEncrypt as _};
use bytes::{Bytes, BytesMut};
use ctr::{
    Ctr128BE,
    cipher::{KeyInit as _, KeyIvInit as _, StreamCipher as _},
};
use keccak_asm::{Digest as _, Keccak256};

use super::handshake::Secrets;

/// What a frame's 24-bit size can say.
pub const MAX_FRAME_SIZE: usize = 0xff_ffff;

const HEADER_LEN: usize = 32;
const MAC_LEN: usize = 16;

/// The header's data: `[capability-id, context-id]`, both always zero.
const HEADER_DATA: [u8; 3] = [0xc2, 0x80, 0x80];

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header's MAC is wrong.
    #[error("the frame header's MAC is wrong")]
    HeaderMac,
    /// The body's MAC is wrong.
    #[error("the frame body's MAC is wrong")]
    BodyMac,
    /// Larger than this reader takes, known from the header alone.
    #[error("a frame of {got} bytes, at most {max}")]
    TooLarge {
        /// The frame's size.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// It holds nothing, not even a message id.
    #[error("an empty frame")]
    Empty,
}

type Ctr = Ctr128BE<Aes256>;

/// The two directions share the key and start at the same counter: RLPx has no nonce of its own here.
fn cipher(key: &[u8; 32]) -> Ctr {
    Ctr::new(key.into(), &[0; 16].into())
}

struct Mac {
    state: Keccak256,
    cipher: Aes256,
}

impl Mac {
    fn new(key: &[u8; 32], state: Keccak256) -> Mac {
        Mac { state, cipher: Aes256::new(key.into()) }
    }

    fn digest(&self) -> [u8; MAC_LEN] {
        let full: [u8; 32] = self.state.clone().finalize().into();
        std::array::from_fn(|i| full[i])
    }

    fn mix(&mut self, with: [u8; MAC_LEN]) -> [u8; MAC_LEN] {
        let mut block = self.digest().into();
        self.cipher.encrypt_block(&mut block);
        let seed: [u8; MAC_LEN] = std::array::from_fn(|i| block[i] ^ with[i]);
        self.state.update(seed);
        self.digest()
    }

    fn header(&mut self, ciphertext: [u8; 16]) -> [u8; MAC_LEN] {
        self.mix(ciphertext)
    }

    fn body(&mut self, ciphertext: &[u8]) -> [u8; MAC_LEN] {
        self.state.update(ciphertext);
        let seed = self.digest();
        self.mix(seed)
    }
}

fn padded(size: usize) -> usize {
    size.next_multiple_of(16)
}

/// In constant time, though a connection ends with the first MAC that is wrong.
fn equal(a: &[u8; MAC_LEN], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Both directions of a session.
pub fn codec(secrets: Secrets) -> (FrameEncoder, FrameDecoder) {
    let encoder = FrameEncoder { cipher: cipher(&secrets.aes), mac: Mac::new(&secrets.mac, secrets.egress) };
    let decoder =
        FrameDecoder { cipher: cipher(&secrets.aes), mac: Mac::new(&secrets.mac, secrets.ingress), body: None };
    (encoder, decoder)
}

/// Makes frames.
pub struct FrameEncoder {
    cipher: Ctr,
    mac: Mac,
}

impl FrameEncoder {
    /// Appends a frame with this data, of 1 to [`MAX_FRAME_SIZE`] bytes, to `out`.
    pub fn encode(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), FrameError> {
        let size = data.len();
        if size == 0 {
            return Err(FrameError::Empty);
        }
        if size > MAX_FRAME_SIZE {
            return Err(FrameError::TooLarge { got: size, max: MAX_FRAME_SIZE });
        }
        let mut header = [0; 16];
        header[..3].copy_from_slice(&(size as u32).to_be_bytes()[1..]);
        header[3..6].copy_from_slice(&HEADER_DATA);
        self.cipher.apply_keystream(&mut header);
        out.reserve(HEADER_LEN + padded(size) + MAC_LEN);
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.mac.header(header));
        let start = out.len();
        out.extend_from_slice(data);
        out.resize(start + padded(size), 0);
        self.cipher.apply_keystream(&mut out[start..]);
        let mac = self.mac.body(&out[start..]);
        out.extend_from_slice(&mac);
        Ok(())
    }
}

/// Takes frames apart.
pub struct FrameDecoder {
    cipher: Ctr,
    mac: Mac,
    /// The size of the body that is awaited, once its header has been read.
    body: Option<usize>,
}

impl FrameDecoder {
    /// Takes a frame's data off the front of `buffer`, or gives `None` where more bytes are needed
    /// ([`FrameDecoder::missing`]). A frame larger than `max` is refused by its header. After an error the stream is lost.
    pub fn decode(&mut self, buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, FrameError> {
        let size = match self.body {
            Some(size) => size,
            None => {
                if buffer.len() < HEADER_LEN {
                    return Ok(None);
                }
                let raw = buffer.split_to(HEADER_LEN);
                let mut header: [u8; 16] = std::array::from_fn(|i| raw[i]);
                if !equal(&self.mac.header(header), &raw[16..]) {
                    return Err(FrameError::HeaderMac);
                }
                self.cipher.apply_keystream(&mut header);
                let size = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
                if size == 0 {
                    return Err(FrameError::Empty);
                }
                if size > max {
                    return Err(FrameError::TooLarge { got: size, max });
                }
                *self.body.insert(size)
            }
        };
        if buffer.len() < padded(size) + MAC_LEN {
            return Ok(None);
        }
        let mut body = buffer.split_to(padded(size));
        let mac = buffer.split_to(MAC_LEN);
        if !equal(&self.mac.body(&body), &mac) {
            return Err(FrameError::BodyMac);
        }
        self.cipher.apply_keystream(&mut body);
        body.truncate(size);
        self.body = None;
        Ok(Some(body.freeze()))
    }

    /// How many bytes the buffer must hold before the next call can get further.
    pub fn missing(&self) -> usize {
        self.body.map_or(HEADER_LEN, |size| padded(size) + MAC_LEN)
    }

    /// The size of the frame whose header has been read and whose body has not.
    pub fn body(&self) -> Option<usize> {
        self.body
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
