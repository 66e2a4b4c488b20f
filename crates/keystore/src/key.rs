//! A private key in memory.

use std::fmt;

use alloy_primitives::{Address, keccak256};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use zeroize::Zeroizing;

/// A password, erased when it is dropped: any bytes, as scripts and other programs may have given it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// The bytes that the key is derived from.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Password {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The private key of an account, erased when it is dropped.
pub struct UnlockedKey {
    secret: SecretKey,
    address: Address,
}

impl UnlockedKey {
    /// Takes a key over.
    pub fn new(secret: SecretKey) -> Self {
        let public = PublicKey::from_secret_key(SECP256K1, &secret).serialize_uncompressed();
        let hash = keccak256(public.split_first().map_or(&[][..], |(_, point)| point));
        Self { secret, address: Address::from_word(hash) }
    }

    /// A key of 32 bytes; nothing where they are no scalar of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SecretKey::from_byte_array(*bytes).ok().map(Self::new)
    }

    /// A new key from the system's random bytes.
    ///
    /// # Errors
    /// The system gives none.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(&mut *bytes)?;
            if let Some(key) = Self::from_bytes(&bytes) {
                return Ok(key);
            }
        }
    }

    /// Whose key it is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The scalar itself. A copy of it is the caller's to erase.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.secret_bytes())
    }
}

impl Drop for UnlockedKey {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for UnlockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnlockedKey").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, hex};

    use super::*;

    #[test]
    fn addresses() {
        let bytes = hex!("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        let key = UnlockedKey::from_bytes(&bytes).unwrap();
        assert_eq!(key.address(), address!("fcad0b19bb29d4674531d6f115237e16afce377c"));
        assert!(UnlockedKey::from_bytes(&[0; 32]).is_none());
        assert!(UnlockedKey::from_bytes(&[0xff; 32]).is_none());
        assert_ne!(UnlockedKey::random().unwrap().address(), UnlockedKey::random().unwrap().address());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let key = UnlockedKey::from_bytes(&[0x11; 32]).unwrap();
        assert!(!format!("{key:?}").contains("1111111111"));
        assert_eq!(format!("{:?}", Password::from("hunter2")), "Password(…)");
    }
}
