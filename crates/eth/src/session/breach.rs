use alloy_primitives::B256;
use rushlight_p2p::DisconnectReason;

use crate::v28::{self, DecodeError, TransactionError};

/// A peer broke the protocol. It ends that peer's session, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    /// The message that did it, relative to the capability's offset.
    pub(crate) message_id: u64,
    /// What was wrong with it.
    pub(crate) why: Why,
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("sent before Status")]
    BeforeStatus,
    #[error("a second Status")]
    SecondStatus,
    #[error("an answer, but no such request is open")]
    NothingOpen,
    #[error("{got} items in answer to a request for {asked}")]
    MoreThanAsked { asked: usize, got: usize },
    #[error("holds {0}, which was not asked for")]
    NotAsked(B256),
    #[error("holds {0} twice")]
    Twice(B256),
    #[error("the value looked up for {asked} hashes to {got}")]
    WrongValue { asked: B256, got: B256 },
    #[error("transaction {index}: {error}")]
    Transaction { index: usize, error: TransactionError },
}

impl Breach {
    pub(crate) fn new(message_id: u64, why: impl Into<Why>) -> Self {
        Self { message_id, why: why.into() }
    }

    /// Every breach is one of protocol; 0x10 is for peers that keep to it on another chain.
    pub(crate) fn reason(&self) -> DisconnectReason {
        DisconnectReason::BreachOfProtocol
    }
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:#04x}): {}", v28::message_name(self.message_id), self.message_id, self.why)
    }
}
