//! Backups and manifests as files under the project's root.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::{BackedUp, BackupManifest, ManifestWritten, PlaneManifest, WrittenFile};
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;

use super::{backup, blocking};
use crate::files;
use crate::plane::{Plane, fault, migrate, open, schema, write_tx};

/// A name that carries the time and cannot meet another one of the same second.
fn stamped() -> String {
    let unique = kaizen_proto::id::idempotency_key();
    format!("{}-{}", Timestamp::now().file_stamp(), &unique[unique.len() - 8..])
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn written(root: &Path, path: &Path) -> Result<WrittenFile, Denial> {
    let contents = std::fs::read(path).map_err(|error| fault::from_io("read a file back", path, &error))?;
    Ok(described(root, path, &contents))
}

fn described(root: &Path, path: &Path, contents: &[u8]) -> WrittenFile {
    WrittenFile {
        path: shown(root, path),
        sha256: sha256_hex(contents),
        bytes: i64::try_from(contents.len()).unwrap_or(i64::MAX),
    }
}

/// The bytes of a file that stays open, from its start whatever was read of it before.
fn contents(mut file: &File, path: &Path) -> Result<Vec<u8>, Denial> {
    let mut contents = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut contents))
        .map_err(|error| fault::from_io("read the database", path, &error))?;
    Ok(contents)
}

/// K3: a checked copy of the database with a manifest beside it.
///
/// # Errors
/// What the disk or SQLite denies.
pub async fn back_up(plane: &Plane, root: &Path) -> Result<BackedUp, Denial> {
    let (db_path, root) = (plane.db_path().to_path_buf(), root.to_path_buf());
    blocking(move || {
        let directory = db_path.with_file_name("backups").join(stamped());
        let copy = backup::copy_database(&open::reader_connection(&db_path)?, &directory)?;
        let head = {
            let fail = |error: rusqlite::Error| fault::from_rusqlite("read the copy", &error);
            let copied = open::reader_connection(&copy)?;
            let rows =
                write_tx::query(&copied, "SELECT seq, chain_hash FROM plane_head", &[]).map_err(fail)?;
            rows.into_iter().next()
        };
        let files = vec![written(&root, &copy)?];
        let manifest = BackupManifest {
            created_at: Timestamp::now().to_string(),
            db_path: db_path.display().to_string(),
            files: files.clone(),
            seq: head.as_ref().map_or(0, |head| head.integer("seq")),
            chain_hash: head.as_ref().map_or_else(String::new, |head| head.text("chain_hash").to_owned()),
        };
        let path = directory.join("backup-manifest.json");
        files::write(&path, pretty(&manifest)?.as_bytes())?;
        Ok(BackedUp {
            status: Status::Ok,
            backup_dir: shown(&root, &directory),
            files,
            manifest: shown(&root, &path),
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
        let mut table_counts = BTreeMap::new();
        for table in migrate::original_tables() {
            let rows = write_tx::query(&snapshot, &format!("SELECT count(*) AS rows FROM {table}"), &[])
                .map_err(fail)?;
            table_counts.insert(table.to_owned(), rows.first().map_or(0, |row| row.integer("rows")));
        }
        let state = schema::state(&snapshot, &db_path).map_err(fail)?;
        drop(snapshot);
        let mut files = vec![described(&root, &db_path, &contents(&file, &db_path)?)];
        let mut log = db_path.clone().into_os_string();
        log.push("-wal");
        let log = std::path::PathBuf::from(log);
        // SQLite locks the database and the index of the log, never the log itself.
        if log.exists() {
            files.push(written(&root, &log)?);
        }
        let manifest =
            PlaneManifest { created_at: Timestamp::now().to_string(), schema: state, table_counts, files };
        let name = format!("kaizen-db-manifest-{}.json", stamped());
        let path = db_path.with_file_name("manifests").join(name);
        files::write(&path, pretty(&manifest)?.as_bytes())?;
        Ok(ManifestWritten { status: Status::Ok, manifest_path: shown(&root, &path), manifest })
    })
    .await
}

fn pretty<T: serde::Serialize>(value: &T) -> Result<String, Denial> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| fault::unexpected("write a manifest", &error))
}
