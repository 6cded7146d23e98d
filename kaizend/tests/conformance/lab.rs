//! O: the improvement lab.

use serde_json::json;

use crate::case::{Case, denied, ok};

pub(crate) fn cases() -> Vec<Case> {
    const SET: &str = "status contract eval_cases exemplars active_gotchas path sha256 report_id";
    vec![
        ok("O1", json!({"contract": "Review Loop"}), SET),
        ok("O1", json!({"contract": "Review Loop", "category": "proof"}), SET),
        ok(
            "O2",
            json!({"contract": "Review Loop", "title": "T", "summary": "S.", "body": "B", "payload_json": "{}",
            "baseline_score": 0.5, "candidate_score": 0.75, "metric": "m"}),
            "status id content_hash",
        ),
        denied(
            "O2",
            json!({"contract": "c", "title": "T"}),
            "DENIED_SCHEMA_REQUIRED",
            2,
            json!({"record_type": "improvement_proposal", "fields": ["summary"]}),
        ),
        ok(
            "O3",
            json!({"contract": "Review Loop"}),
            "status contract proposals top_proposal promotion_path path sha256 report_id",
        ),
        ok(
            "O3",
            json!({"contract": "other"}),
            "status contract proposals top_proposal promotion_path path sha256 report_id",
        ),
    ]
}
