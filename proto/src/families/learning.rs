//! Learnings and what was learned (L): validated lessons, and lessons that changed behaviour.

use super::record::{
    InspectRecord, Inspected, ListRecords, NewRecord, QueryRecords, RecordList, RecordMatches, Recorded,
};
use crate::operation::{NO_TWINS, Status, TEXT_TWINS};

crate::params! {
    /// A promotion. Title, summary, body and scope are those of the source.
    Promote {
        /// Id of the record to promote, or an unambiguous start of it.
        id: Option<String>,
        /// Status of the new record; active by default.
        status: Option<String>,
        /// The task that this belongs to.
        task_id: Option<String>,
        /// Who writes: agent (default), user, verifier …
        writer_role: Option<String>,
        /// Mark the new record as a test record.
        test: bool,
    }

    /// Which lessons to show.
    LessonsWanted {
        /// Text to find in a lesson's title, summary or body.
        query: Option<String>,
        /// At most this many lessons; 10 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the lesson with this id, the last of the page before.
        after: Option<String>,
        /// Only those with this status.
        status: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
    }
}

crate::outputs! {
    /// A gotcha was promoted to a learning.
    PromotedGotcha {
        /// OK.
        status: Status,
        /// Id of the new learning.
        id: String,
        /// Id of its first revision.
        revision_id: String,
        /// SHA-256 of its content.
        content_hash: String,
        /// The gotcha's status now: promoted.
        source_gotcha_status: String,
    }

    /// A learning was promoted to a learned lesson.
    PromotedLearning {
        /// OK.
        status: Status,
        /// Id of the new lesson.
        id: String,
        /// Id of its first revision.
        revision_id: String,
        /// SHA-256 of its content.
        content_hash: String,
        /// The learning's status now: promoted.
        source_learning_status: String,
    }

    /// A learning with every column.
    Learning {
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
        /// The gotcha that it was promoted from.
        source_gotcha_id: Option<String>,
        /// SHA-256 of its content.
        content_hash: String,
        /// Its current revision.
        current_revision_id: Option<String>,
        /// 1 for a test record.
        is_test: i64,
    }

    /// A learned lesson with every column.
    Learned {
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
        /// The learning that it was promoted from.
        source_learning_id: Option<String>,
        /// SHA-256 of its content.
        content_hash: String,
        /// Its current revision.
        current_revision_id: Option<String>,
        /// 1 for a test record.
        is_test: i64,
    }

    /// One step of a lesson's history.
    LessonStep {
        /// Id of the record.
        id: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
    }

    /// Where a lesson came from. Steps that no longer exist are absent.
    LessonChain {
        /// The learning that was promoted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        learning: Option<LessonStep>,
        /// The gotcha that it began with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gotcha: Option<LessonStep>,
    }

    /// A lesson with its history.
    Lesson {
        /// Id of the learned record.
        id: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
        /// Where it came from.
        chain: LessonChain,
        /// The history in one line.
        narrative: String,
    }

    /// Lessons with their history, newest first.
    Lessons {
        /// OK.
        status: Status,
        /// The lessons.
        records: Vec<Lesson>,
        /// How many lessons this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
}

crate::operations! {
    /// Record a validated learning
    L1 "learning-add" "learning.add" Write LearningAdd(NewRecord) -> Recorded,
        twins: TEXT_TWINS, keywords: "lesson insight cause correction",
        example: "kaizenctl L1 --title \"Bind by short names\" --summary \"A hashed name keeps every socket path short.\" --json";
    /// Promote a pitfall to a learning
    L2 "promote-gotcha-learning" "gotcha.promote" Write PromoteGotcha(Promote) -> PromotedGotcha,
        twins: NO_TWINS, keywords: "validated investigated lesson raise",
        example: "kaizenctl L2 --id GOTCHA_ID --json";
    /// Promote a learning to a learned lesson
    L3 "promote-learning-learned" "learning.promote" Write PromoteLearning(Promote) -> PromotedLearning,
        twins: NO_TWINS, keywords: "implemented adopted lesson raise",
        example: "kaizenctl L3 --id LEARNING_ID --json";
    /// List learnings, newest first
    L4 "learning-list" "learning.list" Read LearningList(ListRecords) -> RecordList,
        twins: NO_TWINS, keywords: "lesson show all recent",
        example: "kaizenctl L4 --limit 10 --json";
    /// Find learnings by text
    L5 "learning-query" "learning.query" Read LearningQuery(QueryRecords) -> RecordMatches,
        twins: NO_TWINS, keywords: "lesson search grep",
        example: "kaizenctl L5 --query \"socket\" --json";
    /// Show one learning whole
    L6 "learning-inspect" "learning.inspect" Read LearningInspect(InspectRecord) -> Inspected<Learning>,
        twins: NO_TWINS, keywords: "lesson read detail body",
        example: "kaizenctl L6 --id LEARNING_ID --json";
    /// List learned lessons, newest first
    L7 "learned-list" "learned.list" Read LearnedList(ListRecords) -> RecordList,
        twins: NO_TWINS, keywords: "lesson show all recent",
        example: "kaizenctl L7 --limit 10 --json";
    /// Find learned lessons by text
    L8 "learned-query" "learned.query" Read LearnedQuery(QueryRecords) -> RecordMatches,
        twins: NO_TWINS, keywords: "lesson search grep",
        example: "kaizenctl L8 --query \"socket\" --json";
    /// Show one learned lesson whole
    L9 "learned-inspect" "learned.inspect" Read LearnedInspect(InspectRecord) -> Inspected<Learned>,
        twins: NO_TWINS, keywords: "lesson read detail body",
        example: "kaizenctl L9 --id LEARNED_ID --json";
    /// Show learned lessons with where they came from
    L10 "learned-context" "learned.context" Read LearnedContext(LessonsWanted) -> Lessons,
        twins: NO_TWINS, keywords: "lesson lineage history narrative evidence",
        example: "kaizenctl L10 --query \"socket\" --json";
}
