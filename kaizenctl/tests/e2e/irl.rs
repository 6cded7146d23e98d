//! Reviews against reality (I): their events and the report.

use std::fs;

use kaizen_proto::canonical_json::{self, sha256_hex};
use serde_json::{Value, json};

use crate::context::Place;
use crate::report::written::{file, normal};
use crate::rows::{assert_id, keys, row, rows, text};

#[test]
fn each_event_stores_what_was_given() {
    let place = Place::new();
    let review = place.ok(&["I1", "--summary", "We decide."]);
    assert_eq!(keys(&review)[..4], ["status", "id", "review_id", "event_type"]);
    let id = text(&review, "id");
    assert_id(id, "irl");
    assert_eq!([&review["review_id"], &review["event_type"]], [&json!(id), &json!("review")]);
    for (operation, event) in [("I2", "prediction"), ("I3", "user_correction"), ("I4", "observed_outcome")] {
        let reply = place.ok(&[
            operation,
            "--review-id",
            id,
            "--summary",
            "S.",
            "--body",
            "B",
            "--decision",
            "D",
            "--title",
            "T",
            "--status",
            "noted",
            "--test",
        ]);
        assert!(reply.get("warnings").is_none(), "{reply}");
        let event_id = text(&reply, "id");
        let stored: Value = row(&place, "SELECT * FROM irl_reviews WHERE id = ?1", &[event_id]).into();
        let hash = canonical_json::hash(&json!({
            "id": event_id, "review_id": id, "event_type": event, "summary": "S.", "body": "B",
        }));
        assert_eq!(
            stored,
            json!({
                "id": event_id, "created_at": stored["created_at"], "review_id": id, "event_type": event,
                "status": "noted", "decision": "D", "summary": "S.", "body": "B", "content_hash": hash, "is_test": 1,
            })
        );
    }
    for (words, decision) in [
        (&["--title", "T"][..], "T"),
        (&["--title", "T", "--decision", ""], "T"),
        (&["--title", "", "--decision", ""], "prediction"),
    ] {
        let added = place.id(&[&["I2", "--review-id", id, "--summary", "S."], words].concat());
        let stored = row(&place, "SELECT decision, status FROM irl_reviews WHERE id = ?1", &[&added]);
        assert_eq!([&stored["decision"], &stored["status"]], [decision, "recorded"]);
    }
    // The texts come before the review.
    place.denied(&["I2"], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(&["I2", "--summary", "S."], "DENIED_REVIEW_ID_REQUIRED", 2);
    place.denied(&["I3", "--summary", "S.", "--review-id", ""], "DENIED_REVIEW_ID_REQUIRED", 2);
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 0);
}

#[test]
fn a_review_may_be_called_as_one_likes() {
    let place = Place::new();
    let own = place.ok(&["I1", "--review-id", "writer/2026", "--summary", "S."]);
    assert_eq!(own["review_id"], "writer/2026");
    assert!(own.get("warnings").is_none(), "{own}");
    let known = place.ok(&["I4", "--review-id", "writer/2026", "--summary", "S."]);
    assert!(known.get("warnings").is_none(), "{known}");
    let unknown = place.ok(&["I4", "--review-id", "nothing", "--summary", "S."]);
    assert!(unknown["warnings"][0].as_str().unwrap().contains("nothing"), "{unknown}");
    let review = place.id(&["I1", "--summary", "S."]);
    let short = &review[..review.len() - 1];
    assert_eq!(place.ok(&["I2", "--review-id", short, "--summary", "S."])["review_id"], review);
}

#[test]
fn the_report_has_its_fixed_form() {
    let place = Place::new();
    place.denied(&["I5"], "DENIED_REVIEW_ID_REQUIRED", 2);
    let review = place.id(&["I1", "--decision", "one writer", "--summary", "One thread writes."]);
    let prediction = place.id(&["I2", "--review-id", &review, "--summary", "It is fast."]);
    place.ok(&["I4", "--review-id", &review, "--summary", "It | is <b>fast</b>.", "--decision", "kept"]);
    place.ok(&["I4", "--review-id", &review, "--summary", "Test.", "--test"]);
    let reply = place.ok(&["I5", "--review-id", &review]);
    assert_eq!(keys(&reply)[..6], ["status", "review_id", "path", "rows", "sha256", "report_id"]);
    assert_eq!(reply["path"], format!("AI/db/exports/reports/irl-review-{review}.md"));
    assert_eq!(reply["rows"], 3);
    let report = file(&place, &reply);
    assert_eq!(reply["sha256"], sha256_hex(report.as_bytes()));
    assert!(report.starts_with(&format!("# IRL Review {review}\n\nRows: 3\n\n")), "{report}");
    let time = row(&place, "SELECT created_at FROM irl_reviews WHERE id = ?1", &[&prediction]);
    let line = format!(
        "\n- `{prediction}` {} [prediction:recorded] prediction - It is fast.\n",
        time["created_at"].as_str().unwrap()
    );
    assert!(report.contains(&line), "{report}");
    insta::assert_snapshot!(normal(&report));
    // The same data give the same bytes, by whichever name the review is asked for.
    for words in
        [&["--id", review.as_str()][..], &["--id", &review[..review.len() - 1]], &["--id", &prediction]]
    {
        assert_eq!(file(&place, &place.ok(&[&["I5"], words].concat())), report);
    }
    assert_eq!(place.ok(&["I5", "--id", &review, "--include-test"])["rows"], 4);
    // One row for the file, which shows its last version.
    let stored = rows(&place, "SELECT * FROM reports", &[]);
    assert_eq!(stored.len(), 1);
    let contents = fs::read(place.root.join(text(&reply, "path"))).unwrap();
    assert_eq!(stored[0]["content_hash"], sha256_hex(&contents));
    assert_eq!([&stored[0]["id"], &stored[0]["report_type"]], [&reply["report_id"], &json!("irl-review")]);
}

#[test]
fn two_reviews_never_share_a_file() {
    let place = Place::new();
    let mut paths = Vec::new();
    for name in ["a-b", "a/b", "a b", "../a", "a\u{202e}b", "é", ".", &"x".repeat(400)] {
        place.ok(&["I1", "--review-id", name, "--summary", name]);
        let reply = place.ok(&["I5", "--review-id", name]);
        let path = text(&reply, "path").to_owned();
        assert!(
            path.strip_prefix("AI/db/exports/reports/irl-review-").is_some_and(|rest| !rest.contains('/'))
        );
        assert!(file(&place, &reply).contains("Rows: 1"), "{name}");
        paths.push(path);
    }
    assert_eq!(paths[0], "AI/db/exports/reports/irl-review-a-b.md");
    assert_eq!(paths[5], "AI/db/exports/reports/irl-review-é.md");
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 8, "{paths:?}");
}

#[test]
fn a_report_on_an_unknown_review_is_empty() {
    let place = Place::new();
    let reply = place.ok(&["I5", "--review-id", "unknown"]);
    assert_eq!([&reply["rows"], &reply["review_id"]], [&json!(0), &json!("unknown")]);
    assert_eq!(file(&place, &reply), "# IRL Review unknown\n\nRows: 0\n");
}

#[test]
fn a_refused_report_leaves_the_last_version_in_its_place() {
    let place = Place::new();
    place.ok(&["I1", "--review-id", "r", "--summary", "S."]);
    let reply = place.ok(&["I5", "--review-id", "r"]);
    let before = file(&place, &reply);
    place.ok(&["I2", "--review-id", "r", "--summary", "P."]);
    place.tamper().execute("UPDATE schema_version SET manifest_hash = 'other'", []).unwrap();
    place.denied(&["I5", "--review-id", "r"], "DENIED_SCHEMA_DRIFT", 1);
    assert_eq!(file(&place, &reply), before);
}

#[test]
fn reports_on_one_review_at_once_agree_with_their_row() {
    let place = Place::new();
    place.ok(&["I1", "--review-id", "r", "--summary", "S."]);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let place = &place;
            scope.spawn(move || {
                place.ok(&["I2", "--review-id", "r", "--summary", &format!("P{number}.")]);
                place.ok(&["I5", "--review-id", "r"]);
            });
        }
    });
    let stored = row(&place, "SELECT path, content_hash FROM reports", &[]);
    let contents = fs::read(place.root.join(stored["path"].as_str().unwrap())).unwrap();
    assert_eq!(stored["content_hash"], sha256_hex(&contents));
    assert!(String::from_utf8(contents).unwrap().contains("Rows: 7"));
}
