//! X: private policies.

use serde_json::json;

use crate::case::{Case, denied, ok};

const RECORDED: &str = "status id revision_id content_hash";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ok("X1", json!({"title": "T", "summary": "S.", "body": "B", "priority": "critical"}), RECORDED)
            .id("policy"),
        ok("X1", json!({"title": "T2", "summary": "S.", "trigger": "commit"}), RECORDED),
        denied(
            "X1",
            json!({"title": "T", "summary": "S.", "trigger": "w ".repeat(121)}),
            "DENIED_FIELD_WORD_LIMIT",
            2,
            json!({"field": "trigger", "words": 121, "limit": 120}),
        ),
        denied(
            "X1",
            json!({"title": "T", "summary": "S.", "priority": "w ".repeat(21)}),
            "DENIED_FIELD_WORD_LIMIT",
            2,
            json!({"field": "priority", "words": 21, "limit": 20}),
        ),
        ok("X2", json!({}), "status records count"),
        ok("X3", json!({"query": "s"}), "status records count query"),
        ok("X4", json!({"id": "$policy"}), "status record"),
        denied(
            "X4",
            json!({"id": "pol_absent"}),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"table": "private_policy"}),
        ),
        ok("X5", json!({}), "status message records count required_action"),
        ok("X5", json!({"trigger": "commit", "limit": 1}), "status message records count required_action"),
        ok("X6", json!({"id": "$policy", "summary": "S2.", "body": "B"}), RECORDED),
    ]
}
