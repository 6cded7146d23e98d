//! Q: proofs, verifications, evals, anti-patterns and checks.

use serde_json::{Value, json};

use crate::case::{Case, denied, ok};

const STORED: &str = "status id content_hash";

fn verification(more: &Value) -> Value {
    let mut params = json!({"summary": "S.", "body": "B", "evidence": "[\"AI/x\"]", "task_id": "$task"});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

fn validated(kind: &str, payload: &str) -> Value {
    json!({"kind": kind, "payload_json": payload})
}

pub(crate) fn cases() -> Vec<Case> {
    let pattern = json!({"title": "T", "symptom": "S", "maintainability_harm": "M", "trigger_evidence": "E",
        "preferred_correction": "C", "valid_exceptions": "V", "verification": "F", "summary": "S."});
    let mut cases = vec![
        ok("Q1", verification(&json!({})), STORED).id("proof"),
        ok(
            "Q1",
            json!({"summary": "S.", "conclusion": "ACCEPTABLE_WITH_CONCERNS", "findings": "null"}),
            STORED,
        ),
        denied("Q1", json!({"evidence": "{"}), "DENIED_SUMMARY_REQUIRED", 2, json!({"field": "summary"})),
        denied(
            "Q1",
            verification(&json!({"conclusion": "FINE"})),
            "DENIED_SCHEMA_ENUM",
            2,
            json!({
            "record_type": "verification", "field": "conclusion", "value": "FINE",
            "allowed": ["VERIFIED_ACCEPTABLE", "ACCEPTABLE_WITH_CONCERNS", "NEEDS_HUMAN_DECISION",
                "STRUCTURAL_REWORK_RECOMMENDED", "VERIFICATION_FAILED", "PROOF_RECORDED"]}),
        ),
        ok(
            "Q2",
            verification(&json!({"proof_id": "$proof", "severity": "high", "artifact_ids": "[]"})),
            STORED,
        )
        .id("verification"),
        ok("Q3", json!({"title": "T", "summary": "S.", "body": "B", "expected_json": "not parsed"}), STORED)
            .id("case"),
        ok(
            "Q4",
            json!({"eval_case_id": "$case", "summary": "S.", "body": "B", "artifact_ids": "{}"}),
            STORED,
        )
        .id("run"),
        ok("Q4", json!({"summary": "S."}), STORED),
        denied(
            "Q4",
            json!({"eval_case_id": "qe_absent", "summary": "S."}),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"id": "qe_absent", "table": "eval_cases"}),
        ),
        ok("Q5", pattern.clone(), STORED).id("pattern"),
        denied(
            "Q5",
            json!({"title": "T", "symptom": ""}),
            "DENIED_REQUIRED_FIELDS",
            2,
            json!({"fields": ["symptom",
            "maintainability_harm", "trigger_evidence", "preferred_correction", "valid_exceptions", "verification",
            "summary"]}),
        ),
        ok("Q6", json!({"query": "s"}), "status records count query"),
        ok("Q6", json!({"query": "nothing like it"}), "status records count query"),
        ok("Q7", json!({"kind": "verifier", "id": "$proof"}), "status record"),
        ok("Q7", json!({"kind": "eval-run", "id": "$run"}), "status record"),
        ok("Q7", json!({"kind": "eval-case", "id": "$case"}), "status record"),
        denied(
            "Q7",
            json!({"kind": "eval-run", "id": "qr_absent"}),
            "DENIED_RECORD_NOT_FOUND",
            1,
            json!({"id": "qr_absent", "table": "eval_runs"}),
        ),
        denied("Q7", json!({"id": "a_absent"}), "DENIED_RECORD_NOT_FOUND", 1, json!({"table": "artifacts"})),
        ok("Q9", json!({}), "status records count"),
        ok(
            "Q9",
            json!({"task_id": "$task", "conclusion": "PROOF_RECORDED", "query": "s"}),
            "status records count",
        ),
        ok("Q9", json!({"conclusion": "FINE"}), "status records count"),
    ];
    cases.extend(checks());
    cases
}

fn checks() -> Vec<Case> {
    const LINT: &str = "status op verdict word_count sentence_count signal_per_token hedge_density filler_hits \
        hedge_hits duplicate_sentences reasons note";
    const VALID: &str = "status record_type valid jsonschema_accelerator";
    let event = r#"{"kind": "judge", "summary": "S."}"#;
    vec![
        ok("Q8", validated("trace_event", event), VALID),
        ok("Q8", json!({}), "status schemas jsonschema_accelerator"),
        denied("Q8", json!({"kind": "x"}), "DENIED_USAGE", 2, json!({})),
        denied("Q8", validated("gotcha", "{"), "DENIED_JSON_INVALID", 2, json!({})),
        denied(
            "Q8",
            validated("x", "{}"),
            "DENIED_SCHEMA_UNKNOWN_TYPE",
            2,
            json!({"record_type": "x", "known_types": [
            "eval_score", "evidence_chunk", "evidence_document", "gateway_event", "generative_run",
            "generative_run_route", "gotcha", "improvement_proposal", "pii_scan", "source_lock", "trace_event",
            "verification"]}),
        ),
        denied("Q8", validated("gotcha", "[]"), "DENIED_SCHEMA_TYPE", 2, json!({"record_type": "gotcha"})),
        denied(
            "Q8",
            validated("gotcha", r#"{"title": "T", "summary": ""}"#),
            "DENIED_SCHEMA_REQUIRED",
            2,
            json!({"record_type": "gotcha", "fields": ["summary", "body"]}),
        ),
        denied(
            "Q8",
            validated("verification", r#"{"summary": "S.", "y": 1, "x": 2}"#),
            "DENIED_SCHEMA_UNKNOWN_FIELDS",
            2,
            json!({"record_type": "verification", "fields": ["y", "x"]}),
        ),
        denied(
            "Q8",
            validated("trace_event", r#"{"kind": "judge", "summary": "S.", "prompt_tokens": 1.0}"#),
            "DENIED_SCHEMA_FIELD_TYPE",
            2,
            json!({"field": "prompt_tokens", "expected": "int"}),
        ),
        denied(
            "Q8",
            validated("trace_event", r#"{"kind": "x", "summary": "S."}"#),
            "DENIED_SCHEMA_ENUM",
            2,
            json!({"field": "kind", "value": "x"}),
        ),
        denied(
            "Q8",
            validated("trace_event", r#"{"kind": "judge", "summary": "S.", "cost": -1}"#),
            "DENIED_SCHEMA_RANGE",
            2,
            json!({"field": "cost", "value": -1, "min": 0}),
        ),
        ok("Q10", json!({"path": "text.txt"}), LINT).after(|served| {
            served.write("text.txt", "The loop waits a minute. Then it ends.");
            served.write("latin.txt", b"caf\xe9");
        }),
        ok("Q10", json!({"body": "In order to win, go for broke. It goes for broke."}), LINT),
        denied("Q10", json!({}), "DENIED_CONTRACT_TEXT_REQUIRED", 2, json!({})),
        ok("Q11", json!({"path": "cases.jsonl"}), "status added skipped records").after(|served| {
            served.write(
                "cases.jsonl",
                "{\"title\": \"A\", \"summary\": \"S.\", \"category\": \"proof\"}\n\n\
                {\"title\": \"B\", \"summary\": \"S.\"}\n",
            );
        }),
        denied("Q11", json!({"path": "broken.jsonl"}), "DENIED_JSON_INVALID", 2, json!({"line": 2})).after(
            |served| {
                served.write("broken.jsonl", "{\"title\": \"C\", \"summary\": \"S.\"}\n{\n");
            },
        ),
        denied("Q11", json!({"path": "fields.jsonl"}), "DENIED_SCHEMA_UNKNOWN_FIELDS", 2, json!({"line": 1}))
            .after(|served| {
                served.write("fields.jsonl", "{\"title\": \"C\", \"summary\": \"S.\", \"colour\": 1}\n");
            }),
    ]
}
