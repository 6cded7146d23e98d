//! What the record families share: adding and revising tasks, gotchas and learnings; and, below, reading them.

mod reading;

use kaizen_proto::canonical_json;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, assert_time, keys, row, rows, text, words};

/// A kind of record with its operations and tables.
struct Kind {
    add: &'static str,
    update: Option<&'static str>,
    prefix: &'static str,
    revision_prefix: &'static str,
    table: &'static str,
    revisions: &'static str,
    parent: &'static str,
}

const TASK: Kind = Kind {
    add: "W1",
    update: Some("W2"),
    prefix: "t",
    revision_prefix: "tr",
    table: "tasks",
    revisions: "task_revision",
    parent: "task_id",
};
const GOTCHA: Kind = Kind {
    add: "G1",
    update: Some("G5"),
    prefix: "g",
    revision_prefix: "gr",
    table: "gotcha",
    revisions: "gotcha_revision",
    parent: "gotcha_id",
};
const LEARNING: Kind = Kind {
    add: "L1",
    update: None,
    prefix: "l",
    revision_prefix: "lr",
    table: "learning",
    revisions: "learning_revision",
    parent: "learning_id",
};
const KINDS: [&Kind; 3] = [&TASK, &GOTCHA, &LEARNING];

impl Kind {
    fn stored(&self, place: &Place, id: &str) -> Value {
        row(place, &format!("SELECT * FROM {} WHERE id = ?1", self.table), &[id]).into()
    }

    fn revisions(&self, place: &Place, id: &str) -> Vec<Value> {
        let sql =
            format!("SELECT * FROM {} WHERE {} = ?1 ORDER BY revision_number", self.revisions, self.parent);
        rows(place, &sql, &[id]).into_iter().map(Value::from).collect()
    }
}

/// The ledger event of an operation on a record.
fn event(place: &Place, operation: &str, id: &str) -> Value {
    row(place, "SELECT * FROM ledger_events WHERE title = ?1", &[&format!("{operation} {id}")]).into()
}

#[test]
fn a_record_is_stored_with_its_first_revision_and_a_ledger_event() {
    let place = Place::new();
    for kind in KINDS {
        let reply = place.ok(&[
            kind.add,
            "--title",
            "Ein Titel",
            "--summary",
            "Größe. ☃",
            "--body",
            "Zwei\nZeilen 🦀",
        ]);
        assert_eq!(keys(&reply)[..4], ["status", "id", "revision_id", "content_hash"]);
        assert!(reply.get("ledger_warning").is_none() && reply.get("warnings").is_none(), "{reply}");
        let id = text(&reply, "id");
        assert_id(id, kind.prefix);
        assert_id(text(&reply, "revision_id"), kind.revision_prefix);
        let stored = kind.stored(&place, id);
        assert_time(&stored["created_at"]);
        let mut expected = json!({
            "id": id, "created_at": stored["created_at"], "updated_at": stored["created_at"], "scope": "project",
            "status": "active", "title": "Ein Titel", "summary": "Größe. ☃", "body": "Zwei\nZeilen 🦀",
            "source_command": kind.add, "writer_role": "agent", "content_hash": reply["content_hash"],
            "current_revision_id": reply["revision_id"], "is_test": 0,
        });
        if kind.table != "tasks" {
            expected["source_task_id"] = Value::Null;
            expected["artifact_ids_json"] = "[]".into();
        }
        if kind.table == "learning" {
            expected["source_gotcha_id"] = Value::Null;
        }
        assert_eq!(stored, expected);
        let hashed = json!({
            "id": id, "scope": "project", "status": "active", "title": "Ein Titel", "summary": "Größe. ☃",
            "body": "Zwei\nZeilen 🦀", "source_task_id": "", "source_command": kind.add, "writer_role": "agent",
            "extra": {},
        });
        assert_eq!(reply["content_hash"], canonical_json::hash(&hashed));
        let mut revision = json!({
            "id": reply["revision_id"], "created_at": stored["created_at"], "revision_number": 1,
            "summary": "Größe. ☃", "body": "Zwei\nZeilen 🦀", "status": "active",
            "content_hash": reply["content_hash"], "previous_hash": null, "source_command": kind.add,
        });
        revision[kind.parent] = id.into();
        assert_eq!(kind.revisions(&place, id), [revision]);
        check_event(&place, kind.add, &reply);
    }
}

fn check_event(place: &Place, operation: &str, reply: &Value) {
    let id = text(reply, "id");
    let event = event(place, operation, id);
    assert_id(text(&event, "id"), "led");
    assert_time(&event["created_at"]);
    let body = format!(
        r#"{{"status": "OK", "id": "{id}", "revision_id": "{}", "content_hash": "{}"}}"#,
        text(reply, "revision_id"),
        text(reply, "content_hash")
    );
    let mut expected = json!({
        "id": event["id"], "task_id": null, "scope": "project", "status": "noted", "title": format!("{operation} {id}"),
        "summary": "Größe. ☃", "body": body, "source_command": operation, "writer_role": "agent",
    });
    let hash = canonical_json::hash(&expected);
    expected["created_at"] = event["created_at"].clone();
    expected["content_hash"] = hash.into();
    expected["is_test"] = 0.into();
    assert_eq!(event, expected);
}

#[test]
fn what_is_given_reaches_the_record_and_its_ledger_event() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "T", "--summary", "S."]);
    for kind in KINDS {
        let reply = place.ok(&[
            kind.add,
            "--title",
            "T",
            "--summary",
            "S.",
            "--body",
            "B",
            "--scope",
            "session",
            "--status",
            "draft",
            "--writer-role",
            "verifier",
            "--task-id",
            &task,
            "--test",
        ]);
        let id = text(&reply, "id");
        let stored = kind.stored(&place, id);
        let event = event(&place, kind.add, id);
        for (field, value) in [("scope", "session"), ("status", "draft"), ("writer_role", "verifier")] {
            assert_eq!(stored[field], value);
            assert_eq!(event[field], value);
        }
        assert_eq!((&stored["is_test"], &event["is_test"]), (&json!(1), &json!(1)));
        assert_eq!(event["task_id"], task);
        assert_eq!(event["summary"], "S.");
        // A task has no column for another task: the link reaches the event alone.
        assert_eq!(stored.get("source_task_id"), (kind.table != "tasks").then_some(&json!(task)));
        assert_eq!(kind.revisions(&place, id)[0]["status"], "draft");
    }
}

#[test]
fn an_empty_value_counts_as_none() {
    let place = Place::new();
    for kind in KINDS {
        let reply = place.ok(&[
            kind.add,
            "--title",
            "T",
            "--summary",
            "S.",
            "--body",
            "B",
            "--scope",
            "",
            "--status",
            "",
            "--writer-role",
            "",
            "--task-id",
            "",
        ]);
        assert!(reply.get("warnings").is_none(), "{reply}");
        let stored = kind.stored(&place, text(&reply, "id"));
        assert_eq!(
            [&stored["scope"], &stored["status"], &stored["writer_role"]],
            ["project", "active", "agent"].map(Value::from).each_ref()
        );
        let event = event(&place, kind.add, text(&reply, "id"));
        assert_eq!([&event["status"], &event["task_id"]], [&json!("noted"), &Value::Null]);
    }
}

#[test]
fn a_new_record_is_checked_in_a_fixed_order() {
    let place = Place::new();
    place.ok(&["K1"]);
    let (w81, w1001, w1301) = (words(81), words(1001), words(1301));
    for kind in KINDS {
        let denied = |words: &[&str], code: &str| place.denied(&[&[kind.add], words].concat(), code, 2);
        let three = "One. Two. Three.";
        assert_eq!(denied(&["--summary", three], "DENIED_TITLE_REQUIRED")["field"], "title");
        denied(&["--title", "", "--summary", "S."], "DENIED_TITLE_REQUIRED");
        let denial = denied(&["--title", "T", "--body", &w1301], "DENIED_SUMMARY_REQUIRED");
        assert_eq!(denial["field"], "summary");
        denied(&["--title", "T", "--summary", ""], "DENIED_SUMMARY_REQUIRED");
        let denial = denied(
            &["--title", "T", "--summary", &format!("{three} {w81}"), "--body", &w1301],
            "DENIED_SUMMARY_TOO_LONG",
        );
        assert_eq!([&denial["sentences"], &denial["limit"]], [&json!(4), &json!(2)]);
        let denial =
            denied(&["--title", "T", "--summary", &w81, "--body", &w1301], "DENIED_FIELD_WORD_LIMIT");
        assert_eq!(denial["field"], "summary");
        assert_eq!([&denial["words"], &denial["limit"]], [&json!(81), &json!(80)]);
        let denial = denied(&["--title", "T", "--summary", &w1301], "DENIED_FIELD_SPLIT_REQUIRED");
        assert!(text(&denial, "required_action").contains("17"), "{denial}");
        assert!(denial.get("example").is_none(), "{denial}");
        let denial =
            denied(&["--title", "T", "--summary", "S.", "--body", &w1001], "DENIED_FIELD_WORD_LIMIT");
        assert_eq!([&denial["field"], &denial["limit"]], [&json!("body"), &json!(1000)]);
        denied(&["--title", "T", "--summary", "S.", "--body", &w1301], "DENIED_FIELD_SPLIT_REQUIRED");
        assert_eq!(place.count(&format!("SELECT count(*) FROM {}", kind.table)), 0);
    }
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 0);
}

#[test]
fn texts_at_their_limits_are_accepted() {
    let place = Place::new();
    for summary in
        ["   ", "Wait... what", "v1.2 is out. Really!", "No full stop", &words(80), &"s".repeat(2048)]
    {
        place.ok(&["W1", "--title", "T", "--summary", summary, "--body", &words(1000)]);
    }
    place.denied(
        &["W1", "--title", "T", "--summary", "See e.g. this. And that."],
        "DENIED_SUMMARY_TOO_LONG",
        2,
    );
    place.ok(&["W1", "--title", &"t".repeat(4096), "--summary", "S.", "--body", &"b".repeat(64 * 1024)]);
    let long = "b".repeat(64 * 1024 + 1);
    let denial =
        place.denied(&["W1", "--title", "T", "--summary", "S.", "--body", &long], "DENIED_TEXT_TOO_LONG", 2);
    assert_eq!(
        [&denial["field"], &denial["bytes"], &denial["limit"]],
        [&json!("body"), &json!(65537), &json!(65536)]
    );
    // Bytes are what is stored: 4,098 bytes in 1,366 characters.
    place.denied(&["W1", "--title", &"☃".repeat(1366), "--summary", "S."], "DENIED_TEXT_TOO_LONG", 2);
    // Titles of what is no gotcha have no limit in words.
    for kind in ["W1", "L1", "W3", "X1"] {
        place.ok(&[kind, "--title", &words(1301), "--summary", "S."]);
    }
}

#[test]
fn a_revision_changes_what_is_given_and_keeps_the_rest() {
    let place = Place::new();
    for kind in KINDS {
        let Some(update) = kind.update else { continue };
        let added =
            place.ok(&[kind.add, "--title", "T", "--summary", "S.", "--body", "B", "--scope", "skill"]);
        let id = text(&added, "id");
        let first = place.ok(&[update, "--id", id, "--summary", "S2."]);
        let second = place.ok(&[update, "--id", id, "--status", "resolved", "--body", ""]);
        // Nothing changes, and it is a revision all the same.
        let third = place.ok(&[update, "--id", id, "--status", ""]);
        let stored = kind.stored(&place, id);
        assert_eq!(
            [&stored["summary"], &stored["body"], &stored["status"], &stored["title"], &stored["scope"]],
            ["S2.", "", "resolved", "T", "skill"].map(Value::from).each_ref()
        );
        assert_eq!(stored["current_revision_id"], third["revision_id"]);
        assert_eq!(stored["content_hash"], third["content_hash"]);
        assert!(text(&stored, "updated_at") > text(&stored, "created_at"));
        assert_eq!(stored["source_command"], kind.add);
        let hash =
            canonical_json::hash(&json!({"id": id, "summary": "S2.", "body": "", "status": "resolved"}));
        assert_eq!(third["content_hash"], hash);
        assert_eq!(second["content_hash"], third["content_hash"]);
        let revisions = kind.revisions(&place, id);
        let column = |name: &str| revisions.iter().map(|revision| revision[name].clone()).collect::<Vec<_>>();
        assert_eq!(column("revision_number"), [1, 2, 3, 4]);
        assert_eq!(column("summary"), ["S.", "S2.", "S2.", "S2."]);
        assert_eq!(column("body"), ["B", "B", "", ""]);
        assert_eq!(column("status"), ["active", "active", "resolved", "resolved"]);
        assert_eq!(column("source_command"), [kind.add, update, update, update]);
        let hashes = [&added, &first, &second, &third].map(|reply| reply["content_hash"].clone());
        assert_eq!(column("content_hash"), hashes);
        assert_eq!(column("previous_hash")[0], Value::Null);
        assert_eq!(column("previous_hash")[1..], hashes[..3]);
        let ids = [&added, &first, &second, &third].map(|reply| reply["revision_id"].clone());
        assert_eq!(column("id"), ids);
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[3]);
    }
}

#[test]
fn the_ledger_event_of_a_revision_says_what_was_given() {
    let place = Place::new();
    for (kind, update) in [(&TASK, "W2"), (&GOTCHA, "G5")] {
        let id = place.id(&[kind.add, "--title", "T", "--summary", "S.", "--body", "B", "--scope", "skill"]);
        let first = place.ok(&[update, "--id", &id]);
        // The record's own scope, status and summary stay out of it.
        let quiet = event(&place, update, &id);
        assert_eq!(
            [&quiet["scope"], &quiet["status"], &quiet["summary"], &quiet["task_id"], &quiet["is_test"]],
            [&json!("project"), &json!("noted"), &json!(format!("{update} {id}")), &Value::Null, &json!(0)]
        );
        assert!(
            text(&quiet, "body").starts_with(&format!(r#"{{"status": "OK", "id": "{id}", "revision_id": "#))
        );
        assert!(text(&quiet, "body").contains(text(&first, "revision_id")));
        place.ok(&[
            update,
            "--id",
            &id,
            "--summary",
            "S2.",
            "--status",
            "noted",
            "--scope",
            "session",
            "--writer-role",
            "user",
            "--task-id",
            "task-7",
            "--test",
        ]);
        let sql = "SELECT * FROM ledger_events WHERE title = ?1 ORDER BY created_at DESC LIMIT 1";
        let loud: Value = row(&place, sql, &[&format!("{update} {id}")]).into();
        assert_eq!(
            [
                &loud["scope"],
                &loud["status"],
                &loud["summary"],
                &loud["task_id"],
                &loud["writer_role"],
                &loud["is_test"]
            ],
            [&json!("session"), &json!("noted"), &json!("S2."), &json!("task-7"), &json!("user"), &json!(1)]
        );
        // The flag marks the event, not the record.
        assert_eq!(kind.stored(&place, &id)["is_test"], 0);
        assert_eq!(kind.stored(&place, &id)["scope"], "skill");
    }
}

#[test]
fn a_revision_is_checked_in_a_fixed_order() {
    let place = Place::new();
    for (kind, update) in [(&TASK, "W2"), (&GOTCHA, "G5")] {
        let id = place.id(&[kind.add, "--title", "T", "--summary", "S.", "--body", "B"]);
        let three = "One. Two. Three.";
        for missing in [&[update, "--summary", three][..], &[update, "--id", "", "--summary", three]] {
            place.denied(missing, "DENIED_ID_REQUIRED", 2);
        }
        let denial =
            place.denied(&[update, "--id", "t_0000", "--summary", three], "DENIED_RECORD_NOT_FOUND", 1);
        assert_eq!([&denial["id"], &denial["table"]], [&json!("t_0000"), &json!(kind.table)]);
        assert!(denial.get("example").is_none());
        place.denied(&[update, "--id", &id, "--summary", three], "DENIED_SUMMARY_TOO_LONG", 2);
        place.denied(&[update, "--id", &id, "--summary", ""], "DENIED_SUMMARY_REQUIRED", 2);
        place.denied(&[update, "--id", &id, "--summary", &words(81)], "DENIED_FIELD_WORD_LIMIT", 2);
        place.denied(&[update, "--id", &id, "--body", &words(1301)], "DENIED_FIELD_SPLIT_REQUIRED", 2);
        assert_eq!(kind.revisions(&place, &id).len(), 1);
    }
}
