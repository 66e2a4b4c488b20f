//! Why a session ended, and what the peer is told.

use std::{fmt, io};

use crate::{
    id::PeerId,
    rlpx::{frame::FrameError, handshake::HandshakeError, stream::ReadError},
    wire::{
        BASE_LENGTH, Capability, DisconnectReason, HelloError, MAX_BASE_MESSAGE_SIZE, MIN_P2P_VERSION, MessageError,
    },
};

/// A part of a session with a time-out of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Opening the connection.
    Dial,
    /// The ECIES handshake.
    Handshake,
    /// Hello.
    Hello,
    /// Waiting for anything at all; Ping asks for something.
    Read,
    /// Writing: the peer does not read.
    Write,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Dial => "no connection in time",
            Phase::Handshake => "no handshake in time",
            Phase::Hello => "no Hello in time",
            Phase::Read => "no sign of life, nor an answer to Ping",
            Phase::Write => "the peer does not read",
        })
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection failed or was closed without Disconnect.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection without Disconnect.
    #[error("the peer closed the connection")]
    Eof,
    /// Something took too long.
    #[error("{0}")]
    Timeout(Phase),
    /// The ECIES handshake failed.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// A frame was damaged or too large.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame held no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Hello could not be read.
    #[error("Hello: {0}")]
    Hello(#[from] HelloError),
    /// Something else came where Hello should.
    #[error("expected Hello, got message {got:#x}")]
    NotHello {
        /// The message's id.
        got: u64,
    },
    /// A second Hello.
    #[error("a second Hello")]
    SecondHello,
    /// An id that was not agreed on.
    #[error("message {got:#x}, but the ids that were agreed on end at {end:#x}")]
    UnknownId {
        /// The message's id.
        got: u64,
        /// The first id past the last capability's.
        end: u64,
    },
    /// A message of the `p2p` capability that is too large.
    #[error("message {id:#x} below {BASE_LENGTH:#x} has {got} bytes, at most {MAX_BASE_MESSAGE_SIZE}")]
    BaseMessageTooLarge {
        /// The message's id.
        id: u64,
        /// Its size.
        got: usize,
    },
    /// A version of the `p2p` capability that is too old.
    #[error("expected p2p version {MIN_P2P_VERSION} or later, got {got}")]
    IncompatibleVersion {
        /// The peer's version.
        got: u64,
    },
    /// Hello names another key than the one that the handshake proved.
    #[error("expected node {expected}, got {got}")]
    UnexpectedIdentity {
        /// The key of the handshake.
        expected: PeerId,
        /// The key in Hello.
        got: PeerId,
    },
    /// Nothing in common.
    #[error("no shared capability: the peer ({client}) offers {}", list(.theirs))]
    NothingShared {
        /// What the peer calls itself.
        client: String,
        /// What it offers.
        theirs: Vec<Capability>,
    },
    /// The peer said Disconnect.
    #[error("the peer disconnected: {0}")]
    Disconnected(DisconnectReason),
    /// This node ended it.
    #[error("disconnected: {0}")]
    Local(DisconnectReason),
    /// A sub-protocol ended it.
    #[error("{protocol}: {message}")]
    Protocol {
        /// Which one.
        protocol: Capability,
        /// What the peer is told.
        reason: DisconnectReason,
        /// Why.
        message: String,
    },
}

fn list(capabilities: &[Capability]) -> String {
    match capabilities {
        [] => "none".to_owned(),
        some => some.iter().map(Capability::to_string).collect::<Vec<_>>().join(", "),
    }
}

impl From<ReadError> for SessionError {
    fn from(error: ReadError) -> SessionError {
        match error {
            ReadError::Io(error) => error.into(),
            ReadError::Frame(error) => error.into(),
        }
    }
}

impl SessionError {
    /// The reason that stands for it.
    pub fn reason(&self) -> DisconnectReason {
        match self {
            SessionError::Io(_) | SessionError::Eof | SessionError::Timeout(Phase::Dial) => DisconnectReason::TcpError,
            SessionError::Timeout(_) => DisconnectReason::PingTimeout,
            SessionError::Handshake(_)
            | SessionError::Frame(_)
            | SessionError::Message(_)
            | SessionError::NotHello { .. }
            | SessionError::SecondHello
            | SessionError::UnknownId { .. }
            | SessionError::BaseMessageTooLarge { .. } => DisconnectReason::BreachOfProtocol,
            SessionError::Hello(HelloError::NullIdentity) => DisconnectReason::InvalidIdentity,
            SessionError::Hello(_) => DisconnectReason::BreachOfProtocol,
            SessionError::IncompatibleVersion { .. } => DisconnectReason::IncompatibleVersion,
            SessionError::UnexpectedIdentity { .. } => DisconnectReason::UnexpectedIdentity,
            SessionError::NothingShared { .. } => DisconnectReason::UselessPeer,
            SessionError::Disconnected(reason) | SessionError::Local(reason) => *reason,
            SessionError::Protocol { reason, .. } => *reason,
        }
    }

    /// Whether the peer ended it, so that there is nobody to tell.
    pub fn by_peer(&self) -> bool {
        matches!(self, SessionError::Io(_) | SessionError::Eof | SessionError::Disconnected(_))
    }
}
