//! Reports (R): what the digest holds, what it leaves out, and that it stays small.

mod budget;
pub(crate) mod written;

use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{keys, text};

const COUNTS: [&str; 8] = [
    "policies_active",
    "gotchas_active",
    "blocking_verifications",
    "learned_total",
    "tasks_active",
    "active_tasks_without_ledger",
    "ledger_events_last_7d",
    "verifications_last_7d",
];
const LISTS: [&str; 5] =
    ["policies", "active_gotchas", "blocking_verifications", "recent_learned", "active_tasks"];

fn titles<'a>(digest: &'a Value, list: &str) -> Vec<&'a str> {
    digest[list].as_array().unwrap().iter().map(|record| text(record, "title")).collect()
}

fn counts(digest: &Value) -> Vec<i64> {
    assert_eq!(keys(&digest["counts"]), COUNTS);
    COUNTS.iter().map(|name| digest["counts"][name].as_i64().unwrap()).collect()
}

#[test]
fn an_empty_project_has_an_empty_digest() {
    let place = Place::new();
    let digest = place.ok(&["R0"]);
    let expected = [
        "status",
        "message",
        "policies",
        "active_gotchas",
        "blocking_verifications",
        "recent_learned",
        "active_tasks",
        "counts",
        "seq",
        "required_action",
    ];
    assert_eq!(keys(&digest), expected);
    assert!(LISTS.iter().all(|list| digest[list] == json!([])));
    assert_eq!(counts(&digest), [0; 8]);
    assert_eq!(digest["seq"], 0);
    assert!(text(&digest, "required_action").contains("R0 after compaction"));
    assert!(!text(&digest, "message").is_empty());
}

/// One record of each kind that the digest shows, and ids of what it does not.
fn filled(place: &Place) {
    for (title, status) in [("old", "active"), ("new", "active"), ("gone", "retired")] {
        let status = ["--status", status, "--body", "PB"];
        place.ok(&[&["X1", "--title", title, "--summary", "PS."][..], &status].concat());
        let gotcha = place.id(&["G1", "--title", title, "--summary", "GS.", "--body", "B"]);
        let task = place.id(&["W1", "--title", title, "--summary", "TS."]);
        if title == "gone" {
            place.ok(&["G5", "--id", &gotcha, "--status", "resolved"]);
            place.ok(&["W2", "--id", &task, "--status", "done"]);
        }
        let learning = place.id(&["L1", "--title", title, "--summary", "LS."]);
        place.ok(&["L3", "--id", &learning]);
    }
    place.ok(&["Q1", "--summary", "Proof."]);
    place.ok(&[
        "Q2",
        "--summary",
        "Blocks.",
        "--severity",
        "high",
        "--actionability",
        "now",
        "--task-id",
        "t_x",
    ]);
}

#[test]
fn the_digest_shows_what_a_session_needs() {
    let place = Place::new();
    filled(&place);
    let digest = place.ok(&["R0"]);
    for (list, expected) in [
        ("policies", &["id", "priority", "trigger", "title", "summary", "body"][..]),
        ("active_gotchas", &["id", "title", "summary", "created_at"]),
        (
            "blocking_verifications",
            &["id", "task_id", "conclusion", "severity", "actionability", "summary", "created_at"],
        ),
        ("recent_learned", &["id", "title", "summary", "created_at"]),
        ("active_tasks", &["id", "title", "status", "summary", "updated_at"]),
    ] {
        assert_eq!(keys(&digest[list][0]), expected, "{list}");
    }
    assert_eq!(titles(&digest, "policies"), ["new", "old"]);
    assert_eq!(titles(&digest, "active_gotchas"), ["new", "old"]);
    assert_eq!(titles(&digest, "recent_learned"), ["gone", "new", "old"]);
    assert_eq!(titles(&digest, "active_tasks"), ["new", "old"]);
    assert_eq!(digest["policies"][0]["body"], "PB");
    let blocking = &digest["blocking_verifications"][0];
    assert_eq!(
        [&blocking["conclusion"], &blocking["severity"], &blocking["actionability"], &blocking["task_id"]],
        ["NEEDS_HUMAN_DECISION", "high", "now", "t_x"].map(Value::from).each_ref()
    );
    // Ledger: 3 G1, 3 W1, G5, W2, 3 L1, 3 L3.
    assert_eq!(counts(&digest), [2, 2, 1, 3, 2, 2, 14, 2]);
    assert!(digest.get("omitted").is_none());
    assert!(digest["counts"].get("omitted").is_none());
    // The task that changed last comes first, and a ledger event of its own takes it off the list of those without.
    let old = text(&digest["active_tasks"][1], "id");
    place.ok(&["W2", "--id", old, "--task-id", old]);
    let digest = place.ok(&["R0"]);
    assert_eq!(titles(&digest, "active_tasks"), ["old", "new"]);
    assert_eq!(digest["counts"]["active_tasks_without_ledger"], 1);
    assert_eq!(digest["seq"], place.count("SELECT count(*) FROM journal"));
}

#[test]
fn policies_are_ordered_by_rank_and_then_the_newest() {
    let place = Place::new();
    for (title, priority) in [
        ("low", "low"),
        ("critical 1", "critical"),
        ("normal", "normal"),
        ("critical 2", " Critical"),
        ("high", "high"),
    ] {
        place.ok(&["X1", "--title", title, "--summary", "S.", "--priority", priority]);
    }
    let digest = place.ok(&["R0", "--limit", "1"]);
    assert_eq!(titles(&digest, "policies"), ["critical 2", "critical 1", "high", "normal", "low"]);
    // X5 shows the same rank the other way round.
    let session = place.ok(&["X5"]);
    assert_eq!(session["records"][0]["title"], "critical 1");
    for number in 0..20 {
        place.ok(&["X1", "--title", &format!("N{number}"), "--summary", "S."]);
    }
    let digest = place.ok(&["R0"]);
    let titles = titles(&digest, "policies");
    assert_eq!((titles.len(), titles[0], titles[3]), (20, "critical 2", "N19"));
    assert_eq!(digest["counts"]["policies_active"], 25);
}

#[test]
fn the_limit_caps_lists_and_not_counts() {
    let place = Place::new();
    for number in 0..7 {
        let title = format!("T{number}");
        place.ok(&["G1", "--title", &title, "--summary", "S.", "--body", "B"]);
        place.ok(&["W1", "--title", &title, "--summary", "S."]);
        place.ok(&["Q2", "--summary", "S."]);
        let learning = place.id(&["L1", "--title", &title, "--summary", "S."]);
        place.ok(&["L3", "--id", &learning]);
    }
    let length = |digest: &Value| {
        LISTS[1..].iter().map(|list| digest[list].as_array().unwrap().len()).collect::<Vec<_>>()
    };
    for (limit, expected) in
        [(&[][..], 5), (&["--limit", "0"], 5), (&["--limit", "1"], 1), (&["--limit", "6"], 6)]
    {
        let digest = place.ok(&[&["R0"], limit].concat());
        assert_eq!(length(&digest), [expected; 4], "{limit:?}");
        assert_eq!(counts(&digest), [0, 7, 7, 7, 7, 7, 28, 7]);
        assert!(digest.get("omitted").is_none(), "{digest}");
    }
    for limit in ["-1", "1000000", "9223372036854775807"] {
        assert_eq!(counts(&place.ok(&["R0", "--limit", limit])), [0, 7, 7, 7, 7, 7, 28, 7]);
    }
}

#[test]
fn test_records_stay_out_of_the_digest() {
    let place = Place::new();
    place.ok(&["X1", "--title", "T", "--summary", "S.", "--test"]);
    place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B", "--test"]);
    place.ok(&["W1", "--title", "T", "--summary", "S.", "--test"]);
    place.ok(&["Q2", "--summary", "S.", "--test"]);
    let learning = place.id(&["L1", "--title", "T", "--summary", "S.", "--test"]);
    place.ok(&["L3", "--id", &learning, "--test"]);
    let digest = place.ok(&["R0"]);
    assert!(LISTS.iter().all(|list| digest[list] == json!([])), "{digest}");
    assert_eq!(counts(&digest), [0; 8]);
    let digest = place.ok(&["R0", "--include-test"]);
    for list in LISTS {
        assert_eq!(digest[list].as_array().unwrap().len(), 1, "{list}: {digest}");
    }
    assert_eq!(counts(&digest), [1, 1, 1, 1, 1, 1, 4, 1]);
    // Lists show them: whoever made them wants to see them.
    assert_eq!(place.ok(&["G2"])["count"], 1);
}

#[test]
fn only_what_changed_since_is_shown() {
    let place = Place::new();
    filled(&place);
    let seq = place.ok(&["R0"])["seq"].as_i64().unwrap();
    let since = |seq: i64| place.ok(&["R0", "--since", &seq.to_string()]);
    let digest = since(seq);
    assert!(LISTS.iter().all(|list| digest[list] == json!([])), "{digest}");
    assert_eq!(counts(&digest), counts(&place.ok(&["R0"])));
    place.ok(&["G1", "--title", "later", "--summary", "S.", "--body", "B"]);
    let old = place.ok(&["R0"])["active_tasks"][1]["id"].as_str().unwrap().to_owned();
    place.ok(&["W2", "--id", &old]);
    let digest = since(seq);
    assert_eq!(titles(&digest, "active_gotchas"), ["later"]);
    assert_eq!(titles(&digest, "active_tasks"), ["old"]);
    assert_eq!(digest["policies"], json!([]));
    for everything in [0, -5] {
        assert_eq!(titles(&since(everything), "active_gotchas"), ["later", "new", "old"]);
    }
    assert_eq!(titles(&since(i64::MAX), "active_gotchas"), [""; 0]);
}

#[test]
fn reading_the_digest_writes_nothing() {
    let place = Place::new();
    filled(&place);
    let listing = || {
        let mut found = Vec::new();
        let mut directories = vec![place.root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                } else {
                    found.push((entry.path(), entry.metadata().unwrap().len()));
                }
            }
        }
        found.sort();
        found
    };
    let before = (listing(), place.count("SELECT count(*) FROM journal"));
    let digest = place.ok(&["R0"]);
    assert_eq!((listing(), place.count("SELECT count(*) FROM journal")), before);
    assert_eq!(digest, place.ok(&["session-digest"]));
}
