//! An epoch's cache, and the dataset items that come of it (Yellow Paper, appendix J.3).

use alloy_primitives::{B256, keccak256};

use super::fnv::{Modulus, fnv};
use super::keccak::{Item, from_words, keccak512, to_words};
use super::params::{HASH_BYTES, cache_rows, dataset_pages};

/// Rounds of mixing when a cache is made.
const CACHE_ROUNDS: usize = 3;
/// Rows of the cache that go into an item of the dataset.
const ITEM_PARENTS: u32 = 256;

/// A row of the cache, in one line of the processor's cache: across two, each read would fetch both.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Row(Item);

/// The cache of one epoch: 16 MiB in the first, 128 KiB more in each one after.
pub struct Cache {
    epoch: u64,
    rows: Vec<Row>,
    row_count: Modulus,
    pages: Modulus,
}

impl Cache {
    /// Makes the cache of an epoch below [`super::MAX_EPOCHS`]: under half a second of one core for the first,
    /// a few seconds for mainnet's last.
    pub fn generate(epoch: u64) -> Cache {
        Cache::generate_from(epoch, epoch)
    }

    /// The same with the sizes of one epoch and the seed of another, as Ethereum Classic has them (ECIP-1099).
    pub(super) fn generate_from(epoch: u64, seed: u64) -> Cache {
        let count = cache_rows(epoch) as usize;
        let mut rows: Vec<Row> = Vec::with_capacity(count);
        let mut row = keccak512(&seed_words(seed));
        for _ in 0..count {
            rows.push(Row(to_words(&row)));
            row = keccak512(&row);
        }
        let row_count = Modulus::new(count as u32);
        for _ in 0..CACHE_ROUNDS {
            let mut before = rows[count - 1].0;
            for place in 0..count {
                let other = &rows[row_count.reduce(rows[place].0[0]) as usize].0;
                let mixed: Item = std::array::from_fn(|word| before[word] ^ other[word]);
                before = to_words(&keccak512(&from_words(&mixed)));
                rows[place].0 = before;
            }
        }
        Cache { epoch, rows, row_count, pages: Modulus::new(dataset_pages(epoch)) }
    }

    /// The epoch that the cache is of.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The memory that it takes, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.rows.len() as u64 * HASH_BYTES
    }

    /// The cache as the specification lays it out.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.rows.iter().flat_map(|row| row.0).flat_map(u32::to_le_bytes).collect()
    }

    /// The number of the dataset's pages.
    pub(super) fn pages(&self) -> Modulus {
        self.pages
    }

    /// The two items of a page of the dataset, for each of `LANES` pages.
    ///
    /// An item is a chain of 256 reads, each of which depends on the one before: what it costs is waiting for memory. So
    /// all the chains are followed in step, and in each step the first word of every chain's row is read before any row
    /// is mixed in: these reads are few instructions apart, so that the processor waits for all of them at once.
    #[inline(always)]
    pub(super) fn page<const LANES: usize>(&self, pages: [u32; LANES]) -> [[Item; 2]; LANES] {
        let indices = pages.map(|page| [page * 2, page * 2 + 1]);
        let mut items = indices.map(|pair| pair.map(|index| self.first_mix(index)));
        let mut touched = 0;
        for parent in 0..ITEM_PARENTS {
            let mut places = [[0; 2]; LANES];
            for lane in 0..LANES {
                for side in 0..2 {
                    let word = items[lane][side][parent as usize % 16];
                    let place = self.row_count.reduce(fnv(indices[lane][side] ^ parent, word)) as usize;
                    places[lane][side] = place;
                    touched ^= self.rows[place].0[0];
                }
            }
            for lane in 0..LANES {
                for side in 0..2 {
                    let (item, Row(row)) = (&mut items[lane][side], &self.rows[places[lane][side]]);
                    for word in 0..16 {
                        item[word] = fnv(item[word], row[word]);
                    }
                }
            }
        }
        // The compiler would leave out reads whose result nobody looks at.
        std::hint::black_box(touched);
        items.map(|pair| pair.map(|item| to_words(&keccak512(&from_words(&item)))))
    }

    #[inline(always)]
    fn first_mix(&self, index: u32) -> Item {
        let Row(mut row) = self.rows[self.row_count.reduce(index) as usize];
        row[0] ^= index;
        to_words(&keccak512(&from_words(&row)))
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("epoch", &self.epoch).field("rows", &self.rows.len()).finish()
    }
}

/// The seed of an epoch: 32 zero bytes, hashed once for each epoch before.
pub fn seed(epoch: u64) -> B256 {
    (0..epoch).fold(B256::ZERO, |seed, _| keccak256(seed))
}

fn seed_words(epoch: u64) -> [u64; 4] {
    let seed = seed(epoch);
    let (words, _) = seed.as_chunks::<8>();
    std::array::from_fn(|word| u64::from_le_bytes(words[word]))
}
