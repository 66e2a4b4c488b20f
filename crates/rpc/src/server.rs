//! The TCP listeners: one task a connection, HTTP and WebSocket behind the gate, on one port or on two.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::server::HttpBody;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tracing::{debug, info, warn};

use crate::{
    RpcError,
    config::{IDLE_TIMEOUT, MAX_HEAD, READ_TIMEOUT, SHUTDOWN_GRACE},
    cors::Cors,
    dispatch::Dispatch,
    gate::{self, HostFilter, Refusal},
    websocket::{self, Pending},
};

/// How long a listener rests after a failed accept: the usual cause is too many open files, and trying again at
/// once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropping it stops it without waiting for requests under way.
#[derive(Debug)]
pub struct RpcHandle {
    addr: SocketAddr,
    name: &'static str,
    task: Running,
}

impl RpcHandle {
    /// Where it listens; the port is the real one where the configuration had 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no new requests, lets those under way end for up to a second, and returns when every task is gone.
    pub async fn shutdown(self) {
        self.task.stop(self.name).await;
        info!(endpoint = %self.addr, "{} server stopped", self.name);
    }
}

/// A listener's task and the way to end it.
#[derive(Debug)]
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Accepts connections until it is stopped, at most `most` at once. `accept` and `serve` know what they are.
    pub(crate) fn start<S, A, F>(
        most: usize,
        accept: A,
        serve: impl Fn(S, watch::Receiver<bool>) -> F + Send + 'static,
    ) -> Self
    where
        S: Send + 'static,
        A: AsyncAccept<S>,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let permits = Arc::new(Semaphore::new(most.max(1)));
        Self { stop, task: tokio::spawn(listen(accept, permits, serve, stopped)) }
    }

    pub(crate) async fn stop(self, name: &str) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            warn!(%error, "{name} server did not stop in order");
        }
    }
}

/// Where connections come from.
pub(crate) trait AsyncAccept<S>: Send + Sync + 'static {
    fn accept(&self) -> impl Future<Output = io::Result<S>> + Send;
}

impl AsyncAccept<TcpStream> for TcpListener {
    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

async fn listen<S, A, F>(
    listener: A,
    permits: Arc<Semaphore>,
    serve: impl Fn(S, watch::Receiver<bool>) -> F + Send + 'static,
    mut stopped: watch::Receiver<bool>,
) where
    S: Send + 'static,
    A: AsyncAccept<S>,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let for_connections = stopped.clone();
    loop {
        let next = async {
            // The permit first: past the bound, callers wait in the kernel's queue and cost nothing here.
            let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?, permit))
        };
        tokio::select! {
            () = told(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = next => match accepted {
                Ok((stream, permit)) => {
                    let serving = serve(stream, for_connections.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        serving.await;
                    });
                }
                Err(error) => {
                    warn!(%error, "JSON-RPC server cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_GRACE, drained).await.is_err() {
        debug!(left = connections.len(), "JSON-RPC requests under way are cut off");
        connections.shutdown().await;
    }
}

/// Ends when the server is to stop, or its handle is gone.
pub(crate) async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// HTTP on one port.
pub(crate) struct Http {
    pub(crate) dispatch: Dispatch,
    pub(crate) hosts: HostFilter,
    pub(crate) cors: Cors,
}

/// What one port serves.
pub(crate) struct Port {
    pub(crate) http: Option<Http>,
    pub(crate) ws: Option<websocket::Endpoint>,
}

/// Listens on `addr` and serves until the handle is shut down or dropped.
pub(crate) async fn start(addr: SocketAddr, most: usize, port: Port) -> Result<RpcHandle, RpcError> {
    let name = if port.http.is_some() { "HTTP" } else { "WebSocket" };
    let refused = |source| RpcError::Listen { name, addr, source };
    let listener = TcpListener::bind(addr).await.map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    let shared = Arc::new(port);
    let task = Running::start(most, listener, move |stream, stopped| serve(stream, shared.clone(), stopped));
    Ok(RpcHandle { addr, name, task })
}

/// One connection, request after request. When the client hangs up, hyper drops the answer under way, and with it
/// every look-up that nobody else waits for.
async fn serve(stream: TcpStream, port: Arc<Port>, mut stopped: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "HTTP connection keeps Nagle's algorithm");
    }
    let pending = Arc::new(Pending::default());
    let (for_requests, left) = (port.clone(), pending.clone());
    let service = service_fn(move |request| {
        let (port, pending) = (for_requests.clone(), left.clone());
        async move { Ok::<_, Infallible>(answer(request, &port, &pending).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let ended = {
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = told(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    match (ended, &port.ws) {
        (Err(error), _) => debug!(%error, "HTTP connection ended"),
        // In the same task, so that the bound of connections and the order to stop hold for it too.
        (Ok(()), Some(ws)) => ws.run(&pending, stopped).await,
        (Ok(()), None) => {}
    }
}

async fn answer(request: Request<Incoming>, port: &Port, pending: &Pending) -> Response<HttpBody> {
    if let Some(ws) = port.ws.as_ref().filter(|_| websocket::is_asked_for(&request)) {
        return ws.shake_hands(request, pending).unwrap_or_else(plain);
    }
    // A port for WebSockets only has nothing else, as in geth.
    let Some(http) = &port.http else { return plain(Refusal::new(StatusCode::NOT_FOUND, "")) };
    let (head, body) = request.into_parts();
    if let Some(refusal) = http.hosts.refuse(&head) {
        return plain(refusal);
    }
    if let Some(headers) = http.cors.preflight(&head) {
        let mut response = Response::new(HttpBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = headers;
        return response;
    }
    let mut response = match gate::refuse(&head, http.dispatch.max_request()) {
        Some(refusal) => plain(refusal),
        None => match read(body, http.dispatch.max_request()).await {
            Ok(body) => json(http.dispatch.answer(body).await),
            Err(refusal) => plain(refusal),
        },
    };
    response.headers_mut().extend(http.cors.headers(&head));
    response
}

/// The whole body, within its bounds of bytes and time. Read here and not by jsonrpsee, which would wait for a slow
/// sender for ever.
async fn read(body: Incoming, most: usize) -> Result<Vec<u8>, Refusal> {
    let whole = Limited::new(body, most).collect();
    match timeout(READ_TIMEOUT, whole).await {
        Err(_) => Err(Refusal::too_slow()),
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large(most as u64 + 1, most)),
        Ok(Err(_)) => Err(Refusal::unreadable()),
    }
}

fn json(answer: Vec<u8>) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(answer));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(refusal: Refusal) -> Response<HttpBody> {
    let mut text = refusal.text;
    if !text.is_empty() {
        text.push('\n');
    }
    let mut response = Response::new(HttpBody::from(text));
    *response.status_mut() = refusal.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
