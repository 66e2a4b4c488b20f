//! Which accounts of a keystore are unlocked.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use crate::{
    error::KeystoreError,
    key::{Password, UnlockedKey},
    store::Keystore,
};

/// A keystore and the keys that were unlocked when the node started; they stay so until it ends.
#[derive(Debug)]
pub struct Wallet {
    keystore: Keystore,
    unlocked: BTreeMap<Address, UnlockedKey>,
}

/// Why there is no key to sign with. geth's words.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// No key file has that address.
    #[error("unknown account")]
    Unknown,
    /// One has, but it is locked.
    #[error("authentication needed: password or unlock")]
    Locked,
    /// The keystore cannot be read.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
}

impl Wallet {
    /// A keystore with these of its keys unlocked.
    pub fn new(keystore: Keystore, unlocked: impl IntoIterator<Item = UnlockedKey>) -> Self {
        Self { keystore, unlocked: unlocked.into_iter().map(|key| (key.address(), key)).collect() }
    }

    /// The addresses of all key files, in the order of their names, each once; locked ones too, as in geth.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn accounts(&self) -> Result<Vec<Address>, KeystoreError> {
        let mut addresses = Vec::new();
        for account in self.keystore.accounts()? {
            if !addresses.contains(&account.address) {
                addresses.push(account.address);
            }
        }
        Ok(addresses)
    }

    /// The addresses of the unlocked accounts.
    pub fn unlocked(&self) -> impl Iterator<Item = Address> {
        self.unlocked.keys().copied()
    }

    /// The key of an unlocked account.
    ///
    /// # Errors
    /// It is locked, or not in the keystore.
    pub fn key(&self, address: Address) -> Result<&UnlockedKey, WalletError> {
        match self.unlocked.get(&address) {
            Some(key) => Ok(key),
            None if self.accounts()?.contains(&address) => Err(WalletError::Locked),
            None => Err(WalletError::Unknown),
        }
    }

    /// The key of any account of the keystore, for who knows its password: a second of work and 256 MiB.
    ///
    /// # Errors
    /// The password is wrong; the account is not in the keystore.
    pub fn open(&self, address: Address, password: &Password) -> Result<UnlockedKey, WalletError> {
        match self.keystore.unlock(address, password) {
            Err(KeystoreError::NoMatch) => Err(WalletError::Unknown),
            opened => Ok(opened?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scrypt;

    #[test]
    fn locked_and_unlocked() {
        let folder = tempfile::tempdir().unwrap();
        let keystore = Keystore::open(folder.path()).with_cost(Scrypt::checked(2, 8, 1).unwrap());
        let a = keystore.new_account(&"a".into()).unwrap().address;
        let b = keystore.new_account(&"b".into()).unwrap().address;
        let wallet = Wallet::new(keystore.clone(), [keystore.unlock(a, &"a".into()).unwrap()]);
        assert_eq!(wallet.accounts().unwrap(), [a, b]);
        assert_eq!(wallet.key(a).unwrap().address(), a);
        assert_eq!(wallet.key(b).unwrap_err().to_string(), "authentication needed: password or unlock");
        assert_eq!(wallet.key(Address::ZERO).unwrap_err().to_string(), "unknown account");
        assert_eq!(wallet.open(b, &"b".into()).unwrap().address(), b);
        assert_eq!(wallet.open(b, &"a".into()).unwrap_err().to_string(), "could not decrypt key with given password");
        assert_eq!(wallet.open(Address::ZERO, &"a".into()).unwrap_err().to_string(), "unknown account");
    }
}
