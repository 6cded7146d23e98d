//! Who else closed the database after writing. Size and time of the file tell that somebody wrote into it, except while
//! the writer writes into it itself; for these moments the kernel is asked.

use std::path::Path;

/// Notices that some descriptor of the database that was open for writing has been closed. Nothing is noticed where the
/// kernel has no inotify, or no more of it for this user.
#[derive(Debug)]
pub(super) struct Intruder {
    #[cfg(target_os = "linux")]
    events: Option<rustix::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Intruder {
    /// Watches the file that stands at `path` now.
    pub(super) fn watch(path: &Path) -> Self {
        use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).and_then(|events| {
            inotify::add_watch(&events, path, WatchFlags::CLOSE_WRITE)?;
            Ok(events)
        });
        Intruder { events: events.inspect_err(|error| tracing::debug!(%error, "no watch")).ok() }
    }

    /// Whether it happened since this was asked last.
    pub(super) fn was_here(&self) -> bool {
        let Some(events) = &self.events else { return false };
        let (mut seen, mut buffer) = (false, [0_u8; 4096]);
        while rustix::io::read(events, &mut buffer).is_ok_and(|bytes| bytes > 0) {
            seen = true;
        }
        seen
    }
}

#[cfg(not(target_os = "linux"))]
impl Intruder {
    /// There is nothing to watch with.
    pub(super) fn watch(_path: &Path) -> Self {
        Intruder {}
    }

    /// Nobody can tell.
    pub(super) fn was_here(&self) -> bool {
        false
    }
}
