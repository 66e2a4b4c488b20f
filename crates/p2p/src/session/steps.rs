//! The steps before messages run.

use std::{future::Future, net::SocketAddr, sync::Arc};

use rand::{CryptoRng, RngCore};
use secp256k1::SecretKey;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    error::{Phase, SessionError},
    link::{HANDSHAKE_TIMEOUT, Link},
};
use crate::{
    id::PeerId,
    protocol::Protocol,
    rlpx::handshake::{
        Ack, Auth, Ephemeral, HandshakeError, OLD_ACK_LEN, OLD_AUTH_LEN, Role, check_ack, check_auth, packet_len,
    },
    transport::BoxedStream,
    wire::{
        self, Capability, DisconnectReason, Hello, MAX_BASE_MESSAGE_SIZE, MIN_P2P_VERSION, Offered, SNAPPY_P2P_VERSION,
        Shared, share,
    },
};

/// A stream of bytes to somebody.
pub struct Connected {
    stream: BoxedStream,
}

/// An encrypted connection to a known identity. Neither side has proved yet that the handshake was not a recording;
/// the first frame does.
pub struct Encrypted {
    remote: PeerId,
    local_addr: Option<SocketAddr>,
    link: Link,
}

/// A connection on which both have said Hello.
pub struct Introduced {
    hello: Hello,
    local_addr: Option<SocketAddr>,
    link: Link,
}

/// A connection on which it is agreed what is spoken.
pub struct Ready {
    /// The peer's Hello.
    pub hello: Hello,
    /// What is shared, by our protocols' indices.
    pub shared: Vec<Shared>,
    /// This side's address, where the stream has one.
    pub local_addr: Option<SocketAddr>,
    pub(crate) link: Link,
}

/// What we offer with these protocols.
pub fn offered(protocols: &[Arc<dyn Protocol>]) -> Vec<Offered> {
    let offer = |protocol: &Arc<dyn Protocol>| Offered {
        capability: Capability { name: protocol.name().to_owned(), version: protocol.version().into() },
        length: protocol.length(),
    };
    protocols.iter().map(offer).collect()
}

async fn in_time<T>(phase: Phase, step: impl Future<Output = Result<T, SessionError>>) -> Result<T, SessionError> {
    timeout(HANDSHAKE_TIMEOUT, step).await.unwrap_or(Err(SessionError::Timeout(phase)))
}

impl Connected {
    /// A stream just opened or accepted.
    pub fn new(stream: BoxedStream) -> Connected {
        Connected { stream }
    }

    /// The handshake of the side that dialled; only the holder of the key behind `remote` can answer.
    pub async fn initiate<R: RngCore + CryptoRng>(
        self,
        key: &SecretKey,
        remote: PeerId,
        rng: &mut R,
    ) -> Result<Encrypted, SessionError> {
        let public = remote.public_key().ok_or(HandshakeError::PublicKey { what: "node id" })?;
        let Connected { mut stream } = self;
        in_time(Phase::Handshake, async move {
            let ephemeral = Ephemeral::random(rng);
            let auth = ephemeral.auth(key, &public).encode(rng, &public);
            stream.write_all(&auth).await?;
            stream.flush().await?;
            let (ack, (decoded, _)) = read_packet(&mut stream, OLD_ACK_LEN, |packet| Ack::decode(key, packet)).await?;
            let remote_ephemeral = check_ack(&decoded)?;
            let secrets = ephemeral.secrets(Role::Initiator, &remote_ephemeral, decoded.nonce, &auth, &ack);
            Ok(Encrypted { remote, local_addr: stream.local_addr(), link: Link::new(stream, secrets) })
        })
        .await
    }

    /// The handshake of the side that was dialled.
    pub async fn accept<R: RngCore + CryptoRng>(self, key: &SecretKey, rng: &mut R) -> Result<Encrypted, SessionError> {
        let Connected { mut stream } = self;
        in_time(Phase::Handshake, async move {
            let (auth, (decoded, form)) =
                read_packet(&mut stream, OLD_AUTH_LEN, |packet| Auth::decode(key, packet)).await?;
            let (remote, remote_ephemeral) = check_auth(key, &decoded)?;
            let ephemeral = Ephemeral::random(rng);
            let ack = ephemeral.ack().encode(rng, &remote, form);
            stream.write_all(&ack).await?;
            stream.flush().await?;
            let secrets = ephemeral.secrets(Role::Recipient, &remote_ephemeral, decoded.nonce, &auth, &ack);
            Ok(Encrypted { remote: decoded.id, local_addr: stream.local_addr(), link: Link::new(stream, secrets) })
        })
        .await
    }
}

/// Reads one packet and not a byte more. The old form has no size: where the first bytes allow it, it is tried first.
async fn read_packet<T>(
    stream: &mut BoxedStream,
    old_len: usize,
    decode: impl Fn(&[u8]) -> Result<T, HandshakeError>,
) -> Result<(Vec<u8>, T), SessionError> {
    let mut start = [0; 2];
    stream.read_exact(&mut start).await?;
    let (len, old) = packet_len(start, old_len)?;
    let mut packet = start.to_vec();
    if let Some(old_len) = old {
        packet.resize(old_len.min(len), 0);
        stream.read_exact(&mut packet[2..]).await?;
        match decode(&packet) {
            Ok(decoded) => return Ok((packet, decoded)),
            Err(error) if len <= packet.len() => return Err(error.into()),
            Err(_) => {}
        }
    }
    let done = packet.len();
    packet.resize(len, 0);
    stream.read_exact(&mut packet[done..]).await?;
    let decoded = decode(&packet)?;
    Ok((packet, decoded))
}

impl Encrypted {
    /// The peer's identity.
    pub fn remote(&self) -> PeerId {
        self.remote
    }

    /// Says Disconnect in place of Hello.
    pub async fn refuse(self, reason: DisconnectReason) {
        self.link.goodbye(reason).await;
    }

    /// Exchanges Hello. What is wrong with the peer's is told to the peer.
    pub async fn hello(mut self, ours: &Hello) -> Result<Introduced, SessionError> {
        match in_time(Phase::Hello, exchange(&mut self.link, self.remote, ours)).await {
            Ok(hello) => {
                self.link.set_snappy(hello.version.min(ours.version) >= SNAPPY_P2P_VERSION);
                Ok(Introduced { hello, local_addr: self.local_addr, link: self.link })
            }
            Err(error) => {
                if !error.by_peer() {
                    self.link.goodbye(error.reason()).await;
                }
                Err(error)
            }
        }
    }
}

async fn exchange(link: &mut Link, remote: PeerId, ours: &Hello) -> Result<Hello, SessionError> {
    let payload = ours.encode();
    let (written, read) = tokio::join!(link.writer.write(wire::id::HELLO, &payload), async {
        let frame = link.reader.frame(MAX_BASE_MESSAGE_SIZE + 1).await?;
        Ok::<_, SessionError>(wire::decode(frame, false, MAX_BASE_MESSAGE_SIZE)?)
    });
    // What the peer said explains more than that it does not listen any longer.
    let (id, payload) = read?;
    match id {
        wire::id::HELLO => {}
        wire::id::DISCONNECT => {
            let reason = DisconnectReason::decode(&payload).unwrap_or(DisconnectReason::Requested);
            return Err(SessionError::Disconnected(reason));
        }
        got => return Err(SessionError::NotHello { got }),
    }
    written?;
    let hello = Hello::decode(&payload)?;
    if hello.version < MIN_P2P_VERSION {
        return Err(SessionError::IncompatibleVersion { got: hello.version });
    }
    if hello.id != remote {
        return Err(SessionError::UnexpectedIdentity { expected: remote, got: hello.id });
    }
    Ok(hello)
}

impl Introduced {
    /// The peer's Hello.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Agrees on capabilities and their ids; with nothing in common the peer is told so.
    pub async fn share(self, ours: &[Offered]) -> Result<Ready, SessionError> {
        let shared = share(ours, &self.hello.capabilities);
        if shared.is_empty() {
            self.link.goodbye(DisconnectReason::UselessPeer).await;
            let Hello { client_id, capabilities, .. } = self.hello;
            return Err(SessionError::NothingShared { client: client_id, theirs: capabilities });
        }
        Ok(Ready { hello: self.hello, shared, local_addr: self.local_addr, link: self.link })
    }
}

impl Ready {
    /// Says Disconnect before anything else.
    pub async fn refuse(self, reason: DisconnectReason) {
        self.link.goodbye(reason).await;
    }

    /// As [`Ready::refuse`], but not compressed, as some nodes do who have not read our Hello yet.
    pub async fn refuse_uncompressed(mut self, reason: DisconnectReason) {
        self.link.set_snappy(false);
        self.link.goodbye(reason).await;
    }

    /// Reads one message, with its id as on the wire. For those who speak without a server, such as tests.
    pub async fn read(&mut self) -> Result<(u64, bytes::Bytes), SessionError> {
        self.link.reader.read().await
    }

    /// Writes one message, with its id as on the wire. For those who speak without a server, such as tests.
    pub async fn write(&mut self, id: u64, payload: &[u8]) -> Result<(), SessionError> {
        self.link.writer.write(id, payload).await
    }
}
