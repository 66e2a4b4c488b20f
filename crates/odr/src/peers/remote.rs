//! What the peer set and the retriever need of a session, so that tests can put mocks in its place.

use std::{future::Future, net::SocketAddr, time::Duration};

use alloy_primitives::{B256, Bytes};
use rushlight_chain::block::RawBlock;
use rushlight_eth::{RequestError, Session};
use rushlight_p2p::{DisconnectReason, PeerId};

/// A peer that can be asked. [`Session`] is the real one.
pub trait Remote: Clone + Send + Sync + 'static {
    /// The peer's key.
    fn id(&self) -> PeerId;
    /// The client name from its Hello.
    fn client(&self) -> String;
    /// Its socket address.
    fn address(&self) -> SocketAddr;
    /// Ends the session; does not wait.
    fn disconnect(&self, reason: DisconnectReason);
    /// As [`Session::lookup`]: values by position, each checked against its hash, possibly fewer than asked.
    fn lookup(
        &self,
        hashes: Vec<B256>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<Option<Bytes>>, RequestError>> + Send;
    /// As [`Session::blocks`]: only blocks that were asked for, bodies unchecked.
    fn blocks(
        &self,
        hashes: Vec<B256>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<RawBlock>, RequestError>> + Send;
    /// As [`Session::block_hashes`]: hashes of the ancestors, parent first, unchecked.
    fn block_hashes(
        &self,
        from: B256,
        max: u64,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<B256>, RequestError>> + Send;
    /// As [`Session::headers`]: only headers that were asked for, by their hashes.
    fn headers(
        &self,
        hashes: Vec<B256>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<(B256, Bytes)>, RequestError>> + Send;
}

impl Remote for Session {
    fn id(&self) -> PeerId {
        Session::id(self)
    }

    fn client(&self) -> String {
        self.peer().client().to_owned()
    }

    fn address(&self) -> SocketAddr {
        self.peer().remote_addr()
    }

    fn disconnect(&self, reason: DisconnectReason) {
        Session::disconnect(self, reason);
    }

    async fn lookup(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<Option<Bytes>>, RequestError> {
        Session::lookup(self, hashes, timeout).await
    }

    async fn blocks(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<RawBlock>, RequestError> {
        Session::blocks(self, hashes, timeout).await
    }

    async fn block_hashes(&self, from: B256, max: u64, timeout: Duration) -> Result<Vec<B256>, RequestError> {
        Session::block_hashes(self, from, max, timeout).await
    }

    async fn headers(&self, hashes: Vec<B256>, timeout: Duration) -> Result<Vec<(B256, Bytes)>, RequestError> {
        Session::headers(self, hashes, timeout).await
    }
}
