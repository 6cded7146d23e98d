//! The reference for writes: the rows that the daemon wrote, written again by nothing but SQLite.
//!
//! What a plane of the daemon's holds after some W1 is read back once: task, revision, ledger event, journal entry,
//! kept reply, indexed text. The reference then inserts exactly these rows into a copy of an empty plane (so schema and
//! indexes are the same), with the writer's pragmas, statements cached, a savepoint for each W1, and once in a
//! transaction the head, the counters and the search index. Ids, hashes and texts are there already: the reference
//! pays for SQLite alone.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

/// The pragmas of the daemon's writer.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA trusted_schema = OFF; PRAGMA cache_size = -64000; PRAGMA temp_store = MEMORY; \
    PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 10000;";

/// The rows of one W1.
pub(super) struct Work {
    /// The statement that inserts each row, and its values.
    rows: Vec<(String, Vec<Value>)>,
    indexed: Vec<Indexed>,
    seq: i64,
    chain_hash: String,
    hour: i64,
}

/// What the search indexes hold of a row.
struct Indexed {
    table: String,
    id: String,
    created_at: String,
    status: String,
    task_id: Option<String>,
    title: String,
    summary: String,
    body: String,
    substring: String,
}

/// What the indexes hold of the task and of the ledger event of a W1.
const INDEXED: &str = "SELECT 'tasks', id, created_at, status, id, title, summary, body, \
    title || char(10) || summary || char(10) || body FROM tasks WHERE id = $1 \
    UNION ALL SELECT 'ledger_events', id, created_at, status, task_id, title, summary, '', title || char(10) || summary \
    FROM ledger_events WHERE id = $2";

fn indexed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Indexed> {
    Ok(Indexed {
        table: row.get(0)?,
        id: row.get(1)?,
        created_at: row.get(2)?,
        status: row.get(3)?,
        task_id: row.get(4)?,
        title: row.get(5)?,
        summary: row.get(6)?,
        body: row.get(7)?,
        substring: row.get(8)?,
    })
}

/// Reads back what some W1 left in a plane, in their order.
pub(super) fn record(database: &Path) -> anyhow::Result<Vec<Work>> {
    let connection = Connection::open(database)?;
    let mut statement = connection.prepare(
        "SELECT j.task_id, j.seq, j.chain_hash, unixepoch(j.at) / 3600, j.rows, q.key \
         FROM journal j JOIN requests q ON q.seq = j.seq ORDER BY j.seq",
    )?;
    let mut found = statement.query([])?;
    let mut works = Vec::new();
    while let Some(row) = found.next()? {
        let seq: i64 = row.get(1)?;
        let written: Vec<(String, String, String)> = serde_json::from_str(&row.get::<_, String>(4)?)?;
        let mut rows = Vec::new();
        let mut ledger = String::new();
        for (table, id, _) in written {
            if table == "ledger_events" {
                ledger.clone_from(&id);
            }
            rows.push(whole_row(&connection, &table, "id", &id.into())?);
        }
        rows.push(whole_row(&connection, "journal", "seq", &seq.into())?);
        rows.push(whole_row(&connection, "requests", "key", &row.get(5)?)?);
        let task_id: String = row.get(0)?;
        let mut texts = connection.prepare_cached(INDEXED)?;
        let indexed = texts.query_map([&task_id, &ledger], indexed)?.collect::<Result<_, _>>()?;
        works.push(Work { rows, indexed, seq, chain_hash: row.get(2)?, hour: row.get(3)? });
    }
    Ok(works)
}

/// A row with the statement that inserts it.
fn whole_row(
    connection: &Connection,
    table: &str,
    key: &str,
    id: &Value,
) -> anyhow::Result<(String, Vec<Value>)> {
    let mut statement = connection.prepare_cached(&format!("SELECT * FROM {table} WHERE {key} = $1"))?;
    let count = statement.column_count();
    let columns: Vec<String> =
        statement.column_names().into_iter().map(|name| format!("\"{name}\"")).collect();
    let places: Vec<String> = (1..=count).map(|at| format!("${at}")).collect();
    let insert = format!("INSERT INTO {table} ({}) VALUES ({})", columns.join(", "), places.join(", "));
    let row = statement
        .query_row([id], |row| (0..count).map(|at| row.get(at)).collect())
        .with_context(|| format!("a row of {table}"))?;
    Ok((insert, row))
}

/// Copies a plane that holds nothing yet.
pub(super) fn empty_copy(database: &Path, copy: &Path) -> anyhow::Result<()> {
    let connection = Connection::open(database)?;
    Ok(connection.execute("VACUUM INTO $1", [copy.to_str().context("a path in UTF-8")?]).map(drop)?)
}

/// A database that is written to directly.
pub(super) struct Raw {
    connection: Connection,
}

impl Raw {
    /// Opens a copy of an empty plane.
    pub(super) fn open(database: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(database)?;
        connection.execute_batch(PRAGMAS)?;
        connection.set_prepared_statement_cache_capacity(256);
        // As in a plane that is open, the log exists before the first measured transaction.
        connection.execute_batch("BEGIN IMMEDIATE; UPDATE plane_head SET seq = seq; COMMIT")?;
        Ok(Raw { connection })
    }

    /// Writes these W1 in one transaction.
    pub(super) fn transaction(&self, works: &[Work]) -> anyhow::Result<()> {
        let run = |sql: &str| -> rusqlite::Result<()> {
            self.connection.prepare_cached(sql)?.execute([]).map(drop)
        };
        run("BEGIN IMMEDIATE")?;
        for work in works {
            run("SAVEPOINT job")?;
            for (insert, row) in &work.rows {
                self.connection.prepare_cached(insert)?.execute(params_from_iter(row))?;
            }
            run("RELEASE job")?;
        }
        if let Some(last) = works.last() {
            let sql = "UPDATE plane_head SET seq = $1, chain_hash = $2";
            self.connection.prepare_cached(sql)?.execute(params![last.seq, last.chain_hash])?;
            let added = i64::try_from(works.len())?;
            let counters =
                [("tasks_active", 0), ("active_tasks_without_ledger", 0), ("ledger_events", last.hour)];
            for (name, bucket) in counters {
                self.connection
                    .prepare_cached(
                        "INSERT INTO counters (name, bucket, value) VALUES ($1, $2, $3) \
                         ON CONFLICT (name, bucket) DO UPDATE SET value = value + excluded.value",
                    )?
                    .execute(params![name, bucket, added])?;
            }
        }
        for row in works.iter().flat_map(|work| &work.indexed) {
            self.connection
                .prepare_cached(
                    "INSERT INTO search_rows (record_table, record_id, created_at, status, task_id, is_test) \
                     VALUES ($1, $2, $3, $4, $5, 0)",
                )?
                .execute(params![row.table, row.id, row.created_at, row.status, row.task_id])?;
            let number = self.connection.last_insert_rowid();
            self.connection
                .prepare_cached(
                    "INSERT INTO search_words (rowid, title, summary, body) VALUES ($1, $2, $3, $4)",
                )?
                .execute(params![number, row.title, row.summary, row.body])?;
            self.connection
                .prepare_cached("INSERT INTO search_text (rowid, content) VALUES ($1, $2)")?
                .execute(params![number, row.substring])?;
        }
        Ok(run("COMMIT")?)
    }

    /// Writes all of these, so many in each transaction.
    pub(super) fn write(&self, works: &[Work], in_one: usize) -> anyhow::Result<Duration> {
        let started = Instant::now();
        for part in works.chunks(in_one) {
            self.transaction(part)?;
        }
        Ok(started.elapsed())
    }
}
