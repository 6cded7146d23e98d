//! Where to look, and what stands there: roots, directories, and single files, none of them trusted.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::limits;
use serde_json::json;

use super::super::artifact::real_path;
use super::surface::{self, FOLDER, SURFACES, Surface};
use crate::daemon::Binding;

/// The variable that allows a directory outside the project.
const SKILLS_ROOT: &str = "KAIZEN_SKILLS_ROOT";
/// Bytes of a path at most.
const PATH_BYTES: usize = 4096;
/// Roots of one call.
const MAX_ROOTS: usize = 64;
/// Directories that one call walks through, and entries in all of them.
const MAX_DIRECTORIES: usize = 200_000;
const MAX_ENTRIES: usize = 2_000_000;
/// Directories with surfaces that one call handles, and bytes of their paths, so that every reply fits into a message.
const MAX_TARGETS: usize = 2_000;
const MAX_TARGET_BYTES: usize = 256 * 1024;
/// Bytes of a file that can be a surface.
pub(super) const MAX_FILE: u64 = 8 * 1024 * 1024;
/// Warnings of one call.
const MAX_WARNINGS: usize = 20;

/// Directories that are never looked into: version control, other agents' mirrors, packages, caches, our own.
const SKIPPED: [&str; 11] = [
    ".git",
    ".agents",
    ".claude",
    "node_modules",
    ".venv",
    "__pycache__",
    "_src",
    "_corpus",
    "_tmp",
    "AI",
    FOLDER,
];
/// The file that marks a directory as a skill, which has surfaces even when it has none yet.
const SKILL: &str = "SKILL.md";

/// What was odd but no reason to refuse, told to the caller.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    told: Vec<String>,
    more: usize,
}

impl Warnings {
    pub(super) fn add(&mut self, warning: String) {
        if self.told.len() < MAX_WARNINGS {
            self.told.push(warning);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into_list(mut self) -> Vec<String> {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        self.told
    }
}

/// Where files may be changed: the project, and the directory of skills when there is one.
#[derive(Clone, Debug)]
pub(super) struct Allowed(Vec<PathBuf>);

impl Allowed {
    /// What the caller's project and environment allow.
    pub(super) fn of(binding: &Binding) -> Result<Self, Denial> {
        let project = binding.root()?;
        let mut allowed = vec![project.clone()];
        if let Some(skills) = binding.env.get(SKILLS_ROOT)
            && let Ok(skills) = real_path(&base(binding, project).join(skills))
            && !allowed.contains(&skills)
        {
            allowed.push(skills);
        }
        Ok(Allowed(allowed))
    }

    /// Whether a path without symbolic links lies in one of them.
    pub(super) fn holds(&self, real: &Path) -> bool {
        self.0.iter().any(|allowed| real.starts_with(allowed))
    }
}

/// What relative roots start from.
fn base<'a>(binding: &'a Binding, project: &'a Path) -> &'a Path {
    binding.cwd.as_deref().unwrap_or(project)
}

/// A directory to look through.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// The path with all symbolic links resolved.
    pub(super) path: PathBuf,
    /// Whether there is such a directory.
    pub(super) exists: bool,
}

/// The roots of a call, all of them allowed.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) allowed: Allowed,
    pub(super) roots: Vec<Root>,
}

impl Scope {
    /// The roots that the caller named, each once, or the project's.
    pub(super) fn of(binding: &Binding, wanted: &[String]) -> Result<Self, Denial> {
        let project = binding.root()?;
        let allowed = Allowed::of(binding)?;
        if wanted.len() > MAX_ROOTS {
            return Err(Denial::usage(format!("a call takes at most {MAX_ROOTS} roots")));
        }
        let mut paths = Vec::new();
        for wanted in wanted {
            if wanted.is_empty() {
                return Err(Denial::new(Code::PathRequired)
                    .with("field", "root")
                    .message("--root needs a directory")
                    .action("Name a directory, or leave --root out for the project's root."));
            }
            limits::check_bytes("root", wanted, PATH_BYTES)?;
            let joined = base(binding, project).join(wanted);
            let real = real_path(&joined).map_err(|error| {
                Denial::new(Code::FileUnreadable)
                    .with("path", joined.display().to_string())
                    .with("reason", error.to_string())
            })?;
            if !allowed.holds(&real) {
                let shown: Vec<String> =
                    allowed.0.iter().map(|allowed| allowed.display().to_string()).collect();
                return Err(Denial::new(Code::RootNotAllowlisted)
                    .with("root", real.display().to_string())
                    .with("allowed_roots", json!(shown))
                    .message("the directory lies outside of all that are allowed"));
            }
            paths.push(real);
        }
        if paths.is_empty() {
            paths.push(project.clone());
        }
        let mut roots: Vec<Root> = Vec::new();
        for path in paths {
            if path.to_str().is_none() {
                return Err(unfit(&path, "its path is not UTF-8, so no reply could name it"));
            }
            if !roots.iter().any(|known| known.path == path) {
                roots.push(Root { exists: path.is_dir(), path });
            }
        }
        Ok(Scope { allowed, roots })
    }
}

/// How much a call has looked through.
#[derive(Debug, Default)]
pub(super) struct Walked {
    directories: usize,
    entries: usize,
    targets: usize,
    target_bytes: usize,
}

fn too_large(root: &Path, what: &str, limit: usize) -> Denial {
    Denial::new(Code::TreeTooLarge)
        .with("root", root.display().to_string())
        .with("limit", limit)
        .message(format!("there are more than {limit} {what}"))
}

/// The directories of a root that have surfaces: the root itself, and every one below that holds a surface or a skill.
pub(super) fn directories(
    root: &Path,
    walked: &mut Walked,
    warnings: &mut Warnings,
) -> Result<Vec<String>, Denial> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    if root.file_name().is_some_and(|name| name == FOLDER) {
        warnings.add(format!("{}: its own surfaces are those of the directory above", root.display()));
    }
    while let Some(directory) = waiting.pop() {
        let Some(text) = directory.to_str() else {
            warnings.add(format!("{}: skipped, its path is not UTF-8", directory.display()));
            continue;
        };
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => Some(entries),
            Err(error) => {
                warnings.add(format!("{text}: skipped, it cannot be read: {error}"));
                None
            }
        };
        let mut is_target = directory == root;
        for entry in entries.into_iter().flatten() {
            walked.entries += 1;
            if walked.entries > MAX_ENTRIES {
                return Err(too_large(root, "files and directories", MAX_ENTRIES));
            }
            // What has just gone, or cannot be told, is nothing to walk into.
            let Ok((entry, kind)) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind)))
            else {
                continue;
            };
            let name = entry.file_name();
            if kind.is_dir() {
                if !SKIPPED.iter().any(|skipped| name == *skipped) {
                    walked.directories += 1;
                    if walked.directories > MAX_DIRECTORIES {
                        return Err(too_large(root, "directories", MAX_DIRECTORIES));
                    }
                    waiting.push(entry.path());
                }
            } else if name == SKILL || SURFACES.iter().any(|surface| name == surface.file) {
                is_target = true;
            }
        }
        if is_target {
            walked.targets += 1;
            // As it is written in a reply, where some characters take more room.
            walked.target_bytes += json!(text).to_string().len() + FOLDER.len();
            if walked.targets > MAX_TARGETS || walked.target_bytes > MAX_TARGET_BYTES {
                return Err(too_large(root, "directories with surfaces", MAX_TARGETS));
            }
            found.push(text.to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What stands at a path.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing.
    Absent,
    /// A file that was read.
    File {
        sha256: String,
        stub: bool,
        /// Whether a symbolic link leads to it, within the allowed roots.
        linked: bool,
    },
    /// Something that is no file to read or to write.
    Unfit(Unfit),
}

/// Why something is no file to read or to write.
#[derive(Debug)]
pub(super) enum Unfit {
    /// A symbolic link leads out of the allowed roots.
    Outside,
    /// It has more bytes than a surface can have.
    TooLarge(u64),
    /// Anything else.
    Other(String),
}

impl Unfit {
    /// In words.
    pub(super) fn reason(&self) -> String {
        match self {
            Unfit::Outside => "a symbolic link leads out of the allowed roots".into(),
            Unfit::TooLarge(bytes) => format!("{bytes} bytes are too many; {MAX_FILE} are the limit"),
            Unfit::Other(reason) => reason.clone(),
        }
    }

    /// As the denial of a call that would have to change it.
    pub(super) fn denial(&self, path: &Path) -> Denial {
        let shown = path.display().to_string();
        match self {
            Unfit::Outside => {
                Denial::new(Code::PathOutsideRepo).with("path", shown).with("reason", self.reason()).action(
                    "Remove the symbolic link, or name other directories with --root; nothing was changed.",
                )
            }
            Unfit::TooLarge(bytes) => Denial::new(Code::FileTooLarge)
                .with("path", shown)
                .with("bytes", *bytes)
                .with("limit", MAX_FILE)
                .action(
                    "Move it out of the way, or name other directories with --root; nothing was changed.",
                ),
            Unfit::Other(reason) => unfit(path, reason),
        }
    }
}

/// The denial for a path that cannot be migrated.
pub(super) fn unfit(path: &Path, reason: &str) -> Denial {
    Denial::new(Code::SurfaceUnfit).with("path", path.display().to_string()).with("reason", reason)
}

/// One surface of a directory.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) surface: &'static Surface,
    /// The file in `evals/`.
    pub(super) target_path: PathBuf,
    pub(super) target: Look,
    /// The file of the same name beside `evals/`.
    pub(super) sibling_path: PathBuf,
    pub(super) sibling: Look,
}

/// Looks at the surfaces of a directory whose path has no symbolic links.
pub(super) fn surfaces(directory: &Path, allowed: &Allowed) -> impl Iterator<Item = Pair> {
    SURFACES.iter().map(move |surface| Pair {
        surface,
        target_path: directory.join(FOLDER).join(surface.file),
        target: look(directory, &[FOLDER, surface.file], allowed),
        sibling_path: directory.join(surface.file),
        sibling: look(directory, &[surface.file], allowed),
    })
}

/// Looks at a path below a directory that has no symbolic links.
pub(super) fn look(directory: &Path, below: &[&str], allowed: &Allowed) -> Look {
    let mut path = directory.to_path_buf();
    let mut linked = false;
    for part in below {
        path.push(part);
        linked |= fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink());
    }
    if linked {
        match real_path(&path) {
            Ok(real) if !allowed.holds(&real) => return Look::Unfit(Unfit::Outside),
            Ok(real) => path = real,
            Err(error) => return Look::Unfit(Unfit::Other(error.to_string())),
        }
    }
    match fs::symlink_metadata(&path) {
        Ok(metadata) if !metadata.is_file() => Look::Unfit(Unfit::Other("it is not a regular file".into())),
        Ok(_) => match read(&path) {
            Ok((contents, _)) => {
                Look::File { sha256: sha256_hex(&contents), stub: surface::is_stub(&contents), linked }
            }
            Err(unfit) => Look::Unfit(unfit),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && linked => {
            Look::Unfit(Unfit::Other("it would stand behind a symbolic link".into()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Absent,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Look::Unfit(Unfit::Other("its folder is not a directory".into()))
        }
        Err(error) => Look::Unfit(Unfit::Other(error.to_string())),
    }
}

/// Reads a regular file that is no symbolic link and has no more bytes than a surface can have.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, Metadata), Unfit> {
    let other = |error: io::Error| Unfit::Other(error.to_string());
    let file = open(path).map_err(other)?;
    let metadata = file.metadata().map_err(other)?;
    if !metadata.is_file() {
        return Err(Unfit::Other("it is not a regular file".into()));
    }
    if metadata.len() > MAX_FILE {
        return Err(Unfit::TooLarge(metadata.len()));
    }
    let mut contents = Vec::new();
    // It may grow while it is read.
    file.take(MAX_FILE + 1).read_to_end(&mut contents).map_err(other)?;
    match contents.len() as u64 {
        bytes if bytes > MAX_FILE => Err(Unfit::TooLarge(bytes)),
        _ => Ok((contents, metadata)),
    }
}

/// Opens a file for reading. A link that was put in its place is not followed, a FIFO not waited for.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
