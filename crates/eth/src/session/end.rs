//! How a session ends: what the log says, what the peer is told, and what is told above.

use std::time::Duration;

use rushlight_p2p::{DisconnectReason, Peer, ProtocolError};

use super::breach::Breach;
use crate::v28::message_name;

/// A peer that takes nothing for this long is let go: as long as go-ethereum's p2p waits for a frame.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// An id past the capability's last, a message over the limit, a damaged frame: whoever keeps scores hears of it from here.
const BREACH_BELOW: &str = "broke devp2p, or another protocol on the connection";

/// How a session ends.
pub(super) enum End {
    /// The connection is gone, or either side asked for the end.
    Closed,
    /// The peer takes nothing.
    Stalled,
    /// The peer broke the protocol.
    Breach(Breach),
    /// The peer broke what lies below: `p2p` has ended the connection, and logged why.
    BreachBelow,
    /// Our own reading failed.
    Internal,
}

impl End {
    /// What the peer did where it broke the protocol.
    pub(super) fn breach(&self) -> Option<String> {
        match self {
            Self::Breach(breach) => Some(breach.to_string()),
            Self::BreachBelow => Some(BREACH_BELOW.to_owned()),
            Self::Closed | Self::Stalled | Self::Internal => None,
        }
    }
}

impl From<Breach> for End {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}

/// Whether the connection is gone because the peer broke what lies below.
pub(super) fn broke_below(peer: &Peer) -> bool {
    peer.disconnect_reason() == Some(DisconnectReason::BreachOfProtocol)
}

/// The log and the reason that an end has.
pub(super) fn result(peer: &Peer, end: End) -> Result<(), ProtocolError> {
    let (reason, message) = match end {
        End::Closed => return Ok(()),
        End::Stalled => {
            let message = format!("took nothing for {} s", SEND_TIMEOUT.as_secs());
            tracing::info!(peer = %peer.id(), address = %peer.remote_addr(), "peer {message}");
            (DisconnectReason::PingTimeout, message)
        }
        End::Breach(breach) => {
            tracing::warn!(
                peer = %peer.id(), address = %peer.remote_addr(), client = peer.client(),
                message_id = format_args!("{:#04x}", breach.message_id),
                message_name = message_name(breach.message_id), why = %breach.why, "breach of protocol"
            );
            (breach.reason(), breach.to_string())
        }
        End::BreachBelow => (DisconnectReason::BreachOfProtocol, BREACH_BELOW.to_owned()),
        End::Internal => (DisconnectReason::SubprotocolError, "internal error".to_owned()),
    };
    // At once, whoever may still have to hear of it.
    peer.disconnect(reason);
    Err(ProtocolError { reason, message })
}
