//! Hello.

use rlp::RlpStream;

use super::{
    Capability,
    strict::{self, RlpError},
};
use crate::id::PeerId;

/// Capabilities that one Hello may list. Nodes with every version of every sub-protocol that ever lived list fewer.
pub const MAX_CAPABILITIES: usize = 16;

/// Bytes of a client identity that are kept and sent. Real ones have about 60.
pub const MAX_CLIENT_ID_LEN: usize = 256;

/// `[protocolVersion: P, clientId: B, [[name: B, version: P], …], listenPort: P, nodeId: B_64, …]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version of the `p2p` capability.
    pub version: u64,
    /// What the client calls itself.
    pub client_id: String,
    /// What it speaks.
    pub capabilities: Vec<Capability>,
    /// A legacy field that says nothing.
    pub listen_port: u64,
    /// Its public key.
    pub id: PeerId,
}

/// Why bytes are not a Hello.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not the RLP of a Hello.
    #[error(transparent)]
    Rlp(#[from] RlpError),
    /// More than [`MAX_CAPABILITIES`].
    #[error("at most {MAX_CAPABILITIES} capabilities, got {got}")]
    TooManyCapabilities {
        /// How many the message lists.
        got: usize,
    },
    /// The identity is missing: not 64 bytes, or all zero.
    #[error("the node identity is null or has the wrong length")]
    NullIdentity,
}

impl Hello {
    /// The message's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut stream = RlpStream::new_list(5);
        stream.append(&self.version).append(&self.client_id);
        stream.begin_list(self.capabilities.len());
        for capability in &self.capabilities {
            stream.begin_list(2).append(&capability.name).append(&capability.version);
        }
        stream.append(&self.listen_port).append(&self.id.0.as_slice());
        stream.out().to_vec()
    }

    /// Reads the message's payload. As EIP-8 asks, further list elements are ignored. Capabilities that nobody can
    /// share (a name that is not ASCII, a version past 64 bits) are left out; control characters in the client
    /// identity, which ends up in logs and answers, become spaces.
    pub fn decode(payload: &[u8]) -> Result<Hello, HelloError> {
        let fields = strict::exact(payload)?.items()?;
        let [version, client_id, capabilities, listen_port, id, ..] = fields.as_slice() else {
            return Err(RlpError::Items { expected: "at least 5", got: fields.len() }.into());
        };
        let version = version.uint()?;
        let client_id = readable(client_id.bytes()?);
        let listed = capabilities.items()?;
        if listed.len() > MAX_CAPABILITIES {
            return Err(HelloError::TooManyCapabilities { got: listed.len() });
        }
        let mut capabilities = Vec::with_capacity(listed.len());
        for item in listed {
            let fields = item.items()?;
            let [name, version] = fields.as_slice() else {
                return Err(RlpError::Items { expected: "2", got: fields.len() }.into());
            };
            let (name, version) = (name.bytes()?, version.uint());
            if let (Ok(name), Ok(version)) = (str::from_utf8(name), version)
                && name.bytes().all(|byte| byte.is_ascii_graphic())
            {
                capabilities.push(Capability { name: name.to_owned(), version });
            }
        }
        let id = id.array().map_err(|_| HelloError::NullIdentity)?;
        if id == [0; 64] {
            return Err(HelloError::NullIdentity);
        }
        // "This field should be ignored": so it cannot be wrong either.
        let listen_port = listen_port.uint().unwrap_or(0);
        Ok(Hello { version, client_id, capabilities, listen_port, id: PeerId(id) })
    }
}

fn readable(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(MAX_CLIENT_ID_LEN)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> Hello {
        Hello {
            version: 5,
            client_id: "Rushlight/v0.1.0/linux".to_owned(),
            capabilities: vec![Capability { name: "eth".to_owned(), version: 28 }],
            listen_port: 30303,
            id: PeerId([7; 64]),
        }
    }

    /// EIP-8's test vector: a Hello of version 55 with additional list elements at its end.
    #[test]
    fn the_packet_of_eip_8() {
        let packet = hex::decode(concat!(
            "f87137916b6e6574682f76302e39312f706c616e39cdc5836574683dc6846d6f726b1682270fb840",
            "fda1cff674c90c9a197539fe3dfb53086ace64f83ed7c6eabec741f7f381cc803e52ab2cd55d5569",
            "bce4347107a310dfd5f88a010cd2ffd1005ca406f1842877c883666f6f836261720304"
        ))
        .unwrap();
        let hello = Hello::decode(&packet).unwrap();
        assert_eq!(hello.version, 55);
        assert_eq!(hello.client_id, "kneth/v0.91/plan9");
        let names: Vec<String> = hello.capabilities.iter().map(Capability::to_string).collect();
        assert_eq!(names, ["eth/61", "mork/22"]);
        assert_eq!(hello.listen_port, 9999);
        assert!(hello.id.to_hex().starts_with("fda1cff674c90c9a"));
    }

    #[test]
    fn strict_where_eip_8_is() {
        let good = hello().encode();
        assert_eq!(Hello::decode(&good), Ok(hello()));
        let mut trailing = good.clone();
        trailing.push(0);
        assert_eq!(Hello::decode(&trailing), Err(RlpError::Trailing { extra: 1 }.into()));
        for len in 0..good.len() {
            assert!(Hello::decode(&good[..len]).is_err());
        }
    }

    #[test]
    fn bounded() {
        let mut many = hello();
        many.capabilities = (0..16).map(|version| Capability { name: "eth".to_owned(), version }).collect();
        assert_eq!(Hello::decode(&many.encode()), Ok(many.clone()));
        many.capabilities.push(Capability { name: "eth".to_owned(), version: 16 });
        assert_eq!(Hello::decode(&many.encode()), Err(HelloError::TooManyCapabilities { got: 17 }));
        let long = Hello { client_id: "x".repeat(1000), ..hello() };
        assert_eq!(Hello::decode(&long.encode()).unwrap().client_id.len(), MAX_CLIENT_ID_LEN);
    }

    #[test]
    fn no_identity() {
        let null = Hello { id: PeerId([0; 64]), ..hello() };
        assert_eq!(Hello::decode(&null.encode()), Err(HelloError::NullIdentity));
    }

    #[test]
    fn what_cannot_be_shared_is_left_out() {
        let mut odd = hello();
        odd.capabilities.push(Capability { name: "ümlaut".to_owned(), version: 1 });
        odd.client_id = "evil\n\u{1b}[31mclient".to_owned();
        let read = Hello::decode(&odd.encode()).unwrap();
        assert_eq!(read.capabilities, hello().capabilities);
        assert_eq!(read.client_id, "evil  [31mclient");
    }

    proptest! {
        #[test]
        fn comes_back(
            version in any::<u64>(), client_id in "[ -~]{0,64}", listen_port in any::<u64>(), id in 1u8..,
            capabilities in proptest::collection::vec(("[a-z]{1,8}", any::<u64>()), 0..16),
        ) {
            let capabilities = capabilities.into_iter().map(|(name, version)| Capability { name, version }).collect();
            let hello = Hello { version, client_id, capabilities, listen_port, id: PeerId([id; 64]) };
            prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }

        #[test]
        fn one_flipped_byte_never_panics(at in any::<prop::sample::Index>(), with in any::<u8>()) {
            let mut bytes = hello().encode();
            let at = at.index(bytes.len());
            bytes[at] = with;
            let _ = Hello::decode(&bytes);
        }

        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = Hello::decode(&bytes);
        }
    }
}
