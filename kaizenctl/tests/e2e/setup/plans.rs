//! What the installers print before they do anything, and what they refuse to do.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::{INSTALLERS, Machine, code, tree};
use crate::context::feed;

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
fn a_terminal_names_each_step_once() {
    let machine = Machine::new();
    let setup = machine.checkout().join("setup/setup.sh");
    let shown = |arguments: &str| {
        let mut command = machine.command("script");
        command.args(["-qec", &format!("bash '{}' --self-test {arguments}", setup.display()), "/dev/null"]);
        let outcome = feed(command, b"");
        assert!(outcome.status.success(), "{outcome:?}");
        outcome.stdout
    };
    if machine.command("script").arg("--version").output().is_err() {
        eprintln!("skipped: script is missing");
        return;
    }
    let name = "Look for what is needed";
    let with_progress = shown("");
    assert_eq!(with_progress.matches(name).count(), 1, "{with_progress}");
    assert_eq!(shown("--no-progress").matches(name).count(), 1);
    // Where only one of the streams is a terminal, each has to do alone.
    assert_eq!(shown("2>/dev/null").matches(name).count(), 1);
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
