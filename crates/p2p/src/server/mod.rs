//! The server: listener, dial scheduler and peers.
//!
//! [`Server::start`] spawns one task, the loop in `peers`, that owns all of it (`admission` is who may stay, `dial` whom to
//! dial and when). A [`ServerHandle`] sends it commands.
//! Each connection is a task too (`connection`); it asks the loop twice whether it may go on: when the peer's identity
//! is known, and when Hello has been exchanged.

mod admission;
mod config;
mod connection;
mod dial;
mod handle;
mod info;
mod limits;
mod peers;

pub use config::{
    BACKOFF_MAX, BACKOFF_MIN, DEFAULT_MAX_DIALS, DEFAULT_MAX_PEERS, DEFAULT_MAX_PENDING, DEFAULT_MAX_PER_IP,
    DIAL_TIMEOUT, EVENT_QUEUE, SHUTDOWN_TIMEOUT, STABLE_AFTER, ServerConfig, StartError,
};
pub use handle::{PeerEvent, Server, ServerHandle};
pub use info::{NetworkInfo, NodeInfo, PeerInfo, Ports};
