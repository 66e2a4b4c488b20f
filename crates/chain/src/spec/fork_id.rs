//! Fork ids: a chain's genesis and the forks that it has passed, in four bytes (EIP-2124, EIP-6122).

use alloy_primitives::hex;

use super::forks::{Activation, Forks};
use super::{ChainSpec, Fork};

/// The polynomial of the checksum: CRC-32 as IEEE 802.3 has it, bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// A number of this size is a time, not a block's number: the earliest genesis time of a chain that has forks by time
/// lies after it (EIP-6122, as geth reads it).
const TIME_THRESHOLD: u64 = 1_438_269_973;

/// Which forks a chain has passed, and which comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ForkId {
    /// CRC-32 of the genesis hash and the places of the forks passed.
    pub hash: [u8; 4],
    /// The place of the next fork, 0 where none is known.
    pub next: u64,
}

/// Why a peer with a fork id is on another chain than ours, or cannot follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkIdError {
    /// The peer has not passed a fork that we know it to have reached: its software is out of date.
    #[error("fork id {}: the peer does not know of fork {expected}", hex::encode_prefixed(got.hash))]
    RemoteStale {
        /// The peer's.
        got: ForkId,
        /// The fork that comes next after those that the peer has passed.
        expected: u64,
    },
    /// The chains differ, or ours has passed a fork of the peer's that we do not know of.
    #[error("fork id {}, next {}: another chain, or a fork that we do not know of", hex::encode_prefixed(got.hash), got.next)]
    Incompatible {
        /// The peer's.
        got: ForkId,
    },
}

impl ChainSpec {
    /// The fork id of the chain with a head of this number and time.
    pub fn fork_id(&self, number: u64, timestamp: u64) -> ForkId {
        let (blocks, times) = self.fork_places();
        let mut checksum = crc32(u32::MAX, self.genesis_hash().as_slice());
        let places = blocks.iter().map(|place| (*place, number)).chain(times.iter().map(|place| (*place, timestamp)));
        for (place, head) in places {
            if head < place {
                return ForkId { hash: finish(checksum), next: place };
            }
            checksum = crc32(checksum, &place.to_be_bytes());
        }
        ForkId { hash: finish(checksum), next: 0 }
    }

    /// Whether a peer with this fork id can be on our chain, whose head has this number and time: the rules of EIP-2124.
    pub fn check_fork_id(&self, remote: ForkId, number: u64, timestamp: u64) -> Result<(), ForkIdError> {
        let (blocks, times) = self.fork_places();
        let places: Vec<u64> = blocks.iter().chain(&times).copied().collect();
        let mut sums = Vec::with_capacity(places.len() + 1);
        let mut checksum = crc32(u32::MAX, self.genesis_hash().as_slice());
        sums.push(finish(checksum));
        for place in &places {
            checksum = crc32(checksum, &place.to_be_bytes());
            sums.push(finish(checksum));
        }
        let heads = std::iter::repeat_n(number, blocks.len()).chain(std::iter::repeat(timestamp));
        let passed = places.iter().zip(heads).take_while(|(place, head)| head >= *place).count();
        let incompatible = ForkIdError::Incompatible { got: remote };
        let Some(same) = sums.iter().position(|sum| *sum == remote.hash) else { return Err(incompatible) };
        if same < passed {
            // The peer is behind: it has to know the fork that it meets next.
            let expected = places[same];
            return if remote.next == expected {
                Ok(())
            } else {
                Err(ForkIdError::RemoteStale { got: remote, expected })
            };
        }
        // A peer that is ahead knows best what came after. One that is where we are must announce no fork that we have
        // gone past without it.
        let by_block = passed < blocks.len() || times.is_empty();
        let head = if by_block { number } else { timestamp };
        let gone_past = head >= remote.next || (remote.next > TIME_THRESHOLD && timestamp >= remote.next);
        if same == passed && remote.next != 0 && gone_past { Err(incompatible) } else { Ok(()) }
    }

    /// The places of the forks after genesis: block numbers, then times, each in ascending order and once.
    fn fork_places(&self) -> (Vec<u64>, Vec<u64>) {
        let mut blocks = blocks(&self.forks);
        let mut times: Vec<u64> = self.forks.times().filter(|time| *time > self.genesis.timestamp).collect();
        for places in [&mut blocks, &mut times] {
            places.sort_unstable();
            places.dedup();
        }
        (blocks, times)
    }
}

fn blocks(forks: &Forks) -> Vec<u64> {
    let scheduled = forks.iter().filter_map(|(fork, activation)| match activation {
        Activation::Block(block) if fork != Fork::Frontier => Some(block),
        _ => None,
    });
    let others = forks.eip155_block.iter().chain(&forks.other_blocks).copied();
    scheduled.chain(others).filter(|block| *block != 0).collect()
}

/// Goes on with a checksum, bit by bit: it is made of a few hundred bytes at most.
fn crc32(checksum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(checksum, |checksum, byte| {
        (0..8).fold(
            checksum ^ u32::from(*byte),
            |rest, _| {
                if rest & 1 == 1 { rest >> 1 ^ POLYNOMIAL } else { rest >> 1 }
            },
        )
    })
}

fn finish(checksum: u32) -> [u8; 4] {
    (!checksum).to_be_bytes()
}
