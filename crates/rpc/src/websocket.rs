//! WebSocket (RFC 6455): from an HTTP request to a conversation.

use std::{io, sync::Mutex};

use futures::{Stream, stream};
use http::{Request, Response, StatusCode, header};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use jsonrpsee::server::HttpBody;
use soketto::{
    Receiver, Sender,
    connection::Error,
    data::ByteSlice125,
    handshake::http::{Server, is_upgrade_request},
};
use tokio::sync::watch;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tracing::{debug, warn};

use crate::{
    dispatch::Dispatch,
    gate::Refusal,
    origins::Origins,
    session::{Said, Wire, converse},
};

type Socket = Compat<TokioIo<Upgraded>>;

/// WebSockets on one port.
pub(crate) struct Endpoint {
    pub(crate) dispatch: Dispatch,
    pub(crate) origins: Origins,
}

/// A connection that its HTTP request has turned into a WebSocket, once the answer to that is out.
#[derive(Default)]
pub(crate) struct Pending(Mutex<Option<(Server, OnUpgrade)>>);

/// Whether a request asks for a WebSocket.
pub(crate) fn is_asked_for(request: &Request<Incoming>) -> bool {
    is_upgrade_request(request)
}

impl Endpoint {
    /// Answers the request for a WebSocket, and leaves in `pending` what comes after it.
    pub(crate) fn shake_hands(
        &self,
        mut request: Request<Incoming>,
        pending: &Pending,
    ) -> Result<Response<HttpBody>, Refusal> {
        if request.uri().path() != "/" {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "not found"));
        }
        if !self.origins.admit(request.headers()) {
            let origin = request.headers().get(header::ORIGIN);
            warn!(?origin, "Rejected WebSocket connection");
            return Err(Refusal::new(StatusCode::FORBIDDEN, "origin not allowed"));
        }
        let mut server = Server::new();
        let response = server.receive_request(&request).map_err(|error| {
            debug!(%error, "WebSocket handshake refused");
            Refusal::new(StatusCode::BAD_REQUEST, "invalid WebSocket handshake")
        })?;
        let upgrade = hyper::upgrade::on(&mut request);
        *pending.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((server, upgrade));
        Ok(response.map(|()| HttpBody::empty()))
    }

    /// The conversation, if the connection came to one.
    pub(crate) async fn run(&self, pending: &Pending, stopped: watch::Receiver<bool>) {
        let upgraded = pending.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some((server, upgrade)) = upgraded else { return };
        let socket = match upgrade.await {
            Ok(upgraded) => TokioIo::new(upgraded).compat(),
            Err(error) => {
                debug!(%error, "WebSocket did not come about");
                return;
            }
        };
        let mut builder = server.into_builder(socket);
        builder.set_max_message_size(self.dispatch.max_request());
        // A longer frame is refused by its head, without waiting for its end.
        builder.set_max_frame_size(self.dispatch.max_request());
        let (sender, receiver) = builder.finish();
        converse(messages(receiver), WebSocket(sender), &self.dispatch, stopped).await;
    }
}

/// What comes in; the end of it is the end of the connection.
fn messages(receiver: Receiver<Socket>) -> impl Stream<Item = Said> + Send {
    stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        let mut text = Vec::new();
        match receiver.receive(&mut text).await {
            Ok(soketto::Incoming::Data(_)) => Some((Said::Text(text), Some(receiver))),
            Ok(soketto::Incoming::Pong(_)) => Some((Said::Alive, Some(receiver))),
            Ok(soketto::Incoming::Closed(_)) | Err(Error::Closed | Error::Io(_)) => None,
            // As in geth: too long or no WebSocket frame, and nothing is said but that the connection ends.
            Err(error) => {
                debug!(%error, "WebSocket message cannot be read");
                Some((Said::Unreadable(None), None))
            }
        }
    })
}

struct WebSocket(Sender<Socket>);

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl Wire for WebSocket {
    const STREAM: bool = false;

    async fn send(&mut self, mut answer: Vec<u8>) -> io::Result<()> {
        // A message ends by itself.
        if answer.last() == Some(&b'\n') {
            answer.pop();
        }
        let text = String::from_utf8(answer).map_err(io::Error::other)?;
        self.0.send_text_owned(text).await.map_err(io_error)?;
        self.0.flush().await.map_err(io_error)
    }

    async fn ping(&mut self) -> io::Result<()> {
        let Ok(nothing) = ByteSlice125::try_from(&[][..]) else { return Ok(()) };
        self.0.send_ping(nothing).await.map_err(io_error)?;
        self.0.flush().await.map_err(io_error)
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.close().await.map_err(io_error)
    }
}
