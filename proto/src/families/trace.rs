//! Traces (T): what agents, tools and models did, and how it was scored.

pub mod report;

use self::report::{TraceReported, TraceToReport};
use crate::operation::NO_TWINS;

crate::operations! {
    /// Write a report on a trace: its events as a tree, tokens, cost, latency, scores
    T3 "trace-report" "trace.report" Write TraceReport(TraceToReport) -> TraceReported,
        twins: NO_TWINS, keywords: "telemetry span tokens cost latency model document markdown file",
        example: "kaizenctl T3 --task-id TASK_ID --json";
}
