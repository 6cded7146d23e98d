//! The projects that are open: one data plane for each database, whatever path it was asked for by.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::hello::{ProjectStatus, RootSource};

use crate::care;
use crate::care::schedule::{Look, Schedule};
use crate::daemon::Binding;
use crate::ingest::watch::Watcher;
use crate::plane::open::{self, Identity, PlaneLock};
use crate::plane::{Plane, fault};
use tokio::sync::watch;

/// A directory by device and inode and a file name in it: the same for every path that leads there, and known before
/// the database exists.
type Key = (Identity, OsString);

/// How often a database that is deleted while it is opened is made anew for one call.
const ATTEMPTS: usize = 5;

#[derive(Default)]
struct Slot {
    open: Option<Open>,
}

struct Open {
    plane: Arc<Plane>,
    root: PathBuf,
    identity: Identity,
    schedule: Arc<Schedule>,
    watching: Watching,
    // Let go only after the plane: the lock says that nobody else may open it.
    _lock: PlaneLock,
}

/// Whether the files of an open project are watched.
#[derive(Default)]
enum Watching {
    /// Not yet.
    #[default]
    Due,
    /// Somebody is about to begin.
    Beginning,
    Begun(Watched),
}

/// The watcher of an open project.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) watcher: Arc<Watcher>,
    /// Whether the project asks for it by itself, and so stays open.
    pub(crate) is_asked_for: bool,
}

/// An open project whose files are to be watched.
pub(crate) struct Unwatched {
    pub(crate) root: PathBuf,
    pub(crate) plane: Arc<Plane>,
}

impl Open {
    /// Whether the project stays open without calls.
    fn stays_open(&self) -> bool {
        matches!(&self.watching, Watching::Begun(watched) if watched.is_asked_for)
    }

    /// Whether the path still names the database that is open.
    fn is_current(&self, db_path: &Path) -> bool {
        !self.plane.is_closed() && Identity::of(db_path).ok() == Some(self.identity)
    }
}

/// The key of a database whose directory exists.
fn key(db_path: &Path) -> Option<Key> {
    let directory = Identity::of(db_path.parent().unwrap_or(db_path)).ok()?;
    Some((directory, db_path.file_name().unwrap_or_default().to_owned()))
}

/// The open data planes of a daemon.
pub struct Projects {
    endpoint: String,
    /// The databases that are open or being opened. A lock of its own, which calls under way may take: closing a plane
    /// waits for them while it holds its slot.
    databases: Mutex<HashSet<PathBuf>>,
    /// Counts the openings, for those who wait for one.
    opened: watch::Sender<u64>,
    slots: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Slot>>>>,
    /// How long each project that has been called for wants the daemon to go on without calls; none for the usual time.
    idle_exits: Mutex<HashMap<PathBuf, Option<Duration>>>,
}

impl Projects {
    pub(crate) fn new(endpoint: String) -> Self {
        Projects {
            endpoint,
            databases: Mutex::default(),
            opened: watch::Sender::new(0),
            slots: Mutex::default(),
            idle_exits: Mutex::default(),
        }
    }

    /// The data plane of a connection's project, opened when it is not open. Several callers wait for one opening.
    ///
    /// # Errors
    /// A denial that says what stands in the way.
    pub async fn plane(&self, binding: &Binding) -> Result<Arc<Plane>, Denial> {
        let root = binding.root()?;
        let db_path = &binding.db_path;
        if binding.root_source == RootSource::Fallback && !db_path.exists() {
            return Err(Denial::new(Code::ProjectRequired)
                .with("directory", root.display().to_string())
                .message("there is no project here or in any directory above"));
        }
        let mut attempts = 0;
        loop {
            let (named, slot) = self.slot(db_path)?;
            let mut slot = slot.lock().await;
            if let Some(open) = &slot.open {
                if open.is_current(db_path) {
                    return Ok(open.plane.clone());
                }
                // Another file, or none, stands where the database was. The old log may still have its name: it is
                // written back into the old file before SQLite can take it for the new one's.
                self.close_open(&mut slot).await;
            }
            // While it was closed, or waited for, the whole directory may have been replaced; the slot of the new one
            // may be in use already.
            if key(db_path).as_ref() == Some(&named) {
                let opened = self.open_into(&mut slot, root, db_path).await;
                // Somebody may have deleted it while it was being made.
                attempts += 1;
                if opened.is_ok() || db_path.exists() || attempts >= ATTEMPTS {
                    return opened;
                }
            }
        }
    }

    /// Opens a database for a slot that is empty.
    async fn open_into(&self, slot: &mut Slot, root: &Path, db_path: &Path) -> Result<Arc<Plane>, Denial> {
        self.databases().insert(db_path.to_path_buf());
        let (path, endpoint) = (db_path.to_path_buf(), self.endpoint.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "awaited right here, so a drain waits for it with the call"
        )]
        let opening = tokio::task::spawn_blocking(move || {
            let (plane, lock) = Plane::open(&path, &endpoint)?;
            let identity =
                Identity::of(&path).map_err(|error| fault::from_io("look at the database", &path, &error))?;
            Ok((plane, lock, identity))
        });
        let opened =
            opening.await.unwrap_or_else(|error| Err(fault::unexpected("open the data plane", &error)));
        let (plane, lock, identity) = opened.inspect_err(|_| {
            self.databases().remove(db_path);
        })?;
        let plane = Arc::new(plane);
        tracing::info!(root = %root.display(), "project opened");
        slot.open = Some(Open {
            plane: plane.clone(),
            root: root.to_path_buf(),
            identity,
            schedule: Arc::default(),
            watching: Watching::Due,
            _lock: lock,
        });
        self.opened.send_modify(|count| *count += 1);
        Ok(plane)
    }

    /// Changes whenever a project is opened.
    pub fn opened(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// The name of a connection's data plane and the end of its journal, when it is open. Nothing is opened, and the
    /// plane is not held.
    pub async fn followed(&self, binding: &Binding) -> Option<(String, watch::Receiver<i64>)> {
        let slot = self.lock().get(&key(&binding.db_path)?).cloned()?;
        let slot = slot.lock().await;
        let plane = &slot.open.as_ref()?.plane;
        Some((plane.plane_id().to_owned(), plane.follow()))
    }

    /// Puts another file in the place of a project's database, by `swap`, while nobody has it open, and opens it. Calls that
    /// come meanwhile wait; what was acknowledged before is in the old file when `swap` is called.
    ///
    /// # Errors
    /// What `swap` denies or what stands in the way of opening; calls go on with what stands in the database's place then.
    pub(crate) async fn replace<T: Send + 'static>(
        &self,
        binding: &Binding,
        swap: impl FnOnce() -> Result<T, Denial> + Send + 'static,
    ) -> Result<T, Denial> {
        let (root, db_path) = (binding.root()?, &binding.db_path);
        let (_, slot) = self.slot(db_path)?;
        let mut slot = slot.lock().await;
        self.close_open(&mut slot).await;
        let (path, endpoint) = (db_path.clone(), self.endpoint.clone());
        let swapped = care::blocking(move || {
            let _lock = open::lock_of(&path, &endpoint)?;
            swap()
        })
        .await?;
        self.open_into(&mut slot, root, db_path).await?;
        Ok(swapped)
    }

    /// The data plane of a connection's project when it is open, else what `look` makes of the file. Nobody opens the
    /// plane meanwhile: whoever closes a file takes all locks of this process on it away, SQLite's too.
    pub async fn plane_or<T>(&self, binding: &Binding, look: impl FnOnce() -> T) -> Result<Arc<Plane>, T> {
        let Some(key) = key(&binding.db_path) else { return Err(look()) };
        let slot = self.lock().entry(key).or_default().clone();
        let mut slot = slot.lock().await;
        match &slot.open {
            Some(open) if open.is_current(&binding.db_path) => return Ok(open.plane.clone()),
            _ => self.close_open(&mut slot).await,
        };
        Err(look())
    }

    /// The slot of a database, and the key that it has now. The directory is made when it is not there.
    fn slot(&self, db_path: &Path) -> Result<(Key, Arc<tokio::sync::Mutex<Slot>>), Denial> {
        let key = if let Some(key) = key(db_path) {
            key
        } else {
            let directory = open::make_directories(db_path)?;
            key(db_path).ok_or_else(|| {
                let error = std::io::ErrorKind::NotFound.into();
                fault::from_io("look at the data plane's directory", &directory, &error)
            })?
        };
        let slot = self.lock().entry(key.clone()).or_default().clone();
        Ok((key, slot))
    }

    /// Whether the path names the database of an open plane, or the index of its log, by whatever name. Such a file
    /// must not be opened: closing it would take SQLite's locks on it away.
    pub fn holds(&self, path: &Path) -> bool {
        let Ok(wanted) = Identity::of(path) else { return false };
        self.databases().iter().any(|database| {
            let mut index = database.as_os_str().to_owned();
            index.push("-shm");
            [database.as_path(), Path::new(&index)].iter().any(|file| Identity::of(file).ok() == Some(wanted))
        })
    }

    /// Closes the plane of a connection's project when it is open. Says whether it was.
    pub async fn close(&self, binding: &Binding) -> bool {
        let Some(key) = key(&binding.db_path) else { return false };
        let Some(slot) = self.lock().get(&key).cloned() else { return false };
        self.close_slot(&slot).await
    }

    /// Closes all planes.
    pub async fn close_all(&self) {
        let slots: Vec<_> = self.lock().drain().map(|(_, slot)| slot).collect();
        for slot in slots {
            self.close_slot(&slot).await;
        }
    }

    /// The open projects whose files nobody watches yet. Whoever is told so must begin.
    pub(crate) fn unwatched(&self) -> Vec<Unwatched> {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        let begin = |slot: Arc<tokio::sync::Mutex<Slot>>| {
            let mut slot = slot.try_lock().ok()?;
            let open = slot.open.as_mut().filter(|open| !open.plane.is_closed())?;
            if !matches!(open.watching, Watching::Due) {
                return None;
            }
            open.watching = Watching::Beginning;
            Some(Unwatched { root: open.root.clone(), plane: open.plane.clone() })
        };
        slots.into_iter().filter_map(begin).collect()
    }

    /// Takes over the watcher of a plane, or stops it when the plane is not open any more. One that was there is stopped.
    /// The caller must not hold the plane: whoever closes it has its slot, and waits for all who do.
    pub(crate) async fn watch(&self, db_path: &Path, plane: &Weak<Plane>, watched: Watched) {
        let slot = key(db_path).and_then(|key| self.lock().get(&key).cloned());
        let mut before = Some(watched.clone());
        if let Some(slot) = slot
            && let Some(open) = &mut slot.lock().await.open
            && std::ptr::eq(Arc::as_ptr(&open.plane), plane.as_ptr())
        {
            before = match std::mem::replace(&mut open.watching, Watching::Begun(watched)) {
                Watching::Begun(before) => Some(before),
                Watching::Due | Watching::Beginning => None,
            };
        }
        if let Some(before) = before {
            before.watcher.stop().await;
        }
    }

    /// Stops all watchers, which are tasks that end for nothing else.
    pub(crate) async fn stop_watching(&self) {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        for slot in slots {
            let watching = match &mut slot.lock().await.open {
                Some(open) => std::mem::replace(&mut open.watching, Watching::Beginning),
                None => continue,
            };
            if let Watching::Begun(watched) = watching {
                watched.watcher.stop().await;
            }
        }
    }

    /// The watcher of a connection's project, when there is one. As for [`Projects::watch`], the plane must not be held.
    pub(crate) async fn watched(&self, db_path: &Path) -> Option<Watched> {
        let slot = self.lock().get(&key(db_path)?).cloned()?;
        let slot = slot.lock().await;
        match &slot.open.as_ref()?.watching {
            Watching::Begun(watched) => Some(watched.clone()),
            Watching::Due | Watching::Beginning => None,
        }
    }

    /// Whether a project is open that stays open without calls.
    pub fn stay_open(&self) -> bool {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        // One that is being opened or closed just now is in use.
        slots
            .iter()
            .any(|slot| slot.try_lock().is_ok_and(|slot| slot.open.as_ref().is_some_and(Open::stays_open)))
    }

    /// Closes the planes that nobody has used for a while, and gives memory back in the others. Those that stay open are
    /// closed only when `all` are.
    pub async fn close_idle(&self, seconds: u64, all: bool) {
        let slots: Vec<_> = self.lock().iter().map(|(key, slot)| (key.clone(), slot.clone())).collect();
        for (key, slot) in slots {
            let idle = match slot.try_lock() {
                Ok(slot) => slot.open.as_ref().map(|open| {
                    let idle = if open.stays_open() && !all { 0 } else { open.plane.idle_seconds() };
                    (idle, open.plane.clone())
                }),
                Err(_) => continue,
            };
            match idle {
                Some((idle, plane)) if idle >= seconds || plane.is_closed() => {
                    drop(plane);
                    self.close_slot(&slot).await;
                }
                Some((_, plane)) => plane.rest_when_idle().await,
                None => {
                    // Nobody else can hold an empty slot while the map is locked and the count is two: map and us.
                    let mut slots = self.lock();
                    if Arc::strong_count(&slot) == 2 {
                        slots.remove(&key);
                    }
                }
            }
        }
    }

    /// Notes what a project that is called for wants of the daemon.
    pub(crate) fn note(&self, binding: &Binding) {
        let Some(root) = &binding.root else { return };
        let wanted = binding.config.daemon.idle_exit.map(|span| span.0);
        self.idle_exits.lock().unwrap_or_else(PoisonError::into_inner).insert(root.clone(), wanted);
    }

    /// How many seconds the daemon goes on without calls: as long as the most patient of its projects wants.
    pub fn idle_exit(&self, usual: u64) -> u64 {
        let wanted = self.idle_exits.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.values().map(|wanted| wanted.map_or(usual, |wanted| wanted.as_secs())).max().unwrap_or(usual)
    }

    /// The open projects that it is time to look at for a backup.
    pub(crate) fn looks(&self) -> Vec<Look> {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        let look = |slot: Arc<tokio::sync::Mutex<Slot>>| {
            let slot = slot.try_lock().ok()?;
            let Open { plane, root, schedule, .. } = slot.open.as_ref()?;
            let due = !plane.is_closed() && schedule.begin();
            due.then(|| Look { plane: plane.clone(), root: root.clone(), schedule: schedule.clone() })
        };
        slots.into_iter().filter_map(look).collect()
    }

    /// How the backups of an open project go; none when it is not open.
    pub async fn schedule(&self, binding: &Binding) -> Option<Arc<Schedule>> {
        let slot = self.lock().get(&key(&binding.db_path)?).cloned()?;
        let slot = slot.lock().await;
        slot.open.as_ref().map(|open| open.schedule.clone())
    }

    /// How many planes are open.
    pub fn count(&self) -> usize {
        self.status().len()
    }

    /// The open planes, for `status`. One that is being opened or closed just now is left out.
    pub fn status(&self) -> Vec<ProjectStatus> {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        let mut projects: Vec<ProjectStatus> = slots
            .iter()
            .filter_map(|slot| {
                let slot = slot.try_lock().ok()?;
                let open = slot.open.as_ref()?;
                Some(ProjectStatus {
                    root: open.root.display().to_string(),
                    db_path: open.plane.db_path().display().to_string(),
                    queue_depth: open.plane.queue_depth(),
                    seq: open.plane.seq(),
                    wal_bytes: open.plane.wal_bytes(),
                    idle_s: open.plane.idle_seconds(),
                    evidence: None,
                })
            })
            .collect();
        projects.sort_by(|left, right| left.root.cmp(&right.root));
        projects
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<tokio::sync::Mutex<Slot>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn databases(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close_slot(&self, slot: &tokio::sync::Mutex<Slot>) -> bool {
        self.close_open(&mut *slot.lock().await).await
    }

    async fn close_open(&self, slot: &mut Slot) -> bool {
        let Some(open) = slot.open.take() else { return false };
        let Open { mut plane, root, watching, _lock, .. } = open;
        let db_path = plane.db_path().to_path_buf();
        if let Watching::Begun(watched) = watching {
            watched.watcher.stop().await;
        }
        // The slot is locked, so no new call can take hold of the plane; those under way end by themselves.
        loop {
            match Arc::try_unwrap(plane) {
                Ok(plane) => break plane.close().await,
                Err(shared) => plane = shared,
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.databases().remove(&db_path);
        tracing::info!(root = %root.display(), "project closed");
        true
    }
}
