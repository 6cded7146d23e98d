//! Work (W): tasks in the digest, plans, and packets.

use kaizen_proto::canonical_json;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, assert_time, keys, row, rows, text, words};

#[test]
fn a_task_is_recorded_and_comes_back_in_the_digest() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "First", "--summary", "The first task."]);
    assert!(task.starts_with("t_"));
    let digest = place.ok(&["R0"]);
    assert_eq!(digest["active_tasks"][0]["id"], task.as_str());
    // Its own event does not count: it is not linked to it.
    assert_eq!(digest["counts"]["active_tasks_without_ledger"], 1);
    place.ok(&["W2", "--id", &task, "--task-id", &task]);
    let digest = place.ok(&["R0"]);
    assert_eq!(digest["counts"]["active_tasks_without_ledger"], 0);
    assert_eq!(digest["counts"]["tasks_active"], 1);
    place.ok(&["W2", "--id", &task, "--task-id", &task, "--status", "done"]);
    let digest = place.ok(&["R0"]);
    assert_eq!(digest["counts"]["tasks_active"], 0);
    assert_eq!(digest["counts"]["active_tasks_without_ledger"], 0);
    assert_eq!(digest["active_tasks"], json!([]));
}

#[test]
fn a_plan_is_stored_with_its_first_revision_and_no_ledger_event() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "T", "--summary", "S."]);
    let reply = place.ok(&["W3", "--title", "P", "--summary", "S.", "--body", "B", "--task-id", &task]);
    assert_eq!(keys(&reply)[..4], ["status", "id", "revision_id", "content_hash"]);
    let id = text(&reply, "id");
    assert_id(id, "p");
    assert_id(text(&reply, "revision_id"), "pr");
    let stored: Value = row(&place, "SELECT * FROM plans WHERE id = ?1", &[id]).into();
    assert_time(&stored["created_at"]);
    let hash = canonical_json::hash(&json!({"id": id, "title": "P", "summary": "S.", "body": "B"}));
    assert_eq!(
        stored,
        json!({
            "id": id, "task_id": task, "created_at": stored["created_at"], "updated_at": stored["created_at"],
            "status": "draft", "title": "P", "summary": "S.", "body": "B", "source_command": "W3",
            "writer_role": "agent", "content_hash": hash, "current_revision_id": reply["revision_id"], "is_test": 0,
        })
    );
    let revision: Value = row(&place, "SELECT * FROM plan_revision WHERE plan_id = ?1", &[id]).into();
    assert_eq!(
        revision,
        json!({
            "id": reply["revision_id"], "plan_id": id, "created_at": stored["created_at"], "revision_number": 1,
            "summary": "S.", "body": "B", "status": "draft", "content_hash": hash, "previous_hash": null,
            "source_command": "W3",
        })
    );
    let other =
        place.id(&["W3", "--title", "P", "--summary", "S.", "--status", "", "--task-id", "", "--test"]);
    let stored = row(&place, "SELECT * FROM plans WHERE id = ?1", &[&other]);
    assert_eq!(
        [&stored["status"], &stored["task_id"], &stored["is_test"]],
        [&json!("draft"), &Value::Null, &json!(1)]
    );
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 1);
}

#[test]
fn a_plan_is_revised_by_number_and_hash() {
    let place = Place::new();
    let first = place.ok(&["W3", "--title", "P", "--summary", "S.", "--body", "B"]);
    let id = text(&first, "id");
    let second = place.ok(&["W4", "--id", id, "--summary", "Another."]);
    let third = place.ok(&["W4", "--id", &id[..30], "--body", "", "--status", "active"]);
    assert_ne!(first["content_hash"], second["content_hash"]);
    assert_id(text(&third, "revision_id"), "pr");
    let revisions =
        rows(&place, "SELECT * FROM plan_revision WHERE plan_id = ?1 ORDER BY revision_number", &[id]);
    let column = |name: &str| revisions.iter().map(|revision| revision[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("revision_number"), [1, 2, 3]);
    assert_eq!(column("source_command"), ["W3", "W4", "W4"]);
    assert_eq!(
        column("previous_hash"),
        [Value::Null, first["content_hash"].clone(), second["content_hash"].clone()]
    );
    let stored = row(&place, "SELECT * FROM plans WHERE id = ?1", &[id]);
    let hash =
        canonical_json::hash(&json!({"id": id, "summary": "Another.", "body": "", "status": "active"}));
    assert_eq!(stored["content_hash"], hash);
    assert_eq!(stored["current_revision_id"], third["revision_id"]);
    assert_eq!([&stored["title"], &stored["source_command"]], [&json!("P"), &json!("W3")]);
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 0);
}

#[test]
fn plans_are_checked_in_a_fixed_order() {
    let place = Place::new();
    let three = "One. Two. Three.";
    let denial = place.denied(&["W3", "--summary", three], "DENIED_TITLE_REQUIRED", 2);
    assert!(denial.get("field").is_none(), "{denial}");
    place.denied(&["W3", "--title", "P", "--body", &words(1301)], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(&["W3", "--title", "P", "--summary", three], "DENIED_SUMMARY_TOO_LONG", 2);
    place.denied(
        &["W3", "--title", "P", "--summary", "S.", "--body", &words(1001)],
        "DENIED_FIELD_WORD_LIMIT",
        2,
    );
    place.denied(&["W4", "--summary", three], "DENIED_ID_REQUIRED", 2);
    let denial = place.denied(&["W4", "--id", "p_1", "--summary", three], "DENIED_RECORD_NOT_FOUND", 1);
    assert_eq!(denial["table"], "plans");
    let plan = place.id(&["W3", "--title", "P", "--summary", "S."]);
    place.denied(&["W4", "--id", &plan, "--summary", three], "DENIED_SUMMARY_TOO_LONG", 2);
    place.denied(&["W4", "--id", &plan, "--summary", ""], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(&["W4", "--id", &plan, "--title", "T"], "DENIED_USAGE", 2);
    assert_eq!(place.count("SELECT count(*) FROM plan_revision"), 1);
}

const PACKETS: [(&str, &str, &str, &str); 4] = [
    ("W5", "subagent_packets", "sp", "request"),
    ("W6", "subagent_packets", "sp", "ingest"),
    ("W7", "diagnostic_packets", "dp", "request"),
    ("W8", "diagnostic_packets", "dp", "ingest"),
];

#[test]
fn a_packet_is_stored_with_its_payload_as_given() {
    let place = Place::new();
    for (operation, table, prefix, packet_type) in PACKETS {
        let stored = |id: &str| -> Value {
            row(&place, &format!("SELECT * FROM {table} WHERE id = ?1"), &[id]).into()
        };
        let reply = place.ok(&[operation, "--summary", "S."]);
        assert_eq!(keys(&reply)[..3], ["status", "id", "content_hash"]);
        let id = text(&reply, "id");
        assert_id(id, prefix);
        let title = format!("{packet_type} packet");
        let hash = canonical_json::hash(
            &json!({"id": id, "title": title, "summary": "S.", "body": "", "payload_json": "{}"}),
        );
        assert_eq!(
            stored(id),
            json!({
                "id": id, "created_at": stored(id)["created_at"], "task_id": null, "packet_type": packet_type,
                "status": "recorded", "title": title, "summary": "S.", "body": "", "payload_json": "{}",
                "content_hash": hash, "is_test": 0,
            })
        );
        let payload = r#" { "b" : 1,"a":"Größe",  "b":2, "n": 1.00 } "#;
        let id = place.id(&[
            operation,
            "--summary",
            "S.",
            "--title",
            "",
            "--body",
            "B",
            "--payload-json",
            payload,
            "--status",
            "sent",
            "--task-id",
            "task-9",
            "--test",
        ]);
        let packet = stored(&id);
        assert_eq!(packet["payload_json"], payload);
        assert_eq!(
            [&packet["title"], &packet["status"], &packet["task_id"]],
            ["", "sent", "task-9"].map(Value::from).each_ref()
        );
        assert_eq!(packet["is_test"], 1);
        for empty in [["--payload-json", ""], ["--status", ""]] {
            let id = place.id(&[&[operation, "--summary", "S."][..], &empty].concat());
            assert_eq!(
                [&stored(&id)["payload_json"], &stored(&id)["status"]],
                [&json!("{}"), &json!("recorded")]
            );
        }
    }
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 0);
    place.ok(&["W5", "--summary", "S.", "--payload-json", &format!("{{\"a\":\"{}\"}}", "x".repeat(100_000))]);
}

#[test]
fn the_payload_of_a_file_wins() {
    let place = Place::new();
    std::fs::write(place.root.join("good.json"), "\u{feff}{\"from\":\r\n\"file\"}").unwrap();
    for (operation, table, ..) in PACKETS {
        for inline in ["{\"from\":\"inline\"}", "{broken", ""] {
            let id = place.id(&[
                operation,
                "--summary",
                "S.",
                "--payload-json",
                inline,
                "--payload-json-file",
                "good.json",
            ]);
            let stored = row(&place, &format!("SELECT payload_json FROM {table} WHERE id = ?1"), &[&id]);
            assert_eq!(stored["payload_json"], "{\"from\":\n\"file\"}");
        }
        let call = [operation, "--summary", "S.", "--payload-json-file", "-", "--json"];
        let outcome = place.run_with_input(&call, br#"{"from":"stdin"}"#);
        assert!(outcome.status.success(), "{outcome:?}");
        let sql = format!("SELECT payload_json FROM {table} ORDER BY created_at DESC LIMIT 1");
        assert_eq!(row(&place, &sql, &[])["payload_json"], r#"{"from":"stdin"}"#);
    }
}

#[test]
fn packets_are_checked_in_a_fixed_order() {
    let place = Place::new();
    place.ok(&["K1"]);
    let file = |name: &str, text: &str| std::fs::write(place.root.join(name), text).unwrap();
    file("empty.json", "");
    file("list.json", "[1]");
    for (operation, table, ..) in PACKETS {
        let denied = |words: &[&str], code: &str| place.denied(&[&[operation], words].concat(), code, 2);
        denied(&["--payload-json", "{"], "DENIED_SUMMARY_REQUIRED");
        // The texts come before the file, and the file before what is in it.
        denied(&["--payload-json-file", "absent.json"], "DENIED_SUMMARY_REQUIRED");
        denied(
            &["--summary", "S.", "--body", &words(1301), "--payload-json-file", "absent.json"],
            "DENIED_FIELD_SPLIT_REQUIRED",
        );
        let denial =
            denied(&["--summary", "S.", "--payload-json-file", "absent.json"], "DENIED_FILE_NOT_FOUND");
        assert_eq!(denial["path"], "absent.json");
        denied(&["--summary", "S.", "--payload-json-file", "."], "DENIED_FILE_NOT_FOUND");
        let denial = denied(&["--summary", "S.", "--payload-json", "{"], "DENIED_JSON_INVALID");
        assert!(text(&denial, "example").contains(&format!("kaizenctl {operation} ")), "{denial}");
        assert!(text(&denial, "example").contains("--payload-json-file"), "{denial}");
        denied(&["--summary", "S.", "--payload-json-file", "empty.json"], "DENIED_JSON_INVALID");
        denied(&["--summary", "S.", "--payload-json", " "], "DENIED_JSON_INVALID");
        denied(&["--summary", "S.", "--payload-json-file", "list.json"], "DENIED_PAYLOAD_TYPE");
        for payload in ["[]", "null", "1", "\"text\"", "true"] {
            let denial = denied(&["--summary", "S.", "--payload-json", payload], "DENIED_PAYLOAD_TYPE");
            assert!(!text(&denial, "example").contains("{{"), "{denial}");
        }
        assert_eq!(place.count(&format!("SELECT count(*) FROM {table}")), 0);
    }
}
