//! Quality (Q): proofs, verifications, and what blocks.

mod checks;
mod evals;

use kaizen_proto::canonical_json;
use kaizen_proto::families::quality::CONCLUSIONS;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, ids, keys, row, text, words};

fn stored(place: &Place, id: &str) -> Value {
    row(place, "SELECT * FROM verification_events WHERE id = ?1", &[id]).into()
}

#[test]
fn a_proof_and_a_verification_differ_in_their_default_conclusion() {
    let place = Place::new();
    for (operation, conclusion) in [("Q1", "PROOF_RECORDED"), ("Q2", "NEEDS_HUMAN_DECISION")] {
        let reply = place.ok(&[operation, "--summary", "S."]);
        assert_eq!(keys(&reply)[..3], ["status", "id", "content_hash"]);
        let id = text(&reply, "id");
        assert_id(id, "qv");
        let hash = canonical_json::hash(&json!({
            "id": id, "conclusion": conclusion, "summary": "S.", "body": "", "evidence": [], "findings": [],
            "remedies": [],
        }));
        let row = stored(&place, id);
        assert_eq!(
            row,
            json!({
                "id": id, "created_at": row["created_at"], "task_id": null, "proof_id": null, "conclusion": conclusion,
                "evidence_locations_json": "[]", "findings_json": "[]", "remedies_json": "[]", "severity": null,
                "scope_label": null, "actionability": null, "summary": "S.", "body": "", "artifact_ids_json": "[]",
                "content_hash": hash, "is_test": 0,
            })
        );
        let empty = place.id(&[
            operation,
            "--summary",
            "S.",
            "--conclusion",
            "",
            "--task-id",
            "",
            "--proof-id",
            "",
            "--severity",
            "",
            "--scope-label",
            "",
            "--actionability",
            "",
            "--evidence",
            "",
        ]);
        let row = stored(&place, &empty);
        assert_eq!(row["conclusion"], conclusion);
        assert!(
            ["task_id", "proof_id", "severity", "scope_label", "actionability"]
                .iter()
                .all(|name| row[name].is_null())
        );
        for given in CONCLUSIONS {
            let id = place.id(&[operation, "--summary", "S.", "--conclusion", given]);
            assert_eq!(stored(&place, &id)["conclusion"], *given);
        }
    }
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 0);
}

#[test]
fn lists_are_stored_in_the_form_that_their_readers_know() {
    let place = Place::new();
    let id = place.id(&[
        "Q2",
        "--summary",
        "S.",
        "--body",
        "B",
        "--evidence",
        r#"["AI/tests"]"#,
        "--findings",
        r#"[{"a":1,"b":["x","é"]}, "☃🦀"]"#,
        "--remedies",
        "null",
        "--artifact-ids",
        "[]",
        "--severity",
        "high",
        "--scope-label",
        "module",
        "--actionability",
        "now",
        "--task-id",
        "t_x",
        "--proof-id",
        "p_x",
        "--test",
    ]);
    let row = stored(&place, &id);
    assert_eq!(row["evidence_locations_json"], r#"["AI/tests"]"#);
    assert_eq!(row["findings_json"], r#"[{"a": 1, "b": ["x", "\u00e9"]}, "\u2603\ud83e\udd80"]"#);
    assert_eq!(row["remedies_json"], "null");
    assert_eq!(row["artifact_ids_json"], "[]");
    let short =
        ["severity", "scope_label", "actionability", "task_id", "proof_id"].map(|name| row[name].clone());
    assert_eq!(short, ["high", "module", "now", "t_x", "p_x"].map(Value::from));
    assert_eq!(row["is_test"], 1);
    let hash = canonical_json::hash(&json!({
        "id": id, "conclusion": "NEEDS_HUMAN_DECISION", "summary": "S.", "body": "B", "evidence": ["AI/tests"],
        "findings": [{"a": 1, "b": ["x", "é"]}, "☃🦀"], "remedies": null,
    }));
    assert_eq!(row["content_hash"], hash);
}

#[test]
fn an_inline_list_beats_its_file_unless_it_is_empty() {
    let place = Place::new();
    std::fs::write(place.root.join("list.json"), "\u{feff}[\r\n\"file\"]").unwrap();
    for (flag, column) in [
        ("evidence", "evidence_locations_json"),
        ("findings", "findings_json"),
        ("remedies", "remedies_json"),
        ("artifact-ids", "artifact_ids_json"),
    ] {
        let (inline, file) = (format!("--{flag}"), format!("--{flag}-file"));
        for (given, expected) in [
            (&[&file, "list.json"][..], r#"["file"]"#),
            (&[&inline, "", &file, "list.json"], r#"["file"]"#),
            (&[&inline, r#"["inline"]"#, &file, "list.json"], r#"["inline"]"#),
            (&[&inline, r#"["inline"]"#, &file, "absent.json"], r#"["inline"]"#),
        ] {
            let id = place.id(&[&["Q1", "--summary", "S."], given].concat());
            assert_eq!(stored(&place, &id)[column], expected, "{given:?}");
        }
        let denial =
            place.denied(&["Q1", "--summary", "S.", &file, "absent.json"], "DENIED_FILE_NOT_FOUND", 2);
        assert_eq!(denial["path"], "absent.json");
    }
}

#[test]
fn verifications_are_checked_in_a_fixed_order() {
    let place = Place::new();
    place.ok(&["K1"]);
    std::fs::write(place.root.join("empty.json"), "").unwrap();
    for operation in ["Q1", "Q2"] {
        let denied = |words: &[&str], code: &str| place.denied(&[&[operation], words].concat(), code, 2);
        denied(&["--evidence", "{", "--conclusion", "FINE"], "DENIED_SUMMARY_REQUIRED");
        denied(&["--evidence-file", "absent"], "DENIED_SUMMARY_REQUIRED");
        denied(&["--summary", "A. B. C.", "--evidence", "{"], "DENIED_SUMMARY_TOO_LONG");
        denied(&["--summary", "S.", "--body", &words(1001), "--evidence", "{"], "DENIED_FIELD_WORD_LIMIT");
        for (flag, field) in [
            ("--evidence", "evidence"),
            ("--findings", "findings"),
            ("--remedies", "remedies"),
            ("--artifact-ids", "artifact_ids"),
        ] {
            denied(&["--summary", "S.", "--conclusion", "FINE", flag, "[1"], "DENIED_JSON_INVALID");
            denied(&["--summary", "S.", &format!("{flag}-file"), "empty.json"], "DENIED_JSON_INVALID");
            for other in ["{}", "1", "\"x\"", "true"] {
                let denial = denied(&["--summary", "S.", flag, other], "DENIED_SCHEMA_FIELD_TYPE");
                assert_eq!(
                    [&denial["record_type"], &denial["field"], &denial["expected"]],
                    [&json!("verification"), &json!(field), &json!("list")]
                );
            }
        }
        for wrong in ["FINE", "verified_acceptable", " VERIFIED_ACCEPTABLE"] {
            let denial = denied(&["--summary", "S.", "--conclusion", wrong], "DENIED_SCHEMA_ENUM");
            assert_eq!(
                [&denial["record_type"], &denial["field"], &denial["value"], &denial["allowed"]],
                [&json!("verification"), &json!("conclusion"), &json!(wrong), &json!(CONCLUSIONS)]
            );
        }
        // The order of the schema: conclusion, lists, labels.
        denied(&["--summary", "S.", "--conclusion", "FINE", "--evidence", "{}"], "DENIED_SCHEMA_ENUM");
        denied(
            &["--summary", "S.", "--evidence", "{}", "--severity", &words(11)],
            "DENIED_SCHEMA_FIELD_TYPE",
        );
        for (flag, field) in [
            ("--severity", "severity"),
            ("--scope-label", "scope_label"),
            ("--actionability", "actionability"),
        ] {
            let denial = denied(&["--summary", "S.", flag, &words(11)], "DENIED_FIELD_WORD_LIMIT");
            assert_eq!([&denial["field"], &denial["limit"]], [&json!(field), &json!(10)]);
            denied(&["--summary", "S.", flag, &words(1301)], "DENIED_FIELD_SPLIT_REQUIRED");
        }
    }
    assert_eq!(place.count("SELECT count(*) FROM verification_events"), 0);
}

#[test]
fn filters_are_exact_and_all_must_match() {
    let place = Place::new();
    let add = |words: &[&str]| place.id(&[&["Q2", "--summary"], words].concat());
    let first =
        add(&["First one.", "--task-id", "t_1", "--severity", "high", "--conclusion", "VERIFICATION_FAILED"]);
    let second =
        add(&["Second.", "--task-id", "t_1", "--severity", "low", "--conclusion", "VERIFIED_ACCEPTABLE"]);
    let third = add(&["Third.", "--task-id", "t_10", "--severity", "high", "--body", "one in the body"]);
    let proof = place.id(&["Q1", "--summary", "Proof."]);
    let found = |words: &[&str]| {
        let reply = place.ok(&[&["Q9"], words].concat());
        assert_eq!(reply["count"], reply["records"].as_array().unwrap().len());
        ids(&reply)
    };
    assert_eq!(found(&[]), [proof.as_str(), &third, &second, &first]);
    assert_eq!(found(&["--task-id", "t_1"]), [second.as_str(), &first]);
    assert_eq!(found(&["--task-id", "t_1", "--severity", "high"]), [first.as_str()]);
    assert_eq!(found(&["--severity", "High"]), [""; 0]);
    assert_eq!(found(&["--conclusion", "PROOF_RECORDED"]), [proof.as_str()]);
    assert_eq!(found(&["--conclusion", "FINE"]), [""; 0]);
    assert_eq!(found(&["--query", "ONE"]), [third.as_str(), &first]);
    assert_eq!(found(&["--query", "one", "--task-id", "t_10"]), [third.as_str()]);
    assert_eq!(found(&["--query", "o"]), [proof.as_str(), &third, &second, &first]);
    assert_eq!(found(&["--query", "", "--task-id", "", "--conclusion", "", "--severity", ""]).len(), 4);
    assert_eq!(found(&["--limit", "2"]), [proof.as_str(), &third]);
    assert_eq!(found(&["--limit", "2", "--after", &third]), [second.as_str(), &first]);
    assert_eq!(found(&["--limit", "-1"]).len(), 4);
    let reply = place.ok(&["Q9", "--task-id", "t_1", "--severity", "high"]);
    assert_eq!(keys(&reply), ["status", "records", "count"]);
    let record = &reply["records"][0];
    assert_eq!(
        keys(record),
        [
            "id",
            "created_at",
            "task_id",
            "proof_id",
            "conclusion",
            "severity",
            "scope_label",
            "actionability",
            "summary"
        ]
    );
    assert_eq!([&record["proof_id"], &record["scope_label"]], [&Value::Null, &Value::Null]);
    let unset = Place::new();
    assert_eq!(unset.ok(&["Q9"])["records"], json!([]));
}

#[test]
fn twenty_verifications_are_shown_unless_more_are_asked_for() {
    let place = Place::new();
    for _ in 0..21 {
        place.ok(&["Q1", "--summary", "S."]);
    }
    for (limit, count) in [(&[][..], 20), (&["--limit", "0"], 20), (&["--limit", "-3"], 21)] {
        assert_eq!(place.ok(&[&["Q9"], limit].concat())["count"], count);
    }
}

/// The verifications that block, from the digest: the list and the count must agree.
fn blocking(place: &Place) -> Vec<String> {
    let digest = place.ok(&["R0"]);
    let list = digest["blocking_verifications"].as_array().unwrap();
    assert_eq!(digest["counts"]["blocking_verifications"], list.len());
    list.iter().map(|record| text(record, "id").to_owned()).collect()
}

#[test]
fn a_blocking_verification_is_cleared_by_a_later_acceptable_one() {
    let place = Place::new();
    let verify = |conclusion: &str, more: &[&str]| {
        place.id(&[&["Q2", "--summary", "S.", "--conclusion", conclusion], more].concat())
    };
    let early = verify("VERIFIED_ACCEPTABLE", &["--task-id", "t_1"]);
    let failed = verify("VERIFICATION_FAILED", &["--task-id", "t_1"]);
    // The earlier one does not clear the later one.
    assert_eq!(blocking(&place), [failed.as_str()]);
    let open = verify("NEEDS_HUMAN_DECISION", &["--task-id", "t_2"]);
    let rework = verify("STRUCTURAL_REWORK_RECOMMENDED", &["--proof-id", "qv_proof"]);
    let alone = verify("VERIFICATION_FAILED", &[]);
    assert_eq!(blocking(&place), [alone.as_str(), &rework, &open, &failed]);
    // Neither another task, nor a proof, nor none at all, nor another conclusion clears anything.
    verify("VERIFIED_ACCEPTABLE", &["--task-id", "t_3"]);
    verify("VERIFIED_ACCEPTABLE", &["--proof-id", &early]);
    verify("VERIFIED_ACCEPTABLE", &[]);
    verify("PROOF_RECORDED", &["--task-id", "t_1"]);
    place.ok(&["Q1", "--summary", "S.", "--task-id", "t_1"]);
    assert_eq!(blocking(&place).len(), 4);
    verify("ACCEPTABLE_WITH_CONCERNS", &["--task-id", "t_1"]);
    assert_eq!(blocking(&place), [alone.as_str(), &rework, &open]);
    verify("VERIFIED_ACCEPTABLE", &["--proof-id", "qv_proof"]);
    assert_eq!(blocking(&place), [alone.as_str(), &open]);
    // The verification itself may be what is covered.
    verify("VERIFIED_ACCEPTABLE", &["--proof-id", &alone]);
    assert_eq!(blocking(&place), [open.as_str()]);
    // What fails again blocks again.
    let again = verify("VERIFICATION_FAILED", &["--task-id", "t_1"]);
    assert_eq!(blocking(&place), [again.as_str(), &open]);
    // Nothing was deleted.
    assert_eq!(place.ok(&["Q9", "--conclusion", "VERIFICATION_FAILED"])["count"], 3);
}

#[test]
fn a_test_verification_neither_blocks_nor_clears() {
    let place = Place::new();
    let real = place.id(&["Q2", "--summary", "S.", "--task-id", "t_1"]);
    place.ok(&["Q2", "--summary", "S.", "--task-id", "t_2", "--test"]);
    place.ok(&["Q2", "--summary", "S.", "--task-id", "t_1", "--conclusion", "VERIFIED_ACCEPTABLE", "--test"]);
    assert_eq!(blocking(&place), [real.as_str()]);
}

#[test]
fn links_to_nothing_are_stored_with_a_warning() {
    let place = Place::new();
    let artifact = place.id(&["A1", "--path", "absent"]);
    let proof = place.id(&["Q1", "--summary", "S."]);
    let ids = json!([artifact, "a_absent"]).to_string();
    let reply = place.ok(&[
        "Q2",
        "--summary",
        "S.",
        "--task-id",
        "t_absent",
        "--proof-id",
        "qv_absent",
        "--artifact-ids",
        &ids,
    ]);
    let warnings = reply["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 3, "{reply}");
    for name in ["t_absent", "qv_absent", "a_absent"] {
        assert!(warnings.iter().any(|warning| warning.as_str().unwrap().contains(name)), "{reply}");
    }
    let ids = json!([artifact]).to_string();
    let reply = place.ok(&["Q2", "--summary", "S.", "--proof-id", &proof, "--artifact-ids", &ids]);
    assert!(reply.get("warnings").is_none(), "{reply}");
}
