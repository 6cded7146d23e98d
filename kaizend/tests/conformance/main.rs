//! Every operation through the registry and a real connection: what it replies when it is carried out, and each denial
//! that is documented for it.
//!
//! [`table::DENIALS`] is the list of what each operation may be denied with beside what every call may meet. A row of it
//! is held by a case of the operation's family, or by a rule of [`rules`] that spoils one field of a call that works.
//! An operation without a case that works fails the test, and so does a row that nothing holds, a denial of a case that
//! has no row, and a field that is denied with what has no row.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected stops right there")]

mod artifact;
mod case;
mod core;
mod evidence;
mod irl;
mod lab;
mod lessons;
mod migration;
mod policy;
mod quality;
mod report;
mod rules;
mod schema;
mod served;
mod source;
mod table;
mod trace;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use kaizen_proto::families;
use kaizen_proto::operation::{Access, Card};
use serde_json::{Value, json};

use self::case::{Case, Expected};
use self::served::Served;

/// All cases, in the order in which they are run: later ones use the records of earlier ones.
fn cases() -> Vec<Case> {
    [
        work::cases(),
        lessons::cases(),
        quality::cases(),
        policy::cases(),
        source::cases(),
        irl::cases(),
        artifact::cases(),
        trace::cases(),
        lab::cases(),
        report::cases(),
        evidence::cases(),
        migration::cases(),
        core::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    /// The parameters of the first call of each operation that worked.
    worked: BTreeMap<&'static str, Value>,
    /// Operation, code and exit status of each denial.
    denied: BTreeSet<(&'static str, String, u64)>,
    calls: usize,
    failures: Vec<String>,
}

impl Seen {
    fn note(&mut self, what: &str, outcome: Result<(), String>) {
        self.calls += 1;
        if let Err(problem) = outcome {
            self.failures.push(format!("{what}: {problem}"));
        }
    }
}

fn card(code: &str) -> &'static Card {
    families::find(code).unwrap_or_else(|| panic!("no operation {code}"))
}

/// Runs the matrix.
fn run(served: &Served) -> Seen {
    let mut seen = Seen::default();
    for case in cases() {
        if let Some(prepare) = case.before {
            prepare(served);
        }
        let params = served.resolve(&case.params);
        let card = card(case.operation);
        let first = matches!(case.expected, Expected::Reply(_)) && !seen.worked.contains_key(card.code);
        if first && !case.alone {
            spoil(served, card, &params, true, &mut seen);
        }
        let reply = served.call(case.project, card.method, &params);
        let expected = case.resolved(served);
        let outcome = match &expected {
            Expected::Reply(keys) => case::check_reply(card, &reply, keys),
            Expected::Denial { code, exit_code, fields } => {
                seen.denied.insert((card.code, (*code).to_owned(), *exit_code));
                if table::documents(card.code, code, *exit_code) {
                    case::check_denial(&reply, code, *exit_code, fields)
                } else {
                    Err(format!("{code} with exit status {exit_code} is not in the table"))
                }
            }
        };
        let failed = outcome.is_err();
        seen.note(&format!("{} {params:.300}", card.code), outcome);
        if failed {
            continue;
        }
        for (name, pointer) in &case.keeps {
            served.keep(name, reply["result"].pointer(pointer).unwrap_or(&Value::Null));
        }
        if first {
            if !case.alone {
                spoil(served, card, &params, false, &mut seen);
            }
            seen.worked.insert(card.code, params);
        }
    }
    seen
}

/// Spoils each field of a call that works in every way that there is a rule for. With `documented` those that the table
/// has, each of which must be denied; else the others, none of which may be denied so.
fn spoil(served: &Served, card: &'static Card, params: &Value, documented: bool, seen: &mut Seen) {
    for rule in rules::RULES {
        if table::documents(card.code, rule.code, rule.exit_code) != documented {
            continue;
        }
        for (field, spoilt, fields) in rule.spoilt(card, params) {
            let reply = served.call("project", card.method, &spoilt);
            let what = format!("{} with {field} spoilt ({})", card.code, rule.code);
            if documented {
                let outcome = case::check_denial(&reply, rule.code, rule.exit_code, &fields);
                if outcome.is_ok() {
                    seen.denied.insert((card.code, rule.code.to_owned(), rule.exit_code));
                }
                seen.note(&what, outcome);
            } else {
                let same = reply["error"]["data"]["code"] == rule.code;
                seen.note(
                    &what,
                    if same { Err("the denial is not in the table".to_owned()) } else { Ok(()) },
                );
            }
        }
    }
}

#[test]
fn every_operation_succeeds_and_is_denied_as_documented() {
    let served = Served::new();
    let mut seen = run(&served);
    for card in families::cards() {
        if !seen.worked.contains_key(card.code) {
            seen.failures.push(format!("{}: no case in which it works", card.code));
        }
    }
    for (operation, code, exit_code) in table::rows() {
        if !seen.denied.contains(&(operation, code.to_owned(), exit_code)) {
            seen.failures.push(format!("{operation}: nothing reaches {code} with exit status {exit_code}"));
        }
    }
    println!("{} calls, {} denials of {} operations", seen.calls, seen.denied.len(), seen.worked.len());
    assert!(
        seen.failures.is_empty(),
        "{} of {} calls: {:#?}",
        seen.failures.len(),
        seen.calls,
        seen.failures
    );
    // What is left is whole.
    let checked = served.call("project", "plane.check", &json!({"integrity": true}));
    assert_eq!(checked["result"]["integrity"]["ok"], true, "{checked:#}");
    what_every_call_may_meet(&served, &seen);
}

/// Denials that do not depend on the operation: unknown parameters, no project, a key that is taken, and a schema that
/// is not ours.
fn what_every_call_may_meet(served: &Served, seen: &Seen) {
    let mut failures = Vec::new();
    let mut expect = |what: &str, reply: &Value, code: &str, exit_code: u64, fields: Value| {
        if let Err(problem) = case::check_denial(reply, code, exit_code, &fields) {
            failures.push(format!("{what}: {problem}"));
        }
    };
    for (code, params) in &seen.worked {
        let mut stray = params.clone();
        stray["colour"] = json!("blue");
        let reply = served.call("project", card(code).method, &stray);
        expect(&format!("{code} with a stray parameter"), &reply, "DENIED_USAGE", 2, json!({}));
        let reply = served.call("project", card(code).method, &json!([]));
        expect(&format!("{code} with a list"), &reply, "DENIED_USAGE", 2, json!({}));
        if !table::WITHOUT_PROJECT.contains(code) {
            let reply = served.call_unbound(card(code).method, params);
            expect(&format!("{code} without hello"), &reply, "DENIED_HELLO_REQUIRED", 2, json!({}));
        }
    }
    let keyed = json!({"title": "T", "summary": "S.", "_meta": {"key": "conformance"}});
    assert_eq!(served.call("project", "task.start", &keyed)["result"]["status"], "OK");
    for (code, params) in &seen.worked {
        if card(code).access == Access::Write {
            let mut keyed = params.clone();
            keyed["_meta"] = json!({"key": "conformance"});
            let reply = served.call("project", card(code).method, &keyed);
            let what = format!("{code} with the key of another call");
            expect(&what, &reply, "DENIED_KEY_REUSED", 2, json!({"key": "conformance"}));
        }
    }
    let drift = |hash: &str| {
        let sql = format!("UPDATE schema_version SET manifest_hash = '{hash}'");
        served.tamper(&sql);
    };
    let reply = served.call("project", "schema.status", &json!({}));
    let expected = reply["result"]["schema"]["manifest_hash"].as_str().unwrap().to_owned();
    drift("other");
    for (code, params) in &seen.worked {
        if card(code).access == Access::Plain {
            continue;
        }
        let reply = served.call("project", card(code).method, params);
        if card(code).access == Access::Read {
            let denied = reply["error"]["data"]["code"] == "DENIED_SCHEMA_DRIFT";
            assert!(!denied, "{code} reads, and a drift must not stop it: {reply}");
        } else {
            let fields = json!({"stored_manifest_hash": "other", "expected_manifest_hash": expected});
            expect(&format!("{code} on a drifted schema"), &reply, "DENIED_SCHEMA_DRIFT", 1, fields);
        }
    }
    drift(&expected);
    served.tamper("DELETE FROM schema_version");
    for (code, params) in &seen.worked {
        if card(code).access == Access::Plain {
            continue;
        }
        let reply = served.call("project", card(code).method, params);
        expect(&format!("{code} without a version row"), &reply, "DENIED_SCHEMA_STATUS", 1, json!({}));
    }
    let repaired = served.call("project", "plane.check", &json!({}));
    assert_eq!(repaired["result"]["schema"]["schema_ok"], true, "{repaired}");
    assert!(failures.is_empty(), "{failures:#?}");
}
