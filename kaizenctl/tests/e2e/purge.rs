//! K7: deleting the test records.

use serde_json::json;

use crate::checks::assert_integrity;
use crate::context::Place;
use crate::rows::{keys, text};

const TEXTS: [&str; 6] = ["--title", "T", "--summary", "S.", "--body", "B"];

fn new(place: &Place, operation: &str, more: &[&str]) -> String {
    let mut words = vec![operation];
    words.extend(TEXTS);
    words.extend(more);
    place.id(&words)
}

#[test]
fn test_records_go_with_their_revisions_and_nothing_else_does() {
    let place = Place::new();
    let (kept, gone) = (new(&place, "G1", &[]), new(&place, "G1", &["--test"]));
    place.ok(&["G5", "--id", &gone, "--status", "resolved"]);
    new(&place, "W1", &["--test"]);
    new(&place, "W3", &["--test"]);
    new(&place, "X1", &["--test"]);
    place.ok(&["Q2", "--summary", "S.", "--test"]);
    place.ok(&["W5", "--summary", "S.", "--test"]);
    std::fs::write(place.root.join("file"), "content").unwrap();
    place.ok(&["A1", "--path", "file", "--test"]);
    let journal = place.count("SELECT count(*) FROM journal");

    let purged = place.ok(&["K7"]);
    let parts =
        ["status", "message", "purged", "total", "children", "restored", "files", "seq", "chain_hash"];
    assert_eq!(keys(&purged), parts);
    assert_eq!(keys(&purged["purged"]).len(), 24);
    assert_eq!(keys(&purged["purged"])[..3], ["gotcha", "learning", "learned"]);
    // The events of G1 and W1 with --test are test records too; that of the update is not.
    for (table, count) in
        [("gotcha", 1), ("tasks", 1), ("ledger_events", 2), ("artifacts", 1), ("reports", 0)]
    {
        assert_eq!(purged["purged"][table], count, "{table}: {purged}");
    }
    assert_eq!(purged["total"], 9);
    assert_eq!(
        purged["children"],
        json!({"gotcha_revision": 2, "task_revision": 1, "plan_revision": 1, "private_policy_revision": 1})
    );
    place.denied(&["G4", "--id", &gone], "DENIED_RECORD_NOT_FOUND", 1);
    assert_eq!(place.ok(&["G4", "--id", &kept])["record"]["is_test"], 0);
    assert_eq!(place.ok(&["G3", "--query", "T"])["count"], 1);
    assert_eq!(place.count("SELECT count(*) FROM journal"), journal + 1);
    assert_integrity(&place);

    let again = place.ok(&["purge-test"]);
    assert_eq!((&again["total"], &again["message"]), (&json!(0), &json!("There are no test records.")));
    assert_integrity(&place);
}

#[test]
fn a_promotion_that_was_only_a_test_is_taken_back() {
    let place = Place::new();
    let gotcha = new(&place, "G1", &["--status", "resolved"]);
    let learning = place.id(&["L2", "--id", &gotcha, "--test"]);
    assert_eq!(place.ok(&["G4", "--id", &gotcha])["record"]["status"], "promoted");
    let purged = place.ok(&["K7"]);
    assert_eq!(purged["restored"], json!([{"table": "gotcha", "id": gotcha, "status": "resolved"}]));
    assert_eq!(place.ok(&["G4", "--id", &gotcha])["record"]["status"], "resolved");
    place.denied(&["L6", "--id", &learning], "DENIED_RECORD_NOT_FOUND", 1);
    // It can be promoted for good now.
    place.ok(&["L2", "--id", &gotcha]);
    assert_eq!(place.ok(&["K7"])["restored"], json!([]));
    assert_eq!(place.ok(&["G4", "--id", &gotcha])["record"]["status"], "promoted");
    assert_integrity(&place);
}

#[test]
fn a_source_that_was_revised_since_its_promotion_stays_as_it_is() {
    let place = Place::new();
    let gotcha = new(&place, "G1", &[]);
    place.ok(&["L2", "--id", &gotcha, "--test"]);
    place.ok(&["G5", "--id", &gotcha, "--summary", "Seen again."]);
    assert_eq!(place.ok(&["K7"])["restored"], json!([]));
    assert_eq!(place.ok(&["G4", "--id", &gotcha])["record"]["status"], "promoted");
    assert_integrity(&place);
}

#[test]
fn the_link_to_a_test_source_is_cut_and_the_copy_stays() {
    let place = Place::new();
    let gotcha = new(&place, "G1", &["--test"]);
    let learning = place.id(&["L2", "--id", &gotcha]);
    let learned = place.id(&["L3", "--id", &learning]);
    place.ok(&["K7"]);
    let record = place.ok(&["L6", "--id", &learning])["record"].clone();
    assert_eq!(record["source_gotcha_id"], json!(null));
    assert_eq!(place.ok(&["L9", "--id", &learned])["record"]["source_learning_id"], json!(learning));
    assert_integrity(&place);
}

#[test]
fn a_test_verification_neither_clears_nor_blocks_before_and_after_the_purge() {
    let place = Place::new();
    let task = new(&place, "W1", &[]);
    let verify = |conclusion: &str, more: &[&str]| {
        let words = ["Q2", "--summary", "S.", "--task-id", &task, "--conclusion", conclusion];
        place.id(&words.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let blocking = verify("VERIFICATION_FAILED", &[]);
    verify("VERIFIED_ACCEPTABLE", &["--test"]);
    verify("VERIFICATION_FAILED", &["--test"]);
    let blockers = || {
        let digest = place.ok(&["R0"]);
        assert_eq!(digest["counts"]["blocking_verifications"], 1);
        text(&digest["blocking_verifications"][0], "id").to_owned()
    };
    assert_eq!(blockers(), blocking);
    assert_eq!(place.ok(&["K7"])["purged"]["verification_events"], 2);
    assert_eq!(blockers(), blocking);
    assert_integrity(&place);
}
