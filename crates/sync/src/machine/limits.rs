//! Every bound of the machine, with its reason.

use std::time::Duration;

/// Hashes asked for at once, and the length of a segment: as many as a BlockHashes may hold.
pub const SEGMENT: u64 = 2_048;
/// Walks that are open (unlinked) at once: with four, three liars keep nobody from walking.
pub const MAX_OPEN_WALKS: usize = 4;
/// Linked chains whose blocks are fetched at once: one liar's chain that nobody can serve must not hold up an honest one.
pub const MAX_LINKED: usize = 4;
/// Hashes after which a walk ends where nothing else bounds it (clique with period 0).
pub const MAX_UNBOUNDED_WALK: u64 = 1 << 20;
/// Time within which the header of a claimed best block must come for the claim to count.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Shortest time-out of a request: a slow disk on the other side is no stall.
pub const MIN_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time-out of a request: what takes longer is given to others.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(10);
/// Time-out while nothing has been measured yet.
pub const FIRST_TIMEOUT: Duration = Duration::from_secs(6);
/// Requests in a row that a peer may leave unanswered before it is let go.
pub const MAX_STRIKES: u32 = 3;
/// Requests for headers or blocks on their way from one peer: a second one fills the time that an answer travels.
pub const REQUESTS_PER_PEER: usize = 2;
/// What a batch should take to come: short enough to notice a stall soon, long enough for full messages.
pub const BATCH_TIME: Duration = Duration::from_secs(1);
/// Headers asked for at once before a peer's pace is known.
pub const FIRST_HEADERS: usize = 64;
/// Blocks asked for at once before a peer's pace is known.
pub const FIRST_BLOCKS: usize = 16;
/// Most headers asked for at once: as many as a BlockHeaders may hold.
pub const MAX_HEADERS: usize = 192;
/// Most blocks asked for at once: as many as a Blocks may hold.
pub const MAX_BLOCKS: usize = 128;
/// Hashes of a linked chain that are held at once: three segments, so that one is there before the last is used up.
pub const WINDOW: usize = 3 * SEGMENT as usize;
/// Headers ahead of the last verified one that are fetched, for each linked chain: four runs of the sink, and full messages
/// from five peers; some 2 MB.
pub const HEADERS_AHEAD: usize = 2_048;
/// Blocks ahead of the last executed one that are fetched, for each linked chain.
pub const BLOCKS_AHEAD: usize = 1_024;
/// Bytes held in the pool above which only what is next in line is fetched: whole blocks vary too much to be counted.
pub const MAX_POOL_BYTES: usize = 64 << 20;
/// Headers given to the sink at once: a second or two of checking seals, so that a shutdown need not wait for long.
pub const RUN_HEADERS: usize = 512;
/// Blocks given to the sink at once.
pub const RUN_BLOCKS: usize = 128;
/// New blocks that wait for the sink. More than that only an attacker sends; the rest becomes an ordinary claim.
pub const MAX_NEW_BLOCKS: usize = 64;
/// … of one peer.
pub const MAX_NEW_BLOCKS_OF_PEER: usize = 8;
/// New blocks this far below our head are of no use to anyone.
pub const OLD_BLOCK: u64 = 1_024;
/// Refused hashes that are remembered, so that nobody makes us check them again: 40 bytes each.
pub const MAX_BAD: usize = 4_096;
/// Hashes a peer did not have that are remembered, so that others are asked: as many as a few requests.
pub const MAX_LACKS: usize = 4_096;
/// After this, what a peer lacked is asked of it again: it may be syncing itself.
pub const FORGET_LACKS: Duration = Duration::from_secs(30);
/// A linked chain whose next block nobody gives for this long is set aside.
pub const STALL: Duration = Duration::from_secs(20);
/// A linked chain that has stood still for this long gives its place to a newly linked one.
pub const YIELD: Duration = Duration::from_secs(5);
/// A session that counts on another's open walk, or whose own gave way, makes its own after this: forged links could lead that one on for long.
pub const PATIENCE: Duration = Duration::from_secs(900);
/// Seconds by which clocks may differ before a best header from the future is a false claim.
pub const CLOCK_ERROR: u64 = 600;
/// Blocks after which what is provisional is settled, though its chain goes on: so much, at most, falls with a bad seal
/// that somebody puts on top of a true chain, for the seals of 2,048 headers more in a million.
pub const SETTLE_EVERY: u64 = 1 << 20;
/// A claim that was set aside is tried again after this, doubled each time.
pub const ASIDE: Duration = Duration::from_secs(30);
/// A peer that gave nothing is asked again after this, doubled each time …
pub const REST: Duration = Duration::from_millis(250);
/// … up to this.
pub const MAX_REST: Duration = Duration::from_secs(30);
/// After a failure of our own (the disk) nothing is given to the sink for this long, doubled each time up to a minute.
pub const LOCAL_REST: Duration = Duration::from_secs(5);
/// Kept hashes between probes: while a walk is unlinked, the header of one in four must be what its place says, so that
/// invented hashes are found out after some 8,000.
pub const PROBE_EVERY: usize = 4;
/// Probes in a row that a walk may leave unserved: hashes without headers are no chain.
pub const MAX_UNSERVED: u32 = 3;
