//! What is left after the write: the old text in the database's file, and the files that hold a copy of it.

use std::fs::{self, File};
use std::path::Path;

use aho_corasick::AhoCorasick;
use kaizen_proto::denial::{Code, Denial};

use super::Unwanted;
use crate::plane::writer::Writer;
use crate::plane::{fault, search_index, write_tx};

/// Bytes of the parts in which a longer text is looked for in files: a database cuts a text where a page ends.
const PART: usize = 48;

/// Takes away what the write has left in the files: in the search index, in free pages and in the log.
pub(super) fn clean(writer: &mut Writer) -> Result<(), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("clean the database", &error);
    if writer.shared().is_suspect() {
        return Err(Denial::new(Code::PlaneSuspect).message("the last write could not be made durable"));
    }
    let connection = writer.connection();
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let rebuilt = search_index::rebuild(connection).and_then(|()| connection.execute_batch("COMMIT"));
    if let Err(error) = rebuilt {
        if !connection.is_autocommit()
            && let Err(again) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %again, "could not roll back");
            writer.shared().close();
        }
        return Err(fail(error));
    }
    // The copy that VACUUM makes may be larger than memory should hold.
    let vacuumed = connection.execute_batch("PRAGMA temp_store = FILE; VACUUM");
    connection.execute_batch("PRAGMA temp_store = MEMORY").map_err(fail)?;
    vacuumed.map_err(fail)?;
    let outcome = write_tx::query(connection, "PRAGMA wal_checkpoint(TRUNCATE)", &[]).map_err(fail)?;
    if outcome.first().is_some_and(|row| row.integer("busy") != 0) {
        return Err(Denial::new(Code::DatabaseLocked)
            .message("the record is clean; a reader holds the log, which still has the old text")
            .action("Repeat the call."));
    }
    Ok(())
}

/// Whether a file holds one of the texts.
pub(super) fn holds(path: &Path, unwanted: &[Unwanted]) -> bool {
    let spellings: Vec<String> = unwanted.iter().flat_map(Unwanted::spellings).collect();
    let looked_for: Vec<&[u8]> = spellings.iter().flat_map(|text| parts(text.as_bytes())).collect();
    let Ok(file) = File::open(path) else { return false };
    match AhoCorasick::new(&looked_for) {
        Ok(automaton) if !looked_for.is_empty() => {
            automaton.stream_find_iter(file).any(|found| found.is_ok())
        }
        _ => false,
    }
}

/// A short text whole, of a longer one its two ends and its middle: no two pages end within all of them.
fn parts(text: &[u8]) -> Vec<&[u8]> {
    if text.len() < 3 * PART {
        return vec![text];
    }
    let (end, middle) = (text.len() - PART, text.len() / 2);
    vec![&text[..PART], &text[middle..middle + PART], &text[end..]]
}

/// Whether a file belongs to the open database. Whoever closes such a file takes SQLite's locks away.
fn is_of_open(database: &Path, path: &Path) -> bool {
    let endings = ["", "-wal", "-shm", "-journal"];
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    path.parent() == database.parent()
        && path.file_name().is_some_and(|file| {
            endings.iter().any(|ending| file.to_string_lossy() == format!("{name}{ending}"))
        })
}

/// The files below the data plane's directory that hold one of the texts, but for the open database and the backups.
/// Databases that a restore has put aside, or left unfinished, are among them.
pub(super) fn holders(directory: &Path, root: &Path, open: &Path, unwanted: &[Unwanted]) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name != "backups" => {
                found.extend(holders(&path, root, open, unwanted));
            }
            Ok(kind) if kind.is_file() && !is_of_open(open, &path) && holds(&path, unwanted) => {
                found.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
            }
            _ => {}
        }
    }
    found.sort();
    found
}
