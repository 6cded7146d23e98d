//! What people see: replies and denials without `--json`.

use crate::context::{Outcome, Place};
use crate::rows::text;

/// Puts names in place of what differs from run to run: ids, hashes, times and paths.
fn normal(place: &Place, shown: &str) -> String {
    let shown = shown.replace(place.root.canonicalize().unwrap().to_str().unwrap(), "ROOT");
    let mut normal = String::new();
    for word in shown.split_inclusive([' ', '\n']) {
        let bare = word.trim_end();
        let ending = &word[bare.len()..];
        let is_hex = |text: &str| text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = match bare.split_once('_') {
            Some((prefix, digits)) if is_hex(digits) => format!("{prefix}_ID"),
            _ if is_hex(bare) => "HASH".to_owned(),
            _ if bare.starts_with("20") && bare.contains('T') && bare.ends_with("+00:00") => {
                "TIME".to_owned()
            }
            _ if bare.len() == 10 && bare.starts_with("20") && bare.matches('-').count() == 2 => {
                "DAY".to_owned()
            }
            _ if bare.len() == 8 && bare.matches(':').count() == 2 => "TIME".to_owned(),
            _ => bare.to_owned(),
        };
        normal.push_str(&name);
        normal.push_str(ending);
    }
    normal
}

fn shown(place: &Place, words: &[&str]) -> String {
    let outcome = place.run(words);
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.stderr, "");
    assert_plain(&outcome);
    normal(place, &outcome.stdout)
}

/// No colours, and nothing else that a terminal would act on, goes into a pipe.
fn assert_plain(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(
            text.chars().all(|character| matches!(character, '\n' | '\t') || !character.is_control()),
            "{text:?}"
        );
    }
}

#[test]
fn replies_for_people_are_as_reviewed() {
    let place = Place::new();
    let mut all = String::new();
    let mut show = |words: &[&str]| {
        let text = shown(&place, words);
        let words: Vec<String> = words.iter().map(|word| normal(&place, &format!("{word:?}"))).collect();
        all.push_str(&format!("$ kaizenctl {}\n{text}\n", words.join(" ").replace('"', "'")));
    };
    show(&["G2"]);
    show(&["W1", "--title", "Fix the loop", "--summary", "It hangs."]);
    show(&["W1", "--title", "T", "--summary", "S.", "--status", "actve", "--task-id", "t_absent"]);
    show(&[
        "G1",
        "--title",
        "Größe 日本",
        "--summary",
        "A long way.",
        "--body",
        "First line\nsecond \u{1b}[31mline\tend",
    ]);
    show(&["G1", "--title", "Two\nlines", "--summary", "S.", "--body", "B", "--status", "resolved"]);
    show(&["G2"]);
    show(&["G2", "--limit", "1"]);
    let id = place.ok(&["G2"])["records"][1]["id"].as_str().unwrap().to_owned();
    let inspected = shown(&place, &["G4", "--id", &id]);
    show(&["X1", "--title", "Ask", "--summary", "Ask first.", "--priority", "critical"]);
    show(&["Q2", "--summary", "S.", "--task-id", "t_absent"]);
    show(&["A1", "--path", "absent"]);
    show(&["R0"]);
    show(&["K1"]);
    all.push_str(&format!("$ kaizenctl G4 --id ID\n{inspected}"));
    insta::assert_snapshot!(all);
}

#[test]
fn denials_for_people_are_as_reviewed() {
    let place = Place::new();
    let mut all = String::new();
    for (words, exit_code) in [
        (&["G1"][..], 2),
        (&["G1", "--titel", "T"], 2),
        (&["G4", "--id", "g_1"], 1),
        (&["no-such-operation"], 2),
        (&["Q2", "--summary", "S.", "--conclusion", "FINE"], 2),
        (&["W1", "--title", "T", "--summary", "One. Two. Three."], 2),
        (&["W1", "--title", "T", "--summary", "S.", "--body-file", "\u{1b}[2Jabsent"], 2),
    ] {
        let outcome = place.run(words);
        assert_eq!(outcome.status.code(), Some(exit_code), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
        assert_plain(&outcome);
        assert!(outcome.stderr.starts_with("DENIED_"), "{outcome:?}");
        assert!(outcome.stderr.contains("\nrequired_action: "), "{outcome:?}");
        all.push_str(&format!(
            "$ kaizenctl {}\n{}\n",
            words.join(" ").replace('\u{1b}', "ESC"),
            normal(&place, &outcome.stderr)
        ));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn json_is_one_compact_line_of_utf_8() {
    let place = Place::new();
    let outcome =
        place.run(["G1", "--title", "Größe 🦀", "--summary", "S.", "--body", "a\nb\t\"c\"", "--json"]);
    assert!(outcome.stdout.ends_with("}\n") && outcome.stdout.matches('\n').count() == 1, "{outcome:?}");
    assert!(!outcome.stdout.contains("\": ") && outcome.stdout.starts_with("{\"status\":\"OK\",\"id\":\"g_"));
    let listed = place.run(["G2", "--json"]).stdout;
    assert!(listed.contains("Größe 🦀"), "{listed}");
    let reply: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let shown = place.ok(&["G4", "--id", text(&reply, "id")]);
    assert_eq!(shown["record"]["body"], "a\nb\t\"c\"");
    let denied = place.run(["G4", "--json"]);
    assert!(denied.stderr.ends_with("}\n") && denied.stderr.matches('\n').count() == 1, "{denied:?}");
}
