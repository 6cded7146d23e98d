//! A client that is not ours: the JSON-RPC library of editor extensions, under Node.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::checks::{assert_sound, socket};
use crate::context::{Place, wait_for};

/// A directory under target/ with the client and the packages that its lock file names.
fn installed() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/node");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    std::fs::create_dir_all(&target).unwrap();
    for name in ["package.json", "package-lock.json", "client.js"] {
        std::fs::copy(source.join(name), target.join(name)).unwrap();
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]).current_dir(&target);
    match npm.output() {
        Ok(output) if output.status.success() => Ok(target),
        Ok(output) => Err(format!("npm ci failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("npm cannot be run: {error}")),
    }
}

#[test]
fn vscode_jsonrpc_says_hello_writes_reads_and_receives_a_denial() {
    let directory = match installed() {
        Ok(directory) => directory,
        Err(reason) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => panic!("{reason}"),
        Err(reason) => {
            println!("skipped vscode_jsonrpc_says_hello_writes_reads_and_receives_a_denial: {reason}");
            return;
        }
    };
    let place = Place::new();
    place.ok(&["daemon", "start"]);
    let mut node = Command::new("node");
    node.arg("client.js").arg(socket(&place)).arg(&place.root).current_dir(&directory);
    let output = node.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(seen["early"]["data"]["code"], "DENIED_HELLO_REQUIRED", "{seen:#}");
    assert_eq!(seen["hello"]["protocol"], 1);
    assert_eq!(seen["hello"]["pid"], place.daemon_pid());
    assert_eq!(seen["task"]["status"], "OK");
    assert_eq!(seen["again"], seen["task"], "the same key gets the same reply");
    assert_eq!(seen["parallel"], 100);
    let denied = &seen["denied"];
    assert_eq!(denied["code"], -32010);
    assert_eq!(denied["data"]["code"], "DENIED_SUMMARY_REQUIRED");
    assert_eq!(denied["data"]["exit_code"], 2);
    assert!(
        denied["data"]["required_action"].is_string() && denied["data"]["example"].is_string(),
        "{denied}"
    );
    assert!(denied["message"].as_str().unwrap().starts_with("DENIED_SUMMARY_REQUIRED"), "{denied}");
    assert_eq!(seen["unknown"]["code"], seen["method_not_found"]);
    assert_eq!(seen["unknown"]["data"]["status"], "DENIED");
    assert_eq!(seen["digest"]["status"], "OK");
    assert_eq!(seen["status"]["pid"], place.daemon_pid());

    wait_for("the notification to be carried out", || place.count("SELECT count(*) FROM tasks") == 2);
    let id = seen["task"]["id"].as_str().unwrap();
    let row = place.tamper().query_row(
        "SELECT tasks.title, journal.actor, journal.session FROM tasks, journal WHERE tasks.id = $1 AND journal.seq = $2",
        rusqlite::params![id, seen["task"]["seq"].as_i64().unwrap()],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
    );
    assert_eq!(row.unwrap(), ("From an editor – ünïcode 🚀".into(), "node".into(), "sür".into()));
    assert_sound(&place);
}
