//! Which HTTP requests reach the JSON-RPC server at all. Pure: a request's head in, a refusal out.
//!
//! The rules are geth's, in its order: the host filter, the path, an empty GET as a health check, the method, the
//! declared length, the content type.

use std::{collections::HashSet, net::IpAddr};

use http::{Method, StatusCode, header, request};

/// Media types that carry JSON-RPC, see <https://www.jsonrpc.org/historical/json-rpc-over-http.html>.
const MEDIA_TYPES: [&str; 3] = ["application/json", "application/json-rpc", "application/jsonrequest"];

/// An answer that is given without looking at the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Plain text; empty for an answer without a body.
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn too_large(length: u64, most: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("content length too large ({length}>{most})"))
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request body not received in time")
    }

    pub(crate) fn unreadable() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request body cannot be read")
    }
}

/// The host names that requests may be addressed to. It keeps a web page from reaching this node under a name that
/// resolves to it (DNS rebinding).
#[derive(Debug, Clone)]
pub(crate) struct HostFilter {
    any: bool,
    names: HashSet<String>,
}

impl HostFilter {
    pub(crate) fn new(vhosts: &[String]) -> Self {
        let names: HashSet<_> = vhosts.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        Self { any: names.contains("*"), names }
    }

    /// What to say to a request that is addressed to another host, if this is one.
    pub(crate) fn refuse(&self, head: &request::Parts) -> Option<Refusal> {
        let named = head.headers.get(header::HOST);
        let host = named.and_then(|value| value.to_str().ok());
        let unreadable = named.is_some() && host.is_none();
        let host = head.uri.authority().map(http::uri::Authority::as_str).or(host);
        (unreadable || !self.admits(host)).then(|| Refusal::new(StatusCode::FORBIDDEN, "invalid host specified"))
    }

    /// Whether a request with this `Host` is answered. One without is: every browser sends it.
    pub(crate) fn admits(&self, host: Option<&str>) -> bool {
        let Some(host) = host.filter(|host| !host.is_empty()) else { return true };
        let name = without_port(host);
        self.any || name.parse::<IpAddr>().is_ok() || self.names.contains(&name.to_ascii_lowercase())
    }
}

/// `name:port`, `[v6]:port`, `[v6]`, a bare name or a bare address, without the port and the brackets.
fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.rsplit_once(':') {
        Some((name, _)) if !name.contains(':') => name,
        _ => host,
    }
}

/// What to say to a request whose body is not worth reading, if anything.
pub(crate) fn refuse(head: &request::Parts, max_body: usize) -> Option<Refusal> {
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    if head.uri.path() != "/" {
        return Some(Refusal::new(StatusCode::NOT_FOUND, ""));
    }
    let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
    match head.method {
        // Load balancers ask this to see whether the node is up.
        Method::GET if length.unwrap_or(0) == 0 && !chunked && head.uri.query().is_none_or(str::is_empty) => {
            return Some(Refusal::new(StatusCode::OK, ""));
        }
        Method::OPTIONS => return Some(Refusal::new(StatusCode::OK, "")),
        Method::PUT | Method::DELETE => {
            return Some(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"));
        }
        _ => {}
    }
    if let Some(length) = length.filter(|length| *length > max_body as u64) {
        return Some(Refusal::too_large(length, max_body));
    }
    if !header(header::CONTENT_TYPE).is_some_and(is_json) {
        let text = "invalid content type, only application/json is supported";
        return Some(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    if head.method != Method::POST {
        return Some(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"));
    }
    None
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split_once(';').map_or(content_type, |(media_type, _)| media_type).trim();
    MEDIA_TYPES.iter().any(|known| media_type.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn filter(names: &[&str]) -> HostFilter {
        HostFilter::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn hosts() {
        let local = filter(&["localhost"]);
        for good in ["localhost", "LocalHost:8545", "127.0.0.1:8545", "10.1.2.3", "[::1]:8545", "[::1]", "::1", ""] {
            assert!(local.admits(Some(good)), "{good}");
        }
        assert!(local.admits(None));
        for bad in ["evil.example", "localhost.evil.example", "localhost:1:2", "127.0.0.1.evil.example", "a:8545"] {
            assert!(!local.admits(Some(bad)), "{bad}");
        }
        assert!(filter(&["*"]).admits(Some("evil.example")));
        assert!(filter(&["Node.Example", "b"]).admits(Some("node.example:80")));
        assert!(!filter(&[]).admits(Some("localhost")));
    }

    fn status(request: http::request::Builder) -> Option<u16> {
        let (head, ()) = request.body(()).expect("valid request").into_parts();
        let refused = filter(&["localhost"]).refuse(&head).or_else(|| refuse(&head, 100));
        refused.map(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn methods_types_and_lengths() {
        let json = |method| Request::builder().method(method).uri("/").header("content-type", "application/json");
        assert_eq!(status(json("POST")), None);
        assert_eq!(status(json("POST").header("content-length", "100")), None);
        assert_eq!(status(json("POST").header("content-length", "101")), Some(413));
        assert_eq!(status(json("PUT")), Some(405));
        assert_eq!(status(json("DELETE")), Some(405));
        assert_eq!(status(json("PATCH")), Some(405));
        assert_eq!(status(Request::get("/")), Some(200));
        assert_eq!(status(Request::get("/?a=1")), Some(415));
        assert_eq!(status(Request::get("/").header("content-length", "3")), Some(415));
        assert_eq!(status(Request::options("/")), Some(200));
        assert_eq!(status(Request::post("/other").header("content-type", "application/json")), Some(404));
        assert_eq!(status(Request::post("/")), Some(415));
        assert_eq!(status(Request::post("/").header("content-type", "text/plain")), Some(415));
        assert_eq!(status(Request::post("/").header("content-type", "Application/JSON; charset=UTF-8")), None);
        assert_eq!(status(json("POST").header("host", "evil.example")), Some(403));
        assert_eq!(status(json("POST").header("host", b"\xff".as_slice())), Some(403));
    }

    proptest! {
        #[test]
        fn only_named_hosts_and_addresses_pass(host in "[a-zA-Z0-9.:\\[\\]-]{1,40}") {
            let name = without_port(&host).to_ascii_lowercase();
            let expected = name == "localhost" || name.parse::<IpAddr>().is_ok();
            prop_assert_eq!(filter(&["localhost"]).admits(Some(&host)), expected);
        }
    }
}
