//! R1 to R11: reports as files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, assert_time, keys, row, rows, text};

const REPORTS: [(&str, &str); 11] = [
    ("R1", "task"),
    ("R2", "ledger"),
    ("R3", "learning"),
    ("R4", "proof"),
    ("R5", "eval"),
    ("R6", "source"),
    ("R7", "anti-pattern"),
    ("R8", "weekly"),
    ("R9", "monthly"),
    ("R10", "yearly"),
    ("R11", "topic"),
];

/// The file of a report.
pub(crate) fn file(place: &Place, reply: &Value) -> String {
    fs::read_to_string(place.root.join(text(reply, "path"))).unwrap()
}

/// Writes a report and reads its file.
fn report(place: &Place, words: &[&str]) -> String {
    file(place, &place.ok(words))
}

/// The lines of records.
fn lines(report: &str) -> Vec<&str> {
    report.lines().filter(|line| line.starts_with("- `")).collect()
}

/// The files of reports, by name.
fn files(place: &Place) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place.root.join("AI/db/exports/reports")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// A text in which ids and times are replaced by names that are the same in each run.
pub(crate) fn normal(report: &str) -> String {
    let mut out = String::new();
    let mut known: Vec<String> = Vec::new();
    let mut rest = report;
    while let Some(first) = rest.chars().next() {
        let word: usize =
            rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let id = rest[..word]
            .rsplit_once('_')
            .is_some_and(|(_, hex)| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let shape: String = rest
            .chars()
            .take(32)
            .map(|character| if character.is_ascii_digit() { '9' } else { character })
            .collect();
        if id {
            let at = known.iter().position(|known| known == &rest[..word]).unwrap_or_else(|| {
                known.push(rest[..word].to_owned());
                known.len() - 1
            });
            let (prefix, _) = rest.split_once('_').unwrap();
            out.push_str(&format!("{prefix}_{}", at + 1));
            rest = &rest[word..];
        } else if shape.starts_with("9999-99-99T99:99:99.999999+99:99") {
            out.push_str("TIME");
            rest = &rest[32..];
        } else if shape.starts_with("9999-99-99 99:99") {
            out.push_str("MINUTE");
            rest = &rest[16..];
        } else if shape.starts_with("9999-99-99") {
            out.push_str("DAY");
            rest = &rest[10..];
        } else if shape.starts_with("\"99-99\"") {
            out.push_str("\"DAY\"");
            rest = &rest[7..];
        } else {
            let step = word.max(first.len_utf8());
            out.push_str(&rest[..step]);
            rest = &rest[step..];
        }
    }
    // Two times may be of the same minute or not.
    out.replace("MINUTE – MINUTE", "MINUTE")
}

/// A little plane with something for each report.
fn filled(place: &Place) -> String {
    let task = place.id(&["W1", "--title", "Fix the loop", "--summary", "It hangs under load."]);
    place.ok(&[
        "W2",
        "--id",
        &task,
        "--task-id",
        &task,
        "--status",
        "done",
        "--summary",
        "It does not hang.",
    ]);
    place.ok(&["W1", "--title", "Write the guide", "--summary", "A guide for users."]);
    let gotcha =
        place.id(&["G1", "--title", "A lock is held", "--summary", "The lock blocks.", "--body", "B"]);
    let learning = place.id(&["L2", "--id", &gotcha]);
    place.ok(&["L3", "--id", &learning]);
    place.ok(&["L1", "--title", "Second", "--summary", "Another lesson about the lock."]);
    let proof = place.id(&["Q1", "--summary", "All tests pass.", "--task-id", &task]);
    place.ok(&[
        "Q2",
        "--summary",
        "It fails on Windows.",
        "--conclusion",
        "VERIFICATION_FAILED",
        "--severity",
        "high",
    ]);
    place.ok(&[
        "Q2",
        "--summary",
        "It holds.",
        "--conclusion",
        "VERIFIED_ACCEPTABLE",
        "--task-id",
        &task,
        "--proof-id",
        &proof,
    ]);
    place.ok(&[
        "S1",
        "--source-id",
        "sqlite-docs",
        "--authority-tier",
        "official_docs",
        "--url-or-repository",
        "https://sqlite.org",
        "--summary",
        "How it works.",
        "--license",
        "public domain",
        "--version-or-commit",
        "3.51",
    ]);
    place.ok(&["I1", "--decision", "one writer", "--summary", "One thread writes."]);
    task
}

#[test]
fn every_report_is_a_file_with_a_row() {
    let place = Place::new();
    filled(&place);
    for (operation, kind) in REPORTS {
        let mut words = vec![operation];
        if operation == "R11" {
            words.extend(["--query", "lock"]);
        }
        let reply = place.ok(&words);
        assert_eq!(keys(&reply)[..6], ["status", "id", "path", "rows", "columns", "sha256"], "{reply}");
        let (id, path) = (text(&reply, "id"), text(&reply, "path"));
        assert_id(id, "r");
        let name = path.strip_prefix(&format!("AI/db/exports/reports/{kind}-report-")).unwrap();
        let (stamp, unique) = name.strip_suffix(".md").unwrap().split_once('-').unwrap();
        assert_eq!((stamp.len(), unique), (16, &id[id.len() - 8..]), "{path}");
        let contents = file(&place, &reply);
        assert_eq!(reply["sha256"], sha256_hex(contents.as_bytes()));
        let mode = fs::metadata(place.root.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut head = contents.lines();
        let title = head.next().unwrap();
        let heading: String =
            kind.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<Vec<_>>().join("-");
        assert_eq!(title, format!("# {heading} Report"));
        assert_eq!(head.next(), Some(""));
        assert_time(&json!(head.next().unwrap().strip_prefix("Generated: ").unwrap()));
        assert_eq!(head.next().unwrap(), format!("Rows: {}", reply["rows"]));
        assert_eq!(json!(lines(&contents).len()), reply["rows"], "{contents}");
        let stored = row(&place, "SELECT * FROM reports WHERE id = ?1", &[id]);
        assert_eq!(
            Value::from(stored.clone()),
            json!({
                "id": id, "created_at": stored["created_at"], "report_type": kind, "scope": "project", "path": path,
                "summary": stored["summary"], "content_hash": reply["sha256"], "is_test": 0,
            })
        );
        assert!(stored["summary"].as_str().unwrap().contains(&reply["rows"].to_string()));
    }
    assert_eq!(files(&place).len(), REPORTS.len());
}

#[test]
fn reports_are_as_reviewed() {
    let place = Place::new();
    filled(&place);
    let mut all = String::new();
    for (operation, _) in REPORTS {
        let mut words = vec![operation];
        if operation == "R11" {
            words.extend(["--query", "lock"]);
        }
        // The longer periods only differ in their length.
        if !matches!(operation, "R9" | "R10") {
            all.push_str(&normal(&report(&place, &words)));
            all.push('\n');
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_report_as_json_is_as_reviewed() {
    let place = Place::new();
    filled(&place);
    let reply = place.ok(&["R4", "--format", "json"]);
    assert_eq!(std::path::Path::new(text(&reply, "path")).extension(), Some("json".as_ref()));
    let contents = file(&place, &reply);
    let document: Value = serde_json::from_str(&contents).unwrap();
    assert_eq!(document["head"]["Rows"], 3);
    insta::assert_snapshot!(normal(&contents));
}

#[test]
fn the_same_data_give_the_same_bytes_but_for_the_generation_line() {
    let place = Place::new();
    filled(&place);
    let without = |report: &str| -> Vec<String> {
        let kept = report.lines().filter(|line| !line.contains("Generated"));
        kept.map(str::to_owned).collect()
    };
    for (operation, _) in REPORTS {
        for format in ["md", "json"] {
            let words = [operation, "--query", "o", "--format", format];
            let (first, second) = (report(&place, &words), report(&place, &words));
            assert_ne!(first, second);
            assert_eq!(without(&first), without(&second), "{operation} {format}");
        }
    }
}

#[test]
fn the_lines_of_records_have_their_fixed_form() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "T", "--summary", "First."]);
    place.ok(&["W2", "--id", &task, "--task-id", &task, "--status", "done", "--summary", "Last."]);
    let time = |table: &str, id: &str| {
        let row = row(&place, &format!("SELECT created_at FROM {table} WHERE id = ?1"), &[id]);
        row["created_at"].as_str().unwrap().to_owned()
    };
    let line = format!("- `{task}` {} [status=done] - Last.", time("tasks", &task));
    assert_eq!(lines(&report(&place, &["R1"])), [line]);
    let failed =
        place.id(&["Q2", "--summary", "Fails.", "--conclusion", "VERIFICATION_FAILED", "--severity", "high"]);
    let bare = place.id(&["Q1", "--summary", "Proof."]);
    let report = report(&place, &["R4"]);
    assert_eq!(
        lines(&report),
        [
            format!(
                "- `{failed}` {} [conclusion=VERIFICATION_FAILED severity=high] - Fails.",
                time("verification_events", &failed)
            ),
            format!("- `{bare}` {} [conclusion=PROOF_RECORDED] - Proof.", time("verification_events", &bare)),
        ]
    );
}

#[test]
fn what_blocks_stands_first() {
    let place = Place::new();
    let verify = |summary: &str, conclusion: &str, task: &str| {
        place.id(&["Q2", "--summary", summary, "--conclusion", conclusion, "--task-id", task])
    };
    verify("Cleared.", "VERIFICATION_FAILED", "t_1");
    verify("Fine.", "VERIFIED_ACCEPTABLE", "t_1");
    let open = verify("Open.", "NEEDS_HUMAN_DECISION", "t_2");
    let report = report(&place, &["R4"]);
    assert!(lines(&report)[0].starts_with(&format!("- `{open}`")), "{report}");
    assert!(report.contains("| Still blocking | 1 |"), "{report}");
    assert!(report.contains("\n## Still blocking (1)\n"), "{report}");
    assert!(report.contains("\"VERIFICATION_FAILED\" : 1"), "{report}");
}

#[test]
fn filters_narrow_a_report() {
    let place = Place::new();
    let task = filled(&place);
    let found = |words: &[&str]| place.ok(words)["rows"].as_i64().unwrap();
    assert_eq!(found(&["R1"]), 2);
    assert_eq!(found(&["R1", "--task-id", &task]), 1);
    assert_eq!(found(&["R1", "--query", "GUIDE"]), 1);
    assert_eq!(found(&["R1", "--query", "100%"]), 0);
    assert_eq!(found(&["R2", "--task-id", &task]), 1);
    assert_eq!(found(&["R2", "--query", &task]), 2);
    assert_eq!(found(&["R4", "--task-id", &task]), 2);
    assert_eq!(found(&["R4", "--severity", "high"]), 1);
    assert_eq!(found(&["R4", "--severity", "high", "--actionability", "now"]), 0);
    assert_eq!(found(&["R4", "--severity", "", "--actionability", ""]), 3);
    assert_eq!(found(&["R1", "--since", "1d"]), 2);
    assert_eq!(found(&["R1", "--until", "2020-01-01"]), 0);
    assert_eq!(found(&["R8", "--until", "2020-01-01"]), 0);
    assert_eq!(found(&["R1", "--limit", "1"]), 1);
    assert_eq!(found(&["R1", "--limit", "0"]), 2);
    assert_eq!(found(&["R1", "--limit", "-1"]), 2);
    let short = report(&place, &["R1", "--limit", "1"]);
    assert!(short.contains("| Found | 2 tasks |") && short.contains("newest 1 of 2 tasks"), "{short}");
    let scope = place.id(&["R1", "--scope", "session"]);
    assert_eq!(row(&place, "SELECT scope FROM reports WHERE id = ?1", &[&scope])["scope"], "session");
}

#[test]
fn filters_that_a_report_does_not_have_are_refused() {
    let place = Place::new();
    place.denied(&["R11"], "DENIED_QUERY_REQUIRED", 2);
    place.denied(&["R11", "--severity", "high"], "DENIED_QUERY_REQUIRED", 2);
    for (words, flag) in [
        (&["R1", "--severity", "high", "--actionability", "now"][..], "--severity"),
        (&["R7", "--actionability", "now"], "--actionability"),
        (&["R5", "--task-id", "t_1"], "--task-id"),
        (&["R8", "--since", "1d"], "--since"),
    ] {
        let denial = place.denied(words, "DENIED_FILTER_UNSUPPORTED", 2);
        assert_eq!([&denial["flag"], &denial["report"]], [&json!(flag), &json!(words[0])]);
    }
    place.denied(&["R1", "--format", "html"], "DENIED_SCHEMA_ENUM", 2);
    place.denied(&["R1", "--since", "yesterday"], "DENIED_TIME_INVALID", 2);
    assert!(files(&place).is_empty());
}

#[test]
fn test_records_are_left_out_unless_they_are_wanted() {
    let place = Place::new();
    place.ok(&["W1", "--title", "T", "--summary", "S.", "--test"]);
    place.ok(&["Q2", "--summary", "S.", "--test"]);
    for operation in ["R1", "R2", "R4", "R8"] {
        let reply = place.ok(&[operation]);
        assert_eq!(reply["rows"], 0, "{operation}");
        assert!(!file(&place, &reply).contains("| Still blocking | 1 |"));
        assert_eq!(place.ok(&[operation, "--include-test"])["rows"], 1, "{operation}");
    }
    let report = place.id(&["R1", "--test"]);
    assert_eq!(row(&place, "SELECT is_test FROM reports WHERE id = ?1", &[&report])["is_test"], 1);
}

const HOSTILE: &str =
    "| x |\n\n# H\n```\n<script>alert(1)</script> [x](javascript:alert(1)) `c` \u{202e}\u{1b}[31m &lt;";

#[test]
fn no_text_of_a_record_becomes_markup() {
    let place = Place::new();
    let task =
        place.id(&["W1", "--title", HOSTILE, "--summary", HOSTILE, "--status", HOSTILE, "--scope", HOSTILE]);
    place.ok(&["W2", "--id", &task, "--task-id", &task, "--summary", HOSTILE]);
    place.ok(&["G1", "--title", HOSTILE, "--summary", HOSTILE, "--body", HOSTILE]);
    place.ok(&[
        "Q2",
        "--summary",
        HOSTILE,
        "--severity",
        "a|b`<i>",
        "--task-id",
        &task,
        "--proof-id",
        HOSTILE,
    ]);
    place.ok(&[
        "S1",
        "--source-id",
        HOSTILE,
        "--authority-tier",
        "normative",
        "--url-or-repository",
        "javascript:alert(1)",
        "--summary",
        HOSTILE,
        "--license",
        "a | b",
    ]);
    for words in [&["R1"][..], &["R2"], &["R4"], &["R6"], &["R8"], &["R11", "--query", HOSTILE]] {
        let report = report(&place, words);
        assert!(!report.contains("<script") && !report.contains(['\u{202e}', '\u{1b}', '\r']), "{report}");
        assert_eq!(report.matches('<').count(), 2 * report.matches("<a id=\"").count(), "{report}");
        assert!(!report.replace("\\]", "").contains("](javascript"), "{report}");
        assert_eq!(report.matches("```").count(), 2 * report.matches("```mermaid\n").count(), "{report}");
        assert_eq!(report.lines().filter(|line| line.starts_with("# ")).count(), 1, "{report}");
        // Each row of a table has the cells of its header.
        let cells = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        let mut header = 0;
        for line in report.lines() {
            match (line.starts_with('|'), header) {
                (true, 0) => header = cells(line),
                (true, _) => assert_eq!(cells(line), header, "{line}"),
                (false, _) => header = 0,
            }
        }
    }
}

#[test]
fn a_period_is_told_as_what_was_done_and_learned() {
    let place = Place::new();
    filled(&place);
    let report = report(&place, &["R8"]);
    for line in [
        "| Blocking now | 1 |",
        "| Tasks finished | 1 |",
        "| Tasks started | 2 |",
        "| Decisions | 1 |",
        "| Verified | 2 |",
        "| Learned | 1 |",
        "| Lessons noted | 2 |",
        "| New pitfalls | 1 |",
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
    // The events of a task stand together, its creation too.
    assert_eq!(report.matches("\n### Fix the loop (").count(), 1, "{report}");
    assert!(report.contains("xychart-beta") && report.contains("pie showData"), "{report}");
}

#[test]
fn references_lead_to_their_place_in_the_document() {
    let place = Place::new();
    filled(&place);
    let report = report(&place, &["R8"]);
    let mut links = 0;
    for part in report.split("](#").skip(1) {
        let id = part.split(')').next().unwrap();
        assert_eq!(report.matches(&format!("<a id=\"{id}\"></a>")).count(), 1, "{id}: {report}");
        links += 1;
    }
    assert!(links > 2, "{report}");
}

#[test]
fn a_report_whose_row_is_refused_leaves_no_file() {
    let place = Place::new();
    place.ok(&["R1", "--key", "once"]);
    let before = files(&place);
    // The same call again has no second effect, and the same key for another call is refused.
    let again = place.ok(&["R1", "--key", "once"]);
    assert!(before[0].ends_with(text(&again, "path").rsplit('/').next().unwrap()));
    assert_eq!(files(&place), before);
    place.denied(&["R2", "--key", "once"], "DENIED_KEY_REUSED", 2);
    assert_eq!(files(&place), before);
    place.tamper().execute("UPDATE schema_version SET manifest_hash = 'other'", []).unwrap();
    place.denied(&["R1"], "DENIED_SCHEMA_DRIFT", 1);
    assert_eq!(files(&place), before);
}

#[test]
fn many_reports_at_once_all_keep_their_files() {
    let place = Place::new();
    place.ok(&["K1"]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| place.ok(&["R2"]));
        }
    });
    let stored = rows(&place, "SELECT path, content_hash FROM reports", &[]);
    assert_eq!((stored.len(), files(&place).len()), (8, 8));
    for row in stored {
        let contents = fs::read(place.root.join(row["path"].as_str().unwrap())).unwrap();
        assert_eq!(row["content_hash"], sha256_hex(&contents));
    }
}

#[test]
fn a_report_on_very_many_records_stays_bounded() {
    let place = Place::new();
    place.ok(&["K1"]);
    place.stop();
    place
        .tamper()
        .execute_batch(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000) \
             INSERT INTO ledger_events (id, created_at, scope, status, title, summary, body, content_hash) \
             SELECT printf('led_%06d', n), printf('2026-01-%02dT00:00:00.%06d+00:00', 1 + n % 28, n), 'project', 'noted', \
             'T', 'S.', '', '' FROM n",
        )
        .unwrap();
    let reply = place.ok(&["R2", "--limit", "-1"]);
    assert_eq!(reply["rows"], 10_000);
    let report = file(&place, &reply);
    assert!(report.contains("| Found | 20000 ledger events |"), "{}", &report[..600]);
    assert!(report.contains("newest 10000 of 20000 ledger events"), "{}", &report[report.len() - 400..]);
}
