//! The handshake's two packets and the secrets that come of them.
//!
//! Both packets exist in two forms: the one of EIP-8 (a size, then an encrypted RLP list with padding after it), and the
//! one before it, of a fixed length. We write EIP-8's, answer an old auth with an old ack, and read both.

use keccak_asm::{Digest as _, Keccak256};
use rand::{CryptoRng, Rng as _, RngCore};
use rlp::RlpStream;
use secp256k1::{
    Message, PublicKey, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use super::{
    ecies::{self, EciesError, x_coordinate},
    random_key,
};
use crate::{
    id::PeerId,
    wire::{RlpError, strict},
};

/// The largest packet in EIP-8's form, without its size. Real ones have up to 700 bytes; the rest is for what later
/// versions may add.
pub const MAX_PACKET_SIZE: usize = 4096;

/// An old auth: `ecies(signature (65) || keccak(ephemeral key) (32) || static key (64) || nonce (32) || 0x00)`.
pub const OLD_AUTH_LEN: usize = 194 + ecies::OVERHEAD;

/// An old ack: `ecies(ephemeral key (64) || nonce (32) || 0x00)`.
pub const OLD_ACK_LEN: usize = 97 + ecies::OVERHEAD;

/// The version in our packets.
const VERSION: u64 = 4;

/// The form of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The one before EIP-8.
    Old,
    /// EIP-8's.
    Eip8,
}

/// What the initiator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// By the ephemeral key, over `static-shared-secret ^ nonce`; 64 bytes and the recovery id.
    pub signature: [u8; 65],
    /// The initiator's identity.
    pub id: PeerId,
    /// Random.
    pub nonce: [u8; 32],
    /// Says nothing: a mismatch is ignored.
    pub version: u64,
}

/// What the recipient says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The recipient's ephemeral public key.
    pub ephemeral: PeerId,
    /// Random.
    pub nonce: [u8; 32],
    /// Says nothing: a mismatch is ignored.
    pub version: u64,
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The packet's size is out of range.
    #[error("a handshake packet has {min} to {max} bytes, got {got}", min = ecies::OVERHEAD, max = MAX_PACKET_SIZE)]
    Size {
        /// The size that stands before it.
        got: usize,
    },
    /// The packet has another length than the size that stands before it.
    #[error("the handshake packet has {got} bytes after its size of {expected}")]
    Incomplete {
        /// The size that stands before it.
        expected: usize,
        /// How many bytes there are.
        got: usize,
    },
    /// It could not be decrypted.
    #[error(transparent)]
    Ecies(#[from] EciesError),
    /// It is no list of the right items.
    #[error(transparent)]
    Rlp(#[from] RlpError),
    /// An identity or ephemeral key is not a point of the curve.
    #[error("the {what} is not a public key")]
    PublicKey {
        /// Which key.
        what: &'static str,
    },
    /// The signature gives no public key.
    #[error("the signature of the ephemeral key is invalid")]
    Signature,
}

/// How many bytes a packet has in all that starts with these two, and whether it may be of the old form, which has
/// `old_len`: that one starts with an uncompressed public key, and so with 4.
pub fn packet_len(start: [u8; 2], old_len: usize) -> Result<(usize, Option<usize>), HandshakeError> {
    let size = usize::from(u16::from_be_bytes(start));
    let old = (start[0] == 4).then_some(old_len);
    if (ecies::OVERHEAD..=MAX_PACKET_SIZE).contains(&size) {
        Ok((2 + size, old))
    } else {
        Err(HandshakeError::Size { got: size })
    }
}

/// Decrypts a packet of EIP-8's form. What comes after the list is padding.
fn open<'a>(key: &SecretKey, packet: &[u8], plain: &'a mut Vec<u8>) -> Result<strict::Item<'a>, HandshakeError> {
    let Some((size, body)) = packet.split_first_chunk::<2>() else {
        return Err(HandshakeError::Incomplete { expected: 2, got: packet.len() });
    };
    let (len, _) = packet_len(*size, 0)?;
    if packet.len() != len {
        return Err(HandshakeError::Incomplete { expected: len - 2, got: body.len() });
    }
    *plain = ecies::decrypt(key, body, size)?;
    let (list, _padding) = strict::split(plain)?;
    Ok(list)
}

/// Encrypts a list into a packet of EIP-8's form, with 100 to 300 bytes of padding: EIP-8 asks for at least 100, so that
/// no packet has the length of the old form, and for a random amount.
fn seal<R: RngCore + CryptoRng>(rng: &mut R, remote: &PublicKey, list: RlpStream) -> Vec<u8> {
    let mut plain = list.out().to_vec();
    let padding = rng.random_range(100..=300);
    plain.resize(plain.len() + padding, 0);
    let size = ((plain.len() + ecies::OVERHEAD) as u16).to_be_bytes();
    let mut packet = size.to_vec();
    packet.extend_from_slice(&ecies::encrypt(rng, remote, &plain, &size));
    packet
}

impl Auth {
    /// The packet, in EIP-8's form, for the node with the key `remote`.
    pub fn encode<R: RngCore + CryptoRng>(&self, rng: &mut R, remote: &PublicKey) -> Vec<u8> {
        let mut list = RlpStream::new_list(4);
        list.append(&self.signature.as_slice())
            .append(&self.id.0.as_slice())
            .append(&self.nonce.as_slice())
            .append(&self.version);
        seal(rng, remote, list)
    }

    /// Reads a packet of either form. Further list elements and the version are ignored, as EIP-8 asks.
    pub fn decode(key: &SecretKey, packet: &[u8]) -> Result<(Auth, Form), HandshakeError> {
        if let Some(plain) = old(key, packet, OLD_AUTH_LEN) {
            let auth = Auth {
                signature: part(&plain, 0),
                id: PeerId(part(&plain, 97)),
                nonce: part(&plain, 161),
                version: VERSION,
            };
            return Ok((auth, Form::Old));
        }
        let mut plain = Vec::new();
        let items = open(key, packet, &mut plain)?.items()?;
        let [signature, id, nonce, version, ..] = items.as_slice() else {
            return Err(RlpError::Items { expected: "at least 4", got: items.len() }.into());
        };
        let auth = Auth {
            signature: signature.array()?,
            id: PeerId(id.array()?),
            nonce: nonce.array()?,
            version: version.uint()?,
        };
        Ok((auth, Form::Eip8))
    }
}

impl Ack {
    /// The packet, in the given form, for the node with the key `remote`.
    pub fn encode<R: RngCore + CryptoRng>(&self, rng: &mut R, remote: &PublicKey, form: Form) -> Vec<u8> {
        match form {
            Form::Eip8 => {
                let mut list = RlpStream::new_list(3);
                list.append(&self.ephemeral.0.as_slice()).append(&self.nonce.as_slice()).append(&self.version);
                seal(rng, remote, list)
            }
            Form::Old => ecies::encrypt(rng, remote, &[&self.ephemeral.0[..], &self.nonce, &[0]].concat(), &[]),
        }
    }

    /// Reads a packet of either form. Further list elements and the version are ignored, as EIP-8 asks.
    pub fn decode(key: &SecretKey, packet: &[u8]) -> Result<(Ack, Form), HandshakeError> {
        if let Some(plain) = old(key, packet, OLD_ACK_LEN) {
            let ack = Ack { ephemeral: PeerId(part(&plain, 0)), nonce: part(&plain, 64), version: VERSION };
            return Ok((ack, Form::Old));
        }
        let mut plain = Vec::new();
        let items = open(key, packet, &mut plain)?.items()?;
        let [ephemeral, nonce, version, ..] = items.as_slice() else {
            return Err(RlpError::Items { expected: "at least 3", got: items.len() }.into());
        };
        let ack = Ack { ephemeral: PeerId(ephemeral.array()?), nonce: nonce.array()?, version: version.uint()? };
        Ok((ack, Form::Eip8))
    }
}

/// The content of a packet of the old form, if it is one.
fn old(key: &SecretKey, packet: &[u8], len: usize) -> Option<Vec<u8>> {
    (packet.len() == len && packet[0] == 4).then(|| ecies::decrypt(key, packet, &[]).ok()).flatten()
}

fn part<const N: usize>(plain: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&plain[at..at + N]);
    part
}

fn xor(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What a session's frames are encrypted and authenticated with.
pub struct Secrets {
    /// The key of both directions' AES-256-CTR.
    pub aes: [u8; 32],
    /// The key of the AES-256 within the MAC.
    pub mac: [u8; 32],
    /// The MAC's state of what we send.
    pub egress: Keccak256,
    /// The MAC's state of what we receive.
    pub ingress: Keccak256,
}

/// Which side one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Opened the connection.
    Initiator,
    /// Accepted it.
    Recipient,
}

/// One side's ephemeral key and nonce.
pub struct Ephemeral {
    /// Thrown away once the secrets are derived.
    pub key: SecretKey,
    /// Random.
    pub nonce: [u8; 32],
}

impl Ephemeral {
    /// New ones.
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Ephemeral {
        let key = random_key(rng);
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        Ephemeral { key, nonce }
    }

    fn public(&self) -> PeerId {
        PeerId::of(&self.key)
    }

    /// The initiator's packet.
    pub fn auth(&self, key: &SecretKey, remote: &PublicKey) -> Auth {
        let digest = xor(x_coordinate(remote, key), self.nonce);
        let (recovery, compact) =
            SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest), &self.key).serialize_compact();
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&compact);
        signature[64] = recovery as u8;
        Auth { signature, id: PeerId::of(key), nonce: self.nonce, version: VERSION }
    }

    /// The recipient's packet.
    pub fn ack(&self) -> Ack {
        Ack { ephemeral: self.public(), nonce: self.nonce, version: VERSION }
    }

    /// The secrets, given the other side's ephemeral key and nonce and both packets as they went over the wire.
    pub fn secrets(
        &self,
        role: Role,
        remote_ephemeral: &PublicKey,
        remote_nonce: [u8; 32],
        auth: &[u8],
        ack: &[u8],
    ) -> Secrets {
        let (initiator_nonce, recipient_nonce) = match role {
            Role::Initiator => (self.nonce, remote_nonce),
            Role::Recipient => (remote_nonce, self.nonce),
        };
        let ephemeral = x_coordinate(remote_ephemeral, &self.key);
        let shared = keccak(&[&ephemeral, &keccak(&[&recipient_nonce, &initiator_nonce])]);
        let aes = keccak(&[&ephemeral, &shared]);
        let mac = keccak(&[&ephemeral, &aes]);
        let state = |nonce, packet: &[u8]| Keccak256::new().chain_update(xor(mac, nonce)).chain_update(packet);
        let from_initiator = state(recipient_nonce, auth);
        let from_recipient = state(initiator_nonce, ack);
        let (egress, ingress) = match role {
            Role::Initiator => (from_initiator, from_recipient),
            Role::Recipient => (from_recipient, from_initiator),
        };
        Secrets { aes, mac, egress, ingress }
    }
}

/// The initiator's static and ephemeral public keys, as its auth gives them to the holder of `key`.
pub fn check_auth(key: &SecretKey, auth: &Auth) -> Result<(PublicKey, PublicKey), HandshakeError> {
    let remote = auth.id.public_key().ok_or(HandshakeError::PublicKey { what: "initiator's identity" })?;
    let digest = xor(x_coordinate(&remote, key), auth.nonce);
    let recovery = RecoveryId::try_from(i32::from(auth.signature[64])).map_err(|_| HandshakeError::Signature)?;
    let ephemeral = RecoverableSignature::from_compact(&auth.signature[..64], recovery)
        .and_then(|signature| SECP256K1.recover_ecdsa(Message::from_digest(digest), &signature))
        .map_err(|_| HandshakeError::Signature)?;
    Ok((remote, ephemeral))
}

/// The recipient's ephemeral public key, as its ack gives it.
pub fn check_ack(ack: &Ack) -> Result<PublicKey, HandshakeError> {
    ack.ephemeral.public_key().ok_or(HandshakeError::PublicKey { what: "recipient's ephemeral key" })
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
