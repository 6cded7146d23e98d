//! The daemon's life: one per user and one owner per plane, whatever is lying around; gone without losing a reply.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::checks::{assert_sound, connect, socket};
use crate::context::{Place, programs, wait_for};

const W1: [&str; 5] = ["W1", "--title", "Task", "--summary", "A task."];

/// The same place with another runtime directory, whose daemon ends when this is dropped.
struct Elsewhere<'a> {
    place: &'a Place,
    runtime: PathBuf,
}

impl<'a> Elsewhere<'a> {
    fn new(place: &'a Place, name: &str) -> Self {
        Elsewhere { place, runtime: place.path(name) }
    }

    fn command(&self) -> Command {
        let mut command = self.place.command("kaizenctl");
        command.env("KAIZEN_RUNTIME_DIR", &self.runtime);
        command
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        self.command().args(arguments).arg("--json").output().unwrap()
    }
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        let _ = self.run(&["daemon", "stop", "--all"]);
    }
}

fn reply(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

fn is_alive(pid: u32) -> bool {
    // A killed child of nobody's is reaped by init; until then it is a zombie, which is not alive.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

fn crash(pid: u32) {
    kill(pid, Signal::KILL);
    wait_for("the killed daemon's end", || !is_alive(pid));
}

/// The daemons that were started with this runtime directory.
fn daemons(runtime: &Path) -> Vec<u32> {
    let variable = format!("KAIZEN_RUNTIME_DIR={}", runtime.display());
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let of_runtime = environment.split(|byte| *byte == 0).any(|text| text == variable.as_bytes());
        if name.trim() == "kaizend" && of_runtime && is_alive(pid) {
            pids.push(pid);
        }
    }
    pids
}

fn log_text(runtime: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(runtime.join("logs")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("kaizend.") {
            text += &fs::read_to_string(entry.path()).unwrap();
        }
    }
    text
}

fn lock_is_free(path: &Path) -> bool {
    !matches!(File::open(path).unwrap().try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Copies of the programs in a directory of the place.
fn install(place: &Place, names: &[&str]) -> PathBuf {
    let bin = place.path("bin");
    fs::create_dir_all(&bin).unwrap();
    for name in names {
        crate::context::copy_program(name, &bin);
    }
    bin
}

#[test]
fn fifty_clients_on_a_cold_start_meet_one_daemon() {
    programs();
    let place = Place::new();
    let start = Barrier::new(50);
    let pids: Vec<Value> = thread::scope(|scope| {
        let clients: Vec<_> = (0..50)
            .map(|number| {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    start.wait();
                    if number % 2 == 0 {
                        place.ok(&W1);
                        None
                    } else {
                        Some(place.ok(&["daemon", "start"])["pid"].clone())
                    }
                })
            })
            .collect();
        clients.into_iter().filter_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(pids.len(), 25);
    assert!(pids.iter().all(|pid| *pid == place.daemon_pid()), "{pids:?}");
    wait_for("the losers of the start to end", || daemons(&place.runtime()) == [place.daemon_pid()]);
    assert_eq!(log_text(&place.runtime()).matches("ready").count(), 1, "only one ever listened");
    assert_eq!(place.count("SELECT count(*) FROM tasks"), 25);
    assert_sound(&place);
}

#[test]
fn a_client_of_another_daemon_is_served_by_the_owner() {
    let place = Place::new();
    place.ok(&W1);
    let owner = place.daemon_pid();
    let elsewhere = Elsewhere::new(&place, "elsewhere");
    let second = reply(&elsewhere.run(&W1));
    assert_eq!(second["seq"], 2);
    let other = reply(&elsewhere.run(&["daemon", "status"]));
    assert_ne!(other["pid"], owner);
    assert_eq!(other["projects"], serde_json::json!([]), "the other daemon opened nothing");
    assert_eq!(place.daemon_pid(), owner);

    // Its endpoint does not exist here: another container's, say.
    let lock = place.root.join("AI/db/kaizend.lock");
    fs::write(&lock, format!(r#"{{"pid":{owner},"endpoint":"/nowhere/kaizend.sock"}}"#)).unwrap();
    let started = Instant::now();
    let output = elsewhere.run(&W1);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let denial: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(denial["code"], "DENIED_OWNED");
    assert_eq!(denial["pid"], owner);
    assert_eq!(denial["endpoint"], "/nowhere/kaizend.sock");

    // When the owner lets go, the other takes over.
    place.stop();
    assert_eq!(reply(&elsewhere.run(&W1))["seq"], 3);
    assert_sound(&place);
}

#[test]
fn what_a_killed_daemon_leaves_behind_does_not_matter() {
    let place = Place::new();
    place.ok(&W1);
    let first = place.daemon_pid();
    crash(first);
    assert!(socket(&place).exists(), "the stale socket is what this is about");
    place.ok(&W1);
    let second = place.daemon_pid();
    assert_ne!(first, second);

    // The number in the lock file may belong to somebody else by now.
    crash(second);
    let mut foreign = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(place.runtime().join("daemon.lock"), format!("{}\n", foreign.id())).unwrap();
    place.ok(&W1);
    assert_eq!(foreign.try_wait().unwrap(), None, "the process with the stale number lives on");
    assert_eq!(place.count("SELECT count(*) FROM tasks"), 3);
    place.stop();
    assert_eq!(foreign.try_wait().unwrap(), None);
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    assert_sound(&place);
}

#[test]
fn a_daemon_whose_socket_was_deleted_comes_back_within_three_seconds() {
    let place = Place::new();
    place.ok(&W1);
    let pid = place.daemon_pid();
    fs::remove_file(socket(&place)).unwrap();
    let started = Instant::now();
    place.ok(&W1);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(place.daemon_pid(), pid);
    assert_eq!(daemons(&place.runtime()), [pid]);
    assert_sound(&place);
}

/// The whole directory takes the lock's file with it, so that a second daemon can take a lock of the same name.
#[test]
fn a_daemon_whose_directory_was_deleted_does_not_fight_with_the_next() {
    let place = Place::new();
    place.ok(&W1);
    fs::remove_dir_all(place.runtime()).unwrap();
    let started = Instant::now();
    place.ok(&W1);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    wait_for("all daemons but one to give way", || daemons(&place.runtime()).len() == 1);
    assert_eq!(daemons(&place.runtime()), [place.daemon_pid()]);
    assert_eq!(place.ok(&W1)["seq"], 3);
    assert_sound(&place);
}

#[test]
fn a_runtime_directory_that_is_a_link_is_refused() {
    let place = Place::new();
    let target = place.path("target");
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(place.runtime().parent().unwrap()).unwrap();
    symlink(&target, place.runtime()).unwrap();
    let started = Instant::now();
    place.denied(&W1, "DENIED_RUNTIME_DIR", 1);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(!target.join("kaizend.sock").exists());
    assert!(daemons(&place.runtime()).is_empty());
    assert!(!place.database().exists());
    fs::remove_file(place.runtime()).unwrap();
}

#[test]
fn a_daemon_that_is_missing_or_fails_is_explained() {
    let place = Place::new();
    let bin = install(&place, &["kaizenctl"]);
    let run = || {
        let mut command = place.command("kaizenctl");
        let mut found = Command::new(bin.join("kaizenctl"));
        found.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        found.env("PATH", "/nonexistent").current_dir(&place.root);
        command = found;
        let output = command.args(W1).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty());
        let denial: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(denial["code"], "DENIED_DAEMON_START", "{denial}");
        denial
    };
    let missing = run();
    assert!(missing["example"].as_str().is_some_and(|example| !example.is_empty()), "{missing}");
    assert!(missing["program"].as_str().unwrap().ends_with("kaizend"), "{missing}");

    let failing = bin.join("kaizend");
    fs::write(&failing, "#!/bin/sh\necho 'no luck today' >&2\nexit 3\n").unwrap();
    fs::set_permissions(&failing, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let failed = run();
    assert!(failed["log"].as_str().unwrap().contains("no luck today"), "{failed}");
    assert!(!place.database().exists());
}

#[test]
fn the_daemon_command_starts_describes_restarts_and_stops() {
    let place = Place::new();
    let idle = place.ok(&["daemon", "status"]);
    assert_eq!(idle["running"], false);
    assert!(daemons(&place.runtime()).is_empty(), "asking starts nothing");

    place.ok(&W1);
    let status = place.ok(&["daemon", "status"]);
    assert_eq!(status["running"], true);
    assert_eq!(status["version"], kaizen_proto::VERSION);
    assert_eq!(status["protocol"], kaizen_proto::hello::PROTOCOL);
    assert_eq!(
        status["pid"].as_u64().map(|pid| vec![u32::try_from(pid).unwrap()]),
        Some(daemons(&place.runtime()))
    );
    assert!(status["uptime_s"].as_u64().is_some_and(|seconds| seconds < 60), "{status}");
    assert_eq!(status["endpoint"], socket(&place).to_str().unwrap());
    assert_eq!(status["draining"], false);
    let project = &status["projects"][0];
    assert_eq!(project["root"], fs::canonicalize(&place.root).unwrap().to_str().unwrap());
    assert_eq!(project["seq"], 1);
    assert_eq!(project["queue_depth"], 0);
    assert_eq!(project["wal_bytes"], fs::metadata(place.root.join("AI/db/kaizen.db-wal")).unwrap().len());
    assert!(project["idle_s"].is_u64());

    let logs = place.run(["daemon", "logs"]);
    assert!(logs.status.success() && logs.stdout.contains("ready"), "{logs:?}");

    let restarted = place.ok(&["daemon", "restart"]);
    assert_ne!(restarted["pid"], status["pid"]);
    assert_eq!(daemons(&place.runtime()).len(), 1);

    // With a second project open, `stop` closes only this one.
    let other = place.path("other");
    fs::create_dir_all(&other).unwrap();
    place.ok(&W1);
    place.ok(&[&W1[..], &["--project", other.to_str().unwrap()]].concat());
    let stopped = place.ok(&["daemon", "stop"]);
    assert_eq!((&stopped["daemon_ended"], &stopped["project_closed"]), (&false.into(), &true.into()));
    let status = place.ok(&["daemon", "status"]);
    assert_eq!(status["projects"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["projects"][0]["root"], fs::canonicalize(&other).unwrap().to_str().unwrap());
    assert!(!place.root.join("AI/db/kaizen.db-wal").exists(), "a closed plane has written its log back");

    let stopped = place.ok(&["daemon", "stop", "--project", other.to_str().unwrap()]);
    assert_eq!(stopped["daemon_ended"], true, "it had no other");
    assert!(lock_is_free(&place.runtime().join("daemon.lock")));

    place.ok(&W1);
    place.ok(&["daemon", "stop", "--all"]);
    assert!(lock_is_free(&place.runtime().join("daemon.lock")), "it returns when the lock is free");
    assert!(!socket(&place).exists());
    assert!(!place.root.join("AI/db/kaizen.db-wal").exists());
    // The lock is let go shortly before the process is gone.
    wait_for("the process to end", || daemons(&place.runtime()).is_empty());
    assert_sound(&place);
}

/// Eight writers go on while the daemon is ended five times. kaizenctl waits for the next one by itself.
#[test]
fn a_drain_loses_nothing_and_no_writer_notices() {
    let place = Place::new();
    place.ok(&["K1"]);
    let done = AtomicBool::new(false);
    let acknowledged: Vec<String> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let (place, done) = (&place, &done);
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    while !done.load(Ordering::Acquire) {
                        ids.push(place.id(&W1));
                    }
                    ids
                })
            })
            .collect();
        for _ in 0..5 {
            let written = place.count("SELECT count(*) FROM tasks");
            wait_for("the writers to be at work", || {
                place.count("SELECT count(*) FROM tasks") > written + 10
            });
            let pid = place.daemon_pid();
            kill(pid, Signal::TERM);
            wait_for("the daemon's end", || !is_alive(pid));
        }
        done.store(true, Ordering::Release);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let stored = place.count("SELECT count(*) FROM tasks");
    assert_eq!(stored, i64::try_from(acknowledged.len()).unwrap(), "each call wrote once");
    for id in &acknowledged {
        assert_eq!(place.count(&format!("SELECT count(*) FROM tasks WHERE id = '{id}'")), 1, "{id} was lost");
    }
    assert!(log_text(&place.runtime()).matches("told to end").count() >= 5);
    assert_sound(&place);
}

#[test]
fn an_idle_daemon_ends_and_a_held_connection_does_not_keep_it() {
    let place = Place::new();
    let started = place.command("kaizenctl").args(W1).env("KAIZEN_IDLE_EXIT", "1").output().unwrap();
    assert!(started.status.success(), "{started:?}");
    let pid = daemons(&place.runtime())[0];
    let connection = connect(&place);
    wait_for("the idle daemon's end", || !is_alive(pid));
    drop(connection);
    assert!(!socket(&place).exists());
    assert!(lock_is_free(&place.runtime().join("daemon.lock")));
    assert_sound(&place);
}

#[test]
fn paths_longer_than_a_socket_path_work() {
    let place = Place::new();
    let deep = |name: &str| {
        let path = place.path(name).join("d".repeat(60)).join("e".repeat(60));
        fs::create_dir_all(&path).unwrap();
        path
    };
    let (project, home) = (deep("long project ü"), deep("home"));
    let run = |arguments: &[&str]| {
        let mut command = place.command("kaizenctl");
        command.env("HOME", &home).env("KAIZEN_REPO_ROOT", &project).stdin(Stdio::null());
        reply(&command.args(arguments).arg("--json").output().unwrap())
    };
    run(&W1);
    assert_eq!(run(&W1)["seq"], 2);
    assert!(project.join("AI/db/kaizen.db").exists());
    let endpoint = PathBuf::from(run(&["daemon", "status"])["endpoint"].as_str().unwrap());
    assert!(endpoint.as_os_str().len() < 104, "{}", endpoint.display());
    assert_eq!(endpoint.metadata().map(|metadata| mode(&metadata)).unwrap(), 0o600);
    assert_eq!(endpoint.parent().unwrap().metadata().map(|metadata| mode(&metadata)).unwrap(), 0o700);
    run(&["daemon", "stop", "--all"]);
    assert!(!endpoint.exists());
    fs::remove_dir(endpoint.parent().unwrap()).unwrap();
}

fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}
