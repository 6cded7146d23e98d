//! Carrying a plan out, all of it or nothing, and taking it back.
//!
//! First everything that will be replaced or removed is backed up, then the manifest that names every change is
//! written, and only then is the first file touched. So whenever the daemon ends, the manifest on disk says what may
//! have changed, and undoing it puts everything back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::migration::{Action, MigrationApplied};
use kaizen_proto::operation::Status;
use serde_json::{Value, json};

use super::super::artifact::real_path;
use super::manifest::{self, BackedUpFile, Batch, Change, Manifest, Work};
use super::plan::{self, Step, text};
use super::surface::{FOLDER, SURFACES, Surface, is_stub};
use super::tree::{self, Allowed, Scope, Unfit, Warnings};
use crate::files::{self, Readers, Traits};
use crate::plane::fault;

/// Files that a denial names.
const MAX_NAMED: usize = 50;

/// What a file holds afterwards.
enum After {
    /// The stub.
    Stub(&'static Surface),
    /// What this backup holds, with these permissions.
    Backup(PathBuf, Option<u32>),
    /// There is no file.
    Gone,
}

/// A change, and how it is made.
struct Edit {
    change: Change,
    after: After,
}

/// Everything that a migration will do, with its backups made.
struct Draft<'a> {
    work: &'a Work,
    batch: &'a Batch,
    manifest: Manifest,
    edits: Vec<Edit>,
}

/// Migrates everything in the scope.
///
/// # Errors
/// What the plan denies, `DENIED_BUSY`, and what the disk denies. Then nothing has changed, or the denial says what has.
pub(super) fn apply(work: &Work, scope: &Scope) -> Result<MigrationApplied, Denial> {
    let _turn = work.lock()?;
    let mut warnings = Warnings::default();
    let steps = plan::make(scope, &mut warnings)?;
    let batch = work.batch();
    let mut draft = Draft { work, batch: &batch, manifest: Manifest::new(), edits: Vec::new() };
    let prepared = steps.into_iter().try_for_each(|step| draft.prepare(step)).and_then(|()| draft.write());
    if let Err(denial) = prepared {
        batch.discard();
        return Err(denial);
    }
    let changed = draft.carry_out()?;
    Ok(MigrationApplied {
        status: Status::Ok,
        count: changed.len(),
        changed,
        manifest: work.shown(&batch.manifest()),
        warnings: warnings.into_list(),
    })
}

impl Draft<'_> {
    /// Backs up what a step replaces or removes, and notes its changes.
    fn prepare(&mut self, step: Step) -> Result<(), Denial> {
        let Step { action, surface, target, sibling, sha256 } = step;
        match action {
            Action::KeepStub => {}
            Action::CreateStub => {
                self.stand(
                    &target,
                    action,
                    None,
                    After::Stub(surface),
                    sha256_hex(surface.stub().as_bytes()),
                );
            }
            Action::BackupAndReplaceStub => {
                let kept = self.back_up(action, &target, sha256.as_ref())?;
                let after = sha256_hex(surface.stub().as_bytes());
                self.stand(&target, action, Some(kept), After::Stub(surface), after);
            }
            Action::BackupAndRemoveOldSibling => {
                let kept = self.back_up(action, &sibling, sha256.as_ref())?;
                self.edits.push(Edit { change: kept.change, after: After::Gone });
            }
            Action::RelocateSiblingToEvals => {
                let kept = self.back_up(action, &sibling, sha256.as_ref())?;
                let (after, hash) = match &kept.change.before_sha256 {
                    Some(hash) if kept.stub => {
                        (After::Backup(kept.backup.clone(), kept.change.mode), hash.clone())
                    }
                    _ => (After::Stub(surface), sha256_hex(surface.stub().as_bytes())),
                };
                self.stand(&target, action, None, after, hash);
                self.edits.push(Edit { change: kept.change, after: After::Gone });
            }
        }
        Ok(())
    }

    /// Notes that a file will stand at a target, and that its folder is new when it is.
    fn stand(&mut self, target: &Path, action: Action, kept: Option<Kept>, after: After, sha256: String) {
        if let Some(folder) = target.parent()
            && !folder.exists()
            && self.manifest.created_directories.last() != Some(&text(folder))
        {
            self.manifest.created_directories.push(text(folder));
        }
        let mut change = kept.map_or_else(
            || Change {
                action,
                path: text(target),
                before_sha256: None,
                after_sha256: None,
                backup_path: None,
                mode: None,
                modified_ns: None,
            },
            |kept| kept.change,
        );
        change.after_sha256 = Some(sha256);
        self.edits.push(Edit { change, after });
    }

    /// Backs up a file that still is as it was planned for.
    fn back_up(&mut self, action: Action, path: &Path, planned: Option<&String>) -> Result<Kept, Denial> {
        let (contents, metadata) = tree::read(path).map_err(|unfit| unfit.denial(path))?;
        let sha256 = sha256_hex(&contents);
        if planned != Some(&sha256) {
            return Err(changed_meanwhile(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let backup = self.batch.backup(self.manifest.files.len() + 1, &name);
        let modified = metadata.modified().ok();
        files::write_with(Readers::Owner, Traits { mode: None, modified }, &backup, &contents)?;
        let backup_path = self.work.shown(&backup);
        self.manifest.files.push(BackedUpFile {
            source_path: text(path),
            backup_path: backup_path.clone(),
            sha256: sha256.clone(),
        });
        let change = Change {
            action,
            path: text(path),
            before_sha256: Some(sha256),
            after_sha256: None,
            backup_path: Some(backup_path),
            mode: mode_of(&metadata),
            modified_ns: modified.and_then(manifest::nanoseconds),
        };
        Ok(Kept { change, backup, stub: is_stub(&contents) })
    }

    /// Writes the manifest.
    fn write(&mut self) -> Result<(), Denial> {
        self.manifest.changes = self.edits.iter().map(|edit| edit.change.clone()).collect();
        self.batch.write(&self.manifest)
    }

    /// Makes all changes, or takes them back. Returns the files that the steps were about.
    fn carry_out(&self) -> Result<Vec<String>, Denial> {
        for (at, edit) in self.edits.iter().enumerate() {
            // What was not touched yet need not be taken back.
            let outcome = edit.check().map_err(|denial| (denial, at));
            let outcome = outcome.and_then(|()| edit.make().map_err(|denial| (denial, at + 1)));
            if let Err((denial, touched)) = outcome {
                return Err(self.take_back(denial, touched));
            }
        }
        let about = self.edits.iter().filter(|edit| {
            // A relocation is one step with two changes.
            edit.change.action != Action::RelocateSiblingToEvals || !matches!(edit.after, After::Gone)
        });
        Ok(about.map(|edit| edit.change.path.clone()).collect())
    }

    /// Takes the first changes back, and tells what became of that.
    fn take_back(&self, denial: Denial, touched: usize) -> Denial {
        let mut left = Vec::new();
        for edit in self.edits[..touched].iter().rev() {
            let change = &edit.change;
            let restored = match now(Path::new(&change.path)) {
                Ok(hash) if hash == change.before_sha256 => Ok(()),
                Ok(hash) if hash == change.after_sha256 => put_back(change, self.batch),
                Ok(_) => Err(changed_meanwhile(Path::new(&change.path))),
                Err(unfit) => Err(unfit.denial(Path::new(&change.path))),
            };
            if let Err(error) = restored {
                tracing::error!(path = change.path, %error, "a change was not taken back");
                left.push(change.path.clone());
            }
        }
        remove_directories(&self.manifest.created_directories);
        if left.is_empty() {
            self.batch.discard();
            return denial.with("rolled_back", true);
        }
        let manifest = self.work.shown(&self.batch.manifest());
        left.truncate(MAX_NAMED);
        denial
            .with("rolled_back", false)
            .with("not_restored", json!(left))
            .with("manifest", manifest.as_str())
            .action(format!("Remove the cause, then run `kaizenctl M3 --undo {manifest}`."))
    }
}

/// A file that was backed up.
struct Kept {
    change: Change,
    backup: PathBuf,
    stub: bool,
}

impl Edit {
    /// Refuses when the file, or the way to it, is no longer what it was planned for.
    fn check(&self) -> Result<(), Denial> {
        let path = Path::new(&self.change.path);
        let folder = path.parent().unwrap_or(path);
        if !matches!(self.after, After::Gone) {
            in_place(folder.parent().unwrap_or(folder))?;
            match fs::create_dir(folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault::from_io("create a directory", folder, &error)),
            }
        }
        in_place(folder)?;
        match now(path) {
            Ok(hash) if hash == self.change.before_sha256 => Ok(()),
            _ => Err(changed_meanwhile(path)),
        }
    }

    /// Makes the change.
    fn make(&self) -> Result<(), Denial> {
        let path = Path::new(&self.change.path);
        match &self.after {
            After::Gone => files::remove(path),
            After::Stub(surface) => {
                let traits = Traits { mode: self.change.mode, modified: None };
                files::write_with(Readers::Project, traits, path, surface.stub().as_bytes())?;
                sync_new_folder(path)
            }
            After::Backup(backup, mode) => {
                let (contents, metadata) = tree::read(backup).map_err(|unfit| unfit.denial(backup))?;
                let traits = Traits { mode: *mode, modified: metadata.modified().ok() };
                files::write_with(Readers::Project, traits, path, &contents)?;
                sync_new_folder(path)
            }
        }
    }
}

/// The folder of a file may be new: its own name must be durable too.
fn sync_new_folder(path: &Path) -> Result<(), Denial> {
    let Some(directory) = path.parent().and_then(Path::parent) else { return Ok(()) };
    files::sync_directory(directory).map_err(|error| fault::from_io("sync a directory", directory, &error))
}

/// Refuses a directory that is no longer reached without symbolic links.
fn in_place(directory: &Path) -> Result<(), Denial> {
    match fs::canonicalize(directory) {
        Ok(real) if real == directory => Ok(()),
        _ => Err(changed_meanwhile(directory)),
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "the same face on every system")]
fn mode_of(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(metadata.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn mode_of(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

fn changed_meanwhile(path: &Path) -> Denial {
    Denial::new(Code::Busy)
        .with("path", path.display().to_string())
        .message("it was changed while it was being migrated")
}

/// SHA-256 of a file; none when there is nothing.
fn now(path: &Path) -> Result<Option<String>, Unfit> {
    match path.symlink_metadata() {
        Ok(_) => tree::read(path).map(|(contents, _)| Some(sha256_hex(&contents))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Unfit::Other(error.to_string())),
    }
}

/// The contents of a change's backup, which must be those that the manifest says.
fn backup_of(change: &Change, batch: &Batch, sha256: &str) -> Result<Vec<u8>, Unfit> {
    let named = change.backup_path.as_deref().and_then(|named| batch.backup_named(named));
    let backup = named.ok_or_else(|| Unfit::Other("the manifest names no backup".into()))?;
    let (contents, _) = tree::read(&backup)?;
    if sha256_hex(&contents) == sha256 {
        Ok(contents)
    } else {
        Err(Unfit::Other("it is not what was backed up".into()))
    }
}

/// Makes a file what it was before a change.
fn put_back(change: &Change, batch: &Batch) -> Result<(), Denial> {
    let path = Path::new(&change.path);
    match &change.before_sha256 {
        None => files::remove(path),
        Some(sha256) => {
            let contents = backup_of(change, batch, sha256).map_err(|unfit| unfit.denial(path))?;
            files::write_with(Readers::Project, change.traits(), path, &contents)
        }
    }
}

/// Removes the directories that a migration created, but for those that hold something else by now.
fn remove_directories(created: &[String]) {
    for directory in created.iter().rev() {
        // It need not be empty, and it need not be there any more.
        if fs::remove_dir(directory).is_ok()
            && let Some(parent) = Path::new(directory).parent()
        {
            let _ = files::sync_directory(parent);
        }
    }
}

/// Takes a migration back: what it left is made what it was, and what is so already is left alone.
///
/// # Errors
/// `DENIED_UNDO_DIFFERS` when a file is neither as the migration left it nor as it was, or all of them are as they were;
/// `DENIED_PATH_OUTSIDE_REPO` and `DENIED_JSON_INVALID` for a manifest that is none of ours. Then nothing has changed.
pub(super) fn undo(work: &Work, allowed: &Allowed, named: &str) -> Result<MigrationApplied, Denial> {
    let batch = work.find(named)?;
    let _turn = work.lock()?;
    let manifest = batch.read()?;
    for change in &manifest.changes {
        contained(Path::new(&change.path), allowed)?;
    }
    for directory in &manifest.created_directories {
        let folder = Path::new(directory);
        // Its file is as good as any: what counts is that the folder is one for surfaces.
        contained(&folder.join(SURFACES[0].file), allowed)?;
        if folder.file_name().is_none_or(|name| name != FOLDER) {
            return Err(outside(folder));
        }
    }
    let (mut waiting, mut differing) = (Vec::new(), Vec::new());
    for change in manifest.changes.iter().rev() {
        match standing(change, &batch) {
            Ok(true) => waiting.push(change),
            Ok(false) => {}
            Err(differs) => differing.push(differs),
        }
    }
    if !differing.is_empty() {
        return Err(differ(differing, "a file is no longer as the migration left it"));
    }
    if waiting.is_empty() && !manifest.changes.is_empty() {
        let all = manifest.changes.iter().map(|change| {
            json!({"path": change.path, "expected_sha256": change.after_sha256, "actual_sha256": change.before_sha256})
        });
        return Err(differ(all.collect(), "every file is already as it was before the migration")
            .action("There is nothing left to undo."));
    }
    let mut changed = Vec::new();
    for change in waiting {
        if let Err(denial) = put_back(change, &batch) {
            // What has been put back counts as done when the call is repeated.
            return Err(denial
                .with("restored", changed.len())
                .action("Remove the cause, then repeat the call: it goes on where it stopped."));
        }
        changed.push(change.path.clone());
    }
    remove_directories(&manifest.created_directories);
    Ok(MigrationApplied {
        status: Status::Ok,
        count: changed.len(),
        changed,
        manifest: work.shown(&batch.manifest()),
        warnings: Vec::new(),
    })
}

/// Refuses a path that no migration can have written: another name, a link, another directory.
fn contained(path: &Path, allowed: &Allowed) -> Result<(), Denial> {
    let is_surface = SURFACES.iter().any(|surface| path.file_name().is_some_and(|name| name == surface.file));
    let folder = path.parent().unwrap_or(path);
    let real = real_path(folder).is_ok_and(|real| real == folder);
    if is_surface && path.is_absolute() && real && allowed.holds(folder) {
        Ok(())
    } else {
        Err(outside(path))
    }
}

fn outside(path: &Path) -> Denial {
    Denial::new(Code::PathOutsideRepo)
        .with("path", path.display().to_string())
        .message("the manifest names a path that a migration of this project does not write")
        .action("Check where the manifest comes from; nothing was changed.")
}

/// Whether a change still stands and can be put back; false when the file is as it was before. Else how it differs.
fn standing(change: &Change, batch: &Batch) -> Result<bool, Value> {
    let differs = |actual: Option<&String>, reason: &str| {
        json!({
            "path": change.path, "expected_sha256": change.after_sha256, "actual_sha256": actual, "reason": reason,
        })
    };
    let hash = now(Path::new(&change.path)).map_err(|unfit| differs(None, &unfit.reason()))?;
    if hash == change.before_sha256 {
        return Ok(false);
    }
    if hash != change.after_sha256 {
        let reason = if hash.is_some() { "its contents changed" } else { "it is gone" };
        return Err(differs(hash.as_ref(), reason));
    }
    if let Some(before) = &change.before_sha256 {
        backup_of(change, batch, before).map_err(|unfit| {
            differs(hash.as_ref(), &format!("its backup cannot be used: {}", unfit.reason()))
        })?;
    }
    Ok(true)
}

fn differ(mut files: Vec<Value>, message: &str) -> Denial {
    let count = files.len();
    files.truncate(MAX_NAMED);
    Denial::new(Code::UndoDiffers).with("files", Value::from(files)).with("count", count).message(message)
}
