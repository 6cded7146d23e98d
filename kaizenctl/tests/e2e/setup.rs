//! The installers, run as they are, with the programs under test in place of built ones.

mod bootstrap;
mod building;
mod plans;
mod skills;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::context::{Outcome, feed, programs};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const INSTALLERS: [&str; 3] = ["setup.sh", "install-kaizen.sh", "link-skills.sh"];

/// A fresh HOME with a checkout below DEVROOT, of which only what the installers need is there.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("kz").tempdir().unwrap();
        let machine = Machine { directory };
        let checkout = machine.checkout();
        fs::create_dir_all(machine.home()).unwrap();
        fs::create_dir_all(&checkout).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-r")
            .args(["setup", ".agents", ".claude", "Cargo.toml"].map(|name| Path::new(REPOSITORY).join(name)));
        assert!(copy.arg(&checkout).status().unwrap().success());
        // What an installation in the real checkout has left there.
        for mirror in [".agents", ".claude"] {
            let _ = fs::remove_file(checkout.join(mirror).join("skills/LINKED.md"));
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("home")
    }

    fn dev(&self) -> PathBuf {
        self.path("dev")
    }

    fn checkout(&self) -> PathBuf {
        self.dev().join("kaizen")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.home());
        command.current_dir(self.path(""));
        command
    }

    /// Runs an installer of the checkout.
    fn run(&self, installer: &str, arguments: &[&str]) -> Outcome {
        let mut command = self.command("bash");
        command.arg(self.checkout().join("setup").join(installer)).args(arguments);
        feed(command, b"")
    }

    /// Runs setup.sh with the programs under test.
    fn setup(&self, arguments: &[&str]) -> Outcome {
        let outcome =
            self.run("setup.sh", &[&["--programs", programs().to_str().unwrap()], arguments].concat());
        assert!(outcome.status.success(), "{outcome:?}");
        outcome
    }

    /// Runs the installed kaizenctl.
    fn kaizenctl(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(self.home().join(".local/bin/kaizenctl"));
        command.args(arguments);
        feed(command, b"")
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dev().join("kaizen-setup/setup-state.json")).unwrap()).unwrap()
    }

    /// The status of each step in the state file.
    fn statuses(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let steps = state["steps"].as_array().unwrap().iter();
        steps
            .map(|step| {
                (step["id"].as_str().unwrap().to_owned(), step["status"].as_str().unwrap().to_owned())
            })
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let mut command = self.command(programs().join("kaizenctl"));
        let _ = command.args(["daemon", "stop", "--all"]).output();
    }
}

/// Every file and directory below a directory, with what is in it and when it was changed.
fn tree(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        // The programs are told by their size.
        let is_read = metadata.is_file() && metadata.len() < 1_000_000;
        let contents = match (is_read, metadata.is_file()) {
            (true, _) => fs::read(&path).unwrap(),
            (false, true) => metadata.len().to_be_bytes().to_vec(),
            (false, false) => Vec::new(),
        };
        found.insert(path, (contents, metadata.mtime(), metadata.mtime_nsec()));
    }
    found
}

fn code(outcome: &Outcome) -> Option<i32> {
    outcome.status.code()
}

#[test]
fn the_scripts_are_sound() {
    let setup = Path::new(REPOSITORY).join("setup");
    for entry in fs::read_dir(&setup).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            let mut command = Command::new("bash");
            command.arg("-n").arg(&path);
            let outcome = feed(command, b"");
            assert!(outcome.status.success() && outcome.stderr.is_empty(), "{outcome:?}");
        }
    }
    let mut command = Command::new("bash");
    command.arg(setup.join("embed-lib.sh")).arg("--check");
    let outcome = feed(command, b"");
    assert!(outcome.status.success(), "{outcome:?}");
    if Command::new("shellcheck").arg("--version").output().is_err() {
        eprintln!("skipped: shellcheck is missing");
        return;
    }
    let mut command = Command::new("sh");
    command.args(["-c", "shellcheck -x setup/*.sh .ci/run"]).current_dir(REPOSITORY);
    let outcome = feed(command, b"");
    assert!(outcome.status.success(), "{}", outcome.stdout);
}

#[test]
fn an_installation_is_whole_and_done_once() {
    let machine = Machine::new();
    fs::write(machine.home().join(".bashrc"), "alias x=y").unwrap();
    fs::write(machine.path("profile"), "umask 022\n").unwrap();
    symlink(machine.path("profile"), machine.home().join(".profile")).unwrap();
    let outcome = machine.setup(&[]);
    assert!(outcome.stdout.contains("is recorded as task"), "{}", outcome.stdout);
    assert!(
        outcome.stderr.contains("[  0%] [1/11] working: ") && outcome.stderr.contains("[100%] [11/11] OK: ")
    );
    assert!(!outcome.stderr.contains('\u{1b}'), "colours are for terminals");
    let state = machine.state();
    assert_eq!(state["installer"], "setup.sh");
    assert_eq!(state["repoRoot"], json!(machine.checkout()));
    assert_eq!(state["devRoot"], json!(machine.dev()));
    assert!(state["lastRun"].as_str().unwrap().ends_with('Z'));
    let statuses = machine.statuses();
    for (id, status) in &statuses {
        let expected = if ["build", "service"].contains(&id.as_str()) { "SKIPPED" } else { "OK" };
        assert_eq!(status, expected, "{id}");
    }
    assert_eq!(statuses.len(), 11);
    let skipped = state["steps"].as_array().unwrap().iter().find(|step| step["id"] == "service").unwrap();
    assert!(skipped["reason"].as_str().unwrap().contains("--service"), "{skipped}");

    // The programs run, the project is open, and the installation is on record.
    let checkout = machine.checkout();
    let reply = machine.kaizenctl(&["Q9", "--json", "--project", checkout.to_str().unwrap()]);
    assert!(reply.stdout.contains("VERIFIED_ACCEPTABLE"), "{reply:?}");
    // The profile stays a link, keeps its text, and makes kaizenctl known to every shell.
    assert!(fs::symlink_metadata(machine.home().join(".profile")).unwrap().is_symlink());
    let profile = fs::read_to_string(machine.path("profile")).unwrap();
    assert!(profile.starts_with("umask 022\n") && profile.lines().count() == 2, "{profile}");
    let bashrc = fs::read_to_string(machine.home().join(".bashrc")).unwrap();
    assert!(bashrc.starts_with("alias x=y\n") && bashrc.ends_with("# kaizen-setup\n"), "{bashrc}");
    assert!(!machine.home().join(".zshrc").exists());
    for shell in ["sh", "bash"] {
        let mut command = machine.command(shell);
        command.args([
            "-euc",
            ". ~/.profile; . ~/.profile; kaizenctl --version; echo \"$DEVROOT\"; echo \"$PATH\"",
        ]);
        let outcome = feed(command, b"");
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(lines[..2], ["kaizenctl 0.1.0", machine.dev().to_str().unwrap()], "{outcome:?}");
        assert_eq!(lines[2].matches(".local/bin").count(), 1, "{outcome:?}");
    }
    // So are the completions, also without the package bash-completion.
    let mut command = machine.command("bash");
    command.args(["--norc", "-ic", ". ~/.bashrc; complete -p kaizenctl"]);
    let outcome = feed(command, b"");
    assert!(outcome.stdout.contains("-F _kaizenctl kaizenctl"), "{outcome:?}");

    let workspace: Value =
        serde_json::from_slice(&fs::read(checkout.join("_workspace/kaizen-tools.code-workspace")).unwrap())
            .unwrap();
    assert_eq!(workspace["folders"][0], json!({"name": "Kaizen", "path": ".."}));
    assert_eq!(workspace["folders"][1]["path"], "../../SKILLS");
    assert!(checkout.join("open-kaizen-vscode.sh").exists());

    // A second run changes nothing but the state.
    let kept = |machine: &Machine| {
        let mut files = tree(&machine.path(""));
        files.retain(|path, _| {
            let name = path.to_string_lossy();
            !["/AI", "/kaizen-setup", "/state/kaizen"].iter().any(|part| name.contains(part))
        });
        files
    };
    let before = kept(&machine);
    let outcome = machine.setup(&[]);
    assert!(
        outcome.stdout.contains("recorded already") && outcome.stdout.contains("up to date"),
        "{outcome:?}"
    );
    let after = kept(&machine);
    for (path, (contents, ..)) in &before {
        assert!(after.get(path).is_some_and(|(now, ..)| now == contents), "{}", path.display());
    }
    assert_eq!(before.len(), after.len());
    assert_eq!(machine.statuses()["record"], "SKIPPED");

    // Away with it: the profiles are as they were, the records stay.
    let outcome = machine.run("setup.sh", &["--uninstall"]);
    assert_eq!(code(&outcome), Some(0), "{outcome:?}");
    assert_eq!(fs::read_to_string(machine.path("profile")).unwrap(), "umask 022\n");
    assert_eq!(fs::read_to_string(machine.home().join(".bashrc")).unwrap(), "alias x=y\n");
    for gone in [
        ".local/bin/kaizenctl",
        ".local/bin/kaizend",
        ".local/share/bash-completion/completions/kaizenctl",
        ".local/share/zsh/site-functions/_kaizenctl",
        ".config/fish/completions/kaizenctl.fish",
    ] {
        assert!(!machine.home().join(gone).exists(), "{gone}");
    }
    assert!(!machine.dev().join("kaizen-setup/env.sh").exists());
    assert!(checkout.join("AI/db/kaizen.db").exists());
    assert_eq!(code(&machine.run("setup.sh", &["--uninstall"])), Some(0));
}

#[test]
fn another_project_gets_its_data_plane_only() {
    let machine = Machine::new();
    let project = machine.path("a project");
    fs::create_dir(&project).unwrap();
    let dev = machine.path("it's here");
    let project_name = project.to_str().unwrap();
    let outcome = machine.setup(&[
        "--project",
        project_name,
        "--no-user-env-writes",
        "--no-progress",
        dev.to_str().unwrap(),
    ]);
    assert_eq!(outcome.stderr, "");
    assert!(project.join("AI/db/kaizen.db").exists());
    assert_eq!(fs::read_dir(&project).unwrap().count(), 1, "nothing but AI is made");
    assert!(!machine.home().join(".profile").exists());
    // Whoever wants it reads env.sh by hand, whatever DEVROOT is called.
    let mut command = machine.command("sh");
    command
        .args(["-euc", ". \"$1\"; kaizenctl --version; echo \"$DEVROOT\"", "sh"])
        .arg(dev.join("kaizen-setup/env.sh"));
    let outcome = feed(command, b"");
    assert_eq!(outcome.stdout, format!("kaizenctl 0.1.0\n{}\n", dev.display()), "{outcome:?}");
}

#[test]
fn a_service_is_installed_only_when_it_is_wanted() {
    let machine = Machine::new();
    let unit = machine.home().join(".config/systemd/user/kaizend.service");
    machine.setup(&["--no-progress"]);
    assert!(!unit.exists());
    // A stand-in for systemctl: there is no user's manager where tests run.
    let stub = machine.path("stub");
    fs::create_dir(&stub).unwrap();
    fs::write(stub.join("systemctl"), "#!/bin/sh\necho \"$*\" >> \"$HOME/systemctl.log\"\n").unwrap();
    fs::set_permissions(stub.join("systemctl"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = machine.command("bash");
        command.arg(machine.checkout().join("setup/setup.sh")).args(arguments);
        command.env("PATH", format!("{}:/usr/bin:/bin", stub.display()));
        feed(command, b"")
    };
    let programs = programs().to_str().unwrap();
    // What is not allowed ends the run, and the state says why.
    let outcome = run(&["--programs", programs, "--service", "--no-external-actions"]);
    assert_eq!(code(&outcome), Some(1), "{outcome:?}");
    assert_eq!(machine.statuses()["service"], "FAILED");
    assert!(machine.state().to_string().contains("--no-external-actions forbids this"));
    assert!(!unit.exists());

    let outcome = run(&["--programs", programs, "--service"]);
    assert_eq!(code(&outcome), Some(0), "{outcome:?}");
    let text = fs::read_to_string(&unit).unwrap();
    let start = format!("ExecStart=\"{}\"\n", machine.home().join(".local/bin/kaizend").display());
    assert!(text.contains(&start) && text.contains("Restart=on-failure\n"), "{text}");
    let calls = fs::read_to_string(machine.home().join("systemctl.log")).unwrap();
    for call in ["--user daemon-reload", "--user enable kaizend.service", "--user restart kaizend.service"] {
        assert!(calls.lines().any(|line| line == call), "{calls}");
    }
    // Each command has a log of its own.
    let logs = machine.dev().join("kaizen-setup/logs");
    let log = fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path();
    let name = log.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("command-") && name.contains("-00") && name.ends_with("-systemctl.log"),
        "{name}"
    );
    let text = fs::read_to_string(&log).unwrap();
    for part in ["COMMAND: systemctl --user", "STARTED: ", "FINISHED: ", "EXIT CODE: 0"] {
        assert!(text.contains(part), "{text}");
    }
    let outcome = run(&["--uninstall"]);
    assert_eq!(code(&outcome), Some(0), "{outcome:?}");
    assert!(!unit.exists());
}
