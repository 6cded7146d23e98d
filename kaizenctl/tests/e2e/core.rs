//! Core (K): finding operations, and the data plane as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::families;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_time, keys, rows, text};

fn codes(found: &Value) -> Vec<&str> {
    found["records"].as_array().unwrap().iter().map(|record| text(record, "code")).collect()
}

#[test]
fn operations_are_found_without_a_daemon_or_a_project() {
    let place = Place::new();
    let all = place.ok(&["K0"]);
    assert_eq!(keys(&all), ["status", "count", "records"]);
    assert_eq!(keys(&all["records"][0]), ["code", "alias", "purpose", "example"]);
    let mut cards: Vec<_> = families::cards().collect();
    cards.sort_by_key(|card| card.order());
    assert_eq!(codes(&all), cards.iter().map(|card| card.code).collect::<Vec<_>>());
    assert_eq!(all["count"], cards.len());
    let alias = |code: &str| {
        let records = all["records"].as_array().unwrap();
        text(records.iter().find(|record| record["code"] == code).unwrap(), "alias").to_owned()
    };
    assert_eq!([alias("K1"), alias("L10")], ["db-check", "learned-context"]);
    assert_eq!(place.ok(&["K0", "--query", "", "--limit", "1"]), all);
    let found = place.ok(&["op-find", "--query", "record a pitfall"]);
    assert_eq!(keys(&found), ["status", "query", "count", "records"]);
    assert_eq!(keys(&found["records"][0]), ["code", "alias", "purpose", "example", "score"]);
    assert!(codes(&found)[..3].contains(&"G1"), "{found}");
    assert_eq!(found["count"], 5);
    let scores: Vec<_> =
        found["records"].as_array().unwrap().iter().map(|record| record["score"].as_u64().unwrap()).collect();
    assert!(scores.is_sorted_by(|one, next| one >= next), "{scores:?}");
    for word in ["failure", "footgun", "mistake", "bug", "problem", "PITFALLS"] {
        assert!(codes(&place.ok(&["K0", "--query", word])).contains(&"G1"), "{word}");
    }
    let limit = |limit: &str| codes(&place.ok(&["K0", "--query", "record", "--limit", limit])).len();
    let total = limit("1000");
    assert_eq!([limit("1"), limit("0"), limit("-2"), limit("-1000")], [1, 5, total - 2, 0]);
    let none = place.ok(&["K0", "--query", "zzqqxxunmatchable"]);
    assert_eq!([&none["count"], &none["records"]], [&json!(0), &json!([])]);
    assert!(text(&none, "required_action").contains("K0"));
    assert!(!place.runtime().exists() && !place.root.join("AI").exists());
}

const SCHEMA: [&str; 13] = [
    "db_path",
    "exists",
    "schema_version",
    "migration_id",
    "applied_at",
    "tool_version",
    "manifest_hash",
    "expected_schema_version",
    "expected_migration_id",
    "expected_manifest_hash",
    "manifest_match",
    "schema_ok",
    "migrations",
];

#[test]
fn a_fresh_root_is_created_and_checking_it_again_changes_nothing() {
    let place = Place::new();
    let reply = place.ok(&["K1"]);
    assert_eq!(keys(&reply), ["status", "message", "schema"]);
    let schema = &reply["schema"];
    assert_eq!(keys(schema), SCHEMA);
    assert_eq!(schema["db_path"], place.database().canonicalize().unwrap().to_str().unwrap());
    assert_time(&schema["applied_at"]);
    assert_eq!(
        [&schema["exists"], &schema["schema_version"], &schema["migration_id"], &schema["tool_version"]],
        [&json!(true), &json!(1), &json!("kaizen-system-foundation-v1"), &json!("0.1.0")]
    );
    assert_eq!([&schema["schema_ok"], &schema["manifest_match"]], [&json!(true), &json!(true)]);
    assert_eq!(schema["manifest_hash"], schema["expected_manifest_hash"]);
    assert_eq!(text(schema, "manifest_hash").len(), 64);
    assert_eq!(schema["migrations"]["applied"], schema["migrations"]["known"]);
    for name in ["K1", "db-check", "check-init", "Check-Init"] {
        assert_eq!(place.ok(&[name]), reply);
    }
    assert_eq!(place.ok(&["K2"])["schema"], *schema);
    assert_eq!(place.count("SELECT count(*) FROM journal"), 0);
    // A plain read makes the data plane just as well.
    let bare = Place::new();
    assert_eq!(bare.ok(&["G2"])["count"], 0);
    assert!(bare.database().exists());
}

#[test]
fn the_state_of_the_schema_is_read_without_creating_anything() {
    let place = Place::new();
    let schema = place.ok(&["K2"])["schema"].clone();
    let database = place.root.canonicalize().unwrap().join("AI/db/kaizen.db");
    assert_eq!(
        schema,
        json!({
            "db_path": database.to_str().unwrap(), "exists": false, "expected_schema_version": 1,
            "expected_migration_id": "kaizen-system-foundation-v1", "schema_ok": false,
        })
    );
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 0);
    place.denied(&["K2", "--test", "--title", "T"], "DENIED_USAGE", 2);
}

#[test]
fn a_deleted_version_row_closes_the_plane_until_it_is_checked() {
    let place = Place::new();
    let before = place.ok(&["K1"])["schema"].clone();
    place.tamper().execute("DELETE FROM schema_version", []).unwrap();
    let schema = &place.ok(&["K2"])["schema"];
    assert_eq!([&schema["exists"], &schema["schema_ok"]], [&json!(true), &json!(false)]);
    assert!(schema["reason"].is_string() && schema.get("schema_version").is_none(), "{schema}");
    for call in [&["W1", "--title", "T", "--summary", "S."][..], &["G2"], &["R0"], &["K3"], &["K6"]] {
        let denial = place.denied(call, "DENIED_SCHEMA_STATUS", 1);
        assert!(text(&denial, "reason").contains("missing"), "{denial}");
        assert_eq!(denial["db_path"], before["db_path"]);
    }
    // What is wrong with the call itself is said first.
    place.denied(&["W1"], "DENIED_TITLE_REQUIRED", 2);
    place.denied(&["K1", "--restamp-manifest"], "DENIED_SCHEMA_STATUS", 2);
    let after = place.ok(&["K1"])["schema"].clone();
    assert_eq!(after["manifest_hash"], before["manifest_hash"]);
    assert_eq!([&after["schema_ok"], &after["manifest_match"]], [&json!(true), &json!(true)]);
    place.ok(&["W1", "--title", "T", "--summary", "S."]);
}

#[test]
fn another_version_or_name_of_the_schema_closes_the_plane() {
    for (change, word) in [("schema_version = 2", "version"), ("migration_id = 'other-v1'", "other-v1")] {
        let place = Place::new();
        place.ok(&["K1"]);
        place.tamper().execute(&format!("UPDATE schema_version SET {change}"), []).unwrap();
        for call in [&["W1", "--title", "T", "--summary", "S."][..], &["G2"]] {
            let denial = place.denied(call, "DENIED_SCHEMA_STATUS", 1);
            assert!(text(&denial, "reason").contains(word), "{denial}");
        }
        // Checking says so and does not touch it.
        for operation in ["K1", "K2"] {
            let schema = place.ok(&[operation])["schema"].clone();
            assert_eq!(schema["schema_ok"], false, "{schema}");
        }
        let denial = place.denied(&["K1", "--restamp-manifest"], "DENIED_SCHEMA_STATUS", 2);
        assert!(text(&denial, "reason").contains(word), "{denial}");
    }
}

#[test]
fn an_older_version_row_is_brought_up_to_date() {
    let place = Place::new();
    place.ok(&["K1"]);
    place.tamper().execute("UPDATE schema_version SET schema_version = 0", []).unwrap();
    let schema = place.ok(&["K1"])["schema"].clone();
    assert_eq!([&schema["schema_version"], &schema["schema_ok"]], [&json!(1), &json!(true)]);
}

#[test]
fn drift_closes_writes_and_leaves_reads_open() {
    let place = Place::new();
    let gotcha = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    let expected = place.ok(&["K2"])["schema"]["manifest_hash"].clone();
    place.tamper().execute("UPDATE schema_version SET manifest_hash = 'other'", []).unwrap();
    for call in [
        &["W1", "--title", "T", "--summary", "S."][..],
        &["G5", "--id", &gotcha, "--status", "resolved"],
        &["L2", "--id", &gotcha],
        &["X1", "--title", "T", "--summary", "S."],
        &["Q1", "--summary", "S."],
        &["A1", "--path", "a"],
        &["W5", "--summary", "S."],
    ] {
        let denial = place.denied(call, "DENIED_SCHEMA_DRIFT", 1);
        assert_eq!(
            [&denial["stored_manifest_hash"], &denial["expected_manifest_hash"]],
            [&json!("other"), &expected]
        );
        assert!(text(&denial, "db_path").ends_with("AI/db/kaizen.db"));
    }
    place.denied(&["G1", "--title", "T", "--summary", "S."], "DENIED_SCHEMA_REQUIRED", 2);
    for call in [
        &["G2"][..],
        &["G3", "--query", "T"],
        &["G4", "--id", &gotcha],
        &["R0"],
        &["X5"],
        &["Q9"],
        &["A4"],
        &["L10"],
        &["K3"],
        &["K6"],
    ] {
        place.ok(call);
    }
    // Looking does not repair it.
    for operation in ["K1", "K2"] {
        let schema = place.ok(&[operation])["schema"].clone();
        assert_eq!([&schema["manifest_match"], &schema["schema_ok"]], [&json!(false), &json!(true)]);
        assert_eq!(
            [&schema["manifest_hash"], &schema["expected_manifest_hash"]],
            [&json!("other"), &expected]
        );
    }
    let reply = place.ok(&["K1", "--restamp-manifest"]);
    assert_eq!(
        reply,
        json!({"status": "OK", "restamped": true, "old_manifest_hash": "other", "manifest_hash": expected})
    );
    place.ok(&["W1", "--title", "T", "--summary", "S."]);
    let reply = place.ok(&["K1", "--restamp-manifest"]);
    assert_eq!(keys(&reply), ["status", "restamped", "manifest_hash", "note"]);
    assert_eq!([&reply["restamped"], &reply["manifest_hash"]], [&json!(false), &expected]);
}

#[test]
fn there_is_nothing_to_stamp_before_there_is_a_plane() {
    let place = Place::new();
    let denial = place.denied(&["K1", "--restamp-manifest"], "DENIED_SCHEMA_STATUS", 2);
    assert!(text(&denial, "db_path").ends_with("AI/db/kaizen.db"), "{denial}");
    assert!(!place.root.join("AI").exists());
}

/// Rows of each table of a database file.
fn table_counts(path: &Path) -> BTreeMap<String, i64> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%STRICT%' ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names
        .map(Result::unwrap)
        .map(|name| {
            let rows = connection.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0));
            (name, rows.unwrap())
        })
        .collect()
}

fn fill(place: &Place) {
    let task = place.id(&["W1", "--title", "T", "--summary", "S.", "--body", &"b".repeat(60_000)]);
    place.ok(&["W2", "--id", &task, "--status", "done"]);
    let plan = place.id(&["W3", "--title", "T", "--summary", "S."]);
    place.ok(&["W4", "--id", &plan, "--summary", "S2."]);
    place.ok(&["W5", "--summary", "S."]);
    place.ok(&["W8", "--summary", "S.", "--test"]);
    let gotcha = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    let learning = place.id(&["L2", "--id", &gotcha]);
    place.ok(&["L3", "--id", &learning]);
    place.ok(&["X1", "--title", "T", "--summary", "S."]);
    place.ok(&["Q1", "--summary", "S."]);
    place.ok(&["A1", "--path", "a"]);
}

fn assert_file(place: &Place, file: &Value) {
    let contents = fs::read(place.root.join(text(file, "path"))).unwrap();
    assert_eq!(file["sha256"], sha256_hex(&contents), "{file}");
    assert_eq!(file["bytes"], contents.len(), "{file}");
}

#[test]
fn a_backup_opens_and_is_equal() {
    let place = Place::new();
    fill(&place);
    let reply = place.ok(&["K3"]);
    assert_eq!(keys(&reply), ["status", "backup_dir", "files", "manifest"]);
    let directory = text(&reply, "backup_dir");
    assert!(directory.starts_with("AI/db/backups/"), "{directory}");
    let files = reply["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(keys(&files[0]), ["path", "sha256", "bytes"]);
    assert_file(&place, &files[0]);
    assert_eq!(text(&files[0], "path"), format!("{directory}/kaizen.db"));
    assert_eq!(text(&reply, "manifest"), format!("{directory}/backup-manifest.json"));
    let manifest = fs::read_to_string(place.root.join(text(&reply, "manifest"))).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_time(&manifest["created_at"]);
    assert_eq!(manifest["files"], reply["files"]);
    assert_eq!(manifest["db_path"], place.ok(&["K2"])["schema"]["db_path"]);
    let head = rows(&place, "SELECT seq, chain_hash FROM plane_head", &[]);
    assert_eq!([&manifest["seq"], &manifest["chain_hash"]], [&head[0]["seq"], &head[0]["chain_hash"]]);
    let copy = place.root.join(text(&files[0], "path"));
    assert_eq!(table_counts(&copy), table_counts(&place.database()));
    assert_eq!(table_counts(&copy)["task_revision"], 2);
    let opened = rusqlite::Connection::open(&copy).unwrap();
    let verdict: String = opened.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    // Nothing else lies there, and a second backup of the same second lies elsewhere.
    let again = place.ok(&["K3"]);
    assert_ne!(again["backup_dir"], reply["backup_dir"]);
    let mut names: Vec<_> = fs::read_dir(place.root.join(text(&again, "backup_dir")))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["backup-manifest.json", "kaizen.db"]);
    // A backup is a project's whole memory: put in place of the database, it serves.
    place.stop();
    let restored = Place::new();
    fs::create_dir_all(restored.root.join("AI/db")).unwrap();
    fs::copy(&copy, restored.database()).unwrap();
    assert_eq!(restored.ok(&["G2"])["count"], 1);
    assert_eq!(
        restored.ok(&["W1", "--title", "T", "--summary", "S."])["seq"].as_i64(),
        head[0]["seq"].as_i64().map(|seq| seq + 1)
    );
}

#[test]
fn the_manifest_counts_the_rows_of_all_tables() {
    let place = Place::new();
    let counts = place.ok(&["K6"])["manifest"]["table_counts"].clone();
    assert_eq!(counts.as_object().unwrap().len(), 36);
    assert!(
        counts.as_object().unwrap().iter().all(|(table, rows)| *rows == i32::from(table == "schema_version"))
    );
    fill(&place);
    let reply = place.ok(&["K6"]);
    assert_eq!(keys(&reply), ["status", "manifest_path", "manifest"]);
    let manifest = &reply["manifest"];
    assert_eq!(keys(manifest), ["created_at", "schema", "table_counts", "files"]);
    assert_time(&manifest["created_at"]);
    assert_eq!(manifest["schema"], place.ok(&["K2"])["schema"]);
    let stored = table_counts(&place.database());
    for (table, rows) in manifest["table_counts"].as_object().unwrap() {
        assert_eq!(rows.as_i64(), stored.get(table).copied(), "{table}");
    }
    for (table, rows) in [
        ("tasks", 1),
        ("task_revision", 2),
        ("plans", 1),
        ("plan_revision", 2),
        ("subagent_packets", 1),
        ("diagnostic_packets", 1),
        ("gotcha_revision", 2),
        ("learned", 1),
        ("ledger_events", 5),
        ("private_policy_revision", 1),
    ] {
        assert_eq!(manifest["table_counts"][table], rows, "{table}");
    }
    for file in manifest["files"].as_array().unwrap() {
        assert_file(&place, file);
    }
    let path = text(&reply, "manifest_path");
    assert!(path.starts_with("AI/db/manifests/kaizen-db-manifest-"), "{path}");
    let written: Value = serde_json::from_str(&fs::read_to_string(place.root.join(path)).unwrap()).unwrap();
    assert_eq!(written, *manifest);
    assert_ne!(place.ok(&["K6"])["manifest_path"], reply["manifest_path"]);
}

#[test]
fn k1_creates_the_tables_and_indexes_that_are_missing() {
    let place = Place::new();
    place.ok(&["W1", "--title", "T", "--summary", "S."]);
    let lost = ["pii_scan", "idx_tasks_status", "idx_pii_scan_created"];
    place.tamper().execute_batch("DROP TABLE pii_scan; DROP INDEX idx_tasks_status").unwrap();
    let found = place.ok(&["K1", "--integrity"]);
    assert_eq!(found["integrity"]["ok"], false, "{found}");
    place.ok(&["K1"]);
    for name in lost {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        let there: i64 = place.tamper().query_row(sql, [name], |row| row.get(0)).unwrap();
        assert_eq!(there, 1, "{name}");
    }
    let found = place.ok(&["K1", "--integrity"]);
    assert_eq!(found["integrity"]["ok"], true, "{found}");
    place.ok(&["W1", "--title", "T", "--summary", "S."]);
}
