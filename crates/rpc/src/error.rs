//! What goes wrong, and what the caller is told: one table from [`ClientError`] to JSON-RPC codes.

use std::{io, net::SocketAddr, path::PathBuf};

use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use rushlight_light::ClientError;

/// The code of everything that has none of its own, as in geth and in EIP-1474 ("invalid input").
pub(crate) const SERVER_ERROR: i32 = -32000;
const TIMED_OUT: i32 = -32002;
const RESPONSE_TOO_LARGE: i32 = -32003;
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address cannot be listened on.
    #[error("{name} server cannot listen on {addr}: {source}")]
    Listen {
        /// Which one.
        name: &'static str,
        /// The address asked for.
        addr: SocketAddr,
        /// What the system says; `AddrInUse` where another process has the port.
        source: io::Error,
    },
    /// The IPC socket cannot be made.
    #[error("IPC endpoint {path}: {why}")]
    Ipc {
        /// Where it was to be.
        path: PathBuf,
        /// What stands in the way.
        why: IpcError,
    },
    /// Two methods of one name: a mistake in this crate.
    #[error("JSON-RPC cannot be set up: {0}")]
    Methods(#[from] jsonrpsee::core::RegisterMethodError),
}

/// Why an IPC socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IpcError {
    /// The system's bound for the path of a socket.
    #[error(
        "a socket's path has at most {most} bytes, this one has {length}: choose a shorter one with --ipcpath, or --ipcdisable"
    )]
    TooLong {
        /// Bytes of the path.
        length: usize,
        /// The most that the system takes.
        most: usize,
    },
    /// Another process answers there.
    #[error("another process listens there")]
    InUse,
    /// A file that is no socket, and not this node's to remove.
    #[error("there is a file of that name which is no socket")]
    NoSocket,
    /// Whatever else the system says.
    #[error(transparent)]
    Io(#[from] io::Error),
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

pub(crate) fn internal_error() -> ErrorObjectOwned {
    ErrorObject::owned(INTERNAL_ERROR, "internal error", None::<()>)
}

pub(crate) fn parse_error() -> ErrorObjectOwned {
    ErrorObject::owned(PARSE_ERROR, "parse error", None::<()>)
}

/// A stream that cannot be read any further.
pub(crate) fn unreadable(why: impl Into<String>) -> ErrorObjectOwned {
    ErrorObject::owned(PARSE_ERROR, why, None::<()>)
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
