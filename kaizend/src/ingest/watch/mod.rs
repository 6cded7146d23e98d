//! Finding evidence: which files of a project are new, changed or gone.
//!
//! [`Watcher`] hands every file that the [`Rules`] cover to a *sink*, once for each state in which it came to rest. It
//! knows nothing of data planes or documents; what the sink has already is told by a function that is asked at each walk.
//!
//! ```text
//! system ─ inbox ─┐                        ┌─ look ─ sink
//! walk ─ findings ┴─ pending: quiet, once ─┴─ look ─ sink
//! ```
//!
//! **Why no file is lost.** The durable truth is what the sink has stored, and the files themselves. The queue is
//! memory only: at the start, every ten minutes, and whenever events may be missing (the inbox or the system's own queue
//! was full, the queue had no room, the root moved, a `.gitignore` changed), everything is walked and compared with what
//! is known. So a daemon that is killed at any moment finds after its next start what it had not dealt with. Between
//! walks, a directory is watched before it is read: what is in it then is found by reading, what comes later by an
//! event. When an event says that another thing may stand at the path of a directory, its watch is forgotten, the
//! directory is walked as a new one, and what was known below it is looked for. Each path has one outcome at a time, and
//! what happens to it meanwhile makes it wait again ([`pending`]).
//!
//! **What has gone** is what is not there any more. A file that has become too large, that git ignores now or that no
//! rule names any more is still there, and is left as it is.
//!
//! **Limits of this.** A change that keeps size and modification time is seen when an event tells of it, or by a
//! thorough walk ([`Depth::Everything`]), not by an ordinary one. A change behind a symbolic link to a file is found by
//! walks, for the event names the other path. Network file systems tell of the changes of this machine only; walks find
//! the others.

mod deal;
mod ignores;
mod inbox;
pub mod pending;
mod rescan;
pub mod rules;
mod scan;
mod task;
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::print_stdout)]
mod tests;
pub mod walk;
mod walking;
mod watcher;
mod watches;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kaizen_proto::denial::Denial;
use kaizen_proto::time::Timestamp;

pub use self::pending::{Failure, Patience};
pub use self::rules::{Rule, Rules};
pub use self::walk::{Refused, Stamp, open};
pub use self::watcher::Watcher;

/// What the sink is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A file is new or was changed, as far as its stamp tells. The sink may find a later state when it reads; then it
    /// is told of that too. [`open`] opens the file safely.
    Written {
        /// Where it is, relative to the root, with `/`.
        path: String,
        /// Its state when it was looked at.
        stamp: Stamp,
        /// The rule that it belongs to.
        rule: Arc<Rule>,
    },
    /// There is no file at this path any more. Perhaps none was known there, or it is the path of a directory.
    Gone {
        /// The path, relative to the root, with `/`.
        path: String,
    },
}

/// What the sink made of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is stored, and will be among what is known.
    Done,
    /// It could not be taken. A retryable denial is tried again by itself, another one when the file changes.
    Refused(Denial),
}

/// What the sink knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed last, in nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
}

impl Known {
    /// Whether a file in this state needs no reading.
    pub fn describes(&self, stamp: &Stamp) -> bool {
        (self.size, self.mtime_ns) == (stamp.size, stamp.mtime_ns)
    }
}

/// How the watcher works. The defaults are for projects of people.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long it waits for a file to be quiet, and how many paths may wait.
    pub patience: Patience,
    /// How often everything is walked although nothing seems to be missing.
    pub reconcile_every: Duration,
    /// How often everything is walked at most when the system has no watches left. A walk that takes long is repeated
    /// less often, so that walks take a twentieth of the time.
    pub poll_every: Duration,
    /// How many changes the sink works on at the same time.
    pub in_flight: usize,
    /// For how many paths events may wait.
    pub events: usize,
    /// How many directories are watched at most; as many as the system allows by default.
    pub max_watches: Option<usize>,
    /// How long an end waits for the sink.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            patience: Patience {
                quiet: Duration::from_millis(100),
                longest: Duration::from_secs(2),
                most: 100_000,
            },
            reconcile_every: Duration::from_mins(10),
            poll_every: Duration::from_secs(2),
            in_flight: 2,
            events: 16_384,
            max_watches: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// How thorough a walk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Files whose size or time differs from what is known.
    #[default]
    Changed,
    /// Every file, so that the sink compares contents.
    Everything,
}

/// How far a rescan has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the walk still goes on, so that `total` may grow.
    pub is_walking: bool,
    /// Paths that were found new, changed or gone.
    pub total: u64,
    /// Those of them that have been dealt with, failures included.
    pub done: u64,
    /// Those of them that could not be taken.
    pub failed: u64,
}

/// A path that could not be taken, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// Where, relative to the root.
    pub path: String,
    /// The code of the denial.
    pub code: &'static str,
    /// The denial in words.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried last.
    pub at: Timestamp,
}

/// How the watcher is.
#[derive(Clone, Debug)]
pub struct WatchStatus {
    /// What is watched.
    pub rules: Vec<Arc<Rule>>,
    /// Whether nothing is handed to the sink at present.
    pub paused: bool,
    /// Whether changes are found by walks, because the system has no watches left.
    pub polling: bool,
    /// Whether a walk is under way.
    pub walking: bool,
    /// When the system reported something last.
    pub last_event: Option<Timestamp>,
    /// When a walk of everything came to its end last.
    pub last_reconcile: Option<Timestamp>,
    /// How many paths wait or are in work.
    pub pending: usize,
    /// What the sink refused, by path.
    pub failed: Vec<Failed>,
    /// What is covered but is no file to read, by path; the first thousand.
    pub refused: Vec<Refused>,
    /// How many such there are.
    pub refused_total: usize,
    /// How many directories are watched.
    pub watches: usize,
    /// How many watches the user may have, where the system says so.
    pub watch_limit: Option<usize>,
    /// What a user should know.
    pub warnings: Vec<String>,
}

type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;
/// Takes one change.
type Sink = Arc<dyn Fn(Change) -> Future<Outcome> + Send + Sync>;
/// Tells what the sink has.
type KnownFiles = Arc<dyn Fn() -> Future<Result<HashMap<String, Known>, Denial>> + Send + Sync>;
