//! Private policy (X): ranks, windows, and what a session loads.

use kaizen_proto::canonical_json;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, ids, keys, row, rows, text, words};

fn add(place: &Place, title: &str, priority: &str, more: &[&str]) -> String {
    let call = ["X1", "--title", title, "--summary", "S.", "--priority", priority];
    place.id(&[&call, more].concat())
}

fn titles(list: &Value) -> Vec<&str> {
    list["records"].as_array().unwrap().iter().map(|record| text(record, "title")).collect()
}

#[test]
fn a_policy_is_stored_with_its_first_revision_and_no_ledger_event() {
    let place = Place::new();
    let reply = place.ok(&["X1", "--title", "T", "--summary", "S."]);
    assert_eq!(keys(&reply)[..4], ["status", "id", "revision_id", "content_hash"]);
    let id = text(&reply, "id");
    assert_id(id, "pol");
    assert_id(text(&reply, "revision_id"), "polr");
    let stored: Value = row(&place, "SELECT * FROM private_policy WHERE id = ?1", &[id]).into();
    let hash = canonical_json::hash(&json!({
        "id": id, "scope": "project", "trigger": "session-start", "priority": "normal", "status": "active",
        "title": "T", "summary": "S.", "body": "", "source_command": "X1", "writer_role": "agent",
    }));
    assert_eq!(
        stored,
        json!({
            "id": id, "created_at": stored["created_at"], "updated_at": stored["created_at"], "scope": "project",
            "trigger": "session-start", "priority": "normal", "status": "active", "title": "T", "summary": "S.",
            "body": "", "source_command": "X1", "writer_role": "agent", "content_hash": hash,
            "current_revision_id": reply["revision_id"], "is_test": 0,
        })
    );
    let revision: Value = row(&place, "SELECT * FROM private_policy_revision", &[]).into();
    assert_eq!(
        revision,
        json!({
            "id": reply["revision_id"], "policy_id": id, "created_at": stored["created_at"], "revision_number": 1,
            "trigger": "session-start", "priority": "normal", "summary": "S.", "body": "", "status": "active",
            "content_hash": hash, "previous_hash": null, "source_command": "X1",
        })
    );
    let shown = place.ok(&["X4", "--id", id]);
    assert_eq!(shown["record"], stored);
    assert_eq!(keys(&shown["record"]), keys(&stored));
    place.denied(&["X4"], "DENIED_ID_REQUIRED", 2);
    assert_eq!(
        place.denied(&["X4", "--id", "pol_1"], "DENIED_RECORD_NOT_FOUND", 1)["table"],
        "private_policy"
    );
    let empty = ["--body", "", "--scope", "", "--trigger", "", "--status", "", "--writer-role", ""];
    let other = add(&place, "T", "", &empty);
    let columns = "scope, \"trigger\", priority, status, writer_role";
    let sql = format!("SELECT {columns} FROM private_policy WHERE id = ?1");
    assert_eq!(row(&place, &sql, &[&other]), row(&place, &sql, &[id]));
    let own = add(
        &place,
        "T",
        " Critical ",
        &[
            "--trigger",
            "Deploy",
            "--scope",
            "global",
            "--status",
            "retired",
            "--writer-role",
            "user",
            "--test",
        ],
    );
    let stored: Value =
        row(&place, &format!("SELECT {columns}, is_test FROM private_policy WHERE id = ?1"), &[&own]).into();
    assert_eq!(
        stored,
        json!({"scope": "global", "trigger": "Deploy", "priority": " Critical ", "status": "retired",
            "writer_role": "user", "is_test": 1})
    );
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 0);
}

#[test]
fn a_policy_is_checked_in_a_fixed_order() {
    let place = Place::new();
    place.ok(&["K1"]);
    let (trigger, priority) = (words(121), words(21));
    let denied = |words: &[&str], code: &str| place.denied(&[&["X1"], words].concat(), code, 2);
    let off = ["--trigger", trigger.as_str(), "--priority", priority.as_str()];
    let with = |words: &[&'static str]| -> Vec<String> {
        words.iter().chain(&off).map(|word| (*word).to_owned()).collect()
    };
    let check = |call: Vec<String>, code: &str| {
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        denied(&call, code)
    };
    assert_eq!(check(with(&["--summary", "A. B. C."]), "DENIED_TITLE_REQUIRED")["field"], "title");
    check(with(&["--title", "T", "--summary", "A. B. C."]), "DENIED_SUMMARY_TOO_LONG");
    let body = words(1301);
    denied(
        &["--title", "T", "--summary", "S.", "--body", &body, "--trigger", &trigger],
        "DENIED_FIELD_SPLIT_REQUIRED",
    );
    let denial = check(with(&["--title", "T", "--summary", "S."]), "DENIED_FIELD_WORD_LIMIT");
    assert_eq!([&denial["field"], &denial["limit"]], [&json!("trigger"), &json!(120)]);
    let denial =
        denied(&["--title", "T", "--summary", "S.", "--priority", &priority], "DENIED_FIELD_WORD_LIMIT");
    assert_eq!([&denial["field"], &denial["limit"]], [&json!("priority"), &json!(20)]);
    let split = words(1301);
    denied(&["--title", "T", "--summary", "S.", "--trigger", &split], "DENIED_FIELD_SPLIT_REQUIRED");
    denied(&["--title", "T", "--summary", "S.", "--priority", &split], "DENIED_FIELD_SPLIT_REQUIRED");
    assert_eq!(place.count("SELECT count(*) FROM private_policy"), 0);
    place.ok(&["X1", "--title", "T", "--summary", "S.", "--trigger", &words(120)]);
}

#[test]
fn the_rank_chooses_the_window_and_the_older_come_first_in_it() {
    let place = Place::new();
    let empty = place.ok(&["X2"]);
    assert_eq!([&empty["records"], &empty["count"]], [&json!([]), &json!(0)]);
    add(&place, "low", "low", &[]);
    add(&place, "critical", "critical", &[]);
    for (title, priority) in
        [("normal 1", "normal"), ("normal 2", "medium"), ("normal 3", "whatever"), ("high", " HIGH ")]
    {
        add(&place, title, priority, &[]);
    }
    let all = ["critical", "high", "normal 1", "normal 2", "normal 3", "low"];
    assert_eq!(titles(&place.ok(&["X2"])), all);
    assert_eq!(titles(&place.ok(&["X5"])), all);
    assert_eq!(titles(&place.ok(&["X3", "--query", "s."])), all);
    // The window keeps what ranks highest and, within a rank, what is newest.
    for operation in ["X2", "X5"] {
        assert_eq!(titles(&place.ok(&[operation, "--limit", "3"])), ["critical", "high", "normal 3"]);
        assert_eq!(
            titles(&place.ok(&[operation, "--limit", "4"])),
            ["critical", "high", "normal 2", "normal 3"]
        );
        assert_eq!(titles(&place.ok(&[operation, "--limit", "1"])), ["critical"]);
        assert_eq!(titles(&place.ok(&[operation, "--limit", "-1"])), all);
        assert_eq!(titles(&place.ok(&[operation, "--limit", "0"])), all);
    }
    let list = place.ok(&["X2", "--limit", "1"]);
    assert_eq!(
        keys(&list["records"][0]),
        ["id", "status", "scope", "trigger", "priority", "title", "summary", "created_at"]
    );
    assert_eq!(list["count"], 1);
}

#[test]
fn an_old_critical_rule_survives_newer_ones() {
    let place = Place::new();
    add(&place, "critical", "critical", &[]);
    for number in 1..=3 {
        add(&place, &format!("normal {number}"), "normal", &[]);
    }
    for operation in ["X2", "X5"] {
        assert_eq!(titles(&place.ok(&[operation, "--limit", "3"])), ["critical", "normal 2", "normal 3"]);
    }
}

#[test]
fn pages_of_policies_miss_none_and_show_none_twice() {
    let place = Place::new();
    for number in 0..7 {
        add(&place, &format!("P{number}"), ["critical", "normal", "low"][number % 3], &[]);
    }
    let mut seen = Vec::new();
    let mut page = place.ok(&["X2", "--limit", "2"]);
    loop {
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str().map(str::to_owned) else { break };
        page = place.ok(&["X2", "--limit", "2", "--after", &next]);
    }
    let mut all = ids(&place.ok(&["X2"]));
    assert_eq!(seen.len(), 7);
    seen.sort();
    all.sort();
    assert_eq!(seen, all);
    place.denied(&["X2", "--after", "pol_1"], "DENIED_RECORD_NOT_FOUND", 1);
}

#[test]
fn a_list_shows_twenty_and_a_session_fifty() {
    let place = Place::new();
    for number in 0..52 {
        add(
            &place,
            &format!("P{number}"),
            "normal",
            &["--status", if number == 0 { "retired" } else { "active" }],
        );
    }
    assert_eq!(place.ok(&["X2"])["count"], 20);
    assert_eq!(place.ok(&["X2", "--limit", "-1"])["count"], 52);
    assert_eq!(place.ok(&["X5"])["count"], 50);
    assert_eq!(place.ok(&["X5", "--limit", "-1"])["count"], 51);
    assert_eq!(place.ok(&["X3", "--query", "P"])["count"], 20);
    assert_eq!(rows(&place, "SELECT id FROM private_policy_revision", &[]).len(), 52);
}

#[test]
fn a_session_loads_what_is_active_and_applies() {
    let place = Place::new();
    let empty = place.ok(&["X5"]);
    assert_eq!(keys(&empty), ["status", "message", "records", "count", "required_action"]);
    assert_eq!([&empty["records"], &empty["count"]], [&json!([]), &json!(0)]);
    let action = text(&empty, "required_action");
    assert!(action.contains("reload") && action.contains("compaction"), "{action}");
    add(&place, "start", "normal", &["--body", "The whole body."]);
    add(&place, "deploy", "normal", &["--trigger", "deploy"]);
    add(&place, "Deploy", "normal", &["--trigger", "Deploy"]);
    add(&place, "retired", "normal", &["--status", "retired"]);
    add(&place, "Active", "normal", &["--status", "Active"]);
    add(&place, "test", "normal", &["--test"]);
    assert_eq!(titles(&place.ok(&["X5"])), ["start", "deploy", "Deploy"]);
    assert_eq!(titles(&place.ok(&["X5", "--trigger", ""])), ["start", "deploy", "Deploy"]);
    assert_eq!(titles(&place.ok(&["X5", "--trigger", "deploy"])), ["start", "deploy"]);
    assert_eq!(titles(&place.ok(&["X5", "--trigger", "depl"])), ["start"]);
    assert_eq!(titles(&place.ok(&["X5", "--trigger", "session-start"])), ["start"]);
    let reply = place.ok(&["X5"]);
    assert_eq!(
        keys(&reply["records"][0]),
        ["id", "scope", "trigger", "priority", "title", "summary", "body", "created_at"]
    );
    assert_eq!(reply["records"][0]["body"], "The whole body.");
    let action = text(&reply, "required_action");
    assert!(action.contains("reload") && action.contains("compaction"), "{action}");
    // A list shows all statuses.
    assert_eq!(place.ok(&["X2"])["count"], 6);
}

#[test]
fn test_policies_are_loaded_on_demand_only() {
    let place = Place::new();
    add(&place, "real", "normal", &[]);
    add(&place, "test", "critical", &["--test"]);
    assert_eq!(titles(&place.ok(&["X5"])), ["real"]);
    assert_eq!(titles(&place.ok(&["X5", "--include-test"])), ["test", "real"]);
}

#[test]
fn a_policy_is_found_by_any_of_its_texts() {
    let place = Place::new();
    let call = ["X1", "--title", "Title one", "--summary", "Summary two.", "--body", "Body three"];
    place.ok(&[&call[..], &["--trigger", "trigger-four", "--scope", "session"]].concat());
    add(&place, "Other", "normal", &[]);
    for query in ["title ONE", "mary tw", "three", "gger-f", "session", "e"] {
        let found = place.ok(&["X3", "--query", query]);
        assert_eq!(keys(&found)[..4], ["status", "records", "count", "query"]);
        assert_eq!(found["query"], query);
        assert!(titles(&found).contains(&"Title one"), "{query}: {found}");
    }
    assert_eq!(titles(&place.ok(&["X3", "--query", "trigger-four"])), ["Title one"]);
    for query in ["normal", "active", "_", "%", "three four"] {
        assert_eq!(place.ok(&["X3", "--query", query])["count"], 0, "{query}");
    }
    for empty in [&["X3"][..], &["X3", "--query", ""]] {
        place.denied(empty, "DENIED_QUERY_REQUIRED", 2);
    }
}

#[test]
fn an_unknown_priority_is_stored_with_a_warning() {
    let place = Place::new();
    let reply = place.ok(&["X1", "--title", "T", "--summary", "S.", "--priority", "critcal"]);
    assert!(reply["warnings"][0].as_str().unwrap().contains("\"critical\""), "{reply}");
    for priority in ["critical", " HIGH ", "normal", "medium", "low"] {
        let reply = place.ok(&["X1", "--title", "T", "--summary", "S.", "--priority", priority]);
        assert!(reply.get("warnings").is_none(), "{reply}");
    }
    let reply = place.ok(&["X1", "--title", "T", "--summary", "S.", "--status", "retired"]);
    assert!(reply.get("warnings").is_none(), "{reply}");
}

#[test]
fn a_policy_is_revised_and_retired_with_its_history() {
    let place = Place::new();
    let id = add(&place, "Ask first", "normal", &[]);
    let before = text(&place.ok(&["X4", "--id", &id])["record"], "content_hash").to_owned();
    let reply = place.ok(&["X6", "--id", &id, "--priority", "critical", "--body", "Always."]);
    assert_eq!(keys(&reply)[..4], ["status", "id", "revision_id", "content_hash"]);
    let record = place.ok(&["X4", "--id", &id])["record"].clone();
    assert_eq!(
        (
            text(&record, "priority"),
            text(&record, "body"),
            text(&record, "summary"),
            text(&record, "trigger")
        ),
        ("critical", "Always.", "S.", "session-start")
    );
    assert_eq!(record["current_revision_id"], reply["revision_id"]);
    let revision = row(
        &place,
        "SELECT revision_number, previous_hash, priority, source_command FROM private_policy_revision WHERE id = ?1",
        &[text(&reply, "revision_id")],
    );
    assert_eq!(
        Value::from(revision),
        json!({"revision_number": 2, "previous_hash": before, "priority": "critical", "source_command": "X6"})
    );
    assert_eq!(place.ok(&["X5"])["count"], 1);
    place.ok(&["X6", "--id", &id, "--status", "retired"]);
    assert_eq!(place.ok(&["X5"])["count"], 0, "a retired policy is not loaded");
    assert_eq!(place.ok(&["R0"])["counts"]["policies_active"], 0);
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], true);
    place.denied(&["X6"], "DENIED_ID_REQUIRED", 2);
    place.denied(&["X6", "--id", "pol_absent"], "DENIED_RECORD_NOT_FOUND", 1);
    place.denied(&["X6", "--id", &id, "--summary", ""], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(&["X6", "--id", &id, "--priority", &words(21)], "DENIED_FIELD_WORD_LIMIT", 2);
    let odd = place.ok(&["X6", "--id", &id, "--priority", "urgent"]);
    assert!(odd["warnings"][0].as_str().unwrap().contains("urgent"), "{odd}");
}
