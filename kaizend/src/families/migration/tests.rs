//! Whatever a tree holds, a migration leaves stubs, and undoing it leaves the tree as it was.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::migration::MigrationApplied;
use kaizen_proto::operation::Status;
use proptest::prelude::*;

use super::manifest::Work;
use super::surface::SURFACES;
use super::tree::{Scope, Warnings};
use super::{apply, plan};
use crate::daemon::Binding;

/// Every path of a tree: contents, permissions, time of change.
type Tree = BTreeMap<PathBuf, (Contents, u32, Option<SystemTime>)>;
/// What a file holds, when it is there.
type Contents = Option<Vec<u8>>;

/// A project in a directory of its own.
struct Project {
    _directory: tempfile::TempDir,
    root: PathBuf,
    binding: Binding,
}

impl Project {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let binding = Binding { root: Some(root.clone()), ..Binding::default() };
        Project { _directory: directory, root, binding }
    }

    fn scope(&self) -> Scope {
        Scope::of(&self.binding, &[]).unwrap()
    }

    fn work(&self) -> Work {
        Work::of(&self.root, &self.scope().allowed).unwrap()
    }

    fn apply(&self) -> Result<MigrationApplied, Denial> {
        apply::apply(&self.work(), &self.scope())
    }

    fn undo(&self, manifest: &str) -> Result<MigrationApplied, Denial> {
        apply::undo(&self.work(), &self.scope().allowed, manifest)
    }

    fn unmigrated(&self) -> Vec<String> {
        plan::unmigrated(&self.scope(), &mut Warnings::default()).unwrap()
    }

    /// Writes a file that was changed at a time of its own.
    fn put(&self, path: &str, contents: &[u8], mode: u32, age: u64) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::new(1_500_000_000 + age, 987_654_321);
        fs::File::options().read(true).open(&path).unwrap().set_modified(modified).unwrap();
    }

    /// Every path but those of `AI/`, with what it holds, its permissions, and the time of a file.
    fn snapshot(&self) -> Tree {
        let mut found = BTreeMap::new();
        let mut waiting = vec![self.root.clone()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                if path == self.root.join("AI") {
                    continue;
                }
                let (contents, modified) = if metadata.is_dir() {
                    waiting.push(path.clone());
                    (None, None)
                } else {
                    (Some(fs::read(&path).unwrap()), Some(metadata.modified().unwrap()))
                };
                found.insert(path, (contents, metadata.permissions().mode(), modified));
            }
        }
        found
    }
}

/// What a file may hold before a migration.
fn contents(surface: usize) -> impl Strategy<Value = Contents> {
    let other_stub =
        b"# X\n\nThis file is a Kaizen command surface. `python kaizen.py G2 --json`\n\nview".to_vec();
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(SURFACES[surface].stub().into_bytes())),
        1 => Just(Some(other_stub)),
        1 => Just(Some(Vec::new())),
        2 => proptest::collection::vec(any::<u8>(), 1..200).prop_map(Some),
    ]
}

/// For one directory: each target and each old sibling.
fn directory() -> impl Strategy<Value = Vec<(Contents, Contents)>> {
    (0..SURFACES.len()).map(|at| (contents(at), contents(at))).collect::<Vec<_>>()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn undoing_a_migration_leaves_the_tree_as_it_was(
        directories in proptest::collection::vec((directory(), any::<bool>()), 1..4),
        mode in prop_oneof![Just(0o644_u32), Just(0o600), Just(0o755), Just(0o444)],
    ) {
        let project = Project::new();
        for (number, (surfaces, skill)) in directories.iter().enumerate() {
            let place = if number == 0 { String::new() } else { format!("skills/{number} ü/") };
            if *skill {
                project.put(&format!("{place}SKILL.md"), b"A skill.", 0o644, 0);
            }
            for (surface, (target, sibling)) in SURFACES.iter().zip(surfaces) {
                for (path, contents) in [("evals/", target), ("", sibling)] {
                    if let Some(contents) = contents {
                        project.put(&format!("{place}{path}{}", surface.file), contents, mode, number as u64);
                    }
                }
            }
        }
        let before = project.snapshot();
        let applied = project.apply().unwrap();
        prop_assert_eq!(applied.changed.len(), applied.count);
        prop_assert_eq!(project.unmigrated(), Vec::<String>::new());
        let after = project.snapshot();
        let again = project.apply().unwrap();
        prop_assert_eq!(again.count, 0);
        prop_assert_eq!(&project.snapshot(), &after);

        prop_assert_eq!(project.undo(&applied.manifest).unwrap().status, Status::Ok);
        prop_assert_eq!(&project.snapshot(), &before);
        if applied.count > 0 {
            // There is nothing left to undo.
            prop_assert_eq!(project.undo(&applied.manifest).unwrap_err().code, Code::UndoDiffers);
            prop_assert_eq!(&project.snapshot(), &before);
        }
    }
}

/// A directory whose own files have paths that the system takes, while those of temporary files are too long.
fn too_deep(root: &Path) -> String {
    // Of 4,095 bytes, `/evals/LEARNING.md` needs 18, and a temporary name 41 more.
    let wanted = 4070 - root.as_os_str().len();
    let mut path = "z".to_owned();
    while path.len() + 101 < wanted - 1 {
        path.push('/');
        path.push_str(&"d".repeat(100));
    }
    path.push('/');
    path.push_str(&"e".repeat(wanted - 1 - path.len()));
    path
}

#[test]
fn a_failure_midway_takes_back_what_was_done() {
    let project = Project::new();
    project.put("GOTCHA.md", b"first", 0o640, 1);
    project.put("a/evals/LEARNED.md", b"second", 0o604, 2);
    project.put("a/LEARNED.md", b"third", 0o644, 3);
    project.put(&format!("{}/SKILL.md", too_deep(&project.root)), b"A skill.", 0o644, 4);
    let before = project.snapshot();
    let denial = project.apply().unwrap_err();
    assert_eq!(denial.field("rolled_back"), Some(&true.into()), "{denial:?}");
    assert!(denial.field("path").unwrap().as_str().unwrap().contains("/z/"), "{denial:?}");
    assert_eq!(project.snapshot(), before);
    let backups = project.root.join("AI/work/kaizen-v4-migration/backups");
    assert_eq!(fs::read_dir(backups).unwrap().count(), 0);
    // Without the cause it works.
    fs::remove_dir_all(project.root.join("z")).unwrap();
    assert_eq!(project.apply().unwrap().count, 7);
}

#[test]
fn a_migration_that_was_cut_short_can_be_undone_and_gone_on_with() {
    let project = Project::new();
    project.put("GOTCHA.md", b"first", 0o644, 1);
    project.put("evals/LEARNED.md", b"second", 0o644, 2);
    let before = project.snapshot();
    let applied = project.apply().unwrap();
    // As if the power had failed after the first change: the sibling is there still, the other target as it was.
    project.put("GOTCHA.md", b"first", 0o644, 1);
    project.put("evals/LEARNED.md", b"second", 0o644, 2);
    fs::remove_file(project.root.join("evals/LEARNING.md")).unwrap();
    let gone_on = project.apply().unwrap();
    assert_eq!(gone_on.count, 3);
    assert_eq!(project.unmigrated(), Vec::<String>::new());
    assert_eq!(project.undo(&gone_on.manifest).unwrap().count, 3);
    assert_eq!(project.undo(&applied.manifest).unwrap().count, 1);
    assert_eq!(project.snapshot(), before);
}
