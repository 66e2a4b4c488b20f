//! ECIES as RLPx has it: an ephemeral secp256k1 key, AES-128-CTR, HMAC-SHA256.
//!
//! `R (65) || iv (16) || ciphertext || tag (32)`. Nothing is padded, and the tag is checked, in constant time, before
//! anything is deciphered; every failure past the public key looks the same to the sender.

use aes::Aes128;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit as _, StreamCipher as _},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{CryptoRng, RngCore};
use secp256k1::{PublicKey, SecretKey, ecdh};
use sha2::{Digest as _, Sha256};

use super::random_key;

const KEY_LEN: usize = 65;
const IV_LEN: usize = 16;
const TAG_LEN: usize = 32;

/// How much longer the encrypted form is.
pub const OVERHEAD: usize = KEY_LEN + IV_LEN + TAG_LEN;

/// Why bytes could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EciesError {
    /// Shorter than [`OVERHEAD`].
    #[error("an encrypted packet has at least {OVERHEAD} bytes, got {got}")]
    TooShort {
        /// The packet's length.
        got: usize,
    },
    /// It does not start with a public key.
    #[error("the packet does not start with a public key")]
    PublicKey,
    /// The tag is wrong: damaged, or encrypted to another key.
    #[error("the packet's tag is wrong: damaged, or meant for another key")]
    Tag,
}

struct Keys {
    encryption: [u8; 16],
    /// `sha256(k_M)`.
    authentication: [u8; 32],
}

/// One round of the concatenation KDF of NIST SP 800-56 gives the 32 bytes that are needed.
fn derive(public: &PublicKey, secret: &SecretKey) -> Keys {
    let shared = x_coordinate(public, secret);
    let material = Sha256::new().chain_update(1u32.to_be_bytes()).chain_update(shared).finalize();
    let mut encryption = [0; 16];
    encryption.copy_from_slice(&material[..16]);
    Keys { encryption, authentication: Sha256::digest(&material[16..]).into() }
}

/// `ecdh.agree`: the x coordinate of the shared point.
pub(crate) fn x_coordinate(public: &PublicKey, secret: &SecretKey) -> [u8; 32] {
    let point = ecdh::shared_secret_point(public, secret);
    let mut x = [0; 32];
    x.copy_from_slice(&point[..32]);
    x
}

fn tag(keys: &Keys, iv_and_ciphertext: &[u8], auth_data: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new(&hmac_key(&keys.authentication)).chain_update(iv_and_ciphertext).chain_update(auth_data)
}

/// HMAC pads a key shorter than the hash's block with zeros.
fn hmac_key(key: &[u8; 32]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..32].copy_from_slice(key);
    block
}

/// Encrypts `plain` to the holder of `public`; `auth_data` is covered by the tag and not part of the result.
pub fn encrypt<R: RngCore + CryptoRng>(rng: &mut R, public: &PublicKey, plain: &[u8], auth_data: &[u8]) -> Vec<u8> {
    let ephemeral = random_key(rng);
    let keys = derive(public, &ephemeral);
    let mut iv = [0; IV_LEN];
    rng.fill_bytes(&mut iv);
    let mut out = Vec::with_capacity(OVERHEAD + plain.len());
    out.extend_from_slice(&PublicKey::from_secret_key_global(&ephemeral).serialize_uncompressed());
    out.extend_from_slice(&iv);
    out.extend_from_slice(plain);
    Ctr128BE::<Aes128>::new(&keys.encryption.into(), &iv.into()).apply_keystream(&mut out[KEY_LEN + IV_LEN..]);
    let tag = tag(&keys, &out[KEY_LEN..], auth_data).finalize().into_bytes();
    out.extend_from_slice(&tag);
    out
}

/// Decrypts what was encrypted to `secret`'s public key with the same `auth_data`.
pub fn decrypt(secret: &SecretKey, packet: &[u8], auth_data: &[u8]) -> Result<Vec<u8>, EciesError> {
    if packet.len() < OVERHEAD {
        return Err(EciesError::TooShort { got: packet.len() });
    }
    let (key, rest) = packet.split_at(KEY_LEN);
    let (covered, expected) = rest.split_at(rest.len() - TAG_LEN);
    let (iv, ciphertext) = covered.split_at(IV_LEN);
    let key: [u8; KEY_LEN] = key.try_into().map_err(|_| EciesError::PublicKey)?;
    // The hybrid encodings (0x06, 0x07) that the library reads as well are no part of ECIES.
    let public = match key[0] {
        4 => PublicKey::from_byte_array_uncompressed(key).map_err(|_| EciesError::PublicKey)?,
        _ => return Err(EciesError::PublicKey),
    };
    let keys = derive(&public, secret);
    tag(&keys, covered, auth_data).verify_slice(expected).map_err(|_| EciesError::Tag)?;
    let iv: [u8; IV_LEN] = iv.try_into().map_err(|_| EciesError::TooShort { got: packet.len() })?;
    let mut plain = ciphertext.to_vec();
    Ctr128BE::<Aes128>::new(&keys.encryption.into(), &iv.into()).apply_keystream(&mut plain);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn pair(seed: u64) -> (StdRng, SecretKey, PublicKey) {
        let mut rng = StdRng::seed_from_u64(seed);
        let secret = random_key(&mut rng);
        let public = PublicKey::from_secret_key_global(&secret);
        (rng, secret, public)
    }

    #[test]
    fn every_bit_is_covered() {
        let (mut rng, secret, public) = pair(1);
        let packet = encrypt(&mut rng, &public, b"attack at dawn", b"ad");
        assert_eq!(decrypt(&secret, &packet, b"ad").unwrap(), b"attack at dawn");
        assert_eq!(decrypt(&secret, &packet, b"ae"), Err(EciesError::Tag));
        assert_eq!(decrypt(&random_key(&mut rng), &packet, b"ad"), Err(EciesError::Tag));
        for at in 0..packet.len() {
            let mut damaged = packet.clone();
            damaged[at] ^= 1;
            let error = decrypt(&secret, &damaged, b"ad").unwrap_err();
            assert_eq!(error, if at < KEY_LEN { EciesError::PublicKey } else { EciesError::Tag }, "byte {at}");
            assert!(decrypt(&secret, &packet[..at], b"ad").is_err());
        }
    }

    proptest! {
        #[test]
        fn comes_back(seed in any::<u64>(), plain in proptest::collection::vec(any::<u8>(), 0..600)) {
            let (mut rng, secret, public) = pair(seed);
            let packet = encrypt(&mut rng, &public, &plain, b"x");
            prop_assert_eq!(packet.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(decrypt(&secret, &packet, b"x"), Ok(plain));
        }

        #[test]
        fn noise_never_panics(packet in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (_, secret, _) = pair(2);
            prop_assert!(decrypt(&secret, &packet, b"").is_err());
        }
    }
}
