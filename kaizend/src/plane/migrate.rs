//! Bringing a database to the schema of this release: forward only, one transaction for each migration.

use std::path::Path;

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::id;
use kaizen_proto::time::Timestamp;
use rusqlite::Connection;

use super::value::Cell;
use super::write_tx::{execute, query};
use super::{counters, fault, journal, schema, search_index};
use crate::care::backup;

/// One migration. Once it has been released its text never changes; a test compares the list with the folder.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub version: i64,
    /// The file's name without number and ending.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// All migrations, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "foundation",
        sql: include_str!("../../../migrations/0001_foundation.sql"),
    },
    Migration { version: 2, name: "journal", sql: include_str!("../../../migrations/0002_journal.sql") },
    Migration { version: 3, name: "families", sql: include_str!("../../../migrations/0003_families.sql") },
    Migration { version: 4, name: "evidence", sql: include_str!("../../../migrations/0004_evidence.sql") },
];

/// The tables of the original's schema, in the order of their creation.
pub fn original_tables() -> Vec<&'static str> {
    let created = MIGRATIONS[0].sql.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
    created.filter_map(|rest| rest.split_whitespace().next()).collect()
}

/// Applies what is pending. A database that already holds records is backed up first.
///
/// # Errors
/// `DENIED_SCHEMA_STATUS` for a newer or an altered history, `DENIED_FOREIGN_DATABASE` for tables that are not ours,
/// or what SQLite denies; nothing of a failed migration stays.
pub(super) fn run(connection: &mut Connection, db_path: &Path) -> Result<(), Denial> {
    let applied = applied(connection, db_path)?;
    if (1..MIGRATIONS.len()).contains(&applied) {
        back_up(connection, db_path, applied)?;
    }
    run_on_copy(connection, db_path)
}

/// [`run`] without a backup, for a database that is itself a copy.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_on_copy(connection: &mut Connection, db_path: &Path) -> Result<(), Denial> {
    let applied = applied(connection, db_path)?;
    let pending = &MIGRATIONS[applied..];
    if pending.is_empty() {
        return Ok(());
    }
    let stamped = stored_manifest(connection, applied)?;
    // Whoever altered the schema by hand should hear of it, so only a known stamp is renewed.
    let renew = applied == 0 || stamped.as_deref() == Some(schema::manifest_hash_of(applied).as_str());
    connection
        .execute_batch("PRAGMA foreign_keys = OFF")
        .map_err(|error| fault::from_rusqlite("migrate", &error))?;
    for migration in pending {
        tracing::info!(version = migration.version, name = migration.name, "migrating");
        apply(connection, db_path, migration, renew)?;
    }
    connection
        .execute_batch("PRAGMA foreign_keys = ON")
        .map_err(|error| fault::from_rusqlite("migrate", &error))
}

/// A database in memory with the schema of this release and nothing in it, to compare others with.
pub(crate) fn fresh() -> Result<Connection, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("make a database to compare with", &error);
    let mut connection = Connection::open_in_memory().map_err(fail)?;
    for migration in MIGRATIONS {
        apply(&mut connection, Path::new(":memory:"), migration, true)?;
    }
    Ok(connection)
}

/// How many migrations the database has, when they are those of this release.
pub(super) fn applied(connection: &Connection, db_path: &Path) -> Result<usize, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("read the migrations", &error);
    let tables =
        query(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'", &[]).map_err(fail)?;
    if tables.is_empty() {
        return Ok(0);
    }
    if tables.iter().all(|row| row.text("name") != "migrations") {
        return Err(Denial::new(Code::ForeignDatabase)
            .with("db_path", db_path.display().to_string())
            .with("reason", "the database holds tables that this program did not make"));
    }
    let rows = query(connection, "SELECT version, name, sha256 FROM migrations ORDER BY version", &[])
        .map_err(fail)?;
    if rows.len() > MIGRATIONS.len() {
        let reason = format!(
            "the database has {} migrations, this release knows {}: a newer release wrote it",
            rows.len(),
            MIGRATIONS.len()
        );
        return Err(schema::status(db_path, &reason)
            .action("Install the release that wrote the database, or a newer one."));
    }
    for (row, known) in rows.iter().zip(MIGRATIONS) {
        if row.integer("version") != known.version || row.text("sha256") != sha256_hex(known.sql.as_bytes()) {
            let reason =
                format!("migration {} of the database is not the one of this release", row.text("name"));
            return Err(schema::status(db_path, &reason));
        }
    }
    Ok(rows.len())
}

fn stored_manifest(connection: &Connection, applied: usize) -> Result<Option<String>, Denial> {
    if applied == 0 {
        return Ok(None);
    }
    let rows = query(connection, schema::VERSION_SQL, &[])
        .map_err(|error| fault::from_rusqlite("read the schema version", &error))?;
    Ok(rows.first().and_then(|row| row.optional_text("manifest_hash")).map(str::to_owned))
}

fn apply(
    connection: &mut Connection,
    db_path: &Path,
    migration: &Migration,
    renew: bool,
) -> Result<(), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("migrate the database", &error);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fail)?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, \
             sha256 TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT",
        )
        .map_err(fail)?;
    transaction.execute_batch(migration.sql).map_err(fail)?;
    let now = Timestamp::now().to_string();
    execute(
        &transaction,
        "INSERT INTO migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
        &[
            Cell::Integer(migration.version),
            Cell::Text(migration.name),
            Cell::Text(&sha256_hex(migration.sql.as_bytes())),
            Cell::Text(&now),
        ],
    )
    .map_err(fail)?;
    if migration.name == "journal" {
        execute(
            &transaction,
            "INSERT INTO plane_head (plane_id, seq, chain_hash) VALUES ($1, 0, $2)",
            &[Cell::Text(&id::new("plane")), Cell::Text(journal::GENESIS)],
        )
        .map_err(fail)?;
    }
    if renew {
        let count = usize::try_from(migration.version).unwrap_or(usize::MAX);
        stamp(&transaction, &schema::manifest_hash_of(count), &now).map_err(fail)?;
    }
    // With the last migration, and in its transaction, so that no kill can leave the new schema without what is derived.
    if usize::try_from(migration.version) == Ok(MIGRATIONS.len()) {
        counters::rebuild(&transaction).and_then(|()| search_index::rebuild(&transaction)).map_err(fail)?;
    }
    if !query(&transaction, "PRAGMA foreign_key_check", &[]).map_err(fail)?.is_empty() {
        let reason = format!("migration {} would leave rows without their parents", migration.name);
        return Err(schema::status(db_path, &reason));
    }
    transaction.commit().map_err(fail)
}

/// Writes the version row.
pub(crate) fn stamp(connection: &Connection, manifest_hash: &str, now: &str) -> rusqlite::Result<()> {
    execute(
        connection,
        "INSERT INTO schema_version (id, schema_version, migration_id, applied_at, tool_version, manifest_hash) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET \
         tool_version = excluded.tool_version, manifest_hash = excluded.manifest_hash",
        &[
            Cell::Text(schema::ROW_ID),
            Cell::Integer(schema::VERSION),
            Cell::Text(schema::MIGRATION_ID),
            Cell::Text(now),
            Cell::Text(kaizen_proto::VERSION),
            Cell::Text(manifest_hash),
        ],
    )
    .map(drop)
}

fn back_up(connection: &Connection, db_path: &Path, applied: usize) -> Result<(), Denial> {
    let stamp = Timestamp::now().file_stamp();
    let directory = backup::directory_of(db_path).join(format!("{stamp}-before-migration-{}", applied + 1));
    backup::make(connection, db_path, None, &directory, backup::Kind::Migration).map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> = MIGRATIONS
            .iter()
            .map(|migration| format!("{:04}_{}.sql", migration.version, migration.name))
            .collect();
        assert_eq!(files, listed);
    }

    #[test]
    fn the_original_has_36_tables() {
        assert_eq!(original_tables().len(), 36);
    }

    #[test]
    fn a_fresh_database_is_stamped_and_a_second_run_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, Path::new("/nowhere/kaizen.db")).unwrap();
        assert_eq!(schema::verdict(&connection).unwrap(), schema::Verdict::Good);
        let changes = connection.total_changes();
        run(&mut connection, Path::new("/nowhere/kaizen.db")).unwrap();
        assert_eq!(connection.total_changes(), changes);
    }
}
