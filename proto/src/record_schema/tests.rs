#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::types::{self, EvidenceChunk, TraceEvent};
use super::vocabulary::{TraceKind, TraceLevel};
use super::*;

fn denied(record_type: &str, payload: &Value) -> Denial {
    validate(record_type, payload).expect_err(&format!("{record_type} {payload}"))
}

/// The keys of a denial that are its own.
fn own_fields(denial: &Denial) -> Value {
    let mut object = denial.to_json();
    for key in ["status", "required_action", "exit_code", "example"] {
        object.as_object_mut().unwrap().shift_remove(key);
    }
    object
}

/// A payload that passes, with the required fields alone.
fn smallest(record_type: &RecordType) -> Map<String, Value> {
    record_type.required().map(|field| (field.name.to_owned(), sample(field))).collect()
}

fn sample(field: &Field) -> Value {
    match field.shape {
        Shape::Str => json!(field.allowed.first().copied().unwrap_or("x")),
        Shape::Int => json!(field.min.unwrap_or(1)),
        Shape::Float => json!(0.5),
        Shape::List => json!([]),
        Shape::Dict => json!({}),
        Shape::Any => json!(false),
    }
}

#[test]
fn there_are_twelve_types_and_they_are_sorted() {
    assert_eq!(
        names(),
        [
            "eval_score",
            "evidence_chunk",
            "evidence_document",
            "gateway_event",
            "generative_run",
            "generative_run_route",
            "gotcha",
            "improvement_proposal",
            "pii_scan",
            "source_lock",
            "trace_event",
            "verification",
        ]
    );
}

#[test]
fn the_declarations_are_sound() {
    for record_type in types::ALL {
        let fields: BTreeSet<&str> = record_type.fields.iter().map(|field| field.name).collect();
        assert_eq!(fields.len(), record_type.fields.len(), "{}", record_type.name);
        let required: BTreeSet<&str> =
            record_type.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        if !record_type.asked.is_empty() {
            assert_eq!(required, record_type.asked.iter().copied().collect(), "{}", record_type.name);
        }
        for field in record_type.fields {
            assert!(!field.is_summary || field.shape == Shape::Str, "{}", field.name);
            assert!(field.max_words.is_none() || field.shape == Shape::Str, "{}", field.name);
            assert!(!sentence(field.doc).is_empty(), "{}", field.name);
        }
        record_type.validate(&Value::Object(smallest(record_type))).unwrap();
    }
}

#[test]
fn required_fields_are_asked_for_in_the_documented_order() {
    for (record_type, fields) in [
        ("eval_score", json!(["name", "value", "data_type", "source"])),
        ("evidence_chunk", json!(["text", "chunk_index", "chunker"])),
        ("evidence_document", json!(["origin_kind", "origin_ref", "backend", "summary"])),
        ("gateway_event", json!(["event_type", "status", "summary"])),
        ("generative_run", json!(["backend", "template", "workflow_hash", "status", "summary"])),
        ("generative_run_route", json!(["run_id", "route"])),
        ("gotcha", json!(["title", "summary", "body"])),
        ("improvement_proposal", json!(["contract", "title", "summary"])),
        ("pii_scan", json!(["regex_hit_count", "model_hit_count", "summary"])),
        ("source_lock", json!(["source_id", "authority_tier", "url_or_repository", "summary"])),
        ("trace_event", json!(["kind", "summary"])),
        ("verification", json!(["summary"])),
    ] {
        // An unknown field does not come first.
        let denial = denied(record_type, &json!({"stray": 1}));
        let expected =
            json!({"code": "DENIED_SCHEMA_REQUIRED", "record_type": record_type, "fields": fields});
        assert_eq!(own_fields(&denial), expected);
    }
    let action = denied("source_lock", &json!({})).to_json()["required_action"].clone();
    assert!(action.as_str().unwrap().contains("--url-or-repository"), "{action}");
}

#[test]
fn absent_null_and_empty_are_missing_and_zero_is_not() {
    for missing in [json!({"regex_hit_count": null}), json!({"regex_hit_count": ""}), json!({})] {
        let mut payload = missing;
        payload["model_hit_count"] = json!(0);
        payload["summary"] = json!("S.");
        assert_eq!(denied("pii_scan", &payload).field("fields"), Some(&json!(["regex_hit_count"])));
    }
    for value in [json!(0), json!(false), json!([]), json!({})] {
        let payload = json!({"name": "n", "value": value, "data_type": "numeric", "source": "human"});
        validate("eval_score", &payload).unwrap();
    }
}

#[test]
fn the_steps_come_in_their_order() {
    let code = |record_type: &str, payload: Value| denied(record_type, &payload).code;
    assert_eq!(code("nothing", json!(null)), Code::SchemaUnknownType);
    for other in [json!(null), json!([]), json!("x"), json!(1), json!(true)] {
        assert_eq!(code("gotcha", other), Code::SchemaType);
    }
    let unknown = denied("verification", &json!({"zeta": 1, "summary": "S.", "severity": 1, "alpha": 2}));
    assert_eq!(
        own_fields(&unknown),
        json!({"code": "DENIED_SCHEMA_UNKNOWN_FIELDS", "record_type": "verification", "fields": ["zeta", "alpha"]})
    );
    // Fields are checked in the order of the type, not of the payload.
    let payload = json!({"cost": -1, "level": "loud", "name": 1, "kind": "judge", "summary": "S."});
    assert_eq!(
        own_fields(&denied("trace_event", &payload)),
        json!({"code": "DENIED_SCHEMA_FIELD_TYPE", "record_type": "trace_event", "field": "name", "expected": "str"})
    );
    let payload = json!({"cost": -1, "level": "loud", "kind": "judge", "summary": "S."});
    assert_eq!(
        own_fields(&denied("trace_event", &payload)),
        json!({"code": "DENIED_SCHEMA_ENUM", "record_type": "trace_event", "field": "level", "value": "loud",
               "allowed": ["debug", "default", "warning", "error"]})
    );
    let payload = json!({"summary": "A. B. C.", "cost": -0.5, "kind": "judge"});
    assert_eq!(
        own_fields(&denied("trace_event", &payload)),
        json!({"code": "DENIED_SCHEMA_RANGE", "record_type": "trace_event", "field": "cost", "value": -0.5, "min": 0})
    );
    assert_eq!(code("trace_event", json!({"summary": "A. B. C.", "kind": "judge"})), Code::SummaryTooLong);
    let payload = json!({"summary": "S.", "kind": "judge", "name": "w ".repeat(41)});
    assert_eq!(code("trace_event", payload), Code::FieldWordLimit);
    let payload = json!({"summary": "S.", "kind": "judge", "body": "w ".repeat(1301)});
    assert_eq!(code("trace_event", payload), Code::FieldSplitRequired);
}

#[test]
fn numbers_are_told_apart() {
    let with = |field: &str, value: Value| {
        let mut payload = json!({"origin_kind": "file", "origin_ref": "a", "backend": "b", "summary": "S."});
        payload[field] = value;
        validate("evidence_document", &payload).map_err(|denial| own_fields(&denial))
    };
    for wrong in [json!(1.0), json!(true), json!("1"), json!([1]), json!(1e300)] {
        let denial = with("block_count", wrong).unwrap_err();
        assert_eq!(
            [&denial["code"], &denial["expected"]],
            [&json!("DENIED_SCHEMA_FIELD_TYPE"), &json!("int")]
        );
    }
    assert_eq!(with("block_count", json!(-1)).unwrap_err()["min"], 0);
    // More than the database can hold.
    assert_eq!(with("block_count", json!(u64::MAX)).unwrap_err()["max"], i64::MAX);
    with("block_count", json!(i64::MAX)).unwrap();
    for right in [json!(0), json!(1), json!(0.5), json!(-0.0)] {
        with("extraction_confidence", right).unwrap();
    }
    assert_eq!(with("extraction_confidence", json!(true)).unwrap_err()["expected"], "float");
    assert_eq!(with("extraction_confidence", json!(1.01)).unwrap_err()["max"], 1);
    assert_eq!(with("extraction_confidence", json!(-1)).unwrap_err()["min"], 0);
    assert_eq!(with("extraction_confidence", json!(u64::MAX)).unwrap_err()["max"], 1);
}

#[test]
fn a_payload_becomes_its_struct() {
    let payload = json!({"kind": "tool_call", "level": "error", "summary": "S.", "cost": 2, "task_id": null});
    let event: TraceEvent = read(payload).unwrap();
    assert_eq!(
        (event.kind, event.level, event.cost),
        (TraceKind::ToolCall, Some(TraceLevel::Error), Some(2.0))
    );
    assert_eq!(event.task_id, None);
    assert_eq!(read::<EvidenceChunk>(json!({})).unwrap_err().code, Code::SchemaRequired);
}

#[test]
fn every_type_has_a_json_schema() {
    for record_type in types::ALL {
        let schema = record_type.json_schema();
        assert_eq!(schema["properties"].as_object().unwrap().len(), record_type.fields.len());
        assert_eq!(schema["additionalProperties"], false);
    }
    let schema = find("trace_event").unwrap().json_schema();
    assert_eq!(schema["properties"]["cost"]["minimum"], 0);
    assert_eq!(schema["properties"]["kind"]["enum"], json!(TraceKind::WORDS));
    assert_eq!(schema["properties"]["level"]["enum"][4], Value::Null);
    assert_eq!(schema["required"], json!(["kind", "summary"]));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["judge", "numeric", "file", "token", "human", "queued", "S.", "\0"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn read_any(record_type: &RecordType, payload: Value) -> Result<(), Denial> {
    macro_rules! reads {
        ($($record:ident)+) => { match record_type.name {
            $( name if name == types::$record::TYPE.name => read::<types::$record>(payload).map(drop), )+
            other => panic!("{other}"),
        } };
    }
    reads!(EvalScore EvidenceChunk EvidenceDocument GatewayEvent GenerativeRun GenerativeRunRoute Gotcha
        ImprovementProposal PiiScan SourceLock TraceEvent Verification)
}

proptest! {
    #[test]
    fn validation_is_total(record_type in ".{0,20}", payload in any_json()) {
        prop_assert_eq!(validate(&record_type, &payload).unwrap_err().code, Code::SchemaUnknownType);
        for record_type in types::ALL {
            let _ = record_type.validate(&payload);
        }
    }

    /// What passes the rules fits the struct: the two cannot drift apart.
    #[test]
    fn what_is_valid_can_be_read(
        at in 0..types::ALL.len(),
        values in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 0..4),
    ) {
        let record_type = types::ALL[at];
        let mut payload = smallest(record_type);
        for (index, value) in values {
            let field = &record_type.fields[index.index(record_type.fields.len())];
            payload.insert(field.name.to_owned(), value);
        }
        let payload = Value::Object(payload);
        let valid = record_type.validate(&payload);
        prop_assert_eq!(read_any(record_type, payload), valid);
    }
}
