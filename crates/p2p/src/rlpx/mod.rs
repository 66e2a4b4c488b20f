//! RLPx: an encrypted, authenticated stream of frames.
//!
//! - [`ecies`]: the public-key encryption of the handshake's two packets;
//! - [`handshake`]: those packets, auth and ack, in the form of EIP-8 and in the one before it, and the session's
//!   [`Secrets`](handshake::Secrets);
//! - [`frame`]: frame ciphers and MACs;
//! - [`stream`]: the only part with I/O, which reads and writes frames.
//!
//! Specification: <https://github.com/ethereum/devp2p/blob/master/rlpx.md>, EIP-8.

pub mod ecies;
pub mod frame;
pub mod handshake;
pub mod stream;

use rand::{CryptoRng, RngCore};
use secp256k1::SecretKey;

/// A new key from the given randomness.
pub(crate) fn random_key<R: RngCore + CryptoRng>(rng: &mut R) -> SecretKey {
    loop {
        let mut raw = [0; 32];
        rng.fill_bytes(&mut raw);
        // Fails for zero and numbers past the group's order, with a chance of 2^-128.
        if let Ok(key) = SecretKey::from_byte_array(raw) {
            return key;
        }
    }
}
