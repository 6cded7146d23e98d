//! Lab (O): proposals.

use kaizen_proto::canonical_json;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, row, text, words};

const PROPOSAL: [&str; 7] =
    ["O2", "--contract", "review-loop", "--title", "Ask once", "--summary", "One question."];

fn stored(place: &Place, id: &str) -> Value {
    row(place, "SELECT * FROM improvement_proposals WHERE id = ?1", &[id]).into()
}

#[test]
fn a_proposal_is_stored_with_its_scores() {
    let place = Place::new();
    let reply = place.ok(&PROPOSAL);
    let id = text(&reply, "id");
    assert_id(id, "ip");
    let hash = canonical_json::hash(&json!({
        "id": id, "contract": "review-loop", "title": "Ask once", "summary": "One question.", "body": "",
        "payload_json": "{}",
    }));
    let row = stored(&place, id);
    assert_eq!(
        row,
        json!({
            "id": id, "created_at": row["created_at"], "contract": "review-loop", "status": "proposed",
            "title": "Ask once", "summary": "One question.", "body": "", "baseline_score": null,
            "candidate_score": null, "metric": null, "payload_json": "{}", "content_hash": hash, "is_test": 0,
        })
    );
    assert_eq!(reply["content_hash"], hash.as_str());
    std::fs::write(place.root.join("payload.json"), "{ \"b\": 1,\n\"a\": \"é\" }").unwrap();
    let more = [
        "--metric",
        "pass_rate",
        "--baseline-score",
        "-0.5",
        "--candidate-score",
        "1",
        "--status",
        "accepted",
        "--body",
        "B",
        "--payload-json",
        "[",
        "--payload-json-file",
        "payload.json",
        "--test",
    ];
    let row = stored(&place, &place.id(&[&PROPOSAL[..], &more].concat()));
    assert_eq!([&row["baseline_score"], &row["candidate_score"]], [&json!(-0.5), &json!(1.0)]);
    let columns = ["metric", "status", "body", "payload_json"].map(|name| &row[name]);
    assert_eq!(columns, ["pass_rate", "accepted", "B", "{ \"b\": 1,\n\"a\": \"é\" }"]);
    assert_eq!(row["is_test"], 1);
    let row = stored(&place, &place.id(&[&PROPOSAL[..], &["--candidate-score", "nan"]].concat()));
    assert_eq!(row["candidate_score"], Value::Null);
    let reply = place.ok(&[&PROPOSAL[..], &["--status", "propsed"]].concat());
    assert!(reply["warnings"][0].as_str().unwrap().contains("\"proposed\""), "{reply}");
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], true);
}

#[test]
fn a_proposal_is_checked_in_a_fixed_order() {
    let place = Place::new();
    let denied = |words: &[&str], code: &str| place.denied(&[&["O2"], words].concat(), code, 2);
    let denial = denied(&["--payload-json", "["], "DENIED_CONTRACT_REQUIRED");
    assert!(denial["example"].as_str().unwrap().contains("O2 --contract"), "{denial}");
    denied(&["--contract", "c", "--payload-json", "["], "DENIED_TITLE_REQUIRED");
    denied(&["--contract", "c", "--title", "T", "--payload-json", "["], "DENIED_JSON_INVALID");
    denied(&["--contract", "c", "--title", "T", "--payload-json", "[]"], "DENIED_PAYLOAD_TYPE");
    let denial = denied(&["--contract", "c", "--title", "T"], "DENIED_SCHEMA_REQUIRED");
    assert_eq!(
        [&denial["record_type"], &denial["fields"]],
        [&json!("improvement_proposal"), &json!(["summary"])]
    );
    denied(&["--contract", &words(21), "--title", "T", "--summary", "A. B. C."], "DENIED_FIELD_WORD_LIMIT");
    denied(&["--contract", "c", "--title", "T", "--summary", "A. B. C."], "DENIED_SUMMARY_TOO_LONG");
    for score in ["inf", "-inf", "1e999", "x"] {
        denied(
            &["--contract", "c", "--title", "T", "--summary", "S.", "--candidate-score", score],
            "DENIED_USAGE",
        );
    }
}
