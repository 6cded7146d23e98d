//! E2: files are read by themselves, and what the watcher tells.

use std::fs;

use serde_json::{Value, json};

use super::write;
use crate::context::{Place, wait_for};
use crate::rows::text;

fn found(place: &Place, query: &str) -> Value {
    place.ok(&["E4", "--query", query])["records"].clone()
}

fn wait_until_found(place: &Place, query: &str, origin: &str) {
    wait_for(&format!("{query} in {origin}"), || {
        found(place, query)
            .as_array()
            .unwrap()
            .iter()
            .any(|hit| hit["origin_ref"] == origin && hit["state"] == "current")
    });
}

#[test]
fn a_file_is_found_without_a_command_and_kept_in_step_with_the_disk() {
    let place = Place::new();
    place.ok(&["K1"]);
    write(&place, "AI/evidence/deep/er/note.md", "a passage about herons");
    wait_until_found(&place, "herons", "AI/evidence/deep/er/note.md");
    write(&place, "AI/evidence/deep/er/note.md", "a passage about storks");
    wait_until_found(&place, "storks", "AI/evidence/deep/er/note.md");
    assert_eq!(found(&place, "herons"), json!([]));
    fs::rename(place.root.join("AI/evidence/deep"), place.root.join("AI/evidence/moved")).unwrap();
    wait_until_found(&place, "storks", "AI/evidence/moved/er/note.md");
    assert_eq!(place.count("SELECT count(*) FROM evidence_documents"), 2, "two versions of one file");
    fs::remove_dir_all(place.root.join("AI/evidence/moved")).unwrap();
    wait_for("the file to be missed", || found(&place, "storks")[0]["state"] == "missing");
    let digest = place.ok(&["R0"]);
    assert_eq!((&digest["evidence"]["changed"], &digest["evidence"]["missing"]), (&json!(1), &json!(1)));
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], true);
}

#[test]
fn what_changed_while_no_daemon_ran_is_found_by_the_next() {
    let place = Place::new();
    place.ok(&["K1"]);
    write(&place, "AI/evidence/a.txt", "first herons");
    wait_until_found(&place, "herons", "AI/evidence/a.txt");
    place.stop();
    write(&place, "AI/evidence/a.txt", "second storks");
    write(&place, "AI/evidence/b.txt", "new cranes");
    wait_until_found(&place, "storks", "AI/evidence/a.txt");
    wait_until_found(&place, "cranes", "AI/evidence/b.txt");
    assert_eq!(place.count("SELECT count(*) FROM evidence_documents"), 3);
}

#[test]
fn rules_are_added_removed_and_read_from_the_settings() {
    let place = Place::new();
    write(&place, "specs/one.md", "a passage about herons");
    write(&place, "manual.txt", "a passage about storks");
    let added = place.ok(&["E2", "--action", "add", "--path", "specs/**", "--authority-tier", "normative"]);
    let origins: Vec<&str> =
        added["rules"].as_array().unwrap().iter().map(|rule| text(rule, "origin")).collect();
    assert_eq!(origins, ["default", "added"]);
    wait_until_found(&place, "herons", "specs/one.md");
    assert_eq!(place.ok(&["E4", "--query", "herons", "--authority-tier", "normative"])["count"], 1);
    place.denied(&["E2", "--action", "remove", "--path", "other/**"], "DENIED_RECORD_NOT_FOUND", 1);
    let removed = place.ok(&["E2", "--action", "remove", "--path", "specs/**"]);
    assert_eq!(removed["rules"].as_array().unwrap().len(), 1);
    fs::write(place.root.join("kaizen.toml"), "[[evidence.watch]]\npaths = [\"*.txt\"]\n").unwrap();
    let rescanned = place.ok(&["E2", "--action", "rescan"]);
    assert_eq!(rescanned["rules"][0]["origin"], "kaizen.toml");
    wait_until_found(&place, "storks", "manual.txt");
    place.denied(&["E2", "--action", "dance"], "DENIED_SCHEMA_ENUM", 2);
    place.denied(&["E2", "--action", "add"], "DENIED_PATH_REQUIRED", 2);
    place.denied(&["E2", "--action", "add", "--path", "../out/**"], "DENIED_USAGE", 2);
}

#[test]
fn a_file_that_cannot_be_read_is_listed_and_blocks_nothing() {
    let place = Place::new();
    write(&place, "AI/evidence/bad.docx", "no archive");
    write(&place, "AI/evidence/odd.bin", "x");
    write(&place, "AI/evidence/good.md", "a passage about herons");
    wait_until_found(&place, "herons", "AI/evidence/good.md");
    let mut report = Value::Null;
    wait_for("two refusals", || {
        report = place.ok(&["E2"]);
        report["failed_count"] == 2
    });
    let codes: Vec<&str> =
        report["failed"].as_array().unwrap().iter().map(|failed| text(failed, "code")).collect();
    assert!(
        codes.contains(&"DENIED_EXTRACTION_FAILED") && codes.contains(&"DENIED_UNSUPPORTED_MEDIA"),
        "{report}"
    );
    // Mended, it is read.
    fs::rename(place.root.join("AI/evidence/bad.docx"), place.root.join("AI/evidence/mended.txt")).unwrap();
    wait_until_found(&place, "archive", "AI/evidence/mended.txt");
}

#[test]
fn a_pause_holds_until_it_ends_also_over_a_restart() {
    let place = Place::new();
    assert_eq!(place.ok(&["E2", "--action", "pause"])["paused"], true);
    place.stop();
    write(&place, "AI/evidence/a.txt", "a passage about herons");
    assert_eq!(place.ok(&["E2"])["paused"], true);
    place.denied(&["E2", "--action", "rescan"], "DENIED_BUSY", 75);
    assert_eq!(found(&place, "herons"), json!([]));
    place.ok(&["E2", "--action", "resume"]);
    wait_until_found(&place, "herons", "AI/evidence/a.txt");
}

#[test]
fn a_removed_document_stays_removed_until_its_file_changes() {
    let place = Place::new();
    write(&place, "AI/evidence/a.txt", "a passage about herons");
    wait_until_found(&place, "herons", "AI/evidence/a.txt");
    let id = text(&found(&place, "herons")[0], "document_id").to_owned();
    place.ok(&["E6", "--id", &id]);
    place.ok(&["E2", "--action", "rescan", "--thorough"]);
    assert_eq!(found(&place, "herons"), json!([]));
    write(&place, "AI/evidence/a.txt", "another passage about herons");
    wait_until_found(&place, "herons", "AI/evidence/a.txt");
}
