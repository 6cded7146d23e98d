//! The command line: where words may stand, files and standard input in place of values, keys, and closed pipes.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use kaizen_proto::families;
use serde_json::{Value, json};

use crate::context::{Place, feed, programs, wait_for};
use crate::rows::{row, rows, text};

fn gotcha(place: &Place, id: &str) -> Value {
    place.ok(&["G4", "--id", id])["record"].clone()
}

#[test]
fn words_may_stand_in_any_order_and_case() {
    let place = Place::new();
    for call in [
        &["G1", "--title", "T", "--summary", "S.", "--body", "B"][..],
        &["--title", "T", "--summary", "S.", "--body", "B", "G1"],
        &["--title", "T", "g1", "--summary", "S.", "--body", "B"],
        &["--title=T", "--summary=S.", "GOTCHA-ADD", "--body=B"],
        &["--json", "--title", "T", "Gotcha-Add", "--summary", "S.", "--body", "B"],
        &["--key", "G2", "--title", "T", "--actor", "W1", "G1", "--summary", "S.", "--body", "B"],
        &["--body", "x", "--title", "x", "G1", "--title", "T", "--summary", "S.", "--body=B"],
        &["--test", "G1", "--title=x", "--title", "T", "--summary", "S.", "--body", "x", "--body", "B"],
    ] {
        let record = gotcha(&place, &place.id(call));
        assert_eq!(
            [&record["title"], &record["summary"], &record["body"]],
            ["T", "S.", "B"].map(Value::from).each_ref()
        );
        assert_eq!(record["is_test"], i32::from(call.contains(&"--test")));
    }
    assert_eq!(place.ok(&["--limit", "1", "G2", "--limit", "2"])["count"], 2);
    assert_eq!(place.ok(&["--limit", "-1", "G2"])["count"], 8);
    let actors = rows(&place, "SELECT actor FROM journal WHERE actor IS NOT NULL", &[]);
    assert_eq!(actors.len(), 1);
}

#[test]
fn a_value_may_start_with_a_dash() {
    let place = Place::new();
    for value in
        ["-", "--", "-x", "-1", "- item", "--unknown", "--unknown=1", "---", "-- --", "a=b", "=", "-h-"]
    {
        for call in [
            vec!["G1".to_owned(), "--title".into(), value.into()],
            vec!["G1".to_owned(), format!("--title={value}")],
            vec!["--title".to_owned(), value.into(), "G1".into()],
        ] {
            let mut call: Vec<&str> = call.iter().map(String::as_str).collect();
            call.extend(["--summary", value, "--body", value]);
            let record = gotcha(&place, &place.id(&call));
            assert_eq!(
                [&record["title"], &record["summary"], &record["body"]],
                [value; 3].map(Value::from).each_ref()
            );
        }
    }
    let record =
        gotcha(&place, &place.id(&["G1", "--title=--summary", "--summary", "S.", "--body", "--body-file=x"]));
    assert_eq!(
        [&record["title"], &record["body"]],
        ["--summary", "--body-file=x"].map(Value::from).each_ref()
    );
    place.denied(&["G3", "--query", "--limit", "1"], "DENIED_USAGE", 2);
}

#[test]
fn an_inline_value_beats_its_file_even_when_empty() {
    let place = Place::new();
    fs::write(place.root.join("text.txt"), "From the file.").unwrap();
    let g1 = ["G1", "--title", "T", "--body", "B", "--summary-file", "text.txt"];
    assert_eq!(gotcha(&place, &place.id(&g1))["summary"], "From the file.");
    let inline = [&g1[..], &["--summary", "Inline."]].concat();
    assert_eq!(gotcha(&place, &place.id(&inline))["summary"], "Inline.");
    place.denied(&[&g1[..], &["--summary", ""]].concat(), "DENIED_SUMMARY_REQUIRED", 2);
    let id = place.id(&["G1", "--title", "T", "--summary", "S.", "--body-file", "text.txt"]);
    place.ok(&["G5", "--id", &id, "--body", "", "--body-file", "text.txt"]);
    assert_eq!(gotcha(&place, &id)["body"], "");
    // A file that does not count is not opened.
    place.ok(&["G5", "--id", &id, "--summary", "S2.", "--summary-file", "absent"]);
    place.ok(&["G5", "--id", &id, "--summary-file", "text.txt"]);
    assert_eq!(gotcha(&place, &id)["summary"], "From the file.");
    // The last of several files counts.
    place.ok(&["G5", "--id", &id, "--body-file", "absent", "--body-file", "text.txt"]);
    assert_eq!(gotcha(&place, &id)["body"], "From the file.");
}

#[test]
fn a_file_loses_its_byte_order_mark_and_carriage_returns() {
    let place = Place::new();
    let read = |bytes: &[u8]| {
        fs::write(place.root.join("body.md"), bytes).unwrap();
        let id = place.id(&["G1", "--title", "T", "--summary", "S.", "--body-file", "body.md"]);
        text(&gotcha(&place, &id), "body").to_owned()
    };
    assert_eq!(read("\u{feff}Größe\r\nzwei\rdrei\n\r\nvier\n".as_bytes()), "Größe\nzwei\ndrei\n\nvier\n");
    assert_eq!(read("a\u{feff}b\r\r\nc".as_bytes()), "a\u{feff}b\n\nc");
    // Only the first mark is one.
    assert_eq!(read("\u{feff}\u{feff}x".as_bytes()), "\u{feff}x");
    // An inline value stays as it is.
    let id = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "\u{feff}a\r\nb"]);
    assert_eq!(gotcha(&place, &id)["body"], "\u{feff}a\r\nb");
}

#[test]
fn a_missing_file_is_named_as_it_was_given() {
    let place = Place::new();
    fs::create_dir(place.root.join("folder")).unwrap();
    for path in ["absent.md", "folder", "folder/absent", "/nonexistent/x", "", "/dev/null"] {
        for flag in ["--summary-file", "--body-file"] {
            let denial = place.denied(&["G1", "--title", "T", flag, path], "DENIED_FILE_NOT_FOUND", 2);
            assert_eq!(denial["path"], path);
            assert!(denial["example"].is_string());
        }
        place.denied(&["G1", "--params", path], "DENIED_FILE_NOT_FOUND", 2);
    }
    fs::write(place.root.join("latin.md"), b"\xff").unwrap();
    let denial = place.denied(&["G1", "--title", "T", "--body-file", "latin.md"], "DENIED_FILE_NOT_UTF8", 2);
    assert!(denial.get("example").is_none());
    // A file counts from the caller's own directory, and may lie anywhere.
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::write(place.path("elsewhere/body.md"), "Elsewhere.").unwrap();
    let mut command = place.command("kaizenctl");
    command.current_dir(place.path("elsewhere"));
    command.args(["G1", "--title", "T", "--summary", "S.", "--body-file", "body.md", "--json"]);
    let reply: Value = serde_json::from_str(&feed(command, b"").stdout).unwrap();
    assert_eq!(gotcha(&place, text(&reply, "id"))["body"], "Elsewhere.");
}

#[test]
fn a_dash_reads_standard_input() {
    let place = Place::new();
    let run = |arguments: &[&str], input: &str| -> Value {
        let outcome = place.run_with_input(&[arguments, &["--json"]].concat(), input.as_bytes());
        assert!(outcome.status.success(), "{outcome:?}");
        serde_json::from_str(&outcome.stdout).unwrap()
    };
    let reply =
        run(&["G1", "--title", "T", "--summary", "S.", "--body-file", "-"], "\u{feff}From\r\nstdin\n");
    assert_eq!(gotcha(&place, text(&reply, "id"))["body"], "From\nstdin\n");
    let params = r#"{"title":"P","summary":"S.","body":"B","test":true}"#;
    let reply = run(&["G1", "--params", "-"], params);
    let record = gotcha(&place, text(&reply, "id"));
    assert_eq!([&record["title"], &record["is_test"]], [&json!("P"), &json!(1)]);
    // Flags go before parameters, and a file before a parameter of the same name only where files win.
    fs::write(place.root.join("params.json"), params).unwrap();
    fs::write(place.root.join("text.txt"), "File.").unwrap();
    let reply = run(&["G1", "--params", "params.json", "--title", "Flag", "--summary-file", "text.txt"], "");
    let record = gotcha(&place, text(&reply, "id"));
    assert_eq!([&record["title"], &record["summary"]], ["Flag", "S."].map(Value::from).each_ref());
    assert_eq!(run(&["G2", "--params", "-"], r#"{"limit":1}"#)["count"], 1);
    assert_eq!(run(&["G2", "--params", "-", "--limit", "2"], r#"{"limit":1}"#)["count"], 2);
    assert_eq!(run(&["K0", "--params", "-"], r#"{"query":"pitfall","limit":1}"#)["count"], 1);
    assert_eq!(run(&["G2", "--params", "-"], "{}")["count"], 3);
}

#[test]
fn the_same_call_with_the_same_key_happens_once() {
    let place = Place::new();
    let call = ["W1", "--title", "T", "--summary", "S.", "--task-id", "t_absent", "--key", "key-1"];
    let first = place.ok(&call);
    assert_eq!(place.ok(&call), first);
    // The same parameters in another form are the same call.
    let other = ["--key=key-1", "task-start", "--summary=S.", "--task-id", "t_absent", "--title", "T"];
    assert_eq!(place.ok(&other), first);
    place.stop();
    assert_eq!(place.ok(&call), first);
    assert_eq!(place.count("SELECT count(*) FROM tasks"), 1);
    assert_eq!(place.count("SELECT count(*) FROM journal"), 1);
    assert!(first["warnings"].is_array());
    for changed in [
        &["W1", "--title", "T", "--summary", "S.", "--key", "key-1"][..],
        &["W1", "--title", "T2", "--summary", "S.", "--task-id", "t_absent", "--key", "key-1"],
        &["L1", "--title", "T", "--summary", "S.", "--task-id", "t_absent", "--key", "key-1"],
    ] {
        let denial = place.denied(changed, "DENIED_KEY_REUSED", 2);
        assert_eq!(denial["key"], "key-1");
    }
    // Without a key, or with another one, it is another call.
    for more in [&[][..], &["--key", "key-2"]] {
        assert_ne!(place.ok(&[&call[..7], more].concat())["id"], first["id"]);
    }
    assert_eq!(place.count("SELECT count(*) FROM tasks"), 3);
    // A denial is not kept: corrected, the call goes through with its key.
    place.denied(&["W1", "--key", "key-3", "--title", "T"], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(&["W2", "--key", "key-3", "--id", "t_absent"], "DENIED_RECORD_NOT_FOUND", 1);
    place.ok(&["W1", "--key", "key-3", "--title", "T", "--summary", "S."]);
    place.ok(&["G2", "--key", "key-1"]);
    place.denied(&["W1", "--title", "T", "--summary", "S.", "--key", ""], "DENIED_USAGE", 2);
    place.denied(&["W1", "--title", "T", "--summary", "S.", "--key", &"k".repeat(129)], "DENIED_USAGE", 2);
    place.ok(&["W1", "--title", "T", "--summary", "S.", "--key", &"k".repeat(128)]);
}

#[test]
fn the_journal_says_who_acted() {
    let place = Place::new();
    let who = || row(&place, "SELECT actor, session FROM journal ORDER BY seq DESC LIMIT 1", &[]);
    let w1 = ["W1", "--title", "T", "--summary", "S."];
    place.ok(&w1);
    assert_eq!(Value::from(who()), json!({"actor": null, "session": null}));
    place.ok(&[&w1[..], &["--actor", "Ada", "--session", "s-1"]].concat());
    assert_eq!(Value::from(who()), json!({"actor": "Ada", "session": "s-1"}));
    let from_environment = |more: &[&str]| {
        let mut command = place.command("kaizenctl");
        command.env("KAIZEN_ACTOR", "Env").env("KAIZEN_SESSION", "s-env").args(w1).args(more);
        assert!(feed(command, b"").status.success());
        Value::from(who())
    };
    assert_eq!(from_environment(&[]), json!({"actor": "Env", "session": "s-env"}));
    assert_eq!(from_environment(&["--actor", "Ada"]), json!({"actor": "Ada", "session": "s-env"}));
    place.ok(&[&w1[..], &["--actor", "", "--session="]].concat());
    assert_eq!(Value::from(who()), json!({"actor": null, "session": null}));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let place = Place::new();
    // More than a pipe holds, so that writing really meets the closed end.
    let body = "\"".repeat(60_000);
    let id = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", &body]);
    for call in [vec!["G4", "--id", &id, "--json"], vec!["G4", "--id", &id], vec!["--help"], vec!["K0"]] {
        let mut command = place.command("kaizenctl");
        let mut child = command.args(&call).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{call:?}");
        assert!(output.status.success(), "{call:?}: {output:?}");
    }
    let shell = |line: &str| {
        let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", line]).env_clear().env("PATH", path).env("HOME", place.path("home"));
        let output = command.env("KAIZEN_REPO_ROOT", &place.root).current_dir(&place.root).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (stdout, stderr) = shell("kaizenctl | head -1");
    assert_eq!((stdout.lines().count(), stderr.as_str()), (1, ""));
    let (_, stderr) = shell(&format!("kaizenctl G4 --id {id} --json | head -c 10"));
    assert_eq!(stderr, "");
    // Nobody reads the denial either.
    let mut command = place.command("kaizenctl");
    let mut child = command.args(["G1", "--json"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_write_whose_caller_is_gone_is_whole_or_not_there() {
    let place = Place::new();
    place.ok(&["K1"]);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "hello",
        "params": {"protocol": 1, "client": "test", "version": "0", "project_root": place.root}});
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "gotcha.add",
        "params": {"title": "T", "summary": "S.", "body": "b".repeat(1000)}});
    let messages = format!("{hello}\n{call}\n");
    let socket = place.runtime().join("kaizend.sock");
    let hang_up_after = |bytes: usize| {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.write_all(&messages.as_bytes()[..bytes]).unwrap();
    };
    for bytes in (0..messages.len()).step_by(97) {
        hang_up_after(bytes);
    }
    // What was said whole is carried out, although nobody waits for the reply.
    for whole in 1..=20 {
        hang_up_after(messages.len());
        wait_for("the write", || place.count("SELECT count(*) FROM gotcha") == whole);
    }
    for table in ["gotcha", "gotcha_revision", "ledger_events", "journal"] {
        assert_eq!(place.count(&format!("SELECT count(*) FROM {table}")), 20, "{table}");
    }
}

#[test]
fn the_example_of_every_operation_can_be_pasted() {
    let place = Place::new();
    let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
    let mut run = Vec::new();
    for card in families::cards() {
        let mut command = Command::new("sh");
        command.args(["-c", card.example]).env_clear().env("PATH", &path).env("HOME", place.path("home"));
        let output = command.env("KAIZEN_REPO_ROOT", &place.root).current_dir(&place.root).output().unwrap();
        if output.status.success() {
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", card.example);
            run.push(card.code);
            continue;
        }
        // Whatever names a record or a file of the reader's own finds none here; the words themselves are right.
        let denial: Value = serde_json::from_slice(&output.stderr).unwrap();
        let code = denial["code"].as_str().unwrap();
        assert!(
            ["DENIED_RECORD_NOT_FOUND", "DENIED_FILE_NOT_FOUND"].contains(&code),
            "{}: {denial}",
            card.example
        );
        let names_something =
            ["_ID ", "_ID\"", "--path ", "-file "].iter().any(|word| card.example.contains(word));
        assert!(names_something, "{}: {denial}", card.example);
    }
    assert!(run.len() > families::cards().count() / 2, "{run:?}");
    // So can the remedy of every denial, but for the names of the reader's own.
    let example = place.denied(&["W1"], "DENIED_TITLE_REQUIRED", 2)["example"].as_str().unwrap().to_owned();
    let mut command = Command::new("sh");
    command.args(["-c", &example]).env_clear().env("PATH", &path).env("HOME", place.path("home"));
    assert!(command.env("KAIZEN_REPO_ROOT", &place.root).output().unwrap().status.success(), "{example}");
}
