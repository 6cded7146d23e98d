//! K13 and K14: a plane as JSON lines, and back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::{Value, json};

use crate::checks::{assert_integrity, assert_sound};
use crate::context::Place;
use crate::rows::{keys, rows, text};

const ALL: [&str; 3] = ["K13", "--include-test", "--include-policy"];

/// A project with some of everything that can be recorded.
fn filled() -> Place {
    let place = Place::new();
    let texts = ["--title", "T é 😀", "--summary", "S \"quoted\".", "--body", "B\n\\"];
    let new = |operation: &str, more: &[&str]| {
        place.id(&[operation].iter().chain(&texts).chain(more).copied().collect::<Vec<_>>())
    };
    let task = new("W1", &[]);
    place.ok(&["W2", "--id", &task, "--task-id", &task, "--status", "in_progress"]);
    new("W3", &["--task-id", &task]);
    let gotcha = new("G1", &[]);
    let learning = place.id(&["L2", "--id", &gotcha]);
    place.ok(&["L3", "--id", &learning]);
    place.ok(&["L2", "--id", &new("G1", &["--test"])]);
    new("X1", &[]);
    place.ok(&["Q2", "--summary", "S.", "--task-id", &task, "--conclusion", "VERIFICATION_FAILED"]);
    place.ok(&["W5", "--summary", "S.", "--payload-json", "{\"a\": 1.50}"]);
    fs::write(place.root.join("file"), "content").unwrap();
    place.ok(&["A1", "--path", "file"]);
    place.ok(&["G5", "--id", &gotcha, "--summary", "Again."]);
    new("W1", &["--test"]);
    place.ok(&["K7"]);
    new("W1", &["--test"]);
    place
}

fn all_rows(place: &Place) -> Vec<String> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'search%' \
                 AND name NOT IN ('requests', 'schema_version', 'migrations')";
    let mut all = Vec::new();
    for table in rows(place, names, &[]) {
        let name = table["name"].as_str().unwrap();
        all.extend(
            rows(place, &format!("SELECT * FROM {name}"), &[]).iter().map(|row| format!("{name} {row:?}")),
        );
    }
    all.sort();
    all
}

#[test]
fn a_complete_export_comes_back_equal_row_for_row() {
    let place = filled();
    let exported = place.ok(&ALL);
    assert_eq!(
        keys(&exported),
        ["status", "path", "sha256", "bytes", "complete", "table_counts", "seq", "chain_hash"]
    );
    let path = place.root.join(text(&exported, "path"));
    assert!(text(&exported, "path").starts_with("AI/db/exports/plane-"), "{exported}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&path).unwrap();
    assert_eq!((&exported["sha256"], &exported["bytes"]), (&json!(sha256_hex(&bytes)), &json!(bytes.len())));
    // Enough to be checked without this program.
    let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let digest: Value = serde_json::from_slice(&bytes[last..]).unwrap();
    assert_eq!(digest["sha256"], sha256_hex(&bytes[..last]));
    let header: Value = serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!((&header["format"], &header["complete"]), (&json!("kaizen-plane"), &json!(true)));

    let other = Place::new();
    let imported = other.ok(&["K14", "--path", path.to_str().unwrap(), "--allow-external"]);
    assert_eq!(
        keys(&imported),
        ["status", "message", "path", "complete", "table_counts", "plane_id", "seq", "chain_hash"]
    );
    assert_eq!(imported["table_counts"], exported["table_counts"]);
    assert_eq!((&imported["seq"], &imported["chain_hash"]), (&exported["seq"], &exported["chain_hash"]));
    assert_eq!(all_rows(&other), all_rows(&place));
    assert_integrity(&other);
    assert!(!other.root.join("AI/db/replaced").exists());
    // It goes on from there, and is found by searching.
    let seq = other.ok(&["W1", "--title", "T", "--summary", "S."])["seq"].as_i64().unwrap();
    assert_eq!(seq, exported["seq"].as_i64().unwrap() + 1);
    assert_eq!(
        other.ok(&["G3", "--query", "quoted"])["count"],
        place.ok(&["G3", "--query", "quoted"])["count"]
    );
    let digest = |place: &Place| place.ok(&["R0"])["counts"]["blocking_verifications"].clone();
    assert_eq!(digest(&other), digest(&place));
}

#[test]
fn private_policies_and_test_records_are_exported_only_on_request() {
    let place = filled();
    let exported = place.ok(&["K13", "--path", "out/plane.jsonl"]);
    assert_eq!((&exported["complete"], &exported["path"]), (&json!(false), &json!("out/plane.jsonl")));
    assert_eq!(exported["omitted"].as_array().unwrap().len(), 3);
    let counts = &exported["table_counts"];
    assert_eq!(
        (counts.get("private_policy"), counts.get("journal"), &counts["tasks"]),
        (None, None, &json!(1))
    );
    let other = Place::new();
    let path = place.root.join("out/plane.jsonl");
    let imported = other.ok(&["K14", "--path", path.to_str().unwrap(), "--allow-external"]);
    assert_eq!((&imported["complete"], &imported["seq"]), (&json!(false), &json!(1)));
    let operations = rows(&other, "SELECT operation FROM journal", &[]);
    assert_eq!(operations[0]["operation"], "K14");
    assert_sound(&other);
    assert_eq!(other.ok(&["X2"])["count"], 0);
    let with_policies = place.ok(&["K13", "--include-policy"]);
    assert_eq!(with_policies["table_counts"]["private_policy"], 1);
    // What is there is not overwritten.
    place.denied(&["K13", "--path", "out/plane.jsonl"], "DENIED_FILE_EXISTS", 2);
    place.denied(&["K13", "--path", "../plane.jsonl"], "DENIED_PATH_OUTSIDE_REPO", 2);
}

#[test]
fn an_import_needs_an_empty_plane_and_a_whole_file() {
    let place = filled();
    let path = text(&place.ok(&ALL), "path").to_owned();
    let before = all_rows(&place);
    let denial = place.denied(&["K14", "--path", &path], "DENIED_PLANE_NOT_EMPTY", 1);
    assert!(denial["seq"].as_i64().unwrap() > 0, "{denial}");
    assert_eq!(all_rows(&place), before);

    let other = Place::new();
    let good = fs::read_to_string(place.root.join(&path)).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let refused = |text: &[u8], reason: &str| {
        fs::write(other.root.join("in.jsonl"), text).unwrap();
        let denial = other.denied(&["K14", "--path", "in.jsonl"], "DENIED_EXPORT_INVALID", 2);
        assert!(denial["reason"].as_str().unwrap().contains(reason), "{reason}: {denial}");
        assert_eq!(other.ok(&["K2"])["schema"]["schema_ok"], true);
        assert_eq!(other.ok(&["G2"])["count"], 0);
        let names: Vec<_> = fs::read_dir(other.root.join("AI/db"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("partial") || name.contains("swap") || name == "replaced")
            .collect();
        assert!(names.is_empty(), "{names:?}");
    };
    refused(b"", "does not begin");
    refused(b"{}\n", "does not begin");
    refused(&[0xff, b'\n'], "does not begin");
    refused(good.replacen("\"version\":1", "\"version\":2", 1).as_bytes(), "newer release");
    refused(&good.as_bytes()[..good.len() / 2], "cut off");
    refused((lines[..lines.len() - 1].join("\n") + "\n").as_bytes(), "cut off");
    refused(good.replacen("quoted", "forged", 1).as_bytes(), "hash");
    refused((good.clone() + "{}\n").as_bytes(), "follows");
    let twice = [&lines[..3], &lines[2..]].concat().join("\n") + "\n";
    refused(twice.as_bytes(), "does not fit");
    let stray =
        good.replacen("{\"table\":\"gotcha\",\"row\":{", "{\"table\":\"gotcha\",\"row\":{\"no\":1,", 1);
    refused(stray.as_bytes(), "no such column");
    refused(good.replacen("\"table\":\"gotcha\"", "\"table\":\"plane_head\"", 1).as_bytes(), "no such table");
    // A forger who knows the format still has the journal against him.
    let forged = good.replacen("quoted", "forged", 1);
    let end = forged.trim_end().rfind('\n').unwrap() + 1;
    let digest = sha256_hex(&forged.as_bytes()[..end]);
    let old = text(&serde_json::from_str(lines[lines.len() - 1]).unwrap(), "sha256").to_owned();
    refused(forged.replace(&old, &digest).as_bytes(), "full check");

    other.denied(&["K14"], "DENIED_PATH_REQUIRED", 2);
    other.denied(&["K14", "--path", "absent"], "DENIED_FILE_NOT_FOUND", 1);
    let outside: &Path = &place.root.join(&path);
    other.denied(&["K14", "--path", outside.to_str().unwrap()], "DENIED_PATH_OUTSIDE_REPO", 2);
    fs::write(other.root.join("in.jsonl"), &good).unwrap();
    other.ok(&["K14", "--path", "in.jsonl"]);
    assert_eq!(all_rows(&other), before);
    assert_integrity(&other);
}
