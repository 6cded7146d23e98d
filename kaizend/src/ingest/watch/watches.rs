//! The system's watches on directories: who has one, and what happens when there are no more.
//!
//! Each directory that the rules reach gets a watch of its own, so that what git ignores costs none. Where the system
//! watches whole trees (everywhere but on Linux), only the bases of the rules do.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use notify::{
    Config, ErrorKind, EventKindMask, RecommendedWatcher, RecursiveMode, WatchPathConfig, Watcher as _,
};

use super::inbox::Inbox;
use super::rules::{Rules, is_within};

/// Whether a watch covers what is in a directory, but not what is in its directories.
const IS_FLAT: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// Whether a path that has gone may have been a directory without a watch of its own.
pub(super) const MAY_BE_DIRECTORY: bool = !IS_FLAT;
/// Creations, removals, changes, and writers that close their file, which is all that shows of a write through mapped
/// memory. Not reads: each look at a directory would be an event.
const EVENTS: EventKindMask = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);

/// How adding a watch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is watched, or went away, or cannot be read, which the walk will find too.
    Settled,
    /// It is there, but has no watch: the system, or the setting, allows no more.
    Unwatched,
}

/// The watches of one project.
pub(super) struct Watches {
    rules: Arc<Rules>,
    inbox: Arc<Inbox>,
    most: Option<usize>,
    /// None while the system gives none.
    system: Option<RecommendedWatcher>,
    directories: BTreeSet<String>,
}

impl Watches {
    /// No watches yet; up to `most` if given, else as many as the system allows.
    pub(super) fn new(rules: Arc<Rules>, inbox: Arc<Inbox>, most: Option<usize>) -> Self {
        Watches { rules, inbox, most, system: None, directories: BTreeSet::new() }
    }

    /// Gives all watches back.
    pub(super) fn clear(&mut self) {
        self.system = None;
        self.directories.clear();
    }

    /// How many directories are watched.
    pub(super) fn len(&self) -> usize {
        self.directories.len()
    }

    /// Whether a directory is watched.
    pub(super) fn contains(&self, directory: &str) -> bool {
        self.directories.contains(directory)
    }

    /// Forgets the watches on a directory and all below it: another thing may stand there now, which the system does not
    /// watch. Returns whether there were any.
    pub(super) fn forget(&mut self, directory: &str) -> bool {
        let below: Vec<String> = self
            .directories
            .range(directory.to_owned()..)
            // What sorts between a directory and its contents, such as `a-b` between `a` and `a/b`, shares its start.
            .take_while(|known| known.starts_with(directory))
            .filter(|known| is_within(known, directory))
            .cloned()
            .collect();
        for known in &below {
            self.directories.remove(known);
        }
        !below.is_empty()
    }

    /// Watches a directory that is about to be read.
    pub(super) fn add(&mut self, directory: &str) -> Added {
        let mode = if IS_FLAT || !self.rules.bases().iter().any(|base| is_within(directory, base)) {
            RecursiveMode::NonRecursive
        } else if self.rules.bases().contains(directory) {
            RecursiveMode::Recursive
        } else {
            self.directories.insert(directory.to_owned());
            return Added::Settled;
        };
        if !self.contains(directory) && self.most.is_some_and(|most| self.len() >= most) {
            return Added::Unwatched;
        }
        let path = self.rules.root().join(directory);
        let Some(system) = self.system() else { return Added::Unwatched };
        // One that has a watch keeps it, at little cost.
        let config = WatchPathConfig::new(mode).with_dereference_symlinks(false);
        match system.watch_with(&path, config) {
            Ok(()) => {
                self.directories.insert(directory.to_owned());
                Added::Settled
            }
            Err(error) => {
                self.directories.remove(directory);
                tracing::debug!(%error, directory, "no watch on a directory");
                let is_settled = match &error.kind {
                    ErrorKind::PathNotFound => true,
                    ErrorKind::Io(error) => matches!(
                        error.kind(),
                        io::ErrorKind::NotFound
                            | io::ErrorKind::NotADirectory
                            | io::ErrorKind::PermissionDenied
                    ),
                    _ => false,
                };
                if is_settled { Added::Settled } else { Added::Unwatched }
            }
        }
    }

    fn system(&mut self) -> Option<&mut RecommendedWatcher> {
        if self.system.is_none() {
            let inbox = self.inbox.clone();
            let config = Config::default().with_event_kinds(EVENTS).with_follow_symlinks(false);
            match RecommendedWatcher::new(move |event| inbox.put(event), config) {
                Ok(system) => self.system = Some(system),
                Err(error) => tracing::warn!(%error, "the system watches no files"),
            }
        }
        self.system.as_mut()
    }
}

/// How many watches one user may have, as far as the system says so.
pub(super) fn limit() -> Option<usize> {
    let text = fs::read_to_string(Path::new("/proc/sys/fs/inotify/max_user_watches")).ok()?;
    text.trim().parse().ok()
}

/// What to tell a user whose system has no more watches.
pub(super) fn warning(watches: usize, limit: Option<usize>) -> String {
    let limit = limit.map(|limit| format!(" of {limit} that a user may have")).unwrap_or_default();
    format!(
        "the system gives no more file watches ({watches} in use here{limit}), so changes are found by looking at all \
         files again and again; raise the limit: sudo sysctl fs.inotify.max_user_watches=1048576 \
         (and fs.inotify.max_user_instances=1024), and keep it in /etc/sysctl.d/"
    )
}
