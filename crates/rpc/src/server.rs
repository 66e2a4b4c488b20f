//! The HTTP server: a listener, one task a connection, jsonrpsee behind the gate.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::{
    core::middleware::RpcServiceBuilder,
    server::{
        BatchRequestConfig, HttpBody, Methods, ServerBuilder, ServerConfig, StopHandle,
        http::response::from_method_response, stop_channel,
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tower::Service;
use tracing::{debug, info, warn};

use crate::{
    RpcConfig, RpcError,
    config::{MAX_HEAD, READ_TIMEOUT, SHUTDOWN_GRACE},
    gate::{self, HostFilter, Refusal},
    rules::{self, Limits, Rules},
};

/// How long the listener rests after a failed accept: the usual cause is too many open files, and trying again at
/// once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropping it stops it without waiting for requests under way.
#[derive(Debug)]
pub struct RpcHandle {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RpcHandle {
    /// Where it listens; the port is the real one where the configuration had 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no new requests, lets those under way end for up to a second, and returns when every task is gone.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            warn!(%error, "HTTP server did not stop in order");
        }
        info!(endpoint = %self.addr, "HTTP server stopped");
    }
}

/// What one request needs, shared by all of them.
struct Shared {
    methods: Methods,
    limits: Arc<Limits>,
    hosts: HostFilter,
    config: ServerConfig,
    max_body: u32,
    /// jsonrpsee wants one for WebSockets; connections are stopped here.
    never: StopHandle,
}

/// Listens and serves `methods` until the handle is shut down or dropped.
pub(crate) async fn start(config: &RpcConfig, methods: Methods, limits: Limits) -> Result<RpcHandle, RpcError> {
    let listen = |source| RpcError::Listen { addr: config.addr, source };
    let listener = TcpListener::bind(config.addr).await.map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;
    let (stop, stopped) = watch::channel(false);
    let (never, keep_alive) = stop_channel();
    let shared = Arc::new(Shared {
        methods,
        limits: Arc::new(limits),
        hosts: HostFilter::new(&config.vhosts),
        config: ServerConfig::builder()
            .http_only()
            .max_request_body_size(config.max_body)
            .max_response_body_size(config.max_response)
            // A batch is counted in the rules, which answer as geth does.
            .set_batch_request_config(BatchRequestConfig::Unlimited)
            .build(),
        max_body: config.max_body,
        never,
    });
    let permits = Arc::new(Semaphore::new(config.max_connections.max(1)));
    let task = tokio::spawn(async move {
        let _keep_alive = keep_alive;
        accept(listener, permits, shared, stopped).await;
    });
    info!(endpoint = %addr, vhosts = config.vhosts.join(","), "HTTP server started");
    Ok(RpcHandle { addr, stop, task })
}

async fn accept(
    listener: TcpListener,
    permits: Arc<Semaphore>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let for_connections = stopped.clone();
    loop {
        let next = async {
            // The permit first: past the bound, callers wait in the kernel's queue and cost nothing here.
            let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            Ok::<_, io::Error>((stream, permit))
        };
        tokio::select! {
            () = told(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = next => match accepted {
                Ok((stream, permit)) => {
                    connections.spawn(serve(stream, permit, shared.clone(), for_connections.clone()));
                }
                Err(error) => {
                    warn!(%error, "HTTP server cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_GRACE, drained).await.is_err() {
        debug!(left = connections.len(), "HTTP requests under way are cut off");
        connections.shutdown().await;
    }
}

/// Ends when the server is to stop, or its handle is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// One connection, request after request. When the client hangs up, hyper drops the answer under way, and with it
/// every look-up that nobody else waits for.
async fn serve(
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "HTTP connection keeps Nagle's algorithm");
    }
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "HTTP connection ended");
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<HttpBody> {
    let (head, body) = request.into_parts();
    if let Some(refusal) = gate::refuse(&head, &shared.hosts, shared.max_body) {
        return plain(refusal);
    }
    let body = match read(body, shared.max_body).await {
        Ok(body) => body,
        Err(refusal) => return plain(refusal),
    };
    match rules::refuse(&body) {
        None => call(head, body, shared).await,
        Some(refused) => finish(from_method_response(refused)).await,
    }
}

/// The whole body, within its bounds of bytes and time. Read here and not by jsonrpsee, which would wait for a slow
/// sender for ever.
async fn read(body: Incoming, most: u32) -> Result<Vec<u8>, Refusal> {
    let whole = Limited::new(body, most as usize).collect();
    match timeout(READ_TIMEOUT, whole).await {
        Err(_) => Err(Refusal::too_slow()),
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large(u64::from(most) + 1, most)),
        Ok(Err(_)) => Err(Refusal::unreadable()),
    }
}

fn call(mut head: Parts, body: Vec<u8>, shared: &Shared) -> impl Future<Output = Response<HttpBody>> + Send + use<> {
    // The gate has accepted the type; jsonrpsee knows fewer spellings of it, and the lengths are the gate's matter.
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::TRANSFER_ENCODING);
    let request = Request::from_parts(head, HttpBody::from(body));
    let limits = shared.limits.clone();
    let rules = RpcServiceBuilder::new().layer_fn(move |inner| Rules { inner, limits: limits.clone() });
    let mut service = ServerBuilder::with_config(shared.config.clone())
        .set_rpc_middleware(rules)
        .to_service_builder()
        .build(shared.methods.clone(), shared.never.clone());
    let answer = service.call(request);
    async move {
        match answer.await {
            Ok(answer) => finish(answer).await,
            Err(error) => {
                warn!(%error, "HTTP request failed");
                plain(Refusal::unreadable())
            }
        }
    }
}

/// Ends the answer with a line break, as geth does: it is read in terminals.
async fn finish(answer: Response<HttpBody>) -> Response<HttpBody> {
    let (mut head, body) = answer.into_parts();
    let Ok(body) = body.collect().await else { return plain(Refusal::unreadable()) };
    // The only holder of these bytes: no copy is made.
    let mut body = Vec::from(body.to_bytes());
    // jsonrpsee's way to say that there is nothing to say: to a notification there is no answer.
    if body == b"null" {
        body.clear();
    } else {
        body.push(b'\n');
    }
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(head, HttpBody::from(body))
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
