//! Input that is wrong on purpose: each call is denied precisely, the daemon goes on, and nothing is written.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;

use super::denial_of;
use crate::context::{Place, feed};
use crate::rows::words;

/// A project with one record, and what must stay the same whatever is thrown at it.
struct Target {
    place: Place,
    pid: u32,
    gotcha: String,
}

impl Target {
    fn new() -> Self {
        let place = Place::new();
        let gotcha = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
        let pid = place.daemon_pid();
        Target { place, pid, gotcha }
    }

    fn file(&self, name: &str, contents: &[u8]) -> String {
        let path = self.place.root.join(name);
        fs::write(&path, contents).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    /// The daemon is the same process and answers, and there is still one journal entry only.
    fn assert_unhurt(&self) {
        assert_eq!(self.place.daemon_pid(), self.pid);
        assert_eq!(self.place.count("SELECT count(*) FROM journal"), 1);
        assert_eq!(self.place.count("SELECT count(*) FROM tasks"), 0);
        assert_eq!(self.place.ok(&["G4", "--id", &self.gotcha])["record"]["status"], "active");
    }

    /// Runs a call that must be denied with this code; `says` stands in the denial somewhere.
    fn denies(&self, arguments: &[OsString], input: &[u8], code: &str, says: &str) {
        let mut command = self.place.command("kaizenctl");
        command.args(arguments).arg("--json");
        let outcome = feed(command, input);
        let denial = denial_of(&outcome);
        let shown: Vec<String> =
            arguments.iter().map(|word| word.to_string_lossy().chars().take(80).collect()).collect();
        assert_eq!(denial["code"], code, "{shown:?}: {denial}");
        assert!(denial.to_string().contains(says), "{shown:?}: {denial} does not say {says}");
        assert!(denial.to_string().len() < 4000, "a denial must not repeat the whole input");
        self.assert_unhurt();
    }

    fn denies_words(&self, arguments: &[&str], code: &str, says: &str) {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        self.denies(&arguments, b"", code, says);
    }

    fn denies_params(&self, operation: &str, params: &str, code: &str, says: &str) {
        let arguments = [operation, "--params", "-"].map(OsString::from);
        self.denies(&arguments, params.as_bytes(), code, says);
    }
}

const NEW: [&str; 5] = ["W1", "--title", "T", "--summary", "S."];

#[test]
fn broken_json_is_denied() {
    let target = Target::new();
    for params in ["", "{", "{]", "{\"title\":}", "nonsense", "{\"title\":\"a\"} {}", "{\"title\":\"\u{1}\"}"]
    {
        target.denies_params("W1", params, "DENIED_JSON_INVALID", "--params");
    }
    for params in ["[]", "1", "null", "\"title\""] {
        target.denies_params("W1", params, "DENIED_PAYLOAD_TYPE", "object");
    }
    let deep = "[".repeat(100_000);
    target.denies_params("W1", &deep, "DENIED_JSON_INVALID", "recursion");
    for payload in ["{\"a\":1", "{a:1}", "{'a':1}", "{\"a\":NaN}", deep.get(..1000).unwrap()] {
        target.denies_words(
            &["W5", "--summary", "S.", "--payload-json", payload],
            "DENIED_JSON_INVALID",
            "--payload-json-file",
        );
    }
    for flag in ["--evidence", "--findings", "--remedies", "--artifact-ids"] {
        target.denies_words(&["Q1", "--summary", "S.", flag, "[1,"], "DENIED_JSON_INVALID", "not JSON");
    }
}

#[test]
fn parameters_of_the_wrong_shape_are_denied() {
    let target = Target::new();
    for (operation, params, says) in [
        ("W1", r#"{"titel":"T"}"#, "titel"),
        ("W1", r#"{"title":1,"summary":"S."}"#, "integer `1`"),
        ("W1", r#"{"title":["T"],"summary":"S."}"#, "sequence"),
        ("W1", r#"{"title":"T","summary":"S.","test":"yes"}"#, "boolean"),
        ("G2", r#"{"limit":1.5}"#, "1.5"),
        ("G2", r#"{"limit":"5"}"#, "string"),
        ("G2", r#"{"limit":99999999999999999999}"#, "parameters do not fit"),
        ("R0", r#"{"since":"x"}"#, "string"),
        ("K0", r#"{"zzz":1}"#, "zzz"),
        ("K1", r#"{"integrity":1}"#, "boolean"),
        ("K2", r#"{"x":1}"#, "x"),
        ("W1", r#"{"title":"T","title":"U","title":1}"#, "integer `1`"),
    ] {
        target.denies_params(operation, params, "DENIED_USAGE", says);
    }
}

#[test]
fn characters_that_cannot_be_stored_are_denied() {
    let target = Target::new();
    for field in ["title", "summary", "body", "scope", "status", "writer_role", "task_id"] {
        let mut params = serde_json::json!({"title": "T", "summary": "S.", "body": "B"});
        params[field] = "a\0b".into();
        target.denies_params("G1", &params.to_string(), "DENIED_TEXT_INVALID", field);
    }
    for (operation, params) in [
        ("X1", r#"{"title":"T","summary":"S.","trigger":"a\u0000b"}"#),
        ("X1", r#"{"title":"T","summary":"S.","priority":"a\u0000b"}"#),
        ("Q2", r#"{"summary":"S.","severity":"a\u0000b"}"#),
        ("Q2", r#"{"summary":"S.","proof_id":"a\u0000b"}"#),
        ("A1", r#"{"path":"a\u0000b"}"#),
        ("A2", r#"{"path":"a\u0000b"}"#),
        ("A1", r#"{"path":"a","kind":"a\u0000b"}"#),
        ("G3", r#"{"query":"a\u0000b"}"#),
        ("W2", r#"{"id":"t_\u0000"}"#),
        ("W5", r#"{"summary":"S.","title":"a\u0000b"}"#),
    ] {
        target.denies_params(operation, params, "DENIED_TEXT_INVALID", "NUL");
    }
    target.denies_params("W1", r#"{"title":"\ud800","summary":"S."}"#, "DENIED_JSON_INVALID", "not JSON");
    target.denies_params(
        "W1",
        r#"{"title":"\udc00\ud800","summary":"S."}"#,
        "DENIED_JSON_INVALID",
        "not JSON",
    );
    target.denies_params(
        "Q1",
        r#"{"summary":"S.","evidence":"[\"\\ud83d\"]"}"#,
        "DENIED_JSON_INVALID",
        "not JSON",
    );
    let nul = target.file("nul.txt", b"before\0after");
    let latin = target.file("latin.txt", b"caf\xe9");
    for flag in ["--summary-file", "--body-file"] {
        let call = ["W1", "--title", "T", flag, nul.as_str()];
        let call =
            if flag == "--body-file" { [&call[..], &["--summary", "S."]].concat() } else { call.to_vec() };
        target.denies_words(&call, "DENIED_TEXT_INVALID", "NUL");
        target.denies_words(&["W1", "--title", "T", flag, &latin], "DENIED_FILE_NOT_UTF8", "latin.txt");
    }
    target.denies_words(
        &["Q1", "--summary", "S.", "--evidence-file", &nul],
        "DENIED_TEXT_INVALID",
        "evidence",
    );
    target.denies_words(&["W1", "--params", &latin], "DENIED_FILE_NOT_UTF8", "latin.txt");
    target.denies_words(&["W1", "--params", &nul], "DENIED_JSON_INVALID", "--params");
}

/// A filter of a list may hold anything; it finds nothing, and is no error.
#[test]
fn odd_filters_find_nothing() {
    let target = Target::new();
    let place = &target.place;
    place.ok(&["L1", "--title", "T", "--summary", "S."]);
    let learning = place.id(&["L1", "--title", "T", "--summary", "S."]);
    place.ok(&["L3", "--id", &learning]);
    place.ok(&["Q1", "--summary", "S."]);
    place.ok(&["A1", "--path", "absent"]);
    let odd = [
        "ab\0cd",
        "\"\"\"",
        "a\" OR \"b",
        "abc*",
        "NEAR(a b)",
        "(((",
        "-abc",
        "\u{feff}\u{200b}x",
        "%%%%",
        "\\\\\\",
    ];
    for query in odd {
        for operation in ["A4", "Q9", "L10"] {
            let params = serde_json::json!({"query": query}).to_string();
            let outcome = place.run_with_input(&[operation, "--params", "-", "--json"], params.as_bytes());
            let shown = format!("{operation} {query:?}: {outcome:?}");
            if query.contains('\0') && !outcome.status.success() {
                assert_eq!(denial_of(&outcome)["code"], "DENIED_TEXT_INVALID", "{shown}");
            } else {
                assert!(outcome.status.success() && outcome.stdout.contains("\"count\":0"), "{shown}");
            }
        }
    }
    for operation in ["A4", "Q9", "L10", "G3", "L5", "L8", "X3"] {
        for length in [2000, 60_000, 500_000] {
            let params = serde_json::json!({"query": "abc".repeat(length / 3)}).to_string();
            let outcome = place.run_with_input(&[operation, "--params", "-", "--json"], params.as_bytes());
            if !outcome.status.success() {
                assert_eq!(denial_of(&outcome)["code"], "DENIED_TEXT_TOO_LONG", "{operation} {length}");
            }
        }
    }
    let long = serde_json::json!({"task_id": "x".repeat(500_000), "conclusion": "\0", "severity": "'--"})
        .to_string();
    let outcome = place.run_with_input(&["Q9", "--params", "-", "--json"], long.as_bytes());
    assert!(outcome.status.success() || outcome.stderr.contains("DENIED_TEXT"), "{outcome:?}");
    assert_eq!(place.daemon_pid(), target.pid);
}

#[test]
fn texts_that_are_too_long_are_denied() {
    let target = Target::new();
    let ten_mb = target.file("ten.txt", &vec![b'x'; 10 * 1024 * 1024]);
    let one_mb = target.file("one.txt", &vec![b'x'; 1024 * 1024]);
    let many_words = target.file("words.txt", words(40_000).as_bytes());
    let with = |more: &[&'static str], file: &str| -> Vec<String> {
        NEW.iter().chain(more).map(|word| (*word).to_owned()).chain([file.to_owned()]).collect()
    };
    for (call, code) in [
        (with(&["--body-file"], &ten_mb), "DENIED_FILE_TOO_LARGE"),
        (with(&["--params"], &ten_mb), "DENIED_FILE_TOO_LARGE"),
        (with(&["--body-file"], &one_mb), "DENIED_TEXT_TOO_LONG"),
        (with(&["--body-file"], &many_words), "DENIED_FIELD_SPLIT_REQUIRED"),
        (with(&["--scope"], &"s".repeat(513)), "DENIED_TEXT_TOO_LONG"),
        (with(&["--status"], &"s".repeat(513)), "DENIED_TEXT_TOO_LONG"),
        (with(&["--writer-role"], &"s".repeat(513)), "DENIED_TEXT_TOO_LONG"),
        (with(&["--task-id"], &"s".repeat(513)), "DENIED_TEXT_TOO_LONG"),
        (with(&["--title"], &"t".repeat(100_000)), "DENIED_TEXT_TOO_LONG"),
        (with(&["--summary"], &"s".repeat(2049)), "DENIED_TEXT_TOO_LONG"),
        (with(&["--key"], &"k".repeat(100_000)), "DENIED_USAGE"),
        (with(&["--actor"], &"k".repeat(100_000)), "DENIED_TEXT_TOO_LONG"),
        (with(&["--session"], &"k".repeat(100_000)), "DENIED_TEXT_TOO_LONG"),
    ] {
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        target.denies_words(&call, code, "");
    }
    let payload =
        target.file("payload.json", format!("{{\"a\":\"{}\"}}", "x".repeat(1024 * 1024)).as_bytes());
    target.denies_words(
        &["W5", "--summary", "S.", "--payload-json-file", &payload],
        "DENIED_FILE_TOO_LARGE",
        "payload.json",
    );
    target.denies_words(&["A1", "--path", &"p/".repeat(3000)], "DENIED_TEXT_TOO_LONG", "path");
    target.denies_words(&["A2", "--path", &"p".repeat(300)], "DENIED_FILE_NOT_FOUND", "path");
}

#[test]
fn words_that_are_off_are_denied_with_the_nearest_flag() {
    let target = Target::new();
    for (call, says) in [
        (["W1", "--titel", "T"], "did you mean --title?"),
        (["W1", "--sumary", "S."], "did you mean --summary?"),
        (["W1", "--bod", "B"], "did you mean --body?"),
        (["W1", "--body_file", "B"], "did you mean --body-file?"),
        (["G4", "--title", "T"], "G4 takes no flag --title"),
        (["K2", "--integrity", "--test"], "K2 takes no flag --integrity"),
        (["W1", "--jsn", "x"], "did you mean --json?"),
        (["W1", "-x", "y"], "W1 takes no flag -x"),
        (["W1", "extra", "words"], "no further argument: extra"),
        (["G2", "--limit", "many"], "a number is expected"),
        (["G2", "--limit", "1.5"], "a number is expected"),
        (["G2", "--limit", ""], "--limit"),
        (["G2", "--limit", "99999999999999999999"], "a number is expected"),
        (["G2", "--limit", "--json"], "--limit needs a value"),
        (["W1", "--title", "--summary"], "--title needs a value"),
        (["W1", "--summary", "--title"], "--summary needs a value"),
        (["W1", "--test=yes", "--json"], "--test"),
        (["W1", "--test", "yes"], "no further argument: yes"),
        (["W2", "--title", "T"], "W2 takes no flag --title"),
        (["G1", "--artifact-ids", "[]"], "G1 takes no flag --artifact-ids"),
        (["W3", "--scope", "project"], "W3 takes no flag --scope"),
        (["G9", "--title", "T"], "there is no operation G9"),
        (["gotcha-ad", "--title", "T"], "did you mean gotcha-add?"),
        (["init", "here", "there"], "there"),
        (["daemon", "sleep", "--json"], "sleep"),
    ] {
        target.denies_words(&call, "DENIED_USAGE", says);
    }
    for flag in ["--project", "--params", "--key", "--actor", "--session", "--title", "--body-file"] {
        // At the end of the line, so `--json` has to stand before it.
        let outcome = target.place.run(["--json", "W1", flag]);
        let denial = denial_of(&outcome);
        assert_eq!(denial["code"], "DENIED_USAGE", "{denial}");
        assert_eq!(denial["message"], format!("{flag} needs a value"), "{denial}");
    }
    target.assert_unhurt();
}

#[test]
fn quotes_that_the_shell_ate_are_explained() {
    let target = Target::new();
    for arguments in
        [&["W5", "--payload-json", "{a", "{b}"][..], &["W5", "--payload-json", "{a", r"b\c}", "--json"]]
    {
        let outcome = target.place.run(arguments);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains("--payload-json-file"), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
    target.assert_unhurt();
}

#[test]
fn words_that_are_not_utf_8_are_denied() {
    let target = Target::new();
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let call = |words: &[&[u8]]| -> Vec<OsString> { words.iter().map(|word| bytes(word)).collect() };
    for words in [
        call(&[b"W1", b"--title", b"caf\xe9", b"--summary", b"S."]),
        call(&[b"W1", b"--title=caf\xe9", b"--summary", b"S."]),
        call(&[b"W1", b"--title", b"T", b"--summary", b"S.", b"--task-id", b"\xff\xfe"]),
        call(&[b"W1", b"--\xff", b"x"]),
        call(&[b"W1", b"\xff\xff"]),
        call(&[b"\xff1"]),
        call(&[b"--\xff"]),
        call(&[b"W1", b"--key", b"\xff", b"--title", b"T", b"--summary", b"S."]),
        call(&[b"G2", b"--limit", b"\xff"]),
        call(&[b"help", b"\xff"]),
    ] {
        target.denies(&words, b"", "DENIED_USAGE", "");
    }
    let words = call(&[b"K1", b"--project", b"/tmp/\xff"]);
    target.denies(&words, b"", "DENIED_PROJECT_NOT_FOUND", "not UTF-8");
    let words = call(&[b"W1", b"--title", b"T", b"--summary-file", b"/tmp/\xff"]);
    target.denies(&words, b"", "DENIED_FILE_NOT_FOUND", "");
    // A file may be called anything.
    let odd = target.place.root.join(bytes(b"caf\xe9.txt"));
    fs::write(&odd, "S.").unwrap();
    let words =
        [OsString::from("W1"), "--title".into(), "T".into(), "--summary-file".into(), odd.into_os_string()];
    assert!(target.place.run(words).status.success());
}

#[test]
fn ids_that_are_no_ids_are_not_found() {
    let target = Target::new();
    for id in ["%", "_", "g%", "' OR 1=1 --", "\u{10ffff}", "g_\u{10ffff}", "G_", "../g", "g_zz"] {
        target.denies_words(&["G4", "--id", id], "DENIED_RECORD_NOT_FOUND", "gotcha");
        target.denies_words(&["G5", "--id", id, "--status", "resolved"], "DENIED_RECORD_NOT_FOUND", "gotcha");
        target.denies_words(&["L2", "--id", id], "DENIED_RECORD_NOT_FOUND", "gotcha");
        target.denies_words(&["G2", "--after", id], "DENIED_RECORD_NOT_FOUND", "gotcha");
    }
}
