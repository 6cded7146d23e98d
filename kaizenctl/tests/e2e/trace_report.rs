//! T3: a trace as a document. The events are put into the database directly, so that their times are fixed.

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::json;

use crate::context::Place;
use crate::report::written::file;
use crate::rows::{keys, row, text};

/// A plane whose daemon has ended, so that rows can be put into it.
fn filled(sql: &str) -> Place {
    let place = Place::new();
    place.ok(&["K1"]);
    place.stop();
    place.tamper().execute_batch(sql).unwrap();
    place
}

/// `INSERT` of an event: id, minute, parent, kind, level, status, model, tokens, cost, milliseconds, summary.
fn event(id: &str, minute: u8, parent: &str, rest: &str) -> String {
    let parent = if parent.is_empty() { "NULL".into() } else { format!("'{parent}'") };
    format!(
        "INSERT INTO trace_events (id, created_at, trace_id, task_id, parent_event_id, kind, level, status, model, \
         total_tokens, cost, latency_ms, summary, body, content_hash) VALUES ('{id}', \
         '2026-11-23T07:{minute:02}:00.000000+00:00', 'run/1', 't_1', {parent}, {rest}, '', '');"
    )
}

fn score(id: &str, event: &str, minute: u8, value: f64) -> String {
    format!(
        "INSERT INTO eval_scores (id, created_at, trace_event_id, name, value_num, data_type, source, content_hash) VALUES \
         ('{id}', '2026-11-23T08:{minute:02}:00.000000+00:00', '{event}', 'quality \"x\"', {value}, 'numeric', 'human', '');"
    )
}

fn trace() -> String {
    [
        event("te_1", 1, "", "'subagent', 'default', 'ok', NULL, NULL, NULL, 900, 'It begins.'"),
        event("te_2", 2, "te_1", "'model_call', 'default', 'ok', 'large', 100, 0.5, 300, 'It asks.'"),
        event(
            "te_3",
            3,
            "te_2",
            "'tool_call', 'error', 'failed', NULL, NULL, NULL, 20, 'A | tool <b>fails</b>.'",
        ),
        event("te_4", 4, "te_1", "'model_call', 'default', 'ok', 'small', 10, 0.25, NULL, 'It answers.'"),
        event("te_5", 5, "te_6", "'tool_call', 'default', 'ok', NULL, NULL, NULL, NULL, 'In a circle.'"),
        event("te_6", 6, "te_5", "'tool_call', 'default', 'ok', NULL, NULL, NULL, NULL, 'And back.'"),
        score("es_1", "te_2", 1, 0.5),
        score("es_2", "te_4", 2, 0.75),
    ]
    .concat()
}

#[test]
fn a_trace_is_a_tree_with_what_it_comes_to() {
    let place = filled(&trace());
    let reply = place.ok(&["T3", "--trace-id", "run/1"]);
    assert_eq!(
        keys(&reply)[..8],
        ["status", "key", "events", "total_tokens", "total_cost", "path", "sha256", "report_id"]
    );
    assert_eq!(
        [&reply["key"], &reply["events"], &reply["total_tokens"]],
        [&json!("run/1"), &json!(6), &json!(110)]
    );
    assert_eq!(reply["total_cost"], json!(0.75));
    let report = file(&place, &reply);
    assert_eq!(reply["sha256"], sha256_hex(report.as_bytes()));
    insta::assert_snapshot!(report);
    assert_eq!(file(&place, &place.ok(&["T3", "--trace-id", "run/1"])), report);
    assert_eq!(place.count("SELECT count(*) FROM reports"), 1);
    let stored = row(&place, "SELECT report_type, content_hash, path FROM reports", &[]);
    assert_eq!([&stored["report_type"], &stored["content_hash"]], [&json!("trace"), &reply["sha256"]]);
    assert_eq!(stored["path"], reply["path"]);
}

#[test]
fn the_task_counts_when_both_are_given() {
    let place = filled(&trace());
    let reply = place.ok(&["T3", "--task-id", "t_1", "--trace-id", "none"]);
    assert_eq!([&reply["key"], &reply["events"]], [&json!("t_1"), &json!(6)]);
    assert_eq!(reply["path"], "AI/db/exports/reports/trace-t_1.md");
    let denial = place.denied(&["T3"], "DENIED_ID_REQUIRED", 2);
    assert!(text(&denial, "example").contains("kaizenctl T3"), "{denial}");
    place.denied(&["T3", "--task-id", "", "--trace-id", ""], "DENIED_ID_REQUIRED", 2);
}

#[test]
fn keys_never_share_a_file_nor_leave_the_directory() {
    let place = Place::new();
    let mut paths = Vec::new();
    for words in [
        ["--trace-id", "a-b"],
        ["--task-id", "a-b"],
        ["--trace-id", "a/b"],
        ["--trace-id", "a b"],
        ["--trace-id", "../../x"],
        ["--trace-id", "/"],
    ] {
        let reply = place.ok(&[&["T3"][..], &words].concat());
        assert_eq!(
            [&reply["events"], &reply["total_tokens"], &reply["total_cost"]],
            [&json!(0), &json!(0), &json!(0)]
        );
        assert!(file(&place, &reply).contains("Events: 0\nTotal tokens: 0\nTotal cost: 0\n"));
        paths.push(text(&reply, "path").to_owned());
    }
    assert_eq!(paths[0], "AI/db/exports/reports/trace-a-b.md");
    assert!(paths.iter().all(|path| {
        path.strip_prefix("AI/db/exports/reports/trace-").is_some_and(|name| !name.contains('/'))
    }));
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 6, "{paths:?}");
}

#[test]
fn a_long_chain_of_events_is_shown_and_not_nested_without_end() {
    let chain: String = (1..=3000)
        .map(|at| {
            let parent = if at == 1 { String::new() } else { format!("te_{:05}", at - 1) };
            event(
                &format!("te_{at:05}"),
                0,
                &parent,
                "'tool_call', 'default', 'ok', NULL, 9223372036854775807, NULL, 1, 'S.'",
            )
        })
        .collect();
    let place = filled(&chain);
    let reply = place.ok(&["T3", "--trace-id", "run/1"]);
    assert_eq!(reply["events"], 3000);
    let report = file(&place, &reply);
    assert_eq!(report.matches("- `te_").count(), 3000);
    assert!(report.lines().all(|line| line.bytes().take_while(|byte| *byte == b' ').count() < 24));
}
