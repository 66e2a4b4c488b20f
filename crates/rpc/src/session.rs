//! A connection on which texts and answers go to and fro: what WebSocket and IPC have in common.

use std::{future::Future, io, pin::pin};

use futures::{Stream, StreamExt, stream::FuturesUnordered};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::value::RawValue;
use tokio::{
    sync::watch,
    time::{Instant, interval_at, timeout},
};
use tracing::debug;

use crate::{
    config::{PING_INTERVAL, SEND_TIMEOUT, SESSION_WIDTH},
    dispatch::{self, Dispatch},
    error,
    server::told,
};

/// What comes in.
pub(crate) enum Said {
    /// One text.
    Text(Vec<u8>),
    /// Nothing but that the other end is there.
    Alive,
    /// Something that cannot be read: the connection ends, with this as the last word where there is one.
    Unreadable(Option<ErrorObjectOwned>),
}

/// The way out.
pub(crate) trait Wire: Send {
    /// Whether the other end may close its half and still wait for answers, and is not asked whether it is there.
    const STREAM: bool;

    /// Sends one answer, line break included.
    fn send(&mut self, answer: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// Asks whether the other end is there.
    fn ping(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// Says that nothing more comes.
    fn close(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// Answers what is said until either end has enough. Calls run side by side, up to a bound; past it nothing is read,
/// so that a client waits instead of filling this node's memory.
pub(crate) async fn converse<W: Wire>(
    said: impl Stream<Item = Said> + Send,
    mut wire: W,
    dispatch: &Dispatch,
    mut stopped: watch::Receiver<bool>,
) {
    let mut said = pin!(said);
    let mut calls = FuturesUnordered::new();
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let (mut reading, mut asked) = (true, false);
    while reading || !calls.is_empty() {
        let sent = tokio::select! {
            () = told(&mut stopped), if reading => {
                reading = false;
                Ok(())
            }
            next = said.next(), if reading && calls.len() < SESSION_WIDTH => {
                asked = false;
                match next {
                    Some(Said::Text(text)) if serde_json::from_slice::<&RawValue>(&text).is_ok() => {
                        calls.push(dispatch.answer(text));
                        Ok(())
                    }
                    Some(Said::Alive) => Ok(()),
                    // As in geth: nothing that follows can be trusted to begin where it seems to.
                    Some(Said::Text(_)) => {
                        reading = false;
                        send(wire.send(dispatch::text(error::parse_error()))).await
                    }
                    Some(Said::Unreadable(last_word)) => {
                        reading = false;
                        match last_word {
                            Some(error) => send(wire.send(dispatch::text(error))).await,
                            None => Ok(()),
                        }
                    }
                    None if W::STREAM => {
                        reading = false;
                        Ok(())
                    }
                    // The client has gone, and its work ends with it.
                    None => return,
                }
            }
            Some(answer) = calls.next(), if !calls.is_empty() => {
                if answer.is_empty() { Ok(()) } else { send(wire.send(answer)).await }
            }
            _ = pings.tick(), if !W::STREAM && calls.is_empty() => {
                if std::mem::replace(&mut asked, true) {
                    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to a ping"))
                } else {
                    send(wire.ping()).await
                }
            }
        };
        if let Err(error) = sent {
            debug!(%error, "JSON-RPC connection ended");
            return;
        }
    }
    if let Err(error) = send(wire.close()).await {
        debug!(%error, "JSON-RPC connection was not closed in order");
    }
}

async fn send(sending: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    timeout(SEND_TIMEOUT, sending).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
