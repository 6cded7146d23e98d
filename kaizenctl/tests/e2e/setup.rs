//! The installers, run as they are, with the programs under test in place of built ones.

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
fn plans_are_printed_and_nothing_else_happens() {
    let machine = Machine::new();
    let before = tree(&machine.path(""));
    let dev = machine.dev();
    for installer in INSTALLERS {
        for mode in ["--list-steps", "--plan-only", "--self-test"] {
            let outcome = machine.run(installer, &[mode, "--devroot", dev.to_str().unwrap(), "--no-input"]);
            assert_eq!(code(&outcome), Some(0), "{outcome:?}");
            match mode {
                "--self-test" => {
                    assert!(outcome.stderr.contains("SELFTEST: ") && !outcome.stderr.contains("OK: "));
                }
                _ => assert!(
                    outcome.stdout.contains(&format!("DEVROOT:   {}\n", dev.display())),
                    "{outcome:?}"
                ),
            }
            assert!(mode != "--plan-only" || outcome.stderr.contains("PLAN: "), "{outcome:?}");
            assert!(tree(&machine.path("")) == before, "{installer} {mode} has changed something");
        }
        let outcome =
            machine.run(installer, &["--self-test", "--no-progress", "--devroot", dev.to_str().unwrap()]);
        assert_eq!(outcome.stderr, "");
    }
    for arguments in [&["--uninstall", "--plan-only"][..], &["--uninstall", "--self-test"]] {
        assert_eq!(code(&machine.run("setup.sh", arguments)), Some(0));
    }
    assert!(tree(&machine.path("")) == before);
}

#[test]
fn plans_are_written_as_json() {
    let machine = Machine::new();
    let plan = |installer: &str, arguments: &[&str]| -> Value {
        let path = machine.path("plan.json");
        let fixed = ["--list-steps", "--emit-plan-json", path.to_str().unwrap()];
        let outcome = machine.run(installer, &[&fixed, arguments].concat());
        assert_eq!(code(&outcome), Some(0), "{outcome:?}");
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()
    };
    let value = plan("setup.sh", &["--no-network", "--no-user-env-writes"]);
    let steps = value["steps"].as_array().unwrap();
    let ids: Vec<&str> = steps.iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "preflight",
            "build",
            "programs",
            "completions",
            "environment",
            "skills",
            "workspace",
            "service",
            "db",
            "record",
            "summary"
        ]
    );
    assert_eq!(steps[0], json!({"index": 1, "id": "preflight", "name": "Look for what is needed"}));
    let mut head = value.clone();
    head.as_object_mut().unwrap().remove("steps");
    let dev = machine.dev();
    assert_eq!(
        head,
        json!({
            "installer": "setup.sh", "repoRoot": machine.checkout(), "devRoot": dev,
            "logRoot": dev.join("kaizen-setup/logs"), "planOnly": false, "selfTest": false,
            "safety": {"noNetwork": true, "noExternalActions": false, "noUserEnvWrites": true, "noInput": false},
        })
    );
    let value = plan("setup.sh", &["--plan-only", "--self-test"]);
    assert_eq!((&value["planOnly"], &value["selfTest"]), (&true.into(), &true.into()));
    let value = plan("install-kaizen.sh", &["--ref", "v1", "--repo-source", "https://example.com/\"x\".git"]);
    assert_eq!(
        (&value["repoSource"], &value["ref"]),
        (&"https://example.com/\"x\".git".into(), &"v1".into())
    );
    assert!(
        value.get("repoRoot").is_none() && value["devRoot"] == json!(machine.home().join("dev")),
        "{value}"
    );
    let value = plan("install-kaizen.sh", &["--duplicate", "shop"]);
    let ids: Vec<&str> =
        value["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["preflight", "create", "wrapper", "db", "skills", "workspace", "summary"]);
    let value = plan("link-skills.sh", &[]);
    assert_eq!(value["steps"].as_array().unwrap().len(), 4);
    // The modes can come from the environment, but not into the bootstrap.
    for (installer, taken) in [("setup.sh", true), ("link-skills.sh", true), ("install-kaizen.sh", false)] {
        let path = machine.path("modes.json");
        let mut command = machine.command("bash");
        command.arg(machine.checkout().join("setup").join(installer));
        command.args(["--list-steps", "--emit-plan-json"]).arg(&path).env("KAIZEN_SETUP_NO_NETWORK", "1");
        assert!(feed(command, b"").status.success());
        let value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(value["safety"]["noNetwork"], taken, "{installer}");
    }
    // The percentages are those of the steps.
    let outcome = machine.run("link-skills.sh", &["--list-steps"]);
    for part in ["  0% ->  25%", " 25% ->  50%", " 50% ->  75%", " 75% -> 100%"] {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }
}

#[test]
fn wrong_calls_are_refused() {
    let machine = Machine::new();
    let before = tree(&machine.path(""));
    for (installer, status) in [("setup.sh", 64), ("install-kaizen.sh", 64), ("link-skills.sh", 2)] {
        for arguments in [&["--no-such-flag"][..], &["--devroot"], &["one", "two"], &["--emit-plan-json", ""]]
        {
            let outcome = machine.run(installer, arguments);
            assert_eq!(code(&outcome), Some(status), "{installer} {arguments:?}: {outcome:?}");
            assert!(outcome.stderr.contains("Usage: "), "{outcome:?}");
        }
    }
    symlink("/etc", machine.path("link")).unwrap();
    let link = machine.path("link");
    for root in [
        "/",
        "//",
        "/usr",
        "/usr/",
        "/bin",
        "/sbin",
        "/lib",
        "/etc",
        "/etc/kaizen",
        "/var",
        "/boot",
        "/sys",
        "/proc",
        "/dev",
        "/tmp/../etc",
        "/usr/bin/../../etc/absent",
        link.to_str().unwrap(),
    ] {
        for mode in ["--list-steps", "--self-test"] {
            assert_eq!(code(&machine.run("setup.sh", &[mode, root])), Some(64), "{root}");
            assert_eq!(
                code(&machine.run("install-kaizen.sh", &[mode, "--devroot", root])),
                Some(64),
                "{root}"
            );
        }
        let mut command = machine.command("bash");
        command.arg(machine.checkout().join("setup/setup.sh")).arg("--list-steps").env("DEVROOT", root);
        assert_eq!(code(&feed(command, b"")), Some(64), "{root}");
    }
    fs::remove_file(&link).unwrap();
    for name in [".", "..", "a/b", "a b", "$x", "ü"] {
        assert_eq!(
            code(&machine.run("install-kaizen.sh", &["--list-steps", "--duplicate", name])),
            Some(64),
            "{name}"
        );
        assert_eq!(
            code(&machine.run("install-kaizen.sh", &["--list-steps", "--project-name", name])),
            Some(64)
        );
        assert_eq!(code(&machine.run("setup.sh", &["--list-steps", "--project-name", name])), Some(64));
    }
    assert_eq!(code(&machine.run("setup.sh", &["--list-steps", "--project", "absent"])), Some(69));
    let after = tree(&machine.path(""));
    assert!(after.keys().eq(before.keys()));
}

#[test]
fn a_repository_below_a_system_directory_still_installs() {
    // The parent of the checkout is the default, but nobody has asked for it.
    let machine = Machine::new();
    let outcome = feed(
        {
            let mut command = machine.command("bash");
            let script = ". \"$1\"; HOME=$2; use_dev_root '' /usr/..; echo \"$dev_root\"";
            command
                .args(["-c", script, "bash"])
                .arg(machine.checkout().join("setup/lib.sh"))
                .arg(machine.home());
            command
        },
        b"",
    );
    assert_eq!(outcome.stdout.trim(), machine.home().join("dev").to_str().unwrap());
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

#[test]
fn what_is_missing_is_named() {
    let machine = Machine::new();
    // No compiler and no cargo on this PATH.
    let tools = machine.path("tools");
    fs::create_dir(&tools).unwrap();
    for tool in [
        "bash", "basename", "dirname", "cat", "date", "mkdir", "mv", "rm", "tr", "sed", "cp", "grep",
        "uname", "id",
    ] {
        let found =
            ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(tool)).find(|path| path.exists());
        symlink(found.unwrap(), tools.join(tool)).unwrap();
    }
    let mut command = machine.command("bash");
    command.arg(machine.checkout().join("setup/setup.sh")).env("PATH", &tools);
    let outcome = feed(command, b"");
    assert_eq!(code(&outcome), Some(69), "{outcome:?}");
    assert!(outcome.stderr.contains("cargo is missing"), "{outcome:?}");
    assert_eq!(machine.statuses(), BTreeMap::from([("preflight".to_owned(), "FAILED".to_owned())]));
    assert!(!machine.home().join(".local").exists());
    let empty = machine.path("empty");
    fs::create_dir(&empty).unwrap();
    let outcome = machine.run("setup.sh", &["--programs", empty.to_str().unwrap()]);
    assert_eq!(code(&outcome), Some(69), "{outcome:?}");
    // Two runs at once would write over each other.
    let lock = machine.dev().join("kaizen-setup/setup.lock");
    fs::create_dir(&lock).unwrap();
    fs::write(lock.join("pid"), std::process::id().to_string()).unwrap();
    assert_eq!(code(&machine.run("setup.sh", &["--uninstall"])), Some(75));
    // One that was killed is no obstacle.
    fs::write(lock.join("pid"), "999999999").unwrap();
    assert_eq!(code(&machine.run("setup.sh", &["--uninstall"])), Some(0));
    assert!(!lock.exists());
}

#[test]
fn without_programs_they_are_built() {
    let machine = Machine::new();
    // A stand-in for cargo, which would take minutes: it writes down how it was called, and delivers.
    let stub = machine.path("stub");
    fs::create_dir(&stub).unwrap();
    let cargo = format!(
        "#!/bin/sh\n\
         case $* in --version) echo 'cargo 1.999.0 (x)'; exit ;; esac\n\
         echo \"$RUSTFLAGS|$*\" >> \"$HOME/cargo.log\"\n\
         case $* in\n\
         *kaizend*) mkdir -p target/release && cp '{programs}/kaizend' target/release/ ;;\n\
         *--target*) [ -z \"$NO_STATIC\" ] || exit 1; mkdir -p target/host/client && cp '{programs}/kaizenctl' target/host/client/ ;;\n\
         *) mkdir -p target/client && cp '{programs}/kaizenctl' target/client/ ;;\n\
         esac\n",
        programs = programs().display()
    );
    for (name, text) in
        [("cargo", cargo.as_str()), ("rustc", "#!/bin/sh\necho 'host: host'\n"), ("cc", "#!/bin/sh\n")]
    {
        fs::write(stub.join(name), text).unwrap();
        fs::set_permissions(stub.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let run = |arguments: &[&str], no_static: &str| {
        let mut command = machine.command("bash");
        command.arg(machine.checkout().join("setup/setup.sh")).arg("--no-progress").args(arguments);
        command.env("PATH", format!("{}:/usr/bin:/bin", stub.display())).env("NO_STATIC", no_static);
        let outcome = feed(command, b"");
        assert_eq!(code(&outcome), Some(0), "{outcome:?}");
        let calls = fs::read_to_string(machine.home().join("cargo.log")).unwrap();
        fs::remove_file(machine.home().join("cargo.log")).unwrap();
        calls.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let calls = run(&[], "");
    assert_eq!(calls[0], "|build --locked --quiet --release --package kaizend");
    assert!(
        calls[1].starts_with("-C target-feature=+crt-static ") && calls[1].ends_with("--target host"),
        "{calls:?}"
    );
    assert_eq!(calls.len(), 2);
    // Where a static client cannot be linked, the ordinary one is built; without a network cargo is told so.
    let calls = run(&["--no-network"], "1");
    assert_eq!(calls[2], "|build --locked --offline --quiet --profile client --package kaizenctl");
    assert!(machine.kaizenctl(&["--version"]).status.success());
    // A toolchain that is too old is named before it fails.
    fs::write(stub.join("cargo"), "#!/bin/sh\necho 'cargo 1.70.0 (x)'\n").unwrap();
    let mut command = machine.command("bash");
    command
        .arg(machine.checkout().join("setup/setup.sh"))
        .env("PATH", format!("{}:/usr/bin:/bin", stub.display()));
    let outcome = feed(command, b"");
    assert_eq!(code(&outcome), Some(69), "{outcome:?}");
    assert!(outcome.stderr.contains("1.70.0"), "{outcome:?}");
}

#[test]
fn the_bootstrap_installs_from_a_checkout_and_makes_further_projects() {
    let machine = Machine::new();
    let source = machine.path("source");
    fs::rename(machine.checkout(), &source).unwrap();
    let git = |arguments: &[&str]| {
        let mut command = machine.command("git");
        command
            .arg("-C")
            .arg(&source)
            .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
            .args(arguments);
        assert!(feed(command, b"").status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "A checkout"]);
    // As with curl: the script comes on standard input, and nothing lies beside it.
    let script = fs::read(source.join("setup/install-kaizen.sh")).unwrap();
    let dev = machine.path("fresh dev");
    let run = |arguments: &[&str]| {
        let mut command = machine.command("bash");
        command.args(["-s", "--", "--devroot"]).arg(&dev).args(arguments);
        feed(command, &script)
    };
    let programs = programs().to_str().unwrap();
    assert_eq!(code(&run(&["--duplicate", "shop"])), Some(69), "nothing is installed yet");
    let install =
        ["--repo-source", source.to_str().unwrap(), "--programs", programs, "--no-dev-tools", "--no-network"];
    for _ in 0..2 {
        let outcome = run(&install);
        assert_eq!(code(&outcome), Some(0), "{outcome:?}");
        assert!(outcome.stderr.contains("[1/7]") && outcome.stderr.contains("[11/11]"), "{outcome:?}");
    }
    assert!(
        dev.join("kaizen/AI/db/kaizen.db").exists() && machine.home().join(".local/bin/kaizend").exists()
    );
    // Half a download does nothing.
    let mut command = machine.command("bash");
    command.args(["-s", "--", "--devroot"]).arg(machine.path("half"));
    let _ = feed(command, &script[..script.len() - 10]);
    assert!(!machine.path("half").exists());

    let store = dev.join("SKILLS/skills/review");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join("SKILL.md"), "---\nname: review\ndescription: Reviews things\n---\n").unwrap();
    let outcome = run(&["--duplicate", "shop"]);
    assert_eq!(code(&outcome), Some(0), "{outcome:?}");
    let shop = dev.join("shop");
    for name in [
        "AGENTS.md",
        "kaizen.toml",
        "AI/db/kaizen.db",
        ".agents/skills/INDEX.md",
        "_workspace/shop-tools.code-workspace",
    ] {
        assert!(shop.join(name).exists(), "{name}");
    }
    assert!(
        fs::read_to_string(shop.join(".claude/skills/LINKED.md"))
            .unwrap()
            .contains("review/SKILL.md): Reviews things")
    );
    let workspace: Value =
        serde_json::from_slice(&fs::read(shop.join("_workspace/shop-tools.code-workspace")).unwrap())
            .unwrap();
    assert_eq!(workspace["settings"]["terminal.integrated.env.linux"]["KAIZEN_REPO_ROOT"], json!(shop));
    // The wrapper is for this project from anywhere, unless the variable says otherwise.
    let db_path = |root: Option<&Path>| {
        let mut command = machine.command(shop.join("kaizen.sh"));
        command.args(["K2", "--json"]);
        root.map(|root| command.env("KAIZEN_REPO_ROOT", root));
        let outcome = feed(command, b"");
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()["schema"]["db_path"].clone()
    };
    assert_eq!(db_path(None), json!(shop.join("AI/db/kaizen.db")));
    assert_eq!(db_path(Some(&dev.join("kaizen"))), json!(dev.join("kaizen/AI/db/kaizen.db")));
    assert_eq!(
        fs::read_dir(machine.path(""))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('\'') })
            .count(),
        0
    );
    // A directory that is in use is not a place for a new project.
    assert_eq!(code(&run(&["--duplicate", "shop"])), Some(64));
}

#[test]
fn skills_are_linked_into_both_mirrors() {
    let machine = Machine::new();
    let checkout = machine.checkout();
    assert_eq!(code(&machine.run("link-skills.sh", &[])), Some(1), "there is no store");
    let store = machine.dev().join("SKILLS/skills");
    for name in ["one", "two", "no skill", "kept"] {
        fs::create_dir_all(store.join(name)).unwrap();
        if name != "no skill" {
            fs::write(store.join(name).join("SKILL.md"), format!("---\ndescription: The {name}\n---\n"))
                .unwrap();
        }
    }
    fs::create_dir(checkout.join(".agents/skills/kept")).unwrap();
    let run = |arguments: &[&str]| {
        let outcome = machine.run("link-skills.sh", arguments);
        assert_eq!(code(&outcome), Some(0), "{outcome:?}");
        outcome.stdout
    };
    assert!(run(&[]).contains("links made: 5, kept: 1"));
    assert!(run(&[]).contains("links made: 0, kept: 6"));
    for mirror in [".agents/skills", ".claude/skills"] {
        let mirror = checkout.join(mirror);
        assert_eq!(fs::read_link(mirror.join("one")).unwrap(), store.join("one"));
        assert!(!mirror.join("no skill").exists());
        let listed = fs::read_to_string(mirror.join("LINKED.md")).unwrap();
        assert!(listed.contains("- [two](two/SKILL.md): The two\n"), "{listed}");
        assert_eq!(
            fs::read(mirror.join("INDEX.md")).unwrap(),
            fs::read(Path::new(REPOSITORY).join(".agents/skills/INDEX.md")).unwrap()
        );
    }
    assert!(!fs::symlink_metadata(checkout.join(".agents/skills/kept")).unwrap().is_symlink());
    // A link whose skill has gone goes too.
    fs::remove_dir_all(store.join("two")).unwrap();
    symlink("/nowhere", checkout.join(".agents/skills/foreign")).unwrap();
    assert!(run(&[]).contains("removed because the skill is gone: 2"));
    assert!(fs::symlink_metadata(checkout.join(".agents/skills/foreign")).is_ok());
    // A store that is no clone is not replaced by one; an empty one is, and is updated later.
    assert_eq!(code(&machine.run("link-skills.sh", &["file:///nowhere"])), Some(1));
    assert_eq!(code(&machine.run("link-skills.sh", &["x", "--no-network"])), Some(1));
    let origin = machine.path("origin");
    fs::create_dir_all(origin.join("three")).unwrap();
    fs::write(origin.join("three/SKILL.md"), "# Three\n").unwrap();
    let git = |arguments: &[&str]| {
        let mut command = machine.command("git");
        command
            .arg("-C")
            .arg(&origin)
            .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
            .args(arguments);
        assert!(feed(command, b"").status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "Skills"]);
    fs::remove_dir_all(&store).unwrap();
    run(&["--store-url", origin.to_str().unwrap()]);
    assert!(checkout.join(".claude/skills/three/SKILL.md").exists());
    fs::create_dir(origin.join("four")).unwrap();
    fs::write(origin.join("four/SKILL.md"), "# Four\n").unwrap();
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "More"]);
    run(&[origin.to_str().unwrap()]);
    assert!(checkout.join(".claude/skills/four/SKILL.md").exists());
}

#[test]
fn both_indexes_are_the_same() {
    let read = |mirror: &str| fs::read(Path::new(REPOSITORY).join(mirror).join("skills/INDEX.md")).unwrap();
    assert_eq!(read(".agents"), read(".claude"));
}
