//! Which web pages may open a WebSocket: geth's `--ws.origins`. Pure.
//!
//! Browsers always send an `Origin` and do not hold back a WebSocket to another site, so the server must refuse it.
//! A client without one is no browser.

use std::fs;

use http::{HeaderMap, header};

/// Pages that may connect.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    any: bool,
    rules: Vec<Origin>,
}

/// A rule, or what a browser sends; what a rule leaves empty may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: String,
}

impl Origin {
    /// `scheme://host:port`, `host:port`, `host`.
    fn parse(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", &text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or_default()),
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        Self { scheme: scheme.to_owned(), host: host.to_owned(), port: port.to_owned() }
    }

    fn allows(&self, browser: &Self) -> bool {
        let fits = |rule: &str, is: &str| rule.is_empty() || rule == is;
        fits(&self.scheme, &browser.scheme) && fits(&self.host, &browser.host) && fits(&self.port, &browser.port)
    }
}

impl Origins {
    /// Pages of this machine where none are named, as in geth.
    pub(crate) fn new(origins: &[String]) -> Self {
        let named: Vec<_> = origins.iter().map(|origin| origin.trim()).filter(|origin| !origin.is_empty()).collect();
        let any = named.contains(&"*");
        let rules = if named.is_empty() {
            let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let own = Some(own.trim()).filter(|own| !own.is_empty());
            ["localhost"].into_iter().chain(own).map(|host| Origin::parse(&format!("http://{host}"))).collect()
        } else {
            named.into_iter().filter(|origin| *origin != "*").map(Origin::parse).collect()
        };
        Self { any, rules }
    }

    /// Whether a request with these headers may become a WebSocket.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        self.any
            || origin.to_str().is_ok_and(|origin| {
                let origin = Origin::parse(origin);
                self.rules.iter().any(|rule| rule.allows(&origin))
            })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn admits(rules: &[&str], origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        Origins::new(&rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>()).admit(&headers)
    }

    #[test]
    fn as_geth_has_them() {
        for (rules, good, bad) in [
            (
                &[][..],
                &["http://localhost", "http://localhost:3000"][..],
                &["https://localhost", "http://a", "null"][..],
            ),
            (&["*"], &["http://a", "null", "file://"], &[]),
            (&["a", "*"], &["http://b"], &[]),
            (&["https://a.example"], &["https://a.example", "https://A.example:8"], &["http://a.example", "https://b"]),
            (&["a.example:80"], &["http://a.example:80", "x://a.example:80"], &["http://a.example", "http://b:80"]),
            (
                &["a.example"],
                &["http://a.example", "https://a.example:1"],
                &["http://a.example.evil", "http://xa.example"],
            ),
            (&["http://"], &["http://any", "http://any:1"], &["https://any"]),
            (&["http://[::1]:80"], &["http://[::1]:80"], &["http://[::1]:81", "http://[::2]:80"]),
        ] {
            for origin in good {
                assert!(admits(rules, Some(origin)), "{rules:?} {origin}");
            }
            for origin in bad {
                assert!(!admits(rules, Some(origin)), "{rules:?} {origin}");
            }
            assert!(admits(rules, None), "no browser");
        }
    }

    #[test]
    fn an_unreadable_origin_is_none_of_the_named() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_bytes(b"http://\xff").unwrap());
        assert!(!Origins::new(&[]).admit(&headers));
        assert!(Origins::new(&["*".to_owned()]).admit(&headers));
    }
}
