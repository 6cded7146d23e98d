//! Putting another file in the place of a database, so that at every moment one of the two stands there.
//!
//! What is to be done is written down first, in a note beside the database. Whoever opens the database next finds the
//! note and finishes what a crash has interrupted, before anything else is looked at.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use kaizen_proto::denial::Denial;
use serde::{Deserialize, Serialize};

use super::fault;
use crate::files;

/// The largest note that is read.
const MAX_NOTE: u64 = 64 * 1024;

/// Which file takes the database's place, and where the old files go: both names in the database's own directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Swap {
    /// The new file: complete, synced, without a log.
    pub(crate) new: String,
    /// The directory for the old files.
    pub(crate) aside: String,
}

/// Takes the database's place. The caller holds the plane's lock, and the database is not open.
///
/// # Errors
/// What the disk denies. Before the note is there nothing has changed; after it, the next opening goes on.
pub(crate) fn begin(db_path: &Path, swap: &Swap) -> Result<(), Denial> {
    let note = serde_json::to_string(swap).map_err(|error| fault::unexpected("write a note", &error))?;
    files::write(&note_path(db_path), note.as_bytes())?;
    carry_out(db_path, swap, |_| Ok(()))
}

/// Finishes what was begun. Without a note there is nothing to do.
///
/// # Errors
/// What the disk denies; the note stays then.
pub(crate) fn finish(db_path: &Path) -> Result<(), Denial> {
    let path = note_path(db_path);
    let fail = |error: std::io::Error| fault::from_io("read what a restore left to do", &path, &error);
    let file = match files::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail(error)),
    };
    let mut text = String::new();
    file.take(MAX_NOTE).read_to_string(&mut text).map_err(fail)?;
    let swap: Swap = serde_json::from_str(&text).map_err(|error| fail(error.into()))?;
    tracing::warn!("finishing a restore that was interrupted");
    carry_out(db_path, &swap, |_| Ok(()))
}

fn note_path(db_path: &Path) -> PathBuf {
    beside(db_path, "-swap")
}

fn beside(db_path: &Path, ending: &str) -> PathBuf {
    let mut path = db_path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// The steps, each of which may have been done before. `at` is called before each.
fn carry_out(
    db_path: &Path,
    swap: &Swap,
    mut at: impl FnMut(usize) -> Result<(), Denial>,
) -> Result<(), Denial> {
    let directory = db_path.parent().unwrap_or(db_path);
    // Names, not paths: a note that somebody has tampered with must not reach beyond the directory.
    let inside = |name: &str| {
        let parts = Path::new(name).components();
        let plain = parts.clone().all(|part| matches!(part, std::path::Component::Normal(_)));
        plain.then(|| directory.join(name)).ok_or_else(|| fault::unexpected("read a note", &name.to_owned()))
    };
    let (new, aside) = (inside(&swap.new)?, inside(&swap.aside)?);
    let fail = |error: std::io::Error| fault::from_io("put the backup in place", db_path, &error);
    at(0)?;
    // The new file is at its old name until the very step that puts it in place.
    if new.exists() {
        fs::create_dir_all(&aside).map_err(fail)?;
        at(1)?;
        let kept = aside.join(db_path.file_name().unwrap_or_default());
        if db_path.exists() && !kept.exists() {
            // A second name, so that the first is never without a file. Where there are no such names, the note helps.
            fs::hard_link(db_path, &kept).or_else(|_| fs::rename(db_path, &kept)).map_err(fail)?;
        }
        at(2)?;
        let log = beside(db_path, "-wal");
        if log.exists() {
            fs::rename(&log, beside(&kept, "-wal")).map_err(fail)?;
        }
        at(3)?;
        absent(&beside(db_path, "-shm")).map_err(fail)?;
        files::sync_directory(&aside).map_err(fail)?;
        at(4)?;
        fs::rename(&new, db_path).map_err(fail)?;
    }
    at(5)?;
    absent(&beside(db_path, "-suspect")).map_err(fail)?;
    files::sync_directory(directory).map_err(fail)?;
    at(6)?;
    absent(&note_path(db_path)).map_err(fail)?;
    files::sync_directory(directory).map_err(fail)
}

fn absent(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kaizen_proto::denial::Code;

    use super::*;

    #[test]
    fn an_interruption_at_any_step_leaves_a_file_and_is_finished_later() {
        for stop in 0..=6 {
            let directory = tempfile::tempdir().unwrap();
            let db_path = directory.path().join("kaizen.db");
            let read = |path: &str| fs::read_to_string(directory.path().join(path)).unwrap_or_default();
            for (name, text) in [
                ("kaizen.db", "old"),
                ("kaizen.db-wal", "log"),
                ("kaizen.db-shm", "index"),
                ("kaizen.db-suspect", ""),
                ("new", "new"),
            ] {
                fs::write(directory.path().join(name), text).unwrap();
            }
            let swap = Swap { new: "new".into(), aside: "replaced/then".into() };
            files::write(&note_path(&db_path), serde_json::to_string(&swap).unwrap().as_bytes()).unwrap();
            let interrupted = carry_out(&db_path, &swap, |step| {
                if step == stop { Err(Denial::new(Code::StorageError)) } else { Ok(()) }
            });
            assert!(interrupted.is_err());
            assert_eq!(read("kaizen.db"), if stop < 5 { "old" } else { "new" }, "{stop}");
            for _ in 0..2 {
                finish(&db_path).unwrap();
                assert_eq!(read("kaizen.db"), "new", "{stop}");
                assert_eq!(read("replaced/then/kaizen.db"), "old", "{stop}");
                assert_eq!(read("replaced/then/kaizen.db-wal"), "log", "{stop}");
                let mut names: Vec<_> = fs::read_dir(directory.path())
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                names.sort();
                assert_eq!(names, ["kaizen.db", "replaced"], "{stop}");
            }
        }
    }

    #[test]
    fn a_note_reaches_no_further_than_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let db_path = directory.path().join("db/kaizen.db");
        fs::create_dir(directory.path().join("db")).unwrap();
        fs::write(directory.path().join("victim"), "victim").unwrap();
        for (new, aside) in [("../victim", "aside"), ("/etc/passwd", "aside"), ("new", "../aside")] {
            let swap = Swap { new: new.into(), aside: aside.into() };
            assert!(begin(&db_path, &swap).is_err());
            assert!(!db_path.exists() && directory.path().join("victim").exists());
        }
    }
}
