//! From a password to the key of a cipher: scrypt and PBKDF2, as key files name their parameters.
//!
//! A file's parameters are somebody else's: what they would cost is bounded before anything is worked out.

use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{error::FieldError, key::Password};

/// Bytes of a derived key: 16 for the cipher, 16 for the MAC. Longer ones begin with the same bytes.
pub(crate) const KEY_LEN: usize = 32;

/// Most memory that scrypt may take: twice what geth's standard parameters do (256 MiB).
const MAX_SCRYPT_MEMORY: u64 = 512 << 20;

/// Most work of scrypt, n·r·p: 16 times geth's standard parameters, some ten seconds.
const MAX_SCRYPT_WORK: u64 = 1 << 25;

/// Most iterations of PBKDF2: some ten seconds. The files of others have 10,240 to 1,000,000.
const MAX_PBKDF2_ITERATIONS: u64 = 10_000_000;

/// The cost of scrypt. New files are written with one of the two constants, geth's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrypt {
    log_n: u8,
    r: u32,
    p: u32,
}

impl Scrypt {
    /// n = 2^18, r = 8, p = 1: 256 MiB and about a second.
    pub const STANDARD: Self = Self { log_n: 18, r: 8, p: 1 };

    /// n = 2^12, r = 8, p = 6, `--lightkdf`: 4 MiB and a tenth of a second. Easier to guess passwords of.
    pub const LIGHT: Self = Self { log_n: 12, r: 8, p: 6 };

    /// The parameters of a file, if they can be afforded.
    pub(crate) fn checked(n: u64, r: u64, p: u64) -> Result<Self, FieldError> {
        if !n.is_power_of_two() || n < 2 {
            return Err(FieldError::new("crypto.kdfparams.n", "a power of 2 from 2 on", n));
        }
        // More than either bound allows, so that nothing below overflows.
        const MOST: u64 = 1 << 25;
        for (field, value) in [("crypto.kdfparams.r", r), ("crypto.kdfparams.p", p)] {
            if !(1..=MOST).contains(&value) {
                return Err(FieldError::new(field, format!("1 to {MOST}"), value));
            }
        }
        let block = 128 * r;
        let memory = n.checked_mul(block).and_then(|big| big.checked_add(p.checked_mul(block)?));
        if memory.is_none_or(|memory| memory > MAX_SCRYPT_MEMORY) {
            return Err(FieldError::new(
                "crypto.kdfparams",
                format!("128·r·(n + p) of at most {MAX_SCRYPT_MEMORY} bytes"),
                format!("n = {n}, r = {r}, p = {p}"),
            ));
        }
        let work = n.checked_mul(r).and_then(|work| work.checked_mul(p));
        if work.is_none_or(|work| work > MAX_SCRYPT_WORK) {
            return Err(FieldError::new(
                "crypto.kdfparams",
                format!("n·r·p of at most {MAX_SCRYPT_WORK}"),
                format!("n = {n}, r = {r}, p = {p}"),
            ));
        }
        // Both fit: they are at most MOST.
        Ok(Self { log_n: n.trailing_zeros() as u8, r: r as u32, p: p as u32 })
    }

    pub(crate) fn n(self) -> u64 {
        1 << self.log_n
    }

    pub(crate) fn r(self) -> u32 {
        self.r
    }

    pub(crate) fn p(self) -> u32 {
        self.p
    }
}

/// How a file's key is derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kdf {
    Scrypt { cost: Scrypt, salt: Vec<u8> },
    Pbkdf2 { iterations: u32, salt: Vec<u8> },
}

impl Kdf {
    /// The iterations of PBKDF2 in a file, if they can be afforded.
    pub(crate) fn checked_iterations(iterations: u64) -> Result<u32, FieldError> {
        if !(1..=MAX_PBKDF2_ITERATIONS).contains(&iterations) {
            return Err(FieldError::new("crypto.kdfparams.c", format!("1 to {MAX_PBKDF2_ITERATIONS}"), iterations));
        }
        Ok(iterations as u32)
    }

    /// Works it out: slow, that is its purpose.
    pub(crate) fn derive(&self, password: &Password) -> Result<Zeroizing<[u8; KEY_LEN]>, FieldError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        match self {
            Self::Scrypt { cost, salt } => {
                let refused = || FieldError::new("crypto.kdfparams", "parameters of scrypt", format!("{cost:?}"));
                let params = scrypt::Params::new(cost.log_n, cost.r, cost.p).map_err(|_| refused())?;
                scrypt::scrypt(password.bytes(), salt, &params, &mut *key).map_err(|_| refused())?;
            }
            Self::Pbkdf2 { iterations, salt } => {
                pbkdf2_hmac::<Sha256>(password.bytes(), salt, *iterations, &mut *key);
            }
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_afforded() {
        for (n, r, p) in [(262_144, 8, 1), (4096, 8, 6), (262_144, 1, 8), (2, 8, 1), (8, 8, 16), (524_287 + 1, 1, 8)] {
            let cost = Scrypt::checked(n, r, p).unwrap();
            assert_eq!((cost.n(), u64::from(cost.r()), u64::from(cost.p())), (n, r, p));
        }
        assert_eq!(Scrypt::checked(1 << 18, 8, 1).unwrap(), Scrypt::STANDARD);
        assert_eq!(Scrypt::checked(1 << 12, 8, 6).unwrap(), Scrypt::LIGHT);
    }

    #[test]
    fn what_cannot() {
        let refusal = |n, r, p| Scrypt::checked(n, r, p).unwrap_err().to_string();
        assert_eq!(refusal(3, 8, 1), "crypto.kdfparams.n: expected a power of 2 from 2 on, got 3");
        assert_eq!(refusal(1, 8, 1), "crypto.kdfparams.n: expected a power of 2 from 2 on, got 1");
        assert_eq!(refusal(0, 8, 1), "crypto.kdfparams.n: expected a power of 2 from 2 on, got 0");
        assert_eq!(refusal(2, 0, 1), "crypto.kdfparams.r: expected 1 to 33554432, got 0");
        assert_eq!(refusal(2, 1, 0), "crypto.kdfparams.p: expected 1 to 33554432, got 0");
        assert_eq!(
            refusal(1 << 20, 8, 1),
            "crypto.kdfparams: expected 128·r·(n + p) of at most 536870912 bytes, got n = 1048576, r = 8, p = 1"
        );
        assert_eq!(
            refusal(1 << 18, 8, 17),
            "crypto.kdfparams: expected n·r·p of at most 33554432, got n = 262144, r = 8, p = 17"
        );
        for (n, r, p) in [(1 << 63, 1 << 25, 1 << 25), (2, 1 << 25, 1 << 25), (2, 1, u64::MAX), (2, u64::MAX, 2)] {
            Scrypt::checked(n, r, p).unwrap_err();
        }
        for c in [0, 10_000_001, u64::MAX] {
            Kdf::checked_iterations(c).unwrap_err();
        }
    }
}
