//! Checks of payloads and texts: Q8 and Q10.

use kaizen_proto::record_schema;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::keys;

#[test]
fn payloads_are_checked_without_a_data_plane() {
    let place = Place::new();
    let valid = |kind: &str, payload: &str| place.ok(&["Q8", "--kind", kind, "--payload-json", payload]);
    for (kind, payload) in [
        ("trace_event", r#"{"kind": "judge", "summary": "Judged."}"#),
        ("pii_scan", r#"{"regex_hit_count": 0, "model_hit_count": 0, "hits": [], "summary": "None."}"#),
        ("gotcha", r#"{"title": "T", "summary": "S.", "body": "B", "scope": null}"#),
        ("eval_score", r#"{"name": "n", "value": false, "data_type": "boolean", "source": "human"}"#),
    ] {
        let reply = valid(kind, payload);
        assert_eq!(keys(&reply), ["status", "record_type", "valid", "jsonschema_accelerator"]);
        assert_eq!([&reply["record_type"], &reply["valid"]], [&json!(kind), &json!(true)]);
    }
    let list = json!({"status": "OK", "schemas": record_schema::names(), "jsonschema_accelerator": false});
    assert_eq!(place.ok(&["Q8"]), list);
    assert_eq!(place.ok(&["Q8", "--kind", "", "--payload-json", "{"]), list);
    let schema = place.ok(&["Q8", "--kind", "trace_event", "--schema"]);
    assert_eq!(schema["json_schema"]["required"], json!(["kind", "summary"]));
    assert!(!place.database().exists());
}

#[test]
fn a_payload_is_checked_in_a_fixed_order() {
    let place = Place::new();
    let denied = |words: &[&str], code: &str| place.denied(&[&["Q8", "--kind"], words].concat(), code, 2);
    // A payload is asked for before the kind is looked up.
    denied(&["nothing"], "DENIED_USAGE");
    denied(&["nothing", "--payload-json", ""], "DENIED_USAGE");
    denied(&["nothing", "--payload-json", "{"], "DENIED_JSON_INVALID");
    let denial = denied(&["nothing", "--payload-json", "{}"], "DENIED_SCHEMA_UNKNOWN_TYPE");
    assert_eq!(
        [&denial["record_type"], &denial["known_types"]],
        [&json!("nothing"), &json!(record_schema::names())]
    );
    for other in ["[]", "null", "1", "\"x\""] {
        denied(&["gotcha", "--payload-json", other], "DENIED_SCHEMA_TYPE");
    }
    let denial =
        denied(&["gotcha", "--payload-json", r#"{"title": "T", "stray": 1}"#], "DENIED_SCHEMA_REQUIRED");
    assert_eq!(denial["fields"], json!(["summary", "body"]));
    let action = denial["required_action"].as_str().unwrap();
    assert!(action.contains("--summary") && action.contains("--body"), "{action}");
    let with = |more: Value| {
        let mut payload = json!({"kind": "judge", "summary": "S."});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload.to_string()
    };
    let denial = denied(
        &["trace_event", "--payload-json", &with(json!({"b": 1, "level": "loud", "a": 2}))],
        "DENIED_SCHEMA_UNKNOWN_FIELDS",
    );
    assert_eq!(denial["fields"], json!(["b", "a"]));
    let denial = denied(
        &["trace_event", "--payload-json", &with(json!({"cost": -1, "latency_ms": 1.0}))],
        "DENIED_SCHEMA_RANGE",
    );
    assert_eq!([&denial["field"], &denial["value"], &denial["min"]], [&json!("cost"), &json!(-1), &json!(0)]);
    let denial = denied(
        &["trace_event", "--payload-json", &with(json!({"latency_ms": 1.0}))],
        "DENIED_SCHEMA_FIELD_TYPE",
    );
    assert_eq!([&denial["field"], &denial["expected"]], ["latency_ms", "int"]);
}

#[test]
fn a_payload_file_beats_the_inline_payload() {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| std::fs::write(place.root.join(name), bytes).unwrap();
    write("good.json", b"\xef\xbb\xbf{\"kind\": \"judge\", \"summary\": \"S.\"}");
    write("latin.json", b"{\"kind\": \"\xe9\"}");
    write("empty.json", b"");
    let call = |file: &'static str| {
        ["Q8", "--kind", "trace_event", "--payload-json", "{", "--payload-json-file", file]
    };
    assert_eq!(place.ok(&call("good.json"))["valid"], true);
    place.denied(&call("absent.json"), "DENIED_FILE_NOT_FOUND", 2);
    place.denied(&call("latin.json"), "DENIED_FILE_NOT_UTF8", 2);
    place.denied(&call("empty.json"), "DENIED_USAGE", 2);
}

const FILLER: &str = "We dogfood it in order to win. Needless to say, it is very good.";

#[test]
fn a_text_is_linted_from_each_of_its_sources() {
    let place = Place::new();
    std::fs::write(place.root.join("filler.md"), FILLER).unwrap();
    std::fs::write(place.root.join("plain.md"), "Say what is so.").unwrap();
    std::fs::write(place.root.join("empty.md"), "").unwrap();
    let verdict =
        |words: &[&str]| place.ok(&[&["Q10"], words].concat())["verdict"].as_str().unwrap().to_owned();
    assert_eq!(verdict(&["--body", FILLER]), "fail");
    assert_eq!(verdict(&["--body-file", "filler.md", "--path", "plain.md"]), "fail");
    assert_eq!(verdict(&["--body", "Plain.", "--body-file", "filler.md"]), "pass");
    assert_eq!(verdict(&["--body", "", "--body-file", "filler.md"]), "fail");
    assert_eq!(verdict(&["--body-file", "empty.md", "--path", "filler.md"]), "fail");
    assert_eq!(verdict(&["--path", "plain.md"]), "pass");
    for nothing in
        [&[][..], &["--body", ""], &["--body-file", "empty.md"], &["--path", "empty.md"], &["--path", ""]]
    {
        place.denied(&[&["Q10"], nothing].concat(), "DENIED_CONTRACT_TEXT_REQUIRED", 2);
    }
    place.denied(&["Q10", "--path", "absent.md"], "DENIED_FILE_NOT_FOUND", 1);
    place.denied(&["Q10", "--path", "../escape.md"], "DENIED_PATH_OUTSIDE_REPO", 2);
    std::fs::write(place.path("outside.md"), FILLER).unwrap();
    assert_eq!(verdict(&["--path", "../outside.md", "--allow-external"]), "fail");
    std::fs::write(place.root.join("latin.md"), b"caf\xe9").unwrap();
    place.denied(&["Q10", "--path", "latin.md"], "DENIED_FILE_NOT_UTF8", 2);
    std::fs::write(place.root.join("large.md"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    place.denied(&["Q10", "--path", "large.md"], "DENIED_FILE_TOO_LARGE", 2);
    assert!(!place.database().exists());
}

#[test]
fn a_lint_says_what_it_found() {
    let place = Place::new();
    let reply = place.ok(&["Q10", "--body", FILLER]);
    assert_eq!(
        keys(&reply),
        [
            "status",
            "op",
            "verdict",
            "word_count",
            "sentence_count",
            "signal_per_token",
            "hedge_density",
            "filler_hits",
            "hedge_hits",
            "duplicate_sentences",
            "reasons",
            "note"
        ]
    );
    assert_eq!(
        [&reply["op"], &reply["word_count"], &reply["sentence_count"]],
        [&json!("contract-lint"), &json!(14), &json!(2)]
    );
    assert_eq!(
        reply["filler_hits"],
        json!([
            {"label": "wordy", "text": "in order to", "span": [14, 25], "suggestion": "to"},
            {"label": "hedge_phrase", "text": "Needless to say", "span": [31, 46], "suggestion": "(cut)"},
            {"label": "colloquial", "text": "dogfood", "span": [3, 10], "suggestion": "name the concrete action"},
        ])
    );
    assert_eq!(reply["hedge_hits"], json!([{"word": "very", "span": [54, 58]}]));
    assert_eq!([&reply["hedge_density"], &reply["signal_per_token"]], [&json!(0.0714), &json!(0.7143)]);
    assert_eq!(reply["reasons"].as_array().unwrap().len(), 2);
    assert_eq!(place.ok(&["Q10", "--body", FILLER]), reply);
    let reply = place.ok(&["Q10", "--body", "Do it well today. Then do it well today. Do it well today!"]);
    assert_eq!(
        reply["duplicate_sentences"],
        json!([{"a_index": 0, "b_index": 1, "jaccard": 0.667}, {"a_index": 0, "b_index": 2, "jaccard": 1.0},
               {"a_index": 1, "b_index": 2, "jaccard": 0.667}])
    );
    assert_eq!(place.ok(&["Q10", "--body", "We kind\nof agree."])["verdict"], "pass");
    assert_eq!(place.ok(&["Q10", "--body", "We kind\nof agree.", "--strict"])["verdict"], "fail");
}
