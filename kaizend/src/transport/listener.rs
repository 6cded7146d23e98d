//! Accepting connections of this user.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use jsonrpsee_core::server::Methods;
use tokio::sync::Semaphore;

use super::connection;
use crate::daemon::Daemon;

/// Connections at the same time.
const MAX_CONNECTIONS: usize = 2048;

/// Binds the socket. The caller holds the daemon's lock and has removed a stale socket; nothing is overwritten here.
///
/// # Errors
/// What the system denies.
pub fn bind(socket: &Path) -> io::Result<Listener> {
    let options = ListenerOptions::new().name(socket.to_fs_name::<GenericFilePath>()?).reclaim_name(false);
    #[cfg(unix)]
    let options = {
        use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
        options.mode(0o600)
    };
    options.create_tokio()
}

/// Accepts connections until the future is dropped.
pub async fn accept(daemon: Arc<Daemon>, methods: Methods, listener: Listener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut number = 0;
    let mut pause = Duration::from_millis(5);
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                // Out of file descriptors, as a rule: others must end before this can go on.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
        };
        pause = Duration::from_millis(5);
        if let Err(reason) = check_peer(&stream) {
            tracing::warn!(reason, "connection refused");
            continue;
        }
        number += 1;
        let (daemon, methods) = (daemon.clone(), methods.clone());
        daemon.clone().tasks.spawn(async move {
            connection::serve(daemon, methods, stream, number).await;
            drop(place);
        });
    }
}

#[cfg(unix)]
fn check_peer(stream: &Stream) -> Result<(), String> {
    use interprocess::local_socket::traits::StreamCommon as _;
    let peer = stream.peer_creds().map_err(|error| error.to_string())?;
    let own = rustix::process::geteuid().as_raw();
    match peer.euid() {
        Some(uid) if uid == own => Ok(()),
        uid => Err(format!("the peer has uid {uid:?}, this daemon {own}")),
    }
}

#[cfg(not(unix))]
fn check_peer(_stream: &Stream) -> Result<(), String> {
    // A named pipe is protected by its security descriptor instead.
    Ok(())
}
