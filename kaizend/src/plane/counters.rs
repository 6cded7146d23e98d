//! Counts that the digest shows, kept up to date in the transaction of what they count, so that the digest costs the
//! same in a plane of a hundred records and of a hundred thousand.
//!
//! Each count has one definition in SQL ([`DEFINITIONS`]); the incremental rules below must agree with it, and the
//! integrity check compares the two.

use std::collections::HashMap;

use kaizen_proto::families::quality::{ACCEPTABLE, BLOCKING};
use kaizen_proto::time::Timestamp;
use rusqlite::Connection;

use super::tables::Table;
use super::value::Cell;
use super::write_tx::{execute, query};

/// Changes of counts, by name and bucket.
pub type Deltas = HashMap<(&'static str, i64), i64>;

/// Active policies.
pub const POLICIES_ACTIVE: &str = "policies_active";
/// Active gotchas.
pub const GOTCHAS_ACTIVE: &str = "gotchas_active";
/// Learned lessons.
pub const LEARNED_TOTAL: &str = "learned_total";
/// Active tasks.
pub const TASKS_ACTIVE: &str = "tasks_active";
/// Active tasks that no ledger event belongs to.
pub const TASKS_WITHOUT_LEDGER: &str = "active_tasks_without_ledger";
/// Ledger events by hour.
pub const LEDGER_EVENTS: &str = "ledger_events";
/// Proofs and verifications by hour.
pub const VERIFICATIONS: &str = "verifications";

/// Each count as a query that returns (bucket, value) rows over the tables themselves.
pub const DEFINITIONS: &[(&str, &str)] = &[
    (
        POLICIES_ACTIVE,
        "SELECT 0 AS bucket, count(*) AS value FROM private_policy WHERE status = 'active' AND is_test = 0",
    ),
    (
        GOTCHAS_ACTIVE,
        "SELECT 0 AS bucket, count(*) AS value FROM gotcha WHERE status = 'active' AND is_test = 0",
    ),
    (LEARNED_TOTAL, "SELECT 0 AS bucket, count(*) AS value FROM learned WHERE is_test = 0"),
    (
        TASKS_ACTIVE,
        "SELECT 0 AS bucket, count(*) AS value FROM tasks WHERE status = 'active' AND is_test = 0",
    ),
    (
        TASKS_WITHOUT_LEDGER,
        "SELECT 0 AS bucket, count(*) AS value FROM tasks t WHERE status = 'active' AND is_test = 0 \
         AND NOT EXISTS (SELECT 1 FROM ledger_events e WHERE e.task_id = t.id)",
    ),
    (
        LEDGER_EVENTS,
        "SELECT unixepoch(created_at) / 3600 AS bucket, count(*) AS value FROM ledger_events WHERE is_test = 0 GROUP BY 1",
    ),
    (
        VERIFICATIONS,
        "SELECT unixepoch(created_at) / 3600 AS bucket, count(*) AS value FROM verification_events WHERE is_test = 0 \
         GROUP BY 1",
    ),
];

/// The blocking verifications that no later acceptable one for the same task or proof has cleared, as rows for
/// `open_blockers`.
pub const OPEN_BLOCKERS: &str = "SELECT b.id AS verification_id, b.created_at, b.task_id, b.proof_id FROM verification_events b \
     WHERE b.is_test = 0 \
     AND b.conclusion IN ('VERIFICATION_FAILED', 'NEEDS_HUMAN_DECISION', 'STRUCTURAL_REWORK_RECOMMENDED') \
     AND NOT EXISTS (SELECT 1 FROM verification_events a \
        WHERE a.conclusion IN ('VERIFIED_ACCEPTABLE', 'ACCEPTABLE_WITH_CONCERNS') AND a.is_test = 0 \
        AND (a.task_id = b.task_id OR a.proof_id = b.proof_id OR a.proof_id = b.id) \
        AND (a.created_at, a.id) > (b.created_at, b.id))";

/// The hour of a time, the bucket of counts over time.
pub fn hour(at: Timestamp) -> i64 {
    at.micros().div_euclid(3_600_000_000)
}

/// Applies the changes of a batch.
pub(super) fn flush(connection: &Connection, deltas: &mut Deltas) -> rusqlite::Result<()> {
    for ((name, bucket), delta) in deltas.drain().filter(|(_, delta)| *delta != 0) {
        execute(
            connection,
            "INSERT INTO counters (name, bucket, value) VALUES ($1, $2, $3) \
             ON CONFLICT (name, bucket) DO UPDATE SET value = value + excluded.value",
            &[Cell::Text(name), Cell::Integer(bucket), Cell::Integer(delta)],
        )?;
    }
    Ok(())
}

/// Computes all counts anew.
pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "DELETE FROM counters", &[])?;
    for (name, definition) in DEFINITIONS {
        let sql = format!(
            "INSERT INTO counters (name, bucket, value) SELECT $1, bucket, value FROM ({definition})"
        );
        execute(connection, &sql, &[Cell::Text(name)])?;
    }
    execute(connection, "DELETE FROM open_blockers", &[])?;
    execute(
        connection,
        &format!(
            "INSERT INTO open_blockers (verification_id, created_at, task_id, proof_id) {OPEN_BLOCKERS}"
        ),
        &[],
    )?;
    Ok(())
}

/// Notes what a change of one row means for the counts.
pub(super) fn changed(
    connection: &Connection,
    deltas: &mut Deltas,
    table: &Table,
    before: Option<&[Cell<'_>]>,
    after: Option<&[Cell<'_>]>,
) -> rusqlite::Result<()> {
    for (cells, sign) in [(before, -1), (after, 1)] {
        let Some(cells) = cells else { continue };
        let row = Named { table, cells };
        if table.name == "ledger_events" {
            ledger_event(connection, deltas, &row, sign)?;
        }
        if row.integer("is_test") != 0 {
            continue;
        }
        let active = row.text("status") == Some("active");
        match table.name.as_str() {
            "private_policy" if active => add(deltas, POLICIES_ACTIVE, 0, sign),
            "gotcha" if active => add(deltas, GOTCHAS_ACTIVE, 0, sign),
            "learned" => add(deltas, LEARNED_TOTAL, 0, sign),
            "tasks" if active => {
                add(deltas, TASKS_ACTIVE, 0, sign);
                // Nothing can name a task that is only just made: ids are not guessed.
                let new = before.is_none();
                if new || !has_ledger(connection, row.text("id"))? {
                    add(deltas, TASKS_WITHOUT_LEDGER, 0, sign);
                }
            }
            "verification_events" => {
                add(deltas, VERIFICATIONS, row.bucket(), sign);
                if sign > 0 && before.is_none() {
                    new_verification(connection, &row)?;
                } else {
                    settle(connection, &row)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn add(deltas: &mut Deltas, name: &'static str, bucket: i64, delta: i64) {
    *deltas.entry((name, bucket)).or_insert(0) += delta;
}

fn has_ledger(connection: &Connection, task_id: Option<&str>) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM ledger_events WHERE task_id = $1 LIMIT 1";
    Ok(!query(connection, sql, &[task_id.into()])?.is_empty())
}

/// A ledger event takes its task off the list of those without one, and the last to go puts it back. The row itself
/// is already written or gone.
fn ledger_event(
    connection: &Connection,
    deltas: &mut Deltas,
    row: &Named<'_>,
    sign: i64,
) -> rusqlite::Result<()> {
    if row.integer("is_test") == 0 {
        add(deltas, LEDGER_EVENTS, row.bucket(), sign);
    }
    let Some(task_id) = row.text("task_id") else { return Ok(()) };
    let sql = "SELECT 1 FROM tasks WHERE id = $1 AND status = 'active' AND is_test = 0 \
               AND NOT EXISTS (SELECT 1 FROM ledger_events WHERE task_id = $1 AND id <> $2)";
    if !query(connection, sql, &[Cell::Text(task_id), row.get("id")])?.is_empty() {
        add(deltas, TASKS_WITHOUT_LEDGER, 0, -sign);
    }
    Ok(())
}

/// A new verification is later than all others: it blocks, or it clears what it covers.
fn new_verification(connection: &Connection, row: &Named<'_>) -> rusqlite::Result<()> {
    let conclusion = row.text("conclusion").unwrap_or_default();
    let (task_id, proof_id) = (row.get("task_id"), row.get("proof_id"));
    if BLOCKING.contains(&conclusion) {
        execute(
            connection,
            "INSERT INTO open_blockers (verification_id, created_at, task_id, proof_id) VALUES ($1, $2, $3, $4)",
            &[row.get("id"), row.get("created_at"), task_id, proof_id],
        )?;
    } else if ACCEPTABLE.contains(&conclusion) {
        execute(connection, "DELETE FROM open_blockers WHERE task_id = $1", &[task_id])?;
        execute(connection, "DELETE FROM open_blockers WHERE proof_id = $1", &[proof_id])?;
        // The proof that is covered may be the blocking verification itself.
        execute(connection, "DELETE FROM open_blockers WHERE verification_id = $1", &[proof_id])?;
    }
    Ok(())
}

/// A verification that was changed or deleted may have covered others, which block again: everything that it has to do
/// with is judged anew. The row itself is already written or gone.
fn settle(connection: &Connection, row: &Named<'_>) -> rusqlite::Result<()> {
    // SQLite numbers `$` parameters as they come, so each must appear first in the order of the list.
    let concerned = [row.get("id"), row.get("proof_id"), row.get("task_id")];
    execute(
        connection,
        "DELETE FROM open_blockers WHERE verification_id IN ($1, $2) OR task_id = $3 OR proof_id = $2",
        &concerned,
    )?;
    let sql = format!(
        "INSERT INTO open_blockers (verification_id, created_at, task_id, proof_id) {OPEN_BLOCKERS} \
         AND (b.id IN ($1, $2) OR b.task_id = $3 OR b.proof_id = $2)"
    );
    execute(connection, &sql, &concerned).map(drop)
}

struct Named<'a> {
    table: &'a Table,
    cells: &'a [Cell<'a>],
}

impl<'a> Named<'a> {
    fn get(&self, column: &str) -> Cell<'a> {
        let at = self.table.columns.iter().position(|name| name == column);
        at.map_or(Cell::Null, |at| self.cells[at])
    }

    fn text(&self, column: &str) -> Option<&'a str> {
        match self.get(column) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    fn integer(&self, column: &str) -> i64 {
        match self.get(column) {
            Cell::Integer(number) => number,
            _ => 0,
        }
    }

    fn bucket(&self) -> i64 {
        self.text("created_at").and_then(Timestamp::parse).map_or(0, hour)
    }
}
