//! Keeping secrets and personal details out of what is stored.
//!
//! [`RULES`] say what they look like, [`scan()`] finds them and [`mask`] replaces them. [`gate`] holds every writing
//! operation to it, in one place; operations whose payload has names of its own call [`assert_clean`].

mod assigned;
pub mod gate;
pub(crate) mod json;
pub mod rules;
pub mod scan;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout)]
mod tests;

use kaizen_proto::denial::{Code, Denial};
use serde_json::{Map, Value, json};

pub use rules::{Kind, RULES};
pub use scan::{Hit, classes, mask, may_hit, scan, scan_for};

/// Refuses texts that hold a secret or a personal detail: the gate of traces, scores and of what goes to a model.
///
/// # Errors
/// `DENIED_TRACE_REDACTION` with the classes and, under `positions`, the places of what was found by field; never the
/// text itself.
pub fn assert_clean(fields: &[(&str, &str)]) -> Result<(), Denial> {
    let (mut found, mut positions) = (Map::new(), Map::new());
    for (field, text) in fields {
        let hits = scan(text);
        if hits.is_empty() {
            continue;
        }
        let mut classes: Vec<&str> = hits.iter().map(|hit| hit.class).collect();
        classes.dedup();
        found.insert((*field).to_owned(), json!(classes));
        positions.insert((*field).to_owned(), Value::from(places(text, &hits, None)));
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Denial::new(Code::TraceRedaction).with("fields", found).with("positions", positions))
}

/// Hits of a field that a denial lists.
const LISTED: usize = 20;

/// The places of hits in characters, as a denial lists them. `at` points into a JSON text.
fn places(text: &str, hits: &[Hit], at: Option<&str>) -> Vec<Value> {
    let characters = |bytes: usize| text[..bytes].chars().count();
    let place = |hit: &Hit| {
        let mut place = json!({
            "class": hit.class, "start": characters(hit.range.start), "end": characters(hit.range.end),
        });
        if let (Some(at), Some(object)) = (at, place.as_object_mut()) {
            object.insert("at".into(), at.into());
        }
        place
    };
    hits.iter().take(LISTED).map(place).collect()
}
