//! What goes wrong, and what the caller is told: one table from [`ClientError`] to JSON-RPC codes.

use std::{io, net::SocketAddr};

use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use rushlight_light::ClientError;

/// The code of everything that has none of its own, as in geth and in EIP-1474 ("invalid input").
const SERVER_ERROR: i32 = -32000;
const TIMED_OUT: i32 = -32002;
const RESPONSE_TOO_LARGE: i32 = -32003;
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address cannot be listened on.
    #[error("HTTP server cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system says; `AddrInUse` where another process has the port.
        source: io::Error,
    },
    /// Two methods of one name: a mistake in this crate.
    #[error("HTTP server cannot be set up: {0}")]
    Methods(#[from] jsonrpsee::core::RegisterMethodError),
}

/// What a caller is told when `error` stopped the answer. Codes and wording are geth's where it has them.
pub(crate) fn from_client(error: ClientError) -> ErrorObjectOwned {
    match error {
        // `data` says what is missing, whom it was asked of and why that failed.
        ClientError::Unavailable(unavailable) => {
            ErrorObject::owned(SERVER_ERROR, unavailable.to_string(), Some(&unavailable))
        }
        other => ErrorObject::owned(SERVER_ERROR, other.to_string(), None::<()>),
    }
}

pub(crate) fn server_error(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObject::owned(SERVER_ERROR, message, None::<()>)
}

pub(crate) fn invalid_params(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_PARAMS, message, None::<()>)
}

pub(crate) fn method_not_found(method: &str) -> ErrorObjectOwned {
    let message = format!("the method {method} does not exist/is not available");
    ErrorObject::owned(METHOD_NOT_FOUND, message, None::<()>)
}

pub(crate) fn method_name_too_long(length: usize) -> ErrorObjectOwned {
    let message = format!("method name too long: {length} > {}", crate::config::MAX_METHOD_NAME);
    ErrorObject::owned(INVALID_REQUEST, message, None::<()>)
}

pub(crate) fn parse_error() -> ErrorObjectOwned {
    ErrorObject::owned(PARSE_ERROR, "parse error", None::<()>)
}

pub(crate) fn invalid_request() -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_REQUEST, "invalid request", None::<()>)
}

pub(crate) fn empty_batch() -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_REQUEST, "empty batch", None::<()>)
}

pub(crate) fn batch_too_large() -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_REQUEST, "batch too large", None::<()>)
}

pub(crate) fn timed_out() -> ErrorObjectOwned {
    ErrorObject::owned(TIMED_OUT, "request timed out", None::<()>)
}

pub(crate) fn response_too_large() -> ErrorObjectOwned {
    ErrorObject::owned(RESPONSE_TOO_LARGE, "response too large", None::<()>)
}
