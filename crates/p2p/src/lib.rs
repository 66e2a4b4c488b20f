//! Who is there: RLPx connections, the sub-protocols on them, and the server that keeps them.
//!
//! The layers, lowest first; each knows only those above its own line in this list:
//!
//! - [`transport`]: byte streams. [`TcpTransport`] for the network, [`memory`] for simulations on virtual time.
//! - [`rlpx`]: the ECIES handshake and the encrypted frames, without I/O but for [`rlpx::stream`].
//! - [`wire`]: the `p2p` capability: Hello, Disconnect, Ping, Pong, message ids, Snappy, matching of capabilities.
//! - [`session`]: the steps of one connection as types (TCP → ECIES → Hello → shared capabilities → running);
//!   each step consumes the one before it. One task owns a connection from its first to its last byte.
//! - [`protocol`]: what a sub-protocol is ([`Protocol`]), and what it is given ([`Peer`], [`ProtocolStream`]).
//! - [`server`]: one loop owns the listener, the dial scheduler and the map of peers; a [`ServerHandle`] sends it commands.
//!
//! Specification: <https://github.com/ethereum/devp2p/blob/master/rlpx.md>, EIP-8 and EIP-706. Everything that comes
//! from a peer is decoded by a pure function of bytes (`decode` in [`rlpx`] and [`wire`]), strictly: no trailing bytes
//! where the specification does not call for them, sizes checked before memory is taken.
//!
//! Time is tokio's, so a paused clock moves whole networks; randomness and dialling are passed in by [`ServerConfig`].

mod enode;
mod id;
mod key;
pub mod memory;
mod pair;
pub mod protocol;
pub mod rlpx;
pub mod server;
pub mod session;
pub mod transport;
pub mod wire;

pub use enode::{Enode, EnodeError};
pub use id::{IdError, PeerId};
pub use key::{KeyError, load_or_create_key};
pub use pair::{ProtocolEnd, protocol_pair};
pub use protocol::{
    BoxFuture, Closed, Message, MessageSender, Peer, Protocol, ProtocolError, ProtocolStream, TrySendError,
};
pub use server::{NodeInfo, PeerEvent, PeerInfo, Server, ServerConfig, ServerHandle, StartError};
pub use transport::{AsyncReadWrite, BoxedStream, Listener, TcpTransport, Transport};
pub use wire::{Capability, DisconnectReason};

pub use secp256k1;
