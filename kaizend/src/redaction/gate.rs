//! The gate of all writing operations: what is found in their parameters is refused or masked before a handler sees
//! them, so hashes, search, journal and files only ever know the masked text.
//!
//! | | secrets | personal details |
//! |---|---|---|
//! | most operations | `DENIED_SECRET`; masked with `--redact` | masked, with a warning |
//! | those that are the user's own notes ([`Personal::Kept`]) | `DENIED_SECRET`; masked with `--redact` | kept |
//! | those with a gate of their own ([`Personal::Denied`]) | `DENIED_TRACE_REDACTION` by their handlers; masked with `--redact` | likewise |
//!
//! Parameters that name a place or a record ([`is_reference`]) keep personal details: a path under the project often
//! leads through a home directory.

use kaizen_proto::denial::{Code, Denial};
use serde_json::{Map, Value};

use super::rules::Kind;
use super::{LISTED, json, scan};

/// What becomes of personal details in the parameters of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personal {
    /// They are masked, and the reply warns.
    Masked,
    /// They stay: the record is private by what it is for.
    Kept,
    /// The handler refuses them with [`assert_clean`](super::assert_clean), by the names of its own payload.
    Denied,
}

/// The operations whose personal details are not masked, by code or by the letter of their family.
const EXCEPTIONS: &[(&str, Personal)] = &[
    ("T", Personal::Denied),
    ("B", Personal::Denied),
    ("Y", Personal::Denied),
    ("X", Personal::Kept),
    ("W7", Personal::Kept),
    ("W8", Personal::Kept),
];

/// Parameters that name a place or a record.
const REFERENCES: &[&str] = &["id", "path", "root", "after"];
/// What the names of further such parameters end with.
const REFERENCE_ENDINGS: &[&str] = &["_id", "_ids", "_path", "_dir", "_root"];

/// What becomes of personal details in the parameters of an operation.
pub fn personal(code: &str) -> Personal {
    let family = code.get(..1).unwrap_or_default();
    let of = |name: &str| EXCEPTIONS.iter().find(|(other, _)| *other == name).map(|(_, personal)| *personal);
    of(code).or_else(|| of(family)).unwrap_or(Personal::Masked)
}

/// Whether a parameter names a place or a record rather than says something.
pub fn is_reference(field: &str) -> bool {
    REFERENCES.contains(&field) || REFERENCE_ENDINGS.iter().any(|ending| field.ends_with(ending))
}

/// Whether the parameters of a call must be looked at: a quick question to their JSON text. An escape could hide a
/// keyword, so it makes the answer yes.
pub fn must_look(text: &str) -> bool {
    scan::may_hit(text, &[Kind::Secret, Kind::Personal]) || text.contains("\\u") || text.contains("\\/")
}

/// Looks at the parameters of a writing operation and masks what is to be masked. Returns the warnings.
///
/// # Errors
/// `DENIED_SECRET` with the classes and places of what was found by parameter, never the text itself.
pub fn check(code: &str, redact: bool, params: &mut Map<String, Value>) -> Result<Vec<String>, Denial> {
    let personal = personal(code);
    let mut warnings = Vec::new();
    let mut secrets = Vec::new();
    for (field, value) in params.iter_mut() {
        let mut masked = Vec::with_capacity(2);
        if personal == Personal::Denied {
            masked.extend(redact.then_some([Kind::Secret, Kind::Personal]).into_iter().flatten());
        } else {
            let found = examine(value, &[Kind::Secret]);
            match (found.is_empty(), redact) {
                (true, _) => {}
                (false, true) => masked.push(Kind::Secret),
                (false, false) => secrets.push((field.as_str(), found)),
            }
            if personal == Personal::Masked && !is_reference(field) {
                masked.push(Kind::Personal);
            }
        }
        if secrets.is_empty() && !masked.is_empty() {
            warnings.extend(mask(field, value, &masked));
        }
    }
    if secrets.is_empty() { Ok(warnings) } else { Err(denial(secrets)) }
}

/// Texts beside the parameters that a call makes durable: refused when they hold a secret.
///
/// # Errors
/// `DENIED_SECRET`.
pub fn check_text(field: &str, text: &str) -> Result<(), Denial> {
    let found = json::examine(text, &[Kind::Secret]);
    if found.is_empty() { Ok(()) } else { Err(denial(vec![(field, found)])) }
}

/// Masks a text beside the parameters, with a warning when it changes.
pub fn mask_text(field: &str, text: &mut String) -> Option<String> {
    let mut value = Value::from(std::mem::take(text));
    let warning = mask(field, &mut value, &[Kind::Secret, Kind::Personal]);
    if let Value::String(masked) = value {
        *text = masked;
    }
    warning
}

fn examine(value: &Value, kinds: &[Kind]) -> Vec<json::Found> {
    match value {
        Value::String(text) => json::examine(text, kinds),
        Value::Array(_) | Value::Object(_) => json::examine(&value.to_string(), kinds),
        _ => Vec::new(),
    }
}

fn masked(value: &Value, kinds: &[Kind]) -> Value {
    match value {
        Value::String(text) => json::mask(text, kinds).into_owned().into(),
        other => serde_json::from_str(&json::mask(&other.to_string(), kinds)).unwrap_or(Value::Null),
    }
}

/// Masks a parameter and says what was masked.
fn mask(field: &str, value: &mut Value, kinds: &[Kind]) -> Option<String> {
    let found = examine(value, kinds);
    if found.is_empty() {
        return None;
    }
    let masked = masked(value, kinds);
    // What stands around a mask can look like a secret that was none before.
    *value = if examine(&masked, &[Kind::Secret]).is_empty() {
        masked
    } else {
        self::masked(value, &[Kind::Secret, Kind::Personal])
    };
    Some(format!("{}: masked {}", shown(field), classes(&found)))
}

fn denial(secrets: Vec<(&str, Vec<json::Found>)>) -> Denial {
    let said: Vec<String> =
        secrets.iter().map(|(field, found)| format!("{} ({})", shown(field), classes(found))).collect();
    let fields: Map<String, Value> = secrets
        .into_iter()
        .map(|(field, found)| {
            (shown(field), found.into_iter().take(LISTED).map(|(_, place)| place).collect::<Vec<_>>().into())
        })
        .collect();
    Denial::new(Code::Secret)
        .with("fields", fields)
        .message(format!("a secret was found in {}", said.join(", ")))
}

/// The name of a parameter, which a caller could have made a secret too.
fn shown(field: &str) -> String {
    let masked = scan::mask(field, &[Kind::Secret, Kind::Personal]);
    masked.chars().take(80).collect()
}

fn classes(found: &[json::Found]) -> String {
    let mut classes: Vec<&str> = Vec::new();
    for (class, _) in found {
        if !classes.contains(class) {
            classes.push(class);
        }
    }
    classes.join(", ")
}
