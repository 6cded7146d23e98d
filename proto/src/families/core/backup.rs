//! What K3 and K11 take and say.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Integrity;
use crate::operation::Status;

crate::params! {
    /// How to back up.
    BackUp {
        /// Keep only this many backups, the new one included; those before a migration or a restore stay.
        keep: Option<i64>,
        /// Make no backup; list those that exist and check their hashes.
        list: bool,
    }

    /// What to restore.
    RestoreBackup {
        /// The backup: its directory, its manifest or its database file.
        path: Option<String>,
        /// Allow a path outside the project.
        allow_external: bool,
    }
}

crate::outputs! {
    /// A file that was written.
    WrittenFile {
        /// Path under the project's root.
        path: String,
        /// SHA-256.
        sha256: String,
        /// Size in bytes.
        bytes: i64,
    }

    /// A backup that exists.
    ListedBackup {
        /// The directory that holds it.
        backup_dir: String,
        /// When it was made.
        created_at: String,
        /// Why it was made: manual, scheduled, migration or restore.
        kind: String,
        /// Whether its files are as the manifest says: good, damaged or missing.
        state: String,
        /// Size of its files in bytes.
        bytes: i64,
        /// The number of the last journal entry in it.
        seq: i64,
        /// The hash of that entry.
        chain_hash: String,
    }

    /// The data plane was backed up.
    BackedUp {
        /// OK.
        status: Status,
        /// The directory that holds the backup.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backup_dir: Option<String>,
        /// The files of the backup.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<Vec<WrittenFile>>,
        /// The backup's manifest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest: Option<String>,
        /// With --keep: the directories of backups that were deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        removed: Option<Vec<String>>,
        /// With --list: how many backups there are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
        /// With --list: the backups, the newest first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        records: Option<Vec<ListedBackup>>,
    }

    /// A backup is the data plane now.
    Restored {
        /// OK.
        status: Status,
        /// What was done.
        message: String,
        /// The backup.
        path: String,
        /// Where the files that were the data plane before are kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<String>,
        /// The new identity of the data plane.
        plane_id: String,
        /// The number of the last journal entry before the restore; none when there was no data plane.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_seq: Option<i64>,
        /// The hash of that entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_chain_hash: Option<String>,
        /// The number of the last journal entry of the backup.
        backup_seq: i64,
        /// The hash of that entry.
        backup_chain_hash: String,
        /// The number of the entry that records the restore.
        seq: i64,
        /// The hash of that entry.
        chain_hash: String,
        /// Rows by table.
        table_counts: BTreeMap<String, i64>,
        /// What the full check of the backup found.
        integrity: Integrity,
        /// What is odd but allowed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    }
}

/// What the backup's manifest file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupManifest {
    /// When the backup was made.
    pub created_at: String,
    /// Absolute path of the database that was backed up.
    pub db_path: String,
    /// The files of the backup.
    pub files: Vec<WrittenFile>,
    /// The number of the last journal entry in the backup.
    pub seq: i64,
    /// The hash of that entry, an anchor against which a restored plane can be compared.
    pub chain_hash: String,
    /// The identity of the data plane.
    #[serde(default)]
    pub plane_id: String,
    /// Why it was made: manual, scheduled, migration or restore.
    #[serde(default)]
    pub kind: String,
    /// The release that made it.
    #[serde(default)]
    pub tool_version: String,
    /// Rows by table.
    #[serde(default)]
    pub table_counts: BTreeMap<String, i64>,
}
