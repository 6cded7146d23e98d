//! What the record families share: parameters and replies of adding, revising, listing, querying and inspecting.

use crate::operation::Status;

crate::params! {
    /// A new record.
    NewRecord {
        /// Title in one line.
        title: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// project (default), global, skill or session.
        scope: Option<String>,
        /// Status; active by default.
        status: Option<String>,
        /// Who writes: agent (default), user, verifier …
        writer_role: Option<String>,
        /// The task that this belongs to.
        task_id: Option<String>,
        /// Mark the record as a test record, which reports leave out.
        test: bool,
    }

    /// A revision of a record. What is not given stays as it is.
    ReviseRecord {
        /// Id of the record, or an unambiguous start of it.
        id: Option<String>,
        /// New summary in one or two sentences.
        summary: Option<String>,
        /// New body.
        body: Option<String>,
        /// New status.
        status: Option<String>,
        /// Scope of the ledger event; project by default.
        scope: Option<String>,
        /// Who writes: agent (default), user, verifier …
        writer_role: Option<String>,
        /// The task that the ledger event belongs to.
        task_id: Option<String>,
        /// Mark the ledger event as a test record.
        test: bool,
    }

    /// Which records to list.
    ListRecords {
        /// At most this many records; 20 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the record with this id, the last of the page before.
        after: Option<String>,
        /// Only those with this status.
        status: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
    }

    /// Which records to find.
    QueryRecords {
        /// Text to find, as a substring; ASCII letters match in any case.
        query: Option<String>,
        /// At most this many records; 20 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the record with this id, the last of the page before.
        after: Option<String>,
        /// Only those with this status.
        status: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
    }

    /// Which record to show whole.
    InspectRecord {
        /// Id of the record, or an unambiguous start of it.
        id: Option<String>,
    }
}

crate::outputs! {
    /// A record was added or revised.
    Recorded {
        /// OK.
        status: Status,
        /// Id of the record.
        id: String,
        /// Id of the revision that was made.
        revision_id: String,
        /// SHA-256 of the record's content.
        content_hash: String,
    }

    /// A row was added that has no revisions.
    Stored {
        /// OK.
        status: Status,
        /// Id of the row.
        id: String,
        /// SHA-256 of the row's content.
        content_hash: String,
    }

    /// A record in a list.
    RecordBrief {
        /// Id.
        id: String,
        /// Status.
        status: String,
        /// Scope.
        scope: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
    }

    /// A page of records, newest first.
    RecordList {
        /// OK.
        status: Status,
        /// The records.
        records: Vec<RecordBrief>,
        /// How many records this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }

    /// The records that hold a text, newest first.
    RecordMatches {
        /// OK.
        status: Status,
        /// The records.
        records: Vec<RecordBrief>,
        /// How many records this page holds.
        count: usize,
        /// The text that was searched for.
        query: String,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
}

/// One record, whole.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Inspected<T> {
    /// OK.
    pub status: Status,
    /// Every column of the record.
    pub record: T,
}
