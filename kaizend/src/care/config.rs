//! `kaizen.toml` in a project's root: the few things that are set for a project rather than for a call.

use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use serde::Deserialize;

use crate::plane::fault;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// A project's settings. Everything has a default, unknown keys are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[db]`
    pub db: DbConfig,
}

/// `[db]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbConfig {
    /// The database file, relative to the root or absolute; `AI/db/kaizen.db` by default. A project on a network file
    /// system can keep it on a local disk.
    pub path: Option<PathBuf>,
}

impl Config {
    /// Reads the settings of the project at `root`; the defaults when there is no file.
    ///
    /// # Errors
    /// `DENIED_CONFIG` when the file cannot be understood.
    pub fn read(root: &Path) -> Result<Self, Denial> {
        let path = root.join("kaizen.toml");
        let denied = |reason: String| {
            Denial::new(Code::Config)
                .with("path", path.display().to_string())
                .with("reason", reason)
                .example("[db]\npath = \"AI/db/kaizen.db\"")
        };
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_BYTES => return Err(denied("the file is too large".into())),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => return Err(fault::from_io("read the settings", &path, &error)),
        }
        let text = std::fs::read_to_string(&path).map_err(|error| denied(error.to_string()))?;
        toml::from_str(&text).map_err(|error| denied(error.message().to_owned()))
    }

    /// The database file of the project at `root`.
    pub fn db_path(&self, root: &Path) -> PathBuf {
        root.join(self.db.path.as_deref().unwrap_or(Path::new("AI/db/kaizen.db")))
    }
}
