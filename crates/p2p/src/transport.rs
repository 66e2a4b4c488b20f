//! Byte streams between nodes, and how they come about. Passed into the server, so that tests can join servers in memory.

use std::{io, net::SocketAddr};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// A stream of bytes in both directions.
pub trait AsyncReadWrite: AsyncRead + AsyncWrite + Send + Unpin {
    /// This side's address, where the stream has one.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}

impl AsyncReadWrite for TcpStream {
    fn local_addr(&self) -> Option<SocketAddr> {
        TcpStream::local_addr(self).ok()
    }
}

impl AsyncReadWrite for tokio::io::DuplexStream {}

/// Any stream.
pub type BoxedStream = Box<dyn AsyncReadWrite>;

/// Makes connections and accepts them.
pub trait Transport: Send + Sync + 'static {
    /// Starts listening. Port 0 is any free one.
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Connects. The caller sets the time-out.
    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<BoxedStream>>;
}

/// Connections that come in.
pub trait Listener: Send {
    /// The next connection and where it comes from. Must be cancel-safe: a future dropped early loses no connection.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxedStream, SocketAddr)>>;

    /// The address that is listened on.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// The real network.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpTransport;

impl Transport for TcpTransport {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(TcpListener::bind(addr).await?) as Box<dyn Listener>) })
    }

    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<BoxedStream>> {
        Box::pin(async move { boxed(TcpStream::connect(addr).await?) })
    }
}

impl Listener for TcpListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxedStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, remote) = TcpListener::accept(self).await?;
            Ok((boxed(stream)?, remote))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

/// Frames are written whole, so waiting for more to fill a packet only costs a round trip.
fn boxed(stream: TcpStream) -> io::Result<BoxedStream> {
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
