//! A burst of files while others write records, with a daemon that is killed in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::Value;

use crate::context::Place;
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

/// The current documents: path and hash of the file.
fn current(place: &Place) -> Vec<(String, String)> {
    let sql =
        "SELECT origin_key, file_sha256 FROM evidence_documents WHERE state = 'current' ORDER BY origin_key";
    rows(place, sql, &[])
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("origin_key"), text("file_sha256"))
        })
        .collect()
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
    let (stop, acknowledged, killed) = (AtomicBool::new(false), Mutex::default(), AtomicUsize::new(0));
    let written = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| client(&place, &stop, &acknowledged));
        }
        let writing = scope.spawn(|| write_all(&place.root));
        // In the middle: some documents are there, and most are not.
        let deadline = Instant::now() + Duration::from_mins(2);
        let in_the_middle = loop {
            let documents = place.count("SELECT count(*) FROM evidence_documents");
            if documents > 50 || Instant::now() > deadline {
                break documents;
            }
        };
        assert!((51..i64::try_from(FILES).unwrap()).contains(&in_the_middle), "{in_the_middle}");
        let killing = place.command("kill").args(["-9", &place.daemon_pid().to_string()]).status().unwrap();
        assert!(killing.success());
        killed.fetch_add(1, Ordering::Relaxed);
        let written = writing.join().unwrap();
        // The next call starts the daemon, and the daemon finds what is left.
        let deadline = Instant::now() + Duration::from_mins(5);
        while current(&place).len() < FILES && Instant::now() < deadline {}
        stop.store(true, Ordering::Relaxed);
        written
    });
    let documents = current(&place);
    assert_eq!(documents.len(), FILES, "one current document for each file");
    assert_eq!(documents.into_iter().collect::<BTreeMap<_, _>>(), written);
    assert_eq!(
        place.count("SELECT count(*) FROM evidence_documents"),
        i64::try_from(FILES).unwrap(),
        "each was read once"
    );
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
