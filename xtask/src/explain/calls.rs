//! The calls: every operation that reads, with every parameter of its schema.

use kaizen_proto::families;
use kaizen_proto::operation::{Access, Card};
use kaizen_proto::{time::Timestamp, values};
use serde_json::{Map, Value, json};

use crate::place::{Daemon, Project};
use crate::seed::{RARE, Seeded};
use crate::wire::{Line, request, write_request};

/// Texts that some operation takes for a parameter that no list of words describes.
const WORDS: &[(&str, &[&str])] = &[
    // Trigrams find the first; the second is too short for them.
    ("query", &[RARE, "re"]),
    ("status", &["active", "passed"]),
    ("severity", &["high"]),
    ("actionability", &["now"]),
    ("trigger", &["session-start"]),
    ("contract", &["contract-1"]),
    ("operation", &["W1"]),
    ("by_actor", &["agent"]),
    ("by_session", &["session"]),
];
/// Kinds of records, as the operations that take one call them.
const KINDS: &[&str] = &[
    "task",
    "ledger",
    "log",
    "anti-pattern",
    "anti_pattern",
    "eval-case",
    "eval_case",
    "proof",
    "verification",
];
/// What an operation says that has a filter in common with others but does not take it, or that lacks what it needs.
const NOT_TAKEN: [&str; 2] = ["DENIED_FILTER_UNSUPPORTED", "DENIED_BACKEND_UNCONFIGURED"];

/// What was called.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) operations: usize,
    pub(super) calls: usize,
    pub(super) answered: usize,
    /// Operations and parameters of which no call was answered.
    pub(super) faults: Vec<String>,
}

/// Whether an operation reads records: as all of them do that are said to, and those that write a report of them.
fn reads(card: &Card) -> bool {
    card.access == Access::Read || (card.access == Access::Write && card.takes("format"))
}

type Params = Map<String, Value>;

/// Calls them all.
pub(super) fn walk(daemon: &Daemon, project: &Project, seeded: &Seeded) -> anyhow::Result<Walk> {
    let mut caller = Caller { line: Line::bound(&daemon.socket, project)?, walk: Walk::default() };
    for card in families::cards().filter(|card| reads(card)) {
        caller.walk.operations += 1;
        caller.operation(card, seeded)?;
    }
    Ok(caller.walk)
}

struct Caller {
    line: Line,
    walk: Walk,
}

impl Caller {
    /// Whether a call was answered; else why not.
    fn call(&mut self, card: &Card, params: &Params) -> anyhow::Result<Result<(), String>> {
        let params = Value::Object(params.clone());
        let bytes = match card.access {
            Access::Write => write_request(card.method, params),
            _ => request(card.method, &params),
        };
        self.walk.calls += 1;
        self.line.send(&bytes)?;
        let reply: Value = serde_json::from_slice(self.line.receive()?)?;
        Ok(if reply["error"].is_null() {
            self.walk.answered += 1;
            Ok(())
        } else {
            Err(reply["error"].to_string())
        })
    }

    fn operation(&mut self, card: &Card, seeded: &Seeded) -> anyhow::Result<()> {
        let fields = fields(card, seeded);
        let Some(base) = self.base(card, &fields)? else {
            self.walk.faults.push(format!("{}: no call was answered", card.code));
            return Ok(());
        };
        // Each parameter alone, with each of its values.
        let mut taken: Vec<(&str, Value)> = Vec::new();
        for (name, candidates) in &fields {
            let mut refusal = String::from("no value is known");
            let mut is_taken = base.contains_key(name.as_str());
            for value in candidates {
                let mut params = base.clone();
                params.insert(name.clone(), value.clone());
                match self.call(card, &params)? {
                    Ok(()) if is_taken => {}
                    Ok(()) => {
                        is_taken = true;
                        taken.push((name, value.clone()));
                    }
                    Err(denial) => refusal = denial,
                }
            }
            if !is_taken && !NOT_TAKEN.iter().any(|code| refusal.contains(code)) {
                self.walk.faults.push(format!("{} --{name}: {refusal}", card.code));
            }
        }
        // Two at a time: one may bring an index in that the other needs. Reports take too long for that.
        if card.access == Access::Read {
            for (at, (first, value)) in taken.iter().enumerate() {
                for (second, other) in &taken[at + 1..] {
                    let mut params = base.clone();
                    params.insert((*first).to_owned(), value.clone());
                    params.insert((*second).to_owned(), other.clone());
                    // Some do not go together.
                    let _ = self.call(card, &params)?;
                }
            }
        }
        let mut all = base;
        all.extend(taken.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let _ = self.call(card, &all)?;
        if all.remove("query").is_some() {
            let _ = self.call(card, &all)?;
        }
        Ok(())
    }

    /// The fewest parameters with which an operation answers: none, one or two.
    fn base(&mut self, card: &Card, fields: &[(String, Vec<Value>)]) -> anyhow::Result<Option<Params>> {
        if self.call(card, &Params::new())?.is_ok() {
            return Ok(Some(Params::new()));
        }
        let all: Vec<(&String, &Value)> =
            fields.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value))).collect();
        let one = |(name, value): &(&String, &Value)| ((*name).clone(), (*value).clone());
        for single in &all {
            let params: Params = [one(single)].into_iter().collect();
            if self.call(card, &params)?.is_ok() {
                return Ok(Some(params));
            }
        }
        for (at, first) in all.iter().enumerate() {
            for second in all[at + 1..].iter().filter(|second| second.0 != first.0) {
                let params: Params = [one(first), one(second)].into_iter().collect();
                if self.call(card, &params)?.is_ok() {
                    return Ok(Some(params));
                }
            }
        }
        Ok(None)
    }
}

/// The parameters of an operation, each with values that it may take.
fn fields(card: &Card, seeded: &Seeded) -> Vec<(String, Vec<Value>)> {
    let schema = (card.params_schema)();
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let own = |(name, schema): (String, Value)| {
        let values = values_of(card, &name, &schema, seeded);
        (name, values)
    };
    properties.into_iter().map(own).collect()
}

fn values_of(card: &Card, name: &str, schema: &Value, seeded: &Seeded) -> Vec<Value> {
    let is = |wanted: &str| match &schema["type"] {
        Value::String(one) => one == wanted,
        Value::Array(several) => several.iter().any(|one| one == wanted),
        _ => false,
    };
    if is("boolean") {
        return vec![json!(true)];
    }
    if is("integer") || is("number") {
        return vec![json!(3)];
    }
    let first = |operation: &str| seeded.of(operation).first().map(|id| json!(id));
    let known = values::of(card, name);
    if !known.is_empty() {
        return known.into_iter().map(Value::from).collect();
    }
    if let Some((_, words)) = WORDS.iter().find(|(field, _)| *field == name) {
        return words.iter().map(|word| json!(word)).collect();
    }
    match name {
        // A moment, or for the journal a place in it.
        "since" => vec![json!("2020-01-01"), json!("1")],
        "until" => vec![json!(Timestamp::now().to_string())],
        "kind" => KINDS.iter().map(|kind| json!(kind)).collect(),
        "task_id" => first("W1").into_iter().collect(),
        "trace_id" => {
            first("T1").into_iter().chain(seeded.traces().first().map(|trace| json!(trace))).collect()
        }
        "document_id" => first("E1").into_iter().collect(),
        "review_id" => first("I1").into_iter().collect(),
        // A record of each kind; most operations take one of them.
        _ if name == "id" || name == "after" => {
            let mut ids: Vec<&str> =
                seeded.all().filter_map(|(_, ids)| ids.get(ids.len() / 2).map(String::as_str)).collect();
            ids.sort_unstable();
            ids.into_iter().map(Value::from).collect()
        }
        _ => vec![json!("text")],
    }
}
