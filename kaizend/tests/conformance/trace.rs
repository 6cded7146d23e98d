//! T: traces and scores.

use serde_json::{Value, json};

use crate::case::{Case, denied, ok};

const STORED: &str = "status id content_hash";

fn event(payload: &Value) -> Value {
    json!({"payload_json": payload.to_string()})
}

fn score(more: &Value) -> Value {
    let mut score = json!({"name": "n", "value": 1, "data_type": "numeric", "source": "human"});
    score.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"payload_json": score.to_string()})
}

pub(crate) fn cases() -> Vec<Case> {
    [events(), scores(), reports()].into_iter().flatten().collect()
}

fn events() -> Vec<Case> {
    let secret = concat!("AKIA", "IOSFODNN7EXAMPLE");
    vec![
        ok(
            "T1",
            json!({"kind": "tool_call", "summary": "S.", "body": "B", "task_id": "$task",
            "payload_json": "{\"trace_id\": \"trace\", \"total_tokens\": 3, \"tags\": [\"a\"]}"}),
            STORED,
        )
        .id("event"),
        denied(
            "T1",
            json!({}),
            "DENIED_SCHEMA_REQUIRED",
            2,
            json!({"record_type": "trace_event", "fields": ["kind", "summary"]}),
        ),
        denied(
            "T1",
            json!({"kind": "x", "summary": "S."}),
            "DENIED_SCHEMA_ENUM",
            2,
            json!({"field": "kind", "value": "x"}),
        ),
        denied(
            "T1",
            event(&json!({"kind": "judge", "summary": "S.", "cost": -1})),
            "DENIED_SCHEMA_RANGE",
            2,
            json!({"field": "cost"}),
        ),
        denied(
            "T1",
            event(&json!({"kind": "judge", "summary": "S.", "cost": true})),
            "DENIED_SCHEMA_FIELD_TYPE",
            2,
            json!({"field": "cost", "expected": "float"}),
        ),
        denied(
            "T1",
            event(&json!({"kind": "judge", "summary": "S.", "colour": 1})),
            "DENIED_SCHEMA_UNKNOWN_FIELDS",
            2,
            json!({"fields": ["colour"]}),
        ),
        denied(
            "T1",
            event(
                &json!({"kind": "judge", "summary": "S.", "environment": "/home/victim/x", "tags": [secret]}),
            ),
            "DENIED_TRACE_REDACTION",
            2,
            json!({"fields": {"environment": ["posix_home_path"], "tags": ["aws_access_key"]}}),
        ),
    ]
}

fn scores() -> Vec<Case> {
    let secret = concat!("AKIA", "IOSFODNN7EXAMPLE");
    vec![
        ok("T2", score(&json!({"trace_event_id": "$event"})), STORED).id("score"),
        ok("T2", score(&json!({"eval_run_id": "$run", "value": "yes", "data_type": "boolean"})), STORED),
        ok(
            "T2",
            score(&json!({"verification_id": "$proof", "value": "good", "data_type": "categorical"})),
            STORED,
        ),
        denied(
            "T2",
            json!({}),
            "DENIED_SCHEMA_REQUIRED",
            2,
            json!({"record_type": "eval_score", "fields": ["name", "value", "data_type", "source"]}),
        ),
        denied(
            "T2",
            score(&json!({"source": "verifier"})),
            "DENIED_SCHEMA_ENUM",
            2,
            json!({"field": "source", "allowed": ["deterministic", "human", "model"]}),
        ),
        denied(
            "T2",
            score(&json!({"name": 1})),
            "DENIED_SCHEMA_FIELD_TYPE",
            2,
            json!({"field": "name", "expected": "str"}),
        ),
        denied(
            "T2",
            score(&json!({"colour": 1})),
            "DENIED_SCHEMA_UNKNOWN_FIELDS",
            2,
            json!({"fields": ["colour"]}),
        ),
        denied("T2", score(&json!({"value": true})), "DENIED_SCORE_VALUE", 2, json!({})),
        denied("T2", score(&json!({"value": "nan"})), "DENIED_SCORE_VALUE", 2, json!({})),
        denied(
            "T2",
            score(&json!({"comment": secret})),
            "DENIED_TRACE_REDACTION",
            2,
            json!({"fields": {"comment": ["aws_access_key"]}}),
        ),
        denied(
            "T2",
            score(&json!({"trace_event_id": "te_absent"})),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"id": "te_absent", "table": "trace_events"}),
        ),
        denied(
            "T2",
            score(&json!({"eval_run_id": "qr_absent"})),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"table": "eval_runs"}),
        ),
        denied(
            "T2",
            score(&json!({"verification_id": "qv_absent"})),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"table": "verification_events"}),
        ),
    ]
}

fn reports() -> Vec<Case> {
    const REPORT: &str = "status key events total_tokens total_cost path sha256 report_id";
    vec![
        ok("T3", json!({"trace_id": "trace"}), REPORT),
        ok("T3", json!({"task_id": "$task"}), REPORT),
        ok("T3", json!({"trace_id": "no/such trace"}), REPORT),
        denied("T3", json!({}), "DENIED_ID_REQUIRED", 2, json!({})),
        ok("T4", json!({}), "status records aggregates count"),
        ok("T4", json!({"group": true}), "status records aggregates count groups"),
    ]
}
