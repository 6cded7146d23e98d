//! Source locks (S): what is required of them, how they are found, and the file they are exported to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::record_schema::vocabulary::AuthorityTier;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, assert_time, ids, keys, row, text, words};

/// A source lock with this name and these further words.
fn add(place: &Place, name: &str, more: &[&str]) -> String {
    let words = [
        "S1",
        "--source-id",
        name,
        "--authority-tier",
        "normative",
        "--url-or-repository",
        "https://example.org",
        "--summary",
        "S.",
    ];
    place.id(&[&words, more].concat())
}

#[test]
fn a_lock_stores_what_was_given() {
    let place = Place::new();
    let first = add(&place, "rfc", &[]);
    let reply = place.ok(&[
        "S1",
        "--source-id",
        "rfc",
        "--authority-tier",
        "official_docs",
        "--url-or-repository",
        "git@example.org:x.git",
        "--summary",
        "Second edition.",
        "--version-or-commit",
        "v2",
        "--retrieved-at",
        "2026-11-23",
        "--content-hash",
        "abc",
        "--license",
        "MIT",
        "--supersedes",
        &first,
        "--body",
        "B",
    ]);
    assert_eq!(keys(&reply)[..3], ["status", "id", "source_id"]);
    assert!(reply.get("warnings").is_none(), "{reply}");
    let id = text(&reply, "id");
    assert_id(id, "s");
    let shown = place.ok(&["S3", "--id", id])["record"].clone();
    assert_eq!(
        shown,
        json!({
            "id": id, "created_at": shown["created_at"], "source_id": "rfc", "authority_tier": "official_docs",
            "url_or_repository": "git@example.org:x.git", "version_or_commit": "v2", "retrieved_at": "2026-11-23",
            "content_hash": "abc", "license": "MIT", "supersedes": first, "summary": "Second edition.", "body": "B",
            "is_test": 0,
        })
    );
    let bare = place.ok(&["S3", "--id", &first])["record"].clone();
    for column in ["version_or_commit", "retrieved_at", "content_hash", "license", "supersedes"] {
        assert_eq!(bare[column], Value::Null, "{column}");
    }
    let reply = place.ok(&[
        "S1",
        "--source-id",
        "x",
        "--authority-tier",
        "normative",
        "--url-or-repository",
        "u",
        "--summary",
        "S.",
        "--supersedes",
        "s_absent",
    ]);
    assert!(reply["warnings"][0].as_str().unwrap().contains("s_absent"), "{reply}");
    assert_eq!(place.ok(&["S3", "--id", text(&reply, "id")])["record"]["supersedes"], "s_absent");
}

#[test]
fn a_lock_is_checked_in_a_fixed_order() {
    let place = Place::new();
    let mut given = vec!["S1"];
    for (flag, field, value) in [
        ("--source-id", "source_id", "rfc"),
        ("--authority-tier", "authority_tier", "rumour"),
        ("--url-or-repository", "url_or_repository", "u"),
        ("--summary", "summary", "One. Two. Three."),
    ] {
        let denial = place.denied(&given, "DENIED_REQUIRED_FIELDS", 2);
        assert_eq!(denial["fields"], json!([field]));
        place.denied(&[&given[..], &[flag, ""]].concat(), "DENIED_REQUIRED_FIELDS", 2);
        given.extend([flag, value]);
    }
    place.denied(&given, "DENIED_SUMMARY_TOO_LONG", 2);
    given.extend(["--summary", "S."]);
    let denial = place.denied(&given, "DENIED_SCHEMA_ENUM", 2);
    assert_eq!(
        [&denial["record_type"], &denial["field"], &denial["value"], &denial["allowed"]],
        [&json!("source_lock"), &json!("authority_tier"), &json!("rumour"), &json!(AuthorityTier::WORDS)]
    );
    let long = words(41);
    let denial = place.denied(&[&given[..], &["--source-id", &long]].concat(), "DENIED_FIELD_WORD_LIMIT", 2);
    assert_eq!([&denial["field"], &denial["limit"]], [&json!("source_id"), &json!(40)]);
    given.extend(["--authority-tier", "normative"]);
    let long = words(11);
    let denial = place.denied(&[&given[..], &["--license", &long]].concat(), "DENIED_FIELD_WORD_LIMIT", 2);
    assert_eq!([&denial["field"], &denial["limit"]], [&json!("license"), &json!(10)]);
    // The summary may come from a file.
    fs::write(place.root.join("summary"), "From a file.").unwrap();
    given.retain(|word| !matches!(*word, "--summary" | "S." | "One. Two. Three."));
    let id = place.id(&[&given[..], &["--summary-file", "summary"]].concat());
    assert_eq!(place.ok(&["S3", "--id", &id])["record"]["summary"], "From a file.");
}

#[test]
fn locks_are_listed_and_found() {
    let place = Place::new();
    assert_eq!(place.ok(&["S2"])["records"], json!([]));
    let first = add(&place, "sqlite-docs", &["--body", "needle"]);
    let second = add(&place, "rust-book", &["--summary", "About sqlite."]);
    let third = add(&place, "other", &["--authority-tier", "implementation", "--test"]);
    let found = |words: &[&str]| {
        let reply = place.ok(&[&["S2"], words].concat());
        assert_eq!(reply["count"], ids(&reply).len());
        ids(&reply)
    };
    assert_eq!(found(&[]), [third.as_str(), &second, &first]);
    assert_eq!(found(&["--query", "SQLITE"]), [second.as_str(), &first]);
    assert_eq!(found(&["--query", "example.org"]).len(), 3);
    assert_eq!(found(&["--query", "needle"]), [""; 0]);
    assert_eq!(found(&["--authority-tier", "implementation"]), [third.as_str()]);
    assert_eq!(found(&["--since", "2020-01-01", "--until", "2020-01-02"]), [""; 0]);
    let reply = place.ok(&["S2", "--limit", "2"]);
    assert_eq!(reply["next"], second);
    assert_eq!(found(&["--after", &second]), [first.as_str()]);
    assert_eq!(
        keys(&reply["records"][0]),
        ["id", "source_id", "authority_tier", "url_or_repository", "version_or_commit", "summary"]
    );
}

#[test]
fn the_export_is_one_file_ordered_by_name() {
    let place = Place::new();
    let reply = place.ok(&["S4"]);
    assert_eq!(keys(&reply), ["status", "path", "count", "sha256"]);
    assert_eq!([&reply["path"], &reply["count"]], [&json!("AI/db/exports/sources.lock.json"), &json!(0)]);
    add(&place, "b", &["--license", "MIT"]);
    add(&place, "a", &[]);
    add(&place, "c", &["--test"]);
    let reply = place.ok(&["S4"]);
    let path = place.root.join(text(&reply, "path"));
    let contents = fs::read_to_string(&path).unwrap();
    assert_eq!(reply["sha256"], sha256_hex(contents.as_bytes()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(contents.starts_with("{\n  \"generated_at\": \"") && contents.ends_with("}\n"), "{contents}");
    let lock: Value = serde_json::from_str(&contents).unwrap();
    assert_time(&lock["generated_at"]);
    let source = |name: &str, license: Value| {
        json!({
            "source_id": name, "authority_tier": "normative", "url_or_repository": "https://example.org",
            "version_or_commit": null, "retrieved_at": null, "content_hash": null, "license": license, "supersedes": null,
        })
    };
    assert_eq!(lock["sources"], json!([source("a", Value::Null), source("b", "MIT".into())]));
    assert_eq!(place.ok(&["S4", "--include-test"])["count"], 3);
    assert_eq!(place.count("SELECT count(*) FROM reports"), 0);
    assert_eq!(row(&place, "SELECT count(*) AS n FROM source_locks WHERE is_test = 1", &[])["n"], 1);
}
