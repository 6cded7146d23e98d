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
    rows: Vec<(usize, Vec<Value>)>,
    id: String,
    text: String,
    seq: i64,
    chain_hash: String,
    hour: i64,
}

/// Tables of a W1 and the columns by which its rows are found.
const TABLES: [(&str, &str); 5] = [
    ("tasks", "id = $1"),
    ("task_revision", "task_id = $1"),
    ("ledger_events", "title = 'W1 ' || $1"),
    ("journal", "task_id = $1"),
    ("requests", "seq = (SELECT seq FROM journal WHERE task_id = $1)"),
];

/// Reads the W1 of a plane, in their order.
pub(super) fn record(database: &Path) -> anyhow::Result<Vec<Work>> {
    let connection = Connection::open(database)?;
    // Only for reading them back; the copy that is written to has the indexes of the schema.
    connection.execute_batch(
        "CREATE TEMP TABLE lookup AS SELECT title, rowid AS at FROM ledger_events; CREATE INDEX temp.by_title ON lookup(title); \
         CREATE TEMP TABLE entries AS SELECT task_id, seq FROM journal; CREATE INDEX temp.by_task ON entries(task_id);
         CREATE TEMP TABLE revisions AS SELECT task_id, rowid AS at FROM task_revision; CREATE INDEX temp.by_parent ON revisions(task_id);",
    )?;
    let mut statement = connection.prepare(
        "SELECT j.task_id, j.seq, j.chain_hash, unixepoch(j.at) / 3600, \
         t.title || char(10) || t.summary || char(10) || t.body \
         FROM journal j JOIN tasks t ON t.id = j.task_id ORDER BY j.seq",
    )?;
    let mut found = statement.query([])?;
    let mut works = Vec::new();
    while let Some(row) = found.next()? {
        let id: String = row.get(0)?;
        let rows = [
            "SELECT * FROM tasks WHERE id = $1",
            "SELECT * FROM task_revision WHERE rowid = (SELECT at FROM temp.revisions WHERE task_id = $1)",
            "SELECT * FROM ledger_events WHERE rowid = (SELECT at FROM temp.lookup WHERE title = 'W1 ' || $1)",
            "SELECT * FROM journal WHERE seq = (SELECT seq FROM temp.entries WHERE task_id = $1)",
            "SELECT * FROM requests WHERE seq = (SELECT seq FROM temp.entries WHERE task_id = $1)",
        ];
        works.push(Work { rows: Vec::new(), id, text: row.get(4)?, seq: row.get(1)?, chain_hash: row.get(2)?, hour: row.get(3)? });
        let _ = rows;
    }
    Ok(works)
}
