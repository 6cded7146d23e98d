//! The full check of a data plane: everything that its tables promise, read from one snapshot.
//!
//! Each part of the check stands in a module of its own. Faults never end a check: what is damaged in one place must
//! not hide what is damaged in another.

pub(super) mod content;
mod derived;
mod file;
mod findings;
mod journal;
mod references;
#[cfg(test)]
pub(super) mod tests;

use std::path::Path;

use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::{Integrity, JournalState, OrphanedRelationship, SchemaState};
use kaizen_proto::time::Timestamp;
use rusqlite::Connection;

use self::findings::{Check, Findings};
use crate::plane::writer::Writer;
use crate::plane::{Plane, fault, migrate, open, schema, tables};

/// Restores a version row that is missing or of an older version, and returns the state of the schema.
pub(crate) fn repair_version(writer: &mut Writer) -> Result<SchemaState, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("read the schema", &error);
    let path = writer.shared().db_path.clone();
    // The migrations have run, so the tables are newer than such a row says.
    let older = "DELETE FROM schema_version WHERE schema_version < ?1";
    writer.connection().execute(older, [schema::VERSION]).map_err(fail)?;
    let state = schema::state(writer.connection(), &path).map_err(fail)?;
    if state.schema_version.is_some() {
        return Ok(state);
    }
    migrate::stamp(writer.connection(), schema::manifest_hash(), &Timestamp::now().to_string())
        .map_err(fail)?;
    schema::state(writer.connection(), &path).map_err(fail)
}

/// Creates what is missing of the tables and indexes that the original had, as K1 has always done. Rows that a lost
/// table held stay lost, and the journal tells of them.
pub(crate) fn create_missing(writer: &mut Writer) -> Result<(), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("create what is missing", &error);
    let missing = file::missing(writer.connection(), &migrate::original_tables())?;
    if missing.is_empty() {
        return Ok(());
    }
    tracing::warn!(count = missing.len(), "creating tables and indexes that are missing");
    let transaction = writer.connection().unchecked_transaction().map_err(fail)?;
    missing.iter().try_for_each(|sql| transaction.execute_batch(sql)).map_err(fail)?;
    transaction.commit().map_err(fail)
}

/// Stores the manifest hash of this release.
pub(crate) fn restamp(writer: &mut Writer) -> Result<(), Denial> {
    migrate::stamp(writer.connection(), schema::manifest_hash(), &Timestamp::now().to_string())
        .map_err(|error| fault::from_rusqlite("store the manifest hash", &error))
}

/// What was found in one snapshot.
struct Found {
    findings: Findings,
    orphans: Vec<OrphanedRelationship>,
    rows_checked: usize,
    journal: JournalState,
}

impl Found {
    fn total_orphans(&self) -> usize {
        self.orphans.iter().map(|relationship| relationship.orphans).sum()
    }

    /// Whether nothing is wrong but what can be computed anew.
    fn only_derived(&self) -> bool {
        self.total_orphans() == 0 && self.findings.total() == self.findings.count(Check::Derived)
    }
}

/// Checks everything, on one snapshot and with a connection of its own. When only derived data is wrong, it is computed
/// anew; a plane that was closed for writes after a failed sync is opened again when nothing else is wrong.
///
/// # Errors
/// What stands in the way of reading. What is wrong with the plane is part of the outcome.
pub async fn check(plane: &Plane) -> Result<Integrity, Denial> {
    let db_path = plane.db_path().to_path_buf();
    let mut found = super::blocking(move || examine(&db_path)).await?;
    let mut note = format!(
        "Checked on one snapshot: the file, foreign keys, {} references, content hashes, revisions, the journal from its \
         first entry, every row against the journal, derived data and the schema.",
        references::checked()
    );
    let faults = found.findings.summary();
    if !faults.is_empty() {
        note.push_str(&format!(" Faults: {faults}."));
    }
    let mut ok = found.only_derived();
    if ok && found.findings.total() > 0 {
        match plane.chore(derived::rebuild).await {
            Ok(()) => {
                found.findings.remark(Check::Derived, "; rebuilt");
                note.push_str(" Derived data was wrong and has been rebuilt, so these faults are mended.");
            }
            Err(denial) => {
                ok = false;
                note.push_str(&format!(" Derived data could not be rebuilt: {denial}."));
            }
        }
    }
    if ok {
        match plane.chore(derived::trust).await {
            Ok(false) => {}
            Ok(true) => note.push_str(" The plane takes writes again."),
            Err(denial) => note.push_str(&format!(" The plane takes no writes yet: {denial}.")),
        }
    }
    Ok(outcome(found, ok, note))
}

/// Checks a database that is not open as a plane, and mends nothing. Says too whether only derived data is wrong.
///
/// # Errors
/// What stands in the way of reading.
pub(crate) fn look(db_path: &Path) -> Result<(Integrity, bool), Denial> {
    let found = examine(db_path)?;
    let only_derived = found.only_derived();
    let ok = only_derived && found.findings.total() == 0;
    let faults = found.findings.summary();
    let note = if faults.is_empty() { "Checked in full.".to_owned() } else { format!("Faults: {faults}.") };
    Ok((outcome(found, ok, note), only_derived))
}

fn outcome(found: Found, ok: bool, note: String) -> Integrity {
    Integrity {
        ok,
        total_orphans: found.total_orphans(),
        relationships_checked: references::checked(),
        orphaned_relationships: found.orphans,
        total_faults: found.findings.total(),
        faults: found.findings.into_faults(),
        rows_checked: found.rows_checked,
        journal: found.journal,
        note,
    }
}

/// Reads the snapshot.
fn examine(db_path: &Path) -> Result<Found, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("check the data plane", &error);
    let mut connection = open::reader_connection(db_path)?;
    connection
        .execute_batch(
            "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
             PRAGMA cache_size = -16000;",
        )
        .map_err(fail)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(fail)?;
    let snapshot = connection.transaction().map_err(fail)?;
    inspect(&snapshot, &migrate::fresh()?)
}

/// Checks what a connection sees, beside a database that has the schema and nothing else.
fn inspect(snapshot: &Connection, fresh: &Connection) -> Result<Found, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("check the data plane", &error);
    let tables = tables::read(fresh).map_err(fail)?;
    let mut findings = Findings::default();

    let (journal, rows_checked) = against_journal(snapshot, &tables, &mut findings)?;
    let hashes = content::revisions(snapshot, &mut findings);
    findings.finished("revisions", hashes)?;
    let hashes = content::single_rows(snapshot, &mut findings);
    findings.finished("content hashes", hashes)?;
    let mut orphans = Vec::new();
    let referred = references::orphans(snapshot, &mut orphans);
    findings.finished("references", referred)?;
    let enforced = file::foreign_keys(snapshot, &tables, &mut findings);
    findings.finished("foreign keys", enforced)?;
    let structure = file::structure(snapshot, &mut findings);
    findings.finished("the file", structure)?;
    let defined = file::schema(snapshot, fresh, &mut findings);
    findings.finished("the schema", defined)?;
    let compared = derived::compare(snapshot, &mut findings);
    findings.finished("derived data", compared)?;
    Ok(Found { findings, orphans, rows_checked, journal })
}

/// The journal, and every row that it covers. Returns how many rows there are.
fn against_journal(
    snapshot: &Connection,
    tables: &tables::Tables,
    findings: &mut Findings,
) -> Result<(JournalState, usize), Denial> {
    let mut told = journal::Told::new(tables);
    let mut chain = journal::Chain::new();
    let followed = chain.follow(snapshot, &mut told, findings);
    // Without the whole journal nothing can be said about the rows.
    let rows =
        if findings.finished("the journal", followed)? { compare_rows(snapshot, told, findings)? } else { 0 };
    Ok((chain.state, rows))
}

fn compare_rows(
    snapshot: &Connection,
    told: journal::Told<'_>,
    findings: &mut Findings,
) -> Result<usize, Denial> {
    let mut failed = None;
    let compared = journal::rows(snapshot, told, findings, |findings, table, outcome| {
        findings.finished(&format!("the rows of {table}"), outcome).unwrap_or_else(|denial| {
            failed.get_or_insert(denial);
            false
        })
    });
    failed.map_or(Ok(compared), Err)
}
