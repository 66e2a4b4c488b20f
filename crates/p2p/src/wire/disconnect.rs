//! Disconnect, and why.

use std::fmt;

use rlp::RlpStream;

use super::strict::{self, RlpError};

/// Why a session ends, as the `p2p` capability numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// 0x00: no particular reason.
    Requested,
    /// 0x01: the connection failed.
    TcpError,
    /// 0x02: a malformed message, an id that was not agreed on, and the like.
    BreachOfProtocol,
    /// 0x03: nothing in common, or nothing to gain.
    UselessPeer,
    /// 0x04: no free slot.
    TooManyPeers,
    /// 0x05: another connection to the same node stands.
    AlreadyConnected,
    /// 0x06: a version of `p2p` that we do not speak.
    IncompatibleVersion,
    /// 0x07: no identity in Hello.
    InvalidIdentity,
    /// 0x08: the node shuts down.
    ClientQuitting,
    /// 0x09: another identity than the expected one.
    UnexpectedIdentity,
    /// 0x0a: connected to itself.
    SelfConnect,
    /// 0x0b: no answer to Ping, or silence or slowness elsewhere.
    PingTimeout,
    /// 0x10: a reason that the sub-protocol knows.
    SubprotocolError,
    /// Any other number.
    Other(u8),
}

use DisconnectReason::*;

impl DisconnectReason {
    /// The number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Requested => 0x00,
            TcpError => 0x01,
            BreachOfProtocol => 0x02,
            UselessPeer => 0x03,
            TooManyPeers => 0x04,
            AlreadyConnected => 0x05,
            IncompatibleVersion => 0x06,
            InvalidIdentity => 0x07,
            ClientQuitting => 0x08,
            UnexpectedIdentity => 0x09,
            SelfConnect => 0x0a,
            PingTimeout => 0x0b,
            SubprotocolError => 0x10,
            Other(code) => code,
        }
    }

    /// The reason with that number.
    pub fn from_code(code: u8) -> DisconnectReason {
        match code {
            0x00 => Requested,
            0x01 => TcpError,
            0x02 => BreachOfProtocol,
            0x03 => UselessPeer,
            0x04 => TooManyPeers,
            0x05 => AlreadyConnected,
            0x06 => IncompatibleVersion,
            0x07 => InvalidIdentity,
            0x08 => ClientQuitting,
            0x09 => UnexpectedIdentity,
            0x0a => SelfConnect,
            0x0b => PingTimeout,
            0x10 => SubprotocolError,
            code => Other(code),
        }
    }

    /// The payload of a Disconnect message: `[reason]`.
    pub fn encode(self) -> Vec<u8> {
        let mut stream = RlpStream::new_list(1);
        stream.append(&self.code());
        stream.out().to_vec()
    }

    /// Reads the payload of a Disconnect message. Beside `[reason]` some nodes send the bare number, and the reason is
    /// optional: an empty list or nothing at all is [`DisconnectReason::Requested`].
    pub fn decode(payload: &[u8]) -> Result<DisconnectReason, RlpError> {
        if payload.is_empty() {
            return Ok(Requested);
        }
        // A bare 0x00, which is no canonical integer, is what some nodes mean by reason 0.
        let code = |item: &strict::Item<'_>| match item.bytes()? {
            [] => Ok(0),
            [code] => Ok(*code),
            _ => Err(RlpError::Integer),
        };
        let item = strict::exact(payload)?;
        if !item.is_list() {
            return code(&item).map(DisconnectReason::from_code);
        }
        match item.items()?.as_slice() {
            [] => Ok(Requested),
            [item] => code(item).map(DisconnectReason::from_code),
            items => Err(RlpError::Items { expected: "at most 1", got: items.len() }),
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Requested => "disconnect requested",
            TcpError => "network error",
            BreachOfProtocol => "breach of protocol",
            UselessPeer => "useless peer",
            TooManyPeers => "too many peers",
            AlreadyConnected => "already connected",
            IncompatibleVersion => "incompatible p2p protocol version",
            InvalidIdentity => "invalid node identity",
            ClientQuitting => "client quitting",
            UnexpectedIdentity => "unexpected identity",
            SelfConnect => "connected to self",
            PingTimeout => "ping timeout",
            SubprotocolError => "subprotocol error",
            Other(code) => return write!(f, "unknown reason {code:#04x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_number_has_one_reason() {
        for code in 0..=u8::MAX {
            let reason = DisconnectReason::from_code(code);
            assert_eq!(reason.code(), code);
            assert_eq!(DisconnectReason::decode(&reason.encode()), Ok(reason));
            assert_eq!(matches!(reason, Other(_)), code > 0x0b && code != 0x10);
        }
    }

    #[test]
    fn reads_the_forms_that_are_sent() {
        let decode = DisconnectReason::decode;
        assert_eq!(decode(&[0xc1, 0x04]), Ok(TooManyPeers));
        assert_eq!(decode(&[0x04]), Ok(TooManyPeers));
        assert_eq!(decode(&[0xc1, 0x80]), Ok(Requested));
        assert_eq!(decode(&[0xc1, 0x00]), Ok(Requested));
        assert_eq!(decode(&[0x80]), Ok(Requested));
        assert_eq!(decode(&[0xc0]), Ok(Requested));
        assert_eq!(decode(&[]), Ok(Requested));
        assert_eq!(decode(&[0xc2, 0x81, 0xf0]), Ok(Other(0xf0)));
    }

    #[test]
    fn refuses_the_rest() {
        for bad in
            [&[0xc1, 0x04, 0x00][..], &[0xc2, 0x04, 0x04], &[0xc1], &[0xc3, 0x82, 1, 0], &[0xc1, 0xc0], &[0x81, 4]]
        {
            assert!(DisconnectReason::decode(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = DisconnectReason::decode(&bytes);
        }
    }
}
