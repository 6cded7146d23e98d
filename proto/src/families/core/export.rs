//! What K13 and K14 take and say.

use std::collections::BTreeMap;

use crate::operation::Status;

crate::params! {
    /// What to export and where to.
    ExportPlane {
        /// The file to write, which must not exist yet; AI/db/exports/plane-TIME.jsonl when absent.
        path: Option<String>,
        /// Include the private policies.
        include_policy: bool,
        /// Include test records.
        include_test: bool,
        /// Allow a path outside the project.
        allow_external: bool,
    }

    /// What to import.
    ImportPlane {
        /// The file that an export wrote.
        path: Option<String>,
        /// Allow a path outside the project.
        allow_external: bool,
    }
}

crate::outputs! {
    /// The data plane was written as JSON lines.
    Exported {
        /// OK.
        status: Status,
        /// The file.
        path: String,
        /// SHA-256 of the file.
        sha256: String,
        /// Size of the file in bytes.
        bytes: i64,
        /// Whether everything is in it, the journal too, so that an import is equal row for row.
        complete: bool,
        /// Rows by table.
        table_counts: BTreeMap<String, i64>,
        /// The number of the last journal entry of the data plane.
        seq: i64,
        /// The hash of that entry.
        chain_hash: String,
        /// What was left out, and how to include it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        omitted: Vec<String>,
    }

    /// An export was read into the data plane.
    Imported {
        /// OK.
        status: Status,
        /// What was done.
        message: String,
        /// The file.
        path: String,
        /// Whether the data plane is now equal to the exported one, with its journal; else it has a journal of its own.
        complete: bool,
        /// Rows by table.
        table_counts: BTreeMap<String, i64>,
        /// The identity of the data plane.
        plane_id: String,
        /// The number of the last journal entry.
        seq: i64,
        /// The hash of that entry.
        chain_hash: String,
    }
}
