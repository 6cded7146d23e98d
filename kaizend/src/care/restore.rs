//! K11: a backup takes the place of the data plane.
//!
//! The backup is copied first, and everything is checked on that copy, which then is the one that is put in place: what
//! happens to the backup meanwhile does not matter. The old files are kept aside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{Integrity, RestoreBackup, Restored};
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;
use kaizen_proto::{canonical_json, id};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use super::backup::{self, Backup, Head};
use super::staging::Staging;
use super::{blocking, integrity, manifest};
use crate::families::artifact;
use crate::files;
use crate::plane::swap::{self, Swap};
use crate::plane::{Caller, Cell, counters, fault, journal, migrate, open, search_index, write_tx};
use crate::registry::Context;

/// Carries K11 out.
///
/// # Errors
/// What is wrong with the path or the backup; then nothing has changed.
pub async fn restore(context: &Context, params: RestoreBackup) -> Result<Restored, Denial> {
    let binding = context.binding.clone();
    let root = binding.root()?.clone();
    let resolved = artifact::resolve_allowed(&root, params.path.as_ref(), params.allow_external)?;
    let (database, known) = find(&resolved.file)?;
    let held = context.daemon.projects.holds(&database)
        || open::Identity::of(&database).ok() == open::Identity::of(&binding.db_path).ok();
    if held {
        return Err(invalid(&database, "it is a data plane that is in use, not a backup"));
    }
    open::make_directories(&binding.db_path)?;
    let staged = {
        let (db_path, caller) = (binding.db_path.clone(), binding.caller.clone());
        blocking(move || Staged::make(&database, known.as_ref(), &db_path, &caller)).await?
    };
    let aside = format!("replaced/{}", manifest::stamped());
    let swap = Swap { new: staged.staging.name(), aside: aside.clone() };
    let db_path = binding.db_path.clone();
    let replaced = context.daemon.projects.replace(&binding, move || {
        let existed = db_path.exists();
        // Whatever is wrong with the old file is a reason to restore, not to refuse it.
        let old = if existed { old_head(&db_path) } else { None };
        swap::begin(&db_path, &swap)?;
        Ok((existed, old))
    });
    let (existed, old) = replaced.await?;
    let Staged { head, backup, integrity, counts, warnings, .. } = &staged;
    let aside = existed.then(|| manifest::shown(&root, &binding.db_path.with_file_name(aside)));
    Ok(Restored {
        status: Status::Ok,
        message: format!(
            "The backup of entry {} is the data plane now; entry {} of the journal records it.",
            backup.seq, head.seq
        ),
        path: resolved.shown,
        replaced: aside,
        plane_id: head.plane_id.clone(),
        old_seq: old.as_ref().map(|old| old.seq),
        old_chain_hash: old.map(|old| old.chain_hash),
        backup_seq: backup.seq,
        backup_chain_hash: backup.chain_hash.clone(),
        seq: head.seq,
        chain_hash: head.chain_hash.clone(),
        table_counts: counts.clone(),
        integrity: integrity.clone(),
        warnings: warnings.clone(),
    })
}

fn invalid(path: &Path, reason: &str) -> Denial {
    Denial::new(Code::BackupInvalid).with("path", path.display().to_string()).with("reason", reason)
}

fn old_head(db_path: &Path) -> Option<Head> {
    let head = open::sniff(db_path).and_then(|()| backup::head(&open::reader_connection(db_path)?));
    head.inspect_err(|denial| tracing::warn!(%denial, "the old database cannot be read")).ok().flatten()
}

/// The database of a backup that is named by its directory, its manifest or its file, and its manifest when it has one.
fn find(path: &Path) -> Result<(PathBuf, Option<Backup>), Denial> {
    let not_found = || Denial::new(Code::FileNotFound).with("path", path.display().to_string());
    let is_manifest = path.file_name().is_some_and(|name| name == backup::MANIFEST);
    let directory = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let known = backup::read(directory);
    if path.is_dir() || is_manifest {
        let known = known.ok_or_else(|| {
            if path.exists() { invalid(path, "there is no manifest of a backup in it") } else { not_found() }
        })?;
        return Ok((known.database(), Some(known)));
    }
    if !path.is_file() {
        return Err(not_found());
    }
    let known = known.filter(|backup| backup.database().file_name() == path.file_name());
    Ok((path.to_path_buf(), known))
}

/// A checked copy of a backup beside the database whose place it takes.
struct Staged {
    staging: Staging,
    /// Where the journal of the backup ends.
    backup: Head,
    /// Where it ends with the entry that records the restore.
    head: Head,
    integrity: Integrity,
    counts: BTreeMap<String, i64>,
    warnings: Vec<String>,
}

impl Staged {
    fn make(
        database: &Path,
        known: Option<&Backup>,
        db_path: &Path,
        caller: &Caller,
    ) -> Result<Self, Denial> {
        let (staging, to) = Staging::new(db_path)?;
        copy(database, known, to, staging.path())?;
        let mut staged = check(staging, database, caller)?;
        if known.is_none() {
            let warning = "There is no manifest beside the file, so its hash could not be checked.";
            staged.warnings.push(warning.to_owned());
        }
        tracing::info!(backup = %database.display(), seq = staged.backup.seq, "backup checked");
        Ok(staged)
    }
}

/// Copies the bytes and compares them with the manifest.
fn copy(database: &Path, known: Option<&Backup>, mut to: File, path: &Path) -> Result<(), Denial> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let reason = "a write-ahead log lies beside it: it is a data plane that was in use, not a backup";
        return Err(invalid(database, reason));
    }
    let mut from = match files::open(database) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(invalid(database, "the file that the manifest names is missing"));
        }
        Err(error) => return Err(fault::from_io("read the backup", database, &error)),
    };
    let fail = |error: std::io::Error| fault::from_io("copy the backup", path, &error);
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 256 * 1024]);
    loop {
        let read = from.read(&mut piece).map_err(fail)?;
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
        to.write_all(&piece[..read]).map_err(fail)?;
    }
    let sha256 = canonical_json::hex(&digest.finalize());
    if let Some(known) = known
        && known.manifest.files.iter().all(|file| file.sha256 != sha256)
    {
        return Err(invalid(database, "its hash is not that of the manifest: it has been changed")
            .with("sha256", sha256)
            .with("manifest_sha256", known.manifest.files.first().map(|file| file.sha256.clone())));
    }
    Ok(())
}

/// Brings the copy to the schema of this release, checks everything in it, and makes it a plane of its own.
fn check(staging: Staging, database: &Path, caller: &Caller) -> Result<Staged, Denial> {
    let path = staging.path();
    let fail = |error: rusqlite::Error| fault::from_rusqlite("check the backup", &error);
    // The copy goes away again, so a denial names the file that was given.
    let named = |denial: Denial| match denial.field("db_path") {
        Some(_) => denial.with("db_path", database.display().to_string()),
        None => denial,
    };
    open::sniff(path).map_err(named)?;
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(invalid(database, "it is empty"));
    }
    let mut connection = open::writer_connection(path)?;
    migrate::run_on_copy(&mut connection, path).map_err(named)?;
    let (found, only_derived) = integrity::look(path)?;
    if found.total_orphans > 0 || (found.total_faults > 0 && !only_derived) {
        let first = found.faults.first().map(|fault| fault.problem.clone()).unwrap_or_default();
        return Err(invalid(database, "the full check finds faults in it")
            .with("faults", found.total_faults)
            .with("orphans", found.total_orphans)
            .with("first_fault", first));
    }
    let mut warnings = Vec::new();
    let transaction = connection.transaction().map_err(fail)?;
    if found.total_faults > 0 {
        counters::rebuild(&transaction).map_err(fail)?;
        search_index::rebuild(&transaction).map_err(fail)?;
        warnings.push("Derived data of the backup was wrong and has been computed anew.".into());
    }
    let Some(before) = backup::head(&transaction)? else {
        return Err(invalid(database, "its journal has no head"));
    };
    let head = new_plane(&transaction, &before, caller).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    let counts = backup::counts(&connection)?;
    staging.seal(connection)?;
    Ok(Staged { staging, backup: before, head, integrity: found, counts, warnings })
}

/// Gives the plane a new identity, since its journal goes on otherwise than the one that was backed up did, and records
/// that in the journal.
fn new_plane(connection: &Connection, before: &Head, caller: &Caller) -> rusqlite::Result<Head> {
    let last = write_tx::query(
        connection,
        "SELECT at FROM journal WHERE seq = (SELECT max(seq) FROM journal)",
        &[],
    )?;
    let last = last.first().and_then(|row| Timestamp::parse(row.text("at")));
    let floor = last.map_or(0, |last| last.micros() + 1);
    let at = Timestamp::now().later_of(Timestamp::from_micros(floor)).to_string();
    let entry = journal::Entry {
        at: &at,
        operation: "K11",
        task_id: None,
        actor: caller.actor.as_deref(),
        session: caller.session.as_deref(),
        rows: "[]",
    };
    let seq = before.seq + 1;
    let chain_hash = journal::chain_hash(&before.chain_hash, seq, &entry);
    journal::append(connection, seq, &before.chain_hash, &chain_hash, &entry)?;
    let plane_id = id::new("plane");
    write_tx::execute(
        connection,
        "UPDATE plane_head SET plane_id = $1, seq = $2, chain_hash = $3",
        &[Cell::Text(&plane_id), Cell::Integer(seq), Cell::Text(&chain_hash)],
    )?;
    Ok(Head { plane_id, seq, chain_hash })
}
