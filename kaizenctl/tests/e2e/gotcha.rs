//! Gotchas (G): what they have beside what all records share.

use serde_json::json;

use crate::context::Place;
use crate::rows::{text, words};

#[test]
fn a_gotcha_needs_a_body_and_a_short_title() {
    let place = Place::new();
    for empty in [
        &["G1", "--title", "T", "--summary", "S."][..],
        &["G1", "--title", "T", "--summary", "S.", "--body", ""],
    ] {
        let denial = place.denied(empty, "DENIED_SCHEMA_REQUIRED", 2);
        assert_eq!([&denial["record_type"], &denial["fields"]], [&json!("gotcha"), &json!(["body"])]);
    }
    let denied = |title: &str, body: &[&str], code: &str| {
        place.denied(&[&["G1", "--title", title, "--summary", "S."], body].concat(), code, 2)
    };
    // The missing body comes before the long title, and words before bytes.
    denied(&words(41), &[], "DENIED_SCHEMA_REQUIRED");
    denied(&words(1301), &[], "DENIED_SCHEMA_REQUIRED");
    let denial = denied(&words(41), &["--body", "B"], "DENIED_FIELD_WORD_LIMIT");
    assert_eq!(
        [&denial["field"], &denial["words"], &denial["limit"]],
        [&json!("title"), &json!(41), &json!(40)]
    );
    denied(&words(1300), &["--body", "B"], "DENIED_FIELD_WORD_LIMIT");
    denied(&words(1301), &["--body", "B"], "DENIED_FIELD_SPLIT_REQUIRED");
    denied(&"t".repeat(513), &["--body", "B"], "DENIED_TEXT_TOO_LONG");
    place.ok(&["G1", "--title", &words(40), "--summary", "S.", "--body", "B"]);
    // Only gotchas have that limit.
    place.ok(&["W1", "--title", &words(41), "--summary", "S."]);
    place.ok(&["L1", "--title", &words(41), "--summary", "S."]);
}

#[test]
fn an_update_may_clear_the_body_and_take_any_status() {
    let place = Place::new();
    let id = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    let reply = place.ok(&["G5", "--id", &id, "--body", "", "--status", "wontfix"]);
    assert!(reply["warnings"][0].as_str().unwrap().contains("wontfix"), "{reply}");
    let record = &place.ok(&["G4", "--id", &id])["record"];
    assert_eq!([&record["body"], &record["status"]], [&json!(""), &json!("wontfix")]);
}

#[test]
fn a_misspelt_status_or_scope_is_stored_with_a_warning() {
    let place = Place::new();
    let add = |flag: &str, value: &str| {
        place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B", flag, value])
    };
    for (flag, value, near) in [
        ("--status", "actve", "\"active\""),
        ("--status", "Resolved", "\"resolved\""),
        ("--status", "done", "known are active, recorded"),
        ("--scope", "projekt", "\"project\""),
        ("--scope", "qqqq", "known are project, global"),
    ] {
        let reply = add(flag, value);
        let warnings = reply["warnings"].as_array().unwrap_or_else(|| panic!("{reply}"));
        assert_eq!(warnings.len(), 1, "{reply}");
        let warning = warnings[0].as_str().unwrap();
        assert!(warning.contains(value) && warning.contains(near), "{warning}");
        let record = &place.ok(&["G4", "--id", text(&reply, "id")])["record"];
        assert_eq!(record[flag.trim_start_matches('-')], value);
    }
    for value in ["active", "recorded", "resolved", "superseded", "draft", "noted", "promoted"] {
        assert!(add("--status", value).get("warnings").is_none(), "{value}");
    }
    for value in ["project", "global", "skill", "session"] {
        assert!(add("--scope", value).get("warnings").is_none(), "{value}");
    }
    let task = |status: &str| place.ok(&["W1", "--title", "T", "--summary", "S.", "--status", status]);
    for status in ["in_progress", "blocked", "done", "cancelled", "active"] {
        assert!(task(status).get("warnings").is_none(), "{status}");
    }
    assert!(task("canceled")["warnings"][0].as_str().unwrap().contains("cancelled"));
}

#[test]
fn a_task_that_does_not_exist_is_noted_with_a_warning() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "T", "--summary", "S."]);
    let add = |task_id: &str| {
        let reply = place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B", "--task-id", task_id]);
        let record = place.ok(&["G4", "--id", text(&reply, "id")])["record"].clone();
        (reply, record)
    };
    let (reply, record) = add("task-of-another-tool");
    assert!(reply["warnings"][0].as_str().unwrap().contains("task-of-another-tool"), "{reply}");
    assert_eq!(record["source_task_id"], "task-of-another-tool");
    let (reply, record) = add(&task[..20]);
    assert!(reply.get("warnings").is_none(), "{reply}");
    assert_eq!(record["source_task_id"], task.as_str());
}

#[test]
fn a_start_of_an_id_that_anybody_could_guess_names_nothing() {
    let place = Place::new();
    let id = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    for start in ["g_", "g_0", &id[..5]] {
        for call in [vec!["G4"], vec!["G5", "--status", "resolved"], vec!["L2"], vec!["K8"]] {
            let denial = place.denied(&[&call[..], &["--id", start]].concat(), "DENIED_RECORD_NOT_FOUND", 1);
            assert_eq!(denial["id"], start, "{call:?}");
        }
        let erase = ["K12", "--id", start, "--field", "summary", "--whole", "--reason", "R."];
        place.denied(&erase, "DENIED_RECORD_NOT_FOUND", 1);
    }
    assert_eq!(place.ok(&["G4", "--id", &id[..6]])["record"]["id"], *id);
}
