//! SIGINT and SIGTERM as a value to wait on.

use std::{future::Future, io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// How long a node may take to stop in order. With what the runtime takes afterwards it stays within 5 seconds.
const ORDERLY: Duration = Duration::from_secs(4);

/// Both signals that ask a process to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on neither ends the process by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Runs `stop` within its time. Further signals change nothing: a terminal sends one to every process of its
    /// group, and who started this one may pass its own on.
    pub(crate) async fn orderly(self, cause: &str, stop: impl Future<Output = ()>) {
        info!(cause, "Shutting down");
        match tokio::time::timeout(ORDERLY, stop).await {
            Ok(()) => info!("Shut down"),
            // What matters is on disk at every moment; stopping in order only says goodbye.
            Err(_) => warn!("Not everything stopped in time, leaving"),
        }
    }
}
