//! K3: backups that are whole, listed, limited in number, and made by themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::checks::assert_integrity;
use crate::context::{Place, wait_for};
use crate::rows::{assert_time, keys, text};

const W1: [&str; 5] = ["W1", "--title", "T", "--summary", "S."];

fn list(place: &Place) -> Vec<Value> {
    let listed = place.ok(&["K3", "--list"]);
    assert_eq!(keys(&listed), ["status", "count", "records"]);
    assert_eq!(listed["count"], listed["records"].as_array().unwrap().len());
    listed["records"].as_array().unwrap().clone()
}

#[test]
fn a_backup_is_compact_private_and_says_what_is_in_it() {
    let place = Place::new();
    // What is deleted leaves free pages, which a compacted copy is without.
    let big = "word ".repeat(900);
    for _ in 0..40 {
        place.ok(&["W1", "--title", "T", "--summary", "S.", "--body", &big, "--test"]);
    }
    place.ok(&["K7"]);
    place.ok(&W1);
    let reply = place.ok(&["K3"]);
    let file = &reply["files"][0];
    assert!(file["bytes"].as_u64().unwrap() < fs::metadata(place.database()).unwrap().len(), "{reply}");
    let mode = |path: &str| fs::metadata(place.root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(text(file, "path")), 0o600);
    assert_eq!(mode(text(&reply, "manifest")), 0o600);
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(place.root.join(text(&reply, "manifest"))).unwrap())
            .unwrap();
    assert_eq!(
        keys(&manifest),
        [
            "created_at",
            "db_path",
            "files",
            "seq",
            "chain_hash",
            "plane_id",
            "kind",
            "tool_version",
            "table_counts"
        ]
    );
    assert_eq!((&manifest["kind"], &manifest["table_counts"]["tasks"]), (&json!("manual"), &json!(1)));
    assert!(text(&manifest, "plane_id").starts_with("plane_"));
    assert_integrity(&place);
}

#[test]
fn backups_are_listed_with_their_state() {
    let place = Place::new();
    assert!(list(&place).is_empty() && !place.database().exists());
    place.ok(&W1);
    let first = place.ok(&["K3"]);
    place.ok(&W1);
    let second = place.ok(&["K3"]);
    let third = place.ok(&["K3"]);
    let flip = |reply: &Value| {
        let path = place.root.join(text(&reply["files"][0], "path"));
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    flip(&first);
    fs::remove_file(place.root.join(text(&third["files"][0], "path"))).unwrap();
    let listed = list(&place);
    assert_eq!(keys(&listed[0]), ["backup_dir", "created_at", "kind", "state", "bytes", "seq", "chain_hash"]);
    assert_time(&listed[0]["created_at"]);
    let states: Vec<_> = listed.iter().map(|backup| text(backup, "state")).collect();
    assert_eq!(states, ["missing", "good", "damaged"]);
    assert_eq!(listed[1]["backup_dir"], second["backup_dir"]);
    assert_eq!((&listed[1]["seq"], &listed[2]["seq"]), (&json!(2), &json!(1)));
}

#[test]
fn keep_deletes_the_oldest_and_never_what_is_not_a_backup() {
    let place = Place::new();
    place.ok(&W1);
    let all: Vec<Value> = (0..3).map(|_| place.ok(&["K3"])).collect();
    let foreign = place.root.join("AI/db/backups/mine");
    fs::create_dir(&foreign).unwrap();
    fs::copy(place.root.join(text(&all[0]["files"][0], "path")), foreign.join("kaizen.db")).unwrap();
    let kept = place.ok(&["K3", "--keep", "2"]);
    assert_eq!(keys(&kept), ["status", "backup_dir", "files", "manifest", "removed"]);
    assert_eq!(kept["removed"], json!([all[1]["backup_dir"], all[0]["backup_dir"]]));
    let listed: Vec<Value> = list(&place).iter().map(|backup| backup["backup_dir"].clone()).collect();
    assert_eq!(listed, [kept["backup_dir"].clone(), all[2]["backup_dir"].clone()]);
    assert!(foreign.join("kaizen.db").exists());
    for wrong in [&["K3", "--keep", "0"][..], &["K3", "--keep", "-1"], &["K3", "--keep", "1", "--list"]] {
        place.denied(wrong, "DENIED_USAGE", 2);
    }
    assert_eq!(list(&place).len(), 2);
}

#[test]
fn scheduled_backups_come_by_themselves_and_push_out_only_each_other() {
    let place = Place::new();
    place.ok(&W1);
    let manual = place.ok(&["K3"]);
    fs::write(place.root.join("kaizen.toml"), "[backup]\nevery = \"1s\"\nkeep = 2\n").unwrap();
    // The settings are read again when the project is opened.
    place.stop();
    let of_kind = |kind: &str| list(&place).iter().filter(|backup| backup["kind"] == kind).count();
    let newest = || list(&place)[0]["seq"].as_i64().unwrap();
    for number in 1..=3 {
        let seq = place.ok(&W1)["seq"].as_i64().unwrap();
        wait_for("a scheduled backup of what was just written", || newest() == seq);
        // An older one goes only after the new one is there.
        wait_for("the oldest to go", || of_kind("scheduled") == number.min(2));
    }
    assert_eq!(of_kind("manual"), 1);
    assert!(place.root.join(text(&manual, "backup_dir")).exists());
    assert!(list(&place).iter().all(|backup| backup["state"] == "good"));
}
