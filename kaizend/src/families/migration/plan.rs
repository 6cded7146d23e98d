//! What is to be done: the same plan for showing, reporting and applying it, and what is left to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kaizen_proto::denial::Denial;
use kaizen_proto::families::migration::{Action, ActionPlanned, RootScanned, SurfaceFound};

use super::surface::Surface;
use super::tree::{self, Look, Pair, Scope, Walked, Warnings};

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) surface: &'static Surface,
    pub(super) target: PathBuf,
    pub(super) sibling: PathBuf,
    /// Of the file that the step keeps, replaces or removes.
    pub(super) sha256: Option<String>,
}

impl Step {
    /// The file that the step is about.
    fn path(&self) -> &Path {
        if self.action == Action::BackupAndRemoveOldSibling { &self.sibling } else { &self.target }
    }

    pub(super) fn shown(&self) -> ActionPlanned {
        ActionPlanned {
            path: text(self.path()),
            target_path: text(&self.target),
            old_sibling_path: text(&self.sibling),
            action: self.action,
            sha256: self.sha256.clone(),
        }
    }
}

/// The text of a path whose directory was walked to, which is UTF-8.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The directories of all roots that exist, each once, and the roots that do not.
fn directories(scope: &Scope, warnings: &mut Warnings) -> Result<(Vec<String>, Vec<String>), Denial> {
    let (mut found, mut absent, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut walked = Walked::default();
    for root in &scope.roots {
        if !root.exists {
            absent.push(text(&root.path));
            continue;
        }
        for directory in tree::directories(&root.path, &mut walked, warnings)? {
            if known.insert(directory.clone()) {
                found.push(directory);
            }
        }
    }
    Ok((found, absent))
}

/// The steps for all roots.
///
/// # Errors
/// `DENIED_TREE_TOO_LARGE`, and what stands in the way of a step: `DENIED_PATH_OUTSIDE_REPO`,
/// `DENIED_SURFACE_UNFIT`, `DENIED_FILE_TOO_LARGE`.
pub(super) fn make(scope: &Scope, warnings: &mut Warnings) -> Result<Vec<Step>, Denial> {
    let (found, absent) = directories(scope, warnings)?;
    for root in absent {
        warnings.add(format!("{root}: there is no such directory"));
    }
    let mut steps = Vec::new();
    for directory in found {
        for pair in tree::surfaces(Path::new(&directory), &scope.allowed) {
            steps.extend(steps_of(pair)?);
        }
    }
    Ok(steps)
}

/// The steps for one surface: one, or two when both of its files exist.
fn steps_of(pair: Pair) -> Result<Vec<Step>, Denial> {
    let Pair { surface, target_path, target, sibling_path, sibling } = pair;
    let step = |action, sha256| Step {
        action,
        surface,
        target: target_path.clone(),
        sibling: sibling_path.clone(),
        sha256,
    };
    let sibling = changeable(&sibling_path, sibling)?;
    // A stub may well stand behind a link, where another directory has its surfaces: it is only read.
    if let Look::File { sha256, stub: true, linked: true } = target {
        let mut steps = vec![step(Action::KeepStub, Some(sha256))];
        steps.extend(sibling.map(|(sha256, _)| step(Action::BackupAndRemoveOldSibling, Some(sha256))));
        return Ok(steps);
    }
    Ok(match (changeable(&target_path, target)?, sibling) {
        (None, None) => vec![step(Action::CreateStub, None)],
        (None, Some((sha256, _))) => vec![step(Action::RelocateSiblingToEvals, Some(sha256))],
        (Some((sha256, stub)), sibling) => {
            let action = if stub { Action::KeepStub } else { Action::BackupAndReplaceStub };
            let mut steps = vec![step(action, Some(sha256))];
            steps.extend(sibling.map(|(sha256, _)| step(Action::BackupAndRemoveOldSibling, Some(sha256))));
            steps
        }
    })
}

/// The hash of a file that may be changed, and whether it is a stub; none when there is no file.
fn changeable(path: &Path, look: Look) -> Result<Option<(String, bool)>, Denial> {
    match look {
        Look::Absent => Ok(None),
        Look::File { linked: true, .. } => {
            Err(tree::unfit(path, "it stands behind a symbolic link, and links are not written through"))
        }
        Look::File { sha256, stub, linked: false } => Ok(Some((sha256, stub))),
        Look::Unfit(unfit) => Err(unfit.denial(path)),
    }
}

/// What each root holds.
pub(super) fn scan(scope: &Scope, warnings: &mut Warnings) -> Result<Vec<RootScanned>, Denial> {
    let mut walked = Walked::default();
    let mut roots = Vec::new();
    for root in &scope.roots {
        if !root.exists {
            roots.push(RootScanned { root: text(&root.path), exists: false, files: Vec::new(), count: None });
            continue;
        }
        let mut files = Vec::new();
        for directory in tree::directories(&root.path, &mut walked, warnings)? {
            for pair in tree::surfaces(Path::new(&directory), &scope.allowed) {
                let (target_exists, target_stub, target_sha256) =
                    seen(&pair.target_path, pair.target, warnings);
                let (old_sibling_exists, old_sibling_stub, old_sibling_sha256) =
                    seen(&pair.sibling_path, pair.sibling, warnings);
                files.push(SurfaceFound {
                    root: directory.clone(),
                    target_path: text(&pair.target_path),
                    target_exists,
                    target_stub,
                    target_sha256,
                    old_sibling_path: text(&pair.sibling_path),
                    old_sibling_exists,
                    old_sibling_stub,
                    old_sibling_sha256,
                });
            }
        }
        roots.push(RootScanned { root: text(&root.path), exists: true, count: Some(files.len()), files });
    }
    Ok(roots)
}

/// Whether something stands there, whether it is a stub, and its hash.
fn seen(path: &Path, look: Look, warnings: &mut Warnings) -> (bool, bool, Option<String>) {
    match look {
        Look::Absent => (false, false, None),
        Look::File { sha256, stub, .. } => (true, stub, Some(sha256)),
        Look::Unfit(unfit) => {
            warnings.add(format!("{}: {}", path.display(), unfit.reason()));
            (path.symlink_metadata().is_ok(), false, None)
        }
    }
}

/// What is left to do: roots that do not exist, targets that are no stub, siblings that have not gone.
pub(super) fn unmigrated(scope: &Scope, warnings: &mut Warnings) -> Result<Vec<String>, Denial> {
    let (found, mut bad) = directories(scope, warnings)?;
    for directory in found {
        for pair in tree::surfaces(Path::new(&directory), &scope.allowed) {
            let is_stub = matches!(pair.target, Look::File { stub: true, .. });
            let sibling_gone = matches!(pair.sibling, Look::Absent);
            for (path, look, fine) in
                [(pair.target_path, pair.target, is_stub), (pair.sibling_path, pair.sibling, sibling_gone)]
            {
                if !fine {
                    bad.push(text(&path));
                }
                seen(&path, look, warnings);
            }
        }
    }
    Ok(bad)
}
