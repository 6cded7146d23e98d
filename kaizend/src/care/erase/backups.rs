//! The same in each backup, through a copy that takes its place when it is clean.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kaizen_proto::canonical_json::hex;
use kaizen_proto::denial::Denial;
use kaizen_proto::time::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::records::write;
use super::residue::{clean, holds};
use super::{OPERATION, Request, Shared, held};
use crate::care::blocking;
use crate::files;
use crate::plane::{Caller, Plane, fault, write_tx};

/// What the directories start with in which backups are rewritten.
pub(super) const WORKSHOP: &str = ".erase-";

/// What became of the backups.
#[derive(Default)]
pub(super) struct Backups {
    pub(super) rewritten: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) unread: Vec<String>,
}

pub(super) async fn backups(
    plane: &Plane,
    root: &Path,
    caller: &Arc<Caller>,
    request: &Request,
    unwanted: &Shared,
) -> Result<Backups, Denial> {
    let mut outcome = Backups::default();
    let directory = plane.db_path().with_file_name("backups");
    let Ok(entries) = fs::read_dir(&directory) else { return Ok(outcome) };
    let mut backups: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    backups.sort();
    for backup in backups {
        let name = backup.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fail = |error: std::io::Error| fault::from_io("remove a backup", &backup, &error);
        if name.starts_with(WORKSHOP) {
            // Left by a call that did not come to its end.
            fs::remove_dir_all(&backup).map_err(fail)?;
            continue;
        }
        let database = backup.join("kaizen.db");
        if !database.is_file() {
            continue;
        }
        let shown = backup.strip_prefix(root).unwrap_or(&backup).display().to_string();
        let workshop = directory.join(format!("{WORKSHOP}{}", kaizen_proto::id::idempotency_key()));
        let rewritten = rewrite(&database, &workshop, caller, request, unwanted).await;
        if workshop.exists() {
            fs::remove_dir_all(&workshop).map_err(fail)?;
        }
        match rewritten {
            Ok(true) => outcome.rewritten.push(shown),
            Ok(false) => {}
            Err(denial) => {
                tracing::warn!(code = denial.code.text(), backup = %shown, "a backup could not be rewritten");
                if holds(&database, &held(unwanted)) {
                    fs::remove_dir_all(&backup).map_err(fail)?;
                    outcome.removed.push(shown);
                } else {
                    outcome.unread.push(shown);
                }
            }
        }
    }
    files::sync_directory(&directory)
        .map_err(|error| fault::from_io("remove a backup", &directory, &error))?;
    Ok(outcome)
}

/// Erases in one backup, through a copy. Says whether there was anything.
async fn rewrite(
    database: &Path,
    workshop: &Path,
    caller: &Arc<Caller>,
    request: &Request,
    unwanted: &Shared,
) -> Result<bool, Denial> {
    let copy = workshop.join("kaizen.db");
    let (from, to) = (database.to_path_buf(), copy.clone());
    let (opened, lock) = blocking(move || {
        let fail = |error: std::io::Error| fault::from_io("copy a backup", &from, &error);
        fs::create_dir(to.parent().unwrap_or(&to)).map_err(fail)?;
        fs::copy(&from, &to).map_err(fail)?;
        Plane::open(&to, "")
    })
    .await?;
    let changed = write(&opened, caller.clone(), request, unwanted, false).await;
    let there = match &changed {
        Ok(changed) => !changed.rows.is_empty() || holds(database, &held(unwanted)),
        Err(_) => false,
    };
    let cleaned = if there { opened.chore(clean).await } else { Ok(()) };
    opened.close().await;
    drop(lock);
    changed?;
    cleaned?;
    if !there {
        return Ok(false);
    }
    let target = database.to_path_buf();
    blocking(move || replace(&copy, &target)).await?;
    Ok(true)
}

/// Puts the rewritten copy in the place of a backup, and says so in its manifest.
fn replace(copy: &Path, target: &Path) -> Result<(), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("finish a backup", &error);
    let connection = rusqlite::Connection::open(copy).map_err(fail)?;
    connection.execute_batch("PRAGMA journal_mode = DELETE").map_err(fail)?;
    let head = write_tx::query(&connection, "SELECT seq, chain_hash FROM plane_head", &[]).map_err(fail)?;
    connection.close().map_err(|(_, error)| fail(error))?;
    files::publish(copy, target)?;
    let path = target.with_file_name("backup-manifest.json");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let Ok(mut manifest) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
    let mut digest = Sha256::new();
    let read = File::open(target).and_then(|mut file| std::io::copy(&mut file, &mut digest));
    let bytes = read.map_err(|error| fault::from_io("read a backup", target, &error))?;
    for file in manifest["files"].as_array_mut().into_iter().flatten() {
        if file["path"].as_str().is_some_and(|path| path.ends_with("kaizen.db")) {
            file["sha256"] = hex(&digest.clone().finalize()).into();
            file["bytes"] = bytes.into();
        }
    }
    if let Some(head) = head.first() {
        manifest["seq"] = head.integer("seq").into();
        manifest["chain_hash"] = head.text("chain_hash").into();
    }
    manifest["rewritten"] = json!({"at": Timestamp::now().to_string(), "by": OPERATION});
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| fault::unexpected("write a manifest", &error))?;
    files::write(&path, (text + "\n").as_bytes())
}
