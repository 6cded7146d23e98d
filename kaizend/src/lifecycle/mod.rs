//! The daemon's life: one per user, ready when it answers, gone without losing a reply.

pub mod drain;
pub mod log;
pub mod runtime_dir;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::Listener;
use jsonrpsee_core::server::Methods;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;

use crate::daemon::{Daemon, PEER_PATIENCE};
use crate::families;
use crate::ingest::extract;
use crate::plane::open::Identity;
use crate::registry::Registry;
use crate::transport::listener;

/// How often the daemon looks after itself.
const TICK: Duration = Duration::from_secs(1);
/// A project that nobody has used for this long is closed, in seconds.
const PROJECT_IDLE: u64 = 10 * 60;
/// A daemon without calls ends after this long, in seconds.
pub const DAEMON_IDLE: u64 = 30 * 60;

/// How a daemon is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens and keeps its lock.
    pub runtime: RuntimeDir,
    /// Seconds without calls after which it ends, whatever its projects want.
    pub daemon_idle: Option<u64>,
    /// How long a peer may leave its replies unread before it is dropped.
    pub peer_patience: Duration,
}

impl Options {
    /// The usual options for a runtime directory. `KAIZEN_IDLE_EXIT` overrides the seconds until an idle daemon ends,
    /// `KAIZEN_PEER_TIMEOUT` those until a peer that does not read is dropped.
    pub fn new(runtime: RuntimeDir) -> Self {
        let patience =
            std::env::var("KAIZEN_PEER_TIMEOUT").ok().and_then(|seconds| seconds.parse::<u64>().ok());
        Options {
            runtime,
            daemon_idle: idle_exit_of_environment(),
            peer_patience: patience.filter(|seconds| *seconds > 0).map_or(PEER_PATIENCE, Duration::from_secs),
        }
    }
}

/// What `KAIZEN_IDLE_EXIT` says: after how many seconds an idle daemon ends.
pub fn idle_exit_of_environment() -> Option<u64> {
    std::env::var("KAIZEN_IDLE_EXIT").ok().and_then(|seconds| seconds.parse().ok())
}

/// The lock that makes this process the user's daemon, and what it listens on. Only its holder may unlink the socket.
pub struct Claim {
    runtime: RuntimeDir,
    listener: Listener,
    socket: Identity,
    _lock: File,
}

/// Takes the user's daemon lock and binds the socket.
///
/// # Errors
/// `DENIED_OWNED` when another daemon runs, `DENIED_RUNTIME_DIR` when the directory cannot be used.
pub fn claim(runtime: &RuntimeDir) -> Result<Claim, Denial> {
    runtime_dir::prepare(runtime)?;
    let path = runtime.daemon_lock();
    let denied = |path: &Path, error: &io::Error| {
        Denial::new(Code::RuntimeDir)
            .with("path", path.display().to_string())
            .with("reason", error.to_string())
    };
    let lock = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| denied(&path, &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Denial::new(Code::Owned)
                .with("endpoint", runtime.socket().display().to_string())
                .message("this user's kaizend is running already"));
        }
        Err(TryLockError::Error(error)) => return Err(denied(&path, &error)),
    }
    // For display; the lock alone decides.
    let _ = lock.set_len(0).and_then(|()| writeln!(&lock, "{}", std::process::id()));
    let (listener, socket) = listen(runtime)?;
    Ok(Claim { runtime: runtime.clone(), listener, socket, _lock: lock })
}

/// Binds the socket anew. The caller holds the daemon's lock, so whatever stands there is stale.
fn listen(runtime: &RuntimeDir) -> Result<(Listener, Identity), Denial> {
    let socket = runtime.socket();
    let denied = |error: io::Error| {
        Denial::new(Code::RuntimeDir)
            .with("path", socket.display().to_string())
            .with("reason", error.to_string())
    };
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(denied(error)),
        _ => {}
    }
    let listener = listener::bind(&socket).map_err(denied)?;
    let identity = Identity::of(&socket).map_err(denied)?;
    Ok((listener, identity))
}

/// Serves until the daemon is told to end or has nothing to do, then drains. `ready` is called once the socket listens.
///
/// # Errors
/// What a signal handler or a second binding of the socket denies.
pub async fn serve(claim: Claim, options: &Options, ready: impl FnOnce()) -> Result<(), Denial> {
    let Claim { runtime, listener, mut socket, _lock } = claim;
    let lock = Identity::of(&runtime.daemon_lock()).ok();
    let daemon = Daemon::with(runtime.clone(), options.peer_patience, extract::own_program());
    let mut registry = Registry::new(daemon.clone());
    families::register(&mut registry);
    let methods = registry.into_methods();
    let mut accepting = spawn_accept(&daemon, &methods, listener);
    tracing::info!(version = kaizen_proto::VERSION, pid = std::process::id(), "ready");
    ready();

    let mut signals = drain::Signals::new()?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = daemon.draining.cancelled() => break,
            name = signals.next() => {
                tracing::info!(signal = name, "told to end");
                break;
            }
            _ = tick.tick() => {
                let idle = options.daemon_idle.unwrap_or_else(|| daemon.projects.idle_exit(DAEMON_IDLE));
                // A project that asks for its files to be watched stays open, unless it is said when the daemon ends.
                let is_limited = options.daemon_idle.is_some();
                daemon.projects.close_idle(PROJECT_IDLE.min(idle), is_limited).await;
                for look in daemon.projects.looks() {
                    daemon.tasks.spawn(look.run());
                }
                for unwatched in daemon.projects.unwatched() {
                    daemon.tasks.spawn(families::evidence::watch(daemon.clone(), unwatched));
                }
                let stays = !is_limited && daemon.projects.stay_open();
                if daemon.calls() == 0 && daemon.idle_seconds() >= idle && !stays {
                    tracing::info!("nothing to do");
                    break;
                }
                // With another file of the lock's name, another daemon may run by now; two would fight for the socket.
                if Identity::of(&runtime.daemon_lock()).ok() != lock {
                    tracing::warn!("the lock's file is gone or replaced");
                    break;
                }
                // Somebody cleaned up too much: without its socket the daemon would hold the lock and be unreachable.
                if Identity::of(&runtime.socket()).ok() != Some(socket) {
                    tracing::warn!("the socket is gone or replaced; listening anew");
                    accepting.abort();
                    runtime_dir::prepare(&runtime)?;
                    let (listener, identity) = listen(&runtime)?;
                    socket = identity;
                    accepting = spawn_accept(&daemon, &methods, listener);
                }
            }
        }
    }
    drain::drain(&daemon, accepting, &runtime, socket).await;
    Ok(())
}

fn spawn_accept(daemon: &Arc<Daemon>, methods: &Methods, listener: Listener) -> tokio::task::JoinHandle<()> {
    daemon.tasks.spawn(listener::accept(daemon.clone(), methods.clone(), listener))
}
