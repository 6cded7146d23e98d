//! What this user may not do is said, and nothing is started or opened instead. Run as a user without rights, since
//! for root every file is writable.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::checks::socket;
use crate::context::{Place, programs};

const W1: [&str; 5] = ["W1", "--title", "Task", "--summary", "A task."];
const NOBODY: u32 = 65534;

/// A place of a user without rights.
struct Guest {
    place: Place,
    /// Prefix of a command that gives root's rights up; empty when this process has none.
    lower: Vec<String>,
    kaizenctl: PathBuf,
    closed: Vec<PathBuf>,
}

impl Guest {
    /// None, with a word about it, where this process is root and cannot become somebody else.
    fn new(test: &str) -> Option<Self> {
        let place = Place::new();
        if !rustix::process::geteuid().is_root() {
            let kaizenctl = programs().join("kaizenctl");
            return Some(Guest { place, lower: Vec::new(), kaizenctl, closed: Vec::new() });
        }
        let flags = ["--reuid", "--regid"].map(|flag| format!("{flag}={NOBODY}"));
        let lower = [&["setpriv".to_owned()], &flags[..], &["--clear-groups".to_owned()]].concat();
        if !Command::new(&lower[0])
            .args(&lower[1..])
            .arg("true")
            .status()
            .is_ok_and(|status| status.success())
        {
            println!("skipped {test}: running as root without setpriv");
            return None;
        }
        // The build's directory may be closed to others.
        let bin = place.path("bin");
        fs::create_dir(&bin).unwrap();
        for name in ["kaizenctl", "kaizend"] {
            crate::context::copy_program(name, &bin);
        }
        for path in [place.path(""), place.path("home"), place.root.clone()] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Some(Guest { place, lower, kaizenctl: bin.join("kaizenctl"), closed: Vec::new() })
    }

    fn is_root(&self) -> bool {
        !self.lower.is_empty()
    }

    fn command(&self) -> Command {
        let words: Vec<&str> =
            self.lower.iter().map(String::as_str).chain([self.kaizenctl.to_str().unwrap()]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().stdin(Stdio::null());
        let like = self.place.command("kaizenctl");
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(&self.place.root);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).arg("--json").output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> Value {
        reply(&self.run(arguments))
    }

    fn denied(&self, arguments: &[&str]) -> Value {
        let started = Instant::now();
        let denial = denial(&self.run(arguments));
        assert!(started.elapsed() < Duration::from_secs(3), "explained after {:?}", started.elapsed());
        denial
    }

    /// Takes rights away until the end of the test.
    fn restrict(&mut self, path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        self.closed.push(path.to_path_buf());
    }

    fn give_back(&mut self) {
        for path in self.closed.drain(..) {
            let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
        }
    }

    /// Daemons of this place's programs or, without copies of their own, of its directory.
    fn daemons(&self) -> usize {
        let home = format!("{}", self.place.path("home").display());
        let of_place = |pid: &str| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim() == "kaizend" && String::from_utf8_lossy(&environment).contains(&home)
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_str().is_some_and(of_place)).count()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.give_back();
        let _ = self.run(&["daemon", "stop", "--all"]);
    }
}

fn reply(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn denial(output: &Output) -> Value {
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let denial: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(denial["status"], "DENIED", "{denial}");
    assert_eq!(output.status.code().map(i64::from), denial["exit_code"].as_i64());
    denial
}

#[test]
fn a_socket_that_may_not_be_used_is_reported_and_nothing_is_started() {
    let Some(mut guest) = Guest::new("a_socket_that_may_not_be_used_is_reported_and_nothing_is_started")
    else {
        return;
    };
    let pid = guest.ok(&["daemon", "start"])["pid"].clone();
    let socket = socket(&guest.place);
    guest.restrict(&socket, 0o000);
    let denial = guest.denied(&W1);
    assert_eq!(denial["code"], "DENIED_DAEMON_UNREACHABLE", "{denial}");
    assert_eq!(denial["endpoint"], socket.to_str().unwrap());
    assert_eq!(guest.daemons(), 1);
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(guest.ok(&["daemon", "status"])["pid"], pid);
    assert!(!guest.place.database().exists());
}

#[test]
fn a_runtime_directory_that_may_not_be_entered_is_reported_and_nothing_is_started() {
    let Some(mut guest) =
        Guest::new("a_runtime_directory_that_may_not_be_entered_is_reported_and_nothing_is_started")
    else {
        return;
    };
    guest.ok(&["daemon", "start"]);
    guest.ok(&["daemon", "stop", "--all"]);
    let runtime = guest.place.runtime();
    guest.restrict(&runtime, 0o000);
    let denial = guest.denied(&W1);
    assert!(
        ["DENIED_DAEMON_UNREACHABLE", "DENIED_RUNTIME_DIR"].contains(&denial["code"].as_str().unwrap()),
        "{denial}"
    );
    assert!(denial.to_string().contains(runtime.to_str().unwrap()), "it names the place: {denial}");
    assert_eq!(guest.daemons(), 0);
    guest.give_back();
    guest.ok(&W1);
}

#[test]
fn a_home_that_is_read_only_is_reported_with_the_way_out() {
    let Some(mut guest) = Guest::new("a_home_that_is_read_only_is_reported_with_the_way_out") else { return };
    guest.restrict(&guest.place.path("home"), 0o500);
    let denial = guest.denied(&W1);
    assert_eq!(denial["code"], "DENIED_RUNTIME_DIR", "{denial}");
    assert!(denial["required_action"].as_str().unwrap().contains("KAIZEN_RUNTIME_DIR"), "{denial}");
    assert_eq!(guest.daemons(), 0);
    // The way out.
    let elsewhere = guest.place.path("elsewhere");
    let run = |arguments: &[&str]| {
        let mut command = guest.command();
        command.env("KAIZEN_RUNTIME_DIR", &elsewhere).args(arguments).arg("--json");
        reply(&command.output().unwrap())
    };
    run(&W1);
    assert_eq!(run(&W1)["seq"], 2);
    run(&["daemon", "stop", "--all"]);
}

#[test]
fn another_user_is_refused_by_the_daemon_and_refuses_it() {
    const NAME: &str = "another_user_is_refused_by_the_daemon_and_refuses_it";
    let Some(guest) = Guest::new(NAME) else { return };
    if !guest.is_root() {
        println!("skipped {NAME}: only root can reach another user's socket");
        return;
    }
    guest.ok(&W1);
    let mut stream = UnixStream::connect(socket(&guest.place)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // It may be closed before this is written.
    let _ = std::io::Write::write_all(&mut stream, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(String::from_utf8_lossy(&answer), "");

    let mut command = guest.place.command("kaizenctl");
    command.args(W1).arg("--json").env("KAIZEN_RUNTIME_DIR", guest.place.runtime());
    assert_eq!(denial(&command.output().unwrap())["code"], "DENIED_PEER");
    assert_eq!(guest.daemons(), 1);
    assert_eq!(guest.place.count("SELECT count(*) FROM tasks"), 1);
}

#[test]
fn a_data_directory_that_is_read_only_is_reported() {
    let Some(mut guest) = Guest::new("a_data_directory_that_is_read_only_is_reported") else { return };
    // Nothing there yet.
    guest.restrict(&guest.place.root.clone(), 0o500);
    let denial = guest.denied(&W1);
    assert_eq!(denial["code"], "DENIED_STORAGE_READ_ONLY", "{denial}");
    assert!(denial.to_string().contains(guest.place.root.to_str().unwrap()), "{denial}");
    guest.give_back();

    // A plane that exists, opened by a daemon that may not write there.
    guest.ok(&W1);
    guest.ok(&["daemon", "stop", "--all"]);
    let directory = guest.place.root.join("AI/db");
    guest.restrict(&directory, 0o500);
    fs::set_permissions(guest.place.database(), Permissions::from_mode(0o400)).unwrap();
    let before = fs::read(guest.place.database()).unwrap();
    let denial = guest.denied(&W1);
    assert_eq!(denial["code"], "DENIED_STORAGE_READ_ONLY", "{denial}");
    assert_eq!(fs::read(guest.place.database()).unwrap(), before);
    fs::set_permissions(guest.place.database(), Permissions::from_mode(0o600)).unwrap();
    guest.give_back();
    assert_eq!(guest.ok(&W1)["seq"], 2);
}

#[test]
fn a_migration_that_may_not_write_everywhere_writes_nowhere() {
    let Some(mut guest) = Guest::new("a_migration_that_may_not_write_everywhere_writes_nowhere") else {
        return;
    };
    let root = guest.place.root.clone();
    for name in ["a", "b", "closed"] {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("GOTCHA.md"), name).unwrap();
        if guest.is_root() {
            chown(root.join(name), Some(NOBODY), Some(NOBODY)).unwrap();
            chown(root.join(name).join("GOTCHA.md"), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    // Nobody can tell what is in there.
    guest.restrict(&root.join("closed"), 0o000);
    let planned = guest.ok(&["M2"]);
    assert_eq!(planned["count"], 9, "{planned}");
    let warning = planned["warnings"][0].as_str().unwrap();
    assert!(warning.contains("/closed: skipped, it cannot be read"), "{warning}");
    // The names can be read, what they stand for cannot.
    fs::set_permissions(root.join("closed"), Permissions::from_mode(0o400)).unwrap();
    assert_eq!(guest.denied(&["M2"])["code"], "DENIED_SURFACE_UNFIT");
    fs::set_permissions(root.join("closed"), Permissions::from_mode(0o000)).unwrap();

    guest.restrict(&root.join("b"), 0o500);
    let denial = guest.denied(&["M3"]);
    assert_eq!(denial["code"], "DENIED_STORAGE_READ_ONLY", "{denial}");
    assert_eq!(denial["rolled_back"], true, "{denial}");
    assert!(denial["path"].as_str().unwrap().contains("/b/"), "{denial}");
    for absent in ["evals", "a/evals"] {
        assert!(!root.join(absent).exists(), "{absent}");
    }
    for name in ["a", "b"] {
        assert_eq!(fs::read_to_string(root.join(name).join("GOTCHA.md")).unwrap(), name);
    }
    fs::set_permissions(root.join("b"), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(guest.ok(&["M3"])["count"], 9);
}
