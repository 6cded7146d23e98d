//! The database is deleted or replaced while writers are at work: no acknowledged write is missing from the file that
//! stood at the path, and the next call goes on with what stands there now.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::checks::{assert_file_sound, assert_integrity, call, connect, task};
use crate::context::{Place, wait_for};

const WRITERS: usize = 4;

/// One acknowledged write: when it was sent, when its reply came, and its id.
struct Write {
    sent: Instant,
    answered: Instant,
    id: String,
}

/// Writes from several connections while `swap` happens in the middle. Returns the acknowledged writes, and when the
/// swap began and ended. Writes may be refused with `refusal`; a writer goes on when that is retryable, and else stops.
fn write_while(place: &Place, refusal: &str, swap: impl FnOnce()) -> (Vec<Write>, Instant, Instant) {
    let (done, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (done, acknowledged) = (&done, &acknowledged);
                scope.spawn(move || {
                    let mut connection = connect(place);
                    let mut writes = Vec::new();
                    for number in 0.. {
                        if done.load(Ordering::Acquire) {
                            break;
                        }
                        let sent = Instant::now();
                        let name = format!("{writer}-{number}-{sent:?}");
                        match call(&mut connection, "task.start", &task(&name, &name)) {
                            Ok(reply) => {
                                let id = reply["id"].as_str().unwrap().to_owned();
                                writes.push(Write { sent, answered: Instant::now(), id });
                                acknowledged.fetch_add(1, Ordering::AcqRel);
                            }
                            Err(denial) => {
                                assert_eq!(denial["code"], refusal, "{denial}");
                                if denial["retryable"] != true {
                                    break;
                                }
                                assert_eq!(denial["exit_code"], 75);
                            }
                        }
                    }
                    writes
                })
            })
            .collect();
        let progress = |more: usize| {
            let before = acknowledged.load(Ordering::Acquire);
            let enough = || acknowledged.load(Ordering::Acquire) >= before + more;
            wait_for("the writers to go on", || {
                enough() || writers.iter().any(thread::ScopedJoinHandle::is_finished)
            });
        };
        progress(60);
        let began = Instant::now();
        swap();
        let ended = Instant::now();
        progress(60);
        done.store(true, Ordering::Release);
        let all = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        (all, began, ended)
    })
}

fn ids(database: &Path) -> BTreeSet<String> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT id FROM tasks").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Hard links to these files, so that the old database can be looked into once its name is gone.
fn keep(place: &Place, names: &[&str]) -> PathBuf {
    let directory = place.path("kept");
    fs::create_dir(&directory).unwrap();
    for name in names {
        fs::hard_link(place.root.join("AI/db").join(name), directory.join(name)).unwrap();
    }
    directory.join("kaizen.db")
}

fn crash(place: &Place) {
    let pid = place.daemon_pid();
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
    let gone = |pid: u32| {
        !fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
    };
    wait_for("the killed daemon's end", || gone(pid));
}

/// What is only in the daemon's memory, or in a file without a name, is gone after this.
fn assert_nothing_lost(
    place: &Place,
    old: &BTreeSet<String>,
    (writes, began, ended): &(Vec<Write>, Instant, Instant),
) {
    crash(place);
    let present = ids(&place.database());
    let (mut before, mut after) = (0, 0);
    for write in writes {
        if write.sent > *ended {
            after += 1;
            assert!(present.contains(&write.id), "acknowledged after the swap, and not in the present file");
        } else if write.answered < *began {
            before += 1;
            assert!(old.contains(&write.id), "acknowledged before the swap, and not in the old file");
        } else {
            assert!(
                old.contains(&write.id) || present.contains(&write.id),
                "acknowledged during the swap, and in neither file"
            );
        }
    }
    assert!(
        before > 30 && after > 30,
        "{before} writes before and {after} after the swap are too few to tell"
    );
    assert_file_sound(&place.database());
    assert_integrity(place);
}

fn shell(place: &Place, script: &str) {
    let status = Command::new("sh").args(["-c", script]).current_dir(&place.root).status().unwrap();
    assert!(status.success(), "{script}");
}

#[test]
fn removing_the_data_directory_under_writers_loses_nothing_that_was_acknowledged() {
    for round in 0..6 {
        let place = Place::new();
        place.ok(&["K1"]);
        let mut old = PathBuf::new();
        let run = write_while(&place, "DENIED_PLANE_REPLACED", || {
            old = keep(&place, &["kaizen.db", "kaizen.db-wal"]);
            // As `git clean -xfd` does, and as somebody does who removes the files but not the directory. The daemon
            // may make the directory anew while it is being removed, which ends rm with an error.
            let script =
                if round % 2 == 0 { "rm -rf AI || rm -rf AI || rm -rf AI" } else { "rm -f AI/db/kaizen.db*" };
            shell(&place, script);
        });
        let old = ids(&old);
        assert_nothing_lost(&place, &old, &run);
    }
}

/// A backup that holds 50 records; after it 50 more are written back into the database, and 50 stay in its log.
fn backed_up() -> (Place, PathBuf) {
    let place = Place::new();
    let fill = |part: &str| {
        place.ok(&["daemon", "start"]);
        let mut connection = connect(&place);
        for number in 0..50 {
            let name = format!("{part}-{number}");
            let mut params = task(&name, &name);
            params["body"] = "word ".repeat(400).into();
            call(&mut connection, "task.start", &params).unwrap();
        }
    };
    fill("backed up");
    let backup = place.ok(&["K3"])["files"][0]["path"].as_str().unwrap().to_owned();
    let kept = place.path("backup.db");
    fs::copy(place.root.join(backup), &kept).unwrap();
    fill("written back");
    place.stop();
    fill("in the log");
    (place, kept)
}

#[test]
fn a_backup_moved_over_the_database_under_writers_is_what_counts_from_then_on() {
    for _ in 0..4 {
        let (place, backup) = backed_up();
        let of_backup = ids(&backup);
        let mut old = PathBuf::new();
        let run = write_while(&place, "DENIED_PLANE_REPLACED", || {
            // Its log keeps its name, and so must not be what the old records are in from now on.
            old = keep(&place, &["kaizen.db"]);
            fs::rename(&backup, place.database()).unwrap();
        });
        let old = ids(&old);
        assert_nothing_lost(&place, &old, &run);
        let present = ids(&place.database());
        assert!(of_backup.is_subset(&present));
        let stale = "SELECT count(*) FROM tasks WHERE title LIKE 'written back%' OR title LIKE 'in the log%'";
        assert_eq!(place.count(stale), 0, "the old file's records came through its log");
    }
}

/// `cp` writes into the file that is there: the same inode with other content, which the log does not belong to. No
/// database survives that while it is open; what can be promised is that writes stop, and how the backup is restored.
#[test]
fn a_backup_copied_into_the_open_database_stops_all_writes() {
    let (place, backup) = backed_up();
    let of_backup = ids(&backup);
    let (_, _, ended) = write_while(&place, "DENIED_PLANE_SUSPECT", || {
        fs::copy(&backup, place.database()).unwrap();
    });
    assert!(ended.elapsed() < std::time::Duration::from_mins(1));
    place.denied(&["W1", "--title", "Late", "--summary", "After the copy."], "DENIED_PLANE_SUSPECT", 1);
    place.ok(&["daemon", "restart"]);
    // A compacted backup has its pages elsewhere, so the mixture with the log may not even open.
    let later = place.run(["W1", "--title", "Later", "--summary", "After the restart.", "--json"]);
    let code = serde_json::from_str::<serde_json::Value>(&later.stderr).unwrap()["code"].clone();
    assert!(code == "DENIED_PLANE_SUSPECT" || code == "DENIED_DATABASE_DAMAGED", "{later:?}");
    assert_eq!(later.status.code(), Some(1), "{later:?}");
    // With the daemon stopped, a copy is whole, and a passed check opens writes again.
    place.stop();
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.root.join(format!("AI/db/kaizen.db{ending}")));
    }
    fs::copy(&backup, place.database()).unwrap();
    assert_integrity(&place);
    place.ok(&["W1", "--title", "Again", "--summary", "The backup is what counts."]);
    assert!(of_backup.is_subset(&ids(&place.database())));
}

#[test]
fn a_plane_that_a_copy_has_spoilt_is_restored_while_the_daemon_runs() {
    let (place, backup) = backed_up();
    write_while(&place, "DENIED_PLANE_SUSPECT", || {
        fs::copy(&backup, place.database()).unwrap();
    });
    place.ok(&["K11", "--path", backup.to_str().unwrap(), "--allow-external"]);
    place.ok(&["W1", "--title", "Again", "--summary", "The backup is what counts."]);
    assert!(ids(&backup).is_subset(&ids(&place.database())));
    crate::checks::assert_sound(&place);
}

#[test]
fn the_next_call_opens_what_stands_there() {
    let place = Place::new();
    let call = || place.ok(&["W1", "--title", "Task", "--summary", "A task."])["seq"].clone();
    assert_eq!(call(), 1);
    assert_eq!(call(), 2);
    let pid = place.daemon_pid();
    fs::remove_dir_all(place.root.join("AI")).unwrap();
    assert_eq!(call(), 1, "a call that comes after the deletion finds a new plane without any denial");
    assert_eq!(place.ok(&["R0"])["counts"]["tasks_active"], 1);
    assert_eq!(place.daemon_pid(), pid);
    crate::checks::assert_sound(&place);
}
