//! The one way in which the daemon writes files: under a temporary name, synced, renamed, and the directory synced, so
//! that a reader finds the whole file or none, whatever happens meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kaizen_proto::canonical_json::hex;
use kaizen_proto::denial::Denial;
use sha2::{Digest as _, Sha256};

use crate::plane::fault;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone: records and what is made of them are private.
    Owner,
    /// Whoever the user's umask lets: files that belong to the project itself, such as those under version control.
    Project,
}

/// Writes a private file durably, or not at all. Missing directories are made.
///
/// # Errors
/// What the disk denies; the file that was there before stays as it was.
pub fn write(target: &Path, contents: &[u8]) -> Result<(), Denial> {
    write_for(Readers::Owner, target, contents)
}

/// [`write()`] for the given readers.
///
/// # Errors
/// As [`write()`].
pub fn write_for(readers: Readers, target: &Path, contents: &[u8]) -> Result<(), Denial> {
    write_with(readers, Traits::default(), target, contents)
}

/// What a file has beside its contents, for one that shall stay, or become again, as it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    /// Its permissions; those that the readers imply by default.
    pub mode: Option<u32>,
    /// When it was changed last; now by default.
    pub modified: Option<SystemTime>,
}

/// [`write_for`] with the permissions and the time of another file, or of what the file was before.
///
/// # Errors
/// As [`write()`].
pub fn write_with(readers: Readers, traits: Traits, target: &Path, contents: &[u8]) -> Result<(), Denial> {
    let fail = |error: std::io::Error| fault::from_io("write a file", target, &error);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    let temporary = temporary_name(target);
    let written = create(readers, &temporary)
        .and_then(|mut file| {
            file.write_all(contents)?;
            traits.give_to(&file)
        })
        .map_err(fail)
        .and_then(|()| publish(&temporary, target));
    if written.is_err() {
        // The error that counts is the one that is returned.
        let _ = fs::remove_file(&temporary);
    }
    written
}

impl Traits {
    fn give_to(self, file: &File) -> std::io::Result<()> {
        #[cfg(unix)]
        if let Some(mode) = self.mode {
            use std::os::unix::fs::PermissionsExt as _;
            file.set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
        }
        self.modified.map_or(Ok(()), |modified| file.set_modified(modified))
    }
}

/// Removes a file durably.
///
/// # Errors
/// What the disk denies.
pub fn remove(target: &Path) -> Result<(), Denial> {
    let fail = |error: std::io::Error| fault::from_io("remove a file", target, &error);
    fs::remove_file(target).map_err(fail)?;
    target.parent().map_or(Ok(()), |parent| sync_directory(parent).map_err(fail))
}

/// Writes a private file piece by piece, durably or not at all. Missing directories are made.
///
/// # Errors
/// What `fill` or the disk denies; the file that was there before stays as it was.
pub fn write_by<T>(target: &Path, fill: impl FnOnce(&mut File) -> Result<T, Denial>) -> Result<T, Denial> {
    let fail = |error: io::Error| fault::from_io("write a file", target, &error);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    let temporary = temporary_name(target);
    let written = create(Readers::Owner, &temporary)
        .map_err(fail)
        .and_then(|mut file| fill(&mut file))
        .and_then(|filled| publish(&temporary, target).map(|()| filled));
    if written.is_err() {
        // The error that counts is the one that is returned.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Gives a finished file its final name, durably.
///
/// # Errors
/// What the disk denies.
pub fn publish(temporary: &Path, target: &Path) -> Result<(), Denial> {
    let fail = |error: std::io::Error| fault::from_io("write a file", target, &error);
    File::open(temporary).and_then(|file| file.sync_all()).map_err(fail)?;
    fs::rename(temporary, target).map_err(fail)?;
    target.parent().map_or(Ok(()), |parent| sync_directory(parent).map_err(fail))
}

/// Makes what happened to the names in a directory durable.
///
/// # Errors
/// What the disk denies.
pub fn sync_directory(directory: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// A name beside the target that nobody else uses.
pub fn temporary_name(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".{}.partial", kaizen_proto::id::idempotency_key()));
    PathBuf::from(name)
}

/// Creates a file that must not be there yet: a link that somebody has put in its place is not followed.
///
/// # Errors
/// What the disk denies.
pub fn create(readers: Readers, path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if readers == Readers::Owner { 0o600 } else { 0o666 });
    }
    options.open(path)
}

/// Opens a regular file for reading. A link in its place is not followed, and a pipe is not waited for.
///
/// # Errors
/// What the disk denies; `InvalidInput` for what is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

/// SHA-256 and size of what can be read, in pieces.
///
/// # Errors
/// What the disk denies.
pub fn digest(mut file: impl Read) -> io::Result<(String, u64)> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((hex(&digest.finalize()), bytes));
        }
        digest.update(&piece[..read]);
        bytes += u64::try_from(read).unwrap_or(0);
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_whole_private_and_alone() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("reports/report.md");
        write(&target, b"one").unwrap();
        write(&target, b"two").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_its_place_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (victim, target) = (directory.path().join("victim"), directory.path().join("target"));
        fs::write(&victim, "untouched").unwrap();
        symlink(&victim, &target).unwrap();
        write(&target, b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_file_can_be_given_the_permissions_and_the_time_of_another() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("file");
        let modified = SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
        // Set-user-id is never given, whoever asks for it.
        let traits = Traits { mode: Some(0o4751), modified: Some(modified) };
        write_with(Readers::Project, traits, &target, b"text").unwrap();
        let metadata = fs::metadata(&target).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o751);
        assert_eq!(metadata.modified().unwrap(), modified);
        remove(&target).unwrap();
        assert!(!target.exists() && remove(&target).is_err());
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("occupied");
        fs::create_dir(&target).unwrap();
        assert!(write(&target, b"text").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
