//! Reports (R): the digest that a session starts from, and documents for people.

use std::collections::BTreeMap;

use crate::operation::{NO_TWINS, Status};

/// The lists of the digest.
pub const LISTS: &[&str] =
    &["policies", "active_gotchas", "blocking_verifications", "recent_learned", "active_tasks"];

crate::params! {
    /// How much of the digest is wanted.
    DigestWanted {
        /// At most this many records in each list; 5 by default. Policies are up to 20.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Only what changed after this journal number.
        since: Option<i64>,
        /// Only this list: policies, active_gotchas, blocking_verifications, recent_learned or active_tasks.
        only: Option<String>,
        /// Count and list test records too.
        include_test: bool,
    }

    /// What a report is to show.
    ReportWanted {
        /// Only records that hold this text in their summary or body, as a substring.
        query: Option<String>,
        /// At most this many records, newest first; 50 by default, 10,000 in any case. Counts and charts are of all.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// R1 to R7 and R11: only what was made at or after this time: RFC 3339, a day, or a span back from now such as
        /// 24h or 7d.
        since: Option<String>,
        /// Only what was made before this time; a day counts whole. For R8 to R10 the end of the period.
        until: Option<String>,
        /// R1, R2, R4 and R11: only what belongs to this task.
        task_id: Option<String>,
        /// R4: only verifications of this severity.
        severity: Option<String>,
        /// R4: only verifications with this actionability.
        actionability: Option<String>,
        /// Scope that the report is filed under; project by default.
        scope: Option<String>,
        /// Form of the file: md (default) or json.
        format: Option<String>,
        /// Report on test records too.
        include_test: bool,
        /// Mark the report itself as a test record.
        test: bool,
    }
}

crate::outputs! {
    /// A policy in the digest.
    DigestPolicy {
        /// Id.
        id: String,
        /// critical, high, normal or low.
        priority: String,
        /// When it applies.
        trigger: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// Body; shortened when the digest would grow too large.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    }

    /// A gotcha or a lesson in the digest.
    DigestRecord {
        /// Id.
        id: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
    }

    /// A verification that blocks.
    DigestVerification {
        /// Id.
        id: String,
        /// The task that was verified.
        task_id: Option<String>,
        /// The conclusion.
        conclusion: String,
        /// How grave the findings are.
        severity: Option<String>,
        /// What can be done about the findings.
        actionability: Option<String>,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
    }

    /// An active task in the digest.
    DigestTask {
        /// Id.
        id: String,
        /// Title.
        title: String,
        /// Status.
        status: String,
        /// Summary.
        summary: String,
        /// When it last changed.
        updated_at: String,
    }

    /// Evidence that changed lately.
    DigestEvidence {
        /// Documents that were read in the last 7 days, or since the entry that was named; 1,000 stands for more.
        changed: i64,
        /// Those of them whose files are gone.
        missing: i64,
        /// The paths of the latest.
        paths: Vec<String>,
        /// How to look into them.
        get: String,
    }

    /// How much there is, whatever the lists show.
    DigestCounts {
        /// Active policies.
        policies_active: i64,
        /// Active gotchas.
        gotchas_active: i64,
        /// Verifications that block.
        blocking_verifications: i64,
        /// Learned lessons.
        learned_total: i64,
        /// Active tasks.
        tasks_active: i64,
        /// Active tasks that no ledger event belongs to.
        active_tasks_without_ledger: i64,
        /// Ledger events of the last seven days.
        ledger_events_last_7d: i64,
        /// Proofs and verifications of the last seven days.
        verifications_last_7d: i64,
    }

    /// What the digest left out of one of its lists to stay small.
    Omission {
        /// How many records of the list were left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_out: Option<usize>,
        /// How many records were shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shortened: Option<usize>,
        /// The command that shows them.
        get: String,
    }

    /// A report was written.
    ReportWritten {
        /// OK.
        status: Status,
        /// Id of the report.
        id: String,
        /// The file, under the project's root.
        path: String,
        /// How many records it lists.
        rows: usize,
        /// What it says about each record.
        columns: Vec<String>,
        /// SHA-256 of the file.
        sha256: String,
    }

    /// The state of the project, for the start of a session. At most 7,500 bytes.
    Digest {
        /// OK.
        status: Status,
        /// What this is.
        message: String,
        /// Active policies, the most important first.
        policies: Vec<DigestPolicy>,
        /// Active gotchas, newest first.
        active_gotchas: Vec<DigestRecord>,
        /// Verifications that block, newest first.
        blocking_verifications: Vec<DigestVerification>,
        /// Learned lessons, newest first.
        recent_learned: Vec<DigestRecord>,
        /// Active tasks, the last changed first.
        active_tasks: Vec<DigestTask>,
        /// Evidence that changed lately; absent when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<DigestEvidence>,
        /// How much there is in all.
        counts: DigestCounts,
        /// By list, what was left out to stay within the size.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        omitted: BTreeMap<String, Omission>,
        /// The number of the last journal entry that the digest knows.
        seq: i64,
        /// What to do next.
        required_action: String,
    }
}

crate::operations! {
    /// Show the state of the project in one small reply
    R0 "session-digest" "session.digest" Read SessionDigest(DigestWanted) -> Digest,
        twins: NO_TWINS, keywords: "start resume context overview summary status compaction where things stand now",
        example: "kaizenctl R0 --json";
    /// Write a report on the tasks by status
    R1 "task-report" "report.task" Write TaskReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "tasks status done active document markdown file export",
        example: "kaizenctl R1 --since 2026-01-01 --json";
    /// Write a report on the ledger by day and task
    R2 "ledger-report" "report.ledger" Write LedgerReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "history timeline activity events done document markdown file export",
        example: "kaizenctl R2 --task-id TASK_ID --json";
    /// Write a report on the lessons by status, with what they came from
    R3 "learning-report" "report.learning" Write LearningReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "lessons lineage promoted document markdown file export",
        example: "kaizenctl R3 --json";
    /// Write a report on proofs and verifications by conclusion, what blocks first
    R4 "proof-report" "report.proof" Write ProofReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "verification evidence blocking conclusion outcome document markdown file export blocked",
        example: "kaizenctl R4 --severity high --json";
    /// Write a report on the eval cases by category
    R5 "eval-report" "report.eval" Write EvalReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "evaluation cases document markdown file export",
        example: "kaizenctl R5 --json";
    /// Write a report on the source locks by authority
    R6 "source-report" "report.source" Write SourceReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "sources references licences document markdown file export",
        example: "kaizenctl R6 --json";
    /// Write a report on the anti-patterns by scope
    R7 "anti-pattern-report" "report.anti_pattern" Write AntiPatternReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "antipattern smells document markdown file export",
        example: "kaizenctl R7 --json";
    /// Write a report on the last 7 days: what was done, decided and learned
    R8 "weekly-report" "report.weekly" Write WeeklyReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "week summary retrospective document markdown file export last did",
        example: "kaizenctl R8 --json";
    /// Write a report on the last 30 days: what was done, decided and learned
    R9 "monthly-report" "report.monthly" Write MonthlyReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "month summary retrospective document markdown file export",
        example: "kaizenctl R9 --json";
    /// Write a report on the last 365 days: what was done, decided and learned
    R10 "yearly-report" "report.yearly" Write YearlyReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "year summary retrospective document markdown file export",
        example: "kaizenctl R10 --json";
    /// Write a report on all that is recorded about a topic
    R11 "topic-report" "report.topic" Write TopicReport(ReportWanted) -> ReportWritten,
        twins: NO_TWINS, keywords: "subject about everything search document markdown file export",
        example: "kaizenctl R11 --query \"file lock\" --json";
}
