//! Programs that are built, and what is needed for that.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Machine, code};
use crate::context::{feed, programs};

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
