//! The exchange of Status: before both have said it, nothing else is sent or taken.

use std::time::Duration;

use rushlight_p2p::ProtocolStream;

use super::breach::{Breach, Why};
use crate::v28::{Message28, Mismatch, Status, decode, id};

/// How long a peer may take to say Status.
pub(crate) const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// No Status within [`STATUS_TIMEOUT`].
    Silent,
    /// The connection is gone.
    Closed,
    /// Something else came first, or something that is no Status.
    Breach(Breach),
    /// The peer is of another version, network or chain.
    Mismatch(Mismatch),
}

/// Says our Status and waits for the peer's.
pub(crate) async fn exchange(stream: &mut ProtocolStream, ours: &Status) -> Result<Status, HandshakeError> {
    let both = async {
        let (id, payload) = Message28::Status(*ours).encode();
        let sender = stream.sender();
        let (sent, message) = tokio::join!(sender.send(id, payload), stream.recv());
        sent.map_err(|_| HandshakeError::Closed)?;
        message.ok_or(HandshakeError::Closed)
    };
    let message = match tokio::time::timeout(STATUS_TIMEOUT, both).await {
        Ok(message) => message?,
        Err(_) => return Err(HandshakeError::Silent),
    };
    if message.id != id::STATUS {
        return Err(HandshakeError::Breach(Breach::new(message.id, Why::BeforeStatus)));
    }
    match decode(message.id, &message.payload) {
        Ok(Message28::Status(theirs)) => {
            ours.agrees(&theirs).map_err(HandshakeError::Mismatch)?;
            Ok(theirs)
        }
        Ok(_) => Err(HandshakeError::Breach(Breach::new(message.id, Why::BeforeStatus))),
        Err(error) => Err(HandshakeError::Breach(Breach::new(message.id, error))),
    }
}
