//! Lab (O): case sets and the ranking of proposals.

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::{Value, json};

use crate::context::Place;
use crate::report::written::{file, normal};
use crate::rows::{keys, row, text};

/// Puts rows into the database directly.
fn put(place: &Place, sql: &str) {
    place.stop();
    place.tamper().execute_batch(sql).unwrap();
}

fn case(id: &str, minute: u8, category: &str, summary: &str) -> String {
    format!(
        "INSERT INTO eval_cases (id, created_at, category, scope, status, title, summary, body, content_hash) VALUES \
         ('{id}', '2026-11-23T07:{minute:02}:00.000000+00:00', '{category}', 'project', 'active', 'Title of {id}', \
         '{summary}', '', '');"
    )
}

fn proposal(id: &str, minute: u8, baseline: &str, candidate: &str) -> String {
    format!(
        "INSERT INTO improvement_proposals (id, created_at, contract, status, title, summary, body, baseline_score, \
         candidate_score, metric, content_hash) VALUES ('{id}', '2026-11-23T07:{minute:02}:00.000000+00:00', 'Review Loop', \
         'proposed', 'Title of {id}', 'S.', '', {baseline}, {candidate}, 'accuracy', '');"
    )
}

#[test]
fn a_case_set_holds_what_names_the_contract_first() {
    let place = Place::new();
    let open = place.id(&["G1", "--title", "Open", "--summary", "Open trap.", "--body", "B"]);
    let gone =
        place.id(&["G1", "--title", "Gone", "--summary", "Old trap.", "--body", "B", "--status", "resolved"]);
    let learning = place.id(&["L1", "--title", "Lesson", "--summary", "About the review-loop."]);
    let learned = place.id(&["L3", "--id", &learning]);
    place.ok(&["G1", "--title", "Test", "--summary", "Test.", "--body", "B", "--test"]);
    put(
        &place,
        &[
            case("qe_1", 1, "review_loop", "By category."),
            case("qe_2", 2, "other", "The review loop asks twice."),
            case("qe_3", 3, "other", "Something else."),
        ]
        .concat(),
    );
    let reply = place.ok(&["O1", "--contract", "Review Loop"]);
    assert_eq!(
        keys(&reply)[..8],
        ["status", "contract", "eval_cases", "exemplars", "active_gotchas", "path", "sha256", "report_id"]
    );
    assert_eq!(
        [&reply["contract"], &reply["eval_cases"], &reply["exemplars"], &reply["active_gotchas"]],
        [&json!("Review Loop"), &json!(3), &json!(1), &json!(1)]
    );
    assert_eq!(reply["path"], "AI/db/exports/reports/lab-caseset-review-loop.md");
    let report = file(&place, &reply);
    assert_eq!(reply["sha256"], sha256_hex(report.as_bytes()));
    let places: Vec<usize> = ["qe_2", "qe_1", "qe_3", &learned, &open]
        .iter()
        .map(|id| report.find(&format!("\n- `{id}` ")).unwrap_or_else(|| panic!("{id}: {report}")))
        .collect();
    assert!(places.is_sorted(), "{places:?}: {report}");
    assert!(!report.contains(&gone) && !report.contains("Test."), "{report}");
    insta::assert_snapshot!(normal(&report));
    assert_eq!(place.ok(&["O1", "--contract", "Review Loop", "--category", "other"])["eval_cases"], 2);
    assert_eq!(place.ok(&["O1", "--contract", "Review Loop", "--include-test"])["active_gotchas"], 2);
    assert_eq!(place.count("SELECT count(*) FROM reports WHERE report_type = 'lab-caseset'"), 1);
    for operation in ["O1", "O3"] {
        place.denied(&[operation], "DENIED_CONTRACT_REQUIRED", 2);
        place.denied(&[operation, "--contract", ""], "DENIED_CONTRACT_REQUIRED", 2);
    }
}

#[test]
fn proposals_are_ranked_by_what_they_gain() {
    let place = Place::new();
    place.ok(&["K1"]);
    put(
        &place,
        &[
            proposal("ip_1", 1, "0.5", "0.75"),
            proposal("ip_2", 2, "0.5", "0.25"),
            proposal("ip_3", 3, "NULL", "0.9"),
            proposal("ip_4", 4, "NULL", "NULL"),
        ]
        .concat(),
    );
    let reply = place.ok(&["O3", "--contract", "Review Loop"]);
    assert_eq!(
        keys(&reply)[..8],
        ["status", "contract", "proposals", "top_proposal", "promotion_path", "path", "sha256", "report_id"]
    );
    assert_eq!(reply["proposals"], 4);
    assert_eq!(
        reply["top_proposal"],
        json!({
            "id": "ip_1", "title": "Title of ip_1", "candidate_score": 0.75, "baseline_score": 0.5, "metric": "accuracy",
        })
    );
    let report = file(&place, &reply);
    let order: Vec<&str> =
        report.lines().filter_map(|line| line.strip_prefix("- `")?.split('`').next()).collect();
    // A scored one stands before those without scores, even when it loses.
    assert_eq!(order, ["ip_1", "ip_2", "ip_3", "ip_4"], "{report}");
    for delta in ["delta=+0.25", "delta=-0.25", "delta=n/a"] {
        assert!(report.contains(delta), "{report}");
    }
    insta::assert_snapshot!(report);
    let none = place.ok(&["O3", "--contract", "nothing"]);
    assert_eq!([&none["proposals"], &none["top_proposal"]], [&json!(0), &Value::Null]);
}

#[test]
fn contracts_never_share_a_file() {
    let place = Place::new();
    let path = |contract: &str| text(&place.ok(&["O3", "--contract", contract]), "path").to_owned();
    let first = path("Review Loop");
    assert_eq!(first, "AI/db/exports/reports/lab-report-review-loop.md");
    let second = path("review/loop");
    assert_ne!(first, second);
    assert!(second.starts_with("AI/db/exports/reports/lab-report-review-loop-"), "{second}");
    // Each keeps its own.
    assert_eq!([path("Review Loop"), path("review/loop")], [first.clone(), second.clone()]);
    assert_eq!(place.count("SELECT count(*) FROM reports"), 2);
    let stored = row(&place, "SELECT scope FROM reports WHERE path = ?1", &[&second]);
    assert_eq!(stored["scope"], "review/loop");
    // A report that is written again has a new time, in the search index too.
    crate::checks::assert_integrity(&place);
}
