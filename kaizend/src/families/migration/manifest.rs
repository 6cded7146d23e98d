//! Where migrations keep their backups, and the manifest that says what a migration changes.

use std::fs::{self, File, TryLockError};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::migration::Action;
use kaizen_proto::limits;
use kaizen_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::artifact::real_path;
use super::tree::{Allowed, Unfit};
use crate::care::manifest::stamped;
use crate::files::{self, Traits};
use crate::plane::fault;

/// The directory of everything that migrations write beside the surfaces themselves.
const WORK: &str = "AI/work/kaizen-v4-migration";
/// The name of a manifest.
const MANIFEST: &str = "manifest.json";
/// Bytes of a manifest at most: that of the most changes that one call can make, and room.
const MAX_MANIFEST: u64 = 32 * 1024 * 1024;
/// Bytes of the path of a manifest.
const PATH_BYTES: usize = 4096;
/// How often the lock is tried before somebody else is said to hold it, [`PAUSE`] apart.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// The directory of everything that migrations of one project write beside the surfaces themselves.
pub(super) struct Work {
    project: PathBuf,
    directory: PathBuf,
}

/// Held while the files of a project are migrated.
pub(super) struct Turn {
    _file: File,
}

/// One migration's own directory.
pub(super) struct Batch {
    directory: PathBuf,
}

/// A file that was backed up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BackedUpFile {
    /// The file.
    pub(super) source_path: String,
    /// Its backup, as a path in the project.
    pub(super) backup_path: String,
    /// SHA-256 of both.
    pub(super) sha256: String,
}

/// What happens to one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    /// The step that it belongs to.
    pub(super) action: Action,
    /// The file.
    pub(super) path: String,
    /// SHA-256 of the file before; null when there was none.
    pub(super) before_sha256: Option<String>,
    /// SHA-256 of the file afterwards; null when it is removed.
    pub(super) after_sha256: Option<String>,
    /// The backup, as a path in the project; null when there was no file before.
    pub(super) backup_path: Option<String>,
    /// The permissions of the file before.
    pub(super) mode: Option<u32>,
    /// When the file was changed before that, in nanoseconds since 1970.
    pub(super) modified_ns: Option<i64>,
}

impl Change {
    /// What the file had beside its contents.
    pub(super) fn traits(&self) -> Traits {
        Traits { mode: self.mode, modified: self.modified_ns.and_then(time_of) }
    }
}

/// What a migration changes. It is on disk before the first file is touched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// When it was written.
    pub(super) created_at: String,
    /// The files that were backed up.
    pub(super) files: Vec<BackedUpFile>,
    /// All changes, in their order.
    pub(super) changes: Vec<Change>,
    /// Directories that did not exist before.
    pub(super) created_directories: Vec<String>,
}

impl Manifest {
    pub(super) fn new() -> Self {
        Manifest {
            created_at: Timestamp::now().to_string(),
            files: Vec::new(),
            changes: Vec::new(),
            created_directories: Vec::new(),
        }
    }
}

/// A time in nanoseconds since 1970, as far as they fit.
pub(super) fn nanoseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanoseconds| -nanoseconds),
    }
}

#[expect(clippy::disallowed_methods, reason = "a short wait for another process, on a thread that may block")]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn time_of(nanoseconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

impl Work {
    /// The directory of a project, which may not exist yet, and must not lead elsewhere.
    pub(super) fn of(project: &Path, allowed: &Allowed) -> Result<Self, Denial> {
        let wanted = project.join(WORK);
        let directory =
            real_path(&wanted).map_err(|error| fault::from_io("find a directory", &wanted, &error))?;
        if !allowed.holds(&directory) {
            return Err(Unfit::Outside.denial(&wanted).action("Make it a directory of the project."));
        }
        Ok(Work { project: project.to_path_buf(), directory })
    }

    /// Makes the directory: for this user alone, and out of version control.
    fn make(&self) -> Result<(), Denial> {
        if self.directory.join(".gitignore").is_file() {
            return Ok(());
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        if let Some(parent) = self.directory.parent() {
            builder.create(parent).map_err(|error| fault::from_io("create a directory", parent, &error))?;
        }
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&self.directory)
            .map_err(|error| fault::from_io("create a directory", &self.directory, &error))?;
        files::write(&self.directory.join(".gitignore"), b"*\n")
    }

    /// Waits for nobody who migrates: another daemon that migrates this project is a reason to come back.
    pub(super) fn lock(&self) -> Result<Turn, Denial> {
        self.make()?;
        let path = self.directory.join("migration.lock");
        let fail = |error: std::io::Error| fault::from_io("lock the migration", &path, &error);
        let mut options = File::options();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        }
        let file = options.open(&path).map_err(fail)?;
        for attempt in 1_usize.. {
            match file.try_lock() {
                Ok(()) => break,
                // A process that is being started shares the descriptors of its parent, and with them the lock that the
                // parent has just let go of, until its own program runs.
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => pause(),
                Err(TryLockError::WouldBlock) => {
                    return Err(Denial::new(Code::Busy).message("another process is migrating this project"));
                }
                Err(TryLockError::Error(error)) => return Err(fail(error)),
            }
        }
        Ok(Turn { _file: file })
    }

    /// A name for a report.
    pub(super) fn report(&self) -> Result<PathBuf, Denial> {
        self.make()?;
        Ok(self.directory.join("reports").join(format!("migration-report-{}.md", stamped())))
    }

    /// A directory for one migration.
    pub(super) fn batch(&self) -> Batch {
        Batch { directory: self.directory.join("backups").join(stamped()) }
    }

    /// The migration whose manifest was named by a path in the project.
    pub(super) fn find(&self, named: &str) -> Result<Batch, Denial> {
        limits::check_bytes("undo", named, PATH_BYTES)?;
        if named.is_empty() {
            return Err(Denial::new(Code::PathRequired)
                .with("field", "undo")
                .message("--undo needs the path of a manifest")
                .action("Pass the `manifest` of the reply to the migration."));
        }
        let path = self.project.join(named);
        let shown = path.display().to_string();
        let real =
            real_path(&path).map_err(|error| Unfit::Other(error.to_string()).denial(Path::new(named)))?;
        let below: Vec<Component<'_>> = real
            .strip_prefix(self.directory.join("backups"))
            .map(|below| below.components().collect())
            .unwrap_or_default();
        if below.len() != 2 || real.file_name().is_none_or(|name| name != MANIFEST) {
            return Err(Denial::new(Code::PathOutsideRepo)
                .with("path", shown)
                .message(format!("a manifest is {WORK}/backups/STAMP/{MANIFEST}"))
                .action("Pass the `manifest` of the reply to the migration."));
        }
        match real.symlink_metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_MANIFEST => {
                let directory = real.parent().unwrap_or(&real).to_path_buf();
                Ok(Batch { directory })
            }
            Ok(metadata) if metadata.is_file() => Err(Denial::new(Code::FileTooLarge)
                .with("path", shown)
                .with("bytes", metadata.len())
                .with("limit", MAX_MANIFEST)),
            _ => Err(Denial::new(Code::FileNotFound)
                .with("path", shown)
                .action("Pass the `manifest` of the reply to the migration.")),
        }
    }

    /// A path as it is shown: relative to the project when it lies there.
    pub(super) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.project).unwrap_or(path).display().to_string()
    }
}

impl Batch {
    /// The manifest's path.
    pub(super) fn manifest(&self) -> PathBuf {
        self.directory.join(MANIFEST)
    }

    /// The path of the backup with this number.
    pub(super) fn backup(&self, number: usize, name: &str) -> PathBuf {
        self.directory.join("files").join(format!("{number:04}-{name}"))
    }

    /// Where the backup that a manifest names must be, whatever directory it says.
    pub(super) fn backup_named(&self, named: &str) -> Option<PathBuf> {
        Some(self.directory.join("files").join(Path::new(named).file_name()?))
    }

    /// Writes the manifest.
    pub(super) fn write(&self, manifest: &Manifest) -> Result<(), Denial> {
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|error| fault::unexpected("write a manifest", &error))?;
        files::write(&self.manifest(), (text + "\n").as_bytes())
    }

    /// Reads the manifest back.
    pub(super) fn read(&self) -> Result<Manifest, Denial> {
        let path = self.manifest();
        let contents = fs::read(&path).map_err(|error| fault::from_io("read a manifest", &path, &error))?;
        serde_json::from_slice(&contents).map_err(|error| {
            Denial::new(Code::JsonInvalid)
                .with("path", path.display().to_string())
                .message(format!("this is no manifest that can be undone: {error}"))
                .action("Only manifests that this program wrote can be undone; restore others by hand.")
        })
    }

    /// Removes the directory of a migration that changed nothing after all.
    pub(super) fn discard(&self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(path = %self.directory.display(), %error, "a batch was left behind");
        }
    }
}
