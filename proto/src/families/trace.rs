//! Traces (T): what agents, tools and models did, and how it was scored.

pub mod report;

use self::report::{TraceReported, TraceToReport};
use super::record::Stored;
use crate::operation::{NO_TWINS, Status, Twin, TwinRule};

crate::params! {
    /// A trace event.
    NewTraceEvent {
        /// The event, a JSON object; `kaizenctl Q8 --kind trace_event --schema` shows its fields.
        payload_json: Option<String>,
        /// model_call, tool_call, evidence_read, verifier, subagent, generative_run or judge, unless the payload says.
        kind: Option<String>,
        /// The task that it belongs to, unless the payload says.
        task_id: Option<String>,
        /// The trace that it belongs to, unless the payload says.
        trace_id: Option<String>,
        /// Summary in one or two sentences, instead of the payload's.
        summary: Option<String>,
        /// Body, instead of the payload's.
        body: Option<String>,
        /// Mark the event as a test record.
        test: bool,
    }

    /// A score.
    NewScore {
        /// The score, a JSON object; `kaizenctl Q8 --kind eval_score --schema` shows its fields.
        payload_json: Option<String>,
        /// Mark the score as a test record.
        test: bool,
    }

    /// Which scores to find. All filters must match.
    ScoresWanted {
        /// Only those of this trace event.
        trace_id: Option<String>,
        /// Only those of this eval run.
        id: Option<String>,
        /// Text to find in the name, as a substring.
        query: Option<String>,
        /// At most this many records; 50 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the record with this id, the last of the page before.
        after: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
        /// Sum up each name over all matches, not only over this page.
        group: bool,
    }
}

crate::outputs! {
    /// A score in a list.
    ScoreBrief {
        /// Id.
        id: String,
        /// When it was given.
        created_at: String,
        /// The trace event that is scored.
        trace_event_id: Option<String>,
        /// The eval run that is scored.
        eval_run_id: Option<String>,
        /// The verification that is scored.
        verification_id: Option<String>,
        /// What is measured.
        name: String,
        /// The value as a number; 1 and 0 for true and false.
        value_num: Option<f64>,
        /// The value as a text.
        value_label: Option<String>,
        /// numeric, categorical or boolean.
        data_type: String,
        /// deterministic, human or model.
        source: String,
        /// A remark.
        comment: Option<String>,
    }

    /// What the scores of a page come to.
    ScoreAggregates {
        /// Scores.
        count: usize,
        /// Scores that have a number.
        numeric_count: usize,
        /// Their mean.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mean: Option<f64>,
        /// The smallest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// The largest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    }

    /// What the scores of one name come to.
    ScoreGroup {
        /// What is measured.
        name: String,
        /// Scores.
        count: usize,
        /// Scores that have a number.
        numeric_count: usize,
        /// Their mean.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mean: Option<f64>,
        /// The smallest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// The largest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    }

    /// Scores, newest first.
    Scores {
        /// OK.
        status: Status,
        /// The scores.
        records: Vec<ScoreBrief>,
        /// What the scores of this page come to.
        aggregates: ScoreAggregates,
        /// How many this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
        /// Each name over all matches, the most frequent first, when it was asked for; at most 1,000 names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        groups: Option<Vec<ScoreGroup>>,
    }
}

const TRACE_TWINS: &[Twin] = &[
    Twin { field: "payload_json", rule: TwinRule::FileOrNothing },
    Twin { field: "summary", rule: TwinRule::Inline },
    Twin { field: "body", rule: TwinRule::Inline },
];
const SCORE_TWINS: &[Twin] = &[Twin { field: "payload_json", rule: TwinRule::FileOrNothing }];

crate::operations! {
    /// Record a trace event
    T1 "trace-add" "trace.add" Write TraceAdd(NewTraceEvent) -> Stored,
        twins: TRACE_TWINS, keywords: "event model call tool tokens cost latency telemetry span",
        example: "kaizenctl T1 --kind tool_call --task-id TASK_ID --summary \"Ran the tests.\" --payload-json '{\"name\": \"cargo test\", \"latency_ms\": 5200}' --json";
    /// Score a trace event, an eval run or a verification
    T2 "score-add" "score.add" Write ScoreAdd(NewScore) -> Stored,
        twins: SCORE_TWINS, keywords: "grade rating metric value judge numeric categorical boolean",
        example: "kaizenctl T2 --payload-json '{\"eval_run_id\": \"RUN_ID\", \"name\": \"pass_rate\", \"value\": 0.8, \"data_type\": \"numeric\", \"source\": \"deterministic\"}' --json";
    /// Write a report on a trace: its events as a tree, tokens, cost, latency, scores
    T3 "trace-report" "trace.report" Write TraceReport(TraceToReport) -> TraceReported,
        twins: NO_TWINS, keywords: "telemetry span tokens cost latency model document markdown file",
        example: "kaizenctl T3 --task-id TASK_ID --json";
    /// Find scores and what they come to
    T4 "score-query" "score.query" Read ScoreQuery(ScoresWanted) -> Scores,
        twins: NO_TWINS, keywords: "grade rating metric mean minimum maximum average aggregate",
        example: "kaizenctl T4 --query \"pass_rate\" --group --json";
}
