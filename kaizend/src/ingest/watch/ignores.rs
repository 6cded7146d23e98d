//! What git ignores in the project: its `.gitignore` files, read again when they have changed.
//!
//! Files outside of the root and the user's own ignore file do not count: what is evidence must not depend on who looks.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::rules::{OWN_DIRECTORY, is_within};
use super::walk::Stamp;
use crate::files;

/// The name of the files that are read.
pub(super) const FILE: &str = ".gitignore";
/// As much of a file as is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// How many files are kept ready.
const MAX_KEPT: usize = 1000;

/// The ignore files that are ready, by their directories.
#[derive(Debug, Default)]
pub(super) struct Ignores(Mutex<HashMap<String, (Stamp, Arc<Gitignore>)>>);

impl Ignores {
    /// Whether git ignores a path below the root, or one of the directories that it is in.
    ///
    /// Nothing below `AI/` counts as ignored: git is told to ignore all of it, and evidence belongs there.
    pub(super) fn covers(&self, root: &Path, path: &str, is_directory: bool) -> bool {
        if is_within(path, OWN_DIRECTORY) {
            return false;
        }
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let mut matchers: Vec<Arc<Gitignore>> = Vec::new();
        let mut directory = "";
        for end in ends {
            let part = &path[..end];
            matchers.extend(self.of(root, directory));
            // The file nearest to a path has the last word.
            let verdict = matchers
                .iter()
                .rev()
                .map(|matcher| matcher.matched(root.join(part), is_directory || end < path.len()))
                .find(|verdict| !verdict.is_none());
            if verdict.is_some_and(|verdict| verdict.is_ignore()) {
                return true;
            }
            directory = part;
        }
        false
    }

    /// The ignore file of a directory.
    fn of(&self, root: &Path, directory: &str) -> Option<Arc<Gitignore>> {
        let path = root.join(directory).join(FILE);
        let stamp = Stamp::of(&path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?);
        let kept = |kept: &HashMap<String, (Stamp, Arc<Gitignore>)>| {
            kept.get(directory).filter(|(of, _)| *of == stamp).map(|(_, matcher)| matcher.clone())
        };
        if let Some(matcher) = kept(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Some(matcher);
        }
        let matcher = Arc::new(read(&root.join(directory), &path)?);
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= MAX_KEPT {
            files.clear();
        }
        files.insert(directory.to_owned(), (stamp, matcher.clone()));
        Some(matcher)
    }
}

fn read(directory: &Path, path: &Path) -> Option<Gitignore> {
    let mut bytes = Vec::new();
    files::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let mut builder = GitignoreBuilder::new(directory);
    for line in String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').lines() {
        // A line that cannot be understood says nothing, as with git.
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_file_has_the_last_word_and_an_ignored_directory_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("docs/api")).unwrap();
        fs::write(root.join(".gitignore"), "*.log\n/build/\nAI/\n# a comment\n").unwrap();
        fs::write(root.join("docs/.gitignore"), "!keep.log\ndraft-*\n").unwrap();
        let ignores = Ignores::default();
        let covers = |path: &str| ignores.covers(root, path, false);
        for path in ["a.log", "docs/b.log", "build/x.md", "build/deep/keep.log", "docs/api/draft-1.md"] {
            assert!(covers(path), "{path}");
        }
        for path in [
            "docs/keep.log",
            "docs/api/keep.log",
            "build",
            "draft-1.md",
            "docs/build/x.md",
            "AI/evidence/a.log",
        ] {
            assert!(!covers(path), "{path}");
        }
        assert!(ignores.covers(root, "build", true));
    }

    #[test]
    fn a_changed_file_counts_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let ignores = Ignores::default();
        assert!(!ignores.covers(root, "a.md", false));
        fs::write(root.join(".gitignore"), "*.md\n").unwrap();
        assert!(ignores.covers(root, "a.md", false));
        fs::write(root.join(".gitignore"), "*.txt\n# longer\n").unwrap();
        assert!(!ignores.covers(root, "a.md", false) && ignores.covers(root, "a.txt", false));
        fs::remove_file(root.join(".gitignore")).unwrap();
        assert!(!ignores.covers(root, "a.txt", false));
    }
}
