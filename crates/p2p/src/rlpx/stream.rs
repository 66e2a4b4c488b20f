//! Frames over a stream of bytes. Both halves may be cancelled at any await and go on later.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::frame::{FrameDecoder, FrameEncoder, FrameError};

/// Room made for a read, at the least: most messages come with their frame's header.
const MIN_READ: usize = 4 * 1024;

/// Room made for a read, at most. A large frame's memory is taken step by step as its bytes arrive, not on its header's
/// word.
const MAX_READ: usize = 16 * 1024;

/// A send buffer that has grown past this is given back once it is empty.
const KEEP_BUFFER: usize = 64 * 1024;

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection failed, or ended within a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Reads frames.
pub struct FrameReader<R> {
    io: R,
    decoder: FrameDecoder,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader from the first byte after the handshake.
    pub fn new(io: R, decoder: FrameDecoder) -> FrameReader<R> {
        FrameReader { io, decoder, buffer: BytesMut::new() }
    }

    /// The next frame's data, of at most `max` bytes; `None` where the stream ends between two frames.
    pub async fn read(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.buffer, max)? {
                return Ok(Some(frame));
            }
            let missing = self.decoder.missing().saturating_sub(self.buffer.len());
            self.buffer.reserve(missing.clamp(MIN_READ, MAX_READ));
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                if self.buffer.is_empty() && self.decoder.body().is_none() {
                    return Ok(None);
                }
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// The size of the frame that is on its way, once its header is here.
    pub fn awaited_body(&self) -> Option<usize> {
        self.decoder.body()
    }

    /// Reads and throws away until the stream ends.
    pub async fn drain(&mut self) {
        let mut scratch = [0; 1024];
        while matches!(self.io.read(&mut scratch).await, Ok(1..)) {}
    }
}

/// Writes frames.
pub struct FrameWriter<W> {
    io: W,
    encoder: FrameEncoder,
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// A writer from the first byte after the handshake.
    pub fn new(io: W, encoder: FrameEncoder) -> FrameWriter<W> {
        FrameWriter { io, encoder, buffer: BytesMut::new() }
    }

    /// Makes a frame; it goes out with [`FrameWriter::flush`].
    pub fn queue(&mut self, data: &[u8]) -> Result<(), FrameError> {
        self.encoder.encode(data, &mut self.buffer)
    }

    /// Writes what is queued, including the rest of what a cancelled call has left.
    pub async fn flush(&mut self) -> io::Result<()> {
        while self.buffer.has_remaining() {
            if self.io.write_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        if self.buffer.capacity() > KEEP_BUFFER {
            self.buffer = BytesMut::new();
        }
        self.io.flush().await
    }

    /// Bytes that [`FrameWriter::flush`] has still to write.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Ends this direction.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }
}
