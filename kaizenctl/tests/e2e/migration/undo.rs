//! Taking a migration back: all of it, and only when nothing was changed since.

use std::fs;

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::{Value, json};

use super::{WORK, absolute, prepared, put, read, snapshot, verify};
use crate::context::Place;
use crate::rows::{keys, text};

fn manifest(place: &Place) -> String {
    text(&place.ok(&["M3"]), "manifest").to_owned()
}

#[test]
fn a_migration_can_be_undone_and_done_again() {
    let place = prepared();
    let before = snapshot(&place.root);
    let applied = place.ok(&["M3"]);
    let migrated = snapshot(&place.root);
    let undo = ["M3", "--undo", text(&applied, "manifest")];
    let undone = place.ok(&undo);
    assert_eq!(keys(&undone), ["status", "changed", "count", "manifest"]);
    // Two files more than were named when it was applied: each relocation has two.
    assert_eq!([&undone["count"], &undone["manifest"]], [&json!(15), &applied["manifest"]]);
    assert_eq!(snapshot(&place.root), before);
    let denial = place.denied(&undo, "DENIED_UNDO_DIFFERS", 1);
    assert_eq!(denial["count"], 15);
    assert!(text(&denial, "message").contains("already as it was"), "{denial}");
    assert_eq!(snapshot(&place.root), before);
    assert_eq!(place.ok(&["M3"])["count"], applied["count"]);
    let names = |tree: std::collections::BTreeMap<_, (Vec<u8>, u32, _)>| {
        tree.into_iter().map(|(path, (contents, mode, _))| (path, contents, mode)).collect::<Vec<_>>()
    };
    assert_eq!(names(snapshot(&place.root)), names(migrated));
    // By its absolute path, and one that changed nothing.
    let idle = manifest(&place);
    let undone = place.ok(&["M3", "--undo", place.root.join(idle).to_str().unwrap()]);
    assert_eq!(undone["count"], 0);
    assert_eq!(verify(&place, &[])["status"], "OK");
}

#[test]
fn nothing_is_undone_when_a_file_was_changed_since() {
    let place = prepared();
    let unmigrated = snapshot(&place.root);
    let manifest = manifest(&place);
    let gone = "skills/fresh/evals/LEARNED.md";
    put(&place, "evals/LEARNING.md", "notes of somebody\n");
    fs::remove_file(place.root.join(gone)).unwrap();
    put(&place, "GOTCHA.md", "a new one\n");
    let before = snapshot(&place.root);
    let denial = place.denied(&["M3", "--undo", &manifest], "DENIED_UNDO_DIFFERS", 1);
    assert_eq!(denial["count"], 2);
    let of = |path: &str| {
        let path = absolute(&place, path);
        let file = denial["files"].as_array().unwrap().iter().find(|file| file["path"] == path.as_str());
        file.unwrap_or_else(|| panic!("{path}: {denial}")).clone()
    };
    let changed = of("evals/LEARNING.md");
    assert_eq!(keys(&changed), ["path", "expected_sha256", "actual_sha256", "reason"]);
    assert_eq!(changed["actual_sha256"], sha256_hex(b"notes of somebody\n"));
    let sibling = of("GOTCHA.md");
    assert_eq!(
        [&sibling["expected_sha256"], &sibling["actual_sha256"]],
        [&Value::Null, &json!(sha256_hex(b"a new one\n"))]
    );
    assert_eq!(snapshot(&place.root), before);

    // What is already as it was before the migration is no obstacle: that file did not exist.
    fs::remove_file(place.root.join("evals/LEARNING.md")).unwrap();
    put(&place, "GOTCHA.md", "the root's old gotchas\n");
    assert_eq!(place.ok(&["M3", "--undo", &manifest])["count"], 12);
    assert_eq!(snapshot(&place.root), unmigrated);
}

#[test]
fn a_damaged_backup_undoes_nothing() {
    let place = prepared();
    let manifest = manifest(&place);
    let files = place.root.join(&manifest).with_file_name("files");
    fs::write(files.join("0001-GOTCHA.md"), "tampered").unwrap();
    fs::remove_file(files.join("0003-LEARNED.md")).unwrap();
    let before = snapshot(&place.root);
    let denial = place.denied(&["M3", "--undo", &manifest], "DENIED_UNDO_DIFFERS", 1);
    assert_eq!(denial["count"], 2);
    let reasons = denial["files"].to_string();
    assert!(
        reasons.contains("it is not what was backed up") && reasons.contains("No such file"),
        "{reasons}"
    );
    assert_eq!(snapshot(&place.root), before);
}

#[test]
fn only_the_manifest_of_a_migration_of_this_project_is_undone() {
    let place = prepared();
    let manifest = manifest(&place);
    let before = snapshot(&place.root);
    let denied =
        |named: &str, code: &str, exit_code: i32| place.denied(&["M3", "--undo", named], code, exit_code);
    denied("", "DENIED_PATH_REQUIRED", 2);
    denied(&"x".repeat(5000), "DENIED_TEXT_TOO_LONG", 2);
    for named in ["manifest.json", "../manifest.json", "/etc/passwd", ".", WORK, "evals/GOTCHA.md"] {
        let denial = denied(named, "DENIED_PATH_OUTSIDE_REPO", 2);
        assert!(text(&denial, "message").contains("manifest.json"), "{denial}");
    }
    denied(&format!("{WORK}/backups/absent/manifest.json"), "DENIED_FILE_NOT_FOUND", 1);
    denied(&format!("{WORK}/backups/absent/../../manifest.json"), "DENIED_PATH_OUTSIDE_REPO", 2);
    denied(&manifest.replace("manifest.json", "files"), "DENIED_PATH_OUTSIDE_REPO", 2);
    let both = place.denied(&["M3", "--undo", &manifest, "--root", "."], "DENIED_USAGE", 2);
    assert!(text(&both, "message").contains("--root"), "{both}");

    // A link to a manifest elsewhere, and one that is no file.
    put(&place, &format!("{WORK}/backups/linked/x"), "");
    fs::write(place.path("manifest.json"), read(&place, &manifest)).unwrap();
    let linked = format!("{WORK}/backups/linked/manifest.json");
    std::os::unix::fs::symlink(place.path("manifest.json"), place.root.join(&linked)).unwrap();
    denied(&linked, "DENIED_PATH_OUTSIDE_REPO", 2);
    fs::create_dir_all(place.root.join(format!("{WORK}/backups/directory/manifest.json"))).unwrap();
    denied(&format!("{WORK}/backups/directory/manifest.json"), "DENIED_FILE_NOT_FOUND", 1);

    // One of the Python harness, and some that are none.
    let harness = json!({"created_at": "2026-11-23T07:10:05+00:00", "files": []}).to_string();
    for contents in [harness.as_str(), "", "[]", "{", "{\"changes\":{}}", "\u{0}"] {
        put(&place, &format!("{WORK}/backups/other/manifest.json"), contents);
        let denial = denied(&format!("{WORK}/backups/other/manifest.json"), "DENIED_JSON_INVALID", 2);
        assert!(text(&denial, "message").contains("no manifest"), "{denial}");
    }
    let large = fs::File::create(place.root.join(format!("{WORK}/backups/other/manifest.json"))).unwrap();
    large.set_len(1 << 30).unwrap();
    denied(&format!("{WORK}/backups/other/manifest.json"), "DENIED_FILE_TOO_LARGE", 2);
    assert_eq!(snapshot(&place.root), before);
}

#[test]
fn a_manifest_that_was_tampered_with_leads_nowhere() {
    let place = prepared();
    let manifest = manifest(&place);
    let before = snapshot(&place.root);
    let genuine: Value = serde_json::from_str(&read(&place, &manifest)).unwrap();
    let outside = place.path("GOTCHA.md");
    fs::write(&outside, "untouched").unwrap();
    fs::create_dir(place.path("evals")).unwrap();
    let hash = sha256_hex(b"untouched");
    let change = |path: &str| {
        json!({
            "action": "create-stub", "path": path, "before_sha256": null, "after_sha256": hash, "backup_path": null,
            "mode": null, "modified_ns": null,
        })
    };
    std::os::unix::fs::symlink(place.path(""), place.root.join("link")).unwrap();
    put(&place, "notes.md", "untouched");
    let linked = absolute(&place, "link/GOTCHA.md");
    let dotted = absolute(&place, "skills/../../GOTCHA.md");
    for path in
        [outside.to_str().unwrap(), &linked, &dotted, &absolute(&place, "notes.md"), "GOTCHA.md", "", "/"]
    {
        let mut tampered = genuine.clone();
        tampered["changes"] = json!([change(path)]);
        put(&place, &manifest, tampered.to_string());
        place.denied(&["M3", "--undo", &manifest], "DENIED_PATH_OUTSIDE_REPO", 2);
    }
    for directory in [place.path("evals").to_str().unwrap(), &absolute(&place, "skills/none"), "evals", "/"] {
        let mut tampered = genuine.clone();
        tampered["created_directories"] = json!([directory]);
        put(&place, &manifest, tampered.to_string());
        place.denied(&["M3", "--undo", &manifest], "DENIED_PATH_OUTSIDE_REPO", 2);
    }
    // A backup is looked for among this migration's own, whatever its path says.
    let mut tampered = genuine.clone();
    for change in tampered["changes"].as_array_mut().unwrap() {
        if change["backup_path"].is_string() {
            change["backup_path"] = json!("../../../../../../etc/passwd");
        }
    }
    put(&place, &manifest, tampered.to_string());
    place.denied(&["M3", "--undo", &manifest], "DENIED_UNDO_DIFFERS", 1);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
    fs::remove_file(place.root.join("link")).unwrap();
    fs::remove_file(place.root.join("notes.md")).unwrap();
    assert_eq!(snapshot(&place.root), before);
    put(&place, &manifest, genuine.to_string());
    place.ok(&["M3", "--undo", &manifest]);
}
