//! S: source locks.

use serde_json::{Value, json};

use crate::case::{Case, denied, ok};

fn lock(more: &Value) -> Value {
    let mut params = json!({"source_id": "rust", "authority_tier": "normative", "url_or_repository": "https://x",
        "summary": "S.", "body": "B"});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        ok("S1", lock(&json!({})), "status id source_id").id("source"),
        ok(
            "S1",
            lock(&json!({"supersedes": "$source", "license": "MIT", "content_hash": "h", "test": true})),
            "status id source_id",
        ),
        denied(
            "S1",
            lock(&json!({"authority_tier": "x"})),
            "DENIED_SCHEMA_ENUM",
            2,
            json!({"record_type": "source_lock",
            "field": "authority_tier", "value": "x",
            "allowed": ["normative", "official_docs", "implementation", "design_guidance"]}),
        ),
        denied(
            "S1",
            lock(&json!({"license": "w ".repeat(11)})),
            "DENIED_FIELD_WORD_LIMIT",
            2,
            json!({"field": "license", "words": 11, "limit": 10}),
        ),
        ok("S2", json!({}), "status records count"),
        ok("S2", json!({"query": "rust"}), "status records count"),
        ok("S3", json!({"id": "$source"}), "status record"),
        denied(
            "S3",
            json!({"id": "s_absent"}),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"table": "source_locks"}),
        ),
        ok("S4", json!({}), "status path count sha256"),
    ];
    for missing in ["source_id", "authority_tier", "url_or_repository", "summary"] {
        cases.push(denied(
            "S1",
            lock(&json!({missing: ""})),
            "DENIED_REQUIRED_FIELDS",
            2,
            json!({"fields": [missing]}),
        ));
    }
    cases
}
