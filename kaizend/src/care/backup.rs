//! Copies of a database that are whole whatever happens while they are made.

use std::fs;
use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use rusqlite::Connection;

use crate::files;
use crate::plane::fault;

/// Copies the database behind `connection` into the new directory `directory` and returns the copy's path. The copy is
/// one snapshot: all pages are read in one step of SQLite's backup, which a writer does not wait for. It is made under
/// a temporary name, opened and checked, synced, and only then renamed.
///
/// # Errors
/// What the disk or SQLite denies; nothing half-made stays under the final name.
pub fn copy_database(connection: &Connection, directory: &Path) -> Result<PathBuf, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("back up the database", &error);
    fs::create_dir_all(directory)
        .map_err(|error| fault::from_io("create the backup's directory", directory, &error))?;
    let target = directory.join("kaizen.db");
    let temporary = directory.join("kaizen.db.partial");
    let copied = (|| {
        let mut copy = Connection::open(&temporary).map_err(fail)?;
        {
            let backup = rusqlite::backup::Backup::new(connection, &mut copy).map_err(fail)?;
            backup.step(-1).map_err(fail)?;
        }
        // The copy says that it has a write-ahead log, and has none: make it a file that stands alone.
        copy.execute_batch("PRAGMA journal_mode = DELETE").map_err(fail)?;
        let verdict: String = copy.query_row("PRAGMA quick_check", [], |row| row.get(0)).map_err(fail)?;
        if verdict != "ok" {
            return Err(Denial::new(Code::DatabaseDamaged).with("reason", verdict));
        }
        copy.close().map_err(|(_, error)| fail(error))?;
        files::publish(&temporary, &target)
    })();
    if copied.is_err() {
        // The error that counts is the one that is returned.
        let _ = fs::remove_file(&temporary);
    }
    copied.map(|()| target)
}
