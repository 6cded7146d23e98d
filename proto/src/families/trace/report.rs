//! Parameters and reply of T3.

use serde_json::Number;

use crate::operation::Status;

crate::params! {
    /// Which trace to report on.
    TraceToReport {
        /// The task whose events to show. It counts when both are given.
        task_id: Option<String>,
        /// The trace whose events to show.
        trace_id: Option<String>,
        /// Form of the file: md (default) or json.
        format: Option<String>,
        /// Report on test records too.
        include_test: bool,
        /// Mark the report itself as a test record.
        test: bool,
    }
}

crate::outputs! {
    /// A report on a trace was written.
    TraceReported {
        /// OK.
        status: Status,
        /// The task or the trace.
        key: String,
        /// How many events it has.
        events: i64,
        /// Tokens of all of them.
        total_tokens: i64,
        /// Cost of all of them.
        total_cost: Number,
        /// The file, under the project's root.
        path: String,
        /// SHA-256 of the file.
        sha256: String,
        /// Id of the report.
        report_id: String,
    }
}
