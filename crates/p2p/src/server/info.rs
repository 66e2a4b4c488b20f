//! What `admin_nodeInfo` and `admin_peers` show, in geth's shapes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{enode::Enode, protocol::Peer, wire::Capability};

/// A peer, as in `admin_peers`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerInfo {
    /// `enode://` URL with the address of the connection.
    pub enode: String,
    /// Keccak-256 of its public key, in hexadecimal without 0x.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// What it offers, as `name/version`.
    pub caps: Vec<String>,
    /// The connection.
    pub network: NetworkInfo,
    /// Each shared protocol by name: what it says of the peer, or `"handshake"`.
    pub protocols: BTreeMap<String, Value>,
}

/// A connection, as in `admin_peers`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInfo {
    /// This side's address; empty where it is not known.
    pub local_address: String,
    /// The other side's address.
    pub remote_address: String,
    /// Whether the peer dialled us.
    pub inbound: bool,
    /// Whether it is one of the trusted peers.
    pub trusted: bool,
    /// Whether it is one of the static peers.
    #[serde(rename = "static")]
    pub is_static: bool,
}

/// The node itself, as in `admin_nodeInfo`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// Keccak-256 of its public key, in hexadecimal without 0x.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Its `enode://` URL.
    pub enode: String,
    /// The URL's address.
    pub ip: String,
    /// Its ports.
    pub ports: Ports,
    /// Where it listens; empty if it does not.
    pub listen_addr: String,
    /// Each protocol by name: what it says of itself, or `"unknown"`.
    pub protocols: BTreeMap<String, Value>,
}

/// Ports, 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// UDP.
    pub discovery: u16,
    /// TCP.
    pub listener: u16,
}

impl PeerInfo {
    pub(super) fn of(peer: &Peer) -> PeerInfo {
        let state = peer.state();
        let id = peer.id();
        let about = |protocol: &dyn crate::Protocol| protocol.peer_info(&id).unwrap_or_else(|| "handshake".into());
        PeerInfo {
            enode: Enode::new(id, peer.remote_addr()).to_string(),
            id: hex::encode(id.node_id()),
            name: peer.client().to_owned(),
            caps: peer.capabilities().iter().map(Capability::to_string).collect(),
            network: NetworkInfo {
                local_address: state.local_addr.map(|addr| addr.to_string()).unwrap_or_default(),
                remote_address: peer.remote_addr().to_string(),
                inbound: peer.inbound(),
                trusted: peer.is_trusted(),
                is_static: peer.is_static(),
            },
            protocols: state.protocols.iter().map(|p| (p.name().to_owned(), about(p.as_ref()))).collect(),
        }
    }
}
