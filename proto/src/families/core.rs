//! Core (K): finding operations, and looking after the data plane as a whole.

use std::collections::BTreeMap;

mod backup;
mod export;
mod look;
mod purge;
mod reading;

pub use backup::*;
pub use export::*;
pub use look::*;
pub use purge::*;
pub use reading::*;

use super::record::InspectRecord;
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

    /// What to erase, without a way back.
    WhatToErase {
        /// Id of the record, or an unambiguous start of it.
        id: Option<String>,
        /// The field that holds the secret: title, summary, body, payload_json or another text of the record.
        field: Option<String>,
        /// Replace the whole field, also where no secret is recognised in it.
        whole: bool,
        /// Why, for the ledger.
        reason: Option<String>,
    }

    /// Which entries of the journal are wanted.
    JournalWanted {
        /// Entries after this one: its number, 0 for all, or the cursor of an earlier reply; the last ones when absent.
        since: Option<String>,
        /// At most this many entries; 100 by default, 1000 at most.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Only entries that belong to this task; its whole id.
        task_id: Option<String>,
        /// Only entries of this operation, by its code or an alias.
        operation: Option<String>,
        /// Only entries that this actor wrote.
        by_actor: Option<String>,
        /// Only entries that were written in this session.
        by_session: Option<String>,
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

    /// A row that an operation wrote.
    JournalRow {
        /// The table.
        table: String,
        /// The row's key.
        id: String,
        /// Whether the row was deleted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
    }

    /// One entry of the journal: one operation that wrote.
    JournalEntry {
        /// Its number, without gaps.
        seq: i64,
        /// When it was written.
        at: String,
        /// The operation's code.
        operation: String,
        /// The operation's main alias; absent when this release does not know the operation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alias: Option<String>,
        /// The task it belongs to.
        task_id: Option<String>,
        /// Who acted.
        actor: Option<String>,
        /// In which session.
        session: Option<String>,
        /// The first rows that it wrote.
        rows: Vec<JournalRow>,
        /// How many more rows it wrote.
        #[serde(default, skip_serializing_if = "crate::operation::is_default")]
        more_rows: i64,
        /// The hash that chains it to the entry before.
        chain_hash: String,
    }

    /// A part of the journal, in its own order.
    JournalPage {
        /// OK.
        status: Status,
        /// The data plane.
        plane_id: String,
        /// The number of the journal's last entry.
        seq: i64,
        /// The entries.
        entries: Vec<JournalEntry>,
        /// How many entries these are.
        count: usize,
        /// Where to go on: pass it as --since.
        cursor: String,
        /// Whether there is more to read after the cursor already.
        more: bool,
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

    /// A secret was erased.
    RecordErased {
        /// OK.
        status: Status,
        /// Id of the record.
        id: String,
        /// Its table.
        table: String,
        /// The field that held the secret.
        field: String,
        /// The classes of what was found in it; ERASED for a whole field.
        classes: Vec<String>,
        /// By table, how many rows held a copy and were changed.
        rows: BTreeMap<String, i64>,
        /// Backups that were rewritten.
        backups_rewritten: Vec<String>,
        /// Backups that could not be rewritten and were removed.
        backups_removed: Vec<String>,
        /// Backups that could not be read, and in which no copy was seen.
        backups_unread: Vec<String>,
        /// Other files beside the database that hold a copy: delete them or make them anew.
        files: Vec<String>,
        /// Number of the journal entry.
        seq: i64,
        /// Hash of the journal entry.
        chain_hash: String,
        /// What to do next.
        required_action: String,
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
    /// Show any record with its revisions and links
    K8 "record-inspect" "record.inspect" Read RecordInspect(InspectRecord) -> InspectedRecord,
        twins: NO_TWINS, keywords: "read open detail lineage history evidence links any id look up who changed",
        example: "kaizenctl K8 --id RECORD_ID --json";
    /// Search all records by their words, best first
    K9 "find" also "record-find" "record.find" Read RecordFind(RecordsSought) -> FoundRecords,
        twins: NO_TWINS, keywords: "search full text query grep recall remember ranked",
        example: "kaizenctl K9 --query \"retry loop\" --json";
    /// Read the journal as a feed: what was written, by whom, since an entry
    K10 "journal" "journal.read" Read JournalRead(JournalWanted) -> JournalPage,
        twins: NO_TWINS, keywords: "log history changes events since cursor follow tail watch audit who changed wrote",
        example: "kaizenctl K10 --since 0 --limit 20 --json";
    /// Put a backup in the place of the data plane
    K11 "db-restore" "plane.restore" Plain PlaneRestore(RestoreBackup) -> Restored,
        twins: NO_TWINS, keywords: "database backup recover bring back undo disaster",
        example: "kaizenctl K11 --path AI/db/backups/BACKUP --json";
    /// Erase a secret from a record, its copies and the backups
    K12 "record-erase" "record.erase" Plain RecordErase(WhatToErase) -> RecordErased,
        twins: NO_TWINS, keywords: "secret leak password token remove forget purge redact delete",
        example: "kaizenctl K12 --id RECORD_ID --field body --json";
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
