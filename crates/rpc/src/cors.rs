//! Which web pages may read answers: cross-origin resource sharing as geth does it (rs/cors with methods POST and
//! GET, any header, 600 seconds). Pure: a request's head in, headers out.
//! Source: <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use http::{HeaderMap, HeaderValue, Method, header, request::Parts};

/// How long a browser may keep what a preflight told it, in seconds.
const MAX_AGE: &str = "600";

/// Pages that may read answers, by origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cors {
    /// Lower-cased; one `*` in an origin stands for any run of characters.
    origins: Vec<String>,
}

impl Cors {
    pub(crate) fn new(domains: &[String]) -> Self {
        let named = domains.iter().map(|domain| domain.trim().to_ascii_lowercase());
        Self { origins: named.filter(|domain| !domain.is_empty()).collect() }
    }

    /// Whether nothing is named: then nothing is said at all.
    fn is_off(&self) -> bool {
        self.origins.is_empty()
    }

    fn admits_all(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }

    fn admits(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.origins.iter().any(|allowed| match allowed.split_once('*') {
            None => *allowed == origin,
            Some((before, after)) => {
                origin.len() >= before.len() + after.len() && origin.starts_with(before) && origin.ends_with(after)
            }
        })
    }

    fn admitted_origin(&self, head: &Parts) -> Option<HeaderValue> {
        let origin = head.headers.get(header::ORIGIN)?;
        if self.admits_all() {
            return Some(HeaderValue::from_static("*"));
        }
        origin.to_str().is_ok_and(|origin| self.admits(origin)).then(|| origin.clone())
    }

    /// The headers of the answer (204) to a browser's question before it sends the request itself, if this is one.
    pub(crate) fn preflight(&self, head: &Parts) -> Option<HeaderMap> {
        let method = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if self.is_off() || head.method != Method::OPTIONS {
            return None;
        }
        let mut answer = HeaderMap::new();
        for varying in ["origin", "access-control-request-method", "access-control-request-headers"] {
            answer.append(header::VARY, HeaderValue::from_static(varying));
        }
        let allowed_method = method.as_bytes() == b"POST" || method.as_bytes() == b"GET";
        if let (Some(origin), true) = (self.admitted_origin(head), allowed_method) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            if let Some(wanted) = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        }
        Some(answer)
    }

    /// What the answer to any other request says of it.
    pub(crate) fn headers(&self, head: &Parts) -> HeaderMap {
        let mut answer = HeaderMap::new();
        if self.is_off() {
            return answer;
        }
        answer.insert(header::VARY, HeaderValue::from_static("origin"));
        let allowed_method = [Method::POST, Method::GET, Method::OPTIONS].contains(&head.method);
        if let (Some(origin), true) = (self.admitted_origin(head), allowed_method) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn cors(domains: &[&str]) -> Cors {
        Cors::new(&domains.iter().map(|domain| (*domain).to_owned()).collect::<Vec<_>>())
    }

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn allowed(cors: &Cors, origin: &str) -> Option<String> {
        let headers = cors.headers(&head("POST", &[("origin", origin)]));
        headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn origins() {
        let some = cors(&["https://dapp.example", " HTTP://*.Test.example:80 ", ""]);
        for good in ["https://dapp.example", "https://DAPP.example", "http://a.b.test.example:80"] {
            assert_eq!(allowed(&some, good).as_deref(), Some(good));
        }
        for bad in ["http://dapp.example", "https://dapp.example:444", "https://evil.example", "null", "", "http://x"] {
            assert_eq!(allowed(&some, bad), None, "{bad}");
        }
        assert_eq!(allowed(&cors(&["*"]), "null").as_deref(), Some("*"));
        assert!(cors(&[]).headers(&head("POST", &[("origin", "http://a")])).is_empty(), "off says nothing");
        // The two ends of a pattern do not share characters.
        assert_eq!(allowed(&cors(&["http://ab*ba"]), "http://aba"), None);
        assert_eq!(some.headers(&head("POST", &[])).get("vary").unwrap(), "origin");
        assert!(
            !some
                .headers(&head("PUT", &[("origin", "https://dapp.example")]))
                .contains_key("access-control-allow-origin")
        );
    }

    #[test]
    fn preflight() {
        let some = cors(&["https://dapp.example"]);
        let ask = |origin, method| {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", method),
                ("access-control-request-headers", "content-type, x-own"),
            ];
            some.preflight(&head("OPTIONS", &headers)).unwrap()
        };
        let answer = ask("https://dapp.example", "POST");
        assert_eq!(answer["access-control-allow-origin"], "https://dapp.example");
        assert_eq!(answer["access-control-allow-methods"], "POST");
        assert_eq!(answer["access-control-allow-headers"], "content-type, x-own");
        assert_eq!(answer["access-control-max-age"], "600");
        assert_eq!(answer.get_all("vary").iter().count(), 3);
        for refused in [ask("https://evil.example", "POST"), ask("https://dapp.example", "DELETE")] {
            assert!(!refused.contains_key("access-control-allow-origin") && refused.contains_key("vary"));
        }
        assert!(some.preflight(&head("OPTIONS", &[("origin", "https://dapp.example")])).is_none(), "no preflight");
        let plain = [("origin", "a"), ("access-control-request-method", "POST")];
        assert!(some.preflight(&head("POST", &plain)).is_none());
        assert!(cors(&[]).preflight(&head("OPTIONS", &plain)).is_none());
    }
}
