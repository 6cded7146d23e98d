//! What a fault of SQLite or of the machine means to the caller.

use std::fmt;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::id;

/// Something that should not happen. The cause goes to the log under the incident's id, not to the caller.
pub fn unexpected(doing: &str, cause: &dyn fmt::Display) -> Denial {
    let incident = id::new("incident");
    tracing::error!(%incident, doing, %cause, "unexpected failure");
    Denial::unexpected(format!("could not {doing}"), &incident)
}

/// The denial for an error of the writer's driver.
pub fn from_rusqlite(doing: &str, error: &rusqlite::Error) -> Denial {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            from_sqlite(doing, failure.extended_code, message.as_deref().unwrap_or_default())
        }
        other => unexpected(doing, other),
    }
}

/// The denial for an error of the readers' driver.
pub fn from_sqlx(doing: &str, error: &sqlx::Error) -> Denial {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse().ok()).unwrap_or(1);
            from_sqlite(doing, code, database.message())
        }
        sqlx::Error::PoolTimedOut => Denial::new(Code::Busy).message("all readers are busy"),
        sqlx::Error::PoolClosed => Denial::new(Code::PlaneReplaced).message("the data plane was just closed"),
        other => unexpected(doing, other),
    }
}

fn from_sqlite(doing: &str, extended: i32, message: &str) -> Denial {
    use rusqlite::ffi;
    let code = match extended & 0xff {
        ffi::SQLITE_FULL => Code::StorageFull,
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_CANTOPEN => Code::StorageReadOnly,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Code::DatabaseLocked,
        ffi::SQLITE_IOERR => Code::StorageError,
        ffi::SQLITE_CORRUPT => Code::DatabaseDamaged,
        ffi::SQLITE_NOTADB => Code::ForeignDatabase,
        _ => return unexpected(doing, &format!("SQLite error {extended}: {message}")),
    };
    tracing::warn!(doing, extended, message, "SQLite failed");
    Denial::new(code).with("reason", format!("could not {doing}: {message} (SQLite error {extended})"))
}

/// The denial for a failed operation on a file or directory.
pub fn from_io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Denial {
    use std::io::ErrorKind;
    let code = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::StorageFull,
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotADirectory
        | ErrorKind::AlreadyExists => Code::StorageReadOnly,
        _ => Code::StorageError,
    };
    tracing::warn!(doing, path = %path.display(), %error, "file operation failed");
    Denial::new(code)
        .with("path", path.display().to_string())
        .with("reason", format!("could not {doing}: {error}"))
}
