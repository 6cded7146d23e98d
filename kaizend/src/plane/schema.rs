//! Whether a database has the schema that this release works with.

use std::path::Path;

use kaizen_proto::canonical_json;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{Migrations, SchemaState};
use rusqlite::Connection;
use serde_json::json;

use super::write_tx::query;
use super::{fault, migrate, open};

/// Version of the original's tables.
pub const VERSION: i64 = 1;
/// Name of the original's schema.
pub const MIGRATION_ID: &str = "kaizen-system-foundation-v1";
/// The row of `schema_version`.
pub const ROW_ID: &str = "kaizen";
/// What is read of the version row.
pub const VERSION_SQL: &str = "SELECT schema_version, migration_id, applied_at, tool_version, manifest_hash FROM schema_version LIMIT 1";

/// What the version row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As this release expects.
    Good,
    /// The definitions are not those of this release. Reads stay open.
    Drifted {
        /// The stored hash.
        stored: Option<String>,
    },
    /// Not a schema that this release knows.
    Wrong {
        /// Why.
        reason: String,
    },
}

/// The hash over the definitions that this release knows. The release's own number is no part of it, else every
/// upgrade would look like drift.
pub fn manifest_hash() -> &'static str {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HASH.get_or_init(|| manifest_hash_of(migrate::MIGRATIONS.len()))
}

/// The manifest hash of a database that has the first `count` migrations.
pub(super) fn manifest_hash_of(count: usize) -> String {
    let ddl: String = migrate::MIGRATIONS.iter().take(count).map(|migration| migration.sql).collect();
    canonical_json::hash(&json!({
        "schema_version": VERSION,
        "migration_id": MIGRATION_ID,
        "ddl_sha256": canonical_json::sha256_hex(ddl.as_bytes()),
        "tables": migrate::original_tables(),
    }))
}

/// Judges the version row.
pub fn verdict(connection: &Connection) -> rusqlite::Result<Verdict> {
    Ok(judge(query(connection, VERSION_SQL, &[])?.first()))
}

/// Judges a version row that was read with [`VERSION_SQL`].
pub fn judge(row: Option<&super::value::Row>) -> Verdict {
    let Some(row) = row else {
        return Verdict::Wrong { reason: "the schema_version row is missing".into() };
    };
    let (version, migration_id) = (row.integer("schema_version"), row.text("migration_id"));
    if version != VERSION {
        return Verdict::Wrong { reason: format!("schema version {version}, this release knows {VERSION}") };
    }
    if migration_id != MIGRATION_ID {
        return Verdict::Wrong {
            reason: format!("schema {migration_id}, this release knows {MIGRATION_ID}"),
        };
    }
    match row.optional_text("manifest_hash") {
        Some(stored) if stored == manifest_hash() => Verdict::Good,
        stored => Verdict::Drifted { stored: stored.map(str::to_owned) },
    }
}

/// The denial for a schema that is not ours.
pub fn status(db_path: &Path, reason: &str) -> Denial {
    Denial::new(Code::SchemaStatus).with("reason", reason).with("db_path", db_path.display().to_string())
}

/// The denial for definitions that are not those of this release.
pub fn drift(db_path: &Path, stored: Option<&str>) -> Denial {
    Denial::new(Code::SchemaDrift)
        .with("db_path", db_path.display().to_string())
        .with("stored_manifest_hash", stored)
        .with("expected_manifest_hash", manifest_hash())
}

/// The state of a database that does not exist.
pub fn absent(db_path: &Path) -> SchemaState {
    SchemaState {
        db_path: db_path.display().to_string(),
        exists: false,
        schema_version: None,
        migration_id: None,
        applied_at: None,
        tool_version: None,
        manifest_hash: None,
        expected_schema_version: VERSION,
        expected_migration_id: MIGRATION_ID.into(),
        expected_manifest_hash: None,
        manifest_match: None,
        schema_ok: false,
        reason: None,
        migrations: None,
    }
}

/// What [`state_of`] needs of a database that has our tables: one row, whether or not the version row is there.
/// The same, with the number of the last journal entry, for those who begin to read.
pub const READ_SQL: &str = "SELECT schema_version, migration_id, applied_at, tool_version, manifest_hash, \
    (SELECT seq FROM plane_head) AS seq FROM schema_version LIMIT 1";
/// What is read of the state of a schema.
pub const STATE_SQL: &str = "SELECT v.schema_version, v.migration_id, v.applied_at, v.tool_version, v.manifest_hash, \
    (SELECT count(*) FROM migrations) AS applied \
    FROM (SELECT 1) LEFT JOIN (SELECT * FROM schema_version LIMIT 1) v ON true";

/// The state of a database that exists, from a row of [`STATE_SQL`]; without one, of a database that is not ours.
pub fn state_of(row: Option<&super::value::Row>, db_path: &Path) -> SchemaState {
    let mut state = SchemaState { exists: true, ..absent(db_path) };
    state.migrations = row.map(|row| Migrations {
        applied: row.integer("applied"),
        known: i64::try_from(migrate::MIGRATIONS.len()).unwrap_or(i64::MAX),
    });
    let row = row.filter(|row| row.optional_text("migration_id").is_some());
    let verdict = judge(row);
    if let Verdict::Wrong { reason } = &verdict {
        state.reason = Some(reason.clone());
    }
    let Some(row) = row else { return state };
    let stored = row.optional_text("manifest_hash").map(str::to_owned);
    state.schema_version = Some(row.integer("schema_version"));
    state.migration_id = Some(row.text("migration_id").to_owned());
    state.applied_at = Some(row.text("applied_at").to_owned());
    state.tool_version = Some(row.text("tool_version").to_owned());
    state.manifest_match = Some(stored.as_deref() == Some(manifest_hash()));
    state.manifest_hash = stored;
    state.expected_manifest_hash = Some(manifest_hash().to_owned());
    state.schema_ok = !matches!(verdict, Verdict::Wrong { .. });
    state
}

/// The state of a database that is not open, without opening it as a plane.
///
/// # Errors
/// `DENIED_FOREIGN_DATABASE`, or what SQLite denies.
pub fn look(db_path: &Path) -> Result<SchemaState, Denial> {
    if !db_path.exists() {
        return Ok(absent(db_path));
    }
    open::sniff(db_path)?;
    let fail = |error: rusqlite::Error| fault::from_rusqlite("read the schema", &error);
    let connection = open::reader_connection(db_path)?;
    state(&connection, db_path).map_err(fail)
}

/// The state of a database that exists, read through a connection of its own.
pub fn state(connection: &Connection, db_path: &Path) -> rusqlite::Result<SchemaState> {
    let tables = query(
        connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('schema_version', 'migrations')",
        &[],
    )?;
    let rows = if tables.len() == 2 { query(connection, STATE_SQL, &[])? } else { Vec::new() };
    Ok(state_of(rows.first(), db_path))
}
