//! Backups that the daemon makes by itself, for the projects that ask for them in `kaizen.toml`.
//!
//! Whether one is due is told by the newest backup that is there, so a restart changes nothing.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kaizen_proto::denial::Denial;
use kaizen_proto::time::Timestamp;

use super::config::Config;
use super::{backup, blocking, manifest};
use crate::plane::{Plane, open};

/// How often a project is looked at at least, so that a change of its settings is seen.
const LOOK: Duration = Duration::from_mins(1);
/// How long a backup that failed is left alone.
const AFTER_FAILURE: Duration = Duration::from_mins(10);

/// A backup that could not be made.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// When an open project is looked at next, and how the last time went.
#[derive(Debug)]
pub struct Schedule(Mutex<State>);

#[derive(Debug)]
struct State {
    next: Instant,
    is_running: bool,
    failure: Option<Failure>,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule(Mutex::new(State { next: Instant::now(), is_running: false, failure: None }))
    }
}

impl Schedule {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to look, and nobody does. Whoever is told so must look.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state();
        let due = !state.is_running && Instant::now() >= state.next;
        state.is_running |= due;
        due
    }

    /// The failure of the last backup; none when it succeeded.
    pub fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }
}

/// An open project that it is time to look at.
pub(crate) struct Look {
    pub(crate) plane: Arc<Plane>,
    pub(crate) root: PathBuf,
    pub(crate) schedule: Arc<Schedule>,
}

impl Look {
    /// Makes a backup when one is due.
    pub(crate) async fn run(self) {
        let Look { plane, root, schedule } = self;
        let outcome = match due(&plane, root.clone()).await {
            Ok(Due::Now(keep)) => {
                let made = manifest::back_up(&plane, &root, backup::Kind::Scheduled, Some(keep)).await;
                made.map(|made| {
                    tracing::info!(directory = made.backup_dir.as_deref(), "scheduled backup made");
                    Duration::ZERO
                })
            }
            Ok(Due::Later(wait)) => Ok(wait),
            Err(denial) => Err(denial),
        };
        let mut state = schedule.state();
        state.is_running = false;
        match outcome {
            Ok(wait) => {
                state.next = Instant::now() + wait;
                state.failure = None;
            }
            Err(denial) => {
                tracing::warn!(%denial, "the scheduled backup failed");
                state.next = Instant::now() + AFTER_FAILURE;
                state.failure =
                    Some(Failure { at: Timestamp::now().to_string(), reason: denial.to_string() });
            }
        }
    }
}

enum Due {
    /// Now; so many are kept.
    Now(usize),
    /// Look again after this time.
    Later(Duration),
}

async fn due(plane: &Plane, root: PathBuf) -> Result<Due, Denial> {
    let db_path = plane.db_path().to_path_buf();
    blocking(move || {
        let Some((every, keep)) = Config::read(&root)?.schedule() else { return Ok(Due::Later(LOOK)) };
        let newest = backup::list(&db_path)?.into_iter().find(backup::Backup::is_regular);
        let Some(newest) = newest else { return Ok(Due::Now(keep)) };
        let left = every.saturating_sub(Duration::from_secs(newest.age_seconds()));
        if !left.is_zero() {
            return Ok(Due::Later(left.min(LOOK)));
        }
        // Nothing new to save.
        let head = backup::head(&open::reader_connection(&db_path)?)?;
        let is_saved = head.is_some_and(|head| {
            (head.plane_id, head.seq) == (newest.manifest.plane_id.clone(), newest.manifest.seq)
        });
        Ok(if is_saved { Due::Later(every.min(LOOK)) } else { Due::Now(keep) })
    })
    .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;
    use crate::plane::Caller;

    async fn write(plane: &Plane) {
        let nothing = Box::new(|_: &mut crate::plane::WriteTx<'_>| Ok("{}".to_owned()));
        plane.write("W1", Arc::new(Caller::default()), None, nothing).await.unwrap();
    }

    #[tokio::test]
    async fn a_backup_is_due_when_the_newest_is_old_and_something_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_path_buf();
        let (plane, _lock) = Plane::open(&root.join("AI/db/kaizen.db"), "test").unwrap();
        let due = async || match due(&plane, root.clone()).await.unwrap() {
            Due::Now(keep) => Some(keep),
            Due::Later(wait) => {
                assert!(wait > Duration::ZERO && wait <= LOOK);
                None
            }
        };
        write(&plane).await;
        assert_eq!(due().await, None, "nobody asked for it");
        fs::write(root.join("kaizen.toml"), "[backup]\nkeep = 3").unwrap();
        assert_eq!(due().await, Some(3), "there is none yet");
        manifest::back_up(&plane, &root, backup::Kind::Manual, None).await.unwrap();
        write(&plane).await;
        assert_eq!(due().await, None, "the newest is young");
        let age = || {
            let newest = &backup::list(plane.db_path()).unwrap()[0];
            let mut old = newest.manifest.clone();
            old.created_at = Timestamp::now().minus_days(2).to_string();
            let path = newest.directory.join(backup::MANIFEST);
            fs::write(path, serde_json::to_string(&old).unwrap()).unwrap();
        };
        age();
        assert_eq!(due().await, Some(3), "the newest is old");
        manifest::back_up(&plane, &root, backup::Kind::Scheduled, None).await.unwrap();
        age();
        assert_eq!(due().await, None, "nothing has changed since");
        write(&plane).await;
        assert_eq!(due().await, Some(3));
        plane.close().await;
    }

    #[tokio::test]
    async fn a_failure_is_kept_until_a_backup_succeeds() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_path_buf();
        let (plane, _lock) = Plane::open(&root.join("AI/db/kaizen.db"), "test").unwrap();
        fs::write(root.join("kaizen.toml"), "[backup]").unwrap();
        fs::write(root.join("AI/db/backups"), "in the way").unwrap();
        let (plane, schedule) = (Arc::new(plane), Arc::<Schedule>::default());
        let look = || Look { plane: plane.clone(), root: root.clone(), schedule: schedule.clone() };
        assert!(schedule.begin() && !schedule.begin());
        look().run().await;
        assert!(schedule.failure().is_some());
        assert!(!schedule.begin(), "it is left alone for a while");
        fs::remove_file(root.join("AI/db/backups")).unwrap();
        look().run().await;
        assert!(schedule.failure().is_none());
        assert_eq!(backup::list(plane.db_path()).unwrap().len(), 1);
    }
}
