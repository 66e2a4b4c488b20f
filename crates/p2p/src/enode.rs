//! `enode://` URLs.

use std::{fmt, net::SocketAddr, str::FromStr};

use crate::id::{IdError, PeerId};

/// Where a node is and who it is: `enode://<128 hex digits>@ip:port[?discport=N]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Enode {
    /// Its public key.
    pub id: PeerId,
    /// Its RLPx endpoint (TCP).
    pub addr: SocketAddr,
    /// Its discovery port (UDP); the same as the TCP port unless the URL has `discport`.
    pub udp: u16,
}

/// Why a text is not an `enode://` URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnodeError {
    /// The text does not start with `enode://`.
    #[error("an enode URL starts with enode://, got {got:?}")]
    Scheme {
        /// The text's beginning.
        got: String,
    },
    /// No `@` between identity and address.
    #[error("an enode URL is enode://<128 hex digits>@ip:port, got no @")]
    NoAddress,
    /// The identity is no public key.
    #[error("bad enode URL: {0}")]
    Id(#[from] IdError),
    /// The address is not `ip:port`.
    #[error("an enode URL has an IP address and a port (no host name) after @, got {got:?}")]
    Address {
        /// What stands after the `@`.
        got: String,
    },
    /// The query is not `discport=N`.
    #[error("an enode URL's only option is discport=<port>, got {got:?}")]
    Query {
        /// What stands after the `?`.
        got: String,
    },
}

impl Enode {
    /// A node whose discovery port is its TCP port.
    pub fn new(id: PeerId, addr: SocketAddr) -> Enode {
        Enode { id, addr, udp: addr.port() }
    }
}

impl fmt::Display for Enode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enode://{}@{}", self.id.to_hex(), self.addr)?;
        if self.udp != self.addr.port() {
            write!(f, "?discport={}", self.udp)?;
        }
        Ok(())
    }
}

impl FromStr for Enode {
    type Err = EnodeError;

    fn from_str(text: &str) -> Result<Enode, EnodeError> {
        let text = text.trim();
        let rest =
            text.strip_prefix("enode://").ok_or_else(|| EnodeError::Scheme { got: text.chars().take(16).collect() })?;
        let (id, rest) = rest.split_once('@').ok_or(EnodeError::NoAddress)?;
        let id = id.parse::<PeerId>()?;
        let (addr, query) = match rest.split_once('?') {
            Some((addr, query)) => (addr, Some(query)),
            None => (rest, None),
        };
        let addr: SocketAddr = addr.parse().map_err(|_| EnodeError::Address { got: addr.to_owned() })?;
        let udp = match query {
            None => addr.port(),
            Some(query) => query
                .strip_prefix("discport=")
                .and_then(|port| port.parse().ok())
                .ok_or_else(|| EnodeError::Query { got: query.to_owned() })?,
        };
        Ok(Enode { id, addr, udp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f";

    #[test]
    fn reads_and_writes_urls() {
        for url in [
            format!("enode://{ID}@127.0.0.1:30303"),
            format!("enode://{ID}@[2001:db8::1]:30303?discport=30301"),
            format!("enode://{ID}@10.0.0.1:30303?discport=0"),
        ] {
            assert_eq!(url.parse::<Enode>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let bad = |url: &str| url.parse::<Enode>().unwrap_err();
        assert!(matches!(bad("http://x"), EnodeError::Scheme { .. }));
        assert_eq!(bad(&format!("enode://{ID}")), EnodeError::NoAddress);
        assert_eq!(bad("enode://abcd@1.2.3.4:5"), EnodeError::Id(IdError::Length { got: 4 }));
        assert_eq!(bad(&format!("enode://{}@1.2.3.4:5", "zz".repeat(64))), EnodeError::Id(IdError::Digits));
        assert_eq!(bad(&format!("enode://{}@1.2.3.4:5", "00".repeat(64))), EnodeError::Id(IdError::NotAKey));
        assert!(matches!(bad(&format!("enode://{ID}@localhost:30303")), EnodeError::Address { .. }));
        assert!(matches!(bad(&format!("enode://{ID}@1.2.3.4")), EnodeError::Address { .. }));
        assert!(matches!(bad(&format!("enode://{ID}@1.2.3.4:70000")), EnodeError::Address { .. }));
        assert!(matches!(bad(&format!("enode://{ID}@1.2.3.4:5?port=1")), EnodeError::Query { .. }));
    }
}
