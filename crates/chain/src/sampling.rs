//! Which seals a node checks that does not check all.
//!
//! The numbers of a chain fall into windows of 100: 0–99, 100–199, … Of each complete window one header is drawn, by
//! `keccak(secret ‖ hash of the window's last header)`. The last hash commits to all the others through the parent
//! hashes, so the draw is made after they are fixed; and as nobody else knows the secret, nobody can tell which
//! header it will be, nor try until it suits. The secret is kept, so that a restart draws the same headers again and
//! gives nobody a second chance.
//!
//! What this leaves unchecked: a stretch with `k` bad seals outside its last 2,048, each in a window of its own,
//! passes with a chance of 0.99^k (about 37 % for 100, 0.004 % for 1,000); and whoever makes it has to seal its last
//! 2,048 headers, and every other one that is drawn, in earnest.

use alloy_primitives::{B256, Keccak256};

use crate::store::{Batch, Column, Store, StoreError};

/// Headers in a window, one of which is checked.
pub const WINDOW: u64 = 100;
/// Headers at the end of a chain of which each is checked.
pub const TAIL: u64 = 2048;
/// Clique: the headers at the end of a chain that are checked with the recency rule, at least.
pub const CLIQUE_TAIL: u64 = 1024;
/// Clique: of more signers than so many every seal is checked as it arrives. The tail grows with the signers, and a
/// stretch that is not settled keeps only so many headers.
pub const MAX_SAMPLED_SIGNERS: usize = 1000;

/// Clique: headers at the end of a chain of which each is checked: max(1,024, 2 × signers) by every rule, and before
/// them as many as the recency rule looks back at.
pub fn clique_tail(signers: usize) -> u64 {
    let signers = signers as u64;
    CLIQUE_TAIL.max(2 * signers) + signers / 2 + 1
}

const SECRET_KEY: &[u8] = b"sampling-secret";

/// The local secret that headers are drawn by. It is not shown anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A given secret, for tests that must draw the same headers each time.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// The secret kept in a store, which gets a random one where it has none.
    pub fn load_or_create(store: &dyn Store) -> Result<Secret, StoreError> {
        if let Some(bytes) = store.get(Column::Meta, SECRET_KEY)? {
            let bytes = <[u8; 32]>::try_from(&bytes[..])
                .map_err(|_| StoreError::Damaged { what: format!("sampling secret of {} bytes", bytes.len()) })?;
            return Ok(Secret(bytes));
        }
        let secret = Secret(rand::random());
        let mut batch = Batch::new();
        batch.put(Column::Meta, SECRET_KEY, secret.0);
        store.write(batch.synced())?;
        Ok(secret)
    }

    /// The number drawn from `first..=last`, where `last_hash` is the hash of header `last`.
    pub fn draw(&self, first: u64, last: u64, last_hash: &B256) -> u64 {
        let mut hasher = Keccak256::new();
        hasher.update(self.0);
        hasher.update(last_hash);
        let digest = hasher.finalize();
        let mut number = [0; 8];
        number.copy_from_slice(&digest[..8]);
        // 64 bits modulo at most 100: the bias is below 2^-57.
        let count = last.saturating_sub(first).saturating_add(1);
        first + u64::from_be_bytes(number) % count
    }
}

/// The last number of the window that `number` is in.
pub fn window_end(number: u64) -> u64 {
    (number - number % WINDOW).saturating_add(WINDOW - 1)
}

/// The first number of the window that `number` is in.
pub fn window_start(number: u64) -> u64 {
    number - number % WINDOW
}

/// The ends of the windows that end after `done` and not after `last`.
pub fn complete_windows(done: u64, last: u64) -> impl Iterator<Item = u64> {
    // At the end of all numbers there is no next window.
    let mut next = Some(window_end(done.saturating_add(1))).filter(|end| *end > done);
    std::iter::from_fn(move || {
        let end = next.filter(|end| *end <= last)?;
        next = end.checked_add(WINDOW);
        Some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn windows_by_absolute_number() {
        assert_eq!((window_start(0), window_end(0)), (0, 99));
        assert_eq!((window_start(199), window_end(199)), (100, 199));
        assert_eq!(complete_windows(0, 98).count(), 0);
        assert_eq!(complete_windows(0, 99).collect::<Vec<_>>(), [99]);
        assert_eq!(complete_windows(99, 250).collect::<Vec<_>>(), [199]);
        assert_eq!(complete_windows(150, 400).collect::<Vec<_>>(), [199, 299, 399]);
        assert_eq!(complete_windows(400, 300).count(), 0);
        assert!(complete_windows(u64::MAX - 1, u64::MAX).count() <= 1);
    }

    #[test]
    fn the_secret_is_kept() {
        let store = MemoryStore::new();
        let first = Secret::load_or_create(&store).unwrap();
        assert_eq!(Secret::load_or_create(&store).unwrap(), first);
        assert_ne!(Secret::load_or_create(&MemoryStore::new()).unwrap(), first);
    }

    #[test]
    fn draws_are_within_range_and_spread() {
        let secret = Secret::new([7; 32]);
        let mut seen = [0u32; 100];
        for last in 0..10_000u64 {
            let drawn = secret.draw(100, 199, &B256::from(alloy_primitives::U256::from(last)));
            seen[(drawn - 100) as usize] += 1;
        }
        // 100 expected in each place, with a standard deviation of 10.
        assert!(seen.iter().all(|count| (40..180).contains(count)), "{seen:?}");
        assert_eq!(secret.draw(5, 5, &B256::ZERO), 5);
    }
}
