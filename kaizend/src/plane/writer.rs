//! The writer: one OS thread per data plane that owns the only connection that writes.
//!
//! It takes what waits and what comes meanwhile, up to 512 jobs, as one transaction: a savepoint for each job, then the
//! derived rows, then one COMMIT, and only then the replies. A job that fails rolls back alone.

mod job;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::intruder::Intruder;
use super::open::{self, Identity};
use super::schema::{self, Verdict};
use super::tables::{self, Tables};
use super::value::Cell;
use super::write_tx::{Caller, Indexed, WriteTx, execute, query};
use super::{Shared, counters, evidence_index, fault, search_index};

/// Jobs in one transaction at most. There is no timer: a busy queue makes large batches, an idle one small ones.
const BATCH: usize = 512;
/// How long jobs may join a transaction that runs, so that the first of it are not kept waiting by a steady stream.
const JOINING: Duration = Duration::from_millis(20);
/// Jobs that may wait before callers are told to come back.
pub(super) const QUEUE: usize = 4096;
/// A write-ahead log of this size is written back as soon as the queue is empty. It is less than the 1,000 pages at which
/// another program that writes into the database would write the log back itself.
const CHECKPOINT_IDLE_BYTES: u64 = 3500 * 1024;
/// A write-ahead log of this size is written back even while jobs wait.
const CHECKPOINT_BUSY_BYTES: u64 = 40 * 1024 * 1024;
/// How long replies are kept for calls that are sent again, in days.
const REQUESTS_KEPT_DAYS: i64 = 1;

/// The work of one operation: writes rows and returns the reply as the text of a JSON object. It may be run again.
pub type Apply = Box<dyn FnMut(&mut WriteTx<'_>) -> Result<String, Denial> + Send>;

/// The idempotency key of a call and the hash of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The key that the client chose.
    pub key: String,
    /// SHA-256 over operation and parameters.
    pub params_hash: String,
}

/// One operation that waits to be written.
pub struct Job {
    /// The operation's code.
    pub operation: &'static str,
    /// Who calls.
    pub caller: Arc<Caller>,
    /// Makes a repeated call harmless.
    pub key: Option<RequestKey>,
    /// The work.
    pub apply: Apply,
    /// Where the reply goes, after COMMIT.
    pub reply: oneshot::Sender<Result<String, Denial>>,
}

/// Work on the plane as a whole, between batches.
pub(super) type Chore = Box<dyn FnOnce(&mut Writer) -> Answer + Send>;

/// Tells whoever asked for a chore how it went. Called when the writer has looked at the file again: what somebody does
/// with the file once they have their answer is none of the chore's doing.
pub(super) type Answer = Box<dyn FnOnce() + Send>;

pub(super) enum Message {
    Job(Job),
    Chore(Chore),
}

/// The state of the writer's thread.
pub(crate) struct Writer {
    connection: Connection,
    tables: Tables,
    db_path: PathBuf,
    identity: Identity,
    shared: Arc<Shared>,
    seq: i64,
    chain_hash: String,
    last_at: Timestamp,
    /// The file as this writer left it.
    stamp: Stamp,
    /// Tells of writes by others that the stamp cannot, because this writer wrote too.
    intruder: Intruder,
    /// A chore that came while a batch was made; it is next.
    waiting: Option<Chore>,
    deltas: counters::Deltas,
    indexed: Indexed,
    trimmed_at: Timestamp,
}

type Outcome = Result<String, Denial>;

enum Lost {
    /// The transaction is gone, nothing of it is stored.
    RolledBack(Denial),
    /// COMMIT itself failed: the plane must be opened again to learn what is stored.
    Unknown(Denial),
}

impl Writer {
    /// Takes over a connection that [`open::open`] made and migrated.
    pub(super) fn new(
        connection: Connection,
        identity: Identity,
        shared: Arc<Shared>,
    ) -> Result<Self, Denial> {
        let tables =
            tables::read(&connection).map_err(|error| fault::from_rusqlite("read the schema", &error))?;
        let mut writer = Writer {
            connection,
            tables,
            db_path: shared.db_path.clone(),
            identity,
            seq: 0,
            chain_hash: String::new(),
            last_at: Timestamp::from_micros(0),
            stamp: Stamp::of(&shared.db_path),
            intruder: Intruder::watch(&shared.db_path),
            waiting: None,
            deltas: HashMap::new(),
            indexed: Indexed::default(),
            trimmed_at: Timestamp::from_micros(0),
            shared,
        };
        writer.read_head()?;
        Ok(writer)
    }

    /// Runs until every sender is gone, then writes the log back.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while let Some(message) = queue.blocking_recv() {
            match message {
                Message::Job(job) => {
                    jobs.push(job);
                    self.batch(&mut jobs, &mut queue);
                    self.checkpoint(CHECKPOINT_BUSY_BYTES, "PASSIVE");
                }
                Message::Chore(chore) => self.waiting = Some(chore),
            }
            if let Some(chore) = self.waiting.take() {
                let sound = self.begin_writing().is_ok();
                let Ok(answer) = catch_unwind(AssertUnwindSafe(|| chore(&mut self))) else {
                    // Whoever waits for it learns that its answer will not come; the next call opens the plane anew.
                    tracing::error!("work on the plane as a whole panicked");
                    self.shared.close();
                    return;
                };
                // A chore may be what makes a suspect plane good again.
                if sound || !self.shared.is_suspect() {
                    self.end_writing();
                }
                answer();
            }
            if queue.is_empty() {
                self.rest();
            }
        }
        self.optimize();
        self.checkpoint(0, "TRUNCATE");
        // Closing makes a checkpoint too, which must not write into a file that somebody else has written.
        if self.shared.is_suspect() {
            let unwritten = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            if let Err(error) = self.connection.set_db_config(unwritten, true) {
                tracing::warn!(%error, "the log may be written back on closing");
            }
        }
    }

    /// The connection, for chores.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What all holders of the plane share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn batch(&mut self, jobs: &mut Vec<Job>, queue: &mut mpsc::Receiver<Message>) {
        // What waits shares one fate: when another program holds the database, all are told after one wait.
        self.join(jobs, Some(queue), Instant::now());
        if let Err(denial) = self.ready() {
            return refuse(jobs, &denial);
        }
        match self.transaction(jobs, Some(queue)) {
            Ok(outcomes) => answer(jobs, outcomes),
            Err(Lost::RolledBack(denial)) if denial.code != Code::StorageFull => refuse(jobs, &denial),
            Err(Lost::RolledBack(_)) => {
                // Together they did not fit on the disk; alone, and with a log that holds no page twice, some may.
                self.checkpoint(0, "TRUNCATE");
                for job in jobs.drain(..) {
                    let mut alone = vec![job];
                    match self.transaction(&mut alone, None) {
                        Ok(outcomes) => answer(&mut alone, outcomes),
                        Err(Lost::RolledBack(denial)) => refuse(&mut alone, &denial),
                        Err(Lost::Unknown(denial)) => self.recover(&mut alone, &denial),
                    }
                }
            }
            Err(Lost::Unknown(denial)) => self.recover(jobs, &denial),
        }
    }

    /// Whether the plane takes writes now.
    fn ready(&mut self) -> Result<(), Denial> {
        if self.shared.is_suspect() {
            return Err(Denial::new(Code::PlaneSuspect).message("the last write could not be made durable"));
        }
        self.untouched()?;
        match schema::verdict(&self.connection) {
            Ok(Verdict::Good) => Ok(()),
            Ok(Verdict::Drifted { stored }) => Err(schema::drift(&self.db_path, stored.as_deref())),
            Ok(Verdict::Wrong { reason }) => Err(schema::status(&self.db_path, &reason)),
            Err(error) => Err(fault::from_rusqlite("read the schema version", &error)),
        }
    }

    /// Whether the path still names the file that is open, and the file is as this writer left it. In write-ahead mode
    /// only a checkpoint writes into the database itself, and only [`Writer::checkpoint`] makes them; a backup that `cp`
    /// writes into the open file would mix with the log.
    fn untouched(&self) -> Result<(), Denial> {
        // One look, or a swap between two would be taken for a change.
        let seen = std::fs::metadata(&self.db_path).ok();
        let denied = |code, message: &str| {
            Err(Denial::new(code).with("db_path", self.db_path.display().to_string()).message(message))
        };
        if seen.as_ref().and_then(|seen| Identity::from_metadata(seen, &self.db_path)) != Some(self.identity)
        {
            self.shared.close();
            return denied(
                Code::PlaneReplaced,
                "the database file was replaced or deleted while it was open",
            );
        }
        if Stamp::from_metadata(seen.as_ref()) != self.stamp {
            self.shared.set_suspect(true);
            return denied(
                Code::PlaneSuspect,
                "somebody else wrote into the database file while it was open",
            );
        }
        Ok(())
    }

    /// Carries out jobs in one transaction. Jobs that come while it runs join it: they would otherwise wait for its fsync
    /// and then for one of their own.
    fn transaction(
        &mut self,
        jobs: &mut Vec<Job>,
        mut queue: Option<&mut mpsc::Receiver<Message>>,
    ) -> Result<Vec<Outcome>, Lost> {
        let lost =
            |doing: &str, error: &rusqlite::Error| Lost::RolledBack(fault::from_rusqlite(doing, error));
        execute(&self.connection, "BEGIN IMMEDIATE", &[])
            .map_err(|error| lost("begin a transaction", &error))?;
        let (seq, chain_hash) = (self.seq, self.chain_hash.clone());
        let began = Instant::now();
        let mut outcomes = Vec::with_capacity(jobs.len());
        loop {
            if outcomes.len() == jobs.len() && !self.join(jobs, queue.as_deref_mut(), began) {
                break;
            }
            let outcome = self.job(&mut jobs[outcomes.len()]);
            outcomes.push(outcome);
            if self.connection.is_autocommit() {
                self.forget(seq, chain_hash);
                let denial = outcomes.pop().and_then(Result::err);
                return Err(Lost::RolledBack(denial.unwrap_or_else(|| Denial::new(Code::StorageError))));
            }
        }
        if self.seq == seq {
            // Nothing was written: refusals and repeated calls only.
            execute(&self.connection, "ROLLBACK", &[]).map_err(|error| lost("end a transaction", &error))?;
            return Ok(outcomes);
        }
        if let Err(error) = self.finish() {
            let denial = fault::from_rusqlite("finish a transaction", &error);
            self.forget(seq, chain_hash);
            if !self.connection.is_autocommit()
                && let Err(error) = execute(&self.connection, "ROLLBACK", &[])
            {
                tracing::error!(%error, "could not roll back");
                return Err(Lost::Unknown(denial));
            }
            return Err(Lost::RolledBack(denial));
        }
        if let Err(error) = execute(&self.connection, "COMMIT", &[]) {
            let denial = fault::from_rusqlite("commit", &error);
            let jobs_end = (self.seq, self.chain_hash.clone());
            self.forget(seq, chain_hash);
            return self.after_failed_commit(outcomes, jobs_end, &error, denial);
        }
        // Committed into a file that nobody can find any more is not stored.
        self.untouched().map_err(Lost::RolledBack)?;
        self.shared.seq.send_replace(self.seq);
        Ok(outcomes)
    }

    /// Takes what waits in the queue into the transaction that runs, while that is neither large nor old.
    fn join(
        &mut self,
        jobs: &mut Vec<Job>,
        queue: Option<&mut mpsc::Receiver<Message>>,
        began: Instant,
    ) -> bool {
        let Some(queue) = queue else { return false };
        let before = jobs.len();
        while self.waiting.is_none() && jobs.len() < BATCH && began.elapsed() < JOINING {
            match queue.try_recv() {
                Ok(Message::Job(job)) => jobs.push(job),
                Ok(Message::Chore(chore)) => self.waiting = Some(chore),
                Err(_) => break,
            }
        }
        jobs.len() > before
    }

    /// The head and the derived rows, once per batch, inside its transaction.
    fn finish(&mut self) -> rusqlite::Result<()> {
        execute(
            &self.connection,
            "UPDATE plane_head SET seq = $1, chain_hash = $2",
            &[Cell::Integer(self.seq), Cell::Text(&self.chain_hash)],
        )?;
        counters::flush(&self.connection, &mut self.deltas)?;
        search_index::flush(&self.connection, &mut self.indexed.records)?;
        evidence_index::flush(&self.connection, &mut self.indexed.chunks)
    }

    fn forget(&mut self, seq: i64, chain_hash: String) {
        self.seq = seq;
        self.chain_hash = chain_hash;
        self.deltas.clear();
        self.indexed = Indexed::default();
    }

    /// A COMMIT that failed may still have reached the disk. Only a fresh look at the head can tell.
    fn after_failed_commit(
        &mut self,
        outcomes: Vec<Outcome>,
        (seq, chain_hash): (i64, String),
        error: &rusqlite::Error,
        denial: Denial,
    ) -> Result<Vec<Outcome>, Lost> {
        tracing::error!(%error, "COMMIT failed; the database is opened again");
        let sync_failed = matches!(error, rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.extended_code, rusqlite::ffi::SQLITE_IOERR_FSYNC | rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC));
        if let Err(again) = self.reopen() {
            tracing::error!(denial = %again, "the database cannot be opened again");
            self.shared.close();
            return Err(Lost::Unknown(denial));
        }
        if sync_failed {
            // What the kernel could not write it may have dropped; only a full check can say what is there.
            self.shared.set_suspect(true);
            return Err(Lost::Unknown(denial));
        }
        if (self.seq, &self.chain_hash) == (seq, &chain_hash) {
            self.shared.seq.send_replace(self.seq);
            return Ok(outcomes);
        }
        Err(Lost::RolledBack(denial))
    }

    /// Refuses jobs of which nobody knows whether they are stored; their keys tell when they are sent again.
    fn recover(&mut self, jobs: &mut Vec<Job>, denial: &Denial) {
        refuse(jobs, denial);
        if !self.connection.is_autocommit() {
            // The connection is stuck in a transaction that it cannot end.
            if let Err(again) = self.reopen() {
                tracing::error!(denial = %again, "the database cannot be opened again");
                self.shared.close();
            }
        }
    }

    fn reopen(&mut self) -> Result<(), Denial> {
        let connection = open::writer_connection(&self.db_path)?;
        self.connection = connection;
        self.stamp = Stamp::of(&self.db_path);
        // Closing the old connection was no intrusion.
        self.intruder.was_here();
        self.read_head()
    }

    fn read_head(&mut self) -> Result<(), Denial> {
        let fail = |error: rusqlite::Error| fault::from_rusqlite("read the journal's head", &error);
        let head = query(&self.connection, "SELECT seq, chain_hash FROM plane_head", &[]).map_err(fail)?;
        let Some(head) = head.first() else {
            return Err(schema::status(&self.db_path, "the journal has no head"));
        };
        self.seq = head.integer("seq");
        head.text("chain_hash").clone_into(&mut self.chain_hash);
        let last =
            query(&self.connection, "SELECT at FROM journal WHERE seq = (SELECT max(seq) FROM journal)", &[])
                .map_err(fail)?;
        if let Some(at) = last.first().and_then(|row| Timestamp::parse(row.text("at"))) {
            self.last_at = at;
        }
        self.shared.seq.send_replace(self.seq);
        Ok(())
    }

    /// Writes the log back into the database when it has at least so many bytes. Nobody else does: SQLite's own
    /// checkpoints are switched off, so that a change of the file by somebody else shows.
    fn checkpoint(&mut self, bytes: u64, mode: &str) {
        if self.shared.measure_wal() < bytes {
            return;
        }
        // A replaced file gets its log back all the same: the new one at its path must not find it. Into a file that
        // somebody else has written, nothing more is written.
        if self.begin_writing().is_err_and(|denial| denial.code != Code::PlaneReplaced)
            || self.shared.is_suspect()
        {
            return;
        }
        if let Err(error) = self.connection.execute_batch(&format!("PRAGMA wal_checkpoint({mode})")) {
            tracing::warn!(%error, "could not write the log back");
        }
        self.end_writing();
    }

    /// Called before this writer writes into the database itself: whether it is as it was left.
    fn begin_writing(&mut self) -> Result<(), Denial> {
        // Whoever closed it before has changed the stamp, if anything.
        self.intruder.was_here();
        self.untouched()
    }

    /// Called afterwards: from now on the file is to be as it is now. Somebody who wrote meanwhile and has not closed the
    /// file yet will change it again.
    fn end_writing(&mut self) {
        self.stamp = Stamp::of(&self.db_path);
        if self.intruder.was_here() {
            tracing::error!("somebody else wrote into the database while its log was written back");
            self.shared.set_suspect(true);
        }
    }

    /// What is done once in a longer pause. A log that a reader still needs stays as it is.
    pub(super) fn settle(&mut self) {
        self.optimize();
        // Not waiting for a reader: the next caller would wait too.
        if let Err(error) = self.connection.busy_timeout(Duration::ZERO) {
            tracing::debug!(%error, "the next checkpoint may wait");
        }
        self.checkpoint(1, "TRUNCATE");
        let rested = self
            .connection
            .busy_timeout(open::PATIENCE)
            .and_then(|()| self.connection.execute_batch("PRAGMA shrink_memory"));
        if let Err(error) = rested {
            tracing::debug!(%error, "memory not given back");
        }
    }

    /// Lets SQLite renew its statistics where they are out of date.
    fn optimize(&self) {
        // A file that somebody else has written is left alone.
        if self.shared.is_suspect() || self.untouched().is_err() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA analysis_limit = 400; PRAGMA optimize") {
            tracing::debug!(%error, "statistics not renewed");
        }
    }

    /// What is done while nobody waits.
    fn rest(&mut self) {
        // A log that may grow is space that is missing when the disk is nearly full.
        let bytes = if open::is_nearly_full(&self.db_path) { 1 } else { CHECKPOINT_IDLE_BYTES };
        self.checkpoint(bytes, "PASSIVE");
        let now = Timestamp::now();
        if now.micros() - self.trimmed_at.micros() > 3_600_000_000 {
            self.trimmed_at = now;
            let old = now.minus_days(REQUESTS_KEPT_DAYS).to_string();
            // Not waiting for another program's lock: the next caller would wait too. There is another hour.
            let trimmed = self.connection.busy_timeout(Duration::ZERO).and_then(|()| {
                execute(&self.connection, "DELETE FROM requests WHERE at < $1", &[Cell::Text(&old)])
            });
            if let Err(error) = trimmed.and(self.connection.busy_timeout(open::PATIENCE)) {
                tracing::warn!(%error, "could not trim the replies that are kept");
            }
        }
    }
}

/// Size and time of the last change of a file; none when it cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(Option<(u64, std::time::SystemTime)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        Stamp::from_metadata(std::fs::metadata(path).ok().as_ref())
    }

    fn from_metadata(metadata: Option<&std::fs::Metadata>) -> Self {
        Stamp(metadata.and_then(|metadata| Some((metadata.len(), metadata.modified().ok()?))))
    }
}

fn answer(jobs: &mut Vec<Job>, outcomes: Vec<Outcome>) {
    for (job, outcome) in jobs.drain(..).zip(outcomes) {
        // A caller that has gone away does not want the reply.
        let _ = job.reply.send(outcome);
    }
}

fn refuse(jobs: &mut Vec<Job>, denial: &Denial) {
    for job in jobs.drain(..) {
        let _ = job.reply.send(Err(denial.clone()));
    }
}

/// The hash by which a repeated call is recognised.
pub fn params_hash(operation: &str, params: &str) -> String {
    sha256_hex(format!("{operation}\n{params}").as_bytes())
}
