//! The vectors of every rule, and what must hold for any text.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::rules::{Kind, RULES};
use super::{assert_clean, classes, gate, mask, may_hit, scan};

const BOTH: &[Kind] = &[Kind::Secret, Kind::Personal];

/// A secret of the class `aws_access_key`.
const KEY: &str = concat!("AKIA", "IOSFODNN7EXAMPLE");

#[test]
fn every_rule_finds_what_it_must_and_nothing_else() {
    let mut wrong = Vec::new();
    for rule in RULES {
        assert!(!rule.hits.is_empty() && !rule.clean.is_empty(), "{} has no vectors", rule.class);
        for text in rule.hits {
            if !classes(text).contains(&rule.class) {
                wrong.push(format!("{} misses {text}: {:?}", rule.class, scan(text)));
            }
        }
        for text in rule.clean {
            if classes(text).contains(&rule.class) {
                wrong.push(format!("{} finds {text}: {:?}", rule.class, scan(text)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn classes_come_in_the_fixed_order() {
    let known = [
        "anthropic_key",
        "openai_key",
        "github_token",
        "aws_access_key",
        "google_api_key",
        "slack_token",
        "huggingface_token",
        "stripe_key",
        "azure_account_key",
        "db_url_credentials",
        "private_key_block",
        "jwt",
        "assigned_secret",
        "bearer_header",
        "user_home_path",
        "posix_home_path",
        "email",
    ];
    let place = |class: &&str| RULES.iter().position(|rule| rule.class == *class).unwrap();
    assert!(known.iter().map(place).is_sorted());
    assert_eq!(RULES.last().unwrap().class, "email");
    let mut text = String::new();
    for rule in RULES.iter().rev() {
        text.push_str(rule.hits[0]);
        text.push('\n');
    }
    let found = classes(&text);
    assert!(found.iter().map(place).is_sorted());
    assert!(known.iter().all(|class| found.contains(class)), "{found:?}");
    assert!(classes("").is_empty());
}

/// What a code project is full of.
#[test]
fn ordinary_texts_are_clean() {
    let image =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    for text in [
        "5110c3e7d9f0b1a2c3d4e5f60718293a4b5c6d7e",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "t_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
        "550e8400-e29b-41d4-a716-446655440000",
        image,
        "https://docs.rs/regex/latest/regex/?search=token#method.find",
        "The password field is required, and the token must not be logged.",
        "{\"properties\":{\"password\":{\"type\":\"string\",\"minLength\":12},\"token\":{\"$ref\":\"#/x\"}}}",
        "git clone git@github.com:kaizen-system/kaizen.git",
        "env:\n  TOKEN: ${{ secrets.GITHUB_TOKEN }}\n  API_KEY: ${API_KEY}",
        "def login(user: str, password: str, api_key: str | None = None) -> Token:",
        "fn check(password: &str, secret: &Secret<String>) -> bool {",
        "Bearer tokens are refreshed every hour.",
        "The bearer authentication scheme is described in RFC 6750.",
        "#[serde(rename = \"token\")] pub access_token: Option<String>,",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "task-0123456789abcdefghij",
        "kubectl get secret -n default",
        "Secrets: none were found.",
        "max_tokens=4096, completion_tokens: 128",
        "AI/db/kaizen.db and src/home/page.rs",
    ] {
        assert_eq!(scan(text), [], "{text}");
    }
}

#[test]
fn a_mask_keeps_what_is_around_it() {
    let text = format!("key {KEY} of bob in /home/bob/x, password=\"hunter2secret\"; mail bob@corp.io");
    assert_eq!(
        mask(&text, BOTH),
        "key [REDACTED:aws_access_key] of bob in [REDACTED:posix_home_path]/x, \
         password=\"[REDACTED:assigned_secret]\"; mail [REDACTED:email]"
    );
    assert_eq!(mask(&text, &[Kind::Personal]).matches("[REDACTED").count(), 2);
    let block = concat!("a -----BEGIN RSA ", "PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b");
    assert_eq!(mask(block, BOTH), "a [REDACTED:private_key_block] b");
    // Overlapping hits become one mask, by the name of the first rule.
    let both = concat!("api_key=sk-", "ant-api03-abcdefGHIJKL_0123");
    assert_eq!(mask(both, BOTH), "api_key=[REDACTED:anthropic_key]");
    for rule in RULES {
        assert_eq!(scan(&format!("[REDACTED:{}]", rule.class)), [], "{}", rule.class);
    }
}

#[test]
fn the_gate_of_traces_names_fields_classes_and_places() {
    assert!(assert_clean(&[("summary", "fine"), ("name", "")]).is_ok());
    let text = format!("é {KEY}");
    let denial =
        assert_clean(&[("summary", "fine"), ("environment", "/home/victim/x"), ("body", &text)]).unwrap_err();
    let shown = denial.to_json();
    assert_eq!(shown["code"], "DENIED_TRACE_REDACTION");
    assert_eq!(shown["exit_code"], 2);
    assert_eq!(shown["fields"], json!({"environment": ["posix_home_path"], "body": ["aws_access_key"]}));
    assert_eq!(shown["positions"]["body"], json!([{"class": "aws_access_key", "start": 2, "end": 22}]));
    assert!(!shown.to_string().contains(KEY));
}

fn gated(code: &str, redact: bool, params: Value) -> (Value, Vec<String>) {
    let Value::Object(mut params) = params else { panic!() };
    let warnings = gate::check(code, redact, &mut params).unwrap();
    (Value::Object(params), warnings)
}

fn refused(params: Value) -> Value {
    let Value::Object(mut params) = params else { panic!() };
    let denial = gate::check("G1", false, &mut params).unwrap_err().to_json();
    assert_eq!(denial["code"], "DENIED_SECRET");
    denial
}

#[test]
fn an_escape_in_json_hides_nothing() {
    let hidden = r#"{"a": ["x", {"note": "\u0041KIAIOSFODNN7EXAMPLE"}]}"#;
    let denial = refused(json!({"payload_json": hidden}));
    let place = json!([{"class": "aws_access_key", "start": 0, "end": 20, "at": "/a/1/note"}]);
    assert_eq!(denial["fields"]["payload_json"], place);
    assert!(gate::must_look(&json!({"payload_json": hidden}).to_string()));
    // The same once more inside a string, a key that is written with an escape, and a number.
    let inner = json!({"deeper": hidden}).to_string();
    refused(json!({"payload_json": inner}));
    refused(json!({"payload_json": r#"{"p\u0061ssword": "hunter2secret"}"#}));
    refused(json!({"payload_json": r#"{"password": 1234567890}"#}));
    refused(json!({"tags": ["fine", KEY]}));
    // A key that was masked is not taken for the name of a secret.
    gated("W5", false, json!({"payload_json": r#"{"x [REDACTED:assigned_secret]": "anything else"}"#}));
}

#[test]
fn a_masked_json_text_stays_one_and_keeps_its_spelling() {
    let payload = format!(
        "{{ \"b\": 1.50,  \"k\": \"{KEY}\", \"p\\u0061ssword\": \"hunter2secret\", \"lines\": [\"-----BEGIN {p}-----\", \
         \"MIIE\", \"-----END {p}-----\"], \"n\": 12345678901234567890123 }}",
        p = "PRIVATE KEY"
    );
    let (params, warnings) = gated("W5", true, json!({"payload_json": payload, "summary": "S."}));
    let masked = params["payload_json"].as_str().unwrap();
    assert_eq!(
        masked,
        "{ \"b\": 1.50,  \"k\": \"[REDACTED:aws_access_key]\", \"p\\u0061ssword\": \"[REDACTED:assigned_secret]\", \
         \"lines\": [\"[REDACTED:private_key_block]\", \"[REDACTED:private_key_block]\", \
         \"[REDACTED:private_key_block]\"], \"n\": 12345678901234567890123 }"
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("payload_json: masked "), "{warnings:?}");
}

#[test]
fn personal_details_are_treated_as_the_operation_says() {
    let params = json!({"body": "in /home/bob", "path": "/home/bob/p/x", "task_id": "bob@corp.io"});
    let (masked, warnings) = gated("G1", false, params.clone());
    assert_eq!(masked["body"], "in [REDACTED:posix_home_path]");
    assert_eq!((&masked["path"], &masked["task_id"]), (&params["path"], &params["task_id"]));
    assert_eq!(warnings, ["body: masked posix_home_path"]);
    for code in ["X1", "W7", "W8", "T1", "B2", "Y8"] {
        assert_eq!(gated(code, false, params.clone()), (params.clone(), Vec::new()), "{code}");
    }
    // Their own gate finds nothing to refuse when the caller wants masks.
    assert_eq!(gated("T1", true, json!({"body": "bob@corp.io"})).0["body"], "[REDACTED:email]");
    let long = json!({"body": "x ".repeat(30_000) + KEY});
    let denial = refused(long);
    assert_eq!(denial["fields"]["body"][0]["start"], 60_000);
    assert!(!denial.to_string().contains(KEY));
}

/// Not a test of speed; it says what a clean text costs, and that hostile ones end.
#[test]
fn long_texts_are_searched_in_reasonable_time() {
    use std::time::Instant;
    let text = "The quick brown fox jumps over the lazy dog, again and again. ".repeat(1058);
    assert!(!may_hit(&text, BOTH));
    let began = Instant::now();
    for _ in 0..100 {
        assert!(scan(&text).is_empty());
    }
    println!("a clean text of {} bytes: {:?}", text.len(), began.elapsed() / 100);
    for unit in [
        "eyJ-",
        "password=",
        "secret=$",
        "a@",
        "a@a.bb-",
        "-----BEGIN PRIVATE KEY-----",
        "://:",
        "bearer ",
        "/home/",
        "token_",
        "\"",
        "sk-",
        "secret_",
        "password: \"",
    ] {
        let hostile = unit.repeat(128 * 1024 / unit.len());
        let began = Instant::now();
        let found = scan(&hostile).len();
        let masked = mask(&hostile, BOTH);
        println!("128 KiB of {unit:?}: {:?}, {found} hits, {} bytes", began.elapsed(), masked.len());
        assert!(began.elapsed().as_secs() < 30, "{unit}");
    }
}

#[test]
fn a_mask_makes_no_secret_of_what_stands_around_it() {
    for text in [
        "password=$PASSWORDx@sub.example.comsk-svcacct-abc_DEF-ghiJKL0123456789",
        "{\"list\":[\"postgres://bob@db.internal/app\"],\"=@\":\"x\"}",
    ] {
        for redact in [false, true] {
            let (params, _) = gated("W1", redact, json!({"body": text}));
            let again = gate::check("W1", false, &mut params.as_object().unwrap().clone());
            assert_eq!(again.unwrap(), Vec::<String>::new(), "{text} became {params}");
        }
    }
}

/// Pieces that the rules are made of, glued in any order.
fn pieces() -> impl Strategy<Value = String> {
    let vectors: Vec<&'static str> =
        RULES.iter().flat_map(|rule| rule.hits.iter().chain(rule.clean)).copied().collect();
    let glue = prop_oneof![
        prop::sample::select(vectors).prop_map(str::to_owned),
        "[a-zA-Z0-9_.:@/=+\"' \\\\-]{0,12}",
        "\\PC{0,6}",
        prop::sample::select(vec!["password", "=", ": ", "[REDACTED:", "]", "\n", "@", "é", "sk-", "-----"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(glue, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn ranges_are_within_the_text_and_masks_are_clean(text in pieces()) {
        for hit in scan(&text) {
            prop_assert!(hit.range.start < hit.range.end);
            prop_assert!(text.get(hit.range.clone()).is_some());
        }
        for kinds in [&[Kind::Secret][..], &[Kind::Personal], BOTH] {
            let masked = mask(&text, kinds).into_owned();
            let left = super::scan_for(&masked, kinds);
            prop_assert!(left.is_empty(), "{text:?} -> {masked:?}: {left:?}");
            prop_assert_eq!(mask(&masked, kinds).into_owned(), masked);
        }
        prop_assert!(may_hit(&text, BOTH) || scan(&text).is_empty());
    }

    #[test]
    fn a_gated_json_text_is_clean_json(texts in prop::collection::vec(pieces(), 0..4), name in pieces()) {
        let payload = json!({"list": texts, &name: texts.first(), "password": name}).to_string();
        let (params, _) = gated("W5", true, json!({"payload_json": payload}));
        let masked = params["payload_json"].as_str().unwrap();
        prop_assert!(serde_json::from_str::<Value>(masked).is_ok(), "{masked}");
        prop_assert!(gate::check("W5", false, &mut params.as_object().unwrap().clone()).is_ok(), "{masked}");
    }
}
