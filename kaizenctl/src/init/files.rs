//! Looking at the files of a project, and changing them one at a time, each as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::id;

use super::block::{self, Malformed};
use super::templates::Template;

/// The largest file that a block is put into.
const MAX_BYTES: u64 = 1024 * 1024;

/// How a file stands to what is laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is not there.
    Missing,
    /// It is there without the block.
    BlockMissing,
    /// It has a block of another release, or one that was changed.
    BlockOutdated,
    /// It is as it is laid.
    Current,
    /// It is the project's own.
    Own,
    /// Its name leads to another file of the list.
    Same,
    /// Its name leads out of the project.
    Outside,
}

/// One file as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// What would be laid.
    pub(crate) template: &'static Template,
    /// Where it is, past links.
    pub(crate) target: PathBuf,
    /// How it stands.
    pub(crate) state: State,
    /// The text that belongs there; none when nothing is to change.
    pub(crate) text: Option<String>,
}

/// Looks at all files of the project at `root`, an absolute path without links. Changes nothing.
///
/// # Errors
/// When a file that needs its block cannot take it, with the reason.
pub(crate) fn look(root: &Path, templates: &'static [Template]) -> Result<Vec<Found>, Denial> {
    let mut found: Vec<Found> = Vec::with_capacity(templates.len());
    for template in templates {
        let one = match place(root, template.path)? {
            None => Found { template, target: root.join(template.path), state: State::Outside, text: None },
            Some(target) if found.iter().any(|other| other.target == target) => {
                Found { template, target, state: State::Same, text: None }
            }
            Some(target) => look_at(template, target)?,
        };
        found.push(one);
    }
    Ok(found)
}

/// Where a path of the project leads, past links; none when it leads out of the project.
fn place(root: &Path, path: &str) -> Result<Option<PathBuf>, Denial> {
    let named = root.join(path);
    let target = match fs::read_link(&named) {
        Ok(link) => named.parent().unwrap_or(root).join(link),
        Err(_) => named,
    };
    // What is there is told by the system; for what is not, the part of the path that is.
    if let Ok(real) = target.canonicalize() {
        return Ok(real.starts_with(root).then_some(real));
    }
    let name = target.file_name().map(ToOwned::to_owned);
    let is_link = fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_symlink());
    let (Some(name), Some(parent), false) = (name, target.parent(), is_link) else {
        return Err(in_the_way(path, "it is a link that leads nowhere"));
    };
    let mut missing = vec![name];
    let mut parent = parent;
    loop {
        match parent.canonicalize() {
            Ok(real) if !real.is_dir() => {
                return Err(in_the_way(path, &format!("{} is not a directory", parent.display())));
            }
            Ok(real) => {
                let target = missing.iter().rev().fold(real, |path, name| path.join(name));
                return Ok(target.starts_with(root).then_some(target));
            }
            Err(_) => match (parent.file_name(), parent.parent()) {
                (Some(name), Some(above)) => {
                    missing.push(name.to_owned());
                    parent = above;
                }
                _ => return Err(in_the_way(path, "its directory cannot be found")),
            },
        }
    }
}

fn look_at(template: &'static Template, target: PathBuf) -> Result<Found, Denial> {
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let metadata = match fs::metadata(&target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = Some(template.text(&name));
            return Ok(Found { template, target, state: State::Missing, text });
        }
        Err(error) => return Err(io_denial(&target, "look at", &error)),
    };
    if !template.is_block {
        let laid = template.text(&name);
        // A file of the project's own is not even read when its size says so.
        let near = metadata.is_file() && metadata.len() < laid.len() as u64 * 2;
        let same = near && fs::read(&target).is_ok_and(|bytes| is_laid(&bytes, &laid));
        let state = if same { State::Current } else { State::Own };
        return Ok(Found { template, target, state, text: None });
    }
    let text = read_text(template.path, &target, &metadata)?;
    let malformed = |Malformed(reason)| {
        Denial::new(Code::Config).with("path", template.path).with("reason", reason).action(format!(
            "Leave one line `{}` and, below it, one line `{}` in the file, or neither.",
            block::BEGIN,
            block::END
        ))
    };
    let had_block = block::is_in(&text).map_err(malformed)?;
    let changed = block::put(&text, &template.block()).map_err(malformed)?;
    let state = match (&changed, had_block) {
        (None, _) => State::Current,
        (Some(_), true) => State::BlockOutdated,
        (Some(_), false) => State::BlockMissing,
    };
    Ok(Found { template, target, state, text: changed })
}

/// Whether bytes are a text as it is laid; a checkout on Windows has added carriage returns.
fn is_laid(bytes: &[u8], laid: &str) -> bool {
    bytes == laid.as_bytes() || bytes == laid.replace('\n', "\r\n").as_bytes()
}

fn read_text(path: &str, target: &Path, metadata: &fs::Metadata) -> Result<String, Denial> {
    if !metadata.is_file() {
        return Err(in_the_way(path, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(target).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(
        |error| in_the_way(path, &error.to_string()).action(format!("Make {path} readable for this user.")),
    )?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Denial::new(Code::FileTooLarge)
            .with("path", path)
            .with("limit", MAX_BYTES)
            .action(format!("{path} is too large for a file of rules; move what is none out of it.")));
    }
    String::from_utf8(bytes).map_err(|_| Denial::new(Code::FileNotUtf8).with("path", path))
}

/// What a file is without what was laid in it.
#[derive(Debug)]
pub(crate) enum Without {
    /// It is as it was laid: it can go.
    Nothing,
    /// The text that is left when the block is taken out.
    Text(String),
    /// There is nothing to take away.
    Unchanged,
}

/// What is left of a file when what was laid is taken away.
///
/// # Errors
/// As [`look`].
pub(crate) fn without(found: &Found) -> Result<Without, Denial> {
    if !found.template.is_block {
        return Ok(if found.state == State::Current { Without::Nothing } else { Without::Unchanged });
    }
    if !matches!(found.state, State::Current | State::BlockOutdated) {
        return Ok(Without::Unchanged);
    }
    let path = found.template.path;
    let metadata =
        fs::metadata(&found.target).map_err(|error| io_denial(&found.target, "look at", &error))?;
    let text = read_text(path, &found.target, &metadata)?;
    let name = found.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if is_laid(text.as_bytes(), &found.template.text(&name)) {
        return Ok(Without::Nothing);
    }
    Ok(match block::take(&text) {
        Ok(Some(text)) => Without::Text(text),
        _ => Without::Unchanged,
    })
}

/// Refuses to change a file that its owner has protected. The rename by which files are replaced would not care.
///
/// # Errors
/// `DENIED_STORAGE_READ_ONLY`.
pub(crate) fn check_writable(path: &str, target: &Path) -> Result<(), Denial> {
    match fs::metadata(target) {
        Ok(metadata) if metadata.permissions().readonly() => Err(Denial::new(Code::StorageReadOnly)
            .with("path", path)
            .with("reason", "the file is read-only")
            .action(format!("Make {path} writable for this user, or put the block in by hand."))),
        _ => Ok(()),
    }
}

/// Writes a text to its place as a whole. A file that is there keeps its permissions; one that must be new and is
/// there after all stays as it is.
///
/// # Errors
/// What the disk denies.
pub(crate) fn write(target: &Path, text: &str, is_new: bool) -> Result<(), Denial> {
    let fail = |error: io::Error| io_denial(target, "write", &error);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", id::idempotency_key()));
    let temporary = target.with_file_name(name);
    let written = fill(&temporary, text, target).and_then(|()| {
        if is_new {
            // Unlike a rename, a link does not replace what somebody else has put there meanwhile.
            match fs::hard_link(&temporary, target) {
                Ok(()) => return fs::remove_file(&temporary),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return fs::remove_file(&temporary),
                Err(_) => {}
            }
        }
        fs::rename(&temporary, target)
    });
    if written.is_err() {
        // The error that counts is the one that is returned.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(fail)
}

fn fill(temporary: &Path, text: &str, target: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    if let Ok(metadata) = fs::metadata(target) {
        file.set_permissions(metadata.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Deletes a file that is as it was laid.
///
/// # Errors
/// What the disk denies.
pub(crate) fn delete(target: &Path) -> Result<(), Denial> {
    fs::remove_file(target).map_err(|error| io_denial(target, "delete", &error))
}

fn in_the_way(path: &str, reason: &str) -> Denial {
    Denial::new(Code::FileUnreadable)
        .with("path", path)
        .with("reason", reason)
        .action(format!("Move what stands at {path} aside, then repeat the call."))
}

fn io_denial(path: &Path, what: &str, error: &io::Error) -> Denial {
    let shown = path.display().to_string();
    let denial = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Denial::new(Code::StorageFull),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Denial::new(Code::StorageReadOnly)
            .action("Make the project's directory one that this user can write."),
        _ => Denial::new(Code::StorageError).action("Look at the path and the disk, then repeat the call."),
    };
    denial.with("path", shown).with("reason", format!("cannot {what} it: {error}"))
}
