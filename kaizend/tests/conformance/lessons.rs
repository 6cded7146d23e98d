//! G and L: pitfalls, learnings and lessons.

use serde_json::json;

use crate::case::{Case, denied, ok};

const RECORDED: &str = "status id revision_id content_hash";
const LIST: &str = "status records count";
const MATCHES: &str = "status records count query";

pub(crate) fn cases() -> Vec<Case> {
    let record = || json!({"title": "T", "summary": "S.", "body": "B"});
    vec![
        ok("G1", record(), RECORDED).id("gotcha"),
        ok("G1", record(), RECORDED).id("other_gotcha"),
        ok("G1", record(), RECORDED).id("third_gotcha"),
        denied(
            "G1",
            json!({"title": "T", "summary": "S."}),
            "DENIED_SCHEMA_REQUIRED",
            2,
            json!({"record_type": "gotcha", "fields": ["body"]}),
        ),
        denied(
            "G1",
            json!({"title": "w ".repeat(41), "summary": "S.", "body": "B"}),
            "DENIED_FIELD_WORD_LIMIT",
            2,
            json!({"field": "title", "words": 41, "limit": 40}),
        ),
        ok("G2", json!({}), LIST),
        ok("G2", json!({"limit": 1}), "status records count next"),
        ok("G3", json!({"query": "s."}), MATCHES),
        ok("G3", json!({"query": "nothing like it"}), MATCHES),
        ok("G4", json!({"id": "$gotcha"}), "status record"),
        ok("G5", json!({"id": "$gotcha", "status": "active", "summary": "Again.", "body": ""}), RECORDED),
        denied(
            "G5",
            json!({"id": "g_absent"}),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"id": "g_absent", "table": "gotcha"}),
        ),
        ok("L1", record(), RECORDED),
        ok("L2", json!({"id": "$gotcha"}), "status id revision_id content_hash source_gotcha_status")
            .id("learning"),
        denied(
            "L2",
            json!({"id": "$gotcha"}),
            "DENIED_ALREADY_PROMOTED",
            2,
            json!({"promoted_id": "$learning"}),
        ),
        denied("L2", json!({"id": "g_absent"}), "DENIED_RECORD_NOT_FOUND", 1, json!({"table": "gotcha"})),
        ok("L2", json!({"id": "$other_gotcha"}), "status id revision_id content_hash source_gotcha_status")
            .id("other_learning"),
        ok("L3", json!({"id": "$learning"}), "status id revision_id content_hash source_learning_status")
            .id("learned"),
        denied(
            "L3",
            json!({"id": "$learning"}),
            "DENIED_ALREADY_PROMOTED",
            2,
            json!({"promoted_id": "$learned"}),
        ),
        denied("L3", json!({"id": "l_absent"}), "DENIED_RECORD_NOT_FOUND", 1, json!({"table": "learning"})),
        ok(
            "L3",
            json!({"id": "$other_learning"}),
            "status id revision_id content_hash source_learning_status",
        ),
        ok("L4", json!({}), LIST),
        ok("L5", json!({"query": "s"}), MATCHES),
        ok("L6", json!({"id": "$learning"}), "status record"),
        ok("L7", json!({}), LIST),
        ok("L8", json!({"query": "s"}), MATCHES),
        ok("L9", json!({"id": "$learned"}), "status record"),
        ok("L10", json!({}), LIST),
        ok("L10", json!({"query": "again"}), LIST),
    ]
}
