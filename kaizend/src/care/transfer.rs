//! The format of an export: JSON lines. The first says what it is, each further one is a row, and the last carries a
//! SHA-256 over all bytes before it.

use std::collections::BTreeMap;

use kaizen_proto::canonical_json::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::plane::value::OwnedCell;

/// What the first line calls the format.
pub(super) const FORMAT: &str = "kaizen-plane";
/// The version of the format.
pub(super) const VERSION: i64 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: i64,
    pub(super) tool_version: String,
    pub(super) exported_at: String,
    pub(super) plane_id: String,
    pub(super) seq: i64,
    pub(super) chain_hash: String,
    /// Whether all rows are there, and the journal too.
    pub(super) complete: bool,
    /// Rows by table.
    pub(super) tables: BTreeMap<String, i64>,
}

/// A line that is a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) table: String,
    /// The columns that are not NULL.
    pub(super) row: Map<String, Value>,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Digest {
    /// SHA-256 over all bytes before this line.
    pub(super) sha256: String,
    /// How many rows there are.
    pub(super) rows: i64,
}

/// A value as JSON: a blob and a number that JSON has no word for become objects.
pub(super) fn encode(cell: &OwnedCell) -> Value {
    match cell {
        OwnedCell::Null => Value::Null,
        OwnedCell::Integer(number) => Value::from(*number),
        OwnedCell::Real(number) if number.is_finite() => Value::from(*number),
        OwnedCell::Real(number) => json!({"real": number.to_string()}),
        OwnedCell::Text(text) => Value::from(text.as_str()),
        OwnedCell::Blob(bytes) => json!({"blob": hex(bytes)}),
    }
}

/// The value of JSON that [`encode`] wrote; none for anything else.
pub(super) fn decode(value: &Value) -> Option<OwnedCell> {
    match value {
        Value::Null => Some(OwnedCell::Null),
        Value::String(text) => Some(OwnedCell::Text(text.clone())),
        Value::Number(number) => number
            .as_i64()
            .map(OwnedCell::Integer)
            .or_else(|| number.as_f64().filter(|_| number.is_f64()).map(OwnedCell::Real)),
        Value::Object(object) if object.len() == 1 => {
            let (kind, text) = object.iter().next()?;
            let text = text.as_str()?;
            match kind.as_str() {
                "blob" => unhex(text).map(OwnedCell::Blob),
                "real" => text.parse().ok().filter(|number: &f64| !number.is_finite()).map(OwnedCell::Real),
                _ => None,
            }
        }
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}
