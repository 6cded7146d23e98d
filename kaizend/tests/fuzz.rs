//! Every operation under hostile parameters, through a real connection: always a reply or a denial that says what is
//! wrong, never a panic or an unexpected failure, and a data plane that is whole afterwards.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected stops right there")]

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::families;
use kaizen_proto::operation::Card;
use kaizend::daemon::Daemon;
use kaizend::registry::Registry;
use kaizend::transport::listener;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// Calls of each operation.
const CASES: u32 = 48;

/// A daemon in this process and a connection to it.
struct Served {
    runtime: tokio::runtime::Runtime,
    daemon: Arc<Daemon>,
    peer: RefCell<BufReader<UnixStream>>,
    directory: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("project");
        std::fs::create_dir(&root).unwrap();
        let (daemon, peer) = runtime.block_on(async {
            let daemon = Daemon::new(RuntimeDir::at(directory.path().join("run")));
            let mut registry = Registry::new(daemon.clone());
            kaizend::families::register(&mut registry);
            let socket = directory.path().join("socket");
            let listener = listener::bind(&socket).unwrap();
            daemon.tasks.spawn(listener::accept(daemon.clone(), registry.into_methods(), listener));
            (daemon, BufReader::new(UnixStream::connect(&socket).await.unwrap()))
        });
        let served = Served { runtime, daemon, peer: RefCell::new(peer), directory };
        let hello = json!({"protocol": 1, "project_root": served.root(), "actor": "fuzz"});
        assert_eq!(served.call("hello", &hello)["result"]["protocol"], 1);
        served
    }

    fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("project")
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut peer = self.peer.borrow_mut();
        self.runtime.block_on(async {
            peer.get_mut().write_all(format!("{message}\n").as_bytes()).await.unwrap();
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_mins(1), peer.read_line(&mut line)).await;
            read.unwrap().unwrap();
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{method}: {error}: {line:?}"))
        })
    }

    fn ok(&self, method: &str, params: &Value) -> Value {
        let reply = self.call(method, params);
        assert_eq!(reply["result"]["status"], "OK", "{method} {params}: {reply}");
        reply["result"].clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.daemon.closing.cancel();
        let daemon = self.daemon.clone();
        self.runtime.block_on(async move { daemon.projects.close_all().await });
    }
}

/// What a call is made from: texts that mean something here.
fn seeded(served: &Served) -> Vec<String> {
    let text = |reply: &Value, name: &str| reply[name].as_str().unwrap_or_default().to_owned();
    let record = json!({"title": "Seed", "summary": "A seed.", "body": "Text."});
    let mut known = Vec::new();
    for method in ["task.start", "gotcha.add", "gotcha.add", "learning.add", "policy.add"] {
        known.push(text(&served.ok(method, &record), "id"));
    }
    for method in ["packet.record", "proof.add", "verification.add"] {
        let reply = served.call(method, &json!({"title": "Seed", "summary": "A seed."}));
        known.push(text(&reply["result"], "id"));
    }
    std::fs::write(served.root().join("file.txt"), "contents").unwrap();
    known.push(text(&served.ok("journal.read", &json!({})), "cursor"));
    known.retain(|text| !text.is_empty());
    known
}

/// Texts that have hurt somebody before.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "%",
    "_",
    "' OR 1=1 --",
    "\"\"\"",
    "NEAR(a b)",
    "a*",
    "\\",
    "-1",
    "1",
    "t_",
    "g_%",
    "../../etc/passwd",
    "/dev/zero",
    "/proc/self/mem",
    "/",
    ".",
    "file.txt",
    "AI/db/kaizen.db",
    "AI/db",
    "file.txt/x",
    "{}",
    "[]",
    "{",
    "[1,",
    "null",
    "{\"a\":1}",
    "[\"x\"]",
    "[[[[[[[[",
    "1e999",
    "NaN",
    "\u{10ffff}",
    "\u{202e}x",
    "\u{feff}",
    "e\u{301}",
    "\r\n",
    "One. Two. Three.",
    "critical",
    "active",
    "ACCEPTABLE",
    "0001-01-01T00:00:00Z",
    "9999999999999999999",
    "plane_0:1",
    ":",
    "K1",
    "--json",
];

fn texts(known: Vec<String>) -> BoxedStrategy<Value> {
    prop_oneof![
        6 => Just("word".to_owned()),
        3 => proptest::sample::select(known),
        5 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        2 => "[ -~]{0,40}",
        1 => "\\PC{0,20}",
        1 => (0_usize..200_000).prop_map(|length| "x".repeat(length)),
        1 => (0_usize..4000).prop_map(|words| "word. ".repeat(words)),
        1 => (0_usize..3000).prop_map(|depth| "[".repeat(depth)),
    ]
    .prop_map(Value::from)
    .boxed()
}

fn numbers() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => (-3_i64..20).prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => proptest::sample::select(&[i64::MIN, i64::MAX, 0][..]).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
    ]
    .boxed()
}

/// A value for a parameter: mostly of the type that its schema names.
fn value(schema: &Value, known: &[String]) -> BoxedStrategy<Value> {
    let kind = schema.to_string();
    let typed = if kind.contains("\"boolean\"") {
        any::<bool>().prop_map(Value::from).boxed()
    } else if kind.contains("\"integer\"") || kind.contains("\"number\"") {
        numbers()
    } else if kind.contains("\"array\"") {
        proptest::collection::vec(texts(known.to_vec()), 0..4).prop_map(Value::from).boxed()
    } else {
        texts(known.to_vec())
    };
    let other = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers(),
        texts(known.to_vec()),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[], {"a": null}])),
    ];
    prop_oneof![24 => typed, 1 => other].boxed()
}

/// Parameters of an operation: some of its own, seldom one that is none.
fn parameters(card: &Card, known: &[String]) -> BoxedStrategy<Value> {
    let schema = serde_json::to_value((card.params_schema)()).unwrap();
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let fields: Vec<BoxedStrategy<Option<(String, Value)>>> = properties
        .iter()
        .map(|(name, schema)| {
            let name = name.clone();
            let given = value(schema, known);
            // Without these an operation is seldom more than refused.
            let odds = if ["title", "summary", "body", "id"].contains(&name.as_str()) { 0.85 } else { 0.35 };
            proptest::option::weighted(odds, given)
                .prop_map(move |value| Some((name.clone(), value?)))
                .boxed()
        })
        .collect();
    let stray = prop_oneof![
        30 => Just(None),
        1 => Just(Some(("stray".to_owned(), json!(1)))),
        1 => Just(Some(("_meta".to_owned(), json!({"key": "fuzz"})))),
        1 => Just(Some(("_meta".to_owned(), json!(7)))),
    ];
    (fields, stray)
        .prop_map(|(fields, stray)| Value::Object(fields.into_iter().flatten().chain(stray).collect()))
        .boxed()
}

fn check(card: &Card, reply: &Value) -> Result<(), TestCaseError> {
    if reply["result"]["status"].is_string() {
        return Ok(());
    }
    let denial = &reply["error"]["data"];
    let known = kaizen_proto::denial::Code::ALL.iter().any(|code| denial["code"] == code.text());
    let precise = known
        && denial["status"] == "DENIED"
        && denial["required_action"].as_str().is_some_and(|action| !action.is_empty())
        && denial.to_string().len() < 16_000;
    if precise {
        Ok(())
    } else {
        Err(TestCaseError::fail(format!("{}: {:.600}", card.code, reply.to_string())))
    }
}

#[test]
fn no_operation_fails_unexpectedly_whatever_it_is_given() {
    let served = Served::new();
    let known = seeded(&served);
    let mut failures = Vec::new();
    for card in families::cards() {
        let config =
            Config { cases: CASES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        let outcome = TestRunner::new(config)
            .run(&parameters(card, &known), |params| check(card, &served.call(card.method, &params)));
        if let Err(error) = outcome {
            failures.push(format!("{error:.2000}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    // Whatever was written, it is whole, and nothing was written where it should not be.
    let checked = served.ok("plane.check", &json!({"integrity": true}));
    assert_eq!(checked["integrity"]["ok"], true, "{checked:#}");
    assert_eq!(std::fs::read(served.root().join("file.txt")).unwrap(), b"contents");
    let beside: Vec<_> = names(served.directory.path());
    assert!(beside.iter().all(|name| ["project", "run", "socket"].contains(&name.as_str())), "{beside:?}");
}

#[test]
fn no_operation_fails_unexpectedly_on_parameters_that_are_no_object() {
    let served = Served::new();
    for card in families::cards() {
        for params in [json!([]), json!([1, 2]), json!("text"), json!(1), json!(true), json!(null)] {
            let reply = served.call(card.method, &params);
            let fine = reply["result"]["status"].is_string() || reply["error"]["data"]["status"] == "DENIED";
            assert!(fine, "{} {params}: {reply}", card.code);
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
