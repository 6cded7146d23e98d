//! Backups and manifests as files under the project's root.

use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::{BackedUp, ManifestWritten, PlaneManifest, WrittenFile};
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;

use super::{backup, blocking};
use crate::files;
use crate::plane::{Plane, fault, open, schema};

/// A name that carries the time and cannot meet another one of the same second.
pub(crate) fn stamped() -> String {
    let unique = kaizen_proto::id::idempotency_key();
    format!("{}-{}", Timestamp::now().file_stamp(), &unique[unique.len() - 8..])
}

pub(super) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// The hash and size of a file, read in pieces.
fn described(root: &Path, path: &Path, file: impl Read) -> Result<WrittenFile, Denial> {
    let (sha256, bytes) =
        files::digest(file).map_err(|error| fault::from_io("read a file back", path, &error))?;
    Ok(WrittenFile { path: shown(root, path), sha256, bytes: i64::try_from(bytes).unwrap_or(i64::MAX) })
}

/// K3: a checked copy of the database with a manifest beside it. With `keep`, older ones are deleted: a scheduled backup
/// takes the place of scheduled ones only, one that somebody asks for also that of others.
///
/// # Errors
/// What the disk or SQLite denies.
pub async fn back_up(
    plane: &Plane,
    root: &Path,
    kind: backup::Kind,
    keep: Option<usize>,
) -> Result<BackedUp, Denial> {
    let (db_path, root) = (plane.db_path().to_path_buf(), root.to_path_buf());
    blocking(move || {
        let directory = backup::directory_of(&db_path).join(stamped());
        let connection = open::reader_connection(&db_path)?;
        let made = backup::make(&connection, &db_path, Some(&root), &directory, kind)?;
        let removed = keep.map(|keep| {
            backup::retain(&db_path, keep, |backup| match kind {
                backup::Kind::Scheduled => backup.manifest.kind == kind.text(),
                _ => backup.is_regular(),
            })
        });
        let removed = removed.transpose()?;
        Ok(BackedUp {
            status: Status::Ok,
            backup_dir: Some(shown(&root, &directory)),
            files: Some(made.manifest.files),
            manifest: Some(shown(&root, &directory.join(backup::MANIFEST))),
            removed: removed.map(|removed| removed.iter().map(|directory| shown(&root, directory)).collect()),
            count: None,
            records: None,
        })
    })
    .await
}

/// K3 `--list`: the backups, each compared with its manifest.
///
/// # Errors
/// What the disk denies.
pub async fn list_backups(db_path: PathBuf, root: PathBuf) -> Result<BackedUp, Denial> {
    blocking(move || {
        let records: Vec<_> = backup::list(&db_path)?.iter().map(|backup| backup.listed(&root)).collect();
        Ok(BackedUp {
            status: Status::Ok,
            backup_dir: None,
            files: None,
            manifest: None,
            removed: None,
            count: Some(records.len()),
            records: Some(records),
        })
    })
    .await
}

/// K6: the row counts of one snapshot, the schema and the files.
///
/// # Errors
/// What the disk or SQLite denies.
pub async fn write(plane: &Plane, root: &Path) -> Result<ManifestWritten, Denial> {
    // The gate of every read.
    drop(plane.read().await?);
    let (db_path, root, file) = (plane.db_path().to_path_buf(), root.to_path_buf(), plane.file());
    blocking(move || {
        let fail = |error: rusqlite::Error| fault::from_rusqlite("count rows", &error);
        let mut connection = open::reader_connection(&db_path)?;
        let snapshot = connection.transaction().map_err(fail)?;
        let table_counts = backup::counts(&snapshot)?;
        let state = schema::state(&snapshot, &db_path).map_err(fail)?;
        drop(snapshot);
        // The descriptor stays open, so what was read of it before must be forgotten.
        (&*file)
            .seek(SeekFrom::Start(0))
            .map_err(|error| fault::from_io("read the database", &db_path, &error))?;
        let mut written = vec![described(&root, &db_path, &*file)?];
        let mut log = db_path.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        // SQLite locks the database and the index of the log, never the log itself.
        if let Ok(file) = files::open(&log) {
            written.push(described(&root, &log, file)?);
        }
        let manifest = PlaneManifest {
            created_at: Timestamp::now().to_string(),
            schema: state,
            table_counts,
            files: written,
        };
        let name = format!("kaizen-db-manifest-{}.json", stamped());
        let path = db_path.with_file_name("manifests").join(name);
        files::write(&path, pretty(&manifest)?.as_bytes())?;
        Ok(ManifestWritten { status: Status::Ok, manifest_path: shown(&root, &path), manifest })
    })
    .await
}

pub(super) fn pretty<T: serde::Serialize>(value: &T) -> Result<String, Denial> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| fault::unexpected("write a manifest", &error))
}
