//! A burst of files while others write records, with a daemon that is killed in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::Value;

use crate::context::{Place, wait_for, wait_up_to};
use crate::rows::rows;

const DIRECTORIES: usize = 100;
const FILES: usize = 2_000;
const CLIENTS: usize = 8;

fn contents(number: usize) -> String {
    format!("# File {number}\n\nThe passage of file {number} speaks of heron{number}.\n")
}

/// Writes the files, each into one of the new directories.
fn write_all(root: &Path) -> BTreeMap<String, String> {
    let mut written = BTreeMap::new();
    for number in 0..FILES {
        let path = format!("AI/evidence/burst/{}/{number}.md", number % DIRECTORIES);
        let file = root.join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, contents(number)).unwrap();
        written.insert(path, sha256_hex(contents(number).as_bytes()));
    }
    written
}

/// A connection that only looks: one that could write is told from a program that meddles by nothing but its timing.
fn looking(place: &Place) -> rusqlite::Connection {
    rusqlite::Connection::open_with_flags(place.database(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap()
}

fn documents(place: &Place) -> usize {
    let sql = "SELECT count(*) FROM evidence_documents WHERE state = 'current'";
    looking(place).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The current documents: path and hash of the file.
fn current(place: &Place) -> Vec<(String, String)> {
    let connection = looking(place);
    let sql =
        "SELECT origin_key, file_sha256 FROM evidence_documents WHERE state = 'current' ORDER BY origin_key";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Writes records until it is told to stop; the ids of those that were acknowledged.
fn client(place: &Place, stop: &AtomicBool, acknowledged: &Mutex<BTreeSet<String>>) {
    while !stop.load(Ordering::Relaxed) {
        let mut command = place.command("kaizenctl");
        command.args(["W1", "--title", "T", "--summary", "S.", "--json"]).stdin(Stdio::null());
        let output = command.output().unwrap();
        if output.status.success() {
            let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
            acknowledged.lock().unwrap().insert(reply["id"].as_str().unwrap().to_owned());
        }
    }
}

#[test]
fn a_burst_of_files_is_read_once_each_although_the_daemon_is_killed() {
    let place = Place::new();
    fs::create_dir_all(place.root.join("AI/evidence")).unwrap();
    place.ok(&["K1"]);
    let (stop, acknowledged) = (AtomicBool::new(false), Mutex::default());
    let written = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| client(&place, &stop, &acknowledged));
        }
        let writing = scope.spawn(|| write_all(&place.root));
        // In the middle: some documents are there, and most are not.
        wait_for("fifty documents", || documents(&place) >= 50);
        let in_the_middle = documents(&place);
        assert!(in_the_middle < FILES, "{in_the_middle}");
        let killing = place.command("kill").args(["-9", &place.daemon_pid().to_string()]).status().unwrap();
        assert!(killing.success());
        let written = writing.join().unwrap();
        // The next call starts the daemon, and the daemon finds what is left.
        wait_up_to(Duration::from_mins(4), "all documents", || documents(&place) >= FILES);
        stop.store(true, Ordering::Relaxed);
        written
    });
    let documents = current(&place);
    assert_eq!(documents.len(), FILES, "one current document for each file");
    assert_eq!(documents.into_iter().collect::<BTreeMap<_, _>>(), written);
    let all = "SELECT count(*) FROM evidence_documents";
    assert_eq!(place.count(all), i64::try_from(FILES).unwrap(), "each was read once");
    let stored: BTreeSet<String> = rows(&place, "SELECT id FROM tasks", &[])
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(!acknowledged.is_empty());
    assert!(acknowledged.is_subset(&stored), "what was acknowledged is there");
    assert_eq!(
        place.ok(&["E4", "--query", "heron1234"])["records"][0]["origin_ref"],
        "AI/evidence/burst/34/1234.md"
    );
    let checked = place.ok(&["K1", "--integrity"]);
    assert_eq!(checked["integrity"]["ok"], true, "{checked}");
}
