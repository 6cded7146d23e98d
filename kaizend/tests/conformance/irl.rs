//! I: reviews of decisions against reality.

use serde_json::json;

use crate::case::{Case, denied, ok};

const EVENT: &str = "status id review_id event_type";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        ok("I1", json!({"summary": "S.", "body": "B", "decision": "D"}), EVENT).keep("review", "/review_id"),
    ];
    for code in ["I2", "I3", "I4"] {
        cases.push(ok(code, json!({"review_id": "$review", "summary": "S.", "body": "B"}), EVENT));
        // The texts are looked at first.
        cases.push(denied(code, json!({}), "DENIED_SUMMARY_REQUIRED", 2, json!({"field": "summary"})));
    }
    cases.push(ok("I5", json!({"review_id": "$review"}), "status review_id path rows sha256 report_id"));
    cases.push(ok("I5", json!({"id": "$review"}), "status review_id path rows sha256 report_id"));
    cases.push(ok(
        "I5",
        json!({"review_id": "nobody/knows it"}),
        "status review_id path rows sha256 report_id",
    ));
    cases
}
