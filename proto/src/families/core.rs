//! Core (K): finding operations, and looking after the data plane as a whole.

use std::collections::BTreeMap;

mod backup;
mod export;
mod look;
mod purge;

pub use backup::*;
pub use export::*;
pub use look::*;
pub use purge::*;

use crate::operation::{NO_TWINS, Status};

crate::params! {
    /// What the operation should do.
    OperationWanted {
        /// Words that say what is to be done; every operation when absent.
        query: Option<String>,
        /// At most this many operations; 5 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
    }

    /// What to check.
    CheckPlane {
        /// Check every row, reference, hash and the journal too.
        integrity: bool,
        /// Accept the schema as it is now: store its manifest hash.
        restamp_manifest: bool,
    }

    /// No parameters.
    Nothing {}
}

crate::outputs! {
    /// An operation that fits.
    FoundOperation {
        /// Code.
        code: String,
        /// Main alias.
        alias: String,
        /// What it does.
        purpose: String,
        /// A command line that can be pasted.
        example: String,
        /// How well it fits; absent without a query.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        score: Option<u64>,
    }

    /// Operations that fit, the best first.
    FoundOperations {
        /// OK.
        status: Status,
        /// The words that were searched for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// How many operations these are.
        count: usize,
        /// The operations.
        records: Vec<FoundOperation>,
        /// What to do when nothing fits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        required_action: Option<String>,
    }

    /// Our own migrations, counted apart from the schema version of the predecessor's tables.
    Migrations {
        /// How many this data plane has.
        applied: i64,
        /// How many this release knows.
        known: i64,
    }

    /// The state of the schema.
    SchemaState {
        /// Absolute path of the database.
        db_path: String,
        /// Whether the file exists.
        exists: bool,
        /// Version of the predecessor's tables.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema_version: Option<i64>,
        /// Name of the schema.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        migration_id: Option<String>,
        /// When the schema was last written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        applied_at: Option<String>,
        /// The release that wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool_version: Option<String>,
        /// The stored hash over the definitions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest_hash: Option<String>,
        /// What this release expects.
        expected_schema_version: i64,
        /// What this release expects.
        expected_migration_id: String,
        /// What this release expects.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_manifest_hash: Option<String>,
        /// Whether the manifest hashes are equal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest_match: Option<bool>,
        /// Whether version and name are as expected.
        schema_ok: bool,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Our own migrations.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        migrations: Option<Migrations>,
    }

    /// The data plane was checked.
    PlaneChecked {
        /// OK.
        status: Status,
        /// What was done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The state of the schema.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<SchemaState>,
        /// What the full check found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        integrity: Option<Integrity>,
        /// With --restamp-manifest: whether the stored hash was changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restamped: Option<bool>,
        /// The hash before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_manifest_hash: Option<String>,
        /// The hash now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest_hash: Option<String>,
        /// More about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    /// The state of the schema, without opening or creating anything.
    SchemaReport {
        /// OK.
        status: Status,
        /// The state of the schema.
        schema: SchemaState,
    }

    /// A child row whose parent does not exist.
    Orphan {
        /// Id of the child row.
        child_id: String,
        /// The parent's id that does not exist.
        missing_ref: String,
    }

    /// A reference that some rows break.
    OrphanedRelationship {
        /// table.column of the child.
        child: String,
        /// table.column of the parent.
        parent: String,
        /// How many rows break it.
        orphans: usize,
        /// Up to five of them.
        sample: Vec<Orphan>,
        /// Whether there are more than the sample shows.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sample_truncated: bool,
    }

    /// One thing that is not as it should be.
    Fault {
        /// Which check found it.
        check: String,
        /// The table it is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<String>,
        /// The row it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The journal entry it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
        /// What is wrong.
        problem: String,
    }

    /// The state of the journal chain.
    JournalState {
        /// How many entries it has.
        entries: i64,
        /// The number of the last entry.
        seq: i64,
        /// The hash that the last entry carries.
        chain_hash: String,
        /// The first entry that does not follow from the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_broken_seq: Option<i64>,
    }

    /// What the full check found.
    Integrity {
        /// Whether everything is as it should be.
        ok: bool,
        /// Rows whose parent does not exist.
        total_orphans: usize,
        /// How many references were checked.
        relationships_checked: usize,
        /// The references that some rows break.
        orphaned_relationships: Vec<OrphanedRelationship>,
        /// How many faults the other checks found.
        total_faults: usize,
        /// Up to fifty of them.
        faults: Vec<Fault>,
        /// How many rows were compared with the journal.
        rows_checked: usize,
        /// The journal chain.
        journal: JournalState,
        /// What was checked.
        note: String,
    }

    /// What the data plane holds.
    PlaneManifest {
        /// When it was made.
        created_at: String,
        /// The state of the schema.
        schema: SchemaState,
        /// Rows by table.
        table_counts: BTreeMap<String, i64>,
        /// The files of the database.
        files: Vec<WrittenFile>,
    }

    /// The manifest was written.
    ManifestWritten {
        /// OK.
        status: Status,
        /// The file that it was written to.
        manifest_path: String,
        /// What it holds.
        manifest: PlaneManifest,
    }
}

crate::operations! {
    /// Find the operation for a purpose
    K0 "op-find" "operation.find" Plain OperationFind(OperationWanted) -> FoundOperations,
        twins: NO_TWINS, keywords: "help command search which how",
        example: "kaizenctl K0 --query \"record a pitfall\" --json";
    /// Create the data plane or check it
    K1 "db-check" also "check-init" "plane.check" Plain PlaneCheck(CheckPlane) -> PlaneChecked,
        twins: NO_TWINS, keywords: "init create database schema integrity verify chain tamper repair",
        example: "kaizenctl K1 --integrity --json";
    /// Show the state of the schema
    K2 "schema-status" "schema.status" Plain SchemaStatus(Nothing) -> SchemaReport,
        twins: NO_TWINS, keywords: "database version drift manifest",
        example: "kaizenctl K2 --json";
    /// Back up the data plane
    K3 "db-backup" "plane.backup" Plain PlaneBackup(BackUp) -> BackedUp,
        twins: NO_TWINS, keywords: "database copy save snapshot list retention keep",
        example: "kaizenctl K3 --json";
    /// Write a manifest of the data plane with its row counts
    K6 "db-manifest" "plane.manifest" Plain WriteManifest(Nothing) -> ManifestWritten,
        twins: NO_TWINS, keywords: "database tables rows count statistics",
        example: "kaizenctl K6 --json";
    /// Delete all test records
    K7 "purge-test" "plane.purge_test" Write TestPurge(Nothing) -> TestPurged,
        twins: NO_TWINS, keywords: "remove clean delete flagged rows cleanup trial",
        example: "kaizenctl K7 --json";
    /// Put a backup in the place of the data plane
    K11 "db-restore" "plane.restore" Plain PlaneRestore(RestoreBackup) -> Restored,
        twins: NO_TWINS, keywords: "database backup recover bring back undo disaster",
        example: "kaizenctl K11 --path AI/db/backups/BACKUP --json";
    /// Write the data plane as JSON lines
    K13 "export" "plane.export" Plain PlaneExport(ExportPlane) -> Exported,
        twins: NO_TWINS, keywords: "database dump move jsonl copy another machine",
        example: "kaizenctl K13 --include-test --include-policy --json";
    /// Read JSON lines of an export into an empty data plane
    K14 "import" "plane.import" Plain PlaneImport(ImportPlane) -> Imported,
        twins: NO_TWINS, keywords: "database load move jsonl another machine",
        example: "kaizenctl K14 --path plane.jsonl --json";
    /// Examine the daemon, the project and its data plane, with a fix for each finding
    K15 "doctor" "plane.doctor" Plain Doctor(WhatToExamine) -> Examined,
        twins: NO_TWINS, keywords: "health diagnose problem check publish leak secrets disk permissions",
        example: "kaizenctl K15 --publish --json";
    /// Show the settings that take effect and where each comes from
    K16 "config-show" "config.show" Plain ConfigShow(Nothing) -> Settings,
        twins: NO_TWINS, keywords: "configuration settings kaizen.toml environment options",
        example: "kaizenctl K16 --json";
}
