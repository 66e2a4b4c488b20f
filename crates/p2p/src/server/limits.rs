//! How many, and from where.

use std::net::IpAddr;

use super::config::ServerConfig;

/// A server's limits, their defaults worked out. See [`ServerConfig`].
pub(super) struct Limits {
    pub(super) peers: usize,
    pub(super) inbound: usize,
    pub(super) outbound: usize,
    pub(super) pending: usize,
    pub(super) dials: usize,
    pub(super) per_ip: usize,
}

impl Limits {
    pub(super) fn of(config: &ServerConfig) -> Limits {
        Limits {
            peers: config.max_peers,
            inbound: config.inbound_limit(),
            outbound: config.outbound_limit(),
            pending: config.max_pending,
            dials: config.max_dials,
            per_ip: config.max_per_ip,
        }
    }
}

/// Loopback, private and link-local addresses: one's own machines.
pub(super) fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_addresses_are_local() {
        for (ip, local) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("192.168.1.1", true),
            ("169.254.1.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("::ffff:192.168.1.1", true),
            ("::ffff:8.8.8.8", false),
            ("8.8.8.8", false),
            ("172.32.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_local(ip.parse().unwrap()), local, "{ip}");
        }
    }
}
