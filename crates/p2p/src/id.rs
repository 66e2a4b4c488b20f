//! A node's identity: its public key.

use std::{fmt, str::FromStr};

use secp256k1::{PublicKey, SecretKey};
use serde::{Serialize, Serializer};
use sha3::{Digest, Keccak256};

/// A node's identity: its uncompressed secp256k1 public key without the leading 0x04.
///
/// `Display` gives the first eight bytes, which is enough for a log line; [`PeerId::to_hex`] gives all of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub [u8; 64]);

/// Why a text is not a [`PeerId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 128 hexadecimal digits.
    #[error("a node id has 128 hexadecimal digits, got {got} characters")]
    Length {
        /// Characters in the text.
        got: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("a node id has 128 hexadecimal digits, got other characters among them")]
    Digits,
    /// The 64 bytes are not a point of the curve.
    #[error("the node id is not a public key on secp256k1")]
    NotAKey,
}

impl PeerId {
    /// The identity that belongs to a public key.
    pub fn from_public_key(key: &PublicKey) -> PeerId {
        let mut id = [0; 64];
        id.copy_from_slice(&key.serialize_uncompressed()[1..]);
        PeerId(id)
    }

    /// The identity of the node that holds `key`.
    pub fn of(key: &SecretKey) -> PeerId {
        PeerId::from_public_key(&PublicKey::from_secret_key_global(key))
    }

    /// The public key, or `None` where the 64 bytes are not a point of the curve.
    pub fn public_key(&self) -> Option<PublicKey> {
        let mut raw = [4; 65];
        raw[1..].copy_from_slice(&self.0);
        PublicKey::from_byte_array_uncompressed(raw).ok()
    }

    /// All 128 hexadecimal digits, as in an `enode://` URL.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Keccak-256 of the key: what geth calls the node id.
    pub fn node_id(&self) -> [u8; 32] {
        Keccak256::digest(self.0).into()
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..8]))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self}…)")
    }
}

impl FromStr for PeerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<PeerId, IdError> {
        if text.len() != 128 {
            return Err(IdError::Length { got: text.chars().count() });
        }
        let mut id = [0; 64];
        hex::decode_to_slice(text, &mut id).map_err(|_| IdError::Digits)?;
        let id = PeerId(id);
        id.public_key().map(|_| id).ok_or(IdError::NotAKey)
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}
