//! What can be computed from other rows: counts, open blockers and the search index.

use std::collections::BTreeMap;

use kaizen_proto::denial::{Code, Denial};
use rusqlite::Connection;

use super::findings::{Check, Findings, Place};
use crate::plane::counters::{self, DEFINITIONS, OPEN_BLOCKERS};
use crate::plane::search_index::{self, SEARCHED, Searched};
use crate::plane::write_tx::each;
use crate::plane::writer::Writer;
use crate::plane::{fault, write_tx};

/// Compares everything that is derived with what it is derived from.
pub(super) fn compare(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    counts(connection, findings)?;
    blockers(connection, findings)?;
    search(connection, findings)
}

fn counts(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let mut due: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for (name, definition) in DEFINITIONS {
        each(connection, definition, |row| {
            due.insert(((*name).to_owned(), row.integer("bucket")), row.integer("value"));
            Ok(())
        })?;
    }
    due.retain(|_, value| *value != 0);
    let mut wrong = |name: &str, bucket: i64, stored: i64, due: i64| {
        let id = format!("{name}/{bucket}");
        findings.add(
            Check::Derived,
            Place::row("counters", &id),
            format!("the count is {stored} instead of {due}"),
        );
    };
    each(connection, "SELECT name, bucket, value FROM counters WHERE value <> 0", |row| {
        let (name, bucket, stored) = (row.text("name"), row.integer("bucket"), row.integer("value"));
        let due = due.remove(&(name.to_owned(), bucket)).unwrap_or(0);
        if stored != due {
            wrong(name, bucket, stored, due);
        }
        Ok(())
    })?;
    for ((name, bucket), due) in due {
        wrong(&name, bucket, 0, due);
    }
    Ok(())
}

fn blockers(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let stored = "SELECT verification_id, created_at, task_id, proof_id FROM open_blockers";
    for (these, those, problem) in [
        (OPEN_BLOCKERS, stored, "the verification blocks, but is not on the list of open blockers"),
        (stored, OPEN_BLOCKERS, "the entry on the list of open blockers is not one that blocks"),
    ] {
        each(connection, &format!("{these} EXCEPT {those}"), |row| {
            findings.add(Check::Derived, Place::row("open_blockers", row.text("verification_id")), problem);
            Ok(())
        })?;
    }
    Ok(())
}

fn search(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    for Searched { table, status, task, .. } in SEARCHED {
        let same = |column: &str, stored: &str| match column {
            "" => format!("s.{stored} IS NULL"),
            column => format!("s.{stored} IS t.\"{column}\""),
        };
        let sql = format!(
            "SELECT t.id, s.number IS NULL AS missing FROM {table} t \
             LEFT JOIN search_rows s ON s.record_id = t.id AND s.record_table = '{table}' \
             WHERE s.number IS NULL OR NOT (s.created_at = t.created_at AND s.is_test = t.is_test AND {} AND {})",
            same(status, "status"),
            same(task, "task_id"),
        );
        each(connection, &sql, |row| {
            let problem = match row.integer("missing") {
                0 => "the search index has another time, status or task for the row",
                _ => "the row is not in the search index",
            };
            findings.add(Check::Derived, Place::row(table, row.text("id")), problem);
            Ok(())
        })?;
        let sql = format!(
            "SELECT s.record_id FROM search_rows s WHERE s.record_table = '{table}' \
             AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = s.record_id)"
        );
        each(connection, &sql, |row| {
            let place = Place::row("search_rows", row.text("record_id"));
            let problem = format!("the search index knows a row that is not in {table}");
            findings.add(Check::Derived, place, problem);
            Ok(())
        })?;
    }
    let quoted = |wanted: &dyn Fn(&Searched) -> bool| {
        let tables = SEARCHED.iter().filter(|searched| wanted(searched));
        tables.map(|searched| format!("'{}'", searched.table)).collect::<Vec<_>>().join(", ")
    };
    let strays = [
        format!(
            "SELECT record_id AS id, 'the table is not one that is searched' AS problem FROM search_rows \
             WHERE record_table NOT IN ({})",
            quoted(&|_| true)
        ),
        without_text("search_words", &quoted(&|_| true)),
        without_text("search_text", &quoted(&|searched| !searched.substring.is_empty())),
        without_row("search_words"),
        without_row("search_text"),
    ];
    for sql in strays {
        each(connection, &sql, |row| {
            findings.add(Check::Derived, Place::row("search_rows", row.text("id")), row.text("problem"));
            Ok(())
        })?;
    }
    Ok(())
}

fn without_text(index: &str, tables: &str) -> String {
    format!(
        "SELECT record_id AS id, 'the row has a number, but no text in {index}' AS problem FROM search_rows s \
         WHERE s.record_table IN ({tables}) AND NOT EXISTS (SELECT 1 FROM {index}_docsize d WHERE d.id = s.number)"
    )
}

fn without_row(index: &str) -> String {
    format!(
        "SELECT CAST(d.id AS TEXT) AS id, '{index} holds a text that belongs to no row' AS problem \
         FROM {index}_docsize d WHERE NOT EXISTS (SELECT 1 FROM search_rows s WHERE s.number = d.id)"
    )
}

/// Computes everything that is derived anew, in one transaction.
///
/// # Errors
/// What SQLite denies; nothing has changed then.
pub(super) fn rebuild(writer: &mut Writer) -> Result<(), Denial> {
    let connection = writer.connection();
    let run = |sql: &str| connection.execute_batch(sql);
    let rebuilt = run("BEGIN IMMEDIATE")
        .and_then(|()| counters::rebuild(connection))
        .and_then(|()| search_index::rebuild(connection))
        .and_then(|()| run("INSERT INTO search_text (search_text) VALUES ('integrity-check')"))
        .and_then(|()| run("INSERT INTO search_words (search_words) VALUES ('integrity-check')"));
    let ended = match rebuilt {
        Ok(()) => run("COMMIT").inspect_err(|_| {
            // What of it is on disk only another check can tell.
            writer.shared().set_suspect(true);
        }),
        failed => failed,
    };
    if ended.is_err()
        && !connection.is_autocommit()
        && let Err(error) = run("ROLLBACK")
    {
        tracing::error!(%error, "could not roll back");
        writer.shared().close();
    }
    ended.map_err(|error| fault::from_rusqlite("rebuild what is derived", &error))
}

/// Lets a plane write again that a failed sync had closed for writes. What has only reached the log is written to the
/// database and synced first, so that nothing depends on what the failed sync may have dropped. Says whether
/// the plane was closed for writes.
///
/// # Errors
/// `DENIED_DATABASE_LOCKED` while a reader stands in the way, or what SQLite denies; the plane stays as it was.
pub(super) fn trust(writer: &mut Writer) -> Result<bool, Denial> {
    if !writer.shared().is_suspect() {
        return Ok(false);
    }
    let fail = |error: rusqlite::Error| fault::from_rusqlite("write the log back", &error);
    let outcome =
        write_tx::query(writer.connection(), "PRAGMA wal_checkpoint(TRUNCATE)", &[]).map_err(fail)?;
    if outcome.first().is_some_and(|row| row.integer("busy") != 0) {
        return Err(Denial::new(Code::DatabaseLocked).message("a reader holds the log"));
    }
    writer.shared().set_suspect(false);
    Ok(true)
}
