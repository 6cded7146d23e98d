//! Opening a database: what is checked before a byte of it is written.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use rusqlite::{Connection, OpenFlags};

use super::{fault, migrate, swap};

/// The oldest SQLite that is used: earlier ones can lose committed data when a commit races a checkpoint.
const OLDEST_SQLITE: i32 = 3_051_003;
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How long a statement waits for another program's lock.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// A database that was being made and that nobody has touched for so long was left by a process that died.
const LEFT_OVER: std::time::Duration = std::time::Duration::from_hours(1);

/// Which file a path names at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file that `path` names now.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Identity::from_metadata(&metadata, path).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    /// The file that `path` named when its metadata was read.
    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "the same face on every system")]
    pub(super) fn from_metadata(metadata: &fs::Metadata, _path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Identity { device: metadata.dev(), inode: metadata.ino() })
    }

    /// The file that `path` names, as far as its path tells.
    #[cfg(not(unix))]
    pub(super) fn from_metadata(_metadata: &fs::Metadata, path: &Path) -> Option<Self> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        fs::canonicalize(path).ok()?.hash(&mut hasher);
        Some(Identity { device: 0, inode: hasher.finish() })
    }
}

/// The lock beside a database, held as long as the plane is open. The file names its owner's endpoint, and is never
/// deleted.
#[derive(Debug)]
pub struct PlaneLock {
    _file: File,
}

/// A database that is open and has the schema of this release.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) identity: Identity,
    pub(super) lock: PlaneLock,
}

/// Creates the directory of a plane, so that its key exists: for this user alone, and out of version control.
pub fn make_directories(db_path: &Path) -> Result<PathBuf, Denial> {
    let directory = db_path.parent().unwrap_or(db_path).to_path_buf();
    if directory.is_dir() {
        return Ok(directory);
    }
    let fail =
        |error: std::io::Error| fault::from_io("create the data plane's directory", &directory, &error);
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(fail(error)),
        _ => {}
    }
    crate::files::write(&directory.join(".gitignore"), b"*\n")?;
    Ok(directory)
}

/// Opens, locks, checks and migrates the database at `db_path`, creating it when it is absent.
///
/// # Errors
/// A denial that says what stands in the way; the file is left as it was.
pub(super) fn open(db_path: &Path, endpoint: &str) -> Result<Opened, Denial> {
    let directory = make_directories(db_path)?;
    check_filesystem(&directory)?;
    let lock = lock(&directory.join("kaizend.lock"), endpoint)?;
    swap::finish(db_path)?;
    sweep(db_path, LEFT_OVER);
    sniff(db_path)?;
    check_tables(db_path)?;
    let mut connection = writer_connection(db_path)?;
    migrate::run(&mut connection, db_path)?;
    let identity =
        Identity::of(db_path).map_err(|error| fault::from_io("look at the database", db_path, &error))?;
    Ok(Opened { connection, identity, lock })
}

/// Deletes what a restore or an import left beside the database when its process died: each is as large as a database,
/// and holds what has perhaps been erased since. The caller holds the plane's lock.
fn sweep(db_path: &Path, age: std::time::Duration) {
    let (Some(directory), Some(name)) = (db_path.parent(), db_path.file_name()) else { return };
    let start = format!("{}.", name.to_string_lossy());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ending =
            name.strip_prefix(&start).and_then(|rest| rest.split_once('.')).map(|(_, ending)| ending);
        let is_ours = matches!(ending, Some("partial" | "partial-wal" | "partial-shm" | "partial-journal"));
        let Ok(metadata) = entry.metadata() else { continue };
        let old = metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|passed| passed >= age));
        if is_ours && metadata.is_file() && old {
            match fs::remove_file(entry.path()) {
                Ok(()) => tracing::info!(file = %name, "deleted what an interruption left"),
                Err(error) => {
                    tracing::warn!(file = %name, %error, "could not delete what an interruption left");
                }
            }
        }
    }
}

/// Refuses a database that is not ours or of a newer release before the journal mode, which is part of the file, is set.
fn check_tables(db_path: &Path) -> Result<(), Denial> {
    if !fs::metadata(db_path).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    migrate::applied(&reader_connection(db_path)?, db_path).map(drop)
}

/// A connection of its own that cannot write, for work that would hold a place in the pool for too long.
pub(crate) fn reader_connection(db_path: &Path) -> Result<Connection, Denial> {
    let fail = |error: rusqlite::Error| {
        fault::from_rusqlite("open the database", &error).with("db_path", db_path.display().to_string())
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(db_path, flags).map_err(fail)?;
    connection.busy_timeout(PATIENCE).map_err(fail)?;
    Ok(connection)
}

/// A connection that writes: the writer's, or that of a copy which is being made ready.
pub(crate) fn writer_connection(db_path: &Path) -> Result<Connection, Denial> {
    let fail = |error: rusqlite::Error| {
        fault::from_rusqlite("open the database", &error).with("db_path", db_path.display().to_string())
    };
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(fault::unexpected(
            "open the database",
            &format!("SQLite {} is too old", rusqlite::version()),
        ));
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(db_path, flags).map_err(fail)?;
    connection.busy_timeout(PATIENCE).map_err(fail)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA trusted_schema = OFF; PRAGMA cache_size = -64000; PRAGMA temp_store = MEMORY; \
             PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 0;",
        )
        .map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Whether the file system of a path has less space left than a few large batches take.
pub(super) fn is_nearly_full(path: &Path) -> bool {
    const FEW: u64 = 64 * 1024 * 1024;
    #[cfg(unix)]
    {
        rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FEW)
    }
    #[cfg(not(unix))]
    {
        let _ = (path, FEW);
        false
    }
}

/// Refuses what is not a database of ours before SQLite touches it.
pub(crate) fn sniff(db_path: &Path) -> Result<(), Denial> {
    let metadata = match fs::metadata(db_path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault::from_io("look at the database", db_path, &error)),
    };
    let foreign = |reason: &str| {
        Denial::new(Code::ForeignDatabase)
            .with("db_path", db_path.display().to_string())
            .with("reason", reason)
    };
    if !metadata.is_file() {
        return Err(foreign("it is not a regular file"));
    }
    let mut header = Vec::with_capacity(100);
    File::open(db_path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|error| fault::from_io("read the database", db_path, &error))?;
    if header.is_empty() {
        return Ok(());
    }
    if header.len() < 100 || !header.starts_with(SQLITE_MAGIC) {
        return Err(foreign("it is not an SQLite database"));
    }
    if header[18..20] == [0xff, 0xff] {
        return Err(foreign("the Python harness wrote it in its own journal mode, which SQLite cannot read"));
    }
    Ok(())
}

/// Takes the lock beside a database whose directory exists.
///
/// # Errors
/// `DENIED_OWNED` when another daemon has it.
pub(crate) fn lock_of(db_path: &Path, endpoint: &str) -> Result<PlaneLock, Denial> {
    lock(&db_path.with_file_name("kaizend.lock"), endpoint)
}

fn lock(path: &Path, endpoint: &str) -> Result<PlaneLock, Denial> {
    let mut file = File::options()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(path)
        .map_err(|error| fault::from_io("open the lock beside the database", path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.take(4096).read_to_string(&mut owner);
            let owner: serde_json::Value = serde_json::from_str(&owner).unwrap_or_default();
            return Err(Denial::new(Code::Owned)
                .with("pid", owner["pid"].clone())
                .with("endpoint", owner["endpoint"].clone())
                .message("another kaizend has this data plane open"));
        }
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, path = %path.display(), "locks do not work");
            return Err(filesystem(path, &format!("files cannot be locked there: {error}")));
        }
    }
    // For people and for clients of another daemon; the lock alone decides.
    let owner = serde_json::json!({"pid": std::process::id(), "endpoint": endpoint}).to_string();
    file.set_len(0)
        .and_then(|()| file.write_all(owner.as_bytes()))
        .map_err(|error| fault::from_io("write the lock beside the database", path, &error))?;
    Ok(PlaneLock { _file: file })
}

fn filesystem(path: &Path, reason: &str) -> Denial {
    Denial::new(Code::Filesystem).with("path", path.display().to_string()).with("reason", reason)
}

#[cfg(target_os = "linux")]
fn check_filesystem(directory: &Path) -> Result<(), Denial> {
    use std::os::unix::fs::MetadataExt as _;
    let device = fs::metadata(directory)
        .map_err(|error| fault::from_io("look at the data plane's directory", directory, &error))?
        .dev();
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return Ok(()) };
    match network_filesystem(&mounts, (rustix::fs::major(device), rustix::fs::minor(device))) {
        Some(kind) => {
            Err(filesystem(directory, &format!("{kind} has no shared memory for the write-ahead log")))
        }
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn check_filesystem(_directory: &Path) -> Result<(), Denial> {
    Ok(())
}

/// The type of the mounted file system with this device number, when it is a network or foreign one.
/// `mounts` has the form of proc(5)'s mountinfo: the third field is major:minor, the type follows the lone `-`.
#[cfg(any(target_os = "linux", test))]
fn network_filesystem(mounts: &str, device: (u32, u32)) -> Option<&str> {
    const FOREIGN: &[&str] = &[
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "fuse.sshfs",
        "afs",
        "ceph",
        "ncpfs",
        "glusterfs",
        "fuse.glusterfs",
    ];
    let wanted = format!("{}:{}", device.0, device.1);
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&wanted))?;
    let kind = line.split(" - ").nth(1)?.split(' ').next()?;
    FOREIGN.contains(&kind).then_some(kind)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_an_interruption_left_is_deleted_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("kaizen.db");
        let left = ["kaizen.db.01a2.partial", "kaizen.db.01a2.partial-wal", "kaizen.db.01a2.partial-shm"];
        let kept =
            ["kaizen.db", "kaizen.db-wal", "kaizen.db-swap", "other.db.01a2.partial", "kaizen.db.backup"];
        for name in left.iter().chain(&kept) {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        let there = || {
            let names = fs::read_dir(directory.path()).unwrap();
            let mut names: Vec<String> =
                names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        // One that somebody may be writing stays.
        sweep(&database, LEFT_OVER);
        assert_eq!(there().len(), left.len() + kept.len());
        sweep(&database, Duration::ZERO);
        let mut kept = kept.to_vec();
        kept.sort_unstable();
        assert_eq!(there(), kept);
    }

    #[test]
    fn network_filesystems_are_told_by_their_mount() {
        let mounts = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      40 22 0:45 / /mnt/share rw,relatime shared:3 - nfs4 host:/export rw\n\
                      41 22 0:46 / /mnt/host rw - 9p share rw\n";
        assert_eq!(network_filesystem(mounts, (254, 0)), None);
        assert_eq!(network_filesystem(mounts, (0, 45)), Some("nfs4"));
        assert_eq!(network_filesystem(mounts, (0, 46)), Some("9p"));
        assert_eq!(network_filesystem(mounts, (9, 9)), None);
    }
}
