//! The end: no new calls, every reply sent, every log written back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kaizen_proto::denial::Denial;
use kaizen_proto::endpoint::RuntimeDir;

use crate::daemon::Daemon;
use crate::plane::fault;
use crate::plane::open::Identity;

/// How long calls under way may take to finish.
const PATIENCE: Duration = Duration::from_secs(30);

/// The signals that end a daemon.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn new() -> Result<Self, Denial> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| fault::unexpected("listen for signals", &error));
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the same face on every system")]
    pub(super) fn new() -> Result<Self, Denial> {
        Ok(Signals {})
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    }
}

/// Finishes what is under way, closes all projects, and takes the socket away. The caller still holds the lock.
pub(super) async fn drain(
    daemon: &Arc<Daemon>,
    accepting: tokio::task::JoinHandle<()>,
    runtime: &RuntimeDir,
    socket: Identity,
) {
    daemon.draining.cancel();
    // Whoever comes now finds no daemon, and starts one that waits for the lock.
    accepting.abort();
    remove_socket(&runtime.socket(), socket);
    let until = Instant::now() + PATIENCE;
    daemon.projects.stop_watching().await;
    while daemon.calls() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    daemon.closing.cancel();
    daemon.tasks.close();
    if tokio::time::timeout(until.saturating_duration_since(Instant::now()), daemon.tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time");
    }
    daemon.projects.close_all().await;
    tracing::info!("ended");
}

fn remove_socket(path: &Path, socket: Identity) {
    if Identity::of(path).ok() == Some(socket)
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!(%error, "could not remove the socket");
    }
}
