//! Learnings and learned lessons (L): promotion, and lessons with where they came from.

use kaizen_proto::canonical_json;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, ids, keys, row, rows, text};

/// A step of promotion: the operation, the tables on both sides, and how the new record is linked and the reply named.
struct Step {
    operation: &'static str,
    add: &'static [&'static str],
    from: &'static str,
    revisions: &'static str,
    parent: &'static str,
    to: &'static str,
    prefix: &'static str,
    link: &'static str,
    reply: &'static str,
}

const STEPS: [Step; 2] = [
    Step {
        operation: "L2",
        add: &[
            "G1",
            "--title",
            "T",
            "--summary",
            "S.",
            "--body",
            "B",
            "--scope",
            "skill",
            "--task-id",
            "task-1",
        ],
        from: "gotcha",
        revisions: "gotcha_revision",
        parent: "gotcha_id",
        to: "learning",
        prefix: "l",
        link: "source_gotcha_id",
        reply: "source_gotcha_status",
    },
    Step {
        operation: "L3",
        add: &[
            "L1",
            "--title",
            "T",
            "--summary",
            "S.",
            "--body",
            "B",
            "--scope",
            "skill",
            "--task-id",
            "task-1",
        ],
        from: "learning",
        revisions: "learning_revision",
        parent: "learning_id",
        to: "learned",
        prefix: "ld",
        link: "source_learning_id",
        reply: "source_learning_status",
    },
];

#[test]
fn a_promotion_copies_its_source_and_marks_it() {
    let place = Place::new();
    for step in &STEPS {
        let source = place.id(step.add);
        let reply = place.ok(&[step.operation, "--id", &source]);
        assert_eq!(keys(&reply)[..5], ["status", "id", "revision_id", "content_hash", step.reply]);
        assert_eq!(reply[step.reply], "promoted");
        let id = text(&reply, "id");
        assert_id(id, step.prefix);
        assert_id(text(&reply, "revision_id"), &format!("{}r", step.prefix));
        let stored: Value = row(&place, &format!("SELECT * FROM {} WHERE id = ?1", step.to), &[id]).into();
        let mut hashed = json!({
            "id": id, "scope": "skill", "status": "active", "title": "T", "summary": "S.", "body": "B",
            "source_task_id": "", "source_command": step.operation, "writer_role": "agent", "extra": {},
        });
        hashed["extra"][step.link] = source.as_str().into();
        let mut expected = json!({
            "id": id, "created_at": stored["created_at"], "updated_at": stored["created_at"], "scope": "skill",
            "status": "active", "title": "T", "summary": "S.", "body": "B", "source_task_id": null,
            "source_command": step.operation, "writer_role": "agent", "artifact_ids_json": "[]",
            "content_hash": canonical_json::hash(&hashed), "current_revision_id": reply["revision_id"], "is_test": 0,
        });
        expected[step.link] = source.as_str().into();
        assert_eq!(stored, expected);
        assert_eq!(reply["content_hash"], expected["content_hash"]);
        check_source(&place, step, &source);
        let title = format!("{} {id}", step.operation);
        let event: Value = row(&place, "SELECT * FROM ledger_events WHERE title = ?1", &[&title]).into();
        assert_eq!(
            [
                &event["scope"],
                &event["summary"],
                &event["status"],
                &event["task_id"],
                &event["source_command"]
            ],
            [&json!("skill"), &json!("S."), &json!("noted"), &Value::Null, &json!(step.operation)]
        );
        let body: Value = serde_json::from_str(text(&event, "body")).unwrap();
        assert_eq!(keys(&body), ["status", "id", "revision_id", "content_hash", step.reply]);
        assert!(text(&event, "body").ends_with(&format!(r#", "{}": "promoted"}}"#, step.reply)));
    }
}

fn check_source(place: &Place, step: &Step, source: &str) {
    let sql = format!("SELECT * FROM {} WHERE {} = ?1 ORDER BY revision_number", step.revisions, step.parent);
    let revisions = rows(place, &sql, &[source]);
    assert_eq!(revisions.len(), 2);
    assert_eq!(
        [&revisions[1]["revision_number"], &revisions[1]["status"], &revisions[1]["source_command"]],
        [&json!(2), &json!("promoted"), &json!(step.operation)]
    );
    assert_eq!(revisions[1]["previous_hash"], revisions[0]["content_hash"]);
    let stored = row(place, &format!("SELECT * FROM {} WHERE id = ?1", step.from), &[source]);
    assert_eq!([&stored["status"], &stored["is_test"]], [&json!("promoted"), &json!(0)]);
    assert_eq!(stored["current_revision_id"], revisions[1]["id"]);
    let hash =
        canonical_json::hash(&json!({"id": source, "summary": "S.", "body": "B", "status": "promoted"}));
    assert_eq!(stored["content_hash"], hash);
}

#[test]
fn a_promotion_takes_its_own_status_task_and_role() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "T", "--summary", "S."]);
    for step in &STEPS {
        let source = place.id(step.add);
        let id = place.id(&[
            step.operation,
            "--id",
            &source[..25],
            "--status",
            "draft",
            "--task-id",
            &task,
            "--writer-role",
            "user",
            "--test",
        ]);
        let stored = row(&place, &format!("SELECT * FROM {} WHERE id = ?1", step.to), &[&id]);
        assert_eq!(
            [&stored["status"], &stored["source_task_id"], &stored["writer_role"], &stored["is_test"]],
            [&json!("draft"), &json!(task), &json!("user"), &json!(1)]
        );
        let event = row(
            &place,
            "SELECT * FROM ledger_events WHERE title = ?1",
            &[&format!("{} {id}", step.operation)],
        );
        assert_eq!(
            [&event["status"], &event["task_id"], &event["writer_role"], &event["is_test"]],
            [&json!("draft"), &json!(task), &json!("user"), &json!(1)]
        );
        for foreign in ["--title", "--summary", "--body", "--scope"] {
            place.denied(&[step.operation, "--id", &source, foreign, "X"], "DENIED_USAGE", 2);
        }
    }
}

#[test]
fn a_source_is_promoted_once() {
    let place = Place::new();
    for step in &STEPS {
        let source = place.id(step.add);
        let first = place.id(&[step.operation, "--id", &source]);
        let before = place.count("SELECT count(*) FROM journal");
        let denial = place.denied(&[step.operation, "--id", &source], "DENIED_ALREADY_PROMOTED", 2);
        assert!(denial.to_string().contains(&first), "{denial}");
        assert_eq!([&denial["id"], &denial["promoted_id"]], [&json!(source), &json!(first)]);
        assert_eq!(place.count("SELECT count(*) FROM journal"), before);
        assert_eq!(place.count(&format!("SELECT count(*) FROM {}", step.to)), 1);
        for missing in [&[step.operation][..], &[step.operation, "--id", ""]] {
            place.denied(missing, "DENIED_ID_REQUIRED", 2);
        }
        let denial = place.denied(&[step.operation, "--id", "x_1"], "DENIED_RECORD_NOT_FOUND", 1);
        assert_eq!(denial["table"], step.from);
        // Whatever else happens to the source, it stays promoted to that record.
        if step.operation == "L2" {
            place.ok(&["G5", "--id", &source, "--status", "active"]);
            place.denied(&["L2", "--id", &source], "DENIED_ALREADY_PROMOTED", 2);
        }
    }
}

#[test]
fn a_source_whose_texts_break_a_rule_is_not_promoted() {
    let place = Place::new();
    let gotcha = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    // As another tool may have stored it.
    place.tamper().execute("UPDATE gotcha SET summary = 'One. Two. Three.'", []).unwrap();
    place.denied(&["L2", "--id", &gotcha], "DENIED_SUMMARY_TOO_LONG", 2);
    assert_eq!(place.count("SELECT count(*) FROM learning"), 0);
    assert_eq!(place.count("SELECT count(*) FROM gotcha_revision"), 1);
}

#[test]
fn lessons_tell_where_they_came_from() {
    let place = Place::new();
    assert_eq!(place.ok(&["L10"])["records"], json!([]));
    let gotcha = place.id(&["G1", "--title", "GT", "--summary", "It broke.", "--body", "B"]);
    let learning = place.id(&["L2", "--id", &gotcha]);
    let whole = place.id(&["L3", "--id", &learning]);
    let learning_alone =
        place.id(&["L1", "--title", "LT", "--summary", "It was the cache.", "--body", "needle"]);
    let half = place.id(&["L3", "--id", &learning_alone]);
    let reply = place.ok(&["L10"]);
    assert_eq!(keys(&reply), ["status", "records", "count"]);
    assert_eq!(ids(&reply), [half.as_str(), whole.as_str()]);
    let lesson = &reply["records"][1];
    assert_eq!(keys(lesson), ["id", "title", "summary", "created_at", "chain", "narrative"]);
    assert_eq!(
        lesson["chain"],
        json!({
            "learning": {"id": learning, "title": "GT", "summary": "It broke."},
            "gotcha": {"id": gotcha, "title": "GT", "summary": "It broke."},
        })
    );
    assert_eq!(lesson["narrative"], "GOTCHA: It broke. -> LEARNING: It broke. -> LEARNED: It broke.");
    let lesson = &reply["records"][0];
    assert_eq!(
        lesson["chain"],
        json!({"learning": {"id": learning_alone, "title": "LT", "summary": "It was the cache."}})
    );
    assert_eq!(lesson["narrative"], "LEARNING: It was the cache. -> LEARNED: It was the cache.");
    assert_eq!(ids(&place.ok(&["L10", "--query", "NEEDLE"])), [half.as_str()]);
    assert_eq!(ids(&place.ok(&["L10", "--query", "broke"])), [whole.as_str()]);
    assert_eq!(ids(&place.ok(&["L10", "--query", ""])).len(), 2);
    let page = place.ok(&["L10", "--limit", "1"]);
    assert_eq!([&page["next"], &page["count"]], [&json!(half), &json!(1)]);
    assert_eq!(ids(&place.ok(&["L10", "--after", &half])), [whole.as_str()]);
    // The steps that the lesson shows are as they are now.
    place.ok(&["G5", "--id", &gotcha, "--summary", "It broke twice."]);
    let lesson = &place.ok(&["L10", "--query", "broke"])["records"][0];
    assert_eq!(lesson["narrative"], "GOTCHA: It broke twice. -> LEARNING: It broke. -> LEARNED: It broke.");
    // A parent that was purged is left out.
    let tamper = place.tamper();
    tamper.execute("UPDATE learned SET source_learning_id = NULL WHERE id = ?1", [&whole]).unwrap();
    let lesson = &place.ok(&["L10", "--query", "broke"])["records"][0];
    assert_eq!([&lesson["chain"], &lesson["narrative"]], [&json!({}), &json!("LEARNED: It broke.")]);
}

#[test]
fn ten_lessons_are_shown_unless_more_are_asked_for() {
    let place = Place::new();
    for number in 0..12 {
        let learning = place.id(&["L1", "--title", &format!("T{number}"), "--summary", "S."]);
        place.ok(&["L3", "--id", &learning]);
    }
    for (limit, count) in
        [(&[][..], 10), (&["--limit", "0"], 10), (&["--limit", "-1"], 12), (&["--limit", "3"], 3)]
    {
        assert_eq!(place.ok(&[&["L10"], limit].concat())["count"], count);
    }
    assert_eq!(place.ok(&["L7"])["count"], 12);
    assert_eq!(place.ok(&["L4"])["count"], 12);
    assert_eq!(place.ok(&["L5", "--query", "t1"])["count"], 3);
    assert_eq!(place.ok(&["L8", "--query", "t1"])["count"], 3);
    for operation in ["L5", "L8"] {
        place.denied(&[operation], "DENIED_QUERY_REQUIRED", 2);
    }
}
