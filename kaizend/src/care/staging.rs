//! A database that is made ready beside the one whose place it is to take.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use kaizen_proto::denial::Denial;
use rusqlite::Connection;

use crate::files;
use crate::plane::fault;

/// The file, which is deleted when it does not come to that.
pub(super) struct Staging {
    path: PathBuf,
}

impl Staging {
    /// A private file without contents.
    ///
    /// # Errors
    /// What the disk denies.
    pub(super) fn new(db_path: &Path) -> Result<(Self, File), Denial> {
        let path = files::temporary_name(db_path);
        let file = files::create(files::Readers::Owner, &path)
            .map_err(|error| fault::from_io("create a database", &path, &error))?;
        Ok((Staging { path }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name in the database's directory.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Makes it a synced file that stands alone: its log is written back and gone.
    ///
    /// # Errors
    /// What SQLite or the disk denies.
    pub(super) fn seal(&self, connection: Connection) -> Result<(), Denial> {
        let fail = |error: rusqlite::Error| fault::from_rusqlite("finish a database", &error);
        connection.execute_batch("PRAGMA journal_mode = DELETE").map_err(fail)?;
        connection.close().map_err(|(_, error)| fail(error))?;
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .map_err(|error| fault::from_io("sync a database", &self.path, &error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut path = self.path.as_os_str().to_owned();
            path.push(ending);
            // Once it is in its place, nothing has this name.
            let _ = fs::remove_file(path);
        }
    }
}
