//! One project's data plane: the only place that knows SQLite.
//!
//! [`writer`] owns the one connection that writes, [`readers`] the ones that cannot. Families see [`WriteTx`],
//! [`ReadTx`], [`Cell`] and [`Row`], never a driver.

pub mod counters;
pub mod evidence_index;
pub mod fault;
mod intruder;
pub mod journal;
pub mod migrate;
pub mod open;
pub mod readers;
pub mod references;
pub mod schema;
pub mod search_index;
pub(crate) mod swap;
pub mod tables;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
pub mod value;
pub mod write_tx;
pub mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::SchemaState;
use kaizen_proto::time::Timestamp;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{mpsc, oneshot, watch};

pub use readers::ReadTx;
pub use value::{Cell, Row};
pub use write_tx::{Caller, WriteTx};
pub use writer::{Apply, Job, RequestKey};

use writer::{Message, Writer};

/// What the writer's thread and the holders of a plane share.
pub(crate) struct Shared {
    pub(crate) db_path: PathBuf,
    wal_path: PathBuf,
    /// Size of the write-ahead log after the last batch.
    wal_bytes: AtomicU64,
    /// Writes wait for a full check, because the last one may not be on disk.
    suspect: AtomicBool,
    /// Exists as long as the plane is suspect, so that a restart does not forget it.
    suspect_path: PathBuf,
    closed: AtomicBool,
    /// Number of the last durable journal entry; whoever watches it learns of every batch.
    pub(crate) seq: watch::Sender<i64>,
}

impl Shared {
    /// Marks the plane as closed: the next call opens it anew.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether writes wait for a full check.
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    /// Makes writes wait for a full check, or opens them again after one.
    pub(crate) fn set_suspect(&self, suspect: bool) {
        self.suspect.store(suspect, Ordering::Release);
        let marked = if suspect {
            crate::files::create(crate::files::Readers::Owner, &self.suspect_path).map(drop)
        } else {
            std::fs::remove_file(&self.suspect_path)
        };
        if let Err(error) = marked
            && !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::AlreadyExists)
        {
            tracing::warn!(%error, suspect, "the mark of a suspect plane could not be changed");
        }
    }

    /// Measures the write-ahead log.
    pub(crate) fn measure_wal(&self) -> u64 {
        let bytes = std::fs::metadata(&self.wal_path).map_or(0, |metadata| metadata.len());
        self.wal_bytes.store(bytes, Ordering::Relaxed);
        bytes
    }
}

/// Seconds without a call after which a plane rests.
const IDLE: u64 = 60;

/// An open data plane.
pub struct Plane {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Message>,
    readers: SqlitePool,
    thread: std::sync::Mutex<Option<std::thread::JoinHandle<()>>>,
    last_used: AtomicI64,
    id: String,
    /// Which pause the plane has rested in, by the time of the call before it.
    rested: AtomicI64,
    /// The database, open for reading as long as SQLite has it open: POSIX takes all locks of a process on a file away
    /// when any descriptor of it is closed, so nobody else here may open and close it.
    file: Arc<File>,
}

impl Plane {
    /// Opens the database at `db_path`, creating it when it is absent. Blocks.
    ///
    /// # Errors
    /// A denial that says what stands in the way.
    pub fn open(db_path: &Path, endpoint: &str) -> Result<(Self, open::PlaneLock), Denial> {
        let opened = open::open(db_path, endpoint)?;
        let beside = |ending: &str| -> PathBuf {
            let mut path = db_path.as_os_str().to_owned();
            path.push(ending);
            path.into()
        };
        let suspect_path = beside("-suspect");
        let shared = Arc::new(Shared {
            db_path: db_path.to_path_buf(),
            wal_path: beside("-wal"),
            wal_bytes: AtomicU64::new(0),
            suspect: AtomicBool::new(suspect_path.exists()),
            suspect_path,
            closed: AtomicBool::new(false),
            seq: watch::Sender::new(0),
        });
        let plane_id = journal::plane_id(&opened.connection)
            .map_err(|error| fault::from_rusqlite("read the journal's head", &error))?;
        let (queue, waiting) = mpsc::channel(writer::QUEUE);
        let writer = Writer::new(opened.connection, opened.identity, shared.clone())?;
        let thread = std::thread::Builder::new()
            .name("kaizen-writer".into())
            .spawn(move || writer.run(waiting))
            .map_err(|error| fault::unexpected("start the writer", &error))?;
        let file =
            File::open(db_path).map_err(|error| fault::from_io("open the database", db_path, &error))?;
        let plane = Plane {
            file: Arc::new(file),
            readers: readers::pool(db_path),
            shared,
            queue,
            thread: std::sync::Mutex::new(Some(thread)),
            last_used: AtomicI64::new(Timestamp::now().micros()),
            id: plane_id,
            rested: AtomicI64::new(0),
        };
        Ok((plane, opened.lock))
    }

    /// The database file.
    pub fn db_path(&self) -> &Path {
        &self.shared.db_path
    }

    /// The data plane's own name, by which a cursor tells whether it is still the same.
    pub fn plane_id(&self) -> &str {
        &self.id
    }

    /// The database for reading its bytes without letting go of SQLite's locks. Not to be cloned with `try_clone`.
    pub(crate) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Queues a write and waits for its COMMIT. Dropping the future does not take the write back.
    ///
    /// # Errors
    /// What the operation denies, `DENIED_BUSY` when the queue is full.
    pub async fn write(
        &self,
        operation: &'static str,
        caller: Arc<Caller>,
        key: Option<RequestKey>,
        apply: Apply,
    ) -> Result<String, Denial> {
        self.touch();
        let (reply, answer) = oneshot::channel();
        let job = Job { operation, caller, key, apply, reply };
        self.queue.try_send(Message::Job(job)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Denial::new(Code::Busy).message(format!("{} writes are waiting already", writer::QUEUE))
            }
            mpsc::error::TrySendError::Closed(_) => self.gone(),
        })?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Begins a snapshot.
    ///
    /// # Errors
    /// What SQLite denies, `DENIED_SCHEMA_STATUS` when the schema is not ours.
    pub async fn read(&self) -> Result<ReadTx, Denial> {
        self.touch();
        self.glance().await
    }

    /// [`Plane::read`] that does not count as use, for what looks by itself now and then.
    ///
    /// # Errors
    /// As [`Plane::read`].
    pub async fn glance(&self) -> Result<ReadTx, Denial> {
        let begun = ReadTx::begin(&self.readers, &self.shared.db_path).await;
        // A further reader cannot open a file that is gone.
        if begun.is_err() && self.is_replaced() {
            self.shared.close();
            return Err(Denial::new(Code::PlaneReplaced)
                .with("db_path", self.shared.db_path.display().to_string())
                .message("the database file was replaced or deleted while it was open"));
        }
        begun
    }

    /// Whether the path names another file than the one that is open, or none.
    fn is_replaced(&self) -> bool {
        let path = &self.shared.db_path;
        let identity = |metadata: std::io::Result<std::fs::Metadata>| {
            metadata.ok().and_then(|metadata| open::Identity::from_metadata(&metadata, path))
        };
        identity(std::fs::metadata(path)) != identity(self.file.metadata())
    }

    /// The state of the schema.
    ///
    /// # Errors
    /// What SQLite denies.
    pub async fn schema_state(&self) -> Result<SchemaState, Denial> {
        let row = ReadTx::ungated(&self.readers, schema::STATE_SQL).await?;
        Ok(schema::state_of(row.as_ref(), &self.shared.db_path))
    }

    /// Runs work on the plane as a whole on the writer's thread, between batches.
    ///
    /// # Errors
    /// What the work denies.
    pub(crate) async fn chore<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Denial> + Send + 'static,
    ) -> Result<T, Denial> {
        self.touch();
        let (reply, answer) = oneshot::channel();
        let chore = Box::new(move |writer: &mut Writer| -> writer::Answer {
            let outcome = work(writer);
            Box::new(move || drop(reply.send(outcome)))
        });
        self.queue.send(Message::Chore(chore)).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Whether the plane must be opened anew, because its file was replaced or failed.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Whether writes wait for a full check.
    pub fn is_suspect(&self) -> bool {
        self.shared.is_suspect()
    }

    /// Writes that wait.
    pub fn queue_depth(&self) -> usize {
        writer::QUEUE - self.queue.capacity()
    }

    /// Number of the last durable journal entry.
    pub fn seq(&self) -> i64 {
        *self.shared.seq.borrow()
    }

    /// Follows the number of the last durable journal entry.
    pub fn follow(&self) -> watch::Receiver<i64> {
        self.shared.seq.subscribe()
    }

    /// Size of the write-ahead log in bytes, after the last batch.
    pub fn wal_bytes(&self) -> u64 {
        self.shared.wal_bytes.load(Ordering::Relaxed)
    }

    /// Seconds since the last call.
    pub fn idle_seconds(&self) -> u64 {
        let idle = Timestamp::now().micros() - self.last_used.load(Ordering::Relaxed);
        u64::try_from(idle / 1_000_000).unwrap_or(0)
    }

    /// Rests when nobody has called for a minute: renews SQLite's statistics, writes the log back and makes it empty, so that
    /// it costs no space, and gives cached memory back. Once in each pause.
    pub async fn rest_when_idle(&self) {
        let last_used = self.last_used.load(Ordering::Relaxed);
        if self.idle_seconds() < IDLE || self.rested.swap(last_used, Ordering::Relaxed) == last_used {
            return;
        }
        // A closed queue has nothing to rest from.
        let settle = |writer: &mut Writer| -> writer::Answer {
            writer.settle();
            Box::new(|| ())
        };
        let _ = self.queue.send(Message::Chore(Box::new(settle))).await;
    }

    /// The denial when the writer has ended; the next call opens the plane anew.
    fn gone(&self) -> Denial {
        self.shared.close();
        Denial::new(Code::PlaneReplaced).message("the data plane was just closed")
    }

    fn touch(&self) {
        self.last_used.store(Timestamp::now().micros(), Ordering::Relaxed);
    }

    /// Finishes what is queued, writes the log back and closes. Nobody may hold the plane any more but the caller.
    pub async fn close(self) {
        let Plane { shared, queue, readers, thread, file, .. } = self;
        shared.close();
        drop(queue);
        readers.close().await;
        let thread = thread.into_inner().unwrap_or_default();
        if let Some(thread) = thread {
            #[expect(clippy::disallowed_methods, reason = "awaited right here")]
            let joined = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
            if !matches!(joined, Ok(true)) {
                tracing::error!("the writer's thread panicked");
            }
        }
        drop(file);
    }
}
