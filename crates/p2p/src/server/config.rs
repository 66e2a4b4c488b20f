//! What a server is told, and what it may not be told.

use std::{collections::HashSet, io, net::SocketAddr, sync::Arc, time::Duration};

use rand::{SeedableRng as _, rngs::StdRng};
use secp256k1::SecretKey;

use crate::{
    enode::Enode,
    protocol::Protocol,
    transport::Transport,
    wire::{Capability, MAX_CAPABILITIES, MAX_CLIENT_ID_LEN, MAX_NAME_LEN},
};

/// As in geth.
pub const DEFAULT_MAX_PEERS: usize = 50;

/// Connections that came in and are still in their handshake, as in geth. Each costs one handshake (under a millisecond)
/// and at most ten seconds; beyond it the system's own backlog fills.
pub const DEFAULT_MAX_PENDING: usize = 50;

/// Dials under way, so that a long list of static peers does not open all at once.
pub const DEFAULT_MAX_DIALS: usize = 16;

/// Inbound connections of one address: room for a few nodes behind one router, and no more for one host.
pub const DEFAULT_MAX_PER_IP: usize = 3;

/// For opening a connection, as in geth.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// The first pause before a static peer is dialled again; doubled each time, cut by up to a half at random.
pub const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// The longest pause before a static peer is dialled again.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A session that lasted this long starts the back-off anew.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);

/// Time for all sessions to end together: goodbye takes up to two seconds, the protocols' end runs beside it.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);

/// Events kept for a subscriber that does not keep up; older ones are lost to it.
pub const EVENT_QUEUE: usize = 256;

/// What a server is told. Start from [`ServerConfig::new`].
#[derive(Clone)]
pub struct ServerConfig {
    /// The node's key, which is its identity. See [`crate::load_or_create_key`].
    pub key: SecretKey,
    /// What the node calls itself in Hello: up to 256 bytes.
    pub client_name: String,
    /// What it speaks: 1 to 16 protocols, each name and version once.
    pub protocols: Vec<Arc<dyn Protocol>>,
    /// Where it listens; port 0 is any. `None`: it only dials. Default: `None`.
    pub listen: Option<SocketAddr>,
    /// Peers at once, but for trusted ones, which come on top. Default: 50.
    pub max_peers: usize,
    /// Of these, how many may have dialled us. Default (`None`): two thirds, rounded up, as in geth.
    pub max_inbound: Option<usize>,
    /// Of these, how many we may have dialled. Default (`None`): all.
    pub max_outbound: Option<usize>,
    /// Inbound connections at once that are still in their handshake. Default: 50.
    pub max_pending: usize,
    /// Dials at once. Default: 16.
    pub max_dials: usize,
    /// Inbound connections at once from one address, handshakes included. Loopback and private addresses and those of
    /// static and trusted peers are exempt. Default: 3.
    pub max_per_ip: usize,
    /// Peers to stay connected to: dialled, and dialled again with back-off.
    pub static_peers: Vec<Enode>,
    /// Peers that are never refused for want of a slot. Dialled like static ones.
    pub trusted_peers: Vec<Enode>,
    /// How connections are made. Default: TCP.
    pub transport: Arc<dyn Transport>,
    /// Whether the operator wants peers found. Not supported yet: it only changes what the log says.
    pub discovery: bool,
    /// Where randomness comes from: handshakes, padding, jitter. Default: seeded by the operating system. A fixed seed is
    /// for simulations only, as it gives the handshakes' secrets away.
    pub rng: StdRng,
}

impl ServerConfig {
    /// The defaults: no protocols and no peers, not listening.
    pub fn new(key: SecretKey, transport: Arc<dyn Transport>) -> ServerConfig {
        ServerConfig {
            key,
            client_name: concat!("Rushlight/v", env!("CARGO_PKG_VERSION")).to_owned(),
            protocols: Vec::new(),
            listen: None,
            max_peers: DEFAULT_MAX_PEERS,
            max_inbound: None,
            max_outbound: None,
            max_pending: DEFAULT_MAX_PENDING,
            max_dials: DEFAULT_MAX_DIALS,
            max_per_ip: DEFAULT_MAX_PER_IP,
            static_peers: Vec::new(),
            trusted_peers: Vec::new(),
            transport,
            discovery: false,
            rng: StdRng::from_os_rng(),
        }
    }

    /// The limit on inbound peers, its default worked out.
    pub fn inbound_limit(&self) -> usize {
        self.max_inbound.unwrap_or(self.max_peers - self.max_peers / 3).min(self.max_peers)
    }

    /// The limit on outbound peers, its default worked out.
    pub fn outbound_limit(&self) -> usize {
        self.max_outbound.unwrap_or(self.max_peers).min(self.max_peers)
    }

    pub(super) fn check(&self) -> Result<(), StartError> {
        if self.client_name.is_empty() || self.client_name.len() > MAX_CLIENT_ID_LEN {
            return Err(StartError::ClientName { got: self.client_name.len() });
        }
        if !(1..=MAX_CAPABILITIES).contains(&self.protocols.len()) {
            return Err(StartError::Protocols { got: self.protocols.len() });
        }
        let mut seen = HashSet::new();
        for protocol in &self.protocols {
            let (name, length) = (protocol.name(), protocol.length());
            let well_named = (1..=MAX_NAME_LEN).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
            let capability = Capability { name: name.to_owned(), version: protocol.version().into() };
            // Past 2^32 ids nothing sensible is meant, and sums of them stay far from overflow.
            if !well_named || name == "p2p" || length == 0 || length > u32::MAX.into() {
                return Err(StartError::BadProtocol { capability, length });
            }
            if !seen.insert(capability.clone()) {
                return Err(StartError::TwiceOffered { capability });
            }
        }
        if self.max_pending == 0 || self.max_dials == 0 {
            return Err(StartError::NoHandshakes);
        }
        Ok(())
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("cannot listen on {addr}: the port is in use")]
    PortInUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The listener failed otherwise.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The client name is empty or too long.
    #[error("the client name has 1 to {MAX_CLIENT_ID_LEN} bytes, got {got}")]
    ClientName {
        /// Its length.
        got: usize,
    },
    /// No protocol, or too many for one Hello.
    #[error("a server offers 1 to {MAX_CAPABILITIES} protocols, got {got}")]
    Protocols {
        /// How many.
        got: usize,
    },
    /// A protocol with a bad name or without messages.
    #[error(
        "bad protocol {capability} with {length} messages: expected a name of 1 to {MAX_NAME_LEN} ASCII characters and at least one message"
    )]
    BadProtocol {
        /// The protocol.
        capability: Capability,
        /// Its message ids.
        length: u64,
    },
    /// The same name and version twice.
    #[error("protocol {capability} is offered twice")]
    TwiceOffered {
        /// The protocol.
        capability: Capability,
    },
    /// A limit of zero handshakes or dials, with which nothing could ever connect.
    #[error("max_pending and max_dials must be at least 1")]
    NoHandshakes,
}
