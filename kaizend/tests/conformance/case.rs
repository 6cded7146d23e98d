//! A call and what is expected of it.

use kaizen_proto::operation::{Access, Card};
use serde_json::{Value, json};

use crate::schema;
use crate::served::Served;

/// What a call is expected to come to.
pub(crate) enum Expected {
    /// A success with exactly these keys, in this order.
    Reply(Vec<&'static str>),
    /// A denial with these fields among its own.
    Denial { code: &'static str, exit_code: u64, fields: Value },
}

/// One call.
pub(crate) struct Case {
    pub(crate) operation: &'static str,
    /// `$name` in a text stands for what an earlier case kept under that name.
    pub(crate) params: Value,
    pub(crate) expected: Expected,
    /// Parts of the reply that later cases name.
    pub(crate) keeps: Vec<(&'static str, &'static str)>,
    /// What has to be done to the project first.
    pub(crate) before: Option<fn(&Served)>,
    /// The project that it is made for.
    pub(crate) project: &'static str,
    /// Whether the rules leave it alone.
    pub(crate) alone: bool,
}

/// A call that works, with the keys of its reply.
pub(crate) fn ok(operation: &'static str, params: Value, keys: &'static str) -> Case {
    let expected = Expected::Reply(keys.split_whitespace().collect());
    Case { operation, params, expected, keeps: Vec::new(), before: None, project: "project", alone: false }
}

/// A call that is denied.
pub(crate) fn denied(
    operation: &'static str,
    params: Value,
    code: &'static str,
    exit_code: u64,
    fields: Value,
) -> Case {
    let expected = Expected::Denial { code, exit_code, fields };
    Case { operation, params, expected, keeps: Vec::new(), before: None, project: "project", alone: false }
}

impl Case {
    pub(crate) fn keep(mut self, name: &'static str, pointer: &'static str) -> Self {
        self.keeps.push((name, pointer));
        self
    }

    pub(crate) fn id(self, name: &'static str) -> Self {
        self.keep(name, "/id")
    }

    pub(crate) fn after(mut self, prepare: fn(&Served)) -> Self {
        self.before = Some(prepare);
        self
    }

    pub(crate) fn within(mut self, project: &'static str) -> Self {
        self.project = project;
        self
    }

    /// The rules are not tried on it: repeated, it would change what later cases need.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// What is expected, with the names filled in.
    pub(crate) fn resolved(&self, served: &Served) -> Expected {
        match &self.expected {
            Expected::Reply(keys) => Expected::Reply(keys.clone()),
            Expected::Denial { code, exit_code, fields } => {
                Expected::Denial { code, exit_code: *exit_code, fields: served.resolve(fields) }
            }
        }
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// The part of a reply that counts.
fn said(reply: &Value) -> String {
    let denial = &reply["error"]["data"];
    if denial.is_object() { denial } else { reply }.to_string()
}

/// Whether a reply has these keys in this order, and is as the operation's schema says.
pub(crate) fn check_reply(card: &Card, reply: &Value, expected: &[&str]) -> Result<(), String> {
    let result = &reply["result"];
    // M4 says FAILED when there is something to migrate, and has worked all the same.
    if result["status"] != "OK" && (card.code, &result["status"]) != ("M4", &json!("FAILED")) {
        return Err(format!("it does not work: {:.400}", said(reply)));
    }
    let wanted: Vec<&str> = match card.access {
        Access::Write => expected.iter().copied().chain(["seq", "chain_hash"]).collect(),
        _ => expected.to_vec(),
    };
    let found = keys(result);
    let (found, warned) = match found.split_last() {
        Some((&"warnings", rest)) if !expected.contains(&"warnings") => (rest.to_vec(), true),
        _ => (found, false),
    };
    if found != wanted {
        return Err(format!("the reply has the keys {found:?} and not {wanted:?}"));
    }
    if warned && !result["warnings"].is_array() {
        return Err(format!("the warnings are no list: {result}"));
    }
    let schema = json!((card.output_schema)());
    schema::check(&schema, &schema, result, "reply")?;
    let own = ["seq", "chain_hash", "warnings"];
    match found.iter().find(|key| schema["properties"].get(**key).is_none() && !own.contains(key)) {
        Some(key) => Err(format!("the reply has the key {key}, which its schema does not")),
        None => Ok(()),
    }
}

/// Whether a reply is this denial, with these fields among its own, in the documented order.
pub(crate) fn check_denial(reply: &Value, code: &str, exit_code: u64, fields: &Value) -> Result<(), String> {
    let denial = &reply["error"]["data"];
    let wrong = |what: &str| Err(format!("{what}: {:.400}", said(reply)));
    if denial["status"] != "DENIED" || denial["code"] != code {
        return wrong(&format!("no {code}"));
    }
    if denial["exit_code"] != exit_code {
        return wrong(&format!("{code} without exit status {exit_code}"));
    }
    for (name, wanted) in fields.as_object().into_iter().flatten() {
        if denial[name] != *wanted {
            return wrong(&format!("{name} is not {wanted}"));
        }
    }
    if denial["required_action"].as_str().is_none_or(str::is_empty) {
        return wrong("no required_action");
    }
    let found = keys(denial);
    let last = if denial.get("example").is_some() { &["exit_code", "example"][..] } else { &["exit_code"] };
    if !found.starts_with(&["status", "code"]) || !found.ends_with(last) {
        return wrong("keys are out of order");
    }
    if !reply["error"]["message"].as_str().is_some_and(|message| message.starts_with(code)) {
        return wrong("the message does not begin with the code");
    }
    Ok(())
}
