//! Gotchas (G): observed failures and suspicions, freely recorded.

use super::record::{
    InspectRecord, Inspected, ListRecords, NewRecord, QueryRecords, RecordList, RecordMatches, Recorded,
    ReviseRecord,
};
use crate::operation::{NO_TWINS, TEXT_TWINS};

crate::outputs! {
    /// A gotcha with every column.
    Gotcha {
        /// Id.
        id: String,
        /// When it was made.
        created_at: String,
        /// When it last changed.
        updated_at: String,
        /// Scope.
        scope: String,
        /// Status.
        status: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// Body.
        body: String,
        /// The task in which it was found.
        source_task_id: Option<String>,
        /// The operation that made it.
        source_command: Option<String>,
        /// Who wrote it.
        writer_role: Option<String>,
        /// A JSON list of artifact ids, as text.
        artifact_ids_json: Option<String>,
        /// SHA-256 of its content.
        content_hash: String,
        /// Its current revision.
        current_revision_id: Option<String>,
        /// 1 for a test record.
        is_test: i64,
    }
}

crate::operations! {
    /// Record a pitfall
    G1 "gotcha-add" "gotcha.add" Write GotchaAdd(NewRecord) -> Recorded,
        twins: TEXT_TWINS, keywords: "pitfall failure footgun mistake bug problem trap",
        example: "kaizenctl G1 --title \"Socket path too long\" --summary \"Paths over 104 bytes fail to bind.\" --body \"Seen with a deep HOME.\" --json";
    /// List pitfalls, newest first
    G2 "gotcha-list" "gotcha.list" Read GotchaList(ListRecords) -> RecordList,
        twins: NO_TWINS, keywords: "pitfall show all recent",
        example: "kaizenctl G2 --limit 10 --json";
    /// Find pitfalls by text
    G3 "gotcha-query" "gotcha.query" Read GotchaQuery(QueryRecords) -> RecordMatches,
        twins: NO_TWINS, keywords: "pitfall search grep",
        example: "kaizenctl G3 --query \"socket\" --json";
    /// Show one pitfall whole
    G4 "gotcha-inspect" "gotcha.inspect" Read GotchaInspect(InspectRecord) -> Inspected<Gotcha>,
        twins: NO_TWINS, keywords: "pitfall read detail body",
        example: "kaizenctl G4 --id GOTCHA_ID --json";
    /// Update a pitfall's status, summary or body
    G5 "gotcha-update" "gotcha.update" Write GotchaUpdate(ReviseRecord) -> Recorded,
        twins: TEXT_TWINS, keywords: "pitfall resolve close change retract",
        example: "kaizenctl G5 --id GOTCHA_ID --status resolved --json";
}
