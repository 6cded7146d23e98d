//! The same call gives the same reply, whether it is made with kaizenctl or over the socket without it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use kaizen_proto::families;
use serde_json::{Map, Value, json};

use crate::context::Place;

/// A connection that has said hello.
struct Peer(BufReader<UnixStream>);

impl Peer {
    fn new(place: &Place) -> Self {
        place.ok(&["daemon", "start"]);
        let mut peer =
            Peer(BufReader::new(UnixStream::connect(place.runtime().join("kaizend.sock")).unwrap()));
        let root = place.root.canonicalize().unwrap();
        assert_eq!(
            peer.call("hello", &json!({"protocol": 1, "project_root": root}))["result"]["protocol"],
            1
        );
        peer
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.0.get_mut().write_all(format!("{message}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// The flags that say the same as these parameters.
fn flags(params: &Map<String, Value>) -> Vec<String> {
    let mut flags = Vec::new();
    for (name, value) in params {
        let flag = format!("--{}", name.replace('_', "-"));
        match value {
            Value::Bool(_) => flags.push(flag),
            Value::String(text) => flags.extend([flag, text.clone()]),
            Value::Array(list) => {
                for one in list {
                    flags.extend([flag.clone(), one.as_str().unwrap().to_owned()]);
                }
            }
            other => flags.extend([flag, other.to_string()]),
        }
    }
    flags
}

/// What two calls of one kind may differ in: ids, times and hashes that are made for each, and names of files.
fn own(key: &str) -> bool {
    ["id", "revision_id", "content_hash", "chain_hash", "seq", "path", "sha256", "report_id"].contains(&key)
}

/// The reply without the values that each call has of its own; their types and places stay.
fn common(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    Value::String(_) if own(key) => Value::from("a text"),
                    Value::Number(_) if own(key) => Value::from("a number"),
                    other => common(other),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(list) => list.iter().map(common).collect(),
        other => other.clone(),
    }
}

/// Calls that work, and calls that are denied, of every kind of access.
fn calls(task: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("K0", json!({"query": "record a pitfall", "limit": 2})),
        ("K2", json!({})),
        ("W1", json!({"title": "Größe", "summary": "One. Two.", "body": "a\nb", "test": true})),
        ("W2", json!({"id": task, "status": "active"})),
        ("W9", json!({"id": task})),
        ("G2", json!({"limit": 1})),
        ("G3", json!({"query": "größe"})),
        ("Q1", json!({"summary": "S.", "evidence": "[\"x\"]"})),
        ("Q8", json!({"kind": "trace_event", "payload_json": "{\"kind\": \"judge\", \"summary\": \"S.\"}"})),
        ("A2", json!({"path": "file.txt"})),
        ("M2", json!({"root": ["one", "two"]})),
        ("O2", json!({"contract": "c", "title": "T", "summary": "S.", "baseline_score": 0.25})),
        ("R0", json!({})),
        ("R1", json!({"format": "json"})),
        ("T4", json!({"group": true})),
        // Denied.
        ("W1", json!({"title": "T"})),
        ("W2", json!({"id": "t_absent"})),
        ("G3", json!({})),
        ("A2", json!({"path": "../x"})),
        ("A2", json!({"path": "absent"})),
        ("Q2", json!({"summary": "S.", "conclusion": "FINE"})),
        ("S1", json!({"source_id": "s"})),
        ("R1", json!({"severity": "high"})),
        ("K3", json!({"keep": 0})),
        ("K10", json!({"since": "plane_0:0"})),
        ("T1", json!({"kind": "judge", "summary": concat!("AKIA", "IOSFODNN7EXAMPLE")})),
    ]
}

#[test]
fn the_command_line_and_the_socket_reply_alike() {
    let place = Place::new();
    std::fs::write(place.root.join("file.txt"), "contents").unwrap();
    let task = place.id(&["W1", "--title", "T", "--summary", "S."]);
    let mut peer = Peer::new(&place);
    let (mut replies, mut denials) = (0, 0);
    for (code, params) in calls(&task) {
        let card = families::find(code).unwrap();
        let reply = peer.call(card.method, &params);
        let flags = flags(params.as_object().unwrap());
        let outcome = place.run([code.to_owned(), "--json".into()].into_iter().chain(flags));
        let (said, printed, silent) = if outcome.status.success() {
            replies += 1;
            (&reply["result"], &outcome.stdout, &outcome.stderr)
        } else {
            denials += 1;
            let denial = &reply["error"]["data"];
            assert_eq!(denial["exit_code"], json!(outcome.status.code()), "{code} {params}: {reply}");
            (denial, &outcome.stderr, &outcome.stdout)
        };
        assert_eq!(silent, "", "{code} {params}");
        let printed: Value = serde_json::from_str(printed).unwrap();
        // As texts, because the order of the keys counts.
        assert_eq!(common(&printed).to_string(), common(said).to_string(), "{code} {params}");
    }
    assert!(replies >= 12 && denials >= 10, "{replies} replies, {denials} denials");
}
