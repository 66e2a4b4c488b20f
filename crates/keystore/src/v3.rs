//! One key file: Web3 Secret Storage, version 3.
//!
//! The password derives 32 bytes; the first 16 are the key of AES-128 in counter mode over the private key, the last 16
//! with the ciphertext after them are what the MAC is the Keccak-256 of.

use aes::Aes128;
use alloy_primitives::{Address, hex, keccak256};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit as _, StreamCipher as _},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    error::{FieldError, FileError, KeystoreError, OpenError},
    kdf::{KEY_LEN, Kdf, Scrypt},
    key::{Password, UnlockedKey},
};

/// No key file is longer: geth's have 491 bytes, others add a few fields of their own.
pub(crate) const MAX_FILE: usize = 64 << 10;

/// The version of the format, the only one.
const VERSION: u64 = 3;

/// A key file, read and found to be one; whether it opens only a password can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    address: Option<Address>,
    id: Uuid,
    kdf: Kdf,
    iv: [u8; 16],
    ciphertext: Vec<u8>,
    mac: [u8; 32],
}

/// The file as JSON. Field names in the case of other writers too: go-ethereum reads them so.
#[derive(Deserialize)]
struct Json {
    #[serde(default, alias = "Address")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(alias = "Id")]
    id: String,
    #[serde(alias = "Version")]
    version: Value,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParams {
    dklen: u64,
    salt: String,
    n: Option<u64>,
    r: Option<u64>,
    p: Option<u64>,
    c: Option<u64>,
    prf: Option<String>,
}

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with what was expected. Parameters that would cost too much are refused here, before
    /// anything is worked out.
    pub fn parse(json: &[u8]) -> Result<Self, FileError> {
        if json.len() > MAX_FILE {
            return Err(FileError::TooLong { got: json.len(), max: MAX_FILE });
        }
        let json: Json = serde_json::from_slice(json)?;
        if json.version != VERSION {
            return Err(FileError::Version { got: FieldError::new("version", "3", &json.version).got });
        }
        if json.crypto.cipher != "aes-128-ctr" {
            return Err(FileError::Cipher { got: FieldError::new("cipher", "", &json.crypto.cipher).got });
        }
        Ok(Self {
            address: json.address.as_deref().map(address).transpose()?,
            id: json.id.parse().map_err(|_| FieldError::new("id", "a UUID", &json.id))?,
            kdf: kdf(&json.crypto.kdf, json.crypto.kdfparams)?,
            iv: fixed("crypto.cipherparams.iv", &json.crypto.cipherparams.iv)?,
            ciphertext: bytes("crypto.ciphertext", &json.crypto.ciphertext)?,
            mac: fixed("crypto.mac", &json.crypto.mac)?,
        })
    }

    /// Locks a key up under a password: with a new salt, a new counter and a new id.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn seal(key: &UnlockedKey, password: &Password, cost: Scrypt) -> Result<Self, KeystoreError> {
        let (mut salt, mut iv) = (vec![0; 32], [0; 16]);
        for bytes in [&mut salt[..], &mut iv[..]] {
            getrandom::fill(bytes).map_err(|error| KeystoreError::Random(error.to_string()))?;
        }
        let kdf = Kdf::Scrypt { cost, salt };
        // The constants are parameters of scrypt; the error has no other way to come about.
        let derived = kdf.derive(password).map_err(|error| KeystoreError::Random(error.to_string()))?;
        let mut ciphertext = key.to_bytes().to_vec();
        cipher(&derived, &iv).apply_keystream(&mut ciphertext);
        let mac = mac(&derived, &ciphertext);
        Ok(Self { address: Some(key.address()), id: Uuid::new_v4(), kdf, iv, ciphertext, mac })
    }

    /// The same under the id of another file, whose place it takes.
    pub(crate) fn replacing(self, old: &Self) -> Self {
        Self { id: old.id, ..self }
    }

    /// The address that the file says; none where it says none.
    pub fn address(&self) -> Option<Address> {
        self.address
    }

    /// The key in it: takes a second with geth's parameters, and up to ten with those that are accepted at all.
    ///
    /// # Errors
    /// [`KeystoreError::Decrypt`] where the password is wrong; the key is not one, or that of another address.
    pub fn open(&self, password: &Password) -> Result<UnlockedKey, OpenError> {
        let plain = self.decrypt(password)?;
        let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| {
            FieldError::new("crypto.ciphertext", "a private key of 32 bytes", format!("{} bytes", plain.len()))
        })?;
        let key = UnlockedKey::from_bytes(bytes).ok_or_else(|| {
            FieldError::new("crypto.ciphertext", "a private key of secp256k1", "a number that is none")
        })?;
        match self.address {
            Some(want) if want != key.address() => Err(OpenError::Mismatch { have: key.address(), want }),
            _ => Ok(key),
        }
    }

    fn decrypt(&self, password: &Password) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let derived = self.kdf.derive(password)?;
        if !same(&mac(&derived, &self.ciphertext), &self.mac) {
            return Err(OpenError::Decrypt);
        }
        let mut plain = Zeroizing::new(self.ciphertext.clone());
        cipher(&derived, &self.iv).apply_keystream(&mut plain);
        Ok(plain)
    }

    /// The file's bytes, its fields in geth's order.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct File<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            address: Option<String>,
            crypto: Crypto<'a>,
            id: String,
            version: u64,
        }
        #[derive(Serialize)]
        struct Crypto<'a> {
            cipher: &'a str,
            ciphertext: String,
            cipherparams: CipherParams,
            kdf: &'a str,
            kdfparams: Value,
            mac: String,
        }
        #[derive(Serialize)]
        struct CipherParams {
            iv: String,
        }
        let (kdf, kdfparams) = match &self.kdf {
            Kdf::Scrypt { cost, salt } => (
                "scrypt",
                serde_json::json!({
                    "dklen": KEY_LEN, "n": cost.n(), "p": cost.p(), "r": cost.r(), "salt": hex::encode(salt)
                }),
            ),
            Kdf::Pbkdf2 { iterations, salt } => (
                "pbkdf2",
                serde_json::json!({
                    "c": iterations, "dklen": KEY_LEN, "prf": "hmac-sha256", "salt": hex::encode(salt)
                }),
            ),
        };
        let file = File {
            address: self.address.map(hex::encode),
            crypto: Crypto {
                cipher: "aes-128-ctr",
                ciphertext: hex::encode(&self.ciphertext),
                cipherparams: CipherParams { iv: hex::encode(self.iv) },
                kdf,
                kdfparams,
                mac: hex::encode(self.mac),
            },
            id: self.id.to_string(),
            version: VERSION,
        };
        // Strings and numbers: there is nothing that could fail to be JSON.
        serde_json::to_vec(&file).unwrap_or_default()
    }
}

fn kdf(name: &str, params: KdfParams) -> Result<Kdf, FileError> {
    if !(KEY_LEN as u64..=1024).contains(&params.dklen) {
        return Err(FieldError::new("crypto.kdfparams.dklen", format!("{KEY_LEN} to 1024"), params.dklen).into());
    }
    let salt = bytes("crypto.kdfparams.salt", &params.salt)?;
    let number = |field, value: Option<u64>| value.ok_or_else(|| FieldError::new(field, "a number", "nothing"));
    match name {
        "scrypt" => {
            let n = number("crypto.kdfparams.n", params.n)?;
            let r = number("crypto.kdfparams.r", params.r)?;
            let p = number("crypto.kdfparams.p", params.p)?;
            Ok(Kdf::Scrypt { cost: Scrypt::checked(n, r, p)?, salt })
        }
        "pbkdf2" => {
            let prf = params.prf.unwrap_or_default();
            if prf != "hmac-sha256" {
                return Err(FieldError::new("crypto.kdfparams.prf", "hmac-sha256", prf).into());
            }
            let c = number("crypto.kdfparams.c", params.c)?;
            Ok(Kdf::Pbkdf2 { iterations: Kdf::checked_iterations(c)?, salt })
        }
        _ => Err(FileError::Kdf { got: FieldError::new("kdf", "", name).got }),
    }
}

/// An address: 40 hex digits, with or without 0x before them.
fn address(text: &str) -> Result<Address, FieldError> {
    fixed("address", text).map(Address::new)
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, FieldError> {
    hex::decode(text).map_err(|error| FieldError::new(field, "hex digits", error))
}

fn fixed<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], FieldError> {
    let bytes = bytes(field, text)?;
    let got = bytes.len();
    bytes.try_into().map_err(|_| FieldError::new(field, format!("{N} bytes in hex"), format!("{got} bytes")))
}

fn cipher(derived: &[u8; KEY_LEN], iv: &[u8; 16]) -> Ctr128BE<Aes128> {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    Ctr128BE::<Aes128>::new((&*key).into(), iv.into())
}

fn mac(derived: &[u8; KEY_LEN], ciphertext: &[u8]) -> [u8; 32] {
    let text = Zeroizing::new([&derived[16..], ciphertext].concat());
    keccak256(text.as_slice()).0
}

/// Whether two MACs are equal, in the same time wherever they differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests;
