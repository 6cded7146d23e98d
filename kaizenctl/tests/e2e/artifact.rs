//! Artifacts (A): what a path may name, and hashes.

use std::fs;
use std::os::unix::fs::symlink;

use kaizen_proto::canonical_json::{self, sha256_hex};
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, ids, keys, row, text, words};

/// A project with files, and links that lead inside, outside and nowhere.
fn prepared() -> Place {
    let place = Place::new();
    fs::write(place.root.join("a.txt"), "alpha\r\n").unwrap();
    fs::create_dir_all(place.root.join("deep/er dir")).unwrap();
    fs::write(place.root.join("deep/er dir/ü.txt"), "deep").unwrap();
    fs::write(place.path("outside.txt"), "outside").unwrap();
    fs::create_dir(place.path("project-two")).unwrap();
    fs::write(place.path("project-two/file"), "two").unwrap();
    let link = |target: &str, name: &str| symlink(target, place.root.join(name)).unwrap();
    link("a.txt", "inside");
    link("deep", "inside-dir");
    link("../outside.txt", "out");
    link("..", "out-dir");
    link("/", "top");
    link("absent.txt", "dangling");
    link("../absent.txt", "dangling-out");
    link("loop", "loop");
    place
}

#[test]
fn an_artifact_is_stored_with_the_hash_of_its_file() {
    let place = prepared();
    let reply = place.ok(&["A1", "--path", "a.txt"]);
    assert_eq!(keys(&reply)[..5], ["status", "id", "path", "sha256", "bytes"]);
    let id = text(&reply, "id");
    assert_id(id, "a");
    assert_eq!([&reply["path"], &reply["bytes"]], [&json!("a.txt"), &json!(7)]);
    assert_eq!(reply["sha256"], sha256_hex(b"alpha\r\n"));
    let stored: Value = row(&place, "SELECT * FROM artifacts WHERE id = ?1", &[id]).into();
    let absolute = place.root.canonicalize().unwrap().join("a.txt");
    let hash = canonical_json::hash(
        &json!({"id": id, "path": absolute.to_str().unwrap(), "sha256": reply["sha256"], "body": ""}),
    );
    assert_eq!(
        stored,
        json!({
            "id": id, "created_at": stored["created_at"], "task_id": null, "kind": "file", "path": "a.txt",
            "sha256": reply["sha256"], "bytes": 7, "summary": "Reference to a.txt", "body": "", "content_hash": hash,
            "is_test": 0,
        })
    );
    let shown = place.ok(&["A3", "--id", id]);
    let columns =
        ["id", "created_at", "task_id", "kind", "path", "sha256", "bytes", "summary", "body", "content_hash"];
    assert_eq!(keys(&shown["record"]), columns);
    assert!(columns.iter().all(|column| shown["record"][*column] == stored[*column]));
    let id = place.id(&[
        "A1",
        "--path",
        "a.txt",
        "--summary",
        "S.",
        "--body",
        "B",
        "--kind",
        "log",
        "--task-id",
        "t_x",
        "--test",
    ]);
    let stored: Value = row(&place, "SELECT * FROM artifacts WHERE id = ?1", &[&id]).into();
    let given = ["summary", "body", "kind", "task_id", "is_test"].map(|name| stored[name].clone());
    assert_eq!(given, [json!("S."), json!("B"), json!("log"), json!("t_x"), json!(1)]);
    let id = place.id(&["A1", "--path", "a.txt", "--kind", "", "--task-id", ""]);
    let stored: Value = row(&place, "SELECT * FROM artifacts WHERE id = ?1", &[&id]).into();
    assert_eq!([&stored["kind"], &stored["task_id"]], [&json!("file"), &Value::Null]);
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 0);
}

#[test]
fn a_path_is_shown_under_the_root_however_it_was_given() {
    let place = prepared();
    let absolute = place.root.join("a.txt");
    for (path, shown) in [
        ("./a.txt", "a.txt"),
        ("deep/../a.txt", "a.txt"),
        ("deep//er dir/./ü.txt", "deep/er dir/ü.txt"),
        ("inside", "a.txt"),
        ("inside-dir/er dir/ü.txt", "deep/er dir/ü.txt"),
        ("../project/a.txt", "a.txt"),
        (absolute.to_str().unwrap(), "a.txt"),
    ] {
        let reply = place.ok(&["A1", "--path", path]);
        assert_eq!(reply["path"], shown, "{path}");
        assert!(reply["sha256"].is_string(), "{path}");
        assert_eq!(place.ok(&["A2", "--path", path])["path"], shown, "{path}");
    }
    // The path counts from the root, not from where the caller stands.
    let mut command = place.command("kaizenctl");
    let output =
        command.current_dir(place.path("home")).args(["A2", "--path", "a.txt", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_is_no_file_has_no_hash() {
    let place = prepared();
    for (path, shown) in [
        ("absent", "absent"),
        ("no/such/directory/file", "no/such/directory/file"),
        ("no/../absent", "absent"),
        ("dangling", "absent.txt"),
        ("deep", "deep"),
        (".", "."),
        ("a.txt/below", "a.txt/below"),
        ("v1. 2! odd? name", "v1. 2! odd? name"),
    ] {
        let reply = place.ok(&["A1", "--path", path]);
        assert_eq!(
            [&reply["path"], &reply["sha256"], &reply["bytes"]],
            [&json!(shown), &Value::Null, &Value::Null]
        );
        assert!(reply["warnings"][0].as_str().unwrap().contains("no hash"), "{reply}");
        let denial = place.denied(&["A2", "--path", path], "DENIED_FILE_NOT_FOUND", 1);
        assert!(text(&denial, "path").starts_with('/'), "{denial}");
    }
}

#[test]
fn a_path_does_not_leave_the_root() {
    let place = prepared();
    place.ok(&["K1"]);
    let absolute = place.path("outside.txt");
    for path in [
        "..",
        "../outside.txt",
        "../escape.txt",
        "deep/../../outside.txt",
        "no/such/../../../outside.txt",
        "out",
        "out-dir",
        "out-dir/outside.txt",
        "out-dir/project-two/file",
        "top/etc/hostname",
        "dangling-out",
        "inside-dir/../../outside.txt",
        "../project-two/file",
        "/etc/hostname",
        "/",
        absolute.to_str().unwrap(),
    ] {
        for operation in ["A1", "A2"] {
            let denial = place.denied(&[operation, "--path", path], "DENIED_PATH_OUTSIDE_REPO", 2);
            assert!(text(&denial, "path").starts_with('/'), "{denial}");
            let hint = text(&denial, "required_action").contains("--allow-external");
            assert_eq!(hint, operation == "A2", "{denial}");
        }
    }
    place.denied(&["A1", "--path", "out", "--allow-external"], "DENIED_USAGE", 2);
    for operation in ["A1", "A2"] {
        place.denied(&[operation, "--path", "loop"], "DENIED_FILE_UNREADABLE", 1);
        place.denied(&[operation], "DENIED_PATH_REQUIRED", 2);
        place.denied(&[operation, "--path", ""], "DENIED_PATH_REQUIRED", 2);
    }
    // A denied artifact writes nothing.
    assert_eq!(place.ok(&["A4"])["records"], json!([]));
    assert_eq!(place.count("SELECT count(*) FROM journal"), 0);
}

#[test]
fn an_external_file_is_hashed_under_its_own_name_only() {
    let place = prepared();
    let absolute = place.path("outside.txt");
    for path in ["../outside.txt", "out", "out-dir/outside.txt", absolute.to_str().unwrap()] {
        let reply = place.ok(&["A2", "--path", path, "--allow-external"]);
        assert_eq!(keys(&reply), ["status", "path", "sha256", "bytes"]);
        assert_eq!([&reply["path"], &reply["bytes"]], [&json!("external:outside.txt"), &json!(7)]);
        assert_eq!(reply["sha256"], sha256_hex(b"outside"));
    }
    assert_eq!(place.ok(&["A2", "--path", "inside", "--allow-external"])["path"], "a.txt");
    for path in ["../absent", "..", "top/nonexistent", "/proc/self/nonexistent"] {
        place.denied(&["A2", "--path", path, "--allow-external"], "DENIED_FILE_NOT_FOUND", 1);
    }
    // Hashing needs no data plane and makes none.
    assert!(!place.root.join("AI").exists());
}

#[test]
fn an_artifact_is_checked_in_a_fixed_order() {
    let place = prepared();
    place.ok(&["K1"]);
    place.denied(&["A1", "--summary", ""], "DENIED_PATH_REQUIRED", 2);
    place.denied(&["A1", "--path", "../x", "--summary", ""], "DENIED_PATH_OUTSIDE_REPO", 2);
    place.denied(&["A1", "--path", "a.txt", "--summary", ""], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(&["A1", "--path", "a.txt", "--summary", "A. B. C."], "DENIED_SUMMARY_TOO_LONG", 2);
    place.denied(&["A1", "--path", "a.txt", "--body", &words(1301)], "DENIED_FIELD_SPLIT_REQUIRED", 2);
    for operation in ["A3", "A5"] {
        place.denied(&[operation], "DENIED_ID_REQUIRED", 2);
        let denial = place.denied(&[operation, "--id", "a_1"], "DENIED_RECORD_NOT_FOUND", 1);
        assert_eq!(denial["table"], "artifacts");
    }
    assert_eq!(place.count("SELECT count(*) FROM artifacts"), 0);
}

#[test]
fn artifacts_are_listed_and_found() {
    let place = prepared();
    let first = place.id(&["A1", "--path", "a.txt", "--body", "needle"]);
    let second = place.id(&["A1", "--path", "deep/er dir/ü.txt", "--summary", "Alpha file."]);
    let list = place.ok(&["A4"]);
    assert_eq!(ids(&list), [second.as_str(), &first]);
    assert_eq!(list["count"], 2);
    assert_eq!(keys(&list["records"][0]), ["id", "kind", "path", "sha256", "bytes", "summary", "created_at"]);
    let found = |query: &str| ids(&place.ok(&["A4", "--query", query]));
    assert_eq!(found("er dir/"), [second.as_str()]);
    assert_eq!(found("NEEDLE"), [first.as_str()]);
    assert_eq!(found("alpha"), [second.as_str()]);
    assert_eq!(found(".txt"), [second.as_str(), &first]);
    assert_eq!(found("").len(), 2);
    assert_eq!(found("file.*"), [""; 0]);
    let page = place.ok(&["A4", "--limit", "1"]);
    assert_eq!(page["next"], second.as_str());
    assert_eq!(ids(&place.ok(&["A4", "--limit", "1", "--after", &second])), [first.as_str()]);
    for _ in 0..20 {
        place.ok(&["A1", "--path", "a.txt"]);
    }
    for (limit, count) in [(&[][..], 20), (&["--limit", "0"], 20), (&["--limit", "-1"], 22)] {
        assert_eq!(place.ok(&[&["A4"], limit].concat())["count"], count);
    }
}

#[test]
fn a_file_is_verified_against_its_recorded_hash() {
    let place = prepared();
    let id = place.id(&["A1", "--path", "a.txt"]);
    let (before, after) = (sha256_hex(b"alpha\r\n"), sha256_hex(b"changed"));
    let reply = place.ok(&["A5", "--id", &id[..20]]);
    assert_eq!(keys(&reply), ["status", "id", "path", "expected", "actual", "match"]);
    assert_eq!(
        [&reply["id"], &reply["path"], &reply["expected"], &reply["actual"], &reply["match"]],
        [&json!(id), &json!("a.txt"), &json!(before), &json!(before), &json!(true)]
    );
    fs::write(place.root.join("a.txt"), "changed").unwrap();
    let reply = place.ok(&["A5", "--id", &id]);
    assert_eq!(
        [&reply["expected"], &reply["actual"], &reply["match"]],
        [&json!(before), &json!(after), &json!(false)]
    );
    // The record is of what was, and stays.
    assert_eq!(place.ok(&["A3", "--id", &id])["record"]["sha256"], before);
    fs::remove_file(place.root.join("a.txt")).unwrap();
    let denial = place.denied(&["A5", "--id", &id], "DENIED_FILE_NOT_FOUND", 1);
    assert_eq!(denial["path"], place.root.canonicalize().unwrap().join("a.txt").to_str().unwrap());
    fs::create_dir(place.root.join("a.txt")).unwrap();
    place.denied(&["A5", "--id", &id], "DENIED_FILE_NOT_FOUND", 1);
    // A file that became a link out of the project is not followed.
    fs::remove_dir(place.root.join("a.txt")).unwrap();
    symlink("../outside.txt", place.root.join("a.txt")).unwrap();
    place.denied(&["A5", "--id", &id], "DENIED_PATH_OUTSIDE_REPO", 2);
    // What had no hash never matches.
    let id = place.id(&["A1", "--path", "later.txt"]);
    place.denied(&["A5", "--id", &id], "DENIED_FILE_NOT_FOUND", 1);
    fs::write(place.root.join("later.txt"), "now").unwrap();
    let reply = place.ok(&["A5", "--id", &id]);
    assert_eq!([&reply["expected"], &reply["match"]], [&Value::Null, &json!(false)]);
}
