//! Reading back: any record with its links, search over all records, one task whole, and the filters of lists.

use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{ids, keys, text};

/// A task with a plan, a gotcha that became a lesson, a proof that an artifact backs, and a failed verification.
struct Story {
    place: Place,
    task: String,
    plan: String,
    gotcha: String,
    learning: String,
    learned: String,
    artifact: String,
    proof: String,
    failed: String,
}

fn story() -> Story {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "Fix the retry loop", "--summary", "Calls hang after a restart."]);
    let plan =
        place.id(&["W3", "--task-id", &task, "--title", "Retry plan", "--summary", "Bound the back-off."]);
    let gotcha = place.id(&[
        "G1",
        "--title",
        "Leaking sockets",
        "--summary",
        "The error path leaks a socket.",
        "--body",
        "Seen under load in the café.",
        "--task-id",
        &task,
    ]);
    let learning = place.id(&["L2", "--id", &gotcha]);
    let learned = place.id(&["L3", "--id", &learning]);
    std::fs::write(place.root.join("test.log"), "40 passed").unwrap();
    let artifact = place.id(&["A1", "--path", "test.log", "--task-id", &task]);
    let list = json!([artifact]).to_string();
    let proof =
        place.id(&["Q1", "--summary", "All tests pass.", "--task-id", &task, "--artifact-ids", &list]);
    let failed = place.id(&[
        "Q2",
        "--summary",
        "It hangs on the second restart.",
        "--task-id",
        &task,
        "--conclusion",
        "VERIFICATION_FAILED",
    ]);
    Story { place, task, plan, gotcha, learning, learned, artifact, proof, failed }
}

/// The ids at the other end of the links in a direction by a column.
fn linked(shown: &Value, direction: &str, by: &str) -> Vec<String> {
    let links = shown["links"].as_array().unwrap();
    links
        .iter()
        .filter(|link| link["direction"] == direction && link["by"] == by)
        .map(|link| text(link, "id").to_owned())
        .collect()
}

#[test]
fn any_record_is_shown_with_its_revisions_links_and_changes() {
    let Story { place, task, plan, gotcha, learning, learned, artifact, proof, failed } = story();
    let shown = place.ok(&["K8", "--id", &gotcha]);
    assert_eq!(keys(&shown), ["status", "kind", "table", "record", "revisions", "links", "journal"]);
    assert_eq!((text(&shown, "kind"), text(&shown, "table")), ("gotcha", "gotcha"));
    assert_eq!(shown["record"]["status"], "promoted");
    assert_eq!(shown["revisions"].as_array().unwrap().len(), 2);
    assert_eq!(linked(&shown, "to", "source_task_id"), [task.as_str()]);
    assert_eq!(linked(&shown, "from", "source_gotcha_id"), [learning.as_str()]);
    let operations: Vec<&str> =
        shown["journal"].as_array().unwrap().iter().map(|change| text(change, "operation")).collect();
    assert_eq!(operations, ["G1", "L2"]);

    let shown = place.ok(&["K8", "--id", &learned]);
    assert_eq!(linked(&shown, "to", "source_learning_id"), [learning.as_str()]);
    let shown = place.ok(&["K8", "--id", &artifact]);
    assert_eq!(linked(&shown, "from", "artifact_ids_json"), [proof.as_str()]);
    let shown = place.ok(&["K8", "--id", &proof]);
    assert_eq!(linked(&shown, "to", "artifact_ids_json"), [artifact.as_str()]);
    let shown = place.ok(&["K8", "--id", &task]);
    let mut from = linked(&shown, "from", "task_id");
    from.sort();
    from.retain(|id| !id.starts_with("led_"));
    let mut expected = vec![plan, artifact, proof, failed];
    expected.sort();
    assert_eq!(from, expected);
    assert_eq!(linked(&shown, "from", "title").len(), 1, "the ledger event of its creation: {shown}");
}

#[test]
fn a_start_of_an_id_is_enough_for_any_kind_and_must_name_one_record() {
    let Story { place, task, .. } = story();
    assert_eq!(place.ok(&["K8", "--id", &task[..30]])["record"]["id"], *task);
    let revision = place.ok(&["K8", "--id", &task])["revisions"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(place.ok(&["K8", "--id", &revision])["record"]["task_id"], *task);
    let denial = place.denied(&["K8", "--id", "l"], "DENIED_ID_AMBIGUOUS", 2);
    assert!(denial["candidates"].as_array().unwrap().len() > 1);
    place.denied(&["K8", "--id", "t_absent"], "DENIED_RECORD_NOT_FOUND", 1);
    place.denied(&["K8"], "DENIED_ID_REQUIRED", 2);
    place.denied(&["K8", "--id", "%"], "DENIED_RECORD_NOT_FOUND", 1);
}

#[test]
fn search_ranks_marks_and_filters() {
    let Story { place, task, plan, gotcha, learning, learned, .. } = story();
    let found = place.ok(&["K9", "--query", "retry"]);
    assert_eq!(ids(&found), [plan.as_str(), task.as_str()], "the shorter title fits better: {found}");
    assert_eq!(keys(&found), ["status", "mode", "records", "count", "query"]);
    let found = place.ok(&["K9", "--query", "socket error"]);
    assert_eq!(found["mode"], "all");
    let mut lessons = ids(&found);
    lessons.sort();
    let mut expected = vec![gotcha.clone(), learning, learned.clone()];
    expected.sort();
    assert_eq!(lessons, expected);
    assert!(
        text(&found["records"][0], "snippet").contains("The **error** path leaks a **socket**."),
        "{found}"
    );
    assert_eq!(place.ok(&["K9", "--query", "cafe"])["count"], 3, "accents do not matter");
    assert_eq!(place.ok(&["K9", "--query", "\"error path\"", "--kind", "learned"])["count"], 1);
    assert_eq!(place.ok(&["K9", "--query", "\"path error\""])["count"], 0);
    assert_eq!(place.ok(&["K9", "--query", "sock*"])["count"], 3);
    assert_eq!(
        ids(&place.ok(&["K9", "--query", "socket", "--status", "promoted", "--kind", "gotcha"])),
        [gotcha.as_str()]
    );
    assert_eq!(ids(&place.ok(&["K9", "--query", "socket", "--task-id", &task])), [gotcha.as_str()]);
    let failed = place.ok(&["K9", "--query", "hangs", "--status", "VERIFICATION_FAILED"]);
    assert_eq!(failed["count"], 1);
    assert!(!text(&failed["records"][0], "snippet").contains("[]"), "{failed}");
    assert_eq!(place.ok(&["K9", "--query", "socket", "--until", "2020-01-01"])["count"], 0);
    let ledger = place.ok(&["K9", "--query", "socket", "--kind", "ledger"]);
    assert!(ledger["records"].as_array().unwrap().iter().all(|record| record["kind"] == "ledger"));
    let any = place.ok(&["K9", "--query", "socket nowhere"]);
    assert_eq!((text(&any, "mode"), any["count"].as_u64()), ("any", Some(3)));
}

#[test]
fn search_goes_on_page_by_page_and_sees_every_change() {
    let place = Place::new();
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.push(place.id(&[
            "G1",
            "--title",
            &format!("Needle {number}"),
            "--summary",
            "S.",
            "--body",
            "B",
        ]));
    }
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut call = vec!["K9", "--query", "needle", "--limit", "2"];
        call.extend(after.iter().flat_map(|after| ["--after", after]));
        let page = place.ok(&call);
        found.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    place.ok(&["G5", "--id", &expected[0], "--summary", "Haystack now."]);
    assert_eq!(ids(&place.ok(&["K9", "--query", "haystack"])), [expected[0].as_str()]);
    place.ok(&["G1", "--title", "Needle of a test", "--summary", "S.", "--body", "B", "--test"]);
    assert_eq!(place.ok(&["K9", "--query", "needle"])["count"], 5);
    assert_eq!(place.ok(&["K9", "--query", "needle", "--include-test"])["count"], 6);
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], true);
}

#[test]
fn search_takes_any_text_for_words() {
    let place = Place::new();
    place.id(&["G1", "--title", "AND or NOT", "--summary", "A -c:d^2 case.", "--body", "B"]);
    for query in
        ["\"", "((", "a AND", "NEAR(", "*", "-", "^", "a\"b", "title:x", "\u{1f600}", "' OR 1=1 --", "-c:d^2"]
    {
        place.ok(&["K9", "--query", query]);
    }
    assert_eq!(place.ok(&["K9", "--query", "NOT"])["count"], 1);
    place.denied(&["K9"], "DENIED_QUERY_REQUIRED", 2);
    place.denied(&["K9", "--query", "x", "--kind", "gotchas"], "DENIED_SCHEMA_ENUM", 2);
    place.denied(&["K9", "--query", "x", "--since", "yesterday"], "DENIED_TIME_INVALID", 2);
    place.denied(&["K9", "--query", "x", "--after", "g_absent"], "DENIED_RECORD_NOT_FOUND", 1);
}

#[test]
fn a_task_is_shown_whole() {
    let Story { place, task, plan, gotcha, artifact, proof, failed, .. } = story();
    place.ok(&[
        "W2",
        "--id",
        &task,
        "--task-id",
        &task,
        "--status",
        "in_progress",
        "--summary",
        "Reproduced.",
    ]);
    let open =
        place.id(&["G1", "--title", "T", "--summary", "Still open.", "--body", "B", "--task-id", &task]);
    place.ok(&["W5", "--task-id", &task, "--summary", "Read the code."]);
    place.ok(&["W8", "--task-id", &task, "--summary", "It leaks."]);
    let shown = place.ok(&["W9", "--id", &task[..20]]);
    let list = |name: &str| -> Vec<String> {
        shown[name].as_array().unwrap().iter().map(|record| text(record, "id").to_owned()).collect()
    };
    assert_eq!(shown["task"]["status"], "in_progress");
    assert_eq!(shown["task"]["revisions"], 2);
    assert_eq!(list("plans"), [plan]);
    assert_eq!(list("verifications"), [failed.as_str(), proof.as_str()]);
    assert_eq!(list("blocking"), [failed.as_str()]);
    assert_eq!(list("open_gotchas"), [open]);
    assert!(!list("open_gotchas").contains(&gotcha), "promoted ones are not open");
    assert_eq!(list("artifacts"), [artifact]);
    assert_eq!(list("packets").len(), 2);
    let titles: Vec<&str> =
        shown["timeline"].as_array().unwrap().iter().map(|event| text(event, "title")).collect();
    assert_eq!(titles.first().copied(), Some(format!("W1 {task}").as_str()));
    assert_eq!(titles.last().map(|title| &title[..2]), Some("G1"));
    place.ok(&["Q2", "--summary", "Fixed.", "--task-id", &task, "--conclusion", "VERIFIED_ACCEPTABLE"]);
    assert_eq!(place.ok(&["W9", "--id", &task])["blocking"], json!([]));
    let shown = place.ok(&["W9", "--id", &task, "--limit", "1"]);
    assert_eq!(shown["omitted"]["verifications"], 2);
    assert_eq!(shown["timeline"].as_array().unwrap().len(), 1);
    place.denied(&["W9"], "DENIED_ID_REQUIRED", 2);
    place.denied(&["W9", "--id", "t_absent"], "DENIED_RECORD_NOT_FOUND", 1);
}

#[test]
fn lists_filter_by_status_and_time() {
    let place = Place::new();
    let first = place.id(&["W1", "--title", "One", "--summary", "S."]);
    let second = place.id(&["W1", "--title", "Two", "--summary", "S.", "--status", "done"]);
    assert_eq!(ids(&place.ok(&["W10"])), [second.as_str(), first.as_str()]);
    assert_eq!(ids(&place.ok(&["W10", "--status", "done"])), [second.as_str()]);
    let at = place.ok(&["K8", "--id", &second])["record"]["created_at"].as_str().unwrap().to_owned();
    assert_eq!(ids(&place.ok(&["W10", "--since", &at])), [second.as_str()], "from this moment on");
    assert_eq!(ids(&place.ok(&["W10", "--until", &at])), [first.as_str()], "before this moment");
    assert_eq!(place.ok(&["W10", "--since", "1h"])["count"], 2);
    assert_eq!(place.ok(&["W10", "--until", &at[..10]])["count"], 2, "a day counts whole");
    assert_eq!(place.ok(&["W10", "--until", "2020-01-01"])["count"], 0);
    for operation in [
        &["G2"][..],
        &["L4"],
        &["L7"],
        &["L10"],
        &["A4"],
        &["X2"],
        &["Q9"],
        &["G3", "--query", "x"],
        &["X3", "--query", "x"],
    ] {
        place.ok(&[operation, &["--since", "1d", "--until", "2999-12-31"]].concat());
        place.denied(&[operation, &["--since", "soon"]].concat(), "DENIED_TIME_INVALID", 2);
    }
    let policy = place.id(&["X1", "--title", "T", "--summary", "S."]);
    place.ok(&["X1", "--title", "U", "--summary", "S.", "--status", "retired"]);
    assert_eq!(ids(&place.ok(&["X2", "--status", "active"])), [policy.as_str()]);
    assert_eq!(ids(&place.ok(&["X3", "--query", "S.", "--status", "active"])), [policy.as_str()]);
}

#[test]
fn a_small_plane_shows_what_another_program_has_changed() {
    let Story { place, gotcha, .. } = story();
    let open = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    assert_eq!(place.ok(&["R0"])["counts"]["gotchas_active"], 1);
    place
        .tamper()
        .execute("UPDATE gotcha SET status = 'resolved', title = 'Edited' WHERE id = ?1", [&open])
        .unwrap();
    place
        .tamper()
        .execute("UPDATE ledger_events SET created_at = '2020-01-01T00:00:00.000000+00:00'", [])
        .unwrap();
    place.tamper().execute("UPDATE verification_events SET conclusion = 'VERIFIED_ACCEPTABLE'", []).unwrap();
    let digest = place.ok(&["R0"]);
    assert_eq!(digest["counts"]["gotchas_active"], 0);
    assert_eq!(digest["counts"]["ledger_events_last_7d"], 0);
    assert_eq!(digest["counts"]["blocking_verifications"], 0);
    assert_eq!(digest["blocking_verifications"], json!([]));
    assert_eq!(ids(&place.ok(&["G3", "--query", "Edited"])), [open.as_str()]);
    assert_eq!(ids(&place.ok(&["G3", "--query", "error path"])), [gotcha.as_str()]);
    // The journal knows better.
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], false);
}
