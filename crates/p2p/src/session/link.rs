//! Messages over frames, and the time-outs of a connection.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{ReadHalf, WriteHalf},
    time::{Instant, timeout, timeout_at},
};

use super::error::{Phase, SessionError};
use crate::{
    rlpx::{
        frame::{self, MAX_FRAME_SIZE},
        handshake::Secrets,
        stream::{FrameReader, FrameWriter},
    },
    transport::BoxedStream,
    wire::{self, DisconnectReason, MAX_COMPRESSED_SIZE, MAX_MESSAGE_SIZE},
};

/// For the ECIES handshake, and again for Hello: a few round trips on the slowest links, as in geth.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often Ping is sent, as in geth.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);

/// A peer from which no frame starts for this long is gone: it has let a Ping go by, and its own were due as well.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that takes no frame for this long does not read.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Large frames have more time: as much as this rate, in bytes a second, needs. 10 MiB have eleven minutes then.
pub const MIN_TRANSFER_RATE: u64 = 16 * 1024;

/// For what is queued, Disconnect, and the peer's own end of the connection. The specification says two seconds: a
/// connection that is closed at once may take Disconnect down with it before it has been read.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest frame that can hold a message: the payload at its worst and the longest id.
const MAX_MESSAGE_FRAME: usize = MAX_COMPRESSED_SIZE + 9;
const _: () = assert!(MAX_MESSAGE_FRAME <= MAX_FRAME_SIZE);

/// The reading half of a connection.
pub(crate) struct LinkReader {
    frames: FrameReader<ReadHalf<BoxedStream>>,
    pub(crate) snappy: bool,
}

/// The writing half of a connection.
pub(crate) struct LinkWriter {
    frames: FrameWriter<WriteHalf<BoxedStream>>,
    pub(crate) snappy: bool,
}

/// An encrypted connection.
pub struct Link {
    pub(crate) reader: LinkReader,
    pub(crate) writer: LinkWriter,
}

fn allowance(base: Duration, bytes: usize) -> Duration {
    base + Duration::from_secs(bytes as u64 / MIN_TRANSFER_RATE)
}

impl LinkReader {
    /// The next message (id, payload). Its frame must start within [`READ_TIMEOUT`], and then be here in its own time.
    pub(crate) async fn read(&mut self) -> Result<(u64, Bytes), SessionError> {
        let snappy = self.snappy;
        let data = self.frame(MAX_MESSAGE_FRAME).await?;
        match wire::decode(data.clone(), snappy, MAX_MESSAGE_SIZE) {
            // A Disconnect that was sent before its sender knew our version is not compressed.
            Err(error) => match wire::decode(data, false, wire::MAX_BASE_MESSAGE_SIZE) {
                Ok((wire::id::DISCONNECT, payload)) if DisconnectReason::decode(&payload).is_ok() => {
                    Ok((wire::id::DISCONNECT, payload))
                }
                _ => Err(error.into()),
            },
            Ok(message) => Ok(message),
        }
    }

    /// The next frame's data.
    pub(crate) async fn frame(&mut self, max: usize) -> Result<Bytes, SessionError> {
        let start = Instant::now();
        let mut deadline = start + READ_TIMEOUT;
        loop {
            let size = self.frames.awaited_body();
            match timeout_at(deadline, self.frames.read(max)).await {
                Ok(frame) => return frame?.ok_or(SessionError::Eof),
                // The header came in the meantime: the body has time of its own.
                Err(_) if size.is_none() && self.frames.awaited_body().is_some() => {
                    deadline = start + allowance(READ_TIMEOUT, self.frames.awaited_body().unwrap_or(0));
                    if deadline <= Instant::now() {
                        return Err(SessionError::Timeout(Phase::Read));
                    }
                }
                Err(_) => return Err(SessionError::Timeout(Phase::Read)),
            }
        }
    }
}

impl LinkWriter {
    /// Writes a message, after the rest of one whose writing was cancelled.
    pub(crate) async fn write(&mut self, id: u64, payload: &[u8]) -> Result<(), SessionError> {
        self.frames.queue(&wire::encode(id, payload, self.snappy))?;
        self.flush().await
    }

    /// Writes what is left of an earlier message.
    pub(crate) async fn flush(&mut self) -> Result<(), SessionError> {
        let limit = allowance(WRITE_TIMEOUT, self.frames.pending());
        match timeout(limit, self.frames.flush()).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(SessionError::Timeout(Phase::Write)),
        }
    }
}

impl Link {
    pub(crate) fn new(stream: BoxedStream, secrets: Secrets) -> Link {
        let (encoder, decoder) = frame::codec(secrets);
        let (read, write) = tokio::io::split(stream);
        Link {
            reader: LinkReader { frames: FrameReader::new(read, decoder), snappy: false },
            writer: LinkWriter { frames: FrameWriter::new(write, encoder), snappy: false },
        }
    }

    pub(crate) fn set_snappy(&mut self, snappy: bool) {
        self.reader.snappy = snappy;
        self.writer.snappy = snappy;
    }

    /// Says Disconnect and gives the peer [`GOODBYE_TIMEOUT`] to close its end.
    pub(crate) async fn goodbye(mut self, reason: DisconnectReason) {
        let _ = timeout(GOODBYE_TIMEOUT, async {
            self.writer.write(wire::id::DISCONNECT, &reason.encode()).await?;
            self.hang_up().await;
            Ok::<_, SessionError>(())
        })
        .await;
    }

    /// Ends our direction and waits for the end of the other. The caller sets the time-out.
    pub(crate) async fn hang_up(&mut self) {
        let ended: io::Result<()> = self.writer.frames.shutdown().await;
        if ended.is_ok() {
            self.reader.frames.drain().await;
        }
    }
}
