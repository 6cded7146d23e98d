//! The daemon's own state: its projects, its connections, and whether it is on its way out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::hello::{DaemonStatus, PROTOCOL, RootSource, WatchState};
use kaizen_proto::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::care::config::Config;
use crate::ingest::extract;
use crate::plane::Caller;
use crate::projects::Projects;

/// How long a peer may leave its replies unread, unless the daemon is told otherwise.
pub const PEER_PATIENCE: Duration = Duration::from_secs(30);

/// How long a watcher may take to say how it is, so that the status is told whatever it does.
const WATCHER_PATIENCE: Duration = Duration::from_millis(500);

/// What `hello` bound a connection to.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    /// The project root with all symbolic links resolved; none for calls without a project.
    pub root: Option<PathBuf>,
    /// The project's database.
    pub db_path: PathBuf,
    /// The caller's working directory, which relative paths may start from.
    pub cwd: Option<PathBuf>,
    /// The project's settings when the connection was made.
    pub config: Config,
    /// How the client came by the root.
    pub root_source: RootSource,
    /// Who calls, with secrets and personal details masked: the journal cannot forget.
    pub caller: Arc<Caller>,
    /// What to say about a caller that was masked.
    pub caller_warnings: Vec<String>,
    /// Why writes are refused that do not ask for masks: the caller's names hold a secret.
    pub caller_refused: Option<Denial>,
    /// The caller's variables that override the daemon's own.
    pub env: BTreeMap<String, String>,
}

impl Binding {
    /// The project root.
    ///
    /// # Errors
    /// `DENIED_HELLO_REQUIRED` for a connection without a project.
    pub fn root(&self) -> Result<&PathBuf, Denial> {
        self.root.as_ref().ok_or_else(|| Denial::new(Code::HelloRequired))
    }

    /// Who writes, for the journal.
    ///
    /// # Errors
    /// `DENIED_SECRET` when the caller's names hold one, unless secrets are to be masked.
    pub fn caller(&self, redact: bool, warnings: &mut Vec<String>) -> Result<Arc<Caller>, Denial> {
        if let Some(denial) = self.caller_refused.as_ref().filter(|_| !redact) {
            return Err(denial.clone());
        }
        warnings.extend(self.caller_warnings.iter().cloned());
        Ok(self.caller.clone())
    }
}

/// The daemon of one user.
pub struct Daemon {
    /// Where it listens and keeps its lock.
    pub runtime: RuntimeDir,
    /// The projects that are open.
    pub projects: Projects,
    /// Tasks that a drain waits for.
    pub tasks: TaskTracker,
    /// Cancelled when the daemon begins to end: no new calls.
    pub draining: CancellationToken,
    /// Cancelled when all calls are answered: connections close.
    pub closing: CancellationToken,
    /// How long a peer may leave its replies unread before it is dropped.
    pub peer_patience: Duration,
    /// The program that reads documents of complicated formats in a process of its own: this one, as a rule.
    pub program: PathBuf,
    pid: u32,
    started: Instant,
    connections: AtomicUsize,
    calls: AtomicUsize,
    last_call: AtomicI64,
}

impl Daemon {
    /// A daemon without projects.
    pub fn new(runtime: RuntimeDir) -> Arc<Self> {
        Daemon::with(runtime, PEER_PATIENCE, extract::own_program())
    }

    /// One that drops peers which leave their replies unread for this long, and reads documents with this program.
    pub fn with(runtime: RuntimeDir, peer_patience: Duration, program: PathBuf) -> Arc<Self> {
        let endpoint = runtime.socket().display().to_string();
        Arc::new(Daemon {
            runtime,
            projects: Projects::new(endpoint),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            peer_patience,
            program,
            pid: std::process::id(),
            started: Instant::now(),
            connections: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            last_call: AtomicI64::new(Timestamp::now().micros()),
        })
    }

    /// Counts a call until the guard is dropped.
    ///
    /// # Errors
    /// `DENIED_DRAINING` once the daemon is on its way out.
    pub fn begin_call(self: &Arc<Self>) -> Result<CallGuard, Denial> {
        self.calls.fetch_add(1, Ordering::AcqRel);
        let guard = CallGuard(self.clone());
        if self.draining.is_cancelled() {
            return Err(Denial::new(Code::Draining).message("this daemon is about to end"));
        }
        Ok(guard)
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }

    /// Counts a connection until the guard is dropped.
    pub fn begin_connection(self: &Arc<Self>) -> ConnectionGuard {
        self.connections.fetch_add(1, Ordering::AcqRel);
        ConnectionGuard(self.clone())
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Seconds since the last call ended.
    pub fn idle_seconds(&self) -> u64 {
        let idle = Timestamp::now().micros() - self.last_call.load(Ordering::Relaxed);
        u64::try_from(idle / 1_000_000).unwrap_or(0)
    }

    /// The reply to `status`.
    pub async fn status(&self) -> DaemonStatus {
        let mut projects = self.projects.status();
        for project in &mut projects {
            project.evidence = self.watch_state(Path::new(&project.db_path)).await;
        }
        DaemonStatus {
            version: kaizen_proto::VERSION.into(),
            protocol: PROTOCOL,
            pid: self.pid,
            uptime_s: self.started.elapsed().as_secs(),
            endpoint: self.runtime.socket().display().to_string(),
            connections: self.connections(),
            draining: self.draining.is_cancelled(),
            projects,
        }
    }

    /// How the watching of an open project's files goes; none when it does not say so in time.
    pub(crate) async fn watch_state(&self, db_path: &Path) -> Option<WatchState> {
        let asking = async {
            let watched = self.projects.watched(db_path).await?;
            let status = watched.watcher.status().await.ok()?;
            Some(WatchState {
                pending: status.pending,
                failed: status.failed.len() + status.refused_total,
                paused: status.paused,
                polling: status.polling,
                last_event: status.last_event.map(|at| at.to_string()),
                last_reconcile: status.last_reconcile.map(|at| at.to_string()),
                watches: status.watches,
                watch_limit: status.watch_limit,
            })
        };
        tokio::time::timeout(WATCHER_PATIENCE, asking).await.ok().flatten()
    }
}

/// One call under way.
pub struct CallGuard(Arc<Daemon>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.last_call.store(Timestamp::now().micros(), Ordering::Relaxed);
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One open connection.
pub struct ConnectionGuard(Arc<Daemon>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}
