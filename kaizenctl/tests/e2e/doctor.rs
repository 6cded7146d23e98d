//! K15: what is wrong, and what to do about it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::checks::assert_integrity;
use crate::context::Place;
use crate::rows::{keys, text};

const W1: [&str; 5] = ["W1", "--title", "T", "--summary", "S."];

fn examine(place: &Place, words: &[&str]) -> Value {
    let outcome = place.run(words.iter().chain(&["--json"]));
    let examined: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    assert_eq!(outcome.status.code(), Some(i32::from(examined["healthy"] != true)), "{outcome:?}");
    assert_eq!(keys(&examined), ["status", "message", "healthy", "failed", "warned", "findings"]);
    for finding in examined["findings"].as_array().unwrap() {
        let level = text(finding, "level");
        assert!(["ok", "warn", "fail"].contains(&level), "{finding}");
        assert_eq!(level != "ok", finding["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{finding}");
    }
    let failing = examined["findings"].as_array().unwrap().iter().filter(|found| found["level"] == "fail");
    assert_eq!(examined["failed"], failing.count());
    assert_eq!(examined["healthy"], examined["failed"] == 0);
    examined
}

/// The level of a check, and what it says; none when it is not among the findings.
fn level(examined: &Value, check: &str) -> Option<(String, String)> {
    let found = examined["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check)?;
    Some((text(found, "level").to_owned(), text(found, "detail").to_owned()))
}

fn is(examined: &Value, check: &str, expected: &str) -> String {
    let (level, detail) = level(examined, check).unwrap_or_else(|| panic!("no {check}: {examined:#}"));
    assert_eq!(level, expected, "{check}: {examined:#}");
    detail
}

#[test]
fn a_healthy_project_has_nothing_to_mend_and_nothing_is_created_by_looking() {
    let place = Place::new();
    let examined = examine(&place, &["doctor"]);
    is(&examined, "database", "warn");
    assert!(!place.database().exists());
    let human = place.run(["doctor"]);
    assert!(human.stdout.lines().any(|line| line.trim_start().starts_with("To do: ")), "{human:?}");
    place.ok(&W1);
    is(&examine(&place, &["K15"]), "backups", "warn");
    place.ok(&["K3"]);
    let examined = examine(&place, &["K15"]);
    assert_eq!(examined["failed"], 0, "{examined:#}");
    for check in
        ["daemon", "runtime", "socket", "config", "database", "schema", "chain", "permissions", "backups"]
    {
        is(&examined, check, "ok");
    }
    for check in ["disk", "watches"] {
        assert!(level(&examined, check).is_some(), "{check}: {examined:#}");
    }
    let human = place.run(["doctor"]);
    let chain = "the last entry of the journal is as it was written";
    assert!(human.stdout.lines().any(|line| line.starts_with("ok ") && line.ends_with(chain)), "{human:?}");
    place.id(&W1);
    let chain = is(&examine(&place, &["K15"]), "chain", "ok");
    assert_eq!(chain, "the last 2 entries of the journal follow from each other");
}

#[test]
fn each_fault_is_found_with_what_to_do() {
    let place = Place::new();
    for _ in 0..3 {
        place.ok(&W1);
    }
    let backup = place.ok(&["K3"]);
    let copy = place.root.join(text(&backup["files"][0], "path"));
    let mut bytes = fs::read(&copy).unwrap();
    bytes[5000] ^= 1;
    fs::write(&copy, bytes).unwrap();
    let directory = place.root.join("AI/db");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.join("kaizen.db.x.partial-wal"), "").unwrap();
    place.tamper().execute("UPDATE schema_version SET manifest_hash = 'x'", []).unwrap();
    let examined = examine(&place, &["K15"]);
    is(&examined, "backups", "fail");
    is(&examined, "permissions", "fail");
    is(&examined, "leftovers", "warn");
    is(&examined, "schema", "fail");
    is(&examined, "chain", "ok");
    place.stop();
    place.tamper().execute("UPDATE journal SET operation = 'X1' WHERE seq = 2", []).unwrap();
    assert!(is(&examine(&place, &["K15"]), "chain", "fail").contains("entry 2"));
    place.stop();
    place.tamper().execute("DELETE FROM journal WHERE seq = 3", []).unwrap();
    is(&examine(&place, &["K15"]), "chain", "fail");
    place.stop();
    fs::write(place.database(), "no database").unwrap();
    let examined = examine(&place, &["K15"]);
    assert!(is(&examined, "database", "fail").contains("DENIED_FOREIGN_DATABASE"));
}

#[test]
fn the_doctor_works_without_a_daemon_and_with_settings_that_make_no_sense() {
    let place = Place::new();
    fs::write(place.root.join("kaizen.toml"), "[bakup]\n").unwrap();
    let examined = examine(&place, &["doctor"]);
    let detail = is(&examined, "config", "fail");
    assert!(detail.contains("backup") && detail.contains("line 1"), "{detail}");
    place.stop();
    fs::remove_file(place.root.join("kaizen.toml")).unwrap();
    // A daemon that cannot start: something else stands where its directory would be.
    let elsewhere = place.path("occupied");
    fs::write(&elsewhere, "").unwrap();
    let output = place
        .command("kaizenctl")
        .env("KAIZEN_RUNTIME_DIR", &elsewhere)
        .args(["doctor", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let examined: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(examined["healthy"], false);
    assert_eq!(examined["findings"][0]["level"], "fail", "{examined:#}");
    assert!(text(&examined["findings"][0], "detail").starts_with("DENIED_"), "{examined:#}");
    assert!(is(&examined, "runtime", "fail").contains("not a directory"));
}

#[test]
fn what_would_leak_is_named_without_being_quoted() {
    let place = Place::new();
    place.ok(&W1);
    let examined = examine(&place, &["K15", "--publish"]);
    assert!(is(&examined, "publish.git", "warn").contains("no git repository"));

    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@localhost"]).args(words).current_dir(&place.root);
        assert!(git.output().unwrap().status.success(), "{words:?}");
    };
    git(&["init", "--quiet"]);
    fs::write(place.root.join(".gitignore"), "/AI/*\n").unwrap();
    fs::write(place.root.join("README.md"), "Nothing special, see /home/user.\n").unwrap();
    git(&["add", "."]);
    let examined = examine(&place, &["K15", "--publish"]);
    for check in ["publish.tracked", "publish.ignored", "publish.contents", "publish.artifacts"] {
        is(&examined, check, "ok");
    }
    assert!(is(&examined, "publish.force_addable", "warn").contains("AI/db/kaizen.db"));

    let secret = "Zq7".repeat(12);
    fs::write(place.root.join("notes.md"), format!("one\nkey: ghp_{secret}\nsee /home/mallory/x\n")).unwrap();
    fs::create_dir_all(place.root.join("AI/db/exports/reports")).unwrap();
    fs::write(place.root.join("AI/db/exports/reports/r.md"), "from /home/mallory/y\n").unwrap();
    fs::write(place.root.join("picture.png"), [0x89, 0, 0xff]).unwrap();
    fs::write(place.root.join(".gitignore"), "").unwrap();
    place.ok(&["A1", "--path", "notes.md"]);
    git(&["add", "notes.md", "picture.png", ".gitignore"]);
    git(&["add", "--force", "AI/db/kaizen.db"]);
    fs::write(place.root.join("AI/plan.txt"), "").unwrap();
    let examined = examine(&place, &["K15", "--publish"]);
    assert!(is(&examined, "publish.tracked", "fail").contains("AI/db/kaizen.db"));
    assert!(is(&examined, "publish.ignored", "fail").contains("AI/plan.txt"));
    assert!(is(&examined, "publish.github_token", "fail").contains("notes.md:2"));
    let personal = is(&examined, "publish.posix_home_path", "fail");
    assert!(
        personal.contains("notes.md:3") && personal.contains("AI/db/exports/reports/r.md:1"),
        "{personal}"
    );
    is(&examined, "publish.unread", "warn");
    assert!(is(&examined, "publish.artifacts", "warn").contains("notes.md"));
    assert!(!examined.to_string().contains(&secret) && !examined.to_string().contains("mallory"));
    // Looking into what git tracks has not cost the open database its locks.
    assert_eq!(place.ok(&W1)["seq"], json!(3));
    assert_integrity(&place);
}
