//! Backups: compacted copies of a database that are checked before they get their name, each in a directory of its own
//! with a manifest. Only what has a manifest of ours is a backup; nothing else is ever listed or deleted.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{BackupManifest, ListedBackup, WrittenFile};
use kaizen_proto::time::Timestamp;
use rusqlite::Connection;

use super::manifest;
use crate::files;
use crate::plane::{fault, migrate, open, write_tx};

/// The manifest's name in a backup's directory. It is written last: without it there is no backup.
pub const MANIFEST: &str = "backup-manifest.json";
/// The copy's name in a backup's directory.
pub const DATABASE: &str = "kaizen.db";
/// The largest manifest that is read.
const MAX_MANIFEST: u64 = 1024 * 1024;

/// Why a backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody asked for it.
    Manual,
    /// The daemon made it by itself.
    Scheduled,
    /// It was made before a migration.
    Migration,
}

impl Kind {
    /// The word in the manifest.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Manual => "manual",
            Kind::Scheduled => "scheduled",
            Kind::Migration => "migration",
        }
    }
}

/// A backup that exists.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its directory.
    pub directory: PathBuf,
    /// What its manifest says.
    pub manifest: BackupManifest,
}

/// Where the backups of a database are.
pub fn directory_of(db_path: &Path) -> PathBuf {
    db_path.with_file_name("backups")
}

/// Copies the database behind `connection` into the new directory `directory`, and writes the manifest beside the copy.
/// The copy is one snapshot, compacted. It is made under a temporary name, opened and checked, synced, and only then
/// renamed.
///
/// # Errors
/// What the disk or SQLite denies; nothing half-made stays under the final name.
pub fn make(
    connection: &Connection,
    db_path: &Path,
    root: Option<&Path>,
    directory: &Path,
    kind: Kind,
) -> Result<Backup, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("back up the database", &error);
    fs::create_dir_all(directory)
        .map_err(|error| fault::from_io("create the backup's directory", directory, &error))?;
    let target = directory.join(DATABASE);
    let temporary = files::temporary_name(&target);
    let made = (|| {
        // SQLite writes into an empty file, which is private from its first moment.
        files::create(files::Readers::Owner, &temporary)
            .map_err(|error| fault::from_io("create the backup", &temporary, &error))?;
        let name = temporary.to_str().ok_or_else(|| {
            Denial::new(Code::StorageError).with("reason", "the path of the backup is not UTF-8")
        })?;
        connection.execute("VACUUM INTO ?1", [name]).map_err(fail)?;
        let described = describe(&temporary, db_path, kind)?;
        let file =
            files::open(&temporary).map_err(|error| fault::from_io("read the backup", &temporary, &error))?;
        let (sha256, bytes) = files::digest(file)
            .map_err(|error| fault::from_io("read the backup back", &temporary, &error))?;
        files::publish(&temporary, &target)?;
        let path = root.map_or_else(|| DATABASE.to_owned(), |root| manifest::shown(root, &target));
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok(BackupManifest { files: vec![WrittenFile { path, sha256, bytes }], ..described })
    })();
    let manifest = made.inspect_err(|_| {
        // The error that counts is the one that is returned.
        let _ = fs::remove_file(&temporary);
        let _ = fs::remove_dir(directory);
    })?;
    files::write(&directory.join(MANIFEST), manifest::pretty(&manifest)?.as_bytes())?;
    Ok(Backup { directory: directory.to_path_buf(), manifest })
}

/// Opens a copy, checks it, and says what is in it.
fn describe(copy: &Path, db_path: &Path, kind: Kind) -> Result<BackupManifest, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("check the backup", &error);
    let copied = open::reader_connection(copy)?;
    let verdict: String = copied.query_row("PRAGMA quick_check", [], |row| row.get(0)).map_err(fail)?;
    if verdict != "ok" {
        return Err(Denial::new(Code::DatabaseDamaged).with("reason", verdict));
    }
    if let Some(orphan) =
        write_tx::query(&copied, "PRAGMA foreign_key_check", &[]).map_err(fail)?.into_iter().next()
    {
        tracing::warn!(table = orphan.text("table"), "a row of the backup has no parent");
    }
    let head = head(&copied)?.unwrap_or_default();
    Ok(BackupManifest {
        created_at: Timestamp::now().to_string(),
        db_path: db_path.display().to_string(),
        files: Vec::new(),
        seq: head.seq,
        chain_hash: head.chain_hash,
        plane_id: head.plane_id,
        kind: kind.text().to_owned(),
        tool_version: kaizen_proto::VERSION.to_owned(),
        table_counts: counts(&copied)?,
    })
}

/// Where a plane's journal ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) plane_id: String,
    pub(crate) seq: i64,
    pub(crate) chain_hash: String,
}

/// The head of a database; none when it has no journal yet.
pub(crate) fn head(connection: &Connection) -> Result<Option<Head>, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("read the journal's head", &error);
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'plane_head'";
    if write_tx::query(connection, table, &[]).map_err(fail)?.is_empty() {
        return Ok(None);
    }
    let rows =
        write_tx::query(connection, "SELECT plane_id, seq, chain_hash FROM plane_head", &[]).map_err(fail)?;
    Ok(rows.first().map(|row| Head {
        plane_id: row.text("plane_id").to_owned(),
        seq: row.integer("seq"),
        chain_hash: row.text("chain_hash").to_owned(),
    }))
}

/// Rows of the original's tables.
pub(crate) fn counts(connection: &Connection) -> Result<BTreeMap<String, i64>, Denial> {
    let mut counts = BTreeMap::new();
    for table in migrate::original_tables() {
        let rows = write_tx::query(connection, &format!("SELECT count(*) AS rows FROM {table}"), &[])
            .map_err(|error| fault::from_rusqlite("count rows", &error))?;
        counts.insert(table.to_owned(), rows.first().map_or(0, |row| row.integer("rows")));
    }
    Ok(counts)
}

/// The backups of a database, the newest first.
///
/// # Errors
/// What the disk denies when the directory is read. What is no backup is left out.
pub fn list(db_path: &Path) -> Result<Vec<Backup>, Denial> {
    let directory = directory_of(db_path);
    let fail = |error: std::io::Error| fault::from_io("list the backups", &directory, &error);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        // A link is not ours: what it leads to may be anything.
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Some(backup) = read(&entry.path())
        {
            found.push(backup);
        }
    }
    found.sort_by(|left, right| {
        let key = |backup: &Backup| (backup.manifest.created_at.clone(), backup.directory.clone());
        key(right).cmp(&key(left))
    });
    Ok(found)
}

/// The backup in a directory; none when there is no manifest of ours.
pub fn read(directory: &Path) -> Option<Backup> {
    let mut text = String::new();
    files::open(&directory.join(MANIFEST)).ok()?.take(MAX_MANIFEST).read_to_string(&mut text).ok()?;
    let manifest: BackupManifest = serde_json::from_str(&text).ok()?;
    Timestamp::parse(&manifest.created_at)?;
    Some(Backup { directory: directory.to_path_buf(), manifest })
}

impl Backup {
    /// Whether somebody or the schedule made it; else it precedes a migration.
    pub fn is_regular(&self) -> bool {
        self.manifest.kind != Kind::Migration.text()
    }

    /// Seconds since it was made; 0 when that lies in the future.
    pub fn age_seconds(&self) -> u64 {
        let made = Timestamp::parse(&self.manifest.created_at).map_or(0, Timestamp::micros);
        u64::try_from((Timestamp::now().micros() - made) / 1_000_000).unwrap_or(0)
    }

    /// The copy.
    pub fn database(&self) -> PathBuf {
        self.directory.join(DATABASE)
    }

    /// Whether the files are as the manifest says: good, damaged or missing. They are those beside the manifest,
    /// wherever the directory has been moved to.
    pub fn state(&self) -> &'static str {
        let mut state = if self.manifest.files.is_empty() { "missing" } else { "good" };
        for file in &self.manifest.files {
            let name = Path::new(&file.path).file_name().unwrap_or_default();
            match files::open(&self.directory.join(name)).and_then(files::digest) {
                Ok((sha256, _)) if sha256 == file.sha256 => {}
                Ok(_) => state = "damaged",
                Err(_) => return "missing",
            }
        }
        state
    }

    /// How it is listed.
    pub fn listed(&self, root: &Path) -> ListedBackup {
        let manifest = &self.manifest;
        ListedBackup {
            backup_dir: manifest::shown(root, &self.directory),
            created_at: manifest.created_at.clone(),
            kind: if manifest.kind.is_empty() { Kind::Manual.text().into() } else { manifest.kind.clone() },
            state: self.state().to_owned(),
            bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            seq: manifest.seq,
            chain_hash: manifest.chain_hash.clone(),
        }
    }

    /// Deletes the backup: its manifest first, so that a half-deleted one is none. What else lies in the directory stays.
    fn delete(&self) -> std::io::Result<()> {
        fs::remove_file(self.directory.join(MANIFEST))?;
        for file in &self.manifest.files {
            let name = Path::new(&file.path).file_name().unwrap_or_default();
            match fs::remove_file(self.directory.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::remove_dir(&self.directory)
    }
}

/// Deletes all but the newest `keep` of the backups that `wanted` picks. Returns the directories that are gone.
///
/// # Errors
/// What the disk denies when the backups are listed. One that cannot be deleted stays.
pub fn retain(db_path: &Path, keep: usize, wanted: impl Fn(&Backup) -> bool) -> Result<Vec<PathBuf>, Denial> {
    let mut removed = Vec::new();
    for backup in list(db_path)?.into_iter().filter(wanted).skip(keep.max(1)) {
        match backup.delete() {
            Ok(()) => removed.push(backup.directory),
            Err(error) => {
                tracing::warn!(%error, directory = %backup.directory.display(), "a backup stays");
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fake(db_path: &Path, name: &str, created_at: &str, kind: Kind) -> PathBuf {
        let directory = directory_of(db_path).join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(DATABASE), name).unwrap();
        let manifest = BackupManifest {
            created_at: created_at.into(),
            db_path: String::new(),
            files: vec![WrittenFile {
                path: format!("elsewhere/{DATABASE}"),
                sha256: kaizen_proto::canonical_json::sha256_hex(name.as_bytes()),
                bytes: 1,
            }],
            seq: 1,
            chain_hash: String::new(),
            plane_id: String::new(),
            kind: kind.text().into(),
            tool_version: String::new(),
            table_counts: BTreeMap::new(),
        };
        fs::write(directory.join(MANIFEST), serde_json::to_string(&manifest).unwrap()).unwrap();
        directory
    }

    #[test]
    fn only_backups_are_deleted_and_only_the_oldest() {
        let directory = tempfile::tempdir().unwrap();
        let db_path = directory.path().join("kaizen.db");
        let at = |day: u32| format!("2026-01-{day:02}T00:00:00.000000+00:00");
        let old = fake(&db_path, "a", &at(1), Kind::Manual);
        let crowded = fake(&db_path, "b", &at(2), Kind::Scheduled);
        fs::write(crowded.join("notes.txt"), "mine").unwrap();
        let migration = fake(&db_path, "c", &at(1), Kind::Migration);
        let new = fake(&db_path, "d", &at(3), Kind::Manual);
        let foreign = directory_of(&db_path).join("somebody-elses");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join(DATABASE), "x").unwrap();
        fs::write(foreign.join(MANIFEST), "{}").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&new, directory_of(&db_path).join("link")).unwrap();
        assert_eq!(list(&db_path).unwrap().len(), 4);
        assert!(list(&db_path).unwrap().iter().all(|backup| backup.state() == "good"));

        let removed = retain(&db_path, 1, Backup::is_regular).unwrap();
        assert_eq!(removed, std::slice::from_ref(&old));
        assert!(!old.exists() && new.exists() && migration.exists() && foreign.join(DATABASE).exists());
        // What is not ours stays, and so does its directory, but it is no backup any more.
        assert_eq!(fs::read_dir(&crowded).unwrap().count(), 1);
        assert_eq!(list(&db_path).unwrap().len(), 2);
        fs::write(new.join(DATABASE), "tampered").unwrap();
        assert_eq!(list(&db_path).unwrap()[0].state(), "damaged");
        fs::remove_file(new.join(DATABASE)).unwrap();
        assert_eq!(list(&db_path).unwrap()[0].state(), "missing");
    }
}
