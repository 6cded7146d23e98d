//! Ways to spoil one field of a call that works, with the denial that the field's rule gives.

use kaizen_proto::operation::{Access, Card};
use serde_json::{Value, json};

/// One rule: what a field is spoilt with, and what that is denied with.
pub(crate) struct Rule {
    pub(crate) code: &'static str,
    pub(crate) exit_code: u64,
    /// The fields it holds for, where an operation has them; `*` is every text.
    fields: &'static [&'static str],
    /// Operations for which another rule comes first, by field.
    except: &'static [(&'static str, &'static [&'static str])],
    writes_only: bool,
    /// The spoilt value, from the one that works, and what the denial says; a null takes the field away.
    spoil: fn(&str, &Value) -> Option<(Value, Value)>,
}

/// What no real key is, spelt so that it is not taken for one here.
const SECRET: &str = concat!("AKIA", "IOSFODNN7EXAMPLE");

fn words(count: usize) -> String {
    vec!["word"; count].join(" ")
}

const fn rule(
    code: &'static str,
    exit_code: u64,
    fields: &'static [&'static str],
    spoil: fn(&str, &Value) -> Option<(Value, Value)>,
) -> Rule {
    Rule { code, exit_code, fields, except: &[], writes_only: false, spoil }
}

/// Reports have one window each, so R8 to R10 take no other start.
const WINDOWED: &[&str] = &["R8", "R9", "R10"];
/// The title of a review stands for its decision, and is not looked at beside one.
const TITLE_OF_DECISION: &[&str] = &["I1"];

pub(crate) const RULES: &[Rule] = &[
    rule("DENIED_TITLE_REQUIRED", 2, &["title"], |_, _| Some((Value::Null, json!({})))),
    rule("DENIED_TITLE_REQUIRED", 2, &["title"], |_, _| Some((json!(""), json!({})))),
    rule("DENIED_SUMMARY_REQUIRED", 2, &["summary"], |_, _| Some((json!(""), json!({"field": "summary"})))),
    rule("DENIED_SUMMARY_TOO_LONG", 2, &["summary"], |_, _| {
        Some((json!("One. Two! Three?"), json!({"field": "summary", "sentences": 3, "limit": 2})))
    }),
    rule("DENIED_FIELD_WORD_LIMIT", 2, &["summary"], |_, _| {
        Some((json!(words(81)), json!({"field": "summary", "words": 81, "limit": 80})))
    }),
    rule("DENIED_FIELD_WORD_LIMIT", 2, &["body"], |_, _| {
        Some((json!(words(1001)), json!({"field": "body", "words": 1001, "limit": 1000})))
    }),
    rule("DENIED_FIELD_SPLIT_REQUIRED", 2, &["summary"], |_, _| {
        Some((json!(words(400) + &" w".repeat(901)), json!({"field": "summary", "words": 1301, "limit": 80})))
    }),
    rule("DENIED_FIELD_SPLIT_REQUIRED", 2, &["body"], |_, _| {
        Some((json!(words(1301)), json!({"field": "body", "words": 1301, "limit": 1000})))
    }),
    Rule {
        except: &[("title", TITLE_OF_DECISION)],
        writes_only: true,
        ..rule("DENIED_TEXT_TOO_LONG", 2, &["title"], |field, _| {
            Some((json!("x".repeat(4097)), json!({"field": field, "bytes": 4097})))
        })
    },
    Rule {
        writes_only: true,
        ..rule("DENIED_TEXT_TOO_LONG", 2, &["scope", "status", "writer_role"], |field, _| {
            Some((json!("x".repeat(513)), json!({"field": field, "bytes": 513, "limit": 512})))
        })
    },
    rule("DENIED_TEXT_TOO_LONG", 2, &["summary", "query"], |field, _| {
        Some((json!("x".repeat(2049)), json!({"field": field, "bytes": 2049, "limit": 2048})))
    }),
    rule("DENIED_TEXT_TOO_LONG", 2, &["body"], |field, _| {
        Some((json!("x".repeat(65_537)), json!({"field": field, "bytes": 65_537, "limit": 65_536})))
    }),
    rule("DENIED_TEXT_TOO_LONG", 2, &["payload_json"], |field, _| {
        Some((json!(format!("{{\"summary\":\"{}\"}}", "x".repeat(1024 * 1024))), json!({"field": field})))
    }),
    Rule {
        except: &[("title", TITLE_OF_DECISION)],
        ..rule("DENIED_TEXT_INVALID", 2, &["title", "summary", "body"], |field, _| {
            Some((json!("a\u{0}b"), json!({"field": field})))
        })
    },
    Rule {
        writes_only: true,
        ..rule("DENIED_SECRET", 2, &["*"], |field, _| {
            let found = json!([{"class": "aws_access_key", "start": 4, "end": 24}]);
            Some((json!(format!("see {SECRET}")), json!({"fields": {field: found}})))
        })
    },
    rule("DENIED_TRACE_REDACTION", 2, &["summary", "body"], |field, _| {
        Some((json!(format!("see {SECRET}")), json!({"fields": {field: ["aws_access_key"]}})))
    }),
    rule("DENIED_ID_REQUIRED", 2, &["id"], |_, _| Some((Value::Null, json!({})))),
    rule("DENIED_ID_REQUIRED", 2, &["id"], |_, _| Some((json!(""), json!({})))),
    Rule {
        // T4 filters by it.
        except: &[("id", &["T4"])],
        ..rule("DENIED_RECORD_NOT_FOUND", 1, &["id", "after"], |_, _| {
            Some((json!("x_absent"), json!({"id": "x_absent"})))
        })
    },
    rule("DENIED_ID_AMBIGUOUS", 2, &["id"], |_, id| {
        let prefix = id.as_str()?.split_inclusive('_').next()?.to_owned();
        Some((json!(prefix), json!({"id": prefix})))
    }),
    rule("DENIED_QUERY_REQUIRED", 2, &["query"], |_, _| Some((Value::Null, json!({})))),
    rule("DENIED_QUERY_REQUIRED", 2, &["query"], |_, _| Some((json!(""), json!({})))),
    rule("DENIED_REVIEW_ID_REQUIRED", 2, &["review_id"], |_, _| Some((Value::Null, json!({})))),
    rule("DENIED_CONTRACT_REQUIRED", 2, &["contract"], |_, _| Some((json!(""), json!({})))),
    rule(
        "DENIED_JSON_INVALID",
        2,
        &["payload_json", "evidence", "findings", "remedies", "artifact_ids"],
        |field, _| Some((json!("{\"a\":"), json!({"field": field}))),
    ),
    rule("DENIED_PAYLOAD_TYPE", 2, &["payload_json"], |_, _| Some((json!("[1]"), json!({})))),
    rule("DENIED_SCHEMA_FIELD_TYPE", 2, &["evidence", "findings", "remedies"], |field, _| {
        Some((json!("{}"), json!({"record_type": "verification", "field": field, "expected": "list"})))
    }),
    rule("DENIED_SCHEMA_ENUM", 2, &["conclusion", "authority_tier", "format", "only"], |field, _| {
        Some((json!("other"), json!({"field": field, "value": "other"})))
    }),
    Rule {
        except: &[("since", WINDOWED)],
        ..rule("DENIED_TIME_INVALID", 2, &["since", "until"], |field, _| {
            Some((json!("soon"), json!({"field": field, "value": "soon"})))
        })
    },
    Rule {
        // Only what adds or removes a rule needs one.
        except: &[("path", &["E2"])],
        ..rule("DENIED_PATH_REQUIRED", 2, &["path"], |_, _| Some((json!(""), json!({}))))
    },
    rule("DENIED_PATH_OUTSIDE_REPO", 2, &["path"], |_, _| Some((json!("../outside.txt"), json!({})))),
    rule("DENIED_FILE_NOT_FOUND", 1, &["path"], |_, _| Some((json!("absent.txt"), json!({})))),
    rule("DENIED_FILE_NOT_UTF8", 2, &["path"], |_, _| Some((json!("latin.txt"), json!({})))),
    rule("DENIED_FILTER_UNSUPPORTED", 2, &["severity"], |_, _| {
        Some((json!("high"), json!({"flag": "--severity"})))
    }),
    rule("DENIED_FILTER_UNSUPPORTED", 2, &["actionability"], |_, _| {
        Some((json!("now"), json!({"flag": "--actionability"})))
    }),
    rule("DENIED_ROOT_NOT_ALLOWLISTED", 2, &["root"], |_, _| Some((json!(["/"]), json!({"root": "/"})))),
];

impl Rule {
    /// The spoilt calls, each with its field and what its denial says.
    pub(crate) fn spoilt(&self, card: &Card, params: &Value) -> Vec<(String, Value, Value)> {
        if self.writes_only && card.access != Access::Write {
            return Vec::new();
        }
        let schema = json!((card.params_schema)());
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let is_text = |schema: &Value| schema["type"].to_string().contains("\"string\"");
        let wanted = |name: &str, schema: &Value| {
            let excepted = self
                .except
                .iter()
                .any(|(field, operations)| *field == name && operations.contains(&card.code));
            let listed = self.fields.contains(&name) && (is_text(schema) || name == "root");
            !excepted && (listed || (self.fields == ["*"] && is_text(schema)))
        };
        let fields = properties.iter().filter(|(name, schema)| wanted(name, schema));
        fields
            .filter_map(|(name, _)| {
                let (value, says) = (self.spoil)(name, &params[name])?;
                let mut spoilt = params.clone();
                match value {
                    Value::Null => drop(spoilt.as_object_mut()?.shift_remove(name)),
                    value => spoilt[name] = value,
                }
                Some((name.clone(), spoilt, says))
            })
            .collect()
    }
}
