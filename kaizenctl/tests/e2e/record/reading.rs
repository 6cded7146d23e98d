//! Listing, finding and showing records.

use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{ids, keys, row, rows, text};

#[test]
fn an_unambiguous_start_of_an_id_is_enough() {
    let place = Place::new();
    let first = place.id(&["G1", "--title", "One", "--summary", "S.", "--body", "B"]);
    assert_eq!(place.ok(&["G4", "--id", &first[..6]])["record"]["id"], first.as_str());
    let second = place.id(&["G1", "--title", "Two", "--summary", "S.", "--body", "B"]);
    let common = first.bytes().zip(second.bytes()).take_while(|(one, other)| one == other).count();
    let denial = place.denied(&["G4", "--id", &first[..common]], "DENIED_ID_AMBIGUOUS", 2);
    assert_eq!(denial["candidates"], json!([first, second]));
    let unique = &second[..=common];
    assert_eq!(place.ok(&["G4", "--id", unique])["record"]["title"], "Two");
    assert_eq!(place.ok(&["G5", "--id", unique, "--status", "resolved"])["id"], second.as_str());
    place.denied(&["G5", "--id", "g_"], "DENIED_ID_AMBIGUOUS", 2);
    place.denied(&["L2", "--id", "g_"], "DENIED_ID_AMBIGUOUS", 2);
    assert_eq!(ids(&place.ok(&["G2", "--after", unique])), [first.as_str()]);
    // An id that is the start of another one is that record's own.
    let insert = "INSERT INTO gotcha SELECT 'g_foreign' || ?1, created_at, updated_at, scope, status, title, summary, \
                  body, source_task_id, source_command, writer_role, artifact_ids_json, content_hash, \
                  current_revision_id, is_test FROM gotcha WHERE id = ?2";
    for ending in ["", "-2"] {
        place.tamper().execute(insert, [ending, &first]).unwrap();
    }
    assert_eq!(place.ok(&["G4", "--id", "g_foreign"])["record"]["id"], "g_foreign");
    place.denied(&["G4", "--id", "g_foreig"], "DENIED_ID_AMBIGUOUS", 2);
    place.denied(&["G4", "--id", "G_FOREIGN"], "DENIED_RECORD_NOT_FOUND", 1);
}

#[test]
fn a_list_is_newest_first_and_paged() {
    let place = Place::new();
    let empty = place.ok(&["G2"]);
    assert_eq!([&empty["records"], &empty["count"]], [&json!([]), &json!(0)]);
    let mut all: Vec<String> = (0..23)
        .map(|number| place.id(&["G1", "--title", &format!("T{number}"), "--summary", "S.", "--body", "B"]))
        .collect();
    all.reverse();
    place.ok(&["G5", "--id", &all[4], "--status", "resolved"]);
    place.ok(&["G1", "--title", "Test", "--summary", "S.", "--body", "B", "--test"]);
    all.insert(0, ids(&place.ok(&["G2", "--limit", "1"])).remove(0));
    for limit in [&["--limit", "0"][..], &[]] {
        let list = place.ok(&[&["G2"], limit].concat());
        assert_eq!(keys(&list["records"][0]), ["id", "status", "scope", "title", "summary", "created_at"]);
        assert_eq!(list["count"], 20);
        assert_eq!(ids(&list), all[..20]);
        assert_eq!(list["next"], all[19].as_str());
    }
    for limit in ["-1", "-100", "24", "9223372036854775807", "-9223372036854775808"] {
        let list = place.ok(&["G2", "--limit", limit]);
        assert_eq!(ids(&list), all, "{limit}");
        assert!(list.get("next").is_none());
    }
    let mut paged = Vec::new();
    let mut page = place.ok(&["G2", "--limit", "7"]);
    loop {
        paged.extend(ids(&page));
        let Some(next) = page["next"].as_str().map(str::to_owned) else { break };
        assert_eq!(Some(&next), paged.last());
        page = place.ok(&["G2", "--limit", "7", "--after", &next]);
    }
    assert_eq!(paged, all);
    let last = place.ok(&["G2", "--after", &all[23]]);
    assert_eq!([&last["count"], &last["records"]], [&json!(0), &json!([])]);
    assert_eq!(ids(&place.ok(&["G2", "--after", "", "--limit", "1"])), all[..1]);
    place.denied(&["G2", "--after", "g_absent"], "DENIED_RECORD_NOT_FOUND", 1);
    let query = place.ok(&["G3", "--query", "T", "--limit", "3", "--after", &all[2]]);
    assert_eq!(ids(&query), all[3..6]);
    assert_eq!(query["next"], all[5].as_str());
}

#[test]
fn a_query_is_a_substring_with_nothing_special_in_it() {
    let place = Place::new();
    for (title, summary, body) in [
        ("snake", "see a_b here", "x"),
        ("other", "see aXb here", "x"),
        ("sale", "S.", "now 50%off all"),
        ("sell", "S.", "now 50 percent off"),
        ("path", "S.", r"in c:\x today"),
        ("Table", "S.", "École and ÄPFEL"),
        ("nospace", "S.", "quote\"mark and it's"),
        ("日本語のタイトル", "S.", "crab 🦀 emoji"),
        ("lines", "S.", "one\ntwo"),
    ] {
        place.ok(&["G1", "--title", title, "--summary", summary, "--body", body]);
    }
    let titles = |query: &str| -> Vec<String> {
        let found = place.ok(&["G3", "--query", query]);
        assert_eq!(found["query"], query);
        let titles =
            found["records"].as_array().unwrap().iter().map(|record| text(record, "title").to_owned());
        let titles: Vec<String> = titles.collect();
        assert_eq!(found["count"], titles.len());
        titles
    };
    for (query, expected) in [
        ("a_b", &["snake"][..]),
        ("A_B", &["snake"]),
        ("50%off", &["sale"]),
        ("%", &["sale"]),
        ("_", &["snake"]),
        (r"c:\x", &["path"]),
        (r"\", &["path"]),
        ("TABLE", &["Table"]),
        ("table", &["Table"]),
        ("École", &["Table"]),
        ("éCOLE", &[]),
        ("ÉCOLE", &["Table"]),
        ("äpfel", &[]),
        ("ÄPFEL", &["Table"]),
        ("Äpfel", &["Table"]),
        ("\"mark", &["nospace"]),
        ("'s", &["nospace"]),
        ("x", &["path", "other", "snake"]),
        ("X", &["path", "other", "snake"]),
        ("日本", &["日本語のタイトル"]),
        ("本語の", &["日本語のタイトル"]),
        ("🦀", &["日本語のタイトル"]),
        ("b 🦀 e", &["日本語のタイトル"]),
        ("one\ntwo", &["lines"]),
        ("lines\nS", &[]),
        ("S.\none", &[]),
        ("see here", &[]),
        ("zzz", &[]),
        ("-1", &[]),
        ("--", &[]),
    ] {
        assert_eq!(titles(query), expected, "{query:?}");
    }
    let spaced = titles(" ");
    assert!(spaced.contains(&"snake".to_owned()) && !spaced.contains(&"lines".to_owned()), "{spaced:?}");
    assert_eq!(titles("see").len(), 2);
    for empty in [&["G3"][..], &["G3", "--query", ""]] {
        place.denied(empty, "DENIED_QUERY_REQUIRED", 2);
    }
    place.denied(&["G3", "--query", &"q".repeat(2049)], "DENIED_TEXT_TOO_LONG", 2);
    // What was changed is found by its new text and no longer by the old one.
    let id = ids(&place.ok(&["G3", "--query", "a_b"])).remove(0);
    place.ok(&["G5", "--id", &id, "--summary", "Renamed whole."]);
    assert_eq!(titles("a_b"), [""; 0]);
    assert_eq!(titles("renamed"), ["snake"]);
}

#[test]
fn an_inspected_record_has_every_column_in_the_order_of_the_schema() {
    let place = Place::new();
    let gotcha = place.id(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    let learning = place.id(&["L2", "--id", &gotcha]);
    let learned = place.id(&["L3", "--id", &learning]);
    for (inspect, table, id) in
        [("G4", "gotcha", &gotcha), ("L6", "learning", &learning), ("L9", "learned", &learned)]
    {
        let shown = place.ok(&[inspect, "--id", id]);
        let columns: Vec<String> =
            rows(&place, &format!("SELECT name FROM pragma_table_info('{table}')"), &[])
                .iter()
                .map(|row| row["name"].as_str().unwrap().to_owned())
                .collect();
        assert_eq!(keys(&shown), ["status", "record"]);
        assert_eq!(keys(&shown["record"]), columns);
        assert_eq!(keys(&shown["record"]).last(), Some(&"is_test"));
        let stored: Value = row(&place, &format!("SELECT * FROM {table} WHERE id = ?1"), &[id]).into();
        assert_eq!(shown["record"], stored);
        for missing in [&[inspect][..], &[inspect, "--id", ""]] {
            place.denied(missing, "DENIED_ID_REQUIRED", 2);
        }
        let denial = place.denied(&[inspect, "--id", "x_1"], "DENIED_RECORD_NOT_FOUND", 1);
        assert_eq!([&denial["id"], &denial["table"]], [&json!("x_1"), &json!(table)]);
    }
}
