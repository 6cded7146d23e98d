//! A place to run the real programs in: a HOME, a runtime directory and projects of its own, and a daemon.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kaizen_proto::client::{ConnectError, Connection};
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::hello::{Hello, PROTOCOL, RootSource, method};
use tempfile::TempDir;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The directory that cargo builds into. Places lie below it, on a real disk, where a sync costs what it costs users.
fn target_directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("where this program is")?;
    let directory = program.ancestors().nth(2).context("this program lies in no target directory")?;
    Ok(directory.to_path_buf())
}

/// Builds something with cargo, quietly.
pub(crate) fn cargo(arguments: &[&str], flags: Option<&str>) -> anyhow::Result<()> {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.arg("build").arg("--quiet").args(arguments).current_dir(WORKSPACE);
    build.env("CARGO_TARGET_DIR", target_directory()?);
    if let Some(flags) = flags {
        build.env("RUSTFLAGS", flags);
    }
    let status = build.status().context("cargo does not start")?;
    ensure!(status.success(), "cargo build {} failed", arguments.join(" "));
    Ok(())
}

/// A program that cargo built: where it lies below the target directory.
pub(crate) fn built(path: &[&str]) -> anyhow::Result<PathBuf> {
    let mut program = target_directory()?;
    program.extend(path);
    program.set_extension(std::env::consts::EXE_EXTENSION);
    ensure!(program.is_file(), "{} was not built", program.display());
    Ok(program)
}

/// The daemon's program as it is released, unless another one is named.
pub(crate) fn daemon_program(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(program) = given {
        return fs::canonicalize(program).with_context(|| program.display().to_string());
    }
    cargo(&["--release", "--package", "kaizend"], None)?;
    built(&["release", "kaizend"])
}

/// Runs this program once more with the same arguments, optimised, for a chore whose figures count.
pub(crate) fn run_optimised() -> anyhow::Result<ExitCode> {
    cargo(&["--release", "--package", "xtask"], None)?;
    let mut command = Command::new(built(&["release", "xtask"])?);
    let status = command.args(std::env::args_os().skip(1)).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A place, deleted when it is dropped.
pub(crate) struct Place {
    directory: TempDir,
    program: PathBuf,
}

impl Place {
    /// A fresh place for this daemon program.
    pub(crate) fn new(program: PathBuf) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("place-").tempdir_in(target_directory()?)?;
        fs::create_dir(directory.path().join("home"))?;
        Ok(Place { directory, program })
    }

    /// The daemon's program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// A path in this place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A project in this place, created when it is not there.
    pub(crate) fn project(&self, name: &str) -> anyhow::Result<Project> {
        let root = self.path(name);
        fs::create_dir_all(&root)?;
        Ok(Project { root })
    }

    /// The daemon's own directory.
    pub(crate) fn runtime(&self) -> RuntimeDir {
        RuntimeDir::at(self.path("run"))
    }

    /// A program with this place's environment and nothing else.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("KAIZEN_RUNTIME_DIR", self.runtime().path())
            // Should this program be interrupted, its daemons end by themselves.
            .env("KAIZEN_IDLE_EXIT", "120")
            .stdin(Stdio::null());
        command
    }

    /// Starts the daemon and waits until it listens.
    pub(crate) fn start(&self) -> anyhow::Result<Daemon> {
        self.start_with(&[])
    }

    /// Starts the daemon with these variables in its environment too.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> anyhow::Result<Daemon> {
        let errors = self.path("daemon.err");
        let mut command = self.command(&self.program);
        command
            .arg("--detach")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?);
        let mut process = command.spawn().with_context(|| self.program.display().to_string())?;
        let mut word = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut word)?;
        }
        let daemon = Daemon { process, socket: self.runtime().socket() };
        if word != "ready\n" {
            drop(daemon);
            bail!("the daemon did not start: {}", fs::read_to_string(&errors).unwrap_or_default());
        }
        Ok(daemon)
    }
}

/// A project's root.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
}

impl Project {
    /// Its database.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("AI/db/kaizen.db")
    }

    /// The parameters of `hello` for it.
    pub(crate) fn hello(&self) -> String {
        let hello = Hello {
            protocol: PROTOCOL,
            client: "xtask".into(),
            version: kaizen_proto::VERSION.into(),
            project_root: Some(self.root.display().to_string()),
            root_source: RootSource::Named,
            ..Hello::default()
        };
        // Plain data always has a text.
        serde_json::to_string(&hello).unwrap_or_default()
    }
}

/// A daemon that runs. It is killed when it is dropped.
pub(crate) struct Daemon {
    process: Child,
    pub(crate) socket: PathBuf,
}

impl Daemon {
    /// A connection that has said hello for a project.
    pub(crate) fn connect(&self, project: &Project) -> anyhow::Result<Connection> {
        let mut connection = Connection::open(&self.socket).map_err(|error| match error {
            ConnectError::NoDaemon => anyhow::anyhow!("no daemon listens at {}", self.socket.display()),
            denied @ ConnectError::Denied(_) => denied.into(),
        })?;
        connection.call(method::HELLO, &project.hello()).context("hello")?;
        Ok(connection)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill();
    }
}

/// Waits for a while.
#[expect(clippy::disallowed_methods, reason = "the length of the pause is what is tried or measured here")]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}
