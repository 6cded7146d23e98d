//! Help: every text as it is shown.

use kaizen_proto::families::{self, FAMILIES};

use crate::context::Place;

fn help(place: &Place, words: &[&str]) -> String {
    let outcome = place.run(words);
    assert!(outcome.status.success(), "{words:?}: {outcome:?}");
    assert_eq!(outcome.stderr, "", "{words:?}");
    outcome.stdout
}

#[test]
fn every_text_is_as_reviewed() {
    let place = Place::new();
    let mut topics = vec![vec!["--help".to_owned()], vec!["init".into(), "--help".into()]];
    topics.push(vec!["daemon".into(), "--help".into()]);
    topics.push(vec!["completions".into(), "--help".into()]);
    topics.extend(FAMILIES.iter().map(|family| vec!["help".to_owned(), family.name.to_owned()]));
    topics.extend(families::cards().map(|card| vec![card.code.to_owned(), "--help".to_owned()]));
    let mut all = String::new();
    for topic in topics {
        let words: Vec<&str> = topic.iter().map(String::as_str).collect();
        all.push_str(&format!("$ kaizenctl {}\n{}\n", words.join(" "), help(&place, &words)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn help_is_asked_for_in_many_ways() {
    let place = Place::new();
    let overview = help(&place, &["--help"]);
    assert!(overview.contains("Command families"));
    for same in [
        &[][..],
        &["-h"],
        &["help"],
        &["--json"],
        &["--help", "--json"],
        &["--json", "--test"],
        &["--project", "x"],
    ] {
        assert_eq!(help(&place, same), overview, "{same:?}");
    }
    let operation = help(&place, &["G1", "--help"]);
    for same in [
        &["g1", "-h"][..],
        &["gotcha-add", "--help"],
        &["--help", "G1"],
        &["help", "G1"],
        &["help", "GOTCHA-ADD"],
        &["G1", "--title", "T", "--help"],
        &["G1", "--help", "--json"],
        &["G1", "--no-such-flag", "--help"],
    ] {
        assert_eq!(help(&place, same), operation, "{same:?}");
    }
    assert_eq!(help(&place, &["help", "W"]), help(&place, &["work", "--help"]));
    assert_eq!(help(&place, &["help", "daemon"]), help(&place, &["daemon", "status", "--help"]));
    assert_eq!(help(&place, &["help", "init"]), help(&place, &["init", "-h"]));
    // Whatever it stands beside, --help is answered.
    assert!(help(&place, &["no-such-operation", "--help"]).contains("Command families"));
    place.denied(&["help", "no-such-topic"], "DENIED_USAGE", 2);
    assert!(!place.runtime().exists());
}

#[test]
fn every_operation_shows_its_flags_and_the_families() {
    let place = Place::new();
    for card in families::cards() {
        let text = help(&place, &[card.code, "--help"]);
        assert!(text.contains("Command families"), "{}", card.code);
        assert!(card.names().all(|name| text.contains(name)), "{}", card.code);
        assert!(text.contains(card.purpose) && text.contains(card.example), "{}", card.code);
        let schema = (card.params_schema)();
        let fields = schema.get("properties").and_then(serde_json::Value::as_object);
        for field in fields.into_iter().flat_map(|fields| fields.keys()) {
            assert!(text.contains(&format!("--{}", field.replace('_', "-"))), "{} {field}", card.code);
        }
        for twin in card.twins {
            assert!(
                text.contains(&format!("--{}-file", twin.field.replace('_', "-"))),
                "{} {}",
                card.code,
                twin.field
            );
        }
        let mut prose = text.lines().filter(|line| !line.starts_with("  kaizenctl "));
        assert!(prose.all(|line| line.chars().count() <= 120), "{text}");
    }
}

#[test]
fn the_version_wins_over_everything() {
    let place = Place::new();
    for words in [
        &["--version", "--json"][..],
        &["no-such-operation", "--version", "--json"],
        &["--json", "W1", "--version"],
    ] {
        assert_eq!(
            place.ok(&words.iter().copied().filter(|word| *word != "--json").collect::<Vec<_>>())["tool_version"],
            "0.1.0"
        );
        assert_eq!(help(&place, words), "{\"status\":\"OK\",\"tool_version\":\"0.1.0\"}\n");
    }
    assert_eq!(help(&place, &["--version"]), "kaizenctl 0.1.0\n");
    assert_eq!(help(&place, &["-V"]), "kaizenctl 0.1.0\n");
}
