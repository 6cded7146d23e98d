//! Looking at files without opening them: at one path, and at everything that the rules cover.
//!
//! Nothing here follows a symbolic link into a directory, leaves the root or opens what is no directory, so pipes,
//! devices and loops cannot hold a look up. What is covered but is no file to read is [`Refused`], never skipped in
//! silence. Each directory is announced before it is read: whoever begins to watch it then hears of everything that
//! the reading did not show.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::UNIX_EPOCH;

use kaizen_proto::denial::Code;

use super::ignores::Ignores;
use super::rules::{Rules, is_within};
use crate::files;

/// What tells one state of a file from the next without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// When the contents changed last, in nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
    /// When the contents or anything about the file changed last, likewise; nobody can set it back.
    pub ctime_ns: i64,
    /// The number of the file itself, whatever its name; 0 on systems without one.
    pub inode: u64,
}

impl Stamp {
    /// The stamp of a file that was looked at.
    pub fn of(metadata: &Metadata) -> Self {
        let mtime = metadata.modified().ok().and_then(|time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).ok(),
            Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(i64::wrapping_neg),
        });
        #[cfg(unix)]
        let (ctime_ns, inode) = {
            use std::os::unix::fs::MetadataExt as _;
            (
                metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()),
                metadata.ino(),
            )
        };
        #[cfg(not(unix))]
        let (ctime_ns, inode) = (0, 0);
        Stamp { size: metadata.len(), mtime_ns: mtime.unwrap_or(0), ctime_ns, inode }
    }
}

/// A file that a rule covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it is, relative to the root, with `/`.
    pub path: String,
    /// Its state.
    pub stamp: Stamp,
}

/// Something that a rule covers, but that is no file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it is, relative to the root, with `/`; what is not UTF-8 in it is replaced.
    pub path: String,
    /// The code that a call would be denied with.
    pub code: Code,
    /// Why, in words.
    pub reason: String,
}

/// What is met on a walk, in this order: a directory before what is in it.
#[derive(Debug)]
pub enum Met<'a> {
    /// A directory that is about to be read, relative to the root; empty for the root itself.
    Directory(&'a str),
    /// A file.
    File(Seen),
    /// Something that cannot be taken.
    Refused(Refused),
}

/// Walks the directories `from`, as far as the rules reach, and returns whether it came to the end of them: `visit` may
/// break it off. Memory is needed for the names of directories that wait, not for files.
pub(super) fn walk(
    rules: &Rules,
    ignores: &Ignores,
    from: impl IntoIterator<Item = String>,
    visit: &mut dyn FnMut(Met<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut waiting: Vec<String> = from.into_iter().collect();
    while let Some(directory) = waiting.pop() {
        visit(Met::Directory(&directory))?;
        let entries = match fs::read_dir(rules.root().join(&directory)) {
            Ok(entries) => entries,
            // It went, or something else took its place.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(error) => {
                visit(Met::Refused(unreadable(directory, &error)))?;
                continue;
            }
        };
        for entry in entries {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                Err(error) => {
                    visit(Met::Refused(unreadable(directory.clone(), &error)))?;
                    break;
                }
            };
            let Some(name) = name.to_str() else {
                if let Some(refused) = nameless(rules, &join(&directory, &name.to_string_lossy())) {
                    visit(Met::Refused(refused))?;
                }
                continue;
            };
            let path = join(&directory, name);
            if !rules.concerns(&path) {
                continue;
            }
            match look_at(rules, ignores, &path) {
                Look::Absent | Look::Uncovered => {}
                Look::Directory => waiting.push(path),
                Look::File(stamp) => visit(Met::File(Seen { path, stamp }))?,
                Look::Refused(refused) => visit(Met::Refused(refused))?,
            }
        }
    }
    ControlFlow::Continue(())
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing.
    Absent,
    /// Something that the rules do not cover, or that git ignores.
    Uncovered,
    /// A directory that the rules reach into.
    Directory,
    /// A file that a rule covers.
    File(Stamp),
    /// What a rule covers, but nobody can take.
    Refused(Refused),
}

/// Looks at any path below the root, of which nothing is known.
pub(super) fn look(rules: &Rules, ignores: &Ignores, path: &str) -> Look {
    // A directory that was replaced by a link would otherwise lead out of the project.
    for (end, _) in path.match_indices('/') {
        match fs::symlink_metadata(rules.root().join(&path[..end])) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) if metadata.is_symlink() => {
                let reason = "it is behind a symbolic link to a directory, which is not followed";
                return Look::Refused(refused(path, Code::PathOutsideRepo, reason));
            }
            Ok(_) => return Look::Absent,
            Err(error) => return failed(path, &error),
        }
    }
    look_at(rules, ignores, path)
}

/// Looks at a path whose directory has no symbolic links.
fn look_at(rules: &Rules, ignores: &Ignores, path: &str) -> Look {
    let full = rules.root().join(path);
    let metadata = match fs::symlink_metadata(&full) {
        Ok(metadata) => metadata,
        Err(error) => return failed(path, &error),
    };
    let is_covered = || rules.matching(path).is_some() && !ignores.covers(rules.root(), path, false);
    if metadata.is_dir() {
        let enters = rules.may_contain(path) && !ignores.covers(rules.root(), path, true);
        return if enters { Look::Directory } else { Look::Uncovered };
    }
    if metadata.is_symlink() {
        // A link to a directory may hide files that a rule means, whatever its own name.
        let hides = || rules.may_contain(path) && !ignores.covers(rules.root(), path, true);
        return match follow(rules, &full) {
            Ok(target) if target.is_file() && is_covered() => sized(rules, path, &target),
            Ok(target) if target.is_dir() && hides() => {
                let reason = "it is a symbolic link to a directory, which is not followed";
                Look::Refused(refused(path, Code::PathOutsideRepo, reason))
            }
            Ok(target) if !target.is_file() && !target.is_dir() && is_covered() => {
                Look::Refused(refused(path, Code::FileNotFound, "it leads to no regular file"))
            }
            Ok(_) => Look::Uncovered,
            Err((code, reason)) => {
                let leads_to_directory = || fs::metadata(&full).is_ok_and(|target| target.is_dir());
                let matters = is_covered() || (hides() && leads_to_directory());
                if matters { Look::Refused(refused(path, code, &reason)) } else { Look::Uncovered }
            }
        };
    }
    if !is_covered() {
        return Look::Uncovered;
    }
    if !metadata.is_file() {
        return Look::Refused(refused(path, Code::FileNotFound, "it is no regular file"));
    }
    sized(rules, path, &metadata)
}

fn sized(rules: &Rules, path: &str, metadata: &Metadata) -> Look {
    if metadata.len() > rules.max_bytes() {
        let reason = format!("{} bytes are too many; {} are the limit", metadata.len(), rules.max_bytes());
        return Look::Refused(refused(path, Code::FileTooLarge, &reason));
    }
    Look::File(Stamp::of(metadata))
}

/// What a symbolic link leads to, within the root.
fn follow(rules: &Rules, link: &Path) -> Result<Metadata, (Code, String)> {
    let real = link.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => (Code::FileNotFound, "it is a symbolic link to nothing".to_owned()),
        _ => (Code::FileUnreadable, format!("its symbolic link cannot be followed: {error}")),
    })?;
    let inside = real.strip_prefix(rules.root()).map_err(|_| {
        (Code::PathOutsideRepo, "it is a symbolic link that leads out of the project".to_owned())
    })?;
    // Whoever opened and closed the database would take its locks away.
    if inside.to_str().is_none_or(|inside| rules.is_excluded(&inside.replace('\\', "/"))) {
        return Err((Code::PathOutsideRepo, "it is a symbolic link to what is never looked at".to_owned()));
    }
    fs::symlink_metadata(&real).map_err(|error| (Code::FileUnreadable, error.to_string()))
}

/// Opens a file that was seen, for reading: neither a link that leads out of the root nor a pipe that has taken its place
/// since is opened.
///
/// # Errors
/// What the disk denies; `InvalidInput` for what is no regular file of the project.
pub fn open(rules: &Rules, path: &str) -> io::Result<fs::File> {
    let real = rules.root().join(path).canonicalize()?;
    let inside =
        real.strip_prefix(rules.root()).ok().and_then(Path::to_str).map(|inside| inside.replace('\\', "/"));
    if inside.is_none_or(|inside| rules.is_excluded(&inside)) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file of the project"));
    }
    files::open(&real)
}

/// Whether this process may read a file, told without opening it.
pub(super) fn is_readable(root: &Path, path: &str) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        accessat(CWD, root.join(path), Access::READ_OK, AtFlags::EACCESS) != Err(rustix::io::Errno::ACCESS)
    }
    #[cfg(not(unix))]
    {
        let _ = (root, path);
        true
    }
}

/// The refusal of a path with a name that is not UTF-8; none when the rules do not cover it.
pub(super) fn nameless(rules: &Rules, shown: &str) -> Option<Refused> {
    let reason = "its name is not UTF-8, so no record could name it";
    rules.concerns(shown).then(|| refused(shown, Code::TextInvalid, reason))
}

fn failed(path: &str, error: &io::Error) -> Look {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Look::Absent,
        _ => Look::Refused(unreadable(path.to_owned(), error)),
    }
}

fn unreadable(path: String, error: &io::Error) -> Refused {
    let path = if path.is_empty() { ".".to_owned() } else { path };
    Refused { path, code: Code::FileUnreadable, reason: format!("it cannot be read: {error}") }
}

fn refused(path: &str, code: Code, reason: &str) -> Refused {
    Refused { path: path.to_owned(), code, reason: reason.to_owned() }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Whether one of the directories holds the path, or is it.
pub(super) fn is_within_any<'a>(path: &str, directories: impl IntoIterator<Item = &'a String>) -> bool {
    directories.into_iter().any(|directory| is_within(path, directory))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::rules::Rule;
    use super::*;

    fn rules(root: &Path) -> Rules {
        let rule = Rule { paths: vec!["docs/**".into()], ..Rule::default() };
        Rules::new(root, vec![rule], 1000).unwrap()
    }

    #[test]
    fn a_walk_meets_directories_before_their_files_and_can_be_broken_off() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for path in ["docs/a/b", "docs/c", "other"] {
            fs::create_dir_all(root.join(path)).unwrap();
            fs::write(root.join(path).join("file"), "text").unwrap();
        }
        let (rules, ignores) = (rules(&root), Ignores::default());
        for most in 1..10 {
            let mut met = Vec::new();
            let end = walk(&rules, &ignores, [String::new()], &mut |one| {
                met.push(match one {
                    Met::Directory(path) => format!("{path}/"),
                    Met::File(seen) => seen.path,
                    Met::Refused(refused) => refused.reason,
                });
                if met.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            assert_eq!(end.is_break(), most <= 7);
            assert_eq!(met.len(), most.min(7));
            for file in met.iter().filter(|path| path.ends_with("file")) {
                let directory = file.trim_end_matches("file");
                assert!(met.iter().any(|path| path == directory), "{file} came before its directory");
            }
        }
    }

    #[test]
    fn only_files_of_the_project_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap().join("project");
        fs::create_dir_all(root.join("docs/sub")).unwrap();
        fs::create_dir_all(root.join("AI/db")).unwrap();
        fs::write(root.join("AI/db/kaizen.db"), "database").unwrap();
        fs::write(root.join("docs/file"), "text").unwrap();
        fs::write(directory.path().join("secret"), "secret").unwrap();
        symlink("file", root.join("docs/link")).unwrap();
        symlink("../../secret", root.join("docs/out")).unwrap();
        symlink("../AI/db/kaizen.db", root.join("docs/database")).unwrap();
        symlink("../..", root.join("docs/up")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(root.join("docs/pipe")).status().unwrap().success());
        let rules = rules(&root);
        for path in ["docs/file", "docs/link"] {
            assert_eq!(io::read_to_string(open(&rules, path).unwrap()).unwrap(), "text");
        }
        for path in [
            "docs/out",
            "docs/database",
            "docs/up/secret",
            "docs/pipe",
            "docs/sub",
            "docs",
            "AI/db/kaizen.db",
        ] {
            assert_eq!(open(&rules, path).unwrap_err().kind(), ErrorKind::InvalidInput, "{path}");
        }
        assert_eq!(open(&rules, "docs/none").unwrap_err().kind(), ErrorKind::NotFound);
        let ignores = Ignores::default();
        assert!(matches!(look(&rules, &ignores, "docs/up/secret"), Look::Refused(_)));
        assert_eq!(look(&rules, &ignores, "docs/file/x"), Look::Absent);
        assert_eq!(look(&rules, &ignores, "docs/sub"), Look::Directory);
        assert_eq!(look(&rules, &ignores, "AI/db/kaizen.db"), Look::Uncovered);
    }
}
