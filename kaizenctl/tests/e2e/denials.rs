//! Every denial: no operation fails on an empty call, every code is reached by a test, and hostile input hurts nobody.

mod hostile;
mod later;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use kaizen_proto::denial::{Code, Kind};
use kaizen_proto::families;
use serde_json::{Value, json};

use crate::context::{Outcome, Place};
use crate::rows::words;

/// The denial that a call printed: JSON on standard error, nothing on standard output, the exit status it names.
fn denial_of(outcome: &Outcome) -> Value {
    assert_eq!(outcome.stdout, "", "{outcome:?}");
    let denial: Value =
        serde_json::from_str(&outcome.stderr).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    assert_eq!(denial["exit_code"], json!(outcome.status.code()), "{outcome:?}");
    denial
}

fn cli(place: &Place, arguments: &[&str]) -> Value {
    denial_of(&place.run(arguments.iter().chain(&["--json"])))
}

/// The denial of a call that says `G1` something too long or otherwise wrong.
fn g1(place: &Place, field: &str, text: &str) -> Value {
    let mut arguments = vec!["G1", "--title", "T", "--summary", "S.", "--body", "B"];
    arguments.extend([field, text]);
    cli(place, &arguments)
}

/// The denial of a file that is no good evidence.
fn ingest(place: &Place, name: &str, contents: &[u8]) -> Value {
    fs::write(place.root.join(name), contents).unwrap();
    cli(place, &["E1", "--path", name])
}

fn params(place: &Place, operation: &str, params: &str) -> Value {
    denial_of(&place.run_with_input(&[operation, "--params", "-", "--json"], params.as_bytes()))
}

/// The error of the last of these messages, spoken to the daemon's socket without kaizenctl.
fn raw(place: &Place, messages: &[&str]) -> Value {
    place.ok(&["daemon", "start"]);
    let mut stream = UnixStream::connect(place.runtime().join("kaizend.sock")).unwrap();
    for message in messages {
        // The daemon may hang up on a message before it has read all of it.
        let _ = stream.write_all(message.as_bytes()).and_then(|()| stream.write_all(b"\n"));
    }
    let mut line = String::new();
    let mut replies = BufReader::new(stream);
    for _ in messages {
        line.clear();
        replies.read_line(&mut line).unwrap();
    }
    let reply: Value = serde_json::from_str(&line).unwrap();
    reply["error"]["data"].clone()
}

/// A call from a directory in HOME that no marker makes a project.
fn nowhere(place: &Place) -> Value {
    let directory = place.path("home/nowhere");
    fs::create_dir_all(&directory).unwrap();
    let mut command = place.command("kaizenctl");
    let command = command.env_remove("KAIZEN_REPO_ROOT").current_dir(&directory);
    run(command.args(["W1", "--title", "T", "--summary", "S.", "--json"]))
}

fn run(command: &mut std::process::Command) -> Value {
    let output = command.stdin(Stdio::null()).output().unwrap();
    denial_of(&Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        status: output.status,
    })
}

fn with_runtime(place: &Place, runtime: &Path) -> Value {
    run(place.command("kaizenctl").env("KAIZEN_RUNTIME_DIR", runtime).args(["K1", "--json"]))
}

const NEW: &[&str] = &["W1", "--title", "T", "--summary", "S."];

/// A code, the exit status, and a call that is denied with it.
struct Row {
    code: Code,
    exit_code: u8,
    call: fn(&Place) -> Value,
}

const fn row(code: Code, exit_code: u8, call: fn(&Place) -> Value) -> Row {
    Row { code, exit_code, call }
}

/// Calls that need nothing but a project; they share one.
const SIMPLE: &[Row] = &[
    row(Code::Usage, 2, |place| cli(place, &["W1", "--titel", "T"])),
    row(Code::TitleRequired, 2, |place| cli(place, &["W1"])),
    row(Code::SummaryRequired, 2, |place| cli(place, &["W1", "--title", "T"])),
    row(Code::SummaryTooLong, 2, |place| g1(place, "--summary", "One. Two. Three.")),
    row(Code::FieldWordLimit, 2, |place| g1(place, "--summary", &words(81))),
    row(Code::FieldSplitRequired, 2, |place| g1(place, "--body", &words(1301))),
    row(Code::TextTooLong, 2, |place| g1(place, "--title", &"x".repeat(513))),
    row(Code::TextInvalid, 2, |place| params(place, "W1", r#"{"title":"a\u0000b","summary":"S."}"#)),
    row(Code::Secret, 2, |place| g1(place, "--body", concat!("AKIA", "IOSFODNN7EXAMPLE"))),
    row(Code::NothingToErase, 2, |place| {
        let id = place.id(NEW);
        cli(place, &["K12", "--id", &id, "--field", "summary"])
    }),
    row(Code::UnsupportedMedia, 2, |place| ingest(place, "x.bin", b"x")),
    row(Code::ExtractionFailed, 2, |place| ingest(place, "x.docx", b"no archive")),
    row(Code::PdfUnreadable, 2, |place| ingest(place, "x.pdf", b"%PDF-1.4 but no more")),
    row(Code::NoBlocks, 1, |place| {
        fs::write(place.root.join("empty.md"), "").unwrap();
        let id = place.id(&["E1", "--path", "empty.md"]);
        cli(place, &["E3", "--id", &id])
    }),
    row(Code::ChunkerUnsupported, 2, |place| cli(place, &["E1", "--path", "empty.md", "--chunker", "magic"])),
    row(Code::KindInvalid, 2, |place| cli(place, &["E5", "--id", "ed_1", "--kind", "page"])),
    row(Code::BackendUnconfigured, 2, |place| cli(place, &["E4", "--query", "x", "--semantic"])),
    row(Code::IdRequired, 2, |place| cli(place, &["G4"])),
    row(Code::IdAmbiguous, 2, |place| {
        for _ in 0..2 {
            place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
        }
        cli(place, &["G4", "--id", "g_"])
    }),
    row(Code::QueryRequired, 2, |place| cli(place, &["G3"])),
    row(Code::JsonInvalid, 2, |place| cli(place, &["W5", "--summary", "S.", "--payload-json", "{"])),
    row(Code::PayloadType, 2, |place| cli(place, &["W5", "--summary", "S.", "--payload-json", "[]"])),
    row(Code::PathRequired, 2, |place| cli(place, &["A2"])),
    row(Code::PathOutsideRepo, 2, |place| cli(place, &["A2", "--path", "../x"])),
    row(Code::RootNotAllowlisted, 2, |place| cli(place, &["M1", "--root", "/"])),
    row(Code::TreeTooLarge, 2, |place| {
        for number in 0..2000 {
            let directory = place.root.join(format!("many/{number}"));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("SKILL.md"), "").unwrap();
        }
        cli(place, &["M2", "--root", "many"])
    }),
    row(Code::SurfaceUnfit, 1, |place| {
        fs::create_dir_all(place.root.join("odd/GOTCHA.md")).unwrap();
        cli(place, &["M3", "--root", "odd"])
    }),
    row(Code::UndoDiffers, 1, |place| {
        let migrated = place.ok(&["M3", "--root", "new"]);
        assert_eq!(migrated["count"], 0);
        fs::create_dir(place.root.join("new")).unwrap();
        let migrated = place.ok(&["M3", "--root", "new"]);
        fs::write(place.root.join("new/evals/GOTCHA.md"), "changed").unwrap();
        cli(place, &["M3", "--undo", migrated["manifest"].as_str().unwrap()])
    }),
    row(Code::FileNotFound, 1, |place| cli(place, &["A2", "--path", "absent"])),
    row(Code::FileNotFound, 2, |place| cli(place, &["W1", "--title", "T", "--summary-file", "absent"])),
    row(Code::FileNotUtf8, 2, |place| {
        fs::write(place.root.join("latin"), b"caf\xe9").unwrap();
        cli(place, &["W1", "--title", "T", "--summary-file", "latin"])
    }),
    row(Code::FileTooLarge, 2, |place| {
        fs::write(place.root.join("large"), vec![b'x'; 10 * 1024 * 1024]).unwrap();
        cli(place, &["W1", "--title", "T", "--summary", "S.", "--body-file", "large"])
    }),
    // A regular file by its type whose first page cannot be read.
    row(Code::FileUnreadable, 1, |place| cli(place, &["A2", "--allow-external", "--path", "/proc/self/mem"])),
    row(Code::SchemaRequired, 2, |place| cli(place, &["G1", "--title", "T", "--summary", "S."])),
    row(Code::SchemaFieldType, 2, |place| cli(place, &["Q1", "--summary", "S.", "--evidence", "{}"])),
    row(Code::SchemaEnum, 2, |place| cli(place, &["Q1", "--summary", "S.", "--conclusion", "FINE"])),
    row(Code::FilterUnsupported, 2, |place| cli(place, &["R1", "--severity", "high"])),
    row(Code::ReviewIdRequired, 2, |place| cli(place, &["I5"])),
    row(Code::TimeInvalid, 2, |place| cli(place, &["G2", "--since", "soon"])),
    row(Code::SchemaUnknownType, 2, |place| cli(place, &["Q8", "--kind", "x", "--payload-json", "{}"])),
    row(Code::SchemaType, 2, |place| cli(place, &["Q8", "--kind", "gotcha", "--payload-json", "[]"])),
    row(Code::SchemaUnknownFields, 2, |place| {
        cli(place, &["Q8", "--kind", "verification", "--payload-json", r#"{"summary": "S.", "x": 1}"#])
    }),
    row(Code::SchemaRange, 2, |place| {
        cli(place, &["T1", "--payload-json", r#"{"kind": "judge", "summary": "S.", "cost": -1}"#])
    }),
    row(Code::RequiredFields, 2, |place| cli(place, &["Q5", "--title", "T"])),
    row(Code::ContractRequired, 2, |place| cli(place, &["O2", "--title", "T"])),
    row(Code::ContractTextRequired, 2, |place| cli(place, &["Q10"])),
    row(Code::ScoreValue, 2, |place| {
        let score = r#"{"name": "n", "value": "nan", "data_type": "numeric", "source": "human"}"#;
        cli(place, &["T2", "--payload-json", score])
    }),
    row(Code::RecordNotFound, 1, |place| cli(place, &["G4", "--id", "g_absent"])),
    row(Code::AlreadyPromoted, 2, |place| {
        let gotcha = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
        place.ok(&["L2", "--id", &gotcha]);
        cli(place, &["L2", "--id", &gotcha])
    }),
    row(Code::CursorReset, 1, |place| cli(place, &["K10", "--since", "plane_0:0"])),
    row(Code::KeyReused, 2, |place| {
        place.ok(&[NEW, &["--key", "once"]].concat());
        cli(place, &[NEW, &["--key", "once", "--body", "B"]].concat())
    }),
    row(Code::ProjectRequired, 2, nowhere),
    row(Code::ProjectNotFound, 1, |place| cli(place, &["K2", "--project", "/nonexistent/project"])),
    row(Code::HelloRequired, 2, |place| {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"task.start","params":{"title":"T","summary":"S."}}"#;
        raw(place, &[call])
    }),
    row(Code::Protocol, 1, |place| {
        raw(place, &[r#"{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":999}}"#])
    }),
    row(Code::FrameTooLarge, 2, |place| raw(place, &[&format!("{{{}", " ".repeat(9 * 1024 * 1024))])),
];

/// Calls that spoil their project; each has its own.
const SPOILING: &[Row] = &[
    row(Code::SchemaStatus, 1, |place| {
        place.ok(&["K1"]);
        place.tamper().execute("DELETE FROM schema_version", []).unwrap();
        cli(place, NEW)
    }),
    row(Code::SchemaDrift, 1, |place| {
        place.ok(&["K1"]);
        place.tamper().execute("UPDATE schema_version SET manifest_hash = 'other'", []).unwrap();
        cli(place, NEW)
    }),
    row(Code::ForeignDatabase, 1, |place| {
        fs::create_dir_all(place.root.join("AI/db")).unwrap();
        fs::write(place.database(), "This is a text, not a database. ".repeat(10)).unwrap();
        cli(place, &["K1"])
    }),
    row(Code::DatabaseLocked, 75, |place| {
        place.ok(&["K1"]);
        let other = place.tamper();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        cli(place, NEW)
    }),
    row(Code::DatabaseDamaged, 1, |place| {
        place.ok(NEW);
        place.stop();
        let mut database = fs::read(place.database()).unwrap();
        // The header stays, so that it is still known as one of ours.
        database[4096..].fill(0xaa);
        fs::write(place.database(), database).unwrap();
        cli(place, NEW)
    }),
    row(Code::Owned, 1, |place| {
        fs::create_dir_all(place.root.join("AI/db")).unwrap();
        let lock = fs::File::create(place.root.join("AI/db/kaizend.lock")).unwrap();
        lock.lock().unwrap();
        cli(place, NEW)
    }),
    row(Code::StorageError, 75, |place| {
        // A directory stands where SQLite must make its log.
        fs::create_dir_all(place.root.join("AI/db/kaizen.db-wal/in-the-way")).unwrap();
        cli(place, NEW)
    }),
    row(Code::Config, 2, |place| {
        fs::write(place.root.join("kaizen.toml"), "colour = \"blue\"\n").unwrap();
        cli(place, NEW)
    }),
    row(Code::RuntimeDir, 1, |place| {
        std::os::unix::fs::symlink(place.path("absent"), place.path("dangling")).unwrap();
        with_runtime(place, &place.path("dangling"))
    }),
    row(Code::DaemonUnreachable, 1, |place| {
        fs::write(place.path("file"), "").unwrap();
        with_runtime(place, &place.path("file"))
    }),
    row(Code::DaemonStart, 1, |place| {
        let alone = place.path("alone");
        fs::create_dir(&alone).unwrap();
        crate::context::copy_program("kaizenctl", &alone);
        let mut command = std::process::Command::new(alone.join("kaizenctl"));
        command.env_clear().env("HOME", place.path("home")).env("PATH", "/nonexistent");
        run(command.args(["K1", "--json"]).arg("--project").arg(&place.root))
    }),
];

/// Codes that need a fault of the machine, a race or another user, and the test that reaches each.
const ELSEWHERE: &[(Code, &str)] = &[
    (Code::PlaneReplaced, "a_replaced_file_takes_no_write"),
    (Code::PlaneSuspect, "a_suspect_plane_refuses_writes"),
    // Only how such a file system is told: a test cannot mount one.
    (Code::Filesystem, "network_filesystems_are_told_by_their_mount"),
    (Code::StorageFull, "a_full_disk_is_reported_and_writing_goes_on_when_there_is_space_again"),
    (Code::StorageReadOnly, "a_data_directory_that_is_read_only_is_reported"),
    (Code::BackupInvalid, "what_is_no_good_backup_is_refused_and_nothing_changes"),
    (Code::PlaneNotEmpty, "an_import_needs_an_empty_plane_and_a_whole_file"),
    (Code::ExportInvalid, "an_import_needs_an_empty_plane_and_a_whole_file"),
    (Code::FileExists, "private_policies_and_test_records_are_exported_only_on_request"),
    (Code::Busy, "a_full_queue_is_busy_and_loses_nothing"),
    (Code::Timeout, "a_daemon_that_says_nothing_is_given_up_and_the_call_can_be_repeated"),
    (Code::Cancelled, "a_call_that_is_taken_back_is_answered_as_such"),
    (Code::Draining, "a_draining_daemon_finishes_what_it_has_and_takes_nothing_new"),
    // The operations that have this gate come with their families.
    (Code::TraceRedaction, "the_gate_of_traces_names_fields_classes_and_places"),
    (Code::Peer, "another_user_is_refused_by_the_daemon_and_refuses_it"),
    (Code::PdfEncrypted, "guards_come_in_their_order"),
    (Code::PdfTooManyPages, "denials_of_the_child_come_with_their_fields"),
    (Code::PdfNoText, "denials_of_the_child_come_with_their_fields"),
    (Code::OcrUnavailable, "pictures_need_to_be_asked_for_and_a_program"),
    (Code::Unexpected, "one_bad_job_never_hurts_its_batch_mates"),
];

/// The codes that come with a command line to paste.
const WITH_EXAMPLE: &[Code] = &[
    Code::TitleRequired,
    Code::SummaryRequired,
    Code::SummaryTooLong,
    Code::FieldWordLimit,
    Code::IdRequired,
    Code::QueryRequired,
    Code::JsonInvalid,
    Code::PayloadType,
    Code::PathRequired,
    Code::FileNotFound,
    Code::ReviewIdRequired,
    Code::ContractRequired,
    Code::CursorReset,
];

fn check(row: &Row, denial: &Value) -> Result<(), String> {
    let text = row.code.text();
    let wrong = |what: &str| Err(format!("{text}: {what}: {denial}"));
    if denial["code"] != text || denial["status"] != "DENIED" {
        return wrong("another denial");
    }
    if denial["exit_code"] != row.exit_code {
        return wrong("another exit status");
    }
    if !denial["required_action"].as_str().is_some_and(|action| action.ends_with(['.', '`', 'R'])) {
        return wrong("no required_action");
    }
    let retryable = matches!(row.code.kind(), Kind::Busy | Kind::Draining);
    if denial.get("retryable") != retryable.then_some(&json!(true)) || retryable != (row.exit_code == 75) {
        return wrong("retryable and exit status disagree");
    }
    if WITH_EXAMPLE.contains(&row.code)
        && !denial["example"].as_str().is_some_and(|line| line.contains("kaizenctl "))
    {
        return wrong("no example");
    }
    let keys = denial.as_object().map(|object| object.keys().map(String::as_str).collect::<Vec<_>>());
    let last =
        if denial.get("example").is_some() { ["exit_code", "example"].as_slice() } else { &["exit_code"] };
    if !keys.is_some_and(|keys| keys.starts_with(&["status", "code"]) && keys.ends_with(last)) {
        return wrong("keys are out of order");
    }
    Ok(())
}

#[test]
fn no_operation_fails_on_an_empty_call() {
    let place = Place::new();
    for card in families::cards() {
        let outcome = place.run([card.code, "--json"]);
        if outcome.status.success() {
            let reply: Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert_eq!(reply["status"], "OK", "{}: {reply}", card.code);
            assert_eq!(outcome.stderr, "", "{}", card.code);
        } else {
            let denial = denial_of(&outcome);
            assert_eq!(denial["status"], "DENIED", "{}: {denial}", card.code);
            assert_eq!(outcome.status.code(), Some(2), "{}: {denial}", card.code);
        }
    }
}

#[test]
fn each_denial_that_a_call_can_cause_is_as_documented() {
    let place = Place::new();
    let failures: Vec<String> =
        SIMPLE.iter().filter_map(|row| check(row, &(row.call)(&place)).err()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    // After all of that the daemon still works.
    place.ok(NEW);
}

#[test]
fn each_denial_that_a_spoilt_project_causes_is_as_documented() {
    let failures: Vec<String> =
        SPOILING.iter().filter_map(|row| check(row, &(row.call)(&Place::new())).err()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_code_is_reached_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut tests = BTreeSet::new();
    for directory in
        ["kaizenctl/tests", "kaizenctl/src", "kaizend/tests", "kaizend/src", "proto/src", "proto/tests"]
    {
        collect_tests(&root.join(directory), &mut tests);
    }
    let reached = |code: Code| SIMPLE.iter().chain(SPOILING).any(|row| row.code == code);
    let mut missing = Vec::new();
    for code in Code::ALL {
        let elsewhere = ELSEWHERE.iter().find(|(other, _)| other == code);
        match elsewhere {
            Some((_, test)) if reached(*code) => {
                missing.push(format!("{}: {test} is not needed", code.text()));
            }
            Some((_, test)) if !tests.contains(*test) => {
                missing.push(format!("{}: no test {test}", code.text()));
            }
            None if !reached(*code) => missing.push(format!("{}: no test reaches it", code.text())),
            _ => {}
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The names of the test functions in the sources below a directory.
fn collect_tests(directory: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect_tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in source.lines().map(str::trim_start) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                }
                let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
                if let Some(name) = name.filter(|_| is_test) {
                    found.insert(name.split('(').next().unwrap().to_owned());
                    is_test = false;
                }
            }
        }
    }
}

#[test]
fn an_example_names_the_operation_that_was_called() {
    let place = Place::new();
    let denial = cli(&place, &["gotcha-add"]);
    assert!(denial["example"].as_str().unwrap().contains("G1 --title"), "{denial}");
    let denial = cli(&place, &["w5", "--summary", "S.", "--payload-json", "{"]);
    assert!(denial["example"].as_str().unwrap().contains("--payload-json-file"), "{denial}");
    assert!(denial["example"].as_str().unwrap().contains("W5"), "{denial}");
    let with: Vec<Code> = Code::ALL.iter().copied().filter(|code| code.example().is_some()).collect();
    assert_eq!(with, WITH_EXAMPLE);
}
