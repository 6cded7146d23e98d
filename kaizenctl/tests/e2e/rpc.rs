//! A client that is not ours: the JSON-RPC library of editor extensions, under Node.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

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

/// As [`installed`], once for all tests. Without the packages a test is skipped, but never where all of them count.
fn packages(test: &str) -> Option<&'static Path> {
    static INSTALLED: std::sync::OnceLock<Result<PathBuf, String>> = std::sync::OnceLock::new();
    match INSTALLED.get_or_init(installed) {
        Ok(directory) => Some(directory),
        Err(reason) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => panic!("{reason}"),
        Err(reason) => {
            println!("skipped {test}: {reason}");
            None
        }
    }
}

#[test]
fn vscode_jsonrpc_says_hello_writes_reads_and_receives_a_denial() {
    let Some(directory) = packages("vscode_jsonrpc_says_hello_writes_reads_and_receives_a_denial") else {
        return;
    };
    let place = Place::new();
    place.ok(&["daemon", "start"]);
    let mut node = Command::new("node");
    node.arg("client.js").arg(socket(&place)).arg(&place.root).current_dir(directory);
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

    let (subscribed, page) = (&seen["subscribed"], &seen["page"]);
    assert_eq!(
        seen["changed"],
        json!({"subscription": subscribed["subscription"], "cursor": page["cursor"]})
    );
    assert_eq!([&page["count"], &page["entries"][0]["operation"]], [&json!(1), &json!("W1")], "{page}");
    assert_eq!(seen["unsubscribed"], json!({"status": "OK", "ended": true}));
    let cancelled = &seen["cancelled"];
    assert_eq!(
        [&cancelled["code"], &cancelled["data"]["code"]],
        [&json!(-32800), &json!("DENIED_CANCELLED")]
    );

    wait_for("the notification to be carried out", || place.count("SELECT count(*) FROM tasks") == 3);
    let id = seen["task"]["id"].as_str().unwrap();
    let row = place.tamper().query_row(
        "SELECT tasks.title, journal.actor, journal.session FROM tasks, journal WHERE tasks.id = $1 AND journal.seq = $2",
        rusqlite::params![id, seen["task"]["seq"].as_i64().unwrap()],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
    );
    assert_eq!(row.unwrap(), ("From an editor – ünïcode 🚀".into(), "node".into(), "sür".into()));
    assert_sound(&place);
}

/// The first block of JavaScript under a heading of docs/rpc.md.
fn example(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rpc.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split_once(&format!("## {heading}\n")).expect("the heading").1;
    let block = section.split_once("```js\n").expect("an example").1;
    block.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_documented_examples_run() {
    let Some(directory) = packages("the_documented_examples_run") else { return };
    let place = Place::new();
    place.ok(&["W1", "--title", "Before", "--summary", "S."]);
    let program = |heading: &str| {
        let file = directory.join(format!("{}.js", heading.to_lowercase().replace(' ', "-")));
        std::fs::write(&file, example(heading)).unwrap();
        let mut node = Command::new("node");
        node.arg(file).env("HOME", place.path("home")).current_dir(&place.root);
        node.stdin(Stdio::null()).stderr(Stdio::inherit());
        node
    };
    let output = program("Ten lines").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Before"), "{output:?}");

    let mut follower = program("Following the journal").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
    let start = lines.next().unwrap();
    assert!(start.starts_with("from plane_") && start.ends_with(":1"), "{start}");
    for seq in 2..=4 {
        let id = place.id(&["W1", "--title", "Told", "--summary", "S."]);
        assert_eq!(lines.next().unwrap(), format!("{seq} W1 {id}"));
    }
    std::fs::remove_dir_all(place.root.join("AI")).unwrap();
    place.ok(&["K1"]);
    let anew = lines.next().unwrap();
    assert!(anew.starts_with("anew from plane_") && anew.ends_with(":0"), "{anew}");
    // The program ends with the connection.
    place.stop();
    assert_eq!(lines.next(), None);
    assert!(follower.wait().unwrap().success());
}
