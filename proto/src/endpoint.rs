//! Where the daemon of a user listens and keeps its lock and log.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::canonical_json::hex;
use crate::denial::{Code, Denial};

/// The longest socket path that every supported system can bind, in bytes (`sun_path` is 104 on macOS).
const LONGEST_SOCKET_PATH: usize = 100;

/// The directory of one user's daemon. It follows from HOME alone, never from the variables of the moment, so that a
/// cron job and an editor find the same daemon. `KAIZEN_RUNTIME_DIR` names another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeDir {
    path: PathBuf,
}

impl RuntimeDir {
    /// The directory for this process's environment. Nothing is created.
    ///
    /// # Errors
    /// `DENIED_RUNTIME_DIR` when neither HOME nor `KAIZEN_RUNTIME_DIR` is set.
    pub fn resolve() -> Result<Self, Denial> {
        if let Some(path) = std::env::var_os("KAIZEN_RUNTIME_DIR").filter(|path| !path.is_empty()) {
            let path = std::path::absolute(&path).unwrap_or_else(|_| path.into());
            return Ok(RuntimeDir { path });
        }
        let dirs = directories::BaseDirs::new().ok_or_else(|| {
            Denial::new(Code::RuntimeDir)
                .message("there is no home directory")
                .action("Set HOME or KAIZEN_RUNTIME_DIR.")
        })?;
        // XDG_STATE_HOME is left out on purpose: two shells that differ in it would start two daemons.
        let path = if cfg!(windows) {
            dirs.data_local_dir().join("kaizen")
        } else {
            dirs.home_dir().join(".local/state/kaizen")
        };
        Ok(RuntimeDir { path })
    }

    /// The directory at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        RuntimeDir { path: path.into() }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock that the daemon holds for life.
    pub fn daemon_lock(&self) -> PathBuf {
        self.path.join("daemon.lock")
    }

    /// The lock under which a client starts the daemon.
    pub fn start_lock(&self) -> PathBuf {
        self.path.join("start.lock")
    }

    /// The directory of the daemon's logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// What the daemon wrote to its standard error when it was last started.
    pub fn start_log(&self) -> PathBuf {
        self.path.join("logs/start.log")
    }

    /// The socket. A directory too deep for a socket path gets a short hashed name in /tmp, made for this user alone.
    pub fn socket(&self) -> PathBuf {
        let socket = self.path.join("kaizend.sock");
        if socket.as_os_str().len() <= LONGEST_SOCKET_PATH {
            return socket;
        }
        let digest = Sha256::digest(self.path.as_os_str().as_encoded_bytes());
        PathBuf::from(format!("/tmp/kaizen-{}/kaizend.sock", &hex(&digest)[..16]))
    }
}
