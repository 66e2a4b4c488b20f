//! The `p2p` capability: what is said below the sub-protocols. Pure functions of bytes.
//!
//! Specification: <https://github.com/ethereum/devp2p/blob/master/rlpx.md#p2p-capability>.

mod capability;
mod disconnect;
mod hello;
mod message;
pub(crate) mod strict;

pub use capability::{Capability, MAX_NAME_LEN, Offered, Shared, share};
pub use disconnect::DisconnectReason;
pub use hello::{Hello, HelloError, MAX_CAPABILITIES, MAX_CLIENT_ID_LEN};
pub use message::{MAX_COMPRESSED_SIZE, MAX_MESSAGE_SIZE, MessageError, decode, encode};
pub use strict::RlpError;

/// The version of the `p2p` capability that we speak. From this one on messages are compressed (EIP-706).
pub const P2P_VERSION: u64 = 5;

/// The oldest version that we speak: the one of EIP-8, without Snappy.
pub const MIN_P2P_VERSION: u64 = 4;

/// The first version whose messages after Hello are compressed with Snappy (EIP-706).
pub const SNAPPY_P2P_VERSION: u64 = 5;

/// The ids below this one belong to the `p2p` capability; the shared capabilities' follow.
pub const BASE_LENGTH: u64 = 0x10;

/// The largest message of the `p2p` capability itself, as in geth: Hello is the only one of any size.
pub const MAX_BASE_MESSAGE_SIZE: usize = 2048;

/// Message ids of the `p2p` capability. Those from 4 to 15 are unassigned and ignored.
pub mod id {
    /// The first message in each direction.
    pub const HELLO: u64 = 0x00;
    /// The last one.
    pub const DISCONNECT: u64 = 0x01;
    /// Asks for [`PONG`].
    pub const PING: u64 = 0x02;
    /// Answers [`PING`].
    pub const PONG: u64 = 0x03;
}

/// The payload of Ping and Pong: an empty list.
pub(crate) const EMPTY_LIST: &[u8] = &[0xc0];
