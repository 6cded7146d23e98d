//! Where events of the system wait for the watcher's task. Putting one in never blocks: when there is no room, a flag
//! says that everything has to be looked at.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kaizen_proto::time::Timestamp;
use notify::event::{CreateKind, EventKind, ModifyKind};
use tokio::sync::Notify;

use super::ignores;
use super::rules::{Rules, is_within};
use super::walk::{self, Refused};

/// How many names that are not UTF-8 are listed.
const MAX_NAMELESS: usize = 100;

/// What was told of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Something appeared, went or was renamed there: what stands at the path may be another thing than before.
    pub(super) is_replaced: bool,
}

/// All that has come in.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// By path, relative to the root.
    pub(super) paths: HashMap<String, Told>,
    /// Events may be missing.
    pub(super) is_all: bool,
    /// The root itself was moved or deleted, so that watches may be on what is no longer there.
    pub(super) is_root: bool,
    /// The system has no more watches.
    pub(super) is_out_of_watches: bool,
    /// Names that are not UTF-8.
    pub(super) nameless: Vec<Refused>,
    /// When the last event came.
    pub(super) at: Option<Timestamp>,
}

/// The place between the system's thread and the task.
#[derive(Debug)]
pub(super) struct Inbox {
    rules: Arc<Rules>,
    most: usize,
    waiting: Mutex<Delivery>,
    wake: Notify,
}

impl Inbox {
    /// A place for the events of up to `most` paths.
    pub(super) fn new(rules: Arc<Rules>, most: usize) -> Self {
        Inbox { rules, most, waiting: Mutex::default(), wake: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Delivery> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the system reports. Called on its thread.
    pub(super) fn put(&self, event: notify::Result<notify::Event>) {
        let mut waiting = self.waiting();
        waiting.at = Some(Timestamp::now());
        match event {
            Ok(event) => {
                waiting.is_all |= event.need_rescan();
                for path in &event.paths {
                    self.put_path(&mut waiting, event.kind, path);
                }
            }
            Err(error) => {
                tracing::warn!(%error, root = %self.rules.root().display(), "watching for files failed");
                waiting.is_out_of_watches |= matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
                waiting.is_all = true;
            }
        }
        drop(waiting);
        self.wake.notify_one();
    }

    fn put_path(&self, waiting: &mut Delivery, kind: EventKind, path: &Path) {
        let is_replaced = matches!(
            kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        let Ok(path) = path.strip_prefix(self.rules.root()) else { return };
        let Some(path) = path.to_str() else {
            let refused = walk::nameless(&self.rules, &path.to_string_lossy());
            if waiting.nameless.len() < MAX_NAMELESS && !matches!(kind, EventKind::Remove(_)) {
                waiting.nameless.extend(refused);
            }
            return;
        };
        let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() };
        if path.is_empty() {
            waiting.is_root |= is_replaced;
            waiting.is_all |= is_replaced;
            return;
        }
        if is_within(&path, ignores::FILE) || path.ends_with(&format!("/{}", ignores::FILE)) {
            // Other files may be evidence now.
            waiting.is_all = true;
        }
        let is_surely_file = matches!(
            kind,
            EventKind::Create(CreateKind::File)
                | EventKind::Modify(ModifyKind::Data(_))
                | EventKind::Access(_)
        );
        let matters =
            if is_surely_file { self.rules.matching(&path).is_some() } else { self.rules.concerns(&path) };
        if !matters {
            return;
        }
        if waiting.paths.len() >= self.most && !waiting.paths.contains_key(&path) {
            waiting.is_all = true;
            // A directory that is another one now has lost its watch, which a walk of everything restores.
            return;
        }
        waiting.paths.entry(path).or_default().is_replaced |= is_replaced;
    }

    /// Takes out all that has come in.
    pub(super) fn take(&self) -> Delivery {
        std::mem::take(&mut self.waiting())
    }

    /// Waits for something to come in. What came since the last wait counts.
    pub(super) async fn wait(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use notify::event::{
        AccessKind, AccessMode, DataChange, Event, Flag, MetadataKind, RemoveKind, RenameMode,
    };

    use super::*;

    fn inbox(most: usize) -> Inbox {
        Inbox::new(Arc::new(Rules::new(Path::new("/project"), Vec::new(), 1000).unwrap()), most)
    }

    fn put(inbox: &Inbox, kind: EventKind, path: &str) {
        inbox.put(Ok(Event::new(kind).add_path(Path::new("/project").join(path))));
    }

    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

    #[test]
    fn only_what_the_rules_reach_comes_in() {
        let inbox = inbox(10);
        put(&inbox, DATA, "AI/evidence/a.md");
        put(&inbox, EventKind::Create(CreateKind::Folder), "AI");
        put(&inbox, EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "AI/evidence/b.md");
        put(&inbox, EventKind::Access(AccessKind::Close(AccessMode::Write)), "AI/evidence/c.md");
        for path in ["AI/db/kaizen.db", "src/main.rs", "AI/work/x", "../elsewhere"] {
            put(&inbox, EventKind::Create(CreateKind::Any), path);
        }
        // No directory, so it is no way to evidence either.
        put(&inbox, EventKind::Create(CreateKind::File), "AI");
        let delivery = inbox.take();
        let mut paths: Vec<_> =
            delivery.paths.iter().map(|(path, told)| (&**path, told.is_replaced)).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                ("AI", true),
                ("AI/evidence/a.md", false),
                ("AI/evidence/b.md", false),
                ("AI/evidence/c.md", false)
            ]
        );
        assert!(!delivery.is_all && delivery.at.is_some());
        assert!(inbox.take().paths.is_empty());
    }

    #[test]
    fn what_cannot_be_told_apart_makes_everything_be_looked_at() {
        let inbox = inbox(2);
        for path in ["a", "b", "a", "b"] {
            put(&inbox, DATA, &format!("AI/evidence/{path}"));
        }
        assert!(!inbox.take().is_all);
        for path in ["a", "b", "c", "d"] {
            put(&inbox, DATA, &format!("AI/evidence/{path}"));
        }
        let delivery = inbox.take();
        assert!(delivery.is_all && delivery.paths.len() == 2);
        inbox.put(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(inbox.take().is_all);
        inbox.put(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        let delivery = inbox.take();
        assert!(delivery.is_all && delivery.is_out_of_watches);
        put(&inbox, DATA, "docs/.gitignore");
        assert!(inbox.take().is_all);
        put(&inbox, EventKind::Remove(RemoveKind::Folder), "");
        let delivery = inbox.take();
        assert!(delivery.is_all && delivery.is_root);
        put(&inbox, EventKind::Modify(ModifyKind::Name(RenameMode::From)), "AI/evidence/x");
        assert!(inbox.take().paths["AI/evidence/x"].is_replaced);
    }
}
