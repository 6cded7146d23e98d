//! Secrets and personal details: refused or masked before anything of them is stored, whichever way they come in.

use std::fs;
use std::path::Path;

use kaizen_proto::families;
use kaizen_proto::operation::{Access, Card};
use serde_json::{Value, json};

use crate::checks::{assert_sound, call, connect};
use crate::context::{Outcome, Place};
use crate::rows::{row, text};

/// A secret of the class `aws_access_key`.
const KEY: &str = concat!("AKIA", "IOSFODNN7EXAMPLE");
/// A secret that only its name tells.
const PASSWORD: &str = "hunter2secret";

/// Families whose operations have a gate of their own.
const OWN_GATE: &[&str] = &["T", "B", "Y"];

/// Fails when a file below a directory holds the text.
pub(crate) fn assert_absent(directory: &Path, secret: &str) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            assert_absent(&path, secret);
        } else if entry.file_type().unwrap().is_file() {
            let contents = fs::read(&path).unwrap();
            let found =
                contents.windows(secret.len()).any(|bytes| bytes.eq_ignore_ascii_case(secret.as_bytes()));
            assert!(!found, "{} holds {secret}", path.display());
        }
    }
}

fn assert_nowhere(place: &Place, secret: &str) {
    assert_absent(&place.root.join("AI"), secret);
    assert_absent(&place.runtime().join("logs"), secret);
}

fn refused(outcome: &Outcome, field: &str, secret: &str) -> Value {
    let denial = outcome.assert_denied("DENIED_SECRET", 2);
    assert!(denial["fields"][field][0]["class"].is_string(), "{field}: {denial}");
    assert!(denial["required_action"].as_str().unwrap().contains("--redact"), "{denial}");
    assert!(!outcome.stderr.contains(secret), "{outcome:?}");
    denial
}

/// The parameters of an operation that are texts, from its schema.
fn texts(card: &Card) -> Vec<String> {
    let schema = (card.params_schema)();
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let is_text = |schema: &Value| schema["type"] == "string" || schema["type"] == json!(["string", "null"]);
    properties.into_iter().filter(|(_, schema)| is_text(schema)).map(|(name, _)| name).collect()
}

fn gated() -> impl Iterator<Item = &'static Card> {
    families::cards().filter(|card| card.access == Access::Write && !OWN_GATE.contains(&&card.code[..1]))
}

#[test]
fn no_text_of_any_write_takes_a_secret() {
    let place = Place::new();
    place.ok(&["K1"]);
    let mut calls = 0;
    for card in gated() {
        for field in texts(card) {
            let spellings = [
                json!({&field: format!("It is {KEY}.")}).to_string(),
                format!(r#"{{"{field}": "\u0041KIA{}"}}"#, &KEY[4..]),
                json!({&field: format!(r#"{{"list": ["\u0041KIA{}"]}}"#, &KEY[4..])}).to_string(),
            ];
            for params in &spellings {
                let outcome =
                    place.run_with_input(&[card.code, "--params", "-", "--json"], params.as_bytes());
                refused(&outcome, &field, &KEY[4..]);
                calls += 1;
            }
        }
    }
    assert!(calls > 200, "{calls}");
    assert_eq!(place.count("SELECT count(*) FROM journal"), 0);
    assert_nowhere(&place, &KEY[4..]);
    // Reading is no storing: a search for a secret is how one is found.
    place.ok(&["G3", "--query", KEY]);
    place.ok(&["Q9", "--query", &format!("password={PASSWORD}")]);
    assert_sound(&place);
}

#[test]
fn files_and_standard_input_pass_the_same_gate() {
    let place = Place::new();
    place.ok(&["K1"]);
    let secret = format!("password = \"{PASSWORD}\"\n");
    fs::write(place.path("body.txt"), &secret).unwrap();
    let file = place.path("body.txt").display().to_string();
    let new = ["W1", "--title", "T", "--summary", "S.", "--json"];
    let denial = refused(&place.run(new.iter().chain(&["--body-file", &file])), "body", PASSWORD);
    assert_eq!(denial["fields"]["body"], json!([{"class": "assigned_secret", "start": 12, "end": 25}]));
    let outcome = place.run_with_input(&[&new[..], &["--body-file", "-"]].concat(), secret.as_bytes());
    refused(&outcome, "body", PASSWORD);
    fs::write(place.path("payload.json"), json!({"deep": [{"password": PASSWORD}]}).to_string()).unwrap();
    let file = place.path("payload.json").display().to_string();
    let outcome = place.run(["W5", "--summary", "S.", "--payload-json-file", &file, "--json"]);
    refused(&outcome, "payload_json", PASSWORD);
    let masked = place.ok(&["W5", "--summary", "S.", "--payload-json-file", &file, "--redact"]);
    let stored =
        row(&place, "SELECT payload_json FROM subagent_packets WHERE id = $1", &[text(&masked, "id")]);
    assert_eq!(stored["payload_json"], r#"{"deep":[{"password":"[REDACTED:assigned_secret]"}]}"#);
    assert_nowhere(&place, PASSWORD);
    assert_sound(&place);
}

#[test]
fn with_redact_hashes_search_and_ledger_know_only_the_mask() {
    let place = Place::new();
    let body = format!("Seen with {KEY} in the log.");
    let summary = format!("The call sent password={PASSWORD} along.");
    let call = ["G1", "--title", "Leak", "--summary", &summary, "--body", &body];
    place.denied(&call, "DENIED_SECRET", 2);
    let reply = place.ok(&[&call[..], &["--redact"]].concat());
    let warnings = reply["warnings"].to_string();
    assert!(warnings.contains("summary: masked assigned_secret"), "{warnings}");
    assert!(warnings.contains("body: masked aws_access_key"), "{warnings}");
    let id = text(&reply, "id");
    let record = &place.ok(&["G4", "--id", id])["record"];
    assert_eq!(record["body"], "Seen with [REDACTED:aws_access_key] in the log.");
    assert_eq!(record["summary"], "The call sent password=[REDACTED:assigned_secret] along.");
    assert_eq!(place.ok(&["G3", "--query", KEY])["count"], 0);
    assert_eq!(place.ok(&["G3", "--query", "[REDACTED:aws_access_key]"])["count"], 1);
    // A revision, and a promotion of it.
    let revise = ["G5", "--id", id, "--summary", &summary];
    place.denied(&revise, "DENIED_SECRET", 2);
    place.ok(&[&revise[..], &["--redact"]].concat());
    place.ok(&["L2", "--id", id]);
    place.stop();
    for secret in [KEY, PASSWORD] {
        assert_nowhere(&place, secret);
    }
    assert_sound(&place);
}

#[test]
fn redact_is_for_writes_only() {
    let place = Place::new();
    for call in [
        &["G2", "--redact"][..],
        &["K1", "--redact"],
        &["K0", "--redact"],
        &["daemon", "status", "--redact"],
        &["init", "--redact"],
    ] {
        let denial = place.denied(call, "DENIED_USAGE", 2);
        assert!(denial["message"].as_str().unwrap().contains("--redact"), "{denial}");
    }
    // A text without secrets is stored as it is.
    let id = place.id(&["W1", "--redact", "--title", "T", "--summary", "Nothing to hide."]);
    let stored = row(&place, "SELECT summary FROM tasks WHERE id = $1", &[&id]);
    assert_eq!(stored["summary"], "Nothing to hide.");
}

#[test]
fn personal_details_are_masked_but_for_private_notes() {
    let place = Place::new();
    let body = "Ask bob@corp.io; the log is in /home/bob/log.txt, see noreply@example.com.";
    let reply = place.ok(&["W1", "--title", "T", "--summary", "S.", "--body", body]);
    assert_eq!(reply["warnings"], json!(["body: masked posix_home_path, email"]));
    let stored = row(&place, "SELECT body FROM tasks WHERE id = $1", &[text(&reply, "id")]);
    assert_eq!(
        stored["body"],
        "Ask [REDACTED:email]; the log is in [REDACTED:posix_home_path]/log.txt, see noreply@example.com."
    );
    let evidence = r#"[{"at": "/home/bob/p/test.log"}]"#;
    let reply = place.ok(&["Q1", "--summary", "S.", "--evidence", evidence]);
    let stored = row(&place, "SELECT * FROM verification_events WHERE id = $1", &[text(&reply, "id")]);
    assert_eq!(stored["evidence_locations_json"], r#"[{"at": "[REDACTED:posix_home_path]/p/test.log"}]"#);
    assert_nowhere(&place, "/home/bob");
    // Policies and diagnostic packets are the user's own.
    for call in [&["X1", "--title", "T"][..], &["W7"], &["W8"]] {
        let reply = place.ok(&[call, &["--summary", "S.", "--body", body]].concat());
        assert_eq!(reply["warnings"], Value::Null, "{call:?}");
        place.denied(&[call, &["--summary", "S.", "--body", KEY]].concat(), "DENIED_SECRET", 2);
    }
    assert_eq!(row(&place, "SELECT body FROM private_policy", &[])["body"], body);
    // A path may lead through a home directory.
    fs::write(place.root.join("file.txt"), "x").unwrap();
    let inside = place.root.join("file.txt").display().to_string();
    assert_eq!(place.ok(&["A1", "--path", &inside])["path"], "file.txt");
    assert_sound(&place);
}

#[test]
fn the_journal_and_the_keys_keep_no_secret_either() {
    let place = Place::new();
    let new = ["W1", "--title", "T", "--summary", "S.", "--json"];
    for flag in ["--actor", "--session"] {
        let denial = refused(&place.run(new.iter().chain(&[flag, KEY])), &flag[2..], KEY);
        assert_eq!(denial["fields"][&flag[2..]][0]["class"], "aws_access_key");
        // What stores nothing is not refused.
        place.ok(&["G2", flag, KEY]);
        let reply = place.ok(&[&new[..5], &[flag, KEY, "--redact"]].concat());
        assert!(reply["warnings"].to_string().contains("masked aws_access_key"), "{reply}");
    }
    let outcome = place.run(new.iter().chain(&["--key", KEY, "--redact"]));
    let denial = outcome.assert_denied("DENIED_SECRET", 2);
    assert!(denial["fields"]["key"].is_array() && !outcome.stderr.contains(KEY), "{denial}");
    let reply = place.ok(&[&new[..5], &["--actor", "bob@corp.io"]].concat());
    assert_eq!(reply["warnings"], json!(["actor: masked email"]));
    let seq = reply["seq"].to_string();
    assert_eq!(
        row(&place, &format!("SELECT actor FROM journal WHERE seq = {seq}"), &[])["actor"],
        "[REDACTED:email]"
    );
    assert_nowhere(&place, KEY);
    assert_sound(&place);
}

#[test]
fn a_repeated_call_is_known_by_what_was_sent() {
    let place = Place::new();
    place.ok(&["K1"]);
    let mut connection = connect(&place);
    let mut start = |title: &str| {
        let meta = json!({"key": "one", "redact": true});
        call(&mut connection, "task.start", &json!({"title": title, "summary": "S.", "_meta": meta}))
    };
    let first = start(KEY).unwrap();
    assert_eq!(start(KEY).unwrap(), first);
    // Another secret has the same mask, and is another call.
    let other = start(&KEY.replace("EXAMPLE", "ELPMAXE")).unwrap_err();
    assert_eq!(other["code"], "DENIED_KEY_REUSED");
    assert_eq!(place.count("SELECT count(*) FROM tasks"), 1);
}

#[test]
fn databases_that_were_put_aside_are_named_when_they_hold_what_was_erased() {
    let place = Place::new();
    let body = format!("{} The word is swordfish-and-chips.", "It is long. ".repeat(250));
    let id = place.id(&["X1", "--title", "T", "--summary", "S.", "--body", &body]);
    let backup = place.ok(&["K3"]);
    let restored = place.ok(&["K11", "--path", text(&backup, "backup_dir")]);
    place.stop();
    let database = place.root.join("AI/db/kaizen.db");
    std::fs::copy(&database, place.root.join("AI/db/kaizen.db.01a2.partial")).unwrap();
    let erased = place.ok(&["K12", "--id", &id, "--field", "body", "--whole"]);
    let aside = format!("{}/kaizen.db", text(&restored, "replaced"));
    let expected = json!(["AI/db/kaizen.db.01a2.partial", aside]);
    assert_eq!(erased["files"], expected, "{erased}");
    assert!(text(&erased, "required_action").starts_with("Delete the files"), "{erased}");
}

/// What was stored before anybody knew that it should not be: here a text that policies may keep.
#[test]
fn an_erased_text_is_in_no_file_any_more() {
    let place = Place::new();
    let home = "/home/victim";
    let body = format!("The rules are in {home}/rules.md, and the word is swordfish-and-chips.");
    let policy = place.id(&["X1", "--title", "T", "--summary", "S.", "--body", &body]);
    place.ok(&["K3"]);
    place.ok(&["K6"]);
    let erased =
        place.ok(&["record-erase", "--id", &policy[..12], "--field", "body", "--reason", "It is private."]);
    assert_eq!(erased["classes"], json!(["posix_home_path"]));
    assert_eq!(erased["id"], policy.as_str());
    assert_eq!(erased["rows"], json!({"private_policy": 1, "private_policy_revision": 1}));
    assert_sound(&place);
    assert_eq!(place.ok(&["X3", "--query", home])["count"], 0);
    assert_eq!(place.ok(&["X3", "--query", "swordfish"])["count"], 1);
    // A personal detail is masked in its field only; the whole text goes from the backup as well.
    let whole = ["K12", "--id", &policy, "--field", "body", "--whole"];
    let erased = place.ok(&whole);
    assert_eq!(erased["backups_rewritten"].as_array().unwrap().len(), 1, "{erased}");
    assert_eq!(place.ok(&["X3", "--query", "swordfish"])["count"], 0);
    assert_eq!(place.ok(&["X4", "--id", &policy])["record"]["body"], "[ERASED]");
    for text in [home, "swordfish"] {
        assert_nowhere(&place, text);
    }
    assert_sound(&place);
    // The daemon keeps working, and another backup can be made.
    place.ok(&whole);
    place.ok(&["W1", "--title", "T", "--summary", "S."]);
    place.ok(&["K3"]);
    assert_sound(&place);
    let denial = place.denied(&["K12", "--id", &policy], "DENIED_USAGE", 2);
    assert!(denial["message"].as_str().unwrap().contains("--field"), "{denial}");
    place.denied(&["K12", "--id", &policy, "--field", "id", "--whole"], "DENIED_USAGE", 2);
    let reason = format!("It was {KEY}.");
    let outcome = place.run(["K12", "--id", &policy, "--field", "body", "--reason", &reason, "--json"]);
    refused(&outcome, "reason", KEY);
}
