//! Traces (T): events and scores.

use kaizen_proto::canonical_json;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, ids, keys, row, rows, text};

fn trace(place: &Place, payload: &Value, more: &[&str]) -> String {
    place.id(&[&["T1", "--payload-json", &payload.to_string()], more].concat())
}

fn stored(place: &Place, table: &str, id: &str) -> Value {
    row(place, &format!("SELECT * FROM {table} WHERE id = ?1"), &[id]).into()
}

fn score(value: &Value, data_type: &str) -> Value {
    json!({"name": "n", "value": value, "data_type": data_type, "source": "human"})
}

fn add_score(place: &Place, payload: &Value) -> Value {
    place.ok(&["T2", "--payload-json", &payload.to_string()])
}

#[test]
fn an_event_is_stored_with_its_defaults() {
    let place = Place::new();
    let reply = place.ok(&["T1", "--kind", "judge", "--summary", "S."]);
    let id = text(&reply, "id");
    assert_id(id, "te");
    let row = stored(&place, "trace_events", id);
    let hash = canonical_json::hash(&json!({
        "id": id, "kind": "judge", "level": "default", "status": "recorded", "tags_json": "[]", "summary": "S.",
        "body": "",
    }));
    let mut expected = json!({
        "id": id, "created_at": row["created_at"], "kind": "judge", "level": "default", "status": "recorded",
        "tags_json": "[]", "redaction_status": "scanned_clean", "summary": "S.", "body": "", "content_hash": hash,
        "is_test": 0,
    });
    for name in keys(&row) {
        if expected.get(name).is_none() {
            expected[name] = Value::Null;
        }
    }
    assert_eq!(row, expected);
    assert!(reply.get("warnings").is_none(), "{reply}");
}

#[test]
fn flags_fill_what_the_payload_leaves_out() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "T", "--summary", "S."]);
    let all = json!({
        "kind": "model_call", "task_id": task[..task.len() - 1], "trace_id": "run-1", "name": "call", "level": "warning",
        "environment": "ci", "session_id": "s", "status": "ok", "status_message": "fine", "model": "m",
        "provider": "p", "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 2, "latency_ms": 4,
        "tags": ["a", "é"], "input_ref": "i", "output_ref": "o", "summary": "Payload.", "body": "Payload.",
    });
    let flags = [
        "--kind",
        "judge",
        "--task-id",
        "t_other",
        "--trace-id",
        "other",
        "--summary",
        "Flag.",
        "--body",
        "",
        "--test",
    ];
    let row = stored(&place, "trace_events", &trace(&place, &all, &flags));
    for (name, value) in all.as_object().unwrap() {
        let expected = match name.as_str() {
            "task_id" => json!(task),
            "cost" => json!(2.0),
            "summary" => json!("Flag."),
            "body" => json!(""),
            "tags" => continue,
            _ => value.clone(),
        };
        assert_eq!(row[name.as_str()], expected, "{name}");
    }
    assert_eq!([&row["tags_json"], &row["is_test"]], [&json!(r#"["a", "\u00e9"]"#), &json!(1)]);
    let nulls =
        json!({"kind": null, "level": null, "status": null, "task_id": null, "trace_id": null, "tags": null});
    let row = stored(
        &place,
        "trace_events",
        &trace(
            &place,
            &nulls,
            &["--kind", "verifier", "--task-id", &task, "--trace-id", "run-2", "--summary", "S."],
        ),
    );
    let columns = ["kind", "level", "status", "task_id", "trace_id", "tags_json"].map(|name| &row[name]);
    assert_eq!(columns, ["verifier", "default", "recorded", &task, "run-2", "[]"]);
    // The journal knows the task.
    assert_eq!(place.count("SELECT count(*) FROM journal WHERE operation = 'T1' AND task_id IS NOT NULL"), 2);
}

#[test]
fn an_event_is_checked_by_its_record_type() {
    let place = Place::new();
    place.ok(&["K1"]);
    let denied = |payload: &str, code: &str| place.denied(&["T1", "--payload-json", payload], code, 2);
    let denial = place.denied(&["T1"], "DENIED_SCHEMA_REQUIRED", 2);
    assert_eq!(
        [&denial["record_type"], &denial["fields"]],
        [&json!("trace_event"), &json!(["kind", "summary"])]
    );
    std::fs::write(place.root.join("empty.json"), "").unwrap();
    place.denied(&["T1", "--payload-json-file", "empty.json"], "DENIED_SCHEMA_REQUIRED", 2);
    denied("[]", "DENIED_PAYLOAD_TYPE");
    denied("{", "DENIED_JSON_INVALID");
    denied(r#"{"kind": "judge", "summary": "S.", "cost": NaN}"#, "DENIED_JSON_INVALID");
    denied(r#"{"kind": "judge", "summary": "S.", "cost": 1e999}"#, "DENIED_JSON_INVALID");
    denied(r#"{"kind": "guess", "summary": "S."}"#, "DENIED_SCHEMA_ENUM");
    denied(r#"{"kind": "judge", "summary": "S.", "content_hash": "x"}"#, "DENIED_SCHEMA_UNKNOWN_FIELDS");
    denied(
        r#"{"kind": "judge", "summary": "S.", "total_tokens": 9223372036854775808}"#,
        "DENIED_SCHEMA_RANGE",
    );
    place.denied(
        &["T1", "--kind", "judge", "--summary", "", "--payload-json", r#"{"summary": "S."}"#],
        "DENIED_SCHEMA_REQUIRED",
        2,
    );
    assert_eq!(place.count("SELECT count(*) FROM trace_events"), 0);
    let reply = place.ok(&[
        "T1",
        "--payload-json",
        r#"{"kind": "judge", "summary": "S.", "parent_event_id": "te_none", "task_id": "t_none"}"#,
    ]);
    assert_eq!(reply["warnings"].as_array().unwrap().len(), 2, "{reply}");
}

#[test]
fn secrets_and_personal_details_are_refused_in_every_text() {
    let place = Place::new();
    place.ok(&["K1"]);
    let token = concat!("ghp_", "abcdefghijklmnopqrstuvwx");
    for field in [
        "summary",
        "body",
        "name",
        "status",
        "status_message",
        "input_ref",
        "output_ref",
        "environment",
        "session_id",
        "model",
        "provider",
        "trace_id",
        "task_id",
        "parent_event_id",
    ] {
        let mut payload = json!({"kind": "judge", "summary": "S."});
        payload[field] = json!("/home/victim/x");
        let payload = payload.to_string();
        let denial = place.denied(&["T1", "--payload-json", &payload], "DENIED_TRACE_REDACTION", 2);
        assert_eq!(denial["fields"], json!({field: ["posix_home_path"]}));
    }
    let payload =
        json!({"kind": "judge", "summary": "S.", "tags": ["a", token], "environment": "/home/victim/x"});
    let payload = payload.to_string();
    let denial = place.denied(&["T1", "--payload-json", &payload], "DENIED_TRACE_REDACTION", 2);
    assert_eq!(denial["fields"], json!({"environment": ["posix_home_path"], "tags": ["github_token"]}));
    assert!(!denial.to_string().contains(token), "{denial}");
    // What the record type forbids comes first.
    place.denied(&["T1", "--kind", "judge", "--body", token], "DENIED_SCHEMA_REQUIRED", 2);
    let masked = place.id(&["T1", "--kind", "judge", "--summary", "S.", "--body", token, "--redact"]);
    assert_eq!(stored(&place, "trace_events", &masked)["body"], "[REDACTED:github_token]");
    for (field, data_type) in [("name", "numeric"), ("comment", "numeric"), ("value", "categorical")] {
        let mut payload = score(&json!(1), data_type);
        payload[field] = json!(token);
        let payload = payload.to_string();
        let denial = place.denied(&["T2", "--payload-json", &payload], "DENIED_TRACE_REDACTION", 2);
        let named = if field == "value" { "value_label" } else { field };
        assert_eq!(denial["fields"], json!({named: ["github_token"]}));
    }
    assert_eq!(place.count("SELECT count(*) FROM eval_scores"), 0);
    assert_eq!(place.count("SELECT count(*) FROM trace_events"), 1);
}

#[test]
fn values_become_numbers_or_labels() {
    let place = Place::new();
    let stored_value = |value: Value, data_type: &str| {
        let reply = add_score(&place, &score(&value, data_type));
        assert_id(text(&reply, "id"), "es");
        let row = stored(&place, "eval_scores", text(&reply, "id"));
        assert_eq!(row["content_hash"], reply["content_hash"]);
        (row["value_num"].clone(), row["value_label"].clone(), reply.get("warnings").is_some())
    };
    for (value, number) in [(json!(0.5), 0.5), (json!(3), 3.0), (json!(" -1e2 "), -100.0), (json!(-0.0), 0.0)]
    {
        assert_eq!(stored_value(value, "numeric"), (json!(number), Value::Null, false));
    }
    for (value, number, label, warns) in [
        (json!(true), 1.0, "True", false),
        (json!(false), 0.0, "False", false),
        (json!(1), 1.0, "1", false),
        (json!(1.0), 1.0, "1.0", false),
        (json!("yes"), 1.0, "yes", false),
        (json!("no"), 0.0, "no", false),
        (json!("YES"), 0.0, "YES", true),
        (json!(2), 0.0, "2", true),
        (json!([]), 0.0, "[]", true),
    ] {
        assert_eq!(stored_value(value, "boolean"), (json!(number), json!(label), warns));
    }
    for (value, label) in [
        (json!("good"), "good"),
        (json!(true), "True"),
        (json!(["a", null, "it's", 1.5]), "['a', None, \"it's\", 1.5]"),
        (json!({"k": "a\n\"'"}), "{'k': 'a\\n\"\\''}"),
    ] {
        assert_eq!(stored_value(value, "categorical"), (Value::Null, json!(label), false));
    }
    for value in [
        json!(true),
        json!("nan"),
        json!("inf"),
        json!("-Infinity"),
        json!("1e999"),
        json!("x"),
        json!("-"),
        json!([1]),
        json!({}),
    ] {
        let payload = score(&value, "numeric").to_string();
        place.denied(&["T2", "--payload-json", &payload], "DENIED_SCORE_VALUE", 2);
    }
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], true);
}

#[test]
fn a_score_belongs_to_what_exists() {
    let place = Place::new();
    place.ok(&["K1"]);
    let with = |field: &str, id: &str| {
        let mut payload = score(&json!(1), "numeric");
        payload[field] = json!(id);
        payload
    };
    for (field, table) in [
        ("trace_event_id", "trace_events"),
        ("eval_run_id", "eval_runs"),
        ("verification_id", "verification_events"),
    ] {
        let payload = with(field, "none").to_string();
        let denial = place.denied(&["T2", "--payload-json", &payload], "DENIED_RECORD_NOT_FOUND", 1);
        assert_eq!([&denial["id"], &denial["table"]], ["none", table]);
    }
    let parents = [
        ("trace_event_id", trace(&place, &json!({"kind": "judge", "summary": "S."}), &[])),
        ("eval_run_id", place.id(&["Q4", "--summary", "S."])),
        ("verification_id", place.id(&["Q1", "--summary", "S."])),
    ];
    for (field, id) in &parents {
        let reply = add_score(&place, &with(field, &id[..id.len() - 1]));
        assert_eq!(stored(&place, "eval_scores", text(&reply, "id"))[*field], id.as_str());
    }
    let reply = add_score(&place, &with("eval_run_id", ""));
    assert_eq!(stored(&place, "eval_scores", text(&reply, "id"))["eval_run_id"], Value::Null);
    let denial = place.denied(
        &[
            "T2",
            "--payload-json",
            r#"{"name": "n", "value": 1, "data_type": "numeric", "source": "verifier"}"#,
        ],
        "DENIED_SCHEMA_ENUM",
        2,
    );
    assert_eq!(denial["allowed"], json!(["deterministic", "human", "model"]));
    let denial = place.denied(&["T2"], "DENIED_SCHEMA_REQUIRED", 2);
    assert_eq!(denial["fields"], json!(["name", "value", "data_type", "source"]));
    place.denied(&["T2", "--payload-json", "[]"], "DENIED_PAYLOAD_TYPE", 2);
    assert_eq!(rows(&place, "SELECT * FROM eval_scores", &[]).len(), 4);
}

#[test]
fn scores_are_found_and_summed_up() {
    let place = Place::new();
    let event = trace(&place, &json!({"kind": "judge", "summary": "S."}), &[]);
    let run = place.id(&["Q4", "--summary", "S."]);
    let add = |name: &str, value: Value, data_type: &str, parent: (&str, &str)| {
        let mut payload = score(&value, data_type);
        payload["name"] = json!(name);
        payload[parent.0] = json!(parent.1);
        text(&add_score(&place, &payload), "id").to_owned()
    };
    let first = add("pass_rate", json!(0.25), "numeric", ("trace_event_id", &event));
    let second = add("pass_rate", json!(0.75), "numeric", ("eval_run_id", &run));
    let third = add("mood", json!("fine"), "categorical", ("eval_run_id", &run));
    let fourth = add("ok", json!(true), "boolean", ("eval_run_id", &run));
    let query = |words: &[&str]| place.ok(&[&["T4"], words].concat());
    let found = |words: &[&str]| ids(&query(words));
    assert_eq!(found(&[]), [fourth.as_str(), &third, &second, &first]);
    assert_eq!(found(&["--trace-id", &event]), [first.as_str()]);
    assert_eq!(found(&["--id", &run, "--query", "PASS"]), [second.as_str()]);
    assert_eq!(found(&["--id", &run[..run.len() - 1]]).len(), 3);
    assert_eq!(found(&["--limit", "1", "--after", &third]), [second.as_str()]);
    assert_eq!(found(&["--since", "1h"]).len(), 4);
    assert_eq!(found(&["--until", "2020-01-01"]), [""; 0]);
    let reply = query(&[]);
    assert_eq!(keys(&reply), ["status", "records", "aggregates", "count"]);
    assert_eq!(
        reply["aggregates"],
        json!({"count": 4, "numeric_count": 3, "mean": 2.0 / 3.0, "min": 0.25, "max": 1.0})
    );
    assert_eq!(
        keys(&reply["records"][0]),
        [
            "id",
            "created_at",
            "trace_event_id",
            "eval_run_id",
            "verification_id",
            "name",
            "value_num",
            "value_label",
            "data_type",
            "source",
            "comment"
        ]
    );
    assert_eq!(query(&["--query", "nothing"])["aggregates"], json!({"count": 0, "numeric_count": 0}));
    let reply = query(&["--group", "--limit", "1"]);
    assert_eq!([&reply["aggregates"]["count"], &reply["next"]], [&json!(1), &json!(fourth)]);
    assert_eq!(
        reply["groups"],
        json!([
            {"name": "pass_rate", "count": 2, "numeric_count": 2, "mean": 0.5, "min": 0.25, "max": 0.75},
            {"name": "mood", "count": 1, "numeric_count": 0},
            {"name": "ok", "count": 1, "numeric_count": 1, "mean": 1.0, "min": 1.0, "max": 1.0},
        ])
    );
    assert_eq!(query(&["--group", "--id", &run, "--query", "_rate"])["groups"].as_array().unwrap().len(), 1);
    // Numbers so large that their sum is no number.
    for _ in 0..2 {
        add("huge", json!(f64::MAX), "numeric", ("eval_run_id", &run));
    }
    assert_eq!(query(&["--query", "huge"])["aggregates"]["mean"], json!(f64::MAX));
}

#[test]
fn fifty_scores_are_shown_unless_more_are_asked_for() {
    let place = Place::new();
    for _ in 0..51 {
        add_score(&place, &score(&json!(1), "numeric"));
    }
    for (limit, count) in [(&[][..], 50), (&["--limit", "0"], 50), (&["--limit", "-1"], 51)] {
        let reply = place.ok(&[&["T4"], limit].concat());
        assert_eq!([&reply["count"], &reply["aggregates"]["count"]], [count, count]);
    }
}
