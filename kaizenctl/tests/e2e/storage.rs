//! What stands where the database should be, and what happens when it cannot be written.

use std::fs;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::checks::{assert_file_sound, assert_integrity, assert_sound, call, connect, task};
use crate::context::{Outcome, Place, programs, wait_for};

const W1: [&str; 5] = ["W1", "--title", "Task", "--summary", "A task."];

#[test]
fn what_is_not_our_database_is_denied_and_left_as_it_is() {
    let sqlite = |statements: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        rusqlite::Connection::open(file.path()).unwrap().execute_batch(statements).unwrap();
        fs::read(file.path()).unwrap()
    };
    let somebody_elses =
        sqlite("CREATE TABLE invoices (id INTEGER PRIMARY KEY); INSERT INTO invoices VALUES (1)");
    let mut harness = somebody_elses.clone();
    harness[18..20].copy_from_slice(&[0xff, 0xff]);
    let cases = [
        ("garbage", b"This is no database at all.".repeat(200)),
        ("short", b"SQLite format 3\0".to_vec()),
        ("of the Python harness", harness),
        ("of somebody else", somebody_elses),
    ];
    for (what, content) in cases {
        let place = Place::new();
        fs::create_dir_all(place.database().parent().unwrap()).unwrap();
        fs::write(place.database(), &content).unwrap();
        for operation in [&W1[..], &["R0"], &["K1"]] {
            let denial = place.denied(operation, "DENIED_FOREIGN_DATABASE", 1);
            assert_eq!(denial["db_path"], place.database().to_str().unwrap(), "{what}");
            assert!(
                denial["required_action"].as_str().unwrap().contains("kaizenctl K11"),
                "{what}: {denial}"
            );
        }
        place.stop();
        assert!(fs::read(place.database()).unwrap() == content, "the file {what} was changed");
        assert!(!place.root.join("AI/db/kaizen.db-wal").exists(), "{what}");
    }

    let place = Place::new();
    fs::create_dir_all(place.database()).unwrap();
    place.denied(&W1, "DENIED_FOREIGN_DATABASE", 1);
    fs::remove_dir(place.database()).unwrap();
    place.ok(&W1);
}

#[test]
fn an_empty_file_becomes_a_plane() {
    let place = Place::new();
    fs::create_dir_all(place.database().parent().unwrap()).unwrap();
    fs::write(place.database(), "").unwrap();
    place.ok(&W1);
    assert_sound(&place);
}

#[test]
fn a_database_that_another_program_holds_is_reported_in_time_and_works_afterwards() {
    let place = Place::new();
    place.ok(&W1);
    let holder = place.tamper();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let started = Instant::now();
    let denial = place.denied(&W1, "DENIED_DATABASE_LOCKED", 75);
    assert_eq!(denial["retryable"], true);
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    assert_eq!(place.ok(&["R0"])["counts"]["tasks_active"], 1, "reading goes on");

    // Many callers wait together, not one after the other.
    let started = Instant::now();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                place.denied(&W1, "DENIED_DATABASE_LOCKED", 75);
            });
        }
    });
    assert!(started.elapsed() < Duration::from_secs(14), "eight callers took {:?}", started.elapsed());
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(place.ok(&W1)["seq"], 2);

    // The same for a daemon that has yet to open it.
    place.stop();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let started = Instant::now();
    place.denied(&W1, "DENIED_DATABASE_LOCKED", 75);
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    assert_eq!(place.ok(&W1)["seq"], 3);
    assert_sound(&place);
}

/// POSIX drops all locks of a process on a file when it closes any descriptor of it. A daemon that opens its own
/// database on the side would so give up the lock by which other programs know that the log is in use, and an
/// sqlite3 shell that looks in would delete the log under it.
fn holds_its_lock(place: &Place, pid: u32) -> bool {
    let metadata = fs::metadata(place.database()).unwrap();
    let inode = format!(":{}", std::os::unix::fs::MetadataExt::ino(&metadata));
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words[1] == "POSIX" && words[4] == pid.to_string() && words[5].ends_with(&inode)
    })
}

#[test]
fn the_daemon_never_lets_go_of_its_lock_on_the_database() {
    let operations: [&[&str]; 11] = [
        &["K1"],
        &["K2"],
        &["K3"],
        &["K6"],
        &["R0"],
        &["Q9"],
        &["K1", "--integrity"],
        &["K1", "--restamp-manifest"],
        &["A1", "--kind", "other", "--summary", "The database itself.", "--path", "AI/db/kaizen.db"],
        &["A2", "--path", "AI/db/kaizen.db"],
        &["A2", "--path", "AI/db/kaizen.db-shm"],
    ];
    let place = Place::new();
    place.ok(&W1);
    let pid = place.daemon_pid();
    assert!(holds_its_lock(&place, pid), "an open plane is locked");
    for operation in operations {
        // Whether it is denied does not matter here.
        place.run(operation);
        assert_eq!(place.daemon_pid(), pid);
        assert!(holds_its_lock(&place, pid), "the lock is gone after {operation:?}");
    }
    assert_eq!(place.tamper().query_row("SELECT count(*) FROM tasks", [], |row| row.get::<_, i64>(0)), Ok(1));
    assert!(place.root.join("AI/db/kaizen.db-wal").exists(), "the log is still in its place");
    assert_sound(&place);
}

/// Looking at the schema while others write and while the plane is being opened.
#[test]
fn a_look_at_the_schema_beside_writers_does_not_let_go_of_the_lock() {
    let place = Place::new();
    for round in 0..6 {
        place.ok(&["daemon", "start"]);
        let pid = place.daemon_pid();
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    let mut connection = connect(place);
                    start.wait();
                    for number in 0..40 {
                        let name = format!("{round}-{thread}-{number}");
                        match thread % 2 {
                            0 => call(&mut connection, "task.start", &task(&name, &name)).unwrap(),
                            _ => call(&mut connection, "schema.status", &json!({})).unwrap(),
                        };
                    }
                });
            }
        });
        assert!(holds_its_lock(&place, pid), "the lock is gone in round {round}");
        place.stop();
    }
    assert_sound(&place);
}

#[test]
fn a_database_of_a_newer_release_is_denied_and_left_alone() {
    let place = Place::new();
    place.ok(&W1);
    place.stop();
    let connection = place.tamper();
    let row = "INSERT INTO migrations VALUES (9999, 'of_the_future', 'abc', '2030-01-01T00:00:00.000000Z')";
    connection.execute_batch(row).unwrap();
    let denial = place.denied(&W1, "DENIED_SCHEMA_STATUS", 1);
    assert!(denial["reason"].as_str().unwrap().contains("newer"), "{denial}");
    assert!(denial["required_action"].as_str().unwrap().contains("newer"), "{denial}");
    let schema = place.ok(&["K2"])["schema"].clone();
    assert!(schema["migrations"]["applied"].as_i64() > schema["migrations"]["known"].as_i64(), "{schema}");
    assert_eq!(place.count("SELECT count(*) FROM tasks"), 1);
    connection.execute_batch("DELETE FROM migrations WHERE version = 9999").unwrap();
    drop(connection);
    assert_eq!(place.ok(&W1)["seq"], 2);
    assert_sound(&place);
}

#[test]
fn settings_that_make_no_sense_are_denied_and_a_path_elsewhere_works() {
    let place = Place::new();
    let settings = place.root.join("kaizen.toml");
    for text in ["[db\npath = 1", "[db]\npath = 7", "[db]\nway = \"x\"", "surprise = true"] {
        fs::write(&settings, text).unwrap();
        let denial = place.denied(&W1, "DENIED_CONFIG", 2);
        assert_eq!(denial["path"], settings.to_str().unwrap(), "{text}");
        assert!(denial["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{denial}");
    }
    assert!(!place.database().exists());
    for path in [place.path("elsewhere/plane.db"), PathBuf::from("data/plane.db")] {
        fs::write(&settings, format!("[db]\npath = {:?}\n", path.to_str().unwrap())).unwrap();
        assert_eq!(place.ok(&W1)["seq"], 1);
        assert_eq!(place.ok(&W1)["seq"], 2);
        assert_eq!(place.ok(&["K2"])["schema"]["db_path"], place.root.join(&path).to_str().unwrap());
        assert_integrity(&place);
        assert_file_sound(&place.root.join(path));
    }
    assert!(!place.database().exists());
}

/// A daemon in a mount namespace of its own, in which the project lies on a small file system.
struct SmallDisk {
    place: Place,
    daemon: Child,
}

impl SmallDisk {
    fn new(test: &str) -> Option<Self> {
        let place = Place::new();
        let kaizend = place.command("kaizend");
        let script = "mount -t tmpfs -o size=4m small \"$1\" && head -c 2000000 /dev/zero > \"$1/ballast\" && \
                      echo mounted && exec \"$2\"";
        for namespaces in ["-m", "-Urm"] {
            let mut command = Command::new("unshare");
            command.env_clear().envs(kaizend.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command
                .arg(namespaces)
                .args(["sh", "-c", script, "sh"])
                .arg(&place.root)
                .arg(kaizend.get_program());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let Ok(mut daemon) = command.spawn() else { continue };
            let mut line = String::new();
            std::io::BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
            if line == "mounted\n" {
                wait_for("the daemon to listen", || place.ok(&["daemon", "status"])["running"] == true);
                return Some(SmallDisk { place, daemon });
            }
            daemon.wait().unwrap();
        }
        println!("skipped {test}: neither `unshare -m` nor `unshare -Urm` can mount a tmpfs here");
        None
    }

    /// A path of the project as the daemon sees it.
    fn inside(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.daemon.id()));
        root.join(self.place.root.strip_prefix("/").unwrap()).join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.place.run(["daemon", "stop", "--all"]);
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn a_full_disk_is_reported_and_writing_goes_on_when_there_is_space_again() {
    programs();
    let test = "a_full_disk_is_reported_and_writing_goes_on_when_there_is_space_again";
    let Some(disk) = SmallDisk::new(test) else { return };
    let pid = disk.daemon.id();
    let body = "word ".repeat(900);
    let write = || -> Outcome {
        disk.place.run(["W1", "--title", "Large", "--summary", "Fills the disk.", "--body", &body, "--json"])
    };
    let mut acknowledged = Vec::new();
    let denied = loop {
        let outcome = write();
        if !outcome.status.success() {
            break outcome;
        }
        let reply: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        acknowledged.push(reply["id"].as_str().unwrap().to_owned());
        assert!(acknowledged.len() < 1000, "the disk never fills");
    };
    let denial = denied.assert_denied("DENIED_STORAGE_FULL", 75);
    assert_eq!(denial["retryable"], true);
    assert!(acknowledged.len() > 10, "only {} writes before the disk was full", acknowledged.len());
    // Again and again, also from many callers in one batch.
    thread::scope(|scope| {
        for writer in 0..8 {
            let (disk, body) = (&disk, &body);
            scope.spawn(move || {
                let mut connection = connect(&disk.place);
                for number in 0..4 {
                    let mut params = task("Large", &format!("{writer}-{number}"));
                    params["body"] = json!(body);
                    let denial = call(&mut connection, "task.start", &params).unwrap_err();
                    assert_eq!(denial["code"], "DENIED_STORAGE_FULL", "{denial}");
                }
            });
        }
    });
    assert_eq!(disk.place.daemon_pid(), pid, "the daemon lives");
    let count = |disk: &SmallDisk| disk.place.ok(&["R0"])["counts"]["tasks_active"].as_u64();
    assert_eq!(
        count(&disk),
        Some(acknowledged.len() as u64),
        "reading goes on, and nothing is lost or half there"
    );

    fs::remove_file(disk.inside("ballast")).unwrap();
    for _ in 0..20 {
        let outcome = write();
        assert!(outcome.status.success(), "{outcome:?}");
        let reply: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        acknowledged.push(reply["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(count(&disk), Some(acknowledged.len() as u64));
    assert_integrity(&disk.place);
    assert_eq!(disk.place.daemon_pid(), pid);
    // SQLite resolves links, and so cannot be shown the daemon's own view of the file system.
    let copy = disk.place.path("copy.db");
    for ending in ["", "-wal"] {
        let from = disk.inside(&format!("AI/db/kaizen.db{ending}"));
        fs::copy(from, disk.place.path(&format!("copy.db{ending}"))).unwrap();
    }
    let connection = rusqlite::Connection::open(&copy).unwrap();
    let mut statement = connection.prepare("SELECT count(*) FROM tasks WHERE id = $1").unwrap();
    for id in &acknowledged {
        assert_eq!(statement.query_row([id], |row| row.get::<_, i64>(0)).unwrap(), 1, "{id} was lost");
    }
    drop(statement);
    drop(connection);
    assert_file_sound(&copy);
}
