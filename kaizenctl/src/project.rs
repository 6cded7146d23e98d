//! Which project a call is for.

use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::hello::RootSource;

use crate::arguments::Globals;

/// Files and directories that mark the root of a project.
const MARKERS: &[&str] = &["kaizen.toml", "AI/db/kaizen.db", ".git"];

/// The project of a call: an absolute path, and how it was found.
pub(crate) fn resolve(globals: &Globals, cwd: &Path) -> Result<(PathBuf, RootSource), Denial> {
    if let Some(project) = &globals.project {
        return Ok((cwd.join(project), RootSource::Named));
    }
    if let Some(root) = std::env::var_os("KAIZEN_REPO_ROOT").filter(|root| !root.is_empty()) {
        let root = cwd.join(root);
        // Whoever set the variable has decided that this is the project.
        std::fs::create_dir_all(&root).map_err(|error| {
            Denial::new(Code::ProjectNotFound)
                .with("path", root.display().to_string())
                .with("reason", format!("KAIZEN_REPO_ROOT cannot be created: {error}"))
        })?;
        return Ok((root, RootSource::Named));
    }
    Ok(match find(cwd) {
        Some(root) => (root, RootSource::Found),
        None => (cwd.to_path_buf(), RootSource::Fallback),
    })
}

/// The nearest directory upwards that has a marker, below HOME and on the same file system.
fn find(cwd: &Path) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let device = device(cwd);
    for directory in cwd.ancestors() {
        let is_start = directory == cwd;
        if !is_start && (home.as_deref() == Some(directory) || self::device(directory) != device) {
            return None;
        }
        if MARKERS.iter().any(|marker| directory.join(marker).exists()) {
            return Some(directory.to_path_buf());
        }
    }
    None
}

#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|metadata| metadata.dev())
}

#[cfg(not(unix))]
fn device(_path: &Path) -> Option<u64> {
    None
}
