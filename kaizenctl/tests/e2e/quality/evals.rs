//! Eval cases, their runs and anti-patterns: Q3 to Q7, and Q11.

use kaizen_proto::canonical_json;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, ids, keys, row, text, words};

fn case(place: &Place, more: &[&str]) -> String {
    place.id(&[&["Q3", "--title", "T", "--summary", "S."], more].concat())
}

fn stored(place: &Place, table: &str, id: &str) -> Value {
    row(place, &format!("SELECT * FROM {table} WHERE id = ?1"), &[id]).into()
}

fn warnings(reply: &Value) -> Vec<&str> {
    reply["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn an_eval_case_is_stored_with_its_defaults() {
    let place = Place::new();
    let reply = place.ok(&["Q3", "--title", "T", "--summary", "S."]);
    assert_eq!(keys(&reply)[..3], ["status", "id", "content_hash"]);
    assert_eq!(warnings(&reply), [""; 0]);
    let id = text(&reply, "id");
    assert_id(id, "qe");
    let hash = canonical_json::hash(&json!({"id": id, "title": "T", "summary": "S.", "body": ""}));
    let row = stored(&place, "eval_cases", id);
    assert_eq!(
        row,
        json!({
            "id": id, "created_at": row["created_at"], "category": "behavior", "scope": "project", "status": "active",
            "title": "T", "summary": "S.", "body": "", "fixture_path": null, "expected_json": null,
            "content_hash": hash, "is_test": 0,
        })
    );
    std::fs::write(place.root.join("expected.json"), "not even { json").unwrap();
    let given = [
        "--category",
        "routing",
        "--scope",
        "skill",
        "--status",
        "draft",
        "--body",
        "B",
        "--path",
        "../anywhere",
        "--expected-json-file",
        "expected.json",
        "--test",
    ];
    let row = stored(&place, "eval_cases", &case(&place, &given));
    let columns =
        ["category", "scope", "status", "body", "fixture_path", "expected_json"].map(|name| &row[name]);
    assert_eq!(columns, ["routing", "skill", "draft", "B", "../anywhere", "not even { json"]);
    assert_eq!(row["is_test"], 1);
    let row = stored(&place, "eval_cases", &case(&place, &["--expected-json", "", "--category", ""]));
    assert_eq!([&row["expected_json"], &row["category"]], [&Value::Null, &json!("behavior")]);
}

#[test]
fn words_outside_a_vocabulary_are_stored_with_a_warning() {
    let place = Place::new();
    let reply = place.ok(&[
        "Q3",
        "--title",
        "T",
        "--summary",
        "S.",
        "--category",
        "rooting",
        "--status",
        "aktive",
        "--scope",
        "moon",
    ]);
    let warnings = warnings(&reply);
    assert_eq!(warnings.len(), 3, "{reply}");
    assert!(warnings[0].contains("\"routing\"") && warnings[1].contains("\"active\""), "{reply}");
    assert_eq!(stored(&place, "eval_cases", text(&reply, "id"))["category"], "rooting");
}

#[test]
fn evals_are_checked_in_a_fixed_order() {
    let place = Place::new();
    place.ok(&["K1"]);
    place.denied(&["Q3", "--summary", ""], "DENIED_TITLE_REQUIRED", 2);
    place.denied(&["Q3", "--title", "T"], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(
        &["Q3", "--title", "T", "--summary", "A. B. C.", "--body", &words(1001)],
        "DENIED_SUMMARY_TOO_LONG",
        2,
    );
    place.denied(
        &["Q3", "--title", "T", "--summary", "S.", "--body", &words(1301)],
        "DENIED_FIELD_SPLIT_REQUIRED",
        2,
    );
    place.denied(&["Q3", "--title", &"x".repeat(4097), "--summary", "S."], "DENIED_TEXT_TOO_LONG", 2);
    place.denied(&["Q4", "--artifact-ids", "["], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(
        &["Q4", "--summary", "S.", "--eval-case-id", "qe_none", "--artifact-ids", "["],
        "DENIED_JSON_INVALID",
        2,
    );
    let denial =
        place.denied(&["Q4", "--summary", "S.", "--eval-case-id", "qe_none"], "DENIED_RECORD_NOT_FOUND", 1);
    assert_eq!([&denial["id"], &denial["table"]], ["qe_none", "eval_cases"]);
    for table in ["eval_cases", "eval_runs", "journal"] {
        assert_eq!(place.count(&format!("SELECT count(*) FROM {table}")), 0);
    }
}

#[test]
fn a_run_belongs_to_a_case_that_exists() {
    let place = Place::new();
    let case = case(&place, &[]);
    let reply =
        place.ok(&["Q4", "--eval-case-id", &case[..case.len() - 1], "--summary", "S.", "--body", "B"]);
    let id = text(&reply, "id");
    assert_id(id, "qr");
    let hash = canonical_json::hash(&json!({"id": id, "summary": "S.", "body": "B"}));
    let row = stored(&place, "eval_runs", id);
    assert_eq!(
        row,
        json!({
            "id": id, "created_at": row["created_at"], "eval_case_id": case, "status": "recorded", "summary": "S.",
            "body": "B", "artifact_ids_json": "[]", "content_hash": hash, "is_test": 0,
        })
    );
    let free =
        place.id(&["Q4", "--summary", "S.", "--status", "passed", "--artifact-ids", r#"{"é": 1}"#, "--test"]);
    let row = stored(&place, "eval_runs", &free);
    let columns = [&row["eval_case_id"], &row["status"], &row["artifact_ids_json"], &row["is_test"]];
    assert_eq!(columns, [&json!(null), &json!("passed"), &json!(r#"{"\u00e9": 1}"#), &json!(1)]);
    let reply = place.ok(&["Q4", "--summary", "S.", "--artifact-ids", r#"["a_none"]"#]);
    assert!(warnings(&reply)[0].contains("a_none"), "{reply}");
}

const PATTERN: [&str; 17] = [
    "Q5",
    "--title",
    "Swallowed errors",
    "--symptom",
    "Empty catch blocks.",
    "--maintainability-harm",
    "Unseen faults.",
    "--trigger-evidence",
    "grep finds them.",
    "--preferred-correction",
    "Return the error.",
    "--valid-exceptions",
    "Clean-up.",
    "--verification",
    "grep finds none.",
    "--summary",
    "Errors are dropped.",
];

fn pattern<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PATTERN[..], more].concat()
}

#[test]
fn an_anti_pattern_needs_all_its_texts() {
    let place = Place::new();
    let denial = place.denied(&["Q5", "--symptom", "S", "--summary", ""], "DENIED_REQUIRED_FIELDS", 2);
    assert_eq!(
        denial["fields"],
        json!([
            "title",
            "maintainability_harm",
            "trigger_evidence",
            "preferred_correction",
            "valid_exceptions",
            "verification",
            "summary"
        ])
    );
    place.denied(
        &pattern(&["--summary", "A. B. C.", "--symptom", &words(1001)]),
        "DENIED_SUMMARY_TOO_LONG",
        2,
    );
    let denial = place.denied(
        &pattern(&["--verification", &words(1001), "--valid-exceptions", &words(1001)]),
        "DENIED_FIELD_WORD_LIMIT",
        2,
    );
    assert_eq!(denial["field"], "valid_exceptions");
    let reply = place.ok(&pattern(&["--test"]));
    let id = text(&reply, "id");
    assert_id(id, "ap");
    let row = stored(&place, "anti_patterns", id);
    assert_eq!(
        [&row["scope"], &row["status"], &row["is_test"]],
        [&json!("project"), &json!("active"), &json!(1)]
    );
    let mut covered = json!({"id": id});
    for name in PATTERN[1..].iter().step_by(2).map(|flag| flag[2..].replace('-', "_")) {
        covered[name.as_str()] = row[name.as_str()].clone();
    }
    assert_eq!(row["content_hash"], canonical_json::hash(&covered));
    assert_eq!(row["content_hash"], reply["content_hash"]);
}

#[test]
fn anti_patterns_are_found_by_what_they_look_like() {
    let place = Place::new();
    place.denied(&["Q6"], "DENIED_QUERY_REQUIRED", 2);
    let first = place.id(&PATTERN);
    let second = place.id(&[&PATTERN[..], &["--title", "Other", "--status", "superseded"]].concat());
    let found = |words: &[&str]| ids(&place.ok(&[&["Q6", "--query"], words].concat()));
    for query in ["errors are", "CATCH", "grep finds them"] {
        assert_eq!(found(&[query]), [second.as_str(), &first], "{query}");
    }
    assert_eq!(found(&["swallowed"]), [first.as_str()]);
    // Neither harm, correction, exceptions nor verification is searched.
    for query in ["Unseen", "Return the", "Clean-up", "finds none", "no such text"] {
        assert_eq!(found(&[query]), [""; 0], "{query}");
    }
    assert_eq!(found(&["errors", "--status", "superseded"]), [second.as_str()]);
    assert_eq!(found(&["errors", "--until", "2020-01-01"]), [""; 0]);
    assert_eq!(found(&["errors", "--limit", "1"]), [second.as_str()]);
    assert_eq!(found(&["errors", "--after", &second]), [first.as_str()]);
    let reply = place.ok(&["Q6", "--query", "errors"]);
    assert_eq!(keys(&reply)[..3], ["status", "records", "count"]);
    assert_eq!(keys(&reply["records"][0]), ["id", "status", "scope", "title", "summary", "created_at"]);
}

#[test]
fn every_quality_record_is_shown_whole() {
    let place = Place::new();
    let verifier = place.id(&["Q1", "--summary", "S.", "--evidence", r#"["x"]"#]);
    let case = case(&place, &[]);
    let run = place.id(&["Q4", "--summary", "S."]);
    let pattern = place.id(&PATTERN);
    let artifact = place.id(&["A1", "--path", "absent"]);
    for (kind, table, id) in [
        ("verifier", "verification_events", &verifier),
        ("eval-case", "eval_cases", &case),
        ("eval-run", "eval_runs", &run),
        ("anti-pattern", "anti_patterns", &pattern),
        ("artifact", "artifacts", &artifact),
        ("anything", "artifacts", &artifact),
    ] {
        let reply = place.ok(&["Q7", "--kind", kind, "--id", id]);
        let row = stored(&place, table, id);
        assert_eq!(reply["record"], row);
        assert_eq!(keys(&reply["record"]), keys(&row), "{kind}");
        let denial = place.denied(&["Q7", "--kind", kind, "--id", "none"], "DENIED_RECORD_NOT_FOUND", 1);
        assert_eq!([&denial["id"], &denial["table"]], ["none", table]);
    }
    assert_eq!(place.ok(&["Q7", "--id", &artifact])["record"]["id"], artifact.as_str());
    assert_eq!(
        place.ok(&["Q7", "--kind", "verifier", "--id", &verifier[..20]])["record"]["evidence_locations_json"],
        "[\"x\"]"
    );
    place.denied(&["Q7", "--kind", "verifier"], "DENIED_ID_REQUIRED", 2);
}

fn import(place: &Place, lines: &[Value]) -> Value {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(place.root.join("cases.jsonl"), lines.join("\n")).unwrap();
    place.ok(&["Q11", "--path", "cases.jsonl"])
}

#[test]
fn an_import_adds_what_is_not_there_yet() {
    let place = Place::new();
    let there = case(&place, &["--category", "routing"]);
    let lines = [
        json!({"title": "T", "summary": "S.", "category": "routing"}),
        json!({"title": "T", "summary": "Another category."}),
        json!({"title": "U", "summary": "S.", "body": "B", "status": "draft", "scope": "skill", "expected": {"é": [1.5]}}),
        json!({"title": "T", "summary": "The same again."}),
        json!({"title": "V", "summary": "S.", "expected": "as it is", "body": null}),
    ];
    let reply = import(&place, &lines);
    assert_eq!(keys(&reply)[..4], ["status", "added", "skipped", "records"]);
    assert_eq!([&reply["added"], &reply["skipped"]], [&json!(3), &json!(2)]);
    let records = reply["records"].as_array().unwrap();
    let added: Vec<_> = records.iter().map(|record| record["added"].as_bool().unwrap()).collect();
    assert_eq!(added, [false, true, true, false, true]);
    assert_eq!(records[0]["id"], there.as_str());
    assert_eq!(records[3]["id"], records[1]["id"]);
    assert_eq!(keys(&records[0]), ["id", "title", "added"]);
    let row = stored(&place, "eval_cases", text(&records[2], "id"));
    let columns = ["category", "scope", "status", "body", "expected_json"].map(|name| &row[name]);
    assert_eq!(columns, ["behavior", "skill", "draft", "B", r#"{"é":[1.5]}"#]);
    assert_eq!(stored(&place, "eval_cases", text(&records[4], "id"))["expected_json"], "as it is");
    // Once more changes nothing.
    let again = import(&place, &lines);
    assert_eq!([&again["added"], &again["skipped"]], [&json!(0), &json!(5)]);
    assert_eq!(place.count("SELECT count(*) FROM eval_cases"), 4);
    // A test record does not stand for the real one.
    let reply = place.ok(&["Q11", "--path", "cases.jsonl", "--test"]);
    assert_eq!(reply["added"], 4);
    assert_eq!(place.count("SELECT count(*) FROM eval_cases WHERE is_test = 1"), 4);
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], true);
}

#[test]
fn a_file_passes_the_gate_that_parameters_pass() {
    let place = Place::new();
    place.ok(&["K1"]);
    let key = concat!("AKIA", "IOSFODNN7EXAMPLE");
    let file = place.root.join("cases.jsonl");
    let good = json!({"title": "Ask", "summary": "S."});
    let secret = json!({"title": "T", "summary": "S.", "expected": {"answer": [key]}});
    std::fs::write(&file, format!("{good}\n{secret}\n")).unwrap();
    let denial = place.denied(&["Q11", "--path", "cases.jsonl"], "DENIED_SECRET", 2);
    assert_eq!(denial["line"], 2, "{denial}");
    assert!(!denial.to_string().contains(key), "{denial}");
    assert_eq!(place.count("SELECT count(*) FROM eval_cases"), 0);
    let reply =
        import(&place, &[good, json!({"title": "Mail", "summary": "Write to jane@corp.test today."})]);
    assert!(warnings(&reply)[0].starts_with("line 2: summary"), "{reply}");
    assert_eq!(place.count("SELECT count(*) FROM eval_cases WHERE summary LIKE '%jane%'"), 0);
}

#[test]
fn an_import_with_a_bad_line_adds_nothing_and_names_the_line() {
    let place = Place::new();
    place.ok(&["K1"]);
    let good = r#"{"title": "T", "summary": "S."}"#;
    let file = place.root.join("cases.jsonl");
    let denied = |line: &str, code: &str| {
        std::fs::write(&file, format!("\u{feff}{good}\r\n\n{line}\n{good}\n")).unwrap();
        let denial = place.denied(&["Q11", "--path", "cases.jsonl"], code, 2);
        assert_eq!(denial["line"], 3, "{denial}");
        denial
    };
    denied("{", "DENIED_JSON_INVALID");
    denied("[]", "DENIED_SCHEMA_TYPE");
    assert_eq!(denied("{}", "DENIED_SCHEMA_REQUIRED")["fields"], json!(["title", "summary"]));
    let stray = denied(r#"{"title": "T", "summary": "S.", "expect": 1}"#, "DENIED_SCHEMA_UNKNOWN_FIELDS");
    assert_eq!([&stray["record_type"], &stray["fields"]], [&json!("eval_case"), &json!(["expect"])]);
    denied(r#"{"title": 1, "summary": "S."}"#, "DENIED_SCHEMA_FIELD_TYPE");
    denied(r#"{"title": "T", "summary": "A. B. C."}"#, "DENIED_SUMMARY_TOO_LONG");
    denied(
        &json!({"title": "T", "summary": "S.", "body": words(1001)}).to_string(),
        "DENIED_FIELD_WORD_LIMIT",
    );
    denied(r#"{"title": "a\u0000b", "summary": "S."}"#, "DENIED_TEXT_INVALID");
    std::fs::write(&file, format!("{good}\n").repeat(2001)).unwrap();
    let denial = place.denied(&["Q11", "--path", "cases.jsonl"], "DENIED_FILE_TOO_LARGE", 2);
    assert_eq!([&denial["lines"], &denial["limit"]], [2001, 2000]);
    std::fs::write(&file, b"{\"title\": \"\xff\"}").unwrap();
    place.denied(&["Q11", "--path", "cases.jsonl"], "DENIED_FILE_NOT_UTF8", 2);
    std::fs::write(&file, vec![b' '; 4 * 1024 * 1024 + 1]).unwrap();
    place.denied(&["Q11", "--path", "cases.jsonl"], "DENIED_FILE_TOO_LARGE", 2);
    place.denied(&["Q11"], "DENIED_PATH_REQUIRED", 2);
    place.denied(&["Q11", "--path", "absent"], "DENIED_FILE_NOT_FOUND", 1);
    place.denied(&["Q11", "--path", "."], "DENIED_FILE_NOT_FOUND", 1);
    let outside = place.path("outside.jsonl");
    std::fs::write(&outside, good).unwrap();
    let outside = outside.to_str().unwrap();
    place.denied(&["Q11", "--path", outside], "DENIED_PATH_OUTSIDE_REPO", 2);
    assert_eq!(place.count("SELECT count(*) FROM eval_cases"), 0);
    assert_eq!(place.ok(&["Q11", "--path", outside, "--allow-external"])["added"], 1);
    std::fs::write(&file, "\n\n").unwrap();
    assert_eq!(place.ok(&["Q11", "--path", "cases.jsonl"])["records"], json!([]));
}
