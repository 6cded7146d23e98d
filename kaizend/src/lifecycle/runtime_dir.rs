//! The directory of one user's daemon: nobody else may enter it.

use std::path::Path;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;

/// Creates the directories and checks that they are this user's alone.
///
/// # Errors
/// `DENIED_RUNTIME_DIR`.
pub fn prepare(runtime: &RuntimeDir) -> Result<(), Denial> {
    make_private(runtime.path())?;
    make_private(&runtime.logs())?;
    let socket = runtime.socket();
    match socket.parent() {
        Some(parent) if parent != runtime.path() => make_private(parent),
        _ => Ok(()),
    }
}

fn denied(path: &Path, reason: impl Into<String>) -> Denial {
    Denial::new(Code::RuntimeDir).with("path", path.display().to_string()).with("reason", reason.into())
}

#[cfg(unix)]
fn make_private(path: &Path) -> Result<(), Denial> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    let fail = |error: std::io::Error| denied(path, error.to_string());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
    // Not following links: a link would let somebody else choose where the socket is.
    let metadata = std::fs::symlink_metadata(path).map_err(fail)?;
    if metadata.file_type().is_symlink() {
        return Err(denied(path, "it is a symbolic link"));
    }
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own {
        return Err(denied(path, format!("it belongs to uid {}, this process is {own}", metadata.uid())));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(fail)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> Result<(), Denial> {
    std::fs::create_dir_all(path).map_err(|error| denied(path, error.to_string()))
}
