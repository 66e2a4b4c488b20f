//! One connection in memory: two directions, each a queue of bytes with the moment of their arrival.

use std::{
    collections::VecDeque,
    future::Future as _,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::LinkConfig;
use crate::transport::AsyncReadWrite;

/// Bytes under way in one direction before a writer must wait, as a system's buffers would hold.
const WINDOW: usize = 256 * 1024;

/// A write is cut into pieces of this size, so that a slow link delivers steadily.
const PIECE: usize = 16 * 1024;

/// What the two ends share.
pub(super) struct Connection {
    hosts: (IpAddr, IpAddr),
    link: LinkConfig,
    state: Mutex<State>,
}

struct State {
    /// Indexed by the side that writes.
    directions: [Direction; 2],
    cut: bool,
    reset: bool,
    rng: StdRng,
}

struct Direction {
    arriving: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// When the link has sent what was written.
    link_free: Instant,
    last_arrival: Instant,
    /// When the reader learns that nothing more will come.
    end: Option<Instant>,
    /// When the writer learns that the reader is gone.
    reader_gone: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn new(now: Instant) -> Direction {
        Direction {
            arriving: VecDeque::new(),
            bytes: 0,
            link_free: now,
            last_arrival: now,
            end: None,
            reader_gone: None,
            reader: None,
            writer: None,
        }
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// Two ends, the dialler's first.
pub(super) fn connect(
    dialler: SocketAddr,
    listener: SocketAddr,
    link: LinkConfig,
    seed: u64,
) -> (MemoryStream, MemoryStream, Weak<Connection>) {
    let now = Instant::now();
    let connection = Arc::new(Connection {
        hosts: (dialler.ip(), listener.ip()),
        link,
        state: Mutex::new(State {
            directions: [Direction::new(now), Direction::new(now)],
            cut: false,
            reset: false,
            rng: StdRng::seed_from_u64(seed),
        }),
    });
    let weak = Arc::downgrade(&connection);
    let end = |side, local| MemoryStream { connection: connection.clone(), side, local, alarm: None };
    (end(0, dialler), end(1, listener), weak)
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hosts(&self) -> (IpAddr, IpAddr) {
        self.hosts
    }

    pub(super) fn set_cut(&self, cut: bool) {
        let mut state = self.state();
        state.cut = cut;
        state.directions.iter_mut().for_each(Direction::wake);
    }

    pub(super) fn reset(&self) {
        let mut state = self.state();
        state.reset = true;
        state.directions.iter_mut().for_each(Direction::wake);
    }
}

/// One end of a connection in memory.
pub(super) struct MemoryStream {
    connection: Arc<Connection>,
    side: usize,
    local: SocketAddr,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl MemoryStream {
    /// Ready once `at` is reached; otherwise the task is woken then.
    fn poll_until(alarm: &mut Option<Pin<Box<Sleep>>>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at <= Instant::now() {
            return Poll::Ready(());
        }
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        alarm.as_mut().poll(cx)
    }
}

fn reset_error() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = this.connection.state();
        if state.reset {
            return Poll::Ready(Err(reset_error()));
        }
        let cut = state.cut;
        let direction = &mut state.directions[1 - this.side];
        direction.reader = Some(cx.waker().clone());
        if cut {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        while buffer.remaining() > 0
            && let Some((at, bytes)) = direction.arriving.front_mut()
        {
            if *at > Instant::now() {
                break;
            }
            let n = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..n]);
            bytes.advance(n);
            direction.bytes -= n;
            if bytes.is_empty() {
                direction.arriving.pop_front();
            }
        }
        if buffer.filled().len() > before || buffer.capacity() == 0 {
            if let Some(writer) = direction.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Ok(()));
        }
        let next = match (direction.arriving.front(), direction.end) {
            (Some((at, _)), _) => *at,
            (None, Some(end)) if end <= Instant::now() => return Poll::Ready(Ok(())),
            (None, Some(end)) => end,
            (None, None) => return Poll::Pending,
        };
        if MemoryStream::poll_until(&mut this.alarm, next, cx).is_ready() {
            // The moment has come since it was looked at.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let link = this.connection.link;
        let mut guard = this.connection.state();
        let state = &mut *guard;
        if state.reset {
            return Poll::Ready(Err(reset_error()));
        }
        if link.reset_probability > 0.0 && state.rng.random_bool(link.reset_probability.min(1.0)) {
            state.reset = true;
            state.directions.iter_mut().for_each(Direction::wake);
            return Poll::Ready(Err(reset_error()));
        }
        let now = Instant::now();
        let direction = &mut state.directions[this.side];
        match direction.reader_gone {
            _ if direction.end.is_some() => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(gone) if gone <= now => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(_) => return Poll::Ready(Ok(data.len())),
            None => {}
        }
        let room = WINDOW.saturating_sub(direction.bytes);
        if room == 0 {
            direction.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let data = &data[..data.len().min(room)];
        for piece in data.chunks(PIECE) {
            let sending = match link.bandwidth {
                Some(rate) => Duration::from_secs_f64(piece.len() as f64 / rate.max(1) as f64),
                None => Duration::ZERO,
            };
            direction.link_free = direction.link_free.max(now) + sending;
            let jitter = link.jitter.mul_f64(state.rng.random());
            let at = (direction.link_free + link.latency + jitter).max(direction.last_arrival);
            direction.last_arrival = at;
            direction.arriving.push_back((at, Bytes::copy_from_slice(piece)));
            direction.bytes += piece.len();
        }
        if let Some(reader) = direction.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.connection.state();
        state.directions[self.side].finish(self.connection.link.latency);
        Poll::Ready(Ok(()))
    }
}

impl Direction {
    fn finish(&mut self, latency: Duration) {
        if self.end.is_none() {
            self.end = Some(self.last_arrival.max(Instant::now() + latency));
            self.wake();
        }
    }
}

impl AsyncReadWrite for MemoryStream {
    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.local)
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        let latency = self.connection.link.latency;
        let mut state = self.connection.state();
        state.directions[self.side].finish(latency);
        let incoming = &mut state.directions[1 - self.side];
        incoming.reader_gone = Some(Instant::now() + latency);
        incoming.arriving.clear();
        incoming.bytes = 0;
        incoming.wake();
    }
}
