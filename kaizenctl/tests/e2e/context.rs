//! A project in a fresh directory, with a HOME and a daemon of its own, driven by the real programs.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A place to run kaizenctl in. The daemon that it starts ends when this is dropped.
pub(crate) struct Place {
    directory: TempDir,
    /// The project's root, a directory that holds nothing.
    pub(crate) root: PathBuf,
}

/// What a call printed and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
}

/// The directory of the programs under test. The daemon is built here because cargo builds only this package's own.
pub(crate) fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let kaizenctl = Path::new(env!("CARGO_BIN_EXE_kaizenctl"));
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "kaizend"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "kaizend does not build");
        kaizenctl.parent().unwrap().to_path_buf()
    })
}

/// Copies a program under test into a directory. Another process does it: a test that forks while this one holds the copy
/// open for writing would keep it from being executed.
pub(crate) fn copy_program(name: &str, directory: &Path) {
    let copied = Command::new("cp").arg(programs().join(name)).arg(directory).status().unwrap();
    assert!(copied.success(), "cp {name}: {copied}");
}

impl Place {
    /// A fresh place.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("kz").tempdir().unwrap();
        let root = directory.path().join("project");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir_all(directory.path().join("home")).unwrap();
        Place { directory, root }
    }

    /// A directory of this place beside the project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The daemon's own directory.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.path("home/.local/state/kaizen")
    }

    /// The project's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("AI/db/kaizen.db")
    }

    /// A program under test with this place's environment and nothing else, in the project's root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("KAIZEN_REPO_ROOT", &self.root)
            .current_dir(&self.root);
        command
    }

    /// Runs kaizenctl with these arguments.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        finish(self.command("kaizenctl").args(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs kaizenctl with this text on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut command = self.command("kaizenctl");
        command.args(arguments);
        feed(command, input)
    }

    /// Runs kaizenctl with `--json` and returns the reply, which must be a success.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Value {
        let outcome = self.run(arguments.iter().chain(&["--json"]));
        assert!(outcome.status.success(), "{arguments:?}: {outcome:?}");
        assert_eq!(outcome.stderr, "", "{arguments:?}");
        let reply: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(reply["status"], "OK", "{arguments:?}: {reply}");
        reply
    }

    /// Runs kaizenctl with `--json` and returns the denial, which must be one with this code and exit status.
    pub(crate) fn denied(&self, arguments: &[&str], code: &str, exit_code: i32) -> Value {
        let outcome = self.run(arguments.iter().chain(&["--json"]));
        outcome.assert_denied(code, exit_code)
    }

    /// The id of a reply to a write.
    pub(crate) fn id(&self, arguments: &[&str]) -> String {
        self.ok(arguments)["id"].as_str().unwrap().to_owned()
    }

    /// The daemon's process, from its own answer.
    pub(crate) fn daemon_pid(&self) -> u32 {
        u32::try_from(self.ok(&["daemon", "status"])["pid"].as_u64().unwrap()).unwrap()
    }

    /// Ends the daemon and waits until it has gone.
    pub(crate) fn stop(&self) {
        self.ok(&["daemon", "stop", "--all"]);
    }

    /// A connection of this test's own to the database, as a hand that tampers would open it.
    pub(crate) fn tamper(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).unwrap()
    }

    /// Number of rows that a query counts.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        self.tamper().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stopped = self.command("kaizenctl").args(["daemon", "stop", "--all"]).output();
        if let Ok(stopped) = stopped
            && !stopped.status.success()
            && !std::thread::panicking()
        {
            eprintln!("the daemon did not stop: {}", String::from_utf8_lossy(&stopped.stderr));
        }
    }
}

impl Outcome {
    /// The denial on standard error, which must have this code and exit status.
    pub(crate) fn assert_denied(&self, code: &str, exit_code: i32) -> Value {
        assert_eq!(self.stdout, "", "{self:?}");
        let denial: Value =
            serde_json::from_str(&self.stderr).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(denial["code"], code, "{denial}");
        assert_eq!(self.status.code(), Some(exit_code), "{denial}");
        assert_eq!(denial["exit_code"], exit_code, "{denial}");
        assert!(denial["required_action"].as_str().is_some_and(|action| !action.is_empty()), "{denial}");
        denial
    }
}

/// Runs a command with this text on standard input.
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A call that is denied early may not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    finish(child.wait_with_output().unwrap())
}

fn finish(output: Output) -> Outcome {
    Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        status: output.status,
    }
}

/// Waits until `condition` holds, looking again every few milliseconds; fails after ten seconds.
pub(crate) fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    wait_up_to(Duration::from_secs(10), what, condition);
}

/// [`wait_for`] that fails after another time.
#[expect(clippy::disallowed_methods, reason = "there is no event for another process's state")]
pub(crate) fn wait_up_to(longest: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + longest;
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
