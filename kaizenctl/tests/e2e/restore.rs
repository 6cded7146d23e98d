//! K11: a backup takes the place of the data plane.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::checks::{assert_integrity, assert_sound, call, connect, task};
use crate::context::Place;
use crate::rows::{keys, text};

const W1: [&str; 5] = ["W1", "--title", "T", "--summary", "S."];

fn new(place: &Place) -> String {
    place.id(&W1)
}

fn back_up(place: &Place) -> (String, Value) {
    let reply = place.ok(&["K3"]);
    let manifest = fs::read_to_string(place.root.join(text(&reply, "manifest"))).unwrap();
    (text(&reply, "backup_dir").to_owned(), serde_json::from_str(&manifest).unwrap())
}

fn ids(database: &Path) -> BTreeSet<String> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT id FROM tasks").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn replaced(place: &Place, restored: &Value) -> PathBuf {
    place.root.join(text(restored, "replaced")).join("kaizen.db")
}

/// What lies beside the database that is no part of it.
fn strays(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.root.join("AI/db")).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| {
        let known = [
            ".gitignore",
            "backups",
            "kaizen.db",
            "kaizen.db-shm",
            "kaizen.db-wal",
            "kaizend.lock",
            "replaced",
        ];
        !known.contains(&name.as_str())
    });
    names
}

#[test]
fn a_backup_becomes_the_plane_under_a_new_identity_and_the_old_one_is_kept() {
    let place = Place::new();
    let before = new(&place);
    let (backup, manifest) = back_up(&place);
    let after = new(&place);
    let restored = place.ok(&["K11", "--path", &backup]);
    assert_eq!(
        keys(&restored),
        [
            "status",
            "message",
            "path",
            "replaced",
            "plane_id",
            "old_seq",
            "old_chain_hash",
            "backup_seq",
            "backup_chain_hash",
            "seq",
            "chain_hash",
            "table_counts",
            "integrity"
        ]
    );
    assert_eq!(
        (&restored["backup_seq"], &restored["backup_chain_hash"]),
        (&manifest["seq"], &manifest["chain_hash"])
    );
    assert_eq!((&restored["old_seq"], &restored["seq"]), (&json!(2), &json!(2)));
    assert_eq!(restored["table_counts"], manifest["table_counts"]);
    assert_ne!(restored["plane_id"], manifest["plane_id"]);
    assert_eq!(
        (&restored["integrity"]["ok"], &restored["integrity"]["total_faults"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(ids(&place.database()), BTreeSet::from([before.clone()]));
    assert_eq!(ids(&replaced(&place, &restored)), BTreeSet::from([before, after]));
    assert_eq!(fs::metadata(place.database()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(strays(&place).is_empty(), "{:?}", strays(&place));
    // The journal goes on from the entry that records the restore.
    let checked = place.ok(&["K1", "--integrity"]);
    assert_eq!(checked["integrity"]["journal"]["chain_hash"], restored["chain_hash"]);
    assert_eq!(place.ok(&W1)["seq"], 3);
    assert_sound(&place);
    // The file and the manifest name it as well, and the restored plane can be restored again.
    for name in ["kaizen.db", "backup-manifest.json"] {
        let again = place.ok(&["db-restore", "--path", &format!("{backup}/{name}")]);
        assert_eq!(again["table_counts"]["tasks"], 1);
    }
    assert_sound(&place);
}

#[test]
fn no_acknowledged_write_is_lost_while_a_backup_is_restored_under_writers() {
    let place = Place::new();
    new(&place);
    let (backup, _) = back_up(&place);
    let done = AtomicBool::new(false);
    let (written, restored) = thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (done, place) = (&done, &place);
                scope.spawn(move || {
                    let mut connection = connect(place);
                    let mut acknowledged = Vec::new();
                    for number in 0.. {
                        if done.load(Ordering::Acquire) && number >= 20 {
                            break;
                        }
                        let name = format!("{writer}-{number}");
                        match call(&mut connection, "task.start", &task(&name, &name)) {
                            Ok(reply) => acknowledged.push(text(&reply, "id").to_owned()),
                            Err(denial) => assert_eq!(denial["retryable"], true, "{denial}"),
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        let restored = place.ok(&["K11", "--path", &backup]);
        done.store(true, Ordering::Release);
        let written: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        (written, restored)
    });
    let (old, present) = (ids(&replaced(&place, &restored)), ids(&place.database()));
    assert!(written.iter().all(|id| old.contains(id) || present.contains(id)));
    assert!(old.len() > 1, "the writers wrote before");
    assert_sound(&place);
}

#[test]
fn what_is_no_good_backup_is_refused_and_nothing_changes() {
    let place = Place::new();
    let kept = new(&place);
    let (backup, _) = back_up(&place);
    let unchanged = || {
        assert_eq!(ids(&place.database()), BTreeSet::from([kept.clone()]));
        assert!(strays(&place).is_empty(), "{:?}", strays(&place));
        assert!(!place.root.join("AI/db/replaced").exists());
    };
    let file = place.root.join(&backup).join("kaizen.db");
    let good = fs::read(&file).unwrap();

    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&file, &flipped).unwrap();
    let denial = place.denied(&["K11", "--path", &backup], "DENIED_BACKUP_INVALID", 1);
    assert!(text(&denial, "reason").contains("manifest"), "{denial}");
    unchanged();

    // Tampered with in a way that is still a database, and without a manifest that would tell.
    fs::write(&file, &good).unwrap();
    let loose = place.root.join("loose.db");
    fs::copy(&file, &loose).unwrap();
    rusqlite::Connection::open(&loose).unwrap().execute("UPDATE tasks SET title = 'x'", []).unwrap();
    let denial = place.denied(&["K11", "--path", "loose.db"], "DENIED_BACKUP_INVALID", 1);
    assert!(denial["faults"].as_u64().unwrap() > 0, "{denial}");
    unchanged();

    let newer = rusqlite::Connection::open(&loose).unwrap();
    newer.execute("INSERT INTO migrations VALUES (999, 'later', 'x', 'x')", []).unwrap();
    drop(newer);
    place.denied(&["K11", "--path", "loose.db"], "DENIED_SCHEMA_STATUS", 1);
    fs::remove_file(&loose).unwrap();
    rusqlite::Connection::open(&loose).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    place.denied(&["K11", "--path", "loose.db"], "DENIED_FOREIGN_DATABASE", 1);
    fs::write(&loose, "no database").unwrap();
    let denial = place.denied(&["K11", "--path", "loose.db"], "DENIED_FOREIGN_DATABASE", 1);
    assert!(text(&denial, "db_path").ends_with("/loose.db"), "{denial}");
    fs::write(&loose, "").unwrap();
    place.denied(&["K11", "--path", "loose.db"], "DENIED_BACKUP_INVALID", 1);
    unchanged();

    place.denied(&["K11"], "DENIED_PATH_REQUIRED", 2);
    place.denied(&["K11", "--path", "absent"], "DENIED_FILE_NOT_FOUND", 1);
    place.denied(&["K11", "--path", "AI/db"], "DENIED_BACKUP_INVALID", 1);
    place.denied(&["K11", "--path", "AI/db/kaizen.db"], "DENIED_BACKUP_INVALID", 1);
    let outside = place.path("outside.db");
    fs::copy(&file, &outside).unwrap();
    let outside = outside.to_str().unwrap();
    let denial = place.denied(&["K11", "--path", outside], "DENIED_PATH_OUTSIDE_REPO", 2);
    assert!(text(&denial, "required_action").contains("--allow-external"), "{denial}");
    unchanged();

    let restored = place.ok(&["K11", "--path", outside, "--allow-external"]);
    assert_eq!(restored["path"], "external:outside.db");
    assert!(restored["warnings"][0].as_str().unwrap().contains("no manifest"), "{restored}");
    assert_integrity(&place);
}

#[test]
fn a_backup_is_restored_over_a_plane_that_is_damaged_or_gone() {
    let place = Place::new();
    let kept = new(&place);
    let (backup, _) = back_up(&place);
    place.stop();
    fs::write(place.database(), "not a database any more").unwrap();
    place.denied(&["G2"], "DENIED_FOREIGN_DATABASE", 1);
    let restored = place.ok(&["K11", "--path", &backup]);
    assert_eq!(restored.get("old_seq"), None);
    assert_eq!(fs::read_to_string(replaced(&place, &restored)).unwrap(), "not a database any more");
    assert_eq!(ids(&place.database()), BTreeSet::from([kept]));
    assert_sound(&place);

    place.stop();
    fs::remove_file(place.database()).unwrap();
    let restored = place.ok(&["K11", "--path", &backup]);
    assert_eq!(restored.get("replaced"), None);
    assert_sound(&place);
}

#[test]
fn a_restore_that_was_interrupted_is_finished_by_the_next_opening() {
    let place = Place::new();
    let kept = new(&place);
    let (backup, _) = back_up(&place);
    let lost = new(&place);
    place.stop();
    // As a crash after the note, and before anything else, leaves it.
    let beside = |name: &str| place.root.join("AI/db").join(name);
    fs::copy(place.root.join(&backup).join("kaizen.db"), beside("staged")).unwrap();
    fs::write(beside("kaizen.db-swap"), r#"{"new":"staged","aside":"replaced/crashed"}"#).unwrap();
    assert_eq!(place.ok(&["K1"])["status"], "OK");
    assert_eq!(ids(&place.database()), BTreeSet::from([kept.clone()]));
    assert_eq!(ids(&beside("replaced/crashed/kaizen.db")), BTreeSet::from([kept, lost]));
    assert!(strays(&place).is_empty(), "{:?}", strays(&place));
    assert_sound(&place);
}
