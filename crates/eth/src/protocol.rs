use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use alloy_primitives::U256;
use rushlight_p2p::{BoxFuture, Peer, PeerId, Protocol, ProtocolError, ProtocolStream};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    EthConfig, Session,
    session::{self, lock},
    v28::{self, Status},
};

/// `eth` version 28 as a sub-protocol of `p2p`. Cheap to clone.
#[derive(Clone)]
pub struct EthProtocol(Arc<Inner>);

/// What all sessions share.
pub(crate) struct Inner {
    pub(crate) config: EthConfig,
    /// Bounds how many requests are served at once.
    pub(crate) serving: Semaphore,
    /// Sessions past Status; the server's limits on peers bound it. A lock, because `peer_info` is not async.
    sessions: Mutex<HashMap<PeerId, Session>>,
}

impl EthProtocol {
    /// The sub-protocol, for [`ServerConfig`](rushlight_p2p::ServerConfig)'s list.
    pub fn new(config: EthConfig) -> Self {
        Self(Arc::new(Inner { config, serving: session::serving_turns(), sessions: Mutex::default() }))
    }

    /// Sessions past Status.
    pub fn sessions(&self) -> Vec<Session> {
        lock(&self.0.sessions).values().cloned().collect()
    }
}

impl Protocol for EthProtocol {
    fn name(&self) -> &'static str {
        v28::NAME
    }

    fn version(&self) -> u32 {
        v28::VERSION
    }

    fn length(&self) -> u64 {
        v28::ID_COUNT
    }

    fn run(&self, peer: Peer, stream: ProtocolStream) -> BoxFuture<'static, Result<(), ProtocolError>> {
        Box::pin(session::run(Arc::clone(&self.0), peer, stream))
    }

    /// As geth's `eth` had it: network, total difficulty, genesis, configuration and head.
    fn node_info(&self) -> Option<Value> {
        let EthConfig { network_id, info_network, info_config, access, .. } = &self.0.config;
        let head = access.head();
        let mut info = json!({
            "network": info_network.unwrap_or(*network_id),
            "difficulty": number(head.td),
            "genesis": access.genesis_hash(),
            "head": head.header.hash(),
        });
        if let (Some(config), Some(info)) = (info_config, info.as_object_mut()) {
            info.insert("config".to_owned(), config.clone());
        }
        Some(info)
    }

    /// As geth's `eth` had it: version, total difficulty and head that the peer claims.
    fn peer_info(&self, id: &PeerId) -> Option<Value> {
        let session = lock(&self.0.sessions).get(id).cloned()?;
        let (head, td) = session.claimed_head();
        Some(json!({ "version": v28::VERSION, "difficulty": number(td), "head": head }))
    }
}

impl Inner {
    /// What we say of ourselves.
    pub(crate) fn status(&self) -> Status {
        let access = &self.config.access;
        let head = access.head();
        Status::new(self.config.network_id, head.td, head.header.hash(), access.genesis_hash())
    }

    /// Lists the session until the returned guard is dropped.
    pub(crate) fn join(self: &Arc<Self>, session: &Session) -> Member {
        lock(&self.sessions).insert(session.id(), session.clone());
        Member { inner: Arc::clone(self), session: session.clone() }
    }
}

/// A session's place in the list of sessions.
pub(crate) struct Member {
    inner: Arc<Inner>,
    session: Session,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut sessions = lock(&self.inner.sessions);
        // A later session with the same peer may stand there already.
        if sessions.get(&self.session.id()).is_some_and(|listed| listed.is_same(&self.session)) {
            sessions.remove(&self.session.id());
        }
    }
}

/// A JSON number, as Go writes a `big.Int`; past 64 bits, where JSON readers lose digits, a decimal string.
fn number(value: U256) -> Value {
    u64::try_from(value).map_or_else(|_| Value::from(value.to_string()), Value::from)
}
